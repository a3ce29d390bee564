//! Wake-ups of other connections' threads that a reader puts off while it works on its input.
//!
//! Owns the batch of one thread. A handler that publishes to many readers, or the handlers of
//! several pipelined requests, post many messages in a row. If each post woke its writer, the
//! writer would send one message and sleep again. Put off to the end of the input, one wake-up and
//! one write take all messages: 2 `futex` calls and 1 `send` for each of 16 messages become 2 and 1
//! for all of them. A reader that waits for the answer of a held request is woken in the same way.
//! Leaves the queues to `mailbox`, and the bound on the time to the server's thread, which ends the
//! batch of a handler that blocks.

use std::cell::RefCell;
use std::sync::{Arc, PoisonError};

use super::stop::Stop;
use super::sync::{Condvar, Mutex, thread_local};

thread_local! {
    /// The batch of this thread; `None` for a thread that puts nothing off.
    static OF_THREAD: RefCell<Option<OfThread>> = RefCell::default();
}

struct OfThread {
    wakes: Arc<Wakes>,
    /// The first writer is woken at once, because many posts have a single receiver.
    has_woken: bool,
    batch: Option<Arc<Batch>>,
}

/// The writers that one thread will wake.
#[derive(Default)]
pub(crate) struct Batch(Mutex<Sleepers>);

#[derive(Default)]
struct Sleepers {
    waiting: Vec<Arc<Condvar>>,
    is_over: bool,
}

impl Batch {
    /// Adds a writer. Returns `false` if the batch is over.
    fn add(&self, filled: &Arc<Condvar>) -> bool {
        let mut sleepers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !sleepers.is_over {
            sleepers.waiting.push(Arc::clone(filled));
        }
        !sleepers.is_over
    }

    /// Wakes the writers. From now on, their thread wakes each at once.
    pub(crate) fn end(&self) {
        let mut sleepers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sleepers.is_over = true;
        let waiting = std::mem::take(&mut sleepers.waiting);
        drop(sleepers);
        for filled in waiting {
            filled.notify_one();
        }
    }

    /// Whether the batch has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_over
    }
}

/// The batches of all threads of a server.
pub(crate) struct Wakes {
    begun: Mutex<Vec<Arc<Batch>>>,
    stop: Arc<Stop>,
}

impl Wakes {
    pub(crate) fn new(stop: Arc<Stop>) -> Self {
        Self { begun: Mutex::new(Vec::new()), stop }
    }

    /// This thread puts wake-ups off until the result is dropped.
    pub(crate) fn put_off(self: &Arc<Self>) -> PutOff {
        OF_THREAD.with(|of_thread| *of_thread.borrow_mut() = Some(OfThread { wakes: Arc::clone(self), has_woken: false, batch: None }));
        PutOff(())
    }

    /// Takes the batches that have begun since the last call. The server's thread, which calls
    /// this, ends them if they are not over in time.
    pub(crate) fn take_begun(&self) -> Vec<Arc<Batch>> {
        std::mem::take(&mut *self.begun.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn begin(&self) -> Arc<Batch> {
        let batch = Arc::new(Batch::default());
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        begun.push(Arc::clone(&batch));
        let is_first = begun.len() == 1;
        drop(begun);
        if is_first {
            self.stop.wake();
        }
        batch
    }
}

/// As long as this lives, the thread puts wake-ups off.
pub(crate) struct PutOff(());

impl Drop for PutOff {
    fn drop(&mut self) {
        let of_thread = OF_THREAD.with(|of_thread| of_thread.borrow_mut().take());
        if let Some(batch) = of_thread.and_then(|of_thread| of_thread.batch) {
            batch.end();
        }
    }
}

/// Wakes the thread that waits for `filled`, or puts its wake-up off.
pub(crate) fn wake(filled: &Arc<Condvar>) {
    // A destructor of another value of the thread may post when this one is gone already.
    let is_put_off = OF_THREAD.try_with(|of_thread| of_thread.borrow_mut().as_mut().is_some_and(|of_thread| of_thread.put_off(filled)));
    if !matches!(is_put_off, Ok(true)) {
        filled.notify_one();
    }
}

impl OfThread {
    fn put_off(&mut self, filled: &Arc<Condvar>) -> bool {
        if !std::mem::replace(&mut self.has_woken, true) {
            return false;
        }
        self.batch.get_or_insert_with(|| self.wakes.begin()).add(filled)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// The first writer is woken at once. The others begin one batch, which the end of the input
    /// ends.
    #[test]
    fn one_batch_for_one_piece_of_input() {
        let poll = mio::Poll::new().expect("the system has descriptors");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("the system has descriptors");
        let of_server = Arc::new(Wakes::new(Arc::new(Stop::new(waker))));
        let filled = Arc::new(Condvar::new());
        let put_off = of_server.put_off();
        wake(&filled);
        assert!(of_server.take_begun().is_empty());
        wake(&filled);
        wake(&filled);
        let begun = of_server.take_begun();
        assert_eq!((begun.len(), begun[0].is_over(), Arc::strong_count(&filled)), (1, false, 3));
        drop(put_off);
        assert_eq!((begun[0].is_over(), Arc::strong_count(&filled)), (true, 1));
        // Without a piece of input, nothing is put off.
        wake(&filled);
        wake(&filled);
        assert!(of_server.take_begun().is_empty());
    }

    /// A batch that the server's thread has ended takes no further writer.
    #[test]
    fn a_batch_that_is_over() {
        let (batch, filled) = (Batch::default(), Arc::new(Condvar::new()));
        assert!(batch.add(&filled));
        batch.end();
        assert!(!batch.add(&filled));
        assert_eq!(Arc::strong_count(&filled), 1);
    }
}

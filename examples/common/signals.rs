//! Ctrl-C and SIGTERM: the first signal shuts the server down gracefully, the second one at once.
//!
//! Owns the number of signals, the time of the first one, the server that a signal stops, and the
//! sentence about the shutdown. Leaves the end of the process to `main`: the server's `run` returns
//! after the shutdown.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use pushlab::Stopper;

pub(crate) struct Signals {
    count: AtomicU32,
    first: OnceLock<Instant>,
    stopper: Mutex<Stopper>,
}

impl Signals {
    pub(crate) fn stop(stopper: Stopper, name: &str) -> Result<Arc<Self>, ctrlc::Error> {
        let signals = Arc::new(Self { count: AtomicU32::new(0), first: OnceLock::new(), stopper: Mutex::new(stopper) });
        let (caught, name) = (Arc::clone(&signals), name.to_owned());
        ctrlc::set_handler(move || {
            caught.first.get_or_init(Instant::now);
            if caught.count.fetch_add(1, SeqCst) == 0 {
                eprintln!("{name}: shutting down; press Ctrl-C once more to stop at once");
            }
            caught.act();
        })?;
        Ok(signals)
    }

    /// From now on, a signal stops this server. So does a signal that has come already.
    pub(crate) fn stop_instead(&self, stopper: Stopper) {
        *self.stopper.lock().unwrap_or_else(PoisonError::into_inner) = stopper;
        self.act();
    }

    pub(crate) fn have_come(&self) -> bool {
        self.count.load(SeqCst) > 0
    }

    fn act(&self) {
        // The lock comes first: a signal that comes during a change of the server stops either this
        // server, or is seen by `stop_instead`.
        let stopper = self.stopper.lock().unwrap_or_else(PoisonError::into_inner);
        match self.count.load(SeqCst) {
            0 => {}
            1 => stopper.stop(),
            _ => stopper.stop_now(),
        }
    }

    /// A sentence about the shutdown. `cut` is the number of connections that it cut.
    pub(crate) fn verdict(&self, cut: u64) -> String {
        let took = self.first.get().map_or(Duration::ZERO, Instant::elapsed).as_secs_f64();
        let how = match self.count.load(SeqCst) {
            2.. => "at once",
            _ if cut > 0 => "at the end of the grace time",
            _ => "gracefully",
        };
        match cut {
            0 => format!("stopped {how} in {took:.1} s"),
            1 => format!("stopped {how}, after {took:.1} s, and cut 1 connection that had not got all of its data"),
            _ => format!("stopped {how}, after {took:.1} s, and cut {cut} connections that had not got all of their data"),
        }
    }
}

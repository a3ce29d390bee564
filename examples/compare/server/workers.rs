//! A bounded pool of threads that answer requests for an event loop.
//!
//! Owns the queue and its threads. The event loop holds a request and hands it over; a worker
//! releases it with the answer. Leaves the answers to `app`.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// The jobs that wait for a worker. One more makes the event loop wait, too.
const QUEUE: usize = 65_536;

type Job = Box<dyn FnOnce() + Send>;

/// The pool. A clone hands its jobs to the same threads.
#[derive(Clone)]
pub(crate) struct Workers(SyncSender<Job>);

impl Workers {
    pub(crate) fn start(threads: usize) -> io::Result<Self> {
        let (jobs, queue) = sync_channel::<Job>(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..threads {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name("worker".to_owned()).spawn(move || {
                while let Some(job) = next(&queue) {
                    job();
                }
            })?;
        }
        Ok(Self(jobs))
    }

    pub(crate) fn run(&self, job: impl FnOnce() + Send + 'static) {
        // An error means that all workers have panicked. Dropping the job answers its request with
        // 503.
        let _ = self.0.send(Box::new(job));
    }
}

/// One waiting worker holds the lock, and the others wait for the lock.
fn next(queue: &Mutex<Receiver<Job>>) -> Option<Job> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

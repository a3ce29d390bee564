//! `GET /stream/{n}`: a response of n lines, with a pause before each further line.
//!
//! Owns the thread that sends the lines of all such responses, on both IO models. Leaves chunks and
//! connections to the library.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use pushlab::proto::http1::Method;
use pushlab::{Frame, Pusher, Reply, Request, Response};

/// The pause between two lines.
const PAUSE: Duration = Duration::from_millis(20);
const LINES_MAX: u32 = 1_000;

#[derive(Default)]
pub(crate) struct Drip {
    jobs: Mutex<Jobs>,
    arrived: Condvar,
}

#[derive(Default)]
struct Jobs {
    next_id: u64,
    running: HashMap<u64, Job>,
}

struct Job {
    pusher: Pusher,
    sent: u32,
    lines: u32,
}

/// A value that the connection carries. Its drop removes the job of a client that has left.
struct Leave(Arc<Drip>, u64);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.lock().running.remove(&self.1);
    }
}

impl Drip {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn serve(self: &Arc<Self>, lines: &str, request: &Request<'_>, reply: Reply<'_>) {
        let Ok(lines @ 1..=LINES_MAX) = lines.parse() else {
            return reply.send(
                request
                    .cors()
                    .dress(Response::text(format!("the number of lines must be 1 to {LINES_MAX}, as in /stream/5\n")).with_status(400)),
            );
        };
        let mut stream = reply.stream(request.cors().dress(Response::text("").unbuffered()));
        if request.method() == Method::Head {
            return;
        }
        let mut jobs = self.lock();
        jobs.next_id += 1;
        let id = jobs.next_id;
        jobs.running.insert(id, Job { pusher: stream.pusher(), sent: 0, lines });
        drop(jobs);
        stream.carry(Leave(Arc::clone(self), id));
        self.arrived.notify_one();
    }

    /// Sends the lines, for as long as the program runs.
    pub(crate) fn run(&self) {
        loop {
            let idle = |jobs: &mut Jobs| jobs.running.is_empty();
            let mut jobs = self.arrived.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            jobs.running.retain(|_, job| job.step());
            drop(jobs);
            thread::sleep(PAUSE);
        }
    }
}

impl Job {
    /// Sends one line. Returns whether there are more lines.
    fn step(&mut self) -> bool {
        self.sent += 1;
        self.pusher.push(&Frame::chunk(format!("line {} of {}\n", self.sent, self.lines).as_bytes()));
        if self.sent == self.lines {
            self.pusher.end();
        }
        self.sent < self.lines
    }
}

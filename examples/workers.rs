//! An event loop for the connections, and a bounded pool of threads for handlers that block.
//!
//! The event loop reads a request, holds it, and puts it into a queue. A worker takes it, blocks as
//! long as it must, and releases it with the answer, which the event loop sends. So a slow handler
//! takes one worker, and stops nobody else. The queue is bounded, too: a request that finds it full
//! gets 503 at once, because an answer after a long wait helps nobody.
//!
//! Try: `curl http://127.0.0.1:8080/slow?ms=3000` in some terminals, and meanwhile
//! `curl http://127.0.0.1:8080/quick`.

#[path = "common/small.rs"]
mod small;

use std::io;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pushlab::{Config, Held, IoModel, Method, Reply, Request, Response, Server};

/// How many handlers can block at once. A pool for a database has as many as connections to it.
const WORKERS: usize = 4;
/// How many requests can wait for a worker.
const QUEUE: usize = 16;
/// A request that no worker has answered after this time gets 503.
const PATIENCE: Duration = Duration::from_secs(30);
const SLEEP_DEFAULT_MS: u64 = 1_000;
const SLEEP_MAX_MS: u64 = 10_000;
const METHODS: &str = "GET, HEAD, OPTIONS";

/// A request for the workers. Dropping it answers 503.
struct Job {
    held: Held,
    time: Duration,
}

/// Hands jobs to the workers.
#[derive(Clone)]
struct Pool(SyncSender<Job>);

impl Pool {
    fn start() -> io::Result<Self> {
        let (jobs, queue) = sync_channel(QUEUE);
        let queue = Arc::new(Mutex::new(queue));
        for number in 0..WORKERS {
            let queue = Arc::clone(&queue);
            thread::Builder::new().name(format!("worker {number}")).spawn(move || work(&queue))?;
        }
        Ok(Self(jobs))
    }

    /// Never waits: this runs on the event loop.
    fn run(&self, job: Job) {
        // The second error means that all workers have panicked.
        if let Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) = self.0.try_send(job) {
            job.held.release(busy());
        }
    }
}

/// One worker, until the event loop has ended. The worker that waits for a job holds the lock, and the
/// others wait for the lock.
fn work(queue: &Mutex<Receiver<Job>>) {
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
    while let Ok(Job { held, time }) = next() {
        // In place of a query, a file, or a computation.
        thread::sleep(time);
        // The client may have left. Then the answer goes nowhere.
        held.release(Response::text(format!("worked for {} ms\n", time.as_millis())));
    }
}

fn busy() -> Response {
    Response::status(503).field("Retry-After", "1")
}

fn app(pool: &Pool, request: &Request<'_>, reply: Reply<'_>) {
    match (request.path(), request.method()) {
        ("/quick", Method::Get | Method::Head) => reply.send(Response::text("quick\n")),
        ("/slow", Method::Get | Method::Head) => match time(request.query().unwrap_or_default()) {
            Some(time) => pool.run(Job { held: reply.hold(PATIENCE, busy()), time }),
            None => reply.send(Response::status(400)),
        },
        ("/quick" | "/slow", Method::Options) => reply.send(request.options(METHODS)),
        ("/quick" | "/slow", _) => reply.send(Response::method_not_allowed(METHODS)),
        _ => reply.send(Response::status(404)),
    }
}

/// How long the handler blocks.
fn time(query: &str) -> Option<Duration> {
    let ms = match query {
        "" => SLEEP_DEFAULT_MS,
        query => query.strip_prefix("ms=")?.parse().ok().filter(|ms| *ms <= SLEEP_MAX_MS)?,
    };
    Some(Duration::from_millis(ms))
}

fn main() -> ExitCode {
    let what = "An event loop with 4 workers: an answer at once at /quick, and one from a worker that blocks at /slow?ms=1000.";
    small::run(&small::Program { what, takes_io: false }, |address, _| {
        let server = Server::bind(address, Config::default())?;
        small::say(&format!("listening on http://{}/ (quick, slow)", server.local_addr()))?;
        let pool = Pool::start()?;
        server.run(IoModel::EventLoop, move |request: &Request<'_>, reply: Reply<'_>| app(&pool, request, reply))
    })
}

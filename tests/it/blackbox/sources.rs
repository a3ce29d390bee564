//! Sources over real sockets.
//!
//! Covers: session::stream

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;

use pushlab::session::{Feed, Outcome, Stream, StreamSource};
use pushlab::{Reply, Request, Response};

use super::{Client, Lab, both, eventually};

/// Sends chunks of 1,000 bytes, each with its number in front, up to the number that the request's
/// query names.
struct Numbers {
    next: u64,
    end: u64,
}

impl StreamSource for Numbers {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        while self.next < self.end {
            let chunk = format!("{:<1000}", self.next);
            self.next += 1;
            if stream.send(chunk.as_bytes()) != Outcome::Sent {
                return Feed::Continue;
            }
        }
        Feed::End
    }
}

fn app(request: &Request<'_>, reply: Reply<'_>) {
    match request.query_value("end") {
        Some(end) => reply.stream(Response::text("")).feed(Numbers { next: 0, end: end.parse().unwrap_or(0) }),
        None => reply.send(Response::text("hello")),
    }
}

fn open(lab: &Lab, end: u64) -> Client {
    let mut client = Client::connect_with_little_room(lab.address);
    client.get(&format!("/?end={end}"));
    assert_eq!(client.answer_head().status, 200);
    client
}

/// Reads numbered chunks until the stream ends. Returns how many came.
fn read(client: &mut Client) -> u64 {
    let mut next = 0;
    while let Some(chunk) = client.chunk() {
        assert_eq!(String::from_utf8(chunk).unwrap().trim_end(), next.to_string());
        next += 1;
    }
    next
}

both! {
    /// 1 MB for a client that keeps few bytes: all come, in order, and the next request after them.
    fn a_source_sends_more_than_the_output_holds(model) {
        let lab = Lab::answering_with(model, |config| config.settings.limits.output_bytes = 10_000, app);
        let mut client = open(&lab, 1_000);
        assert_eq!(read(&mut client), 1_000);
        assert_eq!(client.fetch("/").text(), "hello");
        assert_eq!((lab.stats().dropped, lab.stats().slow_disconnects), (0, 0));
    }

    /// A source without end, and a reader that never pauses: others are served meanwhile, and a
    /// shutdown ends the stream in order.
    fn a_source_without_end(model) {
        let lab = Lab::answering(model, app);
        let mut client = open(&lab, u64::MAX);
        let (is_begun, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                assert!(client.chunk().is_some());
                is_begun.store(true, SeqCst);
                let mut count = 1_u64;
                while let Some(chunk) = client.chunk() {
                    assert_eq!(String::from_utf8(chunk).unwrap().trim_end(), count.to_string());
                    count += 1;
                }
                is_over.store(true, SeqCst);
            });
            eventually("the stream has begun", || is_begun.load(SeqCst));
            let mut other = lab.connect();
            for _ in 0..50 {
                assert_eq!(other.fetch("/").text(), "hello");
            }
            assert!(!is_over.load(SeqCst));
            drop(other);
            lab.stopper.stop();
        });
        drop(client);
        lab.join();
    }

    /// A client that leaves a stream that is fed is let go.
    fn a_client_that_leaves_its_source(model) {
        let lab = Lab::answering(model, app);
        for _ in 0..3 {
            let client = open(&lab, u64::MAX);
            assert_eq!(lab.stats().streams, 1);
            client.reset();
            eventually("the stream is over", || lab.stats().streams == 0);
        }
    }
}

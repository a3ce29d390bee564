//! Sources: what a stream is fed as its reader reads.
//!
//! Covers: session::stream, session::exchange

use std::sync::Arc;
use std::time::Duration;

use pushlab::proto::Frame;
use pushlab::session::{Ending, Feed, Limits, Outcome, Reply, Request, Response, Settings, SlowConsumer, Stream, StreamSource};

use super::app::{Shelf, Token};
use super::rig::Rig;
use super::wire::get;

/// Bytes of a line, and of its chunk.
const LINE_BYTES: usize = 5;
const CHUNK_BYTES: usize = 3 + LINE_BYTES + 2;

/// Sends numbered lines of five bytes, and is then what `last` says.
struct Lines {
    next: u32,
    end: u32,
    last: Feed,
    shelf: Arc<Shelf>,
    _token: Token,
}

impl StreamSource for Lines {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        self.shelf.note(format!("feed from {}", self.next));
        while self.next < self.end {
            let sent = stream.send(format!("{:04}\n", self.next).as_bytes());
            if sent == Outcome::Refused {
                self.shelf.note("dropped");
                return Feed::Continue;
            }
            self.next += 1;
            if matches!(sent, Outcome::Queued { .. }) {
                return Feed::Continue;
            }
        }
        self.last
    }
}

fn lines(shelf: &Arc<Shelf>, end: u32, last: Feed) -> Lines {
    Lines { next: 0, end, last, shelf: Arc::clone(shelf), _token: shelf.token() }
}

/// A rig with room for four chunks of output, and for two in the queue. `begin` installs sources.
fn fed(policy: SlowConsumer, begin: impl Fn(&mut Stream<'_>, &Arc<Shelf>) + Send + Sync + 'static) -> Rig {
    let limits = Limits { output_bytes: 4 * CHUNK_BYTES, queue_bytes: 2 * CHUNK_BYTES, ..Limits::default() };
    let shelf = Arc::new(Shelf::default());
    let inner = Arc::clone(&shelf);
    Rig::serving_with(Settings { limits, slow_consumer: policy, ..Settings::default() }, shelf, move |_: &Request<'_>, reply: Reply<'_>| {
        let mut stream = reply.stream(Response::text(""));
        inner.keep_pusher(stream.pusher());
        begin(&mut stream, &inner);
    })
}

fn numbers(range: std::ops::Range<u32>) -> String {
    range.fold(String::new(), |text, number| text + &format!("{number:04}\n"))
}

/// A source sends much more than the queue and the output hold. The lines come in order and without
/// loss, and memory stays at the size of the output.
#[test]
fn a_source_sends_as_the_reader_reads() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest] {
        for room in [1, 7, 40, 1_000] {
            let mut rig = fed(policy, |stream, shelf| stream.feed(lines(shelf, 200, Feed::End)));
            rig.block();
            rig.send(get("/"));
            let head_bytes = rig.out_len();
            assert!(head_bytes > 0 && rig.stats().streams == 1);
            while rig.stats().streams > 0 || rig.out_len() > 0 {
                assert!(rig.out_len() <= head_bytes + 5 * CHUNK_BYTES, "{} bytes wait", rig.out_len());
                rig.take_up_to(room);
            }
            let answer = rig.answer();
            assert_eq!((answer.text(), answer.is_whole), (&*numbers(0..200), true), "{policy} {room}");
            assert_eq!((rig.stats().dropped, rig.stats().slow_disconnects, rig.ending()), (0, 0, None));
            assert!(!rig.shelf.calls().contains(&"dropped".to_owned()));
        }
    }
}

/// A source that is done leaves the stream to its pushers; one that ends it takes it along.
#[test]
fn a_source_that_is_done_is_dropped() {
    for (last, is_whole) in [(Feed::Done, false), (Feed::End, true)] {
        let mut rig = fed(SlowConsumer::Disconnect, move |stream, shelf| stream.feed(lines(shelf, 20, last)));
        rig.send(get("/"));
        assert_eq!(rig.shelf.alive(), 0, "{last:?}");
        let answer = rig.answer();
        assert_eq!((answer.text(), answer.is_whole), (&*numbers(0..20), is_whole));
        rig.shelf.push("pushed");
        rig.deliver();
        assert_eq!(rig.text().contains("pushed"), !is_whole);
    }
}

/// What is pushed comes in its own order between the pieces of a source, and before them when it
/// had to wait. It alone counts as waiting.
#[test]
fn what_is_pushed_while_a_source_feeds() {
    for (policy, dropped) in [(SlowConsumer::DropOldest, 2), (SlowConsumer::KeepLatest, 3), (SlowConsumer::Disconnect, 0)] {
        let mut rig = fed(policy, |stream, shelf| stream.feed(lines(shelf, 50, Feed::Done)));
        rig.block();
        rig.send(get("/"));
        for n in 0..if dropped > 0 { 4 } else { 2 } {
            rig.shelf.push(&format!("p{n:03}\n"));
            rig.deliver();
        }
        assert_eq!((rig.stats().dropped, rig.stats().streams), (dropped, 1), "{policy}");
        rig.shelf.calls();
        rig.unblock();
        let text = rig.answer().text().to_owned();
        let (pushed, fed): (Vec<_>, Vec<_>) = text.lines().partition(|line| line.starts_with('p'));
        assert_eq!(fed, numbers(0..50).lines().collect::<Vec<_>>(), "{policy}");
        let expected = ["p000", "p001", "p002", "p003"];
        let expected = match policy {
            SlowConsumer::Disconnect => &expected[..2],
            SlowConsumer::DropOldest => &expected[2..],
            SlowConsumer::KeepLatest => &expected[3..],
            other => panic!("{other}: no expectation"),
        };
        assert_eq!(pushed, expected, "{policy}");
        let first_pushed = text.lines().position(|line| line.starts_with('p')).unwrap();
        assert!(first_pushed < 10, "{policy}: what waited comes before the rest of the source: {first_pushed}");
    }
}

/// A source cannot keep the slow-consumer policy from a reader that does not read what is pushed.
#[test]
fn pushed_messages_still_overflow() {
    let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| stream.feed(lines(shelf, 50, Feed::Done)));
    rig.block();
    rig.send(get("/"));
    (0..3).for_each(|_| rig.shelf.push("12345"));
    rig.deliver();
    assert_eq!((rig.ending(), rig.stats().slow_disconnects, rig.shelf.alive()), (Some(Ending::Abort), 1, 0));
}

#[test]
fn a_source_for_a_response_without_a_body() {
    let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| {
        assert_eq!(stream.send(b"nobody"), Outcome::Refused);
        stream.feed(lines(shelf, 9, Feed::Done));
        assert_eq!(shelf.alive(), 0, "it is dropped at once");
    });
    rig.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(rig.text().ends_with("\r\n\r\n"));
    assert_eq!((rig.stats().panics, rig.shelf.calls().len()), (0, 0));
}

#[test]
fn a_source_for_an_old_client() {
    let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| stream.feed(lines(shelf, 100, Feed::End)));
    rig.send("GET / HTTP/1.0\r\n\r\n");
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.field("Transfer-Encoding")), (&*numbers(0..100), None));
    assert_eq!(rig.ending(), Some(Ending::Linger));
}

/// The limit of a stream counts all ways of sending.
#[test]
fn a_source_and_the_end_of_its_stream() {
    for (limit_bytes, expected) in [(1, 1), (50, 10), (51, 11)] {
        let mut rig = fed(SlowConsumer::Disconnect, move |stream, shelf| {
            stream.end_after(limit_bytes);
            stream.feed(lines(shelf, 100, Feed::Done));
        });
        rig.send(get("/"));
        let answer = rig.answer();
        assert_eq!((answer.text(), answer.is_whole), (&*numbers(0..expected), true), "{limit_bytes}");
        assert_eq!((rig.stats().streams, rig.shelf.alive(), rig.ending()), (0, 0, None));
    }
    let mut rig = fed(SlowConsumer::Disconnect, |stream, _| {
        stream.end_after(10);
        assert_eq!(
            ["12345", "67890", "x"].map(|text| stream.send(text.as_bytes())),
            [Outcome::Queued { dropped: 0 }, Outcome::Queued { dropped: 0 }, Outcome::Refused]
        );
    });
    let answer = rig.get("/").remove(0);
    assert_eq!((answer.text(), answer.is_whole), ("1234567890", true));
}

/// A pusher's close ends a stream although its source has more; so does a shutdown.
#[test]
fn a_stream_that_is_ended_while_it_is_fed() {
    for is_shutdown in [false, true] {
        let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| stream.feed(lines(shelf, 1_000, Feed::Done)));
        rig.block();
        rig.send(get("/"));
        if is_shutdown {
            rig.shut_down();
        } else {
            rig.shelf.pusher().end();
            rig.deliver();
        }
        assert_eq!(rig.shelf.alive(), 0);
        rig.unblock();
        let answer = rig.answer();
        assert!(answer.is_whole && numbers(0..1_000).starts_with(answer.text()), "{}", answer.text());
        assert_eq!(rig.ending().is_some(), is_shutdown);
    }
}

#[test]
fn a_client_that_leaves_ends_its_source() {
    let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| stream.feed(lines(shelf, 1_000, Feed::Done)));
    rig.block();
    rig.send(get("/"));
    assert_eq!(rig.shelf.alive(), 1);
    rig.eof();
    assert_eq!((rig.shelf.alive(), rig.stats().streams, rig.ending()), (0, 0, Some(Ending::Abort)));
}

/// What a source sends is a sign of life, and no heartbeat goes into a full output.
#[test]
fn a_source_and_heartbeats() {
    let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| {
        stream.heartbeat(b"\n");
        stream.feed(lines(shelf, 200, Feed::Done));
    });
    rig.block();
    rig.send(get("/"));
    for _ in 0..20 {
        rig.pass_secs(20);
        rig.take_up_to(100);
        rig.block();
    }
    rig.unblock();
    let text = rig.answer().text().to_owned();
    assert_eq!(text, numbers(0..200));
    rig.pass_secs(25);
    assert_eq!(rig.text(), "1\r\n\n\r\n");
}

/// Sends `texts`, one at each call, and nothing between them.
struct Seldom(Vec<&'static str>);

impl StreamSource for Seldom {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        match self.0.pop() {
            None => return Feed::Done,
            Some(text) => stream.send(text.as_bytes()),
        };
        Feed::Continue
    }
}

#[test]
fn a_source_that_sends_nothing_is_asked_behind_the_next_output() {
    let mut rig = fed(SlowConsumer::Disconnect, |stream, _| stream.feed(Seldom(vec!["four", "", "", "three", "", "", "two", "one"])));
    rig.send(get("/"));
    assert_eq!(rig.answer().text(), "onetwo");
    rig.shelf.push("");
    rig.deliver();
    assert_eq!(rig.text(), "", "nothing was put out");
    for expected in ["three", "four"] {
        rig.shelf.pusher().push(&Frame::text("x"));
        rig.deliver();
        let expected = format!("{:x}\r\n{expected}\r\n", expected.len());
        assert_eq!(rig.text(), format!("1\r\nx\r\n{expected}"));
    }
}

/// Installs another source, and is dropped for it with each answer.
struct Relay(Feed, Arc<Shelf>, #[expect(dead_code, reason = "its drop counts")] Token);

impl StreamSource for Relay {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        stream.feed(lines(&self.1, 10, Feed::Done));
        stream.send(b"first\n");
        self.0
    }
}

#[test]
fn a_source_in_the_place_of_another() {
    for answer in [Feed::Continue, Feed::Done] {
        let mut rig = fed(SlowConsumer::Disconnect, move |stream, shelf| {
            stream.feed(lines(shelf, 10, Feed::Done));
            stream.feed(Relay(answer, Arc::clone(shelf), shelf.token()));
            assert_eq!(shelf.alive(), 1, "the first one is gone");
        });
        rig.send(get("/"));
        assert_eq!((rig.answer().text(), rig.shelf.alive()), (&*format!("first\n{}", numbers(0..10)), 0), "{answer:?}");
    }
}

/// Panics when it is asked for the `n`th time, or when it is dropped.
struct Clumsy {
    calls_left: u32,
    panics_in_drop: bool,
}

impl StreamSource for Clumsy {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        if self.calls_left == 0 {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
        self.calls_left -= 1;
        stream.send(&[b'x'; 4 * CHUNK_BYTES]);
        if self.panics_in_drop { Feed::Done } else { Feed::Continue }
    }
}

impl Drop for Clumsy {
    fn drop(&mut self) {
        if self.panics_in_drop {
            std::panic::resume_unwind(Box::new("as the test wants it"));
        }
    }
}

#[test]
fn a_source_that_panics_costs_its_connection() {
    for calls_left in [0, 1, 3] {
        let mut rig = fed(SlowConsumer::Disconnect, move |stream, shelf| {
            stream.carry(shelf.token());
            stream.feed(Clumsy { calls_left, panics_in_drop: false });
        });
        rig.send(get("/"));
        let answer = rig.answer();
        assert_eq!((answer.body.len(), answer.is_whole), (calls_left as usize * 4 * CHUNK_BYTES, false), "a stream without an end");
        assert_eq!((rig.stats().panics, rig.stats().streams, rig.shelf.alive()), (1, 0, 0));
        assert_eq!(rig.ending(), Some(Ending::Linger));
    }
}

/// The connection goes on where only the drop fails, and nothing else that is to be dropped stays.
#[test]
fn a_source_that_panics_when_it_is_dropped() {
    let begin = |stream: &mut Stream<'_>, shelf: &Arc<Shelf>| {
        stream.carry(shelf.token());
        stream.feed(Clumsy { calls_left: 1, panics_in_drop: true });
    };
    let mut rig = fed(SlowConsumer::Disconnect, begin);
    rig.send(get("/"));
    assert_eq!((rig.stats().panics, rig.stats().streams, rig.ending()), (1, 1, None));
    let mut rig = fed(SlowConsumer::Disconnect, begin);
    rig.block();
    rig.send(get("/"));
    rig.pass(Duration::from_secs(1));
    rig.eof();
    assert_eq!((rig.stats().panics, rig.shelf.alive()), (1, 0));
}

/// A source that waits for another thread is called when a pusher wakes it, and not before.
#[test]
fn a_source_is_woken() {
    struct Waits(Arc<Shelf>, u32);
    impl StreamSource for Waits {
        fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
            self.0.note("feed");
            self.1 += 1;
            match self.1 {
                1 | 2 => Feed::Continue,
                3 => {
                    stream.send(b"found");
                    Feed::Continue
                }
                _ => Feed::End,
            }
        }
    }
    let mut rig = fed(SlowConsumer::Disconnect, |stream, shelf| stream.feed(Waits(Arc::clone(shelf), 0)));
    rig.send(get("/"));
    assert_eq!(rig.shelf.calls(), ["feed"]);
    rig.deliver();
    assert!(rig.shelf.calls().is_empty(), "nothing has woken it");
    rig.shelf.pusher().wake();
    rig.deliver();
    assert_eq!(rig.shelf.calls(), ["feed"]);
    // While messages wait for the reader, the source is called after them.
    rig.block();
    rig.shelf.push(&"x".repeat(10 * CHUNK_BYTES));
    rig.shelf.push("waits");
    rig.shelf.pusher().wake();
    rig.deliver();
    assert!(rig.shelf.calls().is_empty());
    let pusher = rig.shelf.pusher();
    rig.unblock();
    let answer = rig.answer();
    assert!(answer.is_whole && answer.text().ends_with("xwaitsfound"), "{}", answer.text());
    pusher.wake();
    rig.deliver();
    assert!(rig.text().is_empty(), "the stream is over");
}

//! Streams and event streams, and those who publish to them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use pushlab::proto::sse;
use pushlab::{Frame, Pusher};

use super::client::request;
use super::{Client, Lab, both, eventually};
use crate::support::splits::Seeded;

fn event(data: &str) -> Frame {
    Frame::event(&sse::Event::data(data)).unwrap()
}

/// Ends what goes on until it is told, also when the test fails.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

both! {
    fn stream_from_its_head_to_its_end(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.get("/stream");
        assert_eq!(client.answer_head().field("Transfer-Encoding"), Some("chunked"));
        let pusher = lab.app.one_pusher();
        for n in 0..100 {
            pusher.push(&Frame::chunk(format!("{n}\n").as_bytes()));
        }
        pusher.end();
        pusher.push(&Frame::chunk(b"too late"));
        let lines: String = std::iter::from_fn(|| client.chunk()).map(|chunk| String::from_utf8(chunk).unwrap()).collect();
        assert!(lines.lines().eq((0..100).map(|n| n.to_string())), "{lines}");
        eventually("what the stream carried is dropped", || lab.app.dropped() == 1);
        assert_eq!(client.fetch("/hello").status, 200);
        assert_eq!(lab.stats().streams, 0);
    }

    /// Nothing can be sent on the stream any more: it ends, and its connection is kept.
    fn stream_that_is_abandoned(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        for _ in 0..10 {
            assert_eq!(client.fetch("/abandoned").text(), "begun");
            assert_eq!(client.fetch("/abandoned-events").text(), "data: begun\n\n");
        }
        for n in 0..20 {
            client.get("/stream");
            client.answer_head();
            let pusher = lab.app.one_pusher();
            let publisher = thread::spawn(move || {
                for n in 0..n {
                    pusher.clone().push(&Frame::chunk(n.to_string().as_bytes()));
                }
            });
            assert_eq!(std::iter::from_fn(|| client.chunk()).count(), n);
            publisher.join().unwrap();
        }
        eventually("all that the streams carried is dropped", || lab.app.dropped() == 20 && lab.stats().streams == 0);
    }

    /// Pieces of nothing put nothing on the wire, and are no sign of life: who publishes them without end does not keep heartbeats away.
    fn heartbeats_among_empty_pieces(model) {
        let lab = Lab::with(model, |config| config.settings.limits.heartbeat = Some(Duration::from_millis(200)));
        let mut client = lab.connect();
        client.get("/events");
        client.answer_head();
        assert_eq!(client.text_chunk(), "data: welcome\n\n");
        let (pusher, is_over) = (lab.app.one_pusher(), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                let nothing = [Frame::chunk(b""), Frame::text("")];
                while !is_over.load(SeqCst) {
                    for frame in &nothing {
                        pusher.push(frame);
                    }
                    Pusher::push_all([&pusher, &pusher], &nothing[0]);
                    thread::park_timeout(Duration::from_millis(1));
                }
            });
            let _over = Over(&is_over);
            assert_eq!((client.text_chunk().as_str(), client.text_chunk().as_str()), (":\n\n", ":\n\n"));
        });
        assert_eq!(lab.stats().messages_out, 1);
    }

    /// Whoever goes on pushing to a stream that is over pushes to nobody, also while the connection is stuck in the answer behind it.
    fn pushes_behind_the_end(model) {
        let lab = Lab::start(model);
        for (count, (target, last)) in [("/stream", ""), ("/ending-stream", "last")].into_iter().enumerate() {
            let mut client = Client::connect_with_little_room(lab.address);
            client.send(request(target) + &request("/big?n=20000000") + &request("/hello"));
            let pusher = lab.app.one_pusher();
            pusher.push(&Frame::chunk(last.as_bytes()));
            if last.is_empty() {
                pusher.end();
            }
            eventually("the next request is answered", || lab.stats().streams == 0 && lab.stats().requests >= 3 * count as u64 + 2);
            let frame = Frame::chunk(&vec![b'x'; 64 * 1024]);
            (0..64).for_each(|_| pusher.push(&frame));
            assert_eq!(client.answer().text(), last);
            assert_eq!(client.answer().body.len(), 20_000_000);
            assert_eq!(client.answer().text(), "hello\n");
        }
        assert_eq!(lab.stats().slow_disconnects, 0);
    }

    fn stream_to_an_old_client(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.send("GET /stream HTTP/1.0\r\n\r\n");
        assert_eq!(client.answer_head().field("Transfer-Encoding"), None);
        let pusher = lab.app.one_pusher();
        pusher.push(&Frame::chunk(b"until the end"));
        pusher.end();
        assert_eq!(client.take(13), b"until the end");
        client.expect_end();
    }

    fn client_that_goes_away(model) {
        let lab = Lab::start(model);
        let leave: [fn(Client); 3] = [drop, |client| client.end_sending(), Client::reset];
        for (before, leave) in leave.into_iter().enumerate() {
            let mut client = lab.connect();
            client.get("/events");
            client.answer_head();
            client.chunk();
            let pusher = lab.app.one_pusher();
            leave(client);
            eventually("the stream ends", || lab.stats().streams == 0 && lab.stats().open == 0);
            assert_eq!(lab.app.dropped(), before + 1);
            pusher.push(&event("to nobody"));
        }
    }

    /// A reset while a publisher is at work.
    fn reset_in_the_middle(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.get("/events");
        client.answer_head();
        let pusher = lab.app.one_pusher();
        pusher.push(&event("one"));
        client.take_until(b"one");
        client.reset();
        eventually("the stream ends", || {
            pusher.push(&event("more"));
            lab.stats().open == 0
        });
        assert_eq!((lab.app.dropped(), lab.stats().slow_disconnects), (1, 0));
    }

    fn heartbeats(model) {
        let lab = Lab::with(model, |config| config.settings.limits.heartbeat = Some(Duration::from_millis(10)));
        // With a handle, and without.
        for target in ["/events", "/quiet"] {
            let mut client = lab.connect();
            client.get(target);
            client.answer_head();
            for _ in 0..3 {
                client.take_until(b"3\r\n:\n\n\r\n");
            }
        }
    }

    /// A client that sends on and on while it is being streamed to is not read any more, and found gone all the same.
    fn too_much_behind_a_stream(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.heartbeat = Some(Duration::from_millis(10));
            config.shutdown_grace = Duration::from_millis(50);
        });
        for target in ["/events", "/quiet"] {
            let mut client = lab.connect();
            client.get(target);
            client.answer_head();
            client.send(request("/hello").repeat(10_000));
            client.take_until(b":\n\n");
            client.take_until(b":\n\n");
            client.reset();
            eventually("the stream ends", || lab.stats().open == 0);
        }
        let mut client = lab.connect();
        client.get("/quiet");
        client.send(request("/hello").repeat(10_000));
        client.take_until(b":\n\n");
    }

    fn five_hundred_at_once(model) {
        let lab = Lab::start(model);
        let mut clients = lab.connect_many(500);
        for client in &mut clients {
            client.get("/hello");
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
            client.get("/events");
        }
        for client in &mut clients {
            client.answer_head();
            assert_eq!(client.text_chunk(), "data: welcome\n\n");
        }
        assert_eq!((lab.stats().open, lab.stats().streams), (500, 500));
        let pushers = lab.app.all_pushers(500);
        Pusher::push_all(&pushers, &event("to all"));
        for client in &mut clients {
            assert_eq!(client.text_chunk(), "data: to all\n\n");
        }
        drop(clients);
        eventually("all streams end", || lab.stats().open == 0);
        assert_eq!(lab.app.dropped(), 500);
    }

    /// Each of many publishers reaches each of many readers: every message once, and in its publisher's order.
    fn many_publishers_many_readers(model) {
        const PUBLISHERS: usize = 4;
        const READERS: usize = 24;
        const MESSAGES: usize = 300;
        let lab = Lab::start(model);
        let mut clients = lab.connect_many(READERS);
        for client in &mut clients {
            client.get("/stream");
            client.answer_head();
        }
        let pushers = Arc::new(lab.app.all_pushers(READERS));
        let publishers: Vec<_> = (0..PUBLISHERS)
            .map(|publisher| {
                let pushers = Arc::clone(&pushers);
                thread::spawn(move || {
                    let mut numbers = Seeded::new(publisher as u64 + 1);
                    for n in 0..MESSAGES {
                        let frame = Frame::chunk(format!("{publisher} {n}").as_bytes());
                        match numbers.below(8) {
                            0 => thread::yield_now(),
                            1 => (0..numbers.below(2_000)).for_each(|_| std::hint::spin_loop()),
                            _ => {}
                        }
                        if numbers.below(2) == 0 {
                            Pusher::push_all(pushers.iter(), &frame);
                        } else {
                            pushers.iter().for_each(|pusher| pusher.push(&frame));
                        }
                    }
                })
            })
            .collect();
        for client in &mut clients {
            let mut next = [0; PUBLISHERS];
            for _ in 0..PUBLISHERS * MESSAGES {
                let message = client.text_chunk();
                let (publisher, n) = message.split_once(' ').unwrap();
                let next = &mut next[publisher.parse::<usize>().unwrap()];
                assert_eq!(n.parse::<usize>().unwrap(), *next, "of publisher {publisher}");
                *next += 1;
            }
        }
        for publisher in publishers {
            publisher.join().unwrap();
        }
        assert_eq!((lab.stats().dropped, lab.stats().slow_disconnects), (0, 0));
    }
}

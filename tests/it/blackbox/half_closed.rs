//! Clients that end their sending side and wait for what they have asked for.
//!
//! Covers: session::http, session::settings, driver::event_loop, driver::thread_per_conn

use pushlab::{Frame, HalfClose, IoModel, Response};

use super::client::request;
use super::{Client, Lab, both, eventually};

/// A server that serves them on.
fn start(model: IoModel) -> Lab {
    Lab::with(model, |config| config.settings.half_close = HalfClose::Waits)
}

both! {
    fn held(model) {
        let lab = start(model);
        let mut client = lab.connect();
        client.get("/poll");
        client.end_sending();
        let held = lab.app.one_held();
        // Whatever has come by now, the end of the client's side included, has been worked on then.
        assert_eq!(lab.connect().fetch("/hello").status, 200);
        assert_eq!((lab.stats().held, lab.app.dropped()), (1, 0));
        held.release(Response::text("news\n"));
        assert_eq!(client.answer().text(), "news\n");
        client.expect_end();
        eventually("the connection is closed", || lab.stats().open == 0);
    }

    fn held_until_its_time_is_over(model) {
        let lab = start(model);
        let mut client = lab.connect();
        client.get("/brief?ms=20");
        client.end_sending();
        assert_eq!(client.answer().status, 204);
        client.expect_end();
    }

    /// More requests came behind the held one than are read meanwhile.
    fn held_before_other_requests(model) {
        const BEHIND: usize = 2_000;
        let lab = start(model);
        let mut client = lab.connect();
        client.send(request("/poll") + &request("/hello").repeat(BEHIND));
        client.end_sending();
        lab.app.one_held().release(Response::text("news\n"));
        assert_eq!(client.answer().text(), "news\n");
        for _ in 0..BEHIND {
            assert_eq!(client.answer().text(), "hello\n");
        }
        client.expect_end();
    }

    fn streamed(model) {
        let lab = start(model);
        let mut client = lab.connect();
        client.get("/events");
        client.end_sending();
        client.take_until(b"data: welcome\n\n\r\n");
        let pusher = lab.app.one_pusher();
        for n in 0..100 {
            pusher.push(&Frame::chunk(b"one more"));
            assert_eq!(client.text_chunk(), "one more", "{n}");
        }
        pusher.end();
        assert_eq!(client.chunk(), None);
        client.expect_end();
        eventually("the stream is gone", || lab.stats().open == 0 && lab.app.dropped() == 1);
    }

    /// The end of the stream waits behind messages for a reader that is slow.
    fn streamed_to_a_slow_reader(model) {
        const MESSAGES: usize = 16;
        let lab = Lab::with(model, |config| {
            config.settings.half_close = HalfClose::Waits;
            config.settings.limits.queue_bytes = 2 * MESSAGES * 1024 * 1024;
        });
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/events");
        client.end_sending();
        client.take_until(b"data: welcome\n\n\r\n");
        let (pusher, frame) = (lab.app.one_pusher(), Frame::chunk(&vec![b'x'; 1024 * 1024]));
        (0..MESSAGES).for_each(|_| pusher.push(&frame));
        pusher.end();
        for _ in 0..MESSAGES {
            assert_eq!(client.chunk().map(|chunk| chunk.len()), Some(1024 * 1024));
        }
        assert_eq!(client.chunk(), None);
        client.expect_end();
    }

    /// A client that has left for good is found out by a write.
    fn gone(model) {
        let lab = start(model);
        let mut client = lab.connect();
        client.get("/events");
        client.end_sending();
        client.take_until(b"data: welcome\n\n\r\n");
        let pusher = lab.app.one_pusher();
        drop(client);
        eventually("the stream is gone", || {
            pusher.push(&Frame::chunk(b"to nobody"));
            lab.stats().open == 0 && lab.app.dropped() == 1
        });
    }

    fn websocket(model) {
        let lab = start(model);
        let mut client = lab.connect();
        client.upgrade("/ws");
        client.end_sending();
        eventually("the WebSocket is gone", || lab.stats().open == 0 && lab.app.dropped() == 1);
    }
}

//! Clients that send more behind their last request: no reset may take the answer away, whether they read it early or late.

use std::io::Write;
use std::time::Duration;

use super::{Client, IoModel, Lab, NET, both, eventually};

/// Far more than a client's system takes unread.
const LARGE: usize = 8 * 1024 * 1024;
const JUNK_BYTES: usize = 200 * 1024;

/// A server that listens behind its last answer for longer than any loaded machine needs to send to it.
fn start(model: IoModel) -> Lab {
    Lab::with(model, |config| config.settings.limits.close_timeout = 6 * NET)
}

/// Requests for a large answer that is the connection's last one.
fn last_requests() -> [String; 3] {
    [
        format!("GET /big?n={LARGE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
        format!("GET /big?n={LARGE} HTTP/1.0\r\n\r\n"),
        // The small answer is the last one, and the large one before it is still on its way.
        format!("GET /big?n={LARGE} HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
    ]
}

/// Takes the answers to one of [`last_requests`], doing something before each piece of the large one.
#[track_caller]
fn take_answers(client: &mut Client, request: &str, mut before: impl FnMut(&mut Client)) {
    let head = client.answer_head();
    assert_eq!(head.field("Content-Length"), Some(&*LARGE.to_string()));
    for _ in 0..64 {
        before(client);
        client.take(LARGE / 64);
    }
    if request.contains("/hello") {
        assert_eq!(client.answer().text(), "hello\n");
    }
    expect_listening_end(client);
}

/// The answer was all, and the server takes what a client that has not noticed goes on to send: more than lies anywhere unread.
#[track_caller]
fn expect_listening_end(client: &mut Client) {
    client.expect_end();
    client.send(vec![b'x'; LARGE]);
}

both! {
    fn junk_at_once(model) {
        let lab = start(model);
        for request in last_requests() {
            let mut client = lab.connect();
            client.send([request.as_bytes(), &vec![b'x'; JUNK_BYTES]].concat());
            take_answers(&mut client, &request, |_| {});
        }
    }

    fn junk_behind_what_is_being_answered(model) {
        let lab = start(model);
        for request in last_requests() {
            let mut client = lab.connect();
            client.send(&request);
            client.wait();
            client.send(vec![b'x'; JUNK_BYTES]);
            take_answers(&mut client, &request, |_| {});
        }
    }

    fn junk_for_as_long_as_the_answer_comes(model) {
        let lab = start(model);
        for request in last_requests() {
            let mut client = lab.connect();
            client.send(&request);
            take_answers(&mut client, &request, |client| client.send([b'x'; JUNK_BYTES / 64]));
        }
    }

    /// All of the answer has left the server's hands, and junk comes only now.
    fn junk_behind_an_answer_that_waits_in_the_system(model) {
        const ANSWER: usize = 256 * 1024;
        let lab = start(model);
        let mut client = lab.connect();
        client.send(format!("GET /big?n={ANSWER} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        eventually("the answer is sent", || lab.stats().bytes_out > ANSWER as u64);
        for _ in 0..20 {
            client.send([b'x'; JUNK_BYTES / 20]);
        }
        assert_eq!(client.answer().body.len(), ANSWER);
        expect_listening_end(&mut client);
    }

    fn more_than_one_request(model) {
        let lab = start(model);
        let close = "GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        for junk in [1, 100, 1_000, 10_000, JUNK_BYTES] {
            let mut client = lab.connect();
            client.send([close.as_bytes(), &vec![b'x'; junk]].concat());
            assert_eq!(client.answer().text(), "hello\n", "{junk}");
            expect_listening_end(&mut client);
        }
    }

    /// The request is exactly what one read takes, and what is behind it is not read yet.
    fn junk_behind_a_full_read(model) {
        let lab = start(model);
        // A quiet thread's buffer; the most that a loop reads where a head is to come, which is a byte more than the largest head.
        for read in [1_536, 16 * 1024 + 1] {
            let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ";
            let body = read - head.len() - "12345\r\n\r\n".len();
            let length = format!("{body:05}\r\n\r\n");
            let mut client = lab.connect();
            client.send([head.as_bytes(), length.as_bytes(), &vec![b'y'; body], &[b'x'; 2_000]].concat());
            assert_eq!(client.answer().body.len(), body);
            expect_listening_end(&mut client);
        }
    }

    /// Whose answer was released by another thread, or ended by the shutdown, may have sent more, too.
    fn more_behind_a_held_request(model) {
        let lab = start(model);
        let poll = "GET /poll HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let mut client = lab.connect();
        client.send([poll.as_bytes(), &[b'x'; 10_000]].concat());
        lab.app.one_held().release(pushlab::Response::text("released"));
        assert_eq!(client.answer().text(), "released");
        expect_listening_end(&mut client);

        let mut client = lab.connect();
        client.send([poll.as_bytes(), &[b'x'; 10_000]].concat());
        let _held = lab.app.one_held();
        lab.stopper.stop();
        assert_eq!(client.answer().status, 503);
        expect_listening_end(&mut client);
    }

    /// A client that does not end its side is not waited for longer than it may take for that.
    fn a_client_that_stays(model) {
        let lab = Lab::with(model, |config| config.settings.limits.close_timeout = Duration::from_millis(50));
        let mut client = lab.connect();
        client.send(format!("GET /big?n={LARGE} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert_eq!(client.answer().body.len(), LARGE);
        client.expect_end();
        eventually("it has been given up", || lab.stats().open == 0);
        drop(client);
    }

    /// One that has read its small answer is not waited for at all.
    fn a_small_answer_is_the_end(model) {
        let lab = Lab::with(model, |config| config.settings.limits.close_timeout = Duration::from_secs(3_600));
        let mut client = lab.connect();
        client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        assert_eq!(client.answer().text(), "hello\n");
        eventually("the server has let go", || lab.stats().open == 0);
        client.expect_end();
        let _ = client.stream.write(b"x");
    }
}

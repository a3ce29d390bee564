//! No more room: for connections, for threads.

use std::io::Read;
use std::time::Duration;

use pushlab::session::Snapshot;
use pushlab::{Config, IoModel, Response};

use super::client::is_timeout;
use super::{Client, Lab, NET, both_plain, eventually};

/// The client's request is not served, as far as a short while can tell.
fn expect_nothing(client: &mut Client) {
    client.stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
    assert!(is_timeout(client.stream.read(&mut [0]).unwrap_err().kind()));
    client.stream.set_read_timeout(Some(NET)).unwrap();
}

both_plain! {
    fn connections(model) {
        let lab = Lab::with(model, |config| config.max_connections = 2);
        let (mut first, mut second, mut third, mut fourth) = (lab.connect(), lab.connect(), lab.connect(), lab.connect());
        assert_eq!((first.fetch("/hello").status, second.fetch("/hello").status), (200, 200));
        third.get("/hello");
        fourth.get("/hello");
        expect_nothing(&mut third);
        assert_eq!((lab.stats().open, lab.stats().accepted, lab.stats().accept_pauses), (2, 2, 1));
        drop(first);
        assert_eq!(third.answer().status, 200);
        expect_nothing(&mut fourth);
        drop(second);
        assert_eq!(fourth.answer().status, 200);
    }

    /// Connections come and go at a bound of one: none is forgotten.
    fn one_connection_after_the_other(model) {
        let lab = Lab::with(model, |config| config.max_connections = 1);
        let mut clients: Vec<_> = (0..100).map(|_| lab.connect()).collect();
        for client in &mut clients {
            client.send("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
            client.expect_end();
        }
        assert_eq!(lab.stats().accept_errors, 0);
    }
}

#[test]
fn threads() {
    let lab = Lab::with(IoModel::ThreadPerConnection, |config| config.max_threads = 3);
    let (mut first, mut second) = (lab.connect(), lab.connect());
    assert_eq!(second.fetch("/hello").status, 200);
    first.get("/events");
    assert_eq!(first.answer_head().status, 200);
    eventually("the first has its writer", || lab.stats().threads == 3);
    assert_eq!(lab.stats().accept_pauses, 1);
    let mut third = lab.connect();
    third.get("/hello");
    expect_nothing(&mut third);
    // The writer of the first connection stays for as long as that connection.
    drop(first);
    assert_eq!(third.answer().status, 200);
    assert_eq!(lab.stats().accept_errors, 0);
}

/// A held request takes no second thread, and leaves the last thread for others.
#[test]
fn held_requests() {
    let lab = Lab::with(IoModel::ThreadPerConnection, |config| config.max_threads = 3);
    let mut clients = lab.connect_many(2);
    for _ in 0..3 {
        for client in &mut clients {
            client.get("/poll");
        }
        let all_held = lab.app.all_held(2);
        let (stats, mut third) = (lab.stats(), lab.connect());
        assert_eq!(stats.threads, 2);
        let refused = third.fetch("/poll");
        assert_eq!((refused.status, refused.field("Connection")), (503, Some("close")));
        assert!(refused.field("Retry-After").is_some());
        third.expect_end();
        drop(lab.app.one_held());
        assert_eq!(lab.stats().thread_refusals, stats.thread_refusals + 1);
        assert_eq!(lab.connect().fetch("/hello").status, 200, "it does not wait for the held requests");
        for (n, held) in all_held.into_iter().enumerate() {
            held.release(Response::text(n.to_string()));
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 200);
        }
        eventually("the thread of the last request is free", || lab.stats().threads == 2);
    }
}

/// `max_pushed_connections` streams are served, and one more connection waits for a thread.
#[test]
fn pushed_connections() {
    let mut most = 0;
    let lab = Lab::with(IoModel::ThreadPerConnection, |config| {
        config.max_threads = 7;
        most = config.max_pushed_connections();
        config.max_threads = 2 * most;
    });
    assert_eq!(most, 3);
    let mut clients = lab.connect_many(most);
    for client in &mut clients {
        client.get("/events");
        assert_eq!(client.answer_head().status, 200);
        assert_eq!(client.text_chunk(), "data: welcome\n\n");
    }
    eventually("each stream has its writer", || lab.stats().threads == 6);
    let mut waiting = lab.connect();
    waiting.get("/events");
    expect_nothing(&mut waiting);
    assert_eq!((lab.stats().streams, lab.stats().accept_pauses, lab.stats().thread_refusals), (3, 1, 0));
    drop(clients.pop());
    assert_eq!(waiting.answer_head().status, 200);
    let few = Config { max_connections: 2, ..Config::default() };
    assert_eq!(few.max_pushed_connections(), 2, "each takes a connection, too");
}

/// All threads read: there is none to write for those who would be pushed to.
#[test]
fn writers() {
    let lab = Lab::with(IoModel::ThreadPerConnection, |config| config.max_threads = 2);
    let (mut first, mut second, mut third) = (lab.connect(), lab.connect(), lab.connect());
    assert_eq!((first.fetch("/hello").status, second.fetch("/hello").status), (200, 200));
    third.get("/hello");

    first.get("/events");
    assert_eq!(first.answer_head().status, 200);
    first.take_until(b"retry: ");
    first.take_until(b"0\r\n\r\n");
    first.expect_end();
    let Snapshot { streams, thread_refusals, .. } = lab.stats();
    assert_eq!((streams, thread_refusals), (0, 1));

    assert_eq!(third.answer().status, 200);
    second.get("/events");
    assert_eq!(second.answer_head().status, 200);
    second.take_until(b"retry: ");
    second.take_until(b"0\r\n\r\n");
    second.expect_end();
    eventually("the stream has ended", || lab.stats().open == 1);

    let mut fourth = lab.connect();
    fourth.upgrade("/ws");
    fourth.send_frame(0x81, b"pusher");
    assert_eq!(fourth.frame().payload, b"given");
    let close = fourth.frame();
    assert_eq!((close.first, &close.payload[..]), (0x88, &b"\x03\xf5this server has no thread left for this connection"[..]));
    fourth.send_frame(0x88, &1_013_u16.to_be_bytes());
    fourth.expect_end();
    assert_eq!(lab.stats().thread_refusals, 3);
}

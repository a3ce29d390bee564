//! The beginning and the end of servers, and handlers that misbehave.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pushlab::proto::RemoteError;
use pushlab::session::Snapshot;
use pushlab::{CloseReason, Config, IoModel, Response, Server};

use super::client::request;
use super::socket::Socket;
use super::{Client, Lab, both, eventually};

/// More than the system takes of a connection that is not read.
const UNREAD_BYTES: usize = 30_000_000;

/// Starts one connection in each state in which a shutdown may find it.
struct Crowd {
    idle: Client,
    fresh: Client,
    half: Client,
    held: Client,
    events: Client,
    stream: Client,
    websocket: Client,
    pushed_websocket: Client,
}

impl Crowd {
    fn gather(lab: &Lab) -> Self {
        let mut crowd = Self {
            idle: lab.connect(),
            fresh: lab.connect(),
            half: lab.connect(),
            held: lab.connect(),
            events: lab.connect(),
            stream: lab.connect(),
            websocket: lab.connect(),
            pushed_websocket: lab.connect(),
        };
        assert_eq!(crowd.idle.fetch("/hello").status, 200);
        let before = lab.stats().bytes_in;
        crowd.half.send("GET /hel");
        eventually("half a request is there", || lab.stats().bytes_in == before + 8);
        crowd.held.get("/poll");
        crowd.events.get("/events");
        crowd.events.answer_head();
        assert_eq!(crowd.events.text_chunk(), "data: welcome\n\n");
        crowd.stream.get("/stream");
        crowd.stream.answer_head();
        crowd.websocket.upgrade("/ws");
        crowd.pushed_websocket.upgrade("/ws");
        crowd.pushed_websocket.send_frame(0x81, b"pusher");
        assert_eq!(crowd.pushed_websocket.frame().payload, b"given");
        // It has asked for nothing, and over TLS its handshake has ended.
        crowd.fresh.stream.shake_hands().unwrap();
        let secured = if crowd.fresh.stream.speaks_tls() { 8 } else { 0 };
        eventually("all are there", || {
            let Snapshot { held, open, tls_handshakes, .. } = lab.stats();
            (held, open, tls_handshakes) == (1, 8, secured)
        });
        crowd
    }
}

both! {
    fn graceful_shutdown(model) {
        let lab = Lab::start(model);
        let mut crowd = Crowd::gather(&lab);
        lab.stopper.stop();
        crowd.idle.expect_end();
        crowd.fresh.expect_end();
        let answer = crowd.held.answer();
        assert_eq!((answer.status, answer.field("Connection")), (503, Some("close")));
        assert!(answer.field("Retry-After").unwrap().parse::<u64>().unwrap() <= 6);
        crowd.held.expect_end();
        assert!(crowd.events.text_chunk().starts_with("retry: "));
        assert_eq!(crowd.events.chunk(), None);
        crowd.events.expect_end();
        assert_eq!(crowd.stream.chunk(), None);
        crowd.stream.expect_end();
        for client in [&mut crowd.websocket, &mut crowd.pushed_websocket] {
            let close = client.frame();
            assert_eq!((close.first, &close.payload[..]), (0x88, &b"\x03\xe9this server shuts down"[..]));
            client.send_frame(0x88, &1_001_u16.to_be_bytes());
            client.expect_end();
        }
        crowd.half.send("lo HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = crowd.half.answer();
        assert_eq!((answer.text(), answer.field("Connection")), ("hello\n", Some("close")));
        crowd.half.expect_end();
        lab.join();
        assert_eq!((lab.app.dropped(), lab.stats().cut), (5, 0));
        assert_eq!(lab.app.closed.lock().unwrap()[..], [CloseReason::Local(1001); 2]);
        assert!(TcpStream::connect(lab.address).is_err());
    }

    /// Times that no clock can add to.
    fn shutdown_with_all_the_time_in_the_world(model) {
        let lab = Lab::with(model, |config| (config.shutdown_grace, config.comeback_window) = (Duration::MAX, Duration::MAX));
        // Another slot than the first, whose share of the window is nothing.
        let (_first, mut held) = (lab.connect(), lab.connect());
        eventually("both are there", || lab.stats().open == 2);
        held.get("/poll");
        let _held = lab.app.one_held();
        lab.stopper.stop();
        let answer = held.answer();
        // A second, and the golden section of 2^32 ms.
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("2654437")));
        lab.join();
    }

    /// A WebSocket's peer that does not answer the close frame does not use up the whole grace time.
    fn shutdown_with_peers_that_do_not_answer(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.close_timeout = Duration::from_millis(30);
            config.shutdown_grace = Duration::MAX;
        });
        let (mut plain, mut pushed) = (lab.connect(), lab.connect());
        plain.upgrade("/ws");
        pushed.upgrade("/ws");
        pushed.send_frame(0x81, b"pusher");
        assert_eq!(pushed.frame().payload, b"given");
        lab.stopper.stop();
        for client in [&mut plain, &mut pushed] {
            assert_eq!(client.frame().first, 0x88);
            client.expect_end();
        }
        lab.join();
        assert_eq!(lab.app.closed.lock().unwrap()[..], [CloseReason::Remote(RemoteError::Silent); 2]);
    }

    /// One client does not read its answer, one does not read its stream, and one never completes
    /// its request. The grace time cuts all three.
    fn shutdown_with_peers_that_do_nothing(model) {
        let lab = Lab::with(model, |config| {
            config.shutdown_grace = Duration::from_millis(100);
            config.settings.limits.queue_bytes = 2 * UNREAD_BYTES;
        });
        let mut answered = Client::connect_with_little_room(lab.address);
        answered.get(&format!("/big?n={UNREAD_BYTES}"));
        let mut streamed = Client::connect_with_little_room(lab.address);
        streamed.get("/stream");
        streamed.answer_head();
        let pusher = lab.app.one_pusher();
        // One message: the shutdown drops messages that are not in the output yet.
        pusher.push(&pushlab::Frame::chunk(&vec![b'x'; UNREAD_BYTES]));
        let mut half = lab.connect();
        half.send("POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n");
        half.take_until(b"100 Continue\r\n\r\n");
        eventually("both whole requests are served", || lab.stats().requests == 2);
        // Each of these two connections has its own first bytes: the counter of the server adds the
        // bytes of both, so that it cannot tell them apart.
        answered.wait();
        streamed.wait();
        lab.stopper.stop();
        lab.join();
        assert_eq!((lab.app.dropped(), lab.stats().cut), (1, 3));
        assert!(answered.drain() < UNREAD_BYTES && streamed.drain() < UNREAD_BYTES);
        half.drain();
    }

    /// A handler stops the server late in a turn, when the event loop has already looked at the stop
    /// flag. The handler's answer fills the socket. Where mio emulates edges, the write that would
    /// block also resets the wake-up.
    fn stopped_late_in_a_turn(model) {
        let lab = Lab::with(model, |config| {
            config.shutdown_grace = Duration::from_millis(100);
            // The input is larger than one share of a turn, so the loop serves its rest at the end of
            // the next turn. The answer is smaller than one share.
            (config.receive_buffer_bytes, config.settings.limits.protocol.head_bytes) = (1024, 512);
            config.settings.limits.output_bytes = UNREAD_BYTES;
        });
        let mut client = Client::connect_with_little_room(lab.address);
        let before = request("/hello").repeat(1_500 / request("/hello").len());
        client.send(&(before + &request(&format!("/stop?n={UNREAD_BYTES}"))));
        lab.join();
        assert_eq!(lab.stats().cut, 1);
    }

    /// A request that has begun may become whole as long as there is grace: it is not cut off before.
    fn shutdown_with_half_a_head(model) {
        let lab = Lab::with(model, |config| config.shutdown_grace = Duration::from_millis(300));
        let mut half = lab.connect();
        half.send("GET /hel");
        eventually("half a request is there", || lab.stats().bytes_in == 8);
        let start = Instant::now();
        lab.stopper.stop();
        assert_eq!(half.drain(), 0);
        assert!(start.elapsed() >= Duration::from_millis(300), "{:?}", start.elapsed());
        lab.join();
        assert_eq!(lab.stats().cut, 1);
    }

    fn stop_now(model) {
        let lab = Lab::start(model);
        let mut crowd = Crowd::gather(&lab);
        lab.stopper.stop_now();
        lab.join();
        assert_eq!(lab.app.dropped(), 5);
        // Half a request and two WebSockets; perhaps a held request and two streams, whose ends may have left in time. Two were owed nothing.
        assert!((3..=6).contains(&lab.stats().cut), "{}", lab.stats().cut);
        for client in [&mut crowd.idle, &mut crowd.held, &mut crowd.websocket, &mut crowd.stream] {
            client.drain();
        }
        // Handles outlive the server, and do nothing.
        lab.app.one_held().release(Response::text("too late"));
        lab.app.all_pushers(3).iter().for_each(|pusher| pusher.push(&pushlab::Frame::chunk(b"too late")));
    }

    fn stopped_before_it_runs(model) {
        let server = Server::bind("127.0.0.1:0", Config::default()).unwrap();
        let _waiting = Client::connect(server.local_addr());
        server.stopper().stop();
        server.run(model, |_: &pushlab::Request<'_>, _: pushlab::Reply<'_>| {}).unwrap();
    }

    /// Stops while connections pour in: whoever is accepted is let go, too.
    fn stop_under_a_storm(model) {
        for _ in 0..10 {
            let lab = Lab::start(model);
            let (address, is_over) = (lab.address, Arc::new(AtomicBool::new(false)));
            let storm = {
                let is_over = Arc::clone(&is_over);
                std::thread::spawn(move || {
                    while !is_over.load(SeqCst) {
                        // A full backlog drops a connection attempt, which the system repeats only
                        // after a second.
                        if let Ok(mut stream) = TcpStream::connect_timeout(&address, Duration::from_millis(50)) {
                            drop(stream.write_all(request("/poll").as_bytes()));
                        }
                    }
                })
            };
            eventually("some are there", || lab.stats().accepted > 10);
            lab.stopper.stop();
            lab.join();
            is_over.store(true, SeqCst);
            storm.join().unwrap();
        }
    }

    /// Stops while clients ask without a pause: each request that a handler has seen is answered, and each answer is read to its end.
    fn stop_under_load(model) {
        for _ in 0..10 {
            let lab = Lab::start(model);
            let ask = |stream: Socket| {
                let (mut reader, mut answers) = (BufReader::new(stream), 0_u64);
                while reader.get_mut().write_all(request("/hello").as_bytes()).is_ok() {
                    let (mut line, mut is_last) = (String::new(), false);
                    loop {
                        line.clear();
                        // Between two requests the connection may end; within an answer it may not.
                        match reader.read_line(&mut line) {
                            Ok(1..) => {}
                            _ => return answers,
                        }
                        is_last |= line == "Connection: close\r\n";
                        if line == "\r\n" {
                            break;
                        }
                    }
                    line.clear();
                    reader.read_line(&mut line).unwrap();
                    assert_eq!(line, "hello\n");
                    answers += 1;
                    if is_last {
                        assert_eq!(reader.read_line(&mut line).unwrap(), 0, "nothing follows the last answer");
                        break;
                    }
                }
                answers
            };
            let streams: Vec<_> = (0..16).map(|_| lab.connect().stream).collect();
            eventually("all are accepted", || lab.stats().accepted == 16);
            let clients: Vec<_> = streams.into_iter().map(|stream| std::thread::spawn(move || ask(stream))).collect();
            eventually("all are at it", || lab.stats().requests > 500);
            lab.stopper.stop();
            let answers: u64 = clients.into_iter().map(|client| client.join().unwrap()).sum();
            lab.join();
            assert_eq!(answers, lab.stats().requests, "each request that reached the handler is answered");
        }
    }

    fn listener_that_is_handed_over(model) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let lab = Lab::with_listener(listener, model, |_| {});
        assert_eq!(lab.connect().fetch("/hello").status, 200);
    }

    fn two_servers_in_one_process(model) {
        let (one, other) = (Lab::start(model), Lab::start(model));
        assert_eq!(one.connect().fetch("/hello").status, 200);
        drop(one);
        assert_eq!(other.connect().fetch("/hello").status, 200);
        assert_eq!(other.stats().accepted, 1);
    }

    fn handler_that_panics(model) {
        let lab = Lab::start(model);
        let (mut bad, mut good) = (lab.connect(), lab.connect());
        let answer = bad.fetch("/panic");
        assert_eq!((answer.status, answer.field("Connection")), (500, Some("close")));
        bad.end_sending();
        bad.expect_end();
        assert_eq!(good.fetch("/hello").status, 200);
        assert_eq!(lab.stats().panics, 1);
    }
}

#[test]
fn handler_that_blocks_stops_only_its_own_connection_with_threads() {
    let lab = Lab::start(IoModel::ThreadPerConnection);
    let mut blocked = lab.connect();
    blocked.get("/block");
    eventually("the handler blocks", || lab.app.at_gate.load(SeqCst) == 1);
    assert_eq!(lab.connect().fetch("/hello").status, 200);
    lab.app.gate.open();
    assert_eq!(blocked.answer().text(), "unblocked\n");
}

/// The grace time holds for handlers, too.
#[test]
fn handler_that_blocks_does_not_hold_up_a_shutdown() {
    let lab = Lab::with(IoModel::ThreadPerConnection, |config| config.shutdown_grace = Duration::from_millis(50));
    let mut blocked = lab.connect();
    blocked.get("/block");
    eventually("the handler blocks", || lab.app.at_gate.load(SeqCst) == 1);
    lab.stopper.stop();
    blocked.drain();
    lab.app.gate.open();
    lab.join();
}

#[test]
fn bind_errors_name_the_address() {
    let taken = Server::bind("127.0.0.1:0", Config::default()).unwrap();
    let address = taken.local_addr();
    let error = Server::bind(address, Config::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    // Documentation's own address (RFC 5737): no machine has it.
    let error = Server::bind("192.0.2.1:80", Config::default()).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1:80"), "{error}");
    // The first of several that can be had.
    let server = Server::bind(&[address, "127.0.0.1:0".parse().unwrap()][..], Config::default()).unwrap();
    assert_ne!(server.local_addr(), address);
}

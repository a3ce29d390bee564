//! Deadlines while a client sends without a pause: its own, and those of everybody else.
//!
//! Covers: driver::event_loop, driver::thread_per_conn, driver::timers, driver::read_time_out

use std::io::Write;
use std::net::Shutdown;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pushlab::proto::RemoteError;
use pushlab::proto::ws::Message;
use pushlab::session::{Outcome, Socket, WebSocketHandler};
use pushlab::{CloseReason, Frame, IoModel, Limits, Response};

use super::client::{frame, request};
use super::socket::Socket as ClientSocket;
use super::{Client, Lab, NET, both, eventually};

const SOON: Duration = Duration::from_millis(50);

/// A client that sends the same as fast as the server takes it, until the connection or this ends.
struct Flood {
    stream: ClientSocket,
    thread: Option<JoinHandle<()>>,
}

impl Flood {
    fn of(client: &Client, bytes: Vec<u8>) -> Self {
        let stream = client.stream.try_clone().unwrap();
        let mut to = client.stream.try_clone().unwrap();
        Self { stream, thread: Some(thread::spawn(move || while to.write_all(&bytes).is_ok() {})) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        // An error means that the server was faster.
        let _ = self.stream.shutdown(Shutdown::Both);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Pongs that nobody asked for: input that costs work, and is not answered.
fn pongs() -> Vec<u8> {
    frame(0x8a, b"").repeat(10_000)
}

/// Input is read in small parts, so that a flood fills each of them and never comes to an end; and a lot of it is kept.
fn start(model: IoModel, set: impl FnOnce(&mut Limits)) -> Lab {
    Lab::with(model, |config| {
        config.receive_buffer_bytes = 4 * 1024;
        config.settings.limits.protocol.head_bytes = 2 * 1024;
        set(&mut config.settings.limits);
    })
}

/// Sends byte by byte, without a pause, until something is there to be read.
#[track_caller]
fn trickle_until_answered(lab: &Lab, client: &mut Client) {
    trickle_until(lab, client, |client| client.stream.peek(&mut [0]).is_ok());
}

/// Sends byte by byte until it is `done`: the server always has something to read, and no more than it can keep up with.
#[track_caller]
fn trickle_until(lab: &Lab, client: &mut Client, done: impl Fn(&Client) -> bool) {
    client.stream.set_nonblocking(true).unwrap();
    let (begun, before, mut sent) = (Instant::now(), lab.stats().bytes_in, 0);
    while !done(client) {
        assert!(begun.elapsed() < NET, "a client that sends without a pause has no deadline");
        if sent < lab.stats().bytes_in - before + 500 {
            // An error means that the server was faster.
            sent += client.stream.write(b"x").unwrap_or(0) as u64;
        }
    }
    client.stream.set_nonblocking(false).unwrap();
}

both! {
    /// One connection always has something to read. Others' holds, heartbeats, requests and connections have their turn.
    fn others(model) {
        let lab = start(model, |limits| limits.heartbeat = Some(SOON));
        let (mut busy, mut held, mut quiet) = (lab.connect(), lab.connect(), lab.connect());
        busy.upgrade("/ws");
        quiet.get("/quiet");
        quiet.answer_head();
        let _flood = Flood::of(&busy, pongs());
        eventually("the flood has begun", || lab.stats().bytes_in > 1024 * 1024);
        for _ in 0..3 {
            assert_eq!(held.fetch("/brief?ms=20").status, 204);
            quiet.take_until(b"3\r\n:\n\n\r\n");
            assert_eq!(lab.connect().fetch("/hello").status, 200);
        }
        let before = lab.stats().bytes_in;
        eventually("the flood goes on", || lab.stats().bytes_in > before + 1024 * 1024);
    }

    fn pings(model) {
        // The next ping comes after the time for a pong, which a loaded machine's flood has to meet.
        let lab = start(model, |limits| (limits.heartbeat, limits.pong_timeout) = (Some(SOON), 10 * SOON));
        let mut client = lab.connect();
        client.upgrade("/ws");
        let _flood = Flood::of(&client, pongs());
        for _ in 0..3 {
            assert_eq!(client.frame().first, 0x89);
        }
    }

    /// A peer that is asked to close sends on, and no close frame.
    fn close_that_is_not_answered(model) {
        let lab = start(model, |limits| limits.close_timeout = SOON);
        let mut client = lab.connect();
        client.upgrade("/ws");
        client.send_frame(0x81, b"close");
        assert_eq!(client.frame().first, 0x88);
        let _flood = Flood::of(&client, pongs());
        eventually("the connection ends", || lab.stats().open == 0);
        assert_eq!(lab.app.closed.lock().unwrap()[..], [CloseReason::Remote(RemoteError::Silent)]);
    }

    /// A peer that is answered, and sends instead of reading.
    fn echoes_that_are_not_read(model) {
        let lab = start(model, |limits| limits.write_timeout = SOON);
        let mut client = Client::connect_with_little_room(lab.address);
        client.upgrade("/ws");
        let _flood = Flood::of(&client, frame(0x81, &[b'x'; 125]).repeat(500));
        eventually("the connection is given up", || lab.stats().write_stalls == 1 && lab.stats().open == 0);
    }

    /// Input is no sign that output is taken.
    fn stalled_stream(model) {
        let lab = Lab::with(model, |config| {
            config.receive_buffer_bytes = 16 * 1024 * 1024;
            config.settings.limits.write_timeout = SOON;
            config.settings.limits.protocol.pipeline_bytes = usize::MAX;
            config.settings.limits.queue_bytes = 64 * 1024 * 1024;
        });
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/stream");
        client.answer_head();
        let (pusher, frame) = (lab.app.one_pusher(), Frame::chunk(&vec![b'x'; 1024 * 1024]));
        (0..16).for_each(|_| pusher.push(&frame));
        trickle_until(&lab, &mut client, |_| lab.stats().write_stalls == 1);
        eventually("the stream is gone", || lab.stats().open == 0 && lab.app.dropped() == 1);
    }

    fn hold_and_heartbeat(model) {
        let lab = Lab::with(model, |config| {
            config.receive_buffer_bytes = 16 * 1024 * 1024;
            config.settings.limits.heartbeat = Some(SOON);
            config.settings.limits.protocol.pipeline_bytes = usize::MAX;
        });
        let mut client = lab.connect();
        client.get("/brief?ms=50");
        trickle_until_answered(&lab, &mut client);
        assert_eq!(client.answer_head().status, 204);
        assert_eq!(lab.stats().hold_timeouts, 1);

        // With a handle, and without.
        for (target, mark) in [("/events", b"welcome\n\n\r\n".as_slice()), ("/quiet", b"\r\n\r\n")] {
            let mut client = lab.connect();
            client.get(target);
            client.take_until(mark);
            let before = lab.stats().writes;
            trickle_until(&lab, &mut client, |_| lab.stats().writes >= before + 3);
            client.take_until(b"3\r\n:\n\n\r\n");
        }
    }

    fn head_and_body(model) {
        let lab = Lab::with(model, |config| {
            let limits = &mut config.settings.limits.protocol;
            (limits.head_timeout, limits.body_timeout, limits.body_rate) = (SOON, SOON, u32::MAX);
            (limits.head_bytes, limits.target_bytes) = (65_535, 65_000);
        });
        for begin in ["GET /", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"] {
            for before in [String::new(), request("/hello")] {
                let mut client = lab.connect();
                if !before.is_empty() {
                    client.send(before);
                    assert_eq!(client.answer().status, 200);
                }
                client.send(begin);
                trickle_until_answered(&lab, &mut client);
                assert_eq!(client.answer_head().status, 408, "{begin}");
            }
        }
    }
}

/// What waits on one connection is worked on in parts: who came behind it has its turn before its end.
#[test]
fn turns() {
    const WAITING: usize = 1_000;
    let lab = start(IoModel::EventLoop, |_| {});
    let (mut blocker, mut busy, mut other) = (lab.connect(), lab.connect(), lab.connect());
    blocker.get("/block");
    eventually("the handler blocks", || lab.app.at_gate.load(SeqCst) == 1);
    busy.send(request("/hello").repeat(WAITING));
    other.get("/count");
    lab.app.gate.open();
    let before: usize = other.answer().text().parse().unwrap();
    assert!(before < WAITING, "{before} requests came before one that waited");
    for _ in 0..WAITING {
        assert_eq!(busy.answer().status, 200);
    }
}

/// Sends for as long as it is read, from its first message on.
struct Spring;

static SPRING_WORKED: AtomicUsize = AtomicUsize::new(0);
static IS_HELD_UP: AtomicBool = AtomicBool::new(false);
static GOES_ON: AtomicBool = AtomicBool::new(false);

impl WebSocketHandler for Spring {
    fn message(&mut self, _: Message<'_>, socket: &mut Socket<'_>) {
        self.drained(socket);
    }

    fn drained(&mut self, socket: &mut Socket<'_>) {
        SPRING_WORKED.fetch_add(1, SeqCst);
        while socket.send_binary(&[b'x'; 100]) == Outcome::Sent {}
    }
}

/// What a connection sends without end is sent in parts, also when the system takes all of it.
#[test]
fn turns_of_who_always_has_more() {
    let configure = |config: &mut pushlab::Config| config.settings.limits.output_bytes = 1024;
    let lab = Lab::answering_with(IoModel::EventLoop, configure, |request, reply| match request.path() {
        "/spring" => reply.upgrade(Spring),
        "/worked" => reply.send(Response::text(SPRING_WORKED.load(SeqCst).to_string())),
        _ => {
            IS_HELD_UP.store(true, SeqCst);
            while !GOES_ON.load(SeqCst) {
                thread::yield_now();
            }
            reply.send(Response::no_content());
        }
    });
    let (mut blocker, mut busy, mut other) = (lab.connect(), lab.connect(), lab.connect());
    busy.upgrade("/spring");
    blocker.get("/hold-up");
    eventually("the handler blocks", || IS_HELD_UP.load(SeqCst));
    busy.send_frame(0x82, b"go");
    other.get("/worked");
    GOES_ON.store(true, SeqCst);
    let before: usize = other.answer().text().parse().unwrap();
    assert!(before <= 8, "{before} parts came before one that waited");
    busy.take(16 * 1024 * 1024);
}

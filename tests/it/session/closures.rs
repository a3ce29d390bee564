//! A WebSocket's handler that is made of closures: each call of the trait reaches the closure that is set for it, and no other.
//!
//! Covers: session::closures

use std::mem::size_of_val;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushlab::proto::CloseReason;
use pushlab::proto::ws::Message;
use pushlab::session::{Ending, Limits, Outcome, Reply, Request, Settings, Socket, Unset, WebSocketHandler, on_message};

use super::rig::Rig;
use super::wire::{frame, text, text_frame};

type Log = Arc<Mutex<Vec<String>>>;

/// A noting closure for a call that gets the socket.
fn note(log: &Log, call: &'static str) -> impl FnMut(&mut Socket<'_>) + Send + use<> {
    let log = Arc::clone(log);
    let mut times = 0;
    move |socket| {
        times += 1;
        log.lock().unwrap().push(format!("{call} {times}"));
        socket.send_text(call);
    }
}

/// Obeys `flood` (until messages wait), `timer` (in 5 s) and `close`, and echoes any other text.
fn obey(message: Message<'_>, socket: &mut Socket<'_>) {
    match message {
        Message::Text("flood") => while socket.send_text("flood") == Outcome::Sent {},
        Message::Text("timer") => socket.set_timer(Duration::from_secs(5)),
        Message::Text("close") => socket.close(4_000, "as asked").unwrap(),
        other => drop(socket.send(other)),
    }
}

fn rig<W: WebSocketHandler>(make: impl Fn() -> W + Send + Sync + 'static) -> Rig {
    let limits = Limits { heartbeat: None, output_bytes: 1_000, ..Limits::default() };
    let app = move |_: &Request<'_>, reply: Reply<'_>| reply.upgrade(make());
    let mut rig = Rig::serving_with(Settings { limits, ..Settings::default() }, Arc::default(), app);
    rig.open();
    rig
}

fn calls(log: &Log) -> Vec<String> {
    std::mem::take(&mut log.lock().unwrap())
}

/// All five calls, each with a state of its own.
#[test]
fn every_call_reaches_its_closure() {
    let log = Log::default();
    let shared = Arc::clone(&log);
    let mut rig = rig(move || {
        let closing = Arc::clone(&shared);
        on_message(obey)
            .on_close(move |reason| closing.lock().unwrap().push(format!("closed {reason:?}")))
            .on_timer(note(&shared, "timer"))
            .on_drained(note(&shared, "drained"))
            .on_open(note(&shared, "open"))
    });
    assert_eq!(calls(&log), ["open 1"]);
    rig.send(text_frame("echo"));
    assert_eq!((rig.frames(), calls(&log)), (vec![text("echo")], vec![]));
    for time in 1..=2 {
        rig.send(text_frame("timer"));
        rig.pass_secs(5);
        assert_eq!((rig.frames(), calls(&log)), (vec![text("timer")], vec![format!("timer {time}")]));
    }
    rig.block();
    rig.send(text_frame("flood"));
    assert_eq!(calls(&log), [""; 0], "output waits");
    rig.unblock();
    assert_eq!((rig.frames().last(), calls(&log)), (Some(&text("drained")), vec!["drained 1".to_owned()]));
    rig.send(text_frame("close"));
    rig.send(frame(0x88, &4_000_u16.to_be_bytes()));
    assert_eq!(rig.ending(), Some(Ending::Flush));
    rig.close(CloseReason::Local(4_000));
    assert_eq!(calls(&log), ["closed Local(4000)"]);
}

/// Calls without a closure do nothing, as the trait's own methods do.
#[test]
fn a_call_without_a_closure_does_nothing() {
    let mut rig = rig(|| on_message(obey));
    rig.send([text_frame("timer"), text_frame("echo")].concat());
    rig.pass_secs(5);
    assert_eq!(rig.frames(), [text("echo")]);
    rig.block();
    rig.send(text_frame("flood"));
    rig.unblock();
    assert!(rig.frames().iter().all(|frame| *frame == text("flood")));
    rig.send(text_frame("echo"));
    assert_eq!(rig.frames(), [text("echo")]);
    rig.close(CloseReason::Transport);
}

/// A closure belongs to one connection, and is dropped at its end.
#[test]
fn what_a_closure_has_captured_lives_as_long_as_the_connection() {
    let held = Arc::new(());
    let shared = Arc::clone(&held);
    let mut rig = rig(move || {
        let captured = Arc::clone(&shared);
        on_message(obey).on_drained(move |_| _ = &captured)
    });
    assert_eq!(Arc::strong_count(&held), 3, "the test, the application and the connection");
    rig.close(CloseReason::Transport);
    assert_eq!(Arc::strong_count(&held), 2);
}

/// A panic in a closure ends its connection, and `on_close` is still called.
#[test]
fn a_closure_that_panics_ends_its_connection() {
    let log = Log::default();
    let shared = Arc::clone(&log);
    let mut rig = rig(move || {
        let closing = Arc::clone(&shared);
        on_message(|_, _| std::panic::resume_unwind(Box::new("without a message on standard error")))
            .on_close(move |reason| closing.lock().unwrap().push(format!("{reason:?}")))
    });
    rig.send(text_frame("x"));
    assert_eq!(rig.ending(), Some(Ending::Linger));
    rig.close(CloseReason::HandlerPanicked);
    assert_eq!(calls(&log), ["HandlerPanicked"]);
}

#[test]
fn a_call_without_a_closure_takes_no_memory() {
    assert_eq!(size_of_val(&Unset), 0);
    assert_eq!(size_of_val(&on_message(|_, _| {})), 0);
    let all = on_message(|_, _| {}).on_open(|_| {}).on_drained(|_| {}).on_timer(|_| {}).on_close(|_| {});
    assert_eq!(size_of_val(&all), 0, "closures that capture nothing");
    let (eight, four) = (7_u64, 7_u32);
    let one = on_message(move |_, socket| _ = socket.send_text(&eight.to_string()));
    assert_eq!(size_of_val(&one), 8, "what the closure has captured");
    assert_eq!(size_of_val(&one.on_close(move |_| assert_eq!(four, 7))), 16, "both, aligned");
}

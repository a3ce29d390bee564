//! The timer of a WebSocket's handler, on a virtual clock.
//!
//! Covers: session::socket, session::websocket

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pushlab::proto::CloseReason;
use pushlab::proto::ws::Message;
use pushlab::session::{Ending, Limits, Reply, Request, Settings, Socket, WebSocketHandler};

use super::rig::Rig;
use super::wire::{PING, PONG, frame, text, text_frame};

type Log = Arc<Mutex<Vec<String>>>;

/// Does what messages say: `set 5` seconds, `stop`, `close`. Says `timer` when it is called, and sets
/// the timer again after `again`.
struct Obeys {
    log: Log,
    again: Option<Duration>,
}

impl WebSocketHandler for Obeys {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        let Message::Text(text) = message else { panic!("text") };
        match text.split_once(' ') {
            Some(("set", seconds)) => socket.set_timer(Duration::from_secs(seconds.parse().unwrap())),
            Some(("again", seconds)) => {
                self.again = Some(Duration::from_secs(seconds.parse().unwrap()));
                socket.set_timer(self.again.unwrap());
            }
            None if text == "stop" => socket.stop_timer(),
            Some(("for", "ever")) => socket.set_timer(Duration::MAX),
            None if text == "panic" => panic!("asked to"),
            _ => socket.close(1000, "").unwrap(),
        }
    }

    fn timer(&mut self, socket: &mut Socket<'_>) {
        socket.send_text("timer");
        if let Some(after) = self.again {
            socket.set_timer(after);
        }
    }

    fn closed(&mut self, reason: CloseReason) {
        self.log.lock().unwrap().push(format!("closed {reason:?}"));
    }
}

fn rig(heartbeat: Option<u64>) -> (Rig, Log) {
    let log = Log::default();
    let limits = Limits { heartbeat: heartbeat.map(Duration::from_secs), pong_timeout: Duration::from_secs(3), ..Limits::default() };
    let shared = Arc::clone(&log);
    let app = move |_: &Request<'_>, reply: Reply<'_>| reply.upgrade(Obeys { log: Arc::clone(&shared), again: None });
    let mut rig = Rig::serving_with(Settings { limits, ..Settings::default() }, Arc::default(), app);
    rig.open();
    (rig, log)
}

#[test]
fn it_is_called_once() {
    let (mut rig, _) = rig(None);
    assert_eq!(rig.due_secs(), None);
    rig.send(text_frame("set 5"));
    assert_eq!(rig.due_secs(), Some(5));
    rig.pass(Duration::from_millis(4_999));
    assert_eq!(rig.frames(), []);
    rig.pass(Duration::from_millis(1));
    assert_eq!((rig.frames(), rig.due_secs()), (vec![text("timer")], None));
    rig.pass_secs(100);
    assert_eq!(rig.frames(), []);
}

#[test]
fn a_further_call_replaces_its_time_and_stop_ends_it() {
    let (mut rig, _) = rig(None);
    rig.send([text_frame("set 5"), text_frame("set 9")].concat());
    assert_eq!(rig.due_secs(), Some(9));
    rig.send(text_frame("set 2"));
    rig.pass_secs(2);
    assert_eq!(rig.frames(), [text("timer")]);
    rig.send([text_frame("set 5"), text_frame("stop")].concat());
    rig.pass_secs(100);
    assert_eq!((rig.frames(), rig.due_secs()), (vec![], None));
    rig.send(text_frame("for ever"));
    rig.pass_secs(1_000_000);
    assert_eq!(rig.frames(), []);
    rig.send(text_frame("set 0"));
    rig.pass(Duration::ZERO);
    assert_eq!(rig.frames(), [text("timer")], "at once");
}

#[test]
fn it_can_be_set_again_from_its_own_call() {
    let (mut rig, _) = rig(None);
    rig.send(text_frame("again 2"));
    for _ in 0..5 {
        rig.pass_secs(2);
        assert_eq!(rig.frames(), [text("timer")]);
    }
}

/// Both timers run, each at its own times.
#[test]
fn pings_keep_their_times_beside_it() {
    let (mut rig, _) = rig(Some(10));
    rig.send(text_frame("again 4"));
    let mut seen = Vec::new();
    for second in 1..=24 {
        rig.pass_secs(1);
        for frame_seen in rig.frames() {
            if frame_seen.0 == PING {
                rig.send(frame(0x8A, b""));
            }
            seen.push((second, frame_seen.0));
        }
    }
    assert_eq!(seen, [(4, 1), (8, 1), (10, PING), (12, 1), (16, 1), (20, 1), (20, PING), (24, 1)]);
    assert_ne!(PING, PONG);
}

/// A peer that does not answer pings is given up, however often the handler's timer comes before.
#[test]
fn a_silent_peer_is_given_up_beside_it() {
    let (mut rig, log) = rig(Some(10));
    rig.send(text_frame("again 1"));
    rig.pass_secs(12);
    assert_eq!(rig.ending(), None);
    rig.pass_secs(1);
    assert_eq!(rig.ending(), Some(Ending::Abort));
    rig.close(CloseReason::Transport);
    assert_eq!(log.lock().unwrap()[..], ["closed Remote(Silent)"]);
}

#[test]
fn there_is_no_call_after_the_close_began() {
    let (mut rig, _) = rig(None);
    rig.send([text_frame("set 1"), text_frame("close"), text_frame("set 1")].concat());
    rig.bytes();
    rig.pass(Duration::from_millis(1_500));
    assert_eq!(rig.text_lossy(), "");
    let (mut other, _) = self::rig(None);
    other.send(text_frame("set 1"));
    other.shut_down();
    other.bytes();
    other.pass(Duration::from_millis(1_500));
    assert_eq!(other.text_lossy(), "");
}

#[test]
fn a_slow_reader_does_not_stop_it() {
    let (mut rig, _) = rig(None);
    rig.block();
    rig.send(text_frame("again 1"));
    rig.pass_secs(3);
    rig.unblock();
    assert_eq!(rig.frames(), vec![text("timer"); 3]);
}

//! The last word of a stream, a WebSocket and a hold, on a virtual clock.
//!
//! Covers: session::last_word, session::ending, session::http_end

use std::sync::Arc;
use std::time::Duration;

use pushlab::proto::Frame;
use pushlab::session::{Ending, HoldAnswers, Limits, Notices, Request, Response, Settings};
use pushlab::{LastWord, Reply, Socket, WebSocketHandler};

use super::app::Shelf;
use super::rig::Rig;
use super::wire::{close, close_frame, close_with, frames, get, text, upgrade};

/// Says the code and the sentence, or nothing.
struct Words(bool);

impl Notices for Words {
    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        self.0.then(|| Frame::text(&format!("{} {}\n", word.code(), word.sentence())))
    }
}

/// Gives out its pusher.
struct Quiet(Arc<Shelf>);

impl WebSocketHandler for Quiet {
    fn open(&mut self, socket: &mut Socket<'_>) {
        socket.notices(Words(true));
        self.0.keep_pusher(socket.pusher());
    }

    fn message(&mut self, _: pushlab::Message<'_>, _: &mut Socket<'_>) {}
}

struct Answers;

impl HoldAnswers for Answers {
    fn timed_out(self: Arc<Self>) -> Arc<Response> {
        Response::text("nothing yet").into()
    }

    fn ended(&self, word: &LastWord) -> Response {
        Response::text(format!("{} {} {:?}", word.code(), word.sentence(), word.come_back_ms()))
    }
}

/// A connection that has sent its request.
fn rig(path: &str, limits: Limits) -> Rig {
    let shelf = Arc::<Shelf>::default();
    let kept = Arc::clone(&shelf);
    let handler = move |request: &Request<'_>, reply: Reply<'_>| match request.path() {
        "/ws" => reply.upgrade(Quiet(Arc::clone(&kept))),
        "/hold" => kept.keep_held(reply.hold_with(Duration::from_secs(5), Arc::new(Answers))),
        path => {
            let mut stream = if path == "/events" { reply.event_stream() } else { reply.stream(Response::text("")) };
            stream.notices(Words(path != "/bare"));
            kept.keep_pusher(stream.pusher());
        }
    };
    let mut rig = Rig::serving_with(Settings { limits, ..Settings::default() }, shelf, handler);
    rig.send(if path == "/ws" { upgrade(path) } else { get(path) });
    rig
}

/// A reader whose queue is full, and which has output of its own that waits.
fn overwhelmed(path: &str) -> Rig {
    let mut rig = rig(path, Limits { output_bytes: 10, queue_bytes: 40, ..Limits::default() });
    rig.bytes();
    rig.block();
    for _ in 0..6 {
        rig.shelf.pusher().push(&if path == "/ws" { Frame::text("0123456789") } else { Frame::chunk(b"0123456789") });
    }
    rig.deliver();
    assert_eq!((rig.stats().slow_disconnects, rig.stats().slow_told), (1, 0), "{path}");
    rig
}

const SLOW: &str = "this client reads its messages too slowly";

#[test]
fn words_follow_what_was_pushed_before() {
    let word = LastWord::new(4_001, "enough").come_back_after(Duration::from_millis(1_500));
    for (path, end) in [
        ("/stream", "2\r\na\n\r\nc\r\n4001 enough\n\r\n0\r\n\r\n"),
        ("/events", "2\r\na\n\r\nd\r\nretry: 1500\n\n\r\nc\r\n4001 enough\n\r\n0\r\n\r\n"),
        ("/bare", "2\r\na\n\r\n0\r\n\r\n"),
    ] {
        let mut rig = rig(path, Limits::default());
        rig.bytes();
        rig.shelf.pusher().push(&Frame::chunk(b"a\n"));
        rig.shelf.pusher().end_with(word.clone());
        rig.shelf.pusher().end_with(LastWord::new(4_002, "the first one counts"));
        rig.shelf.pusher().push(&Frame::chunk(b"b\n"));
        rig.deliver();
        assert_eq!((&*rig.text(), rig.ending()), (end, None), "{path}: the connection goes on");
        assert_eq!(rig.stats().streams, 0);
    }
    let mut rig = rig("/ws", Limits::default());
    rig.bytes();
    rig.shelf.pusher().push(&Frame::text("a"));
    rig.shelf.pusher().end_with(word);
    rig.shelf.pusher().push(&Frame::text("b"));
    rig.deliver();
    assert_eq!(frames(&rig.bytes()), [text("a"), text("4001 enough\n"), close_with(4_001, "enough")]);
    rig.send(close_frame(4_001));
    assert_eq!(rig.ending(), Some(Ending::Flush));
}

/// The last word waits with the messages of a slow reader, and is not dropped.
#[test]
fn words_follow_what_waits() {
    let mut rig = rig("/stream", Limits { output_bytes: 1, ..Limits::default() });
    rig.bytes();
    rig.block();
    for text in ["a\n", "b\n", "c\n"] {
        rig.shelf.push(text);
    }
    rig.shelf.pusher().end_with(LastWord::new(4_001, "enough"));
    rig.deliver();
    assert_eq!(rig.stats().streams, 1);
    rig.unblock();
    assert_eq!(rig.text(), "2\r\na\n\r\n2\r\nb\n\r\n2\r\nc\n\r\nc\r\n4001 enough\n\r\n0\r\n\r\n");
}

/// An end without words says nothing, and a code that must not be sent becomes 1000.
#[test]
fn ends_without_words() {
    let mut rig = rig("/stream", Limits::default());
    rig.bytes();
    rig.shelf.pusher().end();
    rig.deliver();
    assert_eq!(rig.text(), "0\r\n\r\n");
    for (word, said) in [(LastWord::new(1_005, ""), vec![close(1_000)]), (LastWord::new(999, "x"), vec![text("999 x\n"), close(1_000)])] {
        let mut rig = self::rig("/ws", Limits::default());
        rig.bytes();
        rig.shelf.pusher().end_with(word);
        rig.deliver();
        assert_eq!((frames(&rig.bytes()), rig.stats().local_errors), (said, 1));
    }
}

/// A sentence that does not fit into a close frame is cut.
#[test]
fn a_long_sentence_is_cut() {
    let mut rig = rig("/ws", Limits::default());
    rig.bytes();
    rig.shelf.pusher().end_with(LastWord::new(4_001, "x".repeat(124)));
    rig.deliver();
    assert_eq!(frames(&rig.bytes()).pop(), Some(close_with(4_001, &"x".repeat(123))));
}

#[test]
fn a_held_request_is_answered_in_the_form_of_the_application() {
    let mut rig = rig("/hold", Limits::default());
    rig.shut_down();
    let answer = rig.answer();
    assert_eq!((answer.status, answer.text()), (200, "1001 this server shuts down Some(1500)"));
    let mut rig = self::rig("/hold", Limits::default());
    rig.pass_secs(5);
    assert_eq!(rig.answer().text(), "nothing yet");
}

/// The driver has no thread left: the last word says that, and not that the server shuts down.
#[test]
fn a_connection_without_a_thread() {
    let sentence = "this server has no thread left for this connection";
    let mut rig = rig("/hold", Limits::default());
    rig.refuse_connection();
    assert_eq!(rig.answer().text(), format!("1013 {sentence} Some(1500)"));
    let mut rig = self::rig("/ws", Limits::default());
    rig.bytes();
    rig.refuse_connection();
    assert_eq!(frames(&rig.bytes()), [text(&format!("1013 {sentence}\n")), close_with(1_013, sentence)]);
}

/// A slow reader that takes its output gets the last word behind it. What waited behind the output is dropped.
#[test]
fn a_slow_reader_is_told() {
    for path in ["/stream", "/events", "/ws"] {
        let mut rig = overwhelmed(path);
        assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Linger), Some(5)), "{path}");
        rig.unblock();
        let bytes = rig.bytes();
        if path == "/ws" {
            assert_eq!(frames(&bytes), [text("0123456789"), text(&format!("4408 {SLOW}\n")), close_with(4_408, SLOW)]);
        } else {
            assert_eq!(String::from_utf8_lossy(&bytes), format!("a\r\n0123456789\r\n2f\r\n4408 {SLOW}\n\r\n0\r\n\r\n"), "{path}");
        }
        assert_eq!((rig.stats().slow_disconnects, rig.stats().slow_told, rig.stats().write_stalls), (1, 1, 0), "{path}");
        // From now on, the connection lingers.
        assert_eq!(rig.due_secs(), Some(5), "{path}");
        rig.pass_secs(5);
        assert_eq!((rig.ending(), rig.stats().slow_told), (Some(Ending::Abort), 1), "{path}");
    }
}

/// The time for the last word is fixed. A reader that takes a byte now and then does not get more.
#[test]
fn a_slow_reader_is_cut() {
    for path in ["/stream", "/ws"] {
        for takes in [0, 1] {
            let mut rig = overwhelmed(path);
            for second in 1..=5 {
                assert_eq!(rig.ending(), Some(Ending::Linger), "{path}: after {second} s");
                rig.take_up_to(takes);
                rig.pass_secs(1);
            }
            assert_eq!((rig.ending(), rig.stats().slow_told, rig.stats().write_stalls), (Some(Ending::Abort), 0, 0), "{path}");
        }
    }
}

/// A reader that has not taken a byte for most of the write time-out does not get a further time.
#[test]
fn a_reader_that_has_stalled_before_is_cut_at_its_write_time_out() {
    let limits = Limits { output_bytes: 10, queue_bytes: 40, write_timeout: Duration::from_secs(8), ..Limits::default() };
    let mut rig = rig("/stream", limits);
    rig.bytes();
    rig.block();
    rig.shelf.push("0123456789");
    rig.deliver();
    rig.pass_secs(6);
    (0..6).for_each(|_| rig.shelf.push("0123456789"));
    rig.deliver();
    assert_eq!((rig.ending(), rig.due_secs()), (Some(Ending::Linger), Some(2)));
    rig.pass_secs(2);
    assert_eq!((rig.ending(), rig.stats().slow_told), (Some(Ending::Abort), 0));
}

/// A stream that has no form for a last word is cut at once: an end would make it look whole.
#[test]
fn a_slow_reader_without_a_last_word() {
    let mut rig = overwhelmed("/bare");
    assert_eq!(rig.ending(), Some(Ending::Abort));
    assert_eq!(rig.text(), "");
}

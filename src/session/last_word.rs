//! What a server says before it ends something on purpose.
//!
//! Owns the code and the sentence, and the traits by which an application puts them into the form of
//! its protocol. Leaves the reasons to the code that ends: the session has two of its own, and an
//! application has others. Leaves the moment to `http_end` and `websocket`: the last word follows
//! what the connection has taken before.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use super::Response;
use crate::proto::Frame;
use crate::proto::ws::close::NORMAL_CLOSURE;

/// The close code of a server that goes away (RFC 6455, section 7.4.1).
const GOING_AWAY: u16 = 1_001;
/// "Try again later" (IANA, "WebSocket Close Code Number Registry").
const TRY_AGAIN: u16 = 1_013;
/// A private code (RFC 6455, section 7.4.2): 4000 and the status 408, "Request Timeout".
const TOO_SLOW: u16 = 4_408;

/// Why a server ends a stream, a WebSocket or a held request on purpose.
///
/// A WebSocket closes with the code and the sentence. The client of a stream learns of them if the
/// application says how, in [`Notices::last_word`].
///
/// ```
/// use std::time::Duration;
/// use pushlab::{LastWord, Pusher};
/// fn leave(room: &[Pusher]) {
///     let word = LastWord::new(4_001, "this room closes").come_back_after(Duration::from_secs(2));
///     Pusher::end_all(room, word);
/// }
/// # leave(&[]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastWord {
    code: u16,
    sentence: Cow<'static, str>,
    come_back_ms: Option<u32>,
}

impl LastWord {
    /// A last word with a code of the WebSocket registry (RFC 6455, section 7.4) and a sentence for
    /// the person who reads it. 4000 to 4999 are for applications. If the code must not be sent, a
    /// WebSocket is closed with 1000.
    pub fn new(code: u16, sentence: impl Into<Cow<'static, str>>) -> Self {
        Self { code, sentence: sentence.into(), come_back_ms: None }
    }

    /// Tells the client when to come back, to the millisecond.
    #[must_use]
    pub fn come_back_after(mut self, time: Duration) -> Self {
        self.come_back_ms = Some(u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// The code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The sentence.
    pub fn sentence(&self) -> &str {
        &self.sentence
    }

    /// After how many milliseconds the client should come back. `None` if the server does not say.
    pub const fn come_back_ms(&self) -> Option<u32> {
        self.come_back_ms
    }

    /// The end of a stream that has said everything, and of a WebSocket with this code alone.
    pub(super) fn without_words(code: u16) -> Arc<Self> {
        Arc::new(Self::new(code, ""))
    }

    /// The normal end.
    pub(super) fn normal() -> Arc<Self> {
        Self::without_words(NORMAL_CLOSURE)
    }

    /// The server shuts down.
    fn going_away(come_back_ms: u32) -> Self {
        Self { come_back_ms: Some(come_back_ms), ..Self::new(GOING_AWAY, "this server shuts down") }
    }

    /// The server cannot serve this connection now.
    fn no_thread(come_back_ms: u32) -> Self {
        Self { come_back_ms: Some(come_back_ms), ..Self::new(TRY_AGAIN, "this server has no thread left for this connection") }
    }

    /// The slow-consumer policy ends the connection.
    pub(super) fn too_slow() -> Self {
        Self::new(TOO_SLOW, "this client reads its messages too slowly")
    }

    pub(super) fn has_words(&self) -> bool {
        !self.sentence.is_empty()
    }

    /// The value of `Retry-After` (RFC 9110, section 10.2.3).
    pub(crate) fn retry_after(&self) -> Option<String> {
        self.come_back_ms.map(|ms| ms.div_ceil(1_000).to_string())
    }
}

/// Why a server ends a connection whose client did nothing wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leaving {
    Shutdown,
    NoThread,
}

impl Leaving {
    pub(super) fn last_word(self, come_back_ms: u32) -> LastWord {
        match self {
            Self::Shutdown => LastWord::going_away(come_back_ms),
            Self::NoThread => LastWord::no_thread(come_back_ms),
        }
    }
}

/// What an application says on a stream or a WebSocket in the place of messages, in the form of its
/// protocol. [`Stream::notices`](super::Stream::notices) and
/// [`Socket::notices`](super::Socket::notices) install it.
///
/// A call can come on any thread of the server, and must not block.
///
/// ```
/// use pushlab::session::Notices;
/// use pushlab::{Frame, LastWord, Reply, Request, Response};
/// /// One line for each notice.
/// struct Lines;
/// impl Notices for Lines {
///     fn dropped(&mut self, count: usize) -> Option<Frame> {
///         Some(Frame::chunk(format!("# {count} lines are missing\n").as_bytes()))
///     }
///     fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
///         Some(Frame::chunk(format!("# the end: {}\n", word.sentence()).as_bytes()))
///     }
/// }
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     let mut stream = reply.stream(Response::text("begun\n"));
///     stream.notices(Lines);
///     stream.end_with(LastWord::new(4_000, "that was all"));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
pub trait Notices: Send + 'static {
    /// The slow-consumer policy has dropped so many messages. The frame is sent in their place,
    /// before the next message, so that the client knows of the gap and can fill it.
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        let _ = count;
        None
    }

    /// The server ends the connection on purpose. The frame is the last one: a stream ends after it,
    /// and a WebSocket closes after it with the code and the sentence.
    ///
    /// A stream without such a frame cannot be told apart from one that has said everything. So it
    /// is cut, and does not end, when its client reads too slowly.
    fn last_word(&mut self, word: &LastWord) -> Option<Frame> {
        let _ = word;
        None
    }
}

/// A function that is called for dropped messages, as the notices of a connection.
pub(super) struct OnDrop<F>(pub(super) F);

impl<F: FnMut(usize) -> Option<Frame> + Send + 'static> Notices for OnDrop<F> {
    fn dropped(&mut self, count: usize) -> Option<Frame> {
        (self.0)(count)
    }
}

/// The answers of a held request that its handle does not give. Many requests can share them. A
/// [`Response`] is one that answers at the end of the time.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use pushlab::session::HoldAnswers;
/// use pushlab::{LastWord, Reply, Request, Response};
/// struct Scripts;
/// impl HoldAnswers for Scripts {
///     fn timed_out(self: Arc<Self>) -> Arc<Response> {
///         Response::new("text/javascript", "f(null)").into()
///     }
///     /// A browser does not run a script that has another status than 200.
///     fn ended(&self, word: &LastWord) -> Response {
///         Response::new("text/javascript", format!("f({})", word.code()))
///     }
/// }
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     drop(reply.hold_with(Duration::from_secs(25), Arc::new(Scripts)));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
pub trait HoldAnswers: Send + Sync + 'static {
    /// The answer when the time of the hold has passed.
    fn timed_out(self: Arc<Self>) -> Arc<Response>;

    /// The answer when the server ends the hold on purpose. Default: 503 with `Retry-After`.
    fn ended(&self, word: &LastWord) -> Response {
        let response = Response::status(503);
        match word.retry_after() {
            Some(seconds) => response.field("Retry-After", &seconds),
            None => response,
        }
    }
}

impl HoldAnswers for Response {
    fn timed_out(self: Arc<Self>) -> Arc<Response> {
        self
    }
}

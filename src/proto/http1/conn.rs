//! One HTTP/1.x connection as the server sees it.
//!
//! Owns the order of things: head, body, response, next head (RFC 9112, sections 6 and 9), the deadlines of each, and what is said when a
//! rule is broken. Refuses buffers, sockets and clocks, and refuses to read past a request that has no response yet: pipelined requests
//! are answered one by one, in order (section 9.3.2).

mod sending;

use std::time::{Duration, Instant};

use super::super::{CloseReason, Limits, Outbox, RemoteError};
use super::chunked::{ChunkedDecoder, ChunkedEvent};
use super::framing::Content;
use super::head::Head;
use super::method::{Method, Version};
use super::scan::{HeadEnd, head_end};

/// What came from the peer.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A request begins. A response is owed from here on.
    Head(Head<'a>),
    /// Bytes of its body, decoded; never empty.
    Body(&'a [u8]),
    /// Its body is over. Only after a head whose [`Head::content`] is not [`Content::None`].
    End,
}

/// What to do next.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// Something came; there may be more in the rest of the input.
    Event(Event<'a>),
    /// The input says nothing more without more bytes.
    NeedData,
    /// The request waits for its response, or the response is in progress: nothing is read before it has ended.
    Paused,
}

/// The state of one connection. It owns no memory but itself.
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use pushlab::proto::{Limits, Now, Outbox, http1::{Conn, Event, Next, ResponseHead}};
/// let (now, limits, mut out) = (Now::new(Instant::now(), SystemTime::now()), Limits::default(), Outbox::new());
/// let mut conn = Conn::new(now.instant(), &limits);
///
/// let input = b"GET /hello HTTP/1.1\r\nHost: example.org\r\n\r\nGET /next";
/// let (used, next) = conn.next_event(now.instant(), input, &mut out, &limits)?;
/// let Next::Event(Event::Head(head)) = next else { panic!("a whole head came") };
/// assert_eq!(head.path(), "/hello");
///
/// conn.send_response(&now, &ResponseHead::new(200, "text/plain"), b"hello\n", &mut out)?;
/// let (used_next, next) = conn.next_event(now.instant(), &input[used..], &mut out, &limits)?;
/// assert!(matches!((used_next, next), (0, Next::NeedData)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
pub struct Conn {
    /// When the current state of `reading` has lasted too long; without a meaning where [`Self::deadline`] has none.
    deadline: Instant,
    reading: Reading,
    /// Bytes of the response's body that are still to be sent, with [`Writing::Length`].
    left: u64,
    /// [`Limits::keep_alive_timeout`] in milliseconds.
    keep_alive_millis: u32,
    /// Bytes of the head in progress in which its end is known not to be.
    scanned: u16,
    writing: Writing,
    /// Of the current request.
    version: Version,
    /// Whether the current request is a HEAD: its response has no body.
    head_only: bool,
    /// Whether the current request names 100-continue and has not been told so yet.
    expects_continue: bool,
    /// Whether the connection closes after the current response, or after the next one when there is none.
    close: bool,
    /// Whether a response has gone before.
    reused: bool,
    /// Empty lines in front of the head in progress.
    empty_lines: u8,
}

/// The peer's half of the connection.
///
/// ```text
///            first byte        blank line, body       last byte
///   +-> Idle ----------> Head ------------> Length ----------+
///   |    |                |  \                Chunked        |
///   |    | whole head     |   \ blank line, no body          |
///   |    v                |    v                             v
///   |   (as Head)         |   Done <-------------------------+
///   |                     |    | \ 101
///   +---- response over --|----+  +-----> Switched
///         and kept        v
///              any error, expiry, end of file, last response --> Over
/// ```
#[derive(Clone, Copy, Debug)]
enum Reading {
    /// Between requests.
    Idle,
    /// A head has begun.
    Head,
    /// A body with this many bytes to come; at 0 its end is to be reported.
    Length(u64),
    /// A body in chunks.
    Chunked(ChunkedDecoder),
    /// The request is read; the next one waits until its response is over.
    Done,
    /// What follows is another protocol's.
    Switched,
    /// Whatever follows is discarded.
    Over,
}

/// This side's half of the connection.
///
/// ```text
///            head read           send_head
///   Nothing ----------> Owed ------------------> Length | Chunked | UntilClose | NoBody
///      ^                 |                                       |
///      |                 | send_response, 101                    | send_end
///      +--- kept --------+---------------------------------------+---- closing ----> Over
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// No request waits for an answer.
    Nothing,
    /// A request waits.
    Owed,
    /// A body of announced length.
    Length,
    /// A body in chunks.
    Chunked,
    /// A body that the close ends.
    UntilClose,
    /// A response without a body, whatever is sent as one: HEAD, 204, 304.
    NoBody,
    /// Nothing more can be said.
    Over,
}

/// Empty lines that may come before a request line (RFC 9112, section 2.2: "SHOULD ignore at least one").
const EMPTY_LINES: u8 = 4;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Conn {
    /// A fresh connection. It is idle: [`Limits::keep_alive_timeout`] runs until its first byte.
    pub fn new(now: Instant, limits: &Limits) -> Self {
        let keep_alive_millis = u32::try_from(limits.keep_alive_timeout.as_millis()).unwrap_or(u32::MAX);
        Self {
            deadline: now + Duration::from_millis(keep_alive_millis.into()),
            reading: Reading::Idle,
            left: 0,
            keep_alive_millis,
            scanned: 0,
            writing: Writing::Nothing,
            version: Version::Http11,
            head_only: false,
            expects_continue: false,
            close: false,
            reused: false,
            empty_lines: 0,
        }
    }

    /// Consumes a prefix of `input`, up to the next event, and says how long it was. What is not consumed must be given again, at the
    /// front of the next input. `100 Continue` is written when the body of a request that expects it is asked for the first time and no
    /// response has begun. After the last response, and after an error, everything is consumed and discarded.
    ///
    /// # Errors
    /// The rule or limit that the peer broke. The input side is over then; [`send_error`](Self::send_error) tells the peer.
    #[inline]
    pub fn next_event<'a>(
        &mut self,
        now: Instant,
        input: &'a [u8],
        out: &mut Outbox,
        limits: &Limits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        match self.reading {
            Reading::Idle | Reading::Head => self.next_head(now, input, limits),
            Reading::Length(_) | Reading::Chunked(_) => self.next_body(input, out, limits),
            Reading::Done | Reading::Switched => Ok((0, Next::Paused)),
            Reading::Over => Ok((input.len(), Next::NeedData)),
        }
    }

    #[inline]
    fn next_head<'a>(&mut self, now: Instant, input: &'a [u8], limits: &Limits) -> Result<(usize, Next<'a>), RemoteError> {
        let skipped = match input {
            [b'\r', ..] => self.skip_empty_lines(input).inspect_err(|_| self.reading = Reading::Over)?,
            _ => 0,
        };
        let input = &input[skipped..];
        let result = self.find_head(now, skipped, input, limits);
        if result.is_err() {
            // The method of a head that was refused is known all the same, and a HEAD is refused without a body.
            self.head_only = input.starts_with(b"HEAD ");
            self.reading = Reading::Over;
        }
        result
    }

    #[inline]
    fn find_head<'a>(&mut self, now: Instant, skipped: usize, input: &'a [u8], limits: &Limits) -> Result<(usize, Next<'a>), RemoteError> {
        if matches!(input, [] | [b'\r']) {
            return Ok((skipped, Next::NeedData));
        }
        if self.scanned == 0 {
            // Nearly always the head has come as a whole, and its end needs no search.
            let window = &input[..input.len().min(Head::largest(limits))];
            if let Ok(Some(head)) = Head::parse_prefix(window, limits) {
                return self.begin_request(now, skipped, head, limits);
            }
        }
        if let Some(end) = self.find_end(input, limits)? {
            return self.begin_request(now, skipped, Head::parse(&input[..end], limits)?, limits);
        }
        if matches!(self.reading, Reading::Idle) {
            self.reading = Reading::Head;
            self.deadline = now + limits.head_timeout;
        }
        Ok((skipped, Next::NeedData))
    }

    /// Bytes of empty lines at the front. A carriage return at the very end is left: its line feed may follow.
    #[cold]
    fn skip_empty_lines(&mut self, input: &[u8]) -> Result<usize, RemoteError> {
        let mut rest = input;
        while let [b'\r', next, after @ ..] = rest {
            if *next != b'\n' || self.empty_lines == EMPTY_LINES {
                return Err(RemoteError::BadRequestLine);
            }
            self.empty_lines += 1;
            rest = after;
        }
        Ok(input.len() - rest.len())
    }

    /// Where the head ends that has begun, looked for only in bytes that were not searched before.
    #[cold]
    fn find_end(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, RemoteError> {
        // What cannot become a request is refused without waiting for a blank line: a TLS greeting, for one.
        if !super::syntax::is_token_byte(input[0]) {
            return Err(RemoteError::BadRequestLine);
        }
        let largest = Head::largest(limits);
        match head_end(&input[..input.len().min(largest)], usize::from(self.scanned)) {
            HeadEnd::At(end) => Ok(Some(end)),
            HeadEnd::After(_) if input.len() > largest => Err(Head::too_large(input, limits)),
            HeadEnd::After(place) => {
                self.scanned = place as u16;
                Ok(None)
            }
        }
    }

    #[inline]
    fn begin_request<'a>(
        &mut self,
        now: Instant,
        skipped: usize,
        head: Head<'a>,
        limits: &Limits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        self.reading = match head.content() {
            Content::None => Reading::Done,
            Content::Length(length) if length > limits.body_bytes as u64 => return Err(RemoteError::BodyTooLarge),
            Content::Length(length) => Reading::Length(length),
            Content::Chunked => Reading::Chunked(ChunkedDecoder::new()),
        };
        if head.content() != Content::None {
            self.deadline = now + limits.body_timeout;
        }
        self.scanned = 0;
        self.empty_lines = 0;
        self.writing = Writing::Owed;
        self.version = head.version();
        self.head_only = head.method() == Method::Head;
        self.expects_continue = head.names_continue();
        self.close |= !head.keep_alive();
        Ok((skipped + head.raw().len(), Next::Event(Event::Head(head))))
    }

    fn next_body<'a>(&mut self, input: &'a [u8], out: &mut Outbox, limits: &Limits) -> Result<(usize, Next<'a>), RemoteError> {
        // RFC 9110, section 10.1.1 lets a server omit this when some of the body has come already; whether it has depends on how the
        // input was split, and what is answered must not.
        if std::mem::take(&mut self.expects_continue) && self.writing == Writing::Owed {
            out.extend(CONTINUE);
        }
        let (used, event) = match &mut self.reading {
            Reading::Length(0) => (0, ChunkedEvent::End),
            Reading::Length(_) if input.is_empty() => (0, ChunkedEvent::NeedData),
            Reading::Length(left) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= len as u64;
                (len, ChunkedEvent::Data(&input[..len]))
            }
            Reading::Chunked(decoder) => decoder.next(input, limits).inspect_err(|_| self.reading = Reading::Over)?,
            _ => return Ok((0, Next::Paused)),
        };
        let next = match event {
            ChunkedEvent::NeedData => Next::NeedData,
            ChunkedEvent::Data(bytes) => {
                // Each `body_rate` bytes prolong the time by a second.
                let nanos = (bytes.len() as u64).saturating_mul(1_000_000_000) / u64::from(limits.body_rate.max(1));
                self.deadline += Duration::from_nanos(nanos);
                Next::Event(Event::Body(bytes))
            }
            ChunkedEvent::End => {
                self.reading = Reading::Done;
                Next::Event(Event::End)
            }
        };
        Ok((used, next))
    }

    /// Takes the peer's end of file. The input that came before must be used up, as far as the connection is not `Paused`.
    ///
    /// # Errors
    /// [`RemoteError::UnexpectedEof`] in the middle of a head or a body. Between requests, and while only a response is owed, an end of
    /// file is in order; that response is the last one then.
    pub fn handle_eof(&mut self) -> Result<(), RemoteError> {
        self.close = true;
        match self.reading {
            Reading::Idle => self.reading = Reading::Over,
            Reading::Head | Reading::Length(1..) | Reading::Chunked(_) => {
                self.reading = Reading::Over;
                return Err(RemoteError::UnexpectedEof);
            }
            Reading::Length(0) | Reading::Done | Reading::Switched | Reading::Over => {}
        }
        Ok(())
    }

    /// Takes the time. `Some(CloseReason::Idle)` when the keep-alive time has passed: the connection is to be closed without a word.
    ///
    /// # Errors
    /// [`RemoteError::HeadTimeout`] or [`RemoteError::BodyTimeout`] when that deadline has passed.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<Option<CloseReason>, RemoteError> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(None);
        }
        match std::mem::replace(&mut self.reading, Reading::Over) {
            Reading::Head => Err(RemoteError::HeadTimeout),
            Reading::Length(_) | Reading::Chunked(_) => Err(RemoteError::BodyTimeout),
            _ => Ok(Some(CloseReason::Idle)),
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due. `None` while only a response is awaited or in progress, and at the end: that
    /// time is the session's.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match self.reading {
            Reading::Idle | Reading::Head | Reading::Length(_) | Reading::Chunked(_) => Some(self.deadline),
            Reading::Done | Reading::Switched | Reading::Over => None,
        }
    }

    /// Whether the connection is between requests, with no byte of the next one seen.
    #[inline]
    pub fn is_idle(&self) -> bool {
        matches!(self.reading, Reading::Idle)
    }

    /// Whether a request's head has come and its response has not begun.
    #[inline]
    pub fn awaits_response(&self) -> bool {
        self.writing == Writing::Owed
    }

    /// Whether a response's head is out and its end is not.
    #[inline]
    pub fn is_streaming(&self) -> bool {
        matches!(self.writing, Writing::Length | Writing::Chunked | Writing::UntilClose | Writing::NoBody)
    }

    /// Whether a body is being sent in chunks: a chunk frame's bytes can go out as they are.
    #[inline]
    pub(crate) const fn is_chunking(&self) -> bool {
        matches!(self.writing, Writing::Chunked)
    }

    /// How many bytes of input, those that wait included, can be of use now: those of the largest head, the rest of a body of known length and
    /// [`Limits::pipeline_bytes`] behind it. Of chunks nobody knows.
    #[inline]
    pub(crate) fn wanted_bytes(&self, limits: &Limits) -> usize {
        match self.reading {
            // One byte past the largest head makes it too large.
            Reading::Idle | Reading::Head => limits.pipeline_bytes.max(Head::largest(limits) + 1),
            Reading::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).saturating_add(limits.pipeline_bytes),
            Reading::Done => limits.pipeline_bytes,
            Reading::Chunked(_) | Reading::Switched | Reading::Over => usize::MAX,
        }
    }

    /// Whether nothing more will be read: after the last response, an error, an expiry or an end of file. The transport is to be closed
    /// once the output is out, in both directions by and by (RFC 9112, section 9.6).
    #[inline]
    pub fn is_closing(&self) -> bool {
        matches!(self.reading, Reading::Over)
    }

    /// Whether the connection was kept after a response.
    #[inline]
    pub(crate) const fn is_reused(&self) -> bool {
        self.reused
    }

    /// Bytes of the head in progress that will not be looked at again, which makes a head linear work however small its pieces are.
    pub fn head_scanned(&self) -> usize {
        usize::from(self.scanned)
    }

    /// Makes the response that is owed, or the next one, the last: it announces `Connection: close`. One whose head is out already ends
    /// the connection without having announced it.
    pub fn close_after_response(&mut self) {
        self.close = true;
    }
}

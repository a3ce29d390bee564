//! One HTTP/1.x connection, server side.
//!
//! Owns the order of head, body, response and next head (RFC 9112, sections 6 and 9), the deadlines
//! of the input, and the answer to a broken rule. Pipelined requests are answered one by one, in
//! order (section 9.3.2): no request is read before the response to the previous one has ended.
//! Leaves buffers, sockets and clocks to the caller.

mod sending;

use std::time::{Duration, Instant};

use super::super::{CloseReason, Outbox, ProtocolLimits, RemoteError};
use super::chunked::{ChunkedDecoder, ChunkedEvent};
use super::framing::Content;
use super::head::{Head, Scheme};
use super::method::{Method, Version};
use super::scan::{HeadEnd, head_end};

/// What the peer sent. [`Conn`] has an example.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The head of a request. From here on a response is owed.
    Head(Head<'a>),
    /// Decoded bytes of the request's body; never empty.
    Body(&'a [u8]),
    /// The end of the request's body. It only follows a head whose [`Head::content`] is not
    /// [`Content::None`].
    End,
}

/// What the caller does next. [`Conn`] has an example.
#[derive(Clone, Copy, Debug)]
pub enum Next<'a> {
    /// Handle this event. The rest of the input may contain more.
    Event(Event<'a>),
    /// Get more bytes. The rest of the input contains no whole event.
    NeedData,
    /// Send or finish the response. No input is read until the response has ended.
    Paused,
}

/// The state of one connection. It owns no memory on the heap.
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use pushlab::proto::{ProtocolLimits, Now, Outbox, http1::{Conn, Event, Next, ResponseHead}};
/// let now = Now::new(Instant::now(), SystemTime::now());
/// let (limits, mut out) = (ProtocolLimits::default(), Outbox::new());
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
    /// The deadline of the current state of `reading`. It has no meaning in states for which
    /// [`Self::deadline`] is `None`.
    deadline: Instant,
    reading: Reading,
    /// With [`Writing::Length`], the number of body bytes that are not sent yet.
    left: u64,
    /// [`ProtocolLimits::keep_alive_timeout`] in milliseconds.
    keep_alive_millis: u32,
    /// The length of the prefix of the current head that was searched and does not contain its end.
    scanned: u16,
    writing: Writing,
    /// The version of the current request.
    version: Version,
    /// Whether the current request is a HEAD. Its response has no body.
    head_only: bool,
    /// Whether the current request expects 100-continue and the 100 is not sent yet.
    expects_continue: bool,
    /// Whether the connection closes after the current response, or after the next one if there is
    /// none.
    close: bool,
    /// Whether the connection was kept open after an earlier response.
    reused: bool,
    /// The number of empty lines before the current head.
    empty_lines: u8,
    /// The scheme of the connection.
    scheme: Scheme,
}

/// The state of the input.
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
    /// A head has begun and is not complete.
    Head,
    /// This many bytes of the body are still to come. At 0 the end of the body is to be reported.
    Length(u64),
    /// A body in chunked coding.
    Chunked(ChunkedDecoder),
    /// The request is read. The next request waits until the response has ended.
    Done,
    /// The following input belongs to another protocol.
    Switched,
    /// The following input is discarded.
    Over,
}

/// The state of the output.
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
    /// No request waits for a response.
    Nothing,
    /// A request waits for its response.
    Owed,
    /// The response body has an announced length.
    Length,
    /// The response body is in chunked coding.
    Chunked,
    /// The close of the connection ends the response body.
    UntilClose,
    /// The response has no body (HEAD, 204, 304). Body bytes that the caller sends are dropped.
    NoBody,
    /// Nothing more can be sent.
    Over,
}

/// The number of empty lines that are ignored before a request line (RFC 9112, section 2.2: "SHOULD
/// ignore at least one").
const EMPTY_LINES: u8 = 4;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl Conn {
    /// A new connection. It is idle: its first byte must come within
    /// [`ProtocolLimits::keep_alive_timeout`].
    pub fn new(now: Instant, limits: &ProtocolLimits) -> Self {
        Self::with_scheme(Scheme::Http, now, limits)
    }

    /// As [`new`](Self::new), for a connection with this scheme. A request whose target has the
    /// other one gets 421 (RFC 9110, section 7.4). A gateway that secures connections for this
    /// server sends the origin form, which has none.
    pub fn with_scheme(scheme: Scheme, now: Instant, limits: &ProtocolLimits) -> Self {
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
            scheme,
        }
    }

    /// Consumes a prefix of `input`, up to the next event, and returns its length. The caller must
    /// pass the unconsumed bytes again, at the front of the next input.
    ///
    /// Writes `100 Continue` to `out` if the request expects it, the caller asks for the body for
    /// the first time, and no response has begun. After the last response, and after an error,
    /// consumes and discards all input.
    ///
    /// # Errors
    /// The rule or limit that the peer broke. The input is then over.
    /// [`send_error`](Self::send_error) tells the peer.
    #[inline(always)]
    pub fn next_event<'a>(
        &mut self,
        now: Instant,
        input: &'a [u8],
        out: &mut Outbox,
        limits: &ProtocolLimits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        match self.reading {
            Reading::Idle | Reading::Head => self.next_head(now, input, limits),
            Reading::Length(_) | Reading::Chunked(_) => self.next_body(input, out, limits),
            Reading::Done | Reading::Switched => Ok((0, Next::Paused)),
            Reading::Over => Ok((input.len(), Next::NeedData)),
        }
    }

    /// Takes the head at the front of the input, in place of [`next_event`](Self::next_event).
    /// [`KnownFields::parse`](super::KnownFields::parse) has found it there. Returns `false` and
    /// changes nothing if the connection takes no head now, or refuses it. Then ask `next_event`.
    #[inline(always)]
    pub fn begin_known(&mut self, now: Instant, head: &Head<'_>, limits: &ProtocolLimits) -> bool {
        matches!(self.reading, Reading::Idle) && self.begin_request(now, head, limits).is_ok()
    }

    #[inline(always)]
    fn next_head<'a>(&mut self, now: Instant, input: &'a [u8], limits: &ProtocolLimits) -> Result<(usize, Next<'a>), RemoteError> {
        let skipped = match input {
            [b'\r', ..] => self.skip_empty_lines(input).inspect_err(|_| self.reading = Reading::Over)?,
            _ => 0,
        };
        let input = &input[skipped..];
        let result = self.find_head(now, skipped, input, limits);
        if result.is_err() {
            // The response to a HEAD has no body, even if the head is invalid otherwise.
            self.head_only = input.starts_with(b"HEAD ");
            self.reading = Reading::Over;
        }
        result
    }

    #[inline(always)]
    fn find_head<'a>(
        &mut self,
        now: Instant,
        skipped: usize,
        input: &'a [u8],
        limits: &ProtocolLimits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        // A CR alone may begin an empty line before the head, so it does not start the head's time.
        if matches!(input, [] | [b'\r']) {
            return Ok((skipped, Next::NeedData));
        }
        if self.scanned == 0 {
            // Usually the whole head arrives at once. Parsing it directly saves the search for its
            // end.
            let window = &input[..input.len().min(Head::largest(limits))];
            if let Ok(Some(head)) = &Head::parse_prefix(window, limits) {
                self.begin_request(now, head, limits)?;
                return Ok((skipped + head.raw().len(), Next::Event(Event::Head(*head))));
            }
        }
        if let Some(end) = self.find_end(input, limits)? {
            let head = Head::parse(&input[..end], limits)?;
            self.begin_request(now, &head, limits)?;
            return Ok((skipped + end, Next::Event(Event::Head(head))));
        }
        if matches!(self.reading, Reading::Idle) {
            self.reading = Reading::Head;
            // Only the first byte of the head starts the time. More bytes do not extend it
            // (Slowloris).
            self.deadline = now + limits.head_timeout;
        }
        Ok((skipped, Next::NeedData))
    }

    /// Returns the length of the empty lines at the front. It leaves a CR at the very end of the
    /// input, because the LF may follow.
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

    /// Finds the end of the current head. It searches only bytes that were not searched before, so
    /// that a head in small pieces costs linear time.
    #[cold]
    fn find_end(&mut self, input: &[u8], limits: &ProtocolLimits) -> Result<Option<usize>, RemoteError> {
        // Input that cannot become a request, for example a TLS ClientHello, is rejected at once:
        // its sender may never send a blank line.
        if !super::syntax::is_token_byte(input[0]) {
            return Err(RemoteError::BadRequestLine);
        }
        let largest = Head::largest(limits);
        match head_end(&input[..input.len().min(largest)], usize::from(self.scanned)) {
            HeadEnd::At(end) => Ok(Some(end)),
            HeadEnd::After(_) if input.len() > largest => Err(Head::too_large(input, limits)),
            HeadEnd::After(index) => {
                self.scanned = index as u16;
                Ok(None)
            }
        }
    }

    /// Changes the state if the head is accepted.
    #[inline(always)]
    fn begin_request(&mut self, now: Instant, head: &Head<'_>, limits: &ProtocolLimits) -> Result<(), RemoteError> {
        if head.scheme().is_some_and(|scheme| scheme != self.scheme) {
            return Err(RemoteError::MisdirectedTarget);
        }
        self.reading = match head.content() {
            Content::None => Reading::Done,
            // An announced body that is too large is rejected before its first byte is read.
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
        Ok(())
    }

    fn next_body<'a>(&mut self, input: &'a [u8], out: &mut Outbox, limits: &ProtocolLimits) -> Result<(usize, Next<'a>), RemoteError> {
        // RFC 9110, section 10.1.1 allows a server to omit the 100 if it has received some of the
        // body already. That depends on how the input is split, and the output must not. So this
        // code ignores how much of the body has arrived.
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
                // Each `body_rate` bytes extend the time by one second, so a slow but steady sender
                // can finish.
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

    /// Takes the end of file of the peer. The caller must first pass all earlier input, until it is
    /// used up or the connection is `Paused`.
    ///
    /// # Errors
    /// [`RemoteError::UnexpectedEof`] in the middle of a head or a body. Between requests, and
    /// while only a response is owed, an end of file is no error. That response is then the last
    /// one.
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

    /// Takes the time. Returns `Some(CloseReason::Idle)` if the keep-alive time has passed. The
    /// caller then closes the connection without an answer.
    ///
    /// # Errors
    /// [`RemoteError::HeadTimeout`] or [`RemoteError::BodyTimeout`] if that deadline has passed.
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

    /// The time at which [`handle_timeout`](Self::handle_timeout) is due. It is `None` while only a
    /// response is awaited or in progress, and at the end. The session limits the time of a
    /// response.
    #[inline]
    pub fn deadline(&self) -> Option<Instant> {
        match self.reading {
            Reading::Idle | Reading::Head | Reading::Length(_) | Reading::Chunked(_) => Some(self.deadline),
            Reading::Done | Reading::Switched | Reading::Over => None,
        }
    }

    /// Keeps a time for the caller until the response ends. Meanwhile this state machine has no
    /// [`deadline`](Self::deadline), so a stream's heartbeat needs no 16 bytes of its own.
    #[inline]
    pub(crate) fn set_response_alarm(&mut self, due: Instant) {
        debug_assert!(matches!(self.reading, Reading::Done), "the whole request is read before its response begins");
        self.deadline = due;
    }

    /// The time that [`set_response_alarm`](Self::set_response_alarm) keeps.
    #[inline]
    pub(crate) const fn response_alarm(&self) -> Instant {
        self.deadline
    }

    /// Whether the connection is between requests and has not seen a byte of the next one.
    #[inline]
    pub fn is_idle(&self) -> bool {
        matches!(self.reading, Reading::Idle)
    }

    /// Whether the head of a request has arrived and its response has not begun.
    #[inline]
    pub fn awaits_response(&self) -> bool {
        self.writing == Writing::Owed
    }

    /// Whether the head of a response has been sent and the end of the response has not.
    #[inline]
    pub fn is_streaming(&self) -> bool {
        matches!(self.writing, Writing::Length | Writing::Chunked | Writing::UntilClose | Writing::NoBody)
    }

    /// Whether a response has begun and has not come to its end.
    #[inline]
    pub const fn is_mid_response(&self) -> bool {
        matches!(self.writing, Writing::Length | Writing::Chunked | Writing::UntilClose)
    }

    /// Whether a body is being sent in chunked coding. The bytes of a chunk frame can then be sent
    /// unchanged.
    #[inline]
    pub(crate) const fn is_chunking(&self) -> bool {
        matches!(self.writing, Writing::Chunked)
    }

    /// The number of input bytes, buffered ones included, that are useful now. It covers the
    /// largest head, or the rest of a body of known length, and [`ProtocolLimits::pipeline_bytes`]
    /// for pipelined requests. The rest of a chunked body is unknown, so the result is then
    /// `usize::MAX`.
    #[inline]
    pub(crate) fn wanted_bytes(&self, limits: &ProtocolLimits) -> usize {
        match self.reading {
            // The first byte beyond the largest head is needed to detect a head that is too large.
            Reading::Idle | Reading::Head => limits.pipeline_bytes.max(Head::largest(limits) + 1),
            Reading::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).saturating_add(limits.pipeline_bytes),
            Reading::Done => limits.pipeline_bytes,
            Reading::Chunked(_) | Reading::Switched | Reading::Over => usize::MAX,
        }
    }

    /// Whether no more input will be read. This is so after the last response, an error, a timeout
    /// of the input, or an end of file. The caller closes the transport when all output is written,
    /// first the sending direction and later the receiving direction (RFC 9112, section 9.6).
    #[inline]
    pub fn is_closing(&self) -> bool {
        matches!(self.reading, Reading::Over)
    }

    /// Whether the connection was kept open after an earlier response.
    #[inline]
    pub(crate) const fn is_reused(&self) -> bool {
        self.reused
    }

    /// The length of the prefix of the current head that will not be searched again. It shows that
    /// the work for a head is linear, even if the head arrives in small pieces.
    pub fn head_scanned(&self) -> usize {
        usize::from(self.scanned)
    }

    /// Makes the owed response, or else the next one, the last response of the connection: it
    /// announces `Connection: close`. If the head of a response has been sent already, the
    /// connection closes after that response without the announcement.
    pub fn close_after_response(&mut self) {
        self.close = true;
    }
}

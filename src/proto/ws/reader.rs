//! The input side of one WebSocket (RFC 6455, sections 5.2 to 5.5 and 6.2).
//!
//! Owns the rules between frames, and the bytes of a message or control frame that is not complete.
//! Leaves the input buffer to the caller. A message that is whole in the input is borrowed from the
//! input. Only a message or control frame that arrives in parts costs memory.

use std::ops::Range;

use super::super::{Outbox, ProtocolLimits, RemoteError};
use super::assembler::{Assembler, check_size};
use super::event::{Event, Message, Next};
use super::frame::{FrameHead, Opcode};
#[cfg(feature = "deflate")]
use super::inflate::Inflation;
use super::short::ShortMessage;
use super::writer::Writer;
use super::{close, mask};

/// Reads frames and returns events.
///
/// See [`Conn`](super::Conn) for an example.
#[derive(Debug, Default)]
pub struct Reader {
    state: State,
}

/// The state between two calls.
///
/// ```text
///         part of a frame, or a fragment
///   Idle --------------------------------> Partial
///    | ^                                    |   |
///    | +------------------------------------+   |
///    |   call after the event that ended it     |
///    |                                          |
///    +----------> Finished <--------------------+
///       error, or call after the peer's close frame
/// ```
#[derive(Debug)]
enum State {
    /// Between messages. This state owns no memory.
    Idle {
        /// The size of the last data frame of more than 125 bytes, with its head, if it was
        /// [large](LARGE_BYTES). Otherwise 0. Shorter frames take a way of their own.
        large_bytes: u32,
    },
    /// Inside a message or a frame, or after the event that ended it, because the event still
    /// borrows the payload.
    Partial(Box<Partial>),
    /// All input is consumed and ignored.
    Finished,
}

impl Default for State {
    fn default() -> Self {
        Self::IDLE
    }
}

impl State {
    const IDLE: Self = Self::Idle { large_bytes: 0 };
}

/// From this size on, a frame is large: its payload costs more than a read.
const LARGE_BYTES: u64 = 8 * 1024;

#[derive(Debug, Default)]
struct Partial {
    /// As [`State::Idle`] has it, for the newest data frame.
    large_bytes: u32,
    /// The frame whose head was consumed and whose payload is not complete.
    frame: Option<OpenFrame>,
    message: Assembler,
    /// The payload of a control frame that arrives in parts, at most 125 bytes.
    control: Vec<u8>,
    /// Set while a compressed message arrives.
    #[cfg(feature = "deflate")]
    inflation: Option<Inflation>,
}

#[derive(Clone, Copy, Debug)]
struct OpenFrame {
    fin: bool,
    opcode: Opcode,
    key: [u8; 4],
    /// The number of consumed payload bytes modulo 4, which selects the next byte of the key.
    offset: u8,
    /// The number of payload bytes to come.
    remaining: u64,
}

/// An event that does not borrow its payload yet, but says where the payload is.
enum Step {
    NeedData,
    /// A whole data frame in the input.
    Whole(Opcode, Range<usize>),
    /// The assembler's message.
    Assembled,
    /// A whole control frame in the input.
    Control(Opcode, Range<usize>),
    /// A control frame that came in parts.
    AssembledControl(Opcode),
}

impl Reader {
    /// A reader at the first byte after the opening handshake.
    pub const fn new() -> Self {
        Self { state: State::IDLE }
    }

    /// Returns the next event in `input`, and the number of consumed bytes.
    ///
    /// Pongs and the answer to a close frame are sent through `writer` at once. The event borrows
    /// from `input`, where payloads are unmasked in place, or from this reader. The memory of a
    /// message that was assembled in this reader is freed by the next call, so call this function
    /// until it returns [`Next::NeedData`].
    ///
    /// After an error, and after the peer's close frame, all input is consumed and ignored. After
    /// this side's close frame ([`Writer::close_sent`]), all frames except the peer's close frame
    /// are ignored.
    #[inline]
    pub fn next_event<'a>(
        &'a mut self,
        input: &'a mut [u8],
        writer: &mut Writer,
        out: &mut Outbox,
        limits: &ProtocolLimits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        // The fast path: a short whole message needs no state and no general decoding.
        if self.takes_short(writer)
            && let Some(short) = ShortMessage::at_front(input, limits)
        {
            let message = short.take(input).inspect_err(|_| self.finish())?;
            return Ok((short.len(), Next::Event(Event::Message(message))));
        }
        self.next_event_of_any_kind(input, writer, out, limits)
    }

    /// Whether [`ShortMessage`] messages can be taken from the input without this reader, until the
    /// writer begins to close.
    #[inline(always)]
    pub(crate) const fn takes_short(&self, writer: &Writer) -> bool {
        matches!(self.state, State::Idle { .. }) && !writer.is_closing()
    }

    /// From now on, all input is consumed and ignored, because a message broke a rule.
    pub(crate) fn finish(&mut self) {
        self.state = State::Finished;
    }

    /// Frees the memory of a message that was returned as an event. The next call of
    /// [`next_event`](Self::next_event) does the same. Use this function if there is no input for
    /// such a call.
    #[inline]
    pub fn release(&mut self) {
        if let State::Partial(partial) = &self.state
            && partial.frame.is_none()
            && !partial.message.is_open()
        {
            self.state = State::Idle { large_bytes: partial.large_bytes };
        }
    }

    /// The number of bytes of memory that this reader owns for an incomplete message or frame. It
    /// is 0 between messages. While a compressed message arrives, its inflater takes up to 50 KiB
    /// in addition.
    pub fn capacity(&self) -> usize {
        match &self.state {
            State::Partial(partial) => size_of::<Partial>() + partial.message.capacity() + partial.control.capacity(),
            State::Idle { .. } | State::Finished => 0,
        }
    }

    /// The size of the last data frame of more than 125 bytes, with its head, if it was large (8
    /// KiB). Otherwise 0.
    #[inline]
    pub(crate) const fn large_frame_bytes(&self) -> usize {
        match &self.state {
            State::Idle { large_bytes } => *large_bytes as usize,
            State::Partial(partial) => partial.large_bytes as usize,
            State::Finished => 0,
        }
    }

    /// How many bytes to read at once into a room of this size, so that the input ends where a
    /// frame ends. After a large frame, further ones of its size are expected: a peer often sends
    /// its messages in equal parts. This saves the assembly of one message in each read, which is
    /// three copies of up to its size.
    #[inline]
    pub(crate) fn fit_read(&self, room: usize) -> usize {
        let unit = self.large_frame_bytes();
        if unit == 0 {
            return room;
        }
        let rest = if let State::Partial(partial) = &self.state { partial.rest_bytes() } else { 0 };
        match room.checked_sub(rest) {
            Some(behind) if rest > 0 || behind >= unit => rest + behind / unit * unit,
            _ => room,
        }
    }

    fn next_event_of_any_kind<'a>(
        &'a mut self,
        input: &'a mut [u8],
        writer: &mut Writer,
        out: &mut Outbox,
        limits: &ProtocolLimits,
    ) -> Result<(usize, Next<'a>), RemoteError> {
        // The event of the previous call no longer borrows the message.
        self.release();
        if writer.close_received() || matches!(self.state, State::Finished) {
            self.state = State::Finished;
            return Ok((input.len(), Next::NeedData));
        }
        let mut used = 0;
        match self.step(input, &mut used, writer, out, limits) {
            Ok(Step::NeedData) => {
                // Ignored frames can leave a state that holds no message.
                self.release();
                Ok((used, Next::NeedData))
            }
            Ok(step) => Ok((used, self.event(step, input)?)),
            Err(error) => {
                self.state = State::Finished;
                Err(error)
            }
        }
    }

    /// Borrows the payload of an event. Text that is whole in the input is validated here.
    #[inline]
    fn event<'a>(&'a mut self, step: Step, input: &'a [u8]) -> Result<Next<'a>, RemoteError> {
        let (opcode, payload) = match step {
            Step::Whole(Opcode::Text, payload) => {
                let Ok(text) = std::str::from_utf8(&input[payload]) else {
                    self.state = State::Finished;
                    return Err(RemoteError::InvalidUtf8);
                };
                return Ok(Next::Event(Event::Message(Message::Text(text))));
            }
            Step::Whole(_, payload) => return Ok(Next::Event(Event::Message(Message::Binary(&input[payload])))),
            Step::Control(opcode, payload) => (opcode, &input[payload]),
            Step::Assembled => return Ok(Next::Event(Event::Message(self.partial().message.message()))),
            Step::AssembledControl(opcode) => (opcode, &self.partial().control[..]),
            Step::NeedData => return Ok(Next::NeedData),
        };
        Ok(Next::Event(control_event(opcode, payload)))
    }

    fn partial(&mut self) -> &mut Partial {
        if !matches!(self.state, State::Partial(_)) {
            self.state = State::Partial(Box::default());
        }
        match &mut self.state {
            State::Partial(partial) => partial,
            State::Idle { .. } | State::Finished => unreachable!("it was made just now"),
        }
    }

    /// Consumes frames until a frame completes an event.
    fn step(
        &mut self,
        input: &mut [u8],
        used: &mut usize,
        writer: &mut Writer,
        out: &mut Outbox,
        limits: &ProtocolLimits,
    ) -> Result<Step, RemoteError> {
        loop {
            if let State::Partial(partial) = &mut self.state
                && partial.frame.is_some()
            {
                let Some(ended) = partial.feed(&mut input[*used..], used, writer.is_closing())? else { return Ok(Step::NeedData) };
                if let Some(step) = partial.end(ended, writer, out)? {
                    return Ok(step);
                }
                continue;
            }
            let Some((head_len, head)) = decode(&input[*used..], writer)? else { return Ok(Step::NeedData) };
            *used += head_len;
            if let Some(step) = self.begin(head_len, &head, input, used, writer, out, limits)? {
                return Ok(step);
            }
        }
    }

    /// Takes a frame that is whole in the input, or remembers that its payload is to come. A data
    /// frame that needs assembly always takes the second way, even if it is whole.
    #[expect(clippy::too_many_arguments, reason = "the input with the position in it, and the output with its limits")]
    fn begin(
        &mut self,
        head_len: usize,
        head: &FrameHead,
        input: &mut [u8],
        used: &mut usize,
        writer: &mut Writer,
        out: &mut Outbox,
        limits: &ProtocolLimits,
    ) -> Result<Option<Step>, RemoteError> {
        let key = head.mask.expect("client frames are masked");
        let payload = usize::try_from(head.payload_len).ok().and_then(|len| Some(*used..used.checked_add(len)?));
        let whole = payload.filter(|payload| payload.end <= input.len());
        if is_ignored(head.opcode, writer.is_closing()) {
            // After this side's close frame, the order of fragments does not matter either.
        } else if head.opcode.is_control() {
            if let Some(payload) = whole {
                *used = payload.end;
                mask::apply(key, 0, &mut input[payload.clone()]);
                answer(head.opcode, &input[payload.clone()], writer, out)?;
                return Ok(Some(Step::Control(head.opcode, payload)));
            }
            self.partial().control.clear();
        } else if let State::Idle { large_bytes } = &mut self.state
            && head.fin
            && head.opcode != Opcode::Continuation
            && !head.compressed
            && whole.is_some()
        {
            check_size(head.payload_len, limits)?;
            *large_bytes = large(head_len, head);
            // An unfragmented message that is whole in the input is borrowed, not copied.
            return Ok(whole.map(|payload| {
                *used = payload.end;
                mask::apply(key, 0, &mut input[payload.clone()]);
                Step::Whole(head.opcode, payload)
            }));
        } else {
            let partial = self.partial();
            partial.admit(head, writer, limits)?;
            partial.large_bytes = large(head_len, head);
        }
        self.partial().frame = Some(OpenFrame { fin: head.fin, opcode: head.opcode, key, offset: 0, remaining: head.payload_len });
        Ok(None)
    }
}

/// What the state keeps of the size of a data frame.
fn large(head_len: usize, head: &FrameHead) -> u32 {
    match head.payload_len {
        LARGE_BYTES.. => u32::try_from(head.payload_len + head_len as u64).unwrap_or(0),
        _ => 0,
    }
}

impl Partial {
    /// The number of bytes until the open frame ends.
    fn rest_bytes(&self) -> usize {
        self.frame.map_or(0, |frame| usize::try_from(frame.remaining).unwrap_or(usize::MAX))
    }

    /// Takes the head of a data frame, which begins or continues a message.
    fn admit(&mut self, head: &FrameHead, writer: &mut Writer, limits: &ProtocolLimits) -> Result<(), RemoteError> {
        #[cfg(feature = "deflate")]
        if head.compressed && !self.message.is_open() {
            self.inflation = writer.take_inflater().map(|inflater| Inflation::new(inflater, limits));
        }
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &mut self.inflation {
            return inflation.admit(head, &mut self.message, limits);
        }
        let _ = writer;
        self.message.admit(head.opcode, head.payload_len, limits)
    }

    /// Adds unmasked payload to the message, as [`Assembler::append`] does.
    fn append(&mut self, payload: &[u8], announced: Option<u64>) -> Result<(), RemoteError> {
        #[cfg(feature = "deflate")]
        if let Some(inflation) = &mut self.inflation {
            return inflation.append(payload, &mut self.message);
        }
        self.message.append(payload, announced)
    }

    /// Consumes payload of the open frame, and returns the frame when its payload is complete.
    fn feed(&mut self, input: &mut [u8], used: &mut usize, is_closing: bool) -> Result<Option<OpenFrame>, RemoteError> {
        let frame = self.frame.as_mut().expect("a frame is open");
        let len = usize::try_from(frame.remaining).map_or(input.len(), |remaining| remaining.min(input.len()));
        let payload = &mut input[..len];
        *used += len;
        let OpenFrame { fin, opcode, key, offset, remaining } = *frame;
        frame.offset = (usize::from(offset) + len) as u8 & 3;
        frame.remaining -= len as u64;
        if !is_ignored(opcode, is_closing) {
            mask::apply(key, usize::from(offset), payload);
            if opcode.is_control() {
                self.control.extend_from_slice(payload);
            } else {
                self.append(payload, fin.then_some(remaining))?;
            }
        }
        Ok(self.frame.take_if(|frame| frame.remaining == 0))
    }

    /// Handles a completed frame. Returns an event if the frame completes one.
    fn end(&mut self, frame: OpenFrame, writer: &mut Writer, out: &mut Outbox) -> Result<Option<Step>, RemoteError> {
        if is_ignored(frame.opcode, writer.is_closing()) {
            *self = Self::default();
            return Ok(None);
        }
        if frame.opcode.is_control() {
            answer(frame.opcode, &self.control, writer, out)?;
            return Ok(Some(Step::AssembledControl(frame.opcode)));
        }
        if !frame.fin {
            return Ok(None);
        }
        #[cfg(feature = "deflate")]
        if let Some(inflation) = self.inflation.take() {
            writer.keep_inflater(inflation.finish(&mut self.message)?);
        }
        self.message.finish()?;
        Ok(Some(Step::Assembled))
    }
}

/// Decodes the head of a frame. A compressed message is an error unless the handshake has agreed on
/// compression.
#[inline]
fn decode(input: &[u8], writer: &Writer) -> Result<Option<(usize, FrameHead)>, RemoteError> {
    #[cfg(feature = "deflate")]
    if writer.agreement().is_some() {
        return FrameHead::decode_compressed_client(input);
    }
    let _ = writer;
    FrameHead::decode_client(input)
}

/// After this side's close frame, all frames except the peer's close frame are ignored (RFC 6455,
/// section 5.5.1).
const fn is_ignored(opcode: Opcode, is_closing: bool) -> bool {
    is_closing && !matches!(opcode, Opcode::Close)
}

/// Sends the answer that the protocol requires for a control frame.
fn answer(opcode: Opcode, payload: &[u8], writer: &mut Writer, out: &mut Outbox) -> Result<(), RemoteError> {
    match opcode {
        Opcode::Ping => writer.answer_ping(payload, out),
        Opcode::Close => writer.answer_close(close::decode(payload)?.0, out),
        _ => {}
    }
    Ok(())
}

fn control_event(opcode: Opcode, payload: &[u8]) -> Event<'_> {
    match opcode {
        Opcode::Ping => Event::Ping(payload),
        Opcode::Close => {
            let (code, reason) = close::decode(payload).expect("it was decoded to be answered");
            Event::Close { code, reason }
        }
        _ => Event::Pong(payload),
    }
}

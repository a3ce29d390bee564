//! The inflation of compressed messages (RFC 7692, section 7.2.2).
//!
//! Owns the inflater of a message that is arriving, or of a connection whose client keeps its
//! window, and the limits of a compressed message. Leaves the inflated bytes to
//! [`Assembler`](super::assembler::Assembler), which gets them in steps of at most 4 KiB and
//! refuses those beyond the limit. So no input costs more memory than the window, one step and the
//! limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::super::{ProtocolLimits, RemoteError};
use super::assembler::Assembler;
use super::deflate::TAIL;
use super::extension::Agreement;
use super::frame::FrameHead;
use super::pool::Pool;

/// The largest number of bytes that come out at once. They are on the stack.
const STEP_BYTES: usize = 4 * 1024;

/// A final block without data. It is whole only if everything before it is whole.
const END: [u8; 5] = [0x01, 0x00, 0x00, 0xFF, 0xFF];

/// The inflaters that no message uses. Their window has the largest size.
static UNUSED: Pool<Box<Inflater>> = Pool::new();

/// An inflater with its window.
#[derive(Debug)]
pub(super) struct Inflater {
    inflate: Decompress,
    /// Nothing has come since the beginning, or since a block that says that it is the last one.
    is_at_start: bool,
    keeps_window: bool,
}

impl Inflater {
    /// An inflater with an empty window.
    pub(super) fn new(agreement: Agreement) -> Box<Self> {
        // A window that lives no longer than its message has the largest size. Then data that
        // refers to bytes beyond the agreed window has the same result however it is split. A
        // window that is kept has the agreed size, because it takes memory on an idle connection. A
        // client window of 8 bits is part of one of 9 bits, the smallest one of the inflater.
        if agreement.client_context_takeover() {
            return Box::new(Self::with_bits(agreement.client_window_bits().max(9), true));
        }
        UNUSED.take(|_| true).unwrap_or_else(|| Box::new(Self::with_bits(15, false)))
    }

    fn with_bits(bits: u8, keeps_window: bool) -> Self {
        Self { inflate: Decompress::new_with_window_bits(false, bits), is_at_start: true, keeps_window }
    }

    /// Takes back an inflater after a message, for a message of any connection.
    pub(super) fn give_back(mut self: Box<Self>) {
        if !self.is_at_start {
            self.inflate.reset(false);
            self.is_at_start = true;
        }
        UNUSED.give(self);
    }

    /// Inflates the next part of a message.
    fn inflate(&mut self, mut input: &[u8], message: &mut Assembler, limit_bytes: usize) -> Result<(), RemoteError> {
        let mut step = [0; STEP_BYTES];
        loop {
            let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
            let status = self.inflate.decompress(input, &mut step, FlushDecompress::None);
            let used = (self.inflate.total_in() - before_in) as usize;
            let made = (self.inflate.total_out() - before_out) as usize;
            self.is_at_start &= used == 0;
            input = &input[used..];
            // The bytes before a mistake come first, so that the result does not depend on how the
            // input was split.
            message.append_inflated(&step[..made], limit_bytes)?;
            match status.map_err(|_| RemoteError::BadCompression)? {
                // A block can say that it is the last one (RFC 7692, section 7.2.3.4). What follows
                // is a new stream with an empty window.
                Status::StreamEnd => {
                    self.inflate.reset(false);
                    self.is_at_start = true;
                    if input.is_empty() {
                        return Ok(());
                    }
                }
                // A full step may have more behind it.
                _ if made == STEP_BYTES => {}
                _ if input.is_empty() => return Ok(()),
                _ if used == 0 && made == 0 => return Err(RemoteError::BadCompression),
                _ => {}
            }
        }
    }

    /// Ends the message: "Append 4 octets of 0x00 0x00 0xff 0xff to the tail end of the payload of
    /// the message." (RFC 7692, section 7.2.2)
    ///
    /// A complete message ends in the head of an empty block, so that nothing comes out of these
    /// bytes. If they are something else, the message is incomplete. Without context takeover, a
    /// final block must be possible as well.
    fn finish(&mut self, message: &mut Assembler) -> Result<(), RemoteError> {
        // The last block of the message has ended its stream.
        if self.is_at_start {
            return Ok(());
        }
        // Nothing more may come out.
        let limit_bytes = message.len();
        let at_end = self.inflate(&TAIL, message, limit_bytes);
        let at_end = if self.keeps_window { at_end } else { at_end.and_then(|()| self.inflate(&END, message, limit_bytes)) };
        if at_end.is_ok() && (self.keeps_window || self.is_at_start) { Ok(()) } else { Err(RemoteError::BadCompression) }
    }
}

/// The compressed side of a message that arrives.
#[derive(Debug)]
pub(super) struct Inflation {
    inflater: Box<Inflater>,
    /// The announced bytes of all frames so far.
    compressed_bytes: u64,
    /// The largest size of the inflated message.
    limit_bytes: usize,
}

impl Inflation {
    pub(super) const fn new(inflater: Box<Inflater>, limits: &ProtocolLimits) -> Self {
        Self { inflater, compressed_bytes: 0, limit_bytes: limits.message_bytes }
    }

    /// Takes the head of a frame of the message. The limit of a message counts its inflated bytes.
    /// The compressed bytes may be twice as many and 1 KiB more, because data that cannot be
    /// compressed grows by a few bytes for each block.
    pub(super) fn admit(&mut self, head: &FrameHead, message: &mut Assembler, limits: &ProtocolLimits) -> Result<(), RemoteError> {
        message.admit(head.opcode, 0, limits)?;
        self.compressed_bytes = self.compressed_bytes.saturating_add(head.payload_len);
        let limit = (self.limit_bytes as u64).saturating_mul(2).saturating_add(1024);
        if self.compressed_bytes > limit { Err(RemoteError::MessageTooLarge) } else { Ok(()) }
    }

    /// Inflates payload into the message.
    pub(super) fn append(&mut self, payload: &[u8], message: &mut Assembler) -> Result<(), RemoteError> {
        self.inflater.inflate(payload, message, self.limit_bytes)
    }

    /// Completes the message, and returns the inflater for the next one.
    pub(super) fn finish(mut self, message: &mut Assembler) -> Result<Box<Inflater>, RemoteError> {
        self.inflater.finish(message)?;
        Ok(self.inflater)
    }
}

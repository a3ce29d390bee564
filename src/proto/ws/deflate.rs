//! The compression of messages (RFC 7692, section 7.2.1).
//!
//! Owns the compressed payload of a message, the compressor of a connection that keeps its window,
//! and the compressed forms that the connections of one frame share. Leaves frame heads to
//! [`Writer`](super::Writer) and [`Frame`](crate::proto::Frame), and the parameters to `extension`.
//!
//! Without context takeover, a compressor is made for one message and freed with it. That costs 2.5
//! us more than to reset one that was kept, beside 5 to 20 us for the compression of 64 bytes to 4
//! KiB, so no compressor is kept.

use std::sync::{Arc, OnceLock};

use flate2::{Compress, Compression, FlushCompress};

use super::extension::Agreement;
use super::frame::{FrameHead, Opcode};

/// The end of a flushed block, which a message leaves out: "Remove 4 octets (that are 0x00 0x00 0xff
/// 0xff) from the tail end." (RFC 7692, section 7.2.1)
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// A payload in up to two parts.
type Parts<'a> = [&'a [u8]; 2];

/// A compressor with its window.
#[derive(Debug)]
pub(crate) struct Compressor(Compress);

impl Compressor {
    /// A compressor that is used for all messages of a connection.
    pub(super) fn new(agreement: Agreement) -> Self {
        Self::with_bits(agreement.server_window_bits(), agreement.level())
    }

    fn with_bits(bits: u8, level: u8) -> Self {
        Self(Compress::new_with_window_bits(Compression::new(level.into()), false, bits))
    }

    /// Compresses the payload of one message. Returns `None` if the result is not smaller than the
    /// payload. The window is empty then, because the peer does not see this message compressed.
    pub(super) fn compress(&mut self, parts: Parts<'_>) -> Option<Vec<u8>> {
        let payload_len = parts[0].len() + parts[1].len();
        // With room for so many bytes, a result that fills it is not smaller.
        let mut out = Vec::with_capacity(payload_len + TAIL.len());
        let [first, second] = parts;
        let is_whole =
            (first.is_empty() || self.feed(first, FlushCompress::None, &mut out)) && self.feed(second, FlushCompress::Sync, &mut out);
        if is_whole && out.ends_with(&TAIL) {
            out.truncate(out.len() - TAIL.len());
            return Some(out);
        }
        self.0.reset();
        None
    }

    /// Returns whether the compressor has taken all of the input, and its output has fitted.
    fn feed(&mut self, input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> bool {
        let before = self.0.total_in();
        // An error means that the compressor was used wrongly.
        let is_done = self.0.compress_vec(input, out, flush).is_ok();
        is_done && self.0.total_in() - before == input.len() as u64 && out.len() < out.capacity()
    }
}

/// The window that a message needs, within the agreement. A window that is larger than the message
/// costs time and changes nothing, and with the same window, connections share the same bytes.
fn needed_bits(agreement: Agreement, payload_len: usize) -> u8 {
    let needed = usize::BITS - payload_len.saturating_sub(1).leading_zeros();
    u8::try_from(needed).unwrap_or(u8::MAX).clamp(9, agreement.server_window_bits())
}

/// Compresses a message without a window before or after it.
pub(super) fn compress_alone(agreement: Agreement, parts: Parts<'_>) -> Option<Vec<u8>> {
    let bits = needed_bits(agreement, parts[0].len() + parts[1].len());
    Compressor::with_bits(bits, agreement.level()).compress(parts)
}

/// The compressed forms of one frame, which all of its clones share. A form is made when the first
/// connection needs it.
#[derive(Debug, Default)]
pub(crate) struct Deflated(OnceLock<Box<Form>>);

/// The form for one size of the window, and the forms for others. Nearly all connections need the
/// same one.
#[derive(Debug)]
struct Form {
    bits: u8,
    /// The whole wire form. `None` if it would not be smaller than the plain one.
    wire: Option<Arc<[u8]>>,
    others: Deflated,
}

impl Deflated {
    /// The wire form of a message for connections without context takeover. Returns `None` if the
    /// message is not smaller when it is compressed.
    pub(crate) fn wire(&self, agreement: Agreement, opcode: Opcode, parts: Parts<'_>) -> Option<&Arc<[u8]>> {
        let bits = needed_bits(agreement, parts[0].len() + parts[1].len());
        let mut forms = self;
        loop {
            let make = || Box::new(Form { bits, wire: encode(bits, agreement.level(), opcode, parts), others: Self::default() });
            let form = forms.0.get_or_init(make);
            if form.bits == bits {
                return form.wire.as_ref();
            }
            forms = &form.others;
        }
    }
}

fn encode(bits: u8, level: u8, opcode: Opcode, parts: Parts<'_>) -> Option<Arc<[u8]>> {
    let compressed = Compressor::with_bits(bits, level).compress(parts)?;
    Some([&head(opcode, compressed.len()).encode()[..], &compressed].concat().into())
}

/// The head of a compressed message.
pub(super) const fn head(opcode: Opcode, payload_len: usize) -> FrameHead {
    FrameHead { compressed: true, ..FrameHead::server(opcode, payload_len as u64) }
}

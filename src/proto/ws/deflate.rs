//! The compression of messages (RFC 7692, section 7.2.1).
//!
//! Owns the compressed payload of a message, the compressor of a connection that keeps its window,
//! and the compressed forms that the connections of one frame share. Leaves frame heads to
//! [`Writer`](super::Writer) and [`Frame`](crate::proto::Frame), and the parameters to `extension`.
//!
//! Without context takeover, a compressor is used for one message and goes back to the pool.

use std::sync::{Arc, OnceLock};

use flate2::{Compress, Compression, FlushCompress};

use super::extension::Agreement;
use super::frame::{FrameHead, Opcode};
use super::pool::Pool;

/// The end of a flushed block, which a message leaves out: "Remove 4 octets (that are 0x00 0x00
/// 0xff 0xff) from the tail end." (RFC 7692, section 7.2.1)
pub(super) const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// A payload in up to two parts.
type Parts<'a> = [&'a [u8]; 2];

/// The compressors that no message uses.
static UNUSED: Pool<Compressor> = Pool::new();

/// A compressor with its window.
#[derive(Debug)]
pub(crate) struct Compressor {
    compress: Compress,
    bits: u8,
    level: u8,
}

impl Compressor {
    /// A compressor with an empty window.
    pub(super) fn new(agreement: Agreement) -> Self {
        let (bits, level) = (agreement.server_window_bits(), agreement.level());
        UNUSED.take(|unused| (unused.bits, unused.level) == (bits, level)).unwrap_or_else(|| Self {
            compress: Compress::new_with_window_bits(Compression::new(level.into()), false, bits),
            bits,
            level,
        })
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
        self.compress.reset();
        None
    }

    /// Returns whether the compressor has taken all of the input, and its output has fitted.
    fn feed(&mut self, input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) -> bool {
        let before = self.compress.total_in();
        // An error means that the compressor was used wrongly.
        let is_done = self.compress.compress_vec(input, out, flush).is_ok();
        is_done && self.compress.total_in() - before == input.len() as u64 && out.len() < out.capacity()
    }
}

/// Compresses a message without a window before or after it.
pub(super) fn compress_alone(agreement: Agreement, parts: Parts<'_>) -> Option<Vec<u8>> {
    let mut compressor = Compressor::new(agreement);
    let compressed = compressor.compress(parts);
    compressor.compress.reset();
    UNUSED.give(compressor);
    compressed
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
        let bits = agreement.server_window_bits();
        let mut forms = self;
        loop {
            // Other threads that need the form wait until it is made.
            let make = || Box::new(Form { bits, wire: encode(agreement, opcode, parts), others: Self::default() });
            let form = forms.0.get_or_init(make);
            if form.bits == bits {
                return form.wire.as_ref();
            }
            forms = &form.others;
        }
    }
}

fn encode(agreement: Agreement, opcode: Opcode, parts: Parts<'_>) -> Option<Arc<[u8]>> {
    let compressed = compress_alone(agreement, parts)?;
    Some([&head(opcode, compressed.len()).encode()[..], &compressed].concat().into())
}

/// The head of a compressed message.
pub(super) const fn head(opcode: Opcode, payload_len: usize) -> FrameHead {
    FrameHead { compressed: true, ..FrameHead::server(opcode, payload_len as u64) }
}

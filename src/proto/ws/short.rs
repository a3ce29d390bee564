//! Short messages, which are whole in the input (RFC 6455, section 5.2).
//!
//! Owns the fast way for the frames that nearly all peers send: one masked, unfragmented data frame of
//! at most 125 bytes. Two bytes identify it. Leaves all other frames, and the rules between frames, to
//! [`Reader`](super::Reader).

use super::super::{ProtocolLimits, RemoteError};
use super::event::Message;
use super::mask;

/// The number of bytes in the head of a masked frame with at most 125 bytes of payload.
const HEAD: usize = 6;
const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;

/// A short message at the front of the input.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ShortMessage {
    is_text: bool,
    /// The number of bytes of the frame, at most 131.
    len: usize,
}

impl ShortMessage {
    /// Looks at the front of the input. `None` if it has no short message, or not all of it.
    #[inline(always)]
    pub(crate) fn at_front(input: &[u8], limits: &ProtocolLimits) -> Option<Self> {
        let &[first @ (FINAL_TEXT | FINAL_BINARY), second, ..] = input else { return None };
        // Without the mask bit, the subtraction wraps to more than 125.
        let payload_len = usize::from(second.wrapping_sub(0x80));
        let fits = payload_len <= limits.message_bytes.min(125) && input.len() >= HEAD + payload_len;
        fits.then_some(Self { is_text: first == FINAL_TEXT, len: HEAD + payload_len })
    }

    /// The number of bytes that the frame has.
    #[inline(always)]
    pub(crate) const fn len(self) -> usize {
        self.len
    }

    /// Unmasks the message where it stands. `input` is the input that was looked at.
    #[inline(always)]
    pub(crate) fn take(self, input: &mut [u8]) -> Result<Message<'_>, RemoteError> {
        let key = [input[2], input[3], input[4], input[5]];
        let payload = &mut input[HEAD..self.len];
        mask::apply(key, 0, payload);
        if self.is_text {
            std::str::from_utf8(payload).map(Message::Text).map_err(|_| RemoteError::InvalidUtf8)
        } else {
            Ok(Message::Binary(payload))
        }
    }
}

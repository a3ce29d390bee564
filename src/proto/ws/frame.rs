//! Frame heads (RFC 6455, section 5.2).
//!
//! Owns the two to fourteen bytes before a payload, in both directions. Refuses payloads, and the rules between frames: those are
//! [`Reader`](super::Reader)'s.

use super::super::error::RemoteError;

/// The bit of the first byte that marks a message's last frame.
const FIN: u8 = 0x80;
/// The bits of the first byte that only an extension may set.
const RESERVED: u8 = 0x70;
/// The bit of the second byte that says that a masking key follows.
const MASKED: u8 = 0x80;
/// The second byte's length that says that two bytes of length follow.
const LENGTH_IN_2: u8 = 126;

/// What a frame is (RFC 6455, section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of the message that an earlier frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The close handshake.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of four bits; `None` for the reserved ones, 3 to 7 and B to F.
    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether frames of this opcode may stand between the fragments of a message (RFC 6455, section 5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame's head.
///
/// ```
/// use pushlab::proto::ws::{FrameHead, Opcode};
/// let head = FrameHead::client(Opcode::Text, 5, *b"\x37\xfa\x21\x3d");
/// assert_eq!(*head.encode(), *b"\x81\x85\x37\xfa\x21\x3d");
/// assert_eq!(FrameHead::decode(b"\x81\x85\x37\xfa\x21\x3d and more"), Ok(Some((6, head))));
/// assert_eq!(FrameHead::decode(b"\x81\x85\x37"), Ok(None));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Whether this is the last frame of its message.
    pub fin: bool,
    /// What the frame is.
    pub opcode: Opcode,
    /// Bytes of payload.
    pub payload_len: u64,
    /// The masking key, which every client frame has.
    pub mask: Option<[u8; 4]>,
}

/// A head in its wire form: 2 to 14 bytes.
#[derive(Clone, Copy, Debug)]
pub struct EncodedHead {
    bytes: [u8; 14],
    len: u8,
}

impl std::ops::Deref for EncodedHead {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl FrameHead {
    /// The head of a whole message from a server: final, without a mask.
    pub const fn server(opcode: Opcode, payload_len: u64) -> Self {
        Self { fin: true, opcode, payload_len, mask: None }
    }

    /// The head of a whole message from a client: final, masked. [`mask::apply`](super::mask::apply) does the payload.
    pub const fn client(opcode: Opcode, payload_len: u64, key: [u8; 4]) -> Self {
        Self { fin: true, opcode, payload_len, mask: Some(key) }
    }

    /// The wire form, with the length in its shortest form.
    pub fn encode(&self) -> EncodedHead {
        let mut bytes = [0; 14];
        bytes[0] = u8::from(self.fin) << 7 | self.opcode as u8;
        let mut len = match self.payload_len {
            short @ 0..=125 => {
                bytes[1] = short as u8;
                2
            }
            medium @ 126..=0xFFFF => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&(medium as u16).to_be_bytes());
                4
            }
            long => {
                bytes[1] = 127;
                bytes[2..10].copy_from_slice(&long.to_be_bytes());
                10
            }
        };
        if let Some(key) = self.mask {
            bytes[1] |= MASKED;
            bytes[len..len + 4].copy_from_slice(&key);
            len += 4;
        }
        EncodedHead { bytes, len: len as u8 }
    }

    /// The head at the front of `input` and its length; `None` while bytes of it are missing. Frames of either side are taken.
    ///
    /// A broken rule is an error at the first byte that breaks it, however little of the head is there.
    pub fn decode(input: &[u8]) -> Result<Option<(usize, Self)>, RemoteError> {
        decode(input, false)
    }

    /// Like [`decode`](Self::decode), as a server: "a server MUST close the connection upon receiving a frame that is not masked" (RFC
    /// 6455, section 5.1).
    pub fn decode_client(input: &[u8]) -> Result<Option<(usize, Self)>, RemoteError> {
        decode(input, true)
    }
}

/// Checks in the order of the bytes, so that the error does not depend on how many of them came at once.
#[inline]
fn decode(input: &[u8], must_mask: bool) -> Result<Option<(usize, FrameHead)>, RemoteError> {
    let [first, rest @ ..] = input else { return Ok(None) };
    if first & RESERVED != 0 {
        return Err(RemoteError::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(RemoteError::ReservedOpcode)?;
    let fin = first & FIN != 0;
    // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be fragmented." (RFC 6455, section 5.5)
    if opcode.is_control() && !fin {
        return Err(RemoteError::BadControlFrame);
    }
    let [second, rest @ ..] = rest else { return Ok(None) };
    let masked = second & MASKED != 0;
    if must_mask && !masked {
        return Err(RemoteError::UnmaskedFrame);
    }
    let short = second & !MASKED;
    if opcode.is_control() && short >= LENGTH_IN_2 {
        return Err(RemoteError::BadControlFrame);
    }
    let (length_len, payload_len) = match short {
        ..LENGTH_IN_2 => (0, u64::from(short)),
        LENGTH_IN_2 => {
            let Some(length) = rest.first_chunk() else { return Ok(None) };
            (2, u64::from(medium(*length)?))
        }
        _ => {
            let Some(length) = long(rest)? else { return Ok(None) };
            (8, length)
        }
    };
    let mask = match rest[length_len..].first_chunk() {
        _ if !masked => None,
        None => return Ok(None),
        key => key.copied(),
    };
    let head_len = 2 + length_len + if masked { 4 } else { 0 };
    Ok(Some((head_len, FrameHead { fin, opcode, payload_len, mask })))
}

/// "In all cases, the minimal number of bytes MUST be used to encode the length." (RFC 6455, section 5.2)
fn medium(length: [u8; 2]) -> Result<u16, RemoteError> {
    let length = u16::from_be_bytes(length);
    if length < u16::from(LENGTH_IN_2) { Err(RemoteError::BadPayloadLength) } else { Ok(length) }
}

/// The eight-byte form: "the most significant bit MUST be 0", and none that two bytes could have said.
fn long(rest: &[u8]) -> Result<Option<u64>, RemoteError> {
    if rest.first().is_some_and(|byte| byte & 0x80 != 0) || rest.starts_with(&[0; 6]) {
        return Err(RemoteError::BadPayloadLength);
    }
    Ok(rest.first_chunk().map(|length| u64::from_be_bytes(*length)))
}

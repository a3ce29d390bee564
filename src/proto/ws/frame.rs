//! Frame heads (RFC 6455, section 5.2).
//!
//! Owns the encoding and decoding of the 2 to 14 bytes before a payload, in both directions. Leaves
//! payloads, and the rules between frames, to [`Reader`](super::Reader).

use super::super::error::RemoteError;

/// The bit of the first byte that marks the last frame of a message.
const FIN: u8 = 0x80;
/// The bits of the first byte that are reserved for extensions.
const RESERVED: u8 = 0x70;
/// The reserved bit that marks a compressed message, RSV1 (RFC 7692, section 6).
const COMPRESSED: u8 = 0x40;
/// The bit of the second byte that announces a masking key.
const MASKED: u8 = 0x80;
/// The length in the second byte that announces two more bytes of length.
const LENGTH_IN_2: u8 = 126;

/// The type of a frame (RFC 6455, section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// The continuation of a message that an earlier frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// A frame of the closing handshake.
    Close = 0x8,
    /// A request for a pong.
    Ping = 0x9,
    /// The answer to a ping, or a heartbeat that nothing answers (RFC 6455, section 5.5.3).
    Pong = 0xA,
}

impl Opcode {
    /// The opcode with these four bits. It is `None` for the reserved opcodes 3 to 7 and B to F.
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

    /// Whether this is the opcode of a control frame. Control frames may be between the fragments
    /// of a message (RFC 6455, section 5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// The head of a frame.
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
    /// The type of the frame.
    pub opcode: Opcode,
    /// Whether the message that begins with this frame is compressed (RFC 7692, section 6). Only
    /// a reader whose WebSocket has negotiated compression accepts this bit.
    pub compressed: bool,
    /// The number of bytes of payload.
    pub payload_len: u64,
    /// The masking key. Each client frame has one.
    pub mask: Option<[u8; 4]>,
}

/// A head in its wire form, 2 to 14 bytes.
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
    /// The head of a whole message from a server: it is final and has no mask.
    pub const fn server(opcode: Opcode, payload_len: u64) -> Self {
        Self { fin: true, opcode, compressed: false, payload_len, mask: None }
    }

    /// The head of a whole message from a client: it is final and masked.
    /// [`mask::apply`](super::mask::apply) masks the payload.
    pub const fn client(opcode: Opcode, payload_len: u64, key: [u8; 4]) -> Self {
        Self { fin: true, opcode, compressed: false, payload_len, mask: Some(key) }
    }

    /// The wire form. The length is encoded in its shortest form.
    pub fn encode(&self) -> EncodedHead {
        let mut bytes = [0; 14];
        bytes[0] = u8::from(self.fin) << 7 | u8::from(self.compressed) << 6 | self.opcode as u8;
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

    /// Decodes the head at the front of `input`, and returns its length and the head. Returns
    /// `None` while bytes of the head are missing. Accepts frames of both sides.
    ///
    /// A broken rule is reported at the first byte that breaks it, even if the head is not
    /// complete.
    pub fn decode(input: &[u8]) -> Result<Option<(usize, Self)>, RemoteError> {
        decode(input, false, 0)
    }

    /// Like [`decode`](Self::decode), but requires a mask: "a server MUST close the connection upon
    /// receiving a frame that is not masked" (RFC 6455, section 5.1).
    pub fn decode_client(input: &[u8]) -> Result<Option<(usize, Self)>, RemoteError> {
        decode(input, true, 0)
    }

    /// Like [`decode_client`](Self::decode_client), for a WebSocket that has negotiated compression
    /// (RFC 7692, section 6): RSV1 is allowed on the first frame of a message. It is an error on
    /// control frames and on continuations (sections 6.1 and 6.2).
    #[cfg(feature = "deflate")]
    pub fn decode_compressed_client(input: &[u8]) -> Result<Option<(usize, Self)>, RemoteError> {
        let begins_message = matches!(input, [first, ..] if matches!(first & 0x0F, 0x1 | 0x2));
        decode(input, true, if begins_message { COMPRESSED } else { 0 })
    }
}

/// Decodes a head. `allowed` are the reserved bits that have a meaning here.
///
/// Checks the bytes in their order, so that the error does not depend on how many bytes arrive at
/// once.
#[inline]
fn decode(input: &[u8], must_mask: bool, allowed: u8) -> Result<Option<(usize, FrameHead)>, RemoteError> {
    let [first, rest @ ..] = input else { return Ok(None) };
    if first & RESERVED & !allowed != 0 {
        return Err(RemoteError::ReservedBits);
    }
    let opcode = Opcode::from_bits(first & 0x0F).ok_or(RemoteError::ReservedOpcode)?;
    let fin = first & FIN != 0;
    // "All control frames MUST have a payload length of 125 bytes or less and MUST NOT be
    // fragmented." (RFC 6455, section 5.5)
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
    Ok(Some((head_len, FrameHead { fin, opcode, compressed: first & COMPRESSED != 0, payload_len, mask })))
}

/// "In all cases, the minimal number of bytes MUST be used to encode the length." (RFC 6455,
/// section 5.2)
fn medium(length: [u8; 2]) -> Result<u16, RemoteError> {
    let length = u16::from_be_bytes(length);
    if length < u16::from(LENGTH_IN_2) { Err(RemoteError::BadPayloadLength) } else { Ok(length) }
}

/// Decodes the eight-byte length: "the most significant bit MUST be 0", and the length must need
/// more than two bytes.
fn long(rest: &[u8]) -> Result<Option<u64>, RemoteError> {
    if rest.first().is_some_and(|byte| byte & 0x80 != 0) || rest.starts_with(&[0; 6]) {
        return Err(RemoteError::BadPayloadLength);
    }
    Ok(rest.first_chunk().map(|length| u64::from_be_bytes(*length)))
}

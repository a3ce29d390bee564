//! Frame heads (RFC 6455, section 5.2).

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

/// A frame's head.
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
            bytes[1] |= 0x80;
            bytes[len..len + 4].copy_from_slice(&key);
            len += 4;
        }
        EncodedHead { bytes, len: len as u8 }
    }
}

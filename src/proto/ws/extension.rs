//! The negotiation of permessage-deflate in the opening handshake (RFC 7692, sections 5 and 7.1).
//!
//! Owns the configuration of a server, the parameters of an offer, and the answer to an offer.
//! Leaves the grammar of the lists to `lists`, and the compression to `deflate` and `inflate`.
//! Without the cargo feature `deflate`, no configuration exists, so every offer is declined.

#[cfg(feature = "deflate")]
pub use on::{Agreement, Deflate};

#[cfg(feature = "deflate")]
mod on {
    use std::num::NonZeroU8;

    use super::super::lists::{elements, parameters, unquoted};

    /// The name of the extension.
    const NAME: &[u8] = b"permessage-deflate";
    /// The window of a side that negotiates none: 32 KiB.
    const LARGEST_BITS: u8 = 15;
    /// The smallest window that the compressor has: 512 bytes. zlib uses it even if 8 bits, 256
    /// bytes, are asked for.
    const SMALLEST_BITS: u8 = 9;

    /// The configuration of permessage-deflate (RFC 7692) for the `WebSockets` of a server.
    ///
    /// The extension is used if the client offers it. By default no side keeps its window from one
    /// message to the next (`server_no_context_takeover; client_no_context_takeover`). Then an idle
    /// connection keeps no memory for the extension, and one compressed message can be sent to many
    /// connections.
    ///
    /// A compressed message of a client is inflated in steps. A message that inflates to more than
    /// [`ProtocolLimits::message_bytes`](crate::proto::ProtocolLimits::message_bytes) gets close
    /// code 1009, and takes no more memory than that limit. One whose data is corrupt gets 1007.
    ///
    /// Without the cargo feature `deflate`, this type has no values, so that the fields of this
    /// type exist in every build.
    ///
    /// ```
    /// use pushlab::Deflate;
    /// // For a few connections with many similar messages: a smaller window that is kept.
    /// let (server_context_takeover, server_max_window_bits) = (true, 11);
    /// let deflate =
    ///     Deflate { server_context_takeover, server_max_window_bits, ..Deflate::default() };
    /// assert_eq!((deflate.level, deflate.threshold_bytes), (6, 256));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Deflate {
        /// The effort of the compressor, from 0 (none) to 9. Values above 9 count as 9. Default 6
        /// (zlib's default).
        pub level: u8,
        /// Messages with fewer bytes of payload are sent without compression. Default 256: JSON of
        /// this size shrinks to less than a half for 6 us of processor time. Values above 65,535
        /// count as 65,535.
        pub threshold_bytes: usize,
        /// Whether this server keeps the window of its compressor between messages, unless the
        /// client offers `server_no_context_takeover`. Similar messages then shrink more. The
        /// connection keeps its compressor, of 190 KB (9 bits) to 320 KB (15 bits), and
        /// compresses each message for itself alone. Default `false`.
        pub server_context_takeover: bool,
        /// Whether the client may keep the window of its compressor between messages. The
        /// connection then keeps an inflater of 19 KB (9 bits) to 52 KB (15 bits). Default `false`.
        pub client_context_takeover: bool,
        /// The largest window of this server's compressor, as the base-2 logarithm of its bytes:
        /// from 9 to 15. Other values count as the nearest of these. Default 15. A client may ask
        /// for a smaller one. An offer with `server_max_window_bits=8` is declined, because the
        /// compressor has no window of 256 bytes.
        pub server_max_window_bits: u8,
        /// The largest window of the client's compressor, from 9 to 15. Other values count as the
        /// nearest of these. Default 15. A client whose offer has no `client_max_window_bits`
        /// cannot be told (RFC 7692, section 7.1.2.2), and uses up to 15.
        pub client_max_window_bits: u8,
    }

    impl Default for Deflate {
        fn default() -> Self {
            Self {
                level: 6,
                threshold_bytes: 256,
                server_context_takeover: false,
                client_context_takeover: false,
                server_max_window_bits: LARGEST_BITS,
                client_max_window_bits: LARGEST_BITS,
            }
        }
    }

    /// Facts of an agreement, one bit each: a WebSocket keeps its agreement in six bytes.
    const SERVER_TAKEOVER: u8 = 1;
    const CLIENT_TAKEOVER: u8 = 2;
    /// The answer has `server_max_window_bits`.
    const NAMES_SERVER_BITS: u8 = 4;

    /// What both sides of one WebSocket have agreed on (RFC 7692, section 5), and the server's own
    /// choices of level and threshold.
    ///
    /// ```
    /// use pushlab::Deflate;
    /// let offer = &b"permessage-deflate; client_max_window_bits"[..];
    /// let agreement = Deflate::default().agree([offer]).expect("a valid offer").to_string();
    /// assert!(agreement.starts_with("permessage-deflate; server_no_context_takeover"));
    /// assert!(agreement.ends_with("; client_no_context_takeover"));
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Agreement {
        level: u8,
        /// Not zero, so that an `Option` of an agreement takes no further byte.
        server_bits: NonZeroU8,
        client_bits: u8,
        flags: u8,
        threshold_bytes: u16,
    }

    impl Deflate {
        /// Answers the first acceptable offer of the extension. `values` are the values of all
        /// `Sec-WebSocket-Extensions` fields, in order. Returns `None` if there is no acceptable
        /// offer: the WebSocket is then opened without the extension.
        ///
        /// "A server MUST decline an extension negotiation offer for this extension" if it has an
        /// unknown parameter, an invalid value or a repeated parameter (RFC 7692, section 7.1).
        pub fn agree<'a>(&self, values: impl IntoIterator<Item = &'a [u8]>) -> Option<Agreement> {
            values.into_iter().flat_map(elements).filter_map(Offer::parse).find_map(|offer| self.accept(offer))
        }

        fn accept(&self, offer: Offer) -> Option<Agreement> {
            let allowed = |bits: u8| bits.clamp(SMALLEST_BITS, LARGEST_BITS);
            let server_bits = allowed(self.server_max_window_bits).min(offer.server_max_window_bits.unwrap_or(LARGEST_BITS));
            if server_bits < SMALLEST_BITS {
                return None;
            }
            // "If a received extension negotiation offer doesn't have the "client_max_window_bits"
            // extension parameter, the corresponding extension negotiation response to the offer
            // MUST NOT include" it (RFC 7692, section 7.1.2.2).
            let client_bits = match offer.client_max_window_bits {
                ClientBits::Missing => LARGEST_BITS,
                ClientBits::Any => allowed(self.client_max_window_bits),
                ClientBits::AtMost(bits) => allowed(self.client_max_window_bits).min(bits),
            };
            let server_takeover = self.server_context_takeover && !offer.server_no_context_takeover;
            let client_takeover = self.client_context_takeover && !offer.client_no_context_takeover;
            let names_server_bits = offer.server_max_window_bits.is_some() || server_bits < LARGEST_BITS;
            let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
            Some(Agreement {
                level: self.level.min(9),
                server_bits: NonZeroU8::new(server_bits)?,
                client_bits,
                flags: flag(server_takeover, SERVER_TAKEOVER)
                    | flag(client_takeover, CLIENT_TAKEOVER)
                    | flag(names_server_bits, NAMES_SERVER_BITS),
                threshold_bytes: u16::try_from(self.threshold_bytes).unwrap_or(u16::MAX),
            })
        }
    }

    impl Agreement {
        /// The base-2 logarithm of the largest window that the server may use, from 9 to 15.
        pub const fn server_window_bits(self) -> u8 {
            self.server_bits.get()
        }

        /// The base-2 logarithm of the largest window that the client uses, from 8 to 15.
        pub const fn client_window_bits(self) -> u8 {
            self.client_bits
        }

        /// Whether the server keeps its window between messages.
        pub const fn server_context_takeover(self) -> bool {
            self.flags & SERVER_TAKEOVER != 0
        }

        /// Whether the client keeps its window between messages.
        pub const fn client_context_takeover(self) -> bool {
            self.flags & CLIENT_TAKEOVER != 0
        }

        /// The level of the server's compressor, from 0 to 9.
        pub const fn level(self) -> u8 {
            self.level
        }

        /// Whether the server compresses a message with so many bytes of payload, if compression
        /// makes it smaller. It compresses no empty message.
        #[inline]
        pub const fn compresses(self, payload_len: usize) -> bool {
            payload_len >= self.threshold_bytes as usize && payload_len > 0
        }

        /// Appends the field line of the 101.
        pub(in super::super) fn field(self, out: &mut Vec<u8>) {
            out.extend_from_slice(format!("Sec-WebSocket-Extensions: {self}\r\n").as_bytes());
        }
    }

    /// The value of `Sec-WebSocket-Extensions` in the answer.
    impl std::fmt::Display for Agreement {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("permessage-deflate")?;
            // "A server MAY include the "server_no_context_takeover" extension parameter [...] even
            // if the extension negotiation offer being accepted [...] didn't include" it (RFC 7692,
            // section 7.1.1.1; 7.1.1.2 says the same of the other one).
            if !self.server_context_takeover() {
                f.write_str("; server_no_context_takeover")?;
            }
            if !self.client_context_takeover() {
                f.write_str("; client_no_context_takeover")?;
            }
            if self.flags & NAMES_SERVER_BITS != 0 {
                write!(f, "; server_max_window_bits={}", self.server_bits)?;
            }
            if self.client_bits < LARGEST_BITS {
                write!(f, "; client_max_window_bits={}", self.client_bits)?;
            }
            Ok(())
        }
    }

    /// The `client_max_window_bits` of an offer, which may have no value.
    #[derive(Clone, Copy, Default, PartialEq, Eq)]
    enum ClientBits {
        #[default]
        Missing,
        Any,
        AtMost(u8),
    }

    /// One valid offer of the extension.
    #[derive(Clone, Copy, Default)]
    struct Offer {
        server_no_context_takeover: bool,
        client_no_context_takeover: bool,
        server_max_window_bits: Option<u8>,
        client_max_window_bits: ClientBits,
    }

    impl Offer {
        fn parse(element: &[u8]) -> Option<Self> {
            let mut parts = parameters(element);
            if parts.next() != Some((NAME, None)) {
                return None;
            }
            let mut offer = Self::default();
            for (name, value) in parts {
                let is_new = match (name, value) {
                    (b"server_no_context_takeover", None) => !std::mem::replace(&mut offer.server_no_context_takeover, true),
                    (b"client_no_context_takeover", None) => !std::mem::replace(&mut offer.client_no_context_takeover, true),
                    (b"server_max_window_bits", Some(value)) => offer.server_max_window_bits.replace(window_bits(value)?).is_none(),
                    (b"client_max_window_bits", value) => {
                        let bits = value.map_or(Some(ClientBits::Any), |value| window_bits(value).map(ClientBits::AtMost))?;
                        std::mem::replace(&mut offer.client_max_window_bits, bits) == ClientBits::Missing
                    }
                    _ => return None,
                };
                if !is_new {
                    return None;
                }
            }
            Some(offer)
        }
    }

    /// "This parameter has a decimal integer value without leading zeroes between 8 to 15,
    /// inclusive" (RFC 7692, section 7.1.2.1).
    fn window_bits(value: &[u8]) -> Option<u8> {
        match *unquoted(value) {
            [digit @ b'8'..=b'9'] => Some(digit - b'0'),
            [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
            _ => None,
        }
    }
}

/// The configuration of permessage-deflate. This build has no cargo feature `deflate`, so this type
/// has no values. The fields of this type exist in every build, and are always `None` here.
#[cfg(not(feature = "deflate"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deflate {}

/// The agreement about permessage-deflate. This build has no cargo feature `deflate`, so there is
/// no agreement.
#[cfg(not(feature = "deflate"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {}

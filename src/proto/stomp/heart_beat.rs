//! Heart-beats (STOMP 1.2, "Heart-beating").
//!
//! Owns the `heart-beat` header and the intervals that two sides agree on. Leaves the clock, the
//! sending of a line end and the tolerance for late ones to the code that holds a connection.

use std::fmt;
use std::time::Duration;

use super::error::StompError;

/// What one side can and wants to do: the value of a `heart-beat` header.
///
/// ```
/// use std::time::Duration;
/// use pushlab::proto::stomp::HeartBeat;
/// let client = HeartBeat::parse(Some("10000,0"))?;
/// let server = HeartBeat { sends_ms: 5_000, wants_ms: 15_000 };
/// let intervals = server.agree(client);
/// assert_eq!((intervals.send, intervals.receive), (None, Some(Duration::from_secs(15))));
/// assert_eq!(server.to_string(), "5000,15000");
/// # Ok::<_, pushlab::proto::stomp::StompError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeartBeat {
    /// This side can send something at least every so many milliseconds. 0: it sends no
    /// heart-beats.
    pub sends_ms: u32,
    /// This side wants to receive something every so many milliseconds. 0: it wants no heart-beats.
    pub wants_ms: u32,
}

/// The intervals that this side has agreed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Intervals {
    /// This side sends something at least this often, a line end if it has no frame to send.
    pub send: Option<Duration>,
    /// This side receives something at least this often. A peer may be late, so wait for longer
    /// before calling it silent.
    pub receive: Option<Duration>,
}

impl HeartBeat {
    /// Reads a `heart-beat` header. A side that does not send the header sends and wants none.
    ///
    /// # Errors
    /// [`StompError::BadHeartBeat`] if the value is not two decimal numbers below 2^32.
    pub fn parse(value: Option<&str>) -> Result<Self, StompError> {
        let Some(value) = value else { return Ok(Self::default()) };
        let number = |text: &str| {
            let is_decimal = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| is_decimal).ok_or(StompError::BadHeartBeat)
        };
        let (sends, wants) = value.split_once(',').ok_or(StompError::BadHeartBeat)?;
        Ok(Self { sends_ms: number(sends)?, wants_ms: number(wants)? })
    }

    /// The intervals between this side and `peer`: in each direction the longer of what one side
    /// can send and what the other side wants, and nothing if one of them is 0.
    pub fn agree(self, peer: Self) -> Intervals {
        let longer = |sends: u32, wants: u32| (sends > 0 && wants > 0).then(|| Duration::from_millis(sends.max(wants).into()));
        Intervals { send: longer(self.sends_ms, peer.wants_ms), receive: longer(peer.sends_ms, self.wants_ms) }
    }
}

impl fmt::Display for HeartBeat {
    /// The value of the header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.sends_ms, self.wants_ms)
    }
}

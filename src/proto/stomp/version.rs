//! The versions of STOMP.
//!
//! Owns their names in frames and in WebSocket subprotocols, and the choice of the highest common
//! one. Leaves the differences to the code that has them: the escapes, and the headers that a
//! version requires.

use super::error::StompError;

/// A version of STOMP. Later ones are greater.
///
/// ```
/// use pushlab::proto::stomp::Version;
/// assert_eq!(Version::negotiate(Some("1.0,1.1,2.0"), Version::V1_2)?, Version::V1_1);
/// assert_eq!(Version::from_subprotocol("v12.stomp"), Some(Version::V1_2));
/// # Ok::<_, pushlab::proto::stomp::StompError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// STOMP 1.0: no escapes, no heart-beats, no NACK.
    V1_0,
    /// STOMP 1.1: escapes for LF, colon and backslash.
    V1_1,
    /// STOMP 1.2: an escape for CR, too, and lines may end with CR LF.
    V1_2,
}

impl Version {
    /// All versions, the highest one first, in the order in which a server prefers them.
    pub const ALL: [Self; 3] = [Self::V1_2, Self::V1_1, Self::V1_0];

    /// The name in `accept-version` and `version`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }

    /// The name of the WebSocket subprotocol. `v10.stomp`, `v11.stomp` and `v12.stomp` are
    /// registered at IANA.
    pub const fn subprotocol(self) -> &'static str {
        match self {
            Self::V1_0 => "v10.stomp",
            Self::V1_1 => "v11.stomp",
            Self::V1_2 => "v12.stomp",
        }
    }

    /// The version of this WebSocket subprotocol.
    pub fn from_subprotocol(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.subprotocol() == name)
    }

    /// The version of this name, as in the `version` header of CONNECTED.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.name() == name)
    }

    /// The highest version in the `accept-version` header of CONNECT that is not above `highest`.
    /// Without the header, the version is 1.0: clients of 1.0 do not send the header (STOMP 1.2,
    /// "Protocol Negotiation").
    ///
    /// # Errors
    /// [`StompError::UnsupportedVersion`] if the header has no such version.
    pub fn negotiate(accept_version: Option<&str>, highest: Self) -> Result<Self, StompError> {
        let Some(accepted) = accept_version else { return Ok(Self::V1_0) };
        let common = accepted.split(',').filter_map(Self::from_name).filter(|version| *version <= highest).max();
        common.ok_or(StompError::UnsupportedVersion)
    }
}

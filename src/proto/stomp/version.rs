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
/// assert_eq!(Version::negotiate(Some("1.0,1.1,2.0"))?, Version::V1_1);
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

    /// The name of the WebSocket subprotocol. `v10.stomp`, `v11.stomp` and `v12.stomp` are registered
    /// at IANA.
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

    /// The highest version of the `accept-version` header of CONNECT. Without the header it is 1.0,
    /// whose clients do not send one (STOMP 1.2, "Protocol Negotiation").
    ///
    /// # Errors
    /// [`StompError::UnsupportedVersion`] if none is known here.
    pub fn negotiate(accept_version: Option<&str>) -> Result<Self, StompError> {
        let Some(accepted) = accept_version else { return Ok(Self::V1_0) };
        let is_accepted = |version: &Self| accepted.split(',').any(|name| name == version.name());
        Self::ALL.into_iter().find(is_accepted).ok_or(StompError::UnsupportedVersion)
    }
}

//! Request methods and protocol versions.
//!
//! Owns the closed list of methods that the server knows (RFC 9110, section 9.3; PATCH: RFC 5789). Refuses CONNECT, which is a proxy's
//! business, and extension methods: they are answered 501.

use std::fmt;

/// A request method. Names are case-sensitive (RFC 9110, section 9.1).
///
/// ```
/// use pushlab::proto::http1::Method;
/// assert_eq!(Method::Get.as_str(), "GET");
/// assert_eq!(Method::from_name("get"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Transfer a representation of the target.
    Get,
    /// As GET, without the content of the response.
    Head,
    /// Let the target process the content.
    Post,
    /// Replace the target with the content.
    Put,
    /// Remove the target.
    Delete,
    /// Describe how to talk with the target.
    Options,
    /// Loop the request back.
    Trace,
    /// Change a part of the target.
    Patch,
}

impl Method {
    /// The method of this name; `None` for CONNECT and every name that the server does not know.
    #[inline]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.as_bytes() {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"POST" => Self::Post,
            b"PUT" => Self::Put,
            b"DELETE" => Self::Delete,
            b"OPTIONS" => Self::Options,
            b"TRACE" => Self::Trace,
            b"PATCH" => Self::Patch,
            _ => return None,
        })
    }

    /// Whether the method only reads (RFC 9110, section 9.2.1): GET, HEAD, OPTIONS and TRACE.
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// The name as the wire has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The protocol version of a request (RFC 9110, section 2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0: no chunked coding, and the connection closes unless the request asks otherwise.
    Http10,
    /// HTTP/1.1, and what a later minor version is read as (RFC 9110, section 2.5).
    Http11,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
        })
    }
}

//! Request methods and protocol versions.
//!
//! Owns the closed list of methods that the server knows (RFC 9110, section 9.3; PATCH: RFC 5789).
//! All other methods get the error [`UnknownMethod`](crate::proto::RemoteError::UnknownMethod),
//! status 501. CONNECT is one of them, because it is a method for proxies. Leaves the handling of
//! methods to the application.

use std::fmt;

/// A request method. Names are case-sensitive (RFC 9110, section 9.1).
///
/// ```
/// use pushlab::proto::http1::Method;
/// assert_eq!(Method::Get.as_str(), "GET");
/// assert_eq!(Method::from_name("get"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Method {
    /// Transfer a representation of the target.
    Get,
    /// Like GET, but the response has no content.
    Head,
    /// Let the target process the content of the request.
    Post,
    /// Replace the target with the content of the request.
    Put,
    /// Remove the target.
    Delete,
    /// Describe the communication options of the target.
    Options,
    /// Return the received request to the client.
    Trace,
    /// Change a part of the target.
    Patch,
}

impl Method {
    /// The method of this name. It is `None` for CONNECT and for each name that the server does not
    /// know.
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

    /// Whether the method only reads (RFC 9110, section 9.2.1). These methods are GET, HEAD,
    /// OPTIONS and TRACE.
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Options | Self::Trace)
    }

    /// The name as it appears on the wire.
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
    /// HTTP/1.0. It has no chunked coding, and the connection closes unless the request asks to
    /// keep it.
    Http10,
    /// HTTP/1.1. Later minor versions are processed as HTTP/1.1 (RFC 9110, section 2.5).
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

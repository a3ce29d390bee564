//! The server's side of HTTP/1.1 (RFC 9110, RFC 9112) and HTTP/1.0.
pub mod date;

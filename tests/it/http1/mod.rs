//! HTTP/1.1: text cases through a whole connection, tables for the parts.

mod cases;
mod chunked;
mod conn;
mod date;
mod forwarded;
mod head;
mod known;
mod limits;
pub mod peer;
mod peers;
mod response;
mod smuggling;

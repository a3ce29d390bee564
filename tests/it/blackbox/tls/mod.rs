//! Servers that speak TLS, beside the tests of the plain server, which [`both`](super::both) runs over TLS, too.
//!
//! Covers: driver::tls::absent, driver::tls::acceptor, driver::tls::config, driver::tls::records, driver::tls::secured

mod authority;
pub mod client;
mod handshakes;
mod traffic;

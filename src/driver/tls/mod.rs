//! TLS between a socket and its session (RFC 8446, RFC 5246), with `rustls`.
//!
//! Owns the configuration, the certificates, and a layer that turns records into bytes and back,
//! for both IO models alike. The layer keeps no buffers for an idle connection. Leaves the protocol
//! and its ciphers to `rustls`, sockets to the drivers, and what a handler learns of TLS to the
//! session.
//!
//! ```text
//!   session ◀── bytes ── Secured ◀── records ── the transport of a driver
//!                           │
//!                        TlsLayer: rustls, records that are not whole, records that are not sent
//! ```
//!
//! Without the feature `tls`, a stand-in that no connection can have takes the place of the layer.

#[cfg(not(feature = "tls"))]
mod absent;
#[cfg(feature = "tls")]
mod acceptor;
#[cfg(feature = "tls")]
mod certificates;
#[cfg(feature = "tls")]
mod clients;
#[cfg(feature = "tls")]
mod config;
#[cfg(feature = "tls")]
mod error;
#[cfg(feature = "tls")]
mod records;
#[cfg(feature = "tls")]
mod secured;

#[cfg(not(feature = "tls"))]
pub(super) use absent::{Acceptor, TlsLayer};
#[cfg(feature = "tls")]
pub use acceptor::Acceptor;
#[cfg(feature = "tls")]
pub use certificates::Certificates;
#[cfg(feature = "tls")]
pub use clients::{Authorities, ClientCertificates};
#[cfg(feature = "tls")]
pub use config::Tls;
#[cfg(feature = "tls")]
pub use error::TlsError;
#[cfg(feature = "tls")]
pub use secured::{Secured, TlsLayer};

//! The stand-in for TLS in a build without the feature `tls`.
//!
//! Owns types without values. With them, the drivers are written once, and their TLS compiles to
//! nothing. Leaves TLS to the builds that have it.

use std::io;
use std::time::Duration;

use crate::driver::Config;
use crate::driver::drive::{Input, Transport};
use crate::proto::Outbox;
use crate::session::{Ready, Sent};

/// A build without TLS has no acceptor.
pub(crate) enum Acceptor {}

impl Acceptor {
    #[expect(clippy::unnecessary_wraps, reason = "with TLS this can fail")]
    pub(crate) const fn of(_: &Config) -> io::Result<Option<Self>> {
        Ok(None)
    }

    pub(crate) const fn handshake_timeout(&self) -> Duration {
        match *self {}
    }

    pub(crate) const fn accept(&self) -> TlsLayer {
        match *self {}
    }
}

/// A build without TLS has no layer.
pub(crate) enum TlsLayer {}

impl TlsLayer {
    pub(crate) const fn over(&self, _: &mut impl Transport) -> Secured {
        match *self {}
    }

    pub(crate) const fn has_unsent(&self) -> bool {
        match *self {}
    }

    pub(crate) const fn close(&self, _: &mut impl Transport) {
        match *self {}
    }
}

/// A build without TLS has no such transport. The field is private. If the drivers could see that
/// the type has no values, the compiler would warn that their code is never reached.
pub(crate) struct Secured(TlsLayer);

impl Transport for Secured {
    fn read(&mut self, _: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
        match self.0 {}
    }

    fn write(&mut self, _: &mut Outbox) -> io::Result<(usize, Ready)> {
        match self.0 {}
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        match self.0 {}
    }
}

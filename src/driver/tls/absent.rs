//! The stand-in for TLS in a build without the feature `tls`.
//!
//! Owns types without a value, so that the drivers are written once and their TLS compiles to
//! nothing. Leaves everything else to nobody: none of this code ever runs.

use std::io;
use std::time::Duration;

use crate::driver::Config;
use crate::driver::drive::{Input, Transport};
use crate::proto::Outbox;
use crate::session::Ready;

/// There is none.
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

/// There is none.
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

/// There is none. The field is private, so that the compiler takes the drivers' code for reachable.
pub(crate) struct Secured(TlsLayer);

impl Transport for Secured {
    fn read(&mut self, _: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
        match self.0 {}
    }

    fn write(&mut self, _: &mut Outbox) -> io::Result<(usize, Ready)> {
        match self.0 {}
    }

    fn end_sending(&mut self) -> io::Result<()> {
        match self.0 {}
    }
}

//! A layer between the transport and the system, as TLS is one: it splits, delays and re-buffers bytes.
//!
//! It takes no output before it has read something. It gives input in small parts of what it has read, and now and then gives none
//! although it has some. It takes output in records, and holds what the system does not take.

use std::io::{self, ErrorKind};
use std::time::Duration;

use pushlab::driver::drive::{Input, Transport};
use pushlab::proto::Outbox;
use pushlab::session::{Need, Ready, Sent};

use super::rig::Peer;
use crate::support::splits::Seeded;

pub struct Layer {
    numbers: Seeded,
    has_read: bool,
    /// Input that was read and not given.
    decoded: Vec<u8>,
    is_at_end: bool,
    /// Output that was taken and not written.
    held: Outbox,
}

impl Layer {
    pub fn new(seed: u64) -> Self {
        Self { numbers: Seeded::new(seed), has_read: false, decoded: Vec::new(), is_at_end: false, held: Outbox::new() }
    }

    pub const fn read_len(&self) -> usize {
        self.decoded.len()
    }

    pub const fn held_len(&self) -> usize {
        self.held.len()
    }

    pub const fn over<'a>(&'a mut self, peer: &'a mut Peer) -> Layered<'a> {
        Layered { layer: self, peer }
    }
}

/// A transport with a layer above it.
pub struct Layered<'a> {
    layer: &'a mut Layer,
    peer: &'a mut Peer,
}

impl Transport for Layered<'_> {
    fn read(&mut self, room: &mut [u8], patience: Option<Duration>) -> io::Result<Input> {
        let Self { layer, peer } = self;
        let mut piece = [0; 64];
        let most = 1 + layer.numbers.below(piece.len());
        match peer.read(&mut piece[..most], patience) {
            Ok(Input::End) => layer.is_at_end = true,
            Ok(Input::Bytes(len, _)) => {
                layer.has_read = true;
                layer.decoded.extend(&piece[..len]);
            }
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        if layer.decoded.is_empty() && layer.is_at_end {
            return Ok(Input::End);
        }
        let len = layer.numbers.below(9).min(layer.decoded.len()).min(room.len());
        if len == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        room[..len].copy_from_slice(&layer.decoded[..len]);
        layer.decoded.drain(..len);
        // It is a short read, and there is more.
        Ok(Input::Bytes(len, if !layer.decoded.is_empty() || peer.has_input() { Ready::Perhaps } else { Ready::No }))
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        let Self { layer, peer } = self;
        assert!(layer.has_read, "the layer must read first");
        let record: Vec<u8> = out.chunks().flatten().copied().take(1 + layer.numbers.below(100)).collect();
        out.advance(record.len());
        layer.held.extend(&record);
        match peer.write(&mut layer.held) {
            Ok(written) => Ok(written),
            Err(_) if !record.is_empty() => Ok((0, Ready::No)),
            Err(error) => Err(error),
        }
    }

    fn end_sending(&mut self, sent: Sent) -> io::Result<()> {
        assert!(self.layer.held.is_empty(), "the end overtakes output");
        self.peer.end_sending(sent)
    }

    fn need(&self) -> Need {
        match (self.layer.has_read, self.layer.held.is_empty()) {
            (false, _) => Need::Read,
            (true, false) => Need::Write,
            (true, true) => Need::Nothing,
        }
    }
}

//! The transport of one connection: byte buffers, of which the property says how far they are open.
//!
//! With a layer, it is a transport such as TLS would be. It reads a greeting before it takes output, it gives input in small parts of
//! what it has read, it holds output that it has taken, and it has bytes of its own to send.

use std::io::{self, ErrorKind};
use std::time::Duration;

use pushlab::driver::drive::{Input, Transport};
use pushlab::proto::Outbox;
use pushlab::session::{Need, Ready, Sent};

/// The parts in which a layer gives input.
const PART_BYTES: usize = 7;
/// How much output a layer takes at once.
const RECORD_BYTES: usize = 64;

#[derive(Default)]
pub(super) struct Wire {
    /// What the client has sent and the transport has not read.
    pub(super) incoming: Vec<u8>,
    /// The client has ended its side.
    pub(super) is_ended: bool,
    /// So many bytes can be read now.
    pub(super) read_room: usize,
    /// So many bytes can be written now.
    pub(super) write_room: usize,
    /// All that the client was ever sent.
    pub(super) sent: Vec<u8>,
    /// This side has said that it sends no more.
    pub(super) sending_ended: bool,
    layer: Option<Layer>,
}

/// What is between the transport and the system.
#[derive(Default)]
struct Layer {
    is_greeted: bool,
    decoded: Vec<u8>,
    held: Vec<u8>,
    /// Bytes that the layer itself wants to send.
    own_bytes: usize,
}

impl Wire {
    pub(super) fn layered() -> Self {
        Self { layer: Some(Layer::default()), ..Self::default() }
    }

    /// Everything can be read and written.
    pub(super) const fn open(&mut self) {
        (self.read_room, self.write_room) = (usize::MAX, usize::MAX);
    }

    /// Nothing can be read or written.
    pub(super) const fn shut(&mut self) {
        (self.read_room, self.write_room) = (0, 0);
    }

    /// What was taken and not sent yet.
    pub(super) fn held(&self) -> &[u8] {
        self.layer.as_ref().map_or(&[], |layer| &layer.held)
    }

    /// What was read and not given to the session yet.
    pub(super) fn decoded(&self) -> &[u8] {
        self.layer.as_ref().map_or(&[], |layer| &layer.decoded)
    }

    fn is_empty(&self) -> bool {
        self.incoming.is_empty() && self.decoded().is_empty()
    }
}

impl Transport for Wire {
    fn read(&mut self, room: &mut [u8], _: Option<Duration>) -> io::Result<Input> {
        assert!(!room.is_empty());
        let fresh = self.incoming.len().min(self.read_room);
        let len = match &mut self.layer {
            None => {
                let len = fresh.min(room.len());
                room[..len].copy_from_slice(&self.incoming[..len]);
                self.incoming.drain(..len);
                self.read_room -= len;
                len
            }
            Some(layer) => {
                layer.decoded.extend(self.incoming.drain(..fresh));
                self.read_room -= fresh;
                if fresh > 0 {
                    layer.is_greeted = true;
                    layer.own_bytes += fresh % 3;
                }
                let len = layer.decoded.len().min(room.len()).min(PART_BYTES);
                room[..len].copy_from_slice(&layer.decoded[..len]);
                layer.decoded.drain(..len);
                len
            }
        };
        if len == 0 && !(self.is_ended && self.is_empty()) {
            return Err(ErrorKind::WouldBlock.into());
        }
        if len == 0 {
            return Ok(Input::End);
        }
        Ok(Input::Bytes(len, if self.is_empty() && !self.is_ended { Ready::No } else { Ready::Perhaps }))
    }

    fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
        assert!(!self.sending_ended || self.layer.is_some() && out.is_empty(), "only a layer writes after the end of sending");
        let bytes = out.chunks().collect::<Vec<_>>().concat();
        let Some(layer) = &mut self.layer else {
            let len = bytes.len().min(self.write_room);
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.write_room -= len;
            self.sent.extend(&bytes[..len]);
            out.advance(len);
            return Ok((len, if out.is_empty() { Ready::Perhaps } else { Ready::No }));
        };
        assert!(layer.is_greeted, "a layer must read before it takes output");
        assert!(!bytes.is_empty() || self.need() == Need::Write, "nothing is to be written");
        let Some(layer) = &mut self.layer else { unreachable!("it was there") };
        let taken = bytes.len().min(RECORD_BYTES);
        layer.held.extend(&bytes[..taken]);
        out.advance(taken);
        let own = layer.own_bytes.min(self.write_room);
        layer.own_bytes -= own;
        let len = layer.held.len().min(self.write_room - own);
        self.sent.extend(layer.held.drain(..len));
        self.write_room -= own + len;
        let is_clear = layer.held.is_empty() && layer.own_bytes == 0;
        Ok((own + len, if is_clear { Ready::Perhaps } else { Ready::No }))
    }

    fn end_sending(&mut self, _: Sent) -> io::Result<()> {
        assert!(self.held().is_empty() && !std::mem::replace(&mut self.sending_ended, true), "sending ends once, after all output");
        Ok(())
    }

    fn need(&self) -> Need {
        match &self.layer {
            Some(layer) if !layer.is_greeted => Need::Read,
            Some(layer) if !layer.held.is_empty() || layer.own_bytes > 0 => Need::Write,
            _ => Need::Nothing,
        }
    }
}

//! What other threads have posted reaches its session here.
//!
//! Owns the one way in for messages and commands, and the shortcut for messages whose bytes many
//! connections share. Leaves the queue of a slow reader to `link`, and the order of deliveries to
//! the drivers.

use std::sync::Arc;

use super::contract::{Delivered, Delivery};
use super::session::{Phase, Session};
use super::{Burst, Command, Context, Outcome, Settings};
use crate::proto::{Frame, Now, Outbox};

impl Session {
    /// Takes what was posted to the address with this serial. A message or command for a hold,
    /// stream or WebSocket that is over does nothing.
    #[inline(always)]
    pub fn deliver<'b>(&mut self, serial: u64, delivery: Delivery<'b>, out: &mut Outbox, cx: &Context<'_>) -> Delivered<'b> {
        match delivery {
            Delivery::Messages(burst) => return self.deliver_messages(serial, burst, out, cx),
            Delivery::Command(Command::Send(frame)) => self.deliver_one(serial, &frame, out, cx),
            Delivery::Command(command) => self.carry_out(serial, command, out, cx),
            Delivery::Refused => {
                if self.serial() == Some(serial) {
                    self.end_slow(out, cx);
                }
            }
        }
        Delivered::Taken
    }

    #[inline(always)]
    fn deliver_messages<'b>(&mut self, serial: u64, burst: &'b Burst<'b>, out: &mut Outbox, cx: &Context<'_>) -> Delivered<'b> {
        if out.is_empty()
            && let Some(wire) = self.take_shared(serial, burst, cx.now, cx.settings)
        {
            cx.stats.messages_out.add(burst.messages() as u64);
            return Delivered::Shared(wire);
        }
        let [frame] = burst.frames() else { return Delivered::OneByOne };
        self.deliver_one(serial, frame, out, cx);
        Delivered::Taken
    }

    /// Takes all messages of a burst, if the session can send them in the form that all readers
    /// share and no output waits. The caller then writes the bytes that this returns, and counts
    /// the messages. In a fan-out, nearly every delivery is one of these, so it needs no
    /// [`Context`], which costs 13 instructions to make.
    #[inline(always)]
    pub(crate) fn take_shared<'b>(&mut self, serial: u64, burst: &'b Burst<'b>, now: &Now, settings: &Settings) -> Option<&'b Arc<[u8]>> {
        let wire = burst.piece(settings.limits.output_bytes)?;
        let is_taken = match &mut self.phase {
            Phase::Http(http) => http.takes_burst(serial, burst, now, settings),
            Phase::WebSocket(websocket) => websocket.takes_burst(serial, burst),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => false,
        };
        if !is_taken {
            return None;
        }
        #[cfg(feature = "deflate")]
        let wire = match &self.phase {
            Phase::WebSocket(websocket) => websocket.shared_wire(burst, wire)?,
            _ => wire,
        };
        Some(wire)
    }

    #[inline(always)]
    fn deliver_one(&mut self, serial: u64, frame: &Frame, out: &mut Outbox, cx: &Context<'_>) {
        let outcome = match &mut self.phase {
            Phase::Http(http) => http.send_message(serial, frame, out, cx),
            Phase::WebSocket(websocket) => websocket.send_message(serial, frame, out, cx),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => return,
        };
        if outcome == Some(Outcome::Refused) {
            self.end_slow(out, cx);
        }
    }

    fn carry_out(&mut self, serial: u64, command: Command, out: &mut Outbox, cx: &Context<'_>) {
        let progress = match &mut self.phase {
            Phase::Http(http) => http.carry_out(serial, command, out, cx),
            Phase::WebSocket(websocket) => websocket.carry_out(serial, &command, out, cx),
            Phase::Securing(_) | Phase::Over(_) | Phase::Closed(_) => return,
        };
        self.advance(progress, out, cx);
    }
}

//! From postings to connections.
//!
//! Owns the order in which a turn's postings are carried out: connection by connection, so that one that got many messages writes them at
//! once, and all of them gather their output in the same outbox, one after the other. Refuses to carry them out.

use std::collections::VecDeque;

use super::inbox::{Inbox, Missed, Posting};
use crate::proto::Frame;
use crate::session::{Address, Command};

/// Room for orderings that is kept from turn to turn: 1 MiB.
const ORDER_KEPT: usize = 64 * 1024;

/// The postings of one turn.
#[derive(Default)]
pub(crate) struct Deliveries {
    postings: VecDeque<Posting>,
    missed: Missed,
    order: Vec<Place>,
}

/// One posting's way to one connection.
struct Place {
    address: Address,
    /// Which of the postings.
    nth: u32,
}

/// What is to be done next.
pub(crate) enum Step<'a> {
    /// Send a message.
    Push(Address, &'a Frame),
    /// Carry out a command.
    Apply(Address, Command),
    /// End the connection: something for it did not fit into the inbox.
    Overflow(Address),
    /// The connection in this slot has got all that there is for it.
    Drive(u32),
}

impl Deliveries {
    /// Takes over what was posted.
    pub(crate) fn take_from(&mut self, inbox: &Inbox) {
        self.missed = inbox.take(&mut self.postings);
    }

    /// Goes through all steps, and is empty then.
    pub(crate) fn for_each(&mut self, mut carry_out: impl FnMut(Step<'_>)) {
        let Missed { overflowed, lost } = std::mem::take(&mut self.missed);
        for address in overflowed {
            carry_out(Step::Overflow(address));
            carry_out(Step::Drive(address.slot));
        }
        for (address, count) in lost {
            carry_out(Step::Apply(address, Command::Lost(count)));
            carry_out(Step::Drive(address.slot));
        }
        if let Some(audience) = self.common_audience() {
            for address in audience {
                for posting in &self.postings {
                    if let Posting::Many(_, frame) = posting {
                        carry_out(Step::Push(*address, frame));
                    }
                }
                carry_out(Step::Drive(address.slot));
            }
        } else if !self.postings.is_empty() {
            self.for_each_in_order(carry_out);
        }
        self.postings.clear();
    }

    /// The connections that all postings are for, when they are for the same ones: nearly always in a fan-out, and nothing needs ordering.
    fn common_audience(&self) -> Option<&[Address]> {
        let mut audience = None;
        for posting in &self.postings {
            match posting {
                Posting::Many(addresses, _) if *audience.get_or_insert(addresses) == addresses => {}
                _ => return None,
            }
        }
        audience.map(Vec::as_slice)
    }

    fn for_each_in_order(&mut self, mut carry_out: impl FnMut(Step<'_>)) {
        let Self { postings, order, .. } = self;
        for (nth, posting) in postings.iter().enumerate() {
            let place = |&address: &Address| Place { address, nth: nth as u32 };
            match posting {
                Posting::One(address, _) => order.push(place(address)),
                Posting::Many(addresses, _) => order.extend(addresses.iter().map(place)),
            }
        }
        // Stable: each connection gets its messages in the order in which they were posted.
        order.sort_by_key(|place| place.address.slot);
        for places in order.chunk_by(|one, next| one.address.slot == next.address.slot) {
            for Place { address, nth } in places {
                match &mut postings[*nth as usize] {
                    Posting::One(_, command) => match command.take() {
                        Some(Command::Push(frame)) => carry_out(Step::Push(*address, &frame)),
                        Some(command) => carry_out(Step::Apply(*address, command)),
                        None => {}
                    },
                    Posting::Many(_, frame) => carry_out(Step::Push(*address, frame)),
                }
            }
            carry_out(Step::Drive(places[0].address.slot));
        }
        order.clear();
        order.shrink_to(ORDER_KEPT);
    }
}

//! The order in which the postings of one turn reach connections.
//!
//! Owns that order: connection by connection, so that a connection that gets many messages writes
//! them at once, and each connection gets its messages in the order of posting. Leaves the queue of
//! postings to `inbox`, and carrying them out to the event loop, which is a [`Carrier`].
//!
//! ```text
//!   postings      a: ①②③   b: ③④   c: ⑤   a: ①②③    (letters: audiences; circles: connections)
//!   bundles       a, a ─▶ ① ②         the same for the whole audience: joined once
//!                 b    ─▶ ④
//!   alone         c    ─▶ ⑤
//!   crossing      ③ ─▶ a b a          in several audiences, or twice in one: one by one,
//!                                     in the order of posting
//! ```

use std::collections::VecDeque;
use std::sync::Arc;

use super::inbox::{Inbox, Missed, Posting, Readers};
use crate::proto::Frame;
use crate::session::{Address, Burst, Command, Delivery};

/// Capacity for crossing deliveries that is kept from turn to turn: 1 MiB.
const CROSSING_KEPT: usize = 64 * 1024;
/// Capacity for postings that is kept from turn to turn, here and in the inbox: about 1 MiB each.
const POSTINGS_KEPT: usize = 16 * 1024;
/// Each posting is compared with this many of the newest bundles. If it belongs to an older bundle,
/// its connections become crossing ones, which is slower and equally correct.
const BUNDLES_COMPARED: usize = 16;

/// The postings of one turn.
#[derive(Default)]
pub(crate) struct Deliveries {
    postings: VecDeque<Posting>,
    missed: Missed,
    bundles: Vec<Bundle>,
    marks: Marks,
    crossing: Vec<CrossingDelivery>,
}

/// Messages of one turn to the same audience.
struct Bundle {
    audience: Arc<Vec<Address>>,
    /// The index of the bundle's first posting.
    first: usize,
    frames: Vec<Frame>,
}

/// The delivery of one posting to a connection that several postings of this turn go to.
struct CrossingDelivery {
    address: Address,
    /// The index of the posting.
    nth: u32,
}

/// The receiver of the deliveries: it carries the postings out.
pub(crate) trait Carrier {
    /// Sends all messages that the connection gets in this turn. There is one exception: if the
    /// turn has a single posting whose list has an address twice, the message is sent to it twice.
    fn send(&mut self, to: Address, burst: &Burst<'_>);
    /// Delivers something that may not be the last delivery of this turn.
    fn deliver(&mut self, to: Address, delivery: Delivery<'_>);
    /// The connection in this slot has got everything of this turn.
    fn drive(&mut self, slot: u32);
}

impl Deliveries {
    /// Takes the postings out of the inbox.
    pub(crate) fn take_from(&mut self, inbox: &Inbox) {
        self.missed = inbox.take(&mut self.postings);
    }

    /// Gives everything to the carrier, and is empty then.
    pub(crate) fn hand_to(&mut self, carrier: &mut impl Carrier) {
        let Missed { overflowed, lost } = std::mem::take(&mut self.missed);
        // What was missed stood before all postings in the queue, so it is told first.
        for address in overflowed {
            carrier.deliver(address, Delivery::Refused);
            carrier.drive(address.slot);
        }
        for (address, count) in lost {
            carrier.deliver(address, Delivery::Command(Command::Lost(count)));
            carrier.drive(address.slot);
        }
        if self.postings.is_empty() {
            return;
        }
        self.bundle();
        self.mark();
        // Any order of the three would do: each connection is in exactly one of them.
        self.hand_over_crossing(carrier);
        self.hand_over_bundled(carrier);
        self.hand_over_alone(carrier);
        self.postings.clear();
        self.postings.shrink_to(POSTINGS_KEPT);
    }

    /// Collects the postings to each audience.
    fn bundle(&mut self) {
        for (first, posting) in self.postings.iter().enumerate() {
            let Posting::Many(Readers { addresses: audience, .. }, frame) = posting else { continue };
            let is_same = |bundle: &&mut Bundle| Arc::ptr_eq(&bundle.audience, audience) || bundle.audience == *audience;
            match self.bundles.iter_mut().rev().take(BUNDLES_COMPARED).find(is_same) {
                Some(bundle) => bundle.frames.push(frame.clone()),
                None => self.bundles.push(Bundle { audience: Arc::clone(audience), first, frames: vec![frame.clone()] }),
            }
        }
    }

    /// Finds the connections that are in several audiences, or several times in one.
    fn mark(&mut self) {
        let Self { postings, bundles, marks, crossing, .. } = self;
        marks.begin(postings.len());
        if let ([Bundle { .. }], 1) = (&bundles[..], postings.len()) {
            // The usual fan-out is one posting. With several, a duplicate address would break the
            // order: the connection would get ①②①② instead of ①①②②.
            marks.all_are_one = true;
            return;
        }
        // In most turns no connection is in two postings: finding that out costs one mark for each
        // address, and nothing is sorted.
        let mut has_crossing = false;
        for Bundle { audience, first, .. } in &*bundles {
            for address in &**audience {
                has_crossing |= !marks.set(address.slot, *first);
            }
        }
        for (nth, posting) in postings.iter().enumerate() {
            if let Posting::One(address, _) = posting {
                has_crossing |= !marks.set(address.slot, nth);
            }
        }
        if !has_crossing {
            return;
        }
        for (nth, posting) in postings.iter().enumerate() {
            let addresses = match posting {
                Posting::One(address, _) => std::slice::from_ref(address),
                Posting::Many(readers, _) => &readers.addresses,
            };
            let deliveries = addresses.iter().filter(|address| marks.is_crossing(address.slot));
            crossing.extend(deliveries.map(|&address| CrossingDelivery { address, nth: nth as u32 }));
        }
        // The sort is stable, so each connection keeps the order of posting.
        crossing.sort_by_key(|delivery| delivery.address.slot);
    }

    fn hand_over_crossing(&mut self, carrier: &mut impl Carrier) {
        let Self { postings, crossing, .. } = self;
        for of_slot in crossing.chunk_by(|one, next| one.address.slot == next.address.slot) {
            for CrossingDelivery { address, nth } in of_slot {
                match &mut postings[*nth as usize] {
                    Posting::One(_, Some(Command::Send(frame))) | Posting::Many(_, frame) => {
                        carrier.deliver(*address, Delivery::Messages(&Burst::one(frame)));
                    }
                    Posting::One(_, command) => {
                        if let Some(command) = command.take() {
                            carrier.deliver(*address, Delivery::Command(command));
                        }
                    }
                }
            }
            carrier.drive(of_slot[0].address.slot);
        }
        crossing.clear();
        crossing.shrink_to(CROSSING_KEPT);
    }

    fn hand_over_bundled(&mut self, carrier: &mut impl Carrier) {
        for Bundle { audience, first, frames } in self.bundles.drain(..) {
            let joined = Burst::join(&frames);
            let burst = Burst::new(&frames, joined.as_ref());
            for address in &*audience {
                if self.marks.is_set(address.slot, first) {
                    carrier.send(*address, &burst);
                }
            }
        }
    }

    fn hand_over_alone(&mut self, carrier: &mut impl Carrier) {
        for (nth, posting) in self.postings.iter_mut().enumerate() {
            let Posting::One(address, command) = posting else { continue };
            let address = *address;
            if !self.marks.is_set(address.slot, nth) {
                continue;
            }
            match command.take() {
                Some(Command::Send(frame)) => carrier.send(address, &Burst::one(&frame)),
                Some(command) => {
                    carrier.deliver(address, Delivery::Command(command));
                    carrier.drive(address.slot);
                }
                None => {}
            }
        }
    }
}

/// For each slot, what was posted to it in this turn: a bundle, which is marked by the index of its
/// first posting; a single posting, by its index; or several of these.
#[derive(Default)]
struct Marks {
    /// The numbers of postings, counted over all turns. Marks of earlier turns are below `start`,
    /// so that no turn has to clear the list.
    by_slot: Vec<u64>,
    /// The number of this turn's first posting.
    start: u64,
    /// The mark of a slot with several postings. No posting has this number.
    crossing: u64,
    /// There is only one posting, so no slot needs a mark.
    all_are_one: bool,
}

impl Marks {
    fn begin(&mut self, postings: usize) {
        self.start = self.crossing + 1;
        self.crossing = self.start + postings as u64;
        self.all_are_one = false;
    }

    /// Marks the slot. Returns whether it had no mark of this turn.
    #[inline]
    fn set(&mut self, slot: u32, nth: usize) -> bool {
        let slot = slot as usize;
        if slot >= self.by_slot.len() {
            self.by_slot.resize(slot + 1, 0);
        }
        let mark = &mut self.by_slot[slot];
        let is_first = *mark < self.start;
        *mark = if is_first { self.start + nth as u64 } else { self.crossing };
        is_first
    }

    #[inline]
    fn is_set(&self, slot: u32, nth: usize) -> bool {
        self.all_are_one || self.by_slot[slot as usize] == self.start + nth as u64
    }

    fn is_crossing(&self, slot: u32) -> bool {
        self.by_slot[slot as usize] == self.crossing
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::stop::Stop;
    use crate::driver::sync::Waker;
    use crate::session::{Post, SlowConsumer};

    const SLOTS: u32 = 6;

    /// Records what each connection gets. Asserts that a connection gets nothing after it was
    /// driven, unless the turn has a single posting.
    #[derive(Default)]
    struct Notes {
        by_slot: [Vec<String>; SLOTS as usize],
        is_done: [bool; SLOTS as usize],
        is_one_posting: bool,
    }

    impl Notes {
        fn note(&mut self, to: Address, what: &str) {
            assert!(self.is_one_posting || !self.is_done[to.slot as usize], "{what} comes when connection {} had all", to.slot);
            self.by_slot[to.slot as usize].push(format!("{} to {}", what, to.serial));
        }
    }

    impl Carrier for Notes {
        fn send(&mut self, to: Address, burst: &Burst<'_>) {
            self.deliver(to, Delivery::Messages(burst));
            self.drive(to.slot);
        }

        fn deliver(&mut self, to: Address, delivery: Delivery<'_>) {
            match delivery {
                Delivery::Messages(burst) => {
                    for frame in burst.frames() {
                        self.note(to, std::str::from_utf8(&frame.payload()).expect("text"));
                    }
                }
                Delivery::Command(command) => self.note(to, &format!("{command:?}")),
                Delivery::Refused => self.note(to, "refused"),
            }
        }

        fn drive(&mut self, slot: u32) {
            self.is_done[slot as usize] = true;
        }
    }

    fn inbox(bytes: usize, policy: SlowConsumer) -> (Inbox, mio::Poll) {
        let poll = mio::Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        (Inbox::new(bytes, policy, Arc::default(), Arc::new(Stop::new(waker))), poll)
    }

    /// A number below `most`, from a sequence that the seed starts (xorshift, Marsaglia 2003).
    fn below(state: &mut u64, most: u64) -> u64 {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        *state % most
    }

    /// The test posts to shared lists, equal lists and lists with duplicate addresses. Each
    /// connection gets the same as without bundles, in the order of posting, and is driven once
    /// after all of it.
    #[test]
    fn as_one_by_one() {
        let mut deliveries = Deliveries::default();
        for seed in 1..=2_000_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (inbox, _poll) = inbox(usize::MAX, SlowConsumer::Disconnect);
            let mut expected: [Vec<String>; SLOTS as usize] = Default::default();
            let address = |state: &mut u64| Address { slot: below(state, SLOTS.into()) as u32, serial: 1 + below(state, 8) / 7 };
            let lists: Vec<Arc<Vec<Address>>> =
                (0..3).map(|_| Arc::new((0..below(&mut state, 5)).map(|_| address(&mut state)).collect())).collect();
            for number in 0..below(&mut state, 24) {
                let text = number.to_string();
                let frame = if below(&mut state, 4) == 0 { Frame::text(&text) } else { Frame::chunk(text.as_bytes()) };
                let to = address(&mut state);
                match below(&mut state, 8) {
                    0 => {
                        inbox.post(to, Command::Close(1));
                        expected[to.slot as usize].push(format!("{:?} to {}", Command::Close(1), to.serial));
                    }
                    1 => {
                        inbox.post(to, Command::Send(frame));
                        expected[to.slot as usize].push(format!("{text} to {}", to.serial));
                    }
                    kind => {
                        let list = &lists[below(&mut state, 3) as usize];
                        let list = if kind == 2 { Arc::new(list.to_vec()) } else { Arc::clone(list) };
                        list.iter().for_each(|to| expected[to.slot as usize].push(format!("{text} to {}", to.serial)));
                        inbox.post_many(list, &frame);
                    }
                }
            }
            deliveries.take_from(&inbox);
            let mut notes = Notes { is_one_posting: deliveries.postings.len() == 1, ..Notes::default() };
            deliveries.hand_to(&mut notes);
            assert_eq!(notes.by_slot, expected, "seed {seed}");
            for (slot, texts) in expected.iter().enumerate() {
                assert_eq!(notes.is_done[slot], !texts.is_empty(), "seed {seed}");
            }
        }
    }

    /// The capacity that one large turn needed is given back.
    #[test]
    fn room_is_given_back() {
        let (inbox, _poll) = inbox(usize::MAX, SlowConsumer::Disconnect);
        let mut deliveries = Deliveries::default();
        for turn in 0..4 {
            let count = if turn == 0 { 200_000 } else { 1 };
            (0..count).for_each(|_| inbox.post(Address { slot: 0, serial: 1 }, Command::Close(1)));
            deliveries.take_from(&inbox);
            deliveries.hand_to(&mut Notes::default());
            assert!(deliveries.postings.capacity() <= 2 * POSTINGS_KEPT, "{}", deliveries.postings.capacity());
        }
    }
}

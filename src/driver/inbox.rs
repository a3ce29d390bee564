//! Commands from other threads to the event loop.
//!
//! Owns the queue, its bound with the slow-consumer policy, and the decision to wake the loop.
//! Leaves the order of delivery to `deliveries`, and carrying commands out to the event loop.
//!
//! The queue reaches its bound when the loop does not take from its inbox, because a handler
//! blocks, or because publishers are faster than the loop writes. Then the slow-consumer policy
//! acts on posted messages as it does on a connection's own queue. Releases and closes are never
//! dropped.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, PoisonError};

use super::stop::Stop;
use super::sync::{Mutex, MutexGuard};
use crate::proto::Frame;
use crate::session::{Address, Command, Post, SlowConsumer, Stats};

/// One command for one connection, or one message for many.
pub(crate) enum Posting {
    /// The command; `None` once it was carried out, or if its message was dropped.
    One(Address, Option<Command>),
    Many(Readers, Frame),
}

/// The connections that a message is for.
pub(crate) struct Readers {
    pub(crate) addresses: Arc<Vec<Address>>,
    /// The bytes that the list counts. An audience's list counts 0, because it exists anyway and
    /// all messages to the audience share it.
    list_bytes: usize,
}

impl Posting {
    /// The approximate bytes of memory of the posting, and the number of connections that miss a
    /// message if it is dropped. `None` if it must not be dropped.
    fn weigh(&self) -> Option<(usize, usize)> {
        let (frame, readers) = match self {
            Self::One(_, Some(Command::Send(frame))) => (frame, 1),
            Self::One(..) => return None,
            Self::Many(readers, frame) => {
                return Some((size_of::<Self>() + readers.list_bytes + frame.wire_len(), readers.addresses.len()));
            }
        };
        Some((size_of::<Self>() + frame.wire_len(), readers))
    }
}

/// Takes the place of a message that was dropped from the middle of the queue. Removing the entry
/// each time would move all entries behind it.
const DROPPED: Posting = Posting::One(Address { slot: 0, serial: 0 }, None);

/// The commands that were posted and that the loop has not taken yet.
#[derive(Default)]
struct Queue {
    postings: VecDeque<Posting>,
    /// No message that may be dropped stands before this index. A search begins here.
    search_from: usize,
    /// The number of entries that are [`DROPPED`].
    holes: usize,
    /// The bytes that the messages in the queue count.
    bytes: usize,
    missed: Missed,
    /// The loop sleeps or is about to sleep, and no thread has woken it yet.
    asleep: bool,
}

/// The messages that did not fit, by connection.
#[derive(Default)]
pub(crate) struct Missed {
    /// Connections to be ended, if the policy is to disconnect.
    pub(crate) overflowed: HashSet<Address>,
    /// How many messages of a connection were dropped. They stood before all messages in the queue.
    pub(crate) lost: HashMap<Address, usize>,
}

impl Missed {
    fn is_empty(&self) -> bool {
        self.overflowed.is_empty() && self.lost.is_empty()
    }
}

impl Queue {
    fn add(&mut self, posting: Posting, limit_bytes: usize, policy: SlowConsumer, stats: &Stats) {
        if let Some((bytes, _)) = posting.weigh() {
            if policy == SlowConsumer::Disconnect && self.bytes + bytes > limit_bytes {
                match posting {
                    Posting::One(address, _) => _ = self.missed.overflowed.insert(address),
                    Posting::Many(readers, _) => self.missed.overflowed.extend(&*readers.addresses),
                }
                return;
            }
            while self.bytes + bytes > limit_bytes && self.drop_oldest(stats) {}
            self.bytes += bytes;
        }
        self.postings.push_back(posting);
    }

    /// Drops the oldest message. The search looks at each release and close in front of the
    /// messages about once, however many messages are dropped.
    fn drop_oldest(&mut self, stats: &Stats) -> bool {
        let oldest = (self.search_from..self.postings.len()).find(|at| self.postings[*at].weigh().is_some());
        self.search_from = oldest.unwrap_or(self.postings.len());
        let posting = match oldest {
            None => return false,
            Some(0) => self.postings.pop_front().unwrap_or(DROPPED),
            Some(oldest) => {
                self.holes += 1;
                std::mem::replace(&mut self.postings[oldest], DROPPED)
            }
        };
        // Closing holes moves every entry. Half of the entries must be holes first, so the cost is
        // constant for each dropped message.
        if self.holes > self.postings.len() / 2 {
            self.close_holes();
        }
        let (bytes, readers) = posting.weigh().unwrap_or_default();
        self.bytes -= bytes;
        stats.dropped.add(readers as u64);
        let addresses = match &posting {
            Posting::One(address, _) => std::slice::from_ref(address),
            Posting::Many(readers, _) => &readers.addresses,
        };
        for address in addresses {
            *self.missed.lost.entry(*address).or_default() += 1;
        }
        true
    }

    fn close_holes(&mut self) {
        self.postings.retain(|posting| !matches!(posting, Posting::One(_, None)));
        (self.holes, self.search_from) = (0, 0);
    }
}

/// The event loop's inbox. A post makes a system call only if it is the first one since the loop
/// went to sleep.
pub(crate) struct Inbox {
    /// `None` once the loop is over: handles can exist much longer.
    queue: Mutex<Option<Queue>>,
    limit_bytes: usize,
    policy: SlowConsumer,
    stats: Arc<Stats>,
    stop: Arc<Stop>,
}

impl Inbox {
    pub(crate) fn new(limit_bytes: usize, policy: SlowConsumer, stats: Arc<Stats>, stop: Arc<Stop>) -> Self {
        Self { queue: Mutex::new(Some(Queue::default())), limit_bytes, policy, stats, stop }
    }

    /// The loop announces that it will sleep. Returns whether it may, because nothing was posted.
    /// The loop counts as awake again when it [takes](Self::take).
    pub(crate) fn go_to_sleep(&self) -> bool {
        self.queue().as_mut().is_none_or(|queue| {
            queue.asleep = queue.postings.is_empty() && queue.missed.is_empty();
            queue.asleep
        })
    }

    /// Takes everything that was posted, and leaves `empty` in its place, so that both buffers are
    /// used again. Returns the messages that did not fit.
    pub(crate) fn take(&self, empty: &mut VecDeque<Posting>) -> Missed {
        let Some(queue) = &mut *self.queue() else { return Missed::default() };
        if queue.holes > 0 {
            queue.close_holes();
        }
        std::mem::swap(&mut queue.postings, empty);
        queue.search_from = 0;
        queue.bytes = 0;
        queue.asleep = false;
        std::mem::take(&mut queue.missed)
    }

    /// The loop is over: drops everything that was posted or will be posted.
    pub(crate) fn close(&self) {
        // The queue may be large: it is freed after the lock is released.
        let _left = self.queue().take();
    }

    fn add(&self, postings: impl IntoIterator<Item = Posting>) {
        let mut queue = self.queue();
        let Some(open) = &mut *queue else { return };
        for posting in postings {
            open.add(posting, self.limit_bytes, self.policy, &self.stats);
        }
        let is_asleep = std::mem::take(&mut open.asleep);
        // The loop that is woken should find the lock free.
        drop(queue);
        if is_asleep {
            self.stop.wake();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Option<Queue>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post for Inbox {
    fn post(&self, address: Address, command: Command) {
        self.add([Posting::One(address, Some(command))]);
    }

    fn post_many(&self, addresses: Arc<Vec<Address>>, frame: &Frame) {
        // An audience keeps a reference to its list.
        let is_own = Arc::strong_count(&addresses) == 1;
        let list_bytes = if is_own { size_of_val(&addresses[..]) } else { 0 };
        self.add([Posting::Many(Readers { addresses, list_bytes }, frame.clone())]);
    }

    fn post_each(&self, commands: Vec<(Address, Command)>) {
        self.add(commands.into_iter().map(|(address, command)| Posting::One(address, Some(command))));
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::sync::Waker;

    fn inbox(limit_bytes: usize, policy: SlowConsumer) -> (Inbox, mio::Poll) {
        let poll = mio::Poll::new().expect("a poll");
        let waker = Waker::new(poll.registry(), mio::Token(0)).expect("a waker");
        (Inbox::new(limit_bytes, policy, Arc::default(), Arc::new(Stop::new(waker))), poll)
    }

    /// Releases are never dropped, wherever they stand among the messages. The queue keeps the same
    /// messages as a search through the whole queue would keep each time.
    #[test]
    fn messages_are_dropped_from_among_releases() {
        const ROOM: usize = 5;
        let frame = |number: u64| Frame::chunk(format!("{number:08}").as_bytes());
        let weight = size_of::<Posting>() + frame(0).wire_len();
        for seed in 1..=200_u64 {
            let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (inbox, _poll) = inbox(ROOM * weight, SlowConsumer::DropOldest);
            let (mut expected, mut postings) = (Vec::<Option<u64>>::new(), VecDeque::new());
            for number in 0..400 {
                // Xorshift, Marsaglia 2003.
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let address = Address { slot: 1, serial: 1 };
                match state % 32 {
                    0 => {
                        inbox.take(&mut postings);
                        let found: Vec<_> = postings
                            .drain(..)
                            .map(|posting| match posting {
                                Posting::One(_, Some(Command::Send(frame))) => Some(frame),
                                Posting::One(_, Some(_)) => None,
                                Posting::One(_, None) | Posting::Many(..) => panic!("a hole, or what nobody posted"),
                            })
                            .collect();
                        let wanted = expected.drain(..).map(|number| number.map(frame));
                        let payload = |frame: Option<Frame>| frame.map(|frame| frame.payload().to_vec());
                        assert_eq!(
                            found.into_iter().map(payload).collect::<Vec<_>>(),
                            wanted.map(payload).collect::<Vec<_>>(),
                            "seed {seed}"
                        );
                    }
                    kind if kind < seed % 32 => {
                        inbox.post(address, Command::Close(1));
                        expected.push(None);
                    }
                    _ => {
                        inbox.post(address, Command::Send(frame(number)));
                        if expected.iter().flatten().count() == ROOM {
                            let oldest = expected.iter().position(Option::is_some).expect("there are five");
                            expected.remove(oldest);
                        }
                        expected.push(Some(number));
                    }
                }
                let queue = inbox.queue();
                let queue = queue.as_ref().expect("the loop is not over");
                assert!(queue.postings.len() <= 2 * expected.len() + 1, "{} for {}", queue.postings.len(), expected.len());
            }
        }
    }

    /// Ten thousand releases stand before the messages. They are searched once in a while, and not
    /// for each message that is dropped.
    #[test]
    fn a_search_does_not_begin_anew() {
        const RELEASES: usize = 10_000;
        let (inbox, _poll) = inbox(0, SlowConsumer::DropOldest);
        let address = Address { slot: 1, serial: 1 };
        (0..RELEASES).for_each(|_| inbox.post(address, Command::Close(1)));
        let (mut searched, mut search_from) = (0, 0);
        for _ in 0..4 * RELEASES {
            inbox.post(address, Command::Send(Frame::chunk(b"x")));
            let queue = inbox.queue();
            let queue = queue.as_ref().expect("the loop is not over");
            searched += queue.search_from.abs_diff(search_from);
            search_from = queue.search_from;
        }
        assert!(searched < 12 * RELEASES, "{searched} entries were searched for {} messages", 4 * RELEASES);
    }

    /// A message to an audience counts only its frame, because all messages share the list of
    /// readers.
    #[test]
    fn readers_do_not_weigh() {
        let (inbox, _poll) = inbox(1024 * 1024, SlowConsumer::Disconnect);
        let readers = Arc::new(vec![Address { slot: 1, serial: 1 }; 10_000]);
        let mut postings = VecDeque::new();
        for _ in 0..1_000 {
            inbox.post_many(Arc::clone(&readers), &Frame::chunk(b"a message"));
        }
        assert!(inbox.take(&mut postings).overflowed.is_empty());
        assert_eq!(postings.len(), 1_000);
        inbox.post_many(readers, &Frame::chunk(&vec![b'x'; 1024 * 1024]));
        assert!(!inbox.take(&mut postings).overflowed.is_empty(), "frames do");
    }

    /// A list that was made for one message counts, because only this message uses its memory.
    #[test]
    fn lists_of_their_own_weigh() {
        let frame = Frame::chunk(b"a message");
        let list = |slot| Arc::new(vec![Address { slot, serial: 1 }; 10_000]);
        let one = size_of::<Posting>() + frame.wire_len() + 10_000 * size_of::<Address>();
        for (limit_bytes, expected) in [(3 * one, 0), (3 * one - 1, 1)] {
            let (inbox, _poll) = inbox(limit_bytes, SlowConsumer::Disconnect);
            (0..3).for_each(|slot| inbox.post_many(list(slot), &frame));
            assert_eq!(inbox.take(&mut VecDeque::new()).overflowed.len(), expected);
        }
        let (inbox, _poll) = inbox(3 * one, SlowConsumer::DropOldest);
        let kept = list(0);
        for slot in 1..=100 {
            inbox.post_many(Arc::clone(&kept), &frame);
            inbox.post_many(list(slot), &frame);
        }
        drop(kept);
        let mut postings = VecDeque::new();
        assert_eq!(inbox.take(&mut postings).lost.values().sum::<usize>(), (200 - postings.len()) * 10_000);
        assert!((4..=5).contains(&postings.len()), "two lists and a little beside: {}", postings.len());
        inbox.post_many(list(0), &frame);
        assert!(inbox.take(&mut VecDeque::new()).lost.is_empty(), "what was taken weighs nothing");
    }
}

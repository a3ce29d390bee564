//! The account of one subscriber: each message once, in order, or covered by a declared gap.
//!
//! Owns the comparison of what was sent with what arrived. The publisher numbers its messages from
//! 1. Leaves the connection to `subscribers`.

use pushlab::push::Id;

/// What one subscriber has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// The number of the newest message that was received, or that a closed gap covers.
    pub(crate) last: u64,
    /// The number after which this subscriber began.
    begin: u64,
    /// A declared gap without a message behind it yet.
    open: Option<Gap>,
    pub(crate) entries: Entries,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    /// All messages after this id follow, if the server said so.
    from: Option<Id>,
}

/// The entries of one account, or their sums over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entries {
    pub(crate) delivered: u64,
    /// Messages that a declared gap covers.
    pub(crate) in_gaps: u64,
    /// Declared gaps.
    pub(crate) gaps: u64,
    /// Messages that are missing although no gap was declared.
    pub(crate) lost: u64,
    /// Messages that arrived again.
    pub(crate) repeated: u64,
    /// Declared gaps that did not end where the server said.
    pub(crate) wrong_gaps: u64,
}

impl Account {
    /// The account of a subscriber that begins after message number `begin`.
    pub(crate) fn after(begin: u64) -> Self {
        Self { last: begin, begin, ..Self::default() }
    }

    /// The server declares that messages are missing here.
    pub(crate) fn gap(&mut self, from: Option<Id>) {
        self.entries.gaps += 1;
        self.open = Some(Gap { from });
    }

    /// A message arrives. Returns whether it is new.
    pub(crate) fn message(&mut self, number: u64, id: Option<Id>) -> bool {
        let missing = match number.checked_sub(self.last) {
            None | Some(0) => {
                self.entries.repeated += 1;
                return false;
            }
            Some(distance) => distance - 1,
        };
        match self.open.take() {
            None => self.entries.lost += missing,
            Some(gap) => {
                self.entries.in_gaps += missing;
                // Nothing else publishes here, so the message after `from` has the next sequence
                // number.
                let is_told = gap.from.zip(id).is_none_or(|(from, id)| from.sequence + 1 == id.sequence);
                self.entries.wrong_gaps += u64::from(!is_told);
            }
        }
        self.entries.delivered += 1;
        self.last = number;
        true
    }

    /// The entries at the end, after `sent` messages in all. What is missing behind the newest
    /// message is lost, unless a gap is open.
    pub(crate) fn close(mut self, sent: u64) -> Entries {
        let missing = sent.saturating_sub(self.last);
        *(if self.open.is_some() { &mut self.entries.in_gaps } else { &mut self.entries.lost }) += missing;
        self.entries
    }

    /// How many messages this subscriber should have received of `sent` in all.
    pub(crate) const fn due(&self, sent: u64) -> u64 {
        sent - self.begin
    }
}

impl Entries {
    /// Whether sent = delivered + declared gap, with nothing lost, repeated or declared wrongly.
    #[cfg(test)]
    pub(crate) const fn is_exact(&self, due: u64) -> bool {
        self.delivered + self.in_gaps == due && self.faults() == 0
    }

    pub(crate) const fn faults(&self) -> u64 {
        self.lost + self.repeated + self.wrong_gaps
    }
}

impl std::ops::AddAssign for Entries {
    fn add_assign(&mut self, other: Self) {
        self.delivered += other.delivered;
        self.in_gaps += other.in_gaps;
        self.gaps += other.gaps;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.wrong_gaps += other.wrong_gaps;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EPOCH: u64 = 10;

    const fn id(sequence: u64) -> Id {
        Id { epoch: EPOCH, sequence }
    }

    #[test]
    fn a_whole_feed_is_exact() {
        let mut account = Account::after(5);
        for number in 6..=9 {
            assert!(account.message(number, Some(id(number))));
        }
        let entries = account.close(9);
        assert_eq!((entries.delivered, entries.is_exact(account.due(9))), (4, true));
    }

    /// A server that loses every tenth message in silence.
    #[test]
    fn a_lossy_feed_is_not_exact() {
        let mut account = Account::default();
        for number in (1..=100).filter(|number| number % 10 != 0) {
            account.message(number, Some(id(number)));
        }
        let entries = account.close(100);
        assert_eq!((entries.delivered, entries.lost), (90, 10), "the last one is missing at the end");
        assert!(!entries.is_exact(100));
    }

    #[test]
    fn a_declared_gap_covers_what_is_missing_and_nothing_else() {
        let mut account = Account::default();
        account.message(1, Some(id(1)));
        account.gap(Some(id(4)));
        account.message(5, Some(id(5)));
        account.message(8, Some(id(8)));
        let entries = account.close(8);
        assert_eq!((entries.delivered, entries.in_gaps, entries.lost, entries.wrong_gaps), (3, 3, 2, 0));

        let mut account = Account::default();
        account.gap(Some(id(4)));
        account.message(7, Some(id(7)));
        assert_eq!(account.close(7).wrong_gaps, 1, "5 and 6 should have followed");

        let mut account = Account::default();
        account.gap(None);
        assert!(account.close(3).is_exact(3), "a gap without an end covers the rest");
    }

    #[test]
    fn a_repeated_or_late_message_is_a_fault() {
        let mut account = Account::default();
        assert_eq!([1, 1, 3, 2].map(|number| account.message(number, Some(id(number)))), [true, false, true, false]);
        let entries = account.close(3);
        assert_eq!((entries.repeated, entries.lost, entries.is_exact(3)), (2, 1, false));
    }
}

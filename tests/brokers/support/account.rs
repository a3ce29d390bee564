//! The account of one client: each message once, in order, or covered by a declared gap.
//!
//! Owns the checks while messages arrive, and the comparison at the end. Leaves reading to `reader`.

use std::collections::HashMap;
use std::sync::Arc;

use pushlab::push::Id;

use super::decode::Item;

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Confirmed(Id),
    /// 503: it may still be published.
    Unknown,
    /// 503: it was not published.
    NotPublished,
}

/// The messages that were sent, by text.
pub(crate) type Sent = HashMap<String, Outcome>;

#[derive(Debug)]
pub(crate) struct Account {
    start: Id,
    /// The client has everything up to here, or was told that it does not.
    pub(crate) cursor: Id,
    pub(crate) received: Vec<(Id, String)>,
    /// Declared gaps, each from the cursor to the id behind which messages follow.
    pub(crate) gaps: Vec<(Id, Id)>,
    pub(crate) faults: Vec<String>,
    /// The ids that the cursor has had, each with the connection that brought it.
    steps: Vec<(Id, Arc<str>)>,
    connection: Arc<str>,
}

impl Account {
    /// The account of a client that begins behind an id.
    pub(crate) fn behind(start: Id) -> Self {
        Self {
            start,
            cursor: start,
            received: Vec::new(),
            gaps: Vec::new(),
            faults: Vec::new(),
            steps: Vec::new(),
            connection: "no connection".into(),
        }
    }

    /// Another connection brings what follows. A fault names it by this text.
    pub(crate) fn continues_on(&mut self, connection: impl Into<Arc<str>>) {
        self.connection = connection.into();
    }

    pub(crate) fn take(&mut self, item: Item) {
        match item {
            Item::Message(id, text) => {
                self.advance(id, "a message");
                self.received.push((id, text));
            }
            Item::Gap(from) => {
                if from.epoch == self.cursor.epoch && from < self.cursor {
                    self.faults.push(format!("a gap leads back from {} to {from}", self.cursor));
                }
                self.gaps.push((self.cursor, from));
                self.cursor = from;
            }
            Item::Cursor(id) if id == self.cursor => {}
            Item::Cursor(id) => self.advance(id, "a cursor"),
        }
    }

    fn advance(&mut self, id: Id, what: &str) {
        let cursor = self.cursor;
        if id.epoch != cursor.epoch {
            self.faults.push(format!("{what} of another epoch without a gap: {id} behind {cursor}"));
        } else if id <= cursor {
            self.faults.push(format!("{what} again, or out of order: {id} behind {cursor}"));
        }
        self.steps.push((id, Arc::clone(&self.connection)));
        self.cursor = id;
    }

    /// The step before an id, and the step that went past it.
    fn around(&self, id: Id) -> String {
        let at = self.steps.iter().position(|(step, _)| step.epoch == id.epoch && *step > id).unwrap_or(self.steps.len());
        let before = at.checked_sub(1).and_then(|before| self.steps.get(before));
        let name =
            |step: Option<&(Id, Arc<str>)>| step.map_or_else(|| "nothing".to_owned(), |(id, connection)| format!("{id} by {connection}"));
        format!("between {} and {}", name(before), name(self.steps.get(at)))
    }

    fn is_in_gap(&self, id: Id) -> bool {
        self.gaps.iter().any(|(after, from)| {
            let is_behind = id.epoch == after.epoch && id > *after;
            let is_before = id.epoch == from.epoch && id <= *from;
            if after.epoch == from.epoch { is_behind && is_before } else { is_behind || is_before }
        })
    }

    /// Compares with what was sent. Returns how many confirmed messages declared gaps cover.
    pub(crate) fn close(&mut self, sent: &Sent) -> usize {
        let mut ids = HashMap::new();
        for (id, text) in &self.received {
            if let Some(before) = ids.insert(text.as_str(), *id) {
                self.faults.push(format!("{text} twice: {before} and {id}"));
            }
            let fault = match sent.get(text) {
                None => format!("{text} ({id}) was never sent"),
                Some(Outcome::NotPublished) => format!("{text} ({id}) arrived, and its publisher was told that it was not published"),
                Some(Outcome::Confirmed(other)) if other != id => format!("{text} is {id}, and its publisher was told {other}"),
                Some(_) => continue,
            };
            self.faults.push(fault);
        }
        let mut in_gaps = 0;
        for (text, outcome) in sent {
            let Outcome::Confirmed(id) = outcome else { continue };
            let is_due = (id.epoch != self.start.epoch || *id > self.start) && !ids.contains_key(text.as_str());
            if is_due && self.is_in_gap(*id) {
                in_gaps += 1;
            } else if is_due {
                self.faults.push(format!("{text} ({id}) is missing {}, and no gap was declared", self.around(*id)));
            }
        }
        in_gaps
    }
}

#[test]
fn an_account_finds_every_fault() {
    let id = |sequence| Id { epoch: 1, sequence };
    let message = |sequence: u64, text: &str| Item::Message(id(sequence), text.to_owned());
    let sent: Sent = [("a", 1), ("b", 2), ("c", 3)].map(|(text, sequence)| (text.to_owned(), Outcome::Confirmed(id(sequence)))).into();
    let faults = |items: Vec<Item>| {
        let mut account = Account::behind(id(0));
        for item in items {
            account.take(item);
        }
        let in_gaps = account.close(&sent);
        (account.faults.len(), in_gaps)
    };
    assert_eq!(faults(vec![message(1, "a"), message(2, "b"), message(3, "c")]), (0, 0));
    assert_eq!(faults(vec![message(1, "a"), message(3, "c")]), (1, 0), "lost");
    assert_eq!(faults(vec![message(1, "a"), Item::Gap(id(2)), message(3, "c")]), (0, 1), "declared");
    assert_eq!(faults(vec![message(1, "a"), Item::Cursor(id(3))]), (2, 0), "a cursor declares nothing");
    assert_eq!(faults(vec![message(2, "b"), message(1, "a"), message(3, "c")]), (1, 0), "out of order");
    assert_eq!(faults(vec![message(1, "a"), message(2, "b"), message(3, "c"), message(4, "c")]), (2, 0), "twice, with another id");
    assert_eq!(faults(vec![message(1, "a"), message(2, "b"), message(4, "c")]), (1, 0), "another id");
    assert_eq!(faults(vec![Item::Gap(Id { epoch: 9, sequence: 1 })]), (0, 3), "another epoch");
}

//! A client that goes from hub to hub.
//!
//! Owns its cursor, what it has received, what it was told of gaps, and the checks of each answer.
//! Leaves the account at the end to `mod`.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use super::broker::SharedBroker;
use crate::push::hub::hub::Hub;
use crate::push::hub::lookup::{LookupError, Search};
use crate::push::model::{Cursor, Id, Replay, Topics};

const UNPOISONED: &str = "no test panics under the lock";

/// A client that goes from hub to hub with its cursor.
#[derive(Default)]
pub(super) struct Client {
    pub(super) cursor: Option<Id>,
    /// What the client has received, by epoch.
    pub(super) received: HashMap<u64, BTreeMap<u64, String>>,
    /// For each epoch, the ranges of sequence numbers that may be missing: behind the first number,
    /// up to the second one.
    pub(super) gaps: HashMap<u64, Vec<(u64, u64)>>,
    pub(super) asked: Option<Answer>,
}

/// The result of a read that came later.
type Answer = Arc<Mutex<Option<Result<Replay, LookupError>>>>;

impl Client {
    pub(super) fn poll(&mut self, hub: &Hub, topics: &Topics) {
        if self.asked.is_some() {
            return;
        }
        let answer = Answer::default();
        let cursor = self.cursor.map_or(Cursor::Earliest, Cursor::After);
        match hub.search(topics, cursor) {
            Search::Here(replay) => *answer.lock().expect(UNPOISONED) = Some(Ok(replay)),
            Search::Later(lookup) => {
                let later = Arc::clone(&answer);
                lookup.then(move |found| *later.lock().expect(UNPOISONED) = Some(found));
            }
        }
        self.asked = Some(answer);
    }

    pub(super) fn take_answer(&mut self, texts: &mut HashMap<Id, String>, broker: &SharedBroker) {
        let Some(asked) = &self.asked else { return };
        // Nobody else has the answer any more if the server has ended before.
        let is_over = Arc::strong_count(asked) == 1;
        let found = asked.lock().expect(UNPOISONED).take();
        if is_over || found.is_some() {
            self.asked = None;
        }
        let Some(found) = found else { return };
        // An error means: try again with the same cursor.
        let Ok(replay) = found else { return };
        let mut before = self.cursor.filter(|cursor| cursor.epoch == replay.last.epoch).map_or(0, |cursor| cursor.sequence);
        if replay.gap && replay.last.sequence < before {
            // The log has lost the message of the cursor.
            assert!(broker.lock().broken_epochs.contains(&replay.last.epoch), "a gap leads forward");
            before = 0;
        }
        if self.cursor.is_some_and(|cursor| cursor.epoch != replay.last.epoch) {
            // While the epoch changes, a client may meet hubs of both epochs. Each change is a gap,
            // and what is retained comes once more.
            self.received.remove(&replay.last.epoch);
            self.gaps.remove(&replay.last.epoch);
        }
        if replay.gap {
            assert!(replay.from.sequence >= before);
            self.gaps.entry(replay.from.epoch).or_default().push((before, replay.from.sequence));
        } else {
            assert_eq!(self.cursor.map_or(replay.last.epoch, |cursor| cursor.epoch), replay.last.epoch, "another epoch is a gap");
        }
        if self.cursor.is_none() {
            // What was there before the client began is not its own.
            self.gaps.entry(replay.from.epoch).or_default().push((0, replay.from.sequence));
        }
        // With several topics, some messages before the end of a gap may still be there.
        let mut last = before;
        for message in &replay.messages {
            let Id { epoch, sequence } = message.id();
            assert!(sequence > last, "{sequence} follows {last}");
            last = sequence;
            let text = message.text().expect("all payloads are text").to_owned();
            let received = self.received.entry(epoch).or_default();
            if broker.lock().broken_epochs.contains(&epoch) {
                received.insert(sequence, text);
                continue;
            }
            assert_eq!(*texts.entry(message.id()).or_insert_with(|| text.clone()), text, "an id means one message");
            let before = received.iter().find(|(_, known)| **known == text);
            assert_eq!(before, None, "{text} comes as {sequence} again");
            received.insert(sequence, text);
        }
        assert!(replay.last.sequence >= last);
        self.cursor = Some(replay.last);
    }

    pub(super) fn has(&self, id: Id) -> bool {
        let received = self.received.get(&id.epoch).is_some_and(|received| received.contains_key(&id.sequence));
        let told = self.gaps.get(&id.epoch).is_some_and(|gaps| gaps.iter().any(|(after, to)| id.sequence > *after && id.sequence <= *to));
        received || told
    }
}

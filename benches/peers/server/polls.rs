//! Requests that are held, the same for all peers.
//!
//! Owns the list of held requests. The last one of a number of requests releases all of them, so a load
//! needs no other connection to release them, and never releases too few. Leaves answering to the peers.

use std::mem;
use std::sync::{Mutex, PoisonError};

pub(super) struct Polls<T>(Mutex<Vec<T>>);

impl<T> Polls<T> {
    /// Keeps a request. With the last one of `number`, returns all.
    pub(super) fn hold(&self, poll: T, number: usize) -> Vec<T> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.push(poll);
        if held.len() < number { Vec::new() } else { mem::take(&mut held) }
    }
}

impl<T> Default for Polls<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[test]
fn the_last_of_a_number_releases_all() {
    let polls = Polls::default();
    assert!(polls.hold('a', 2).is_empty());
    assert_eq!(polls.hold('b', 2), ['a', 'b']);
    assert!(polls.hold('c', 2).is_empty());
}

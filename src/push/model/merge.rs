//! Messages of several topics in one order.
//!
//! Owns the walk through several histories at once, in the order of publishing. Each message that
//! is taken costs a step, and the messages behind it cost none. Leaves to others how many messages
//! are taken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::sync::Arc;

use super::message::Message;

/// Messages of several histories, each of which is in order.
pub(crate) struct Merge<'a, I: Iterator<Item = &'a Arc<Message>>> {
    histories: Vec<Peekable<I>>,
    /// The next message of each history: its place in the sequence, and which history it is.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'a, I: Iterator<Item = &'a Arc<Message>>> Merge<'a, I> {
    pub(crate) fn new(histories: impl Iterator<Item = I>) -> Self {
        let mut histories: Vec<_> = histories.map(Iterator::peekable).collect();
        let heads = histories.iter_mut().enumerate().filter_map(|(nth, history)| head(history, nth)).collect();
        Self { histories, heads }
    }
}

impl<'a, I: Iterator<Item = &'a Arc<Message>>> Iterator for Merge<'a, I> {
    type Item = &'a Arc<Message>;

    fn next(&mut self) -> Option<&'a Arc<Message>> {
        let Reverse((_, nth)) = self.heads.pop()?;
        let history = &mut self.histories[nth];
        let message = history.next();
        self.heads.extend(head(history, nth));
        message
    }
}

fn head<'a>(history: &mut Peekable<impl Iterator<Item = &'a Arc<Message>>>, nth: usize) -> Option<Reverse<(u64, usize)>> {
    history.peek().map(|message| Reverse((message.id().sequence, nth)))
}

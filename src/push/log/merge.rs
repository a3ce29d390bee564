//! Messages of several topics in one order.
//!
//! Owns the merge of several histories in the order of publishing. Each message that is taken costs
//! O(log topics), and messages that are not taken cost nothing. Leaves to the caller how many
//! messages are taken.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::iter::Peekable;
use std::sync::Arc;

use crate::push::model::TopicMessage;

/// An iterator over the messages of several histories. Each history is in the order of publishing.
pub(crate) struct Merge<'a, I: Iterator<Item = &'a Arc<TopicMessage>>> {
    histories: Vec<Peekable<I>>,
    /// For each history with messages left: the sequence number of its next message, and the index
    /// of the history. `Reverse` makes the heap return the smallest number first.
    heads: BinaryHeap<Reverse<(u64, usize)>>,
}

impl<'a, I: Iterator<Item = &'a Arc<TopicMessage>>> Merge<'a, I> {
    pub(crate) fn new(histories: impl Iterator<Item = I>) -> Self {
        let mut histories: Vec<_> = histories.map(Iterator::peekable).collect();
        let heads = histories.iter_mut().enumerate().filter_map(|(nth, history)| head(history, nth)).collect();
        Self { histories, heads }
    }
}

impl<'a, I: Iterator<Item = &'a Arc<TopicMessage>>> Iterator for Merge<'a, I> {
    type Item = &'a Arc<TopicMessage>;

    fn next(&mut self) -> Option<&'a Arc<TopicMessage>> {
        let Reverse((_, nth)) = self.heads.pop()?;
        let history = &mut self.histories[nth];
        let message = history.next();
        self.heads.extend(head(history, nth));
        message
    }
}

fn head<'a>(history: &mut Peekable<impl Iterator<Item = &'a Arc<TopicMessage>>>, nth: usize) -> Option<Reverse<(u64, usize)>> {
    history.peek().map(|message| Reverse((message.id().sequence, nth)))
}

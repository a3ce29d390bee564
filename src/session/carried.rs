//! The values that a connection carries for a hold, a stream or a WebSocket.
//!
//! Owns the list of the values, their end, and which of them speaks in the place of messages. Leaves
//! the moment of the end to `link`, and what is said to the application.
//!
//! Most connections carry one value. So the list has no buffer of its own: each value is one
//! allocation with a reference to the value before it. A `Vec` of boxes took 64 bytes more for one
//! value.

use super::{Notices, Surroundings};

/// Values of the application, from the newest to the oldest.
#[derive(Default)]
pub(super) struct Carried {
    newest: Option<Box<Node<dyn Value>>>,
}

struct Node<T: ?Sized> {
    before: Option<Box<Node<dyn Value>>>,
    value: T,
}

/// A value that is dropped at the end.
trait Value: Send {
    /// What the value says in the place of messages.
    fn notices(&mut self) -> Option<&mut dyn Notices> {
        None
    }

    /// Whether later notices replace the value.
    fn is_replaced(&self) -> bool {
        false
    }
}

/// A value that is kept to be dropped.
struct Silent<T>(T);

impl<T: Send> Value for Silent<T> {}

/// Notices, which later notices replace.
struct Speaking<T>(T);

impl<T: Notices> Value for Speaking<T> {
    fn notices(&mut self) -> Option<&mut dyn Notices> {
        Some(&mut self.0)
    }

    fn is_replaced(&self) -> bool {
        true
    }
}

/// Notices that are kept until the end even if later notices speak in their place.
struct SpeakingToTheEnd<T>(T);

impl<T: Notices> Value for SpeakingToTheEnd<T> {
    fn notices(&mut self) -> Option<&mut dyn Notices> {
        Some(&mut self.0)
    }
}

impl Carried {
    /// Adds a value.
    pub(super) fn add(&mut self, value: impl Send + 'static) {
        self.add_node(Silent(value));
    }

    /// Adds a value that speaks from now on.
    pub(super) fn add_notices(&mut self, notices: impl Notices) {
        self.replace_notices();
        self.add_node(SpeakingToTheEnd(notices));
    }

    /// Sets what speaks from now on.
    pub(super) fn set_notices(&mut self, notices: impl Notices) {
        self.replace_notices();
        self.add_node(Speaking(notices));
    }

    fn add_node(&mut self, value: impl Value + 'static) {
        let before = self.newest.take();
        self.newest = Some(Box::new(Node { before, value }));
    }

    fn replace_notices(&mut self) {
        let mut next = &mut self.newest;
        while next.as_ref().is_some_and(|node| !node.value.is_replaced()) {
            next = &mut next.as_mut().expect("the condition has looked at the node").before;
        }
        if let Some(node) = next.take() {
            *next = node.before;
        }
    }

    /// What speaks in the place of messages.
    pub(super) fn notices(&mut self) -> Option<&mut dyn Notices> {
        let mut next = self.newest.as_deref_mut();
        while let Some(Node { before, value }) = next {
            if let Some(notices) = value.notices() {
                return Some(notices);
            }
            next = before.as_deref_mut();
        }
        None
    }

    /// Drops the values, the oldest first. A panic in one destructor does not prevent the others.
    pub(super) fn let_go(&mut self, cx: &Surroundings<'_>) {
        self.drop_each(|value| cx.contain(|| drop(value)));
    }

    fn drop_each(&mut self, mut drop_one: impl FnMut(Box<Node<dyn Value>>)) {
        let mut oldest = None;
        while let Some(mut node) = self.newest.take() {
            self.newest = std::mem::replace(&mut node.before, oldest);
            oldest = Some(node);
        }
        while let Some(mut node) = oldest {
            oldest = node.before.take();
            drop_one(node);
        }
    }
}

impl Drop for Carried {
    /// In the same order. Without the loop, the destructor of a long list would call itself for each
    /// value, and the stack could overflow. Most requests carry nothing, which is asked first.
    #[inline]
    fn drop(&mut self) {
        if self.newest.is_some() {
            self.drop_each(drop);
        }
    }
}

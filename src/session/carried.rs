//! The values that a connection carries for a hold, a stream or a WebSocket.
//!
//! Owns the list of the values, their end, and which of them speaks in the place of messages. Leaves
//! the moment of the end to `link`, and what is said to the application.
//!
//! Nearly every connection carries one value, which is then the only allocation. A `Vec` of boxes took
//! 80 bytes more.

use super::{Notices, Surroundings};

/// Values of the application, from the oldest to the newest.
pub(super) enum Carried {
    One(Box<dyn Value>),
    /// `None` if there is no value.
    #[expect(clippy::box_collection, reason = "it needs no more room than a value")]
    Several(Option<Box<Vec<Box<dyn Value>>>>),
}

impl Default for Carried {
    fn default() -> Self {
        Self::Several(None)
    }
}

/// A value that is dropped at the end.
pub(super) trait Value: Send {
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
    pub(super) const fn is_empty(&self) -> bool {
        matches!(self, Self::Several(None))
    }

    /// Drops the values. For the usual request, which carries none, that is a comparison and no call.
    #[inline(always)]
    pub(super) fn drop_all(self) {
        match self {
            Self::Several(None) => {}
            carried => drop(carried),
        }
    }

    /// Adds a value.
    pub(super) fn add(&mut self, value: impl Send + 'static) {
        self.push(Box::new(Silent(value)));
    }

    /// Adds a value that speaks from now on.
    pub(super) fn add_notices(&mut self, notices: impl Notices) {
        self.replace_notices();
        self.push(Box::new(SpeakingToTheEnd(notices)));
    }

    /// Sets what speaks from now on.
    pub(super) fn set_notices(&mut self, notices: impl Notices) {
        self.replace_notices();
        self.push(Box::new(Speaking(notices)));
    }

    fn push(&mut self, value: Box<dyn Value>) {
        *self = match std::mem::take(self) {
            Self::Several(None) => Self::One(value),
            Self::One(first) => Self::Several(Some(Box::new(vec![first, value]))),
            Self::Several(Some(mut values)) => {
                values.push(value);
                Self::Several(Some(values))
            }
        };
    }

    /// Drops the notices that later notices replace.
    fn replace_notices(&mut self) {
        match self {
            Self::One(value) if value.is_replaced() => *self = Self::default(),
            Self::One(_) | Self::Several(None) => {}
            Self::Several(Some(values)) => values.retain(|value| !value.is_replaced()),
        }
    }

    /// What speaks in the place of messages.
    pub(super) fn notices(&mut self) -> Option<&mut dyn Notices> {
        match self {
            Self::One(value) => value.notices(),
            Self::Several(values) => values.iter_mut().flat_map(|values| values.iter_mut().rev()).find_map(|value| value.notices()),
        }
    }

    /// Drops the values, the oldest first. A panic in one destructor does not prevent the others.
    pub(super) fn let_go(&mut self, cx: &Surroundings<'_>) {
        match std::mem::take(self) {
            Self::One(value) => cx.contain(|| drop(value)),
            Self::Several(values) => {
                for value in values.into_iter().flat_map(|values| *values) {
                    cx.contain(|| drop(value));
                }
            }
        }
    }
}

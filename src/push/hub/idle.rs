//! The topics without users, in the order of their last use.
//!
//! Owns a doubly linked list over the topics' slots: each operation takes the same few steps,
//! however many topics there are. Leaves the meaning of a use to others.

/// No slot.
const NONE: usize = usize::MAX;

/// The neighbours of a slot in the list, or `NONE` at an end of it.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: usize,
    next: usize,
}

#[derive(Debug)]
pub(crate) struct IdleList {
    /// By slot; `None` for what is not in the list.
    links: Vec<Option<Link>>,
    first: usize,
    last: usize,
}

impl Default for IdleList {
    fn default() -> Self {
        Self { links: Vec::new(), first: NONE, last: NONE }
    }
}

impl IdleList {
    /// Puts a slot at the end of the list, be it in the list already or not.
    pub(crate) fn move_to_end(&mut self, slot: usize) {
        self.remove(slot);
        if slot >= self.links.len() {
            self.links.resize(slot + 1, None);
        }
        self.links[slot] = Some(Link { previous: self.last, next: NONE });
        match self.link(self.last) {
            Some(link) => link.next = slot,
            None => self.first = slot,
        }
        self.last = slot;
    }

    /// Takes a slot out of the list. Returns whether it was there.
    pub(crate) fn remove(&mut self, slot: usize) -> bool {
        let Some(Link { previous, next }) = self.links.get_mut(slot).and_then(Option::take) else { return false };
        match self.link(previous) {
            Some(link) => link.next = next,
            None => self.first = next,
        }
        match self.link(next) {
            Some(link) => link.previous = previous,
            None => self.last = previous,
        }
        true
    }

    /// The slot that was put into the list first, of those that are there.
    pub(crate) fn first(&self) -> Option<usize> {
        (self.first != NONE).then_some(self.first)
    }

    fn link(&mut self, slot: usize) -> Option<&mut Link> {
        self.links.get_mut(slot)?.as_mut()
    }
}

#[cfg(test)]
impl IdleList {
    /// All slots, first to last; the way back is the same.
    pub(crate) fn slots(&self) -> Vec<usize> {
        let walk = |from: usize, next: fn(&Link) -> usize| {
            std::iter::successors(self.links.get(from).map(|_| from), move |slot| {
                let link = self.links[*slot].as_ref().expect("neighbours are in the list");
                Some(next(link)).filter(|slot| *slot != NONE)
            })
        };
        let slots: Vec<_> = walk(self.first, |link| link.next).collect();
        let mut back: Vec<_> = walk(self.last, |link| link.previous).collect();
        back.reverse();
        assert_eq!(slots, back);
        assert_eq!(slots.len(), self.links.iter().flatten().count());
        slots
    }
}

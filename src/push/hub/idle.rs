//! The list of topics without users, in the order of their last use.
//!
//! Owns a doubly linked list over the slots of the topic table. Each operation takes constant time.
//! Leaves to `topic_table` what counts as a use.

/// The absence of a neighbour.
const NONE: usize = usize::MAX;

/// The neighbours of a slot in the list. `NONE` stands at both ends of the list.
#[derive(Clone, Copy, Debug)]
struct Link {
    previous: usize,
    next: usize,
}

/// The list of topics without users.
#[derive(Debug)]
pub(crate) struct IdleList {
    /// The links by slot; `None` for a slot that is not in the list.
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
    /// Appends a slot to the list. A slot that is already in the list moves to the end.
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

    /// Removes a slot from the list. Returns whether it was in the list.
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

    /// The slot of the topic that was used least recently.
    pub(crate) fn first(&self) -> Option<usize> {
        (self.first != NONE).then_some(self.first)
    }

    fn link(&mut self, slot: usize) -> Option<&mut Link> {
        self.links.get_mut(slot)?.as_mut()
    }
}

#[cfg(test)]
impl IdleList {
    /// All slots, first to last. Checks that the links in both directions agree.
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

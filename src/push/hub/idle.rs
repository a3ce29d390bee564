//! The topics without users, in the order of their last use.
//!
//! Owns a doubly linked list over the topics' places: each operation takes the same few steps,
//! however many topics there are. Leaves the meaning of a use to others.

/// No place.
const NONE: usize = usize::MAX;

/// The neighbours of a place in the list, or `NONE` at an end of it.
#[derive(Clone, Copy, Debug)]
struct Link {
    before: usize,
    behind: usize,
}

#[derive(Debug)]
pub(crate) struct Idle {
    /// By place; `None` for what is not in the list.
    links: Vec<Option<Link>>,
    first: usize,
    last: usize,
}

impl Default for Idle {
    fn default() -> Self {
        Self { links: Vec::new(), first: NONE, last: NONE }
    }
}

impl Idle {
    /// Puts a place at the end of the list, be it in the list already or not.
    pub(crate) fn touch(&mut self, place: usize) {
        self.remove(place);
        if place >= self.links.len() {
            self.links.resize(place + 1, None);
        }
        self.links[place] = Some(Link { before: self.last, behind: NONE });
        match self.link(self.last) {
            Some(link) => link.behind = place,
            None => self.first = place,
        }
        self.last = place;
    }

    /// Takes a place out of the list. Returns whether it was there.
    pub(crate) fn remove(&mut self, place: usize) -> bool {
        let Some(Link { before, behind }) = self.links.get_mut(place).and_then(Option::take) else { return false };
        match self.link(before) {
            Some(link) => link.behind = behind,
            None => self.first = behind,
        }
        match self.link(behind) {
            Some(link) => link.before = before,
            None => self.last = before,
        }
        true
    }

    /// The place that was put into the list first, of those that are there.
    pub(crate) fn first(&self) -> Option<usize> {
        (self.first != NONE).then_some(self.first)
    }

    fn link(&mut self, place: usize) -> Option<&mut Link> {
        self.links.get_mut(place)?.as_mut()
    }
}

#[cfg(test)]
impl Idle {
    /// All places, first to last; the way back is the same.
    pub(crate) fn places(&self) -> Vec<usize> {
        let walk = |from: usize, next: fn(&Link) -> usize| {
            std::iter::successors(self.links.get(from).map(|_| from), move |place| {
                let link = self.links[*place].as_ref().expect("neighbours are in the list");
                Some(next(link)).filter(|place| *place != NONE)
            })
        };
        let places: Vec<_> = walk(self.first, |link| link.behind).collect();
        let mut back: Vec<_> = walk(self.last, |link| link.before).collect();
        back.reverse();
        assert_eq!(places, back);
        assert_eq!(places.len(), self.links.iter().flatten().count());
        places
    }
}

//! Room in large lists.
//!
//! Owns how the lists of the hub grow and shrink. A `Vec` doubles its room: with 10,000 subscribers,
//! four tenths of it would be unused, and an emptied list keeps its room forever.

/// Lists up to this length grow and shrink as every `Vec` does.
const LARGE: usize = 1_024;

/// Makes room for one more value. A large list gets an eighth more, so that each value moves nine
/// times on average.
pub(super) fn make_room<T>(list: &mut Vec<T>) {
    if list.len() == list.capacity() && list.len() >= LARGE {
        list.reserve_exact(list.len() / 8);
    }
}

/// Gives back half of the room of a large list of which a quarter is used.
pub(super) fn give_back<T>(list: &mut Vec<T>) {
    if list.capacity() > LARGE && list.len() <= list.capacity() / 4 {
        list.shrink_to(list.capacity() / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_list_has_little_unused_room() {
        let mut list = Vec::new();
        for number in 0..10_000 {
            make_room(&mut list);
            list.push(number);
            assert!(list.capacity() <= LARGE.max(list.len() * 9 / 8 + 1), "{} for {}", list.capacity(), list.len());
        }
        while list.pop().is_some() {
            give_back(&mut list);
            assert!(list.capacity() <= LARGE.max(4 * list.len()), "{} for {}", list.capacity(), list.len());
        }
    }
}

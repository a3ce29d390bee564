//! The outbox against the plainest model of it: one vector of bytes.
//!
//! Covers: proto::outbox, proto::bytes

use std::sync::Arc;

use pushlab::proto::Outbox;

use crate::support::splits::Seeded;

/// Sizes on both sides of the border between copied and carried pieces.
const SIZES: [usize; 9] = [0, 1, 7, 100, 2_047, 2_048, 2_049, 4_096, 10_000];

struct Pair {
    out: Outbox,
    model: Vec<u8>,
}

impl Pair {
    fn new() -> Self {
        Self { out: Outbox::new(), model: Vec::new() }
    }

    fn push(&mut self, numbers: &mut Seeded) {
        let bytes: Vec<u8> = (0..SIZES[numbers.below(SIZES.len())]).map(|_| numbers.next().to_le_bytes()[0]).collect();
        match numbers.below(3) {
            0 => {
                self.model.extend(&bytes);
                self.out.extend(&bytes);
            }
            1 => {
                self.model.extend(&bytes);
                self.out.push(bytes.into());
            }
            _ => {
                let start = numbers.below(bytes.len() + 1);
                let range = start..start + numbers.below(bytes.len() - start + 1);
                self.model.extend(&bytes[range.clone()]);
                self.out.push_shared(&Arc::from(bytes), range);
            }
        }
    }

    fn advance(&mut self, numbers: &mut Seeded) {
        let first = self.out.chunks().next().map_or(0, <[u8]>::len);
        let sent = match numbers.below(4) {
            0 => self.model.len(),
            1 => first,
            2 => numbers.below(self.model.len().min(20) + 1),
            _ => numbers.below(self.model.len() + 1),
        };
        self.model.drain(..sent);
        self.out.advance(sent);
    }

    fn check(&self, context: &str) {
        assert!(self.out.chunks().all(|chunk| !chunk.is_empty()), "{context}: an empty chunk");
        assert!(self.out.chunks().collect::<Vec<_>>().concat() == self.model, "{context}: other bytes");
        assert_eq!(self.out.len(), self.model.len(), "{context}");
        assert_eq!(self.out.is_empty(), self.model.is_empty(), "{context}");
    }
}

#[test]
fn any_operations_leave_the_bytes_of_the_model() {
    for seed in 1..=200 {
        let mut numbers = Seeded::new(seed);
        let (mut pair, mut other) = (Pair::new(), Pair::new());
        for step in 0..60 {
            match numbers.below(12) {
                0..=3 => pair.push(&mut numbers),
                4..=6 => other.push(&mut numbers),
                7 | 8 => pair.advance(&mut numbers),
                9 => other.advance(&mut numbers),
                10 => {
                    pair.model.append(&mut other.model);
                    pair.out.append(&mut other.out);
                }
                _ if numbers.below(4) == 0 => {
                    pair.model.clear();
                    pair.out.clear();
                }
                _ => std::mem::swap(&mut pair, &mut other),
            }
            let context = format!("seed {seed}, step {step}");
            pair.check(&context);
            other.check(&context);
        }
    }
}

#[test]
fn a_backlog_that_never_ends_does_not_keep_what_was_sent() {
    let mut numbers = Seeded::new(1);
    let mut pair = Pair::new();
    for step in 0..3_000_u32 {
        let bytes = vec![step.to_le_bytes()[0]; 300];
        pair.model.extend(&bytes);
        pair.out.extend(&bytes);
        if step % 50 == 0 {
            let large: Arc<[u8]> = vec![1; 3_000].into();
            pair.model.extend(&*large);
            pair.out.push_shared(&large, 0..3_000);
        }
        while pair.model.len() > 6_000 {
            let sent = 1 + numbers.below(1_000);
            pair.model.drain(..sent);
            pair.out.advance(sent);
        }
        pair.check("backlog");
        assert!(pair.out.capacity() <= 4 * 9_300, "{} bytes kept for {}", pair.out.capacity(), pair.model.len());
    }
}

#[test]
fn appending_to_a_backlog_does_not_keep_what_was_sent() {
    let (mut out, mut other) = (Outbox::new(), Outbox::new());
    out.extend(&[0; 100]);
    for _ in 0..3_000 {
        other.extend(&[1; 300]);
        out.append(&mut other);
        out.advance(300);
        assert!(out.capacity() <= 4 * 400, "{} bytes kept for {}", out.capacity(), out.len());
    }
}

#[test]
fn large_pieces_are_carried_and_small_ones_copied() {
    static PAGE: [u8; 2_049] = [9; 2_049];
    let shared: Arc<[u8]> = vec![7; 2_049].into();
    let mut out = Outbox::new();
    out.push_shared(&shared, 0..2_049);
    assert_eq!((Arc::strong_count(&shared), out.capacity()), (2, 0));
    assert_eq!(out.chunks().next().unwrap().as_ptr(), shared.as_ptr());
    out.push_shared(&shared, 1..2_049);
    assert_eq!(Arc::strong_count(&shared), 2);
    out.advance(2_049);
    assert_eq!((Arc::strong_count(&shared), out.len()), (1, 2_048));

    let owned = vec![8; 2_049];
    let at = owned.as_ptr();
    out.push(owned.into());
    assert_eq!(out.chunks().nth(1).unwrap().as_ptr(), at);

    out.push((&PAGE).into());
    assert_eq!(out.chunks().nth(2).unwrap().as_ptr(), PAGE.as_ptr());
    out.push(Arc::clone(&shared).into());
    out.push(PAGE[..2_048].to_vec().into());
    out.push(Arc::<[u8]>::from(&PAGE[..2_048]).into());
    assert_eq!((out.chunks().nth(3).unwrap().as_ptr(), out.chunks().count()), (shared.as_ptr(), 5));
}

#[test]
fn an_empty_outbox_owns_no_memory() {
    let mut out = Outbox::new();
    assert_eq!((out.len(), out.capacity(), out.chunks().count()), (0, 0, 0));
    out.extend(b"");
    out.advance(0);
    out.clear();
    assert_eq!(out.capacity(), 0);
}

#[test]
#[should_panic(expected = "no more bytes can have been sent")]
fn nobody_sends_more_than_there_is() {
    let mut out = Outbox::new();
    out.extend(b"x");
    out.advance(2);
}

#[test]
#[should_panic(expected = "the range ends within the shared bytes")]
fn a_shared_range_is_within_its_bytes() {
    Outbox::new().push_shared(&Arc::from([0; 4_000]), 1_000..4_001);
}

/// One thread writes lent bytes while others append. The rest of the lent bytes comes back before what was appended.
#[test]
fn lent_bytes_come_back_in_front() {
    for seed in 1..=200 {
        let mut numbers = Seeded::new(seed);
        let (mut pair, mut lent) = (Pair::new(), Outbox::new());
        for round in 0..10 {
            (0..numbers.below(4)).for_each(|_| pair.push(&mut numbers));
            pair.out.lend(&mut lent);
            assert_eq!(
                (lent.len(), pair.out.len(), pair.out.is_lent()),
                (pair.model.len(), pair.model.len(), true),
                "no bytes can be lent, too"
            );
            assert_eq!(pair.out.chunks().count(), 0, "they are elsewhere");
            let sent = numbers.below(pair.model.len() + 1);
            (0..numbers.below(3)).for_each(|_| pair.push(&mut numbers));
            assert_eq!(pair.out.len(), pair.model.len(), "lent bytes are unsent");
            lent.advance(sent);
            pair.model.drain(..sent);
            pair.out.give_back(&mut lent);
            assert!(!pair.out.is_lent());
            pair.check(&format!("seed {seed}, round {round}"));
        }
    }
}

#[test]
#[should_panic(expected = "one writer at a time")]
fn bytes_are_lent_once() {
    let mut out = Outbox::new();
    out.extend(b"x");
    out.lend(&mut Outbox::new());
    out.lend(&mut Outbox::new());
}

#[test]
fn what_is_lent_is_not_cleared() {
    let mut out = Outbox::new();
    out.extend(b"lent");
    let mut lent = Outbox::new();
    out.lend(&mut lent);
    out.extend(b"cleared");
    out.clear();
    assert_eq!(out.len(), 4);
    out.give_back(&mut lent);
    assert_eq!(out.chunks().collect::<Vec<_>>().concat(), b"lent");
}

//! The queue of a slow reader by itself, against the plainest model of it.
//!
//! Covers: session::backlog, session::outcome

use pushlab::proto::Frame;
use pushlab::session::{Backlog, Outcome, SlowConsumer};

use crate::support::splits::Seeded;

/// A frame of so many bytes on the wire, which says its number.
fn frame(number: usize, wire_len: usize) -> Frame {
    let frame = Frame::binary(&vec![u8::try_from(number % 256).unwrap(); wire_len - 2]);
    assert_eq!(frame.wire_len(), wire_len);
    frame
}

#[test]
fn at_the_limit_and_one_past_it() {
    for (policy, expected, left) in [
        (SlowConsumer::Disconnect, Outcome::Refused, 3),
        (SlowConsumer::DropOldest, Outcome::Queued { dropped: 1 }, 3),
        (SlowConsumer::KeepLatest, Outcome::Queued { dropped: 1 }, 1),
    ] {
        let mut backlog = Backlog::default();
        for number in 0..3 {
            let kept = if policy == SlowConsumer::KeepLatest { usize::from(number > 0) } else { 0 };
            assert_eq!(backlog.enqueue(frame(number, 10), 30, policy), Outcome::Queued { dropped: kept }, "{policy:?}");
        }
        assert_eq!(backlog.enqueue(frame(3, 10), 30, policy), expected, "{policy:?}");
        assert_eq!((backlog.len(), backlog.bytes()), (left, left * 10), "{policy:?}");
    }
}

#[test]
fn one_frame_over_the_limit_waits_alone() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest] {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.enqueue(frame(0, 100), 30, policy), Outcome::Queued { dropped: 0 });
        let behind = backlog.enqueue(frame(1, 10), 30, policy);
        assert_eq!(behind, if policy == SlowConsumer::Disconnect { Outcome::Refused } else { Outcome::Queued { dropped: 1 } });
    }
    let mut backlog = Backlog::default();
    for number in 0..3 {
        backlog.enqueue(frame(number, 10), 30, SlowConsumer::DropOldest);
    }
    assert_eq!(backlog.enqueue(frame(3, 100), 30, SlowConsumer::DropOldest), Outcome::Queued { dropped: 3 });
    assert_eq!((backlog.len(), backlog.bytes()), (1, 100));
}

/// A message of no bytes takes a place, too: it weighs what the smallest does on the wire of a WebSocket.
#[test]
fn messages_of_no_bytes() {
    let empty = Frame::chunk(b"");
    assert_eq!(empty.wire_len(), 0);
    let mut backlog = Backlog::default();
    for _ in 0..15 {
        assert_eq!(backlog.enqueue(empty.clone(), 30, SlowConsumer::Disconnect), Outcome::Queued { dropped: 0 });
    }
    assert_eq!(backlog.enqueue(empty.clone(), 30, SlowConsumer::Disconnect), Outcome::Refused);
    assert_eq!(backlog.enqueue(empty.clone(), 30, SlowConsumer::DropOldest), Outcome::Queued { dropped: 1 });
    assert_eq!((backlog.len(), backlog.bytes()), (15, 30));
    while backlog.dequeue().is_some() {}
    assert_eq!(backlog.bytes(), 0);
}

#[test]
fn cleared() {
    let mut backlog = Backlog::default();
    backlog.enqueue(frame(0, 10), 30, SlowConsumer::Disconnect);
    backlog.clear();
    assert!(backlog.is_empty() && backlog.bytes() == 0 && backlog.dequeue().is_none());
}

#[test]
fn what_was_dropped_is_told_once() {
    let mut backlog = Backlog::default();
    for (number, policy) in [SlowConsumer::DropOldest; 5].into_iter().chain([SlowConsumer::KeepLatest]).enumerate() {
        backlog.enqueue(frame(number, 10), 20, policy);
    }
    assert_eq!((backlog.take_lost(), backlog.take_lost(), backlog.len()), (5, 0, 1));
    backlog.enqueue(frame(6, 10), 20, SlowConsumer::DropOldest);
    assert_eq!(backlog.take_lost(), 0);
}

#[test]
fn as_its_model() {
    for seed in 1..=200 {
        let mut numbers = Seeded::new(seed);
        let policy = [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest][numbers.below(3)];
        let (limit, mut backlog, mut model) = (20 + numbers.below(100), Backlog::default(), Vec::<(usize, usize)>::new());
        for number in 0..200 {
            if numbers.below(3) == 0 {
                let popped = backlog.dequeue().map(|frame| (usize::from(frame.payload()[0]), frame.wire_len()));
                assert_eq!(popped, (!model.is_empty()).then(|| model.remove(0)), "seed {seed}");
                continue;
            }
            let wire_len = 3 + numbers.below(50);
            let before = model.len();
            let fits = |model: &[(usize, usize)]| model.is_empty() || model.iter().map(|(_, len)| len).sum::<usize>() + wire_len <= limit;
            let mut expected = Outcome::Refused;
            if policy != SlowConsumer::Disconnect || fits(&model) {
                if policy == SlowConsumer::KeepLatest {
                    model.clear();
                }
                while !fits(&model) {
                    model.remove(0);
                }
                expected = Outcome::Queued { dropped: before - model.len() };
                model.push((number, wire_len));
            }
            assert_eq!(backlog.enqueue(frame(number, wire_len), limit, policy), expected, "seed {seed}");
            assert_eq!(backlog.bytes(), model.iter().map(|(_, len)| len).sum::<usize>(), "seed {seed}");
            assert_eq!((backlog.len(), backlog.is_empty()), (model.len(), model.is_empty()), "seed {seed}");
        }
    }
}

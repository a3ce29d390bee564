//! The outbox, against one vector of bytes.

use std::sync::Arc;

use pushlab::proto::Outbox;

use super::input::Input;

/// Bytes that may be waiting: enough for many pieces, and small enough to be compared after every operation.
const BYTES_MAX: usize = 16 * 1024;

#[derive(Default)]
struct Pair {
    out: Outbox,
    model: Vec<u8>,
    stamp: u8,
}

impl Pair {
    /// Bytes of a length on both sides of the border between copied and carried pieces, each piece recognizable.
    fn made_up(&mut self, input: &mut Input<'_>) -> Vec<u8> {
        self.stamp = self.stamp.wrapping_add(1);
        let len = match input.byte() {
            few @ 0..=199 => usize::from(few),
            near @ 200..=239 => 2_028 + usize::from(near - 200),
            many => usize::from(many - 239) * 400,
        };
        (0..len).map(|at| self.stamp ^ (at as u8)).collect()
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.below(5) {
            0 => {
                let bytes = self.made_up(input);
                self.model.extend(&bytes);
                self.out.extend(&bytes);
            }
            1 => {
                let bytes = self.made_up(input);
                self.model.extend(&bytes);
                self.out.push(bytes.into());
            }
            2 => {
                let bytes = self.made_up(input);
                let start = input.size().min(bytes.len());
                let end = bytes.len() - input.size().min(bytes.len() - start);
                self.model.extend(&bytes[start..end]);
                self.out.push_shared(&Arc::from(bytes), start..end);
            }
            3 => {
                let sent = (input.size() * 256 + input.size()) % (self.model.len() + 1);
                self.model.drain(..sent);
                self.out.advance(sent);
            }
            _ => {
                let sent = input.size().min(self.model.len());
                self.model.drain(..sent);
                self.out.advance(sent);
            }
        }
    }

    fn check(&mut self) {
        let mut rest = &self.model[..];
        for chunk in self.out.chunks() {
            assert!(!chunk.is_empty(), "an empty chunk");
            rest = rest.strip_prefix(chunk).expect("the bytes of the model");
        }
        assert!(rest.is_empty(), "bytes are missing");
        assert_eq!(self.out.len(), self.model.len());
        assert_eq!(self.out.is_empty(), self.model.is_empty());
        // At most two of the largest are appended to each other, half of it may be sent, and a vector doubles.
        assert!(self.out.capacity() <= 12 * BYTES_MAX, "{} bytes kept for {}", self.out.capacity(), self.model.len());
        if self.model.len() > BYTES_MAX {
            self.model.clear();
            self.out.clear();
        }
    }
}

/// Any operations on two outboxes, one appended to the other now and then.
pub(super) fn holds_the_bytes_of_the_model(data: &[u8]) {
    let mut input = Input::new(data);
    let (mut pair, mut other) = (Pair::default(), Pair::default());
    while !input.is_empty() {
        match input.below(8) {
            0..=4 => pair.step(&mut input),
            5 => other.step(&mut input),
            6 => {
                pair.model.append(&mut other.model);
                pair.out.append(&mut other.out);
            }
            _ => std::mem::swap(&mut pair, &mut other),
        }
        pair.check();
        other.check();
    }
}

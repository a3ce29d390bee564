//! The open transactions of one connection.
//!
//! Owns the frames that wait for a COMMIT, and their bounds. Leaves carrying them out to
//! `operations`.

use std::collections::HashMap;

use super::queue::Answer;
use super::queues::Sent;
use super::refusal::Refusal;
use crate::push::model::Payload;

/// A frame that waits for a COMMIT.
#[derive(Debug)]
pub(super) enum Step {
    Publish { topic: String, payload: Payload },
    Send(Sent),
    Answer { id: String, subscription: Option<String>, answer: Answer },
}

/// The open transactions of one connection.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    open: HashMap<String, Vec<(Step, usize)>>,
    bytes: usize,
}

impl Transactions {
    pub(super) fn begin(&mut self, name: &str, most: usize) -> Result<(), Refusal> {
        if self.open.contains_key(name) {
            return Err(Refusal::protocol("a transaction with this name is open already"));
        }
        if self.open.len() >= most {
            return Err(Refusal::full(format!("a connection may have at most {most} open transactions")));
        }
        self.open.insert(name.to_owned(), Vec::new());
        Ok(())
    }

    /// Adds a step of so many bytes to a transaction.
    pub(super) fn add(&mut self, name: &str, step: Step, bytes: usize, bytes_max: usize) -> Result<(), Refusal> {
        let steps = self.open.get_mut(name).ok_or_else(unknown)?;
        if self.bytes + bytes > bytes_max {
            return Err(Refusal::full(format!("the transactions of a connection may have at most {bytes_max} bytes")));
        }
        self.bytes += bytes;
        steps.push((step, bytes));
        Ok(())
    }

    /// Ends a transaction. Returns its steps, in their order.
    pub(super) fn end(&mut self, name: &str) -> Result<Vec<Step>, Refusal> {
        let steps = self.open.remove(name).ok_or_else(unknown)?;
        self.bytes -= steps.iter().map(|(_, bytes)| bytes).sum::<usize>();
        Ok(steps.into_iter().map(|(step, _)| step).collect())
    }
}

fn unknown() -> Refusal {
    Refusal::protocol("no transaction with this name is open")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> Step {
        Step::Publish { topic: "a".to_owned(), payload: Payload::text("x") }
    }

    #[test]
    fn transactions_are_bounded_in_number_and_bytes() {
        let mut transactions = Transactions::default();
        assert!(transactions.add("a", step(), 1, 10).is_err(), "none is open");
        transactions.begin("a", 2).expect("there is room");
        transactions.begin("b", 2).expect("there is room");
        assert!(transactions.begin("a", 9).is_err(), "it is open");
        assert!(transactions.begin("c", 2).is_err(), "two are open");
        transactions.add("a", step(), 6, 10).expect("there is room");
        transactions.add("b", step(), 4, 10).expect("there is room");
        assert!(transactions.add("b", step(), 1, 10).is_err(), "11 bytes");
        assert_eq!(transactions.end("a").expect("it is open").len(), 1);
        assert!(transactions.end("a").is_err());
        transactions.add("b", step(), 6, 10).expect("there is room");
        assert_eq!(transactions.end("b").expect("it is open").len(), 2);
        assert_eq!(transactions.bytes, 0);
    }
}

//! What a set of subscribers has counted.
//!
//! Owns the counters and what follows from them. Leaves counting to `subscribers`.

use hdrhistogram::Histogram;

use super::load::latencies;

/// The counters of one run, over all subscribers of a set. The publisher's own traffic does not
/// count.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) requests: u64,
    /// Whole answers to polls.
    pub(crate) answers: u64,
    /// Answers to polls without a message.
    pub(crate) empty: u64,
    pub(crate) messages: u64,
    /// Bytes that the clients have written to their sockets.
    pub(crate) bytes_out: u64,
    /// Bytes that the clients have read from their sockets.
    pub(crate) bytes_in: u64,
    /// Reads that returned bytes. About one for each segment, as long as the client keeps up.
    pub(crate) reads: u64,
    pub(crate) reconnects: u64,
    /// From when a message was due to be published until it was received, in nanoseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { requests: 0, answers: 0, empty: 0, messages: 0, bytes_out: 0, bytes_in: 0, reads: 0, reconnects: 0, latencies: latencies() }
    }
}

impl Tally {
    /// Bytes in both directions for one message.
    pub(crate) fn bytes_per_message(&self) -> f64 {
        (self.bytes_in + self.bytes_out) as f64 / self.messages as f64
    }

    pub(crate) fn requests_per_message(&self) -> f64 {
        self.requests as f64 / self.messages as f64
    }

    pub(crate) fn reads_per_message(&self) -> f64 {
        self.reads as f64 / self.messages as f64
    }

    /// The share of answers to polls that have no message.
    pub(crate) fn empty_share(&self) -> f64 {
        self.empty as f64 / self.answers as f64
    }

    pub(crate) fn mean_latency_ms(&self) -> f64 {
        self.latencies.mean() / 1e6
    }

    pub(crate) fn latency_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e6
    }
}

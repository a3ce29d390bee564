//! Counters.
//!
//! Owns what the server counts. Refuses names and formats of any monitoring system: [`Snapshot`] is plain numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::proto::RemoteError;

/// A number that goes up, and for gauges down. Relaxed: readers want figures, not an order of events.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Counts something that goes wrong again and again once it does. Returns the count where it is worth a line in the log: the first time,
    /// and each time that it has doubled, so that no peer can fill a disk.
    pub(crate) fn add_and_report(&self) -> Option<u64> {
        let count = self.0.fetch_add(1, Relaxed) + 1;
        count.is_power_of_two().then_some(count)
    }

    #[inline]
    pub(crate) fn subtract(&self, amount: u64) {
        self.0.fetch_sub(amount, Relaxed);
    }

    #[inline]
    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The live counters of one server, shared by its threads.
        #[derive(Debug, Default)]
        pub struct Stats {
            $(pub(crate) $name: Counter,)*
            rules: Rules,
        }

        /// The counters at one moment. Gauges are marked; all others only grow.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Stats {
            /// Reads every counter. Counters move while they are read: sums need not match to the last unit.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot { $($name: self.$name.read(),)* }
            }
        }

        impl Snapshot {
            /// Every counter with its name, in the order of declaration.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Gauge: connections that are open.
    open,
    /// Gauge: requests that are held.
    held,
    /// Gauge: streamed responses, event streams included.
    streams,
    /// Gauge: `WebSockets`.
    websockets,
    /// Gauge: threads that serve connections (thread-per-connection only).
    threads,
    /// Connections accepted.
    accepted,
    /// Times that accepting failed for want of descriptors or threads.
    accept_errors,
    /// Times that the last place was taken, of `Config::max_connections` or of `Config::max_threads`: who comes then waits in the system's backlog.
    accept_pauses,
    /// Requests that reached the handler.
    requests,
    /// WebSocket messages received.
    messages_in,
    /// WebSocket messages and stream pieces that were encoded for a connection.
    messages_out,
    /// Bytes read from sockets.
    bytes_in,
    /// Bytes written to sockets.
    bytes_out,
    /// Writes that sockets took bytes of. Many messages a write show that output is gathered.
    writes,
    /// Messages dropped by the slow-consumer policy.
    dropped,
    /// Connections ended by the slow-consumer policy.
    slow_disconnects,
    /// Connections ended because the peer took no byte for the write time-out.
    write_stalls,
    /// Connections ended because the peer broke a rule, a limit or a deadline.
    remote_errors,
    /// Responses that the handler made wrongly, replaced by a 500.
    local_errors,
    /// Panics in handlers, and in dropping what connections carry.
    panics,
    /// Held requests whose time ran out.
    hold_timeouts,
    /// Connections refused for want of a thread (thread-per-connection only).
    thread_refusals,
    /// Connections that the end of a shutdown's grace has cut, or a stop at once, before they had what they were owed.
    cut,
}

impl Stats {
    /// A socket took so many bytes.
    #[inline]
    pub(crate) fn wrote(&self, bytes: usize) {
        self.bytes_out.add(bytes as u64);
        self.writes.add(1);
    }
}

/// A counter for each rule that a peer can break.
#[derive(Debug)]
struct Rules([Counter; RemoteError::ALL.len()]);

impl Default for Rules {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl Stats {
    /// Connections ended by each rule, limit or deadline that a peer broke, for those that occurred. `remote_errors` is their sum.
    ///
    /// ```
    /// let stats = pushlab::Stats::default();
    /// assert_eq!(stats.broken_rules().count(), 0);
    /// ```
    pub fn broken_rules(&self) -> impl Iterator<Item = (RemoteError, u64)> {
        RemoteError::ALL.into_iter().zip(&self.rules.0).map(|(rule, counter)| (rule, counter.read())).filter(|(_, count)| *count > 0)
    }

    pub(crate) fn count_broken(&self, rule: RemoteError) {
        self.remote_errors.add(1);
        self.rules.0[rule as usize].add(1);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_goes_wrong_again_and_again_is_reported_ever_more_rarely() {
        let counter = super::Counter::default();
        let reported: Vec<u64> = (0..1_000).filter_map(|_| counter.add_and_report()).collect();
        assert_eq!(reported, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]);
        assert_eq!(counter.read(), 1_000);
    }
}

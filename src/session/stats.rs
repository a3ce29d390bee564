//! The counters of a server.
//!
//! Owns the counters and gauges, and which of their values are worth a line in the log. Leaves the
//! names and the formats of monitoring systems to the application: [`Snapshot`] is plain numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::proto::RemoteError;

/// A number that goes up, or up and down where it is a gauge. The loads and stores are relaxed,
/// because a reader wants the figures and not an order of events.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    /// Counts a failure that can repeat without end. Returns the count when the log should have a
    /// line about it: at the first failure, and each time that the count has doubled. So no peer
    /// can fill a disk with log lines.
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
        ///
        /// ```
        /// use pushlab::{Config, Server};
        /// let server = Server::bind("127.0.0.1:0", Config::default())?;
        /// // A thread of the application reads the counters while the server runs.
        /// let stats = server.stats();
        /// assert_eq!(stats.snapshot().accepted, 0);
        /// # Ok::<(), std::io::Error>(())
        /// ```
        #[derive(Debug, Default)]
        pub struct Stats {
            $(pub(crate) $name: Counter,)*
            rules: Rules,
        }

        /// The counters at one moment. Gauges are marked; all others only grow.
        ///
        /// ```
        /// let snapshot = pushlab::Stats::default().snapshot();
        /// assert_eq!((snapshot.open, snapshot.dropped), (0, 0));
        /// for (name, value) in snapshot.entries() {
        ///     println!("pushlab_{name} {value}");
        /// }
        /// ```
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Snapshot { $($(#[$doc])* pub $name: u64,)* }

        impl Stats {
            /// Reads every counter. The counters change during the reading, so that sums can differ
            /// by a few.
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
    /// Gauge: streamed responses that are open, event streams included.
    streams,
    /// Gauge: `WebSockets` that are open.
    websockets,
    /// Gauge: threads that serve connections (thread-per-connection only).
    threads,
    /// Connections accepted.
    accepted,
    /// TLS handshakes that were completed.
    tls_handshakes,
    /// How many times accepting failed because the system had too few descriptors or threads.
    accept_errors,
    /// How many times `Config::max_connections` or `Config::max_threads` was reached. New
    /// connections then wait in the system's backlog.
    accept_pauses,
    /// Requests that reached the handler.
    requests,
    /// WebSocket messages received.
    messages_in,
    /// WebSocket messages and stream pieces that were put into the output of a connection.
    messages_out,
    /// Bytes that were read for sessions. Over TLS, these are the contents of records.
    bytes_in,
    /// Bytes written to sockets. Over TLS, these are whole records.
    bytes_out,
    /// Writes of which the system took at least one byte. Fewer writes than messages show that
    /// output is gathered.
    writes,
    /// Messages dropped by the slow-consumer policy.
    dropped,
    /// Connections ended by the slow-consumer policy, with a last word and without.
    slow_disconnects,
    /// Connections of `slow_disconnects` from which the system took the last word. The others were
    /// cut without one: the peer took no bytes in time, or the protocol has no last word.
    slow_told,
    /// Connections ended because the peer took no byte within the write time-out.
    write_stalls,
    /// Connections ended because the peer broke a rule, a limit or a deadline.
    remote_errors,
    /// Responses that were not sent because the handler made a mistake in them, and WebSocket close
    /// codes that must not be sent. Such a response is replaced by a 500.
    local_errors,
    /// Panics in code of the application: handlers, sources, `on_drop` functions, and destructors
    /// of values that connections carry.
    panics,
    /// Held requests whose time ran out.
    hold_timeouts,
    /// Held requests, streams and `WebSockets` that were refused because all threads were taken
    /// (thread-per-connection only).
    thread_refusals,
    /// Connections that were cut by a shutdown, at the end of its grace time or at once, while the
    /// server still owed them an answer or output.
    cut,
}

impl Stats {
    /// Counts one write of which the system took `bytes`.
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
    /// How many connections ended because the peer broke a rule, a limit or a deadline, for each
    /// rule that was broken at least once. `remote_errors` is the sum.
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

//! The time-out of a blocking read.
//!
//! Owns how long the system is told to wait for a deadline, and how seldom it is told. Leaves the
//! socket and the deadline to the reader of a connection.

use std::time::Duration;

/// How late a read time-out may end, for a deadline of any distance.
const LATE_MAX: Duration = Duration::from_millis(50);

/// Whether a read with the time-out `set` returns in time for `wanted`. Linux keeps socket
/// time-outs in a wheel whose slots become wider with the distance. So a long time-out ends late by
/// up to an eighth (`kernel/time/timer.c`), such as 2 s for 25 s.
fn is_in_time(set: Duration, wanted: Duration) -> bool {
    set + set / 8 <= wanted + LATE_MAX
}

/// The time-out to set for a deadline in `wanted`. For a far deadline it is shorter, and the reader
/// sets it again for the rest. This also saves system calls where each read brings the deadline
/// nearer, as with the next ping of a busy WebSocket.
fn time_out_for(wanted: Duration) -> Duration {
    if wanted / 4 <= LATE_MAX { wanted } else { wanted / 4 * 3 }
}

/// The read time-out that a socket has.
#[derive(Debug, Default)]
pub(crate) struct ReadTimeOut {
    set: Option<Duration>,
    /// The last read ended because of it.
    has_ended: bool,
}

impl ReadTimeOut {
    /// Calls `set` with the time-out that the socket must get for a read that may wait for `wanted`.
    /// That costs a system call, so a time-out that is too short stays until it has ended one read
    /// too early.
    pub(crate) fn fit<E>(&mut self, wanted: Option<Duration>, set: impl FnOnce(Option<Duration>) -> Result<(), E>) -> Result<(), E> {
        let has_ended = std::mem::take(&mut self.has_ended);
        let wakes_in_time = match (self.set, wanted) {
            (Some(set), Some(wanted)) => is_in_time(set, wanted) && !has_ended,
            (Some(_), None) => !has_ended,
            (None, wanted) => wanted.is_none(),
        };
        if wakes_in_time {
            return Ok(());
        }
        self.set = wanted.map(time_out_for);
        set(self.set)
    }

    /// The last read ended because of the time-out.
    pub(crate) const fn has_ended(&mut self) {
        self.has_ended = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads with time-outs that end as late as the system allows, until the deadline. Returns how
    /// late the deadline is met, and how many reads it took.
    fn sleep_until(wanted: Duration) -> (Duration, usize) {
        let (mut left, mut reads) = (wanted, 0);
        loop {
            let set = time_out_for(left);
            assert!(is_in_time(set, left), "{left:?}");
            reads += 1;
            let slept = set + set / 8;
            match left.checked_sub(slept) {
                Some(rest) if !rest.is_zero() => left = rest,
                _ => return (slept.saturating_sub(left), reads),
            }
        }
    }

    #[test]
    fn deadlines_are_met_whatever_the_system_adds() {
        for ms in [1, 5, 50, 200, 201, 399, 400, 1_000, 2_100, 25_000, 75_000, 365 * 86_400_000] {
            let (late, reads) = sleep_until(Duration::from_millis(ms));
            assert!(late <= LATE_MAX, "{ms} ms: late by {late:?}");
            assert!(reads <= 20, "{ms} ms: {reads} reads");
        }
        assert!(!is_in_time(Duration::from_millis(2_300), Duration::from_millis(2_100)));
        assert!(is_in_time(time_out_for(Duration::MAX / 2), Duration::MAX / 2));
    }

    /// With a message each millisecond, the time-out is set far less often than messages come.
    #[test]
    fn a_deadline_that_comes_nearer() {
        let (mut set, mut count) = (Duration::MAX / 2, 0);
        for left in (1..=25_000).rev().map(Duration::from_millis) {
            if !is_in_time(set, left) {
                set = time_out_for(left);
                count += 1;
            }
        }
        assert!(count <= 50, "{count} system calls");
    }
}

//! What other programs take of the processors while a trial runs: it delays the server and the probe, too.
//!
//! Owns reading user time from `/proc`. Refuses kernel time: what the kernel does for the sockets of an attack is in part booked on threads
//! of its own, and would look like another program's.

use std::fs;
use std::time::{Duration, Instant};

/// A user time in hundredths of a second (proc(5): `USER_HZ`, 100 wherever Rust's standard library runs under Linux).
type Ticks = u64;

/// Watches from its start on.
pub(crate) struct Others {
    target_id: u32,
    begun: Instant,
    /// `None` where the system does not tell.
    before: Option<Ticks>,
}

impl Others {
    pub(crate) fn watch(target_id: u32) -> Self {
        Self { target_id, begun: Instant::now(), before: others_ticks(target_id) }
    }

    /// How many processors other programs than this one and its server kept busy since the start.
    pub(crate) fn busy(&self) -> Option<f64> {
        Some(busy(self.before?, others_ticks(self.target_id)?, self.begun.elapsed()))
    }
}

fn busy(before: Ticks, after: Ticks, elapsed: Duration) -> f64 {
    Duration::from_millis(10 * after.saturating_sub(before)).as_secs_f64() / elapsed.as_secs_f64().max(0.01)
}

fn others_ticks(target_id: u32) -> Option<Ticks> {
    let read = |path: String| fs::read_to_string(path).ok();
    let ours = [std::process::id(), target_id].into_iter().map(|id| process_ticks(&read(format!("/proc/{id}/stat"))?));
    system_ticks(&read("/proc/stat".to_owned())?)?.checked_sub(ours.sum::<Option<Ticks>>()?)
}

/// `user` and `nice` of all processors.
fn system_ticks(stat: &str) -> Option<Ticks> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(2).map(|word| word.parse::<Ticks>().ok()).sum()
}

/// `utime`, the twelfth field behind the command's name, which may contain anything.
fn process_ticks(stat: &str) -> Option<Ticks> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(11)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_time_is_read() {
        assert_eq!(system_ticks("cpu  1200 34 500 9 9 9 9 0 0 0\ncpu0 600 17 250\n"), Some(1_234));
        assert_eq!(process_ticks("7 (a) b) c) S 1 7 7 0 -1 4194560 1 2 3 4 77 88 5 6"), Some(77));
        for wrong in ["", "cpu0 1 2", "cpu  x y"] {
            assert_eq!(system_ticks(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn processors_are_time_of_work_by_time() {
        assert!((busy(1_000, 1_300, Duration::from_secs(2)) - 1.5).abs() < 1e-9);
        assert!(busy(1_000, 999, Duration::ZERO).abs() < 1e-9, "two kinds of clock ticks");
    }
}

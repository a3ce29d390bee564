//! The processor time that other programs use during a trial. It delays the server and the probe.
//!
//! Owns reading user time from `/proc`. Leaves kernel time out: the kernel does a part of its work
//! for an attack's sockets in threads of its own, and that part would count as another program's.

use std::fs;
use std::time::{Duration, Instant};

/// User time in hundredths of a second (proc(5): `USER_HZ`, which is 100 on every Linux that Rust's
/// standard library supports).
type Ticks = u64;

/// Measures from its creation on.
pub(crate) struct Others {
    target_id: u32,
    begun: Instant,
    /// `None` on a system without `/proc`.
    before: Option<Ticks>,
}

impl Others {
    pub(crate) fn watch(target_id: u32) -> Self {
        Self { target_id, begun: Instant::now(), before: others_ticks(target_id) }
    }

    /// The mean number of processors that other programs kept busy since the creation. This program
    /// and its server do not count.
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

/// The sum of `user` and `nice` of all processors.
fn system_ticks(stat: &str) -> Option<Ticks> {
    stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace().take(2).map(|word| word.parse::<Ticks>().ok()).sum()
}

/// `utime`, the twelfth field after the command's name. The name may contain spaces and
/// parentheses, so the fields are counted from the last `)`.
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

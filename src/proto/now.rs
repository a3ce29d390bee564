//! Time as an argument.
//!
//! Owns one reading of two clocks: a monotonic instant for deadlines, and the wall-clock time with
//! its text for the `Date` field. Leaves the reading of clocks to the callers: a driver reads them
//! once per turn, and a test supplies any time.

use std::time::{Duration, Instant, SystemTime};

use super::http1::date::HttpDate;

const OK_STATUS: &[u8; 23] = b"HTTP/1.1 200 OK\r\nDate: ";
const CONTENT_TYPE: &[u8; 16] = b"\r\nContent-Type: ";
const OK_HEAD_LEN: usize = OK_STATUS.len() + 29 + CONTENT_TYPE.len();

fn ok_head(date: &HttpDate) -> [u8; OK_HEAD_LEN] {
    let mut head = [0; OK_HEAD_LEN];
    let (status, rest) = head.split_at_mut(OK_STATUS.len());
    let (shown, name) = rest.split_at_mut(date.as_bytes().len());
    status.copy_from_slice(OK_STATUS);
    shown.copy_from_slice(date.as_bytes());
    name.copy_from_slice(CONTENT_TYPE);
    head
}

/// One reading of the clocks.
///
/// ```
/// use std::time::{Duration, Instant, SystemTime};
/// use pushlab::proto::Now;
/// let mut now = Now::new(Instant::now(), SystemTime::UNIX_EPOCH);
/// assert_eq!(now.date(), b"Thu, 01 Jan 1970 00:00:00 GMT");
/// now.advance(Duration::from_secs(61));
/// assert_eq!(now.date(), b"Thu, 01 Jan 1970 00:01:01 GMT");
/// ```
#[derive(Clone, Debug)]
pub struct Now {
    instant: Instant,
    system: SystemTime,
    date: HttpDate,
    /// How the head of nearly every response begins.
    ok_head: [u8; OK_HEAD_LEN],
    /// From this instant on, the text in `date` is out of date.
    date_until: Instant,
}

impl Now {
    /// Makes a reading from the times of both clocks.
    pub fn new(instant: Instant, system: SystemTime) -> Self {
        let date_until = instant + Self::rest_of_second(system);
        let date = HttpDate::new(system);
        Self { instant, system, ok_head: ok_head(&date), date, date_until }
    }

    /// The monotonic reading.
    #[inline]
    pub const fn instant(&self) -> Instant {
        self.instant
    }

    /// The text of the `Date` field: IMF-fixdate, 29 bytes (RFC 9110, section 5.6.7).
    pub const fn date(&self) -> &[u8; 29] {
        self.date.as_bytes()
    }

    /// The head of a response with status 200 up to the value of `Content-Type`. It is made once for
    /// each second, and then costs one copy of a fixed length.
    #[inline]
    pub(super) const fn ok_head(&self) -> &[u8; OK_HEAD_LEN] {
        &self.ok_head
    }

    /// Sets a newer monotonic reading. Returns whether the second that `date` shows has ended. The
    /// caller must then call [`set_system`](Self::set_system). Otherwise `date` is still correct,
    /// and the caller saves a reading of the wall clock.
    #[inline]
    pub fn set_instant(&mut self, instant: Instant) -> bool {
        self.instant = instant;
        instant >= self.date_until
    }

    /// Sets a newer reading of the wall clock. The wall clock may have jumped forwards or
    /// backwards.
    pub fn set_system(&mut self, system: SystemTime) {
        self.system = system;
        self.date = HttpDate::new(system);
        self.ok_head = ok_head(&self.date);
        self.date_until = self.instant + Self::rest_of_second(system);
    }

    /// Moves both clocks forward. Virtual clocks use this.
    pub fn advance(&mut self, by: Duration) {
        self.instant += by;
        self.set_system(self.system + by);
    }

    fn rest_of_second(system: SystemTime) -> Duration {
        // Times before 1970 have the date text of 1970, so a refresh after one second is early
        // enough.
        let nanos = system.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.subsec_nanos());
        Duration::from_nanos(u64::from(1_000_000_000 - nanos))
    }
}

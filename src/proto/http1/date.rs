//! The text of the `Date` field.
//!
//! Owns the encoding of IMF-fixdate (RFC 9110, section 5.6.7). Leaves the reading of clocks to the
//! drivers. There is no parser for dates, because a push server never compares dates.

use std::time::SystemTime;

const SECONDS_PER_DAY: u64 = 86_400;
const DAYS: [&[u8; 3]; 7] = [b"Thu", b"Fri", b"Sat", b"Sun", b"Mon", b"Tue", b"Wed"];
const MONTHS: [&[u8; 3]; 12] = [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// A date as HTTP writes it, for example `Sun, 06 Nov 1994 08:49:37 GMT`.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use pushlab::proto::http1::date::HttpDate;
/// let date = HttpDate::new(SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777));
/// assert_eq!(date.as_bytes(), b"Sun, 06 Nov 1994 08:49:37 GMT");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDate([u8; 29]);

impl HttpDate {
    /// The text for a time, in whole seconds. Times before 1970 give 1970-01-01 00:00:00. Times
    /// after 9999 give the last second of 9999.
    pub fn new(time: SystemTime) -> Self {
        const LAST: u64 = 253_402_300_799;
        let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST);
        let (days, rest) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        let (year, month, day) = civil_from_days(days);

        let mut text = *b"Thu, 01 Jan 1970 00:00:00 GMT";
        // 1970-01-01 was a Thursday, the first name in `DAYS`.
        text[..3].copy_from_slice(DAYS[(days % 7) as usize]);
        text[8..11].copy_from_slice(MONTHS[month as usize - 1]);
        for (at, number) in [(5, day), (12, year / 100), (14, year % 100), (17, rest / 3_600), (20, rest / 60 % 60), (23, rest % 60)] {
            text[at] = b'0' + (number / 10) as u8;
            text[at + 1] = b'0' + (number % 10) as u8;
        }
        Self(text)
    }

    /// The 29 bytes of the text.
    pub const fn as_bytes(&self) -> &[u8; 29] {
        &self.0
    }
}

/// The year, the month (1 to 12) and the day (1 to 31) of a day counted from 1970-01-01, in the
/// Gregorian calendar. The calculation begins years in March, so that the leap day is the last day
/// of its year.
const fn civil_from_days(days: u64) -> (u64, u64, u64) {
    const DAYS_PER_ERA: u64 = 146_097;
    // 719,468 days lie between 0000-03-01 and 1970-01-01. An era is 400 years.
    let days = days + 719_468;
    let (era, day_of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + (month <= 2) as u64, month, day)
}

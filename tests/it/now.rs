//! Time as an argument, and the text of its date.
//!
//! Covers: proto::now, proto::http1::date

use std::time::{Duration, Instant, SystemTime};

use pushlab::proto::Now;
use pushlab::proto::http1::date::HttpDate;

const EPOCH: SystemTime = SystemTime::UNIX_EPOCH;

fn at(millis: u64) -> SystemTime {
    EPOCH + Duration::from_millis(millis)
}

fn date(now: &Now) -> String {
    String::from_utf8(now.date().to_vec()).unwrap()
}

#[test]
fn dates_by_the_calendar() {
    for (seconds, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (86_399, "Thu, 01 Jan 1970 23:59:59 GMT"),
        (86_400, "Fri, 02 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (946_684_799, "Fri, 31 Dec 1999 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_234_567_890, "Fri, 13 Feb 2009 23:31:30 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (2_147_483_648, "Tue, 19 Jan 2038 03:14:08 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let date = HttpDate::new(EPOCH + Duration::from_secs(seconds));
        assert_eq!(std::str::from_utf8(date.as_bytes()), Ok(text), "{seconds}");
    }
    assert_eq!(HttpDate::new(EPOCH - Duration::from_secs(1)), HttpDate::new(EPOCH));
}

/// Counts days the slow way, through every month of two Gregorian cycles.
#[test]
fn dates_follow_each_other() {
    const MONTHS: [(&str, u64); 12] = [
        ("Jan", 31),
        ("Feb", 28),
        ("Mar", 31),
        ("Apr", 30),
        ("May", 31),
        ("Jun", 30),
        ("Jul", 31),
        ("Aug", 31),
        ("Sep", 30),
        ("Oct", 31),
        ("Nov", 30),
        ("Dec", 31),
    ];
    let mut days = 0;
    for year in 1970..2770 {
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        for (month, length) in MONTHS {
            let length = length + u64::from(leap && month == "Feb");
            for day in [1, length] {
                let date = HttpDate::new(EPOCH + Duration::from_secs((days + day - 1) * 86_400));
                assert_eq!(date.as_bytes()[5..], *format!("{day:02} {month} {year} 00:00:00 GMT").as_bytes());
            }
            days += length;
        }
    }
}

#[test]
fn the_date_is_due_when_its_second_is_over() {
    let start = Instant::now();
    let mut now = Now::new(start, at(1_250));
    assert_eq!(date(&now), "Thu, 01 Jan 1970 00:00:01 GMT");
    assert!(!now.set_instant(start + Duration::from_millis(749)));
    assert!(now.set_instant(start + Duration::from_millis(750)));
    assert_eq!(date(&now), "Thu, 01 Jan 1970 00:00:01 GMT", "only the wall clock changes the date");
    now.set_system(at(2_000));
    assert_eq!(date(&now), "Thu, 01 Jan 1970 00:00:02 GMT");
    assert!(!now.set_instant(start + Duration::from_millis(1_749)));
    assert!(now.set_instant(start + Duration::from_millis(1_750)));
    assert_eq!(now.instant(), start + Duration::from_millis(1_750));
}

#[test]
fn midnight_and_new_year() {
    let mut now = Now::new(Instant::now(), at(946_684_799_999));
    assert_eq!(date(&now), "Fri, 31 Dec 1999 23:59:59 GMT");
    now.advance(Duration::from_millis(1));
    assert_eq!(date(&now), "Sat, 01 Jan 2000 00:00:00 GMT");
}

#[test]
fn the_wall_clock_may_jump_both_ways() {
    let start = Instant::now();
    let mut now = Now::new(start, at(1_000_000_500));
    for (system, text) in [
        (at(400), "Thu, 01 Jan 1970 00:00:00 GMT"),
        (at(86_400_000), "Fri, 02 Jan 1970 00:00:00 GMT"),
        (EPOCH - Duration::from_millis(500), "Thu, 01 Jan 1970 00:00:00 GMT"),
        (at(253_402_300_800_000), "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        now.set_system(system);
        assert_eq!(date(&now), text);
        assert_eq!(now.instant(), start, "deadlines do not notice");
        assert!(!now.set_instant(start), "not due at once again");
        assert!(now.set_instant(start + Duration::from_secs(1)), "due within a second");
        now.set_instant(start);
    }
}

#[test]
fn a_virtual_clock_moves_both_clocks() {
    let start = Instant::now();
    let mut now = Now::new(start, at(0));
    for step in 1..=200_u64 {
        now.advance(Duration::from_millis(250));
        assert_eq!(now.instant(), start + Duration::from_millis(250 * step));
        assert_eq!(now.date(), HttpDate::new(at(250 * step)).as_bytes());
    }
    assert!(!now.set_instant(start), "the past is no reason for a new date");
}

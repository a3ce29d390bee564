//! The text of the Date field.

use std::time::{Duration, SystemTime};

use pushlab::proto::http1::date::HttpDate;

#[test]
fn dates_are_imf_fixdate() {
    // From `date -u -R -d @seconds`.
    for (seconds, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_799, "Tue, 29 Feb 2000 23:59:59 GMT"),
        (951_868_800, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (1_709_164_800, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_599, "Tue, 31 Dec 2024 23:59:59 GMT"),
        (4_102_444_800, "Fri, 01 Jan 2100 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (253_402_300_799, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (253_402_300_800, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        let date = HttpDate::new(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(std::str::from_utf8(date.as_bytes()).unwrap(), text);
    }
    assert_eq!(HttpDate::new(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), HttpDate::new(SystemTime::UNIX_EPOCH));
}

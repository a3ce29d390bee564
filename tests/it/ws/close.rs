//! Close codes that this side sends: RFC 6455, section 7.4. Those of the peer are in the table of frames.
//!
//! Covers: proto::ws::close

use pushlab::proto::ws::{Writer, close::is_sendable};
use pushlab::proto::{LocalError, Outbox};

const GOOD: &[u16] = &[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const BAD: &[u16] = &[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];

#[test]
fn what_may_be_sent() {
    for &code in GOOD {
        assert!(is_sendable(code), "{code}");
        assert_eq!(Writer::new().send_close(code, "", &mut Outbox::new()), Ok(()), "{code}");
    }
    for &code in BAD {
        assert!(!is_sendable(code), "{code}");
        let mut out = Outbox::new();
        assert_eq!(Writer::new().send_close(code, "", &mut out), Err(LocalError::BadCloseCode), "{code}");
        assert!(out.is_empty());
    }
}

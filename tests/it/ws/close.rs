//! Close codes and reasons: RFC 6455, sections 5.5.1, 7.1 and 7.4.
//!
//! Covers: proto::ws::close

use pushlab::proto::ws::{Opcode, close::is_sendable};
use pushlab::proto::{LocalError, Outbox, RemoteError, ws::Writer};

use super::peer::{Seen, close, frame, run};

const GOOD: &[u16] = &[1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999];
const BAD: &[u16] = &[0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535];

#[test]
fn good_codes_are_echoed() {
    for &code in GOOD {
        assert!(is_sendable(code), "{code}");
        let (seen, output) = run(&close(code, "später".as_bytes()));
        assert_eq!(seen, [Seen::Close(code, "später".into())]);
        assert_eq!(output, [&[0x88, 2], &code.to_be_bytes()[..]].concat(), "{code}");
        assert_eq!(Writer::new().send_close(code, "", &mut Outbox::new()), Ok(()), "{code}");
    }
}

#[test]
fn bad_codes_are_a_protocol_error_from_the_peer_and_a_local_error_from_us() {
    for &code in BAD {
        assert!(!is_sendable(code), "{code}");
        let (seen, output) = run(&close(code, b""));
        assert_eq!(seen, [Seen::Error(RemoteError::BadCloseFrame)], "{code}");
        assert_eq!((output[0], &output[2..4]), (0x88, &1002_u16.to_be_bytes()[..]), "{code}");
        let mut out = Outbox::new();
        assert_eq!(Writer::new().send_close(code, "", &mut out), Err(LocalError::BadCloseCode), "{code}");
        assert!(out.is_empty());
    }
}

#[test]
fn bodies() {
    assert_eq!(run(&frame(true, Opcode::Close, b"")).0, [Seen::Close(1005, String::new())]);
    assert_eq!(run(&frame(true, Opcode::Close, b"\x03")).0, [Seen::Error(RemoteError::BadCloseFrame)]);
    assert_eq!(run(&close(1000, &[b'x'; 123])).0, [Seen::Close(1000, "x".repeat(123))]);
    assert_eq!(run(&close(1000, &[b'x'; 124])).0, [Seen::Error(RemoteError::BadControlFrame)]);
    for reason in [&b"\xff"[..], b"cut \xc3", b"\xed\xa0\x80"] {
        let (seen, output) = run(&close(1000, reason));
        assert_eq!(seen, [Seen::Error(RemoteError::InvalidUtf8)]);
        assert_eq!(output[2..4], 1007_u16.to_be_bytes());
    }
}

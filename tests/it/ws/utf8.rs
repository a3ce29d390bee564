//! UTF-8 in pieces: the first wrong byte is the one that is refused. Inside frames it is in the table of frames.
//!
//! Covers: proto::ws::utf8

use pushlab::proto::ws::{InvalidUtf8, Utf8Validator};

use crate::support::splits::splits;

/// Invalid sequences, and the index of the byte that makes them so.
const INVALID: &[(&[u8], usize)] = &[
    (b"\x80", 0),
    (b"\xbf", 0),
    (b"\xc0", 0),             // overlong, whatever follows
    (b"\xc1\x81", 0),         // overlong A
    (b"\xe0\x80\xaf", 1),     // overlong /
    (b"\xe0\x9f\xbf", 1),     // overlong, the greatest of three bytes
    (b"\xf0\x80\x80\xaf", 1), // overlong /
    (b"\xf0\x8f\xbf\xbf", 1), // overlong, the greatest of four bytes
    (b"\xed\xa0\x80", 1),     // the first surrogate
    (b"\xed\xbf\xbf", 1),     // the last surrogate
    (b"\xf4\x90\x80\x80", 1), // U+110000
    (b"\xf5\x80\x80\x80", 0),
    (b"\xfe", 0),
    (b"\xff", 0),
    (b"\xc3\x28", 1),
    (b"\xe2\x82\x28", 2),
    (b"\xf0\x9f\x98\x28", 3),
    (b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xf4\x90\x80\x80\x65", 12), // Autobahn 6.4
];

const VALID: &[&str] =
    &["", "plain", "κόσμε", "\u{7f}\u{80}\u{7ff}\u{800}\u{d7ff}\u{e000}\u{ffff}\u{10000}\u{10ffff}", "\0", "\u{feff}\u{fffe}😀😀"];

#[test]
fn valid_text_is_valid_however_it_is_cut() {
    for text in VALID {
        for pieces in splits(text.len(), 40) {
            let (mut utf8, mut rest) = (Utf8Validator::new(), text.as_bytes());
            for piece in pieces {
                let (now, later) = rest.split_at(piece);
                assert_eq!(utf8.check(now), Ok(()), "{text:?}");
                assert!(utf8.pending() <= 3);
                rest = later;
            }
            assert_eq!(utf8.finish(), Ok(()), "{text:?}");
        }
    }
}

#[test]
fn invalid_text_fails_at_its_first_wrong_byte() {
    for (bytes, wrong) in INVALID {
        let mut utf8 = Utf8Validator::new();
        for (i, byte) in bytes[..*wrong].iter().enumerate() {
            assert_eq!(utf8.check(&[*byte]), Ok(()), "{bytes:x?} at {i}");
        }
        assert_eq!(utf8.check(&bytes[*wrong..=*wrong]), Err(InvalidUtf8), "{bytes:x?} at {wrong}");
        assert_eq!(Utf8Validator::new().check(bytes), Err(InvalidUtf8), "{bytes:x?} whole");
    }
}

#[test]
fn a_truncated_character_is_known_only_at_the_end() {
    for bytes in [&b"\xc3"[..], b"\xe2\x82", b"\xf0\x9f\x98", b"ok\xf0"] {
        let mut utf8 = Utf8Validator::new();
        assert_eq!(utf8.check(bytes), Ok(()));
        assert_eq!(utf8.finish(), Err(InvalidUtf8));
    }
}

#[test]
fn every_pair_of_bytes_is_judged_as_the_standard_library_does() {
    for first in 0..=255 {
        for second in 0..=255 {
            let (bytes, mut utf8) = ([first, second], Utf8Validator::new());
            let in_pieces = utf8.check(&bytes[..1]).and_then(|()| utf8.check(&bytes[1..])).and_then(|()| utf8.finish());
            assert_eq!(in_pieces.is_ok(), std::str::from_utf8(&bytes).is_ok(), "{bytes:x?}");
        }
    }
}

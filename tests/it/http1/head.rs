//! Heads alone: what the accessors give.
//!
//! Covers: proto::http1::head, proto::http1::facts, proto::http1::fields, proto::http1::method, proto::http1::scan, proto::http1::syntax

use pushlab::proto::http1::{Content, Head, Method, Version};
use pushlab::proto::{ProtocolLimits, RemoteError};

fn parse(raw: &str) -> Result<Head<'_>, RemoteError> {
    Head::parse(raw.as_bytes(), &ProtocolLimits::default())
}

#[test]
fn fields_are_walked_in_order_and_found_by_name() {
    let raw = "GET /a?b HTTP/1.1\r\nHost: h\r\nX-List: a, B ,,c\r\nEmpty:\r\nx-list:d\r\nUtf: \u{fc}\r\nHo: short\r\nHosts: long\r\n\r\n";
    let head = parse(raw).unwrap();
    let fields: Vec<_> = head.fields().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect();
    let expected =
        [("Host", "h"), ("X-List", "a, B ,,c"), ("Empty", ""), ("x-list", "d"), ("Utf", "\u{fc}"), ("Ho", "short"), ("Hosts", "long")];
    assert_eq!(fields, expected);
    assert_eq!(head.field_bytes("X-LIST"), Some(&b"a, B ,,c"[..]));
    assert_eq!(head.field_bytes("empty"), Some(&b""[..]));
    assert_eq!(head.field_bytes("none"), None);
    assert_eq!(head.field_text("utf"), Some("\u{fc}"));
    for (token, has) in [("a", true), ("b", true), ("C", true), ("d", true), ("", false), ("a, B", false), ("e", false)] {
        assert_eq!(head.list_has("X-List", token), has, "{token:?}");
    }
    assert_eq!((head.method(), head.version(), head.target(), head.content()), (Method::Get, Version::Http11, "/a?b", Content::None));
    assert_eq!(head.raw(), raw.as_bytes());
}

/// A head notes one of 64 bits for each name. With names of all first letters and many lengths, all bits are shared.
#[test]
fn a_name_is_found_whatever_names_there_are_beside_it() {
    let name = |first: u8, len: usize| format!("{}{}", char::from(first), "x".repeat(len - 1));
    let firsts = || (b'!'..=b'~').filter(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte));
    for len in 1..40 {
        for first in firsts() {
            let sent = name(first, len);
            let raw = format!("GET / HTTP/1.0\r\nUser-Agent: a\r\n{sent}: b\r\n\r\n");
            let head = parse(&raw).unwrap();
            for asked in [&sent, &sent.to_ascii_uppercase(), &sent.to_ascii_lowercase()] {
                assert_eq!(head.field_text(asked), Some("b"), "{asked} of {sent}");
            }
            for other in firsts().filter(|other| !other.eq_ignore_ascii_case(&first)) {
                assert_eq!(head.field_text(&name(other, len)), None, "{} beside {sent}", name(other, len));
            }
            assert_eq!((head.field_text(&name(first, len + 1)), head.field_text("")), (None, None));
        }
    }
}

#[test]
fn a_head_without_fields_has_none() {
    let head = parse("GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(head.fields().count(), 0);
    assert_eq!((head.field_bytes("host"), head.host(), head.query()), (None, None, None));
}

#[test]
fn a_later_minor_version_is_read_as_the_last_that_is_known() {
    for fields in [0, 40] {
        let raw = format!("GET /a?b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n{}\r\n", "A: b\r\n".repeat(fields));
        let later = raw.replace("HTTP/1.1", "HTTP/1.7");
        let (head, as_head) = (parse(&later).unwrap(), parse(&raw).unwrap());
        assert_eq!(head.raw(), later.as_bytes());
        assert_eq!((head.target(), head.path(), head.query(), head.host()), ("/a?b", "/a", Some("b"), Some("h")));
        assert_eq!((head.method(), head.version(), head.keep_alive()), (Method::Get, Version::Http11, false));
        assert!(head.fields().eq(as_head.fields()));
    }
}

#[test]
fn text_that_is_not_utf8_is_not_text() {
    let head = Head::parse(b"GET / HTTP/1.0\r\nX: \xff\r\n\r\n", &ProtocolLimits::default()).unwrap();
    assert_eq!((head.field_bytes("x"), head.field_text("x")), (Some(&b"\xff"[..]), None));
}

#[test]
fn only_one_whole_head_is_a_head() {
    for raw in ["", "G", "GET / HTTP/1.1\r\nHost: a\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\nx", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"] {
        assert_eq!(parse(raw).err(), Some(RemoteError::BadRequestLine), "{raw:?}");
    }
}

#[test]
fn every_byte_in_every_place_is_accepted_or_refused_without_a_panic() {
    let raw = b"GET /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n";
    for at in 0..raw.len() {
        for byte in 0..=255 {
            let mut raw = raw.to_vec();
            raw[at] = byte;
            let Ok(head) = Head::parse(&raw, &ProtocolLimits::default()) else { continue };
            assert!(head.raw().iter().all(|&byte| byte != 0 && byte != 0x7F), "{}", raw.escape_ascii());
            assert!(head.path().starts_with('/') && head.target().is_ascii() && !head.target().contains([' ', '#']));
            assert!(head.fields().count() <= 2);
        }
    }
}

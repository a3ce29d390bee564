//! What proxies write: the grammar of `Forwarded`, and addresses in `X-Forwarded-For`.
//!
//! Covers: proto::http1::forwarded

use pushlab::proto::http1::{ForwardedElement, Node, Scheme, forwarded_scheme};

fn ip(text: &str, port: Option<u16>) -> Node {
    Node::Ip { ip: text.parse().unwrap(), port }
}

/// The nodes of a list, in a form that is short to write. `None` for a list that breaks the grammar.
fn nodes(value: &str) -> Option<Vec<String>> {
    let short = |element: ForwardedElement<'_>| match element.node {
        None => "-".to_owned(),
        Some(Node::Ip { ip, port }) => port.map_or(ip.to_string(), |port| format!("{ip} {port}")),
        Some(Node::Obfuscated(name)) => name,
        Some(Node::Unknown) => "?".to_owned(),
        Some(node) => panic!("{node:?} is new"),
    };
    Some(ForwardedElement::parse_list(value.as_bytes())?.into_iter().map(short).collect())
}

#[test]
fn nodes_of_rfc_7239() {
    for (text, expected) in [
        ("192.0.2.43", Some(ip("192.0.2.43", None))),
        ("192.0.2.43:47011", Some(ip("192.0.2.43", Some(47011)))),
        ("192.0.2.43:0", Some(ip("192.0.2.43", Some(0)))),
        ("192.0.2.43:65535", Some(ip("192.0.2.43", Some(65535)))),
        // Five digits are a port by the grammar, and not one of TCP.
        ("192.0.2.43:65536", Some(ip("192.0.2.43", None))),
        ("192.0.2.43:_hidden", Some(ip("192.0.2.43", None))),
        ("[2001:db8:cafe::17]", Some(ip("2001:db8:cafe::17", None))),
        ("[2001:DB8:cafe::17]:4711", Some(ip("2001:db8:cafe::17", Some(4711)))),
        ("[::ffff:192.0.2.1]", Some(ip("192.0.2.1", None))),
        ("unknown", Some(Node::Unknown)),
        ("UnKnown:443", Some(Node::Unknown)),
        ("_gazonk", Some(Node::Obfuscated("_gazonk".to_owned()))),
        ("_SEVKISEK.x-1:80", Some(Node::Obfuscated("_SEVKISEK.x-1".to_owned()))),
        ("__", Some(Node::Obfuscated("__".to_owned()))),
        ("", None),
        ("_", None),
        ("_a b", None),
        ("_\u{e9}", None),
        ("gazonk", None),
        ("proxy.example", None),
        ("192.0.2.43:", None),
        ("192.0.2.43:123456", None),
        ("192.0.2.43:-1", None),
        ("192.0.2.43:+1", None),
        ("192.0.2.43:_", None),
        ("192.0.2.256", None),
        ("192.0.2", None),
        ("192.0.2.043", None),
        ("0x7f.0.0.1", None),
        (" 192.0.2.43", None),
        ("[192.0.2.43]", None),
        ("2001:db8::17", None),
        ("::1", None),
        ("[::1", None),
        ("::1]", None),
        ("[::1]x", None),
        ("[fe80::1%eth0]", None),
        ("[]", None),
    ] {
        assert_eq!(Node::parse(text.as_bytes()), expected, "{text:?}");
    }
    assert_eq!(Node::parse(b"192.0.2.43\xFF"), None);
}

#[test]
fn addresses_of_x_forwarded_for() {
    for (text, expected) in [
        ("192.0.2.43", ip("192.0.2.43", None)),
        ("192.0.2.43:47011", ip("192.0.2.43", Some(47011))),
        ("2001:db8::17", ip("2001:db8::17", None)),
        ("[2001:db8::17]", ip("2001:db8::17", None)),
        ("[2001:db8::17]:80", ip("2001:db8::17", Some(80))),
        ("::ffff:192.0.2.1", ip("192.0.2.1", None)),
        ("_name", Node::Obfuscated("_name".to_owned())),
        ("unknown", Node::Unknown),
        // What nginx writes for a client of its Unix socket.
        ("unix:", Node::Unknown),
        ("", Node::Unknown),
        ("localhost", Node::Unknown),
        ("192.0.2.43 192.0.2.44", Node::Unknown),
        ("\"192.0.2.43\"", Node::Unknown),
        ("for=192.0.2.43", Node::Unknown),
    ] {
        assert_eq!(Node::of_x_forwarded_for(text.as_bytes()), expected, "{text:?}");
    }
    assert_eq!(Node::of_x_forwarded_for(b"\xFF"), Node::Unknown);
}

#[test]
fn schemes() {
    for (text, expected) in [
        ("http", Some(Scheme::Http)),
        ("https", Some(Scheme::Https)),
        ("HTTPS", Some(Scheme::Https)),
        ("ws", Some(Scheme::Http)),
        ("wss", Some(Scheme::Https)),
        ("", None),
        ("httpss", None),
        ("https://", None),
        ("on", None),
    ] {
        assert_eq!(forwarded_scheme(text.as_bytes()), expected, "{text:?}");
    }
}

#[test]
fn lists() {
    for (value, expected) in [
        // The examples of RFC 7239, sections 4, 6.3, 7.1 and 7.4.
        ("for=\"_gazonk\"", &["_gazonk"][..]),
        ("For=\"[2001:db8:cafe::17]:4711\"", &["2001:db8:cafe::17 4711"]),
        ("for=192.0.2.60;proto=http;by=203.0.113.43", &["192.0.2.60"]),
        ("for=192.0.2.43, for=198.51.100.17", &["192.0.2.43", "198.51.100.17"]),
        ("for=_hidden, for=_SEVKISEK", &["_hidden", "_SEVKISEK"]),
        ("for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown", &["192.0.2.43", "2001:db8:cafe::17", "?"]),
        ("for=192.0.2.43, for=\"[2001:db8:cafe::17]\", for=unknown", &["192.0.2.43", "2001:db8:cafe::17", "?"]),
        ("for=192.0.2.43;proto=https;host=example.com", &["192.0.2.43"]),
        // A list may have empty elements, and white space around its commas.
        ("", &[]),
        (" , ,\t,", &[]),
        (",for=192.0.2.1 ,, for=192.0.2.2,", &["192.0.2.1", "192.0.2.2"]),
        // An element without `for` is still an element.
        ("proto=https", &["-"]),
        (";", &["-"]),
        ("for=192.0.2.1, ;;", &["192.0.2.1", "-"]),
        (";for=192.0.2.1;", &["192.0.2.1"]),
        // White space around a semicolon is common.
        ("for=192.0.2.1 ;\tproto=https; by=_x", &["192.0.2.1"]),
        // Quoted values, escapes, and commas inside quotation marks.
        ("for=\"192\\.0.2.1\"", &["192.0.2.1"]),
        ("host=\"a, for=192.0.2.9\";for=192.0.2.1", &["192.0.2.1"]),
        ("x=\"\\\", for=192.0.2.9\", for=192.0.2.1", &["-", "192.0.2.1"]),
        ("secret=\"\";for=192.0.2.1", &["192.0.2.1"]),
    ] {
        assert_eq!(nodes(value).as_deref(), Some(expected.iter().map(ToString::to_string).collect::<Vec<_>>().as_slice()), "{value}");
    }
}

/// The whole value counts as broken, because it is not certain where the elements end.
#[test]
fn what_is_no_list() {
    for value in [
        "192.0.2.43",
        "for",
        "for=",
        "for=;proto=https",
        "=192.0.2.43",
        "for =192.0.2.43",
        "for= 192.0.2.43",
        "for=192.0.2.43 for=192.0.2.44",
        "for=192.0.2.43;for=192.0.2.44",
        "for=192.0.2.43;For=192.0.2.43",
        "proto=http;proto=https",
        "x=1;X=1",
        "for=192.0.2.43:80",
        "for=2001:db8::17",
        "for=\"2001:db8::17\"",
        "for=[2001:db8::17]",
        "for=\"192.0.2.43",
        "for=192.0.2.43\"",
        "for=\"192.0.2.43\"x",
        "for=\"192.0.2.43\"\"\"",
        "for=\"192.0.2.43\\",
        "for=\"192.0.2.43\\\"",
        "for='192.0.2.43'",
        "for=name",
        "for=\"\"",
        "by=name;for=192.0.2.43",
        "for=192.0.2.43, for=name",
        "for=192.0.2.43/8",
        "fo\u{f6}r=192.0.2.43",
        // One client left its quotation mark open, and a proxy appended to it.
        "for=\"_x, for=192.0.2.43",
        "for=\"_x, for=\"[2001:db8::17]\"",
        "for=\"_x, for=192.0.2.43;host=\"push.example\"",
    ] {
        assert_eq!(nodes(value), None, "{value}");
    }
    assert!(ForwardedElement::parse_list(b"x=\"\x00\"").is_none() && ForwardedElement::parse_list(b"x=\"\\\x7F\"").is_none());
    assert!(ForwardedElement::parse_list(b"x=\xFF").is_none() && ForwardedElement::parse_list(b"x=\"\xFF\"").is_some());
}

#[test]
fn schemes_and_hosts_of_elements() {
    let value = br#"proto=HTTPS;host="push.example:8443", Host=a;Proto=ftp, host="a\"b\\";proto="wss", by=_x"#;
    let list = ForwardedElement::parse_list(value).unwrap();
    let found: Vec<_> = list.iter().map(|element| (element.proto, element.host.as_deref())).collect();
    let expected: [(Option<Scheme>, Option<&[u8]>); 4] =
        [(Some(Scheme::Https), Some(b"push.example:8443")), (None, Some(b"a")), (Some(Scheme::Https), Some(b"a\"b\\")), (None, None)];
    assert_eq!(found, expected);
}

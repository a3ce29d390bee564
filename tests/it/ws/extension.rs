//! Offers of permessage-deflate, and the answers to them.
//!
//! Covers: proto::ws::extension

use pushlab::Deflate;
use pushlab::proto::http1::{Method, Version};
use pushlab::proto::ws::{Agreement, HandshakePolicy, HandshakeRequest, OriginVerdict, negotiate};

const BOTH: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

fn answer(config: Deflate, values: &[&str]) -> Option<String> {
    config.agree(values.iter().map(|value| value.as_bytes())).map(|agreement| agreement.to_string())
}

/// The answer to each offer, by a server with its defaults. It is BOTH and this; nothing means that the offer is declined.
#[test]
fn each_parameter() {
    for (offer, expected) in [
        ("permessage-deflate", Some("")),
        ("permessage-deflate; server_no_context_takeover", Some("")),
        ("permessage-deflate;client_no_context_takeover", Some("")),
        ("permessage-deflate; server_max_window_bits=9", Some("; server_max_window_bits=9")),
        ("permessage-deflate; server_max_window_bits=15", Some("; server_max_window_bits=15")),
        ("permessage-deflate; server_max_window_bits=\"10\"", Some("; server_max_window_bits=10")),
        ("permessage-deflate; server_max_window_bits=\"1\\0\"", Some("; server_max_window_bits=10")),
        ("permessage-deflate; client_max_window_bits", Some("")),
        ("permessage-deflate; client_max_window_bits=15", Some("")),
        ("permessage-deflate; client_max_window_bits=8", Some("; client_max_window_bits=8")),
        ("permessage-deflate; client_max_window_bits=12", Some("; client_max_window_bits=12")),
        (
            "permessage-deflate; client_max_window_bits = 11; server_max_window_bits\t=\t14; client_no_context_takeover; server_no_context_takeover",
            Some("; server_max_window_bits=14; client_max_window_bits=11"),
        ),
        // The compressor has no window of 256 bytes.
        ("permessage-deflate; server_max_window_bits=8", None),
        // Values that are missing, superfluous, out of range, or not in their one decimal form.
        ("permessage-deflate; server_max_window_bits", None),
        ("permessage-deflate; server_max_window_bits=7", None),
        ("permessage-deflate; server_max_window_bits=16", None),
        ("permessage-deflate; server_max_window_bits=010", None),
        ("permessage-deflate; server_max_window_bits=09", None),
        ("permessage-deflate; server_max_window_bits=1e1", None),
        ("permessage-deflate; client_max_window_bits=0", None),
        ("permessage-deflate; client_max_window_bits=\"16\"", None),
        ("permessage-deflate; client_max_window_bits=10000000000000000000000", None),
        ("permessage-deflate; server_no_context_takeover=1", None),
        ("permessage-deflate; client_no_context_takeover=true", None),
        // Repeated and unknown parameters, and other extensions.
        ("permessage-deflate; server_no_context_takeover; server_no_context_takeover", None),
        ("permessage-deflate; client_no_context_takeover; client_no_context_takeover", None),
        ("permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", None),
        ("permessage-deflate; client_max_window_bits; client_max_window_bits=10", None),
        ("permessage-deflate; unknown", None),
        ("permessage-deflate; Server_No_Context_Takeover", None),
        ("x-webkit-deflate-frame", None),
        ("permessage-deflate=1", None),
        ("permessage-bzip2; server_no_context_takeover", None),
        ("", None),
    ] {
        assert_eq!(answer(Deflate::default(), &[offer]), expected.map(|more| format!("{BOTH}{more}")), "{offer}");
    }
}

#[test]
fn the_first_offer_that_can_be_accepted_is() {
    for (values, expected) in [
        (
            &["permessage-deflate; server_max_window_bits=8, permessage-deflate; server_max_window_bits=9"][..],
            Some("; server_max_window_bits=9"),
        ),
        (&["permessage-deflate; unknown", "foo, permessage-deflate; server_max_window_bits=12"], Some("; server_max_window_bits=12")),
        (&["permessage-deflate; client_max_window_bits, permessage-deflate; server_max_window_bits=9"], Some("")),
        (&["permessage-deflate; unknown, permessage-deflate; client_max_window_bits=7"], None),
        (&[], None),
    ] {
        assert_eq!(answer(Deflate::default(), values), expected.map(|more| format!("{BOTH}{more}")), "{values:?}");
    }
}

/// Each side keeps its window only if both sides want it, and windows are the smaller of both.
#[test]
fn what_the_server_wants_counts_too() {
    let takeover = Deflate { server_context_takeover: true, client_context_takeover: true, ..Deflate::default() };
    let small = Deflate { server_max_window_bits: 10, client_max_window_bits: 11, ..Deflate::default() };
    let beyond = Deflate { server_max_window_bits: 0, client_max_window_bits: 200, ..Deflate::default() };
    for (config, offer, expected) in [
        (takeover, "permessage-deflate", "permessage-deflate"),
        (takeover, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        (takeover, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        (Deflate { server_context_takeover: false, ..takeover }, "permessage-deflate", "permessage-deflate; server_no_context_takeover"),
        (Deflate { client_context_takeover: false, ..takeover }, "permessage-deflate", "permessage-deflate; client_no_context_takeover"),
        (small, "permessage-deflate", &format!("{BOTH}; server_max_window_bits=10")),
        (small, "permessage-deflate; client_max_window_bits", &format!("{BOTH}; server_max_window_bits=10; client_max_window_bits=11")),
        (
            small,
            "permessage-deflate; client_max_window_bits=15; server_max_window_bits=15",
            &format!("{BOTH}; server_max_window_bits=10; client_max_window_bits=11"),
        ),
        (
            small,
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=9",
            &format!("{BOTH}; server_max_window_bits=9; client_max_window_bits=9"),
        ),
        (beyond, "permessage-deflate; client_max_window_bits", &format!("{BOTH}; server_max_window_bits=9")),
    ] {
        assert_eq!(answer(config, &[offer]).as_deref(), Some(expected), "{config:?}, {offer}");
    }
}

#[test]
fn an_agreement_says_what_was_agreed() {
    let config = Deflate { level: 77, threshold_bytes: 1_000_000, server_context_takeover: true, ..Deflate::default() };
    let agreement = config.agree([&b"permessage-deflate; server_max_window_bits=11; client_max_window_bits=8"[..]]).unwrap();
    assert_eq!((agreement.level(), agreement.server_window_bits(), agreement.client_window_bits()), (9, 11, 8));
    assert_eq!((agreement.server_context_takeover(), agreement.client_context_takeover()), (true, false));
    assert_eq!([0, 65_534, 65_535].map(|len| agreement.compresses(len)), [false, false, true]);
    let always = Deflate { threshold_bytes: 0, ..Deflate::default() }.agree([&b"permessage-deflate"[..]]).unwrap();
    assert_eq!([0, 1].map(|len| always.compresses(len)), [false, true], "an empty message cannot get smaller");
    assert_eq!(size_of::<Option<Agreement>>(), 6, "each WebSocket has one");
}

/// Fields of a whole handshake: the policy decides, and a list that breaks its grammar is an error as before.
#[test]
fn in_a_handshake() {
    let respond = |deflate, extensions: &[&str]| {
        let fields = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", "13"),
        ];
        let extensions = extensions.iter().map(|value| ("Sec-WebSocket-Extensions", *value));
        let fields = fields.into_iter().chain(extensions).map(|(name, value)| (name, value.as_bytes()));
        let request = HandshakeRequest::from_fields(Method::Get, Version::Http11, fields);
        let policy = HandshakePolicy { origin: OriginVerdict::Allowed, protocols: &[], deflate };
        negotiate(&request, &policy).map(|accept| {
            let mut out = Vec::new();
            accept.fields(&mut out);
            String::from_utf8(out).unwrap().lines().skip(1).collect::<Vec<_>>().join("|")
        })
    };
    let on = Some(Deflate::default());
    let field = format!("Sec-WebSocket-Extensions: {BOTH}");
    assert_eq!(respond(on, &["permessage-deflate; client_max_window_bits"]), Ok(field.clone()), "as browsers offer it");
    assert_eq!(respond(on, &["foo", "bar; x=\"y\"", "permessage-deflate"]), Ok(field));
    assert_eq!(respond(on, &["foo", "permessage-deflate; x"]), Ok(String::new()));
    assert_eq!(respond(on, &[]), Ok(String::new()));
    assert_eq!(respond(None, &["permessage-deflate"]), Ok(String::new()));
    assert!(respond(on, &["permessage-deflate; =10"]).is_err());
    assert!(respond(on, &["permessage-deflate; server_max_window_bits="]).is_err());
}

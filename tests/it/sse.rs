//! Server-sent events, both directions, at every cut.
//!
//! Covers: proto::sse::event, proto::sse::decoder

use std::time::Duration;

use pushlab::proto::sse::{Decoder, Event, comment};
use pushlab::proto::{LocalError, RemoteError};

use crate::support::splits::{Seeded, splits};

const LIMIT: usize = 1024;

fn encoded(event: Event<'_>) -> String {
    let mut out = Vec::new();
    event.encode(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// Event type, data, last event id.
type Triple = (String, String, String);

struct Stream {
    events: Vec<Triple>,
    last_event_id: String,
    retry: Option<Duration>,
    error: Option<RemoteError>,
}

fn decode_pieces(input: &[u8], pieces: &[usize], limit_bytes: usize) -> Stream {
    let mut decoder = Decoder::new(limit_bytes);
    let (mut events, mut error, mut rest) = (Vec::new(), None, input);
    'pieces: for &length in pieces {
        let (mut piece, after) = rest.split_at(length);
        rest = after;
        loop {
            match decoder.next_event(piece) {
                Ok((used, Some(event))) => {
                    events.push((event.event.to_owned(), event.data.to_owned(), event.id.to_owned()));
                    piece = &piece[used..];
                }
                Ok((used, None)) => {
                    assert_eq!(used, piece.len(), "without an event, all input is consumed");
                    break;
                }
                Err(found) => {
                    error = Some(found);
                    break 'pieces;
                }
            }
        }
    }
    if let Some(error) = error {
        assert_eq!(decoder.next_event(b"\n\ndata: more\n\n"), Err(error), "an error is for good");
    }
    Stream { events, last_event_id: decoder.last_event_id().to_owned(), retry: decoder.retry(), error }
}

/// Decodes whole, byte by byte, cut once at every place and at random places, and expects the same of all.
fn decode_limited(input: &[u8], limit_bytes: usize) -> Stream {
    let whole = decode_pieces(input, &[input.len()], limit_bytes);
    let cut_once = (0..=input.len().min(200)).map(|at| vec![at, input.len() - at]);
    for pieces in splits(input.len(), 20).chain(cut_once) {
        let cut = decode_pieces(input, &pieces, limit_bytes);
        assert_eq!(cut.events, whole.events, "{pieces:?} of {}", input.escape_ascii());
        assert_eq!(cut.error, whole.error, "{pieces:?} of {}", input.escape_ascii());
        if whole.error.is_none() {
            assert_eq!((cut.last_event_id, cut.retry), (whole.last_event_id.clone(), whole.retry), "{pieces:?}");
        }
    }
    whole
}

fn decode(input: &[u8]) -> Stream {
    let stream = decode_limited(input, LIMIT);
    assert_eq!(stream.error, None, "{}", input.escape_ascii());
    stream
}

#[test]
fn an_event_is_encoded_field_by_field() {
    for (event, wire) in [
        (Event::data("tick"), "data: tick\n\n"),
        (Event::data(""), "data:\n\n"),
        (Event::data(" two  spaces "), "data:  two  spaces \n\n"),
        (Event::data(": no comment"), "data: : no comment\n\n"),
        (Event::data("tick").event("quote"), "event: quote\ndata: tick\n\n"),
        (Event::data("tick").event(""), "event:\ndata: tick\n\n"),
        (Event::data("tick").id("e1-7"), "id: e1-7\ndata: tick\n\n"),
        (Event::data("tick").id(""), "id:\ndata: tick\n\n"),
        (Event::data("tick").retry(Duration::from_micros(1_500_999)), "retry: 1500\ndata: tick\n\n"),
        (Event::data("t").event("e").id("i").retry(Duration::ZERO), "event: e\nid: i\nretry: 0\ndata: t\n\n"),
        (Event::without_data().id("7"), "id: 7\n\n"),
        (Event::without_data().retry(Duration::from_secs(3)), "retry: 3000\n\n"),
        (Event::data("t").event("nul\0"), "event: nul\0\ndata: t\n\n"),
    ] {
        assert_eq!(encoded(event), wire, "{event:?}");
    }
}

#[test]
fn every_line_end_splits_a_payload() {
    for (data, wire) in [
        ("a\nb", "data: a\ndata: b\n\n"),
        ("a\rb", "data: a\ndata: b\n\n"),
        ("a\r\nb", "data: a\ndata: b\n\n"),
        ("a\n\rb", "data: a\ndata:\ndata: b\n\n"),
        ("a\r\r\nb", "data: a\ndata:\ndata: b\n\n"),
        ("\n", "data:\ndata:\n\n"),
        ("\r\n", "data:\ndata:\n\n"),
        ("a\n", "data: a\ndata:\n\n"),
        ("\ra", "data:\ndata: a\n\n"),
        ("a\n\nevent: forged\n\n", "data: a\ndata:\ndata: event: forged\ndata:\ndata:\n\n"),
        ("é\u{2028}\u{85}x", "data: é\u{2028}\u{85}x\n\n"),
    ] {
        assert_eq!(encoded(Event::data(data)), wire, "{data:?}");
    }
}

#[test]
fn a_name_or_an_id_cannot_write_another_field() {
    let mut out = b"before".to_vec();
    for event in ["a\nb", "a\r", "\r\n", "\n"] {
        assert_eq!(Event::data("x").event(event).encode(&mut out), Err(LocalError::BadEvent), "{event:?}");
    }
    for id in ["a\nb", "a\r", "\r\n", "\n", "7\0"] {
        assert_eq!(Event::data("x").id(id).encode(&mut out), Err(LocalError::BadEvent), "{id:?}");
    }
    assert_eq!(out, b"before");
}

#[test]
fn a_comment_reaches_no_listener() {
    for (text, wire) in
        [("", ":\n\n"), ("beat", ": beat\n\n"), ("a\ndata: b", ": a\n: data: b\n\n"), ("a\r\n\rb", ": a\n:\n: b\n\n"), (" x", ":  x\n\n")]
    {
        let mut out = Vec::new();
        comment(text, &mut out);
        assert_eq!(String::from_utf8_lossy(&out), wire, "{text:?}");
        assert_eq!(decode(&out).events, []);
    }
}

/// The examples of WHATWG HTML, sections 9.2.1 and 9.2.6.
#[test]
fn the_standards_own_examples() {
    for (input, expected) in [
        (
            "data: This is the first message.\n\ndata: This is the second message, it\ndata: has two lines.\n\ndata: This is the third message.\n\n",
            &[
                ("message", "This is the first message.", ""),
                ("message", "This is the second message, it\nhas two lines.", ""),
                ("message", "This is the third message.", ""),
            ][..],
        ),
        (
            "event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\nevent: add\ndata: 113411\n\n",
            &[("add", "73857293", ""), ("remove", "2153", ""), ("add", "113411", "")],
        ),
        ("data: YHOO\ndata: +2\ndata: 10\n\n", &[("message", "YHOO\n+2\n10", "")]),
        (
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
            &[("message", "first event", "1"), ("message", "second event", ""), ("message", " third event", "")],
        ),
        ("data\n\ndata\ndata\n\ndata:", &[("message", "", ""), ("message", "\n", "")]),
        ("data:test\n\ndata: test\n\n", &[("message", "test", ""), ("message", "test", "")]),
    ] {
        check(input.as_bytes(), expected);
    }
}

#[test]
fn the_rules_of_the_decoder_one_by_one() {
    let x = &[("message", "x", "")][..];
    for (input, expected) in [
        // Line ends.
        (&b"data: x\r\rdata: y\r\r"[..], &[("message", "x", ""), ("message", "y", "")][..]),
        (b"data: x\r\n\r\ndata: y\r\n\r\n", &[("message", "x", ""), ("message", "y", "")]),
        (b"data: x\n\r\ndata: y\r\n\r", &[("message", "x", ""), ("message", "y", "")]),
        (b"data: x\r\ndata: y\rdata: z\n\n", &[("message", "x\ny\nz", "")]),
        ("data: \u{2028}\u{85}\x0B\x0C\n\n".as_bytes(), &[("message", "\u{2028}\u{85}\x0B\x0C", "")]),
        // One byte order mark, at the start only.
        (b"\xEF\xBB\xBFdata: x\n\n", x),
        (b"\xEF\xBB\xBF\ndata: x\n\n", x),
        (b"\xEF\xBB\xBF\xEF\xBB\xBFdata: x\n\n", &[]),
        (b"\n\xEF\xBB\xBFdata: x\n\n", &[]),
        (b"\xEF\xBBdata: x\n\n", &[]),
        // Comments, unknown fields, fields without a colon.
        (b":\n: c\n:data: y\ndata: x\n:\n\n", x),
        (b"Data: y\n data: y\ndata : y\ndat: y\ndata: x\ndatax: y\nfoo\n\n", x),
        (b"event: e\nevent\ndata: x\n\n", x),
        // One space after the colon.
        (b"data:x\n\n", x),
        (b"data:  x\n\n", &[("message", " x", "")]),
        (b"data:\tx\n\n", &[("message", "\tx", "")]),
        (b"data: a:b\n\n", &[("message", "a:b", "")]),
        // The last event field wins; a block without data forgets it.
        (b"event: a\nevent: b\ndata: x\n\n", &[("b", "x", "")]),
        (b"event: a\n\ndata: x\n\n", x),
        (b"event: a\ndata: x\n\ndata: x\n\n", &[("a", "x", ""), ("message", "x", "")]),
        // The id persists, also from a block without data; NUL is ignored; empty resets.
        (b"id: 1\n\ndata: x\n\ndata: x\n\n", &[("message", "x", "1"), ("message", "x", "1")]),
        (b"id: 1\nid: 2\0\ndata: x\n\n", &[("message", "x", "1")]),
        (b"id: 1\ndata: x\n\nid:\ndata: x\n\n", &[("message", "x", "1"), ("message", "x", "")]),
        // What is not UTF-8.
        (b"data: \xFFx\xE2\x82\ndata: \xAC\n\n", &[("message", "\u{FFFD}x\u{FFFD}\n\u{FFFD}", "")]),
        (b"event: \xFF\nid: \xFF\ndata: x\n\n", &[("\u{FFFD}", "x", "\u{FFFD}")]),
        ("data: \u{20AC}\u{1F600}\n\n".as_bytes(), &[("message", "\u{20AC}\u{1F600}", "")]),
        // An unfinished block.
        (b"data: x\n\ndata: y\n", x),
        (b"data: x\n\ndata: y", x),
        (b"", &[]),
        (b"\n\n\r\r\n\n", &[]),
    ] {
        check(input, expected);
    }
}

fn check(input: &[u8], expected: &[(&str, &str, &str)]) {
    let events = decode(input).events;
    let events: Vec<_> = events.iter().map(|(event, data, id)| (&**event, &**data, &**id)).collect();
    assert_eq!(events, expected, "{}", input.escape_ascii());
}

#[test]
fn an_id_takes_effect_at_the_end_of_its_block() {
    assert_eq!(decode(b"id: 1\ndata: x\n\nid: 2\ndata: y\n").last_event_id, "1");
    assert_eq!(decode(b"id: 1\ndata: x\n\nid: 2\n\n").last_event_id, "2");
}

#[test]
fn retry_is_decimal_digits() {
    for (value, millis) in [
        ("0", Some(0)),
        ("1500", Some(1500)),
        ("007", Some(7)),
        ("18446744073709551615", Some(u64::MAX)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.5", None),
        (" 1", None),
        ("1 ", None),
        ("1s", None),
        ("\u{663}", None),
    ] {
        let stream = decode(format!("retry: {value}\n").as_bytes());
        assert_eq!(stream.retry, millis.map(Duration::from_millis), "{value:?}");
    }
    assert_eq!(decode(b"retry: 5\nretry: x\nretry\n\n").retry, Some(Duration::from_millis(5)));
}

#[test]
fn an_event_is_bounded() {
    for (input, needed) in [
        (&b"data: 4567\n\n"[..], 10),
        (b"data: 4567", 10),
        (b"data: a\ndata: b\n\n", 2 + 7),
        (b": 23456789\n", 10),
        (b"event: 789\n", 10),
        (b"id: 456789\n\n", 10),
        (b"unknown: 9\n", 10),
        // Three bytes each in the decoded data, and the LF behind them.
        (b"data:\xFF\xFF\xFF\xFF\n\n", 4 * 3 + 1),
    ] {
        assert_eq!(decode_limited(input, needed).error, None, "{}", input.escape_ascii());
        assert_eq!(decode_limited(input, needed - 1).error, Some(RemoteError::MessageTooLarge), "{}", input.escape_ascii());
    }
    // What is over with its line or its block does not add up.
    let stream = [&b"id: 1\n:\nevent: e\nunknown: u\n"[..], b"data: x\n\n"].map(|part| part.repeat(50)).concat();
    assert_eq!(decode_limited(&stream, 12).events.len(), 50);
    // The events before the one too many still come.
    let stream = decode_limited(b"data: x\n\ndata: too long\n\ndata: y\n\n", 12);
    assert_eq!((stream.events.len(), stream.error), (1, Some(RemoteError::MessageTooLarge)));
}

#[test]
fn hostile_payloads_come_back_as_they_went() {
    const PARTS: [&str; 19] = [
        "\n",
        "\r",
        "\r\n",
        "\n\n",
        "",
        " ",
        ":",
        "data:",
        "data: x",
        "event: y",
        "id: 1",
        "id",
        "retry: 1",
        "\0",
        "\u{FEFF}",
        "\u{2028}",
        "é",
        "\u{1F600}",
        "plain text",
    ];
    let text = |numbers: &mut Seeded| (0..numbers.below(9)).map(|_| PARTS[numbers.below(PARTS.len())]).collect::<String>();
    for seed in 1..=150 {
        let mut numbers = Seeded::new(seed);
        let (mut wire, mut expected, mut last_id) = (Vec::new(), Vec::new(), String::new());
        for _ in 0..=numbers.below(5) {
            let (data, name, id) = (text(&mut numbers), text(&mut numbers), text(&mut numbers));
            let with_data = numbers.below(5) > 0;
            let mut event = if with_data { Event::data(&data) } else { Event::without_data() };
            let (named, with_id) = (numbers.below(2) == 0, numbers.below(2) == 0);
            event = if named { event.event(&name) } else { event };
            event = if with_id { event.id(&id) } else { event };
            let before = wire.len();
            let bad = named && name.contains(['\r', '\n']) || with_id && id.contains(['\r', '\n', '\0']);
            assert_eq!(event.encode(&mut wire).is_err(), bad, "seed {seed}: {event:?}");
            if bad {
                assert_eq!(wire.len(), before);
                continue;
            }
            if with_id {
                last_id.clone_from(&id);
            }
            if with_data {
                let kind = if named && !name.is_empty() { name } else { "message".to_owned() };
                expected.push((kind, data.replace("\r\n", "\n").replace('\r', "\n"), last_id.clone()));
            }
            comment(&text(&mut numbers), &mut wire);
        }
        assert_eq!(decode(&wire).events, expected, "seed {seed}");
    }
}

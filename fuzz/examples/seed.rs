//! Writes the committed seeds of every fuzz target: `cargo run --example seed`.
//!
//! The inputs of HTTP/1.1 and of WebSockets come from the case files of the tests, the others from here. An input begins with a few bytes of decisions, as
//! the properties read them.

use std::fs;
use std::path::Path;

#[path = "../../tests/it/support/cases.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod cases;
#[path = "../../tests/it/support/tables.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod tables;

/// Seeds of one target.
const SEEDS_MAX: usize = 40;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for (target, _) in pushlab_fuzz::PROPERTIES {
        let seeds = seeds(target, root);
        let directory = root.join("corpus").join(target);
        fs::create_dir_all(&directory).expect("the corpus can be written");
        for (name, bytes) in &seeds {
            let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            fs::write(directory.join(name), bytes).expect("the corpus can be written");
        }
        println!("{target}: {} seeds, {} bytes", seeds.len(), seeds.iter().map(|(_, bytes)| bytes.len()).sum::<usize>());
    }
}

type Seed = (String, Vec<u8>);

fn seeds(target: &str, root: &Path) -> Vec<Seed> {
    match target {
        "control_body" => named(&CONTROL_BODIES),
        "extensions" => extensions(),
        "http1_events" => [some_cases(root, &[1], |_| true), some_handshakes(root, &[1])].concat(),
        "http1_split" => some_cases(root, &[0, 3, 0, 6, 40], |_| true),
        "http1_differential" => some_cases(root, &[], |case| !case.transcript.iter().any(|line| line.starts_with("error"))),
        "chunked" => chunked(),
        "outbox_ops" => named(&OUTBOX),
        "push_html" => push(&[("iframe", 0), ("page", 1), ("poll", 2), ("long-poll", 3)], &[0]),
        "push_json" => named(&PAYLOADS),
        "push_streams" => push(&[("events", 0), ("multipart", 1), ("lines", 2)], &[0, 1]),
        "session_ops" => named(&SESSION),
        "sse_decode" => SSE.iter().map(|(name, bytes)| ((*name).to_owned(), [b"\x02\x00\x04\x00", *bytes].concat())).collect(),
        "sse_roundtrip" => named(&SSE_EVENTS),
        "stomp_roundtrip" => named(&STOMP_FRAMES),
        "stomp_split" => stomp_frames(root),
        "ws_frames" => [some_frames(root, &[1, 1]), closing(&[1, 1])].concat(),
        "ws_inflate" => named(&COMPRESSED),
        "ws_split" => [some_frames(root, &[1, 1, 2, 0, 4]), closing(&[1, 1, 2, 0, 4])].concat(),
        "ws_roundtrip" => named(&WS_MESSAGES),
        _ => panic!("{target} has no seeds"),
    }
}

fn named(seeds: &[(&str, &[u8])]) -> Vec<Seed> {
    seeds.iter().map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec())).collect()
}

/// Cases from all over the files, as many as are allowed.
fn some_cases(root: &Path, decisions: &[u8], wanted: impl Fn(&cases::Case) -> bool) -> Vec<Seed> {
    let cases = cases::read_path(&root.join("../tests/cases/http1"));
    let cases: Vec<_> = cases.into_iter().filter(wanted).filter(|case| case.input.len() < 400).collect();
    let seeds = cases.iter().step_by(cases.len().div_ceil(SEEDS_MAX)).map(|case| {
        let name = case.name.split_once(": ").map_or_else(String::new, |(_, title)| title.to_owned());
        (name, [decisions, &case.input].concat())
    });
    seeds.collect()
}

fn chunked() -> Vec<Seed> {
    let bodies: [(&str, &[u8]); 8] = [
        ("one", b"5\r\nhello\r\n0\r\n\r\n"),
        ("digits", b"A\r\n0123456789\r\n00a\r\n0123456789\r\n00\r\n\r\n"),
        ("extensions", b"1 ; a = \"q;\\\"\t\" ;b\r\nx\r\n0;last\r\n\r\n"),
        ("trailers", b"1\r\nx\r\n0\r\nA: b\r\nC:\r\n\r\nGET"),
        ("line-feeds", b"2\n\r\n"),
        ("overflow", b"FFFFFFFFFFFFFFFF\r\nx\r\n1FFFFFFFFFFFFFFFF\r\n"),
        ("no-end", b"3\r\nabcd\r\n"),
        ("bad-quote", b"1;\"\r\nx"),
    ];
    let decoded = bodies.iter().flat_map(|(name, body)| {
        [("", [b"\x00\x01\x02", *body].concat()), ("tiny-", [b"\x02\x00", *body].concat())]
            .map(|(how, bytes)| (format!("{how}{name}"), bytes))
    });
    decoded
        .chain([("round-trip".to_owned(), b"\x01\x02\x00\x05\x00\x05hello\xF1\x09\x00123456789\x02\x01x\x03\x02\xC3\xA9".to_vec())])
        .collect()
}

/// A server's configuration in six bytes, and the values of the fields with the offers.
fn extensions() -> Vec<Seed> {
    let offers: [(&str, &str); 10] = [
        ("browser", "permessage-deflate; client_max_window_bits"),
        (
            "all",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=12",
        ),
        ("quoted", "permessage-deflate; server_max_window_bits=\"1\\0\" ; client_max_window_bits = \"9\""),
        ("several", "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits=8, permessage-deflate"),
        ("fields", "foo; bar=baz\npermessage-deflate; unknown\npermessage-deflate; server_max_window_bits=15"),
        ("repeated", "permessage-deflate; client_max_window_bits; client_max_window_bits=15"),
        ("zeros", "permessage-deflate; server_max_window_bits=09"),
        ("value", "permessage-deflate; server_no_context_takeover=1"),
        ("no-value", "permessage-deflate; server_max_window_bits"),
        ("empty", " , ,"),
    ];
    let configs: [(&str, &[u8]); 3] =
        [("", b"\x06\x00\x00\x00\x0F\x0F"), ("takeover-", b"\x06\x00\x01\x01\x0F\x0F"), ("small-", b"\x01\xFF\x00\x01\x09\x0A")];
    let seeds = offers
        .iter()
        .flat_map(|(name, offer)| configs.map(|(config, bytes)| (format!("{config}{name}"), [bytes, offer.as_bytes()].concat())));
    seeds.collect()
}

/// The limit, the cuts, the fragments, and a compressed message; or messages to compress. The messages are those of RFC 7692, section 7.2.3.
const COMPRESSED: [(&str, &[u8]); 12] = [
    ("one-block", b"\x00\x01\x02\x00\xf2\x48\xcd\xc9\xc9\x07\x00"),
    ("fragments", b"\x00\x00\x02\x03\x02\xf2\x48\xcd\xc9\xc9\x07\x00"),
    ("no-compression", b"\x00\x02\x02\x00\x01\x04\x00\x05\x00\xfa\xffHello\x00"),
    ("a-last-block", b"\x00\x01\x01\x00\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
    ("a-last-block-without-a-tail", b"\x00\x01\x01\x01\x07\xf3\x48\xcd\xc9\xc9\x07\x00\xf3\x48\xcd\xc9\xc9\x07\x00"),
    ("two-blocks", b"\x00\x01\x02\x00\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
    ("empty", b"\x00\x01\x02\x00\x00"),
    ("too-far-back", b"\x00\x01\x02\x00\xf2\x00\x11\x00\x00"),
    ("a-bomb", b"\x00\x01\x02\x00\x4a\xa9\x18\x05\xa3\x60\x14\x8c\x82\x51\x30\x0a\x46\x01\x00"),
    ("cut", b"\x00\x01\x02\x00\xf2\x48\xcd"),
    ("comes-back", b"\x01\x01\x02\x06\x00\x06\x03\x05Hello\x08\x03abc\x00\x00\x06\xff0123456789"),
    ("comes-back-with-takeover", b"\x09\x01\x02\x06\x00\x06\x03\x05Hello\x03\x05Hello\x08\x03abc\x00\x04\xff\xfe\x00\x01\x05Hello"),
];

/// Operation, kind, size; over and over.
const OUTBOX: [(&str, &[u8]); 3] = [
    ("small", b"\x00\x00\x05\x00\x00\xC7\x00\x03\x00\x06\x00\x01\x0A\x00\x04\x40"),
    ("large", b"\x00\x01\xF4\x00\x02\xF5\x01\x02\x00\x00\x05\x00\x03\x04\x00\x00\x02\xFF\x00\x00\x00\x03\x08\x00"),
    ("appended", b"\x00\x00\x09\x05\x01\xD9\x05\x00\x07\x06\x00\x03\x00\x04\x05\x02\xF0\x03\x03\x06\x07\x00\x00\x03"),
];

/// One operation for each first byte: see `session::step`.
const SESSION: [(&str, &[u8]); 17] = [
    ("answers", b"\x04\x01a\x00\x06\x01b\x21\x04body\x06\x01b\x41\x02\x02ab\x01c\x06\x13\x03\x01l\x00\x01m\x00\x06\x0A\xFF\x13\x03"),
    ("faults", b"\x04\x01d\x00\x01f\x00\x01p\x00\x01q\x00\x01r\x00\x13\x03\x01g\x00\x13\x03"),
    ("held-and-released", b"\x04\x01h\x00\x01n\x00\x06\x10\x00\x01\x13\x03\x01j\x00\x13\x03\x01i\x00\x13\x03"),
    ("held-and-late", b"\x04\x01h\x00\x06\x0C\x10\x00\x01\x13\x03\x12\x01\x01"),
    ("held-and-panicked", b"\x04\x01k\x00\x06\x13\x03"),
    ("held-and-shut-down", b"\x04\x01h\x00\x06\x13\x01\x13\x03\x13\x00"),
    ("stream", b"\x04\x01s\x00\x06\x0E\x09\x01\x00\x00\x0E\xFF\x03\x00\x00\x0D\x03\x0F\x00\x00\x13\x03\x01a\x00\x13\x03"),
    ("stream-that-beats", b"\x04\x01u\x00\x06\x09\x0C\x09\x0E\x09\x01\x00\x00\x0D\x01\x0C\x09\x0F\x00\x00\x13\x03"),
    ("stream-that-is-fed", b"\x04\x01y\x00\x06\x0E\x09\x01\x00\x00\x0E\xFF\x03\x00\x00\x0D\x03\x0F\x00\x00\x13\x03\x01z\x00\x13\x03"),
    ("stream-that-gives-up", b"\x04\x01a\x00\x01a\x00\x06\x01y\x00\x06\x0E\x09\x0E\xFF\x03\x00\x00\x0D\x03\x13\x03"),
    ("events", b"\x04\x01e\x00\x06\x09\x0C\x0C\x09\x13\x01\x13\x03"),
    ("old-client", b"\x04\x01e\x04\x06\x0E\x09\x01\x00\x00\x13\x03\x13\x00"),
    ("websocket", b"\x04\x03\x00\x06\x04\x00\x02hi\x04\x08\x01\x61\x04\x03\x01\x62\x04\x04\x01p\x13\x03\x04\x06\x13\x03"),
    ("websocket-slow", b"\x05\x03\x01\x06\x04\x00\x01\x08\x06\x0E\xFF\x03\x00\x01\x0E\xFF\x03\x00\x02\x0D\x03\x09\x09\x13\x03"),
    ("websocket-overflow", b"\x00\x03\x00\x06\x04\x00\x01\x08\x06\x0E\xFF\x03\x00\x01\x0E\xFF\x03\x00\x02\x0D\x03\x09"),
    ("websocket-silent", b"\x04\x03\x00\x06\x09\x0C\x09\x0C\x0C"),
    ("refused", b"\x04\x00\x04nope\x06\x13\x03\x0C\x13\x00"),
];

const SSE: [(&str, &[u8]); 10] = [
    ("plain", b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n"),
    ("lines", b"data: YHOO\r\ndata: +2\rdata: 10\n\n"),
    ("ids", b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n"),
    ("empty", b"data\n\ndata\ndata\n\ndata:"),
    ("line-ends", b"data: x\n\r\ndata: y\r\n\rdata: z\r\r"),
    ("mark", b"\xEF\xBB\xBFdata: x\n\n\xEF\xBB\xBFdata: x\n\n"),
    ("nul", b"id: 1\nid: 2\0\ndata: x\n\n"),
    ("not-utf8", b"data: \xFFx\xE2\x82\ndata: \xAC\nevent: \xF0\x9F\n\n"),
    ("retry", b"retry: 1500\nretry: -1\nretry: 99999999999999999999999\n\n"),
    ("unfinished", b"data: x\n\nid: 2\ndata: y"),
];

/// What it has, then each with its length; an event for each first byte.
const SSE_EVENTS: [(&str, &[u8]); 4] = [
    ("plain", b"\x01\x03\x00\x04tick\x02\x03a\nb\x05named\x04\x01x\x017"),
    ("forged", b"\x00\x00\x0Ex\n\nevent: y\r\r\n\x06\x01x\x03a\nb\x012\x04\x01x\x02\x00\x31"),
    ("bare", b"\x02\x00\x01\x05\x03abc\x09\x03\x70\x09a\ndata: b\x0F\x01e\x00\x01"),
    ("white", b"\x00\x00\x03 x \x02\x01:\x01 \x04\x00\x00"),
];

/// Cases from all over a table, as many as are allowed, behind the decisions.
fn some(table: Vec<tables::Case>, count: usize, decisions: &[u8], input: fn(&tables::Case) -> Vec<u8>) -> Vec<Seed> {
    let short: Vec<_> = table.iter().map(|case| (case, input(case))).filter(|(_, input)| input.len() < 400).collect();
    let seeds = short.iter().step_by(short.len().div_ceil(count)).map(|(case, input)| {
        let name = case.name.split_once(": ").map_or("", |(_, name)| name);
        (name.to_owned(), [decisions, input].concat())
    });
    seeds.collect()
}

fn package(root: &Path) -> String {
    root.join("..").to_string_lossy().into_owned()
}

fn some_handshakes(root: &Path, decisions: &[u8]) -> Vec<Seed> {
    some(tables::read(&package(root), "ws/handshake.txt"), SEEDS_MAX / 2, decisions, tables::Case::text_input)
}

fn some_frames(root: &Path, decisions: &[u8]) -> Vec<Seed> {
    some(tables::read(&package(root), "ws/frames.txt"), SEEDS_MAX, decisions, tables::Case::frame_input)
}

/// Cuts, the role, the version and the limits, before the input of a case.
fn stomp_frames(root: &Path) -> Vec<Seed> {
    let cases = tables::read(&package(root), "stomp/frames.txt");
    let seeds = cases.iter().step_by(cases.len().div_ceil(SEEDS_MAX)).map(|case| {
        let is_of_a_server = case.setting("role").next() == Some("client");
        let version =
            case.setting("version").next().map_or(0, |name| ["1.2", "1.1", "1.0"].iter().position(|known| *known == name).unwrap_or(0));
        let has_limits = case.setting("limit").next().is_some();
        let mut bytes = vec![2, 0, 6, u8::from(is_of_a_server), u8::try_from(version).expect("a small number"), u8::from(has_limits)];
        if has_limits {
            bytes.extend([2, 5, 3]);
        }
        (case.name.rsplit_once(": ").map_or_else(String::new, |(_, title)| title.to_owned()), [bytes, case.text_input()].concat())
    });
    seeds.collect()
}

/// Cuts, the role and the version; then frames: command, headers, whether a body, and line ends.
const STOMP_FRAMES: [(&str, &[u8]); 5] = [
    ("send", b"\x01\x03\x00\x00\x02\x02\x0bdestination\x08/queue/a\x01a\x02b\\\x01\x05hello\x01"),
    ("escapes", b"\x01\x00\x00\x01\x03\x03\x03a:b\x03c\nd\x01\\\x02\\n\x01r\x01\r\x00\x02\x00\x00\x00\x00"),
    ("message", b"\x02\x00\x07\x01\x00\x01\x01\x0csubscription\x010\x01\x04a\x00b\n\x00\x03\x00\x00\x00"),
    ("old", b"\x00\x00\x02\x02\x02\x03a:b\x03c:d\x01e\x02f\\\x01\x02hi\x00\x00\x01\x08passcode\x04\\t:\\\x00\x02"),
    ("refused", b"\x00\x01\x00\x00\x01\x0econtent-length\x015\x00\x00\x01\x01\x00\x01a\x00\x00\x02\x00\x01\x02no\x00"),
];

/// A conversation that the server ends, at different points.
fn closing(decisions: &[u8]) -> Vec<Seed> {
    let frames = tables::bytes("81 85 37FA213D ^\"Hello\" 01 83 37FA213D ^CEBAE1 89 84 37FA213D ^\"ping\" 88 85 37FA213D ^(03E9 \"bye\")");
    let seeds = [0x02, 0x06].map(|manner| {
        let mut bytes = decisions.to_vec();
        bytes[1] = manner;
        (format!("closed-by-us-{manner}"), [bytes, frames.clone()].concat())
    });
    seeds.to_vec()
}

/// Kind, payload with its length, fragments, and what stands between them.
const WS_MESSAGES: [(&str, &[u8]); 4] = [
    ("whole", b"\x01\x03\x00\x05Hello\x00\x01\x03\x00\x01\x02\x00"),
    ("fragments", b"\x00\x00\x06abcdef\x03\x01\x02\x03\x02\x00ping\x01\x02\x03\x01\x01\x02po\x01\x02\x03\x00\x02"),
    ("long", b"\x02\x07\x60\x1F\x280123456789012345678901234567890123456789\x01\x01\x02\x03\xFF\x02"),
    ("closed", b"\x00\xF9\x02\xFF\xFE\x00\x01\x03bye"),
];

/// Whether text, whether with an event's name, then the payload.
const PAYLOADS: [(&str, &[u8]); 6] = [
    ("plain", b"\x01\x00plain"),
    ("script", b"\x01\x00</script><!--<script>"),
    ("lines", "\u{1}\u{0}a\r\nb\nc\rd\u{2028}e\u{2029}\0\u{7f}\"\\".as_bytes()),
    ("event", b"\x01\x01\x04tempx"),
    ("binary", b"\x00\x00\xff\xfe\x00"),
    ("cursor", b"9f3a0c-17"),
];

/// Bodies of control requests, good and bad.
const CONTROL_BODIES: [(&str, &[u8]); 14] = [
    ("empty", b"{}"),
    ("join", br#"{"join":["a","b.presence"],"after":"9f3a0c-17"}"#),
    ("leave", br#"{"leave":["a"]}"#),
    ("leave-all", br#"{"leave":"all","join":["c"],"after":"earliest"}"#),
    ("white-space", b" {\t\"join\" :\r\n[ \"a\" , \"a\" ] } "),
    ("escapes", br#"{"\u006aoin":["\u0061\u002d"],"after":"\ud83d\ude00"}"#),
    ("half-a-pair", br#"{"join":["\ud83d"]}"#),
    ("twice", br#"{"join":[],"join":["a"]}"#),
    ("too-many", br#"{"join":["a","b","c","d","e"]}"#),
    ("other-kinds", br#"{"join":null,"leave":{"a":[1e400,-0]},"after":true}"#),
    ("unknown-member", br#"{"topics":[[[]]]}"#),
    ("not-an-object", b"[\"join\"]"),
    ("cut", br#"{"join":["a"#),
    ("not-utf-8", b"{\"join\":[\"\xff\"]}"),
];

/// Payloads that want to get out; `\x01` becomes a boundary.
const HOSTILE: [&[u8]; 16] = [
    b"</script><script>alert(1)</script>",
    b"<!--<script>",
    b"]]>--!><!-- </SCRIPT\t>",
    b"\r\n\x01\r\nContent-Type: text/html\r\n\r\n",
    b"\x01--",
    b"\n\nid: 7\nevent: gap\ndata: {\"gap\":true}\r\r\n",
    b"\xe2\x80\xa8\xe2\x80\xa9",
    b"\xf0\x9f\x98\x80\xe2\x80\x8d\xef\xbb\xbf",
    b"nul \0 and \x08\x0b\x0c\x1b\x7f\xc2\x85",
    b"\xed\xa0\x80 \xff",
    b"</pre></li></textarea></title>&amp;&lt;&#10;&notit;",
    b"*/);alert(1);/**/f(",
    b"\nfirst\r\nsecond\rthird\n",
    b"<",
    b"!--",
    b"",
];

/// Every payload by every technique: as text and as bytes, before and after the client comes, with and without names, cuts and a gap.
fn push(techniques: &[(&str, u8)], decisions: &[u8]) -> Vec<Seed> {
    let mut seeds = Vec::new();
    for (name, technique) in techniques {
        for decision in decisions {
            for (half, payloads) in HOSTILE.chunks(8).enumerate() {
                let is_odd = half == 1;
                let mut seed = vec![*technique];
                // Of streams it is the format, and a callback of scripts.
                let cuts: &[u8] = if is_odd { b"\x02\x00\x05" } else { b"\x01\xff" };
                match (decisions.len() > 1, is_odd) {
                    (true, _) => seed.extend([&[*decision], cuts].concat()),
                    (false, true) => seed.extend([cuts, b"\x01\x06a.b$_1"].concat()),
                    (false, false) => seed.extend([cuts, b"\x00"].concat()),
                }
                seed.extend_from_slice(if is_odd { b"\x00\x01\x04x.-_\x02\x06\x00\x01" } else { b"\x00\x00\x01\x09\x00" });
                for (at, payload) in payloads.iter().enumerate() {
                    // Pages and polls get what is there; a held poll the first that comes.
                    let opens_at = match *name {
                        "page" | "poll" => usize::MAX,
                        "long-poll" => half,
                        _ => 4,
                    };
                    let opens = if at == opens_at { 0x80 } else { 0 };
                    let what = [0x08, 0x0c, 0x0a, 0x59, 0x08, 0x0e, 0x48, 0x18][at] | opens;
                    seed.push(what);
                    if what & 2 != 0 {
                        seed.extend_from_slice(b"\x04temp");
                    }
                    seed.push(u8::try_from(payload.len()).expect("payloads are short"));
                    seed.extend_from_slice(payload);
                }
                seeds.push((format!("{name}-{}-{half}", ["raw", "json"][usize::from(*decision)]), seed));
            }
        }
    }
    for seed in &mut seeds {
        if decisions.len() == 1 {
            seed.0 = seed.0.replace("-raw", "");
        }
    }
    let (name, technique) = techniques[0];
    let mut names = vec![technique, 0];
    if decisions.len() == 1 {
        names.extend_from_slice(b"\x01\x06f(1);-");
    } else {
        names.extend_from_slice(b"\x00\x01\x05a\r\nb:\x01\x00\x00\x00\x02\x03gap\x01x\x06\x03a\nb\x01x");
    }
    seeds.push((format!("{name}-no-names"), names));
    seeds
}

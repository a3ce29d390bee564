//! Each field of a limits type is read by the layer that the type belongs to.
//!
//! A read is the field's name after `limits.` in a file of the layer, outside unit tests and
//! outside the file that declares the type.

use super::lexer::{Token, matches, tokens, without_tests};
use super::{Finding, Source};

/// Each limits type: its name, its file, and the directories of the files that read its fields.
const TYPES: [(&str, &str, &[&str]); 3] = [
    ("ProtocolLimits", "src/proto/limits.rs", &["src/proto/"]),
    ("StompLimits", "src/proto/stomp/limits.rs", &["src/proto/stomp/"]),
    ("Limits", "src/session/limits.rs", &["src/session/", "src/driver/"]),
];

/// Checks that each limits type exists, and that each of its fields is read.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    TYPES.iter().flat_map(|(name, path, layer)| check_type(name, path, layer, sources)).collect()
}

fn check_type(name: &str, path: &str, layer: &[&str], sources: &[Source]) -> Vec<Finding> {
    let Some(declaring) = sources.iter().find(|source| source.path == path) else {
        return vec![Finding::new(&Source::new(path, ""), 1, "does not exist")];
    };
    let is_reader = |source: &&Source| source.path != path && layer.iter().any(|directory| source.path.starts_with(directory));
    let readers: Vec<_> = sources.iter().filter(is_reader).map(|source| without_tests(&tokens(&source.text))).collect();
    let declared = tokens(&declaring.text);
    let fields = fields(name, &declared);
    if fields.is_empty() {
        return vec![Finding::new(declaring, 1, format!("declares no `pub struct {name}` with fields"))];
    }
    let is_read = |field: &Token<'_>| readers.iter().any(|code| code.windows(3).any(|read| matches(read, &["limits", ".", field.text])));
    let unread = fields.iter().filter(|field| !is_read(field));
    unread.map(|field| Finding::new(declaring, field.line, format!("{} is not read in {}", field.text, layer.join(" or ")))).collect()
}

/// The names of the fields of this struct. All of them are public, and their types have no braces.
fn fields<'a>(name: &str, code: &[Token<'a>]) -> Vec<Token<'a>> {
    let Some(start) = (0..code.len()).find(|at| matches(&code[*at..], &["pub", "struct", name, "{"])) else { return Vec::new() };
    let body = code[start + 4..].split(|token| token.text == "}").next().unwrap_or_default();
    body.windows(3).filter(|field| field[0].text == "pub" && field[2].text == ":").map(|field| field[1]).collect()
}

#[test]
fn what_is_not_read_is_found() {
    const PROTO: &str = "/// `a`.\npub struct ProtocolLimits {\n    /// Bytes.\n    pub a_bytes: usize,\n    pub b: Option<Duration>,\n}";
    const STOMP: &str = "pub struct StompLimits {\n    pub d: usize,\n}";
    const SESSION: &str = "pub struct Limits {\n    pub protocol: ProtocolLimits,\n    pub c: usize,\n}";
    let reads = [
        ("src/proto/ws/reader.rs", "fn f(limits: &ProtocolLimits) { limits.a_bytes + limits.b }"),
        ("src/proto/stomp/reader.rs", "fn f(limits: &StompLimits) { limits.d }"),
        ("src/session/http.rs", "fn f(cx: &Context) { g(&cx.settings.limits.protocol) }"),
        ("src/driver/mailbox.rs", "fn f() { env.config.settings.limits.c }"),
    ];
    let find = |proto, session, reads: &[(&str, &str)]| {
        let types = [("src/proto/limits.rs", proto), ("src/proto/stomp/limits.rs", STOMP), ("src/session/limits.rs", session)];
        let sources: Vec<_> = types.iter().chain(reads).map(|(path, text)| Source::new(path, text)).collect();
        check(&sources).iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect::<Vec<_>>()
    };
    assert_eq!(find(PROTO, SESSION, &reads), [""; 0]);
    for (path, text, expected) in [
        ("src/proto/ws/reader.rs", "fn f(limits: &ProtocolLimits) { limits.a_bytes }", "src/proto/limits.rs:5"),
        ("src/proto/ws/reader.rs", "fn f() { limits.b + other.a_bytes }", "src/proto/limits.rs:4"),
        ("src/proto/ws/reader.rs", "fn f() { limits.b } // limits.a_bytes", "src/proto/limits.rs:4"),
        ("src/proto/ws/reader.rs", "fn f() { limits.b } #[cfg(test)] mod tests { fn f() { limits.a_bytes } }", "src/proto/limits.rs:4"),
        ("src/proto/stomp/reader.rs", "fn f() { limits.a_bytes }", "src/proto/stomp/limits.rs:2"),
        ("src/session/http.rs", "fn f() { limits.a_bytes + limits.b }", "src/session/limits.rs:2"),
        ("src/driver/mailbox.rs", "fn f() { limits.protocol }", "src/session/limits.rs:3"),
    ] {
        let changed: Vec<_> = reads.iter().map(|read| if read.0 == path { (path, text) } else { *read }).collect();
        assert_eq!(find(PROTO, SESSION, &changed), [expected], "{text}");
    }
    let of_a_layer_above = ("src/session/next.rs", "fn f() { limits.a_bytes + limits.b }");
    assert_eq!(find(PROTO, SESSION, &[of_a_layer_above, reads[1], reads[2], reads[3]]), ["src/proto/limits.rs:4", "src/proto/limits.rs:5"]);
    let of_its_own = format!("{PROTO} fn f(limits: &ProtocolLimits) {{ limits.a_bytes + limits.b }}");
    assert_eq!(find(&of_its_own, SESSION, &reads[1..]), ["src/proto/limits.rs:4", "src/proto/limits.rs:5"]);
    assert_eq!(find("pub struct Bounds {}", SESSION, &reads), ["src/proto/limits.rs:1"]);
    assert_eq!(check(&[]).len(), TYPES.len());
}

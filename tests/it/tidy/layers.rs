//! Import direction: `push -> session <- driver`, `session -> proto`.
//!
//! A layer may reach any layer below it. `push` is written like an outside crate: below it, it names only what is public.

use std::collections::{HashMap, HashSet};

use super::lexer::{Token, UsedPath, paths, tokens, without_tests};
use super::{Finding, Source};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// `lib.rs`: declares and re-exports.
    Root,
    Proto,
    Session,
    /// What both drivers share, and the choice between them.
    Driver,
    EventLoop,
    ThreadPerConn,
    Push,
}

impl Layer {
    fn of(module: &[String]) -> Option<Self> {
        let mut parts = module.iter().map(String::as_str);
        Some(match (parts.next(), parts.next()) {
            (None, _) => Self::Root,
            (Some("proto"), _) => Self::Proto,
            (Some("session"), _) => Self::Session,
            (Some("driver"), Some("event_loop")) => Self::EventLoop,
            (Some("driver"), Some("thread_per_conn")) => Self::ThreadPerConn,
            (Some("driver"), _) => Self::Driver,
            (Some("push"), _) => Self::Push,
            _ => return None,
        })
    }

    const fn may_use(self, other: Self) -> bool {
        use Layer::{Driver, EventLoop, Proto, Push, Root, Session, ThreadPerConn};
        match self {
            Root => true,
            Proto => matches!(other, Proto),
            Session => matches!(other, Session | Proto),
            Driver => matches!(other, Driver | EventLoop | ThreadPerConn | Session | Proto),
            EventLoop => matches!(other, EventLoop | Driver | Session | Proto),
            ThreadPerConn => matches!(other, ThreadPerConn | Driver | Session | Proto),
            Push => matches!(other, Push | Session | Proto),
        }
    }
}

/// Checks all files of `src` together: what `lib.rs` re-exports belongs to the layer that it comes from.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let exports = sources.iter().filter(|source| source.module().is_empty()).flat_map(exports).collect();
    let restricted = restricted_names(sources);
    let mut findings = Vec::new();
    for source in sources {
        let module = source.module();
        let Some(layer) = Layer::of(&module) else {
            findings.push(Finding::new(source, 1, "belongs to no layer"));
            continue;
        };
        let code = tokens(&source.text);
        for path in paths(&code) {
            match resolve(&module, &path) {
                Target::Outside => {}
                Target::Nowhere => findings.push(Finding::new(source, path.line, format!("{} leaves the crate", path.segments.join("::")))),
                Target::Item(item) => {
                    if let Some(message) = complaint(layer, &item, &exports) {
                        findings.push(Finding::new(source, path.line, message));
                    }
                }
            }
        }
        if layer == Layer::Push {
            findings.extend(private_uses(source, &code, &restricted));
        }
    }
    findings
}

enum Target {
    /// Another crate, or something named relative to here: it can only be further down in the same module.
    Outside,
    Nowhere,
    Item(Vec<String>),
}

fn resolve(module: &[String], path: &UsedPath) -> Target {
    let mut here: Vec<String> = module.iter().chain(&path.inside).cloned().collect();
    let mut rest = path.segments.as_slice();
    match rest[0].as_str() {
        "crate" | "pushlab" => {
            here.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {}
        _ => return Target::Outside,
    }
    while rest.first().is_some_and(|segment| segment == "super") {
        if here.pop().is_none() {
            return Target::Nowhere;
        }
        rest = &rest[1..];
    }
    here.extend_from_slice(rest);
    Target::Item(here)
}

fn complaint(layer: Layer, item: &[String], exports: &HashMap<String, Vec<String>>) -> Option<String> {
    let export = item.first().and_then(|name| exports.get(name));
    let target = export.map_or(item, Vec::as_slice);
    // What is neither a layer nor a re-export is an item of the root itself.
    let other = Layer::of(target).unwrap_or(Layer::Root);
    (!layer.may_use(other)).then(|| format!("{layer:?} must not use {other:?} (crate::{})", item.join("::")))
}

/// What `lib.rs` re-exports: the new name, and the path that it stands for.
fn exports(root: &Source) -> Vec<(String, Vec<String>)> {
    let resolved = paths(&tokens(&root.text)).into_iter().map(|path| {
        let start = usize::from(matches!(path.segments[0].as_str(), "crate" | "self"));
        let name = path.alias.or_else(|| path.segments.last().cloned()).unwrap_or_default();
        (name, path.segments[start..].to_vec())
    });
    // A layer is itself, whatever else has its name.
    resolved.filter(|(name, _)| Layer::of(std::slice::from_ref(name)).is_none()).collect()
}

/// Names below `push` that are declared with a restricted visibility, and nowhere with another one.
fn restricted_names(sources: &[Source]) -> HashSet<String> {
    let (mut restricted, mut open) = (HashSet::new(), HashSet::new());
    for source in sources {
        let code = tokens(&source.text);
        let in_push = Layer::of(&source.module()) == Some(Layer::Push);
        for (name, is_restricted) in declarations(&code) {
            let names = if is_restricted && !in_push { &mut restricted } else { &mut open };
            names.insert(name);
        }
        if in_push {
            // Its own fields, which need no visibility.
            open.extend(code.windows(2).filter(|pair| pair[1].text == ":").map(|pair| pair[0].text.to_owned()));
        }
    }
    &restricted - &open
}

/// The names of items and of visible fields, each with whether its visibility is restricted (`pub(..)`).
fn declarations(code: &[Token<'_>]) -> Vec<(String, bool)> {
    const ITEMS: [&str; 9] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod"];
    const QUALIFIERS: [&str; 5] = ["async", "const", "unsafe", "extern", "static"];
    let (mut found, mut at) = (Vec::new(), 0);
    while at < code.len() {
        if at > 0 && matches!(code[at - 1].text, "'" | "*" | ".") {
            // `'static`, `*const`.
            at += 1;
            continue;
        }
        let is_pub = code[at].text == "pub";
        let is_restricted = is_pub && code.get(at + 1).is_some_and(|next| next.text == "(") && {
            matches!(code.get(at + 2).map(|token| token.text), Some("crate" | "super" | "self" | "in"))
        };
        if is_restricted {
            at += code[at..].iter().position(|token| token.text == ")").unwrap_or(0);
        }
        at += usize::from(is_pub);
        let start = at;
        while at < code.len() && (QUALIFIERS.contains(&code[at].text) || code[at].text == "\"") {
            at += 1;
        }
        if at < code.len() && ITEMS.contains(&code[at].text) {
            at += 1;
        }
        let is_item = at > start;
        match code.get(at) {
            Some(name) if name.is_ident() && (is_item || is_pub) && name.text != "use" => found.push((name.text.to_owned(), is_restricted)),
            _ => {}
        }
        at = at.max(start + usize::from(!is_pub));
    }
    found
}

fn private_uses(source: &Source, code: &[Token<'_>], restricted: &HashSet<String>) -> Vec<Finding> {
    let code = without_tests(code);
    let after_dot = code.windows(2).filter(|pair| pair[0].text == ".").map(|pair| (pair[1].text.to_owned(), pair[1].line));
    // The standard library has modules of the same names, such as `io`.
    let own = paths(&code).into_iter().filter(|path| path.segments.first().is_none_or(|first| first != "std"));
    let in_paths = own.flat_map(|path| path.segments.into_iter().map(move |segment| (segment, path.line)));
    let uses = after_dot.chain(in_paths).filter(|(name, _)| restricted.contains(name));
    uses.map(|(name, line)| Finding::new(source, line, format!("{name} is not public"))).collect()
}

fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    check(&sources).iter().map(ToString::to_string).collect()
}

#[test]
fn wrong_directions_are_found() {
    for (path, text) in [
        ("src/proto/outbox.rs", "use crate::session::Session;"),
        ("src/proto/outbox.rs", "use super::super::session::Session;"),
        ("src/proto/ws/mod.rs", "use super::super::driver::Server;"),
        ("src/proto/ws/frame.rs", "fn f() { super::super::super::push::hub() }"),
        ("src/proto/ws/frame.rs", "use super::super::super::super::x;"),
        ("src/proto/now.rs", "use crate::{proto::x, driver::{y}};"),
        ("src/proto/now.rs", "mod inline { use super::super::super::session; }"),
        ("src/proto/now.rs", "use pushlab::push::Hub;"),
        ("src/proto/now.rs", "use crate::VERSION;"),
        ("src/proto/now.rs", "fn f(server: &crate::Server) {}"),
        ("src/proto/now.rs", "use crate::*;"),
        ("src/session/reply.rs", "use crate::driver::event_loop::Inbox;"),
        ("src/session/reply.rs", "use crate::push::Hub;"),
        ("src/driver/event_loop/turn.rs", "use crate::driver::thread_per_conn::accept;"),
        ("src/driver/event_loop/turn.rs", "use super::super::thread_per_conn::accept;"),
        ("src/driver/thread_per_conn/mod.rs", "use super::event_loop;"),
        ("src/driver/mod.rs", "use crate::push;"),
        ("src/push/hub/hub.rs", "use crate::driver::Stopper;"),
        ("src/push/hub/hub.rs", "use crate::Server;"),
        ("src/push/hub/hub.rs", "use pushlab::Server;"),
        ("src/push/hub/hub.rs", "use crate::Loop;"),
        ("src/other/mod.rs", ""),
        ("src/other.rs", ""),
    ] {
        let root = ("src/lib.rs", "pub mod proto; pub use driver::{Server, event_loop::Turn as Loop};");
        assert_eq!(findings(&[root, (path, text)]).len(), 1, "{path}: {text}");
    }
}

#[test]
fn right_directions_are_not() {
    for (path, text) in [
        ("src/proto/outbox.rs", "//! [`crate::session`]\nuse std::collections::VecDeque; use super::{error::RemoteError, self};"),
        ("src/proto/ws/frame.rs", "use super::super::outbox; const S: &str = \"crate::driver::x\"; // crate::driver::x"),
        (
            "src/proto/ws/mod.rs",
            "mod inner { use super::super::outbox; } use super::frame; pub(crate) use self::inner::x; pub(in crate::proto) fn f() {}",
        ),
        ("src/session/reply.rs", "use crate::proto::Outbox; use super::request; use crate::Outbox;"),
        ("src/driver/mod.rs", "use self::event_loop::Loop; use thread_per_conn::accept; use crate::session::Session;"),
        ("src/driver/event_loop/turn.rs", "use crate::driver::Config; use super::super::Config; use super::inbox; use crate::proto::Now;"),
        ("src/push/hub/hub.rs", "use crate::session::Pusher; use super::super::model; use pushlab::proto::Frame;"),
        ("src/lib.rs", "pub use crate::driver::Server; pub use push::Hub;"),
    ] {
        let root = ("src/lib.rs", "pub mod proto; pub use proto::Outbox;");
        assert_eq!(findings(&[root, (path, text)]), [""; 0], "{path}: {text}");
    }
}

#[test]
fn push_uses_the_public_api_only() {
    let below = [
        ("src/session/mod.rs", "pub(crate) mod slots; pub mod reply; pub struct Reply { pub(crate) slot: u8, pub body: u8 }"),
        ("src/proto/frame.rs", "impl Frame { pub(crate) const fn shared(&self) {} pub(super) fn len(&self) {} pub fn wire(&self) {} }"),
        ("src/proto/outbox.rs", "impl Outbox { pub const fn len(&self) {} }"),
    ];
    for (text, expected) in [
        ("use crate::session::slots::Slots;", 1),
        ("use crate::session::{reply, slots};", 1),
        ("fn f() { frame.shared() }", 1),
        ("fn f() { reply.slot }", 1),
        ("fn f() { Frame::shared }", 1),
        ("use crate::session::reply; fn f() { reply.body; frame.wire(); outbox.len() }", 0),
        ("fn f(mine: &Mine) { let shared = 1; g(mine, shared) }", 0),
        ("struct Mine { slot: u8 } fn f(mine: &Mine) { mine.slot }", 0),
    ] {
        let found = findings(&[&below[..], &[("src/push/hub/hub.rs", text)]].concat());
        assert_eq!(found.len(), expected, "{text}: {found:?}");
    }
}

//! Sockets, threads, locks, clocks and IO traits belong to `driver`.

use super::lexer::{matches, paths, tokens, without_tests};
use super::{Finding, Source};

const LOCKS: [&str; 3] = ["Mutex", "RwLock", "Condvar"];

/// Calls that read a clock, and other names for the types that have them.
const CLOCKS: [&[&str]; 5] =
    [&["Instant", "::", "now"], &["SystemTime", "::", "now"], &[".", "elapsed", "("], &["Instant", "as"], &["SystemTime", "as"]];

/// A log outside the process is an exception: the hub speaks to a broker on threads of its own, with
/// blocking sockets and time limits. No driver and no request waits for them.
const OF_A_LOG: [&str; 6] = [
    "src/push/log/brokers/",
    "src/push/log/clock.rs",
    "src/push/hub/clock.rs",
    "src/push/hub/follow.rs",
    "src/push/hub/lookup.rs",
    "src/push/hub/simulation/",
];

/// The one file of the system that `push` reads: its random bytes, which come without a wait.
const RANDOM: &str = "src/push/hub/random_source.rs";

/// The one lock below the drivers: nothing waits for it.
const POOL: &str = "src/proto/ws/pool.rs";

/// Checks one file of `src`.
pub fn check(source: &Source) -> Vec<Finding> {
    let module = source.module();
    let layer = module.first().map_or("", String::as_str);
    if !matches!(layer, "proto" | "session" | "push") {
        return Vec::new();
    }
    if OF_A_LOG.iter().any(|path| source.path.starts_with(path)) {
        return Vec::new();
    }
    let code = tokens(&source.text);
    let code = without_tests(&code);
    let mut findings = Vec::new();
    for path in paths(&code) {
        let segments: Vec<_> = path.segments.iter().map(String::as_str).collect();
        let is_forbidden = match segments[..] {
            // An address that a field contains is a value. Only a session has a peer with a port.
            ["std", "net", "IpAddr" | "Ipv4Addr" | "Ipv6Addr"] if layer != "push" => false,
            ["std", "net", "SocketAddr"] if layer == "session" => false,
            ["std", "fs", "File"] | ["std", "io", "Read"] if source.path == RANDOM => false,
            ["std", "net" | "thread" | "fs" | "process" | "os", ..]
            | ["mio", ..]
            | ["std", "io", "Read" | "Write" | "prelude" | "*", ..]
            | ["io", "Read" | "Write" | "prelude", ..] => true,
            _ => false,
        };
        if is_forbidden {
            findings.push(Finding::new(source, path.line, format!("{} belongs to driver", segments.join("::"))));
        }
    }
    for (at, token) in code.iter().enumerate() {
        if layer != "push" && source.path != POOL && LOCKS.contains(&token.text) {
            findings.push(Finding::new(source, token.line, format!("{} below driver", token.text)));
        }
        let waits = [".", "lock", "("];
        if source.path == POOL && matches(&code[at..], &waits) {
            findings.push(Finding::new(source, token.line, "waits for a lock below driver"));
        }
        if CLOCKS.iter().any(|clock| matches(&code[at..], clock)) {
            findings.push(Finding::new(source, token.line, "reads a clock: time is an argument"));
        }
    }
    findings
}

#[test]
fn what_belongs_to_driver_is_found() {
    for text in [
        "use std::net::TcpStream;",
        "use std::{fmt, net::{self, IpAddr}};",
        "use std::thread;",
        "fn f() { std::thread::sleep(wait) }",
        "use std::io::{self, Write};",
        "use std::io::prelude::*;",
        "use std::io; fn f(out: &mut dyn io::Read) {}",
        "use mio::Token;",
        "fn f() { Instant::now() }",
        "fn f() { std::time::SystemTime::now() }",
        "fn f() { start.elapsed() }",
        "use std::time::Instant as Clock;",
    ] {
        for path in ["src/proto/a.rs", "src/session/mod.rs", "src/push/techniques/a.rs"] {
            assert!(!check(&Source::new(path, text)).is_empty(), "{path}: {text}");
        }
        for path in ["src/driver/mod.rs", "src/driver/event_loop/turn.rs"] {
            assert_eq!(check(&Source::new(path, text)), [], "{path}: {text}");
        }
    }
}

#[test]
fn locks_are_for_driver_and_push() {
    for text in ["use std::sync::Mutex;", "fn f(lock: &std::sync::RwLock<u8>) {}", "use std::sync::{Arc, Condvar};"] {
        for (path, expected) in [("src/proto/a.rs", 1), ("src/session/a.rs", 1), ("src/push/a.rs", 0), ("src/driver/a.rs", 0)] {
            assert_eq!(check(&Source::new(path, text)).len(), expected, "{path}: {text}");
        }
    }
}

#[test]
fn push_has_one_clock() {
    let text = "fn f() { Instant::now() }";
    assert_eq!(check(&Source::new("src/push/hub/clock.rs", text)), []);
    for path in ["src/push/clock.rs", "src/push/hub/hub.rs", "src/push/techniques/clock.rs", "src/session/clock.rs"] {
        assert_eq!(check(&Source::new(path, text)).len(), 1, "{path}");
    }
}

#[test]
fn push_reads_one_file() {
    let text = "use std::fs::File; use std::io::{self, Read};";
    assert_eq!(check(&Source::new(RANDOM, text)), []);
    assert_eq!(check(&Source::new("src/push/hub/hub.rs", text)).len(), 2);
    assert_eq!(check(&Source::new(RANDOM, "use std::fs; use std::io::Write; use std::net::TcpStream; use std::thread;")).len(), 4);
}

#[test]
fn addresses_are_no_sockets() {
    let text = "use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};";
    for (path, expected) in [("src/session/a.rs", 0), ("src/proto/a.rs", 1), ("src/push/a.rs", 4)] {
        assert_eq!(check(&Source::new(path, text)).len(), expected, "{path}");
    }
}

#[test]
fn what_only_looks_like_it_is_not_found() {
    let text = "//! Instant::now()\nuse std::time::Instant; use std::io::Error; const S: &str = \"Mutex std::net::x\"; fn f() { super::net::x() }\n\
                #[cfg(test)] mod tests { use std::net::TcpStream; }";
    assert_eq!(check(&Source::new("src/proto/a.rs", text)), []);
}

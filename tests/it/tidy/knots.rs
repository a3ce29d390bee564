//! The files of `push` form a list: no file imports a file that imports it, and the directories of
//! `push` import only downwards, `techniques -> http -> hub -> log -> model`.
//!
//! An import is a path that names another file of `push`, in a `use` declaration or anywhere else.
//! A `mod` declaration and the path of a visibility are no imports.

use std::collections::{HashMap, HashSet};

use super::lexer::{Token, UsedPath, matches, paths, tokens, without_tests};
use super::{Finding, Source};

/// The directories of `push`, lowest first.
const DIRECTORIES: [&str; 5] = ["model", "log", "hub", "http", "techniques"];

/// One file that imports another.
struct Import {
    /// Indices into the list of files.
    from: usize,
    to: usize,
    line: usize,
}

/// Checks the files of `src/push` together.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let files: Vec<_> = sources.iter().filter(|source| source.path.starts_with("src/push/")).collect();
    let modules: HashMap<_, _> = files.iter().enumerate().map(|(index, source)| (source.module(), index)).collect();
    let imports: Vec<_> = files.iter().enumerate().flat_map(|(from, source)| imports(from, source, &modules)).collect();
    let mut findings = Vec::new();
    for Import { from, to, line } in &imports {
        let (source, target) = (files[*from], files[*to]);
        if rank(target) > rank(source) {
            findings.push(Finding::new(source, *line, format!("imports {}, which is above it", target.path)));
        } else if reaches(&imports, *to, *from) {
            findings.push(Finding::new(source, *line, format!("imports {}, which imports this file, itself or by others", target.path)));
        }
    }
    findings
}

/// The height of a file's directory. `src/push/mod.rs` is above all directories.
fn rank(source: &Source) -> usize {
    let module = source.module();
    module.get(1).and_then(|name| DIRECTORIES.iter().position(|directory| directory == name)).unwrap_or(DIRECTORIES.len())
}

/// Whether imports lead from one file to another.
fn reaches(imports: &[Import], from: usize, to: usize) -> bool {
    let (mut seen, mut open) = (HashSet::from([from]), vec![from]);
    while let Some(file) = open.pop() {
        if file == to {
            return true;
        }
        let next = imports.iter().filter(|import| import.from == file).map(|import| import.to);
        open.extend(next.filter(|file| seen.insert(*file)));
    }
    false
}

fn imports(from: usize, source: &Source, modules: &HashMap<Vec<String>, usize>) -> Vec<Import> {
    let code = tokens(&source.text);
    let code = without_visibilities(&without_tests(&code));
    let module = source.module();
    let targets = paths(&code).into_iter().filter_map(|path| {
        let line = path.line;
        // The longest prefix of the path that is a file holds what the path names.
        let item = resolve(&module, &path, modules);
        let to = (1..=item.len()).rev().find_map(|len| modules.get(&item[..len]))?;
        Some(Import { from, to: *to, line })
    });
    targets.filter(|import| import.to != from).collect()
}

/// The path from the root of the crate; empty for a path of another crate.
fn resolve(module: &[String], path: &UsedPath, modules: &HashMap<Vec<String>, usize>) -> Vec<String> {
    let mut here: Vec<_> = module.iter().chain(&path.inside).cloned().collect();
    let mut rest = path.segments.as_slice();
    match rest[0].as_str() {
        "crate" | "pushlab" => return rest[1..].to_vec(),
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|segment| segment == "super") {
                here.pop();
                rest = &rest[1..];
            }
        }
        // A module that this file declares, or the name of another crate or of an item.
        child => {
            here.push(child.to_owned());
            if !modules.contains_key(&here) {
                return Vec::new();
            }
            here.pop();
        }
    }
    here.extend_from_slice(rest);
    here
}

/// The tokens without the paths of `pub(in path)`.
fn without_visibilities<'a>(code: &[Token<'a>]) -> Vec<Token<'a>> {
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < code.len() {
        if matches(&code[at..], &["pub", "(", "in"]) {
            at += code[at..].iter().position(|token| token.text == ")").unwrap_or(0);
        }
        kept.push(code[at]);
        at += 1;
    }
    kept
}

/// Checks these files beside others that they may name.
fn findings(files: &[(&str, &str)]) -> Vec<String> {
    let others = ["mod", "model/mod", "model/id", "log/mod", "hub/mod", "hub/state", "http/mod", "techniques/mod"];
    let others = others.map(|name| format!("src/push/{name}.rs"));
    let others = others.iter().filter(|path| files.iter().all(|(given, _)| given != path));
    let others = others.map(|path| Source::new(path, ""));
    let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).chain(others).collect();
    check(&sources).iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

#[test]
fn imports_upwards_are_found() {
    for (path, text) in [
        ("src/push/model/a.rs", "use crate::push::hub::Hub;"),
        ("src/push/model/a.rs", "use super::super::hub::state::State;"),
        ("src/push/model/a.rs", "use crate::push::log::MemoryLog;"),
        ("src/push/log/a.rs", "use crate::push::hub::Hub;"),
        ("src/push/model/a.rs", "use crate::{proto::Frame, push::{model::Id, http::Call}};"),
        ("src/push/model/a.rs", "fn f() { crate::push::techniques::f() }"),
        ("src/push/model/a.rs", "use pushlab::push::Hub;"),
        ("src/push/model/a.rs", "use crate::push;\nuse super::super::Hub;"),
        ("src/push/model/a.rs", "mod inner { use super::super::super::hub::Hub; }"),
        ("src/push/hub/a.rs", "use crate::push::http::Call;"),
        ("src/push/http/a.rs", "use crate::push::techniques::sse;"),
        ("src/push/http/a.rs", "use super::super::techniques::sse;"),
        ("src/push/techniques/a.rs", "use super::super::Hub;"),
    ] {
        let found = findings(&[(path, text)]);
        assert!(!found.is_empty() && found.iter().all(|finding| finding.starts_with(path)), "{path}: {text}: {found:?}");
    }
}

#[test]
fn knots_are_found() {
    let (a, b, c) = ("src/push/hub/a.rs", "src/push/hub/b.rs", "src/push/hub/c.rs");
    for (files, expected) in [
        (&[(a, "use super::b::B;"), (b, "\nuse super::a::A;")][..], &["src/push/hub/a.rs:1", "src/push/hub/b.rs:2"][..]),
        (&[(a, "use super::b;"), (b, "fn f() { super::a::f() }")], &["src/push/hub/a.rs:1", "src/push/hub/b.rs:1"]),
        (
            &[(a, "use super::b::B;"), (b, "use crate::push::hub::c::C;"), (c, "use super::a::A;")],
            &["src/push/hub/a.rs:1", "src/push/hub/b.rs:1", "src/push/hub/c.rs:1"],
        ),
        // A file that takes an item from the directory's `mod.rs` imports `mod.rs`.
        (&[("src/push/hub/mod.rs", "mod a; pub use a::A;"), (a, "use super::B;")], &["src/push/hub/a.rs:1", "src/push/hub/mod.rs:1"]),
        (
            &[("src/push/hub/mod.rs", "mod a; pub use self::a::A;"), (a, "use crate::push::hub::*;")],
            &["src/push/hub/a.rs:1", "src/push/hub/mod.rs:1"],
        ),
    ] {
        let mut found = findings(files);
        found.sort();
        assert_eq!(found, expected, "{files:?}");
    }
}

#[test]
fn lists_are_not() {
    let (a, b, c) = ("src/push/hub/a.rs", "src/push/hub/b.rs", "src/push/hub/c.rs");
    for files in [
        &[(a, "use super::b::B; use super::c::C;"), (b, "use super::c::C;"), (c, "use crate::push::model::Id;")][..],
        &[("src/push/mod.rs", "mod hub; mod model; pub use hub::Hub; pub use model::{Id, Cursor};"), (a, "pub(in crate::push) fn f() {}")],
        &[("src/push/hub/mod.rs", "mod a; mod b; pub use a::A;"), (a, "use super::b::B; use std::fmt; use b::x;"), (b, "")],
        &[(a, "use crate::push::model::id::Id; use crate::session::Reply; // use crate::push::http::Call;")],
        &[(a, "use super::b::B;"), (b, "//! See [`super::a`].\n#[cfg(test)] mod tests { use super::super::a::A; }")],
        &[("src/push/techniques/a.rs", "use crate::push::{http::Call, hub::Hub, model::Id}; use super::b::B;")],
        &[("src/session/a.rs", "use super::b::B;"), ("src/session/b.rs", "use super::a::A;")],
    ] {
        assert_eq!(findings(files), [""; 0], "{files:?}");
    }
}

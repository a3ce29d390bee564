//! The files of `push` form a list, and so do the files of `session`: no file imports a file that
//! imports it, itself or by others. The directories of `push` import only downwards, `techniques ->
//! http -> hub -> log -> model`.
//!
//! An import is a path that names another file of the same layer, in a `use` declaration or
//! anywhere else. A name that a `mod.rs` re-exports is followed to the file that declares it. A
//! `mod` declaration and the path of a visibility are no imports.

use std::collections::{HashMap, HashSet};

use super::lexer::{Token, UsedPath, matches, paths, tokens, without_tests};
use super::{Finding, Source};

/// The layers whose files form a list.
const LAYERS: [&str; 2] = ["push", "session"];

/// The directories of `push`, lowest first.
const DIRECTORIES: [&str; 5] = ["model", "log", "hub", "http", "techniques"];

/// One file that imports another.
struct Import {
    /// Indices into the list of files.
    from: usize,
    to: usize,
    line: usize,
}

/// The files of a layer by their modules, and the names that its `mod.rs` files re-export.
struct Names {
    modules: HashMap<Vec<String>, usize>,
    /// The path of each re-exported name, and the path that it stands for.
    exports: HashMap<Vec<String>, Vec<String>>,
}

impl Names {
    fn of(files: &[&Source]) -> Self {
        let modules = files.iter().enumerate().map(|(index, source)| (source.module(), index)).collect();
        let mut names = Self { modules, exports: HashMap::new() };
        for source in files.iter().filter(|source| source.path.ends_with("/mod.rs")) {
            let module = source.module();
            for path in paths(&code(source)) {
                let target = names.resolve(&module, &path);
                let name = path.alias.as_ref().or(path.segments.last()).expect("a path has a segment");
                let exported = [&module[..], std::slice::from_ref(name)].concat();
                if !target.is_empty() && target != exported {
                    names.exports.insert(exported, target);
                }
            }
        }
        names
    }

    /// The file that declares what a path of `module` names.
    fn file_of(&self, module: &[String], path: &UsedPath) -> Option<usize> {
        let mut item = self.resolve(module, path);
        while let Some((len, target)) = (1..=item.len()).find_map(|len| Some((len, self.exports.get(&item[..len])?))) {
            item = [target, &item[len..]].concat();
        }
        // The longest prefix of the path that is a file holds what the path names.
        (1..=item.len()).rev().find_map(|len| self.modules.get(&item[..len])).copied()
    }

    /// The path from the root of the crate; empty for a path of another crate.
    fn resolve(&self, module: &[String], path: &UsedPath) -> Vec<String> {
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
                if !self.modules.contains_key(&here) {
                    return Vec::new();
                }
                here.pop();
            }
        }
        here.extend_from_slice(rest);
        here
    }
}

/// Checks the files of each layer together.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    LAYERS.iter().flat_map(|layer| check_layer(layer, sources)).collect()
}

fn check_layer(layer: &str, sources: &[Source]) -> Vec<Finding> {
    let files: Vec<_> = sources.iter().filter(|source| source.module().first().is_some_and(|name| name == layer)).collect();
    let names = Names::of(&files);
    let imports: Vec<_> = files.iter().enumerate().flat_map(|(from, source)| imports(from, source, &names)).collect();
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

fn imports(from: usize, source: &Source, names: &Names) -> Vec<Import> {
    let module = source.module();
    let found = paths(&code(source)).into_iter().filter_map(|path| {
        let to = names.file_of(&module, &path)?;
        (to != from).then_some(Import { from, to, line: path.line })
    });
    found.collect()
}

/// The tokens of a file that can name what it imports.
fn code(source: &Source) -> Vec<Token<'_>> {
    without_visibilities(&without_tests(&tokens(&source.text)))
}

/// The height of a file's directory. A file of `session`, and `src/push/mod.rs`, are in none, which
/// is above all directories.
fn rank(source: &Source) -> usize {
    let directory = source.path.strip_prefix("src/push/").and_then(|path| path.split_once('/')).map(|(directory, _)| directory);
    DIRECTORIES.iter().position(|name| Some(*name) == directory).unwrap_or(DIRECTORIES.len())
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
        // A file that takes an item of `mod.rs` itself imports `mod.rs`.
        (&[("src/push/hub/mod.rs", "mod a; pub use a::A;"), (a, "use super::B;")], &["src/push/hub/a.rs:1", "src/push/hub/mod.rs:1"]),
        (
            &[("src/push/hub/mod.rs", "mod a; pub use self::a::A;"), (a, "use crate::push::hub::*;")],
            &["src/push/hub/a.rs:1", "src/push/hub/mod.rs:1"],
        ),
        // A re-export leads to the file that declares the name, by any number of `mod.rs` files.
        (
            &[("src/push/hub/mod.rs", "mod a; mod b; pub use a::A; pub use b::B as C;"), (a, "use super::C;"), (b, "use super::A;")],
            &["src/push/hub/a.rs:1", "src/push/hub/b.rs:1"],
        ),
        (
            &[
                ("src/push/mod.rs", "mod hub; pub use hub::A;"),
                ("src/push/hub/mod.rs", "mod a; pub use a::A;"),
                (a, "use super::b::f;"),
                (b, "fn f() { crate::push::A::new() }"),
            ],
            &["src/push/hub/a.rs:1", "src/push/hub/b.rs:1"],
        ),
        (
            &[
                ("src/session/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
                ("src/session/a.rs", "use super::B;"),
                ("src/session/b.rs", "use crate::session::A;"),
            ],
            &["src/session/a.rs:1", "src/session/b.rs:1"],
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
        &[("src/push/hub/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"), (a, "use super::B;"), (b, "")],
        &[("src/session/a.rs", "use super::b::B;"), ("src/session/b.rs", "use crate::proto::a::A;")],
        &[("src/proto/a.rs", "use super::b::B;"), ("src/proto/b.rs", "use super::a::A;")],
    ] {
        assert_eq!(findings(files), [""; 0], "{files:?}");
    }
}

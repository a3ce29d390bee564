//! The rules of the house that the compiler does not know, checked on the source text.
//!
//! - `layers`: imports point downwards, `push -> session <- driver`, `session -> proto`, and never sideways between the two drivers;
//!   `push` uses only the public API.
//! - `knots`: the files of `push` and of `session` import no file that imports them, and the directories of `push` import only
//!   downwards, `techniques -> http -> hub -> log -> model`.
//! - `purity`: no sockets, threads, locks, clocks or IO traits outside `driver` (`push` may lock, and has one
//!   file for its clock).
//! - `text`: file length, headers, nothing unfinished, no `unsafe`, no `unwrap`, only the dependencies that were agreed, and no file in
//!   the README that does not exist.
//! - `limits`: every field of a limits type is read by the layer of that type.
//! - `errors`: an enum that is an error can grow.
//! - `covers`: every module of `src` is named by a test module, in header lines like `Covers: proto::sse::event, proto::sse::decoder`.
//!   A directory's name (`proto::stomp`) covers all of its files; a layer's name alone covers nothing. `mod.rs` and `lib.rs` need no cover.
//!
//! Every checker takes text and returns findings, and is tested on text that it must find fault with.

mod covers;
mod errors;
mod knots;
mod layers;
mod lexer;
mod limits;
mod purity;
mod text;

use std::fmt;
use std::fs;
use std::path::Path;

/// One source file, by its path from the root of the package, with `/` between the parts.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The module that this file of `src` is: `src/proto/sse/mod.rs` is `proto::sse`.
    fn module(&self) -> Vec<String> {
        let inner = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inner.split('/').filter(|part| !matches!(*part, "mod" | "lib")).map(str::to_owned).collect()
    }
}

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    line: usize,
    message: String,
}

impl Finding {
    fn new(source: &Source, line: usize, message: impl Into<String>) -> Self {
        Self { path: source.path.clone(), line, message: message.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// All Rust files of these directories of the package; a directory that does not exist (yet) has none.
fn sources(directories: &[&str]) -> Vec<Source> {
    fn collect(directory: &Path, root: &Path, found: &mut Vec<Source>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() && path.file_name().is_some_and(|name| name != "target" && name != "node_modules") {
                collect(&path, root, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let parts = path.strip_prefix(root).unwrap().iter().map(|part| part.to_str().unwrap());
                let name = parts.collect::<Vec<_>>().join("/");
                found.push(Source { path: name, text: fs::read_to_string(&path).unwrap() });
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for directory in directories {
        collect(&root.join(directory), root, &mut found);
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn expect_none(findings: &[Finding]) {
    let list = findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ");
    assert!(findings.is_empty(), "{} finding(s):\n  {list}", findings.len());
}

#[test]
fn imports_point_downwards() {
    expect_none(&layers::check(&sources(&["src"])));
}

#[test]
fn the_files_of_a_layer_form_a_list() {
    let sources = sources(&["src"]);
    for path in ["src/push/hub/mod.rs", "src/session/mod.rs"] {
        assert!(sources.iter().any(|source| source.path == path), "the files have been found");
    }
    expect_none(&knots::check(&sources));
}

#[test]
fn only_the_drivers_do_io() {
    expect_none(&sources(&["src"]).iter().flat_map(purity::check).collect::<Vec<_>>());
}

#[test]
fn the_text_is_tidy() {
    let sources = sources(&["src", "tests", "examples", "benches", "fuzz"]);
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the sources have been found");
    expect_none(&sources.iter().flat_map(text::check).collect::<Vec<_>>());
}

#[test]
fn the_dependencies_are_the_agreed_ones() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    expect_none(&text::check_dependencies(&Source::new("Cargo.toml", &manifest)));
}

#[test]
fn the_files_that_the_readme_names_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    expect_none(&text::check_paths(&Source::new("README.md", &readme), |path| root.join(path).exists()));
}

#[test]
fn every_limit_is_read_by_its_layer() {
    expect_none(&limits::check(&sources(&["src"])));
}

#[test]
fn errors_can_grow() {
    expect_none(&sources(&["src"]).iter().flat_map(errors::check).collect::<Vec<_>>());
}

#[test]
fn every_module_is_covered() {
    expect_none(&covers::check(&sources(&["src"]), &sources(&["tests/it"])));
}

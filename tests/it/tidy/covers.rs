//! Every module of `src` is named by a test module.

use super::{Finding, Source};

/// Checks that every file of `src` except `mod.rs` and `lib.rs` is named in a `Covers:` line, itself or by a directory that it is in, and
/// that every such line names what exists.
pub fn check(sources: &[Source], tests: &[Source]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut covered = Vec::new();
    for test in tests {
        for (line, name) in names(test) {
            let is_in = |source: &Source| within(&source.module().join("::"), &name);
            if !name.contains("::") {
                findings.push(Finding::new(test, line, format!("covers {name}: a whole layer is too much to be true")));
            } else if !sources.iter().any(is_in) {
                findings.push(Finding::new(test, line, format!("covers {name}, which does not exist")));
            } else {
                covered.push(name);
            }
        }
    }
    for source in sources {
        let module = source.module().join("::");
        let is_exempt = source.path.ends_with("/mod.rs") || source.path == "src/lib.rs";
        if !is_exempt && !covered.iter().any(|name| within(&module, name)) {
            findings.push(Finding::new(source, 1, format!("no module of tests/it has a header line `//! Covers: {module}`")));
        }
    }
    findings
}

fn within(module: &str, name: &str) -> bool {
    module.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// The names in the `Covers:` lines of a file's header, each with its line.
fn names(test: &Source) -> Vec<(usize, String)> {
    let header = (1..).zip(test.text.lines()).take_while(|(_, text)| text.starts_with("//!"));
    let lists = header.filter_map(|(line, text)| text.strip_prefix("//! Covers:").map(|list| (line, list)));
    lists.flat_map(|(line, list)| list.split(',').map(move |name| (line, name.trim_matches([' ', '`']).to_owned()))).collect()
}

#[test]
fn what_is_not_covered_is_found() {
    let sources =
        ["src/lib.rs", "src/proto/mod.rs", "src/proto/now.rs", "src/proto/ws/mod.rs", "src/proto/ws/mask.rs", "src/proto/ws/utf8.rs"];
    let sources = sources.map(|path| Source::new(path, ""));
    for (header, expected) in [
        ("//! X.\n//!\n//! Covers: proto::now, proto::ws::mask, proto::ws::utf8\n", &[][..]),
        ("//! Covers: `proto::now`\n//! Covers: proto::ws\n", &[]),
        ("//! Covers: proto::now, proto::ws::mask\n", &["src/proto/ws/utf8.rs:1"]),
        ("//! X.\n", &["src/proto/now.rs:1", "src/proto/ws/mask.rs:1", "src/proto/ws/utf8.rs:1"]),
        ("//! Covers: proto::ws\n\n//! Covers: proto::now\n", &["src/proto/now.rs:1"]),
        ("//! Covers: proto::ws, proto::no\n", &["tests/it/x.rs:1", "src/proto/now.rs:1"]),
        ("//! Covers: proto::now, proto::ws, proto::gone\n", &["tests/it/x.rs:1"]),
        ("//! Covers: proto::now, proto::ws\n//! Covers: proto\n", &["tests/it/x.rs:2"]),
    ] {
        let found = check(&sources, &[Source::new("tests/it/x.rs", header)]);
        let places: Vec<_> = found.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect();
        assert_eq!(places, expected, "{header}");
    }
}

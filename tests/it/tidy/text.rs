//! What holds for every file, and for the manifest.

use super::lexer::{matches, tokens, without_tests};
use super::{Finding, Source};

/// Lines of one file of `src`.
const LINES_MAX: usize = 500;

/// Of the default build.
const DEPENDENCIES: [&str; 6] = ["base64", "httparse", "log", "mio", "sha1", "slab"];

/// Behind features that are off by default.
const OPTIONAL_DEPENDENCIES: [&str; 2] = ["flate2", "rustls"];

/// Code that says of itself that it is not finished.
const UNFINISHED: [&[&str]; 4] = [&["todo", "!"], &["unimplemented", "!"], &["dbg", "!"], &["#", "[", "ignore"]];

/// Notes to oneself; put together here, or this file would contain them.
const NOTES: [&str; 2] = [concat!("TO", "DO"), concat!("FIX", "ME")];

/// Checks one Rust file.
pub fn check(source: &Source) -> Vec<Finding> {
    let is_library = source.path.starts_with("src/");
    let mut findings = Vec::new();
    // What documentation includes cannot begin with an inner comment.
    if !source.text.starts_with("//!") && !source.path.starts_with("tests/doc/") {
        findings.push(Finding::new(source, 1, "does not begin with //!"));
    }
    let lines = source.text.lines().count();
    if is_library && lines > LINES_MAX {
        findings.push(Finding::new(source, lines, format!("is longer than {LINES_MAX} lines")));
    }
    for (line, text) in (1..).zip(source.text.lines()) {
        let mut words = text.split(|c: char| !c.is_alphanumeric());
        if words.any(|word| NOTES.contains(&word)) {
            findings.push(Finding::new(source, line, "is unfinished"));
        }
        let heading = text.trim_start().strip_prefix("/// # ");
        if heading.is_some_and(|heading| ["Errors ", "Panics "].iter().any(|word| heading.starts_with(word))) {
            findings.push(Finding::new(source, line, "continues the line of a heading"));
        }
    }
    findings.extend(if is_library { unserved_examples(source) } else { Vec::new() });
    let code = tokens(&source.text);
    for (at, token) in code.iter().enumerate() {
        if UNFINISHED.iter().any(|texts| matches(&code[at..], texts)) {
            findings.push(Finding::new(source, token.line, "is unfinished"));
        }
        if token.text == "unsafe" {
            findings.push(Finding::new(source, token.line, "is unsafe"));
        }
    }
    if is_library {
        let code = without_tests(&code);
        let unwraps = code.windows(2).filter(|pair| matches!(pair[0].text, "." | "::") && pair[1].text == "unwrap");
        findings.extend(unwraps.map(|pair| Finding::new(source, pair[1].line, "unwraps; expect says which invariant holds")));
    }
    findings
}

/// Checks that the files and directories of `src` that a text names exist.
pub fn check_paths(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let named =
        (1..).zip(source.text.lines()).flat_map(|(line, text)| text.split('`').skip(1).step_by(2).map(move |quoted| (line, quoted)));
    let missing = named.filter(|(_, quoted)| quoted.starts_with("src/") && !exists(quoted));
    missing.map(|(line, quoted)| Finding::new(source, line, format!("names {quoted}, which does not exist"))).collect()
}

/// Examples in the documentation that have a handler, and do not run it. An example that is only
/// compiled may hang its reader's program.
fn unserved_examples(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Where the handler stands, within an example that has not been seen to run a server.
    let (mut is_example, mut handler) = (false, None);
    for (line, text) in (1..).zip(source.text.lines()) {
        let text = text.trim_start();
        let Some(text) = text.strip_prefix("///").or(text.strip_prefix("//!")).map(str::trim) else {
            (is_example, handler) = (false, None);
            continue;
        };
        if text.starts_with("```") {
            is_example = !is_example;
            findings.extend(handler.take().map(|line| Finding::new(source, line, "the example's server is never run")));
        } else if is_example && text.contains(": Reply<") {
            handler.get_or_insert(line);
        } else if is_example && (text.contains("serve_once(") || text.contains("stopper.stop()")) {
            handler = None;
        }
    }
    findings
}

#[test]
fn an_example_that_does_not_run_is_found() {
    let example =
        |end: &str| format!("//! Head.\n\n/// ```\n/// fn app(_: &Request<'_>, reply: Reply<'_>) {{}}\n/// {end}\n/// ```\nfn f() {{}}\n");
    let found = |end| unserved_examples(&Source::new("src/a.rs", &example(end))).len();
    assert_eq!(["", "# serve_once(app, &[\"/\"]);", "# stopper.stop();"].map(found), [1, 0, 0]);
}

/// Checks the manifest. It reads the tables that Cargo reads, in the forms that people write: `name = ...` lines and `[table.name]` heads.
pub fn check_dependencies(manifest: &Source) -> Vec<Finding> {
    let (mut findings, mut found) = (Vec::new(), Vec::new());
    let mut table = String::new();
    for (line, text) in (1..).zip(manifest.text.lines()) {
        let text = text.split('#').next().unwrap_or_default().trim();
        if let Some(head) = text.strip_prefix('[') {
            head.trim_end_matches(']').clone_into(&mut table);
            if let Some(name) = table.strip_prefix("dependencies.") {
                found.push((name.to_owned(), line, false));
            }
            // What only tests of some configuration need reaches nobody who uses the library.
            let is_for_target = table.starts_with("target.") && table.contains("dependencies") && !table.contains(".dev-dependencies");
            if is_for_target || table.starts_with("build-dependencies") {
                findings.push(Finding::new(manifest, line, format!("[{table}] is not agreed")));
            }
            continue;
        }
        let Some((key, value)) = text.split_once('=') else { continue };
        let (key, value) = (key.trim().trim_matches('"'), value.trim());
        if table == "dependencies" {
            let name = key.split('.').next().unwrap_or(key);
            found.push((name.to_owned(), line, is_optional(value)));
        } else if table.starts_with("dependencies.") && key == "optional" && value == "true" {
            found.last_mut().expect("the head of the table is found").2 = true;
        } else if table == "features" && key == "default" && value != "[]" {
            findings.push(Finding::new(manifest, line, "features are off by default"));
        }
    }
    for (name, line, optional) in &found {
        let agreed = if *optional { &OPTIONAL_DEPENDENCIES[..] } else { &DEPENDENCIES };
        if !agreed.contains(&name.as_str()) {
            let kind = if *optional { "an optional" } else { "a" };
            findings.push(Finding::new(manifest, *line, format!("{name} is not agreed as {kind} dependency")));
        }
    }
    for name in DEPENDENCIES {
        if !found.iter().any(|(other, ..)| other == name) {
            findings.push(Finding::new(manifest, 1, format!("{name} is agreed and missing")));
        }
    }
    findings
}

fn is_optional(value: &str) -> bool {
    value.split_whitespace().collect::<String>().contains("optional=true")
}

#[test]
fn a_path_that_does_not_exist_is_found() {
    let text = "| A | `src/a.rs`, `src/b.rs` |\nsrc/c.rs, `curl`, `tests/d.rs` and `src/e/`";
    let findings = check_paths(&Source::new("README.md", text), |path| path == "src/a.rs");
    assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn untidy_text_is_found() {
    for text in [
        "fn f() {}",
        "\n//! Late.",
        "//! X.\nfn f() { todo!() }",
        "//! X.\nfn f() { std::unimplemented!(\"later\") }",
        "//! X.\nfn f() { dbg!(1); }",
        "//! X.\n#[test]\n#[ignore]\nfn f() {}",
        "//! X.\n#[ignore = \"slow\"]\nfn f() {}",
        concat!("//! X. TO", "DO: more"),
        concat!("//! X.\n// FIX", "ME\n"),
        "//! X.\nunsafe fn f() {}",
        "//! X.\nfn f() { x.unwrap() }",
        "//! X.\nfn f() { x.map(Option::unwrap) }",
        "//! X.\n/// # Errors When it fails.\nfn f() {}",
    ] {
        assert_eq!(check(&Source::new("src/a.rs", text)).len(), 1, "{text}");
    }
    assert_eq!(check(&Source::new("src/a.rs", &"//! X.\n".repeat(LINES_MAX + 1))).len(), 1);
}

#[test]
fn tidy_text_is_not() {
    for (path, text) in [
        (
            "src/a.rs",
            "//! `x.unwrap()`, todo!(), unsafe.\n#![forbid(unsafe_code)]\nconst S: &str = \"dbg!(1)\"; fn f() { x.unwrap_or(1); todo }",
        ),
        ("src/a.rs", "//! X.\n#[cfg(test)]\nmod tests { fn f() { x.unwrap() } }"),
        ("tests/it/a.rs", "//! X.\nfn f() { x.unwrap() }"),
    ] {
        assert_eq!(check(&Source::new(path, text)), [], "{text}");
    }
    assert_eq!(check(&Source::new("src/a.rs", &"//! X.\n".repeat(LINES_MAX))), []);
    assert_eq!(check(&Source::new("tests/it/a.rs", &"//! X.\n".repeat(LINES_MAX + 1))), []);
}

#[test]
fn other_dependencies_are_found() {
    let agreed = "[dependencies]\nbase64 = \"0\"\nhttparse = \"1\"\nlog = \"0\"\nmio = { version = \"1\" }\nsha1 = \"0\"\nslab = \"0\"\n";
    let check = |more: &str| check_dependencies(&Source::new("Cargo.toml", &format!("{agreed}{more}"))).len();
    for (more, expected) in [
        ("", 0),
        ("[dev-dependencies]\ncriterion = \"0\"\n", 0),
        ("rustls = { version = \"0\", optional = true }\n", 0),
        ("[dependencies.flate2]\nversion = \"1\"\noptional = true\n[features]\ndefault = []\n", 0),
        ("tokio = \"1\"\n", 1),
        ("tokio.version = \"1\"\n", 1),
        ("tokio = { version = \"1\", optional = true }\n", 1),
        ("rustls = \"0\"\n", 1),
        ("[dependencies.tokio]\nversion = \"1\"\n", 1),
        ("[target.'cfg(unix)'.dependencies]\nlibc = \"0\"\n", 1),
        ("[build-dependencies]\ncc = \"1\"\n", 1),
        ("[features]\ndefault = [\"tls\"]\n", 1),
    ] {
        assert_eq!(check(more), expected, "{more}");
    }
    assert_eq!(check_dependencies(&Source::new("Cargo.toml", "[dependencies]\nmio = \"1\"\n")).len(), 5);
}

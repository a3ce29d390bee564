//! Text cases: what the peer sends, and the transcript of what must come of it.
//!
//! A file is a list of cases. `## name` begins one; `@ ` names the clauses that it is about; `> ` lines are the input and `= ` lines the
//! output, joined without anything between them; `< ` lines are the transcript. In input and output `\r \n \t \0 \\ \"` and `\xNN` stand for
//! bytes. `>20 `, `<20 ` and `=20 ` are 20 such lines, in which `{n}` counts from 1. A case without `= ` lines does not say anything about
//! its output. `! ` says why a case cannot be seen from outside, over a socket. Lines with `# ` are comments.
//!
//! A clause is `RFC 9112, 6.3`, and several are joined by `; `. A case without one, or one that was there before, is not a case.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One case of a file.
#[derive(Debug, Default)]
pub struct Case {
    /// File, line and name, for the message of a failure.
    pub name: String,
    pub input: Vec<u8>,
    pub transcript: Vec<String>,
    pub output: Option<Vec<u8>>,
    /// What the case is about, at least one.
    pub clauses: Vec<String>,
    /// Why it is about the core alone.
    pub core_only: Option<String>,
}

/// All cases of a directory below `tests/cases`.
pub fn read(directory: &str) -> Vec<Case> {
    read_path(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(directory))
}

/// All cases of a directory, by its path.
pub fn read_path(directory: &Path) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |file: &PathBuf| parse(&file.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(file).unwrap());
    let cases: Vec<_> = files.iter().flat_map(read).collect();
    check(&cases);
    cases
}

/// Panics where a case says nothing of its own, or does not say on whose authority.
pub fn check(cases: &[Case]) {
    let (mut titles, mut inputs) = (HashMap::new(), HashMap::new());
    for case in cases {
        assert!(!case.clauses.is_empty(), "{} names no clause", case.name);
        assert!(!case.transcript.is_empty(), "{} expects nothing", case.name);
        let title = case.name.split_once(": ").map(|(_, title)| title);
        let before = titles.insert(title, &case.name).or(inputs.insert(&case.input, &case.name));
        assert!(before.is_none(), "{} was there before: {before:?}", case.name);
    }
}

/// Whether a text is such as `RFC 9112, 6.3`.
fn is_clause(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.strip_prefix("RFC ")
        .and_then(|text| text.split_once(", "))
        .is_some_and(|(rfc, section)| rfc.len() == 4 && is_number(rfc) && section.split('.').all(is_number))
}

/// The cases of a text, not checked yet.
pub fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(name) = line.strip_prefix("## ") {
            cases.push(Case { name: format!("{file}:{}: {name}", number + 1), ..Case::default() });
            continue;
        }
        if line.is_empty() || line == "#" || line.starts_with("# ") {
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{file}: a case begins with ##"));
        let place = format!("{file}:{}: {line:?}", number + 1);
        let (mark, text) = line.split_once(' ').unwrap_or_else(|| panic!("{place} is not a line of a case"));
        let (mark, count) = mark.split_at(1);
        let count = if count.is_empty() { 1 } else { count.parse().unwrap_or_else(|_| panic!("{place} has no count")) };
        let lines = (1..=count).map(|n| text.replace("{n}", &n.to_string()));
        match mark {
            ">" => case.input.extend(lines.flat_map(|line| unescape(&line))),
            "=" => case.output.get_or_insert_default().extend(lines.flat_map(|line| unescape(&line))),
            "<" => case.transcript.extend(lines),
            "@" => {
                assert!(text.split("; ").all(is_clause), "{place} is not a list of clauses");
                case.clauses.extend(text.split("; ").map(str::to_owned));
            }
            "!" => case.core_only = Some(text.to_owned()),
            _ => panic!("{place} is not a line of a case"),
        }
    }
    cases
}

/// The bytes that an escaped line stands for.
pub fn unescape(line: &str) -> Vec<u8> {
    let (mut bytes, mut rest) = (Vec::new(), line.as_bytes());
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&escape, after) = rest.split_first().unwrap_or_else(|| panic!("{line:?} ends in a backslash"));
        rest = after;
        bytes.push(match escape {
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'0' => 0,
            b'\\' | b'"' => escape,
            b'x' => {
                let (digits, after) = rest.split_at(2);
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap()
            }
            _ => panic!("{line:?} has an unknown escape"),
        });
    }
    bytes
}

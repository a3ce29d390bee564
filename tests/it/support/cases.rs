//! Text cases: what the peer sends, and the transcript of what must come of it.
//!
//! A file is a list of cases. `## name` begins one; `> ` lines are the input and `= ` lines the output, joined without anything between them;
//! `< ` lines are the transcript. In input and output `\r \n \t \0 \\ \"` and `\xNN` stand for bytes. A case without `= ` lines does not
//! say anything about its output. Lines with `# ` are comments.

use std::path::Path;

/// One case of a file.
#[derive(Debug, Default)]
pub struct Case {
    /// File, line and name, for the message of a failure.
    pub name: String,
    pub input: Vec<u8>,
    pub transcript: Vec<String>,
    pub output: Option<Vec<u8>>,
}

/// All cases of a directory below `tests/cases`.
pub fn read(directory: &str) -> Vec<Case> {
    read_path(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(directory))
}

/// All cases of a directory, by its path.
pub fn read_path(directory: &Path) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().flat_map(|file| parse(&file.file_name().unwrap().to_string_lossy(), &std::fs::read_to_string(file).unwrap())).collect()
}

fn parse(file: &str, text: &str) -> Vec<Case> {
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
        match line.split_at_checked(2) {
            Some(("> ", input)) => case.input.extend(unescape(input)),
            Some(("= ", output)) => case.output.get_or_insert_default().extend(unescape(output)),
            Some(("< ", event)) => case.transcript.push(event.to_owned()),
            _ => panic!("{file}:{}: {line:?} is not a line of a case", number + 1),
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

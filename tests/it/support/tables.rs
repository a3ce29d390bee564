//! Text cases that each name the clause which decides them.
//!
//! A file is a list of cases. `## name` begins one, and `@ clause` must follow: which document says so, and where. `! ` lines are settings, `> `
//! lines the input, `= ` lines the output, `< ` lines the transcript. Lines with `# ` are comments. What stands in the lines is the table's
//! own; frames are written as [`bytes`] reads them.

use std::path::Path;

use super::cases::unescape;

/// One case of a file; each list is of lines.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// File, line and name, for the message of a failure.
    pub name: String,
    pub clause: String,
    pub settings: Vec<String>,
    pub input: Vec<String>,
    pub output: Option<Vec<String>>,
    pub transcript: Vec<String>,
}

impl Case {
    /// The input of a table of HTTP, in which `\r \n \t \0 \\ \"` and `\xNN` stand for bytes.
    pub fn text_input(&self) -> Vec<u8> {
        self.input.iter().flat_map(|line| unescape(line)).collect()
    }

    /// The input of a table of frames.
    pub fn frame_input(&self) -> Vec<u8> {
        bytes(&self.input.join(" "))
    }

    /// The values of a setting, in order.
    pub fn setting<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.settings.iter().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '))
    }
}

/// All cases of a file below `tests/cases` of the package in this directory.
///
/// # Panics
/// If a line is none of a case, if a case has no clause, and if two cases have the same name.
pub fn read(package: &str, file: &str) -> Vec<Case> {
    let path = Path::new(package).join("tests/cases").join(file);
    parse(file, &std::fs::read_to_string(path).unwrap())
}

fn parse(file: &str, text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut names = std::collections::HashSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(name) = line.strip_prefix("## ") {
            expect_clause(cases.last());
            assert!(names.insert(name), "{file}:{number}: another case is called {name}, too");
            cases.push(Case { name: format!("{file}:{number}: {name}"), ..Case::default() });
            continue;
        }
        if line.is_empty() || line == "#" || line.starts_with("# ") {
            continue;
        }
        let case = cases.last_mut().unwrap_or_else(|| panic!("{file}: a case begins with ##"));
        match line.split_at_checked(2) {
            Some(("@ ", clause)) if case.clause.is_empty() => clause.clone_into(&mut case.clause),
            Some(("! ", setting)) => case.settings.push(setting.to_owned()),
            Some(("> ", input)) => case.input.push(input.to_owned()),
            Some(("= ", output)) => case.output.get_or_insert_default().push(output.to_owned()),
            Some(("< ", event)) => case.transcript.push(event.to_owned()),
            _ => panic!("{file}:{number}: {line:?} is not a line of a case"),
        }
    }
    expect_clause(cases.last());
    cases
}

/// A clause is a document and a place in it, `RFC 6455, 5.5.1` or `STOMP 1.2, Body`, or a bound of this library's own,
/// `ProtocolLimits::message_bytes`. What it says may follow.
fn expect_clause(case: Option<&Case>) {
    let Some(case) = case else { return };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_of_an_rfc = case.clause.strip_prefix("RFC ").and_then(|rest| rest.split_once(", ")).is_some_and(|(number, rest)| {
        is_number(number) && rest.split([',', ':']).next().is_some_and(|section| section.split('.').all(is_number))
    });
    let is_other = ["STOMP 1.", "ProtocolLimits::", "StompLimits::"].iter().any(|document| case.clause.starts_with(document));
    assert!(is_of_an_rfc || is_other, "{} has no clause: {:?}", case.name, case.clause);
}

/// The bytes of a line of frames: words with blanks between them.
///
/// A word is pairs of hexadecimal digits, or text in quotes, with the escapes of all cases, or a list of words in parentheses. `^` in front of
/// it masks it, with the four bytes before it as the key; `*3` behind it takes it three times.
pub fn bytes(line: &str) -> Vec<u8> {
    let mut rest = line.trim_start();
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        rest = word(rest, &mut bytes).trim_start();
    }
    bytes
}

fn word<'a>(line: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let masked = line.strip_prefix('^');
    let (value, rest) = match masked.unwrap_or(line) {
        line if line.starts_with('"') => quoted(&line[1..]),
        line if line.starts_with('(') => {
            let end = line.find(')').unwrap_or_else(|| panic!("{line:?} has no closing parenthesis"));
            (self::bytes(&line[1..end]), &line[end + 1..])
        }
        line => {
            let end = line.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(line.len());
            let (digits, rest) = line.split_at(end);
            assert!(!digits.is_empty() && digits.len().is_multiple_of(2), "{line:?} does not begin with a word");
            (digits.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect(), rest)
        }
    };
    let (times, rest) = match rest.strip_prefix('*') {
        Some(rest) => {
            let (times, rest) = rest.split_at(rest.find(' ').unwrap_or(rest.len()));
            (times.parse().unwrap(), rest)
        }
        None => (1, rest),
    };
    assert!(rest.is_empty() || rest.starts_with(' '), "{rest:?} follows a word without a blank");
    let start = bytes.len();
    bytes.extend(value.repeat(times));
    if masked.is_some() {
        let (before, masked) = bytes.split_at_mut(start);
        let key: [u8; 4] = *before.last_chunk().expect("a key stands before what it masks");
        masked.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    rest
}

fn quoted(line: &str) -> (Vec<u8>, &str) {
    let mut escaped = false;
    let end = line.find(|c: char| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    let end = end.unwrap_or_else(|| panic!("{line:?} has no closing quote"));
    (unescape(&line[..end]), &line[end + 1..])
}

#[test]
fn words_are_bytes() {
    for (line, expected) in [
        ("", &b""[..]),
        ("81 05 \"Hello\"", b"\x81\x05Hello"),
        ("8105 \"a\\\"\\x00\"", b"\x81\x05a\"\0"),
        ("00*3 \"ab\"*2", b"\0\0\0abab"),
        ("(81 00)*2 FF", b"\x81\0\x81\0\xff"),
        ("81 85 37FA213D ^\"Hello\"", b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("01020304 ^00*5", b"\x01\x02\x03\x04\x01\x02\x03\x04\x01"),
    ] {
        assert_eq!(bytes(line), expected, "{line}");
    }
}

#[test]
fn a_case_without_a_clause_is_refused() {
    let outcome = |text: &'static str| std::panic::catch_unwind(|| parse("x.txt", text).len()).ok();
    assert_eq!(outcome("## a\n@ RFC 6455, 5.1\n> 81\n\n## b\n@ ProtocolLimits::message_bytes\n"), Some(2));
    for text in [
        "## a\n> 81\n",
        "## a\n> 81\n## b\n@ RFC 6455, 5.1\n",
        "## a\n@ somewhere\n",
        "## a\n@ RFC 6455\n",
        "## a\n@ RFC 6455, \n",
        "## a\n@ RFC 6455, 5.1\n@ RFC 6455, 5.2\n",
        "## a\n@ RFC 6455, 5.1\n## a\n@ RFC 6455, 5.1\n",
        "@ RFC 6455, 5.1\n",
        "## a\n@ RFC 6455, 5.1\n81\n",
    ] {
        assert_eq!(outcome(text), None, "{text}");
    }
}

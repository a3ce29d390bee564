//! An enum that is an error is `#[non_exhaustive]`, so that it can grow.

use super::lexer::{Token, matches, tokens, without_tests};
use super::{Finding, Source};

/// Checks one file of `src`. The attribute is the last one before `pub enum`.
pub fn check(source: &Source) -> Vec<Finding> {
    let code = tokens(&source.text);
    let code = without_tests(&code);
    let errors = code.windows(3).filter(|window| matches(window, &["Error", "for"]) && window[2].is_ident()).map(|window| window[2].text);
    let closed = errors.filter_map(|name| closed_enum(name, &code));
    closed.map(|token| Finding::new(source, token.line, format!("{} is an error, and not `#[non_exhaustive]`", token.text))).collect()
}

/// The name in the declaration of a public enum without the attribute.
fn closed_enum<'a>(name: &str, code: &[Token<'a>]) -> Option<Token<'a>> {
    let at = (0..code.len()).find(|at| matches(&code[*at..], &["pub", "enum", name]))?;
    let can_grow = at >= 4 && matches(&code[at - 4..], &["#", "[", "non_exhaustive", "]"]);
    (!can_grow).then(|| code[at + 2])
}

#[test]
fn errors_that_cannot_grow_are_found() {
    let find = |text| check(&Source::new("src/a.rs", text)).iter().map(|finding| finding.line).collect::<Vec<_>>();
    for (text, expected) in [
        ("#[derive(Debug)]\npub enum E { A }\nimpl std::error::Error for E {}", &[2][..]),
        ("pub enum E { A }\nimpl Error for E {}", &[1]),
        ("#[derive(Debug)]\n#[non_exhaustive]\npub enum E { A }\nimpl std::error::Error for E {}", &[]),
        ("#[non_exhaustive]\npub struct S;\npub enum E { A }\nimpl Error for E {}", &[3]),
        ("pub struct E;\nimpl std::error::Error for E {}", &[]),
        ("pub(crate) enum E { A }\nimpl std::error::Error for E {}", &[]),
        ("pub enum E { A }\nimpl fmt::Display for E {}", &[]),
    ] {
        assert_eq!(find(text), expected, "{text}");
    }
}

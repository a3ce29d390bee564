//! As much of Rust's grammar as tidiness needs: tokens without comments, strings without their contents, and paths.

/// One token. `::` is one token; a string or character literal is the token `"`, whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub text: &'a str,
    pub line: usize,
}

impl Token<'_> {
    pub fn is_ident(&self) -> bool {
        self.text.starts_with(is_ident_start)
    }
}

fn is_ident_start(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}

fn is_ident_part(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// The tokens of a file, in order.
pub fn tokens(text: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), text, 1);
    while let Some(first) = rest.chars().next() {
        let (length, kind) = token_length(rest, first);
        let (raw, after) = rest.split_at(length);
        match kind {
            Kind::Nothing => {}
            Kind::Literal => tokens.push(Token { text: "\"", line }),
            Kind::Text => tokens.push(Token { text: raw.trim_start_matches("r#"), line }),
        }
        line += raw.matches('\n').count();
        rest = after;
    }
    tokens
}

enum Kind {
    Nothing,
    Literal,
    Text,
}

fn token_length(rest: &str, first: char) -> (usize, Kind) {
    if first.is_whitespace() {
        return (first.len_utf8(), Kind::Nothing);
    }
    if rest.starts_with("//") {
        return (rest.find('\n').unwrap_or(rest.len()), Kind::Nothing);
    }
    if rest.starts_with("/*") {
        return (block_comment(rest), Kind::Nothing);
    }
    if let Some(length) = literal(rest) {
        return (length, Kind::Literal);
    }
    if rest.starts_with("::") {
        return (2, Kind::Text);
    }
    if is_ident_part(first) {
        let raw = if rest.starts_with("r#") { 2 } else { 0 };
        let length = rest[raw..].find(|c| !is_ident_part(c)).unwrap_or(rest.len() - raw);
        return (raw + length, Kind::Text);
    }
    (first.len_utf8(), Kind::Text)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest.as_bytes()[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of the string, byte string, C string, character or byte literal at the start of `rest`, if there is one. A lifetime is none.
fn literal(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c| !matches!(c, 'b' | 'c' | 'r')).filter(|length| *length <= 2)?;
    let body = &rest[prefix..];
    if rest[..prefix].ends_with('r') {
        let hashes = body.find(|c| c != '#')?;
        if !body[hashes..].starts_with('"') {
            return None;
        }
        let end = format!("\"{}", "#".repeat(hashes));
        let start = prefix + hashes + 1;
        return Some(rest[start..].find(&end).map_or(rest.len(), |at| start + at + end.len()));
    }
    let quote = body.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut chars = body.char_indices().skip(1).peekable();
    if quote == '\'' {
        let (_, first) = chars.next()?;
        let (_, second) = *chars.peek()?;
        if first != '\\' {
            return (second == '\'').then_some(prefix + 1 + first.len_utf8() + 1);
        }
        chars.next();
    }
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            return Some(prefix + at + 1);
        }
    }
    Some(rest.len())
}

/// The tokens without the items that are compiled for unit tests only.
pub fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const ATTRIBUTE: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while at < tokens.len() {
        if !matches(&tokens[at..], &ATTRIBUTE) {
            kept.push(tokens[at]);
            at += 1;
            continue;
        }
        at += ATTRIBUTE.len();
        let mut depth = 0_usize;
        while at < tokens.len() {
            let text = tokens[at].text;
            at += 1;
            match text {
                "{" | "(" | "[" => depth += 1,
                "}" | ")" | "]" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 && matches!(text, "}" | ";") {
                break;
            }
        }
        // `use a::{b, c};`
        at += usize::from(matches(&tokens[at..], &[";"]));
    }
    kept
}

/// Whether `tokens` begin with these texts.
pub fn matches(tokens: &[Token<'_>], texts: &[&str]) -> bool {
    tokens.len() >= texts.len() && tokens.iter().zip(texts).all(|(token, text)| token.text == *text)
}

/// A path with all of its segments, wherever it stands: in a `use`, an expression, a type, a visibility.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedPath {
    pub segments: Vec<String>,
    /// What `as` calls it.
    pub alias: Option<String>,
    pub line: usize,
    /// The inline modules around it.
    pub inside: Vec<String>,
}

/// Every path of at least two segments. The trees of `use` declarations are taken apart: `a::{b, c as d}` are the paths `a::b` and `a::c`.
pub fn paths(tokens: &[Token<'_>]) -> Vec<UsedPath> {
    let (mut found, mut modules, mut depth, mut at) = (Vec::new(), Vec::<(String, usize)>::new(), 0_usize, 0);
    while at < tokens.len() {
        match tokens[at].text {
            "mod" if tokens.len() > at + 2 && tokens[at + 2].text == "{" => {
                modules.push((tokens[at + 1].text.to_owned(), depth));
                at += 1;
            }
            "{" => depth += 1,
            "}" => {
                depth = depth.saturating_sub(1);
                modules.pop_if(|(_, opened_at)| *opened_at == depth);
            }
            _ if tokens[at].is_ident() && tokens.get(at + 1).is_some_and(|next| next.text == "::") => {
                let before = found.len();
                at = tree(tokens, at, &[], &mut found);
                let inside: Vec<_> = modules.iter().map(|(name, _)| name.clone()).collect();
                found[before..].iter_mut().for_each(|path| path.inside.clone_from(&inside));
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one path or `use` tree and returns where it ends.
fn tree(tokens: &[Token<'_>], mut at: usize, prefix: &[String], found: &mut Vec<UsedPath>) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens[at].line;
    let mut alias = None;
    while at < tokens.len() {
        let text = tokens[at].text;
        if text == "{" {
            at += 1;
            while at < tokens.len() && tokens[at].text != "}" {
                at = if tokens[at].text == "," { at + 1 } else { tree(tokens, at, &segments, found) };
            }
            return at + 1;
        }
        if !(tokens[at].is_ident() || text == "*") {
            // Generic arguments (`Vec::<u8>::new`), or something that no path contains; do not stand still.
            at += usize::from(segments.len() == prefix.len());
            break;
        }
        segments.push(text.to_owned());
        at += 1;
        if tokens.get(at).is_none_or(|next| next.text != "::") {
            if matches(&tokens[at..], &["as"]) && tokens.get(at + 1).is_some_and(Token::is_ident) {
                alias = Some(tokens[at + 1].text.to_owned());
                at += 2;
            }
            break;
        }
        at += 1;
    }
    if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
        segments.pop();
    }
    found.push(UsedPath { segments, alias, line, inside: Vec::new() });
    at
}

#[test]
fn tokens_are_code_only() {
    let text = r##"
        a /* b /* c */ d */ e // f
        "g \" h" 'i' '\'' '\u{1F600}' b'j' b"k" r#"l " m"# br"n" c"o" r#fn 'p: q::<'r>
        s"##;
    let texts: Vec<_> = tokens(text).iter().map(|token| token.text).collect();
    let literals = ["\""; 9];
    let expected = [&["a", "e"][..], &literals, &["fn", "'", "p", ":", "q", "::", "<", "'", "r", ">", "s"]].concat();
    assert_eq!(texts, expected);
    assert_eq!(tokens(text).last().map(|token| token.line), Some(4));
    assert_eq!(tokens("\"two\nlines\" x")[1].line, 2);
}

#[test]
fn test_modules_are_left_out() {
    let text = "a; #[cfg(test)] mod tests { fn f() { { x; } } } b; #[cfg(test)] use c::{d, e}; f";
    let texts: String = without_tests(&tokens(text)).iter().map(|token| token.text).collect();
    assert_eq!(texts, "a;b;f");
}

#[test]
fn paths_are_taken_apart() {
    let text = "use a::{self, b::{c, d as e}, *}; mod m { fn f() -> super::g { h::<u8>::i(Self::j { k: l::m }) } } n::o";
    let found: Vec<_> = paths(&tokens(text)).into_iter().map(|path| (path.inside.concat(), path.segments.join("::"), path.alias)).collect();
    let expected =
        [("", "a"), ("", "a::b::c"), ("", "a::b::d"), ("", "a::*"), ("m", "super::g"), ("m", "h"), ("m", "Self::j"), ("m", "l::m")];
    let mut expected: Vec<_> = expected.into_iter().chain([("", "n::o")]).map(|(a, b)| (a.to_owned(), b.to_owned(), None)).collect();
    expected[2].2 = Some("e".to_owned());
    assert_eq!(found, expected);
}

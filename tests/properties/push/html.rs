//! What a browser runs or shows: hidden frames, pages that reload and scripts, read by a tokenizer of HTML as the standard has it.

use std::io::{self, Read};

use html5gum::emitters::default::DefaultEmitter;
use html5gum::{IoReader, Tokenizer};
use serde_json::Value;

use super::super::input::{Cuts, Input};
use super::stage::{Ask, Heard, Told, expect_refused, is_callback, percent_encoded, play};

/// A page as a list, texts joined.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Doctype(String),
    Open(String, Vec<(String, String)>),
    Close(String),
    Text(String),
    Comment,
}

fn open(name: &str, attributes: &[(&str, &str)]) -> Token {
    Token::Open(name.to_owned(), attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn close(name: &str) -> Token {
    Token::Close(name.to_owned())
}

fn text(text: &str) -> Token {
    Token::Text(text.to_owned())
}

/// Bytes as a network brings them.
struct Pieces<'a> {
    rest: &'a [u8],
    piece: &'a [u8],
    cuts: Cuts<'a>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.cuts.take(&mut self.rest).unwrap_or_default();
        }
        self.piece.read(buffer)
    }
}

/// What a browser's parser is given by its tokenizer (WHATWG HTML, section 13.2.5). Of the stages behind it one thing counts here: the line feed
/// at the very beginning of a `pre` is ignored, however it is written (section 13.2.6.4.7).
fn tokens(body: &[u8], cuts: Cuts<'_>) -> Vec<Token> {
    let mut emitter = DefaultEmitter::default();
    emitter.naively_switch_states(true);
    let pieces = Pieces { rest: body, piece: &[], cuts: cuts.for_len(body.len()) };
    let string = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("pages are UTF-8");
    let mut tokens: Vec<Token> = Vec::new();
    for token in Tokenizer::new_with_emitter(IoReader::new(pieces), emitter) {
        let token = match token.expect("reading from memory") {
            html5gum::Token::StartTag(tag) => {
                assert!(!tag.self_closing);
                Token::Open(string(&tag.name), tag.attributes.iter().map(|(name, value)| (string(name), string(value))).collect())
            }
            html5gum::Token::EndTag(tag) => Token::Close(string(&tag.name)),
            html5gum::Token::String(more) => match tokens.last_mut() {
                Some(Token::Text(text)) => {
                    text.push_str(&string(&more));
                    continue;
                }
                _ => Token::Text(string(&more)),
            },
            html5gum::Token::Comment(_) => Token::Comment,
            html5gum::Token::Doctype(doctype) => Token::Doctype(string(&doctype.name)),
            html5gum::Token::Error(_) => continue,
        };
        tokens.push(token);
    }
    for at in 1..tokens.len() {
        let is_pre = matches!(&tokens[at - 1], Token::Open(name, _) if name == "pre");
        if let (true, Token::Text(text)) = (is_pre, &mut tokens[at]) {
            *text = text.strip_prefix('\n').unwrap_or(text).to_owned();
        }
    }
    tokens.retain(|token| !matches!(token, Token::Text(text) if text.is_empty()));
    tokens
}

/// The text of a script's literal must not end the line for any browser, nor the element for any page that it is copied into.
fn parse(literal: &str) -> Value {
    assert!(!literal.contains(['\u{2028}', '\u{2029}', '\n', '\r']) && !literal.contains("</") && !literal.contains("<!"), "{literal}");
    serde_json::from_str(literal).expect("JSON")
}

/// Every message is a script of its own that calls the callback with the envelope, and nothing else is in the page.
fn expect_frame(heard: &Heard, callback: &str, cuts: Cuts<'_>) {
    assert_eq!(heard.answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    let is_blank = |token: &Token| matches!(token, Token::Text(text) if text.trim_ascii().is_empty());
    let mut tokens = tokens(&heard.answer.body, cuts);
    tokens.retain(|token| !is_blank(token));
    let skeleton = [
        Token::Doctype("html".to_owned()),
        open("html", &[("lang", "en")]),
        open("head", &[]),
        open("meta", &[("charset", "utf-8")]),
        open("title", &[]),
        text("messages"),
        close("title"),
        close("head"),
        open("body", &[]),
    ];
    assert_eq!(tokens[..skeleton.len()], skeleton);
    let calls: Vec<Value> = tokens[skeleton.len()..]
        .chunks(3)
        .map(|element| {
            let [start, Token::Text(script), end] = element else { panic!("{element:?}") };
            assert_eq!((start, end), (&open("script", &[]), &close("script")));
            let literal = script.strip_prefix(&format!("parent.{callback}(")).and_then(|rest| rest.strip_suffix(')'));
            parse(literal.unwrap_or_else(|| panic!("{script}")))
        })
        .collect();
    let gap = heard.has_gap.then(|| serde_json::json!({"gap": true, "from": heard.start()}));
    assert_eq!(calls, gap.into_iter().chain(heard.messages().map(Told::envelope)).collect::<Vec<_>>());
}

/// The page is, token for token, the list of the messages.
fn expect_page(heard: &Heard, cuts: Cuts<'_>) {
    assert_eq!(heard.answer.field("Content-Type"), Some("text/html; charset=utf-8"));
    let topics = if heard.topics[0] == heard.topics[1] { heard.topics[0].clone() } else { heard.topics.join(",") };
    let mut found = tokens(&heard.answer.body, cuts);
    if let Some(at) = found.iter().position(|token| token == &open("style", &[])) {
        found[at + 1] = text("(rules)");
    }
    let (end, last) = match &found[found.len() - 9..] {
        [Token::Text(text), ..] => {
            (text, text.trim_ascii().strip_prefix("Last: ").and_then(|rest| rest.split_once(". ")).map(|(last, _)| last))
        }
        other => panic!("{other:?}"),
    };
    let last = last.unwrap_or_else(|| panic!("{end}"));
    let next = format!("?every=5&after={last}");
    let mut expected = vec![
        Token::Doctype("html".to_owned()),
        text("\n"),
        open("html", &[("lang", "en")]),
        open("head", &[]),
        open("meta", &[("charset", "utf-8")]),
        open("meta", &[("content", "width=device-width, initial-scale=1"), ("name", "viewport")]),
        text("\n"),
        open("meta", &[("content", "light dark"), ("name", "color-scheme")]),
        open("style", &[]),
        text("(rules)"),
        close("style"),
        text("\n"),
        open("meta", &[("content", &format!("5;url={next}")), ("http-equiv", "refresh")]),
        open("title", &[]),
        text(&topics),
        close("title"),
        close("head"),
        open("body", &[]),
        text("\n"),
        open("h1", &[]),
        text(&topics),
        close("h1"),
        text("\n"),
    ];
    if heard.has_gap {
        let first = format!("{}-0", last.split_once('-').expect("an id").0);
        let gap = format!("Messages before {first} are missing.");
        expected.extend([open("p", &[("class", "gap")]), text(&gap), close("p"), text("\n")]);
    }
    expected.extend([open("ol", &[]), text("\n")]);
    for told in heard.messages() {
        expected.extend([open("li", &[("id", &told.id)]), open("b", &[]), text(&told.topic), close("b"), text(" "), open("pre", &[])]);
        let shown = told.shown().replace('\0', "\u{fffd}");
        expected.extend((!shown.is_empty()).then_some(Token::Text(shown)));
        expected.extend([close("pre"), close("li"), text("\n")]);
    }
    expected.extend([close("ol"), text("\n")]);
    if heard.messages().next().is_none() {
        expected.extend([open("p", &[]), text("No new messages."), close("p"), text("\n")]);
    }
    expected.extend([open("p", &[]), text(end), open("a", &[("href", &next)]), text("Load it now"), close("a"), close("p"), text("\n")]);
    expected.extend([close("body"), close("html"), text("\n")]);
    assert_eq!(found, expected);
    assert!(heard.messages().last().is_none_or(|told| told.id == last));
    assert_eq!(end, &format!("Last: {last}. This page loads itself again every 5 s. "));
}

/// The answer to a poll, as the one argument of the callback.
fn expect_script(heard: &Heard, callback: &str) {
    assert_eq!(heard.answer.field("Content-Type"), Some("application/javascript; charset=utf-8"));
    let script = std::str::from_utf8(&heard.answer.body).expect("scripts are UTF-8");
    let literal = script.strip_prefix(&format!("/**/{callback}(")).and_then(|rest| rest.strip_suffix(");"));
    let value = parse(literal.unwrap_or_else(|| panic!("{script}")));
    assert_eq!(value["messages"].as_array().expect("a list"), &heard.messages().map(Told::envelope).collect::<Vec<_>>());
    assert_eq!(value["gap"], heard.has_gap);
    assert!(heard.messages().last().is_none_or(|told| told.id == value["last"]));
}

/// Whatever the names and the payloads are, a browser finds the messages and nothing else.
pub(in super::super) fn browsers_find_only_messages(data: &[u8]) {
    let mut input = Input::new(data);
    let (technique, cuts) = (input.below(4), input.cuts());
    let callback = if input.flag() { input.text() } else { "f".to_owned() };
    let path = ["iframe", "page", "poll", "long-poll"][technique];
    if technique == 1 {
        return expect_page(&play(&mut input, &Ask { technique: path.to_owned(), is_stream: false }), cuts);
    }
    if !is_callback(&callback) {
        return expect_refused(&pushlab::push::Hub::default(), &format!("/topics/a/{path}?callback={}", percent_encoded(&callback)));
    }
    let heard = play(&mut input, &Ask { technique: format!("{path}?callback={callback}"), is_stream: technique == 0 });
    if technique == 0 { expect_frame(&heard, &callback, cuts) } else { expect_script(&heard, &callback) }
}

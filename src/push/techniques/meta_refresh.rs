//! Meta refresh: a page that tells the browser to load it again (WHATWG HTML, section 4.2.5.3).
//!
//! On the wire: one request and one whole page per interval, even without new messages. Costs more
//! bytes and more latency than any other technique, and the page flickers. Choose it where there
//! are no scripts: it works in every browser since 1995.
//!
//! Without a cursor the page shows the newest retained messages, and reloads as the same page. With
//! a cursor it shows the messages after the cursor, and its next address has the new cursor, so
//! that each message is shown once. If not all messages fit into the page, it reloads at once. The
//! next address keeps parameters that the hub does not know, because the application's policy may
//! need them.
//!
//! A page that waits for a log outside the process, and gets its last word instead, has a status and
//! the sentence. It loads itself again with the same cursor.

use std::fmt::Write;

use crate::push::http::{Call, Endpoint, Form, GapForm, Rejection, Technique};
use crate::push::model::{AnswerFields, Cursor, Format, Id, Replay, status_of};
use crate::session::{LastWord, Reply, Response};

pub(crate) const TECHNIQUE: Technique = Technique {
    name: "page",
    title: "meta refresh",
    summary: "A page without scripts loads itself again every few seconds.",
    example: "page?every=5",
    endpoint: Some(Endpoint { path: "page", parameters: &["every"], serve }),
    forms: &[Form { format: Format::Json, content_type: "text/html; charset=utf-8", messages: None, gap: GapForm::InBand }],
    heartbeat: b"",
};

/// Seconds between reloads, if the request has no `every`.
const EVERY: u64 = 5;
/// The largest `every`, in seconds.
const EVERY_MAX: u64 = 3_600;

const STYLE: &str = "\
    body{font:15px/1.45 system-ui,sans-serif;max-width:48em;margin:.8em auto;padding:0 .8em;overflow-wrap:anywhere}\
    h1{font-size:1.25em;margin:0 0 .5em}ol{list-style:none;margin:0;padding:0}li{padding:.4em 0;border-top:1px solid #8886}\
    b{font-size:.85em;font-weight:600}pre{font:inherit;margin:0;white-space:pre-wrap}p{margin:.7em 0}.gap{font-weight:600}";

pub(crate) fn serve(call: &Call<'_>, reply: Reply<'_>) {
    let (every, cursor) = match every(call).and_then(|every| Ok((every, call.after()?))) {
        Ok(read) => read,
        Err(rejection) => return call.reject(reply, &rejection),
    };
    call.hub.note_presence(&call.topics, call.client.as_ref(), TECHNIQUE.name);
    let page = Page { topics: call.topics.to_string(), every, parameters: parameters(call), fields: call.fields.clone() };
    if cursor == Cursor::New {
        return reply.send(page.render(&call.hub.newest(&call.topics), None));
    }
    call.answer_with(reply, cursor, move |found| match found {
        Ok(missed) => page.render(missed, Some(missed.last)),
        Err(word) => page.render_end(word, cursor),
    });
}

/// Seconds between reloads.
fn every(call: &Call<'_>) -> Result<u64, Rejection> {
    Ok(call.query.whole_number("every", 1..=EVERY_MAX)?.unwrap_or(EVERY))
}

/// The parameters that the next address keeps, escaped for a page.
fn parameters(call: &Call<'_>) -> String {
    let mut text = String::new();
    for name in ["client", "presence"] {
        if let Some(value) = call.query.value(name) {
            let _ = write!(text, "&amp;{name}={value}");
        }
    }
    for other in call.query.unknown() {
        text.push_str("&amp;");
        escape(other, &mut text);
    }
    text
}

/// A page without its messages.
struct Page {
    topics: String,
    every: u64,
    parameters: String,
    fields: AnswerFields,
}

impl Page {
    /// The page with these messages. Its next address has the cursor, if there is one.
    fn render(&self, replay: &Replay, cursor: Option<Id>) -> Response {
        let Self { topics, every, parameters, fields } = self;
        let after = cursor.map_or_else(String::new, |id| format!("&amp;after={id}"));
        let address = format!("?every={every}{after}{parameters}");
        fields.apply(Response::html(render(topics, *every, &address, replay)))
    }
}

impl Page {
    /// The page of a server that ends the request on purpose. It loads itself again with the same
    /// cursor: a page without scripts that does not load itself again is dead.
    fn render_end(&self, word: &LastWord, cursor: Cursor) -> Response {
        let Self { topics, every, parameters, fields } = self;
        let wait = word.come_back_ms().map_or(*every, |ms| u64::from(ms.div_ceil(1_000)).max(1));
        let address = format!("?every={every}&amp;after={cursor}{parameters}");
        let mut text = begin(topics, wait, &address);
        text.push_str("<p class=\"end\">");
        escape(word.sentence(), &mut text);
        let link = format!("<a href=\"{address}\">Load it now</a>");
        let _ = write!(text, "</p>\n<p>Code {}. Again in {wait} s. {link}</p>\n</body></html>\n", word.code());
        let response = Response::html(text).with_status(status_of(word));
        fields.apply(match word.retry_after() {
            Some(seconds) => response.field("Retry-After", &seconds),
            None => response,
        })
    }
}

/// The beginning of a page, up to its heading. After `wait` seconds it loads `address`.
fn begin(topics: &str, wait: u64, address: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\"><style>{STYLE}</style>\n\
         <meta http-equiv=\"refresh\" content=\"{wait};url={address}\"><title>{topics}</title></head><body>\n<h1>{topics}</h1>\n"
    )
}

fn render(topics: &str, every: u64, address: &str, replay: &Replay) -> String {
    // A client that has missed more than fits into a page loads the next page at once.
    let wait = if replay.is_whole { every } else { 0 };
    let mut text = begin(topics, wait, address);
    if replay.gap {
        let _ = writeln!(text, "<p class=\"gap\">Messages before {} are missing.</p>", replay.from);
    }
    text.push_str("<ol>\n");
    for message in &replay.messages {
        let _ = writeln!(text, "<li id=\"{}\"><b>{}</b> <pre>", message.id(), message.topic());
        escape(&message.text_or_base64(), &mut text);
        text.push_str("</pre></li>\n");
    }
    text.push_str("</ol>\n");
    if replay.messages.is_empty() {
        text.push_str("<p>No new messages.</p>\n");
    }
    // The link is for browsers whose user has switched off that pages load themselves again.
    let _ = write!(
        text,
        "<p>Last: {}. This page loads itself again every {every} s. <a href=\"{address}\">Load it now</a></p>\n</body></html>\n",
        replay.last
    );
    text
}

/// Escapes text for a page.
///
/// A carriage return is escaped because a parser replaces it with a line feed (WHATWG HTML, section
/// 13.2.3.5). NUL has no escape in HTML, and becomes U+FFFD. A parser ignores the first line feed
/// of a `pre`, even one that is written as a character reference (section 13.2.6.4.7); the page
/// begins each `pre` with a line feed of its own, so that none of the message is lost.
fn escape(text: &str, out: &mut String) {
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\0' => out.push('\u{fffd}'),
            other => out.push(other),
        }
    }
}

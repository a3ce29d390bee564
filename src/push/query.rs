//! The parameters of a request.
//!
//! Owns the reading of known parameters, which is strict: a repeated one and a value out of range
//! are refused with a sentence. Unknown parameters are ignored, because clients and libraries add
//! some of their own. Leaves defaults to the techniques.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::{Cursor, PublishError, topic};
use crate::session::{Request, Response};

/// A request that cannot be served, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rejection {
    pub(super) status: u16,
    pub(super) sentence: String,
}

impl Rejection {
    pub(super) fn bad(sentence: impl Into<String>) -> Self {
        Self { status: 400, sentence: sentence.into() }
    }

    pub(super) fn response(&self) -> Response {
        Response::text(format!("{}\n", self.sentence)).with_status(self.status)
    }
}

impl From<PublishError> for Rejection {
    fn from(error: PublishError) -> Self {
        Self { status: error.status(), sentence: error.to_string() }
    }
}

/// Whether messages come in envelopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Raw,
}

/// What happens to a request with a parameter that its endpoint does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    Ignored,
    Refused,
}

/// The known parameters of a query, each once.
#[derive(Debug)]
pub(super) struct Query<'a> {
    values: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The unknown ones, as sent, in order.
    others: Vec<&'a str>,
}

impl<'a> Query<'a> {
    /// Reads a query. Only known parameters are compared with each other, so that a query of
    /// thousands of unknown ones takes linear time.
    pub(super) fn read(request: &Request<'a>, known: &[&[&str]], unknown: Unknown) -> Result<Self, Rejection> {
        let mut values: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(if request.query().is_some() { 4 } else { 0 });
        let mut others = Vec::new();
        for (sent, (name, value)) in request.query_pairs().zip(request.query_values()) {
            if !known.iter().any(|names| names.contains(&&*name)) {
                if unknown == Unknown::Refused {
                    return Err(refuse_unknown(&name, known));
                }
                others.push(sent);
                continue;
            }
            if values.iter().any(|(other, _)| *other == name) {
                return Err(Rejection::bad(format!("`{name}` is given twice")));
            }
            values.push((name, value));
        }
        Ok(Self { values, others })
    }

    /// The parameters that the endpoint does not know, as sent.
    pub(super) fn others(&self) -> impl Iterator<Item = &'a str> {
        self.others.iter().copied()
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.values.iter().find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// A whole number.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Rejection> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Rejection::bad(format!("`{name}` must be a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    pub(super) fn format(&self, default: Format) -> Result<Format, Rejection> {
        match self.value("format") {
            None => Ok(default),
            Some("json") => Ok(Format::Json),
            Some("raw") => Ok(Format::Raw),
            Some(_) => Err(Rejection::bad("`format` must be json or raw")),
        }
    }

    pub(super) fn cursor(&self, name: &str) -> Result<Option<Cursor>, Rejection> {
        let parse = |text: &str| text.parse().map_err(|error| Rejection::bad(format!("`{name}` is not a cursor: {error}")));
        self.value(name).map(parse).transpose()
    }

    /// The name that a client has given itself.
    pub(super) fn client(&self) -> Result<Option<&str>, Rejection> {
        match self.value("client") {
            Some(token) if !topic::is_name(token) => {
                Err(Rejection::bad("`client` must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`"))
            }
            token => Ok(token),
        }
    }

    pub(super) fn flag(&self, name: &str) -> Result<bool, Rejection> {
        match self.value(name) {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Rejection::bad(format!("`{name}` must be 0 or 1"))),
        }
    }
}

#[cold]
fn refuse_unknown(name: &str, known: &[&[&str]]) -> Rejection {
    let list = known.concat().join(", ");
    let known = if list.is_empty() { "there are none".to_owned() } else { format!("there are {list}") };
    Rejection::bad(format!("`{}` is not a parameter here; {known}", shorten(name)))
}

/// The start of a text of any length.
fn shorten(text: &str) -> &str {
    text.char_indices().nth(32).map_or(text, |(end, _)| &text[..end])
}

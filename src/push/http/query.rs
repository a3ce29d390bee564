//! The parameters of a request.
//!
//! Owns the strict reading of known parameters: a repeated parameter and a bad value are refused,
//! with a sentence that names the parameter. Ignores unknown parameters unless the hub is strict,
//! because clients and libraries add some of their own. Leaves default values to the techniques.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use super::rejection::Rejection;
use crate::push::model::{Cursor, Format, Secret, is_valid_name};
use crate::session::Request;

/// The maximum length of a callback's name, in bytes.
const CALLBACK_BYTES_MAX: usize = 64;

/// What happens to a request with a parameter that its endpoint does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UnknownParameters {
    Ignored,
    Refused,
}

/// The value of the `control` parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Control {
    /// The connection has no control channel.
    None,
    /// The connection gets a control channel, with a new secret.
    New,
    /// The secret of a chain of long polls.
    Known(Secret),
}

/// The parameters of a query. Each known parameter occurs once.
#[derive(Debug)]
pub(crate) struct Query<'a> {
    /// The first known parameter. Most requests have one, and it needs no allocation here.
    first: Option<(Cow<'a, str>, Cow<'a, str>)>,
    /// The other known parameters.
    more: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The unknown parameters, as sent and in order.
    unknown: Vec<&'a str>,
}

impl<'a> Query<'a> {
    /// Reads a query. A known parameter is compared with the known ones before it, and unknown
    /// parameters are not compared, so a query of thousands of unknown parameters takes linear
    /// time.
    pub(crate) fn read(request: &Request<'a>, known: &[&[&str]], unknown: UnknownParameters) -> Result<Self, Rejection> {
        let mut query = Self { first: None, more: Vec::new(), unknown: Vec::new() };
        let is_known = |name: &str| known.iter().any(|names| names.contains(&name));
        let mut has_unknown = false;
        for (name, value) in request.query_values() {
            if !is_known(&name) {
                if unknown == UnknownParameters::Refused {
                    return Err(refuse_unknown(&name, known));
                }
                has_unknown = true;
                continue;
            }
            if query.value(&name).is_some() {
                return Err(Rejection::bad_request(format!("`{name}` is given twice")));
            }
            match query.first {
                None => query.first = Some((name, value)),
                Some(_) => query.more.push((name, value)),
            }
        }
        if has_unknown {
            let pairs = request.query_pairs().zip(request.query_values());
            query.unknown.extend(pairs.filter(|(_, (name, _))| !is_known(name)).map(|(sent, _)| sent));
        }
        Ok(query)
    }

    /// The parameters that the endpoint does not know, as sent.
    pub(crate) fn unknown(&self) -> impl Iterator<Item = &'a str> {
        self.unknown.iter().copied()
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.first.iter().chain(&self.more).find(|(found, _)| found == name).map(|(_, value)| &**value)
    }

    /// The whole number in a parameter. A sign is refused.
    pub(crate) fn whole_number(&self, name: &str, range: RangeInclusive<u64>) -> Result<Option<u64>, Rejection> {
        let Some(text) = self.value(name) else { return Ok(None) };
        let digits = Some(text).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()).filter(|number| range.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => Err(Rejection::bad_request(format!("`{name}` must be a whole number from {} to {}", range.start(), range.end()))),
        }
    }

    pub(crate) fn format(&self) -> Result<Option<Format>, Rejection> {
        match self.value("format") {
            None => Ok(None),
            Some("json") => Ok(Some(Format::Json)),
            Some("raw") => Ok(Some(Format::Raw)),
            Some(_) => Err(Rejection::bad_request("`format` must be json or raw")),
        }
    }

    pub(crate) fn cursor(&self, name: &str) -> Result<Option<Cursor>, Rejection> {
        let parse = |text: &str| text.parse().map_err(|error| Rejection::bad_request(format!("`{name}` is not a cursor: {error}")));
        self.value(name).map(parse).transpose()
    }

    /// The token by which a client names itself.
    pub(crate) fn client(&self) -> Result<Option<&str>, Rejection> {
        match self.value("client") {
            Some(token) if !is_valid_name(token) => {
                Err(Rejection::bad_request("`client` must have 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `-`"))
            }
            token => Ok(token),
        }
    }

    /// The name of the JavaScript function that receives messages. Only characters of names are
    /// allowed, so that the text cannot be other code.
    pub(crate) fn callback(&self) -> Result<Option<&str>, Rejection> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$');
        match self.value("callback") {
            Some(name) if !((1..=CALLBACK_BYTES_MAX).contains(&name.len()) && name.bytes().all(is_allowed)) => Err(Rejection::bad_request(
                format!("`callback` must have 1 to {CALLBACK_BYTES_MAX} characters of A-Z, a-z, 0-9, `_`, `.` and `$`"),
            )),
            name => Ok(name),
        }
    }

    /// Whether the connection is to have a control channel.
    pub(crate) fn control(&self) -> Result<Control, Rejection> {
        match self.value("control") {
            None | Some("0") => Ok(Control::None),
            Some("1") => Ok(Control::New),
            Some(text) => Secret::parse(text).map(Control::Known).ok_or_else(|| {
                Rejection::bad_request("`control` must be 0, 1, or the secret of a chain of long polls: 32 digits of 0-9 and a-f")
            }),
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Result<bool, Rejection> {
        match self.value(name) {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(_) => Err(Rejection::bad_request(format!("`{name}` must be 0 or 1"))),
        }
    }
}

#[cold]
fn refuse_unknown(name: &str, known: &[&[&str]]) -> Rejection {
    let list = known.concat().join(", ");
    let known = if list.is_empty() { "there are none".to_owned() } else { format!("there are {list}") };
    Rejection::bad_request(format!("`{}` is not a parameter here; {known}", shorten(name)))
}

/// The first 32 characters of a text, so that an answer does not repeat a long name.
fn shorten(text: &str) -> &str {
    text.char_indices().nth(32).map_or(text, |(end, _)| &text[..end])
}

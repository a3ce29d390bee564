//! What a technique is, and what it is given.
//!
//! Owns the type of a descriptor, whose facts the router, the counters and the documentation read,
//! and the request that a technique serves. Leaves the descriptor of each technique to its file in
//! `techniques`, the list of the hub's own techniques to `techniques`, and the work that techniques
//! have in common to `call`.

use std::sync::Arc;

use super::query::Query;
use super::rejection::Rejection;
use crate::push::hub::Hub;
use crate::push::model::{AnswerFields, Cursor, Format, SharedForm, Topics, WireForm};
use crate::session::{Reply, Request, Response};

/// A technique of server push: its name, its endpoint, and facts about its form on the wire.
/// [`TECHNIQUES`](crate::push::TECHNIQUES) lists those of every hub, and
/// [`Hub::handle_with`](crate::push::Hub::handle_with) serves further ones.
///
/// ```
/// use pushlab::push::TECHNIQUES;
/// let events = TECHNIQUES.iter().find(|technique| technique.name() == "events").expect("every hub has it");
/// assert_eq!(events.title(), "server-sent events");
/// assert_eq!(events.endpoint().map(|endpoint| endpoint.path), Some("events"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Technique {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) example: &'static str,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) forms: &'static [Form],
    pub(crate) heartbeat: &'static [u8],
}

/// Where a technique is served, and by which function.
///
/// [`Hub::handle_with`](crate::push::Hub::handle_with) has an example.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// The last segment of the path: `{prefix}/{topics}/{path}`.
    pub path: &'static str,
    /// The query parameters that the technique reads, in addition to those of every technique:
    /// `after`, `client` and `presence`.
    pub parameters: &'static [&'static str],
    /// Answers a GET or HEAD request that has passed the checks that all techniques share.
    pub serve: fn(&Call<'_>, Reply<'_>),
}

/// One form in which a technique sends messages.
///
/// ```
/// use pushlab::push::{Format, GapForm, TECHNIQUES};
/// let stream = TECHNIQUES.iter().find(|technique| technique.name() == "stream").expect("every hub has it");
/// let [json, raw] = stream.forms() else { panic!("a stream has two formats") };
/// assert_eq!((json.format, json.content_type, json.gap), (Format::Json, "application/x-ndjson", GapForm::InBand));
/// assert_eq!((raw.format, raw.gap), (Format::Raw, GapForm::HeadOnly));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Form {
    /// The value of the `format` parameter. A technique with one form does not have the parameter.
    pub format: Format,
    /// The media type of the response, without its parameters if they differ by request. Empty for
    /// a WebSocket, and for a payload alone, whose type depends on the message.
    pub content_type: &'static str,
    /// The wire form of each message. `None` if it depends on the request, or if the technique puts
    /// several messages into one answer.
    pub(crate) messages: Option<SharedForm>,
    /// How a client with this form learns of a gap.
    pub gap: GapForm,
}

/// How a client learns that messages are missing. [`Form`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GapForm {
    /// From the body or a frame, in the place of the missing messages.
    InBand,
    /// From the field `Pushlab-Gap`. A gap that opens behind the head ends the response.
    HeadOnly,
    /// From status 410 before the handshake, or from close code 4410 behind it.
    Refused,
}

impl Form {
    /// The wire form that all clients with this form share.
    pub(crate) fn shared(&self) -> WireForm {
        WireForm::Shared(self.messages.expect("the descriptor names the wire form of a technique that sends message by message"))
    }
}

impl Technique {
    /// A technique of an application. `name` is its name in counters and presence messages, and
    /// must differ from the names of the other techniques.
    pub const fn new(name: &'static str, endpoint: Endpoint) -> Self {
        Self { name, title: name, summary: "", example: endpoint.path, endpoint: Some(endpoint), forms: &[], heartbeat: b"" }
    }

    /// The name in counters and presence messages.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The name in text for people.
    pub const fn title(&self) -> &'static str {
        self.title
    }

    /// How the technique works, in one sentence.
    pub const fn summary(&self) -> &'static str {
        self.summary
    }

    /// A path and a query to try the technique with, relative to `{prefix}/{topics}/`.
    pub const fn example(&self) -> &'static str {
        self.example
    }

    /// The endpoint. `None` for JSONP, which is a form of the answers of other techniques.
    pub const fn endpoint(&self) -> Option<Endpoint> {
        self.endpoint
    }

    /// The forms in which the technique sends messages. The first one is the default. A technique of
    /// an application has none here: it encodes messages by itself.
    pub const fn forms(&self) -> &'static [Form] {
        self.forms
    }

    /// The bytes that a quiet stream sends, so that both sides notice when the other has vanished.
    /// They are empty if the technique has no stream, or if the protocol has a heartbeat.
    pub const fn heartbeat(&self) -> &'static [u8] {
        self.heartbeat
    }

    /// The form of a format; the default form if the request does not name a format.
    pub(crate) fn form(&self, format: Option<Format>) -> Option<&'static Form> {
        match format {
            None => self.forms.first(),
            Some(format) => self.forms.iter().find(|form| form.format == format),
        }
    }
}

/// A request to a technique's endpoint, after the checks that all techniques share: the topics'
/// names are valid, the application's policy allows the request to subscribe to each of them, and
/// each parameter that the technique knows occurs at most once.
///
/// [`Hub::handle_with`](crate::push::Hub::handle_with) has an example.
pub struct Call<'a> {
    pub(crate) hub: &'a Hub,
    pub(crate) technique: &'a Technique,
    pub(crate) request: &'a Request<'a>,
    pub(crate) topics: Topics,
    pub(crate) query: Query<'a>,
    pub(crate) fields: AnswerFields,
    pub(crate) client: Option<Arc<str>>,
    pub(crate) callback: Option<Arc<str>>,
    /// How many times access was withdrawn before the policy was asked about this request.
    pub(crate) revocations: u64,
}

impl Call<'_> {
    /// The hub.
    pub const fn hub(&self) -> &Hub {
        self.hub
    }

    /// The request.
    pub const fn request(&self) -> &Request<'_> {
        self.request
    }

    /// The topics. With `presence=1` in the query, their presence topics are among them.
    pub const fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The token by which the client names itself.
    pub fn client(&self) -> Option<&str> {
        self.client.as_deref()
    }

    /// The value of a parameter that the technique knows, decoded.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.value(name)
    }

    /// Adds the fields that every answer of a hub has. With them caches do not store the answer,
    /// proxies neither buffer nor compress it, and the allowed pages of other origins can read it.
    #[must_use]
    pub fn dress(&self, response: Response) -> Response {
        self.fields.apply(response)
    }

    /// Answers with a refusal, and counts it.
    pub fn reject(&self, reply: Reply<'_>, rejection: &Rejection) {
        rejection.send(self.hub, reply, &self.fields);
    }

    /// The cursor in the query, `after=`.
    ///
    /// # Errors
    /// A refusal with 400 when the value is not a cursor. It is an error even if a technique gives a
    /// request field precedence, so that the validity of an address does not depend on the fields.
    pub fn after(&self) -> Result<Cursor, Rejection> {
        Ok(self.query.cursor("after")?.unwrap_or_default())
    }

    /// The form that the request asks for.
    pub(crate) fn form(&self) -> Result<&'static Form, Rejection> {
        let format = self.query.format()?;
        Ok(self.technique.form(format).expect("a technique that reads `format` has both forms"))
    }
}

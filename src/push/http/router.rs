//! From a request to its endpoint.
//!
//! Owns paths, methods, publishing and topic counters over HTTP, and the checks that all techniques
//! share. Returns the reply of a request outside of the hub's prefix. Leaves control channels to
//! `control`, and the list of techniques to `techniques`.

use std::borrow::Cow;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use super::body::PayloadKind;
use super::rejection::Rejection;
use super::technique::{Call, Endpoint, Technique};
use super::{checks, control};
use crate::proto::http1::Method;
use crate::push::hub::{Access, Hub, Published, Publishing};
use crate::push::model::{AnswerFields, PRESENCE, Topics, check_topic_name};
use crate::session::{Reply, Request, Response};

/// Whether a hub has taken a request.
///
/// ```
/// use pushlab::push::{Hub, Mounted};
/// use pushlab::{Reply, Request, Response};
/// let hub = Hub::default();
/// let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
///     Mounted::Handled => {}
///     Mounted::NotMine(reply) => reply.send(Response::text("the application's own page\n")),
/// };
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/topics/news", "/"]);
/// ```
#[must_use = "a request outside of the hub's prefix still has to be answered"]
pub enum Mounted<'a> {
    /// The hub has answered the request, or will answer it.
    Handled,
    /// The request is not below the hub's prefix. The caller must answer it.
    NotMine(Reply<'a>),
}

/// The methods of `{prefix}/{topic}`.
const TOPIC_METHODS: &str = "GET, HEAD, POST, OPTIONS";
/// The methods of `{prefix}/{topics}/{technique}`.
const SUBSCRIBE_METHODS: &str = "GET, HEAD, OPTIONS";

/// The parameters of every technique.
const COMMON_PARAMETERS: &[&str] = &["after", "client", "presence"];

/// The answer to a message that was published.
fn accepted(published: Published) -> Response {
    let text = format!("{{\"id\":\"{}\",\"subscribers\":{}}}\n", published.id, published.subscribers);
    Response::json(text).with_status(202)
}

/// The routing of one hub.
pub(crate) struct Router<'h> {
    pub(crate) hub: &'h Hub,
    /// The techniques of every hub.
    pub(crate) own: &'h [&'h Technique],
    /// The techniques that the application adds.
    pub(crate) added: &'h [&'h Technique],
}

impl<'h> Router<'h> {
    /// Serves a request below the hub's prefix.
    pub(crate) fn handle<'r>(&self, request: &Request<'_>, reply: Reply<'r>) -> Mounted<'r> {
        let path = request.path().strip_prefix(&*self.hub.config().prefix).and_then(|rest| rest.strip_prefix('/'));
        let Some(path) = path else { return Mounted::NotMine(reply) };
        let fields = AnswerFields::of(request);
        if !request.method().is_safe() && !request.origin().may_act() {
            let rejection = Rejection::new(403, "pages of this origin may not publish here, nor change connections");
            rejection.send(self.hub, reply, &fields);
            return Mounted::Handled;
        }
        let slash = path.bytes().position(|byte| byte == b'/');
        let (topics, technique) = slash.map_or((path, None), |at| (&path[..at], Some(&path[at + 1..])));
        // A page that encodes its list also encodes the commas. The session does not decode `%2C`
        // in a path, because a comma is a reserved character.
        let topics = if topics.contains('%') { topics.replace("%2C", ",").into() } else { Cow::Borrowed(topics) };
        match technique {
            None => self.serve_topic(request, &topics, &fields, reply),
            Some(control::PATH) => control::serve(self.hub, request, &topics, &fields, reply),
            Some(technique) => self.serve_technique(request, &topics, technique, &fields, reply),
        }
        Mounted::Handled
    }

    fn serve_topic(&self, request: &Request<'_>, topic: &str, fields: &AnswerFields, reply: Reply<'_>) {
        let answer = match request.method() {
            Method::Get | Method::Head => self.topic_info(request, topic),
            Method::Post => match self.publish_body(request, topic) {
                Ok(Publishing::Done(outcome)) => outcome.map(accepted).map_err(Into::into),
                Ok(publishing) => return self.answer_when_published(publishing, fields, reply),
                Err(rejection) => Err(rejection),
            },
            Method::Options => return reply.send(AnswerFields::options(request, TOPIC_METHODS)),
            _ => return reply.send(fields.apply(Response::method_not_allowed(TOPIC_METHODS))),
        };
        match answer {
            Ok(answer) => reply.send(fields.apply(answer)),
            Err(rejection) => rejection.send(self.hub, reply, fields),
        }
    }

    /// Publishes the body of a request.
    fn publish_body(&self, request: &Request<'_>, topic: &str) -> Result<Publishing, Rejection> {
        let query = checks::query(self.hub, request, &[&["event"]])?;
        let topic = self.check_topic(request, topic, Access::Publish)?;
        let payload = PayloadKind::of(request)?.payload(request.body())?;
        let payload = match query.value("event") {
            Some(name) => payload.event(name),
            None => payload,
        };
        Ok(self.hub.begin_publish(&topic, payload))
    }

    /// Holds the request until the log outside the process has confirmed the message.
    fn answer_when_published(&self, publishing: Publishing, fields: &AnswerFields, reply: Reply<'_>) {
        // The hub tells the outcome in time. The hold has no time limit of its own.
        let held = reply.hold(Duration::MAX, Response::status(503));
        let (fields, weak) = (fields.clone(), self.hub.downgrade());
        publishing.then(move |outcome| {
            held.release(match outcome {
                Ok(published) => fields.apply(accepted(published)),
                Err(error) => {
                    if let Some(hub) = weak.upgrade() {
                        hub.count_refused(error.status());
                    }
                    Rejection::from(error).response(&fields)
                }
            });
        });
    }

    /// Answers with the counters of a topic.
    fn topic_info(&self, request: &Request<'_>, topic: &str) -> Result<Response, Rejection> {
        checks::query(self.hub, request, &[])?;
        let topic = self.check_topic(request, topic, Access::Subscribe)?;
        let info = self.hub.info(&topic).map_err(|error| Rejection::bad_request(error.to_string()))?;
        let techniques: Vec<_> = self.techniques().map(Technique::name).collect();
        Ok(Response::json(info.json_in_order(&topic, &techniques) + "\n"))
    }

    fn check_topic(&self, request: &Request<'_>, name: &str, access: Access) -> Result<String, Rejection> {
        check_topic_name(name).map_err(|error| Rejection::bad_request(error.to_string()))?;
        if access == Access::Publish && name.ends_with(PRESENCE) {
            return Err(Rejection::new(403, "only the hub publishes to the topic of a presence"));
        }
        checks::check_access(self.hub, request, access, name)?;
        Ok(name.to_owned())
    }

    fn serve_technique(&self, request: &Request<'_>, topics: &str, technique: &str, fields: &AnswerFields, reply: Reply<'_>) {
        let Some((technique, endpoint)) = self.endpoints().find(|(_, endpoint)| endpoint.path == technique) else {
            let list = self.endpoints().map(|(_, endpoint)| endpoint.path).collect::<Vec<_>>().join(", ");
            let rejection = Rejection::new(404, format!("there is no such technique; there are {list}"));
            return rejection.send(self.hub, reply, fields);
        };
        match request.method() {
            Method::Get | Method::Head => {}
            Method::Options => return reply.send(AnswerFields::options(request, SUBSCRIBE_METHODS)),
            _ => return reply.send(fields.apply(Response::method_not_allowed(SUBSCRIBE_METHODS))),
        }
        match self.call(request, topics, technique, endpoint.parameters, fields) {
            Ok(call) => (endpoint.serve)(&call, reply),
            Err(rejection) => rejection.send(self.hub, reply, fields),
        }
    }

    /// The techniques that have an endpoint.
    fn endpoints(&self) -> impl Iterator<Item = (&'h Technique, &'h Endpoint)> {
        self.techniques().filter_map(|technique| Some((technique, technique.endpoint.as_ref()?)))
    }

    fn techniques(&self) -> impl Iterator<Item = &'h Technique> {
        self.own.iter().chain(self.added).copied()
    }

    /// Makes the checks that all techniques share, and reads the parameters that they share.
    fn call<'a>(
        &self,
        request: &'a Request<'a>,
        topics: &str,
        technique: &'h Technique,
        parameters: &[&str],
        fields: &AnswerFields,
    ) -> Result<Call<'a>, Rejection>
    where
        'h: 'a,
    {
        // Before the policy is asked: it may change its mind while it is asked.
        let revocations = self.hub.revocations().load(SeqCst);
        let query = checks::query(self.hub, request, &[COMMON_PARAMETERS, parameters])?;
        let topics =
            Topics::parse(topics, self.hub.config().topics_per_request).map_err(|error| Rejection::bad_request(error.to_string()))?;
        for name in topics.names() {
            checks::check_access(self.hub, request, Access::Subscribe, name)?;
        }
        let topics = if query.flag("presence")? { topics.with_presence() } else { topics };
        let client = query.client()?.map(Into::into);
        let callback = query.callback()?.map(Into::into);
        Ok(Call { hub: self.hub, technique, request, topics, query, fields: fields.clone(), client, callback, revocations })
    }
}

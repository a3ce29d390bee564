//! The endpoint of control channels: `POST` and `DELETE {prefix}/{topics}/control`.
//!
//! Owns the checks of a control request and its answer. Leaves the reading of the body to `model`,
//! the change to the hub, and the secret of a connection to the techniques.
//!
//! A page sends its farewell by `navigator.sendBeacon`, which can set no field but the type of its
//! body. So the body may be `text/plain`, the secret stands in the query, and the application's
//! policy is not asked whether a client may leave: the secret says that the connection is its own.

use std::sync::atomic::Ordering::SeqCst;

use super::body::PayloadKind;
use super::checks::{check_access, query};
use super::rejection::Rejection;
use crate::proto::http1::Method;
use crate::push::hub::{Access, ChangeError, Hub};
use crate::push::model::{AnswerFields, Secret, TopicChange, Topics, names_json};
use crate::session::{Reply, Request, Response};

/// The last segment of the path.
pub(super) const PATH: &str = "control";

const METHODS: &str = "POST, DELETE, OPTIONS";

/// The largest body. Two lists of 100 names of the greatest length fit into it.
const BODY_BYTES_MAX: usize = 16 * 1024;

impl From<ChangeError> for Rejection {
    fn from(error: ChangeError) -> Self {
        Self::new(error.status(), error.to_string())
    }
}

/// Serves a request to the endpoint.
pub(super) fn serve(hub: &Hub, request: &Request<'_>, topics: &str, fields: &AnswerFields, reply: Reply<'_>) {
    let answer = match request.method() {
        Method::Post => change(hub, request, topics, body_change),
        Method::Delete => change(hub, request, topics, |_, topics, _| Ok(TopicChange::leave(topics))),
        Method::Options => return reply.send(AnswerFields::options(request, METHODS)),
        _ => return reply.send(fields.apply(Response::method_not_allowed(METHODS))),
    };
    match answer {
        Ok(answer) => reply.send(fields.apply(answer)),
        Err(rejection) => rejection.send(hub, reply, fields),
    }
}

/// Finds the change in a request with these topics in its path.
type ReadChange = fn(&Request<'_>, &Topics, usize) -> Result<TopicChange, Rejection>;

fn change(hub: &Hub, request: &Request<'_>, topics: &str, read: ReadChange) -> Result<Response, Rejection> {
    // Before the policy is asked: it may change its mind while it is asked.
    let revocations = hub.revocations().load(SeqCst);
    let query = query(hub, request, &[&["client", "control"]])?;
    let most = hub.config().topics_per_request;
    let topics = Topics::parse(topics, most).map_err(|error| Rejection::bad_request(error.to_string()))?;
    let client =
        query.client()?.ok_or_else(|| Rejection::bad_request("`client` must be the token with which the connection was opened"))?;
    let secret = query.value("control").and_then(Secret::parse).ok_or_else(|| {
        Rejection::bad_request("`control` must be the secret of the connection: 32 digits of 0-9 and a-f, which its first message has")
    })?;
    let change = read(request, &topics, most)?;
    for name in &change.join {
        check_access(hub, request, Access::Subscribe, name)?;
    }
    let topics = hub.change_topics(&client.into(), &secret, &change, revocations)?;
    Ok(Response::json(format!("{{\"topics\":{}}}\n", names_json(&topics))))
}

/// The change in the body of a request.
fn body_change(request: &Request<'_>, _: &Topics, most: usize) -> Result<TopicChange, Rejection> {
    let has_type = request.field_values("Content-Type").any(|value| !value.is_empty());
    if PayloadKind::of(request)? == PayloadKind::Binary && has_type {
        return Err(Rejection::new(415, "a control request must be JSON, of the type application/json or text/plain"));
    }
    let body = request.body();
    if body.len() > BODY_BYTES_MAX {
        return Err(Rejection::new(413, format!("a control request may have at most {BODY_BYTES_MAX} bytes")));
    }
    TopicChange::parse(body, most).map_err(|error| Rejection::bad_request(error.to_string()))
}

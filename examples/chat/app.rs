//! The chat's endpoints.
//!
//! Owns the paths, the parsing of requests, cookies, and the answers, errors included. Leaves
//! names, tokens and messages to `room`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pushlab::proto::Bytes;
use pushlab::push::Mounted;
use pushlab::session::Handler;
use pushlab::{Reply, Request, Response};
use serde_json::{Value, json};

use crate::Without;
use crate::common::counters::Counters;
use crate::common::routes::{ACT, READ, Route, route};
use crate::common::{self, Started, file};
use crate::limiter::{Limiter, Rate};
use crate::room::{Refusal, Room};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");

pub(crate) struct App {
    pub(crate) room: Arc<Room>,
    without: Without,
    page: Arc<[u8]>,
    stats: Counters,
    /// Counts joins and messages.
    limiter: Limiter,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Page,
    Style,
    Script,
    People,
    Stats,
    Join,
    Say,
    Leave,
}

const ROUTES: [Route<Endpoint>; 8] = [
    ("/", READ, Endpoint::Page),
    ("/style.css", READ, Endpoint::Style),
    ("/app.js", READ, Endpoint::Script),
    ("/people", READ, Endpoint::People),
    ("/stats", READ, Endpoint::Stats),
    ("/join", ACT, Endpoint::Join),
    ("/say", ACT, Endpoint::Say),
    ("/leave", ACT, Endpoint::Leave),
];

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        if self.without.has(request.path()) {
            let refusal = Response::text("this server was started without this technique\n").with_status(404);
            return reply.send(request.cors().dress(refusal));
        }
        let reply = match self.room.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        let Some((endpoint, _, reply)) = route(&ROUTES, request, reply) else { return };
        if matches!(endpoint, Endpoint::Join | Endpoint::Say)
            && let Err(wait) = self.limiter.take(request.client_ip(), Instant::now())
        {
            return reply.send(request.cors().dress(wait.response("messages")));
        }
        let response = match endpoint {
            Endpoint::Page => file("text/html; charset=utf-8", Arc::clone(&self.page)),
            Endpoint::Style => file("text/css; charset=utf-8", STYLE),
            Endpoint::Script => file("text/javascript; charset=utf-8", SCRIPT),
            Endpoint::People => fresh(self.room.people()),
            Endpoint::Stats => fresh(json_line(&self.stats.entries().collect())),
            Endpoint::Join | Endpoint::Say | Endpoint::Leave => self.change(endpoint, request).unwrap_or_else(refuse),
        };
        reply.send(request.cors().dress(response));
    }
}

impl App {
    /// Without a rate, an address may send any number of messages.
    pub(crate) fn new(started: &Started, without: Without, rate: Option<Rate>) -> Self {
        let page = include_str!("page/index.html")
            .replace("{{io}}", &started.io.to_string())
            .replace("{{model}}", common::model_name(started.io))
            .into_bytes()
            .into();
        Self { room: Room::open(), without, page, stats: started.counters(), limiter: Limiter::new(rate) }
    }

    fn change(&self, endpoint: Endpoint, request: &Request<'_>) -> Result<Response, Refusal> {
        let body = serde_json::from_slice(request.body());
        let body: BTreeMap<String, Value> = body.map_err(|_| Refusal::bad("the body must be an object in JSON"))?;
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Refusal::bad(format!("`{name}` must be a string"))),
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| Refusal::bad(format!("`{name}` is missing")));
        Ok(match endpoint {
            Endpoint::Join => self.join(request, needed("name")?, text("token")?)?,
            Endpoint::Say => {
                fresh(json_line(&json!({ "id": self.room.say(needed("token")?, text("to")?, needed("text")?)? }))).with_status(202)
            }
            _ => Response::no_content().field("Set-Cookie", &forget(&self.room.leave(needed("token")?)?)),
        })
    }

    fn join(&self, request: &Request<'_>, name: &str, token: Option<&str>) -> Result<Response, Refusal> {
        let joined = self.room.join(name, token)?;
        let answer = json!({
            "id": joined.id,
            "name": joined.name,
            "token": joined.token,
            "topics": ["room", format!("private-{}", joined.id)],
            "history": joined.history,
            "after": joined.after,
        });
        // HttpOnly: scripts cannot read the cookie. SameSite=Strict: pages of other sites cannot
        // send it. The id in its name keeps the people apart that one browser has in several tabs.
        let cookie = format!("chat-{}={}; Path=/; HttpOnly; SameSite=Strict", joined.id, joined.token);
        let mut response = fresh(json_line(&answer)).with_status(if joined.is_new { 201 } else { 200 }).field("Set-Cookie", &cookie);
        for (id, token) in cookies(request) {
            if !self.room.is(id, token) {
                response = response.field("Set-Cookie", &forget(id));
            }
        }
        Ok(response)
    }
}

/// The id and the token of each chat cookie of a request; the pair may be wrong or old. A cookie
/// that is not UTF-8 is skipped: no id and no token is.
pub(crate) fn cookies<'a>(request: &Request<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let own = request.cookies().filter_map(|(name, value)| Some((name.strip_prefix(b"chat-")?, value)));
    own.filter_map(|(id, token)| Some((std::str::from_utf8(id).ok()?, std::str::from_utf8(token).ok()?)))
}

fn forget(id: &str) -> String {
    format!("chat-{id}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn fresh(json: impl Into<Bytes>) -> Response {
    Response::json(json).no_store()
}

fn json_line(value: &Value) -> String {
    format!("{value}\n")
}

fn refuse(Refusal(status, sentence): Refusal) -> Response {
    Response::text(format!("{sentence}\n")).with_status(status)
}

//! Which path leads where.
//!
//! Owns reading requests, and the answers, those that say what was wrong included. Refuses to know who is there: that is the room's.

use std::collections::BTreeMap;
use std::sync::Arc;

use pushlab::proto::http1::Method;
use pushlab::proto::ws::origin;
use pushlab::push::Mounted;
use pushlab::session::{Body, Handler};
use pushlab::{Reply, Request, Response};
use serde_json::{Value, json};

use crate::Without;
use crate::common::counters::Counters;
use crate::common::{self, Started, file};
use crate::room::{Refusal, Room};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");

pub(crate) struct App {
    pub(crate) room: Arc<Room>,
    without: Without,
    page: Arc<[u8]>,
    stats: Counters,
    allow_origins: Vec<String>,
}

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        if self.without.has(request.path()) {
            return reply.send(Response::text("this server was started without this technique\n").with_status(404));
        }
        let reply = match self.room.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        let allow = match request.path() {
            "/join" | "/say" | "/leave" => "POST",
            _ => "GET, HEAD",
        };
        if !allow.split(", ").any(|method| method == request.method().as_str()) {
            return reply.send(Response::method_not_allowed(allow));
        }
        reply.send(match request.path() {
            "/" => file("text/html; charset=utf-8", Arc::clone(&self.page)),
            "/style.css" => file("text/css; charset=utf-8", STYLE),
            "/app.js" => file("text/javascript; charset=utf-8", SCRIPT),
            "/people" => fresh(self.room.people()),
            "/stats" => fresh(json_line(&self.stats.entries().collect())),
            _ if request.method() == Method::Post => self.change(request).unwrap_or_else(refuse),
            path => common::asset(path).unwrap_or_else(|| Response::status(404)),
        });
    }
}

impl App {
    pub(crate) fn new(started: &Started<'_>, without: Without) -> Self {
        let page = include_str!("page/index.html")
            .replace("{{io}}", &started.io.to_string())
            .replace("{{model}}", common::model_name(started.io))
            .into_bytes()
            .into();
        let (stats, allow_origins) = (started.counters(), started.settings.allow_origins.clone());
        Self { room: Room::open(), without, page, stats, allow_origins }
    }

    fn change(&self, request: &Request<'_>) -> Result<Response, Refusal> {
        // A page of another site can send a POST, too.
        if !origin::is_allowed(request.field_text("Origin"), request.host(), &self.allow_origins) {
            return Err(Refusal(403, "pages of this origin may not take part here".to_owned()));
        }
        let body = serde_json::from_slice(request.body());
        let body: BTreeMap<String, Value> = body.map_err(|_| Refusal::bad("the body must be an object in JSON"))?;
        let text = |name: &str| match body.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(Refusal::bad(format!("`{name}` must be a string"))),
        };
        let needed = |name: &str| text(name)?.ok_or_else(|| Refusal::bad(format!("`{name}` is missing")));
        Ok(match request.path() {
            "/join" => self.join(request, needed("name")?, text("token")?)?,
            "/say" => fresh(json_line(&json!({ "id": self.room.say(needed("token")?, text("to")?, needed("text")?)? }))).with_status(202),
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
        // Scripts cannot read it, pages of other sites cannot send it. A browser can be several people, one a tab.
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

/// The people that a request's cookies stand for, whether they are there or not.
pub(crate) fn cookies<'a>(request: &Request<'a>) -> impl Iterator<Item = (&'a str, &'a str)> {
    let pairs = request.field_text("Cookie").unwrap_or_default().split(';');
    pairs.filter_map(|pair| pair.trim_ascii().strip_prefix("chat-")?.split_once('='))
}

fn forget(id: &str) -> String {
    format!("chat-{id}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn fresh(json: impl Into<Body>) -> Response {
    Response::json(json).field("Cache-Control", "no-store")
}

fn json_line(value: &Value) -> String {
    format!("{value}\n")
}

fn refuse(Refusal(status, sentence): Refusal) -> Response {
    Response::text(format!("{sentence}\n")).with_status(status)
}

//! Which path leads where, and the endpoints that need no file of their own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushlab::proto::http1::Method;
use pushlab::proto::ws::origin;
use pushlab::push::{Access, Hub, HubConfig, Mounted};
use pushlab::session::{Handler, Upgrade};
use pushlab::{IoModel, Message, Reply, Request, Response, Socket, WebSocketHandler};

use crate::common::counters::Counters;
use crate::common::{self, Started, file};
use crate::drip::Drip;
use crate::options::Token;
use crate::senders::Senders;
use crate::source::{self, Pace, Source};

const APP: &str = include_str!("page/app.js");
const PANEL: &str = include_str!("page/panel.js");
const CONNECTIONS: &str = include_str!("page/connections.js");

pub(crate) struct App {
    pub(crate) source: Arc<Source>,
    pub(crate) drip: Arc<Drip>,
    /// Everybody's topics, below `/topics`.
    pub(crate) hub: Hub,
    senders: Senders,
    io: IoModel,
    page: Arc<[u8]>,
    stats: Counters,
    started: Instant,
    allow_origins: Vec<String>,
    publish_token: Option<Arc<Token>>,
}

#[derive(Clone, Copy)]
enum Endpoint<'a> {
    Page,
    Style,
    Script(&'static str),
    Plaintext,
    Echo,
    Status(&'a str),
    Stream(&'a str),
    Stats,
    Pace,
}

impl<'a> Endpoint<'a> {
    /// The endpoint at a path, and the methods that it takes, as `Allow` lists them.
    fn at(path: &'a str) -> Option<(Self, &'static str)> {
        const READ: &str = "GET, HEAD";
        Some(match path {
            "/" => (Self::Page, READ),
            "/style.css" => (Self::Style, READ),
            "/app.js" => (Self::Script(APP), READ),
            "/panel.js" => (Self::Script(PANEL), READ),
            "/connections.js" => (Self::Script(CONNECTIONS), READ),
            "/plaintext" => (Self::Plaintext, READ),
            "/echo" => (Self::Echo, "GET, HEAD, POST"),
            "/stats" => (Self::Stats, READ),
            "/pace" => (Self::Pace, "POST"),
            _ => match path.rsplit_once('/')? {
                ("/status", code) => (Self::Status(code), READ),
                ("/stream", lines) => (Self::Stream(lines), READ),
                _ => return None,
            },
        })
    }
}

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return self.senders.count(request),
            Mounted::NotMine(reply) => reply,
        };
        let method = request.method();
        let Some((endpoint, allow)) = Endpoint::at(request.path()) else {
            return reply.send(common::asset(request.path()).unwrap_or_else(|| Response::status(404)));
        };
        if !allow.split(", ").any(|allowed| allowed == method.as_str()) {
            return reply.send(Response::status(405).field("Allow", allow));
        }
        match endpoint {
            Endpoint::Page => reply.send(file("text/html; charset=utf-8", Arc::clone(&self.page))),
            Endpoint::Style => reply.send(file("text/css; charset=utf-8", include_str!("page/style.css"))),
            Endpoint::Script(text) => reply.send(file("text/javascript; charset=utf-8", text)),
            Endpoint::Plaintext => reply.send(Response::new("text/plain", "Hello, World!")),
            Endpoint::Echo if method == Method::Post => reply.send(echo(request)),
            Endpoint::Echo => reply.upgrade_with(Upgrade { protocols: &["chat", "superchat"] }, Echo),
            Endpoint::Status(code) => reply.send(status(code)),
            Endpoint::Stream(lines) => self.drip.serve(lines, request, reply),
            Endpoint::Stats => reply.send(Response::json(self.stats(request)).field("Cache-Control", "no-store")),
            Endpoint::Pace => reply.send(self.set_pace(request)),
        }
    }
}

impl App {
    pub(crate) fn new(started: &Started<'_>, publish_token: Option<Token>) -> Self {
        let (io, allow_origins) = (started.io, started.settings.allow_origins.clone());
        let publish_token = publish_token.map(Arc::new);
        let config = HubConfig {
            // A page may be cut for a while at 100 messages of 16 KiB a second, and still lose nothing.
            history_messages: 10_000,
            history_bytes: 16 * 1024 * 1024,
            // A closed page is soon seen to be gone.
            presence_grace: Duration::from_secs(10),
            allow_origins: allow_origins.clone(),
            ..HubConfig::default()
        };
        let hub = match publish_token.clone() {
            Some(token) => Hub::with_policy(config, move |request, access, _| access == Access::Subscribe || token.is_in(request)),
            None => Hub::new(config),
        };
        Self {
            source: Arc::default(),
            drip: Arc::default(),
            hub,
            senders: Senders::default(),
            io,
            page: include_str!("page/index.html")
                .replace("{{io}}", &io.to_string())
                .replace("{{model}}", common::model_name(io))
                .into_bytes()
                .into(),
            stats: started.counters(),
            started: Instant::now(),
            allow_origins,
            publish_token,
        }
    }

    /// Every counter of the server, and what else a page or a suite wants to know about it. `?clients=PREFIX` adds what the clients whose tokens
    /// begin like this have sent.
    fn stats(&self, request: &Request<'_>) -> String {
        let mut json = format!(
            r#"{{"version":"{}","io":"{}","uptime_seconds":{:.3},"now_ms":{:.3}"#,
            env!("CARGO_PKG_VERSION"),
            self.io,
            self.started.elapsed().as_secs_f64(),
            source::now_ms(),
        );
        for (name, value) in self.stats.entries() {
            let _ = write!(json, r#","{name}":{value}"#);
        }
        json.push_str(r#","broken_rules":{"#);
        for (at, (rule, count)) in self.stats.broken_rules().enumerate() {
            let _ = write!(json, r#"{}"{rule:?}":{count}"#, if at > 0 { "," } else { "" });
        }
        json.push('}');
        let Pace { per_second, bytes } = self.source.pace();
        let _ = write!(json, r#","pace":{{"per_second":{per_second},"bytes":{bytes}}}"#);
        let _ = write!(json, r#","publish_token":{}"#, self.publish_token.is_some());
        let _ = write!(json, r#","hub":{}"#, self.hub.stats().json());
        if let Ok(info) = self.hub.info(source::TOPIC) {
            let _ = write!(json, r#","feed":{}"#, info.json(source::TOPIC));
        }
        if let Some(prefix) = request.query_value("clients") {
            let _ = write!(json, r#","clients":{}"#, self.senders.json(&prefix));
        }
        json.push('}');
        json
    }

    fn set_pace(&self, request: &Request<'_>) -> Response {
        // A page of another site can send a POST, too.
        if !origin::is_allowed(request.field_text("Origin"), request.host(), &self.allow_origins) {
            return Response::text("pages of this origin may not change the pace\n").with_status(403);
        }
        if self.publish_token.as_ref().is_some_and(|token| !token.is_in(request)) {
            return Response::text("changing the pace needs `Authorization: Bearer` with the publish token\n").with_status(403);
        }
        match self.asked_pace(request) {
            Ok(pace) => {
                self.source.set(pace);
                Response::json(format!("{{\"per_second\":{},\"bytes\":{}}}\n", pace.per_second, pace.bytes))
            }
            Err(sentence) => Response::text(sentence + "\n").with_status(400),
        }
    }

    /// What is not given stays.
    fn asked_pace(&self, request: &Request<'_>) -> Result<Pace, String> {
        let mut pace = self.source.pace();
        for (name, text) in request.query_values() {
            match (&*name, text.parse()) {
                ("per_second", Ok(value)) if source::PER_SECOND.contains(&value) => pace.per_second = value,
                ("bytes", Ok(value)) if source::BYTES.contains(&(value as usize)) => pace.bytes = value as usize,
                ("per_second", _) => {
                    let (least, most) = source::PER_SECOND.into_inner();
                    return Err(format!("per_second must be a whole number from {least} to {most}, as in /pace?per_second=5"));
                }
                ("bytes", _) => {
                    let (least, most) = source::BYTES.into_inner();
                    return Err(format!("bytes must be a whole number from {least} to {most}, as in /pace?bytes=1000"));
                }
                _ => return Err("there are per_second and bytes, as in /pace?per_second=5&bytes=1000".to_owned()),
            }
        }
        Ok(pace)
    }
}

/// The body as it came, under the type that it came with.
fn echo(request: &Request<'_>) -> Response {
    let response = Response::new("", request.body().to_vec());
    match request.field_text("Content-Type") {
        Some(content_type) => response.field("Content-Type", content_type),
        None => response,
    }
}

fn status(code: &str) -> Response {
    match code.parse() {
        Ok(code @ 200..=599) => Response::status(code),
        _ => Response::text("the code must be 200 to 599, as in /status/418\n").with_status(400),
    }
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}

//! Which path leads where, and the endpoints that need no file of their own.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use pushlab::proto::http1::Method;
use pushlab::proto::ws::origin;
use pushlab::push::{Access, Hub, HubConfig, Mounted};
use pushlab::session::{Handler, Stats, Upgrade};
use pushlab::{IoModel, Message, Reply, Request, Response, Socket, WebSocketHandler};

use crate::common::{self, Started, file};
use crate::drip::Drip;
use crate::feed::{self, Feed};
use crate::options::Token;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");

pub(crate) struct App {
    pub(crate) feed: Arc<Feed>,
    pub(crate) drip: Arc<Drip>,
    /// Everybody's topics, below `/topics`.
    pub(crate) hub: Hub,
    io: IoModel,
    page: Arc<[u8]>,
    stats: Arc<Stats>,
    started: Instant,
    allow_origins: Vec<String>,
    publish_token: Option<Arc<Token>>,
}

#[derive(Clone, Copy)]
enum Endpoint<'a> {
    Page,
    Style,
    Script,
    Plaintext,
    Echo,
    Status(&'a str),
    Stream(&'a str),
    Stats,
    FeedStream,
    FeedEvents,
    FeedPoll,
    FeedWs,
    FeedRate,
}

impl<'a> Endpoint<'a> {
    /// The endpoint at a path, and the methods that it takes, as `Allow` lists them.
    fn at(path: &'a str) -> Option<(Self, &'static str)> {
        const READ: &str = "GET, HEAD";
        Some(match path {
            "/" => (Self::Page, READ),
            "/style.css" => (Self::Style, READ),
            "/app.js" => (Self::Script, READ),
            "/plaintext" => (Self::Plaintext, READ),
            "/echo" => (Self::Echo, "GET, HEAD, POST"),
            "/stats" => (Self::Stats, READ),
            "/feed/stream" => (Self::FeedStream, READ),
            "/feed/events" => (Self::FeedEvents, READ),
            "/feed/poll" => (Self::FeedPoll, READ),
            "/feed/ws" => (Self::FeedWs, READ),
            "/feed/rate" => (Self::FeedRate, "POST"),
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
            Mounted::Handled => return,
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
            // An isolated page has the finer clock: 5 microseconds instead of 100 in today's browsers.
            Endpoint::Page => reply.send(
                file("text/html; charset=utf-8", Arc::clone(&self.page))
                    .field("Cross-Origin-Opener-Policy", "same-origin")
                    .field("Cross-Origin-Embedder-Policy", "require-corp"),
            ),
            Endpoint::Style => reply.send(file("text/css; charset=utf-8", STYLE)),
            Endpoint::Script => reply.send(file("text/javascript; charset=utf-8", SCRIPT)),
            Endpoint::Plaintext => reply.send(Response::new("text/plain", "Hello, World!")),
            Endpoint::Echo if method == Method::Post => reply.send(echo(request)),
            Endpoint::Echo => reply.upgrade_with(Upgrade { protocols: &["chat", "superchat"] }, Echo),
            Endpoint::Status(code) => reply.send(status(code)),
            Endpoint::Stream(lines) => self.drip.serve(lines, request, reply),
            Endpoint::Stats => reply.send(Response::json(self.stats()).field("Cache-Control", "no-store")),
            Endpoint::FeedStream => self.feed.stream(request, reply),
            Endpoint::FeedEvents => self.feed.events(request, reply),
            Endpoint::FeedPoll => self.feed.poll(request, reply),
            Endpoint::FeedWs => self.feed.websocket(request, reply),
            Endpoint::FeedRate => reply.send(self.set_rate(request)),
        }
    }
}

impl App {
    pub(crate) fn new(started: &Started<'_>, publish_token: Option<Token>) -> Self {
        let (io, allow_origins) = (started.io, started.settings.allow_origins.clone());
        let page = include_str!("page/index.html").replace("{{io}}", &io.to_string()).into_bytes().into();
        let publish_token = publish_token.map(Arc::new);
        let config = HubConfig { allow_origins: allow_origins.clone(), ..HubConfig::default() };
        let hub = match publish_token.clone() {
            Some(token) => Hub::with_policy(config, move |request, access, _| access == Access::Subscribe || token.is_in(request)),
            None => Hub::new(config),
        };
        let stats = Arc::clone(&started.stats);
        Self { feed: Arc::default(), drip: Arc::default(), hub, io, page, stats, started: Instant::now(), allow_origins, publish_token }
    }

    /// Every counter of the server, and what else a page or a suite wants to know about it.
    fn stats(&self) -> String {
        let mut json = format!(
            r#"{{"version":"{}","io":"{}","uptime_seconds":{:.3},"now_ms":{:.3}"#,
            env!("CARGO_PKG_VERSION"),
            self.io,
            self.started.elapsed().as_secs_f64(),
            feed::now_ms(),
        );
        for (name, value) in self.stats.snapshot().entries() {
            let _ = write!(json, r#","{name}":{value}"#);
        }
        let _ = write!(json, r#","feed":{}}}"#, self.feed.stats());
        json
    }

    fn set_rate(&self, request: &Request<'_>) -> Response {
        // A page of another site can send a POST, too.
        if !origin::is_allowed(request.field_text("Origin"), request.host(), &self.allow_origins) {
            return Response::text("pages of this origin may not change the rate\n").with_status(403);
        }
        if self.publish_token.as_ref().is_some_and(|token| !token.is_in(request)) {
            return Response::text("changing the rate needs `Authorization: Bearer` with the publish token\n").with_status(403);
        }
        match request.query_value("per_second").and_then(|text| text.parse().ok()) {
            Some(per_second @ 1..=100) => {
                self.feed.set_rate(per_second);
                Response::json(format!(r#"{{"per_second":{per_second}}}"#))
            }
            _ => Response::text("per_second must be a whole number from 1 to 100, as in /feed/rate?per_second=5\n").with_status(400),
        }
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

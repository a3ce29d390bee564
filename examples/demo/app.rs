//! The demo's endpoints.
//!
//! Owns the paths, the hub's settings, and the small endpoints. Leaves `/stream/{n}` to `drip`, the
//! feed to `source`, the page's files to `files`, and the topics to the library's hub.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushlab::proto::http1::Method;
use pushlab::push::{Access, Hub, HubConfig, Mounted, Stomp, StompConfig, StompLogin, StompPolicy};
use pushlab::session::{Handler, Upgrade};
use pushlab::{IoModel, Message, Reply, Request, Response, Socket, WebSocketHandler};

use crate::common::routes::{ACT, READ, Route, route};
use crate::common::serving::Serving;
use crate::common::{Started, file};
use crate::drip::Drip;
use crate::files;
use crate::options::{Own, Token};
use crate::senders::Senders;
use crate::source::{self, Pace, Source};

const HISTORY_BYTES: usize = 16 * 1024 * 1024;
/// How long the server waits for the log before it accepts clients. `RabbitMQ` needs up to 10 s
/// after its start.
const LOG_WAIT: Duration = Duration::from_secs(15);

pub(crate) struct App {
    pub(crate) source: Arc<Source>,
    pub(crate) drip: Arc<Drip>,
    /// The topics below `/topics`, the feed and those of any client.
    pub(crate) hub: Hub,
    /// The same topics for STOMP clients, and queues.
    stomp: Stomp,
    senders: Senders,
    serving: Arc<Serving>,
    started: Instant,
    publish_token: Option<Arc<Token>>,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Page,
    PageFile,
    /// The page with two frames, and what is below it.
    Frames,
    Source,
    Plaintext,
    Echo,
    Status,
    Stream,
    Stats,
    Request,
    Pace,
    Io,
    Stomp,
}

const ROUTES: [Route<Endpoint>; 14] = [
    ("/", READ, Endpoint::Page),
    ("/page/{}", READ, Endpoint::PageFile),
    ("/frames", READ, Endpoint::Frames),
    ("/frames/{}", READ, Endpoint::Frames),
    ("/source/{}", READ, Endpoint::Source),
    ("/plaintext", READ, Endpoint::Plaintext),
    ("/echo", "GET, HEAD, POST, OPTIONS", Endpoint::Echo),
    ("/status/{}", READ, Endpoint::Status),
    ("/stream/{}", READ, Endpoint::Stream),
    ("/stats", READ, Endpoint::Stats),
    ("/request", READ, Endpoint::Request),
    ("/pace", ACT, Endpoint::Pace),
    ("/io", ACT, Endpoint::Io),
    ("/stomp", READ, Endpoint::Stomp),
];

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return self.senders.count(request),
            Mounted::NotMine(reply) => reply,
        };
        let Some((endpoint, part, reply)) = route(&ROUTES, request, reply) else { return };
        let response = match endpoint {
            Endpoint::Page => file("text/html; charset=utf-8", include_str!("page/index.html")),
            Endpoint::PageFile => files::of_page(part),
            Endpoint::Frames => files::of_frames(part),
            Endpoint::Source => files::source(part),
            Endpoint::Plaintext => Response::new("text/plain", "Hello, World!"),
            Endpoint::Echo if request.method() == Method::Post => echo(request),
            Endpoint::Echo => {
                return reply.upgrade_with(Upgrade { protocols: &["chat", "superchat"], deflate: self.hub.config().deflate }, Echo);
            }
            Endpoint::Status => status(part),
            Endpoint::Stream => return self.drip.serve(part, request, reply),
            Endpoint::Stats => Response::json(self.stats(request)).no_store(),
            Endpoint::Request => Response::json(about(request)).no_store(),
            Endpoint::Pace => self.act(request, Self::set_pace),
            Endpoint::Io => self.act(request, Self::change_io),
            Endpoint::Stomp => return self.stomp.serve(reply),
        };
        reply.send(request.cors().dress(response));
    }
}

/// The publish token, as the passcode of STOMP clients. A client without one may only subscribe.
struct Publishers(Arc<Token>);

const PUBLISHER: &str = "publisher";

impl StompPolicy for Publishers {
    fn user(&self, login: &StompLogin<'_>) -> Option<String> {
        match login.passcode {
            "" => Some(String::new()),
            passcode => self.0.is(passcode.as_bytes()).then(|| PUBLISHER.to_owned()),
        }
    }

    fn allows(&self, user: &str, access: Access, _: &str) -> bool {
        access == Access::Subscribe || user == PUBLISHER
    }
}

impl App {
    pub(crate) fn new(started: &Started, own: &Own) -> Self {
        let publish_token = own.publish_token.take().map(Arc::new);
        let payload_bytes = own.payload_bytes.get().unwrap_or(HubConfig::default().payload_bytes);
        let config = HubConfig {
            // With `history_bytes`, the history has at least 10 s of the feed at its maximum rate
            // and size. So a panel may be cut for a while and still lose nothing.
            history_messages: 10_000,
            // The largest message must fit into the history.
            history_bytes: HISTORY_BYTES.max(payload_bytes),
            payload_bytes,
            // A closed page counts as gone after ten seconds.
            presence_grace: Duration::from_secs(10),
            log: own.log.take(),
            deflate: own.deflate.get(),
            ..HubConfig::default()
        };
        let hub = match publish_token.clone() {
            Some(token) => Hub::with_policy(config, move |request, access, _| access == Access::Subscribe || token.is_in(request)),
            None => Hub::new(config),
        };
        if let Err(error) = hub.wait_for_log(LOG_WAIT) {
            eprintln!("{error}\nThe server goes on without the log, and tries again.");
        }
        let stomp = match publish_token.clone() {
            Some(token) => Stomp::with_policy(&hub, StompConfig::default(), Publishers(token)),
            None => Stomp::new(&hub, StompConfig::default()),
        };
        Self {
            source: Arc::default(),
            drip: Arc::default(),
            hub,
            stomp,
            senders: Senders::default(),
            serving: Arc::clone(&started.serving),
            started: Instant::now(),
            publish_token,
        }
    }

    /// The JSON of `/stats`: every counter of the server, which begin at 0 when the IO model changes,
    /// and figures for the page and for tests.
    /// `?clients=PREFIX` adds how much the clients have sent whose tokens begin with the prefix.
    fn stats(&self, request: &Request<'_>) -> String {
        let mut json = format!(
            r#"{{"version":"{}","io":"{}","io_seconds":{:.3},"uptime_seconds":{:.3},"now_ms":{:.3}"#,
            env!("CARGO_PKG_VERSION"),
            self.serving.io(),
            self.serving.age().as_secs_f64(),
            self.started.elapsed().as_secs_f64(),
            source::now_ms(),
        );
        let counters = self.serving.counters();
        for (name, value) in counters.entries() {
            let _ = write!(json, r#","{name}":{value}"#);
        }
        json.push_str(r#","broken_rules":{"#);
        for (at, (rule, count)) in counters.broken_rules().enumerate() {
            let _ = write!(json, r#"{}"{rule:?}":{count}"#, if at > 0 { "," } else { "" });
        }
        json.push('}');
        let Pace { per_second, bytes } = self.source.pace();
        let _ = write!(json, r#","pace":{{"per_second":{per_second},"bytes":{bytes}}}"#);
        let _ = write!(json, r#","publish_token":{}"#, self.publish_token.is_some());
        let _ = write!(json, r#","hub":{}"#, self.hub.stats().json());
        let _ = write!(json, r#","stomp":{}"#, self.stomp.stats().json());
        if let Some(log) = self.hub.log_stats() {
            let _ = write!(json, r#","log":{}"#, log.json());
        }
        if let Ok(info) = self.hub.info(source::TOPIC) {
            let _ = write!(json, r#","feed":{}"#, info.json(source::TOPIC));
        }
        if let Some(prefix) = request.query_value("clients") {
            let _ = write!(json, r#","clients":{}"#, self.senders.json(&prefix));
        }
        json.push('}');
        json
    }

    /// Does what a request asks for, unless it lacks the publish token. The error is a sentence.
    fn act(&self, request: &Request<'_>, act: impl FnOnce(&Self, &Request<'_>) -> Result<Response, String>) -> Response {
        if self.publish_token.as_ref().is_some_and(|token| !token.is_in(request)) {
            return Response::text("to change the server, send `Authorization: Bearer` with the publish token\n").with_status(403);
        }
        act(self, request).unwrap_or_else(|sentence| Response::text(sentence + "\n").with_status(400))
    }

    fn set_pace(&self, request: &Request<'_>) -> Result<Response, String> {
        let pace = self.asked_pace(request)?;
        self.source.set(pace);
        Ok(Response::json(format!("{{\"per_second\":{},\"bytes\":{}}}\n", pace.per_second, pace.bytes)))
    }

    /// Changes the IO model of the running server.
    fn change_io(&self, request: &Request<'_>) -> Result<Response, String> {
        let asked = request.query_value("model").and_then(|name| name.parse().ok());
        let io: IoModel = asked.ok_or_else(|| "model must be event-loop or threads, as in /io?model=threads".to_owned())?;
        self.serving.change_to(io);
        Ok(Response::json(format!("{{\"io\":\"{io}\"}}\n")))
    }

    /// The pace that a request asks for. A parameter that is missing keeps its value.
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
                // Other parameters are ignored: clients and libraries add some of their own.
                _ => {}
            }
        }
        Ok(pace)
    }
}

/// The request's body, with its content type and its coding. A type that is not UTF-8 becomes
/// `application/octet-stream`: without a type, a browser would guess one.
fn echo(request: &Request<'_>) -> Response {
    let mut response = Response::new("", request.body().to_vec());
    if let Some(content_type) = request.field_bytes("Content-Type") {
        response = response.field("Content-Type", std::str::from_utf8(content_type).unwrap_or("application/octet-stream"));
    }
    if let Some(coding) = request.field_text("Content-Encoding") {
        response = response.field("Content-Encoding", coding);
    }
    response
}

/// What the server knows about the client of a request, as JSON. Behind a proxy, this shows whether
/// the proxy is believed.
fn about(request: &Request<'_>) -> String {
    let text = |value: Option<String>| value.map_or("null".to_owned(), |value| format!("\"{value}\""));
    format!(
        r#"{{"peer":"{}","client":{},"scheme":"{}","host":{},"may_act":{}}}"#,
        request.peer(),
        text(request.client_ip().map(|ip| ip.to_string())),
        if request.is_secure() { "https" } else { "http" },
        // A host has no character that JSON escapes.
        text(request.host().map(str::to_owned)),
        request.origin().may_act(),
    ) + "\n"
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

//! Which path leads where.
//!
//! Owns paths, methods, cookies, and what answers look like. Refuses to decide what may be done: `desk` does.

use std::collections::BTreeMap;
use std::sync::Arc;

use pushlab::proto::http1::Method;
use pushlab::proto::ws::origin;
use pushlab::push::Mounted;
use pushlab::session::Handler;
use pushlab::{Reply, Request, Response};
use serde_json::json;

use crate::common::counters::Counters;
use crate::common::{self, Started, file};
use crate::desk::{self, Desk};
use crate::login::{Asker, Fault, View};
use crate::options::Own;
use crate::{agent, qr, session};

const APP: &str = include_str!("page/app.js");
const SCAN: &str = include_str!("page/scan.js");
const HELD: &str = include_str!("page/held.js");

/// Of a user's name, in characters.
const USER_MAX: usize = 40;

/// Nothing of another site, and in nobody's frame: a confirmation that was clicked through a transparent page would be somebody else's.
const CONTENT_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) struct App {
    pub(crate) desk: Arc<Desk>,
    page: Arc<[u8]>,
    stats: Counters,
    base: Option<String>,
    allow_origins: Vec<String>,
}

#[derive(Clone, Copy)]
enum Endpoint<'a> {
    Page,
    ScanPage,
    Style,
    Script(&'static str),
    Begin,
    View(&'a str),
    Picture(&'a str),
    Wait(&'a str),
    Scan(&'a str),
    Confirm(&'a str),
    Refuse(&'a str),
    Session(&'a str),
    Me,
    LogOut,
    Stats,
}

impl<'a> Endpoint<'a> {
    /// The endpoint at a path, and the methods that it takes, as `Allow` lists them.
    fn at(path: &'a str) -> Option<(Self, &'static str)> {
        const READ: &str = "GET, HEAD";
        const ACT: &str = "POST";
        let parts: Vec<_> = path.split('/').skip(1).collect();
        Some(match parts[..] {
            [""] => (Self::Page, READ),
            ["style.css"] => (Self::Style, READ),
            ["app.js"] => (Self::Script(APP), READ),
            ["held.js"] => (Self::Script(HELD), READ),
            ["scan.js"] => (Self::Script(SCAN), READ),
            ["scan", id] if !id.is_empty() => (Self::ScanPage, READ),
            ["login"] => (Self::Begin, ACT),
            ["login", id] => (Self::View(id), READ),
            ["login", id, "qr.svg"] => (Self::Picture(id), READ),
            ["login", id, "wait"] => (Self::Wait(id), READ),
            ["login", id, "scan"] => (Self::Scan(id), ACT),
            ["login", id, "confirm"] => (Self::Confirm(id), ACT),
            ["login", id, "refuse"] => (Self::Refuse(id), ACT),
            ["login", id, "session"] => (Self::Session(id), ACT),
            ["me"] => (Self::Me, READ),
            ["stats"] => (Self::Stats, READ),
            ["logout"] => (Self::LogOut, ACT),
            _ => return None,
        })
    }
}

/// Why a request is not done: a status and a sentence.
struct Rejection(u16, String);

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self(fault.status(), fault.to_string())
    }
}

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let Mounted::NotMine(reply) = self.desk.hub.handle(request, reply) else { return };
        let Some((endpoint, allow)) = Endpoint::at(request.path()) else {
            return reply.send(common::asset(request.path()).unwrap_or_else(|| Response::status(404)));
        };
        if !allow.split(", ").any(|allowed| allowed == request.method().as_str()) {
            return reply.send(Response::method_not_allowed(allow));
        }
        match endpoint {
            Endpoint::Wait(id) => self.wait(id, request, reply),
            _ => reply.send(self.answer(endpoint, request).unwrap_or_else(rejected)),
        }
    }
}

impl App {
    pub(crate) fn new(started: &Started<'_>, own: &Own) -> Self {
        let page =
            include_str!("page/index.html").replace("{{io}}", &started.io.to_string()).replace("{{model}}", common::model_name(started.io));
        Self {
            desk: Arc::new(Desk::new(own.expires.get(), login_secret)),
            page: page.into_bytes().into(),
            stats: started.counters(),
            base: own.base.take(),
            allow_origins: started.settings.allow_origins.clone(),
        }
    }

    fn answer(&self, endpoint: Endpoint<'_>, request: &Request<'_>) -> Result<Response, Rejection> {
        // A page of another site can send a POST, too.
        if request.method() == Method::Post && !origin::is_allowed(request.field_text("Origin"), request.host(), &self.allow_origins) {
            return Err(Rejection(403, "pages of this origin may not do this".to_owned()));
        }
        Ok(match endpoint {
            Endpoint::Page => page(Arc::clone(&self.page)),
            Endpoint::ScanPage => page(include_str!("page/scan.html")),
            Endpoint::Style => file("text/css; charset=utf-8", include_str!("page/style.css")),
            Endpoint::Script(text) => file("text/javascript; charset=utf-8", text),
            Endpoint::Begin => self.begin(request)?,
            Endpoint::View(id) | Endpoint::Wait(id) => data(self.desk.view(id, login_secret(request, id).unwrap_or_default())?.json()),
            Endpoint::Picture(id) => self.picture(id, request)?,
            Endpoint::Scan(id) => self.scan(id, request)?,
            Endpoint::Confirm(id) => {
                self.desk.confirm(id, bearer(request).unwrap_or_default(), user(request)?)?;
                Response::no_content()
            }
            Endpoint::Refuse(id) => {
                self.desk.refuse(id, bearer(request).unwrap_or_default())?;
                Response::no_content()
            }
            Endpoint::Session(id) => {
                let (secret, user) = self.desk.enter(id, login_secret(request, id).unwrap_or_default())?;
                // Whoever was logged in here before is so no more.
                if let Some(old) = cookie(request, "session") {
                    self.desk.log_out(old);
                }
                let response = data(json!({ "user": user }).to_string());
                let response = response.field("Set-Cookie", &self.cookie("session", &secret, session::LIFE.as_secs()));
                response.field("Set-Cookie", &self.cookie(&login_cookie(id), "", 0))
            }
            Endpoint::Me => data(json!({ "user": cookie(request, "session").and_then(|secret| self.desk.user(secret)) }).to_string()),
            Endpoint::Stats => {
                let all: BTreeMap<_, _> = self.stats.entries().chain(self.desk.counts()).collect();
                data(json!(all).to_string())
            }
            Endpoint::LogOut => {
                if let Some(secret) = cookie(request, "session") {
                    self.desk.log_out(secret);
                }
                Response::no_content().field("Set-Cookie", &self.cookie("session", "", 0))
            }
        })
    }

    fn begin(&self, request: &Request<'_>) -> Result<Response, Rejection> {
        let asker = Asker { browser: agent::name(request.field_text("User-Agent")), address: request.peer().ip().to_string() };
        let desk::Begun { id, secret, life, remembered, after, now } = self.desk.begin(asker)?;
        let body = json!({
            "id": id,
            "url": self.scan_url(&id, request)?,
            "expires_in": life.as_secs_f64(),
            "topic": desk::topic(&id),
            "after": after,
            "now_ms": now.unix_ms,
        });
        // One name for each login: the codes of two tabs do not take each other's place.
        let cookie = self.cookie(&login_cookie(&id), &secret, remembered.as_secs());
        Ok(data(body.to_string()).with_status(201).field("Set-Cookie", &cookie))
    }

    fn picture(&self, id: &str, request: &Request<'_>) -> Result<Response, Rejection> {
        self.desk.check(id)?;
        let picture = qr::svg(&self.scan_url(id, request)?);
        let picture = picture.ok_or_else(|| Rejection(400, "this address is too long for a QR code".to_owned()))?;
        Ok(safe(Response::new("image/svg+xml", picture)))
    }

    fn scan(&self, id: &str, request: &Request<'_>) -> Result<Response, Rejection> {
        let scan = self.desk.scan(id, bearer(request), agent::name(request.field_text("User-Agent")))?;
        let body = json!({
            "phone": scan.secret,
            "browser": scan.asker.browser,
            "address": scan.asker.address,
            "began_ms": scan.began_ms,
            "expires_in": scan.left.as_secs_f64(),
        });
        Ok(data(body.to_string()))
    }

    fn wait(&self, id: &str, request: &Request<'_>, reply: Reply<'_>) {
        let (last, callback) = match wait_query(request) {
            Ok(query) => query,
            Err(rejection) => return reply.send(rejected(rejection)),
        };
        let answer = Box::new(move |view: &View| match &callback {
            // The comment keeps the bytes from being taken for another format (Rosetta Flash).
            Some(callback) => safe(Response::new("application/javascript; charset=utf-8", format!("/**/{callback}({});", view.json()))),
            None => data(view.json()),
        });
        let browser = login_secret(request, id).unwrap_or_default();
        self.desk.wait(id, browser, last, answer, |fault| rejected(fault.into()), reply);
    }

    /// What the QR code holds.
    fn scan_url(&self, id: &str, request: &Request<'_>) -> Result<String, Rejection> {
        match (&self.base, request.host()) {
            (Some(base), _) => Ok(format!("{base}/scan/{id}")),
            (None, Some(host)) if !host.is_empty() => Ok(format!("http://{host}/scan/{id}")),
            _ => Err(Rejection(400, "a request without a host needs a server that was started with --url".to_owned())),
        }
    }

    /// `SameSite=Strict` keeps it from what other sites' pages ask for, scripts with a callback included.
    fn cookie(&self, name: &str, value: &str, seconds: u64) -> String {
        let secure = if self.base.as_ref().is_some_and(|base| base.starts_with("https://")) { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }
}

fn page(body: impl Into<pushlab::session::Body>) -> Response {
    let response = file("text/html; charset=utf-8", body).field("Content-Security-Policy", CONTENT_POLICY);
    // The phone's page has the code in its address.
    response.field("X-Frame-Options", "DENY").field("Referrer-Policy", "no-referrer")
}

fn data(json: String) -> Response {
    safe(Response::json(json + "\n"))
}

fn safe(response: Response) -> Response {
    response.field("Cache-Control", "no-store").field("X-Content-Type-Options", "nosniff")
}

fn rejected(Rejection(status, sentence): Rejection) -> Response {
    safe(Response::text(sentence + "\n").with_status(status))
}

fn login_cookie(id: &str) -> String {
    format!("login-{id}")
}

/// What the browser got that began the login.
fn login_secret<'a>(request: &Request<'a>, id: &str) -> Option<&'a str> {
    cookie(request, &login_cookie(id))
}

/// RFC 6265, section 4.2.1.
fn cookie<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    let mut pairs = request.field_text("Cookie")?.split(';').filter_map(|pair| pair.trim_ascii().split_once('='));
    pairs.find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// RFC 6750, section 2.1.
fn bearer<'a>(request: &Request<'a>) -> Option<&'a str> {
    let (scheme, token) = request.field_text("Authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim_ascii())
}

/// The name that the phone's owner has here: the whole body.
fn user(request: &Request<'_>) -> Result<String, Rejection> {
    let name = std::str::from_utf8(request.body()).unwrap_or_default().trim();
    if (1..=USER_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Rejection(400, format!("the body must be the user's name, 1 to {USER_MAX} characters of UTF-8 in one line")))
}

/// What the browser knows already, and the function that it wants called.
fn wait_query(request: &Request<'_>) -> Result<(u16, Option<String>), Rejection> {
    let (mut last, mut callback) = (View::NOTHING_YET, None);
    for (name, value) in request.query_values() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte);
        match &*name {
            "last" => last = value.parse().map_err(|_| Rejection(400, "last must be a code, as in wait?last=201".to_owned()))?,
            "callback" if (1..=64).contains(&value.len()) && value.bytes().all(is_plain) => callback = Some(value.into_owned()),
            "callback" => return Err(Rejection(400, "callback must be 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `$`".to_owned())),
            _ => return Err(Rejection(400, "there are last and callback, as in wait?last=201&callback=f".to_owned())),
        }
    }
    Ok((last, callback))
}

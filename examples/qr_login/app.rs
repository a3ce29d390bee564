//! The endpoints of the login.
//!
//! Owns the paths, methods, cookies, and the form of the answers. Leaves to `desk` whether a step
//! is allowed.

use std::collections::BTreeMap;
use std::sync::Arc;

use pushlab::push::Mounted;
use pushlab::session::Handler;
use pushlab::{Reply, Request, Response};
use serde_json::json;

use crate::common::counters::Counters;
use crate::common::routes::{ACT, READ, Route, route};
use crate::common::{self, Started, file};
use crate::desk::{self, Desk};
use crate::login::{Asker, Fault, View};
use crate::options::Own;
use crate::{agent, bearer, qr, session};

const APP: &str = include_str!("page/app.js");
const SCAN: &str = include_str!("page/scan.js");
const HELD: &str = include_str!("page/held.js");

/// The length of a user's name in characters.
const USER_MAX: usize = 40;

/// The pages load nothing from other sites, and no page may show them in a frame: otherwise an
/// attacker's page could put a transparent frame under the pointer and steal the click on
/// "Confirm".
const CONTENT_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) struct App {
    pub(crate) desk: Arc<Desk>,
    page: Arc<[u8]>,
    stats: Counters,
    base: Option<String>,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Page,
    ScanPage,
    Style,
    Script(&'static str),
    Begin,
    View,
    Picture,
    Wait,
    Scan,
    Confirm,
    Refuse,
    Session,
    Me,
    LogOut,
    Stats,
}

/// `{}` in a path is the id of a login.
const ROUTES: [Route<Endpoint>; 17] = [
    ("/", READ, Endpoint::Page),
    ("/style.css", READ, Endpoint::Style),
    ("/app.js", READ, Endpoint::Script(APP)),
    ("/held.js", READ, Endpoint::Script(HELD)),
    ("/scan.js", READ, Endpoint::Script(SCAN)),
    ("/scan/{}", READ, Endpoint::ScanPage),
    ("/login", ACT, Endpoint::Begin),
    ("/login/{}", READ, Endpoint::View),
    ("/login/{}/qr.svg", READ, Endpoint::Picture),
    ("/login/{}/wait", READ, Endpoint::Wait),
    ("/login/{}/scan", ACT, Endpoint::Scan),
    ("/login/{}/confirm", ACT, Endpoint::Confirm),
    ("/login/{}/refuse", ACT, Endpoint::Refuse),
    ("/login/{}/session", ACT, Endpoint::Session),
    ("/me", READ, Endpoint::Me),
    ("/stats", READ, Endpoint::Stats),
    ("/logout", ACT, Endpoint::LogOut),
];

/// Why a request was rejected: a status and a sentence.
struct Rejection(u16, String);

impl From<Fault> for Rejection {
    fn from(fault: Fault) -> Self {
        Self(fault.status(), fault.to_string())
    }
}

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let Mounted::NotMine(reply) = self.desk.hub.handle(request, reply) else { return };
        let Some((endpoint, id, reply)) = route(&ROUTES, request, reply) else { return };
        match endpoint {
            Endpoint::Wait => self.wait(id, request, reply),
            _ => reply.send(request.cors().dress(self.answer(endpoint, id, request).unwrap_or_else(rejected))),
        }
    }
}

impl App {
    pub(crate) fn new(started: &Started, own: &Own) -> Self {
        let page =
            include_str!("page/index.html").replace("{{io}}", &started.io.to_string()).replace("{{model}}", common::model_name(started.io));
        Self {
            desk: Arc::new(Desk::new(own.expires.get(), login_secret)),
            page: page.into_bytes().into(),
            stats: started.counters(),
            base: own.base.take(),
        }
    }

    fn answer(&self, endpoint: Endpoint, id: &str, request: &Request<'_>) -> Result<Response, Rejection> {
        Ok(match endpoint {
            Endpoint::Page => page(Arc::clone(&self.page)),
            Endpoint::ScanPage => page(include_str!("page/scan.html")),
            Endpoint::Style => file("text/css; charset=utf-8", include_str!("page/style.css")),
            Endpoint::Script(text) => file("text/javascript; charset=utf-8", text),
            Endpoint::Begin => self.begin(request)?,
            Endpoint::View | Endpoint::Wait => data(self.desk.view(id, login_secret(request, id).unwrap_or_default())?.json()),
            Endpoint::Picture => self.picture(id, request)?,
            Endpoint::Scan => self.scan(id, request)?,
            Endpoint::Confirm => {
                self.desk.confirm(id, phone_secret(request).unwrap_or_default(), user(request)?)?;
                Response::no_content()
            }
            Endpoint::Refuse => {
                self.desk.refuse(id, phone_secret(request).unwrap_or_default())?;
                Response::no_content()
            }
            Endpoint::Session => {
                let (secret, user) = self.desk.enter(id, login_secret(request, id).unwrap_or_default())?;
                // The new session replaces an older one of this browser, which nobody could log out
                // any more.
                if let Some(old) = cookie(request, "session") {
                    self.desk.log_out(old);
                }
                let response = data(json!({ "user": user }).to_string());
                let response = response.field("Set-Cookie", &self.cookie(request, "session", &secret, session::LIFE.as_secs()));
                response.field("Set-Cookie", &self.cookie(request, &login_cookie(id), "", 0))
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
                Response::no_content().field("Set-Cookie", &self.cookie(request, "session", "", 0))
            }
        })
    }

    fn begin(&self, request: &Request<'_>) -> Result<Response, Rejection> {
        let asker = Asker {
            browser: agent::name(request.field_bytes("User-Agent")),
            address: request.client_ip().map_or_else(|| request.peer().to_string(), |ip| ip.to_string()),
        };
        let desk::Begun { id, secret, life, remembered, after, now } = self.desk.begin(asker)?;
        let body = json!({
            "id": id,
            "url": self.scan_url(&id, request)?,
            "expires_in": life.as_secs_f64(),
            "topic": desk::topic(&id),
            "after": after,
            "now_ms": now.unix_ms,
        });
        // Each login has a cookie of its own name, so that the codes of two tabs do not overwrite
        // each other.
        let cookie = self.cookie(request, &login_cookie(&id), &secret, remembered.as_secs());
        Ok(data(body.to_string()).with_status(201).field("Set-Cookie", &cookie))
    }

    fn picture(&self, id: &str, request: &Request<'_>) -> Result<Response, Rejection> {
        self.desk.check(id)?;
        let picture = qr::svg(&self.scan_url(id, request)?);
        let picture = picture.ok_or_else(|| Rejection(400, "this address is too long for a QR code".to_owned()))?;
        Ok(safe(Response::new("image/svg+xml", picture)))
    }

    fn scan(&self, id: &str, request: &Request<'_>) -> Result<Response, Rejection> {
        let scan = self.desk.scan(id, phone_secret(request), agent::name(request.field_bytes("User-Agent")))?;
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
        let cors = request.cors();
        let (last, callback) = match wait_query(request) {
            Ok(query) => query,
            Err(rejection) => return reply.send(cors.dress(rejected(rejection))),
        };
        let answer = move |told: Result<&View, Fault>| {
            cors.dress(match (told, &callback) {
                (Err(fault), _) => rejected(fault.into()),
                // The comment at the start prevents that the body passes for a file of another
                // format (Rosetta Flash).
                (Ok(view), Some(callback)) => {
                    safe(Response::new("application/javascript; charset=utf-8", format!("/**/{callback}({});", view.json())))
                }
                (Ok(view), None) => data(view.json()),
            })
        };
        self.desk.wait(id, login_secret(request, id).unwrap_or_default(), last, Box::new(answer), reply);
    }

    /// The address that the QR code contains.
    fn scan_url(&self, id: &str, request: &Request<'_>) -> Result<String, Rejection> {
        match (&self.base, request.host()) {
            (Some(base), _) => Ok(format!("{base}/scan/{id}")),
            (None, Some(host)) if !host.is_empty() => {
                Ok(format!("{}://{host}/scan/{id}", if request.is_secure() { "https" } else { "http" }))
            }
            _ => Err(Rejection(400, "the request has no host; start the server with --url to answer it".to_owned())),
        }
    }

    /// A `Set-Cookie` value. `SameSite=Strict`: a browser does not send the cookie with requests of
    /// other sites' pages, which include script elements with a callback.
    fn cookie(&self, request: &Request<'_>, name: &str, value: &str, seconds: u64) -> String {
        let is_secure = request.is_secure() || self.base.as_ref().is_some_and(|base| base.starts_with("https://"));
        let secure = if is_secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}")
    }
}

fn page(body: impl Into<pushlab::proto::Bytes>) -> Response {
    let response = file("text/html; charset=utf-8", body).field("Content-Security-Policy", CONTENT_POLICY);
    // The address of the phone's page contains the code, and must not leak in a `Referer`.
    response.field("X-Frame-Options", "DENY").field("Referrer-Policy", "no-referrer")
}

fn data(json: String) -> Response {
    safe(Response::json(json + "\n"))
}

fn safe(response: Response) -> Response {
    response.no_store().field("X-Content-Type-Options", "nosniff")
}

fn rejected(Rejection(status, sentence): Rejection) -> Response {
    safe(Response::text(sentence + "\n").with_status(status))
}

fn login_cookie(id: &str) -> String {
    format!("login-{id}")
}

/// The secret of the browser that began the login.
fn login_secret<'a>(request: &Request<'a>, id: &str) -> Option<&'a str> {
    cookie(request, &login_cookie(id))
}

fn cookie<'a>(request: &Request<'a>, name: &str) -> Option<&'a str> {
    request.cookie(name).map(secret_text)
}

/// The secret of the phone that scanned the code.
fn phone_secret<'a>(request: &Request<'a>) -> Option<&'a str> {
    bearer::token(request).map(secret_text)
}

/// A secret as text. Secrets are ASCII; other bytes give an empty text, which is never a secret.
fn secret_text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

/// The name of the phone's owner: the whole body.
fn user(request: &Request<'_>) -> Result<String, Rejection> {
    let name = std::str::from_utf8(request.body()).unwrap_or_default().trim();
    if (1..=USER_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control) {
        return Ok(name.to_owned());
    }
    Err(Rejection(400, format!("the body must be the user's name, 1 to {USER_MAX} characters of UTF-8 in one line")))
}

/// The parameters of `/wait`: the code that the browser already knows, and the callback's name.
fn wait_query(request: &Request<'_>) -> Result<(u16, Option<String>), Rejection> {
    let (mut last, mut callback) = (View::NOTHING_YET, None);
    for (name, value) in request.query_values() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte);
        match &*name {
            "last" => last = value.parse().map_err(|_| Rejection(400, "last must be a code, as in wait?last=201".to_owned()))?,
            "callback" if (1..=64).contains(&value.len()) && value.bytes().all(is_plain) => callback = Some(value.into_owned()),
            "callback" => return Err(Rejection(400, "callback must be 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `$`".to_owned())),
            // Other parameters are ignored: libraries add some of their own, such as `_`.
            _ => {}
        }
    }
    Ok((last, callback))
}

//! The endpoints of the login.
//!
//! Owns the paths, methods, cookies, and the form of the answers. Leaves to `desk` whether a step
//! is allowed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pushlab::push::Mounted;
use pushlab::session::Handler;
use pushlab::{Method, Reply, Request, Response};
use serde_json::{Value, json};

use crate::common::counters::Counters;
use crate::common::routes::{ACT, READ, Route, route};
use crate::common::{self, Started, file};
use crate::desk::{self, Account, Credentials, Desk};
use crate::limiter::{Limiter, Rate};
use crate::login::{Asker, Fault, View};
use crate::options::Own;
use crate::session::{Session, Which};
use crate::{agent, bearer, qr, session};

const APP: &str = include_str!("page/app.js");
const SCAN: &str = include_str!("page/scan.js");
const CODES: &str = include_str!("page/codes.js");
const DEVICES: &str = include_str!("page/devices.js");

/// The length of a user's name in characters.
const USER_MAX: usize = 40;

/// How often one address may ask for news. It is enough for thirty pages that poll every three
/// seconds.
const ASKS: Rate = Rate { count: 100, per: Duration::from_secs(10) };

/// How a page of Taobao polls, and one of JD.
#[derive(Clone, Copy)]
struct ShortPoll {
    /// The pause before the first request, in milliseconds.
    first_ms: u64,
    /// The pause before each further request.
    again_ms: u64,
}

const TAOBAO: ShortPoll = ShortPoll { first_ms: 0, again_ms: 5_000 };
const JD: ShortPoll = ShortPoll { first_ms: 1_000, again_ms: 3_000 };

/// The pages load nothing from other sites, and no page may show them in a frame: otherwise an
/// attacker's page could put a transparent frame under the pointer and steal the click on
/// "Confirm".
const CONTENT_POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub(crate) struct App {
    pub(crate) desk: Arc<Desk>,
    page: Arc<[u8]>,
    stats: Counters,
    base: Option<String>,
    /// Counts codes, scans, answers, sessions and sign-outs.
    acts: Limiter,
    /// Counts requests for news.
    asks: Limiter,
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
    ShortPoll(ShortPoll),
    Wait,
    Scan,
    Confirm,
    Refuse,
    Session,
    Me,
    Devices,
    SignOut,
    LogOut,
    Stats,
}

/// `{}` in a path is the id of a login. For [`Endpoint::SignOut`] it is the id of a device, `others` or
/// `all`.
const ROUTES: [Route<Endpoint>; 22] = [
    ("/", READ, Endpoint::Page),
    ("/style.css", READ, Endpoint::Style),
    ("/app.js", READ, Endpoint::Script(APP)),
    ("/codes.js", READ, Endpoint::Script(CODES)),
    ("/devices.js", READ, Endpoint::Script(DEVICES)),
    ("/scan.js", READ, Endpoint::Script(SCAN)),
    ("/scan/{}", READ, Endpoint::ScanPage),
    ("/login", ACT, Endpoint::Begin),
    ("/login/{}", READ, Endpoint::View),
    ("/login/{}/qr.svg", READ, Endpoint::Picture),
    ("/login/{}/taobao", READ, Endpoint::ShortPoll(TAOBAO)),
    ("/login/{}/jd", READ, Endpoint::ShortPoll(JD)),
    ("/login/{}/wechat", READ, Endpoint::Wait),
    ("/login/{}/scan", ACT, Endpoint::Scan),
    ("/login/{}/confirm", ACT, Endpoint::Confirm),
    ("/login/{}/refuse", ACT, Endpoint::Refuse),
    ("/login/{}/session", ACT, Endpoint::Session),
    ("/me", READ, Endpoint::Me),
    ("/devices", READ, Endpoint::Devices),
    ("/devices/{}/sign-out", ACT, Endpoint::SignOut),
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
        // A preflight asks for no news.
        if request.path().starts_with("/topics/")
            && request.method() != Method::Options
            && let Err(wait) = self.asks.take(request.client_ip(), Instant::now())
        {
            return reply.send(request.cors().dress(wait.response("requests for news")));
        }
        let Mounted::NotMine(reply) = self.desk.hub.handle(request, reply) else { return };
        let Some((endpoint, id, reply)) = route(&ROUTES, request, reply) else { return };
        let taken = match endpoint {
            Endpoint::View | Endpoint::ShortPoll(_) | Endpoint::Wait | Endpoint::Picture | Endpoint::Me | Endpoint::Devices => {
                self.asks.take(request.client_ip(), Instant::now()).map_err(|wait| wait.response("requests for news"))
            }
            Endpoint::Begin | Endpoint::Scan | Endpoint::Confirm | Endpoint::Refuse | Endpoint::Session | Endpoint::SignOut => {
                self.acts.take(request.client_ip(), Instant::now()).map_err(|wait| wait.response("steps of logins"))
            }
            // A browser may always log out.
            Endpoint::LogOut | Endpoint::Page | Endpoint::ScanPage | Endpoint::Style | Endpoint::Script(_) | Endpoint::Stats => Ok(()),
        };
        if let Err(response) = taken {
            return reply.send(request.cors().dress(response));
        }
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
            desk: Arc::new(Desk::new(own.expires.get(), Credentials { login: login_secret, session: session_secret })),
            page: page.into_bytes().into(),
            stats: started.counters(),
            base: own.base.take(),
            acts: Limiter::new(own.rate.get()),
            asks: Limiter::new(own.rate.get().map(|_| ASKS)),
        }
    }

    fn answer(&self, endpoint: Endpoint, id: &str, request: &Request<'_>) -> Result<Response, Rejection> {
        Ok(match endpoint {
            Endpoint::Page => page(Arc::clone(&self.page)),
            Endpoint::ScanPage => page(include_str!("page/scan.html")),
            Endpoint::Style => file("text/css; charset=utf-8", include_str!("page/style.css")),
            Endpoint::Script(text) => file("text/javascript; charset=utf-8", text),
            Endpoint::Begin => self.begin(request)?,
            Endpoint::View | Endpoint::Wait => data(self.view(id, request)?.json()),
            Endpoint::ShortPoll(ShortPoll { again_ms, .. }) => {
                let view = self.view(id, request)?;
                data(view.json_with(view.can_change().then_some(again_ms)))
            }
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
                let (old, browser) = (session_secret(request), asker(request));
                let (secret, account) = self.desk.enter(id, login_secret(request, id).unwrap_or_default(), old, browser)?;
                let response = data(account_json(&account));
                let response = response.field("Set-Cookie", &self.cookie(request, "session", &secret, session::LIFE.as_secs()));
                response.field("Set-Cookie", &self.cookie(request, &login_cookie(id), "", 0))
            }
            Endpoint::Me => data(self.account(request).map_or_else(|| json!({ "user": null }).to_string(), |own| account_json(&own))),
            Endpoint::Devices => {
                let own = self.device(request)?;
                let list: Value = self.desk.devices(&own.user_id).iter().map(|device| device_json(device, &own)).collect();
                data(json!({ "devices": list }).to_string())
            }
            Endpoint::SignOut => {
                let own = self.device(request)?;
                let which = match id {
                    "all" => Which::All,
                    "others" => Which::Others(&own.device_id),
                    device_id => Which::One(device_id),
                };
                match self.desk.sign_out(&own, which) {
                    0 if matches!(which, Which::One(_)) => return Err(Rejection(404, "this device is not logged in any more".to_owned())),
                    count => data(json!({ "signed_out": count }).to_string()),
                }
            }
            Endpoint::Stats => {
                let all: BTreeMap<_, _> = self.stats.entries().chain(self.desk.counts()).collect();
                data(json!(all).to_string())
            }
            Endpoint::LogOut => {
                if let Some(secret) = session_secret(request) {
                    self.desk.log_out(secret);
                }
                Response::no_content().field("Set-Cookie", &self.cookie(request, "session", "", 0))
            }
        })
    }

    fn begin(&self, request: &Request<'_>) -> Result<Response, Rejection> {
        let desk::Begun { id, secret, life, remembered, after, now } = self.desk.begin(asker(request))?;
        let body = json!({
            "id": id,
            "url": self.scan_url(&id, request)?,
            "expires_in": life.as_secs_f64(),
            "topic": desk::topic(&id),
            "after": after,
            "now_ms": now.unix_ms,
            "first_ms": { "taobao": TAOBAO.first_ms, "jd": JD.first_ms },
        });
        // Each login has a cookie of its own name, so that the codes of two tabs do not overwrite
        // each other.
        let cookie = self.cookie(request, &login_cookie(&id), &secret, remembered.as_secs());
        Ok(data(body.to_string()).with_status(201).field("Set-Cookie", &cookie))
    }

    /// The state of a login, for the browser that began it.
    fn view(&self, id: &str, request: &Request<'_>) -> Result<View, Fault> {
        self.desk.view(id, login_secret(request, id).unwrap_or_default())
    }

    /// The device that sent a request.
    fn device(&self, request: &Request<'_>) -> Result<Session, Rejection> {
        let secret = session_secret(request).unwrap_or_default();
        let account = self.desk.find(secret);
        account
            .map(|account| account.session)
            .ok_or_else(|| Rejection(403, format!("this browser is not logged in: {}", self.desk.why_not(secret))))
    }

    /// The browser's session.
    fn account(&self, request: &Request<'_>) -> Option<Account> {
        self.desk.find(session_secret(request)?)
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

fn account_json(account: &Account) -> String {
    let Session { user, device_id, .. } = &account.session;
    json!({ "user": user, "device": device_id, "topics": account.topics(), "after": account.after }).to_string()
}

/// A device, as `own`, another device of the same user, is shown it.
fn device_json(device: &Session, own: &Session) -> Value {
    let Session { device_id, browser, since_ms, .. } = device;
    let Asker { browser, address } = browser;
    json!({ "id": device_id, "browser": browser, "address": address, "since_ms": since_ms, "is_this": *device_id == own.device_id })
}

/// The browser that sent a request.
fn asker(request: &Request<'_>) -> Asker {
    Asker {
        browser: agent::name(request.field_bytes("User-Agent")),
        address: request.client_ip().map_or_else(|| request.peer().to_string(), |ip| ip.to_string()),
    }
}

fn login_cookie(id: &str) -> String {
    format!("login-{id}")
}

/// The secret of the browser that began the login.
fn login_secret<'a>(request: &Request<'a>, id: &str) -> Option<&'a str> {
    cookie(request, &login_cookie(id))
}

/// The secret of a logged-in browser.
fn session_secret<'a>(request: &Request<'a>) -> Option<&'a str> {
    cookie(request, "session")
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

/// The parameters of `/wechat`: the code that the browser already knows, and the callback's name.
fn wait_query(request: &Request<'_>) -> Result<(u16, Option<String>), Rejection> {
    let (mut last, mut callback) = (View::NOTHING_YET, None);
    for (name, value) in request.query_values() {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.$".contains(&byte);
        match &*name {
            "last" => last = value.parse().map_err(|_| Rejection(400, "last must be a code, as in wechat?last=201".to_owned()))?,
            "callback" if (1..=64).contains(&value.len()) && value.bytes().all(is_plain) => callback = Some(value.into_owned()),
            "callback" => return Err(Rejection(400, "callback must be 1 to 64 characters of A-Z, a-z, 0-9, `_`, `.` and `$`".to_owned())),
            // Other parameters are ignored: libraries add some of their own, such as `_`.
            _ => {}
        }
    }
    Ok((last, callback))
}

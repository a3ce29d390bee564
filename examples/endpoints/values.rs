//! Queries, forms and cookies, by crates that exist for them.
//!
//! Owns the reading: one function of three lines for each. Leaves percent-encoding and syntax to
//! `form_urlencoded` (WHATWG URL, section 5) and `cookie` (RFC 6265).
//!
//! The library reads no bodies of forms. For a single parameter of a query or a single cookie that
//! needs no decoding, its [`Request::query_value`] and [`Request::cookie`] do without these crates.

use std::borrow::Cow;
use std::collections::HashMap;

use cookie::{Cookie, CookieJar, SameSite};
use pushlab::{Request, Response};

/// In characters.
const NAME_MAX: usize = 24;
const TIMES_MAX: usize = 10;

/// The values of a query or a form by their names. The last one of a name counts.
type Values<'a> = HashMap<Cow<'a, str>, Cow<'a, str>>;

fn query<'a>(request: &Request<'a>) -> Values<'a> {
    form_urlencoded::parse(request.query().unwrap_or_default().as_bytes()).collect()
}

fn form<'a>(request: &'a Request<'_>) -> Values<'a> {
    form_urlencoded::parse(request.body()).collect()
}

fn cookies(request: &Request<'_>) -> CookieJar {
    let mut jar = CookieJar::new();
    let sent = request.field_text("Cookie").unwrap_or_default().to_owned();
    Cookie::split_parse_encoded(sent).flatten().for_each(|cookie| jar.add_original(cookie));
    jar
}

/// `GET /greet?name=Ada&times=2`
pub(crate) fn greet(request: &Request<'_>) -> Response {
    let query = query(request);
    let name = query.get("name").map_or("stranger", |name| name);
    match query.get("times").map_or(Ok(1), |times| times.parse()) {
        Ok(times @ 1..=TIMES_MAX) if name.chars().count() <= NAME_MAX => Response::text(format!("hello, {name}\n").repeat(times)),
        Ok(1..=TIMES_MAX) => Response::text(format!("name must have at most {NAME_MAX} characters\n")).with_status(400),
        _ => {
            Response::text(format!("times must be a whole number from 1 to {TIMES_MAX}, as in /greet?name=Ada&times=2\n")).with_status(400)
        }
    }
}

/// `POST /name` with the form `name=Ada`. The answer sets a cookie, and leads a browser back to the
/// page.
pub(crate) fn set_name(request: &Request<'_>) -> Response {
    let form = form(request);
    let name = form.get("name").map_or("", |name| name.trim());
    if !is_name(name) {
        return Response::text(format!("name must have 1 to {NAME_MAX} characters in one line\n")).with_status(400);
    }
    let cookie = Cookie::build(("name", name)).path("/").http_only(true).same_site(SameSite::Strict);
    Response::status(303).field("Location", "/").field("Set-Cookie", &cookie.build().encoded().to_string()).no_store()
}

/// `GET /name`: the name in the cookie, or an empty line.
pub(crate) fn name(request: &Request<'_>) -> Response {
    Response::text(name_of(request).unwrap_or_default() + "\n").no_store()
}

/// The name in the cookie. A client can send any cookie: one that this server would not set counts
/// as none.
pub(crate) fn name_of(request: &Request<'_>) -> Option<String> {
    cookies(request).get("name").map(|cookie| cookie.value().to_owned()).filter(|name| is_name(name))
}

fn is_name(text: &str) -> bool {
    (1..=NAME_MAX).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

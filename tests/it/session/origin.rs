//! Which pages may act, which hosts a server answers for, and what an answer tells a browser about
//! both.
//!
//! Covers: session::origin, session::authority, session::cors, session::settings

use pushlab::proto::http1::Scheme;
use pushlab::session::{Origin, Reply, Request, Response, Settings, is_allowed_host, is_host_entry};

use super::rig::Rig;
use super::wire::Answer;

fn list(entries: &[&str]) -> Vec<String> {
    entries.iter().map(ToString::to_string).collect()
}

fn classify<'a>(value: &'a [u8], host: Option<&str>, entries: &[&str]) -> Origin<'a> {
    Origin::classify([value].into_iter(), host, Scheme::Http, &list(entries))
}

#[test]
fn the_servers_own_origin() {
    let table = [
        ("http://example.com", "example.com", true),
        ("https://example.com", "example.com", true),
        ("http://EXAMPLE.com", "example.COM", true),
        ("http://example.com:80", "example.com", true),
        ("http://example.com", "example.com:80", true),
        ("https://example.com", "example.com:443", true),
        ("https://example.com:443", "example.com", true),
        ("http://example.com:8080", "example.com:8080", true),
        ("http://[::1]:8080", "[::1]:8080", true),
        ("http://[::1]", "[::1]", true),
        ("http://[::1]", "[0:0::1]", true),
        ("http://example.com:", "example.com", true),
        ("http://example.com:443", "example.com", false),
        ("https://example.com", "example.com:80", false),
        ("http://example.com:8080", "example.com:8081", false),
        ("http://example.com:8080", "example.com", false),
        ("http://example.com", "example.com:8080", false),
        ("http://evil.example", "example.com", false),
        ("http://example.com.evil", "example.com", false),
        ("http://sub.example.com", "example.com", false),
        ("http://[::2]", "[::1]", false),
        ("http://::1", "[::1]", false),
        ("ftp://example.com", "example.com", false),
        ("null", "null", false),
        ("file://", "", false),
    ];
    for (origin, host, is_own) in table {
        let found = classify(origin.as_bytes(), Some(host), &[]);
        assert_eq!(found == Origin::Own(origin), is_own, "{origin:?} at {host:?}: {found:?}");
        assert_eq!(found.may_act(), is_own, "{origin:?} at {host:?}");
    }
    assert_eq!(classify(b"http://example.com", None, &[]), Origin::Foreign, "no host");
    // Beside a list.
    assert_eq!(classify(b"http://own.example", Some("own.example"), &["https://a.example"]), Origin::Own("http://own.example"));
    assert_eq!(classify(b"http://own.example", Some("own.example"), &["*"]), Origin::Own("http://own.example"));
}

#[test]
fn a_list() {
    let entries = [
        "https://a.example",
        "http://b.example:8080",
        "null",
        "FILE://",
        "http://[::1]",
        "app://localhost",
        "nonsense",
        "http://c.example/",
    ];
    let table = [
        ("https://a.example", true),
        ("HTTPS://A.example:443", true),
        ("http://b.example:8080", true),
        ("null", true),
        ("file://", true),
        ("http://[0:0:0:0:0:0:0:1]:80", true),
        ("app://localhost", true),
        ("http://a.example", false),
        ("https://a.example:8443", false),
        ("http://b.example", false),
        ("https://x.a.example", false),
        ("app://localhost:80", false),
        ("http://c.example", false),
    ];
    for (origin, is_listed) in table {
        let expected = if is_listed { Origin::Listed(origin) } else { Origin::Foreign };
        assert_eq!(classify(origin.as_bytes(), Some("own.example"), &entries), expected, "{origin:?}");
    }
    assert_eq!(Origin::classify([].into_iter(), Some("own.example"), Scheme::Http, &list(&entries)), Origin::Absent);
    assert!(Origin::Absent.may_act() && Origin::Any.may_act());
    for origin in ["http://anything.example", "null", "file://"] {
        assert_eq!(classify(origin.as_bytes(), None, &["*"]), Origin::Any, "{origin}");
        assert_eq!(classify(origin.as_bytes(), None, &[]), Origin::Foreign, "{origin}");
    }
}

/// Nothing allows these: neither a list that has the same text, nor `*`.
#[test]
fn what_is_no_origin() {
    for value in [
        &b""[..],
        b"*",
        b"nonsense",
        b"own.example",
        b"://own.example",
        b"http://",
        b"https://:80",
        b"http:///",
        b"file:///",
        b"file:///etc",
        b"http://own.example/",
        b"http://own.example/path",
        b"http://own.example?",
        b"http://own.example#",
        b"http://me@own.example",
        b"http://own.example http://evil.example",
        b"http://own.example, http://evil.example",
        b"http://own.example,http://evil.example",
        b"null, http://own.example",
        b"null,http://own.example",
        b"null null",
        b"http://own.example:x",
        b"http://own.example:-1",
        b"http://own.example:65616", // 80 after an overflow
        b"http://[::1",
        b"http://[1.2.3.4]",
        b"http://[::1]x",
        b"1http://own.example",
        b"http://own.example\\evil.example",
        b"http://own\xFF.example",
        b"\xFF",
        b"http://\xC3\xB6wn.example",
    ] {
        let text = String::from_utf8_lossy(value);
        for entries in [&[][..], &["*"], &[&*text]] {
            assert_eq!(classify(value, Some("own.example"), entries), Origin::Malformed, "{text:?} with {entries:?}");
        }
        assert_eq!(Origin::is_entry(&text), *text == *"*", "{text:?}");
    }
    for values in [["http://own.example"; 2], ["http://own.example", "null"], ["", "http://own.example"]] {
        let values = values.map(str::as_bytes).into_iter();
        assert_eq!(Origin::classify(values, Some("own.example"), Scheme::Http, &list(&["*"])), Origin::Malformed, "a repeated field");
    }
    for entry in ["*", "null", "file://", "https://a.example", "http://[::1]:8080"] {
        assert!(Origin::is_entry(entry), "{entry}");
    }
    assert!(!Origin::is_entry("https://*.example"), "there are no patterns");
}

#[test]
fn hosts() {
    let entries = ["a.example", "b.example:8080", "c.example:80", "[::1]", "[::2]:8080", "127.0.0.1", "::3", "http://d.example"];
    for (host, is_allowed) in [
        ("a.example", true),
        ("A.EXAMPLE", true),
        ("a.example:1", true),
        ("a.example:", true),
        ("b.example:8080", true),
        ("B.example:8080", true),
        ("b.example", false),
        ("b.example:80", false),
        ("c.example", true),
        ("c.example:80", true),
        ("c.example:443", false),
        ("[::1]", true),
        ("[::1]:99", true),
        ("[0:0:0:0:0:0:0:1]", true),
        ("[::2]:8080", true),
        ("[::2]", false),
        ("127.0.0.1:8080", true),
        ("x.a.example", false),
        ("a.example.", false),
        ("a.example.evil", false),
        ("evil.example", false),
        ("::1", false),
        ("[::3]", false),
        ("d.example", false),
        ("", false),
    ] {
        assert_eq!(is_allowed_host(Some(host), Scheme::Http, &list(&entries)), is_allowed, "{host}");
        assert!(is_allowed_host(Some(host), Scheme::Http, &[]), "{host}: an empty list allows any host");
    }
    assert!(!is_allowed_host(None, Scheme::Http, &list(&entries)) && is_allowed_host(None, Scheme::Http, &[]));
    for entry in entries {
        assert_eq!(is_host_entry(entry), !matches!(entry, "::3" | "http://d.example"), "{entry}");
    }
    assert!(!is_host_entry("*") && !is_host_entry("*.example") && !is_host_entry(""));
}

/// Shows one request to an application that has GET and POST, and OPTIONS by [`Request::options`].
fn ask(settings: Settings, head: &str, fields: &str) -> Vec<Answer> {
    let mut rig = Rig::serving_with(settings, std::sync::Arc::default(), |request: &Request<'_>, reply: Reply<'_>| {
        let response = match request.method().as_str() {
            "OPTIONS" => request.options("GET, HEAD, POST, OPTIONS"),
            "POST" if !request.origin().may_act() => Response::status(403),
            _ => request.cors().dress(Response::text("done")),
        };
        reply.send(response);
    });
    rig.ask(format!("{head}\r\nContent-Length: 0\r\n{fields}\r\n"))
}

fn fields(answer: &Answer) -> [Option<&str>; 4] {
    [
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials",
        "Access-Control-Allow-Methods",
        "Access-Control-Allow-Private-Network",
    ]
    .map(|name| answer.field(name))
}

const METHODS: Option<&str> = Some("GET, HEAD, POST, OPTIONS");

#[test]
fn answers_and_preflights() {
    let one = "https://one.example";
    for (entries, origin, allowed, credentials, may_act) in [
        (&[][..], one, None, None, false),
        (&[], "http://a", Some("http://a"), None, true),
        (&[], "null", None, None, false),
        (&[one], one, Some(one), Some("true"), true),
        (&[one], "http://a", Some("http://a"), None, true),
        (&[one, "http://a"], "http://a", Some("http://a"), Some("true"), true),
        (&["null"], "null", Some("null"), None, true),
        (&["file://"], "file://", Some("file://"), Some("true"), true),
        (&["*"], one, Some("*"), None, true),
        (&["*", one], one, Some(one), Some("true"), true),
        (&["*", one], "https://two.example", Some("*"), None, true),
    ] {
        let settings = Settings { allow_origins: list(entries), allow_credentials: true, ..Settings::default() };
        let origin_line = format!("Origin: {origin}\r\n");
        let read = &ask(settings.clone(), "GET / HTTP/1.1\r\nHost: a", &origin_line)[0];
        assert_eq!(
            (read.status, read.field("Vary"), fields(read)),
            (200, Some("Origin"), [allowed, credentials, None, None]),
            "{entries:?} {origin}"
        );
        let change = &ask(settings.clone(), "POST / HTTP/1.1\r\nHost: a", &origin_line)[0];
        assert_eq!(change.status, if may_act { 200 } else { 403 }, "{entries:?} {origin}");

        let preflight = format!("{origin_line}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Private-Network: true\r\n");
        let preflight = &ask(settings.clone(), "OPTIONS / HTTP/1.1\r\nHost: a", &preflight)[0];
        let network = (may_act && entries.contains(&origin) && origin != "null").then_some("true");
        let methods = METHODS.filter(|_| may_act);
        assert_eq!((preflight.status, preflight.field("Vary"), preflight.field("Allow")), (204, Some("Origin"), METHODS));
        assert_eq!(fields(preflight), [allowed, credentials, methods, network], "{entries:?} {origin}");
        assert_eq!(preflight.field("Access-Control-Max-Age"), may_act.then_some("600"));

        // Without the question it is no preflight.
        let plain = &ask(settings, "OPTIONS / HTTP/1.1\r\nHost: a", &origin_line)[0];
        assert_eq!((plain.status, plain.field("Allow"), fields(plain)), (204, METHODS, [allowed, credentials, None, None]));
    }
}

#[test]
fn the_request_fields_of_a_preflight() {
    let ask = |allow_request_fields: Option<&[&str]>| {
        let mut settings = Settings { allow_origins: list(&["*"]), ..Settings::default() };
        if let Some(fields) = allow_request_fields {
            settings.allow_request_fields = list(fields);
        }
        let answers = ask(settings, "OPTIONS / HTTP/1.1\r\nHost: a", "Origin: null\r\nAccess-Control-Request-Method: GET\r\n");
        answers[0].field("Access-Control-Allow-Headers").map(str::to_owned)
    };
    let usual = "Authorization, Cache-Control, Content-Type, If-None-Match, Last-Event-ID, X-Requested-With";
    assert_eq!(ask(None).as_deref(), Some(usual));
    assert_eq!(ask(Some(&["X-Own", "X-Other"])).as_deref(), Some("X-Own, X-Other"));
    assert_eq!(ask(Some(&[])), None);
}

/// The handler does not see these requests. The connection goes on after a bad `Origin`, and ends
/// after a host that is not the server's.
#[test]
fn refused_before_the_handler() {
    let settings = Settings { allow_hosts: list(&["a", "[::1]:80"]), allow_origins: list(&["*"]), ..Settings::default() };
    let repeated = "Origin: http://a\r\nOrigin: http://a\r\n";
    for (head, fields, status, closes) in [
        ("GET / HTTP/1.1\r\nHost: a", "", 200, false),
        ("GET / HTTP/1.1\r\nHost: A:81", "", 200, false),
        ("GET / HTTP/1.0\r\nHost: [::1]", "", 200, true),
        ("GET http://a/ HTTP/1.1\r\nHost: evil", "", 200, false),
        ("GET http://evil/ HTTP/1.1\r\nHost: a", "", 421, true),
        ("GET / HTTP/1.1\r\nHost: evil", "", 421, true),
        ("POST / HTTP/1.1\r\nHost: a.evil", "", 421, true),
        ("OPTIONS / HTTP/1.1\r\nHost: evil", "", 421, true),
        ("OPTIONS * HTTP/1.1\r\nHost: evil", "", 421, true),
        ("GET / HTTP/1.1\r\nHost:", "", 421, true),
        ("GET / HTTP/1.0", "", 421, true),
        ("OPTIONS / HTTP/1.0", "", 421, true),
        ("GET / HTTP/1.1\r\nHost: a", repeated, 403, false),
        ("OPTIONS * HTTP/1.1\r\nHost: a", repeated, 403, false),
        ("GET / HTTP/1.1\r\nHost: a", "ORIGIN: a\r\n", 403, false),
        ("GET / HTTP/1.2\r\nHost: a", "Origin: a\r\n", 403, false),
        ("GET / HTTP/1.1\r\nHost: a", "Origin:\r\n", 403, false),
    ] {
        let answers = ask(settings.clone(), head, fields);
        assert_eq!(answers.len(), 1, "{head}");
        assert_eq!((answers[0].status, answers[0].announces_close()), (status, closes), "{head} {fields}");
        match status {
            403 => assert_eq!((answers[0].text(), answers[0].field("Vary")), ("this Origin is not allowed\n", Some("Origin"))),
            421 => assert_eq!(answers[0].text(), "this server does not answer for this host\n"),
            _ => {}
        }
    }
    let mut rig = Rig::with(settings);
    rig.send("HEAD / HTTP/1.1\r\nHost: evil\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let text = rig.text();
    assert!(text.starts_with("HTTP/1.1 421 ") && text.ends_with("\r\n\r\n"), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "what comes behind is not answered: {text}");
    assert_eq!((rig.stats().requests, rig.stats().remote_errors), (0, 1));
}

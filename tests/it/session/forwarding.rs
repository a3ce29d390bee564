//! Which proxies are believed, and what is believed of them.
//!
//! Covers: session::forwarding, session::forwarded

use std::sync::Arc;

use pushlab::session::{BadTrustedProxy, Forwarding, ForwardingField, Reply, Request, Response, Settings, TrustedProxy};

use super::rig::Rig;
use super::wire;

/// The address of the rig's peer.
const PEER: &str = "192.0.2.1";

fn trusting(proxies: &[&str], fields: &[ForwardingField]) -> Settings {
    let proxies = proxies.iter().map(|proxy| proxy.parse().unwrap()).collect();
    Settings { forwarding: Forwarding { proxies, fields: fields.to_vec() }, ..Settings::default() }
}

/// Every field is read, of the peer and of the network 10.0.0.0/8.
fn trusting_all() -> Settings {
    trusting(&[PEER, "10.0.0.0/8"], &ForwardingField::ALL)
}

/// What the handler sees: the client's address, `https` or `http`, and the host.
fn see(settings: &Settings, fields: &str) -> String {
    let mut rig = Rig::serving_with(settings.clone(), Arc::default(), |request: &Request<'_>, reply: Reply<'_>| {
        assert_eq!(request.peer().to_string(), "192.0.2.1:4711", "the peer does not change");
        let client = request.client_ip().map_or("-".to_owned(), |ip| ip.to_string());
        let scheme = if request.is_secure() { "https" } else { "http" };
        reply.send(Response::text(format!("{client} {scheme} {}", request.host().unwrap_or("-"))));
    });
    rig.ask(format!("GET / HTTP/1.1\r\nHost: a:80\r\n{fields}\r\n"))[0].text().to_owned()
}

#[test]
fn entries_of_the_list() {
    for (text, expected) in [
        ("192.0.2.1", Ok("192.0.2.1")),
        ("192.0.2.1/32", Ok("192.0.2.1")),
        ("192.0.2.0/24", Ok("192.0.2.0/24")),
        ("0.0.0.0/0", Ok("0.0.0.0/0")),
        ("128.0.0.0/1", Ok("128.0.0.0/1")),
        ("::/0", Ok("::/0")),
        ("2001:DB8::/32", Ok("2001:db8::/32")),
        ("::1", Ok("::1")),
        ("::1/128", Ok("::1")),
        ("::ffff:192.0.2.1", Ok("192.0.2.1")),
        ("::ffff:10.0.0.0/104", Ok("10.0.0.0/8")),
        ("::ffff:0.0.0.0/96", Ok("0.0.0.0/0")),
        ("unix", Ok("unix")),
        ("", Err(BadTrustedProxy::Address)),
        ("UNIX", Err(BadTrustedProxy::Address)),
        ("unix:/run/a.sock", Err(BadTrustedProxy::Address)),
        ("localhost", Err(BadTrustedProxy::Address)),
        ("*", Err(BadTrustedProxy::Address)),
        ("192.0.2.1:80", Err(BadTrustedProxy::Address)),
        ("[::1]", Err(BadTrustedProxy::Address)),
        ("192.0.2", Err(BadTrustedProxy::Address)),
        ("/8", Err(BadTrustedProxy::Address)),
        (" 192.0.2.1", Err(BadTrustedProxy::Address)),
        ("192.0.2.1/", Err(BadTrustedProxy::Prefix)),
        ("192.0.2.1/33", Err(BadTrustedProxy::Prefix)),
        ("192.0.2.1/032", Err(BadTrustedProxy::Prefix)),
        ("192.0.2.1/+32", Err(BadTrustedProxy::Prefix)),
        ("192.0.2.0/255.255.255.0", Err(BadTrustedProxy::Prefix)),
        ("::1/129", Err(BadTrustedProxy::Prefix)),
        ("::1/256", Err(BadTrustedProxy::Prefix)),
        ("192.0.2.1/24", Err(BadTrustedProxy::BitsBehindPrefix)),
        ("192.0.2.1/31", Err(BadTrustedProxy::BitsBehindPrefix)),
        ("1.0.0.0/0", Err(BadTrustedProxy::BitsBehindPrefix)),
        ("2001:db8::1/127", Err(BadTrustedProxy::BitsBehindPrefix)),
        ("::1/0", Err(BadTrustedProxy::BitsBehindPrefix)),
    ] {
        let found = text.parse::<TrustedProxy>().map(|proxy| proxy.to_string());
        assert_eq!(found.as_deref().map_err(|error| *error), expected, "{text:?}");
    }
    for field in ForwardingField::ALL {
        assert_eq!(field.name().to_lowercase().parse(), Ok(field));
    }
    assert!("X-Real-IP".parse::<ForwardingField>().is_err());
}

/// A network ends between two addresses.
#[test]
fn the_bounds_of_networks() {
    for (entry, peer_is_trusted) in [
        ("192.0.2.1", true),
        ("192.0.2.2", false),
        ("192.0.2.0/31", true),
        ("192.0.2.2/31", false),
        ("192.0.2.0/24", true),
        ("192.0.3.0/24", false),
        ("128.0.0.0/1", true),
        ("0.0.0.0/1", false),
        ("0.0.0.0/0", true),
        ("::/0", false),
        ("::ffff:192.0.2.0/120", true),
        ("::ffff:192.0.3.0/120", false),
        ("unix", false),
    ] {
        let seen = see(&trusting(&[entry], &ForwardingField::ALL), "X-Forwarded-For: 203.0.113.9\r\n");
        assert_eq!(seen, if peer_is_trusted { "203.0.113.9 http a:80" } else { "192.0.2.1 http a:80" }, "{entry}");
    }
    // The list also decides about the addresses on the way.
    for (entry, outer, passes) in [
        ("2001:db8::/32", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true),
        ("2001:db8::/32", "2001:db9::", false),
        ("2001:db8::/127", "2001:db8::1", true),
        ("2001:db8::/127", "2001:db8::2", false),
        ("2001:db8::1", "2001:db8::1", true),
        ("::/0", "2001:db8::1", true),
        ("::/0", "203.0.113.9", false),
        ("0.0.0.0/0", "2001:db8::1", false),
    ] {
        let seen = see(&trusting(&[PEER, entry], &ForwardingField::ALL), &format!("X-Forwarded-For: 198.51.100.7, {outer}\r\n"));
        let client = if passes { "198.51.100.7" } else { outer };
        assert_eq!(seen, format!("{client} http a:80"), "{entry} {outer}");
    }
}

/// By default, and for a peer that is not listed, the fields are the client's own invention.
#[test]
fn nothing_is_believed_without_trust() {
    let fields = "Forwarded: for=203.0.113.9;proto=https;host=evil\r\nX-Forwarded-For: 203.0.113.9\r\n\
                  X-Forwarded-Proto: https\r\nX-Forwarded-Host: evil\r\n";
    for settings in [
        Settings::default(),
        trusting(&[], &ForwardingField::ALL),
        trusting(&["192.0.2.2", "unix", "203.0.113.9"], &ForwardingField::ALL),
        trusting(&[PEER], &[]),
    ] {
        assert_eq!(see(&settings, fields), "192.0.2.1 http a:80", "{:?}", settings.forwarding);
    }
    // A field that is not listed is not read, because the proxies pass it on from the client.
    for (field, expected) in [
        (ForwardingField::Forwarded, "203.0.113.9 https evil"),
        (ForwardingField::XForwardedFor, "203.0.113.9 http a:80"),
        (ForwardingField::XForwardedProto, "192.0.2.1 https a:80"),
        (ForwardingField::XForwardedHost, "192.0.2.1 http evil"),
    ] {
        assert_eq!(see(&trusting(&[PEER], &[field]), fields), expected, "{field:?}");
    }
}

#[test]
fn the_walk_by_x_forwarded_for() {
    for (fields, expected) in [
        ("", "192.0.2.1"),
        ("X-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
        ("x-forwarded-for:203.0.113.9:4711\r\n", "203.0.113.9"),
        // What a client invents stands before what the proxies have written.
        ("X-Forwarded-For: 198.51.100.7, 203.0.113.9\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 10.0.0.1, 203.0.113.9\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 203.0.113.9, 10.1.2.3\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 198.51.100.7,203.0.113.9,10.1.2.3 , 10.255.255.255\r\n", "203.0.113.9"),
        // Two lines are one list.
        ("X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-For: 10.1.2.3\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 10.1.2.3\r\nX-Forwarded-For: 203.0.113.9\r\n", "203.0.113.9"),
        // All are proxies: the request was made by the outermost one.
        ("X-Forwarded-For: 10.0.0.7, 10.0.0.8\r\n", "10.0.0.7"),
        ("X-Forwarded-For: 2001:db8::1, 10.0.0.8\r\n", "2001:db8::1"),
        ("X-Forwarded-For: ::ffff:203.0.113.9\r\n", "203.0.113.9"),
        // Empty elements are none.
        ("X-Forwarded-For:\r\n", "192.0.2.1"),
        ("X-Forwarded-For: , ,\r\n", "192.0.2.1"),
        ("X-Forwarded-For: 203.0.113.9, ,\r\n", "203.0.113.9"),
        // The walk ends at what is not an address, and nothing behind it counts.
        ("X-Forwarded-For: 203.0.113.9, unknown\r\n", "-"),
        ("X-Forwarded-For: 203.0.113.9, nonsense, 10.0.0.8\r\n", "-"),
        ("X-Forwarded-For: nonsense, 203.0.113.9\r\n", "203.0.113.9"),
        ("X-Forwarded-For: \"10.0.0.8, 203.0.113.9\r\n", "203.0.113.9"),
        ("X-Forwarded-For: 203.0.113.9 10.0.0.8\r\n", "-"),
    ] {
        assert_eq!(see(&trusting_all(), fields), format!("{expected} http a:80"), "{fields}");
    }
}

#[test]
fn the_walk_by_forwarded() {
    for (fields, expected) in [
        ("Forwarded: for=203.0.113.9\r\n", "203.0.113.9 http a:80"),
        ("Forwarded: for=203.0.113.9;proto=https;host=\"push.example:8443\"\r\n", "203.0.113.9 https push.example:8443"),
        // Each element is about one proxy. The outermost trusted one knows the client, the scheme and
        // the host.
        ("Forwarded: for=203.0.113.9;proto=https;host=a.example, for=10.0.0.8;proto=http;host=inner\r\n", "203.0.113.9 https a.example"),
        ("Forwarded: for=10.0.0.8;proto=https;host=evil, for=203.0.113.9;proto=http;host=b\r\n", "203.0.113.9 http b"),
        ("Forwarded: for=198.51.100.7;proto=https;host=evil, for=203.0.113.9\r\n", "203.0.113.9 http a:80"),
        ("Forwarded: for=198.51.100.7;host=evil\r\nForwarded: for=203.0.113.9;proto=https\r\n", "203.0.113.9 https a:80"),
        ("Forwarded: for=10.0.0.7;proto=https, for=10.0.0.8\r\n", "10.0.0.7 https a:80"),
        ("Forwarded: for=\"[2001:db8::1]:1\"\r\n", "2001:db8::1 http a:80"),
        // A client that is hidden or unknown. The proxy that says so is trusted about the rest.
        ("Forwarded: for=_hidden;proto=https\r\n", "- https a:80"),
        ("Forwarded: for=203.0.113.9, for=unknown\r\n", "- http a:80"),
        ("Forwarded: proto=https\r\n", "- https a:80"),
        // A line that breaks the grammar says nothing, and ends the walk.
        ("Forwarded: for=203.0.113.9;;proto=https x\r\n", "- http a:80"),
        ("Forwarded: for=\"_x, for=203.0.113.9;proto=https\r\n", "- http a:80"),
        ("Forwarded: for=\"_x\r\nForwarded: for=203.0.113.9;proto=https\r\n", "203.0.113.9 https a:80"),
        ("Forwarded: for=203.0.113.9;proto=https\r\nForwarded: for=10.0.0.8\"\r\n", "- http a:80"),
        ("Forwarded: for=203.0.113.9\r\nForwarded:\r\n", "203.0.113.9 http a:80"),
        // It has precedence, even if it says nothing.
        ("Forwarded: for=203.0.113.9\r\nX-Forwarded-For: 198.51.100.7\r\nX-Forwarded-Proto: https\r\n", "203.0.113.9 http a:80"),
        ("Forwarded:\r\nX-Forwarded-For: 198.51.100.7\r\n", "192.0.2.1 http a:80"),
        // A host that is not one.
        ("Forwarded: for=203.0.113.9;host=\"a b\"\r\n", "203.0.113.9 http -"),
        ("Forwarded: for=203.0.113.9;host=\"a\\.example\"\r\n", "203.0.113.9 http a.example"),
        ("Forwarded: for=203.0.113.9;host=\"\"\r\n", "203.0.113.9 http -"),
        ("Forwarded: for=203.0.113.9;proto=gopher\r\n", "203.0.113.9 http a:80"),
    ] {
        assert_eq!(see(&trusting_all(), fields), expected, "{fields}");
    }
}

#[test]
fn the_scheme_and_the_host_by_x_fields() {
    for (fields, expected) in [
        ("X-Forwarded-Proto: https\r\n", "https a:80"),
        ("X-Forwarded-Proto: HTTPS\r\n", "https a:80"),
        ("X-Forwarded-Proto: wss\r\n", "https a:80"),
        ("X-Forwarded-Proto: http\r\n", "http a:80"),
        // The last value is the one of the nearest proxy.
        ("X-Forwarded-Proto: https, http\r\n", "http a:80"),
        ("X-Forwarded-Proto: http, https\r\n", "https a:80"),
        ("X-Forwarded-Proto: https\r\nX-Forwarded-Proto: http\r\n", "http a:80"),
        ("X-Forwarded-Proto: https,\r\n", "https a:80"),
        ("X-Forwarded-Proto: nonsense\r\n", "http a:80"),
        ("X-Forwarded-Proto: https, nonsense\r\n", "http a:80"),
        ("X-Forwarded-Proto:\r\n", "http a:80"),
        ("X-Forwarded-Host: push.example:8443\r\n", "http push.example:8443"),
        ("X-Forwarded-Host: evil, push.example\r\n", "http push.example"),
        ("X-Forwarded-Host: [::1]:80\r\n", "http [::1]:80"),
        ("X-Forwarded-Host:\r\n", "http a:80"),
        ("X-Forwarded-Host: http://push.example\r\n", "http -"),
        ("X-Forwarded-Host: push.example/x\r\n", "http -"),
        ("X-Forwarded-Host: a b\r\n", "http -"),
        ("X-Forwarded-Host: a:65536\r\n", "http -"),
    ] {
        assert_eq!(see(&trusting_all(), fields), format!("192.0.2.1 {expected}"), "{fields}");
    }
    let mut rig = Rig::serving_with(trusting_all(), Arc::default(), |request: &Request<'_>, reply: Reply<'_>| {
        reply.send(Response::text(format!("{:?}", request.forwarded_for())));
    });
    let seen = rig.ask("GET / HTTP/1.1\r\nHost: a\r\nForwarded: for=\"_me:9\"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(seen[0].text(), "Some(Obfuscated(\"_me\"))");
    assert_eq!(seen[1].text(), "None");
    // A value beyond ASCII is not a host.
    let mut rig = Rig::serving_with(trusting_all(), Arc::default(), |request: &Request<'_>, reply: Reply<'_>| {
        reply.send(Response::text(format!("{:?}", request.host())));
    });
    assert_eq!(rig.ask(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: \xFF\r\n\r\n")[0].text(), "None");
}

/// A page of https://push.example, behind a proxy that ends TLS and has a name of its own for the
/// server. The origin rule and the list of hosts use what the proxy forwards.
#[test]
fn rules_about_origins_and_hosts() {
    let forwarded = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: push.example\r\n";
    let rfc_7239 = "Forwarded: for=203.0.113.9;proto=https;host=push.example\r\n";
    for (fields, origin, trusted, untrusted) in [
        (forwarded, "https://push.example", 200, 403),
        (rfc_7239, "https://push.example", 200, 403),
        // With the scheme of the client, a page of the other scheme has another origin.
        (forwarded, "http://push.example", 403, 403),
        (rfc_7239, "http://push.example", 403, 403),
        (forwarded, "https://upstream", 403, 200),
        (forwarded, "https://evil.example", 403, 403),
        ("X-Forwarded-Host: push.example\r\n", "https://push.example", 200, 403),
        ("X-Forwarded-Host: nonsense//\r\n", "http://upstream", 403, 200),
        ("X-Forwarded-Proto: https\r\n", "https://upstream", 200, 200),
        ("X-Forwarded-Proto: https\r\n", "http://upstream", 403, 200),
        ("", "http://upstream", 200, 200),
    ] {
        for (settings, expected) in [(trusting_all(), trusted), (Settings::default(), untrusted)] {
            let mut rig = Rig::serving_with(settings, Arc::default(), |request: &Request<'_>, reply: Reply<'_>| {
                reply.send(Response::status(if request.origin().may_act() { 200 } else { 403 }));
            });
            let head = format!("GET / HTTP/1.1\r\nHost: upstream\r\nOrigin: {origin}\r\n{fields}\r\n");
            assert_eq!(rig.ask(&head)[0].status, expected, "{head}");
        }
        // A WebSocket handshake gets the same decision.
        let mut rig = Rig::with(trusting_all());
        let handshake = wire::upgrade("/ws").replace("Host: a", &format!("Host: upstream\r\nOrigin: {origin}\r\n{fields}X: y"));
        assert_eq!(rig.ask(handshake)[0].status, if trusted == 200 { 101 } else { 403 }, "{origin} {fields}");
    }
    for (fields, trusted, untrusted) in [
        ("X-Forwarded-Host: push.example\r\n", 200, 421),
        ("Forwarded: host=push.example\r\n", 200, 421),
        ("X-Forwarded-Host: evil\r\n", 421, 421),
        ("X-Forwarded-Host: push.example/\r\n", 421, 421),
        ("", 421, 421),
    ] {
        for (settings, expected) in [(trusting_all(), trusted), (Settings::default(), untrusted)] {
            let settings = Settings { allow_hosts: vec!["push.example".to_owned()], ..settings };
            let answer = |_: &Request<'_>, reply: Reply<'_>| reply.send(Response::status(200));
            let mut rig = Rig::serving_with(settings, Arc::default(), answer);
            assert_eq!(rig.ask(format!("GET / HTTP/1.1\r\nHost: upstream\r\n{fields}\r\n"))[0].status, expected, "{fields}");
        }
    }
}

/// A body that arrives in parts, and requests one behind the other, each with its own fields.
#[test]
fn each_request_has_its_own_client() {
    let mut rig = Rig::serving_with(trusting_all(), Arc::default(), |request: &Request<'_>, reply: Reply<'_>| {
        reply.send(Response::text(format!("{:?} {}", request.client_ip(), request.body().len())));
    });
    let request = |ip: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nX-Forwarded-For: {ip}\r\n\r\nbody");
    let both = request("203.0.113.9") + &request("2001:db8::1") + "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let mut seen = Vec::new();
    for byte in both.into_bytes() {
        seen.extend(rig.ask([byte]).iter().map(|answer| answer.text().to_owned()));
    }
    assert_eq!(seen, ["Some(203.0.113.9) 4", "Some(2001:db8::1) 4", "Some(192.0.2.1) 0"]);
}

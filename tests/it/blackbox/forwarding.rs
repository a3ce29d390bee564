//! The client behind a proxy, over real sockets.
//!
//! Covers: session::forwarded

use pushlab::session::{Forwarding, ForwardingField};

use super::{IoModel, Lab, both};

fn trusting(model: IoModel, proxy: &str, fields: &[ForwardingField]) -> Lab {
    let forwarding = Forwarding { proxies: vec![proxy.parse().unwrap()], fields: fields.to_vec() };
    Lab::with(model, |config| config.settings.forwarding = forwarding)
}

/// The answer to one request of `/client` with these fields, on a connection that goes on.
fn see(client: &mut super::Client, fields: &str) -> String {
    client.send(format!("GET /client HTTP/1.1\r\nHost: inner\r\n{fields}\r\n"));
    client.answer().text().to_owned()
}

both! {
    /// One connection of a proxy carries the requests of many clients.
    fn the_requests_of_several_clients(model) {
        let lab = trusting(model, "127.0.0.0/8", &ForwardingField::ALL);
        let mut proxy = lab.connect();
        let is_tls = see(&mut proxy, "") == "127.0.0.1 true inner";
        for (fields, expected) in [
            ("X-Forwarded-For: 203.0.113.9\r\n", format!("203.0.113.9 {is_tls} inner")),
            ("X-Forwarded-For: 198.51.100.7, 203.0.113.9, 127.0.0.3\r\nX-Forwarded-Proto: https\r\n", "203.0.113.9 true inner".to_owned()),
            // The proxy connects over TLS, and its client did not.
            ("X-Forwarded-Proto: http\r\nX-Forwarded-Host: outer:81\r\n", "127.0.0.1 false outer:81".to_owned()),
            ("Forwarded: for=\"[2001:db8::1]\";proto=https;host=outer\r\n", "2001:db8::1 true outer".to_owned()),
            ("Forwarded: for=\"2001:db8::1\r\n", format!("- {is_tls} inner")),
            ("", format!("127.0.0.1 {is_tls} inner")),
        ] {
            assert_eq!(see(&mut proxy, fields), expected, "{fields}");
        }
        assert_eq!(lab.stats().accepted, 1);
    }

    fn a_peer_that_is_not_trusted(model) {
        for (proxy, fields) in [("127.0.0.2", &ForwardingField::ALL[..]), ("127.0.0.1", &[])] {
            let lab = trusting(model, proxy, fields);
            let mut client = lab.connect();
            let direct = see(&mut client, "");
            let forged = "Forwarded: for=203.0.113.9;proto=https;host=outer\r\nX-Forwarded-For: 203.0.113.9\r\n\
                          X-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n";
            assert_eq!(see(&mut client, forged), direct, "{proxy}");
        }
    }

    /// A page of https://outer publishes and opens a WebSocket. The proxy ends TLS, and calls the
    /// server by another name.
    fn the_page_of_a_proxy_that_ends_tls(model) {
        let fields = [ForwardingField::XForwardedProto, ForwardingField::XForwardedHost];
        for (lab, published, opened) in [(trusting(model, "127.0.0.1", &fields), 202, 101), (trusting(model, "127.0.0.2", &fields), 403, 403)] {
            let page = "Host: inner\r\nOrigin: https://outer\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\n";
            let mut client = lab.connect();
            client.send(format!("POST /topics/t HTTP/1.1\r\n{page}Content-Length: 1\r\n\r\nx"));
            assert_eq!(client.answer().status, published);
            client.send(format!(
                "GET /topics/t/ws HTTP/1.1\r\n{page}Upgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            ));
            assert_eq!(client.answer_head().status, opened);
        }
    }
}

//! Answers to clients that break a rule: they must be readable, although the client may still be sending.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Lab, NET, both, eventually};

both! {
    fn errors_can_be_read(model) {
        let lab = Lab::start(model);
        let long = "x".repeat(9_000);
        let cases = [
            (400, "GET / HTTP/1.1\r\n\r\n".to_owned()),
            (400, "\u{16}\u{3}\u{1}".to_owned()),
            (400, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
            (413, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n".to_owned()),
            (414, format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n")),
            (417, "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: more\r\nContent-Length: 1\r\n\r\n".to_owned()),
            (431, format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\nB: {long}\r\n\r\n")),
            (431, format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(100))),
            (501, "BREW / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned()),
            (505, "GET / HTTP/2.0\r\nHost: x\r\n\r\n".to_owned()),
        ];
        for (status, input) in &cases {
            let mut client = lab.connect();
            client.send(input);
            let answer = client.answer();
            assert_eq!((answer.status, answer.field("Connection")), (*status, Some("close")), "{input:.60}");
            client.expect_end();
        }
        assert_eq!(lab.stats().remote_errors, cases.len() as u64);
    }

    /// The client has sent megabytes past the answer when it reads it: no reset may take the answer away.
    fn too_large_while_still_sending(model) {
        let lab = Lab::start(model);
        let chunk = [b"10000\r\n".as_slice(), &vec![b'x'; 0x10000], b"\r\n"].concat();
        let mut client = lab.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        for _ in 0..100 {
            client.send(&chunk);
        }
        client.send("0\r\n\r\n");
        client.end_sending();
        assert_eq!(client.answer().status, 413);
        client.expect_end();

        let mut client = lab.connect();
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8000000\r\n\r\n");
        for _ in 0..80 {
            client.send(vec![b'x'; 100_000]);
        }
        assert_eq!(client.answer().status, 413);
        client.expect_end();
    }

    /// The server listens on after its answer, but not for ever.
    fn lingering_ends_though_the_client_goes_on(model) {
        let lab = Lab::with(model, |config| config.settings.limits.close_timeout = Duration::from_millis(50));
        let mut client = lab.connect();
        client.send("GET / HTTP/9.9\r\n\r\n");
        let start = Instant::now();
        while client.stream.write_all(&[b'x'; 10_000]).is_ok() {
            assert!(start.elapsed() < NET, "the server reads for ever");
        }
        eventually("the connection has ended", || lab.stats().open == 0);
    }

    fn slow_heads_and_bodies(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.protocol.head_timeout = Duration::from_millis(50);
            config.settings.limits.protocol.body_timeout = Duration::from_millis(50);
        });
        for (before, part) in [
            ("", "GET /hel"),
            ("", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nHel"),
            ("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHel"),
        ] {
            let mut client = lab.connect();
            if !before.is_empty() {
                client.send(before);
                assert_eq!(client.answer().status, 200);
            }
            client.send(part);
            assert_eq!(client.answer().status, 408, "{part}");
            client.expect_end();
        }
    }

    /// A byte now and then does not prolong the time of a head.
    fn trickled_head(model) {
        let lab = Lab::with(model, |config| config.settings.limits.protocol.head_timeout = Duration::from_millis(60));
        let mut client = lab.connect();
        client.stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        let start = Instant::now();
        client.send("GET /");
        let mut byte = [0];
        while std::io::Read::read(&mut client.stream, &mut byte).is_err() {
            assert!(start.elapsed() < NET, "the head may take for ever");
            let _ = client.stream.write(b"x");
        }
        client.stream.set_read_timeout(Some(NET)).unwrap();
        assert!(client.take_until(b"\r\n").ends_with(b"408 Request Timeout\r\n"));
    }
}

//! A server of a few fixed answers around one connection, which writes down what happens. `blackbox::cases` has the same answers.

use std::time::{Instant, SystemTime};

use pushlab::proto::http1::{BodySize, Conn, Content, Event, Head, Next, ResponseHead};
use pushlab::proto::{Frame, Now, Outbox, ProtocolLimits, RemoteError};

/// A fixed reading of the clocks; the date is the first of 1970.
pub fn epoch() -> Now {
    Now::new(Instant::now(), SystemTime::UNIX_EPOCH)
}

/// What waits in an outbox.
pub fn wire(out: &Outbox) -> Vec<u8> {
    out.chunks().flatten().copied().collect()
}

/// A fresh connection that has read this whole request.
pub fn with_request(request: &str, now: &Now, limits: &ProtocolLimits) -> Conn {
    let (mut conn, mut out) = (Conn::new(now.instant(), limits), Outbox::new());
    let (used, next) = conn.next_event(now.instant(), request.as_bytes(), &mut out, limits).unwrap();
    assert!(matches!((used, next), (used, Next::Event(Event::Head(_))) if used == request.len()), "{request:?} is one whole head");
    conn
}

pub struct Peer {
    conn: Conn,
    now: Now,
    limits: ProtocolLimits,
    out: Outbox,
    input: Vec<u8>,
    path: String,
    transcript: Vec<String>,
    body: Vec<u8>,
    /// What answers a request that has no other answer: its path and its body.
    echo: Vec<u8>,
    refused: bool,
}

impl Peer {
    /// What came of an input in these pieces, and the end of file behind it: the transcript and the output.
    pub fn run(input: &[u8], pieces: &[usize], limits: &ProtocolLimits) -> (Vec<String>, Vec<u8>) {
        let now = epoch();
        let mut peer = Self {
            conn: Conn::new(now.instant(), limits),
            now,
            limits: limits.clone(),
            out: Outbox::new(),
            input: Vec::new(),
            path: String::new(),
            transcript: Vec::new(),
            body: Vec::new(),
            echo: Vec::new(),
            refused: false,
        };
        let mut rest = input;
        for &piece in pieces {
            let (piece, after) = rest.split_at(piece);
            rest = after;
            peer.input.extend_from_slice(piece);
            while !peer.refused && peer.step() {}
        }
        peer.finish();
        (peer.transcript, wire(&peer.out))
    }

    /// One event. Returns whether there may be another.
    fn step(&mut self) -> bool {
        let input = std::mem::take(&mut self.input);
        let (used, again) = match self.conn.next_event(self.now.instant(), &input, &mut self.out, &self.limits) {
            Ok((used, Next::Event(event))) => {
                match event {
                    Event::Head(head) => {
                        self.transcript.push(describe(&head));
                        head.path().clone_into(&mut self.path);
                        head.path().as_bytes().clone_into(&mut self.echo);
                        if head.content() == Content::None || self.path == "/early" {
                            self.respond();
                        }
                    }
                    Event::Body(bytes) => {
                        assert!(!bytes.is_empty(), "a body event carries bytes");
                        self.body.extend_from_slice(bytes);
                        self.echo.extend_from_slice(bytes);
                    }
                    Event::End => {
                        self.flush_body();
                        self.transcript.push("end".to_owned());
                        self.respond();
                    }
                }
                (used, true)
            }
            Ok((used, Next::NeedData)) => {
                assert!(used == input.len() || !self.conn.is_closing(), "a closing connection consumes everything");
                (used, false)
            }
            Ok((used, Next::Paused)) => (used, false),
            Err(error) => {
                self.refuse(error);
                (input.len(), false)
            }
        };
        self.input = input;
        self.input.drain(..used);
        again
    }

    fn flush_body(&mut self) {
        if !self.body.is_empty() {
            self.transcript.push(format!("body \"{}\"", self.body.escape_ascii()));
            self.body.clear();
        }
    }

    fn refuse(&mut self, error: RemoteError) {
        self.flush_body();
        self.transcript.push(format!("error {error:?} {}", error.status()));
        self.conn.send_error(&self.now, error, &mut self.out);
        self.refused = true;
    }

    fn respond(&mut self) {
        let (conn, now, out) = (&mut self.conn, &self.now, &mut self.out);
        match self.path.as_str() {
            "/none" => conn.send_response(now, &ResponseHead::new(204, ""), b"", out),
            "/same" => conn.send_response(now, &ResponseHead { fields: b"ETag: \"a\"\r\n", ..ResponseHead::new(304, "") }, b"", out),
            "/fixed" => {
                let head = ResponseHead { fields: b"Allow: GET, HEAD\r\n", ..ResponseHead::new(405, "text/plain; charset=utf-8") };
                conn.send_response(now, &head, b"405 Method Not Allowed\n", out)
            }
            "/reset" => conn.send_response(now, &ResponseHead::new(205, ""), b"", out),
            "*" => {
                let fields = b"Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n";
                conn.send_response(now, &ResponseHead { fields, ..ResponseHead::new(204, "") }, b"", out)
            }
            "/upgrade" => conn.send_switching_protocols(now, b"Sec-WebSocket-Accept: x\r\n", out),
            "/stream" => conn.send_head(now, &ResponseHead::new(200, "text/plain"), BodySize::Stream, out).and_then(|()| {
                conn.send_body(b"one\n", out)?;
                conn.send_body(b"", out)?;
                conn.send_frame(&Frame::chunk(b"two\n"), out)?;
                conn.send_frame(&Frame::text("three\n"), out)?;
                conn.send_end(now, out)
            }),
            _ => conn.send_response(now, &ResponseHead::new(200, "text/plain"), self.echo.clone(), out),
        }
        .unwrap();
    }

    fn finish(&mut self) {
        self.flush_body();
        let last = if self.refused {
            return;
        } else if self.conn.is_closing() {
            "closing".to_owned()
        } else if !self.conn.is_idle() && !self.conn.awaits_response() && self.path == "/upgrade" {
            format!("switched \"{}\"", self.input.escape_ascii())
        } else {
            match self.conn.handle_eof() {
                Ok(()) => "eof".to_owned(),
                Err(error) => {
                    self.conn.send_error(&self.now, error, &mut self.out);
                    format!("eof {error:?}")
                }
            }
        };
        self.transcript.push(last);
    }
}

fn describe(head: &Head<'_>) -> String {
    let content = match head.content() {
        Content::None => String::new(),
        Content::Length(length) => format!(" length={length}"),
        Content::Chunked => " chunked".to_owned(),
    };
    let query = head.query().map_or(String::new(), |query| format!("?{query}"));
    let host = head.host().map_or(String::new(), |host| format!(" host={host}"));
    let close = if head.keep_alive() { "" } else { " close" };
    let expects = if head.expects_continue() { " continue" } else { "" };
    let websocket = if head.upgrades_to_websocket() { " websocket" } else { "" };
    format!("{} {}{query} {}{content}{host}{close}{expects}{websocket}", head.method(), head.path(), head.version())
}

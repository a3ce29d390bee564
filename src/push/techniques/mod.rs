//! The techniques of server push, one file each, and their list.
//!
//! Each file has `TECHNIQUE`, the descriptor of the technique, and `serve`, which answers a request.
//! `jsonp` has no `serve`, because JSONP is a form of the answers of `short_poll` and `long_poll`.
//! Owns what differs between techniques: heads, framing, the encoding of gaps, and when a response
//! ends. Owns `Hub::handle`, too, by which requests enter the hub. Leaves access checks to `http`,
//! and the encoding of messages to `model`.

mod iframe;
mod jsonp;
mod long_poll;
mod meta_refresh;
mod multipart;
mod short_poll;
mod sse;
mod stream;
mod websocket;

use crate::push::http::{Mounted, Router, Technique};
use crate::push::hub::Hub;
use crate::session::{Reply, Request};

/// The techniques of every hub. Error messages and counters list them in this order.
pub const TECHNIQUES: &[&Technique] = &[
    &meta_refresh::TECHNIQUE,
    &short_poll::TECHNIQUE,
    &long_poll::TECHNIQUE,
    &jsonp::TECHNIQUE,
    &stream::TECHNIQUE,
    &iframe::TECHNIQUE,
    &multipart::TECHNIQUE,
    &sse::TECHNIQUE,
    &websocket::TECHNIQUE,
];

impl Hub {
    /// Serves a request below the hub's prefix: `POST` and `GET {prefix}/{topic}`, `GET
    /// {prefix}/{topics}/{technique}`, `POST` and `DELETE {prefix}/{topics}/control`, and `OPTIONS` on
    /// these paths.
    ///
    /// [`Settings::allow_origins`](crate::Settings::allow_origins) decides which pages of other
    /// origins may use the hub. If a page of any other origin publishes, changes topics, or opens a
    /// WebSocket, its request gets 403. Its GET is answered without the fields that would let the page
    /// read the answer.
    pub fn handle<'r>(&self, request: &Request<'_>, reply: Reply<'r>) -> Mounted<'r> {
        self.handle_with(&[], request, reply)
    }

    /// As [`handle`](Self::handle), with further techniques, which get the same checks and counters.
    /// A technique whose path one of [`TECHNIQUES`] has, or whose path is `control`, is never called.
    ///
    /// ```
    /// use pushlab::push::{Call, Encoding, Endpoint, Hub, Mounted, Payload, Technique};
    /// use pushlab::{Frame, Reply, Request, Response};
    /// /// `GET {prefix}/{topics}/lines`: one line for each message, and three dots for a gap.
    /// const LINES: Technique = Technique::new("lines", Endpoint { path: "lines", parameters: &["numbers"], serve });
    /// const PLAIN: Encoding = Encoding {
    ///     message: |message| line("", message.bytes()),
    ///     gap: Some(|_| line("", b"...")),
    ///     end: Some(|word| line("# ", word.sentence().as_bytes())),
    /// };
    /// const NUMBERED: Encoding = Encoding {
    ///     message: |message| line(&format!("{} ", message.id()), message.bytes()),
    ///     ..PLAIN
    /// };
    /// fn line(start: &str, text: &[u8]) -> Frame {
    ///     Frame::chunk(&[start.as_bytes(), text, b"\n"].concat())
    /// }
    /// fn serve(call: &Call<'_>, reply: Reply<'_>) {
    ///     let encoding = if call.parameter("numbers") == Some("1") { NUMBERED } else { PLAIN };
    ///     match call.subscribe(encoding) {
    ///         Ok(subscription) => {
    ///             let mut stream = reply.stream(call.dress(Response::text("")));
    ///             stream.heartbeat(b"\n");
    ///             # stream.end_after(1);
    ///             stream.feed(subscription);
    ///         }
    ///         Err(rejection) => call.reject(reply, &rejection),
    ///     }
    /// }
    /// let hub = Hub::default();
    /// hub.publish("news", Payload::text("it works"))?;
    /// let app = move |request: &Request<'_>, reply: Reply<'_>| match hub.handle_with(&[&LINES], request, reply) {
    ///     Mounted::Handled => {}
    ///     Mounted::NotMine(reply) => reply.send(Response::status(404)),
    /// };
    /// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
    /// # serve_once(app, &["/topics/news/lines?after=earliest&numbers=1", "/topics/news/lines?after=none", "/topics/news/poll"]);
    /// # Ok::<(), pushlab::push::PublishError>(())
    /// ```
    pub fn handle_with<'r>(&self, techniques: &[&Technique], request: &Request<'_>, reply: Reply<'r>) -> Mounted<'r> {
        Router { hub: self, own: TECHNIQUES, added: techniques }.handle(request, reply)
    }
}

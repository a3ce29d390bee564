//! What a session is given from outside at every call.
//!
//! Owns the handler's trait, the settings of all sessions of a server, and the bundle of references
//! in which a driver hands them over. Leaves everything that belongs to one connection to the session.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{RemoteSource, Reply, Request, SlowConsumer, Stats};
use crate::proto::{Limits, Now};

/// The application: answers requests. Implemented by every `Fn(&Request, Reply)` that is `Send + Sync`.
///
/// On the event loop it runs on the loop's thread: what takes long is handed to another thread, and answered through
/// [`Reply::hold`]. With a thread per connection it may block.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request by consuming its reply.
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>);
}

impl<F> Handler for F
where
    F: Fn(&Request<'_>, Reply<'_>) + Send + Sync + 'static,
{
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        self(request, reply);
    }
}

/// What holds for every connection of a server, whatever drives it.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every bound in size and time.
    pub limits: Limits,
    /// What happens to a reader that is slower than its messages.
    pub slow_consumer: SlowConsumer,
    /// Origins whose pages may act here, beside the server's own: each as `scheme://host[:port]`,
    /// `null`, `file://`, or `*` for any. Default none. [`Origin`](super::Origin) is the rule, and
    /// it is one rule for everything: a WebSocket handshake of another origin gets 403, and a hub
    /// refuses to publish for its pages. A page of another origin can send a GET, and its browser
    /// keeps the answer from it. A request with a repeated or a malformed `Origin` gets 403 before
    /// the handler is called. A request without `Origin` is allowed (RFC 6455, section 10.2).
    pub allow_origins: Vec<String>,
    /// Whether pages of listed origins may send cookies along and read the answers. Default no. It
    /// never holds for `*`, and never for `null`, which is the origin of a sandboxed frame of any
    /// site.
    pub allow_credentials: bool,
    /// The request fields that pages of other origins may set, beside those that need no permission
    /// (WHATWG Fetch, section 2.2.2). The answer to a preflight names them. Default: what the
    /// techniques of [`push`](crate::push) and common client libraries send.
    pub allow_request_fields: Vec<String>,
    /// The hosts that this server answers for, each as `host` or `host:port`, an IPv6 address in
    /// brackets. Names are compared without regard to case. An entry without a port allows every
    /// port; an entry with one allows this port alone, and a request that names no port has the
    /// default port of `http` or `https`.
    ///
    /// Default empty: any host. Then a page whose name was made to point at this server (DNS
    /// rebinding) counts as the server's own origin. With a list, a request for any other host gets
    /// 421 (RFC 9110, section 15.5.20) before the handler is called, and its connection ends. A
    /// request that names no host, as HTTP/1.0 allows, gets 421, too.
    pub allow_hosts: Vec<String>,
    /// What the end of a client's sending side means while its request is held or streamed.
    pub half_close: HalfClose,
}

impl Default for Settings {
    fn default() -> Self {
        let fields = ["Authorization", "Cache-Control", "Content-Type", "If-None-Match", "Last-Event-ID", "X-Requested-With"];
        Self {
            limits: Limits::default(),
            slow_consumer: SlowConsumer::default(),
            allow_origins: Vec::new(),
            allow_credentials: false,
            allow_request_fields: fields.map(str::to_owned).to_vec(),
            allow_hosts: Vec::new(),
            half_close: HalfClose::default(),
        }
    }
}

/// What it means that a client ends its sending side (a half-close, TCP's FIN) while its request is
/// held or answered by a stream. Before that, every request that came whole is answered in any case.
/// The end of a WebSocket's sending side without a close frame always ends it (RFC 6455, section 7.1.5: 1006).
///
/// ```
/// use pushlab::session::{HalfClose, Settings};
/// let settings = Settings { half_close: HalfClose::Waits, ..Settings::default() };
/// assert_ne!(settings.half_close, HalfClose::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HalfClose {
    /// The client has left: the request is dropped at once, with everything that its connection
    /// carries. The default. A browser that closes a page or aborts a request closes its socket, and
    /// the system shows that in the same way as a half-close. Every proxy that does not half-close by
    /// itself is served well by this.
    #[default]
    Leaves,
    /// The client waits for its answer, as RFC 9112, section 9.6 allows: the request is served on,
    /// and after its answer the connection is closed. That a client has left shows only when a write
    /// fails: a held request stays until it is answered, a stream until its next message or
    /// heartbeat. For clients such as `nc -N` and proxies that pass a half-close on.
    Waits,
}

/// One call's surroundings.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The time of this turn.
    pub now: &'a Now,
    /// The server's settings.
    pub settings: &'a Settings,
    /// The server's counters.
    pub stats: &'a Stats,
    /// The application.
    pub app: &'a dyn Handler,
    /// How handles reach this connection.
    pub remote: &'a dyn RemoteSource,
}

impl Context<'_> {
    /// Runs code of the application at a connection's end. A panic in it is counted, and goes no further: not into the driver, whose other
    /// connections have nothing to do with it.
    pub(super) fn contain(&self, call: impl FnOnce()) {
        if catch_unwind(AssertUnwindSafe(call)).is_err() {
            self.stats.panics.add(1);
        }
    }
}

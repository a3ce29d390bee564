//! The settings that all sessions of a server share.
//!
//! Owns the settings and their defaults. Leaves the bounds of a connection to [`Limits`], and the
//! rules that read a setting to the files that apply it.

use super::{Forwarding, Limits, SlowConsumer};

/// The settings that all connections of a server share, under both IO models.
///
/// ```
/// use std::time::Duration;
/// use pushlab::{Config, Limits, Settings, SlowConsumer};
/// let settings = Settings {
///     limits: Limits { heartbeat: Some(Duration::from_secs(10)), ..Limits::default() },
///     slow_consumer: SlowConsumer::DropOldest,
///     allow_origins: vec!["https://app.example".to_owned()],
///     ..Settings::default()
/// };
/// let config = Config { settings, ..Config::default() };
/// assert_eq!(config.settings.slow_consumer, SlowConsumer::DropOldest);
/// ```
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every bound in size and time.
    pub limits: Limits,
    /// The policy for a reader that is slower than its messages.
    pub slow_consumer: SlowConsumer,
    /// Origins whose pages may act here, beside the server's own: each as `scheme://host[:port]`,
    /// `null`, `file://`, or `*` for any. Default none.
    ///
    /// [`Origin`](super::Origin) applies this rule. A WebSocket handshake of another origin gets
    /// 403, and a hub refuses to publish for its pages. A page of another origin can send a GET,
    /// but its browser hides the answer from it. A request with a repeated or malformed `Origin`
    /// gets 403 before the handler is called. A request without `Origin` is allowed (RFC 6455,
    /// section 10.2).
    pub allow_origins: Vec<String>,
    /// Whether pages of listed origins may send cookies and read the answers. Default no. It never
    /// applies to `*`, nor to `null`, which is the origin of a sandboxed frame of any site.
    pub allow_credentials: bool,
    /// The request fields that pages of other origins may set, beside those that need no permission
    /// (WHATWG Fetch, section 2.2.2). The answer to a preflight names them. By default, these are
    /// the fields that the techniques of [`push`](crate::push) and common client libraries send.
    pub allow_request_fields: Vec<String>,
    /// The hosts that this server answers for, each as `host` or `host:port`, with an IPv6 address
    /// in brackets. Names are compared without regard to case. An entry without a port allows every
    /// port. An entry with a port allows only this port; a request that names no port has the
    /// default port of `http` or `https`.
    ///
    /// The default is empty, which allows any host. Then a page counts as the server's own origin
    /// if its host name was made to resolve to this server (DNS rebinding). With a list, a request
    /// for another host gets 421 (RFC 9110, section 15.5.20) before the handler is called, and its
    /// connection ends. A request that names no host, as HTTP/1.0 allows, gets 421 as well.
    pub allow_hosts: Vec<String>,
    /// The proxies in front of the server that are trusted to tell the client's address, and the
    /// scheme and the host of its request. Default none. The rules about origins and hosts use
    /// this scheme and this host.
    pub forwarding: Forwarding,
    /// The meaning of the end of a client's sending side while its request is held or streamed.
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
            forwarding: Forwarding::default(),
            half_close: HalfClose::default(),
        }
    }
}

/// What the server does when a client ends its sending side (a half-close, TCP's FIN) while its
/// request is held or answered by a stream. Requests that are complete are answered first in either
/// case. A WebSocket whose peer ends its sending side without a close frame always ends (RFC 6455,
/// section 7.1.5: 1006).
///
/// ```
/// use pushlab::session::{HalfClose, Settings};
/// let settings = Settings { half_close: HalfClose::Waits, ..Settings::default() };
/// assert_ne!(settings.half_close, HalfClose::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HalfClose {
    /// The client has left. The request is dropped at once, with everything that its connection
    /// carries. This is the default: a browser that closes a page or aborts a request closes its
    /// socket, and the system shows this in the same way as a half-close. It suits every proxy that
    /// does not half-close by itself.
    #[default]
    Leaves,
    /// The client waits for its answer, as RFC 9112, section 9.6 allows. The request is served, and
    /// the connection is closed after the answer. The server notices that a client has left only
    /// when a write fails. So a held request stays until it is answered, and a stream stays until
    /// its next message or heartbeat. This suits clients such as `nc -N`, and proxies that pass on
    /// a half-close.
    Waits,
}

//! The endpoint that an application mounts.
//!
//! Owns the choice of a policy, the subprotocols and the counters. Leaves a connection to
//! `connection`.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use super::config::{Everything, StompConfig, StompPolicy};
use super::connection::StompConnection;
use super::queues::Queues;
use super::shared::Shared;
use crate::push::hub::Hub;
use crate::session::{Reply, Upgrade};

/// STOMP over WebSocket, version 1.2, 1.1 and 1.0: the topics of a hub, and queues in memory. A
/// clone refers to the same endpoint.
///
/// `/topic/x` is the hub's topic `x`: a client of any other technique receives what a STOMP client
/// sends, and the other way round. Any STOMP client works, for example `@stomp/stompjs` in a
/// browser.
///
/// ```
/// use pushlab::push::{Hub, Mounted, Stomp, StompConfig};
/// use pushlab::{Reply, Request, Response};
/// let hub = Hub::default();
/// let stomp = Stomp::new(&hub, StompConfig::default());
/// let app = move |request: &Request<'_>, reply: Reply<'_>| match request.path() {
///     "/stomp" => stomp.serve(reply),
///     _ => match hub.handle(request, reply) {
///         Mounted::Handled => {}
///         Mounted::NotMine(reply) => reply.send(Response::status(404)),
///     },
/// };
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/stomp", "/topics/news/poll"]);
/// ```
#[derive(Clone)]
pub struct Stomp(pub(super) Arc<Shared>);

/// The counters of a STOMP endpoint. [`StompConfig`] has an example.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StompStats {
    /// Clients that are connected.
    pub connections: usize,
    /// Frames that clients have sent.
    pub frames: u64,
    /// ERROR frames that were sent.
    pub errors: u64,
    /// Queues with messages or consumers.
    pub queues: usize,
    /// Messages in all queues, those that wait for an acknowledgement too.
    pub queued_messages: usize,
    /// Bytes of bodies and headers of these messages.
    pub queued_bytes: usize,
    /// Messages that were refused because a queue was full, or there were too many queues.
    pub queue_refused: u64,
    /// Deliveries of a message that was delivered before.
    pub queue_redelivered: u64,
    /// Messages that were dropped after [`StompConfig::queue_deliveries`] deliveries.
    pub queue_undeliverable: u64,
}

impl StompStats {
    /// The counters as a JSON object.
    pub fn json(&self) -> String {
        format!(
            "{{\"connections\":{},\"frames\":{},\"errors\":{},\"queues\":{},\"queued_messages\":{},\"queued_bytes\":{},\
             \"queue_refused\":{},\"queue_redelivered\":{},\"queue_undeliverable\":{}}}",
            self.connections,
            self.frames,
            self.errors,
            self.queues,
            self.queued_messages,
            self.queued_bytes,
            self.queue_refused,
            self.queue_redelivered,
            self.queue_undeliverable
        )
    }
}

impl Stomp {
    /// An endpoint that allows every client to do everything, if the hub has no policy. If the hub
    /// has a policy, this endpoint allows nothing: the hub's policy decides from an HTTP request,
    /// and a STOMP frame has no request. Use [`with_policy`](Self::with_policy) then.
    pub fn new(hub: &Hub, config: StompConfig) -> Self {
        Self::with_policy(hub, config, Everything(!hub.has_policy()))
    }

    /// An endpoint that asks the application which logins and destinations are allowed. The policy
    /// of the hub is not asked.
    pub fn with_policy(hub: &Hub, config: StompConfig, policy: impl StompPolicy) -> Self {
        let queues = Arc::new(Queues::new(&config));
        Self(Arc::new(Shared {
            hub: hub.clone(),
            config,
            queues,
            policy: Box::new(policy),
            connections: AtomicUsize::new(0),
            frames: AtomicU64::new(0),
            errors: AtomicU64::new(0),
        }))
    }

    /// Upgrades a request to a WebSocket that speaks STOMP, with the subprotocols `v12.stomp`,
    /// `v11.stomp` and `v10.stomp`. A client without a subprotocol is served, too. A request that
    /// is not a handshake gets 426. Messages are compressed as the hub's
    /// [`HubConfig::deflate`](crate::push::HubConfig::deflate) says.
    pub fn serve(&self, reply: Reply<'_>) {
        const PROTOCOLS: &[&str] = &["v12.stomp", "v11.stomp", "v10.stomp"];
        let upgrade = Upgrade { protocols: PROTOCOLS, deflate: self.0.hub.config().deflate };
        reply.upgrade_with(upgrade, StompConnection::new(Arc::clone(&self.0)));
    }

    /// The counters.
    pub fn stats(&self) -> StompStats {
        let (queues, queued_messages, queued_bytes, counts) = self.0.queues.totals();
        StompStats {
            connections: self.0.connections.load(Relaxed),
            frames: self.0.frames.load(Relaxed),
            errors: self.0.errors.load(Relaxed),
            queues,
            queued_messages,
            queued_bytes,
            queue_refused: counts.refused,
            queue_redelivered: counts.redelivered,
            queue_undeliverable: counts.undeliverable,
        }
    }
}

impl fmt::Debug for Stomp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stomp").field("config", &self.0.config).finish_non_exhaustive()
    }
}

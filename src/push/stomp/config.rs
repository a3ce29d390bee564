//! The settings of a STOMP endpoint, and the application's policy.
//!
//! Owns the bounds with their defaults. Leaves the reaction at a bound to the code that reads it.

use std::time::Duration;

use crate::proto::stomp::{HeartBeat, StompLimits};
use crate::push::hub::Access;

/// The settings of a STOMP endpoint.
///
/// ```
/// use pushlab::push::{Hub, Stomp, StompConfig};
/// let config = StompConfig { queue_messages: 10_000, ..StompConfig::default() };
/// let stomp = Stomp::new(&Hub::default(), config);
/// assert_eq!(stomp.stats().queues, 0);
/// ```
#[derive(Clone, Debug)]
pub struct StompConfig {
    /// The heart-beats of the server: how often it can send one, and how often it wants one.
    /// Default 10 s each (Spring). A client that is silent for twice the agreed interval is
    /// disconnected.
    pub heart_beat: HeartBeat,
    /// Time for the CONNECT frame after the handshake. Default 20 s, as for a request head.
    pub connect_timeout: Duration,
    /// The bounds of one frame.
    pub limits: StompLimits,
    /// Subscriptions of one connection. Default 64.
    pub subscriptions: usize,
    /// Open transactions of one connection. Default 16.
    pub transactions: usize,
    /// Bytes of all frames in the transactions of one connection. Default 1 MiB.
    pub transaction_bytes: usize,
    /// Queues with messages or consumers. Default 1,024.
    pub queues: usize,
    /// Messages of one queue, those that wait for an acknowledgement too. Default 1,000.
    pub queue_messages: usize,
    /// Bytes of the bodies and headers of these messages. Default 16 MiB.
    pub queue_bytes: usize,
    /// How many times a message is delivered without an acknowledgement, before it is dropped.
    /// Default 16.
    pub queue_deliveries: u32,
    /// Unacknowledged messages of a consumer that sends no `prefetch-count`. Default 16.
    pub prefetch: usize,
}

impl Default for StompConfig {
    fn default() -> Self {
        Self {
            heart_beat: HeartBeat { sends_ms: 10_000, wants_ms: 10_000 },
            connect_timeout: Duration::from_secs(20),
            limits: StompLimits::default(),
            subscriptions: 64,
            transactions: 16,
            transaction_bytes: 1024 * 1024,
            queues: 1_024,
            queue_messages: 1_000,
            queue_bytes: 16 * 1024 * 1024,
            queue_deliveries: 16,
            prefetch: 16,
        }
    }
}

/// What a client says of itself in CONNECT. [`StompPolicy`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StompLogin<'a> {
    /// The value of the `login` header. Without the header, the value is empty.
    pub login: &'a str,
    /// The value of the `passcode` header. Without the header, the value is empty.
    pub passcode: &'a str,
    /// The value of the `host` header. Without the header, the value is empty.
    pub host: &'a str,
}

/// The application's decisions. They are made on the thread of the connection, and must not block.
///
/// ```
/// use pushlab::push::{Access, Hub, Stomp, StompConfig, StompLogin, StompPolicy};
/// /// Guests may listen to topics. Everything else needs the passcode.
/// struct Members;
/// impl StompPolicy for Members {
///     fn user(&self, login: &StompLogin<'_>) -> Option<String> {
///         match login.passcode {
///             "" => Some("guest".to_owned()),
///             "secret" => Some("member".to_owned()),
///             _ => None,
///         }
///     }
///     fn allows(&self, user: &str, access: Access, destination: &str) -> bool {
///         user == "member" || (access == Access::Subscribe && destination.starts_with("/topic/"))
///     }
/// }
/// let stomp = Stomp::with_policy(&Hub::default(), StompConfig::default(), Members);
/// # drop(stomp);
/// ```
pub trait StompPolicy: Send + Sync + 'static {
    /// The user as which a client acts. `None` if the client may not connect: it gets an ERROR, and
    /// the connection ends. Without this method, every client may connect, and its user is its
    /// login.
    fn user(&self, login: &StompLogin<'_>) -> Option<String> {
        Some(login.login.to_owned())
    }

    /// Whether a user may do this with a destination. For the presence topic of a topic, the policy
    /// is asked about the topic. If not, the client gets an ERROR, and the connection ends.
    fn allows(&self, user: &str, access: Access, destination: &str) -> bool;
}

/// The policy of an endpoint without one.
pub(super) struct Everything(pub(super) bool);

impl StompPolicy for Everything {
    fn allows(&self, _: &str, _: Access, _: &str) -> bool {
        self.0
    }
}

//! A log outside the process, and how a hub uses it.
//!
//! Owns the settings, each with its reason. Leaves the log itself to its engine.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::brokers::{BadLogAddress, BrokerAddress, PlainTopic, Stream};
use super::engine::Log;

/// A log outside the process, and how a hub uses it. With the same log, several servers give each
/// message the same id, and a client continues on any of them with its cursor.
///
/// ```
/// use std::time::Duration;
/// use pushlab::push::SharedLog;
/// let mut log: SharedLog = "stomp+stream://user:secret@127.0.0.1:61613/hub".parse()?;
/// log.publish_timeout = Duration::from_secs(2);
/// assert_eq!(log.name(), "the stream hub of the broker at 127.0.0.1:61613");
/// # Ok::<(), pushlab::push::BadLogAddress>(())
/// ```
#[derive(Clone)]
pub struct SharedLog {
    pub(crate) log: Arc<dyn Log>,
    /// How long a message may wait for its confirmation, with the log away or not. Default 15 s: a
    /// broker that was killed is back within 5 to 10 s.
    pub publish_timeout: Duration,
    /// Messages that may wait for their confirmation. Default 10,000.
    pub spool_messages: usize,
    /// Bytes of payload that may wait for their confirmation. Default 16 MiB.
    pub spool_bytes: usize,
    /// Records before the end of the log that a hub reads when it starts. Default 10,000: a hub
    /// knows the last messages then, as one that never stopped.
    pub tail_records: u64,
    /// How long a request waits for this hub to reach its cursor, or for older messages from the
    /// log. Then it gets 503. Default 5 s: a hub is normally some milliseconds behind.
    pub lag_timeout: Duration,
    /// Requests that may wait for this hub to reach their cursors. Default 10,000.
    pub lag_requests: usize,
    /// Requests that may wait for older messages from the log. Default 256: each reads a part of
    /// the log, one after the other.
    pub reads: usize,
    /// Whether the hub starts threads that follow the log. A simulation drives it step by step.
    pub(crate) threads: bool,
}

impl SharedLog {
    /// The defaults with this log.
    pub fn new(log: impl Log) -> Self {
        Self {
            log: Arc::new(log),
            publish_timeout: Duration::from_secs(15),
            spool_messages: 10_000,
            spool_bytes: 16 * 1024 * 1024,
            tail_records: 10_000,
            lag_timeout: Duration::from_secs(5),
            lag_requests: 10_000,
            reads: 256,
            threads: true,
        }
    }

    /// The log in sentences for people, without a password.
    pub fn name(&self) -> String {
        self.log.name()
    }
}

/// Reads the address of a broker that speaks STOMP over TCP.
///
/// | address | log |
/// |---|---|
/// | `stomp+stream://USER:PASSWORD@HOST:PORT/NAME` | the stream `NAME` of `RabbitMQ` 3.10 or later, with the plug-in `rabbitmq_stomp` |
/// | `stomp://USER:PASSWORD@HOST:PORT/NAME` | the topic `/topic/NAME` of `ActiveMQ`, Artemis or `RabbitMQ`, which keeps nothing |
///
/// Without a port, it is 61613. The user and the password are optional. Both may contain
/// percent-encoded characters.
impl FromStr for SharedLog {
    type Err = BadLogAddress;

    fn from_str(text: &str) -> Result<Self, BadLogAddress> {
        let (scheme, address) = BrokerAddress::parse(text)?;
        match scheme {
            "stomp+stream" => Ok(Self::new(Stream::new(address))),
            "stomp" => Ok(Self::new(PlainTopic::new(address))),
            _ => Err(BadLogAddress::Scheme),
        }
    }
}

impl fmt::Debug for SharedLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SharedLog").field(&self.name()).finish()
    }
}

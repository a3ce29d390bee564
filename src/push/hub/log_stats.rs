//! The state of a log outside the process, for people and for pages.
//!
//! Owns the figures and their JSON form. Leaves counting them to `outside` and `apply`.

use std::fmt::Write;

use crate::push::model::append_json_string;

/// The state of a log outside the process. [`Hub::log_stats`](crate::push::Hub::log_stats) returns
/// it.
///
/// ```
/// use pushlab::push::{Hub, HubConfig, LogState};
/// // Nothing listens at this address.
/// let log = "stomp+stream://127.0.0.1:1/hub".parse().ok();
/// let hub = Hub::new(HubConfig { log, ..HubConfig::default() });
/// let stats = loop {
///     let stats = hub.log_stats().expect("the hub has such a log");
///     if stats.error.is_some() {
///         break stats;
///     }
///     std::thread::yield_now(); // the first attempt is under way
/// };
/// assert!(stats.error.unwrap().starts_with("the broker at 127.0.0.1:1 cannot be reached"));
/// assert_eq!((stats.state, stats.spool_messages), (LogState::Away, 0));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStats {
    /// The log, without a password.
    pub name: String,
    /// Whether this hub follows the log.
    pub state: LogState,
    /// Why the last connection ended, or why there was none.
    pub error: Option<String>,
    /// The sequence number up to which this hub has applied the log.
    pub applied: u64,
    /// The sequence number that the log had reached when the connection began.
    pub target: u64,
    /// How long the last message took from the server that published it to this one, in
    /// milliseconds. The clocks of two machines may differ.
    pub delay_ms: u64,
    /// Connections that have begun to follow the log.
    pub connections: u64,
    /// Messages of this server that have come back from the log.
    pub confirmed: u64,
    /// Messages of this server whose time was over before they came back.
    pub unconfirmed: u64,
    /// Records that were appended twice, and count once.
    pub repeated: u64,
    /// Records that are not messages of a hub.
    pub passed_over: u64,
    /// How many times records were missing, so that every client was told of a gap.
    pub gaps: u64,
    /// How many times the log had another epoch than before.
    pub epochs: u64,
    /// Reads of older messages that a client has asked for.
    pub reads: u64,
    /// Requests that wait for this hub to reach their cursors.
    pub waiting: usize,
    /// Messages that wait for their confirmation.
    pub spool_messages: usize,
    /// Bytes of payload of these messages.
    pub spool_bytes: usize,
}

/// Whether a hub follows its log. [`LogStats`] has an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LogState {
    /// There is no connection. [`LogStats::error`] says why.
    Away,
    /// The hub reads the records that were appended before its connection began.
    CatchingUp,
    /// The hub has everything that the log had when the connection began.
    Following,
}

impl LogState {
    const fn name(self) -> &'static str {
        match self {
            Self::Away => "away",
            Self::CatchingUp => "catching-up",
            Self::Following => "following",
        }
    }
}

impl LogStats {
    pub(super) const fn new(name: String) -> Self {
        Self {
            name,
            state: LogState::Away,
            error: None,
            applied: 0,
            target: 0,
            delay_ms: 0,
            connections: 0,
            confirmed: 0,
            unconfirmed: 0,
            repeated: 0,
            passed_over: 0,
            gaps: 0,
            epochs: 0,
            reads: 0,
            waiting: 0,
            spool_messages: 0,
            spool_bytes: 0,
        }
    }

    /// The figures as a JSON object.
    pub fn json(&self) -> String {
        let mut text = String::from("{\"name\":");
        append_json_string(&self.name, &mut text);
        let _ = write!(text, r#","state":"{}","error":"#, self.state.name());
        match &self.error {
            Some(error) => append_json_string(error, &mut text),
            None => text.push_str("null"),
        }
        let figures = [
            ("applied", self.applied),
            ("target", self.target),
            ("delay_ms", self.delay_ms),
            ("connections", self.connections),
            ("confirmed", self.confirmed),
            ("unconfirmed", self.unconfirmed),
            ("repeated", self.repeated),
            ("passed_over", self.passed_over),
            ("gaps", self.gaps),
            ("epochs", self.epochs),
            ("reads", self.reads),
            ("waiting", self.waiting as u64),
            ("spool_messages", self.spool_messages as u64),
            ("spool_bytes", self.spool_bytes as u64),
        ];
        for (name, figure) in figures {
            let _ = write!(text, r#","{name}":{figure}"#);
        }
        text.push('}');
        text
    }
}

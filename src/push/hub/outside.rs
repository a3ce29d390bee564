//! What a hub shares with the threads that follow a log outside the process.
//!
//! Owns the messages that wait for the log, the reads of older messages, the sending half of the
//! connection, and the state of the log for `/stats`. Has locks of its own, so that a broker that
//! is slow or away stops no operation of the hub. Leaves the records that come back to `apply`,
//! and the threads to `follow`.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::log_stats::{LogState, LogStats};
use super::publish::{PublishError, Published};
use crate::push::log::{GivenUp, LogError, LogWriter, Record, SharedLog, Spool, SpoolBounds, random_number, unix_ms};
use crate::push::model::Payload;

pub(super) type PublishOutcome = Result<Published, PublishError>;

/// What waits for the outcome of a publish. It is called once, without a lock.
pub(super) type OnPublished = Box<dyn FnOnce(PublishOutcome) + Send>;

/// What a hub shares with the threads that follow its log.
pub(crate) struct Outside {
    pub(super) shared_log: SharedLog,
    sending: Mutex<Sending>,
    /// Something has to be sent, or can be sent.
    can_send: Condvar,
    status: Mutex<LogStats>,
    status_changed: Condvar,
    pub(super) reads: Mutex<Reads>,
    /// The sequence number that the hub has reached.
    pub(super) reached: AtomicU64,
}

struct Sending {
    spool: Spool<PublishOutcome>,
    /// The sending half of the connection; `None` while there is no connection, or while a thread
    /// sends.
    writer: Option<Box<dyn LogWriter>>,
    /// The number of the connection. A thread that has sent gives the writer back only if it is
    /// still that of the current connection.
    connection: u64,
}

/// The reads of older messages that wait for their turn.
#[derive(Default)]
pub(super) struct Reads {
    /// Each of them is called with whether it can be carried out.
    pub(super) waiting: VecDeque<Box<dyn FnOnce(bool) + Send>>,
    /// A thread works on the reads.
    pub(super) is_running: bool,
    /// When the log was asked for its end last, and the answer. Many requests can use one answer.
    pub(super) end: Option<(Instant, u64)>,
}

impl Outside {
    pub(crate) fn new(shared_log: SharedLog) -> Self {
        let bounds = SpoolBounds { messages: shared_log.spool_messages, bytes: shared_log.spool_bytes };
        let status = LogStats::new(shared_log.name());
        Self {
            shared_log,
            sending: Mutex::new(Sending { spool: Spool::new(random_number(), bounds), writer: None, connection: 0 }),
            can_send: Condvar::new(),
            status: Mutex::new(status),
            status_changed: Condvar::new(),
            reads: Mutex::default(),
            reached: AtomicU64::new(0),
        }
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> MutexGuard<'_, LogStats> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a message to the log. The outcome is told when its record has come back, or when its
    /// time is over.
    pub(super) fn submit(
        &self,
        topic: Arc<str>,
        payload: Payload,
        now: Instant,
        on_outcome: Option<OnPublished>,
    ) -> Result<(), PublishError> {
        let mut sending = self.sending();
        let deadline = now + self.shared_log.publish_timeout;
        // Read under the lock, so that the numbers of later messages are not lower.
        let position = (self.reached.load(SeqCst), unix_ms());
        sending.spool.add(topic, payload, position, deadline, on_outcome).map_err(|_| PublishError::SpoolFull)?;
        let can_send = sending.writer.is_some();
        drop(sending);
        if can_send {
            self.can_send.notify_one();
        }
        Ok(())
    }

    /// Takes what waits for the confirmation of a record.
    pub(super) fn confirm(&self, record: &Record) -> Option<OnPublished> {
        self.sending().spool.confirm(record.origin, record.number)
    }

    /// A connection begins. Everything that waits is sent on it.
    pub(super) fn begin_connection(&self, writer: Box<dyn LogWriter>) {
        let mut sending = self.sending();
        sending.connection += 1;
        sending.writer = Some(writer);
        sending.spool.begin_again();
        drop(sending);
        self.can_send.notify_one();
    }

    /// The log has another epoch, and the hub reads it from `first` on.
    pub(super) fn begin_epoch(&self, first: u64) {
        let mut sending = self.sending();
        self.reached.store(first, SeqCst);
        sending.spool.begin_epoch(first);
    }

    /// The number of the current connection, if there is one.
    pub(super) fn connection(&self) -> Option<u64> {
        let status = self.status();
        (status.state != LogState::Away).then_some(status.connections)
    }

    /// The connection is over.
    pub(super) fn end_connection(&self) {
        let mut sending = self.sending();
        sending.connection += 1;
        // It shuts down the socket, which must not happen under the lock.
        let writer = sending.writer.take();
        drop(sending);
        drop(writer);
    }

    /// Sends one message, if one waits and there is a connection. Waits for that for about `wait`.
    pub(super) fn send_one(&self, wait: Duration) {
        let is_idle = |sending: &mut Sending| sending.writer.is_none() || !sending.spool.has_to_send();
        let mut sending = self.sending();
        if !wait.is_zero() {
            sending = self.can_send.wait_timeout_while(sending, wait, is_idle).unwrap_or_else(PoisonError::into_inner).0;
        }
        if is_idle(&mut sending) {
            return;
        }
        let (Some(mut writer), Some(record)) = (sending.writer.take(), sending.spool.next_to_send()) else { return };
        let connection = sending.connection;
        drop(sending);
        // The lock is free meanwhile, because a broker that does not read blocks this call.
        let sent = writer.append(&record);
        let mut sending = self.sending();
        if sent.is_ok() && sending.connection == connection {
            sending.writer = Some(writer);
        }
        // After an error, the reading half fails, too, and a new connection begins.
    }

    /// Gives up the messages whose time is over. The caller tells them without a lock.
    pub(super) fn give_up(&self, now: Instant) -> Vec<GivenUp<PublishOutcome>> {
        let given_up = self.sending().spool.give_up(now);
        if !given_up.is_empty() {
            self.status().unconfirmed += given_up.len() as u64;
        }
        given_up
    }

    /// Changes the state of the log.
    pub(super) fn note(&self, change: impl FnOnce(&mut LogStats)) {
        change(&mut self.status());
        self.status_changed.notify_all();
    }

    /// Notes why the log is away. Returns whether the reason is another one than before.
    pub(super) fn note_away(&self, error: &LogError) -> bool {
        let mut status = self.status();
        let sentence = error.to_string();
        let is_new = status.error.as_ref() != Some(&sentence);
        status.state = LogState::Away;
        status.error = Some(sentence);
        drop(status);
        self.status_changed.notify_all();
        is_new
    }

    /// Waits until this hub has every record that the log had when the connection began.
    pub(super) fn wait_until_following(&self, wait: Duration) -> Result<(), LogError> {
        let is_waiting = |status: &mut LogStats| status.state != LogState::Following;
        let (status, _) = self.status_changed.wait_timeout_while(self.status(), wait, is_waiting).unwrap_or_else(PoisonError::into_inner);
        match (status.state, &status.error) {
            (LogState::Following, _) => Ok(()),
            (LogState::Away, Some(sentence)) => Err(LogError::new(sentence.clone())),
            _ => Err(LogError::new(format!("this server has not read {} to its end within {wait:?}", status.name))),
        }
    }

    /// The state of the log.
    pub(super) fn stats(&self) -> LogStats {
        let mut stats = self.status().clone();
        let sending = self.sending();
        stats.spool_messages = sending.spool.len();
        stats.spool_bytes = sending.spool.bytes();
        stats
    }
}

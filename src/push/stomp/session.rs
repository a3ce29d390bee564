//! The session of one client, from CONNECT to DISCONNECT.
//!
//! Owns what a client has agreed on and subscribed to, the answers to CONNECT and DISCONNECT, and
//! receipts. Leaves messages, subscriptions and transactions to `operations`, and the heart-beats
//! and the end of the connection to `connection`.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use super::config::StompLogin;
use super::frames;
use super::refusal::Refusal;
use super::shared::Shared;
use super::subscriptions::{Drops, Subscriptions};
use super::transactions::Transactions;
use crate::proto::Frame as WireFrame;
use crate::proto::stomp::{Command, Frame, HeartBeat, Intervals, Version};
use crate::push::hub::{PublishError, Publishing};
use crate::session::{LastWord, Notices, Pusher, Socket};

/// The session of one client.
pub(super) struct StompSession {
    pub(super) shared: Arc<Shared>,
    pub(super) version: Version,
    pub(super) user: Arc<str>,
    pub(super) subscriptions: Subscriptions,
    pub(super) transactions: Transactions,
}

/// The messages of a frame that a log outside the process has not confirmed yet.
pub(super) type Unconfirmed = Vec<Publishing>;

/// What follows a frame.
pub(super) enum After {
    GoOn,
    /// The connection ends, after this frame.
    Disconnect(Option<String>),
}

impl StompSession {
    /// Answers the first frame of a connection.
    pub(super) fn connect(shared: &Arc<Shared>, frame: &Frame<'_>, socket: &mut Socket<'_>) -> Result<(Self, Intervals), Refusal> {
        if !matches!(frame.command, Command::Connect | Command::Stomp) {
            return Err(Refusal::protocol("the first frame must be CONNECT or STOMP"));
        }
        let header = |name| frame.headers.get(name);
        // A subprotocol of the WebSocket names the highest version.
        let highest = socket.protocol().and_then(Version::from_subprotocol).unwrap_or(Version::V1_2);
        let version = Version::negotiate(header("accept-version"), highest)?;
        // Clients of 1.0 do not know heart-beats.
        let of_client = if version == Version::V1_0 { HeartBeat::default() } else { HeartBeat::parse(header("heart-beat"))? };
        let text = |name| header(name).unwrap_or_default();
        // STOMP 1.2 requires `host`. Clients in browsers do not send it, and no server insists.
        let login = StompLogin { login: text("login"), passcode: text("passcode"), host: text("host") };
        let user = shared.policy.user(&login).ok_or_else(|| Refusal::policy("this login and passcode may not connect"))?;
        shared.connections.fetch_add(1, Relaxed);
        let heart_beat = shared.config.heart_beat;
        let session = Self {
            shared: Arc::clone(shared),
            version,
            user: user.into(),
            subscriptions: Subscriptions::default(),
            transactions: Transactions::default(),
        };
        socket.send_text(&frames::connected(version, heart_beat));
        let notices = session.notices(socket);
        socket.notices(notices);
        Ok((session, heart_beat.agree(of_client)))
    }

    fn notices(&self, socket: &mut Socket<'_>) -> StompNotices {
        StompNotices {
            shared: Arc::clone(&self.shared),
            drops: Arc::clone(&self.subscriptions.drops),
            version: self.version,
            pusher: socket.pusher(),
        }
    }

    /// Carries out a frame, and sends its receipt.
    pub(super) fn act(&mut self, frame: &Frame<'_>, receipt: Option<&str>, socket: &mut Socket<'_>) -> Result<After, Refusal> {
        let receipt = receipt.map(|id| frames::receipt(self.version, id));
        let mut unconfirmed = Vec::new();
        match frame.command {
            Command::Send => unconfirmed = self.send(frame)?,
            Command::Subscribe => self.subscribe(frame, socket)?,
            Command::Unsubscribe => {
                self.unsubscribe(frame)?;
                // It follows the messages that are on their way already.
                if let Some(receipt) = receipt {
                    socket.pusher().push(&WireFrame::text(&receipt));
                }
                return Ok(After::GoOn);
            }
            Command::Ack | Command::Nack => unconfirmed = self.answer(frame)?,
            Command::Begin | Command::Commit | Command::Abort => unconfirmed = self.transact(frame)?,
            Command::Disconnect => return Ok(After::Disconnect(receipt)),
            _ => return Err(Refusal::protocol("this connection has sent CONNECT before")),
        }
        if !unconfirmed.is_empty() {
            self.answer_when_confirmed(unconfirmed, receipt, socket);
            return Ok(After::GoOn);
        }
        if let Some(receipt) = receipt {
            socket.send_text(&receipt);
        }
        if frame.command == Command::Subscribe {
            self.subscriptions.advance(socket)?;
        }
        Ok(After::GoOn)
    }

    /// Sends the receipt of a frame when the log outside the process has confirmed all messages of
    /// the frame. An ERROR ends the connection if it does not confirm one of them.
    fn answer_when_confirmed(&self, unconfirmed: Unconfirmed, receipt: Option<String>, socket: &mut Socket<'_>) {
        let answer = Arc::new(WhenConfirmed {
            left: Mutex::new((unconfirmed.len(), None)),
            receipt,
            shared: Arc::clone(&self.shared),
            pusher: socket.pusher(),
        });
        for publishing in unconfirmed {
            let answer = Arc::clone(&answer);
            publishing.then(move |outcome| answer.count(outcome.err()));
        }
    }
}

/// What a connection says in the place of messages: an ERROR, which is always its last frame.
struct StompNotices {
    shared: Arc<Shared>,
    drops: Drops,
    version: Version,
    pusher: Pusher,
}

impl Notices for StompNotices {
    /// If the queue of the connection drops a message, the connection ends: the message may have
    /// been a receipt, or of any subscription. The client continues with its cursors.
    fn dropped(&mut self, count: usize) -> Option<WireFrame> {
        for notices in self.drops.lock().unwrap_or_else(PoisonError::into_inner).values_mut() {
            notices.dropped(count);
        }
        let refusal = Refusal::policy("messages were dropped, because this client reads too slowly");
        self.pusher.close(refusal.close_code);
        self.last_word(&refusal.last_word())
    }

    fn last_word(&mut self, word: &LastWord) -> Option<WireFrame> {
        self.shared.errors.fetch_add(1, Relaxed);
        Some(WireFrame::text(&frames::error(self.version, word, None)))
    }
}

/// The answer to a frame whose messages are not confirmed yet.
struct WhenConfirmed {
    /// The number of messages that are not confirmed, and the first error.
    left: Mutex<(usize, Option<PublishError>)>,
    receipt: Option<String>,
    shared: Arc<Shared>,
    pusher: Pusher,
}

impl WhenConfirmed {
    fn count(&self, error: Option<PublishError>) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        left.0 -= 1;
        left.1 = left.1.or(error);
        let (0, error) = *left else { return };
        drop(left);
        match (error, &self.receipt) {
            (None, Some(receipt)) => self.pusher.push(&WireFrame::text(receipt)),
            (None, None) => {}
            (Some(error), _) => {
                self.shared.hub.count_refused(error.status());
                self.pusher.end_with(Refusal::from(error).last_word());
            }
        }
    }
}

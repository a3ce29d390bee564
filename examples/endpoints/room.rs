//! The room: what both styles of endpoint do.
//!
//! Owns the people online, sending to all of them, and the limit on messages. Leaves the connections
//! to the endpoints.
//!
//! Each message to a client is an object in JSON: `{"online":2,"joined":"Ada"}`,
//! `{"online":1,"left":"Ada"}`, `{"from":"Ada","text":"hello"}`, or `{"notice":"a sentence"}` for one
//! client alone. A client sends text.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pushlab::{Frame, Message, Pusher, Request, Socket};
use serde_json::{Value, json};

use crate::limiter::{Limiter, Rate};
use crate::values;

/// How many messages one address may send.
const RATE: Rate = Rate { count: 10, per: Duration::from_secs(10) };
/// How many messages in a row are refused with a notice. The next one closes the connection.
const NOTICES: u32 = 5;
/// RFC 6455, section 7.4.1: the peer has broken a rule of this endpoint.
const POLICY_VIOLATION: u16 = 1008;
/// In characters.
const TEXT_MAX: usize = 500;

pub(crate) struct Room {
    people: Mutex<People>,
    limiter: Limiter,
}

#[derive(Default)]
struct People {
    last: u64,
    by_number: HashMap<u64, (String, Pusher)>,
}

/// One connection, from the handshake on.
#[derive(Clone)]
pub(crate) struct Guest {
    pub(crate) number: u64,
    name: String,
    client: Option<IpAddr>,
    /// How many messages in a row were refused.
    refused: u32,
}

impl Default for Room {
    fn default() -> Self {
        Self { people: Mutex::default(), limiter: Limiter::new(Some(RATE)) }
    }
}

impl Room {
    fn people(&self) -> MutexGuard<'_, People> {
        self.people.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The sender of the handshake, with the name in its cookie.
    pub(crate) fn guest(&self, request: &Request<'_>) -> Guest {
        let mut people = self.people();
        people.last += 1;
        let number = people.last;
        let name = values::name_of(request).unwrap_or_else(|| format!("guest {number}"));
        Guest { number, name, client: request.client_ip(), refused: 0 }
    }

    pub(crate) fn enter(&self, guest: &Guest, socket: &mut Socket<'_>) {
        let mut people = self.people();
        people.by_number.insert(guest.number, (guest.name.clone(), socket.pusher()));
        people.send(&json!({ "online": people.by_number.len(), "joined": guest.name }));
    }

    pub(crate) fn leave(&self, number: u64) {
        let mut people = self.people();
        if let Some((name, _)) = people.by_number.remove(&number) {
            people.send(&json!({ "online": people.by_number.len(), "left": name }));
        }
    }

    /// Takes a message, and sends it to all. A message too many gets a notice, and does not reach the
    /// others. A client that goes on all the same is closed.
    pub(crate) fn hear(&self, guest: &mut Guest, message: Message<'_>, socket: &mut Socket<'_>) {
        if let Err(wait) = self.limiter.take(guest.client, socket.now()) {
            guest.refused += 1;
            if guest.refused > NOTICES {
                // An error says that the connection is closing already.
                let _ = socket.close(POLICY_VIOLATION, "too many messages from your address");
            } else {
                notice(socket, &format!("not sent: too many messages from your address; go on in {} s", wait.seconds()));
            }
            return;
        }
        guest.refused = 0;
        match message {
            Message::Text(text) if text.chars().count() <= TEXT_MAX && !text.trim().is_empty() => {
                self.people().send(&json!({ "from": guest.name, "text": text }));
            }
            _ => notice(socket, &format!("not sent: a message must be text of 1 to {TEXT_MAX} characters that are not all white space")),
        }
    }
}

fn notice(socket: &mut Socket<'_>, sentence: &str) {
    socket.send_text(&json!({ "notice": sentence }).to_string());
}

impl People {
    /// Sends to all. The message is encoded once.
    fn send(&self, message: &Value) {
        Pusher::push_all(self.by_number.values().map(|(_, pusher)| pusher), &Frame::text(&message.to_string()));
    }
}

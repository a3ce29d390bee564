//! How many bytes each client of the topics has sent. The page shows them: a script cannot see the
//! heads that the browser sends.
//!
//! Owns the number of requests and the bytes of their heads, by `client` token, for the newest
//! 1,000 tokens. Leaves presence to the hub. Requests without a token do not count.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use pushlab::Request;

/// How many clients are remembered. A page has ten.
const CLIENTS: usize = 1_000;

#[derive(Default)]
pub(crate) struct Senders(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    by_client: HashMap<String, Sent>,
    /// Oldest first.
    order: VecDeque<String>,
}

#[derive(Clone, Copy, Default)]
struct Sent {
    requests: u64,
    head_bytes: u64,
}

impl Senders {
    pub(crate) fn count(&self, request: &Request<'_>) {
        // The same rule as the hub's for client tokens. Such a token is short, and needs no escape
        // in JSON.
        let is_token = |name: &str| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        let Some(client) = request.query_value("client").filter(|client| is_token(client)) else { return };
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.by_client.contains_key(&*client) {
            if counts.order.len() == CLIENTS
                && let Some(oldest) = counts.order.pop_front()
            {
                counts.by_client.remove(&oldest);
            }
            counts.order.push_back(client.to_string());
        }
        let sent = counts.by_client.entry(client.into_owned()).or_default();
        sent.requests += 1;
        sent.head_bytes += request.head().raw().len() as u64;
    }

    /// A JSON object of the clients whose tokens begin with the prefix.
    pub(crate) fn json(&self, prefix: &str) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut json = String::from("{");
        for (name, sent) in counts.by_client.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let separator = if json.len() > 1 { "," } else { "" };
            let _ = write!(json, r#"{separator}"{name}":{{"requests":{},"head_bytes":{}}}"#, sent.requests, sent.head_bytes);
        }
        json.push('}');
        json
    }
}

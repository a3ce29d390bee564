//! The demo's feed: quotes that a thread publishes to the topic `feed`, with an adjustable rate and
//! size.
//!
//! Owns the pace and the form of the messages. Leaves the prices to `quotes`. A message is one
//! line:
//!
//! ```json
//! {"seq":7,"run":"3f9a0c","sent_ms":1785000000000.123,
//!  "name":"ALDER","value":42.17,"opening":42.00,"pad":"......"}
//! ```
//!
//! - `seq`: its number in this run of the server, so that a reader can count lost messages
//! - `run`: the run. Servers that share a log each publish quotes of their own
//! - `sent_ms`: Unix time in milliseconds
//! - `name`, `value`, `opening`: the quote
//! - `pad`: dots, up to the chosen size

use std::collections::hash_map::RandomState;
use std::fmt::Write as _;
use std::hash::BuildHasher;
use std::ops::RangeInclusive;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pushlab::push::{Hub, Payload};

use crate::quotes::{Quote, Quotes};

pub(crate) const TOPIC: &str = "feed";
/// With 0, the feed pauses.
pub(crate) const PER_SECOND: RangeInclusive<u32> = 0..=100;
/// The size of a message. A message without dots fits into the smallest size.
pub(crate) const BYTES: RangeInclusive<usize> = 128..=16_384;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) bytes: usize,
}

pub(crate) struct Source {
    pace: Mutex<Pace>,
    changed: Condvar,
}

impl Default for Source {
    fn default() -> Self {
        Self { pace: Mutex::new(Pace { per_second: 5, bytes: *BYTES.start() }), changed: Condvar::new() }
    }
}

impl Source {
    pub(crate) fn pace(&self) -> Pace {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
        self.changed.notify_one();
    }

    /// Publishes quotes, for as long as the program runs.
    pub(crate) fn run(&self, hub: &Hub) {
        let (mut quotes, mut published) = (Quotes::new(), Instant::now());
        let (mut run, mut seq) = (new_run(), 0);
        loop {
            let bytes = self.wait(&mut published);
            seq += 1;
            if let Err(error) = hub.publish(TOPIC, Payload::text(message(&run, seq, quotes.next(), bytes))) {
                log::error!("message {seq} was not published: {error}");
                // A reader must not take the missing number for a lost message.
                (run, seq) = (new_run(), 0);
            }
        }
    }

    /// Waits until the next message is due. A change of the pace takes effect during the wait.
    /// Returns the message's size.
    fn wait(&self, published: &mut Instant) -> usize {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(pause) = Duration::from_secs(1).checked_div(pace.per_second) else {
                pace = self.changed.wait(pace).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let due = *published + pause;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                *published = Instant::now();
                return pace.bytes;
            }
            pace = self.changed.wait_timeout(pace, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn new_run() -> String {
    format!("{:06x}", RandomState::new().hash_one(0) >> 40)
}

fn message(run: &str, seq: u64, Quote { name, price, opening }: Quote, bytes: usize) -> String {
    let (sent_ms, value, opening) = (now_ms(), f64::from(price) / 100.0, f64::from(opening) / 100.0);
    let mut json = format!(r#"{{"seq":{seq},"run":"{run}","sent_ms":{sent_ms:.3},"name":"{name}","#);
    let _ = write!(json, r#""value":{value:.2},"opening":{opening:.2},"pad":""#);
    let dots = bytes.saturating_sub(json.len() + 2);
    let _ = write!(json, "{:.<dots$}\"}}", "");
    json
}

/// Unix time in milliseconds, with a fraction.
pub(crate) fn now_ms() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

//! Which path leads where, and the topics.
//!
//! Owns the publishers' threads. Refuses to let anybody else publish, and topics that nobody publishes to.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime};

use pushlab::push::{Access, Hub, HubConfig, Mounted, Payload};
use pushlab::session::Handler;
use pushlab::{Reply, Request, Response};
use serde_json::{Value, json};

use crate::common::counters::Counters;
use crate::common::terminal::say;
use crate::common::{self, Started, file};
use crate::monitor::Monitor;
use crate::plug::Devices;
use crate::quotes::{Quote, Quotes};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");

const TOPICS: [&str; 3] = ["monitor", "plug", "quotes"];
/// What a page that has just been opened is shown.
const SHOWN: Duration = Duration::from_secs(2 * 60);
const SAMPLE: Duration = Duration::from_secs(1);
const QUOTE: Duration = Duration::from_millis(200);

pub(crate) struct App {
    pub(crate) hub: Hub,
    page: Arc<[u8]>,
    stats: Counters,
}

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        if !matches!(request.method().as_str(), "GET" | "HEAD") {
            return reply.send(Response::method_not_allowed("GET, HEAD"));
        }
        reply.send(match request.path() {
            "/" => file("text/html; charset=utf-8", Arc::clone(&self.page)),
            "/style.css" => file("text/css; charset=utf-8", STYLE),
            "/app.js" => file("text/javascript; charset=utf-8", SCRIPT),
            "/stats" => Response::json(self.stats()).field("Cache-Control", "no-store"),
            path => common::asset(path).unwrap_or_else(|| Response::status(404)),
        });
    }
}

impl App {
    /// Begins to publish.
    pub(crate) fn new(started: &Started<'_>, root: &Path) -> Self {
        let config = HubConfig {
            history_age: SHOWN,
            allow_origins: started.settings.allow_origins.clone(),
            topics: TOPICS.len() * 2,
            ..HubConfig::default()
        };
        let hub = Hub::with_policy(config, |_, access, topic| access == Access::Subscribe && TOPICS.contains(&topic));

        let mut quotes = Quotes::new();
        publish(&hub, "quotes", QUOTE, move || vec![quote(&quotes.next())]);
        let monitor = Monitor::open(root);
        let has_monitor = monitor.is_some();
        if let Some(mut monitor) = monitor {
            publish(&hub, "monitor", SAMPLE, move || vec![monitor.sample()]);
        } else {
            // The address is said in the same place, and matters more: where nothing can be said, it says so.
            let _ = say(&format!("there is no {}: quotes are all there is", root.join("proc/stat").display()));
        }
        if let Some(mut devices) = Devices::open(root) {
            publish(&hub, "plug", SAMPLE, move || devices.changes());
        }

        let page =
            include_str!("page/index.html").replace("{{io}}", &started.io.to_string()).replace("{{model}}", common::model_name(started.io));
        let page = page.replace("{{monitor}}", if has_monitor { "yes" } else { "no" }).into_bytes().into();
        Self { hub, page, stats: started.counters() }
    }

    fn stats(&self) -> String {
        let mut json = String::new();
        for (name, value) in self.stats.entries() {
            let separator = if json.is_empty() { '{' } else { ',' };
            let _ = write!(json, r#"{separator}"{name}":{value}"#);
        }
        json + "}\n"
    }
}

/// Publishes what `next` has to say, for as long as the program runs. A thread of its own, so that a file that is slow to read holds up
/// neither connections nor the other topics.
fn publish(hub: &Hub, topic: &'static str, pause: Duration, mut next: impl FnMut() -> Vec<Value> + Send + 'static) {
    let hub = hub.clone();
    thread::spawn(move || {
        loop {
            thread::sleep(pause);
            for mut message in next() {
                message["at"] = now_ms().into();
                if let Err(error) = hub.publish(topic, Payload::text(message.to_string()).event(topic)) {
                    log::warn!("{topic}: {error}");
                }
            }
        }
    });
}

fn now_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as u64)
}

fn quote(Quote { name, price, opening }: &Quote) -> Value {
    json!({ "name": name, "price": f64::from(*price) / 100.0, "opening": f64::from(*opening) / 100.0 })
}

//! The endpoints and the topics of the feeds.
//!
//! Owns the paths, the threads that publish, and the policy: clients can subscribe to the three
//! topics only, and cannot publish. Leaves the figures to `monitor`, `plug` and `quotes`.

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
use crate::common::routes::{READ, Route, route};
use crate::common::terminal::say;
use crate::common::{self, Started, file};
use crate::monitor::Monitor;
use crate::plug::Devices;
use crate::quotes::{Quote, Quotes};

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");

const TOPICS: [&str; 3] = ["monitor", "plug", "quotes"];
/// The time of which a new page is shown the messages.
const SHOWN: Duration = Duration::from_secs(2 * 60);
const SAMPLE: Duration = Duration::from_secs(1);
const QUOTE: Duration = Duration::from_millis(200);

pub(crate) struct App {
    pub(crate) hub: Hub,
    page: Arc<[u8]>,
    stats: Counters,
}

#[derive(Clone, Copy)]
enum Endpoint {
    Page,
    Style,
    Script,
    Stats,
}

const ROUTES: [Route<Endpoint>; 4] = [
    ("/", READ, Endpoint::Page),
    ("/style.css", READ, Endpoint::Style),
    ("/app.js", READ, Endpoint::Script),
    ("/stats", READ, Endpoint::Stats),
];

impl Handler for App {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        let Some((endpoint, _, reply)) = route(&ROUTES, request, reply) else { return };
        reply.send(request.cors().dress(match endpoint {
            Endpoint::Page => file("text/html; charset=utf-8", Arc::clone(&self.page)),
            Endpoint::Style => file("text/css; charset=utf-8", STYLE),
            Endpoint::Script => file("text/javascript; charset=utf-8", SCRIPT),
            Endpoint::Stats => Response::json(self.stats()).no_store(),
        }));
    }
}

impl App {
    /// Makes the hub and starts the threads that publish.
    pub(crate) fn new(started: &Started, root: &Path) -> Self {
        let config = HubConfig { history_age: SHOWN, topics: TOPICS.len() * 2, ..HubConfig::default() };
        let hub = Hub::with_policy(config, |_, access, topic| access == Access::Subscribe && TOPICS.contains(&topic));

        let mut quotes = Quotes::new();
        publish(&hub, "quotes", QUOTE, move || vec![quote(&quotes.next())]);
        let monitor = Monitor::open(root);
        let has_monitor = monitor.is_some();
        if let Some(mut monitor) = monitor {
            publish(&hub, "monitor", SAMPLE, move || vec![monitor.sample()]);
        } else {
            // An error here is ignored: the address is printed next, and that call reports the same
            // error.
            let _ = say(&format!("there is no {}: only quotes are published", root.join("proc/stat").display()));
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

/// Publishes the messages that `next` returns, for as long as the program runs. Each topic has a
/// thread of its own, so that a file that is slow to read delays neither the connections nor the
/// other topics.
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

//! A hub with a clock of the test's own, and clients that connect to it.
//!
//! Covers: push::hub::clock, push::hub::config, push::http::router, push::http::rejection

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pushlab::push::{Clock, Hub, HubConfig, Id, Mounted, Payload};
use pushlab::session::{Handler, Reply, Request, Response, Settings};

use crate::session::rig::Rig;
use crate::session::wire::{self, Answer};

pub struct World {
    pub hub: Hub,
    millis: Arc<AtomicU64>,
}

/// The application: the hub, and nothing else.
pub fn app(hub: &Hub) -> impl Handler + use<> {
    let hub = hub.clone();
    move |request: &Request<'_>, reply: Reply<'_>| match hub.handle(request, reply) {
        Mounted::Handled => {}
        Mounted::NotMine(reply) => reply.send(Response::text("not the hub's\n").with_status(404)),
    }
}

impl World {
    pub fn new() -> Self {
        Self::with(HubConfig::default())
    }

    pub fn with(config: HubConfig) -> Self {
        let (config, millis) = Self::clocked(config);
        Self { hub: Hub::new(config), millis }
    }

    pub fn clocked(config: HubConfig) -> (HubConfig, Arc<AtomicU64>) {
        let (start, millis) = (Instant::now(), Arc::<AtomicU64>::default());
        let read = Arc::clone(&millis);
        (HubConfig { clock: Clock::new(move || start + Duration::from_millis(read.load(SeqCst))), ..config }, millis)
    }

    /// The hub's time passes.
    pub fn pass(&self, time: Duration) {
        self.millis.fetch_add(time.as_millis() as u64, SeqCst);
    }

    pub fn pass_secs(&self, seconds: u64) {
        self.pass(Duration::from_secs(seconds));
    }

    #[track_caller]
    pub fn publish(&self, topic: &str, text: &str) -> Id {
        self.hub.publish(topic, Payload::text(text)).unwrap().id
    }

    pub fn connect(&self) -> Rig {
        self.connect_with(Settings::default())
    }

    pub fn connect_with(&self, settings: Settings) -> Rig {
        Rig::serving_with(settings, Arc::default(), app(&self.hub))
    }

    /// One request on a connection of its own, and its answer.
    #[track_caller]
    pub fn get(&self, path: &str) -> Answer {
        self.ask(&wire::get(path))
    }

    #[track_caller]
    pub fn ask(&self, request: &str) -> Answer {
        let mut rig = self.connect();
        rig.send(request);
        rig.deliver();
        rig.answer()
    }

    /// As [`get`](Self::get), with one more field.
    #[track_caller]
    pub fn get_with(&self, path: &str, field: &str) -> Answer {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"))
    }

    #[track_caller]
    pub fn json(&self, path: &str) -> serde_json::Value {
        serde_json::from_slice(&self.get(path).body).unwrap()
    }
}

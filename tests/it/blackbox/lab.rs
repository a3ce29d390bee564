//! A server in a thread of its own, and the guard that ends it.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::{io, thread};

use pushlab::push::{Hub, HubConfig};
use pushlab::session::{Snapshot, Stats};
use pushlab::{Config, IoModel, Reply, Request, Server, Stopper};

use super::{App, Client, NET, eventually};

/// A running server with the tests' own application. Its end, at the latest when it is dropped, is a test of its own: `run` returns in time
/// and without an error, and nothing is open, held or running any more.
pub struct Lab {
    pub app: Arc<App>,
    pub address: SocketAddr,
    pub stopper: Stopper,
    stats: Arc<Stats>,
    ended: Mutex<Option<Receiver<io::Result<()>>>>,
    #[cfg(feature = "tls")]
    _noted: super::tls::client::Noted,
}

impl Lab {
    pub fn start(model: IoModel) -> Self {
        Self::with(model, |_| {})
    }

    /// With other answers than the tests' own application has.
    pub fn answering(model: IoModel, answer: fn(&Request<'_>, Reply<'_>)) -> Self {
        Self::answering_with(model, |_| {}, answer)
    }

    pub fn answering_with(model: IoModel, configure: impl FnOnce(&mut Config), answer: fn(&Request<'_>, Reply<'_>)) -> Self {
        let app = App { answer: Some(answer), ..App::default() };
        Self::run(app, model, configure, |config| Server::bind("127.0.0.1:0", config))
    }

    pub fn with(model: IoModel, configure: impl FnOnce(&mut Config)) -> Self {
        Self::with_on("127.0.0.1:0", model, configure)
    }

    /// With a hub of other bounds than the default ones.
    pub fn with_hub(model: IoModel, hub: HubConfig) -> Self {
        Self::with_app_hub(model, Hub::new(hub), |_| {})
    }

    pub fn with_app_hub(model: IoModel, hub: Hub, configure: impl FnOnce(&mut Config)) -> Self {
        Self::run(App { hub, ..App::default() }, model, configure, |config| Server::bind("127.0.0.1:0", config))
    }

    pub fn with_on(address: &str, model: IoModel, configure: impl FnOnce(&mut Config)) -> Self {
        Self::run(App::default(), model, configure, |config| Server::bind(address, config))
    }

    pub fn with_listener(listener: TcpListener, model: IoModel, configure: impl FnOnce(&mut Config)) -> Self {
        Self::run(App::default(), model, configure, |config| Server::from_listener(listener, config))
    }

    /// On a socket and with a hub that outlive the server.
    pub fn with_hub_on(listener: TcpListener, hub: Hub, model: IoModel) -> Self {
        let app = App { hub, ..App::default() };
        Self::run(app, model, |_| {}, |config| Server::from_listener(listener, config))
    }

    #[cfg(unix)]
    pub fn with_unix_listener(listener: std::os::unix::net::UnixListener, model: IoModel, configure: impl FnOnce(&mut Config)) -> Self {
        Self::run(App::default(), model, configure, |config| Server::from_unix_listener(listener, config))
    }

    fn run(app: App, model: IoModel, configure: impl FnOnce(&mut Config), make: impl FnOnce(Config) -> io::Result<Server>) -> Self {
        let mut config = Config::default();
        configure(&mut config);
        #[cfg(feature = "tls")]
        super::tls::client::secure(&mut config);
        let server = make(config).unwrap();
        #[cfg(feature = "tls")]
        let noted = super::tls::client::Noted::new(server.local_addr());
        let (address, stopper, stats) = (server.local_addr(), server.stopper(), server.stats());
        assert!(app.stopper.set(stopper.clone()).is_ok(), "each application belongs to one server");
        let app = Arc::new(app);
        let handling = Arc::clone(&app);
        let (send, receive) = channel();
        thread::spawn(move || send.send(server.run(model, move |request: &Request<'_>, reply: Reply<'_>| handling.handle(request, reply))));
        Self {
            app,
            address,
            stopper,
            stats,
            ended: Mutex::new(Some(receive)),
            #[cfg(feature = "tls")]
            _noted: noted,
        }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Connects many times, and never faster than the server accepts: the system's backlog is short, and who does not fit tries again
    /// after a second.
    pub fn connect_many(&self, count: usize) -> Vec<Client> {
        let before = self.stats().accepted;
        let connect = |n| {
            let client = self.connect();
            if n % 50 == 49 {
                eventually("connections are accepted", || self.stats().accepted > before + n);
            }
            client
        };
        (0..count as u64).map(connect).collect()
    }

    /// How often each rule was broken, by its name.
    pub fn broken_rules(&self) -> BTreeMap<String, u64> {
        self.stats.broken_rules().map(|(rule, count)| (format!("{rule:?}"), count)).collect()
    }

    pub fn stats(&self) -> Snapshot {
        self.stats.snapshot()
    }

    /// Waits for the end that somebody has asked for, and looks whether everything was given back.
    #[track_caller]
    pub fn join(&self) {
        let Some(ended) = self.ended.lock().unwrap().take() else { return };
        ended.recv_timeout(NET).expect("the server ends in time").expect("the server ends without an error");
        // A loaded machine may need longer to end thousands of threads than the server waits for them.
        let left = || {
            let Snapshot { open, held, streams, websockets, threads, .. } = self.stats();
            [open, held, streams, websockets, threads]
        };
        eventually("everything is given back after the end", || left() == [0; 5]);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.stopper.stop_now();
        if !thread::panicking() {
            self.join();
        }
    }
}

//! One of the servers: a hub with a shared log, and its STOMP endpoint.
//!
//! Owns the command line and the paths of a server. Leaves everything about topics to the library.
//! Nothing here knows how many servers there are.

use std::cell::{Cell, RefCell};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pushlab::push::{Hub, HubConfig, Mounted, SharedLog, Stomp, StompConfig};
use pushlab::session::Handler;
use pushlab::{Reply, Request, Response};
use serde_json::{Value, json};

use crate::common::arguments::Arguments;
use crate::common::counters::Counters;
use crate::common::routes::{READ, Route, route};
use crate::common::{self, Started};
use crate::end_with_input;

const HELP: &str = "\
One of several servers that share a log: the hub at /topics, and STOMP at /stomp.

Usage: mq server [OPTIONS]

  --log ADDRESS        stomp+stream://USER:PASSWORD@HOST:PORT/NAME, a stream, or
                       stomp://USER:PASSWORD@HOST:PORT/NAME, a topic of any STOMP broker
                       [no log: the server is alone]
  --io MODEL           the IO model: event-loop (default) or threads
  --listen ADDR:PORT   the address to listen on; port 0 takes any free port   [127.0.0.1:8080]
  --allow-origin ORIGIN
                       let pages of this origin act here: scheme://host[:port], null, file://,
                       or * for any; may be repeated   [none]
  --allow-host HOST    a name of this server, host or host:port; may be repeated;
                       requests for other hosts get 421   [any host]
  --trusted-proxy PROXY
                       believe this proxy about its clients: an address, a network
                       such as 10.0.0.0/8, or unix; may be repeated   [none]
  --forwarded-field NAME
                       a field that every trusted proxy writes: Forwarded, X-Forwarded-For,
                       X-Forwarded-Proto or X-Forwarded-Host; may be repeated   [none]
  --end-with-input     end when standard input ends
  --help               print this text
  --version            print the name and the version";

pub(crate) const TOPIC: &str = "mq";
pub(crate) const LOG_EXPECTED: &str = "stomp+stream://USER:PASSWORD@HOST:PORT/NAME or stomp://USER:PASSWORD@HOST:PORT/NAME";
/// How long a server waits for the log before it accepts clients. After that it answers 503 to
/// everything that needs the log.
const LOG_WAIT: Duration = Duration::from_secs(3);

#[derive(Clone, Copy)]
enum Endpoint {
    Stats,
    Stomp,
}

const ROUTES: [Route<Endpoint>; 2] = [("/stats", READ, Endpoint::Stats), ("/stomp", READ, Endpoint::Stomp)];

struct Server {
    hub: Hub,
    stomp: Stomp,
    stats: Counters,
    started: Instant,
}

pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let (log, has_parent) = (RefCell::new(None), Cell::new(false));
    common::run_with(
        arguments,
        HELP,
        |flag, arguments, _| {
            match flag {
                "--log" => *log.borrow_mut() = Some(arguments.value::<SharedLog>(LOG_EXPECTED)?),
                "--end-with-input" => has_parent.set(true),
                _ => return Ok(false),
            }
            Ok(true)
        },
        |_| Ok("http"),
        |started| {
            if has_parent.get() {
                end_with_input();
            }
            Ok(Server::new(started, log.take()))
        },
    )
}

impl Server {
    fn new(started: &Started, log: Option<SharedLog>) -> Self {
        let hub = Hub::new(HubConfig { log, ..HubConfig::default() });
        // Without a log, this returns at once.
        if let Err(error) = hub.wait_for_log(LOG_WAIT) {
            log::warn!("{error}; the server goes on, and tries again");
        }
        common::keep_time(&hub);
        let stomp = Stomp::new(&hub, StompConfig::default());
        Self { hub, stomp, stats: started.counters(), started: Instant::now() }
    }

    fn stats(&self) -> Value {
        let parsed = |text: String| serde_json::from_str::<Value>(&text).unwrap_or_default();
        json!({
            "pid": std::process::id(),
            "uptime_seconds": self.started.elapsed().as_secs(),
            "server": self.stats.entries().collect::<Value>(),
            "log": self.hub.log_stats().map(|stats| parsed(stats.json())),
            "topic": self.hub.info(TOPIC).ok().map(|info| parsed(info.json(TOPIC))),
            "stomp": parsed(self.stomp.stats().json()),
        })
    }
}

impl Handler for Server {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        let Some((endpoint, _, reply)) = route(&ROUTES, request, reply) else { return };
        match endpoint {
            Endpoint::Stats => reply.send(request.cors().dress(Response::json(format!("{}\n", self.stats())).no_store())),
            Endpoint::Stomp => self.stomp.serve(reply),
        }
    }
}

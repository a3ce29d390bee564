//! The process that serves the page, and starts the broker and the servers.
//!
//! Owns the command line, the page, and the paths. Leaves the processes to `cluster`. The page
//! itself talks to the servers: this process is no proxy.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use pushlab::push::{Access, Hub, HubConfig, Mounted, Payload, SharedLog};
use pushlab::session::Handler;
use pushlab::{Reply, Request, Response};

use serde_json::Value;

use crate::cluster::{Cluster, Plan};
use crate::common::arguments::Arguments;
use crate::common::counters::Counters;
use crate::common::routes::{ACT, READ, Route, route};
use crate::common::{self, Started, file};
use crate::server::LOG_EXPECTED;

const HELP: &str = "\
Three servers that share a log, the broker that keeps the log, and a page that ends them.

Usage: mq [OPTIONS]
       mq server [OPTIONS]              one of the servers; see mq server --help
       mq broker --keep DIR [OPTIONS]   the broker; see mq broker --help

  --io MODEL           the IO model of all servers: event-loop (default) or threads
  --listen ADDR:PORT   the address of the page; port 0 takes any free port   [127.0.0.1:8080]
                       The servers listen on the same address. If other machines shall open the
                       page by another name, as with 0.0.0.0, give its origin to --allow-origin.
  --servers N          how many servers, from 2 to 9   [3]
  --log ADDRESS        use a broker that runs already, such as RabbitMQ:
                       stomp+stream://USER:PASSWORD@HOST:PORT/NAME, a stream, or
                       stomp://USER:PASSWORD@HOST:PORT/NAME, a topic   [a broker of its own]
  --stompjs FILE       serve STOMP.js from this file, stomp.umd.min.js of the npm package
                       @stomp/stompjs   [the page loads it from cdn.jsdelivr.net]
  --allow-origin ORIGIN
                       let pages of this origin act at all servers, beside the page itself:
                       scheme://host[:port], null, file://, or * for any; may be repeated   [none]
  --allow-host HOST    a name of this server, host or host:port; may be repeated;
                       requests for other hosts get 421   [any host]
  --trusted-proxy PROXY
                       believe this proxy about its clients: an address, a network
                       such as 10.0.0.0/8, or unix; may be repeated   [none]
  --forwarded-field NAME
                       a field that every trusted proxy writes: Forwarded, X-Forwarded-For,
                       X-Forwarded-Proto or X-Forwarded-Host; may be repeated   [none]
  --help               print this text
  --version            print the name and the version

Ctrl-C shuts down gracefully; a second Ctrl-C shuts down at once.
RUST_LOG=debug logs why each connection ended.";

const TOPIC: &str = "processes";
/// The bundle for a script element, at a fixed version, with the hash of its content.
const STOMPJS_URL: &str = "https://cdn.jsdelivr.net/npm/@stomp/stompjs@7.5.0/bundles/stomp.umd.min.js";
const STOMPJS_INTEGRITY: &str = "sha384-kQjQD4X78U0SNVeFmVuyOn7JuHmYlQ/CaFvAm/Omtfa8/ev8Iu1Ur9grrK53Vp/z";

#[derive(Clone, Copy)]
enum Endpoint {
    Page,
    File(&'static str, &'static str),
    StompJs,
    Processes,
    Stats,
    Kill,
    Start,
}

const JS: &str = "text/javascript; charset=utf-8";
const ROUTES: [Route<Endpoint>; 10] = [
    ("/", READ, Endpoint::Page),
    ("/style.css", READ, Endpoint::File("text/css; charset=utf-8", include_str!("page/style.css"))),
    ("/app.js", READ, Endpoint::File(JS, include_str!("page/app.js"))),
    ("/clients.js", READ, Endpoint::File(JS, include_str!("page/clients.js"))),
    ("/account.js", READ, Endpoint::File(JS, include_str!("page/account.js"))),
    ("/stomp.js", READ, Endpoint::StompJs),
    ("/processes", READ, Endpoint::Processes),
    ("/stats", READ, Endpoint::Stats),
    ("/processes/{}/kill", ACT, Endpoint::Kill),
    ("/processes/{}/start", ACT, Endpoint::Start),
];

/// The command line of this example alone.
#[derive(Default)]
struct Own {
    servers: Cell<Option<u8>>,
    log: RefCell<Option<String>>,
    stompjs: RefCell<Option<PathBuf>>,
}

pub(crate) fn run(arguments: Arguments) -> ExitCode {
    let (own, cluster) = (Own::default(), OnceCell::new());
    let code = common::run_with(
        arguments,
        HELP,
        |flag, arguments, _| {
            match flag {
                "--servers" => own.servers.set(Some(arguments.number("a whole number", 2..=9)?)),
                "--log" => {
                    let address: String = arguments.value(LOG_EXPECTED)?;
                    // The servers get the text. A wrong one is refused here and not by all of them.
                    address.parse::<SharedLog>().map_err(|error| format!("--log: {error}"))?;
                    *own.log.borrow_mut() = Some(address);
                }
                "--stompjs" => *own.stompjs.borrow_mut() = Some(arguments.value("a file")?),
                _ => return Ok(false),
            }
            Ok(true)
        },
        |_| Ok("http"),
        |started| {
            let office = Office::new(started, &own)?;
            cluster.get_or_init(|| Arc::clone(&office.cluster));
            Ok(office)
        },
    );
    if let Some(cluster) = cluster.get() {
        cluster.end();
    }
    code
}

struct Office {
    cluster: Arc<Cluster>,
    /// One topic: the list of processes, again after each change.
    hub: Hub,
    page: Arc<[u8]>,
    stompjs: Option<Arc<[u8]>>,
    stats: Counters,
}

impl Office {
    fn new(started: &Started, own: &Own) -> Result<Self, String> {
        if started.address.port() == 0 {
            return Err("a Unix socket is not enough: the page goes to the port of each server".to_owned());
        }
        let stompjs = own.stompjs.take().map(|path| {
            std::fs::read(&path).map(Arc::from).map_err(|error| format!("--stompjs {} cannot be read: {error}", path.display()))
        });
        let stompjs = stompjs.transpose()?;
        let config = HubConfig { history_messages: 1, ..HubConfig::default() };
        let hub = Hub::with_policy(config, |_, access, topic| access == Access::Subscribe && topic == TOPIC);
        let plan = Plan {
            servers: own.servers.get().unwrap_or(3),
            host: started.address.ip(),
            log: own.log.take(),
            io: started.io,
            origins: origins(started),
        };
        let cluster = Cluster::start(&plan, {
            let hub = hub.clone();
            // It cannot fail: the topic's name is valid, and the list is small.
            move |list| _ = hub.publish(TOPIC, Payload::text(list))
        })?;
        let source = match &stompjs {
            Some(_) => r#"src="/stomp.js""#.to_owned(),
            None => format!(r#"src="{STOMPJS_URL}" integrity="{STOMPJS_INTEGRITY}" crossorigin="anonymous""#),
        };
        let page = include_str!("page/index.html")
            .replace("{{io}}", &started.io.to_string())
            .replace("{{model}}", common::model_name(started.io))
            .replace("{{stompjs}}", &source);
        Ok(Self { cluster, hub, page: page.into_bytes().into(), stompjs, stats: started.counters() })
    }

    fn change(&self, endpoint: Endpoint, name: &str) -> Response {
        let Some(process) = self.cluster.process(name) else {
            return Response::text("there is no process with this name; /processes lists them\n").with_status(404);
        };
        let done = if matches!(endpoint, Endpoint::Kill) { process.kill() } else { process.start() };
        match done {
            Ok(()) => Response::json(format!("{}\n", process.json())).with_status(202),
            Err(sentence) => Response::text(format!("{sentence}\n")).with_status(409),
        }
    }
}

/// The origins that the page may have: the addresses by which this machine reaches this server.
fn origins(started: &Started) -> Vec<String> {
    let port = started.address.port();
    let hosts = [started.address.ip(), Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()].map(|ip| match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    });
    let own = hosts.into_iter().chain(["localhost".to_owned()]).map(|host| format!("http://{host}:{port}"));
    own.chain(started.allow_origins().iter().cloned()).collect()
}

impl Handler for Office {
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        let Some((endpoint, part, reply)) = route(&ROUTES, request, reply) else { return };
        let response = match endpoint {
            Endpoint::Page => file("text/html; charset=utf-8", Arc::clone(&self.page)),
            Endpoint::File(content_type, text) => file(content_type, text),
            Endpoint::StompJs => match &self.stompjs {
                Some(script) => file(JS, Arc::clone(script)),
                None => Response::text("this server was started without --stompjs\n").with_status(404),
            },
            Endpoint::Processes => Response::json(format!("{}\n", self.cluster.list())).no_store(),
            Endpoint::Stats => Response::json(format!("{}\n", self.stats.entries().collect::<Value>())).no_store(),
            Endpoint::Kill | Endpoint::Start => self.change(endpoint, part),
        };
        reply.send(request.cors().dress(response));
    }
}

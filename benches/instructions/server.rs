//! The server whose instructions are counted. It is this program again, in a process of its own.
//!
//! Owns the handler and what the client can ask it for. The process ends when its standard input is
//! closed, so it never outlives the tool.
//!
//! | Target | What it does |
//! |---|---|
//! | `/hello` | answers a short text |
//! | `/echo` | echoes WebSocket messages |
//! | `/hold` | holds the request |
//! | `/release?N` | answers the N requests that are held |
//! | `/publish?N` | publishes N messages to the topic `ticks` |
//! | `/make?N` | makes N topics with a message each |
//! | `/publish_round?N` | publishes N messages, each to the next one of these topics |
//! | `/when_held?N` | answers when N requests are held |
//! | `/publish_when_held?N` | publishes one message when N polls are held |
//! | `/gate` | prints a line, and waits for a byte on the standard input |
//! | `/mark` | ends an interval of the count |
//! | `/topics/...` | the hub |

use std::error::Error;
use std::io::Read as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use pushlab::push::{Hub, HubConfig, Mounted, Payload};
use pushlab::{Config, Held, IoModel, Limits, Message, Reply, Request, Response, Server, Settings, Socket, Stats, WebSocketHandler};

use crate::client::socket_with_large_buffers;

/// The end of each published message.
pub(crate) const PAYLOAD: &str = "sequence 104711, value 21.5: tick-tock";

/// valgrind writes its counts at each call of this function, and begins again from zero.
#[inline(never)]
fn end_of_counted_interval() {
    std::hint::black_box(());
}

/// The name of that function, as valgrind matches it.
pub(crate) const MARK: &str = "*end_of_counted_interval*";

pub(crate) fn run(model: IoModel) -> Result<ExitCode, Box<dyn Error>> {
    // A heartbeat would be counted with an operation.
    let limits = Limits { heartbeat: None, ..Limits::default() };
    let config = Config { settings: Settings { limits, ..Settings::default() }, ..Config::default() };
    // Accepted connections inherit the sizes.
    let socket = socket_with_large_buffers()?;
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    socket.listen(1_024)?;
    let server = Server::from_listener(socket.into(), config)?;
    println!("{}", server.local_addr());
    let app = App {
        model,
        hub: Hub::new(HubConfig { topics_per_request: 64, ..HubConfig::default() }),
        held: Mutex::default(),
        gate: Mutex::new(watch_standard_input()),
        stats: server.stats(),
        made: Mutex::default(),
    };
    server.run(model, move |request: &Request<'_>, reply: Reply<'_>| app.serve(request, reply))?;
    Ok(ExitCode::SUCCESS)
}

/// Passes on the bytes of the standard input. Its end is the end of the process.
fn watch_standard_input() -> Receiver<()> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        while std::io::stdin().read_exact(&mut [0]).is_ok() && sender.send(()).is_ok() {}
        std::process::exit(0);
    });
    receiver
}

struct App {
    model: IoModel,
    hub: Hub,
    held: Mutex<Vec<Held>>,
    gate: Mutex<Receiver<()>>,
    stats: Arc<Stats>,
    /// The topics of `/make`, and the index of the last one that was published to.
    made: Mutex<(Vec<String>, usize)>,
}

impl App {
    fn serve(&self, request: &Request<'_>, reply: Reply<'_>) {
        // First, so that the counts of requests and polls do not depend on the list below.
        if request.path() == "/hello" {
            return reply.send(Response::text("hello\n"));
        }
        let reply = match self.hub.handle(request, reply) {
            Mounted::Handled => return,
            Mounted::NotMine(reply) => reply,
        };
        let number = request.query().unwrap_or_default().parse().unwrap_or(0);
        match request.path() {
            "/echo" => reply.upgrade(Echo),
            "/hold" => {
                let held = reply.hold(Duration::MAX, Response::no_content());
                self.held().push(held);
            }
            "/release" => {
                if !self.waited_until(|| self.held().len() == number) {
                    return reply.send(outcome(false));
                }
                let answer = Arc::new(Response::text("hello\n"));
                for held in self.held().drain(..) {
                    held.release(Arc::clone(&answer));
                }
                reply.send(outcome(true));
            }
            "/publish" => self.publish(number, reply),
            "/publish_when_held" => {
                if !self.waited_until(|| self.stats.snapshot().held == number as u64) {
                    return reply.send(outcome(false));
                }
                self.publish(1, reply);
            }
            "/make" => {
                let names = (0..number).map(|number| format!("made{number}")).collect::<Vec<_>>();
                let all = names.iter().all(|name| self.hub.publish(name, Payload::text(PAYLOAD)).is_ok());
                *self.made.lock().unwrap_or_else(PoisonError::into_inner) = (names, 0);
                reply.send(outcome(all));
            }
            "/publish_round" => {
                let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
                let (names, next) = &mut *made;
                // The step is prime, so that the topics come in no order.
                let all = (0..number).all(|_| {
                    *next = (*next + 7_919) % names.len();
                    self.hub.publish(&names[*next], Payload::text(PAYLOAD)).is_ok()
                });
                reply.send(outcome(all));
            }
            "/when_held" => reply.send(outcome(self.waited_until(|| self.stats.snapshot().held == number as u64))),
            "/gate" => {
                println!("closed");
                let open = self.gate.lock().unwrap_or_else(PoisonError::into_inner).recv();
                reply.send(outcome(open.is_ok()));
            }
            "/mark" => {
                end_of_counted_interval();
                reply.send(outcome(true));
            }
            _ => reply.send(Response::status(404)),
        }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Vec<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the condition holds. The event loop has taken earlier requests before this one. Threads may
    /// be behind, so this waits for them.
    fn waited_until(&self, condition: impl Fn() -> bool) -> bool {
        while self.model == IoModel::ThreadPerConnection && !condition() {
            thread::sleep(Duration::from_millis(1));
        }
        condition()
    }

    fn publish(&self, count: usize, reply: Reply<'_>) {
        let all = (0..count).all(|_| self.hub.publish("ticks", Payload::text(PAYLOAD)).is_ok());
        reply.send(outcome(all));
    }
}

fn outcome(succeeded: bool) -> Response {
    Response::text("done\n").with_status(if succeeded { 200 } else { 500 })
}

struct Echo;

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        socket.send(message);
    }
}

//! The application of the measured server, the same for each IO model.
//!
//! Owns its endpoints. The hub is mounted at `/topics`. Leaves the IO model to `server`.
//!
//! | Path | Answer |
//! |---|---|
//! | `/plaintext` | 13 bytes of text |
//! | `/download` | 64 KiB |
//! | `/sleep?ms=N` | a text, after the handler has blocked for N milliseconds |
//! | `/hold` | nothing, until `/release` answers all held requests |
//! | `/held` | the number of held requests |
//! | `/echo` | a WebSocket that sends each message back |
//! | `/shutdown` | begins a graceful shutdown |

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

use pushlab::push::{Hub, Mounted};
use pushlab::{Handler, Held, Message, Method, Reply, Request, Response, Socket, WebSocketHandler};

use super::Defect;
use super::workers::Workers;

/// The body of `/plaintext`: the usual text of such benchmarks.
pub(crate) const PLAINTEXT: &str = "Hello, World!";
/// The length of the body of `/download`.
pub(crate) const DOWNLOAD_BYTES: usize = 64 * 1024;
/// Every request of this number is lost by [`Defect::Loses`].
const LOSES_EVERY: u64 = 10;
/// No claim holds a request for longer.
const HOLD_MAX: Duration = Duration::from_secs(600);

/// A clone belongs to the same application.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

struct Inner {
    hub: Hub,
    defect: Defect,
    workers: Option<Workers>,
    held: Mutex<Vec<Held>>,
    download: Arc<[u8]>,
    published: AtomicU64,
    shutdown: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl App {
    pub(crate) fn new(hub: Hub, defect: Defect) -> Self {
        Self::with(hub, defect, None)
    }

    fn with(hub: Hub, defect: Defect, workers: Option<Workers>) -> Self {
        Self(Arc::new(Inner {
            hub,
            defect,
            workers,
            held: Mutex::default(),
            download: vec![b'x'; DOWNLOAD_BYTES].into(),
            published: AtomicU64::new(0),
            shutdown: OnceLock::new(),
        }))
    }

    /// Answers requests on the threads of `workers`.
    pub(crate) fn with_workers(&self, workers: Workers) -> Self {
        Self::with(self.0.hub.clone(), self.0.defect, Some(workers))
    }

    /// What `/shutdown` does.
    pub(crate) fn on_shutdown(&self, shutdown: impl Fn() + Send + Sync + 'static) {
        let _ = self.0.shutdown.set(Box::new(shutdown));
    }

    pub(crate) fn handler(&self) -> impl Handler + use<> {
        let app = self.clone();
        move |request: &Request<'_>, reply: Reply<'_>| app.handle(request, reply)
    }

    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        let inner = &self.0;
        match request.path() {
            "/hold" => {
                let held = reply.hold(HOLD_MAX, Response::no_content());
                inner.held.lock().unwrap_or_else(PoisonError::into_inner).push(held);
            }
            "/echo" => reply.upgrade(Echo(inner.defect)),
            path if path.starts_with("/topics") => self.handle_hub(request, reply),
            path => {
                let Some(ask) = Ask::read(path, request.query().unwrap_or_default()) else { return reply.send(Response::status(404)) };
                match &inner.workers {
                    None => reply.send(self.answer(ask)),
                    Some(workers) => {
                        let (app, held) = (self.clone(), reply.hold(HOLD_MAX, Response::status(503)));
                        workers.run(move || held.release(app.answer(ask)));
                    }
                }
            }
        }
    }

    fn handle_hub(&self, request: &Request<'_>, reply: Reply<'_>) {
        let is_publish = request.method() == Method::Post;
        if is_publish && self.0.defect == Defect::Loses && self.0.published.fetch_add(1, Relaxed) % LOSES_EVERY == LOSES_EVERY - 1 {
            return reply.send(Response::status(202));
        }
        if let Mounted::NotMine(reply) = self.0.hub.handle(request, reply) {
            reply.send(Response::status(404));
        }
    }

    /// The work of a request that has an answer at once. It may block.
    fn answer(&self, ask: Ask) -> Response {
        self.0.defect.sleep();
        match ask {
            Ask::Plaintext => Response::text(PLAINTEXT),
            Ask::Download => Response::new("application/octet-stream", Arc::clone(&self.0.download)),
            Ask::Sleep(time) => {
                thread::sleep(time);
                Response::text(PLAINTEXT)
            }
            Ask::Held => Response::text(self.0.held.lock().unwrap_or_else(PoisonError::into_inner).len().to_string()),
            Ask::Release => {
                let held = std::mem::take(&mut *self.0.held.lock().unwrap_or_else(PoisonError::into_inner));
                let answer = Arc::new(Response::text(PLAINTEXT));
                Held::release_all(held.into_iter().map(|held| (held, Arc::clone(&answer))));
                Response::text(PLAINTEXT)
            }
            Ask::Shutdown => {
                if let Some(shutdown) = self.0.shutdown.get() {
                    shutdown();
                }
                Response::text(PLAINTEXT)
            }
        }
    }
}

/// A request that has an answer at once.
#[derive(Clone, Copy)]
enum Ask {
    Plaintext,
    Download,
    Sleep(Duration),
    Held,
    Release,
    Shutdown,
}

impl Defect {
    fn sleep(self) {
        if self == Self::Sleeps {
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Ask {
    fn read(path: &str, query: &str) -> Option<Self> {
        Some(match path {
            "/plaintext" => Self::Plaintext,
            "/download" => Self::Download,
            "/sleep" => Self::Sleep(Duration::from_millis(query.strip_prefix("ms=")?.parse().ok()?)),
            "/held" => Self::Held,
            "/release" => Self::Release,
            "/shutdown" => Self::Shutdown,
            _ => return None,
        })
    }
}

struct Echo(Defect);

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        self.0.sleep();
        socket.send(message);
    }
}

//! The application that most tests serve.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use pushlab::proto::sse;
use pushlab::push::{Hub, Mounted, Payload, Stomp, StompConfig};
use pushlab::session::{Feed, Stream, StreamSource, Upgrade};
use pushlab::{CloseReason, Frame, Held, Message, Pusher, Reply, Request, Response, Socket, Stopper, WebSocketHandler, on_message};

use super::{NET, eventually};

/// What the handlers leave behind for the test to use.
#[derive(Default)]
pub struct App {
    /// Instead of all that is below.
    pub answer: Option<fn(&Request<'_>, Reply<'_>)>,
    /// Serves what is below `/topics`.
    pub hub: Hub,
    /// Ends the server at `/stop`.
    pub stopper: OnceLock<Stopper>,
    /// Serves `/stomp`.
    pub stomp: OnceLock<Stomp>,
    pub held: Mutex<Vec<Held>>,
    pub pushers: Mutex<Vec<Pusher>>,
    /// Values that connections carried and dropped.
    pub dropped: AtomicUsize,
    /// Messages that streams were told to have lost.
    pub lost: AtomicUsize,
    /// Requests that have come.
    pub requests: AtomicUsize,
    /// Handlers that have reached the gate.
    pub at_gate: AtomicUsize,
    pub gate: Gate,
    /// Why WebSockets ended.
    pub closed: Mutex<Vec<CloseReason>>,
}

/// Keeps handlers until it is opened.
#[derive(Default)]
pub struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub const fn new() -> Self {
        Self { is_open: Mutex::new(false), opened: Condvar::new() }
    }

    pub fn open(&self) {
        *self.is_open.lock().unwrap() = true;
        self.opened.notify_all();
    }

    pub fn close(&self) {
        *self.is_open.lock().unwrap() = false;
    }

    pub fn wait(&self) {
        let guard = self.is_open.lock().unwrap();
        drop(self.opened.wait_timeout_while(guard, NET, |is_open| !*is_open).unwrap());
    }
}

/// Counts its own drop.
struct Carried(Arc<App>);

impl Drop for Carried {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, SeqCst);
    }
}

/// Tells the hub that its connection is over, out of its own drop.
struct Farewell(Arc<App>);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.hub.publish("a", Payload::text("farewell")).unwrap();
    }
}

/// Keeps a stream open, and sends nothing.
struct Quiet;

impl StreamSource for Quiet {
    fn feed(&mut self, _: &mut Stream<'_>) -> Feed {
        Feed::Continue
    }
}

impl App {
    /// Takes the one request that is held, once it is there.
    pub fn one_held(&self) -> Held {
        self.all_held(1).pop().unwrap()
    }

    pub fn all_held(&self, count: usize) -> Vec<Held> {
        eventually("requests are held", || self.held.lock().unwrap().len() >= count);
        std::mem::take(&mut self.held.lock().unwrap())
    }

    /// The pusher that was given out last, which stays.
    pub fn last_pusher(&self, count: usize) -> Pusher {
        eventually("pushers are given out", || self.pushers.lock().unwrap().len() >= count);
        self.pushers.lock().unwrap()[count - 1].clone()
    }

    pub fn one_pusher(&self) -> Pusher {
        self.all_pushers(1).pop().unwrap()
    }

    pub fn all_pushers(&self, count: usize) -> Vec<Pusher> {
        eventually("pushers are given out", || self.pushers.lock().unwrap().len() >= count);
        std::mem::take(&mut self.pushers.lock().unwrap())
    }

    pub fn dropped(&self) -> usize {
        self.dropped.load(SeqCst)
    }

    pub fn handle(self: &Arc<Self>, request: &Request<'_>, mut reply: Reply<'_>) {
        if let Some(answer) = self.answer {
            return answer(request, reply);
        }
        let requests = self.requests.fetch_add(1, SeqCst) + 1;
        let number = |name| request.query_value(name).and_then(|value| value.parse::<usize>().ok()).unwrap_or_default();
        match request.path() {
            "/hello" => reply.send(Response::text("hello\n")),
            // An endpoint of an application's own that changes something.
            "/act" if !request.origin().may_act() => reply.send(Response::status(403)),
            "/act" => reply.send(request.cors().dress(Response::text("done\n"))),
            "/client" => {
                let client = request.client_ip().map_or("-".to_owned(), |ip| ip.to_string());
                reply.send(Response::text(format!("{client} {} {}", request.is_secure(), request.host().unwrap_or("-"))));
            }
            "/peer" => reply.send(Response::text(request.peer().ip().map_or_else(|| request.peer().to_string(), |ip| ip.to_string()))),
            "/count" => reply.send(Response::text(requests.to_string())),
            "/number" => reply.send(Response::text(number("n").to_string())),
            "/big" => reply.send(Response::text(vec![b'x'; number("n")])),
            "/echo" => reply.send(Response::new("application/octet-stream", request.body().to_vec())),
            // Which thread this is, as a directory below /proc.
            #[cfg(target_os = "linux")]
            "/thread" => reply.send(Response::text(std::fs::read_link("/proc/thread-self").unwrap().display().to_string())),
            "/poll" => {
                reply.carry(Carried(Arc::clone(self)));
                let held = reply.hold(NET, Response::no_content());
                self.held.lock().unwrap().push(held);
            }
            "/brief" => std::mem::forget(reply.hold(Duration::from_millis(number("ms") as u64), Response::no_content())),
            "/forgotten" => drop(reply.hold(NET, Response::no_content())),
            "/at-once" => reply.hold(NET, Response::no_content()).release(Response::text("released in the handler\n")),
            "/later" => {
                let (app, held) = (Arc::clone(self), reply.hold(NET, Response::no_content()));
                app.at_gate.fetch_add(1, SeqCst);
                thread::spawn(move || {
                    app.gate.wait();
                    held.release(Response::text("released by a worker\n"));
                });
            }
            "/block" => {
                self.at_gate.fetch_add(1, SeqCst);
                self.gate.wait();
                reply.send(Response::text("unblocked\n"));
            }
            "/events" => {
                let mut events = reply.event_stream();
                events.carry(Carried(Arc::clone(self)));
                self.pushers.lock().unwrap().push(events.pusher());
                events.send_event(&sse::Event::data("welcome")).unwrap();
            }
            "/stream" => {
                let mut stream = reply.stream(Response::text(""));
                stream.carry(Carried(Arc::clone(self)));
                let app = Arc::clone(self);
                stream.on_drop(move |count| {
                    app.lost.fetch_add(count, SeqCst);
                    None
                });
                self.pushers.lock().unwrap().push(stream.pusher());
            }
            "/ending-stream" => {
                let mut stream = reply.stream(Response::text(""));
                stream.end_after(1);
                self.pushers.lock().unwrap().push(stream.pusher());
            }
            "/farewell" => {
                reply.carry(Farewell(Arc::clone(self)));
                reply.event_stream().feed(Quiet);
            }
            "/abandoned" => drop(reply.stream(Response::text("begun")).pusher()),
            "/abandoned-events" => _ = reply.event_stream().send_event(&sse::Event::data("begun")).unwrap(),
            // Nothing can be pushed to this stream.
            "/quiet" => reply.event_stream().feed(Quiet),
            "/ws" => {
                reply.carry(Carried(Arc::clone(self)));
                reply.upgrade_with(Upgrade { protocols: &["chat", "superchat"], ..Upgrade::default() }, Echo(Arc::clone(self)));
            }
            "/room" => {
                let [opening, talking, closing] = [(); 3].map(|()| Arc::clone(self));
                let room = on_message(move |message, _| {
                    if let Message::Text(text) = message {
                        Pusher::push_all(&*talking.pushers.lock().unwrap(), &Frame::text(text));
                    }
                });
                let room = room.on_open(move |socket| {
                    let mut all = opening.pushers.lock().unwrap();
                    all.push(socket.pusher());
                    Pusher::push_all(&*all, &Frame::text(&format!("{} online", all.len())));
                });
                reply.upgrade(room.on_close(move |reason| closing.closed.lock().unwrap().push(reason)));
            }
            "/stomp" => self.stomp().serve(reply),
            "/timer" => reply.upgrade(Timed(Arc::clone(self))),
            "/stop" => {
                self.stopper.get().unwrap().stop();
                reply.send(Response::text(vec![b'x'; number("n")]));
            }
            "/panic" => std::panic::resume_unwind(Box::new("without a message on standard error")),
            _ => match self.hub.handle(request, reply) {
                Mounted::Handled => {}
                Mounted::NotMine(reply) => reply.send(Response::status(404)),
            },
        }
    }
}

impl App {
    /// The STOMP endpoint of this application's hub.
    pub fn stomp(&self) -> &Stomp {
        self.stomp.get_or_init(|| Stomp::new(&self.hub, StompConfig::default()))
    }
}

/// Sets its timer to as many milliseconds as a message says, and says when it was called.
struct Timed(Arc<App>);

impl WebSocketHandler for Timed {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        let Message::Text(text) = message else { return };
        self.0.pushers.lock().unwrap().push(socket.pusher());
        socket.set_timer(Duration::from_millis(text.parse().unwrap()));
    }

    fn timer(&mut self, socket: &mut Socket<'_>) {
        socket.send_text("timer");
    }
}

/// Echoes, but for the commands `close`, `panic`, `own` (push to this same connection) and `pusher` (give out a pusher).
struct Echo(Arc<App>);

impl WebSocketHandler for Echo {
    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        match message {
            Message::Text("close") => socket.close(4_000, "as asked").unwrap(),
            Message::Text("panic") => std::panic::resume_unwind(Box::new("without a message on standard error")),
            Message::Text("own") => {
                socket.pusher().push(&Frame::text("pushed"));
                socket.send_text("sent");
            }
            Message::Text("pusher") => {
                let pusher = socket.pusher();
                socket.send_text("given");
                self.0.pushers.lock().unwrap().push(pusher);
            }
            other => {
                socket.send(other);
            }
        }
    }

    fn closed(&mut self, reason: CloseReason) {
        self.0.closed.lock().unwrap().push(reason);
    }
}

//! The feed: quotes, published by one thread, and four ways to subscribe to them.
//!
//! A message is `{"seq":7,"sent_ms":1785000000000.123,"name":"ALDER","value":42.17}`, the time in Unix milliseconds. Each is encoded once
//! per wire form, however many subscribers there are. A cursor is `EPOCH-SEQ`, or `SEQ` alone; the epoch tells this run of the server from
//! others. `after=CURSOR` (for an event stream also `Last-Event-ID`) resumes behind that message. Where messages in between are no longer
//! there, `{"gap":true}` comes first; without a cursor only what is new comes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use pushlab::proto::http1::Method;
use pushlab::proto::sse::Event;
use pushlab::{Frame, Held, Message, Pusher, Reply, Request, Response, Socket, WebSocketHandler};

use crate::quotes::Quotes;

/// Messages kept for those who come back.
const RETAINED: usize = 1_000;
/// How long a poll is held. RFC 6202, section 5.5: 30 s is safe.
const HOLD: Duration = Duration::from_secs(25);
/// What a subscriber is told whose cursor is older than all that is retained, or of another epoch.
const GAP: &str = r#"{"gap":true}"#;

/// The first three stand for a wire form each.
#[derive(Clone, Copy)]
enum Technique {
    Stream,
    Events,
    Ws,
    Poll,
}

pub(crate) struct Feed {
    epoch: String,
    state: Mutex<State>,
    rate_changed: Condvar,
}

struct State {
    per_second: u32,
    last_seq: u64,
    retained: VecDeque<Encoded>,
    gap: Encoded,
    last_id: u64,
    pushers: [HashMap<u64, Pusher>; 3],
    polls: HashMap<u64, Held>,
    /// Of the last request by each technique, for the page's account of bytes: scripts cannot see what the browser sends.
    request_head_bytes: [usize; 4],
}

/// One message, encoded once for everybody.
struct Encoded {
    json: String,
    frames: [Frame; 3],
}

#[derive(Clone, Copy)]
struct Cursor {
    /// The epoch is this one, or was not given.
    is_ours: bool,
    seq: u64,
}

/// Carried by a subscriber's connection, which drops it at its end.
struct Leave(Arc<Feed>, u64);

impl Drop for Leave {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        for pushers in &mut state.pushers {
            pushers.remove(&self.1);
        }
        state.polls.remove(&self.1);
    }
}

impl Default for Feed {
    fn default() -> Self {
        let state = State {
            per_second: 5,
            last_seq: 0,
            retained: VecDeque::with_capacity(RETAINED),
            gap: Encoded::new(None, GAP.to_owned()),
            last_id: 0,
            pushers: Default::default(),
            polls: HashMap::new(),
            request_head_bytes: [0; 4],
        };
        let epoch = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis());
        Self { epoch: format!("{epoch:x}"), state: Mutex::new(state), rate_changed: Condvar::new() }
    }
}

impl Feed {
    /// Never held while anything waits: pushing and releasing only post to the connection's driver.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Publishes, for as long as the program runs.
    pub(crate) fn run(&self) {
        let (mut quotes, mut published) = (Quotes::new(), Instant::now());
        let mut state = self.lock();
        loop {
            let due = published + Duration::from_secs(1) / state.per_second;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                published = Instant::now();
                state.publish(&self.epoch, quotes.next());
            } else {
                state = self.rate_changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
            }
        }
    }

    pub(crate) fn set_rate(&self, per_second: u32) {
        self.lock().per_second = per_second;
        self.rate_changed.notify_one();
    }

    /// Fetch streaming: a chunked response without end, one message a line.
    pub(crate) fn stream(self: &Arc<Self>, request: &Request<'_>, reply: Reply<'_>) {
        let Some((cursor, reply)) = self.cursor(request, reply) else { return };
        let head = Response::new("application/x-ndjson", "").field("Cache-Control", "no-store").field("X-Accel-Buffering", "no");
        let mut stream = reply.stream(head);
        if request.method() != Method::Head {
            let leave = self.enter(Technique::Stream, stream.pusher(), cursor, request.head().raw().len());
            stream.carry(leave);
        }
    }

    /// Server-sent events. The browser remembers the last id, and sends it along when it comes back.
    pub(crate) fn events(self: &Arc<Self>, request: &Request<'_>, reply: Reply<'_>) {
        let Some((cursor, reply)) = self.cursor(request, reply) else { return };
        let mut stream = reply.event_stream();
        if request.method() != Method::Head {
            let leave = self.enter(Technique::Events, stream.pusher(), cursor, request.head().raw().len());
            stream.carry(leave);
        }
    }

    /// Long polling: answered at once with what the client missed, else held until there is something.
    pub(crate) fn poll(self: &Arc<Self>, request: &Request<'_>, reply: Reply<'_>) {
        let Some((cursor, mut reply)) = self.cursor(request, reply) else { return };
        let mut state = self.lock();
        state.request_head_bytes[Technique::Poll as usize] = request.head().raw().len();
        if let Some(cursor) = cursor {
            let (gap, missed) = state.since(cursor);
            let missed: Vec<_> = missed.map(|message| &*message.json).collect();
            if gap || !missed.is_empty() {
                return reply.send(answer(&missed.join(","), &self.epoch, state.last_seq, gap));
            }
        }
        state.last_id += 1;
        reply.carry(Leave(Arc::clone(self), state.last_id));
        let held = reply.hold(HOLD, answer("", &self.epoch, state.last_seq, false));
        let id = state.last_id;
        state.polls.insert(id, held);
    }

    pub(crate) fn websocket(self: &Arc<Self>, request: &Request<'_>, reply: Reply<'_>) {
        let Some((cursor, reply)) = self.cursor(request, reply) else { return };
        reply.upgrade(Subscriber { feed: Arc::clone(self), cursor, request_head_bytes: request.head().raw().len() });
    }

    /// Where the client wants to go on. A request that does not say it properly is answered here.
    fn cursor<'a>(&self, request: &Request<'_>, reply: Reply<'a>) -> Option<(Option<Cursor>, Reply<'a>)> {
        let unknown = request.query_values().find(|(name, _)| name != "after");
        let after = request.field_text("Last-Event-ID").map(Into::into).or_else(|| request.query_value("after"));
        let sentence = match (unknown, after) {
            (Some((name, _)), _) => format!("`{name}` is no parameter here; there is only `after`\n"),
            (None, None) => return Some((None, reply)),
            (None, Some(text)) => {
                let (epoch, seq) = text.split_once('-').unwrap_or((&self.epoch, &text));
                match seq.parse() {
                    Ok(seq) => return Some((Some(Cursor { is_ours: epoch == self.epoch, seq }), reply)),
                    Err(_) => "the cursor must be EPOCH-SEQ or SEQ, as in after=7\n".to_owned(),
                }
            }
        };
        reply.send(Response::text(sentence).with_status(400));
        None
    }

    /// Sends what was missed, and from now on everything. Nothing can be published in between.
    fn enter(self: &Arc<Self>, technique: Technique, pusher: Pusher, cursor: Option<Cursor>, request_head_bytes: usize) -> Leave {
        let mut state = self.lock();
        if let Some(cursor) = cursor {
            let (gap, missed) = state.since(cursor);
            for message in gap.then_some(&state.gap).into_iter().chain(missed) {
                pusher.push(&message.frames[technique as usize]);
            }
        }
        state.last_id += 1;
        let id = state.last_id;
        state.pushers[technique as usize].insert(id, pusher);
        state.request_head_bytes[technique as usize] = request_head_bytes;
        Leave(Arc::clone(self), id)
    }

    /// The feed's part of `/stats`.
    pub(crate) fn stats(&self) -> String {
        let state = self.lock();
        let [streams, events, sockets] = state.pushers.each_ref().map(HashMap::len);
        let object = |[stream, events, ws, poll]: [usize; 4]| format!(r#"{{"stream":{stream},"events":{events},"poll":{poll},"ws":{ws}}}"#);
        format!(
            r#"{{"epoch":"{}","last_seq":{},"per_second":{},"subscribers":{},"request_head_bytes":{}}}"#,
            self.epoch,
            state.last_seq,
            state.per_second,
            object([streams, events, sockets, state.polls.len()]),
            object(state.request_head_bytes),
        )
    }
}

impl State {
    fn publish(&mut self, epoch: &str, (name, hundredths): (&str, u32)) {
        self.last_seq += 1;
        let seq = self.last_seq;
        let (sent_ms, whole, part) = (now_ms(), hundredths / 100, hundredths % 100);
        let json = format!(r#"{{"seq":{seq},"sent_ms":{sent_ms:.3},"name":"{name}","value":{whole}.{part:02}}}"#);
        let body = answer(&json, epoch, seq, false);
        let message = Encoded::new(Some(&format!("{epoch}-{seq}")), json);
        for (pushers, frame) in self.pushers.iter().zip(&message.frames) {
            Pusher::push_all(pushers.values(), frame);
        }
        // A poll is only held by a client that has everything before this message.
        for (_, held) in self.polls.drain() {
            held.release(body.clone());
        }
        if self.retained.len() == RETAINED {
            self.retained.pop_front();
        }
        self.retained.push_back(message);
    }

    /// What a subscriber missed, and whether more than that is gone.
    fn since(&self, cursor: Cursor) -> (bool, impl Iterator<Item = &Encoded>) {
        let first = self.last_seq + 1 - self.retained.len() as u64;
        let is_known = cursor.is_ours && cursor.seq <= self.last_seq && cursor.seq + 1 >= first;
        let skip = if is_known { cursor.seq + 1 - first } else { 0 };
        (!is_known, self.retained.iter().skip(skip as usize))
    }
}

impl Encoded {
    fn new(id: Option<&str>, json: String) -> Self {
        let event = Event::data(&json);
        let event = Frame::event(&id.map_or(event, |id| event.id(id))).expect("an epoch and a number are a valid id");
        let frames = [Frame::chunk(format!("{json}\n").as_bytes()), event, Frame::text(&json)];
        Self { json, frames }
    }
}

/// The answer to a poll. Its body is shared by all whom it answers.
fn answer(messages: &str, epoch: &str, last_seq: u64, gap: bool) -> Response {
    let body = format!(r#"{{"messages":[{messages}],"last":"{epoch}-{last_seq}","gap":{gap}}}"#);
    Response::json(Arc::<[u8]>::from(body.into_bytes())).field("Cache-Control", "no-store")
}

/// The WebSocket subscriber: it listens, and what it says is not heard.
struct Subscriber {
    feed: Arc<Feed>,
    cursor: Option<Cursor>,
    request_head_bytes: usize,
}

impl WebSocketHandler for Subscriber {
    fn open(&mut self, socket: &mut Socket<'_>) {
        let leave = self.feed.enter(Technique::Ws, socket.pusher(), self.cursor, self.request_head_bytes);
        socket.carry(leave);
    }

    fn message(&mut self, _: Message<'_>, _: &mut Socket<'_>) {}
}

/// Unix time in milliseconds, with a fraction.
pub(crate) fn now_ms() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
}

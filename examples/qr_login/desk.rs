//! The shared state of the example, used by browsers, phones and the clock.
//!
//! Owns the lock around logins and sessions, and the notification of the waiting browsers and of the
//! devices of a user: the hub's subscribers and the held requests. It notifies under the lock, so
//! that all of them see the states in order. Leaves paths and cookies to `app`, and the rules to `login`.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pushlab::push::{Access, Hub, HubConfig, Payload};
use pushlab::{Held, Reply, Request, Response};
use serde_json::json;

use crate::login::{Asker, Fault, Logins, Moment, Scan, View};
use crate::secret;
use crate::session::{EXPIRED, Fresh, REPLACED, SESSIONS_MOST, Session, Sessions, Which};

/// The maximum number of logins. A waiting page begins one a minute, so this is enough for about a
/// thousand pages.
const LOGINS_MOST: usize = 1_000;

/// How long a request is held: as long as `WeChat` does. RFC 6202, section 5.5 calls 30 s safe.
const HOLD: Duration = Duration::from_secs(25);

/// The longest time between two checks for expired logins.
const LOOK: Duration = Duration::from_millis(250);

/// Makes the answer to a held request.
pub(crate) type Answer = Box<dyn Fn(Result<&View, Fault>) -> Response + Send>;

/// Finds the secrets of a browser in its request.
#[derive(Clone, Copy)]
pub(crate) struct Credentials {
    /// For the login with this id.
    pub(crate) login: for<'a> fn(&Request<'a>, &str) -> Option<&'a str>,
    pub(crate) session: for<'a> fn(&Request<'a>) -> Option<&'a str>,
}

pub(crate) struct Desk {
    /// A topic for each login, for each device and for each user, below `/topics`.
    ///
    /// A stream that is open stays open when its session ends. So the messages of users and devices
    /// say only that something has changed, and a device then asks with its cookie.
    pub(crate) hub: Hub,
    book: Arc<Mutex<Book>>,
}

struct Book {
    logins: Logins,
    sessions: Sessions,
    waiting: HashMap<String, Vec<Waiting>>,
    next_number: u64,
}

struct Waiting {
    number: u64,
    held: Held,
    answer: Answer,
}

/// A value that a held request carries. Its drop removes the request from the list, also when the
/// client has left.
struct Leave {
    book: Arc<Mutex<Book>>,
    id: String,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let mut book = lock(&self.book);
        let Some(all) = book.waiting.get_mut(&self.id) else { return };
        let gone: Vec<_> = all.extract_if(.., |waiting| waiting.number == self.number).collect();
        if all.is_empty() {
            book.waiting.remove(&self.id);
        }
        // The handles are dropped after the lock is released: the lock protects only the list.
        drop(book);
        drop(gone);
    }
}

/// What a browser gets when it begins a login.
pub(crate) struct Begun {
    pub(crate) id: String,
    /// The secret for this browser's cookie. No other client may get it.
    pub(crate) secret: String,
    pub(crate) life: Duration,
    /// How long the cookie can be used.
    pub(crate) remembered: Duration,
    /// The cursor before the topic's first message.
    pub(crate) after: String,
    pub(crate) now: Moment,
}

/// A browser that is logged in.
pub(crate) struct Account {
    pub(crate) session: Session,
    /// The cursor of the moment at which this was read.
    pub(crate) after: String,
}

impl Account {
    /// The topics of this browser: of its user, and its own.
    pub(crate) fn topics(&self) -> [String; 2] {
        [user_topic(&self.session.user_id), device_topic(&self.session.device_id)]
    }
}

fn lock(book: &Mutex<Book>) -> MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment { instant: Instant::now(), unix_ms: since.as_secs_f64() * 1000.0 }
}

pub(crate) fn topic(id: &str) -> String {
    format!("login-{id}")
}

fn user_topic(user_id: &str) -> String {
    format!("user-{user_id}")
}

fn device_topic(device_id: &str) -> String {
    format!("device-{device_id}")
}

impl Desk {
    pub(crate) fn new(life: Duration, credentials: Credentials) -> Self {
        let book = Arc::new(Mutex::new(Book {
            logins: Logins::new(life, LOGINS_MOST),
            sessions: Sessions::default(),
            waiting: HashMap::new(),
            next_number: 0,
        }));
        let config = HubConfig {
            // A login publishes at most three messages: scanned, confirmed, and the end.
            history_messages: 8,
            topics: 2 * (LOGINS_MOST + SESSIONS_MOST),
            // A device subscribes to its own topic and to that of its user.
            topics_per_request: 2,
            ..HubConfig::default()
        };
        let known = Arc::clone(&book);
        let hub = Hub::with_policy(config, move |request, access, topic| {
            access == Access::Subscribe && may_hear(&lock(&known), credentials, request, topic)
        });
        Self { hub, book }
    }

    /// Ends logins and sessions whose time is over, for as long as the program runs.
    pub(crate) fn run(&self) {
        loop {
            let next = {
                let mut book = lock(&self.book);
                self.expire(&mut book);
                book.logins.next_expiry()
            };
            thread::sleep(next.map_or(LOOK, |next| next.saturating_duration_since(Instant::now()).min(LOOK)));
        }
    }

    pub(crate) fn begin(&self, asker: Asker) -> Result<Begun, Fault> {
        let (id, secret, now) = (secret::make(), secret::make(), now());
        let mut book = lock(&self.book);
        self.expire(&mut book);
        book.logins.begin(id.clone(), secret.clone(), asker, now)?;
        let (life, remembered) = (book.logins.life(), book.logins.remembered());
        Ok(Begun { id, secret, life, remembered, after: self.hub.last().to_string(), now })
    }

    pub(crate) fn scan(&self, id: &str, known: Option<&str>, phone: String) -> Result<Scan, Fault> {
        let mut book = lock(&self.book);
        let scan = book.logins.scan(id, known, secret::make(), phone, now())?;
        if scan.is_new {
            self.tell(&mut book, id);
        }
        Ok(scan)
    }

    pub(crate) fn confirm(&self, id: &str, phone: &str, user: String) -> Result<(), Fault> {
        let mut book = lock(&self.book);
        book.logins.confirm(id, phone, user, now())?;
        self.tell(&mut book, id);
        Ok(())
    }

    pub(crate) fn refuse(&self, id: &str, phone: &str) -> Result<(), Fault> {
        let mut book = lock(&self.book);
        book.logins.refuse(id, phone, now())?;
        self.tell(&mut book, id);
        Ok(())
    }

    /// Exchanges a confirmed login for a session. Returns the session's secret. `old` is the secret of
    /// an earlier session of this browser, which ends: otherwise its cookie would be lost, and no
    /// person could log it out.
    pub(crate) fn enter(&self, id: &str, login: &str, old: Option<&str>, browser: Asker) -> Result<(String, Account), Fault> {
        let now = now();
        let mut book = lock(&self.book);
        self.expire(&mut book);
        let user = book.logins.enter(id, login, now)?;
        let fresh = Fresh { secret: secret::make(), device_id: secret::make(), user_id: secret::make() };
        let secret = fresh.secret.clone();
        let mut ended = old.map(|old| book.sessions.end(old, REPLACED, now.instant)).unwrap_or_default();
        ended.extend(book.sessions.begin(fresh, user, browser, now));
        self.tell(&mut book, id);
        let user_id = book.sessions.find(&secret, now.instant).map(|session| session.user_id.clone());
        self.tell_devices(&ended, REPLACED, user_id.as_deref(), now);
        // Its cursor comes after its own arrival.
        let account = self.account(&book, &secret, now.instant).ok_or(Fault::Expired)?;
        Ok((secret, account))
    }

    /// Returns an error if the login does not exist.
    pub(crate) fn check(&self, id: &str) -> Result<(), Fault> {
        lock(&self.book).logins.peek(id, Instant::now()).map(drop).ok_or(Fault::Unknown)
    }

    pub(crate) fn view(&self, id: &str, browser: &str) -> Result<View, Fault> {
        lock(&self.book).logins.view(id, browser, Instant::now())
    }

    /// Answers as soon as the login's code differs from `last`, the code that the browser knows.
    /// After 25 s, answers that nothing has happened.
    pub(crate) fn wait(&self, id: &str, browser: &str, last: u16, answer: Answer, mut reply: Reply<'_>) {
        let mut book = lock(&self.book);
        let view = match book.logins.view(id, browser, Instant::now()) {
            Ok(view) => view,
            // For a waiting page, an unknown login is an expired one. A 404 would say that the
            // address is wrong.
            Err(Fault::Unknown) => View { code: 400, state: "expired", phone: None, since_ms: now().unix_ms },
            Err(fault) => return reply.send(answer(Err(fault))),
        };
        if !view.is_worth_waiting(last) {
            return reply.send(answer(Ok(&view)));
        }
        let number = book.next_number;
        book.next_number += 1;
        let nothing_yet = View { code: View::NOTHING_YET, ..view };
        reply.carry(Leave { book: Arc::clone(&self.book), id: id.to_owned(), number });
        let held = reply.hold(HOLD, answer(Ok(&nothing_yet)));
        book.waiting.entry(id.to_owned()).or_default().push(Waiting { number, held, answer });
    }

    /// The number of logins, of requests that are held for them, and of sessions.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 3] {
        let book = lock(&self.book);
        let waiting: usize = book.waiting.values().map(Vec::len).sum();
        [("logins", book.logins.len() as u64), ("waiting", waiting as u64), ("sessions", book.sessions.len() as u64)]
    }

    /// The browser with this session's secret, if it is logged in.
    pub(crate) fn find(&self, session: &str) -> Option<Account> {
        self.account(&lock(&self.book), session, Instant::now())
    }

    /// Why there is no session with this secret.
    pub(crate) fn why_not(&self, session: &str) -> String {
        lock(&self.book).sessions.why_ended(session).unwrap_or("the server does not know this session").to_owned()
    }

    fn account(&self, book: &Book, session: &str, now: Instant) -> Option<Account> {
        // All messages are published under the lock: none can come between the session and the cursor.
        let session = book.sessions.find(session, now)?.clone();
        Some(Account { session, after: self.hub.last().to_string() })
    }

    /// All devices of a user, the oldest first.
    pub(crate) fn devices(&self, user_id: &str) -> Vec<Session> {
        lock(&self.book).sessions.of_user(user_id, Instant::now()).into_iter().cloned().collect()
    }

    /// Logs a browser out.
    pub(crate) fn log_out(&self, session: &str) {
        let mut book = lock(&self.book);
        let (why, now) = ("this browser has logged out", now());
        let ended = book.sessions.end(session, why, now.instant);
        self.tell_devices(&ended, why, None, now);
    }

    /// Signs out devices of a user, at the wish of one of them. Returns how many.
    pub(crate) fn sign_out(&self, by: &Session, which: Which<'_>) -> usize {
        let mut book = lock(&self.book);
        let (why, now) = (format!("{} ended this session", by.browser.browser), now());
        let ended = book.sessions.sign_out(&by.user_id, which, &why, now.instant);
        self.tell_devices(&ended, &why, None, now);
        ended.len()
    }

    /// Tells each ended session why it has ended, and then the users of these sessions that their
    /// devices have changed. `also` is a user whose devices have changed without an end.
    fn tell_devices(&self, ended: &[Session], why: &str, also: Option<&str>, now: Moment) {
        for session in ended {
            let message = json!({ "kind": "signed-out", "why": why, "at_ms": now.unix_ms });
            self.publish(&device_topic(&session.device_id), message.to_string());
        }
        let users: BTreeSet<_> = ended.iter().map(|session| &*session.user_id).chain(also).collect();
        for user_id in users {
            self.publish(&user_topic(user_id), json!({ "kind": "devices", "at_ms": now.unix_ms }).to_string());
        }
    }

    fn publish(&self, topic: &str, text: String) {
        if let Err(error) = self.hub.publish(topic, Payload::text(text)) {
            log::error!("a change was not published: {error}");
        }
    }

    fn expire(&self, book: &mut Book) {
        let now = now();
        for id in book.logins.expire(now) {
            self.tell(book, &id);
        }
        let ended = book.sessions.expire(now.instant);
        self.tell_devices(&ended, EXPIRED, None, now);
    }

    /// Tells all waiting browsers the state of a login.
    fn tell(&self, book: &mut Book, id: &str) {
        let Some(view) = book.logins.peek(id, Instant::now()) else { return };
        self.publish(&topic(id), view.json());
        let waiting = book.waiting.remove(id).unwrap_or_default();
        Held::release_all(waiting.into_iter().map(|Waiting { held, answer, .. }| {
            let response = answer(Ok(&view));
            (held, response)
        }));
    }
}

/// The hub's policy. A browser may read the topics of its own login, of its user and of itself.
fn may_hear(book: &Book, credentials: Credentials, request: &Request<'_>, topic: &str) -> bool {
    let Some((kind, id)) = topic.split_once('-') else { return false };
    let session = || book.sessions.find((credentials.session)(request)?, Instant::now());
    match kind {
        "login" => book.logins.check_browser(id, (credentials.login)(request, id).unwrap_or_default()).is_ok(),
        "user" => session().is_some_and(|session| session.user_id == id),
        "device" => session().is_some_and(|session| session.device_id == id),
        _ => false,
    }
}

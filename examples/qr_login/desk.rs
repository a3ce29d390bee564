//! The shared state of the example, used by browsers, phones and the clock.
//!
//! Owns the lock around logins and sessions, and the notification of the waiting browsers: the
//! hub's subscribers and the held requests. It notifies under the lock, so that all of them see the
//! states in order. Leaves paths and cookies to `app`, and the rules to `login`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pushlab::push::{Access, Hub, HubConfig, Payload};
use pushlab::{Held, Reply, Request, Response};

use crate::login::{Asker, Fault, Logins, Moment, Scan, View};
use crate::secret;
use crate::session::Sessions;

/// The maximum number of logins. A waiting page begins one a minute, so this is enough for about a
/// thousand pages.
const LOGINS_MOST: usize = 1_000;

/// How long a request is held: as long as `WeChat` does. RFC 6202, section 5.5 calls 30 s safe.
const HOLD: Duration = Duration::from_secs(25);

/// The longest time between two checks for expired logins.
const LOOK: Duration = Duration::from_millis(250);

/// Makes the answer to a held request.
pub(crate) type Answer = Box<dyn Fn(Result<&View, Fault>) -> Response + Send>;

/// Finds the browser's secret for a login in a request.
pub(crate) type Credential = for<'a> fn(&Request<'a>, &str) -> Option<&'a str>;

pub(crate) struct Desk {
    /// A topic for each login, below `/topics`.
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

impl Desk {
    pub(crate) fn new(life: Duration, credential: Credential) -> Self {
        let book = Arc::new(Mutex::new(Book {
            logins: Logins::new(life, LOGINS_MOST),
            sessions: Sessions::default(),
            waiting: HashMap::new(),
            next_number: 0,
        }));
        let config = HubConfig {
            // A login publishes at most three messages: scanned, confirmed, and the end.
            history_messages: 8,
            topics: 2 * LOGINS_MOST,
            topics_per_request: 1,
            ..HubConfig::default()
        };
        let known = Arc::clone(&book);
        let hub = Hub::with_policy(config, move |request, access, topic| {
            let Some(id) = topic.strip_prefix("login-") else { return false };
            let secret = credential(request, id).unwrap_or_default();
            access == Access::Subscribe && lock(&known).logins.check_browser(id, secret).is_ok()
        });
        Self { hub, book }
    }

    /// Ends logins whose time is over, for as long as the program runs.
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

    /// Exchanges a confirmed login for a session. Returns the session's secret, and the user.
    pub(crate) fn enter(&self, id: &str, browser: &str) -> Result<(String, String), Fault> {
        let now = now();
        let mut book = lock(&self.book);
        let user = book.logins.enter(id, browser, now)?;
        let secret = secret::make();
        book.sessions.begin(secret.clone(), user.clone(), now.instant);
        self.tell(&mut book, id);
        Ok((secret, user))
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

    /// The number of logins, and the number of requests that are held for them.
    pub(crate) fn counts(&self) -> [(&'static str, u64); 2] {
        let book = lock(&self.book);
        let waiting: usize = book.waiting.values().map(Vec::len).sum();
        [("logins", book.logins.len() as u64), ("waiting", waiting as u64)]
    }

    pub(crate) fn user(&self, session: &str) -> Option<String> {
        lock(&self.book).sessions.user(session, Instant::now()).map(str::to_owned)
    }

    pub(crate) fn log_out(&self, session: &str) {
        lock(&self.book).sessions.end(session);
    }

    fn expire(&self, book: &mut Book) {
        for id in book.logins.expire(now()) {
            self.tell(book, &id);
        }
    }

    /// Tells all waiting browsers the state of a login.
    fn tell(&self, book: &mut Book, id: &str) {
        let Some(view) = book.logins.peek(id, Instant::now()) else { return };
        if let Err(error) = self.hub.publish(&topic(id), Payload::text(view.json())) {
            log::error!("a login's state was not published: {error}");
        }
        let waiting = book.waiting.remove(id).unwrap_or_default();
        Held::release_all(waiting.into_iter().map(|Waiting { held, answer, .. }| {
            let response = answer(Ok(&view));
            (held, response)
        }));
    }
}

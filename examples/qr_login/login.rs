//! The state machine of a login.
//!
//! Owns who may do what to a login, in which state, and until when. Refuses to read a clock, to make secrets, and to tell anybody: time
//! and secrets are arguments, and whoever calls tells what has changed.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::secret::is_same;

/// A moment by both clocks: one to count with, one to tell others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    /// Since 1970, in milliseconds.
    pub(crate) unix_ms: f64,
}

/// Where a login is.
///
/// ```text
///           scan             confirm                enter
///    New ──────────> Scanned ──────────> Confirmed ──────────> Entered
///     │               │   │                  │
///     │ life          │   │ refuse           │ COLLECT
///     │          life │   └───────> Refused  │
///     └───────────────┴────────┐             │
///                              v             │
///                           Expired <────────┘
/// ```
///
/// `life` counts from the beginning of the login, so that a code is worth nothing after it, whoever has seen it; `COLLECT` from the
/// confirmation. What stands without an arrow that leaves is the end; it is remembered for `LINGER`, so that those who ask late are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    /// A phone is there, and knows `secret`.
    Scanned {
        secret: String,
    },
    Confirmed {
        user: String,
    },
    Entered,
    Refused,
    Expired,
}

/// The browser may fetch its session for this long: several times a short poll's interval, or a reconnection.
const COLLECT: Duration = Duration::from_secs(30);
const LINGER: Duration = Duration::from_secs(60);

/// Who asks to be logged in, as far as the phone's owner can be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) browser: String,
    pub(crate) address: String,
}

#[derive(Debug)]
struct Login {
    /// What only the browser knows that began it.
    secret: String,
    asker: Asker,
    began_ms: f64,
    state: State,
    /// When it entered this state, by the clock that others have.
    since_ms: f64,
    /// When it leaves this state by itself; an end, when it is forgotten.
    until: Instant,
    /// The phone, once there was one.
    phone: Option<String>,
}

impl Login {
    const fn is_over(&self) -> bool {
        matches!(self.state, State::Entered | State::Refused | State::Expired)
    }

    /// Enters a state, which then lasts for so long.
    fn enter(&mut self, state: State, now: Moment, lasts: Duration) {
        self.state = state;
        self.since_ms = now.unix_ms;
        self.until = now.instant + lasts;
    }
}

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There are as many logins as may be, and none is over.
    Full,
    Unknown,
    Expired,
    Refused,
    /// Its session was fetched.
    Entered,
    NotScanned,
    /// It was scanned by another phone.
    OtherPhone,
    NotConfirmed,
    AlreadyConfirmed,
    /// It was begun by another browser.
    OtherBrowser,
}

impl Fault {
    pub(crate) const fn status(self) -> u16 {
        match self {
            Self::Full => 503,
            Self::Unknown => 404,
            Self::Expired | Self::Refused | Self::Entered => 410,
            Self::NotScanned | Self::OtherPhone | Self::NotConfirmed | Self::AlreadyConfirmed => 409,
            Self::OtherBrowser => 403,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too many logins wait for a phone; try again in a moment",
            Self::Unknown => "there is no such code, or not any more; scan the one that is on the screen now",
            Self::Expired => "this code has expired; scan the one that is on the screen now",
            Self::Refused => "this login was refused",
            Self::Entered => "this code was used; each is good for one login",
            Self::NotScanned => "scan the code first",
            Self::OtherPhone => "another phone has scanned this code",
            Self::NotConfirmed => "the phone has not confirmed this login",
            Self::AlreadyConfirmed => "this login is confirmed already",
            Self::OtherBrowser => "another browser has begun this login",
        })
    }
}

/// What may be told of a login.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// As `WeChat`'s server says it.
    pub(crate) code: u16,
    pub(crate) state: &'static str,
    pub(crate) phone: Option<String>,
    pub(crate) since_ms: f64,
}

impl View {
    /// Nothing has happened yet.
    pub(crate) const NOTHING_YET: u16 = 408;

    fn of(login: &Login, now: Instant) -> Self {
        let (code, state) = match login.state {
            _ if !login.is_over() && login.until <= now => (400, "expired"),
            State::New => (Self::NOTHING_YET, "new"),
            State::Scanned { .. } => (201, "scanned"),
            State::Confirmed { .. } => (200, "confirmed"),
            State::Refused => (403, "refused"),
            State::Expired => (400, "expired"),
            State::Entered => (400, "entered"),
        };
        Self { code, state, phone: login.phone.clone(), since_ms: login.since_ms }
    }

    /// Whether there may be more to say later than this, to somebody who knows `last` already.
    pub(crate) const fn is_worth_waiting(&self, last: u16) -> bool {
        self.code == Self::NOTHING_YET || self.code == last && matches!(self.code, 200 | 201)
    }

    pub(crate) fn json(&self) -> String {
        let Self { code, state, phone, since_ms } = self;
        serde_json::json!({ "code": code, "state": state, "phone": phone, "since_ms": since_ms }).to_string()
    }
}

/// What a phone is told when it has scanned.
#[derive(Debug, PartialEq)]
pub(crate) struct Scan {
    /// To be shown again when it confirms or refuses.
    pub(crate) secret: String,
    pub(crate) asker: Asker,
    pub(crate) began_ms: f64,
    pub(crate) left: Duration,
    /// Whether this was the first time.
    pub(crate) is_new: bool,
}

/// Every login there is.
pub(crate) struct Logins {
    by_id: HashMap<String, Login>,
    life: Duration,
    most: usize,
}

impl Logins {
    /// `life` is how long a code can be scanned and confirmed; there are at `most` so many logins.
    pub(crate) fn new(life: Duration, most: usize) -> Self {
        Self { by_id: HashMap::new(), life, most }
    }

    pub(crate) const fn life(&self) -> Duration {
        self.life
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// How long something of a login may be asked for.
    pub(crate) const fn remembered(&self) -> Duration {
        self.life.saturating_add(COLLECT).saturating_add(LINGER)
    }

    /// A browser begins a login. When there are too many, what is over makes room, the longest over first.
    pub(crate) fn begin(&mut self, id: String, secret: String, asker: Asker, now: Moment) -> Result<(), Fault> {
        if self.by_id.len() >= self.most {
            let over = self.by_id.iter().filter(|(_, login)| login.is_over());
            let oldest = over.min_by_key(|(_, login)| login.until).map(|(id, _)| id.clone()).ok_or(Fault::Full)?;
            self.by_id.remove(&oldest);
        }
        let (began_ms, until) = (now.unix_ms, now.instant + self.life);
        self.by_id.insert(id, Login { secret, asker, began_ms, state: State::New, since_ms: began_ms, until, phone: None });
        Ok(())
    }

    /// A phone has scanned the code; `phone` is its name, `known` the secret that it has if it scans again, `fresh` the one that it gets.
    pub(crate) fn scan(&mut self, id: &str, known: Option<&str>, fresh: String, phone: String, now: Moment) -> Result<Scan, Fault> {
        let login = self.open(id, now)?;
        let left = login.until - now.instant;
        let (secret, is_new) = match &login.state {
            State::New => {
                login.phone = Some(phone);
                login.enter(State::Scanned { secret: fresh.clone() }, now, left);
                (fresh, true)
            }
            State::Scanned { secret } if known.is_some_and(|known| is_same(known, secret)) => (secret.clone(), false),
            State::Confirmed { .. } => return Err(Fault::AlreadyConfirmed),
            _ => return Err(Fault::OtherPhone),
        };
        Ok(Scan { secret, asker: login.asker.clone(), began_ms: login.began_ms, left, is_new })
    }

    /// The phone that has scanned the code lets the browser in, as `user`.
    pub(crate) fn confirm(&mut self, id: &str, phone: &str, user: String, now: Moment) -> Result<(), Fault> {
        self.scanned_by(id, phone, now)?.enter(State::Confirmed { user }, now, COLLECT);
        Ok(())
    }

    /// The phone that has scanned the code does not let the browser in.
    pub(crate) fn refuse(&mut self, id: &str, phone: &str, now: Moment) -> Result<(), Fault> {
        self.scanned_by(id, phone, now)?.enter(State::Refused, now, LINGER);
        Ok(())
    }

    /// The browser fetches what was confirmed: once. Returns the user.
    pub(crate) fn enter(&mut self, id: &str, browser: &str, now: Moment) -> Result<String, Fault> {
        self.check_browser(id, browser)?;
        let login = self.open(id, now)?;
        let State::Confirmed { user } = &login.state else { return Err(Fault::NotConfirmed) };
        let user = user.clone();
        login.enter(State::Entered, now, LINGER);
        Ok(user)
    }

    /// Where a login is, for the browser that began it.
    pub(crate) fn view(&self, id: &str, browser: &str, now: Instant) -> Result<View, Fault> {
        self.check_browser(id, browser)?;
        self.peek(id, now).ok_or(Fault::Unknown)
    }

    /// Where a login is, for the program itself.
    pub(crate) fn peek(&self, id: &str, now: Instant) -> Option<View> {
        self.by_id.get(id).map(|login| View::of(login, now))
    }

    pub(crate) fn check_browser(&self, id: &str, browser: &str) -> Result<(), Fault> {
        let login = self.by_id.get(id).ok_or(Fault::Unknown)?;
        if is_same(&login.secret, browser) { Ok(()) } else { Err(Fault::OtherBrowser) }
    }

    /// Ends what was not finished in time, and forgets what was over for long enough. Returns the ids of what has just ended.
    pub(crate) fn expire(&mut self, now: Moment) -> Vec<String> {
        let mut ended = Vec::new();
        self.by_id.retain(|id, login| {
            let is_due = login.until <= now.instant;
            if is_due && !login.is_over() {
                login.enter(State::Expired, now, LINGER);
                ended.push(id.clone());
                return true;
            }
            !is_due
        });
        ended
    }

    /// When there is something to [`expire`](Self::expire).
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.by_id.values().map(|login| login.until).min()
    }

    /// A login that is not over.
    fn open(&mut self, id: &str, now: Moment) -> Result<&mut Login, Fault> {
        let login = self.by_id.get_mut(id).ok_or(Fault::Unknown)?;
        match login.state {
            State::Expired => Err(Fault::Expired),
            State::Refused => Err(Fault::Refused),
            State::Entered => Err(Fault::Entered),
            // Its time is over, and nobody has told it yet.
            _ if login.until <= now.instant => Err(Fault::Expired),
            _ => Ok(login),
        }
    }

    fn scanned_by(&mut self, id: &str, phone: &str, now: Moment) -> Result<&mut Login, Fault> {
        let login = self.open(id, now)?;
        match &login.state {
            State::Scanned { secret } if is_same(secret, phone) => Ok(login),
            State::Scanned { .. } => Err(Fault::OtherPhone),
            State::Confirmed { .. } => Err(Fault::AlreadyConfirmed),
            _ => Err(Fault::NotScanned),
        }
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;

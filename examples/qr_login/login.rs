//! The state machine of a login.
//!
//! Owns the rules: which client may do which step, in which state, and until when. Leaves the
//! clock, making secrets and notifying to `desk`: time and secrets are arguments.

use std::collections::HashMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::secret::is_same;

/// A moment on two clocks: the monotonic clock for deadlines, and the wall clock for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) instant: Instant,
    /// Unix time in milliseconds.
    pub(crate) unix_ms: f64,
}

/// The state of a login.
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
/// `life` counts from the beginning of the login, so that a code is worthless after it. `COLLECT`
/// counts from the confirmation. A state without an outgoing arrow is an end. An ended login is
/// remembered for `LINGER`, so that late requests get the right answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    /// A phone has scanned the code, and knows `secret`.
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

/// How long the browser may fetch its session: long enough for several short polls, or for a
/// reconnection.
const COLLECT: Duration = Duration::from_secs(30);
/// How long an ended login is remembered.
const LINGER: Duration = Duration::from_secs(60);

/// The facts about the browser that the phone's owner is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) browser: String,
    pub(crate) address: String,
}

#[derive(Debug)]
struct Login {
    /// The secret that only the browser knows that began the login.
    secret: String,
    asker: Asker,
    began_ms: f64,
    state: State,
    /// When it entered this state, in Unix time.
    since_ms: f64,
    /// When it leaves this state by itself. For an ended login: when it is forgotten.
    until: Instant,
    /// The name of the phone, after a scan.
    phone: Option<String>,
}

impl Login {
    const fn is_over(&self) -> bool {
        matches!(self.state, State::Entered | State::Refused | State::Expired)
    }

    /// Enters a state that lasts for `lasts`.
    fn enter(&mut self, state: State, now: Moment, lasts: Duration) {
        self.state = state;
        self.since_ms = now.unix_ms;
        self.until = now.instant + lasts;
    }
}

/// Why a step was not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The number of logins is at its limit, and none of them has ended.
    Full,
    Unknown,
    Expired,
    Refused,
    /// The browser has already fetched the session.
    Entered,
    NotScanned,
    /// Another phone has scanned the code.
    OtherPhone,
    NotConfirmed,
    AlreadyConfirmed,
    /// Another browser has begun the login.
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
            Self::Unknown => "there is no such code, or it was forgotten; scan the one that is on the screen now",
            Self::Expired => "this code has expired; scan the one that is on the screen now",
            Self::Refused => "this login was refused",
            Self::Entered => "this code was used; each code is good for one login",
            Self::NotScanned => "scan the code first",
            Self::OtherPhone => "another phone has scanned this code",
            Self::NotConfirmed => "the phone has not confirmed this login",
            Self::AlreadyConfirmed => "this login is confirmed already",
            Self::OtherBrowser => "another browser has begun this login",
        })
    }
}

/// The public part of a login.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// The code that `WeChat`'s server would answer.
    pub(crate) code: u16,
    pub(crate) state: &'static str,
    pub(crate) phone: Option<String>,
    pub(crate) since_ms: f64,
}

impl View {
    /// The code for a login that no phone has scanned yet.
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

    /// Whether a request that already knows the code `last` should wait for a change.
    pub(crate) const fn is_worth_waiting(&self, last: u16) -> bool {
        self.code == Self::NOTHING_YET || self.code == last && self.can_change()
    }

    /// Whether the login can still enter another state.
    pub(crate) const fn can_change(&self) -> bool {
        matches!(self.code, Self::NOTHING_YET | 200 | 201)
    }

    pub(crate) fn json(&self) -> String {
        self.to_value().to_string()
    }

    /// As [`json`](Self::json), with the pause in milliseconds after which a short poll comes again.
    /// `null` if nothing can change any more.
    pub(crate) fn json_with(&self, again_ms: Option<u64>) -> String {
        let mut value = self.to_value();
        value["again_ms"] = again_ms.into();
        value.to_string()
    }

    fn to_value(&self) -> serde_json::Value {
        let Self { code, state, phone, since_ms } = self;
        serde_json::json!({ "code": code, "state": state, "phone": phone, "since_ms": since_ms })
    }
}

/// The answer to a phone that has scanned a code.
#[derive(Debug, PartialEq)]
pub(crate) struct Scan {
    /// The secret that the phone must send when it confirms or refuses.
    pub(crate) secret: String,
    pub(crate) asker: Asker,
    pub(crate) began_ms: f64,
    pub(crate) left: Duration,
    /// Whether this was the first scan.
    pub(crate) is_new: bool,
}

/// All logins.
pub(crate) struct Logins {
    by_id: HashMap<String, Login>,
    life: Duration,
    most: usize,
}

impl Logins {
    /// `life` is how long a code can be scanned and confirmed. `most` is the maximum number of
    /// logins.
    pub(crate) fn new(life: Duration, most: usize) -> Self {
        Self { by_id: HashMap::new(), life, most }
    }

    pub(crate) const fn life(&self) -> Duration {
        self.life
    }

    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The longest time from the beginning of a login until it is forgotten.
    pub(crate) const fn remembered(&self) -> Duration {
        self.life.saturating_add(COLLECT).saturating_add(LINGER)
    }

    /// A browser begins a login. At the limit, the login that ended first is forgotten to make
    /// room.
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

    /// A phone has scanned the code. `phone` is its name. `known` is the secret that it already has
    /// if it scans again; `fresh` is the secret that it gets at the first scan.
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

    /// The phone that has scanned the code logs the browser in as `user`.
    pub(crate) fn confirm(&mut self, id: &str, phone: &str, user: String, now: Moment) -> Result<(), Fault> {
        self.scanned_by(id, phone, now)?.enter(State::Confirmed { user }, now, COLLECT);
        Ok(())
    }

    /// The phone that has scanned the code refuses the login.
    pub(crate) fn refuse(&mut self, id: &str, phone: &str, now: Moment) -> Result<(), Fault> {
        self.scanned_by(id, phone, now)?.enter(State::Refused, now, LINGER);
        Ok(())
    }

    /// The browser uses a confirmed login, which works once. Returns the user.
    pub(crate) fn enter(&mut self, id: &str, browser: &str, now: Moment) -> Result<String, Fault> {
        self.check_browser(id, browser)?;
        let login = self.open(id, now)?;
        let State::Confirmed { user } = &login.state else { return Err(Fault::NotConfirmed) };
        let user = user.clone();
        login.enter(State::Entered, now, LINGER);
        Ok(user)
    }

    /// The state of a login, for the browser that began it.
    pub(crate) fn view(&self, id: &str, browser: &str, now: Instant) -> Result<View, Fault> {
        self.check_browser(id, browser)?;
        self.peek(id, now).ok_or(Fault::Unknown)
    }

    /// The state of a login, without a check of the browser.
    pub(crate) fn peek(&self, id: &str, now: Instant) -> Option<View> {
        self.by_id.get(id).map(|login| View::of(login, now))
    }

    pub(crate) fn check_browser(&self, id: &str, browser: &str) -> Result<(), Fault> {
        let login = self.by_id.get(id).ok_or(Fault::Unknown)?;
        if is_same(&login.secret, browser) { Ok(()) } else { Err(Fault::OtherBrowser) }
    }

    /// Ends logins that were not finished in time, and forgets those that ended long enough ago.
    /// Returns the ids of the newly ended ones.
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

    /// When [`expire`](Self::expire) has something to do next.
    pub(crate) fn next_expiry(&self) -> Option<Instant> {
        self.by_id.values().map(|login| login.until).min()
    }

    /// A login that has not ended.
    fn open(&mut self, id: &str, now: Moment) -> Result<&mut Login, Fault> {
        let login = self.by_id.get_mut(id).ok_or(Fault::Unknown)?;
        match login.state {
            State::Expired => Err(Fault::Expired),
            State::Refused => Err(Fault::Refused),
            State::Entered => Err(Fault::Entered),
            // Its time is over, and `expire` has not run since.
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

//! The sessions of logged-in browsers: each one is a device of its user.
//!
//! Owns the sessions, their ends, and which devices a user has. A session is found by its secret,
//! which one browser has in a cookie. The ids of users and devices are public among the devices of
//! one user. Leaves cookies to `app`, and the clock, the ids and telling the devices to `desk`: time
//! is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::login::{Asker, Moment};

/// How long a session lasts. An hour is enough for a demonstration: the sessions also end with the
/// program.
pub(crate) const LIFE: Duration = Duration::from_secs(60 * 60);

/// The maximum number of sessions. At the maximum, a new one replaces the session that would end
/// first.
pub(crate) const SESSIONS_MOST: usize = 1_000;

/// The maximum number of devices of one user. At the maximum, a new one replaces the user's oldest.
const DEVICES_MOST: usize = 20;

/// How long the server remembers why a session has ended: long enough for a device that asks at
/// intervals, and that cannot read its topic any more.
const LINGER: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Sessions {
    by_secret: HashMap<String, Session>,
    /// Why sessions have ended, by their secrets, and until when this is remembered.
    ended: HashMap<String, (String, Instant)>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Session {
    pub(crate) user: String,
    /// The id that all sessions of this user have in common.
    pub(crate) user_id: String,
    /// The id of this session.
    pub(crate) device_id: String,
    /// The browser, as the owner recognises it.
    pub(crate) browser: Asker,
    pub(crate) since_ms: f64,
    until: Instant,
}

/// Random texts for a new session.
pub(crate) struct Fresh {
    pub(crate) secret: String,
    pub(crate) device_id: String,
    /// Used if the user has no other session.
    pub(crate) user_id: String,
}

/// Why a session has ended: a newer one has taken its place.
pub(crate) const REPLACED: &str = "a newer login took the place of this session";
/// Why a session has ended: [`LIFE`] is over.
pub(crate) const EXPIRED: &str = "the time of this session is over";

/// Which devices of a user are signed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which<'a> {
    All,
    /// All but the device with this id.
    Others(&'a str),
    One(&'a str),
}

impl Which<'_> {
    fn has(self, device_id: &str) -> bool {
        match self {
            Self::All => true,
            Self::Others(own) => device_id != own,
            Self::One(id) => device_id == id,
        }
    }
}

impl Sessions {
    /// Begins a session. Returns the sessions that it replaces.
    pub(crate) fn begin(&mut self, fresh: Fresh, user: String, browser: Asker, now: Moment) -> Vec<Session> {
        self.begin_within(SESSIONS_MOST, DEVICES_MOST, fresh, user, browser, now)
    }

    fn begin_within(&mut self, most: usize, devices: usize, fresh: Fresh, user: String, browser: Asker, now: Moment) -> Vec<Session> {
        let Fresh { secret, device_id, user_id } = fresh;
        let mut ended = self.expire(now.instant);
        let user_id = self.by_secret.values().find(|session| session.user == user).map_or(user_id, |session| session.user_id.clone());
        while self.by_secret.values().filter(|session| session.user == user).count() >= devices {
            ended.extend(self.end_first(now.instant, |session| session.user == user));
        }
        while self.by_secret.len() >= most {
            ended.extend(self.end_first(now.instant, |_| true));
        }
        let session = Session { user, user_id, device_id, browser, since_ms: now.unix_ms, until: now.instant + LIFE };
        self.by_secret.insert(secret, session);
        ended
    }

    /// Ends the session that would end first, among those for which the condition holds.
    fn end_first(&mut self, now: Instant, is_one: impl Fn(&Session) -> bool) -> Option<Session> {
        let first = self.by_secret.iter().filter(|(_, session)| is_one(session)).min_by_key(|(_, session)| session.until);
        let secret = first.map(|(secret, _)| secret.clone())?;
        self.end_where(REPLACED, now, |known, _| *known == secret).pop()
    }

    /// Ends the sessions for which the condition holds, and remembers why. Returns them.
    fn end_where(&mut self, why: &str, now: Instant, is_one: impl Fn(&String, &Session) -> bool) -> Vec<Session> {
        let ended = self.by_secret.extract_if(|secret, session| is_one(secret, session));
        let remember = |(secret, session)| {
            self.ended.insert(secret, (why.to_owned(), now + LINGER));
            session
        };
        ended.map(remember).collect()
    }

    /// The session with this secret.
    pub(crate) fn find(&self, secret: &str, now: Instant) -> Option<&Session> {
        self.by_secret.get(secret).filter(|session| session.until > now)
    }

    /// Why the session with this secret has ended, if that was a short while ago.
    pub(crate) fn why_ended(&self, secret: &str) -> Option<&str> {
        self.ended.get(secret).map(|(why, _)| &**why)
    }

    /// Ends the session with this secret.
    pub(crate) fn end(&mut self, secret: &str, why: &str, now: Instant) -> Vec<Session> {
        self.end_where(why, now, |known, _| known == secret)
    }

    /// The user's sessions, the oldest first.
    pub(crate) fn of_user(&self, user_id: &str, now: Instant) -> Vec<&Session> {
        let mut all: Vec<_> = self.by_secret.values().filter(|session| session.user_id == user_id && session.until > now).collect();
        all.sort_by(|one, other| one.until.cmp(&other.until).then_with(|| one.device_id.cmp(&other.device_id)));
        all
    }

    /// Ends sessions of a user. Returns the ended ones.
    pub(crate) fn sign_out(&mut self, user_id: &str, which: Which<'_>, why: &str, now: Instant) -> Vec<Session> {
        self.end_where(why, now, |_, session| session.user_id == user_id && which.has(&session.device_id))
    }

    /// Ends the sessions whose time is over, and forgets why others have ended long enough ago.
    /// Returns the ended ones.
    pub(crate) fn expire(&mut self, now: Instant) -> Vec<Session> {
        self.ended.retain(|_, (_, until)| *until > now);
        self.end_where(EXPIRED, now, |_, session| session.until <= now)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_secret.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct World {
        sessions: Sessions,
        start: Instant,
    }

    impl World {
        fn new() -> Self {
            Self { sessions: Sessions::default(), start: Instant::now() }
        }

        fn at(&self, since: Duration) -> Moment {
            Moment { instant: self.start + since, unix_ms: since.as_secs_f64() * 1_000.0 }
        }

        /// Begins a session whose secret and device have the same name. Returns the devices that it
        /// replaces.
        fn begin(&mut self, most: usize, devices: usize, name: &str, user: &str, second: u64) -> Vec<String> {
            let fresh = Fresh { secret: name.to_owned(), device_id: name.to_owned(), user_id: format!("id of {user} by {name}") };
            let browser = Asker { browser: "Firefox on Linux".to_owned(), address: "192.0.2.1".to_owned() };
            let now = self.at(Duration::from_secs(second));
            names(self.sessions.begin_within(most, devices, fresh, user.to_owned(), browser, now))
        }

        fn devices(&self, user_id: &str) -> Vec<&str> {
            self.sessions.of_user(user_id, self.start).into_iter().map(|session| &*session.device_id).collect()
        }
    }

    fn names(ended: Vec<Session>) -> Vec<String> {
        let mut names: Vec<_> = ended.into_iter().map(|session| session.device_id).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_session_lasts_until_its_time_is_over_or_it_is_ended() {
        let mut world = World::new();
        assert!(world.begin(9, 9, "one", "Ada", 0).is_empty());
        let user = |world: &World, secret, at| world.sessions.find(secret, world.start + at).map(|session| session.user.clone());
        assert_eq!(user(&world, "one", Duration::ZERO).as_deref(), Some("Ada"));
        assert_eq!(user(&world, "other", Duration::ZERO), None);
        let last = LIFE.saturating_sub(Duration::from_nanos(1));
        assert_eq!(user(&world, "one", last).as_deref(), Some("Ada"));
        assert!(world.sessions.expire(world.start + last).is_empty());
        assert_eq!(user(&world, "one", LIFE), None);
        assert_eq!(names(world.sessions.expire(world.start + LIFE)), ["one"]);
        world.begin(9, 9, "two", "Ada", 0);
        assert_eq!(names(world.sessions.end("two", "for a test", world.start)), ["two"]);
        assert_eq!(user(&world, "two", Duration::ZERO), None);
        assert!(world.sessions.end("two", "for a test", world.start).is_empty());
    }

    #[test]
    fn the_session_that_would_end_first_makes_room() {
        let mut world = World::new();
        for (second, name) in ["one", "two", "three"].into_iter().enumerate() {
            assert!(world.begin(3, 3, name, name, second as u64).is_empty());
        }
        assert_eq!(world.begin(3, 3, "four", "four", 3), ["one"]);
        // Sessions whose time is over are removed first, all of them.
        assert_eq!(world.begin(2, 3, "five", "five", LIFE.as_secs() + 2), ["three", "two"]);
        assert_eq!(world.sessions.len(), 2);
    }

    #[test]
    fn a_user_has_one_id_and_a_bounded_number_of_devices() {
        let mut world = World::new();
        for (second, (name, user)) in [("one", "Ada"), ("two", "Bob"), ("three", "Ada")].into_iter().enumerate() {
            assert!(world.begin(9, 2, name, user, second as u64).is_empty());
        }
        assert_eq!(world.devices("id of Ada by one"), ["one", "three"]);
        assert_eq!(world.devices("id of Bob by two"), ["two"]);
        assert_eq!(world.begin(9, 2, "four", "Ada", 3), ["one"], "one past the limit");
        assert_eq!(world.devices("id of Ada by one"), ["three", "four"]);
        // The id of a user without a session is not used again.
        world.sessions.sign_out("id of Ada by one", Which::All, "for a test", world.start);
        world.begin(9, 2, "five", "Ada", 4);
        assert_eq!((world.devices("id of Ada by one"), world.devices("id of Ada by five")), (vec![], vec!["five"]));
    }

    #[test]
    fn why_a_session_has_ended_is_remembered_for_a_while() {
        let mut world = World::new();
        for (second, name) in ["one", "two", "three"].into_iter().enumerate() {
            world.begin(9, 2, name, "Ada", second as u64);
        }
        assert_eq!(world.sessions.end("two", "for a test", world.start).len(), 1);
        let why = |world: &World| ["one", "two", "three", "none"].map(|secret| world.sessions.why_ended(secret).map(str::to_owned));
        assert_eq!(why(&world), [Some(REPLACED.to_owned()), Some("for a test".to_owned()), None, None]);
        world.sessions.expire(world.start + LINGER);
        assert_eq!(why(&world), [Some(REPLACED.to_owned()), None, None, None], "the first has ended two seconds later");
        let over = world.start + Duration::from_secs(2) + LIFE;
        world.sessions.expire(over);
        assert_eq!(why(&world), [None, None, Some(EXPIRED.to_owned()), None]);
        world.sessions.expire(over + LINGER);
        assert_eq!(why(&world), [const { None }; 4]);
    }

    #[test]
    fn a_user_signs_out_one_device_or_the_others_or_all() {
        for (which, ended) in [
            (Which::One("two"), &["two"][..]),
            (Which::One("bob"), &[]),
            (Which::One("none"), &[]),
            (Which::Others("two"), &["one", "three"]),
            (Which::All, &["one", "three", "two"]),
        ] {
            let mut world = World::new();
            for (second, name) in ["one", "two", "three"].into_iter().enumerate() {
                world.begin(9, 9, name, "Ada", second as u64);
            }
            world.begin(9, 9, "bob", "Bob", 3);
            assert_eq!(names(world.sessions.sign_out("id of Ada by one", which, "for a test", world.start)), ended, "{which:?}");
            assert_eq!(world.devices("id of Ada by one").len(), 3 - ended.len(), "{which:?}");
            assert_eq!(world.devices("id of Bob by bob"), ["bob"], "{which:?}");
        }
    }
}

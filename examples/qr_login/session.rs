//! The sessions of logged-in browsers.
//!
//! Owns the sessions and their ends. A session is found by its secret, which one browser has in a
//! cookie. Leaves cookies to `app`, and the clock to `desk`: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a session lasts. An hour is enough for a demonstration: the sessions also end with the
/// program.
pub(crate) const LIFE: Duration = Duration::from_secs(60 * 60);

/// The maximum number of sessions. At the maximum, a new one replaces the session that would end
/// first.
const MOST: usize = 10_000;

#[derive(Default)]
pub(crate) struct Sessions(HashMap<String, Session>);

struct Session {
    user: String,
    until: Instant,
}

impl Sessions {
    pub(crate) fn begin(&mut self, secret: String, user: String, now: Instant) {
        self.make_room(MOST, now);
        self.0.insert(secret, Session { user, until: now + LIFE });
    }

    fn make_room(&mut self, most: usize, now: Instant) {
        if self.0.len() < most {
            return;
        }
        self.0.retain(|_, session| session.until > now);
        if self.0.len() >= most
            && let Some(first) = self.0.iter().min_by_key(|(_, session)| session.until).map(|(secret, _)| secret.clone())
        {
            self.0.remove(&first);
        }
    }

    pub(crate) fn user(&self, secret: &str, now: Instant) -> Option<&str> {
        self.0.get(secret).filter(|session| session.until > now).map(|session| &*session.user)
    }

    pub(crate) fn end(&mut self, secret: &str) {
        self.0.remove(secret);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_lasts_until_its_time_is_over_or_it_is_ended() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        sessions.begin("one".to_owned(), "Ada".to_owned(), start);
        assert_eq!(sessions.user("one", start), Some("Ada"));
        assert_eq!(sessions.user("other", start), None);
        assert_eq!(sessions.user("one", start + LIFE.saturating_sub(Duration::from_nanos(1))), Some("Ada"));
        assert_eq!(sessions.user("one", start + LIFE), None);
        sessions.end("one");
        assert_eq!(sessions.user("one", start), None);
    }

    #[test]
    fn the_oldest_makes_room() {
        let (mut sessions, start) = (Sessions::default(), Instant::now());
        for (age, secret) in ["one", "two", "three"].into_iter().enumerate() {
            sessions.begin(secret.to_owned(), "Ada".to_owned(), start + Duration::from_secs(age as u64));
        }
        sessions.make_room(4, start);
        assert_eq!(sessions.0.len(), 3);
        sessions.make_room(3, start);
        assert!(sessions.user("one", start).is_none() && sessions.user("two", start).is_some());
        // Sessions whose time is over are removed first, all of them.
        sessions.make_room(2, start + LIFE + Duration::from_secs(1));
        assert_eq!(sessions.0.keys().collect::<Vec<_>>(), ["three"]);
    }
}

//! Tests of the state machine on a virtual clock: every step in every state, by the right and by
//! the wrong client, at each deadline and just before it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use super::*;

const LIFE: Duration = Duration::from_secs(60);

/// The last moment before a deadline.
fn before(deadline: Duration) -> Duration {
    deadline.saturating_sub(Duration::from_nanos(1))
}

struct World {
    logins: Logins,
    start: Instant,
    now: Moment,
}

impl World {
    fn new() -> Self {
        let start = Instant::now();
        Self { logins: Logins::new(LIFE, 3), start, now: Moment { instant: start, unix_ms: 1_000.0 } }
    }

    /// Sets the clock to `since` after the start.
    fn at(&mut self, since: Duration) -> &mut Self {
        self.now = Moment { instant: self.start + since, unix_ms: 1_000.0 + since.as_secs_f64() * 1000.0 };
        self
    }

    fn begin(&mut self, id: &str) -> Result<(), Fault> {
        let asker = Asker { browser: "Firefox on Linux".to_owned(), address: "192.0.2.1".to_owned() };
        self.logins.begin(id.to_owned(), format!("browser of {id}"), asker, self.now)
    }

    fn scan_as(&mut self, id: &str, known: Option<&str>, fresh: &str) -> Result<Scan, Fault> {
        self.logins.scan(id, known, fresh.to_owned(), "Chrome on Android".to_owned(), self.now)
    }

    fn scan(&mut self, id: &str) -> Result<Scan, Fault> {
        self.scan_as(id, None, "phone")
    }

    fn confirm(&mut self, id: &str, phone: &str) -> Result<(), Fault> {
        self.logins.confirm(id, phone, "Ada".to_owned(), self.now)
    }

    fn refuse(&mut self, id: &str, phone: &str) -> Result<(), Fault> {
        self.logins.refuse(id, phone, self.now)
    }

    fn enter(&mut self, id: &str) -> Result<String, Fault> {
        self.logins.enter(id, &format!("browser of {id}"), self.now)
    }

    fn expire(&mut self) -> Vec<String> {
        self.logins.expire(self.now)
    }

    fn code(&self, id: &str) -> u16 {
        self.logins.peek(id, self.now.instant).unwrap().code
    }

    /// A world whose login `a` is in a state.
    fn brought_to(state: &str) -> Self {
        let mut world = Self::new();
        world.begin("a").unwrap();
        if state == "expired" {
            world.at(LIFE);
            world.expire();
            return world;
        }
        if state != "new" {
            world.scan("a").unwrap();
        }
        match state {
            "refused" => world.refuse("a", "phone").unwrap(),
            "confirmed" | "entered" => world.confirm("a", "phone").unwrap(),
            _ => {}
        }
        if state == "entered" {
            world.enter("a").unwrap();
        }
        world
    }
}

#[test]
fn the_way_through() {
    let mut world = World::new();
    world.begin("a").unwrap();
    assert_eq!(world.code("a"), 408);
    let scan = world.at(Duration::from_secs(5)).scan("a").unwrap();
    assert_eq!((&*scan.secret, &*scan.asker.browser, &*scan.asker.address), ("phone", "Firefox on Linux", "192.0.2.1"));
    assert_eq!((scan.left, scan.is_new), (Duration::from_secs(55), true));
    let view = world.logins.view("a", "browser of a", world.now.instant).unwrap();
    assert_eq!((view.code, view.state, view.phone.as_deref()), (201, "scanned", Some("Chrome on Android")));
    assert!((view.since_ms - 6_000.0).abs() < 1e-6, "{view:?}");
    world.confirm("a", "phone").unwrap();
    assert_eq!(world.code("a"), 200);
    assert_eq!(world.enter("a").unwrap(), "Ada");
    assert_eq!(world.code("a"), 400);
    assert_eq!(world.enter("a"), Err(Fault::Entered), "a code is good for one login");
}

#[test]
fn every_step_in_every_state() {
    use Fault::*;
    for (state, scan, confirm, refuse, enter) in [
        ("new", None, Some(NotScanned), Some(NotScanned), Some(NotConfirmed)),
        ("scanned", Some(OtherPhone), None, None, Some(NotConfirmed)),
        ("confirmed", Some(AlreadyConfirmed), Some(AlreadyConfirmed), Some(AlreadyConfirmed), None),
        ("entered", Some(Entered), Some(Entered), Some(Entered), Some(Entered)),
        ("refused", Some(Refused), Some(Refused), Some(Refused), Some(Refused)),
        ("expired", Some(Expired), Some(Expired), Some(Expired), Some(Expired)),
    ] {
        let world = || World::brought_to(state);
        assert_eq!(world().logins.peek("a", world().start).unwrap().state, state);
        assert_eq!(world().scan("a").err(), scan, "scan when {state}");
        assert_eq!(world().confirm("a", "phone").err(), confirm, "confirm when {state}");
        assert_eq!(world().refuse("a", "phone").err(), refuse, "refuse when {state}");
        assert_eq!(world().enter("a").err(), enter, "enter when {state}");
        for fault in
            [world().scan("b").err(), world().confirm("b", "phone").err(), world().refuse("b", "phone").err(), world().enter("b").err()]
        {
            assert_eq!(fault, Some(Unknown), "another id when {state}");
        }
    }
}

#[test]
fn a_second_phone_can_do_nothing() {
    let mut world = World::brought_to("scanned");
    assert_eq!(world.scan_as("a", None, "second"), Err(Fault::OtherPhone));
    assert_eq!(world.scan_as("a", Some("wrong"), "second"), Err(Fault::OtherPhone));
    for guess in ["second", "", "phon", "phone "] {
        assert_eq!(world.confirm("a", guess), Err(Fault::OtherPhone), "{guess}");
        assert_eq!(world.refuse("a", guess), Err(Fault::OtherPhone), "{guess}");
    }
    assert_eq!(world.code("a"), 201);
    // The first phone may reload its page, and keeps its secret.
    let again = world.scan_as("a", Some("phone"), "second").unwrap();
    assert_eq!((&*again.secret, again.is_new), ("phone", false));
    world.confirm("a", "phone").unwrap();
}

#[test]
fn only_the_browser_that_began_gets_in() {
    let mut world = World::brought_to("confirmed");
    world.begin("b").unwrap();
    for guess in ["", "browser of b", "browser of A", "phone"] {
        assert_eq!(world.logins.enter("a", guess, world.now), Err(Fault::OtherBrowser), "{guess}");
        assert_eq!(world.logins.view("a", guess, world.now.instant), Err(Fault::OtherBrowser), "{guess}");
        assert_eq!(world.logins.check_browser("a", guess), Err(Fault::OtherBrowser), "{guess}");
    }
    assert_eq!(world.enter("a").unwrap(), "Ada", "the wrong ones have not used it up");
}

#[test]
fn a_code_lives_for_its_time_and_no_longer() {
    let mut world = World::new();
    world.begin("a").unwrap();
    assert_eq!(world.logins.next_expiry(), Some(world.start + LIFE));
    assert!(world.at(before(LIFE)).expire().is_empty());
    world.scan("a").unwrap();
    assert_eq!(world.logins.next_expiry(), Some(world.start + LIFE), "scanning gives no more time");
    // The login is expired even though `expire` has not run yet.
    assert_eq!(world.at(LIFE).confirm("a", "phone"), Err(Fault::Expired));
    assert_eq!(world.code("a"), 400);
    assert_eq!(world.expire(), ["a"]);
    assert_eq!(world.expire(), Vec::<String>::new(), "it ends once");
    assert_eq!(world.confirm("a", "phone"), Err(Fault::Expired));
}

#[test]
fn what_was_confirmed_in_the_last_moment_can_be_fetched() {
    let mut world = World::new();
    world.begin("a").unwrap();
    world.scan("a").unwrap();
    let confirmed = before(LIFE);
    world.at(confirmed).confirm("a", "phone").unwrap();
    world.at(before(confirmed + COLLECT));
    assert!(world.expire().is_empty());
    assert_eq!(world.code("a"), 200);
    world.at(confirmed + COLLECT);
    assert_eq!(world.enter("a"), Err(Fault::Expired));
    assert_eq!(world.expire(), ["a"]);
}

#[test]
fn what_is_over_is_remembered_for_a_while() {
    for state in ["entered", "refused", "expired"] {
        let mut world = World::brought_to(state);
        let over = world.now.instant - world.start;
        world.at(before(over + LINGER)).expire();
        assert_eq!(world.logins.peek("a", world.now.instant).unwrap().state, state);
        world.at(over + LINGER).expire();
        assert_eq!(world.logins.peek("a", world.now.instant), None, "{state}");
        assert_eq!(world.scan("a").err(), Some(Fault::Unknown), "{state}");
        assert_eq!(world.logins.next_expiry(), None);
    }
}

#[test]
fn there_is_a_bound_and_what_is_over_makes_room() {
    let mut world = World::new();
    for id in ["a", "b", "c"] {
        world.begin(id).unwrap();
        world.scan(id).unwrap();
    }
    assert_eq!(world.begin("d"), Err(Fault::Full));
    world.at(Duration::from_secs(1)).refuse("b", "phone").unwrap();
    world.at(Duration::from_secs(2)).refuse("a", "phone").unwrap();
    world.begin("d").unwrap();
    let known = |world: &World, id| world.logins.peek(id, world.now.instant).is_some();
    assert!(!known(&world, "b") && known(&world, "a"), "the longest over goes first");
    world.begin("e").unwrap();
    assert_eq!(world.begin("f"), Err(Fault::Full));
    assert!(known(&world, "c") && known(&world, "d") && known(&world, "e"));
    // At the limit, an unfinished login makes room as soon as its time is over.
    world.at(LIFE).expire();
    world.begin("f").unwrap();
}

#[test]
fn a_hold_is_for_what_can_still_change() {
    for (state, code) in [("new", 408), ("scanned", 201), ("confirmed", 200), ("refused", 403), ("expired", 400), ("entered", 400)] {
        let world = World::brought_to(state);
        let view = world.logins.peek("a", world.now.instant).unwrap();
        assert_eq!(view.code, code, "{state}");
        let is_new = state == "new";
        assert_eq!(view.is_worth_waiting(408), is_new, "{state}, nothing known");
        assert_eq!(view.is_worth_waiting(999), is_new, "{state}, nonsense known");
        assert_eq!(view.is_worth_waiting(code), matches!(state, "new" | "scanned" | "confirmed"), "{state}, known");
    }
}

#[test]
fn what_is_told_names_the_phone_and_no_secret() {
    let world = World::brought_to("scanned");
    let text = world.logins.peek("a", world.now.instant).unwrap().json();
    let told: serde_json::Value = serde_json::from_str(&text).unwrap();
    let expected = serde_json::json!({ "code": 201, "state": "scanned", "phone": "Chrome on Android", "since_ms": 1000.0 });
    assert_eq!(told, expected);
}

#[test]
fn faults_have_a_status_and_a_sentence() {
    use Fault::*;
    for (fault, status) in [
        (Full, 503),
        (Unknown, 404),
        (Expired, 410),
        (Refused, 410),
        (Entered, 410),
        (NotScanned, 409),
        (OtherPhone, 409),
        (NotConfirmed, 409),
        (AlreadyConfirmed, 409),
        (OtherBrowser, 403),
    ] {
        assert_eq!(fault.status(), status, "{fault:?}");
        assert!(fault.to_string().contains(' '), "{fault:?}");
    }
}

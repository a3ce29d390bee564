//! The room.
//!
//! Owns names, secrets and who may hear what, and publishes all that is said. Refuses to guess who is online: presence is the hub's knowledge,
//! and is only joined with names here.
//!
//! Everybody subscribes to `room` and to a topic of their own in one request, so that a topic that somebody is subscribed to is a person
//! who is there, by the technique that the hub tells. Who is gone for longer than the hub's grace time leaves, and the name is free again.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pushlab::Request;
use pushlab::push::{Access, Cursor, Hub, HubConfig, Payload, PerTechnique, Technique, Topics};
use serde_json::{Value, json};

use crate::app::cookies;

const PEOPLE_MAX: usize = 1_000;
/// In characters.
const NAME_MAX: usize = 24;
const TEXT_MAX: usize = 2_000;
/// Messages that somebody who joins is shown.
const SHOWN: usize = 50;
/// Without a connection or a poll for this long, somebody has left: longer than a reload, shorter than others would wait for an answer.
const GRACE: Duration = Duration::from_secs(10);
/// Where the hub tells of coming and going.
const PRESENCE: &str = "room.presence";
/// How soon leaving, and another technique, are noticed.
const WATCH: Duration = Duration::from_millis(500);

/// Why something was refused: a status, and a sentence for a person.
pub(crate) struct Refusal(pub(crate) u16, pub(crate) String);

impl Refusal {
    pub(crate) fn bad(sentence: impl Into<String>) -> Self {
        Self(400, sentence.into())
    }
}

pub(crate) struct Room {
    pub(crate) hub: Hub,
    people: Arc<Mutex<People>>,
}

/// What changes when somebody comes, leaves or changes the technique.
type Trace = (u64, PerTechnique);

#[derive(Default)]
struct People {
    /// Ids are public; whoever has the token of one is this person.
    by_id: HashMap<String, Person>,
    /// Who is online, as it was told last, and the trace that it was made from. All pages ask at once when somebody comes.
    told: Option<(Trace, Arc<[u8]>)>,
}

struct Person {
    name: String,
    token: String,
    /// Since when the person is expected to be online.
    since: Instant,
    technique: Option<Technique>,
}

pub(crate) struct Joined {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) is_new: bool,
    /// The envelopes of what was said last.
    pub(crate) history: Vec<Value>,
    /// The cursor to go on with.
    pub(crate) after: String,
}

impl Room {
    pub(crate) fn open() -> Arc<Self> {
        let people = Arc::new(Mutex::new(People::default()));
        let members = Arc::clone(&people);
        let config = HubConfig {
            presence_grace: GRACE,
            // Made whenever it is asked for, so that no change goes unseen.
            presence_messages: true,
            // A day in the room; a private topic is forgotten long before, when as many people have come after.
            history_age: Duration::from_secs(24 * 60 * 60),
            history_bytes: 256 * 1024,
            topics: 5 * PEOPLE_MAX,
            ..HubConfig::default()
        };
        let hub = Hub::with_policy(config, move |request, access, topic| access == Access::Subscribe && may_hear(&members, request, topic));
        Arc::new(Self { hub, people })
    }

    /// Lets somebody in; who is there already and has the token is let in once more.
    pub(crate) fn join(&self, name: &str, token: Option<&str>) -> Result<Joined, Refusal> {
        let name = check_name(name)?;
        let mut people = lock(&self.people);
        let found = people.by_id.iter().find(|(_, person)| fold(&person.name) == fold(name));
        let (id, token, is_new) = match found {
            Some((id, person)) if Some(&*person.token) == token => (id.clone(), person.token.clone(), false),
            Some(_) => return Err(Refusal(409, format!("somebody called {name} is here already; please choose another name"))),
            None if people.by_id.len() >= PEOPLE_MAX => {
                return Err(Refusal(503, format!("the room is full: {PEOPLE_MAX} people are here")));
            }
            None => (random()?, random()?, true),
        };
        if is_new {
            let person = Person { name: name.to_owned(), token: token.clone(), since: Instant::now(), technique: None };
            people.by_id.insert(id.clone(), person);
            self.tell("room", &json!({ "kind": "join", "name": name, "at": now_ms() }))?;
        }
        let topics = Topics::parse(&format!("room,private-{id}"), 2).expect("ids are made of what names are made of");
        let all = self.hub.replay(&topics, Cursor::Earliest).messages;
        let history = all.iter().skip(all.len().saturating_sub(SHOWN)).filter_map(|message| serde_json::from_str(message.json()).ok());
        // Nothing is said without the lock, so that nothing falls between the two.
        Ok(Joined { id, name: name.to_owned(), token, is_new, history: history.collect(), after: self.hub.last().to_string() })
    }

    /// Says something to all, or to one person; the speaker hears it, too. Returns the message's id.
    pub(crate) fn say(&self, token: &str, to: Option<&str>, text: &str) -> Result<String, Refusal> {
        let people = lock(&self.people);
        let (from, speaker) = member(&people, token)?;
        let count = text.chars().count();
        if count > TEXT_MAX || text.trim().is_empty() {
            return Err(Refusal::bad(format!(
                "a message must have 1 to {TEXT_MAX} characters that are not all white space; this has {count}"
            )));
        }
        let mut message = json!({ "kind": "say", "from": from, "name": speaker.name, "text": text, "at": now_ms() });
        let Some(to) = to else { return self.tell("room", &message) };
        let found = people.by_id.iter().find(|(_, person)| fold(&person.name) == fold(to.trim()));
        let (to, hearer) = found.ok_or_else(|| Refusal(404, format!("nobody called {} is here", shorten(to))))?;
        if to == from {
            return Err(Refusal::bad("a private message must be to somebody else"));
        }
        message["kind"] = "private".into();
        message["to"] = (**to).into();
        message["to_name"] = (*hearer.name).into();
        let id = self.tell(&format!("private-{to}"), &message)?;
        self.tell(&format!("private-{from}"), &message)?;
        Ok(id)
    }

    /// Somebody leaves, and does not wait until it is noticed. Returns who.
    pub(crate) fn leave(&self, token: &str) -> Result<String, Refusal> {
        let mut people = lock(&self.people);
        let id = member(&people, token)?.0.to_owned();
        self.remove(&mut people, &id)?;
        self.changed()?;
        Ok(id)
    }

    /// Whether this is the token of somebody who is there.
    pub(crate) fn is(&self, id: &str, token: &str) -> bool {
        has_token(&lock(&self.people), id, token)
    }

    /// Who is online, by name, and by which technique, in JSON.
    pub(crate) fn people(&self) -> Arc<[u8]> {
        let mut people = lock(&self.people);
        let trace = self.trace();
        if let Some((_, json)) = people.told.as_ref().filter(|(told, _)| Some(*told) == trace) {
            return Arc::clone(json);
        }
        let online = people.by_id.iter().filter_map(|(id, person)| Some((id, &person.name, self.technique(id)?.name())));
        let mut online: Vec<_> = online.collect();
        online.sort_unstable_by_key(|(id, name, _)| (fold(name), *id));
        let list = online.iter().map(|(id, name, technique)| json!({ "id": id, "name": name, "technique": technique }));
        let json: Arc<[u8]> = format!("{}\n", json!({ "online": online.len(), "people": list.collect::<Value>() })).into_bytes().into();
        people.told = trace.map(|trace| (trace, Arc::clone(&json)));
        json
    }

    fn technique(&self, id: &str) -> Option<Technique> {
        let online = self.hub.info(&format!("private-{id}")).ok()?.online;
        Technique::ALL.into_iter().find(|technique| online[*technique] > 0)
    }

    /// Notices who has left and who has changed the technique, for as long as the program runs.
    pub(crate) fn watch(&self) {
        let mut seen = None;
        loop {
            thread::sleep(WATCH);
            seen = self.look(seen).unwrap_or_else(|Refusal(_, sentence)| {
                log::error!("{sentence}");
                None
            });
        }
    }

    /// Asks for each person only when there is a trace of a change, or somebody is still expected.
    fn look(&self, seen: Option<Trace>) -> Result<Option<Trace>, Refusal> {
        let mut people = lock(&self.people);
        let trace = self.trace();
        if seen == trace && people.by_id.values().all(|person| person.technique.is_some()) {
            return Ok(seen);
        }
        let (mut is_changed, mut gone) = (false, Vec::new());
        for (id, person) in &mut people.by_id {
            let technique = self.technique(id);
            is_changed |= technique != person.technique;
            // Who has been seen has had the grace time from the hub; others get it from when they came.
            if technique.is_none() && (person.technique.is_some() || person.since.elapsed() > GRACE) {
                gone.push(id.clone());
            }
            person.technique = technique;
        }
        for id in &gone {
            self.remove(&mut people, id)?;
        }
        if is_changed {
            self.changed()?;
        }
        Ok(trace)
    }

    fn trace(&self) -> Option<Trace> {
        Some((self.hub.info(PRESENCE).ok()?.published, self.hub.info("room").ok()?.online))
    }

    fn remove(&self, people: &mut People, id: &str) -> Result<(), Refusal> {
        if let Some(person) = people.by_id.remove(id) {
            self.tell("room", &json!({ "kind": "leave", "name": person.name, "at": now_ms() }))?;
        }
        Ok(())
    }

    /// Tells pages to look who is there, where the hub's own words for coming and going say too little: it knows neither names nor changes
    /// of technique.
    fn changed(&self) -> Result<(), Refusal> {
        let online = self.hub.info("room").map_or(0, |info| info.online.sum());
        self.tell(PRESENCE, &json!({ "event": "change", "online": online })).map(drop)
    }

    fn tell(&self, topic: &str, message: &Value) -> Result<String, Refusal> {
        let published = self.hub.publish(topic, Payload::text(message.to_string()));
        published.map(|published| published.id.to_string()).map_err(|error| Refusal(503, format!("this cannot be said now: {error}")))
    }
}

/// Whoever is there hears the room, and what is private to the person. A client's name decides whose presence it is, and which poll ends
/// another: nobody gets to use that of another person.
fn may_hear(people: &Mutex<People>, request: &Request<'_>, topic: &str) -> bool {
    let people = lock(people);
    let is_me = |id: &str| cookies(request).any(|(known, token)| known == id && has_token(&people, id, token));
    let is_own_client = request.query_value("client").is_none_or(|client| is_me(&client));
    is_own_client
        && match topic.strip_prefix("private-") {
            Some(id) => is_me(id),
            None => topic == "room" && cookies(request).any(|(id, token)| has_token(&people, id, token)),
        }
}

fn lock(people: &Mutex<People>) -> MutexGuard<'_, People> {
    people.lock().unwrap_or_else(PoisonError::into_inner)
}

fn has_token(people: &People, id: &str, token: &str) -> bool {
    people.by_id.get(id).is_some_and(|person| is_equal(&person.token, token))
}

fn member<'a>(people: &'a People, token: &str) -> Result<(&'a str, &'a Person), Refusal> {
    let found = people.by_id.iter().find(|(_, person)| is_equal(&person.token, token));
    found.map(|(id, person)| (&**id, person)).ok_or_else(|| Refusal(403, "you are not in the room any more; please join again".to_owned()))
}

/// It takes the same time for every wrong token of the right length.
fn is_equal(token: &str, given: &str) -> bool {
    let differences = token.bytes().zip(given.bytes()).fold(0, |differences, (one, other)| differences | (one ^ other));
    token.len() == given.len() && differences == 0
}

fn check_name(name: &str) -> Result<&str, Refusal> {
    let name = name.trim();
    if !(1..=NAME_MAX).contains(&name.chars().count()) {
        return Err(Refusal::bad(format!("a name must have 1 to {NAME_MAX} characters")));
    }
    // Characters that cannot be seen, or turn others around, would let two names look the same.
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    if name.chars().any(is_hidden) {
        return Err(Refusal::bad("a name must not have characters that cannot be seen"));
    }
    Ok(name)
}

/// Names are the same whatever their case.
fn fold(name: &str) -> String {
    name.to_lowercase()
}

fn shorten(name: &str) -> &str {
    name.char_indices().nth(NAME_MAX).map_or(name, |(end, _)| &name[..end])
}

/// 128 bits from the operating system, in hexadecimal: what hash maps are seeded with would be guessable from other such numbers.
fn random() -> Result<String, Refusal> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| Refusal(503, format!("the system has no random numbers: {error}")))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

fn now_ms() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_millis() as u64)
}

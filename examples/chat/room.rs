//! The room.
//!
//! Owns names, tokens, the rights to read topics, and the publishing of all messages. Leaves
//! presence to the hub, and only adds the names to it.
//!
//! Each person subscribes to `room` and to a private topic in one request. A person is online while
//! the private topic has a subscriber, and the hub says by which technique. A person who has no
//! subscriber for longer than the hub's grace time leaves the room, and the name is free again.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use pushlab::Request;
use pushlab::push::{Access, Cursor, Hub, HubConfig, Payload, PerTechnique, Topics};
use serde_json::{Value, json};

use crate::app::cookies;

const PEOPLE_MAX: usize = 1_000;
/// In characters.
const NAME_MAX: usize = 24;
/// In characters.
const TEXT_MAX: usize = 2_000;
/// How many of the last messages a person who joins is shown.
const SHOWN: usize = 50;
/// A person without a connection or a poll for this long has left. It is longer than a reload
/// takes, and shorter than others would wait for an answer.
const GRACE: Duration = Duration::from_secs(10);
/// The topic to which the hub publishes changes of presence.
const PRESENCE: &str = "room.presence";
/// The time between two checks for people who left or changed their technique.
const WATCH: Duration = Duration::from_millis(500);

/// Why a request was rejected: a status, and a sentence for a person.
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

/// Two counters of the hub. At least one of them changes when a person joins, leaves or changes the
/// technique.
type Trace = (u64, PerTechnique);

#[derive(Default)]
struct People {
    /// Ids are public. The token is the secret that proves an id.
    by_id: HashMap<String, Person>,
    /// The last answer to `GET /people`, and the trace from which it was made. It is cached because
    /// all pages ask at once when a person joins.
    told: Option<(Trace, Arc<[u8]>)>,
}

struct Person {
    name: String,
    token: String,
    /// When the person joined. The first connection is expected within [`GRACE`] of it.
    since: Instant,
    technique: Option<&'static str>,
}

pub(crate) struct Joined {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) token: String,
    pub(crate) is_new: bool,
    /// The envelopes of the last messages.
    pub(crate) history: Vec<Value>,
    /// The cursor after the history, with which the page subscribes.
    pub(crate) after: String,
}

impl Room {
    pub(crate) fn open() -> Arc<Self> {
        let people = Arc::new(Mutex::new(People::default()));
        let members = Arc::clone(&people);
        let config = HubConfig {
            presence_grace: GRACE,
            // The hub publishes every change of presence, so that `trace` sees each of them.
            presence_messages: true,
            // The room keeps the messages of a day. `topics` bounds the private topics: the least
            // recently used ones are forgotten before.
            history_age: Duration::from_secs(24 * 60 * 60),
            history_bytes: 256 * 1024,
            topics: 5 * PEOPLE_MAX,
            ..HubConfig::default()
        };
        let hub = Hub::with_policy(config, move |request, access, topic| access == Access::Subscribe && may_hear(&members, request, topic));
        Arc::new(Self { hub, people })
    }

    /// Adds a person. A person who is already in the room and has the token joins again.
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
        let topics = Topics::parse(&format!("room,private-{id}"), 2).expect("an id has only characters that a topic name may have");
        let all = self.hub.replay(&topics, Cursor::Earliest).messages;
        let history = all.iter().skip(all.len().saturating_sub(SHOWN)).filter_map(|message| serde_json::from_str(message.json()).ok());
        // Every message is published under the lock: none can come between the history and the
        // cursor after it.
        Ok(Joined { id, name: name.to_owned(), token, is_new, history: history.collect(), after: self.hub.last().to_string() })
    }

    /// Publishes a message to all, or to one person and its sender. Returns the message's id.
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

    /// Removes a person at once, without the grace time. Returns the id.
    pub(crate) fn leave(&self, token: &str) -> Result<String, Refusal> {
        let mut people = lock(&self.people);
        let id = member(&people, token)?.0.to_owned();
        self.remove(&mut people, &id)?;
        self.changed()?;
        Ok(id)
    }

    /// Whether the person is in the room and has this token.
    pub(crate) fn is(&self, id: &str, token: &str) -> bool {
        has_token(&lock(&self.people), id, token)
    }

    /// The people online as JSON: the id, name and technique of each.
    pub(crate) fn people(&self) -> Arc<[u8]> {
        let mut people = lock(&self.people);
        let trace = self.trace();
        if let Some((_, json)) = people.told.as_ref().filter(|(told, _)| Some(told) == trace.as_ref()) {
            return Arc::clone(json);
        }
        let online = people.by_id.iter().filter_map(|(id, person)| Some((id, &person.name, self.technique(id)?)));
        let mut online: Vec<_> = online.collect();
        online.sort_unstable_by_key(|(id, name, _)| (fold(name), *id));
        let list = online.iter().map(|(id, name, technique)| json!({ "id": id, "name": name, "technique": technique }));
        let json: Arc<[u8]> = format!("{}\n", json!({ "online": online.len(), "people": list.collect::<Value>() })).into_bytes().into();
        people.told = trace.map(|trace| (trace, Arc::clone(&json)));
        json
    }

    fn technique(&self, id: &str) -> Option<&'static str> {
        let online = self.hub.info(&format!("private-{id}")).ok()?.online;
        online.iter().next().map(|(technique, _)| technique)
    }

    /// Checks for people who left or changed their technique, for as long as the program runs.
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

    /// One check. It asks the hub about each person only if the trace has changed, or if a person
    /// has joined and is not online yet.
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
            // The hub has already applied the grace time to a person who was online. For others it
            // counts from the time of joining.
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

    /// Tells the pages to read the people online again. The hub's own presence messages are not
    /// enough: the hub does not know names, and does not publish changes of technique.
    fn changed(&self) -> Result<(), Refusal> {
        let online = self.hub.info("room").map_or(0, |info| info.online.sum());
        self.tell(PRESENCE, &json!({ "event": "change", "online": online })).map(drop)
    }

    fn tell(&self, topic: &str, message: &Value) -> Result<String, Refusal> {
        let published = self.hub.publish(topic, Payload::text(message.to_string()));
        published.map(|published| published.id.to_string()).map_err(|error| Refusal(503, format!("this cannot be said now: {error}")))
    }
}

/// The hub's policy. A person in the room may subscribe to `room` and to the person's own private
/// topic. The parameter `client` decides whose presence a subscription counts for, and a poll ends
/// an older poll of the same client. So people may only use their own id there.
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

/// Compares in a time that does not depend on where the tokens differ, so that the time of an
/// answer does not help to guess a token.
fn is_equal(token: &str, given: &str) -> bool {
    let differences = token.bytes().zip(given.bytes()).fold(0, |differences, (one, other)| differences | (one ^ other));
    token.len() == given.len() && differences == 0
}

fn check_name(name: &str) -> Result<&str, Refusal> {
    let name = name.trim();
    if !(1..=NAME_MAX).contains(&name.chars().count()) {
        return Err(Refusal::bad(format!("a name must have 1 to {NAME_MAX} characters")));
    }
    // With invisible characters, or characters that reverse the direction of text, two different
    // names could look the same.
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

/// The form in which names are compared: names that differ only in case are the same.
fn fold(name: &str) -> String {
    name.to_lowercase()
}

fn shorten(name: &str) -> &str {
    name.char_indices().nth(NAME_MAX).map_or(name, |(end, _)| &name[..end])
}

/// 128 random bits from the operating system, in hexadecimal. The seeds of the standard library's
/// hash maps are no substitute: one can be computed from another.
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

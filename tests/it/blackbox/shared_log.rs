//! Servers that share a log: a list in memory that a test can stop, slow down and shorten.
//!
//! Covers: push::hub::apply, push::hub::build, push::hub::follow, push::hub::log_stats, push::hub::lookup, push::hub::outside
//! Covers: push::hub::replica, push::hub::waiting, push::log::clock, push::log::engine, push::log::marks, push::log::record
//! Covers: push::log::shared_log, push::log::spool, push::hub::simulation::broker, push::hub::simulation::client

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use pushlab::push::{
    Entry, EpochProposal, Following, Hub, HubConfig, Log, LogError, LogReader, LogSession, LogState, LogWriter, Payload, PublishError,
    Record, SharedLog,
};
use serde_json::json;

use super::control::{change, secret_of};
use super::last_words::{POLLS, STREAMS, split};
use super::{Client, IoModel, Lab, NET, both, eventually};

/// The part of the log that all servers see.
#[derive(Default)]
struct Shared {
    entries: Vec<Option<Record>>,
    trimmed_to: u64,
    epoch: Option<u64>,
    is_down: bool,
    /// The number of the last connection. Those up to `broken` are over.
    connections: u64,
    broken: u64,
    /// What was appended stays out of the log.
    is_closed: bool,
    appended: Vec<Record>,
}

/// The log, as one server sees it.
#[derive(Clone, Default)]
struct ListLog {
    shared: Arc<(Mutex<Shared>, Condvar)>,
    /// This server gets no further records.
    is_frozen: Arc<AtomicBool>,
}

impl ListLog {
    fn of_another_server(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), is_frozen: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.0.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        change(&mut self.lock());
        self.shared.1.notify_all();
    }

    fn freeze(&self, is_frozen: bool) {
        self.is_frozen.store(is_frozen, SeqCst);
        self.shared.1.notify_all();
    }

    /// All connections break.
    fn stop(&self) {
        self.change(|shared| (shared.is_down, shared.broken) = (true, shared.connections));
    }

    fn start(&self) {
        self.change(|shared| shared.is_down = false);
    }
}

impl Log for ListLog {
    fn name(&self) -> String {
        "the list".to_owned()
    }

    fn keeps_records(&self) -> bool {
        true
    }

    fn connect(&self) -> Result<Box<dyn LogSession>, LogError> {
        let mut shared = self.lock();
        if shared.is_down {
            return Err(LogError::new("the list is away"));
        }
        shared.connections += 1;
        Ok(Box::new(Connection { log: self.clone(), number: shared.connections, position: 0 }))
    }
}

#[derive(Clone)]
struct Connection {
    log: ListLog,
    number: u64,
    position: u64,
}

impl Connection {
    fn shared(&self) -> Result<MutexGuard<'_, Shared>, LogError> {
        let shared = self.log.lock();
        if shared.broken < self.number { Ok(shared) } else { Err(LogError::new("the list has gone")) }
    }
}

impl LogSession for Connection {
    fn agree(&mut self, proposal: &EpochProposal) -> Result<u64, LogError> {
        let mut shared = self.shared()?;
        if shared.epoch == proposal.replaces {
            shared.epoch = Some(proposal.epoch);
        }
        Ok(shared.epoch.unwrap())
    }

    fn announce(&mut self, _: u64) -> Result<(), LogError> {
        self.shared().map(drop)
    }

    fn end(&mut self) -> Result<u64, LogError> {
        Ok(self.shared()?.entries.len() as u64)
    }

    fn follow(self: Box<Self>, first: u64) -> Result<Following, LogError> {
        let half = Connection { position: first, ..*self };
        Ok(Following { first, reader: Box::new(half.clone()), writer: Box::new(half) })
    }
}

impl LogReader for Connection {
    fn next(&mut self, wait: Duration) -> Result<Option<Entry>, LogError> {
        let position = |shared: &Shared, from: u64| {
            let position = from.max(shared.trimmed_to);
            (position < shared.entries.len() as u64).then_some(position)
        };
        let shared = self.log.lock();
        let is_idle = |shared: &mut Shared| {
            shared.broken < self.number && (self.log.is_frozen.load(SeqCst) || position(shared, self.position).is_none())
        };
        let mut shared = self.log.shared.1.wait_timeout_while(shared, wait, is_idle).unwrap().0;
        if shared.broken >= self.number {
            return Err(LogError::new("the list has gone"));
        }
        if is_idle(&mut shared) {
            return Ok(None);
        }
        let at = position(&shared, self.position).unwrap();
        let record = shared.entries[at as usize].clone();
        drop(shared);
        self.position = at + 1;
        Ok(Some(Entry { position: at, record, epoch: None }))
    }
}

impl LogWriter for Connection {
    fn append(&mut self, record: &Record) -> Result<(), LogError> {
        let mut shared = self.shared()?;
        if shared.is_closed {
            shared.appended.push(record.clone());
        } else {
            shared.entries.push(Some(record.clone()));
        }
        drop(shared);
        self.log.shared.1.notify_all();
        Ok(())
    }
}

/// Two servers that share a log.
struct Pair {
    log: [ListLog; 2],
    labs: [Lab; 2],
}

impl Pair {
    fn start(model: IoModel, configure: impl Fn(&mut HubConfig, &mut SharedLog)) -> Self {
        let one = ListLog::default();
        let log = [one.of_another_server(), one];
        let labs = [&log[0], &log[1]].map(|log| {
            let (mut config, mut shared_log) = (HubConfig::default(), SharedLog::new(log.clone()));
            shared_log.lag_timeout = NET;
            configure(&mut config, &mut shared_log);
            let lab = Lab::with_hub(model, HubConfig { log: Some(shared_log), ..config });
            lab.app.hub.wait_for_log(NET).unwrap();
            lab
        });
        Self { log, labs }
    }

    fn hub(&self, nth: usize) -> &Hub {
        &self.labs[nth].app.hub
    }

    /// Publishes at one server, and waits until the other one has the message, too.
    fn publish(&self, nth: usize, text: &str) -> String {
        let id = self.hub(nth).publish("a", Payload::text(text)).unwrap().id;
        eventually("both have the message", || self.log[1 - nth].is_frozen.load(SeqCst) || self.hub(1 - nth).last() >= id);
        id.to_string()
    }

    fn text(&self, nth: usize, target: &str) -> String {
        let answer = self.labs[nth].connect().fetch(target);
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.text().to_owned()
    }
}

/// All answers of a short poll, one after the other, until nothing more is there.
fn all_texts(lab: &Lab, cursor: &str) -> String {
    let (mut cursor, mut texts) = (cursor.to_owned(), String::new());
    loop {
        let answer = lab.connect().fetch(&format!("/topics/a/poll?after={cursor}"));
        texts.push_str(answer.text());
        let parsed: serde_json::Value = serde_json::from_str(answer.text()).unwrap();
        parsed["last"].as_str().unwrap().clone_into(&mut cursor);
        if parsed.get("more").is_none() {
            return texts;
        }
    }
}

fn post(client: &mut Client, text: &str) {
    client.send(format!("POST /topics/a HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}", text.len()));
}

/// The cursor behind all messages that a server has.
fn cursor_at(pair: &Pair, nth: usize) -> String {
    pair.hub(nth).last().to_string()
}

both! {
    /// A message is accepted when it has come back from the log, and has the same id at all servers.
    fn a_message_is_confirmed_by_the_log(model) {
        let pair = Pair::start(model, |_, _| {});
        pair.log[0].change(|shared| shared.is_closed = true);
        let mut publisher = pair.labs[0].connect();
        post(&mut publisher, "one");
        eventually("the log has got the record", || !pair.log[0].lock().appended.is_empty());
        let other = pair.text(0, "/topics/a/poll?after=earliest");
        assert!(other.starts_with("{\"messages\":[]"), "the server goes on: {other}");
        let mut events = pair.labs[1].connect();
        events.get("/topics/a/events");
        assert_eq!(events.answer_head().status, 200);
        eventually("it is subscribed", || pair.hub(1).info("a").unwrap().subscribers.sum() == 1);
        pair.log[0].change(|shared| {
            shared.is_closed = false;
            let appended = shared.appended.drain(..).map(Some);
            shared.entries.extend(appended);
        });
        let answer = publisher.answer();
        assert_eq!(answer.status, 202);
        let id = pair.hub(0).last();
        assert_eq!(answer.text(), format!("{{\"id\":\"{id}\",\"subscribers\":0}}\n"));
        assert!(events.take_until(b"data: one\n\n").ends_with(format!("id: {id}\ndata: one\n\n").as_bytes()));
    }

    /// A client continues at the other server with its cursor, by any technique.
    fn one_cursor_on_every_server(model) {
        let pair = Pair::start(model, |_, _| {});
        let cursor = pair.publish(0, "one");
        let next = pair.publish(1, "two");
        let expected = format!("{{\"messages\":[{{\"id\":\"{next}\",\"topic\":\"a\",\"data\":\"two\"}}],\"last\":\"{next}\",\"gap\":false}}");
        for nth in [0, 1] {
            for technique in ["poll", "long-poll"] {
                assert_eq!(pair.text(nth, &format!("/topics/a/{technique}?after={cursor}")), expected);
            }
            let mut stream = pair.labs[nth].connect();
            stream.get(&format!("/topics/a/stream?after={cursor}"));
            assert_eq!(stream.answer_head().field("Pushlab-Gap"), None);
            stream.take_until(format!("{{\"id\":\"{next}\",\"topic\":\"a\",\"data\":\"two\"}}\n").as_bytes());
            let mut websocket = pair.labs[nth].connect();
            websocket.upgrade(&format!("/topics/a/ws?after={cursor}"));
            assert_eq!(websocket.frame().payload, format!("{{\"id\":\"{next}\",\"topic\":\"a\",\"data\":\"two\"}}").as_bytes());
        }
    }

    /// A request whose cursor is ahead of the server waits for the server.
    fn a_server_that_is_behind_is_waited_for(model) {
        let pair = Pair::start(model, |_, _| {});
        pair.publish(0, "one");
        pair.log[1].freeze(true);
        let cursor = pair.publish(0, "two");
        let mut held: Vec<_> = ["poll", "long-poll", "page", "poll?callback=f&x="].map(|target| {
            let mut client = pair.labs[1].connect();
            let sign = if target.contains('?') { '&' } else { '?' };
            client.get(&format!("/topics/a/{target}{sign}after={cursor}"));
            client
        }).into();
        let mut streams = ["stream", "events", "stream?format=raw"].map(|target| {
            let mut client = pair.labs[1].connect();
            let sign = if target.contains('?') { '&' } else { '?' };
            client.get(&format!("/topics/a/{target}{sign}after={cursor}"));
            let answer = client.answer_head();
            assert_eq!((answer.field("Pushlab-Resumed"), answer.field("Pushlab-Gap")), (Some(&*cursor), None));
            client
        });
        let mut websocket = pair.labs[1].connect();
        websocket.upgrade(&format!("/topics/a/ws?after={cursor}"));
        eventually("all wait", || pair.hub(1).log_stats().unwrap().waiting == 8);
        pair.log[1].freeze(false);
        for client in &mut held {
            let answer = client.answer();
            assert_eq!(answer.status, 200);
            assert!(answer.text().contains(&cursor) && !answer.text().contains("\"gap\":true"), "{}", answer.text());
        }
        eventually("the streams are subscribed", || pair.hub(1).info("a").unwrap().subscribers.sum() == 4);
        pair.publish(1, "three");
        for client in &mut streams {
            let came = client.take_until(b"three");
            assert!(!String::from_utf8_lossy(&came).contains("two"), "the client has it already");
        }
        assert!(websocket.frame().payload.ends_with(b"\"three\"}"));
    }

    /// The wait has a bound. A server that is behind says when to try again.
    fn a_wait_for_a_server_ends(model) {
        let pair = Pair::start(model, |_, shared_log| shared_log.lag_timeout = Duration::from_millis(200));
        pair.log[1].freeze(true);
        let cursor = pair.publish(0, "one");
        let sentence = "this server has not received the message of the cursor yet; try again with the same cursor";
        let page_end = format!(
            "<p class=\"end\">{sentence}</p>\n<p>Code 1013. Again in 2 s. \
             <a href=\"?every=9&amp;after={cursor}\">Load it now</a></p>\n</body></html>\n"
        );
        for (technique, end) in [
            ("poll?", format!(r#"{{"end":true,"code":1013,"sentence":"{sentence}","retry":2000}}"#)),
            ("long-poll?format=raw&", format!(r#"{{"end":true,"code":1013,"sentence":"{sentence}","retry":2000}}"#)),
            // The page loads itself again with the same cursor.
            ("page?every=9&", page_end),
        ] {
            let answer = pair.labs[1].connect().fetch(&format!("/topics/a/{technique}after={cursor}"));
            assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("2")), "{technique}");
            assert!(answer.text().ends_with(&end), "{technique}: {}", answer.text());
            let reload = format!("content=\"2;url=?every=9&amp;after={cursor}\"");
            assert_eq!(answer.text().contains(&reload), technique.starts_with("page"), "{}", answer.text());
        }
        for technique in STREAMS.iter().chain(&POLLS) {
            let mut open = technique.ask(pair.labs[1].connect(), "a", &cursor);
            open.take_head();
            let (seen, (code, said)) = split(open.read_to_end());
            assert_eq!((seen, code), (vec![], 1_013));
            assert!(said == sentence || said == "this server is behind the log: come back with your cursor", "{said}");
        }
        assert_eq!(pair.hub(1).stats().refused(503), 3 + (STREAMS.len() + POLLS.len()) as u64);
        // A cursor that even the log has not reached is not one of a lag: the client is told of a gap.
        pair.log[1].freeze(false);
        let made_up = format!("{}9", cursor_at(&pair, 0));
        assert!(pair.text(1, &format!("/topics/a/poll?after={made_up}")).contains("\"gap\":true"));
    }

    /// Requests that wait for the log get their last word when the server shuts down, and when access is withdrawn meanwhile.
    fn a_wait_for_a_server_is_broken_off(model) {
        for (is_shutdown, code) in [(true, 1_001), (false, 1_012)] {
            let pair = Pair::start(model, |_, _| {});
            pair.log[1].freeze(true);
            let cursor = pair.publish(0, "one");
            let targets = ["page?", "poll?", "long-poll?", "poll?callback=f&"];
            let mut held = targets.map(|target| {
                let mut client = pair.labs[1].connect();
                client.get(&format!("/topics/a/{target}after={cursor}"));
                client
            });
            eventually("all wait", || pair.hub(1).log_stats().unwrap().waiting == targets.len() && pair.labs[1].stats().held == 4);
            if is_shutdown {
                pair.labs[1].stopper.stop();
            } else {
                assert_eq!(pair.hub(1).revoke(|_| true), 0);
                pair.log[1].freeze(false);
            }
            for (client, target) in held.iter_mut().zip(targets) {
                let answer = client.answer();
                assert_eq!(answer.status, if target.contains("callback") { 200 } else { 503 }, "{target}");
                let (json, page) = (format!("{{\"end\":true,\"code\":{code},"), format!("<p>Code {code}."));
                assert!(answer.text().contains(if target == "page?" { &page } else { &json }), "{target}: {}", answer.text());
            }
        }
    }

    /// Messages that are gone from memory come from the log.
    fn older_messages_come_from_the_log(model) {
        let pair = Pair::start(model, |config, _| (config.history_messages, config.replay_bytes) = (2, 30));
        let ids: Vec<_> = (0..10).map(|number| pair.publish(number % 2, &format!("number {number}"))).collect();
        let (mut cursor, mut got) = (ids[0].clone(), Vec::new());
        while got.len() < 9 {
            let answer: serde_json::Value = serde_json::from_str(&pair.text(1, &format!("/topics/a,b/poll?after={cursor}"))).unwrap();
            assert_eq!(answer["gap"], false);
            got.extend(answer["messages"].as_array().unwrap().iter().map(|message| message["data"].as_str().unwrap().to_owned()));
            answer["last"].as_str().unwrap().clone_into(&mut cursor);
        }
        assert_eq!(got, (1..10).map(|number| format!("number {number}")).collect::<Vec<_>>());
        let mut stream = pair.labs[1].connect();
        stream.get(&format!("/topics/a/stream?after={}", ids[0]));
        assert_eq!(stream.answer_head().field("Pushlab-Gap"), None);
        let came = stream.take_until(b"number 9\"}\n");
        let came = String::from_utf8(came).unwrap();
        assert!((1..10).all(|number| came.matches(&format!("number {number}")).count() == 1) && !came.contains("gap"), "{came}");
        let mut websocket = pair.labs[1].connect();
        websocket.upgrade(&format!("/topics/a/ws?after={}&format=raw", ids[0]));
        assert_eq!((1..10).map(|_| websocket.frame().payload).collect::<Vec<_>>(), got.iter().map(String::as_bytes).collect::<Vec<_>>());
        // A raw stream cannot tell of a gap later, so it does not wait to learn of one.
        let mut raw = pair.labs[1].connect();
        raw.get(&format!("/topics/a/stream?format=raw&after={}", ids[0]));
        assert_eq!(raw.answer_head().field("Pushlab-Gap"), Some(&*ids[7]));
        // What the log has dropped, too, is a gap.
        pair.log[0].change(|shared| shared.trimmed_to = 5);
        let answer = pair.text(1, &format!("/topics/a/poll?after={}", ids[0]));
        assert!(answer.contains("number 5") && !answer.contains("number 4") && answer.contains("\"gap\":true"), "{answer}");
    }

    /// While the log is away, messages wait in the spool up to its bounds and their time.
    fn a_log_that_is_away_is_told(model) {
        let pair = Pair::start(model, |_, shared_log| {
            (shared_log.publish_timeout, shared_log.spool_messages) = (Duration::from_millis(300), 2);
        });
        pair.log[0].stop();
        eventually("the server has noticed", || pair.hub(0).log_stats().unwrap().state == LogState::Away);
        let mut clients = [(); 2].map(|()| pair.labs[0].connect());
        for client in &mut clients {
            post(client, "waits");
        }
        eventually("both wait", || pair.hub(0).log_stats().unwrap().spool_messages == 2);
        let mut third = pair.labs[0].connect();
        post(&mut third, "too many");
        let answer = third.answer();
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("2")));
        assert_eq!(answer.text(), "too many messages wait for the log; this one was not published\n");
        for client in &mut clients {
            let answer = client.answer();
            assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("2")));
            assert_eq!(answer.text(), "the log is away; the message was not published\n");
        }
        assert_eq!(pair.hub(0).publish("a", Payload::text("x")), Err(PublishError::LogAway));
        let stats = pair.hub(0).log_stats().unwrap();
        assert_eq!((stats.error.as_deref(), stats.unconfirmed), (Some("the list is away"), 3));
        let mut websocket = pair.labs[0].connect();
        websocket.upgrade("/topics/a/ws");
        websocket.send_frame(0x81, b"x");
        assert_eq!(websocket.frame().payload[..2], 1_013_u16.to_be_bytes());
        pair.log[0].start();
        pair.hub(0).wait_for_log(NET).unwrap();
        pair.publish(0, "there again");
        assert!(pair.text(1, "/topics/a/poll?after=earliest").contains("there again"));
    }

    /// A message that waits while the log is away is published when the log is back.
    fn what_waits_is_published_later(model) {
        let pair = Pair::start(model, |_, _| {});
        pair.log[0].stop();
        let mut client = pair.labs[0].connect();
        post(&mut client, "waits");
        eventually("it waits", || pair.hub(0).log_stats().unwrap().spool_messages == 1);
        pair.log[0].start();
        assert_eq!(client.answer().status, 202);
        assert!(pair.text(0, "/topics/a/poll?after=earliest").contains("waits"));
    }

    /// A record that was appended twice counts once, and takes two positions.
    fn a_repeated_record_counts_once(model) {
        let pair = Pair::start(model, |_, _| {});
        pair.publish(0, "one");
        pair.log[0].change(|shared| shared.entries.push(shared.entries[0].clone()));
        let next = pair.publish(0, "two");
        assert!(next.ends_with("-3"), "{next}");
        for nth in [0, 1] {
            assert_eq!(pair.text(nth, "/topics/a/poll?after=earliest").matches("one").count(), 1);
            assert_eq!(pair.hub(nth).log_stats().unwrap().repeated, 1);
        }
    }

    /// Missing records are a gap for all subscribers, and for clients that reconnect.
    fn a_hole_is_a_gap_for_everybody(model) {
        let pair = Pair::start(model, |_, _| {});
        let cursor = pair.publish(0, "one");
        let mut events = pair.labs[1].connect();
        events.get(&format!("/topics/a/events?after={cursor}"));
        events.answer_head();
        let mut websocket = pair.labs[1].connect();
        websocket.upgrade(&format!("/topics/a/ws?after={cursor}"));
        let mut poll = pair.labs[1].connect();
        poll.get(&format!("/topics/a/long-poll?after={cursor}&wait=60"));
        eventually("all are subscribed", || pair.hub(1).info("a").unwrap().subscribers.sum() == 3);
        pair.log[1].freeze(true);
        pair.publish(0, "two");
        let last = pair.publish(0, "three");
        pair.log[0].change(|shared| shared.trimmed_to = 2);
        pair.log[1].freeze(false);
        let sentence = "this server has lost messages of the log: come back with your cursor";
        let end = format!("event: end\ndata: {{\"end\":true,\"code\":1012,\"sentence\":\"{sentence}\"}}\n\n\r\n0\r\n\r\n");
        assert!(events.take_until(b"0\r\n\r\n").ends_with(end.as_bytes()));
        assert_eq!(websocket.frame().payload, [&1_012_u16.to_be_bytes(), sentence.as_bytes()].concat());
        assert!(poll.answer().text().contains(&format!("\"last\":\"{cursor}\"")));
        eventually("the server has moved", || pair.hub(1).last().to_string() == last);
        let answer = all_texts(&pair.labs[1], &cursor);
        assert!(answer.contains("three") && answer.contains("\"gap\":true"), "{answer}");
        assert_eq!(pair.hub(1).log_stats().unwrap().gaps, 1);
    }

    /// A log that comes back empty has another epoch. Clients of the old one are told of a gap.
    fn a_lost_log_has_another_epoch(model) {
        let pair = Pair::start(model, |_, _| {});
        let cursor = pair.publish(0, "one");
        pair.log[0].stop();
        pair.log[0].change(|shared| (shared.entries, shared.epoch) = (Vec::new(), None));
        pair.log[0].start();
        for nth in [0, 1] {
            let epochs = || pair.hub(nth).log_stats().unwrap().epochs;
            eventually("the server has seen it", || epochs() == 1);
            pair.hub(nth).wait_for_log(NET).unwrap();
        }
        pair.publish(1, "two");
        let answer = pair.text(0, &format!("/topics/a/poll?after={cursor}"));
        assert!(answer.contains("two") && !answer.contains("one") && answer.contains("\"gap\":true"), "{answer}");
    }

    /// A log that has lost records which servers have applied gets another epoch, because its next
    /// records would have ids that clients know.
    fn a_shortened_log_has_another_epoch(model) {
        let pair = Pair::start(model, |_, _| {});
        let cursor = pair.publish(0, "one");
        pair.publish(0, "two");
        let before = pair.hub(0).last().epoch;
        pair.log[0].stop();
        pair.log[0].change(|shared| shared.entries.truncate(1));
        pair.log[0].start();
        for nth in [0, 1] {
            eventually("the server has seen it", || pair.hub(nth).last().epoch != before);
            pair.hub(nth).wait_for_log(NET).unwrap();
        }
        assert_eq!(pair.hub(0).last().epoch, pair.hub(1).last().epoch);
        assert!(pair.text(1, &format!("/topics/a/poll?after={cursor}")).contains("\"gap\":true"));
    }

    /// A topic is joined on an open connection, and its missed messages are read from the log, or are
    /// ahead of this server. So are those of a topic that a held long poll joins.
    fn a_joined_topic_is_read_from_the_log(model) {
        let pair = Pair::start(model, |config, _| (config.history_messages, config.replay_bytes) = (2, 1_000));
        let first = pair.publish(0, "1");
        let ids: Vec<_> = (2..=6).map(|n| pair.publish(0, &n.to_string())).collect();
        let (mut stream, lab) = (pair.labs[1].connect(), &pair.labs[1]);
        stream.get("/topics/z/stream?client=me&control=1");
        assert_eq!(stream.answer_head().status, 200);
        let note = loop {
            let chunk = stream.text_chunk();
            if chunk.contains("control") {
                break chunk;
            }
        };
        let of_stream = secret_of(&note);
        let begun = lab.connect().fetch("/topics/z/long-poll?client=me&control=1");
        let (of_poll, reads) = (secret_of(begun.text()), lab.app.hub.log_stats().unwrap().reads);
        let mut poll = lab.connect();
        let last = ids.last().unwrap();
        poll.get(&format!("/topics/z/long-poll?client=me&control={of_poll}&after={last}"));
        eventually("the poll is held", || lab.stats().held == 1);
        let join = json!({ "join": ["a"], "after": first });
        change(lab, &of_stream, &join);
        let joined = format!("{{\"joined\":[\"a\"],\"last\":\"{last}\"}}\n");
        let came = String::from_utf8(stream.take_until(joined.as_bytes())).unwrap();
        let texts: Vec<_> = came.lines().filter_map(|line| line.split_once("\"data\":")).map(|(_, text)| text.to_owned()).collect();
        assert_eq!(texts, ["\"2\"}", "\"3\"}", "\"4\"}", "\"5\"}", "\"6\"}"], "{came}");
        change(lab, &of_poll, &join);
        let answer: serde_json::Value = serde_json::from_slice(&poll.answer().body).unwrap();
        assert_eq!((answer["messages"].as_array().unwrap().len(), &answer["joined"], &answer["last"]), (5, &json!(["a"]), &json!(last)), "{answer}");
        assert!(lab.app.hub.log_stats().unwrap().reads > reads + 1, "the messages were not in memory");

        // This server is behind: it joins when it has reached the cursor.
        pair.log[1].freeze(true);
        let ahead = pair.publish(0, "7");
        change(lab, &of_stream, &json!({ "leave": ["a"] }));
        change(lab, &of_stream, &json!({ "join": ["a"], "after": ahead }));
        eventually("the join waits", || lab.app.hub.log_stats().unwrap().waiting == 1);
        pair.log[1].freeze(false);
        stream.take_until(format!("{{\"joined\":[\"a\"],\"last\":\"{ahead}\"}}\n").as_bytes());
        pair.publish(1, "8");
        let came = String::from_utf8(stream.take_until(b"\"8\"}")).unwrap();
        assert!(!came.contains("\"7\""), "the client has it: {came}");
    }

    /// Access is withdrawn while the log is read for a join, and the log does not come in time. A held poll that
    /// was taken out of the hub for the join is told, and a stream goes on.
    fn a_join_that_waits_for_the_log_is_told(model) {
        let pair = Pair::start(model, |_, shared_log| shared_log.lag_timeout = NET);
        let lab = &pair.labs[1];
        let before = pair.publish(0, "1");
        let mut stream = lab.connect();
        stream.get("/topics/z/stream?client=me&control=1");
        assert_eq!(stream.answer_head().status, 200);
        let first = String::from_utf8(stream.take_until(b"\"}\n")).unwrap();
        let of_stream = secret_of(first.lines().find(|line| line.contains("control")).unwrap());
        let of_poll = secret_of(lab.connect().fetch("/topics/z/long-poll?client=me&control=1").text());
        let mut poll = lab.connect();
        poll.get(&format!("/topics/z/long-poll?client=me&control={of_poll}&after={before}"));
        eventually("the poll is held", || lab.stats().held == 1);
        pair.log[1].freeze(true);
        let ahead = pair.publish(0, "2");
        let join = json!({ "join": ["a"], "after": ahead });
        change(lab, &of_stream, &join);
        change(lab, &of_poll, &join);
        eventually("both wait", || lab.app.hub.log_stats().unwrap().waiting == 2);
        assert_eq!(lab.app.hub.revoke(|subscriber| subscriber.has_topic("a")), 0, "neither is subscribed to it");
        pair.log[1].freeze(false);
        let sentence = "access to topics has changed: come back with your cursor";
        let answer = poll.answer();
        let end = format!(r#"{{"end":true,"code":1012,"sentence":"{sentence}"}}"#);
        assert_eq!((answer.status, answer.text()), (503, &*end));
        stream.take_until(format!("{{\"left\":[\"a\"],\"code\":1012,\"sentence\":\"{sentence}\"}}\n").as_bytes());
        lab.app.hub.publish("z", Payload::text("still there")).unwrap();
        stream.take_until(b"\"still there\"}");
        assert_eq!(lab.app.hub.info("a").unwrap().subscribers.sum(), 0);
    }

    /// As above, but the log is behind for too long.
    fn a_join_that_waits_in_vain_is_told(model) {
        let pair = Pair::start(model, |_, shared_log| shared_log.lag_timeout = Duration::from_millis(200));
        let lab = &pair.labs[1];
        let before = pair.publish(0, "1");
        let begun = lab.connect().fetch("/topics/z/long-poll?client=me&control=1");
        let secret = secret_of(begun.text());
        let mut poll = lab.connect();
        poll.get(&format!("/topics/z/long-poll?client=me&control={secret}&after={before}"));
        eventually("the poll is held", || lab.stats().held == 1);
        pair.log[1].freeze(true);
        change(lab, &secret, &json!({ "join": ["a"], "after": pair.publish(0, "2") }));
        let answer = poll.answer();
        assert_eq!((answer.status, answer.field("Retry-After")), (503, Some("2")));
        assert!(answer.text().starts_with(r#"{"end":true,"code":1013,"#) && answer.text().ends_with(r#""retry":2000}"#), "{}", answer.text());
        assert_eq!(lab.app.hub.stats().refused(503), 1);
    }

    /// A server that starts later knows the last messages before it accepts clients.
    fn a_new_server_reads_the_end_of_the_log(model) {
        let pair = Pair::start(model, |_, _| {});
        let ids: Vec<_> = (0..5).map(|number| pair.publish(0, &format!("number {number}"))).collect();
        let mut log = SharedLog::new(pair.log[0].of_another_server());
        log.tail_records = 2;
        let third = Lab::with_hub(model, HubConfig { log: Some(log), ..HubConfig::default() });
        third.app.hub.wait_for_log(NET).unwrap();
        assert_eq!(third.app.hub.last().to_string(), ids[4]);
        let text = all_texts(&third, &ids[0]);
        assert!((1..5).all(|number| text.contains(&format!("number {number}"))) && !text.contains("\"gap\":true"), "{text}");
    }
}

/// A hub without its log says why, and a hub without a log has nothing to wait for.
#[test]
fn waiting_for_a_log() {
    let log = ListLog::default();
    log.stop();
    let hub = Hub::new(HubConfig { log: Some(SharedLog::new(log)), ..HubConfig::default() });
    eventually("it has tried", || hub.log_stats().unwrap().error.is_some());
    assert_eq!(hub.wait_for_log(Duration::ZERO), Err(LogError::new("the list is away")));
    let json: serde_json::Value = serde_json::from_str(&hub.log_stats().unwrap().json()).unwrap();
    assert_eq!((&json["name"], &json["state"], &json["error"]), (&"the list".into(), &"away".into(), &"the list is away".into()));
    let alone = Hub::default();
    assert_eq!((alone.wait_for_log(Duration::ZERO), alone.log_stats()), (Ok(()), None));
}

//! A plain topic of `ActiveMQ`: a message that is published at one server reaches the clients of the
//! other. A client that changes its server, or misses messages, is told of a gap.
//!
//! Owns the scenario. Leaves brokers and servers to `support`.

use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pushlab::push::Id;

use super::support::account::Account;
use super::support::activemq::ActiveMq;
use super::support::decode::Item;
use super::support::demo::Demo;
use super::support::processes::wait_for;
use super::support::reader::{End, Next, Place, read};
use super::support::report::Report;
use super::support::technique::Technique;

const TOPIC: &str = "plain";
/// Only a test that hangs waits so long. A broker in Java needs a while to start on a busy machine.
const READ_TIME: Duration = Duration::from_secs(300);
const PUBLISH_TIME: Duration = Duration::from_secs(60);

#[test]
fn a_plain_topic_reaches_all_servers_and_declares_what_it_loses() {
    let mut report = Report::new("plain topic: 2 servers, 1 topic of ActiveMQ");
    let mut broker = ActiveMq::start("plain");
    let demos: [Demo; 2] = Demo::start_all("plain", &broker.topic());
    let [first, second] = &demos;
    report.phase("start");

    // The clients are subscribed to the second server, and the first one publishes.
    let start: Id = second.publish(TOPIC, "start").parse().unwrap();
    let mut clients = Vec::new();
    for technique in [Technique::Events, Technique::LongPoll] {
        clients.push(Client::start(technique, second, start));
    }
    second.wait_for_subscribers(TOPIC, clients.len() as u64);
    let published: Id = first.publish(TOPIC, "from the other server").parse().unwrap();
    assert_ne!(published.epoch, start.epoch, "the ids are those of each server");
    let mut cursors = Vec::new();
    for client in &clients {
        let Item::Message(id, text) = client.next_but_cursors() else { panic!("a gap instead of a message") };
        assert_eq!((id.epoch, &*text), (start.epoch, "from the other server"));
        cursors.push(id);
    }
    report.phase("a message reaches an event stream and a long poll of the other server");

    // A client that changes the server is told of a gap, and gets what the server has.
    for technique in Technique::ALL {
        let mut account = Account::behind(cursors[0]);
        let place = Place { address: first.address, topic: TOPIC };
        let mut see = |item: Item| {
            account.take(item);
            if account.cursor == published { Next::Stop } else { Next::GoOn }
        };
        assert_eq!(read(technique, place, cursors[0], Instant::now() + READ_TIME, &mut see).unwrap(), End::Enough);
        assert_eq!((account.gaps.len(), account.faults.len()), (1, 0), "{technique:?}: {account:?}");
    }
    report.phase("every technique is told of a gap when it changes the server");

    // The broker crashes. The event stream ends when the server follows again, because nobody knows
    // what was missed.
    let connections = demos.each_ref().map(|demo| demo.log_figure("connections"));
    broker.kill();
    for demo in &demos {
        demo.wait_for_log("away", |log| log["state"] == "away");
    }
    broker.start_again();
    for (demo, before) in demos.iter().zip(connections) {
        demo.wait_for_log("following again", |log| log["state"] == "following" && log["connections"].as_u64() > Some(before));
    }
    report.phase("the broker is killed, until both servers follow again");
    let ends: Vec<End> = clients.into_iter().map(Client::end).collect();
    assert_eq!(ends, [End::Cut, End::Enough], "the stream has ended, and the poll was answered with a gap");
    let again = wait_for(PUBLISH_TIME, || {
        let answer = first.post(TOPIC, "after the crash");
        (answer.status == 202).then(|| answer.id())
    });
    assert!(again.is_some(), "publishing works again");
    for technique in [Technique::Events, Technique::LongPoll] {
        let mut account = Account::behind(cursors[0]);
        let place = Place { address: second.address, topic: TOPIC };
        let mut see = |item: Item| {
            account.take(item);
            if account.received.is_empty() { Next::GoOn } else { Next::Stop }
        };
        assert_eq!(read(technique, place, cursors[0], Instant::now() + READ_TIME, &mut see).unwrap(), End::Enough);
        assert_eq!((account.gaps.len(), account.faults.len()), (1, 0), "{technique:?}: {account:?}");
    }
    report.phase("publishing works again, and the clients are told of the gap");
    report.figure("log.gaps of each server", format!("{:?}", demos.each_ref().map(|demo| demo.log_figure("gaps"))));
    report.print();
}

/// A client on a thread of its own.
struct Client {
    items: Receiver<Item>,
    thread: JoinHandle<End>,
}

impl Client {
    /// A client that reads until it is told of a gap, or until its connection ends.
    fn start(technique: Technique, demo: &Demo, cursor: Id) -> Self {
        let (found, items) = mpsc::channel();
        let address = demo.address;
        let thread = thread::spawn(move || {
            let mut see = |item: Item| {
                let next = if matches!(item, Item::Gap(_)) { Next::Stop } else { Next::GoOn };
                // The test may have ended.
                let _ = found.send(item);
                next
            };
            read(technique, Place { address, topic: TOPIC }, cursor, Instant::now() + READ_TIME, &mut see).unwrap()
        });
        Self { items, thread }
    }

    /// The next message or gap.
    fn next_but_cursors(&self) -> Item {
        loop {
            match self.items.recv_timeout(READ_TIME).unwrap() {
                Item::Cursor(_) => {}
                item => return item,
            }
        }
    }

    fn end(self) -> End {
        self.thread.join().unwrap()
    }
}

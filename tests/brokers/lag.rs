//! A server is frozen while others publish, and then catches up.
//!
//! Owns the scenario. Leaves brokers and servers to `support`.

use std::thread;
use std::time::Duration;

use pushlab::push::Id;

use super::support::account::Account;
use super::support::decode::Item;
use super::support::demo::Demo;
use super::support::http::Connection;
use super::support::rabbitmq::RabbitMq;
use super::support::reader::{Next, Place, read};
use super::support::report::Report;
use super::support::technique::Technique;

const TOPIC: &str = "lag";
const MESSAGES: usize = 5_000;
const MESSAGE_BYTES: usize = 1_000;
const PUBLISHERS: usize = 20;
/// A stream of the topic from the first message to the last one takes less time.
const READ_TIME: Duration = Duration::from_secs(120);
/// A server keeps the messages in its history, encodes them, and reads no more than a window ahead.
/// 5,000 messages of 1,000 bytes take a small multiple of 5 MB.
const MEMORY_MAX_KIB: u64 = 100 * 1024;

#[test]
fn a_server_that_was_frozen_catches_up() {
    let mut report = Report::new("lag: one of 2 servers is frozen while 5,000 messages of 1,000 bytes are published");
    let broker = RabbitMq::start("lag");
    let [first, second]: [Demo; 2] = Demo::start_all("lag", &broker.stream());
    let start: Id = first.publish(TOPIC, "start").parse().unwrap();
    second.wait_for_log("at the first message", |log| log["applied"].as_u64() >= Some(start.sequence));
    report.phase("start");
    let before = second.resident_kib();

    second.signal("STOP");
    thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let first = &first;
            scope.spawn(move || {
                let mut connection = Connection::open(first.address).unwrap();
                for number in (publisher..MESSAGES).step_by(PUBLISHERS) {
                    let answer = connection.post(TOPIC, &text(number)).unwrap();
                    assert_eq!(answer.status, 202, "{}", answer.text());
                }
            });
        }
    });
    let end: Id = first.publish(TOPIC, "end").parse().unwrap();
    report.phase("publishing, with the other server frozen");
    let frozen = second.resident_kib();

    second.signal("CONT");
    second.wait_for_log("at the last message", |log| log["applied"].as_u64() >= Some(end.sequence));
    report.phase("until it has caught up");
    let caught_up = second.resident_kib();

    let of_first = read_all(&first, start, end);
    let of_second = read_all(&second, start, end);
    report.phase("reading all messages from both");
    let after = second.resident_kib();
    report.figure("memory of the frozen server: before, frozen, caught up, read", format!("{before}, {frozen}, {caught_up}, {after} KiB"));
    report.figure("memory of the other server", format!("{} KiB", first.resident_kib()));
    report.figure("messages with the same ids on both", of_second.received.len());
    report.figure("connections of the frozen server to the broker", second.log_figure("connections"));
    report.figure("repeated records of the frozen server", second.log_figure("repeated"));
    report.print();
    assert_eq!((of_first.faults.len(), of_second.faults.len()), (0, 0), "{:?} {:?}", of_first.faults, of_second.faults);
    assert_eq!(of_first.received.len(), MESSAGES + 1);
    assert!(of_first.received == of_second.received, "both servers have the same messages with the same ids");
    assert!(after < MEMORY_MAX_KIB, "the server has {after} KiB");
}

fn text(number: usize) -> String {
    format!("{number:x>MESSAGE_BYTES$}")
}

fn read_all(demo: &Demo, start: Id, end: Id) -> Account {
    let mut account = Account::behind(start);
    let place = Place { address: demo.address, topic: TOPIC };
    let mut see = |item: Item| {
        account.take(item);
        if account.cursor >= end { Next::Stop } else { Next::GoOn }
    };
    read(Technique::WebSocket, place, start, std::time::Instant::now() + READ_TIME, &mut see).unwrap();
    account
}

//! The broker loses its disk while it is stopped. The servers begin another epoch, and every client
//! is told of a gap.
//!
//! Owns the scenario. Leaves brokers and servers to `support`.

use std::time::{Duration, Instant};

use pushlab::push::Id;

use super::support::account::Account;
use super::support::decode::Item;
use super::support::demo::Demo;
use super::support::rabbitmq::RabbitMq;
use super::support::reader::{End, Next, Place, read};
use super::support::report::Report;
use super::support::technique::Technique;

const TOPIC: &str = "disk";
const MESSAGES: usize = 100;
const READ_TIME: Duration = Duration::from_secs(120);

#[test]
fn a_broker_that_loses_its_disk_begins_another_epoch() {
    let mut report = Report::new("disk: the data of RabbitMQ is deleted while it is stopped");
    let mut broker = RabbitMq::start("disk");
    let demos: [Demo; 2] = Demo::start_all("disk", &broker.stream());
    let start: Id = demos[0].publish(TOPIC, "start").parse().unwrap();
    let mut last = start;
    for number in 1..MESSAGES {
        last = demos[number % 2].publish(TOPIC, &format!("message {number}")).parse().unwrap();
    }
    report.phase("start, and 100 messages");

    broker.stop();
    broker.lose_disk();
    broker.start_again();
    for demo in &demos {
        demo.wait_for_log("in another epoch", |log| log["state"] == "following" && log["epochs"] == 1);
    }
    report.phase("until both servers follow the empty stream");

    let new: Vec<Id> = demos.iter().map(|demo| demo.publish(TOPIC, "new").parse().unwrap()).collect();
    assert_eq!(new[0].epoch, new[1].epoch, "the servers agree on the epoch");
    assert_ne!(new[0].epoch, start.epoch);
    let end = new[0].max(new[1]);
    // Every technique on each server, with the cursor of the lost stream.
    let mut told = 0;
    for demo in &demos {
        for technique in Technique::ALL {
            let mut account = Account::behind(last);
            let place = Place { address: demo.address, topic: TOPIC };
            let mut see = |item: Item| {
                account.take(item);
                if account.cursor == end { Next::Stop } else { Next::GoOn }
            };
            let ended = read(technique, place, last, Instant::now() + READ_TIME, &mut see).unwrap();
            assert_eq!(ended, End::Enough, "{technique:?}: {account:?}");
            assert!(account.faults.is_empty(), "{technique:?}: {:?}", account.faults);
            assert_eq!(account.gaps.len(), 1, "{technique:?}: {account:?}");
            let ids: Vec<Id> = account.received.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, new, "{technique:?}");
            told += account.gaps.len();
        }
    }
    report.phase("every technique on each server, with the old cursor");
    report.figure("clients that were told of a gap", format!("{told} of {}", demos.len() * Technique::ALL.len()));
    report.figure("old and new epoch", format!("{:x}, {:x}", start.epoch, end.epoch));
    report.print();
}

//! The broker is stopped for some seconds, is then killed, and then hangs, while clients of every
//! technique change servers all the time: sent = delivered + declared gap, for each of them.
//!
//! Owns the scenario: the publishers, the clients and the comparison. Leaves brokers, servers and
//! accounts to `support`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use pushlab::push::Id;

use super::support::account::{Account, Outcome, Sent};
use super::support::demo::Demo;
use super::support::http::Connection;
use super::support::processes::wait_for;
use super::support::proxy::Proxy;
use super::support::rabbitmq::RabbitMq;
use super::support::reader::{End, Next, Place, read};
use super::support::report::Report;
use super::support::technique::Technique;

const TOPIC: &str = "kill";
const SERVERS: usize = 3;
const CLIENTS: usize = 100;
const PUBLISHERS_PER_SERVER: usize = 8;
/// Messages that are confirmed before the test ends, and before the broker is stopped, is killed and
/// hangs.
const MESSAGES: u64 = 10_000;
const STOP_AFTER: u64 = 2_500;
const KILL_AFTER: u64 = 5_000;
const HANG_AFTER: u64 = 7_500;
/// The time between two messages of one publisher: about 270 messages a second in all.
const PUBLISH_EVERY: Duration = Duration::from_millis(90);
const STOPPED_FOR: Duration = Duration::from_secs(5);
/// A server gives up a broker that is silent for 15 s. What it sent before is still in the broker's
/// buffers then, and it sends all of it again.
const HANGS_FOR: Duration = Duration::from_secs(17);
/// A client is cut after half of this time to one and a half times of it.
const CUT_EVERY_MS: u64 = 400;
/// A client that was told to come later waits for so long. It is impatient on purpose: it comes to
/// another server then.
const LATER: Duration = Duration::from_millis(200);
/// For each phase, and for the clients at the end.
const PATIENCE: Duration = Duration::from_secs(90);
const FAULTS_PRINTED: usize = 20;

/// What the threads share.
#[derive(Default)]
struct Shared {
    numbers: AtomicU64,
    confirmed: AtomicU64,
    sent: Mutex<Sent>,
    /// The id of the last message of all.
    end: OnceLock<Id>,
    connections: AtomicU64,
    told_later: AtomicU64,
}

#[test]
fn a_broker_that_is_stopped_killed_and_hangs_loses_nothing() {
    let mut report = Report::new("kill: 3 servers, 1 stream of RabbitMQ, 100 clients that are cut every 400 ms");
    let mut broker = RabbitMq::start("kill");
    let demos: [Demo; SERVERS] = Demo::start_all("kill", &broker.stream());
    let proxy = Proxy::start(demos.iter().map(|demo| demo.address).collect());
    let start: Id = demos[0].publish(TOPIC, "start").parse().unwrap();
    report.phase("start");

    let shared = Shared::default();
    let accounts = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|slot| {
                scope.spawn({
                    let (shared, address) = (&shared, proxy.address);
                    move || client(slot, Place { address, topic: TOPIC }, start, shared)
                })
            })
            .collect();
        let publishers: Vec<_> =
            demos.iter().flat_map(|demo| [demo; PUBLISHERS_PER_SERVER]).map(|demo| scope.spawn(|| publish(demo, &shared))).collect();

        wait_for_confirmed(&shared, STOP_AFTER);
        report.phase("quiet");
        broker.stop();
        thread::sleep(STOPPED_FOR);
        broker.start_again();
        demos.iter().for_each(Demo::wait_until_following);
        report.phase("the broker is stopped for 5 s, until all servers follow again");
        wait_for_confirmed(&shared, KILL_AFTER);
        report.phase("quiet again");
        broker.kill();
        broker.start_again();
        demos.iter().for_each(Demo::wait_until_following);
        report.phase("the broker is killed, until all servers follow again");
        wait_for_confirmed(&shared, HANG_AFTER);
        report.phase("quiet again");
        let connections = demos.each_ref().map(|demo| demo.log_figure("connections"));
        broker.freeze();
        thread::sleep(HANGS_FOR);
        broker.thaw();
        for (demo, before) in demos.iter().zip(connections) {
            demo.wait_for_log("following on a new connection", |log| {
                log["state"] == "following" && log["connections"].as_u64() > Some(before)
            });
        }
        report.phase("the broker hangs for 17 s, until all servers follow again");
        wait_for_confirmed(&shared, MESSAGES);
        for publisher in publishers {
            publisher.join().unwrap();
        }
        report.phase("the rest");
        let last = demos.iter().enumerate().map(|(at, demo)| {
            let text = format!("last of server {at}");
            let id: Id = demo.publish(TOPIC, &text).parse().unwrap();
            shared.sent.lock().unwrap().insert(text, Outcome::Confirmed(id));
            id
        });
        shared.end.set(last.max().unwrap()).unwrap();
        let accounts: Vec<Account> = clients.into_iter().map(|client| client.join().unwrap()).collect();
        report.phase("drain");
        accounts
    });

    let sent = shared.sent.into_inner().unwrap();
    let count = |is: fn(&Outcome) -> bool| sent.values().filter(|outcome| is(outcome)).count();
    report.figure("messages sent", sent.len());
    report.figure("  confirmed (202)", count(|outcome| matches!(outcome, Outcome::Confirmed(_))));
    report.figure("  unknown (503, may still be published)", count(|outcome| *outcome == Outcome::Unknown));
    report.figure("  not published (503)", count(|outcome| *outcome == Outcome::NotPublished));
    report.figure("connections of clients", shared.connections.into_inner());
    report.figure("  told to come later (503, 1013)", shared.told_later.into_inner());
    let faults = compare(accounts, &sent, &mut report);
    for figure in ["repeated", "gaps", "epochs", "reads", "connections"] {
        report.figure(&format!("log.{figure} of each server"), format!("{:?}", demos.each_ref().map(|demo| demo.log_figure(figure))));
    }
    report.print();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults[..faults.len().min(FAULTS_PRINTED)].join("\n"));
}

fn wait_for_confirmed(shared: &Shared, count: u64) {
    let found = wait_for(PATIENCE, || (shared.confirmed.load(SeqCst) >= count).then_some(()));
    assert!(found.is_some(), "{} of {count} messages are confirmed after {PATIENCE:?}", shared.confirmed.load(SeqCst));
}

/// Publishes until enough messages are confirmed.
fn publish(demo: &Demo, shared: &Shared) {
    let mut connection = Connection::open(demo.address).unwrap();
    let mut due = Instant::now();
    while shared.confirmed.load(SeqCst) < MESSAGES {
        due = Instant::now().max(due + PUBLISH_EVERY);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let text = format!("message {}", shared.numbers.fetch_add(1, SeqCst));
        let answer = connection.post(TOPIC, &text).unwrap();
        let outcome = match (answer.status, &*answer.text()) {
            (202, _) => Outcome::Confirmed(answer.id().parse().unwrap()),
            (503, sentence) if answer.head.field("Retry-After").is_none() => panic!("503 without Retry-After: {sentence}"),
            (503, sentence) if sentence.contains("may still be published") => Outcome::Unknown,
            (503, sentence) if sentence.contains("not published") => Outcome::NotPublished,
            (status, sentence) => panic!("status {status} for a publish: {sentence}"),
        };
        shared.confirmed.fetch_add(u64::from(answer.status == 202), SeqCst);
        shared.sent.lock().unwrap().insert(text, outcome);
    }
}

/// A client: each connection is cut, and the next one continues with the cursor on the next server.
/// Every second client also takes the next technique.
fn client(slot: usize, place: Place<'_>, start: Id, shared: &Shared) -> Account {
    let mut account = Account::behind(start);
    let mut random = slot as u64 + 1;
    let mut overdue = None;
    for connection in 0.. {
        let is_done = |account: &Account| shared.end.get().is_some_and(|end| account.cursor >= *end);
        if is_done(&account) {
            break;
        }
        if shared.end.get().is_some() && overdue.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
            account.faults.push(format!("the client is still at {} after {PATIENCE:?}", account.cursor));
            break;
        }
        let is_faithful = (slot / Technique::ALL.len()).is_multiple_of(2);
        let changes = if is_faithful { 0 } else { connection };
        let technique = Technique::ALL[(slot + changes) % Technique::ALL.len()];
        let cut_after = Duration::from_millis(CUT_EVERY_MS / 2 + next_random(&mut random) % CUT_EVERY_MS);
        let cursor = account.cursor;
        account.continues_on(format!("connection {connection} ({technique:?})"));
        let mut see = |item| {
            account.take(item);
            if is_done(&account) { Next::Stop } else { Next::GoOn }
        };
        shared.connections.fetch_add(1, SeqCst);
        match read(technique, place, cursor, Instant::now() + cut_after, &mut see) {
            Ok(End::Cut | End::Enough) => {}
            Ok(End::Later) => {
                shared.told_later.fetch_add(1, SeqCst);
                thread::sleep(LATER);
            }
            Err(error) => account.faults.push(error.to_string()),
        }
    }
    for fault in &mut account.faults {
        fault.insert_str(0, &format!("client {slot}: "));
    }
    account
}

/// Marsaglia's xorshift, with a seed for each client.
fn next_random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
}

/// Closes the accounts. Returns the faults.
fn compare(accounts: Vec<Account>, sent: &Sent, report: &mut Report) -> Vec<String> {
    let (mut delivered, mut gaps, mut in_gaps, mut faults) = (0, 0, 0, Vec::new());
    let mut ids: HashMap<String, Id> = HashMap::new();
    for (slot, mut account) in accounts.into_iter().enumerate() {
        let told = account.faults.len();
        in_gaps += account.close(sent);
        delivered += account.received.len();
        gaps += account.gaps.len();
        let (before, closing) = account.faults.split_at(told);
        faults.extend_from_slice(before);
        faults.extend(closing.iter().map(|fault| format!("client {slot}: {fault}")));
        for (id, text) in account.received {
            let known = *ids.entry(text.clone()).or_insert(id);
            if known != id {
                faults.push(format!("client {slot}: {text} is {id}, and for another client {known}"));
            }
        }
    }
    let late = sent.iter().filter(|(text, outcome)| **outcome == Outcome::Unknown && ids.contains_key(*text)).count();
    report.figure("unknown messages that were published", late);
    report.figure("deliveries", delivered);
    report.figure("declared gaps", gaps);
    report.figure("messages in declared gaps", in_gaps);
    report.figure("faults", faults.len());
    faults
}

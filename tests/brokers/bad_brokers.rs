//! What listens at the address of the log is no broker, falls silent, refuses, or is not there. The
//! servers start all the same, say so, and serve everything that needs no log.
//!
//! Owns the scenario and the fake brokers. Leaves servers to `support`.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::support::demo::{Demo, IO_MODELS, Starting};
use super::support::http::Connection;
use super::support::processes::free_ports;
use super::support::report::Report;

/// A server may wait for so long before it says that the log has not taken a message.
const PUBLISH_TIME: Duration = Duration::from_secs(20);

/// What listens at the address of the log.
#[derive(Clone, Copy)]
struct Bad {
    name: &'static str,
    /// What it answers to CONNECT; empty if it closes the connection, `None` if it never answers.
    answer: Option<&'static str>,
    /// A part of the sentence in `/stats`.
    sentence: &'static str,
}

const BAD: [Bad; 6] = [
    Bad { name: "garbage", answer: Some("HTTP/1.1 400 Bad Request\r\n\r\n"), sentence: "does not speak STOMP" },
    Bad { name: "silent", answer: None, sentence: "has not answered CONNECT within 10s" },
    Bad {
        name: "bad-login",
        answer: Some("ERROR\nmessage:Bad CONNECT\ncontent-type:text/plain\n\nAccess refused for user 'guest'\n\0"),
        sentence: "refuses: Bad CONNECT: Access refused for user 'guest'",
    },
    Bad {
        name: "silent-later",
        answer: Some("CONNECTED\nversion:1.2\n\n\0"),
        sentence: "has not answered SUBSCRIBE and SEND to a stream within 10s",
    },
    Bad { name: "closes", answer: Some(""), sentence: "has closed the connection" },
    Bad { name: "nothing", answer: None, sentence: "cannot be reached" },
];

#[test]
fn servers_start_without_a_broker_and_say_why() {
    let mut report = Report::new("bad brokers: garbage, silence, a refused login, a connection that is closed, nothing there");
    let ports = BAD.map(|bad| if bad.name == "nothing" { free_ports::<1>()[0] } else { listen(bad.answer) });
    let mut at = 0;
    let starting = BAD.map(|bad| {
        let log = format!("stomp+stream://guest:wrong@127.0.0.1:{}/hub", ports[at]);
        at += 1;
        Demo::begin(bad.name, IO_MODELS[at % IO_MODELS.len()], &log)
    });
    let demos = starting.map(Starting::finish);
    report.phase("until all servers listen without their log");

    for (bad, demo) in BAD.iter().zip(&demos) {
        // The state may be that of an attempt which has only begun.
        demo.wait_for_log("away with a reason", |log| log["error"].as_str().is_some_and(|error| error.contains(bad.sentence)));
        let log = demo.log();
        assert_eq!(log["state"], "away", "{}: {log}", bad.name);
        assert!(!log.to_string().contains("wrong"), "the password is in {log}");
        report.figure(bad.name, log["error"].as_str().unwrap());
        assert_eq!(demo.get("/plaintext").status, 200);
        assert_eq!(demo.get("/topics/bad/poll").status, 200);
        let mut stream = Connection::open(demo.address).unwrap();
        stream.send_get("/topics/bad/events").unwrap();
        assert_eq!(stream.head().unwrap().status, 200, "{}", bad.name);
        assert!(stream.chunk().unwrap().is_some(), "{}: the stream has begun", bad.name);
    }
    report.phase("direct requests and subscriptions");

    let publishers = demos.each_ref().map(|demo| {
        let address = demo.address;
        thread::spawn(move || Connection::open(address).unwrap().post("bad", "lost").unwrap())
    });
    let begin = std::time::Instant::now();
    for (bad, publisher) in BAD.iter().zip(publishers) {
        let answer = publisher.join().unwrap();
        assert_eq!(answer.status, 503, "{}: {}", bad.name, answer.text());
        assert!(answer.head.field("Retry-After").is_some(), "{}", bad.name);
        assert_eq!(answer.text(), "the log is away; the message was not published\n", "{}", bad.name);
    }
    assert!(begin.elapsed() < PUBLISH_TIME);
    report.phase("until 503 with Retry-After for a publish");
    report.print();
}

/// Listens, and answers CONNECT in one way, for as long as the program runs.
fn listen(answer: Option<&'static str>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            thread::spawn(move || serve(socket, answer));
        }
    });
    port
}

fn serve(mut socket: TcpStream, answer: Option<&str>) {
    let mut buffer = [0; 1_024];
    let mut answer = answer.filter(|_| matches!(socket.read(&mut buffer), Ok(1..)));
    if answer == Some("") {
        return;
    }
    // From now on it reads, and says nothing more.
    while answer.take().is_none_or(|answer| socket.write_all(answer.as_bytes()).is_ok()) && matches!(socket.read(&mut buffer), Ok(1..)) {}
}

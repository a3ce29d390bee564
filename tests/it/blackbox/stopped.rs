//! A server process that is stopped for longer than its deadlines, as by a terminal, a debugger or a
//! virtual machine that pauses. What arrives meanwhile has arrived in time.
//!
//! The server is this test program once more, as a process of its own. Its peers are more than the
//! event loop is told of at once.
//!
//! Covers: driver::event_loop, driver::thread_per_conn, session::session

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, thread};

use pushlab::{Config, IoModel};

use super::{Client, Lab, both};

/// Every deadline that ends a peer, at first. A machine on which the peers need a quarter of it to
/// begin gets twice the time.
const DEADLINE: Duration = Duration::from_secs(8);
/// More than the system keeps of output that is not read.
const LARGE: usize = 16 * 1024 * 1024;

/// In the environment of the server's process: its IO model, and its deadlines in seconds.
const SERVER: &str = "PUSHLAB_TEST_STOPPED";

fn configure(config: &mut Config, deadline: Duration) {
    let limits = &mut config.settings.limits;
    limits.heartbeat = Some(Duration::from_millis(5));
    // A body that comes does not prolong its time.
    limits.protocol.body_rate = u32::MAX;
    for time in [
        &mut limits.protocol.head_timeout,
        &mut limits.protocol.body_timeout,
        &mut limits.protocol.keep_alive_timeout,
        &mut limits.write_timeout,
        &mut limits.pong_timeout,
        &mut limits.close_timeout,
    ] {
        *time = deadline;
    }
}

/// The server's process: it serves until its standard input ends, and says then which rules its peers broke.
#[test]
fn server() {
    let Ok(server) = env::var(SERVER) else { return };
    let (model, seconds) = server.split_once(' ').unwrap();
    let deadline = Duration::from_secs(seconds.parse().unwrap());
    let lab = Lab::with(model.parse::<IoModel>().unwrap(), |config| configure(config, deadline));
    println!("\naddress {}", lab.address);
    std::io::stdin().lines().for_each(drop);
    println!("\nbroken {:?}, {} stalls", lab.broken_rules(), lab.stats().write_stalls);
}

struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(model: IoModel, deadline: Duration) -> Self {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "blackbox::stopped::server", "--nocapture"]).env(SERVER, format!("{model} {}", deadline.as_secs()));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// What the process says behind this word.
    fn said(&mut self, word: &str) -> String {
        let mut lines = self.output.by_ref().lines().map(Result::unwrap);
        let line = lines.find_map(|line| line.strip_prefix(word).map(|rest| rest.trim().to_owned()));
        line.unwrap_or_else(|| panic!("the server's process ended before it said {word}"))
    }

    fn signal(&self, name: &str) {
        let done = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status().unwrap();
        assert!(done.success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a peer does before the server stops, while it is stopped, and as soon as it goes on; and what
/// the peer gets then, however late it looks.
struct Kind {
    peers: usize,
    before: fn(&mut Client),
    meanwhile: fn(&mut Client),
    then: fn(&mut Client),
    gets: fn(&mut Client),
}

/// A message, and the end of a WebSocket, which makes no more pings then.
fn say_and_close(client: &mut Client) {
    client.send_frame(0x81, b"still there");
    client.send_frame(0x88, &1_000_u16.to_be_bytes());
}

fn get_echo(client: &mut Client) {
    while client.frame().first == 0x89 {}
}

fn do_nothing(_: &mut Client) {}

static KINDS: [Kind; 8] = [
    // Half a head.
    Kind {
        peers: 50,
        before: |client| client.send("GET /hello HTTP/1.1\r\nHo"),
        meanwhile: |client| client.send("st: x\r\n\r\n"),
        then: do_nothing,
        gets: |client| assert_eq!(client.answer().text(), "hello\n"),
    },
    // Half a body, of which more comes than is read at once.
    Kind {
        peers: 50,
        before: |client| client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 40001\r\n\r\n."),
        meanwhile: |client| client.send([b'x'; 40_000]),
        then: do_nothing,
        gets: |client| assert_eq!(client.answer().body.len(), 40_001),
    },
    // Half of a chunked body.
    Kind {
        peers: 50,
        before: |client| client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
        meanwhile: |client| client.send("lo\r\n0\r\n\r\n"),
        then: do_nothing,
        gets: |client| assert_eq!(client.answer().text(), "hello"),
    },
    // Idle.
    Kind {
        peers: 50,
        before: |client| assert_eq!(client.fetch("/hello").status, 200),
        meanwhile: |client| client.get("/hello"),
        then: do_nothing,
        gets: |client| assert_eq!(client.answer().text(), "hello\n"),
    },
    // A ping is not answered yet.
    Kind {
        peers: 50,
        before: |client| {
            client.upgrade("/ws");
            assert_eq!(client.frame().first, 0x89);
        },
        meanwhile: |client| client.send_frame(0x8a, b""),
        then: say_and_close,
        gets: get_echo,
    },
    // The same, and other threads have a handle of the WebSocket.
    Kind {
        peers: 50,
        before: |client| {
            client.upgrade("/ws");
            client.send_frame(0x81, b"pusher");
            let (one, other) = (client.frame().first, client.frame().first);
            assert_eq!(one.min(other), 0x81);
            assert_eq!(one.max(other), 0x89);
        },
        meanwhile: |client| client.send_frame(0x8a, b""),
        then: say_and_close,
        gets: get_echo,
    },
    // A close frame is not answered yet.
    Kind {
        peers: 50,
        before: |client| {
            client.upgrade("/ws");
            client.send_frame(0x81, b"close");
            while client.frame().first != 0x88 {}
        },
        meanwhile: |client| client.send_frame(0x88, &4_000_u16.to_be_bytes()),
        then: do_nothing,
        gets: |client| client.expect_end(),
    },
    // Output is not taken yet.
    Kind {
        peers: 3,
        before: |client| {
            client.get(&format!("/big?n={LARGE}"));
            client.answer_head();
        },
        meanwhile: |client| {
            client.take(1024 * 1024);
        },
        then: do_nothing,
        gets: |client| {
            client.take(LARGE - 1024 * 1024);
        },
    },
];

/// All peers of a kind.
type Group = (&'static Kind, Vec<Client>);

/// All peers do a step, the kinds beside each other.
fn step(groups: &mut [Group], step: fn(&Kind) -> fn(&mut Client)) {
    thread::scope(|scope| {
        for (kind, clients) in groups {
            scope.spawn(move || clients.iter_mut().for_each(step(kind)));
        }
    });
}

/// A server, and peers of every kind that have all begun in a quarter of the deadline.
fn begin(model: IoModel) -> (Process, Vec<Group>, Duration) {
    let mut deadline = DEADLINE;
    loop {
        let mut process = Process::start(model, deadline);
        let address: SocketAddr = process.said("address ").parse().unwrap();
        let begun = Instant::now();
        let connect = |kind: &'static Kind| (kind, (0..kind.peers).map(|_| Client::connect(address)).collect());
        let mut groups: Vec<Group> = KINDS.iter().map(connect).collect();
        step(&mut groups, |kind| kind.before);
        if begun.elapsed() < deadline / 4 {
            return (process, groups, deadline);
        }
        deadline *= 2;
    }
}

both! {
    fn what_arrives_meanwhile_is_in_time(model) {
        let (mut process, mut groups, deadline) = begin(model);
        let stopped_at = Instant::now();
        process.signal("STOP");
        step(&mut groups, |kind| kind.meanwhile);
        while stopped_at.elapsed() <= deadline {
            thread::sleep(deadline.saturating_sub(stopped_at.elapsed()) + Duration::from_millis(1));
        }
        process.signal("CONT");
        step(&mut groups, |kind| kind.then);
        step(&mut groups, |kind| kind.gets);
        process.input.take();
        assert_eq!(process.said("broken "), "{}, 0 stalls");
    }
}

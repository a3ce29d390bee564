//! The rows of the table: what is measured, and how a load of each begins.
//!
//! Owns the list of scenarios. Leaves the rounds to `measure`.

use std::io;
use std::net::SocketAddr;

use crate::client::{BROWSER, Connection, get, message_and_echo};
use crate::load::{Exchange, Length, Load};
use crate::server::{ECHO, EVENTS, HELLO, HOLD, PAYLOAD, PUBLISH, SOCKETS, Service};

/// The connections of requests and echoes.
const CONNECTIONS: usize = 64;
/// The clients of a message, and those that are held.
const SUBSCRIBERS: usize = 500;
/// The connections whose memory is measured.
const IDLE: usize = 2_000;
/// The open files of a run: the clients of all peers in one scenario, and some more.
pub(crate) const OPEN_FILES: u64 = 4_096;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) service: Service,
    pub(crate) work: Work,
    connections: usize,
}

#[derive(Clone, Copy)]
pub(crate) enum Work {
    Requests { pipelined: usize, fields: Fields },
    Polls,
    Echo { bytes: usize, in_flight: usize },
    Delivery { publishes: usize },
    Idle,
}

/// The fields of requests beside `Host`.
#[derive(Clone, Copy)]
pub(crate) enum Fields {
    None,
    /// Those of a browser, the same with each request: a page that polls sends such requests.
    Browser,
    /// Those of a browser, of which one differs from request to request. A server that remembers the
    /// fields of a connection's last request gains nothing.
    Changing,
}

impl Fields {
    /// The fields of the request of this number.
    fn of(self, number: usize) -> String {
        match self {
            Self::None => String::new(),
            Self::Browser => BROWSER.to_owned(),
            Self::Changing => format!("{BROWSER}X-Request-ID: {number:04}\r\n"),
        }
    }
}

/// All scenarios: `small` ones have few connections, to be done once.
pub(crate) fn scenarios(small: bool) -> Vec<Scenario> {
    use Service::{Echo, Events, Polls, Requests, Sockets};
    let count = |count| if small { 8 } else { count };
    let scenario = |name, service, work, connections| Scenario { name, service, work, connections: count(connections) };
    let requests = |pipelined, fields| Work::Requests { pipelined, fields };
    let echo = |bytes, in_flight| Work::Echo { bytes, in_flight };
    let delivery = |publishes| Work::Delivery { publishes };
    vec![
        scenario("HTTP keep-alive, 1 request in flight", Requests, requests(1, Fields::None), CONNECTIONS),
        scenario("HTTP, 16 requests pipelined", Requests, requests(16, Fields::None), CONNECTIONS),
        scenario("HTTP, 16 requests of a browser pipelined", Requests, requests(16, Fields::Browser), CONNECTIONS),
        scenario(
            "HTTP, 16 requests of a browser pipelined, a field of which changes",
            Requests,
            requests(16, Fields::Changing),
            CONNECTIONS,
        ),
        scenario("WebSocket echo of 16 bytes, 1 in flight", Echo, echo(16, 1), CONNECTIONS),
        scenario("WebSocket echo of 16 bytes, 16 in flight", Echo, echo(16, 16), CONNECTIONS),
        scenario("WebSocket echo of 64 KiB, 1 in flight", Echo, echo(64 * 1024, 1), CONNECTIONS),
        scenario("delivery to one of 500 WebSockets, 1 publish", Sockets, delivery(1), SUBSCRIBERS),
        scenario("delivery to one of 500 WebSockets, 16 publishes at a time", Sockets, delivery(16), SUBSCRIBERS),
        scenario("delivery to one of 500 event streams, 1 publish", Events, delivery(1), SUBSCRIBERS),
        scenario("delivery to one of 500 event streams, 16 publishes at a time", Events, delivery(16), SUBSCRIBERS),
        scenario("one of 500 held polls, answered and asked again", Polls, Work::Polls, SUBSCRIBERS),
        scenario("memory of an idle HTTP connection", Requests, Work::Idle, IDLE),
        scenario("memory of an idle WebSocket", Echo, Work::Idle, IDLE),
        scenario("memory of an idle event stream", Events, Work::Idle, IDLE),
    ]
}

impl Scenario {
    pub(crate) const fn unit(&self) -> &'static str {
        if matches!(self.work, Work::Idle) { "bytes" } else { "µs" }
    }

    pub(crate) const fn connections(&self) -> usize {
        self.connections
    }

    /// Opens the connections. Each has had its first answer.
    pub(crate) fn begin(&self, address: SocketAddr) -> io::Result<Load> {
        let is_joint = matches!(self.work, Work::Polls | Work::Delivery { .. });
        let mut load = Load::new(is_joint)?;
        for _ in 0..self.connections {
            let mut connection = Connection::open(address)?;
            let exchange = self.first_exchange(&mut connection)?;
            load.add(connection.into_socket(), exchange)?;
        }
        if let Work::Delivery { publishes } = self.work {
            // After the subscribers, so that its request is sent when all of them wait.
            let mut publisher = Connection::open(address)?;
            let length = Length::Exactly(publisher.request(HELLO, "")?);
            let output = get(&format!("{PUBLISH}?{publishes}"), "").into();
            load.add(publisher.into_socket(), Exchange { output, answers: 1, length, counts: false })?;
        }
        Ok(load)
    }

    /// Makes a connection ready, and returns what it does in each round.
    fn first_exchange(&self, connection: &mut Connection) -> io::Result<Exchange> {
        let (output, answers, length) = match self.work {
            Work::Requests { pipelined, fields } => {
                let all: Vec<_> = (0..pipelined).flat_map(|number| get(HELLO, &fields.of(number))).collect();
                (all, pipelined, Length::Exactly(connection.request(HELLO, &fields.of(0))?))
            }
            Work::Polls => {
                // A poll of one is answered at once.
                let length = connection.request(&format!("{HOLD}?1"), "")?;
                (get(&format!("{HOLD}?{}", self.connections), ""), 1, Length::Exactly(length))
            }
            Work::Echo { bytes, in_flight } => {
                connection.upgrade(ECHO)?;
                let (message, echo) = message_and_echo(bytes);
                connection.echo(&message, &echo)?;
                (message.repeat(in_flight), in_flight, Length::Exactly(echo.len()))
            }
            Work::Delivery { .. } | Work::Idle => {
                let answers = if let Work::Delivery { publishes } = self.work { publishes } else { 0 };
                self.be_idle(connection)?;
                (Vec::new(), answers, Length::AtLeast(PAYLOAD.len()))
            }
        };
        Ok(Exchange { output: output.into(), answers, length, counts: true })
    }

    /// Opens connections that do nothing after their first answer.
    pub(crate) fn open_idle(&self, address: SocketAddr, count: usize) -> io::Result<Vec<Connection>> {
        let open = || {
            let mut connection = Connection::open(address)?;
            self.be_idle(&mut connection)?;
            Ok(connection)
        };
        (0..count).map(|_| open()).collect()
    }

    fn be_idle(&self, connection: &mut Connection) -> io::Result<()> {
        match self.service {
            Service::Requests | Service::Polls => connection.request(HELLO, "").map(drop),
            Service::Echo => connection.upgrade(ECHO),
            Service::Sockets => connection.upgrade(SOCKETS),
            Service::Events => connection.stream(EVENTS),
        }
    }
}

//! Whether an operation costs more as the work around it grows.
//!
//! Owns the operations, each with a small and a large size of what is around it, and their loads. Leaves
//! the count to `count`.

use std::error::Error;
use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use pushlab::IoModel;

use crate::client::{Connection, ServerProcess, get};
use crate::count::{self, Work};
use crate::server::PAYLOAD;

/// An operation at the large size may cost so many times what it costs at the small one.
const RATIO_MAX: f64 = 1.5;
/// The connections that do something, beside those that are idle.
const ACTIVE: usize = 50;
/// Files of a process beside those of the load.
const OTHER_FILES: usize = ACTIVE + 50;
/// The numbers of valgrind's files begin here, so that they are not those of other rows.
const FIRST_PROFILE: usize = 100;

/// An operation, and what grows around it.
struct Case {
    operation: &'static str,
    around: &'static str,
    small: usize,
    large: usize,
    kind: Kind,
    /// Batches that are counted.
    batches: usize,
}

#[derive(Clone, Copy)]
enum Kind {
    Request,
    Delivery,
    PublishAmongTopics,
    PublishToHistory,
    Poll,
    Subscription,
    Topic,
}

const CASES: [Case; 7] = [
    Case { operation: "a request", around: "idle connections", small: 100, large: 15_000, kind: Kind::Request, batches: 100 },
    Case { operation: "a delivery", around: "subscribers", small: 10, large: 10_000, kind: Kind::Delivery, batches: 5 },
    Case { operation: "a publish", around: "topics", small: 1, large: 10_000, kind: Kind::PublishAmongTopics, batches: 20 },
    // The history of a topic has 1,000 messages.
    Case { operation: "a publish", around: "messages of the topic", small: 10, large: 1_000, kind: Kind::PublishToHistory, batches: 10 },
    Case { operation: "a held poll", around: "polls of another topic", small: 100, large: 10_000, kind: Kind::Poll, batches: 5 },
    Case {
        operation: "a stream that comes and goes",
        around: "subscribers",
        small: 10,
        large: 10_000,
        kind: Kind::Subscription,
        batches: 5,
    },
    Case { operation: "a topic of such a stream", around: "topics of the stream", small: 8, large: 64, kind: Kind::Topic, batches: 5 },
];

/// Counts all operations at both sizes, prints the table, and compares.
pub(crate) fn compare(profiles: &Path) -> Result<ExitCode, Box<dyn Error>> {
    count::valgrind()?;
    let most = open_files()?.saturating_sub(OTHER_FILES);
    let mut table = Table::new();
    table.load_preset(NOTHING).set_header(["Operation", "Among", "Small", "Instructions", "Large", "Instructions", "Ratio"]);
    let mut code = ExitCode::SUCCESS;
    for (number, case) in CASES.iter().enumerate() {
        let large = if case.has_connections() { case.large.min(most) } else { case.large };
        if large < case.large {
            println!("skipped: {} {}: the limit of open files (`ulimit -n`) allows {large}", case.large, case.around);
        }
        let count =
            |size, number| count::count(IoModel::EventLoop, case.batches, |server| Load::start(case.kind, size, server), number, profiles);
        let name = |error| format!("{} among {}: {error}", case.operation, case.around);
        let small_count = count(case.small, FIRST_PROFILE + 2 * number).map_err(name)?;
        let large_count = count(large, FIRST_PROFILE + 2 * number + 1).map_err(name)?;
        let ratio = large_count / small_count;
        let sizes = [case.small, large].map(|size| size.to_string());
        let counts = [small_count, large_count].map(|count| format!("{count:.0}"));
        table.add_row([case.operation, case.around, &sizes[0], &counts[0], &sizes[1], &counts[1], &format!("{ratio:.2}")]);
        if ratio > RATIO_MAX {
            eprintln!("{} among {large} {} costs {ratio:.2} times what it costs among {}", case.operation, case.around, case.small);
            code = ExitCode::from(1);
        }
    }
    for column in 2..7 {
        table.column_mut(column).expect("the header has it").set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
    Ok(code)
}

/// The number of files that a process may have open.
fn open_files() -> Result<usize, Box<dyn Error>> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line =
        limits.lines().find_map(|line| line.strip_prefix("Max open files")).ok_or("/proc/self/limits has no line `Max open files`")?;
    let soft = line.split_whitespace().next().unwrap_or_default();
    Ok(if soft == "unlimited" { usize::MAX } else { soft.parse()? })
}

impl Case {
    const fn has_connections(&self) -> bool {
        !matches!(self.kind, Kind::PublishAmongTopics | Kind::PublishToHistory | Kind::Topic)
    }
}

struct Load {
    kind: Kind,
    size: usize,
    /// They are kept open.
    idle: Vec<Connection>,
    active: Vec<Connection>,
    /// What each active connection sends in a batch.
    request: String,
}

impl Load {
    fn start(kind: Kind, size: usize, server: &mut ServerProcess) -> io::Result<Self> {
        let idle = match kind {
            Kind::Request | Kind::Poll => open(server, size, &get("/hello", ""), "\r\n\r\nhello\n")?,
            Kind::Delivery => open(server, size, &get("/topics/ticks/events", ""), "\r\n\r\n")?,
            Kind::Subscription => open(server, size, &get("/topics/large/events", ""), "\r\n\r\n")?,
            Kind::PublishAmongTopics | Kind::PublishToHistory | Kind::Topic => Vec::new(),
        };
        let active = match kind {
            Kind::Request => open(server, 1, &get("/hello", ""), "\r\n\r\nhello\n")?,
            Kind::Poll | Kind::Subscription | Kind::Topic => open(server, ACTIVE, &get("/hello", ""), "\r\n\r\nhello\n")?,
            Kind::Delivery | Kind::PublishAmongTopics | Kind::PublishToHistory => Vec::new(),
        };
        let stream = |topics: &str| get(&format!("/topics/{topics}ticks/stream?max_bytes=1"), "");
        let request = match kind {
            Kind::Request => get("/hello", "").repeat(16),
            Kind::Poll => get("/topics/ticks/long-poll", ""),
            Kind::Subscription => stream("large,"),
            Kind::Topic => {
                stream(&(1..size).flat_map(|number| ["topic".to_owned(), number.to_string(), ",".to_owned()]).collect::<String>())
            }
            Kind::Delivery | Kind::PublishAmongTopics | Kind::PublishToHistory => String::new(),
        };
        let mut load = Self { kind, size, idle, active, request };
        match kind {
            Kind::Poll => {
                // A connection that is answered is accepted. So all polls are read before the question
                // that comes after them.
                for connection in &mut load.idle {
                    connection.send(get("/hello", "").as_bytes())?;
                    connection.answers("hello\n", 1)?;
                }
                for connection in &mut load.idle {
                    connection.send(get("/topics/waiting/long-poll?wait=120", "").as_bytes())?;
                }
                server.ask(&format!("/when_held?{size}"))?;
            }
            Kind::PublishAmongTopics => server.ask(&format!("/make?{size}"))?,
            Kind::PublishToHistory => server.ask(&format!("/publish?{size}"))?,
            Kind::Request | Kind::Delivery | Kind::Subscription | Kind::Topic => {}
        }
        Ok(load)
    }

    fn send_all(&mut self, server: &mut ServerProcess) -> io::Result<()> {
        let Self { active, request, .. } = self;
        server.behind_gate(|| active.iter_mut().try_for_each(|connection| connection.send(request.as_bytes())))
    }
}

impl Work for Load {
    fn batch(&mut self, server: &mut ServerProcess) -> io::Result<usize> {
        /// With these, the warm-up does not fill the history of a topic.
        const PUBLISHES: usize = 50;
        match self.kind {
            Kind::Request => {
                self.active[0].send(self.request.as_bytes())?;
                self.active[0].answers("\r\n\r\nhello\n", 16)?;
                Ok(16)
            }
            Kind::Delivery => {
                // Enough deliveries that the publish itself does not count.
                let publishes = (1_000 / self.size).max(1);
                for _ in 0..publishes {
                    server.ask("/publish?1")?;
                    for connection in &mut self.idle {
                        connection.answers(PAYLOAD, 1)?;
                    }
                }
                Ok(publishes * self.size)
            }
            Kind::PublishAmongTopics => {
                server.ask(&format!("/publish_round?{PUBLISHES}"))?;
                Ok(PUBLISHES)
            }
            Kind::PublishToHistory => {
                server.ask(&format!("/publish?{PUBLISHES}"))?;
                Ok(PUBLISHES)
            }
            Kind::Poll => {
                self.send_all(server)?;
                server.ask("/publish?1")?;
                for connection in &mut self.active {
                    connection.answers("\"gap\":false}", 1)?;
                }
                Ok(ACTIVE)
            }
            Kind::Subscription | Kind::Topic => {
                self.send_all(server)?;
                server.ask("/publish?1")?;
                for connection in &mut self.active {
                    connection.answers("\r\n0\r\n\r\n", 1)?;
                }
                Ok(if let Kind::Topic = self.kind { ACTIVE * self.size } else { ACTIVE })
            }
        }
    }

    fn empty_batch(&mut self, server: &mut ServerProcess) -> io::Result<()> {
        match self.kind {
            Kind::Poll | Kind::Subscription | Kind::Topic => server.behind_gate(|| Ok(())),
            Kind::Request | Kind::Delivery | Kind::PublishAmongTopics | Kind::PublishToHistory => Ok(()),
        }
    }
}

/// Opens connections that send a request and read the beginning of its answer.
fn open(server: &ServerProcess, count: usize, request: &str, end: &str) -> io::Result<Vec<Connection>> {
    let open_one = |_| {
        let mut connection = server.connect()?;
        connection.send(request.as_bytes())?;
        connection.answers(end, 1)?;
        Ok(connection)
    };
    (0..count).map(open_one).collect()
}

//! From one process to many: three servers that share a log, the broker that keeps the log, and a
//! page that ends them.
//!
//! Run `cargo run --release --example mq`, then open the address that it prints. The page has three
//! clients: an ordinary STOMP client (STOMP.js), server-sent events, and long polling. Each of them
//! is at another server. The page publishes numbered messages at all servers, and keeps an account of
//! what each client receives. End a server, or the broker, and see what happens: a client whose
//! server has ended continues at the next one, with the cursor that it has.
//!
//! - Without options, the program starts everything that it needs: this process serves the page, and
//!   starts the broker and the servers as processes of their own, so that they can be killed. The
//!   broker is a small one, for this example only.
//! - `--log stomp+stream://guest:guest@127.0.0.1:61613/mq` uses a broker that you run, such as
//!   `RabbitMQ`. The page cannot end it; you can.
//! - The processes end with the first one, however it ends: their standard input is a pipe from it.
//!
//! ```sh
//! curl http://127.0.0.1:8080/processes                      # the addresses of the servers
//! curl -d hello http://ADDRESS-OF-A-SERVER/topics/mq        # the page shows the message
//! curl -X POST http://127.0.0.1:8080/processes/server-1/kill
//! curl -X POST http://127.0.0.1:8080/processes/server-1/start
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `office` | the page, and the endpoints that end and start processes |
//! | `cluster` | which processes there are, and the order of their starts |
//! | `process` | one process: its start, its address, its end |
//! | `server` | one of the servers: a hub with a shared log |
//! | `../common/broker` | the broker |
//! | `page/` | the page: plain files, no build |

#[path = "../common/broker/mod.rs"]
mod broker;
mod cluster;
#[path = "../common/mod.rs"]
mod common;
mod office;
mod process;
mod server;

use std::ffi::OsString;
use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use broker::Broker;
use common::arguments::{Arguments, refuse};
use common::terminal::{end, say, version};

const BROKER_HELP: &str = "\
The broker of the example: streams over STOMP 1.2, kept in a directory.

Usage: mq broker --keep DIR [OPTIONS]

  --keep DIR           the directory for the streams; it is created if it does not exist
  --listen ADDR:PORT   the address to listen on; port 0 takes any free port   [127.0.0.1:0]
  --end-with-input     end when standard input ends
  --help               print this text
  --version            print the name and the version";

fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let part = arguments.get(1).and_then(|argument| argument.to_str()).map(str::to_owned);
    let mut rest = || {
        arguments.remove(1);
        Arguments::new(std::mem::take(&mut arguments))
    };
    match part.as_deref() {
        Some("broker") => run_broker(rest()),
        Some("server") => server::run(rest()),
        _ => office::run(Arguments::new(arguments)),
    }
}

fn run_broker(mut arguments: Arguments) -> ExitCode {
    let (mut listen, mut keep) = ("127.0.0.1:0".to_owned(), None);
    loop {
        let flag = match arguments.next_flag() {
            Ok(Some(flag)) => flag,
            Ok(None) => break,
            Err(why) => return refuse(&why),
        };
        let taken = match &*flag {
            "--help" => return end(say(BROKER_HELP)),
            "--version" => return end(say(&version())),
            "--listen" => arguments.value("an address and a port, as in 127.0.0.1:61613").map(|value| listen = value),
            "--keep" => arguments.value::<PathBuf>("a directory").map(|value| keep = Some(value)),
            "--end-with-input" => {
                end_with_input();
                Ok(())
            }
            _ => Err(arguments.unknown()),
        };
        if let Err(why) = taken {
            return refuse(&why);
        }
    }
    let Some(keep) = keep else { return refuse("--keep is missing: the directory for the streams") };
    let started = Broker::bind(&*listen, &keep).and_then(|broker| {
        say(&format!("broker: stomp+stream://{}/", broker.local_addr()?))?;
        Ok(broker)
    });
    match started {
        Ok(broker) => broker.run(),
        Err(error) => end(Err(format!("the broker cannot start at {listen}: {error}"))),
    }
}

/// Ends this process when its standard input ends: when the process that started it has ended.
fn end_with_input() {
    thread::spawn(|| {
        let mut bytes = [0; 64];
        while matches!(std::io::stdin().read(&mut bytes), Ok(1..)) {}
        std::process::exit(0);
    });
}

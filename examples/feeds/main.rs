//! Feeds: figures of this machine and made-up share prices. Threads publish them, and a page
//! receives all of them over one connection.
//!
//! Run `cargo run --release --example feeds`, then open the address that it prints. There are three
//! topics. Each message is a JSON object with the time `at` in Unix milliseconds:
//!
//! - `monitor`, once a second: load, memory, the busy share of each core, bytes a second of each
//!   network interface, memory and threads of this process, and temperatures and voltages if there
//!   are sensors. The kernel provides the figures in `/proc` and `/sys`.
//! - `plug`: network interfaces and block devices that are added or removed. To see one, plug in a
//!   USB stick, or run `ip link add dummy0 type dummy`.
//! - `quotes`, five times a second: made-up prices on a random walk.
//!
//! A browser keeps at most six connections to a host, in all tabs together, so the page receives
//! all three topics over one. On a system without `/proc`, such as macOS, only quotes are
//! published.
//!
//! ```sh
//! URL=http://127.0.0.1:8080/topics
//! curl -N "$URL/monitor,quotes,plug/events"                   # each event has its topic's name
//! curl -N "$URL/quotes/stream?after=earliest&format=raw"      # the retained messages, then new ones
//! curl "$URL/monitor/long-poll"                               # the next message
//! curl $URL/quotes                                            # the topic's figures
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `app` | the paths, the topics, and the threads that publish |
//! | `monitor` | the kernel's figures |
//! | `sensors` | temperatures and voltages |
//! | `plug` | devices that are added or removed |
//! | `page/` | the page: plain files, no build |

mod app;
#[path = "../common/mod.rs"]
mod common;
mod monitor;
mod plug;
#[path = "../common/quotes.rs"]
mod quotes;
mod sensors;

use std::cell::RefCell;
use std::path::PathBuf;
use std::process::ExitCode;

use app::App;

const HELP: &str = "\
A server monitor, hot-plug events and share prices, pushed over one connection.

Usage: feeds [OPTIONS]

  --io MODEL           the IO model: event-loop (default) or threads
  --listen ADDR:PORT   the address to listen on; port 0 takes any free port   [127.0.0.1:8080]
                       unix:PATH listens on a Unix socket, for a proxy on this machine
  --allow-origin ORIGIN
                       let pages of this origin act here, beside the server's own pages:
                       scheme://host[:port], null, file://, or * for any; may be repeated   [none]
  --allow-host HOST    a name of this server, host or host:port; may be repeated;
                       requests for other hosts get 421   [any host]
  --trusted-proxy PROXY
                       believe this proxy about its clients: an address, a network
                       such as 10.0.0.0/8, or unix; may be repeated   [none]
  --forwarded-field NAME
                       a field that every trusted proxy writes: Forwarded, X-Forwarded-For,
                       X-Forwarded-Proto or X-Forwarded-Host; may be repeated   [none]
  --root DIR           the directory that contains proc/ and sys/, such as /host in a container
                       that mounts the host's there   [/]
  --help               print this text
  --version            print the name and the version

Ctrl-C shuts down gracefully; a second Ctrl-C shuts down at once.
RUST_LOG=debug logs why each connection ended.";

fn main() -> ExitCode {
    let root = RefCell::new(PathBuf::from("/"));
    common::run(
        HELP,
        |flag, arguments, _| {
            if flag != "--root" {
                return Ok(false);
            }
            let directory: PathBuf = arguments.value("a directory")?;
            if !directory.is_dir() {
                return Err(format!("--root `{}` is not a directory", directory.display()));
            }
            root.replace(directory);
            Ok(true)
        },
        |started| {
            let app = App::new(started, &root.borrow());
            common::keep_time(&app.hub);
            app
        },
    )
}

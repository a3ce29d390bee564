//! Feeds: what this machine is doing, and share prices, published by threads of their own and heard over one connection.
//!
//! `cargo run --release --example feeds`, then open the address that it prints. Three topics, each message an object in JSON with the time
//! `at` in Unix milliseconds:
//!
//! - `monitor`, every second: load, memory, how busy each core is, bytes a second of each network interface, memory and threads of this
//!   process, temperatures and voltages where there are sensors. The figures are the kernel's, from `/proc` and `/sys`.
//! - `plug`: network interfaces and block devices that come and go. `ip link add dummy0 type dummy` is one, a USB stick another.
//! - `quotes`, five a second: prices that nobody pays, on a random walk.
//!
//! A browser keeps at most six connections to a host, over all its tabs, so the page hears all three topics over one. Where there is no
//! `/proc`, as on macOS, quotes are all there is.
//!
//! ```sh
//! URL=http://127.0.0.1:8080/topics
//! curl -N "$URL/monitor,quotes,plug/events"                   # each event has its topic's name
//! curl -N "$URL/quotes/stream?after=earliest&format=raw"      # what there was, then what comes
//! curl "$URL/monitor/long-poll"                               # the next one
//! curl $URL/quotes                                            # the topic's figures
//! ```
//!
//! | file | owns |
//! |---|---|
//! | `app` | which path leads where; the topics, and who publishes to them |
//! | `monitor` | the kernel's figures |
//! | `sensors` | temperatures and voltages |
//! | `plug` | devices that come and go |
//! | `page/` | what the browser gets; plain files, no build |

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

  --io MODEL           event-loop (default) or threads
  --listen ADDR:PORT   where to listen; port 0 takes any free one   [127.0.0.1:8080]
  --allow-origin ORIGIN
                       a page's origin that may act here beside the server's own: scheme://host[:port], null, file://, or * for any;
                       may be repeated   [none]
  --allow-host HOST    a host that this server answers for, host or host:port; may be repeated; others get 421   [any host]
  --root DIR           where proc/ and sys/ are, as in a container that has the host's at /host   [/]
  --help               this text
  --version            the name and the version

Ctrl-C shuts down gracefully, a second one at once. RUST_LOG=debug shows why each connection ended.";

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

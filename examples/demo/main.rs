//! The demo: every endpoint that a client, a suite or a curious person wants to talk to, and a page that shows every way to be pushed
//! to, side by side.
//!
//! `cargo run --release --example demo`, then open the address that it prints; `-- --help` lists what it can be told.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the options that no other example has |
//! | `app` | which path leads where; the small endpoints |
//! | `drip` | `/stream/{n}`: a response that comes line by line |
//! | `source` | what is published: quotes, at the pace that was asked for |
//! | `senders` | how much each client has sent, for the page's account |
//! | `page/` | what the browser gets; plain files, no build |

mod app;
#[path = "../common/bearer.rs"]
mod bearer;
#[path = "../common/mod.rs"]
mod common;
mod drip;
mod options;
#[path = "../common/quotes.rs"]
mod quotes;
mod senders;
mod source;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use app::App;
use options::Own;

fn main() -> ExitCode {
    let own = Own::default();
    common::run(
        options::HELP,
        |flag, arguments, config| options::take(flag, arguments, config, &own),
        |started| {
            let app = App::new(started, &own);
            let (source, drip, hub) = (Arc::clone(&app.source), Arc::clone(&app.drip), app.hub.clone());
            thread::spawn(move || source.run(&hub));
            thread::spawn(move || drip.run());
            common::keep_time(&app.hub);
            app
        },
    )
}

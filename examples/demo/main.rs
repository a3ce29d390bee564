//! The demo: a page that shows every push technique side by side, and endpoints for other clients
//! and for test suites.
//!
//! Run `cargo run --release --example demo`, then open the address that it prints. `-- --help`
//! lists the options.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the options that no other example has |
//! | `app` | the paths, and the small endpoints |
//! | `files` | the page and the sources of the techniques, as they are compiled in |
//! | `drip` | `/stream/{n}`: a response that arrives line by line |
//! | `source` | the feed: quotes at an adjustable pace |
//! | `secure` | TLS: files, a certificate of the demo's own, and the watch for new files |
//! | `senders` | how many bytes each client has sent, for the page |
//! | `page/` | the page: plain files, no build |

mod app;
#[path = "../common/bearer.rs"]
mod bearer;
#[path = "../common/mod.rs"]
mod common;
mod drip;
mod files;
mod options;
#[path = "../common/quotes.rs"]
mod quotes;
mod secure;
mod senders;
mod source;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use app::App;
use common::arguments::Arguments;
use options::Own;

fn main() -> ExitCode {
    let own = Own::default();
    common::run_with(
        Arguments::new(std::env::args_os()),
        options::HELP,
        |flag, arguments, config| options::take(flag, arguments, config, &own),
        |config| own.secure.take().apply(config),
        |started| {
            let app = App::new(started, &own);
            let (source, drip, hub) = (Arc::clone(&app.source), Arc::clone(&app.drip), app.hub.clone());
            thread::spawn(move || source.run(&hub));
            thread::spawn(move || drip.run());
            common::keep_time(&app.hub);
            Ok(app)
        },
    )
}

//! The demo: every endpoint that a client, a suite or a curious person wants to talk to, and a page that shows four ways to be pushed to,
//! side by side.
//!
//! `cargo run --release --example demo`, then open the address that it prints; `-- --help` lists what it can be told.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the command line |
//! | `app` | which path leads where; the small endpoints |
//! | `drip` | `/stream/{n}`: a response that comes line by line |
//! | `feed` | the quotes and their subscribers: fetch streaming, server-sent events, long polling, WebSocket |
//! | `quotes` | the numbers of the feed, made up |
//! | `page/` | what the browser gets; plain files, no build |

mod app;
mod drip;
mod feed;
mod options;
mod quotes;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use pushlab::{Server, Stopper};

use app::App;
use options::Options;

fn main() -> ExitCode {
    env_logger::Builder::from_env(env_logger::Env::default().default_filter_or("warn")).init();
    match options::parse(std::env::args_os()) {
        Ok(None) => {
            print!("{}", options::HELP);
            ExitCode::SUCCESS
        }
        Ok(Some(options)) => serve(options).unwrap_or_else(|message| fail(&message, 1)),
        Err(message) => fail(&format!("{message}\n`--help` lists every option"), 2),
    }
}

fn fail(message: &str, code: u8) -> ExitCode {
    eprintln!("demo: {message}");
    ExitCode::from(code)
}

fn serve(Options { io, listen, config }: Options) -> Result<ExitCode, String> {
    let (allow_origins, grace) = (config.settings.allow_origins.clone(), config.shutdown_grace);
    let server = Server::bind(&*listen, config).map_err(|error| match error.to_string() {
        // A name that cannot be resolved comes without its name.
        text if text.starts_with("cannot listen on") => text,
        text => format!("cannot listen on {listen}: {text}"),
    })?;
    let signals = Arc::new(Signals::default());
    signals.stop(server.stopper()).map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let (address, stats) = (server.local_addr(), server.stats());
    let app = App::new(io, Arc::clone(&stats), allow_origins);
    let (feed, drip, hub) = (Arc::clone(&app.feed), Arc::clone(&app.drip), app.hub.clone());
    thread::spawn(move || feed.run());
    thread::spawn(move || drip.run());
    thread::spawn(move || {
        loop {
            thread::sleep(Duration::from_secs(1));
            hub.tick();
        }
    });

    println!("pushlab demo, {io}: http://{address}/");
    server.run(io, app).map_err(|error| format!("the server gave up: {error}"))?;

    let end = stats.snapshot();
    let how = signals.verdict(grace);
    // Whoever wanted only the address may have closed the other end of a pipe since.
    let _ = writeln!(io::stdout(), "{how}; served {} connections, {} requests, {} messages", end.accepted, end.requests, end.messages_out);
    Ok(ExitCode::SUCCESS)
}

/// Ctrl-C and SIGTERM: the first one shuts down gracefully, the second one at once.
#[derive(Default)]
struct Signals {
    count: AtomicU32,
    first: OnceLock<Instant>,
}

impl Signals {
    fn stop(self: &Arc<Self>, stopper: Stopper) -> Result<(), ctrlc::Error> {
        let signals = Arc::clone(self);
        ctrlc::set_handler(move || {
            signals.first.get_or_init(Instant::now);
            if signals.count.fetch_add(1, SeqCst) == 0 {
                eprintln!("demo: shutting down; once more to stop at once");
                stopper.stop();
            } else {
                stopper.stop_now();
            }
        })
    }

    /// How the shutdown went.
    fn verdict(&self, grace: Duration) -> String {
        let took = self.first.get().map_or(Duration::ZERO, Instant::elapsed);
        if self.count.load(SeqCst) > 1 {
            "stopped at once".to_owned()
        } else if took < grace {
            format!("stopped gracefully in {:.1} s", took.as_secs_f64())
        } else {
            format!("stopped after {} s of grace, and cut what was left", grace.as_secs())
        }
    }
}

//! Scan to login: the page shows a QR code, a phone scans it and confirms, and the page learns it by the technique that the reader chooses.
//!
//! `cargo run --release --example qr_login`, then open the address that it prints; `-- --help` lists what it can be told. For a real phone:
//! `-- --listen 0.0.0.0:8080`, and open this machine's address in the network in place of 127.0.0.1.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the options that no other example has |
//! | `app` | which path leads where, cookies, and what an answer looks like |
//! | `desk` | the one lock around logins and sessions, and telling everybody who waits |
//! | `login` | the state machine: who may do what, and until when |
//! | `session` | who is logged in |
//! | `qr` | an address as a picture |
//! | `secret` | random bytes, and comparing them |
//! | `agent` | a browser's name in a few words |
//! | `page/` | what the computer and the phone get; plain files, no build |
//!
//! The page asks by short polling (Taobao, JD), by long polling (`WeChat`), by server-sent events or by a WebSocket, all at the topic
//! `login-{id}` of a hub; or at `/login/{id}/wait`, which is a bare [`Reply::hold`](pushlab::Reply::hold) and speaks as `WeChat`'s server does: 408 nothing yet, 201
//! scanned, 200 confirmed, 403 refused, 400 expired. From a terminal:
//!
//! ```sh
//! id=$(curl -s -c jar -X POST http://127.0.0.1:8080/login | sed 's/.*"id":"\([^"]*\)".*/\1/')
//! curl -s -b jar "http://127.0.0.1:8080/login/$id/wait" &               # held up to 25 s; with ?callback=f as a script
//! phone=$(curl -s -X POST "http://127.0.0.1:8080/login/$id/scan" | sed 's/.*"phone":"\([^"]*\)".*/\1/')
//! curl -s -b jar "http://127.0.0.1:8080/login/$id/wait?last=201" &      # held again: 201 is known
//! curl -X POST -H "Authorization: Bearer $phone" -d Ada "http://127.0.0.1:8080/login/$id/confirm"
//! curl -b jar -c jar -X POST "http://127.0.0.1:8080/login/$id/session" # what the page does when it has learned it
//! curl -b jar http://127.0.0.1:8080/me
//! ```

mod agent;
mod app;
#[path = "../common/bearer.rs"]
mod bearer;
#[path = "../common/mod.rs"]
mod common;
mod desk;
mod login;
mod options;
mod qr;
mod secret;
mod session;

use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use app::App;
use options::Own;

fn main() -> ExitCode {
    let own = Own::default();
    common::run(
        options::HELP,
        |flag, arguments, config| own.take(flag, arguments, config),
        |started| {
            let app = App::new(started, &own);
            let desk = Arc::clone(&app.desk);
            common::keep_time(&desk.hub);
            thread::spawn(move || desk.run());
            app
        },
    )
}

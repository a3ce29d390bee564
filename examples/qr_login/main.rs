//! Scan to login: the page shows a QR code, a phone scans it and confirms, and the server pushes
//! the result to the page by the technique that the user chooses.
//!
//! Run `cargo run --release --example qr_login`, then open the address that it prints. `-- --help`
//! lists the options. To use a real phone, add `-- --listen 0.0.0.0:8080`, and open this machine's
//! network address instead of 127.0.0.1.
//!
//! | file | owns |
//! |---|---|
//! | `options` | the options that no other example has |
//! | `app` | the paths, the cookies, and the form of the answers |
//! | `desk` | the lock around logins and sessions, and the notification of waiting browsers |
//! | `login` | the state machine: which client may do which step, and until when |
//! | `session` | the sessions of logged-in browsers, which are the devices of their users |
//! | `qr` | an address as a QR code |
//! | `secret` | random secrets, and their comparison |
//! | `agent` | a browser's name in a few words |
//! | `page/` | the pages for the computer and the phone: plain files, no build |
//!
//! Each technique tells the page the same states, new, scanned, and confirmed, refused or expired:
//!
//! | technique | endpoint | as |
//! |---|---|---|
//! | short polling every 5 s | `/login/{id}/taobao` | Taobao |
//! | short polling every 3 s, after a first pause of 1 s | `/login/{id}/jd` | JD |
//! | a request that is held for up to 25 s | `/login/{id}/wechat` | `WeChat` |
//! | long polling, script-tag long polling | `/topics/login-{id}/long-poll` | |
//! | server-sent events | `/topics/login-{id}/events` | |
//! | WebSocket | `/topics/login-{id}/ws` | |
//!
//! The first three do without the hub. They answer 200 with the code of `WeChat`'s server in the
//! body: 408 nothing yet, 201 scanned, 200 confirmed, 403 refused, 400 expired. `/wechat` uses
//! [`Reply::hold`](pushlab::Reply::hold). `/?technique=jd` opens the page with a technique.
//!
//! A user can log in with several browsers. Each is a device with a topic `device-{id}`, and all
//! devices of a user share a topic `user-{id}`. Any of them lists and signs out the others, which
//! learn it at once, by the technique that they have chosen. An address that makes too many steps or
//! requests gets 429 with `Retry-After`. From a terminal:
//!
//! ```sh
//! id=$(curl -s -c jar -X POST http://127.0.0.1:8080/login | sed 's/.*"id":"\([^"]*\)".*/\1/')
//! curl -s -b jar "http://127.0.0.1:8080/login/$id/wechat" &             # held up to 25 s; a script with ?callback=f
//! phone=$(curl -s -X POST "http://127.0.0.1:8080/login/$id/scan" | sed 's/.*"phone":"\([^"]*\)".*/\1/')
//! curl -s -b jar "http://127.0.0.1:8080/login/$id/wechat?last=201" &    # held again: 201 is known
//! curl -X POST -H "Authorization: Bearer $phone" -d Ada "http://127.0.0.1:8080/login/$id/confirm"
//! curl -b jar -c jar -X POST "http://127.0.0.1:8080/login/$id/session" # the page does this after the confirmation
//! curl -b jar http://127.0.0.1:8080/devices
//! curl -b jar -X POST http://127.0.0.1:8080/devices/others/sign-out
//! ```

mod agent;
mod app;
#[path = "../common/bearer.rs"]
mod bearer;
#[path = "../common/mod.rs"]
mod common;
mod desk;
#[path = "../common/limiter.rs"]
mod limiter;
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

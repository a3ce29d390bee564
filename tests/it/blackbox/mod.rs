//! Servers over real sockets: one body for each test, run on both IO models.
//!
//! Owns what the tests below share: the macro [`both`], the server with its guard [`Lab`], the application [`App`] and the raw [`Client`]. Time-outs are
//! nets under a test that fails, never the way in which one that succeeds waits: that is a reply, an end of file, or a counter through
//! [`eventually`].
//!
//! Covers: driver::clock, driver::config, driver::inbox, driver::listen, driver::mailbox, driver::outboxes, driver::interleavings, driver::permits
//! Covers: driver::sync
//! Covers: driver::server, driver::stop, driver::sleep, driver::deliveries, driver::timers, driver::write, driver::event_loop, driver::thread_per_conn

mod app;
mod brokers;
mod busy;
mod cases;
mod catch_up;
mod changes;
mod client;
mod control;
#[cfg(feature = "deflate")]
mod deflate;
mod errors;
#[cfg(target_os = "linux")]
mod exhausted;
mod fanout;
mod forwarding;
mod frames;
mod half_closed;
mod handshakes;
mod held;
mod http;
mod lab;
mod last_answer;
mod last_words;
mod lifecycle;
mod logged;
mod origins;
mod push;
mod room;
mod shared_log;
mod silent;
mod slow;
mod socket;
mod sources;
#[cfg(target_os = "linux")]
mod spin;
mod stomp;
#[cfg(unix)]
mod stopped;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix_sockets;
mod websocket;

use std::thread;
use std::time::{Duration, Instant};

pub use app::App;
pub use client::Client;
pub use lab::Lab;
pub use pushlab::IoModel;

/// After this time a test has failed.
pub const NET: Duration = Duration::from_secs(10);

/// The two tests of a body, one for each IO model.
macro_rules! on_models {
    ($event_loop:ident, $threads:ident, $run:expr) => {
        #[test]
        fn $event_loop() {
            $run($crate::blackbox::IoModel::EventLoop);
        }

        #[test]
        fn $threads() {
            $run($crate::blackbox::IoModel::ThreadPerConnection);
        }
    };
}
use on_models;

/// The tests of a body with TLS and without.
macro_rules! on_models_and_tls {
    () => {
        $crate::blackbox::on_models!(event_loop, threads, body);
        #[cfg(feature = "tls")]
        $crate::blackbox::on_models!(event_loop_over_tls, threads_over_tls, |model| $crate::blackbox::tls::client::over_tls(|| body(
            model
        )));
    };
}
use on_models_and_tls;

/// The tests of a body without TLS.
macro_rules! on_models_alone {
    () => {
        $crate::blackbox::on_models!(event_loop, threads, body);
    };
}
use on_models_alone;

/// A module for each body, with the tests that the macro `$tests` makes.
macro_rules! bodies {
    ($tests:ident $($(#[$meta:meta])* fn $name:ident($model:ident) $body:block)*) => {$(
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "a body may do with what is in the prelude")]
            use super::*;

            fn body($model: $crate::blackbox::IoModel) $body

            $crate::blackbox::$tests!();
        }
    )*};
}
use bodies;

/// Makes tests of one body that takes the IO model: `name::event_loop` and `name::threads`, and with TLS `name::event_loop_over_tls`
/// and `name::threads_over_tls`. Attributes apply to all of them: a `cfg` that does not hold removes the body together with them.
macro_rules! both {
    ($($bodies:tt)*) => { $crate::blackbox::bodies! { on_models_and_tls $($bodies)* } };
}
use both;

/// As [`both`], without TLS.
macro_rules! both_plain {
    ($($bodies:tt)*) => { $crate::blackbox::bodies! { on_models_alone $($bodies)* } };
}
use both_plain;

both! {
    /// This body does not compile, and no build contains it.
    #[cfg(any())]
    fn removed_by_its_cfg(model) {
        no_such_function(model);
    }
}

/// Waits for what only a look can tell.
#[track_caller]
pub fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + NET;
    while !is_so() {
        assert!(Instant::now() < end, "never came true: {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

//! Threads that have nothing to do sleep.
//!
//! A thread that spins is found by what the system counts of it: how often it went to sleep, and how long it ran. A hold of another
//! connection is the time for which this is looked at. Where nothing is wrong there are a handful of wake-ups and hardly a millisecond.
//!
//! Covers: driver::event_loop, driver::thread_per_conn, driver::clock

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::client::request;
use super::{Client, Lab, NET, both};

/// A thread's account with the system.
struct Thread(PathBuf);

impl Thread {
    /// The one that serves this client.
    fn of(client: &mut Client) -> Self {
        Self(["/proc", client.fetch("/thread").text()].iter().collect())
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// How often it went to sleep.
    fn sleeps(&self) -> u64 {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    /// For how long it ran (Linux, Documentation/scheduler/sched-stats.rst).
    fn ran(&self) -> Duration {
        Duration::from_nanos(self.read("schedstat").split(' ').next().unwrap().parse().unwrap())
    }

    /// Looks on while nothing happens but one hold on another connection.
    #[track_caller]
    fn expect_quiet(&self, clock: &mut Client) {
        let (sleeps, ran) = (self.sleeps(), self.ran());
        assert_eq!(clock.fetch("/brief?ms=500").status, 204);
        let (sleeps, ran) = (self.sleeps() - sleeps, self.ran().saturating_sub(ran));
        assert!(sleeps <= 30 && ran <= Duration::from_millis(50), "it slept {sleeps} times and ran for {ran:?} in half a second");
    }
}

both! {
    /// A time-out that was short does not stay so for who waits long afterwards.
    fn after_a_short_deadline(model) {
        let lab = Lab::start(model);
        let (mut client, mut clock) = (lab.connect(), lab.connect());
        let thread = Thread::of(&mut client);
        assert_eq!(client.fetch("/brief?ms=5").status, 204);
        thread.expect_quiet(&mut clock);
        client.get("/poll");
        let _held = lab.app.one_held();
        thread.expect_quiet(&mut clock);
    }

    /// Deadlines that have come already when they are set.
    fn no_time_at_all(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        for _ in 0..20 {
            assert_eq!(client.fetch("/brief?ms=0").status, 204);
        }
        let lab = Lab::with(model, |config| config.settings.limits.protocol.keep_alive_timeout = Duration::ZERO);
        lab.connect().expect_end();
        let lab = Lab::with(model, |config| config.settings.limits.protocol.head_timeout = Duration::ZERO);
        let mut client = lab.connect();
        client.send("G");
        assert_eq!(client.answer().status, 408);
    }

    /// More input than is read while a request is held, and then the client's end.
    fn behind_a_hold(model) {
        let lab = Lab::start(model);
        let (mut client, mut clock) = (lab.connect(), lab.connect());
        let thread = Thread::of(&mut client);
        client.send(request("/poll") + &request("/hello").repeat(2_000));
        let _held = lab.app.one_held();
        thread.expect_quiet(&mut clock);
    }

    /// Answers that nobody reads, requests behind them, and the client's end.
    ///
    /// Where mio emulates edges over poll(2), each write that would block has it report the client's
    /// end again, which is not read while output waits.
    #[cfg(not(mio_unsupported_force_poll_poll))]
    fn behind_full_output(model) {
        let lab = Lab::with(model, |config| config.settings.limits.write_timeout = 60 * NET);
        let (mut client, mut clock) = (Client::connect_with_little_room(lab.address), lab.connect());
        let thread = Thread::of(&mut client);
        client.send(request("/big?n=30000000").repeat(3));
        client.wait();
        thread.expect_quiet(&mut clock);
        client.end_sending();
        thread.expect_quiet(&mut clock);
    }

    /// The deadline of a ping comes again and again while output waits that nobody reads.
    fn pings_behind_full_output(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.queue_bytes = 64 * 1024 * 1024;
            config.settings.limits.write_timeout = 60 * NET;
            // Both deadlines come while the thread is looked at, and a loaded machine still pushes
            // before the first.
            config.settings.limits.heartbeat = Some(Duration::from_millis(250));
            config.settings.limits.pong_timeout = Duration::from_millis(200);
        });
        for upgrade in [false, true] {
            let (mut client, mut clock) = (Client::connect_with_little_room(lab.address), lab.connect());
            let thread = Thread::of(&mut client);
            let frame = if upgrade {
                client.upgrade("/ws");
                client.send_frame(0x81, b"pusher");
                client.take_until(b"given");
                pushlab::Frame::text(&"x".repeat(16 * 1024 * 1024))
            } else {
                client.get("/stream");
                client.answer_head();
                pushlab::Frame::chunk(&vec![b'x'; 16 * 1024 * 1024])
            };
            lab.app.one_pusher().push(&frame);
            client.wait();
            thread.expect_quiet(&mut clock);
        }
    }
}

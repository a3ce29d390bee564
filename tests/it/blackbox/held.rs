//! Requests that are answered later.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use pushlab::{Frame, Held, Pusher, Response};

use super::client::request;
use super::{Client, IoModel, Lab, NET, both, eventually};
use crate::support::splits::Seeded;

both! {
    fn released_by_another_thread(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        for n in 0..20 {
            client.get("/poll");
            lab.app.one_held().release(Response::text(n.to_string()));
            assert_eq!(client.answer().text(), n.to_string());
        }
        assert_eq!((lab.app.dropped(), lab.stats().held), (20, 0));
    }

    fn released_in_the_handler(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        for _ in 0..20 {
            assert_eq!(client.fetch("/at-once").text(), "released in the handler\n");
        }
    }

    fn forgotten_and_out_of_time(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        assert_eq!(client.fetch("/forgotten").status, 500);
        assert_eq!(client.fetch("/brief?ms=20").status, 204);
        assert_eq!(client.fetch("/hello").status, 200);
        assert_eq!((lab.stats().held, lab.stats().hold_timeouts), (0, 1));
    }

    fn client_that_goes_away(model) {
        let lab = Lab::start(model);
        let leave: [fn(Client); 3] = [drop, |client| client.end_sending(), Client::reset];
        for (before, leave) in leave.into_iter().enumerate() {
            let mut client = lab.connect();
            client.get("/poll");
            let held = lab.app.one_held();
            assert_eq!((lab.stats().held, lab.app.dropped()), (1, before));
            leave(client);
            eventually("the hold is let go", || lab.stats().held == 0 && lab.stats().open == 0);
            assert_eq!(lab.app.dropped(), before + 1);
            held.release(Response::text("too late"));
        }
    }

    /// The end stands behind more pipelined input than is read while a request is held, or a stream that nobody can push to goes on.
    fn client_that_goes_away_behind_its_input(model) {
        let lab = Lab::start(model);
        let leave: [fn(Client); 3] = [drop, |client| client.end_sending(), Client::reset];
        for (before, leave) in leave.into_iter().enumerate() {
            let mut client = lab.connect();
            client.send(request("/poll") + &request("/hello").repeat(2_000));
            let held = lab.app.one_held();
            leave(client);
            eventually("the hold is let go", || lab.stats().held == 0 && lab.stats().open == 0);
            assert_eq!(lab.app.dropped(), before + 1);
            held.release(Response::text("to nobody"));

            let mut client = lab.connect();
            client.send(request("/quiet") + &request("/hello").repeat(2_000));
            client.answer_head();
            leave(client);
            eventually("the stream is let go", || lab.stats().streams == 0 && lab.stats().open == 0);
        }
    }

    /// A client that has sent much, and then its end, is let go only while it waits: what is answered before it comes to that is answered.
    fn much_input_behind_holds_and_no_end(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        for n in 0..3 {
            client.send(request("/poll") + &request("/number?n=7").repeat(2_000));
            // The connection that has room for no more is looked after all the same.
            let held = lab.app.one_held();
            assert_eq!(lab.connect().fetch("/hello").status, 200);
            held.release(Response::text(n.to_string()));
            assert_eq!(client.answer().text(), n.to_string());
            for _ in 0..2_000 {
                assert_eq!(client.answer().text(), "7");
            }
        }
        client.end_sending();
        client.expect_end();
        eventually("it is closed", || lab.stats().open == 0);
    }

    /// A connection waits with the time-out of a hold, not with the one for the next request:
    /// neither a longer nor a shorter `keep_alive_timeout` moves the answer. How exactly a deadline
    /// is met is tested on a virtual clock (`driver::timers`, `driver::read_time_out`).
    fn answers_itself_in_time(model) {
        const HOLD: Duration = Duration::from_millis(300);
        for keep_alive in [2 * NET, HOLD / 6] {
            let lab = Lab::with(model, |config| config.settings.limits.protocol.keep_alive_timeout = keep_alive);
            let mut client = lab.connect();
            let begun = Instant::now();
            assert_eq!(client.fetch(&format!("/brief?ms={}", HOLD.as_millis())).status, 204);
            assert!(begun.elapsed() >= HOLD, "answered after {:?}", begun.elapsed());
        }
    }

    /// An end of sending that has come already does not stop what comes before it: all is read up to it, and answered.
    fn end_behind_much_input_that_is_not_held_up(model) {
        let lab = Lab::with(model, |config| config.settings.limits.output_bytes = 1024);
        let (mut client, mut blocker) = (lab.connect(), lab.connect());
        if model == IoModel::EventLoop {
            blocker.get("/block");
            eventually("the loop is blocked", || lab.app.at_gate.load(SeqCst) == 1);
        }
        client.send(request("/number?n=7").repeat(2_000));
        client.end_sending();
        lab.app.gate.open();
        for _ in 0..2_000 {
            assert_eq!(client.answer().text(), "7");
        }
        client.expect_end();
    }

    /// Chunks are read without knowing what is behind them: more requests may wait than would be read ahead, and that is no reason either.
    fn end_behind_much_input_that_came_with_chunks(model) {
        const ANSWER: usize = 300_000;
        let lab = Lab::with(model, |config| config.receive_buffer_bytes = 32 * 1024);
        let (mut client, mut blocker) = (Client::connect_with_little_room(lab.address), lab.connect());
        client.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n");
        assert_eq!(client.answer_head().status, 100);
        if model == IoModel::EventLoop {
            blocker.get("/block");
            eventually("the loop is blocked", || lab.app.at_gate.load(SeqCst) == 1);
        }
        let padded = format!("GET /big?n={ANSWER} HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n", "y".repeat(900));
        client.send("0\r\n\r\n".to_owned() + &padded.repeat(60));
        client.end_sending();
        lab.app.gate.open();
        assert_eq!(client.answer().body.len(), 0);
        for n in 0..60 {
            assert_eq!(client.answer().body.len(), ANSWER, "{n}");
        }
        client.expect_end();
    }

    /// The buffer is smaller than what may be pipelined.
    fn client_that_goes_away_behind_a_full_buffer(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.protocol.head_bytes = 1024;
            config.receive_buffer_bytes = 1024;
        });
        let mut client = lab.connect();
        client.send(request("/poll") + &request("/hello").repeat(200));
        let held = lab.app.one_held();
        drop(client);
        eventually("the hold is let go", || lab.stats().held == 0 && lab.stats().open == 0);
        held.release(Response::text("to nobody"));
    }

    fn handle_of_an_earlier_request(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.get("/poll");
        let early = lab.app.one_held();
        drop(client);
        eventually("the hold is let go", || lab.stats().open == 0);
        // The same slot again.
        let mut client = lab.connect();
        client.get("/poll");
        let late = lab.app.one_held();
        early.release(Response::text("a stranger's"));
        late.release(Response::text("mine"));
        assert_eq!(client.answer().text(), "mine");
    }

    fn thousand_released_by_one(model) {
        let lab = Lab::start(model);
        let mut clients = lab.connect_many(1_000);
        for client in &mut clients {
            client.get("/poll");
        }
        let held = lab.app.all_held(1_000);
        assert_eq!(lab.stats().held, 1_000);
        for held in held {
            held.release(Response::text("news"));
        }
        for client in &mut clients {
            assert_eq!(client.answer().text(), "news");
        }
        assert_eq!(lab.stats().held, 0);
    }

    /// More than the event loop takes in one turn run out of time together.
    fn thousand_timed_out(model) {
        let lab = Lab::start(model);
        let mut clients = lab.connect_many(1_000);
        for client in &mut clients {
            client.get("/brief?ms=100");
        }
        for client in &mut clients {
            assert_eq!(client.answer().status, 204);
        }
        eventually("nothing is held", || lab.stats().held == 0);
        assert_eq!(lab.stats().hold_timeouts, 1_000);
    }

    fn thousand_released_at_once(model) {
        let lab = Lab::start(model);
        let mut clients = lab.connect_many(1_000);
        for client in &mut clients {
            client.get("/poll");
        }
        let (held, before) = (lab.app.all_held(1_000), lab.stats());
        let news = Arc::new(Response::text("news"));
        Held::release_all(held.into_iter().map(|held| (held, Arc::clone(&news))));
        for client in &mut clients {
            assert_eq!(client.answer().text(), "news");
        }
        eventually("each answer was one write", || lab.stats().writes == before.writes + 1_000);
        assert_eq!(lab.stats().held, 0);
        Held::release_all(Vec::<(Held, Response)>::new());
    }

    /// What comes behind a held request waits, is kept whole, and is answered in order.
    fn pipelined_behind_a_hold(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.send(request("/poll") + &request("/number?n=1").repeat(500) + &request("/poll") + &request("/number?n=2"));
        lab.app.one_held().release(Response::text("first"));
        assert_eq!(client.answer().text(), "first");
        for _ in 0..500 {
            assert_eq!(client.answer().text(), "1");
        }
        lab.app.one_held().release(Response::text("second"));
        assert_eq!(client.answer().text(), "second");
        assert_eq!(client.answer().text(), "2");
    }

    /// The rest of a request arrives in the very moment in which another thread releases the one before it.
    fn input_and_release_at_once(model) {
        let lab = Lab::start(model);
        let (tell, told) = channel();
        let app = std::sync::Arc::clone(&lab.app);
        let publisher = thread::spawn(move || {
            while let Ok(body) = told.recv() {
                app.one_held().release(Response::text(body));
            }
        });
        let (mut client, mut numbers) = (lab.connect(), Seeded::new(7));
        for n in 0..300 {
            let (next, body) = (request(&format!("/number?n={n}")), "x".repeat([1, 3_000, 100_000][numbers.below(3)]));
            let cut = numbers.below(next.len());
            client.send(request("/poll") + &next[..cut]);
            eventually("the request is held", || lab.stats().held == 1);
            tell.send(body.clone()).unwrap();
            (0..numbers.below(3_000)).for_each(|_| std::hint::spin_loop());
            client.send(&next[cut..]);
            assert_eq!(client.answer().body.len(), body.len());
            assert_eq!(client.answer().text(), n.to_string(), "round {n}, cut at {cut}");
        }
        drop(tell);
        publisher.join().unwrap();
    }

    /// Input that comes while another thread is stuck in writing to the same connection.
    fn input_while_output_is_stuck(model) {
        let lab = Lab::with(model, |config| config.settings.limits.queue_bytes = 64 * 1024 * 1024);
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/stream");
        let pusher = lab.app.one_pusher();
        let frame = Frame::chunk(&vec![b'x'; 1024 * 1024]);
        (0..16).for_each(|_| Pusher::push_all([&pusher], &frame));
        let taken = lab.stats().bytes_in;
        let next = request("/number?n=1") + &request("/number?n=2")[..9];
        client.send(&next);
        eventually("the server has read it", || lab.stats().bytes_in == taken + next.len() as u64);
        pusher.end();
        assert_eq!(client.answer().body.len(), 16 * 1024 * 1024);
        client.send(&request("/number?n=2")[9..]);
        assert_eq!(client.answer().text(), "1");
        assert_eq!(client.answer().text(), "2");
    }

    /// The hand-off that keeps the event loop free while something takes long.
    fn slow_work_handed_to_a_worker(model) {
        let lab = Lab::start(model);
        let (mut slow, mut quick) = (lab.connect(), lab.connect());
        slow.get("/later");
        assert_eq!(quick.fetch("/hello").status, 200);
        lab.app.gate.open();
        assert_eq!(slow.answer().text(), "released by a worker\n");
    }
}

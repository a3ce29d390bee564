//! Tests that run every order in which threads can meet on the ways of commands, by loom.
//!
//! Owns the tests of the types that use [`sync`](super::sync): `RUSTFLAGS="--cfg loom" cargo test
//! --release --lib loom`. Leaves sockets out: the waker of the server's thread is a model of the
//! real one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use loom::thread;

use super::Config;
use super::inbox::{Inbox, Posting};
use super::mailbox::{Mail, Mailbox, Posted};
use super::overflows::Overflows;
use super::permits::Permits;
use super::stop::Stop;
use super::sync::{AtomicBool, Condvar, Waker};
use super::wakes::{self, Wakes};
use crate::proto::Frame;
use crate::session::{Address, Command, Post, SlowConsumer};

const ADDRESS: Address = Address { slot: 1, serial: 1 };

fn send(text: &[u8]) -> Command {
    Command::Send(Frame::chunk(text))
}

fn post(to: &dyn Post, address: Address, command: Command) {
    to.post(address, command);
}

fn payload(command: &Command) -> Option<u8> {
    match command {
        Command::Send(frame) => frame.payload().first().copied(),
        _ => None,
    }
}

/// Sleeps and takes, as a turn of the event loop does, until `count` commands have come.
fn take(inbox: &Inbox, stop: &Stop, count: usize) -> Vec<u8> {
    let (mut taken, mut postings) = (Vec::new(), VecDeque::new());
    while taken.len() < count {
        if inbox.go_to_sleep() {
            stop.waker().wait();
        }
        inbox.take(&mut postings);
        let commands = postings.drain(..).filter_map(|posting| match posting {
            Posting::One(_, command) => command,
            Posting::Many(..) => None,
        });
        taken.extend(commands.filter_map(|command| payload(&command)));
    }
    taken
}

#[test]
fn loom_inbox_loses_no_wake_up() {
    loom::model(|| {
        let stop = Arc::new(Stop::new(Waker::default()));
        let inbox = Arc::new(Inbox::new(1 << 20, SlowConsumer::Disconnect, Arc::default(), Arc::clone(&stop)));
        let poster = |text: &'static [u8]| {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || post(&*inbox, ADDRESS, send(text)))
        };
        let posters = [poster(b"a"), poster(b"b")];
        let mut taken = take(&inbox, &stop, 2);
        taken.sort_unstable();
        assert_eq!(taken, b"ab");
        for poster in posters {
            poster.join().expect("it posts");
        }
    });
}

#[test]
fn loom_inbox_keeps_the_order_of_one_poster() {
    loom::model(|| {
        let stop = Arc::new(Stop::new(Waker::default()));
        let inbox = Arc::new(Inbox::new(1 << 20, SlowConsumer::Disconnect, Arc::default(), Arc::clone(&stop)));
        let posting = Arc::clone(&inbox);
        let poster = thread::spawn(move || {
            post(&*posting, ADDRESS, send(b"a"));
            post(&*posting, ADDRESS, send(b"b"));
        });
        assert_eq!(take(&inbox, &stop, 2), b"ab");
        poster.join().expect("it posts");
    });
}

/// A stopper asks for the stop while the loop goes to sleep.
#[test]
fn loom_stop_wakes_the_loop() {
    loom::model(|| {
        let stop = Arc::new(Stop::new(Waker::default()));
        let inbox = Inbox::new(1 << 20, SlowConsumer::Disconnect, Arc::default(), Arc::clone(&stop));
        let stopper = super::Stopper::new(Arc::clone(&stop));
        let stopping = thread::spawn(move || stopper.stop());
        while !stop.is_asked() {
            if inbox.go_to_sleep() {
                stop.waker().wait();
            }
            inbox.take(&mut VecDeque::new());
        }
        stopping.join().expect("it stops");
    });
}

fn mailbox() -> Arc<Mailbox> {
    let overflows = Overflows::new(Arc::new(Stop::new(Waker::default())));
    Arc::new(Mailbox::new(1, Arc::new(Config::default()), Arc::default(), Arc::new(overflows)))
}

#[test]
fn loom_mailbox_hands_over_everything() {
    loom::model(|| {
        let mailbox = mailbox();
        let serial = mailbox.issue_serial();
        let address = Address { slot: 1, serial };
        let posting = Arc::clone(&mailbox);
        let poster = thread::spawn(move || {
            post(&*posting, address, send(b"a"));
            post(&*posting, address, send(b"b"));
            post(&*posting, address, Command::Close(1000));
        });
        let mut taken = Vec::new();
        loop {
            match mailbox.wait(None) {
                Mail::Command(Posted { command: Command::Close(_), .. }) => break,
                Mail::Command(posted) => taken.extend(payload(&posted.command)),
                Mail::Nothing | Mail::Closed => panic!("there is no deadline, and nobody closes"),
            }
        }
        assert_eq!(taken, b"ab");
        poster.join().expect("it posts");
    });
}

/// The connection ends while another thread posts and the writer waits.
#[test]
fn loom_mailbox_closes() {
    loom::model(|| {
        let mailbox = mailbox();
        let address = Address { slot: 1, serial: mailbox.issue_serial() };
        let (posting, writing) = (Arc::clone(&mailbox), Arc::clone(&mailbox));
        let poster = thread::spawn(move || post(&*posting, address, send(b"a")));
        let writer = thread::spawn(move || while !matches!(writing.wait(None), Mail::Closed) {});
        mailbox.close();
        poster.join().expect("it posts");
        writer.join().expect("it ends");
    });
}

/// The reader waits for the answer of a held request. The server's thread tells it of the peer's
/// end, while another thread answers. Both reach the reader, before or after it waits.
#[test]
fn loom_mailbox_nudge_is_not_lost() {
    loom::model(|| {
        let mailbox = mailbox();
        let address = Address { slot: 1, serial: mailbox.issue_serial() };
        let has_ended = Arc::new(AtomicBool::new(false));
        let (posting, nudging, ended) = (Arc::clone(&mailbox), Arc::clone(&mailbox), Arc::clone(&has_ended));
        let poster = thread::spawn(move || post(&*posting, address, Command::Release(None)));
        let server = thread::spawn(move || {
            ended.store(true, SeqCst);
            nudging.nudge();
        });
        let (mut is_answered, mut is_told) = (false, false);
        while !is_answered || !is_told {
            match mailbox.wait(None) {
                Mail::Command(posted) => {
                    assert!(matches!(posted.command, Command::Release(None)));
                    is_answered = true;
                }
                Mail::Nothing => is_told = has_ended.load(SeqCst),
                Mail::Closed => panic!("nobody closes"),
            }
        }
        for thread in [poster, server] {
            thread.join().expect("it ends");
        }
    });
}

/// A command for an earlier hold never reaches the next one.
#[test]
fn loom_mailbox_forgets_what_comes_too_late() {
    loom::model(|| {
        let mailbox = mailbox();
        let early = Address { slot: 1, serial: mailbox.issue_serial() };
        let posting = Arc::clone(&mailbox);
        let poster = thread::spawn(move || post(&*posting, early, send(b"a")));
        let late = mailbox.issue_serial();
        assert!(matches!(mailbox.try_take(), Mail::Nothing));
        poster.join().expect("it posts");
        assert!(matches!(mailbox.try_take(), Mail::Nothing));
        post(&*mailbox, Address { slot: 1, serial: late }, send(b"b"));
        assert!(matches!(mailbox.try_take(), Mail::Command(posted) if posted.serial == late && payload(&posted.command) == Some(b'b')));
    });
}

/// The server's thread found no permit. It is woken when a permit comes back.
#[test]
fn loom_permits_wake_who_waits() {
    loom::model(|| {
        let stop = Arc::new(Stop::new(Waker::default()));
        let permits = Permits::new(1, Arc::default(), Arc::clone(&stop));
        let permit = permits.take().expect("there is one");
        let working = thread::spawn(move || drop(permit));
        while permits.take_or_be_woken(|| true).is_none() {
            stop.waker().wait();
        }
        working.join().expect("it ends");
        assert_eq!(permits.taken(), 0);
    });
}

/// A thread that puts wake-ups off posts, and then waits until its message was taken. The server's
/// thread ends the batch meanwhile.
#[test]
fn loom_a_batch_that_is_put_off_ends() {
    loom::model(|| {
        let stop = Arc::new(Stop::new(Waker::default()));
        let wakes = Arc::new(Wakes::new(Arc::clone(&stop)));
        let mailbox = mailbox();
        let address = Address { slot: 1, serial: mailbox.issue_serial() };
        let is_taken = Arc::new(AtomicBool::new(false));
        let (writing, taken, ended) = (Arc::clone(&mailbox), Arc::clone(&is_taken), Arc::clone(&stop));
        let writer = thread::spawn(move || {
            assert!(matches!(writing.wait(None), Mail::Command(posted) if payload(&posted.command) == Some(b'a')));
            taken.store(true, SeqCst);
            ended.wake();
        });
        let putting_off = Arc::clone(&wakes);
        let poster = thread::spawn(move || {
            let _put_off = putting_off.put_off();
            // The first wake-up is never put off.
            wakes::wake(&Arc::new(Condvar::new()));
            post(&*mailbox, address, send(b"a"));
            writer.join().expect("it takes the message");
        });
        while !is_taken.load(SeqCst) {
            stop.waker().wait();
            for batch in wakes.take_begun() {
                batch.end();
            }
        }
        poster.join().expect("it posts");
    });
}

/// The end of the input wakes the writers, without the server's thread.
#[test]
fn loom_the_end_of_the_input_wakes_who_was_put_off() {
    loom::model(|| {
        let wakes = Arc::new(Wakes::new(Arc::new(Stop::new(Waker::default()))));
        let mailbox = mailbox();
        let address = Address { slot: 1, serial: mailbox.issue_serial() };
        let posting = Arc::clone(&mailbox);
        let poster = thread::spawn(move || {
            let _put_off = wakes.put_off();
            wakes::wake(&Arc::new(Condvar::new()));
            post(&*posting, address, send(b"a"));
            post(&*posting, address, send(b"b"));
        });
        let mut taken = Vec::new();
        while taken.len() < 2 {
            let Mail::Command(posted) = mailbox.wait(None) else { panic!("nobody closes") };
            taken.extend(payload(&posted.command));
        }
        assert_eq!(taken, b"ab");
        poster.join().expect("it posts");
    });
}

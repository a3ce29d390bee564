//! Readers that are slower than their messages, and those that do not read at all.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use pushlab::session::Audience;
use pushlab::{Frame, SlowConsumer};

use super::{Client, IoModel, Lab, NET, both, eventually};

const FRAME_BYTES: usize = 64 * 1024;

/// A frame that begins with its number.
fn numbered(n: usize) -> Frame {
    let mut payload = format!("{n:08}").into_bytes();
    payload.resize(FRAME_BYTES, b'x');
    Frame::chunk(&payload)
}

struct Slow {
    lab: Lab,
    client: Client,
    /// Frames that were pushed.
    count: usize,
}

/// Pushes to a client that does not read, until the policy has acted; then one more.
fn overwhelm(model: IoModel, policy: SlowConsumer) -> Slow {
    let lab = Lab::with(model, |config| {
        config.settings.slow_consumer = policy;
        config.settings.limits.output_bytes = 2 * FRAME_BYTES;
        config.settings.limits.queue_bytes = 4 * FRAME_BYTES;
    });
    let mut client = Client::connect_with_little_room(lab.address);
    client.get("/stream");
    client.answer_head();
    let (pusher, mut count) = (lab.app.one_pusher(), 0);
    eventually("the policy acts", || {
        pusher.push(&numbered(count));
        count += 1;
        lab.stats().dropped > 0 || lab.stats().slow_disconnects > 0
    });
    pusher.push(&numbered(count));
    Slow { lab, client, count: count + 1 }
}

/// Reads frames until the last one, and returns their numbers.
fn read_all(client: &mut Client, count: usize) -> Vec<usize> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&(count - 1)) {
        let chunk = client.chunk().expect("the stream goes on");
        assert_eq!(chunk.len(), FRAME_BYTES);
        numbers.push(std::str::from_utf8(&chunk[..8]).unwrap().parse().unwrap());
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    numbers
}

both! {
    fn disconnect(model) {
        let Slow { lab, mut client, .. } = overwhelm(model, SlowConsumer::Disconnect);
        eventually("the connection ends", || lab.stats().open == 0);
        assert_eq!((lab.stats().slow_disconnects, lab.stats().dropped, lab.app.dropped()), (1, 0, 1));
        client.drain();
    }

    fn drop_oldest(model) {
        let Slow { lab, mut client, count } = overwhelm(model, SlowConsumer::DropOldest);
        let numbers = read_all(&mut client, count);
        assert_eq!(numbers.len() as u64 + lab.stats().dropped, count as u64);
        assert_eq!(lab.stats().slow_disconnects, 0);
    }

    fn keep_latest(model) {
        let Slow { lab, mut client, count } = overwhelm(model, SlowConsumer::KeepLatest);
        let numbers = read_all(&mut client, count);
        assert_eq!(numbers.len() as u64 + lab.stats().dropped, count as u64);
        assert_eq!(lab.stats().slow_disconnects, 0);
    }

    /// The policy is for slow readers: a burst that the connection can take reaches everyone whole.
    fn burst_to_a_quick_reader(model) {
        for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest] {
            let lab = Lab::with(model, |config| config.settings.slow_consumer = policy);
            let mut client = lab.connect();
            client.get("/stream");
            client.answer_head();
            let pusher = lab.app.one_pusher();
            for n in 0..100 {
                pusher.push(&Frame::chunk(format!("{n}").as_bytes()));
            }
            for n in 0..100 {
                assert_eq!(client.text_chunk(), n.to_string(), "{policy:?}");
            }
            assert_eq!(lab.stats().dropped, 0);
        }
    }

    fn writes_that_stall(model) {
        let lab = Lab::with(model, |config| config.settings.limits.write_timeout = Duration::from_millis(50));
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/big?n=30000000");
        eventually("the connection is given up", || lab.stats().write_stalls == 1 && lab.stats().open == 0);
        assert!(client.drain() < 30_000_000);
    }

    fn pushes_that_stall(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.write_timeout = Duration::from_millis(50);
            config.settings.slow_consumer = SlowConsumer::DropOldest;
        });
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/stream");
        client.answer_head();
        let (pusher, frame) = (lab.app.one_pusher(), numbered(0));
        eventually("the connection is given up", || {
            pusher.push(&frame);
            lab.stats().write_stalls == 1 && lab.stats().open == 0
        });
        assert_eq!(lab.app.dropped(), 1);
    }

    /// The end comes while the output is full, behind a request that waits. It is found when the output has gone, without another message; with
    /// threads, where output that is being written is out of the way, at once.
    fn end_while_output_is_full(model) {
        let lab = Lab::with(model, |config| config.settings.limits.queue_bytes = 64 * 1024 * 1024);
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/stream");
        client.answer_head();
        // More than the system takes.
        let pusher = lab.app.one_pusher();
        pusher.push(&Frame::chunk(&vec![b'x'; 16 * 1024 * 1024]));
        client.wait();
        let before = lab.stats().bytes_in;
        client.get("/hello");
        client.end_sending();
        eventually("the server has read it", || lab.stats().bytes_in > before);
        // Events come in their order: who is answered now came after the end.
        let mut other = lab.connect();
        for _ in 0..2 {
            assert_eq!(other.fetch("/hello").status, 200);
        }
        drop(other);
        if model == IoModel::EventLoop {
            assert_eq!((lab.stats().streams, lab.app.dropped()), (1, 0));
        }
        client.drain();
        eventually("the stream has ended", || lab.stats().streams == 0 && lab.stats().open == 0);
        assert_eq!((lab.app.dropped(), lab.stats().requests), (1, 3));
    }

    /// Whoever ends the connection does not wait until a peer that takes nothing has been given up.
    fn end_while_a_write_is_stuck(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.queue_bytes = 64 * 1024 * 1024;
            config.settings.limits.write_timeout = 60 * NET;
        });
        let mut client = Client::connect_with_little_room(lab.address);
        client.get("/stream");
        client.answer_head();
        // More than the system takes. When the first bytes are there, the write goes on.
        let pusher = lab.app.one_pusher();
        pusher.push(&Frame::chunk(&vec![b'x'; 16 * 1024 * 1024]));
        client.wait();
        client.end_sending();
        eventually("the connection ends", || lab.stats().open == 0);
        assert_eq!((lab.app.dropped(), lab.stats().streams, lab.stats().write_stalls), (1, 0, 0));
        assert!(client.drain() < 16 * 1024 * 1024);
    }

    /// A reader that rests between its reads is slow, and not stalled: each write that the system
    /// takes bytes of begins the write time-out anew. All rests together are longer than the write
    /// time-out, and each is a tenth of it, so that a loaded machine has the rest of the time.
    fn slow_but_steady(model) {
        const REST: Duration = Duration::from_millis(400);
        const RESTS: usize = 11;
        // The system reports room only when a part of its buffer, megabytes, is free.
        const READ_BYTES: usize = 3_000_000;
        let lab = Lab::with(model, |config| config.settings.limits.write_timeout = 10 * REST);
        let mut client = Client::connect_with_little_room(lab.address);
        // The parts that no rest follows are more than the system buffers.
        client.get(&format!("/big?n={}", (RESTS + 4) * READ_BYTES));
        assert_eq!(client.answer_head().status, 200);
        for _ in 0..RESTS {
            client.take(READ_BYTES);
            std::thread::park_timeout(REST);
        }
        client.take(4 * READ_BYTES);
        assert_eq!(lab.stats().write_stalls, 0);
    }
}

/// Pushes to a loop that is blocked by a handler, through one pusher and through all at once, until its inbox is full and past it.
fn block_the_loop(policy: SlowConsumer, frames: usize) -> (Lab, Client, Client) {
    const ROOM: usize = 4 * FRAME_BYTES + 4 * 1024;
    let lab = Lab::with(IoModel::EventLoop, |config| {
        config.settings.slow_consumer = policy;
        config.inbox_bytes = ROOM;
    });
    let (mut client, mut blocked) = (lab.connect(), lab.connect());
    client.get("/stream");
    client.answer_head();
    let pusher = lab.app.one_pusher();
    let mut members = Audience::default();
    members.insert(&pusher);
    blocked.get("/block");
    eventually("the handler blocks", || lab.app.at_gate.load(SeqCst) == 1);
    for n in 0..frames {
        if n % 2 == 0 {
            pusher.push(&numbered(n));
        } else {
            members.send_to_all(&numbered(n));
        }
    }
    lab.app.gate.open();
    assert_eq!(blocked.answer().text(), "unblocked\n");
    (lab, client, blocked)
}

#[test]
fn inbox_at_its_limit() {
    for policy in [SlowConsumer::Disconnect, SlowConsumer::DropOldest, SlowConsumer::KeepLatest] {
        let (lab, mut client, _blocked) = block_the_loop(policy, 4);
        assert_eq!(read_all(&mut client, 4), [0, 1, 2, 3], "{policy:?}");
        assert_eq!((lab.stats().dropped, lab.stats().slow_disconnects), (0, 0), "{policy:?}");
    }
}

#[test]
fn inbox_past_its_limit() {
    let (lab, mut client, _blocked) = block_the_loop(SlowConsumer::Disconnect, 100);
    client.drain();
    eventually("the reader is gone", || lab.stats().streams == 0);
    assert_eq!((lab.stats().slow_disconnects, lab.app.dropped()), (1, 1));

    let (lab, mut client, _blocked) = block_the_loop(SlowConsumer::DropOldest, 100);
    assert_eq!(read_all(&mut client, 100), [96, 97, 98, 99]);
    assert_eq!((lab.stats().dropped, lab.stats().slow_disconnects, lab.app.lost.load(SeqCst)), (96, 0, 96));
}

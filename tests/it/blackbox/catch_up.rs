//! Readers that are far behind, over real sockets.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread;

use pushlab::push::{HubConfig, Payload};

use super::stream::Over;
use super::{Client, IoModel, Lab, both, eventually};

/// Of a message.
const BYTES: usize = 4 * 1024;
/// Pieces of a replay that the reader is behind at first.
const PIECES: u64 = 40;
const PER_PIECE: u64 = 8;

fn lab(model: IoModel) -> Lab {
    let replay_bytes = BYTES * PER_PIECE as usize;
    Lab::with_hub(model, HubConfig { replay_bytes, history_messages: usize::MAX, history_bytes: usize::MAX, ..HubConfig::default() })
}

fn publish(lab: &Lab) {
    lab.app.hub.publish("a", Payload::text("x".repeat(BYTES))).unwrap();
}

/// Opens a stream or a WebSocket that begins with the oldest message.
fn open(lab: &Lab, technique: &str) -> Client {
    let mut client = Client::connect_with_little_room(lab.address);
    let target = format!("/topics/a/{technique}after=earliest");
    if technique.starts_with("ws") {
        client.upgrade(&target);
    } else {
        client.get(&target);
        assert_eq!(client.answer_head().status, 200);
    }
    client
}

/// The numbers of the messages in the next piece of what comes.
fn next(client: &mut Client, technique: &str) -> Vec<u64> {
    let text = match technique {
        "ws?" => String::from_utf8(client.frame().payload).unwrap(),
        _ => client.text_chunk(),
    };
    assert!(!text.contains(r#""gap":true"#), "{technique}: {text}");
    let ids = text.match_indices(r#"{"id":""#).map(|(at, mark)| &text[at + mark.len()..]);
    ids.map(|rest| rest.split('"').next().unwrap().split_once('-').unwrap().1.parse().unwrap()).collect()
}

both! {
    /// By each streaming technique, while messages go on being published: every message once and in
    /// order, on one connection.
    fn a_reader_reaches_the_present(model) {
        let techniques =
            ["events?format=json&", "stream?max_bytes=100000000&", "iframe?callback=f&max_bytes=100000000&", "multipart?format=json&", "ws?"];
        for technique in techniques {
            let lab = lab(model);
            (0..PIECES * PER_PIECE).for_each(|_| publish(&lab));
            let mut client = open(&lab, technique);
            let (read, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
            let last = thread::scope(|scope| {
                let _over = Over(&is_over);
                scope.spawn(|| {
                    // One more message for two that are read: the reader arrives while messages are
                    // published.
                    while !is_over.load(SeqCst) {
                        if lab.app.hub.last().sequence < PIECES * PER_PIECE + read.load(SeqCst) / 2 {
                            publish(&lab);
                        }
                        thread::yield_now();
                    }
                });
                while read.load(SeqCst) < 2 * PIECES * PER_PIECE - 1 {
                    for number in next(&mut client, technique) {
                        assert_eq!(number, read.fetch_add(1, SeqCst) + 1, "{technique}");
                    }
                }
                read.load(SeqCst)
            });
            assert_eq!(last, lab.app.hub.last().sequence, "{technique}");
            eventually("the reader is subscribed", || lab.app.hub.info("a").unwrap().subscribers.sum() == 1);
            publish(&lab);
            while next(&mut client, technique) != [last + 1] {}
            let stats = lab.stats();
            assert_eq!((stats.dropped, stats.slow_disconnects, stats.accepted), (0, 0, 1), "{technique}");
        }
    }

    /// A client that is behind is let go when it leaves, also when it does not read.
    fn a_reader_that_leaves_while_it_is_behind(model) {
        let lab = lab(model);
        // More than the system keeps for a connection.
        (0..8_000).for_each(|_| publish(&lab));
        for technique in ["events?", "stream?max_bytes=100000000&", "ws?"] {
            let client = open(&lab, technique);
            assert_eq!(lab.app.hub.info("a").unwrap().subscribers.sum(), 0, "{technique}");
            client.reset();
            eventually("it is let go", || lab.stats().open == 0);
        }
    }

    /// A shutdown does not wait for a reader to arrive.
    fn a_shutdown_while_a_reader_is_behind(model) {
        let lab = lab(model);
        (0..8_000).for_each(|_| publish(&lab));
        let mut client = open(&lab, "events?");
        lab.stopper.stop();
        let mut last = [String::new(), String::new()];
        while let Some(chunk) = client.chunk() {
            last.rotate_left(1);
            last[1] = String::from_utf8(chunk).unwrap();
        }
        assert!(last[0].starts_with("retry: ") && last[1].starts_with("event: end\n"), "{last:?}");
        drop(client);
        lab.join();
    }
}

//! Streams on which nothing can be sent any more: no view, no source and no pusher is left.
//!
//! Covers: session::link, session::stream, session::audience

use std::sync::{Arc, Mutex};

use pushlab::proto::Frame;
use pushlab::session::{Audience, Command, Destination, Ending, Feed, Reply, Request, Response, Settings, Stream, StreamSource};

use super::app::Shelf;
use super::rig::Rig;
use super::wire::get;

/// A rig whose handler begins a stream, and leaves what it likes on the shelf.
fn streaming(begin: impl Fn(Stream<'_>, &Arc<Shelf>) + Send + Sync + 'static) -> Rig {
    let shelf = Arc::new(Shelf::default());
    let inner = Arc::clone(&shelf);
    Rig::serving_with(Settings::default(), shelf, move |_: &Request<'_>, mut reply: Reply<'_>| {
        reply.carry(inner.token());
        begin(reply.stream(Response::text("begun ")), &inner);
    })
}

/// The stream ends with this text, its connection is kept, and nothing is left over.
#[track_caller]
fn expect_whole(rig: &mut Rig, text: &str) {
    while rig.deliver() > 0 {}
    let answer = rig.answer();
    assert_eq!((answer.text(), answer.is_whole), (text, true));
    assert_eq!((rig.stats().streams, rig.shelf.alive(), rig.ending()), (0, 0, None));
}

#[test]
fn in_the_handler() {
    let begin: [fn(Stream<'_>, &Arc<Shelf>); 5] = [
        |_, _| {},
        |mut stream, _| drop(stream.pusher()),
        |mut stream, _| {
            let pusher = stream.pusher();
            drop([stream.pusher(), pusher.clone(), pusher]);
        },
        |mut stream, _| drop((stream.pusher(), stream)),
        // It keeps no stream open.
        |mut stream, _| assert!(stream.destination().is_some()),
    ];
    for begin in begin {
        let mut rig = streaming(begin);
        rig.send(get("/"));
        expect_whole(&mut rig, "begun ");
        rig.send(get("/"));
        expect_whole(&mut rig, "begun ");
    }
}

/// A pusher that is made after another one was dropped is a pusher all the same.
#[test]
fn a_second_pusher() {
    let mut rig = streaming(|mut stream, shelf| {
        drop(stream.pusher());
        shelf.keep_pusher(stream.pusher());
    });
    rig.send(get("/"));
    assert_eq!((rig.deliver(), rig.stats().streams), (0, 1));
    rig.shelf.push("pushed");
    rig.shelf.take_pushers();
    expect_whole(&mut rig, "begun pushed");
}

#[test]
fn with_the_last_clone_behind_everything_pushed() {
    let mut rig = streaming(|mut stream, shelf| {
        shelf.keep_pusher(stream.pusher());
        stream.send(b"sent ");
    });
    rig.send(get("/"));
    let first = rig.shelf.take_pushers().remove(0);
    let last = first.clone();
    first.push(&Frame::chunk(b"one "));
    drop(first);
    assert_eq!((rig.deliver(), rig.stats().streams), (1, 1));
    last.push(&Frame::chunk(b"two "));
    last.push(&Frame::chunk(b"three"));
    drop(last);
    expect_whole(&mut rig, "begun sent one two three");
}

/// The end waits behind what a slow reader has not taken.
#[test]
fn while_a_reader_is_slow() {
    let mut rig = streaming(|mut stream, shelf| shelf.keep_pusher(stream.pusher()));
    rig.send(get("/"));
    rig.block();
    let large = "x".repeat(300_000);
    rig.shelf.push(&large);
    rig.shelf.push("behind");
    rig.shelf.take_pushers();
    while rig.deliver() > 0 {}
    assert_eq!(rig.stats().streams, 1);
    rig.unblock();
    expect_whole(&mut rig, &format!("begun {large}behind"));
}

/// An audience can push to its members: it keeps their streams open.
#[test]
fn in_an_audience() {
    let mut rig = streaming(|mut stream, shelf| shelf.keep_pusher(stream.pusher()));
    rig.send(get("/"));
    let mut audience = Audience::default();
    let pusher = rig.shelf.take_pushers().remove(0);
    assert!(audience.insert(&pusher) && !audience.insert(&pusher));
    drop(pusher);
    assert_eq!((rig.deliver(), rig.stats().streams), (0, 1));
    audience.send_to_all(&Frame::chunk(b"to all"));
    drop(audience);
    expect_whole(&mut rig, "begun to all");
}

/// Sends one piece, and is then what `last` says. It leaves a pusher on the shelf if `is_left`.
struct Once {
    last: Feed,
    leaves_pusher: bool,
    shelf: Arc<Shelf>,
}

impl StreamSource for Once {
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
        stream.send(b"fed ");
        if self.leaves_pusher {
            self.shelf.keep_pusher(stream.pusher());
        }
        self.last
    }
}

/// A source keeps its stream open without a pusher, and a pusher without a source.
#[test]
fn behind_a_source() {
    for leaves_pusher in [false, true] {
        let mut rig = streaming(move |mut stream, shelf| {
            drop(stream.pusher());
            stream.feed(Once { last: Feed::Done, leaves_pusher, shelf: Arc::clone(shelf) });
        });
        rig.send(get("/"));
        if leaves_pusher {
            assert_eq!((rig.deliver(), rig.stats().streams), (0, 1));
            rig.shelf.push("pushed");
            rig.shelf.take_pushers();
            expect_whole(&mut rig, "begun fed pushed");
        } else {
            expect_whole(&mut rig, "begun fed ");
        }
    }
}

/// HTTP/1.0 has no chunks: the end of the stream is the end of the connection.
#[test]
fn for_an_old_client() {
    let mut rig = streaming(|mut stream, shelf| shelf.keep_pusher(stream.pusher()));
    rig.send("GET / HTTP/1.0\r\n\r\n");
    rig.shelf.push("pushed");
    rig.shelf.take_pushers();
    while rig.deliver() > 0 {}
    assert_eq!((rig.answer().text(), rig.ending()), ("begun pushed", Some(Ending::Linger)));
}

/// A WebSocket's handler can send: it needs no pusher.
#[test]
fn a_websocket_goes_on() {
    let mut rig = Rig::new();
    rig.open();
    let pushers = rig.shelf.take_pushers();
    assert!(!pushers.is_empty());
    drop(pushers);
    while rig.deliver() > 0 {}
    assert_eq!((rig.stats().websockets, rig.ending()), (1, None));
}

/// A stream that stays open ends when it is told to, whatever becomes of its pushers.
#[test]
fn what_stays_open() {
    let begin: [fn(&mut Stream<'_>); 2] = [
        |stream| stream.stay_open(),
        |stream| {
            drop(stream.pusher());
            stream.stay_open();
            drop(stream.pusher());
        },
    ];
    for begin in begin {
        let kept = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&kept);
        let mut rig = streaming(move |mut stream, _| {
            begin(&mut stream);
            *keep.lock().expect("no panic") = stream.destination();
        });
        rig.send(get("/"));
        while rig.deliver() > 0 {}
        assert_eq!(rig.stats().streams, 1);
        let Destination { post, address } = kept.lock().expect("no panic").take().expect("the response has a body");
        post.post(address, Command::Send(Frame::chunk(b"sent")));
        post.post(address, Command::Close(1_000));
        expect_whole(&mut rig, "begun sent");
    }
}

//! Over is over: no call brings a connection back, softens its end, or makes it speak.
//!
//! Covers: session::lifecycle, session::progress

use pushlab::proto::{Frame, Limits};
use pushlab::session::{Ending, Settings};

use super::rig::Rig;
use super::wire::{get, text_frame};

#[test]
fn an_end_of_file_does_not_soften_an_abort() {
    let limits = Limits { output_bytes: 100, queue_bytes: 100, ..Limits::default() };
    let mut rig = Rig::with(Settings { limits, ..Settings::default() });
    rig.open();
    rig.block();
    for _ in 0..5 {
        rig.shelf.pusher().push(&Frame::binary(&[0; 90]));
    }
    rig.deliver();
    assert_eq!(rig.ending(), Some(Ending::Abort));
    rig.eof();
    assert_eq!(rig.ending(), Some(Ending::Abort), "a peer that does not read is not written to");
}

type End = (&'static str, fn(&mut Rig));

#[test]
fn nothing_is_said_after_the_end() {
    let ends: [End; 4] = [
        ("flush", |rig| rig.send("GET /hello HTTP/1.0\r\n\r\n")),
        ("linger", |rig| rig.send("BREW / HTTP/1.1\r\nHost: a\r\n\r\n")),
        ("abort", |rig| {
            rig.send(get("/stream"));
            rig.eof();
        }),
        ("websocket", |rig| {
            rig.open();
            rig.send([0xff, 0xff]);
        }),
    ];
    for (name, end) in ends {
        let mut rig = Rig::new();
        end(&mut rig);
        rig.bytes();
        rig.shelf.calls();
        let ending = rig.ending();
        assert!(ending.is_some(), "{name}");
        rig.send(get("/hello"));
        rig.send(text_frame("x"));
        rig.shut_down();
        rig.pass_secs(1);
        rig.deliver();
        assert_eq!((rig.text().as_str(), rig.ending(), rig.input_len()), ("", ending, 0), "{name}");
        assert_eq!(rig.shelf.calls(), [""; 0], "{name}");
    }
}

//! WebSockets, judged by an independent client (`tungstenite`), and by hand where that client is too well-behaved.

use std::time::Duration;

use pushlab::proto::RemoteError;
use pushlab::{CloseReason, Frame, Pusher};
use tungstenite::client::IntoClientRequest;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

use super::client::{WsFrame, frame, request};
use super::socket::Socket;
use super::{Client, Lab, both, eventually};

fn open(lab: &Lab, client: Client) -> WebSocket<Socket> {
    tungstenite::client(format!("ws://{}/ws", lab.address), client.stream).unwrap().0
}

/// Reads to the end of the connection.
fn expect_closed(socket: &mut WebSocket<Socket>) {
    assert!(matches!(socket.read(), Err(Error::ConnectionClosed)));
}

both! {
    fn echo_of_every_size(model) {
        let lab = Lab::with(model, |config| config.settings.limits.protocol.message_bytes = 4 * 1024 * 1024);
        let mut socket = open(&lab, lab.connect());
        for len in [0, 1, 125, 126, 65_535, 65_536, 1024 * 1024, 3_000_000, 7] {
            let message = Message::binary((0..len).map(|n: usize| (n % 251) as u8).collect::<Vec<_>>());
            socket.send(message.clone()).unwrap();
            assert!(socket.read().unwrap() == message, "{len} bytes");
            let message = Message::text("é".repeat(len / 2));
            socket.send(message.clone()).unwrap();
            assert!(socket.read().unwrap() == message, "{len} bytes of text");
        }
        socket.close(None).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Close(None));
        expect_closed(&mut socket);
        eventually("the connection ends", || lab.stats().open == 0);
        assert_eq!((lab.app.dropped(), &lab.app.closed.lock().unwrap()[..]), (1, &[CloseReason::Peer(1005)][..]));
    }

    fn many_in_flight(model) {
        let lab = Lab::start(model);
        let mut socket = open(&lab, lab.connect());
        for n in 0..1_000 {
            socket.write(Message::text(n.to_string())).unwrap();
        }
        socket.flush().unwrap();
        for n in 0..1_000 {
            assert_eq!(socket.read().unwrap(), Message::text(n.to_string()));
        }
    }

    fn byte_by_byte_and_in_fragments(model) {
        let lab = Lab::start(model);
        let mut client = lab.connect();
        client.upgrade("/ws");
        for byte in [frame(0x01, b"Hel"), frame(0x89, b"are you there"), frame(0x00, b"lo, "), frame(0x80, b"world")].concat() {
            client.send([byte]);
        }
        assert_eq!(client.frame(), WsFrame { first: 0x8A, payload: b"are you there".to_vec() });
        assert_eq!(client.frame(), WsFrame { first: 0x81, payload: b"Hello, world".to_vec() });
        client.send([frame(0x82, b"one"), frame(0x82, b"two")].concat());
        assert_eq!((client.frame().payload, client.frame().payload), (b"one".to_vec(), b"two".to_vec()));
    }

    /// A handler made of closures: each message goes to all, and each arrival is told with the number of people.
    fn closures(model) {
        let lab = Lab::start(model);
        let mut all = Vec::new();
        for count in 1..=3 {
            let mut client = lab.connect();
            client.upgrade("/room");
            all.push(client);
            for client in &mut all {
                assert_eq!(client.frame().payload, format!("{count} online").as_bytes());
            }
        }
        for round in 0..3 {
            all[round].send_frame(0x81, b"to all");
            for client in &mut all {
                assert_eq!(client.frame(), WsFrame { first: 0x81, payload: b"to all".to_vec() });
            }
        }
        all[0].send_frame(0x88, &1_000_u16.to_be_bytes());
        assert_eq!(all[0].frame().first, 0x88);
        drop(all);
        let closed = || lab.app.closed.lock().unwrap().clone();
        eventually("each closure hears of the end", || closed().len() == 3 && closed().contains(&CloseReason::Peer(1_000)));
    }

    fn subprotocol(model) {
        let lab = Lab::start(model);
        let mut request = format!("ws://{}/ws", lab.address).into_client_request().unwrap();
        request.headers_mut().insert("Sec-WebSocket-Protocol", "unknown, superchat, chat".parse().unwrap());
        let (_socket, response) = tungstenite::client(request, lab.connect().stream).unwrap();
        assert_eq!(response.headers()["Sec-WebSocket-Protocol"], "superchat");
    }

    fn ping_is_answered(model) {
        let lab = Lab::start(model);
        let mut socket = open(&lab, lab.connect());
        socket.send(Message::Ping("payload".into())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::Pong("payload".into()));
    }

    fn close_by_the_client(model) {
        let lab = Lab::start(model);
        let mut socket = open(&lab, lab.connect());
        let frame = CloseFrame { code: CloseCode::Away, reason: "bye".into() };
        socket.close(Some(frame)).unwrap();
        let Message::Close(Some(answer)) = socket.read().unwrap() else { panic!("a close frame with a code") };
        assert_eq!(answer.code, CloseCode::Away);
        expect_closed(&mut socket);
        eventually("the handler hears of it", || lab.app.closed.lock().unwrap()[..] == [CloseReason::Peer(1001)]);
    }

    fn close_by_the_server(model) {
        let lab = Lab::start(model);
        let mut socket = open(&lab, lab.connect());
        socket.send(Message::text("close")).unwrap();
        let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("a close frame with a code") };
        assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4_000, "as asked"));
        expect_closed(&mut socket);
        eventually("the handler hears of it", || lab.app.closed.lock().unwrap().len() == 1);
    }

    fn close_by_a_pusher(model) {
        let lab = Lab::start(model);
        let mut socket = open(&lab, lab.connect());
        socket.send(Message::text("pusher")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("given"));
        let pusher = lab.app.one_pusher();
        (0..10).for_each(|n| pusher.push(&Frame::text(&n.to_string())));
        pusher.close(1_001);
        for n in 0..10 {
            assert_eq!(socket.read().unwrap(), Message::text(n.to_string()));
        }
        let Message::Close(Some(frame)) = socket.read().unwrap() else { panic!("a close frame with a code") };
        assert_eq!(frame.code, CloseCode::Away);
        expect_closed(&mut socket);
    }

    fn peer_that_vanishes(model) {
        let lab = Lab::start(model);
        let leave: [fn(Client); 3] = [drop, |client| client.end_sending(), Client::reset];
        for (before, leave) in leave.into_iter().enumerate() {
            let mut client = lab.connect();
            client.upgrade("/ws");
            leave(client);
            eventually("the WebSocket ends", || lab.stats().websockets == 0 && lab.stats().open == 0);
            assert_eq!((lab.app.dropped(), lab.app.closed.lock().unwrap().len()), (before + 1, before + 1));
        }
    }

    /// With a pusher and without: the writer or the reader keeps the time.
    fn silent_peer(model) {
        let lab = Lab::with(model, |config| {
            // A loaded machine still asks for a pusher before the first ping.
            config.settings.limits.heartbeat = Some(Duration::from_secs(1));
            config.settings.limits.pong_timeout = Duration::from_millis(20);
        });
        for with_pusher in [false, true] {
            let mut client = lab.connect();
            client.upgrade("/ws");
            if with_pusher {
                client.send_frame(0x81, b"pusher");
                assert_eq!(client.frame().payload, b"given");
            }
            assert_eq!(client.frame(), WsFrame { first: 0x89, payload: Vec::new() });
            client.expect_end();
        }
        eventually("both have ended", || lab.app.closed.lock().unwrap()[..] == [CloseReason::Remote(RemoteError::Silent); 2]);
    }

    fn peer_that_answers_pings(model) {
        let lab = Lab::with(model, |config| {
            config.settings.limits.heartbeat = Some(Duration::from_millis(20));
            // A loaded machine still answers in this time, after which the next ping comes.
            config.settings.limits.pong_timeout = Duration::from_secs(3);
        });
        let mut client = lab.connect();
        client.upgrade("/ws");
        for _ in 0..2 {
            assert_eq!(client.frame().first, 0x89);
            client.send_frame(0x8A, b"");
        }
        assert_eq!(lab.stats().open, 1);
    }

    /// The peer does not answer the server's close frame.
    fn close_that_is_not_answered(model) {
        let lab = Lab::with(model, |config| config.settings.limits.close_timeout = Duration::from_millis(30));
        let mut client = lab.connect();
        client.upgrade("/ws");
        client.send_frame(0x81, b"close");
        assert_eq!(client.frame().first, 0x88);
        client.expect_end();
    }

    fn broken_rules(model) {
        let lab = Lab::start(model);
        for (input, code) in [
            (b"\x81\x05Hello".to_vec(), 1_002_u16),
            (frame(0x83, b""), 1_002),
            (frame(0x81, b"\xFF"), 1_007),
            (b"\x82\xFF\x00\x00\x00\x00\x00\x10\x00\x01\x01\x02\x03\x04".to_vec(), 1_009),
        ] {
            let mut client = lab.connect();
            client.upgrade("/ws");
            client.send(&input);
            let close = client.frame();
            assert_eq!((close.first, &close.payload[..2]), (0x88, &code.to_be_bytes()[..]));
            // The server waits for us, so that what we still send cannot take its close frame away.
            client.send(request("/more"));
            client.expect_end();
        }
    }

    fn handler_that_pushes_to_itself(model) {
        let lab = Lab::start(model);
        let mut socket = open(&lab, lab.connect());
        for _ in 0..100 {
            socket.send(Message::text("own")).unwrap();
            let both = [socket.read().unwrap(), socket.read().unwrap()];
            assert!(both.contains(&Message::text("sent")) && both.contains(&Message::text("pushed")));
        }
    }

    fn handler_that_panics(model) {
        let lab = Lab::start(model);
        let (mut bad, mut good) = (open(&lab, lab.connect()), open(&lab, lab.connect()));
        bad.send(Message::text("panic")).unwrap();
        let Message::Close(Some(frame)) = bad.read().unwrap() else { panic!("a close frame with a code") };
        assert_eq!(frame.code, CloseCode::Error);
        good.send(Message::text("still here")).unwrap();
        assert_eq!(good.read().unwrap(), Message::text("still here"));
        assert_eq!(lab.stats().panics, 1);
        assert_eq!(lab.app.closed.lock().unwrap()[..], [CloseReason::HandlerPanicked]);
    }

    /// Echoes and pushes in both directions at once, with large messages: nobody waits for anybody in a circle.
    fn pushes_between_echoes(model) {
        let lab = Lab::with(model, |config| config.settings.limits.queue_bytes = 64 * 1024 * 1024);
        let mut socket = open(&lab, lab.connect());
        socket.send(Message::text("pusher")).unwrap();
        socket.read().unwrap();
        let pusher = lab.app.one_pusher();
        let publisher = std::thread::spawn(move || {
            let frame = Frame::text(&"p".repeat(100_000));
            (0..100).for_each(|_| Pusher::push_all([&pusher], &frame));
        });
        let (mut count, echo) = (0, Message::text("e".repeat(200_000)));
        for _ in 0..50 {
            socket.send(echo.clone()).unwrap();
            loop {
                let message = socket.read().unwrap();
                if message == echo {
                    break;
                }
                assert_eq!(message.len(), 100_000);
                count += 1;
            }
        }
        while count < 100 {
            assert_eq!(socket.read().unwrap().len(), 100_000);
            count += 1;
        }
        publisher.join().unwrap();
    }
}

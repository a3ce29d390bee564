//! TLS between a transport that stops anywhere and a session's side that reads and writes in pieces.

/// However the wire is cut, both sides get what the other one has sent, in order, and each end is told apart.
#[cfg(not(feature = "tls"))]
pub fn passes_on_every_byte(_: &[u8]) {}

#[cfg(feature = "tls")]
pub use with_tls::passes_on_every_byte;

#[cfg(feature = "tls")]
mod with_tls {
    use std::collections::VecDeque;
    use std::io::{self, ErrorKind, Read, Write};
    use std::sync::{Arc, LazyLock};
    use std::time::Duration;

    use pushlab::driver::drive::{Input as Got, Transport};
    use pushlab::proto::{Outbox, RemoteError};
    use pushlab::session::{Need, Ready, Sent};
    use pushlab::tls::{Acceptor, Certificates, Tls, TlsLayer};
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::{CertificateDer, ServerName};
    use rustls::{ClientConfig, ClientConnection, RootCertStore};

    use super::super::input::Input;

    /// How often the last bytes may go to and fro: a handshake takes a few turns.
    const TURNS_MAX: usize = 1_000;

    struct Sides {
        acceptor: Acceptor,
        client: Arc<ClientConfig>,
    }

    static SIDES: LazyLock<Sides> = LazyLock::new(|| {
        let rcgen::CertifiedKey { cert, signing_key } = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a name");
        let certificates = Certificates::from_pem(&[(cert.pem(), signing_key.serialize_pem())]).expect("a certificate with its key");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(cert.der().to_vec())).expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("the provider knows both");
        let client = builder.with_root_certificates(roots).with_no_client_auth();
        Sides { acceptor: Acceptor::new(&Tls::new(certificates)).expect("nothing is wrong with it"), client: Arc::new(client) }
    });

    /// The system between both sides.
    #[derive(Default)]
    struct Wire {
        to_server: VecDeque<u8>,
        to_client: VecDeque<u8>,
        /// So many bytes can be written now.
        room: usize,
        /// The client's side has ended.
        is_ended: bool,
        sending_ended: bool,
    }

    impl Transport for Wire {
        fn read(&mut self, room: &mut [u8], _: Option<Duration>) -> io::Result<Got> {
            match self.to_server.read(room)? {
                0 if self.is_ended => Ok(Got::End),
                0 => Err(ErrorKind::WouldBlock.into()),
                len => Ok(Got::Bytes(len, if self.to_server.is_empty() { Ready::No } else { Ready::Perhaps })),
            }
        }

        fn write(&mut self, out: &mut Outbox) -> io::Result<(usize, Ready)> {
            assert!(!self.sending_ended && !out.is_empty());
            let bytes = out.chunks().collect::<Vec<_>>().concat();
            let len = bytes.len().min(self.room);
            if len == 0 {
                return Err(ErrorKind::WouldBlock.into());
            }
            self.room -= len;
            self.to_client.extend(&bytes[..len]);
            out.advance(len);
            Ok((len, Ready::Perhaps))
        }

        fn end_sending(&mut self, _: Sent) -> io::Result<()> {
            assert!(!std::mem::replace(&mut self.sending_ended, true), "sending ends once");
            Ok(())
        }
    }

    #[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
    struct World {
        client: ClientConnection,
        layer: TlsLayer,
        wire: Wire,
        out: Outbox,
        /// What was sent and what has arrived, to the server and to the client.
        sent: [Vec<u8>; 2],
        arrived: [Vec<u8>; 2],
        is_secured: bool,
        /// `close_notify` of the client was read.
        has_ended: bool,
        failure: Option<RemoteError>,
        client_has_ended: bool,
        is_damaged: bool,
    }

    impl World {
        fn read(&mut self, room: usize) -> bool {
            if self.has_ended || self.failure.is_some() {
                return false;
            }
            let mut room = vec![0; room];
            match self.layer.over(&mut self.wire).read(&mut room, None) {
                Ok(Got::Secured(_, len, _)) => {
                    assert!(!std::mem::replace(&mut self.is_secured, true), "secured once");
                    self.arrived[0].extend(&room[..len]);
                }
                Ok(Got::Bytes(len, _)) => {
                    assert!(len > 0 && self.is_secured);
                    self.arrived[0].extend(&room[..len]);
                }
                Ok(Got::Nothing(..)) => {}
                Ok(Got::End) => self.has_ended = true,
                Ok(Got::Failed(error, _)) => self.failure = Some(error),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    return false;
                }
            }
            true
        }

        fn write(&mut self) -> bool {
            let need = self.layer.over(&mut self.wire).need();
            if need == Need::Nothing && (self.out.is_empty() || !self.is_secured) {
                return false;
            }
            match self.layer.over(&mut self.wire).write(&mut self.out) {
                Ok(_) => true,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::WouldBlock);
                    false
                }
            }
        }

        /// The client gets so many bytes.
        fn give(&mut self, len: usize) -> bool {
            let bytes: Vec<u8> = self.wire.to_client.drain(..len.min(self.wire.to_client.len())).collect();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                self.client.read_tls(&mut rest).expect("there is room");
                if let Err(error) = self.client.process_new_packets() {
                    assert!(self.is_damaged, "{error}");
                    return false;
                }
                match self.client.reader().read_to_end(&mut self.arrived[1]) {
                    Ok(_) => self.client_has_ended = true,
                    Err(error) => assert!(error.kind() == ErrorKind::WouldBlock || self.is_damaged, "{error}"),
                }
            }
            self.send();
            !bytes.is_empty()
        }

        /// What the client has for the server goes onto the wire.
        fn send(&mut self) {
            while self.client.wants_write() {
                self.client.write_tls(&mut self.wire.to_server).expect("the wire takes everything");
            }
        }

        fn settle(&mut self) {
            self.wire.room = usize::MAX;
            for _ in 0..TURNS_MAX {
                self.send();
                let moved = [self.read(4_096), self.write(), self.give(usize::MAX)];
                if moved == [false; 3] {
                    return;
                }
            }
            panic!("the sides work for ever");
        }
    }

    pub fn passes_on_every_byte(bytes: &[u8]) {
        let mut input = Input::new(bytes);
        if input.flag() {
            return takes_anything(&mut input);
        }
        let Sides { acceptor, client } = &*SIDES;
        let name = ServerName::try_from("localhost").expect("a name");
        let mut world = World {
            client: ClientConnection::new(Arc::clone(client), name).expect("nothing is wrong with it"),
            layer: acceptor.accept(),
            wire: Wire::default(),
            out: Outbox::new(),
            sent: Default::default(),
            arrived: Default::default(),
            is_secured: false,
            has_ended: false,
            failure: None,
            client_has_ended: false,
            is_damaged: false,
        };
        let (mut client_closes, mut server_closes) = (false, false);
        while !input.is_empty() {
            match input.below(10) {
                0 if !client_closes => {
                    let some = input.size() * input.size() % 40_000;
                    let some: Vec<u8> = (0..some).map(|n| n as u8).collect();
                    match world.client.writer().write(&some) {
                        Ok(taken) => world.sent[0].extend(&some[..taken]),
                        Err(error) => assert!(world.is_damaged, "{error}"),
                    }
                }
                1 => world.send(),
                2 => drop(world.read(1 + input.size() * 16)),
                3 if world.is_secured && !server_closes => {
                    let some: Vec<u8> = (0..input.size() * input.size()).map(|n| (n / 3) as u8).collect();
                    world.out.extend(&some);
                    world.sent[1].extend(&some);
                }
                4 => {
                    world.wire.room = input.size() * 8;
                    world.write();
                }
                5 => drop(world.give(input.size())),
                6 => drop(world.client.refresh_traffic_keys()),
                7 if world.is_secured && !client_closes => {
                    client_closes = true;
                    world.client.send_close_notify();
                }
                8 if !server_closes && world.is_secured && world.out.is_empty() => {
                    while world.layer.over(&mut world.wire).need() == Need::Write {
                        world.wire.room = usize::MAX;
                        world.write();
                    }
                    server_closes = true;
                    world.layer.over(&mut world.wire).end_sending(Sent::Whole).expect("nothing fails");
                }
                9 => {
                    let at = input.size();
                    if let Some(byte) = world.wire.to_server.get_mut(at) {
                        *byte ^= input.byte();
                        world.is_damaged = true;
                    }
                }
                _ => {}
            }
        }
        world.settle();
        for side in 0..2 {
            assert!(world.sent[side].starts_with(&world.arrived[side]), "side {side} gets what was sent, in order");
        }
        if world.is_damaged {
            return;
        }
        assert!(world.is_secured && world.failure.is_none());
        assert_eq!(world.sent[1], world.arrived[1], "nothing is missing");
        assert_eq!((world.client_has_ended, world.wire.sending_ended), (server_closes, server_closes), "the end comes after close_notify");
        // A server that has ended its side reads nothing for its session any more.
        if !server_closes {
            assert_eq!((&world.sent[0], world.has_ended), (&world.arrived[0], client_closes), "nothing is missing");
        }
        world.wire.is_ended = true;
        world.settle();
        let expected = (!client_closes && !server_closes).then_some(RemoteError::TlsTruncated);
        assert_eq!((world.failure, world.has_ended), (expected, expected.is_none()));
    }

    /// Bytes of a peer that is no client.
    fn takes_anything(input: &mut Input<'_>) {
        let layer = SIDES.acceptor.accept();
        let mut wire = Wire { room: usize::MAX, ..Wire::default() };
        let room = 1 + input.size() * 4;
        wire.to_server.extend(input.rest());
        wire.is_ended = true;
        let (mut room, mut failures) = (vec![0; room], 0);
        loop {
            match layer.over(&mut wire).read(&mut room, None) {
                Ok(Got::Nothing(..)) => {}
                Ok(Got::Failed(error, _)) => {
                    assert!(matches!(error, RemoteError::PlainHttp | RemoteError::BadTls), "{error}");
                    failures += 1;
                }
                Ok(Got::End) => break,
                other => panic!("a peer without a key gets {other:?}"),
            }
        }
        assert!(failures <= 1);
        while layer.over(&mut wire).need() == Need::Write {
            layer.over(&mut wire).write(&mut Outbox::new()).expect("there is room");
        }
    }
}

//! Compressed WebSocket messages: they inflate to what a naive inflater makes of them, within the limit, and an answer to an offer is valid
//! for that offer. A build without the feature has nothing to test.

#[cfg(feature = "deflate")]
pub(super) use on::{answers_are_valid, inflates_as_the_naive_inflater};

#[cfg(not(feature = "deflate"))]
pub(super) const fn answers_are_valid(_: &[u8]) {}
#[cfg(not(feature = "deflate"))]
pub(super) const fn inflates_as_the_naive_inflater(_: &[u8]) {}

#[cfg(feature = "deflate")]
mod on {
    use pushlab::Deflate;
    use pushlab::proto::http1::{Method, Version};
    use pushlab::proto::ws::{Conn, Event, FrameHead, HandshakePolicy, HandshakeRequest, Next, Opcode, OriginVerdict, mask, negotiate};
    use pushlab::proto::{Outbox, ProtocolLimits, RemoteError};

    use super::super::inflate::{Inflated, inflate};
    use super::super::input::{Cuts, Input};

    const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

    fn frame(fin: bool, opcode: Opcode, compressed: bool, payload: &[u8], wire: &mut Vec<u8>) {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        wire.extend_from_slice(&FrameHead { fin, compressed, ..FrameHead::client(opcode, payload.len() as u64, key) }.encode());
        let start = wire.len();
        wire.extend_from_slice(payload);
        mask::apply(key, 0, &mut wire[start..]);
    }

    /// What comes of the input: messages, and an error at the end.
    type Run = Vec<Result<Vec<u8>, RemoteError>>;

    fn run(mut wire: &[u8], mut cuts: Cuts<'_>, mut conn: Conn, limits: &ProtocolLimits) -> Run {
        let (mut out, mut seen, mut waiting) = (Outbox::new(), Vec::new(), Vec::new());
        while let Some(piece) = cuts.take(&mut wire) {
            waiting.extend_from_slice(piece);
            loop {
                match conn.next_event(&mut waiting, &mut out, limits) {
                    Ok((used, Next::Event(Event::Message(message)))) => {
                        assert!(message.as_bytes().len() <= limits.message_bytes);
                        seen.push(Ok(message.as_bytes().to_vec()));
                        waiting.drain(..used);
                    }
                    Ok((_, Next::Event(event))) => panic!("nobody has sent {event:?}"),
                    Ok((used, Next::NeedData)) => {
                        waiting.drain(..used);
                        break;
                    }
                    Err(error) => seen.push(Err(error)),
                }
            }
            assert!(conn.reader.capacity() <= 512 + limits.message_bytes, "{} bytes", conn.reader.capacity());
        }
        seen
    }

    fn agree(config: Deflate) -> Conn {
        Conn::with_agreement(config.agree([&b"permessage-deflate; client_max_window_bits"[..]]))
    }

    /// Bytes of any kind as one compressed message, in any fragments and cuts; or messages that this library compresses, with and without
    /// takeover, which come back as they were.
    pub(in super::super) fn inflates_as_the_naive_inflater(data: &[u8]) {
        let mut input = Input::new(data);
        let how = input.byte();
        let message_bytes = [200, 1, 5_000, 70_000][usize::from(how >> 1 & 3)];
        let limits = ProtocolLimits { message_bytes, message_fragments: 1_000, ..ProtocolLimits::default() };
        let cuts = input.cuts();
        if how & 1 == 1 {
            return comes_back(how & 8 == 8, cuts, &mut input);
        }
        let (mut wire, count) = (Vec::new(), input.below(4));
        let lens = input.bytes(count);
        let payload = input.rest();
        let mut rest = payload;
        for (nth, len) in lens.iter().enumerate() {
            let (now, later) = rest.split_at(rest.len().min((*len).into()));
            frame(false, if nth == 0 { Opcode::Binary } else { Opcode::Continuation }, nth == 0, now, &mut wire);
            rest = later;
        }
        frame(true, if lens.is_empty() { Opcode::Binary } else { Opcode::Continuation }, lens.is_empty(), rest, &mut wire);
        let seen = run(&wire, cuts, agree(Deflate::default()), &limits);
        assert_eq!(seen, run(&wire, Cuts::WHOLE, agree(Deflate::default()), &limits));

        let naive = inflate(&[payload, &TAIL].concat(), message_bytes);
        let [outcome] = &seen[..] else { panic!("one message, or one error") };
        match outcome {
            _ if payload.is_empty() => assert_eq!(*outcome, Ok(vec![])),
            Ok(bytes) => {
                let Inflated::Whole(expected) = naive else { panic!("{naive:?}, and not {} bytes", bytes.len()) };
                assert_eq!(*bytes, expected);
            }
            Err(RemoteError::MessageTooLarge) => {
                assert!(matches!(naive, Inflated::TooLarge) || payload.len() > 2 * message_bytes + 1024, "{naive:?}");
            }
            Err(RemoteError::BadCompression) => assert!(!matches!(naive, Inflated::Whole(_)), "{naive:?}"),
            Err(other) => panic!("{other}"),
        }
    }

    fn comes_back(keeps: bool, cuts: Cuts<'_>, input: &mut Input<'_>) {
        let config = Deflate {
            level: input.byte() % 10,
            threshold_bytes: input.below(8),
            server_context_takeover: keeps,
            client_context_takeover: keeps,
            server_max_window_bits: 9 + input.byte() % 7,
            ..Deflate::default()
        };
        let (mut sender, mut out, mut expected) = (agree(config), Outbox::new(), Vec::new());
        while !input.is_empty() {
            let times = 1 << input.below(9);
            let payload = input.some_bytes().repeat(times);
            sender.writer.send_binary(&payload, &mut out).expect("the socket is open");
            expected.push(Ok(payload));
        }
        let sent: Vec<u8> = out.chunks().flatten().copied().collect();
        let (mut wire, mut rest) = (Vec::new(), &sent[..]);
        while let [first, ..] = *rest {
            let plain = [&[first & !0x40][..], &rest[1..rest.len().min(14)]].concat();
            let (head_len, head) = FrameHead::decode(&plain).expect("valid").expect("whole");
            let (payload, after) = rest[head_len..].split_at(head.payload_len as usize);
            frame(true, head.opcode, first & 0x40 != 0, payload, &mut wire);
            rest = after;
        }
        let limits = ProtocolLimits { message_bytes: 255 * 256, ..ProtocolLimits::default() };
        assert_eq!(run(&wire, cuts.for_len(wire.len()), agree(config), &limits), expected);
    }

    /// An offer as an independent reading of it.
    #[derive(Debug, Default)]
    struct Offer {
        parameters: Vec<(String, Option<String>)>,
    }

    impl Offer {
        fn get(&self, name: &str) -> Option<&Option<String>> {
            self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value)
        }

        fn has(&self, name: &str) -> bool {
            self.get(name).is_some()
        }

        fn bits(&self, name: &str) -> Option<u32> {
            self.get(name)?.as_ref()?.parse().ok()
        }

        /// RFC 7692, section 7.1: the reasons to decline, and the one window that this server does not have.
        fn is_acceptable(&self) -> bool {
            let is_number = |value: &String| (8..=15).any(|bits: u32| bits.to_string() == *value);
            let is_valid = |(name, value): &(String, Option<String>)| match &name[..] {
                "server_no_context_takeover" | "client_no_context_takeover" => value.is_none(),
                "server_max_window_bits" => value.as_ref().is_some_and(is_number),
                "client_max_window_bits" => value.as_ref().is_none_or(is_number),
                _ => false,
            };
            let is_once = |(name, _): &(String, Option<String>)| self.parameters.iter().filter(|(other, _)| other == name).count() == 1;
            self.parameters.iter().all(|parameter| is_valid(parameter) && is_once(parameter))
                && self.bits("server_max_window_bits") != Some(8)
        }
    }

    /// Reads an element of a list: the name of an extension and its parameters.
    fn read(element: &str) -> (String, Offer) {
        let trim = |text: &str| text.trim_matches([' ', '\t']).to_owned();
        let mut parts = element.split(';').map(|part| match part.split_once('=') {
            None => (trim(part), None),
            Some((name, value)) => {
                let (value, mut plain, mut is_escaped) = (trim(value), String::new(), false);
                for character in value.chars() {
                    match character {
                        '\\' if !is_escaped => is_escaped = true,
                        '"' if !is_escaped => {}
                        other => {
                            plain.push(other);
                            is_escaped = false;
                        }
                    }
                }
                (trim(name), Some(plain))
            }
        });
        let (name, value) = parts.next().expect("a split has a first part");
        let name = if value.is_some() { String::new() } else { name };
        (name, Offer { parameters: parts.collect() })
    }

    /// Any offers to any server: the first acceptable one is accepted, with an answer that is valid for it.
    pub(in super::super) fn answers_are_valid(data: &[u8]) {
        let mut input = Input::new(data);
        let config = Deflate {
            level: input.byte(),
            threshold_bytes: input.size(),
            server_context_takeover: input.flag(),
            client_context_takeover: input.flag(),
            server_max_window_bits: input.byte(),
            client_max_window_bits: input.byte(),
        };
        let values: Vec<&[u8]> = input.rest().split(|byte| *byte == b'\n').collect();
        let _ = config.agree(values.iter().copied());
        let fields = [
            ("Upgrade", &b"websocket"[..]),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            ("Sec-WebSocket-Version", b"13"),
        ];
        let fields = fields.into_iter().chain(values.iter().map(|value| ("Sec-WebSocket-Extensions", *value)));
        let request = HandshakeRequest::from_fields(Method::Get, Version::Http11, fields);
        let policy = HandshakePolicy { origin: OriginVerdict::Allowed, protocols: &[], deflate: Some(config) };
        // A list that is no list is refused.
        let Ok(accept) = negotiate(&request, &policy) else { return };
        let list = values.iter().map(|value| str::from_utf8(value).expect("a valid list is ASCII")).collect::<Vec<_>>().join(",");
        let offers = list.split(',').map(read).filter(|(name, _)| name == "permessage-deflate");
        let acceptable = offers.map(|(_, offer)| offer).find(Offer::is_acceptable);
        let Some(agreement) = accept.deflate else { return assert!(acceptable.is_none(), "{acceptable:?} is declined") };
        let offer = acceptable.expect("something was accepted");
        let (name, answer) = read(&agreement.to_string());
        assert_eq!(name, "permessage-deflate");
        assert!(answer.is_acceptable(), "{answer:?}");
        assert!(!offer.has("server_no_context_takeover") || answer.has("server_no_context_takeover"));
        assert!(config.server_context_takeover || answer.has("server_no_context_takeover"));
        assert!(config.client_context_takeover || answer.has("client_no_context_takeover"));
        if let Some(most) = offer.bits("server_max_window_bits") {
            assert!(answer.bits("server_max_window_bits").is_some_and(|bits| bits <= most));
        }
        if answer.has("client_max_window_bits") {
            assert!(offer.has("client_max_window_bits"), "a client that does not offer it does not know it");
            assert!(
                answer.bits("client_max_window_bits").expect("an answer has a value") <= offer.bits("client_max_window_bits").unwrap_or(15)
            );
        }
        assert_eq!(agreement.server_context_takeover(), !answer.has("server_no_context_takeover"));
        assert_eq!(agreement.client_context_takeover(), !answer.has("client_no_context_takeover"));
        assert_eq!(u32::from(agreement.server_window_bits()), answer.bits("server_max_window_bits").unwrap_or(15));
        assert_eq!(u32::from(agreement.client_window_bits()), answer.bits("client_max_window_bits").unwrap_or(15));
    }
}

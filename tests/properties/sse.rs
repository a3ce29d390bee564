//! Server-sent events: hostile payloads through both directions, and the decoder against a naive one.

use std::time::Duration;

use pushlab::proto::RemoteError;
use pushlab::proto::sse::{Decoder, Event, comment};

use super::input::{Cuts, Input};

/// Event type, data, last event id.
pub(super) type Triple = (String, String, String);

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) events: Vec<Triple>,
    /// `None` after an error: how much of the input was seen by then depends on the cuts.
    pub(super) last_event_id: Option<String>,
    pub(super) retry: Option<Duration>,
    pub(super) error: Option<RemoteError>,
}

pub(super) fn decode(mut input: &[u8], mut cuts: Cuts<'_>, limit_bytes: usize) -> Stream {
    let (mut decoder, mut stream) = (Decoder::new(limit_bytes), Stream::default());
    while let Some(mut piece) = cuts.take(&mut input) {
        loop {
            match decoder.next_event(piece) {
                Ok((used, Some(event))) => {
                    assert!(0 < used && used <= piece.len());
                    assert!(event.data.len() <= limit_bytes);
                    stream.events.push((event.event.to_owned(), event.data.to_owned(), event.id.to_owned()));
                    piece = &piece[used..];
                }
                Ok((used, None)) => {
                    assert_eq!(used, piece.len(), "without an event, all input is consumed");
                    break;
                }
                Err(error) => {
                    assert_eq!(decoder.next_event(b"\n\ndata: more\n\n"), Err(error), "an error is for good");
                    return Stream { error: Some(error), ..stream };
                }
            }
        }
    }
    Stream { last_event_id: Some(decoder.last_event_id().to_owned()), retry: decoder.retry(), ..stream }
}

/// WHATWG HTML, section 9.2.6, word by word, over a whole stream.
pub(super) fn decode_naively(input: &[u8]) -> Stream {
    let text = String::from_utf8_lossy(input);
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text).replace("\r\n", "\n").replace('\r', "\n");
    let (mut stream, mut data, mut event, mut id) = (Stream::default(), String::new(), String::new(), String::new());
    let mut last_event_id = String::new();
    let mut lines: Vec<_> = text.split('\n').collect();
    lines.pop();
    for line in lines {
        if line.is_empty() {
            last_event_id.clone_from(&id);
            if let Some(data) = data.strip_suffix('\n') {
                let event = if event.is_empty() { "message" } else { &event };
                stream.events.push((event.to_owned(), data.to_owned(), last_event_id.clone()));
            }
            data.clear();
            event.clear();
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data.extend([value, "\n"]),
            "event" => value.clone_into(&mut event),
            "id" if !value.contains('\0') => value.clone_into(&mut id),
            "retry" if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) => {
                stream.retry = Some(Duration::from_millis(value.parse().unwrap_or(u64::MAX)));
            }
            _ => {}
        }
    }
    Stream { last_event_id: Some(last_event_id), ..stream }
}

/// Bytes of any kind: the same events whole, in pieces, and by the naive decoder.
pub(super) fn decodes_as_the_naive_decoder(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let limit_bytes = if input.flag() { 1 + input.size() } else { usize::MAX / 2 };
    let bytes = input.rest();
    let whole = decode(bytes, Cuts::WHOLE, limit_bytes);
    assert_eq!(decode(bytes, cuts, limit_bytes), whole);
    let naive = decode_naively(bytes);
    if whole.error.is_none() {
        assert_eq!(whole, naive);
    } else {
        assert!(naive.events.starts_with(&whole.events));
    }
}

/// Events and comments with anything in them: what is accepted comes back equal, but for the line ends of payloads.
pub(super) fn comes_back_as_it_went(data: &[u8]) {
    let mut input = Input::new(data);
    let cuts = input.cuts();
    let (mut wire, mut expected, mut last_id, mut retry) = (Vec::new(), Vec::new(), String::new(), None);
    while !input.is_empty() {
        let what = input.byte();
        let (with_data, with_name, with_id, with_retry) = (what & 1 == 0, what & 2 != 0, what & 4 != 0, what & 8 != 0);
        if what & 0x70 == 0x70 {
            comment(&input.text(), &mut wire);
            continue;
        }
        let payload = if with_data { input.text() } else { String::new() };
        let name = if with_name { input.text() } else { String::new() };
        let id = if with_id { input.text() } else { String::new() };
        let millis = if with_retry { u64::from(input.byte()) * 1_000 } else { 0 };
        let mut event = if with_data { Event::data(&payload) } else { Event::without_data() };
        event = if with_name { event.event(&name) } else { event };
        event = if with_id { event.id(&id) } else { event };
        event = if with_retry { event.retry(Duration::from_millis(millis)) } else { event };
        let before = wire.len();
        let is_bad = name.contains(['\r', '\n']) || id.contains(['\r', '\n', '\0']);
        assert_eq!(event.encode(&mut wire).is_err(), is_bad, "{event:?}");
        if is_bad {
            assert_eq!(wire.len(), before, "nothing of a refused event is written");
            continue;
        }
        retry = if with_retry { Some(Duration::from_millis(millis)) } else { retry };
        last_id = if with_id { id } else { last_id };
        if with_data {
            let kind = if name.is_empty() { "message".to_owned() } else { name };
            expected.push((kind, payload.replace("\r\n", "\n").replace('\r', "\n"), last_id.clone()));
        }
    }
    let stream = Stream { events: expected, last_event_id: Some(last_id), retry, error: None };
    assert_eq!(decode(&wire, Cuts::WHOLE, usize::MAX / 2), stream);
    assert_eq!(decode(&wire, cuts, usize::MAX / 2), stream);
}

//! A record as the headers and the body of a STOMP message.
//!
//! Owns the names of the headers. Leaves destinations and positions to the engines.
//!
//! | header | value |
//! |---|---|
//! | `pushlab-topic` | the name of the topic |
//! | `pushlab-event` | the name of the event, if there is one |
//! | `pushlab-kind` | `text` or `binary` |
//! | `pushlab-origin` | the hub that published, as a hexadecimal number |
//! | `pushlab-number` | the number of the message among those of its origin |
//! | `pushlab-after` | the sequence number that the origin had reached |
//! | `pushlab-sent` | the Unix time in milliseconds |
//!
//! The body is the payload. A program that is not a hub may publish, too: `pushlab-topic` is enough.
//! Its messages have no origin, so each of them counts.

use super::client::OwnedFrame;
use crate::proto::stomp::FrameWriter;
use crate::push::log::record::Record;
use crate::push::model::{Payload, check_topic_name, is_valid_name};

/// Appends the headers of a record.
pub(super) fn write<'a>(frame: FrameWriter<'a>, record: &Record) -> FrameWriter<'a> {
    let kind = if record.payload.is_text() { "text" } else { "binary" };
    let frame = frame
        .header("pushlab-topic", &record.topic)
        .header("pushlab-kind", kind)
        .header("pushlab-origin", &format!("{:x}", record.origin))
        .header("pushlab-number", &record.number.to_string())
        .header("pushlab-after", &record.after.to_string())
        .header("pushlab-sent", &record.sent_ms.to_string());
    match record.payload.event_name() {
        Some(event) => frame.header("pushlab-event", event),
        None => frame,
    }
}

/// Reads a record. `None` if the message is not one of a hub, or if it has a value that no hub
/// writes: then all hubs pass over it.
pub(super) fn read(frame: OwnedFrame, now_ms: u64) -> Option<Record> {
    let topic = frame.header("pushlab-topic").filter(|topic| check_topic_name(topic).is_ok())?.into();
    let event = frame.header("pushlab-event").map(str::to_owned);
    if event.as_ref().is_some_and(|event| !is_valid_name(event) || event == "gap") {
        return None;
    }
    let number_in = |name| frame.header(name).map_or(Ok(0), str::parse).ok();
    let origin = frame.header("pushlab-origin").map_or(Ok(Record::NO_ORIGIN), |text| u64::from_str_radix(text, 16)).ok()?;
    let (number, after) = (number_in("pushlab-number")?, number_in("pushlab-after")?);
    let sent_ms = frame.header("pushlab-sent").map_or(Ok(now_ms), str::parse).ok()?;
    let is_text = match frame.header("pushlab-kind") {
        Some("text") => true,
        Some("binary") => false,
        Some(_) => return None,
        None => std::str::from_utf8(&frame.body).is_ok(),
    };
    let payload = if is_text { Payload::text(String::from_utf8(frame.body).ok()?) } else { Payload::binary(frame.body) };
    let payload = match event {
        Some(event) => payload.event(event),
        None => payload,
    };
    Some(Record { origin, number, after, sent_ms, topic, payload })
}

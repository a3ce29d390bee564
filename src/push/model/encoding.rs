//! The form in which one subscriber receives messages and gaps.
//!
//! Owns the choice between the shared forms, a form with the subscriber's callback or subscription,
//! and an encoding of the application. Leaves the bytes of the hub's own forms to `topic_message`.

use std::hash::{Hash, Hasher};
use std::ptr::fn_addr_eq;
use std::sync::Arc;

use super::envelope::Gap;
use super::stomp_form::StompForm;
use super::topic_message::TopicMessage;
use super::wire_form::SharedForm;
use crate::proto::Frame;
use crate::session::LastWord;

/// How a technique of an application encodes what it sends.
///
/// The functions make the frames of the connection's kind: [`Frame::chunk`] for a stream,
/// [`Frame::text`] or [`Frame::binary`] for a WebSocket. A publish calls `message` while it holds the
/// hub's lock: the function must not call the hub, must not panic, and every publisher waits for it.
///
/// ```
/// use pushlab::Frame;
/// use pushlab::push::Encoding;
/// /// One line for each message. Three dots stand for a gap, and a comment is the last word.
/// const LINES: Encoding = Encoding {
///     message: |message| Frame::chunk(&[message.bytes(), b"\n"].concat()),
///     gap: Some(|_| Frame::chunk(b"...\n")),
///     end: Some(|word| Frame::chunk(format!("# {}\n", word.sentence()).as_bytes())),
/// };
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    /// Encodes a message. The hub calls it once for a publish and all subscribers of one topic with
    /// this function, and once for each missed message that one subscriber receives.
    pub message: fn(&TopicMessage) -> Frame,
    /// Encodes a gap. `None` if the format cannot express one. Then a gap that opens before the
    /// client has received all missed messages ends the stream, and messages that the slow-consumer
    /// policy drops are counted only.
    pub gap: Option<fn(Gap) -> Frame>,
    /// Encodes the last word of a hub or a server that ends the connection on purpose. `None` if the
    /// format cannot express one, and for a WebSocket whose close frame says it.
    pub end: Option<fn(&LastWord) -> Frame>,
}

/// Encodes a message in the format of an application.
pub(crate) type EncodeMessage = fn(&TopicMessage) -> Frame;

/// An encoding of the application, which is told from others by its address. Two addresses of one
/// function would only make two forms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnForm(pub(crate) EncodeMessage);

impl PartialEq for OwnForm {
    fn eq(&self, other: &Self) -> bool {
        fn_addr_eq(self.0, other.0)
    }
}

impl Eq for OwnForm {}

impl Hash for OwnForm {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        (self.0 as usize).hash(hasher);
    }
}

/// The form in which one subscriber receives messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum WireForm {
    /// All subscribers with this form receive the same bytes.
    Shared(SharedForm),
    /// A script element that calls the function of this name.
    Script(Arc<str>),
    /// MESSAGE frames of a STOMP subscription.
    Stomp(Arc<StompForm>),
    /// An encoding of the application.
    Own(OwnForm),
}

impl WireForm {
    /// A message in this form. `boundary` is the hub's boundary of multipart parts.
    pub(crate) fn encode(&self, message: &TopicMessage, boundary: &str) -> Frame {
        match self {
            Self::Shared(form) => message.shared_frame(*form, boundary).clone(),
            Self::Script(callback) => message.script(callback),
            Self::Stomp(form) => message.stomp(form),
            Self::Own(OwnForm(encode)) => encode(message),
        }
    }
}

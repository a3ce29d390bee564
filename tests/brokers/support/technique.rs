//! The techniques of the clients.
//!
//! Owns their list and the target of each request. Leaves reading to `reader`.

use pushlab::push::Id;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Technique {
    Poll,
    LongPoll,
    /// A long poll as a script.
    Jsonp,
    Stream,
    Events,
    JsonEvents,
    Iframe,
    Multipart,
    WebSocket,
    Stomp,
}

impl Technique {
    pub(crate) const ALL: [Self; 10] = [
        Self::Poll,
        Self::LongPoll,
        Self::Jsonp,
        Self::Stream,
        Self::Events,
        Self::JsonEvents,
        Self::Iframe,
        Self::Multipart,
        Self::WebSocket,
        Self::Stomp,
    ];

    /// The target of a request that continues behind a cursor.
    pub(crate) fn target(self, topic: &str, cursor: Id) -> String {
        let path = match self {
            Self::Poll => "poll?",
            Self::LongPoll => "long-poll?wait=25&",
            Self::Jsonp => "long-poll?wait=25&callback=f&",
            Self::Stream => "stream?",
            Self::Events => "events?",
            Self::JsonEvents => "events?format=json&",
            Self::Iframe => "iframe?callback=f&",
            Self::Multipart => "multipart?",
            Self::WebSocket => "ws?",
            Self::Stomp => return "/stomp".to_owned(),
        };
        format!("/topics/{topic}/{path}after={cursor}")
    }

    pub(crate) const fn is_poll(self) -> bool {
        matches!(self, Self::Poll | Self::LongPoll | Self::Jsonp)
    }
}

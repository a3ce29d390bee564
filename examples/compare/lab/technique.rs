//! The techniques of the hub, seen from a client.
//!
//! Owns their names, and the requests with the fields that a browser sends. Leaves reading the
//! answers to `decode`, and when to ask to `subscribers`.

use std::fmt;
use std::time::Duration;

use pushlab::push::Id;

use super::wire::get;

/// What Chrome sends with every request, on Windows, over https. The cookie stands for a login.
const BROWSER: &str = "Connection: keep-alive\r\n\
    sec-ch-ua-platform: \"Windows\"\r\n\
    User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    sec-ch-ua: \"Chromium\";v=\"140\", \"Not=A?Brand\";v=\"24\", \"Google Chrome\";v=\"140\"\r\n\
    sec-ch-ua-mobile: ?0\r\n\
    Sec-Fetch-Site: same-origin\r\n\
    Referer: https://compare.test/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n";
/// What Chrome sends with a WebSocket handshake. Compression is not offered. The key is that of RFC
/// 6455, section 1.3.
const HANDSHAKE: &str = "Connection: Upgrade\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    User-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n\
    Upgrade: websocket\r\n\
    Origin: http://compare.test\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// How a client receives messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Technique {
    MetaRefresh,
    Poll,
    /// Short polling by script elements.
    Jsonp,
    LongPoll,
    /// Long polling by script elements.
    JsonpLongPoll,
    Stream,
    Iframe,
    Multipart,
    Events,
    WebSocket,
}

/// When a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// At intervals.
    Short,
    /// As soon as the request before was answered.
    Long,
    /// Once: the answer does not end.
    Stream,
}

/// The form of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The technique's own default.
    Usual,
    /// The bare payload. Answers to polls have one message each.
    Raw,
}

impl Technique {
    pub(crate) const ALL: [Self; 10] = [
        Self::MetaRefresh,
        Self::Poll,
        Self::Jsonp,
        Self::LongPoll,
        Self::JsonpLongPoll,
        Self::Stream,
        Self::Iframe,
        Self::Multipart,
        Self::Events,
        Self::WebSocket,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::MetaRefresh => "meta refresh",
            Self::Poll => "short polling",
            Self::Jsonp => "JSONP polling",
            Self::LongPoll => "long polling",
            Self::JsonpLongPoll => "JSONP long polling",
            Self::Stream => "streaming",
            Self::Iframe => "hidden frame",
            Self::Multipart => "multipart",
            Self::Events => "SSE",
            Self::WebSocket => "WebSocket",
        }
    }

    /// The name under which the hub counts the technique's subscribers.
    pub(crate) const fn counted_as(self) -> &'static str {
        match self {
            Self::MetaRefresh => "page",
            Self::Poll => "poll",
            Self::Jsonp | Self::JsonpLongPoll => "jsonp",
            Self::LongPoll => "long-poll",
            Self::Stream => "stream",
            Self::Iframe => "iframe",
            Self::Multipart => "multipart",
            Self::Events => "events",
            Self::WebSocket => "ws",
        }
    }

    pub(crate) const fn kind(self) -> Kind {
        match self {
            Self::MetaRefresh | Self::Poll | Self::Jsonp => Kind::Short,
            Self::LongPoll | Self::JsonpLongPoll => Kind::Long,
            Self::Stream | Self::Iframe | Self::Multipart | Self::Events | Self::WebSocket => Kind::Stream,
        }
    }

    /// A request for the messages after `cursor`, or from now on.
    pub(crate) fn request(self, form: Form, topic: &str, cursor: Option<Id>, wait: Duration) -> Vec<u8> {
        let after = cursor.map_or_else(String::new, |id| format!("&after={id}"));
        let wait = wait.as_secs();
        let path = match self {
            Self::MetaRefresh => format!("page?every=1{after}"),
            Self::Poll => "poll?".to_owned(),
            Self::Jsonp => format!("poll?callback=f{after}"),
            Self::LongPoll => format!("long-poll?wait={wait}{after}"),
            Self::JsonpLongPoll => format!("long-poll?callback=f&wait={wait}{after}"),
            Self::Stream => format!("stream?{after}"),
            Self::Iframe => format!("iframe?callback=f{after}"),
            Self::Multipart => format!("multipart?{after}"),
            Self::Events => "events?".to_owned(),
            Self::WebSocket => format!("ws?{after}"),
        };
        let raw = if form == Form::Raw { "&format=raw" } else { "" };
        let target = format!("/topics/{topic}/{path}{raw}").replace("?&", "?");
        get(target.trim_end_matches('?'), &self.fields(cursor))
    }

    fn fields(self, cursor: Option<Id>) -> String {
        let fetch = |accept: &str, mode: &str, dest: &str| {
            format!("{BROWSER}Accept: {accept}\r\nSec-Fetch-Mode: {mode}\r\nSec-Fetch-Dest: {dest}\r\n")
        };
        let with = |name: &str, quote: &str| cursor.map_or_else(String::new, |id| format!("{name}: {quote}{id}{quote}\r\n"));
        let document = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8";
        match self {
            Self::MetaRefresh => fetch(document, "navigate", "document") + "Upgrade-Insecure-Requests: 1\r\n",
            Self::Iframe => fetch(document, "navigate", "iframe") + "Upgrade-Insecure-Requests: 1\r\n",
            Self::Jsonp | Self::JsonpLongPoll => fetch("*/*", "no-cors", "script"),
            Self::Poll => fetch("*/*", "cors", "empty") + &with("If-None-Match", "\""),
            Self::LongPoll | Self::Stream => fetch("*/*", "cors", "empty"),
            Self::Multipart => fetch("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", "no-cors", "image"),
            Self::Events => fetch("text/event-stream", "cors", "empty") + "Cache-Control: no-cache\r\n" + &with("Last-Event-ID", ""),
            Self::WebSocket => HANDSHAKE.to_owned(),
        }
    }
}

impl fmt::Display for Technique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_its_cursor_where_the_technique_puts_it() {
        let id: Id = "ab-7".parse().unwrap();
        let first_line = |technique: Technique, form, cursor| {
            let request = String::from_utf8(technique.request(form, "t", cursor, Duration::from_secs(25))).unwrap();
            request.lines().next().unwrap().to_owned()
        };
        assert_eq!(first_line(Technique::Poll, Form::Usual, Some(id)), "GET /topics/t/poll HTTP/1.1");
        assert_eq!(first_line(Technique::Poll, Form::Raw, None), "GET /topics/t/poll?format=raw HTTP/1.1");
        assert_eq!(first_line(Technique::LongPoll, Form::Usual, Some(id)), "GET /topics/t/long-poll?wait=25&after=ab-7 HTTP/1.1");
        assert_eq!(first_line(Technique::WebSocket, Form::Usual, None), "GET /topics/t/ws HTTP/1.1");
        assert_eq!(first_line(Technique::WebSocket, Form::Raw, Some(id)), "GET /topics/t/ws?after=ab-7&format=raw HTTP/1.1");
        let fields = |technique: Technique| String::from_utf8(technique.request(Form::Usual, "t", Some(id), Duration::ZERO)).unwrap();
        assert!(fields(Technique::Poll).contains("\r\nIf-None-Match: \"ab-7\"\r\n"));
        assert!(fields(Technique::Events).contains("\r\nLast-Event-ID: ab-7\r\n"));
    }
}

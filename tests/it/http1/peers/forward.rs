//! What a forwarder understands of requests, and what it would send on.

use pushlab::proto::http1::{Content, Head};

use super::Seen;
use crate::http1::smuggling::{End, Whole, accepted_as, is_framing};

/// A request that the library has accepted, with what it says about it.
#[derive(Debug)]
pub struct Understood {
    pub seen: Seen,
    /// Path and query.
    resource: String,
    /// The authority that it is for.
    host: String,
    content: Content,
    expects_continue: bool,
    /// Where it ends in the input.
    pub end: usize,
}

/// The requests that the library accepts whole.
pub fn understand(input: &[u8]) -> (Vec<Understood>, End) {
    let (requests, end) = accepted_as(input, |head: &Head<'_>| {
        let fields = head.fields().map(|(name, value)| (name.to_owned(), value.to_vec()));
        Understood {
            seen: Seen::new(head.method().as_str(), head.target(), fields, Vec::new()),
            resource: head.query().map_or(head.path().to_owned(), |query| format!("{}?{query}", head.path())),
            host: head.host().unwrap_or_default().to_owned(),
            content: head.content(),
            expects_continue: head.expects_continue(),
            end: 0,
        }
    });
    let with_body = |Whole { mut head, body, end }: Whole<Understood>| {
        head.seen.body = body;
        Understood { end, ..head }
    };
    (requests.into_iter().map(with_body).collect(), end)
}

/// How a forwarder says where a body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In the way of the client.
    Kept,
    /// With a length, also when there is no body.
    Length,
    /// In chunks, also when there is no body.
    Chunked,
}

pub const FRAMINGS: [Framing; 3] = [Framing::Kept, Framing::Length, Framing::Chunked];

/// Fields that are about one connection alone (RFC 9110, section 7.6.1), and `Expect`, which is written anew.
const DROPPED: [&str; 6] = ["connection", "expect", "keep-alive", "proxy-connection", "te", "upgrade"];

/// Writes a request as a gateway sends it to the server behind: its own version (RFC 9110, section 2.5), the origin form and a `Host` that
/// says what the target said (RFC 9112, section 3.2.2), its own framing. Returns what is to be seen there.
pub fn forward(request: &Understood, framing: Framing, wire: &mut Vec<u8>) -> Seen {
    let Understood { seen: Seen { method, fields: received, body, .. }, resource, host, .. } = request;
    let options: Vec<_> = received.iter().filter(|(name, _)| name == "connection").map(|(_, value)| value.to_ascii_lowercase()).collect();
    let is_option =
        |name: &str| options.iter().any(|list| list.split(|byte| *byte == b',').any(|option| option.trim_ascii() == name.as_bytes()));
    let is_kept = |name: &str| name != "host" && !DROPPED.contains(&name) && !is_framing(name) && !is_option(name);

    let mut fields = vec![("host".to_owned(), host.clone().into_bytes())];
    fields.extend(received.iter().filter(|(name, _)| is_kept(name)).cloned());
    if request.expects_continue {
        fields.push(("expect".to_owned(), b"100-continue".to_vec()));
    }
    let is_chunked = match framing {
        Framing::Kept => request.content == Content::Chunked,
        Framing::Length => false,
        Framing::Chunked => true,
    };
    if is_chunked {
        fields.push(("transfer-encoding".to_owned(), b"chunked".to_vec()));
    } else if framing == Framing::Length || request.content != Content::None {
        fields.push(("content-length".to_owned(), body.len().to_string().into_bytes()));
    }
    wire.extend(format!("{method} {resource} HTTP/1.1\r\n").into_bytes());
    for (name, value) in &fields {
        wire.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    wire.extend(b"\r\n");
    if is_chunked {
        // Two chunks, so that a border is somewhere.
        let (first, second) = body.split_at(body.len() / 2);
        for chunk in [first, second].into_iter().filter(|chunk| !chunk.is_empty()) {
            wire.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        wire.extend(b"0\r\n\r\n");
    } else {
        wire.extend(body);
    }
    Seen::new(method, resource, fields.into_iter(), body.clone())
}

//! What proxies write about the requests that they forward (RFC 7239; `X-Forwarded-For`).
//!
//! Owns the grammar of one value of `Forwarded`, and of one address in `X-Forwarded-For`, which has
//! no standard. Leaves the question which proxies are believed to the session.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Scheme;
use super::syntax::{is_token_byte, is_value_byte, trim};

/// A node: a client or a proxy, as the next proxy names it (RFC 7239, section 6).
///
/// ```
/// use pushlab::proto::http1::Node;
/// let node = |text: &str| Node::parse(text.as_bytes());
/// assert_eq!(node("192.0.2.43:47011"), Some(Node::Ip { ip: "192.0.2.43".parse()?, port: Some(47011) }));
/// assert_eq!(node("[2001:db8::17]"), Some(Node::Ip { ip: "2001:db8::17".parse()?, port: None }));
/// assert_eq!(node("_gazonk"), Some(Node::Obfuscated("_gazonk".to_owned())));
/// assert_eq!(node("unknown"), Some(Node::Unknown));
/// assert_eq!(node("2001:db8::17"), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Node {
    /// An address. An IPv4-mapped address is the IPv4 address.
    Ip {
        /// The address.
        ip: IpAddr,
        /// The port; `None` if it is not given, hidden, or not a port of TCP.
        port: Option<u16>,
    },
    /// A name that the proxy has made up, with its underscore (section 6.3).
    Obfuscated(String),
    /// The proxy does not know the node, or does not tell (section 6.2). A value that is not a node
    /// counts as this.
    Unknown,
}

impl Node {
    /// Reads a node. `None` if the text is not one.
    pub fn parse(text: &[u8]) -> Option<Node> {
        let text = std::str::from_utf8(text).ok()?;
        // Colons inside the brackets of an IPv6 address belong to the address.
        let (name, port) = match text.rsplit_once(':') {
            Some((name, port)) if !port.contains(']') => (name, Some(port)),
            _ => (text, None),
        };
        if port.is_some_and(|port| !is_node_port(port)) {
            return None;
        }
        let address = |ip: IpAddr| Node::Ip { ip: ip.to_canonical(), port: port.and_then(|port| port.parse().ok()) };
        if let Some(inner) = name.strip_prefix('[') {
            let ip = inner.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?;
            return Some(address(ip.into()));
        }
        if name.eq_ignore_ascii_case("unknown") {
            return Some(Node::Unknown);
        }
        if is_obfuscated(name) {
            return Some(Node::Obfuscated(name.to_owned()));
        }
        name.parse::<Ipv4Addr>().ok().map(|ip| address(ip.into()))
    }

    /// Reads one element of `X-Forwarded-For`. Beside the nodes of RFC 7239, this is an IPv6 address
    /// without brackets, as most proxies write it. Any other text is [`Unknown`](Self::Unknown).
    ///
    /// ```
    /// use pushlab::proto::http1::Node;
    /// assert_eq!(Node::of_x_forwarded_for(b"2001:db8::17"), Node::Ip { ip: "2001:db8::17".parse()?, port: None });
    /// assert_eq!(Node::of_x_forwarded_for(b"<script>"), Node::Unknown);
    /// # Ok::<(), std::net::AddrParseError>(())
    /// ```
    pub fn of_x_forwarded_for(text: &[u8]) -> Node {
        let bare = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Ipv6Addr>().ok());
        match bare {
            Some(ip) => Node::Ip { ip: IpAddr::from(ip).to_canonical(), port: None },
            None => Node::parse(text).unwrap_or(Node::Unknown),
        }
    }
}

/// `node-port`: one to five digits, or an underscore and at least one character of a name that was
/// made up.
fn is_node_port(text: &str) -> bool {
    (1..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) || is_obfuscated(text)
}

/// `obfnode` and `obfport`.
fn is_obfuscated(text: &str) -> bool {
    text.strip_prefix('_')
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')))
}

/// The scheme that a proxy names. A WebSocket has the scheme of its handshake: some proxies write
/// `wss` for `https` there. `None` for other schemes, which this server does not speak.
///
/// ```
/// use pushlab::proto::http1::{Scheme, forwarded_scheme};
/// assert_eq!(forwarded_scheme(b"HTTPS"), Some(Scheme::Https));
/// assert_eq!(forwarded_scheme(b"ftp"), None);
/// ```
pub fn forwarded_scheme(text: &[u8]) -> Option<Scheme> {
    let is = |name: &[u8]| text.eq_ignore_ascii_case(name);
    match () {
        () if is(b"https") || is(b"wss") => Some(Scheme::Https),
        () if is(b"http") || is(b"ws") => Some(Scheme::Http),
        () => None,
    }
}

/// One element of `Forwarded`: what one proxy says about the request that it received.
///
/// ```
/// use pushlab::proto::http1::{ForwardedElement, Node, Scheme};
/// let list = ForwardedElement::parse_list(br#"for="_secret", for=192.0.2.43;proto=https;host="push.example:8443""#).expect("a list");
/// assert_eq!(list[0].node, Some(Node::Obfuscated("_secret".to_owned())));
/// assert_eq!((list[1].proto, list[1].host.as_deref()), (Some(Scheme::Https), Some(&b"push.example:8443"[..])));
/// assert_eq!(ForwardedElement::parse_list(b"for=\"192.0.2.43"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardedElement<'a> {
    /// `for`: the node that sent the request to the proxy.
    pub node: Option<Node>,
    /// `proto`: the scheme of the request. `None` if it is absent, or if this server does not speak
    /// it.
    pub proto: Option<Scheme>,
    /// `host`: the `Host` of the request, as the proxy received it. It is not checked.
    pub host: Option<Cow<'a, [u8]>>,
}

impl<'a> ForwardedElement<'a> {
    /// Reads the value of one `Forwarded` field (section 4). Elements without any byte are left out
    /// (RFC 9110, section 5.6.1.2). Returns `None` if any part breaks the grammar, because the
    /// bounds of the other elements are then uncertain: a quotation mark that one sender left open
    /// would hide what the next one has added.
    ///
    /// White space around a semicolon is allowed, although the RFC does not have it: senders write
    /// it. Parameters that this type does not have must be well-formed, and are ignored.
    pub fn parse_list(value: &'a [u8]) -> Option<Vec<Self>> {
        let (mut list, mut rest) = (Vec::new(), value);
        loop {
            rest = trim(rest);
            match rest {
                [] => return Some(list),
                [b',', behind @ ..] => rest = behind,
                _ => {
                    let (element, behind) = Self::parse(rest)?;
                    list.push(element);
                    rest = behind;
                }
            }
        }
    }

    /// Reads one element, which has at least one byte. Returns it and the rest, which is empty or
    /// begins with a comma.
    fn parse(mut rest: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let mut element = Self::default();
        let mut seen: Vec<&[u8]> = Vec::new();
        loop {
            rest = trim(rest);
            match rest {
                [] | [b',', ..] => return Some((element, rest)),
                [b';', behind @ ..] => rest = behind,
                _ => {
                    let Pair { name, value, behind } = Pair::parse(rest)?;
                    // "Each parameter MUST NOT occur more than once per field-value" (section 4).
                    if seen.iter().any(|other| name.eq_ignore_ascii_case(other)) {
                        return None;
                    }
                    seen.push(name);
                    element.set(name, value)?;
                    rest = behind;
                    // A comma, a semicolon or the end must follow a pair.
                    if !matches!(trim(rest), [] | [b',' | b';', ..]) {
                        return None;
                    }
                }
            }
        }
    }

    fn set(&mut self, name: &[u8], value: Cow<'a, [u8]>) -> Option<()> {
        if name.eq_ignore_ascii_case(b"for") {
            self.node = Some(Node::parse(&value)?);
        } else if name.eq_ignore_ascii_case(b"by") {
            Node::parse(&value)?;
        } else if name.eq_ignore_ascii_case(b"proto") {
            self.proto = forwarded_scheme(&value);
        } else if name.eq_ignore_ascii_case(b"host") {
            self.host = Some(value);
        }
        Some(())
    }
}

/// `token "=" value`, where a value is a token or a quoted string.
struct Pair<'a> {
    name: &'a [u8],
    value: Cow<'a, [u8]>,
    /// The text behind the pair.
    behind: &'a [u8],
}

impl<'a> Pair<'a> {
    fn parse(text: &'a [u8]) -> Option<Self> {
        let (name, rest) = token(text)?;
        let rest = rest.strip_prefix(b"=")?;
        let (value, behind) = match rest.strip_prefix(b"\"") {
            Some(rest) => quoted(rest)?,
            None => token(rest).map(|(value, behind)| (Cow::Borrowed(value), behind))?,
        };
        Some(Self { name, value, behind })
    }
}

/// Splits a token off the front. Returns the token, which is not empty, and the rest.
fn token(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = text.iter().position(|&byte| !is_token_byte(byte)).unwrap_or(text.len());
    (len > 0).then(|| text.split_at(len))
}

/// The value of a quoted string behind its first quotation mark, and the rest behind its last one.
/// The byte after a backslash stands for itself (RFC 9110, section 5.6.4).
fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut value = Cow::Borrowed(&b""[..]);
    let mut from = 0;
    let mut at = 0;
    loop {
        match text[at..] {
            [b'"', ..] => {
                append(&mut value, &text[from..at]);
                return Some((value, &text[at + 1..]));
            }
            [b'\\', byte, ..] if is_value_byte(byte) => {
                append(&mut value, &text[from..at]);
                from = at + 1;
                at += 2;
            }
            [byte, ..] if byte != b'\\' && is_value_byte(byte) => at += 1,
            _ => return None,
        }
    }
}

/// Appends a piece. The first piece is not copied.
fn append<'a>(value: &mut Cow<'a, [u8]>, piece: &'a [u8]) {
    match value {
        Cow::Borrowed([]) => *value = Cow::Borrowed(piece),
        _ if piece.is_empty() => {}
        _ => value.to_mut().extend_from_slice(piece),
    }
}

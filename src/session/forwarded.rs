//! What a request says about its client once trusted proxies are taken away.
//!
//! Owns the walk over the proxies (RFC 7239, section 7.4: a list is read from its end, as far as its
//! writers are trusted), and the scheme and the host that the other rules use. Leaves the trust
//! list to `forwarding`, and the grammar to `proto::http1`.

use std::borrow::Cow;
use std::net::IpAddr;

use super::authority::Authority;
use super::caller::Caller;
use super::forwarding::{Forwarding, ForwardingField};
use crate::proto::http1::{ForwardedElement, Head, Node, Scheme, forwarded_scheme};

/// The client, the scheme and the host of a request, as far as they can be believed.
#[derive(Clone, Debug)]
pub(super) struct Forwarded<'a> {
    /// The node for which the outermost trusted proxy forwards. `None` if no trusted proxy has
    /// forwarded the request, or if none names its client.
    pub(super) node: Option<Node>,
    /// The scheme with which the client sent the request.
    pub(super) scheme: Scheme,
    host: Host<'a>,
}

/// The host that the client named.
#[derive(Clone, Debug)]
enum Host<'a> {
    /// The host that the head names. It is read when something asks for it: most handlers do not,
    /// and the check for UTF-8 is a hundred instructions.
    OfHead,
    /// The host that a trusted proxy forwards. `None` if its value is not a host.
    Forwarded(Option<Cow<'a, str>>),
}

impl<'a> Forwarded<'a> {
    #[inline]
    pub(super) fn of(head: &Head<'a>, caller: Caller<'_>, forwarding: &Forwarding) -> Self {
        let direct = Self { node: None, scheme: caller.scheme(), host: Host::OfHead };
        if !forwarding.trusts(caller.peer()) {
            return direct;
        }
        direct.by_proxies(head, forwarding)
    }

    fn by_proxies(self, head: &Head<'a>, forwarding: &Forwarding) -> Self {
        let forwarded = || head.field_values(ForwardingField::Forwarded.name());
        if forwarding.reads(ForwardingField::Forwarded) && forwarded().next().is_some() {
            self.by_forwarded(forwarded(), forwarding)
        } else {
            self.by_x_forwarded(head, forwarding)
        }
    }

    /// Field lines of one name are one list (RFC 9110, section 5.3). A line that breaks the grammar
    /// is one element that says nothing.
    fn by_forwarded(self, lines: impl Iterator<Item = &'a [u8]>, forwarding: &Forwarding) -> Self {
        let lines = lines.map(|line| ForwardedElement::parse_list(line).unwrap_or_else(|| vec![ForwardedElement::default()]));
        let mut elements: Vec<_> = lines.flatten().collect();
        let named = outermost(elements.iter().rev().map(|element| element.node.clone().unwrap_or(Node::Unknown)), forwarding);
        let Some((node, behind)) = named else { return self };
        let element = elements.swap_remove(elements.len() - 1 - behind);
        Self {
            node: Some(node),
            scheme: element.proto.unwrap_or(self.scheme),
            host: match element.host {
                Some(host) => Host::Forwarded(as_host(host)),
                None => self.host,
            },
        }
    }

    /// The scheme and the host are the last values, which the nearest proxy has written. Lists of
    /// them need not match the list of addresses, because some proxies write only one of these
    /// fields.
    fn by_x_forwarded(self, head: &Head<'a>, forwarding: &Forwarding) -> Self {
        let values = |field: ForwardingField| {
            let lines: Vec<_> = if forwarding.reads(field) { head.field_values(field.name()).collect() } else { Vec::new() };
            lines
                .into_iter()
                .rev()
                .flat_map(|line| line.rsplit(|&byte| byte == b','))
                .map(<[u8]>::trim_ascii)
                .filter(|value| !value.is_empty())
        };
        let nodes = values(ForwardingField::XForwardedFor).map(Node::of_x_forwarded_for);
        Self {
            node: outermost(nodes, forwarding).map(|(node, _)| node),
            scheme: values(ForwardingField::XForwardedProto).next().and_then(forwarded_scheme).unwrap_or(self.scheme),
            host: match values(ForwardingField::XForwardedHost).next() {
                Some(host) => Host::Forwarded(as_host(Cow::Borrowed(host))),
                None => self.host,
            },
        }
    }

    /// The host that the client named. `None` if it did not name one, or if a trusted proxy
    /// forwards a value that is not a host.
    pub(super) fn host<'s>(&'s self, head: &Head<'s>) -> Option<&'s str> {
        match &self.host {
            Host::OfHead => head.host(),
            Host::Forwarded(host) => host.as_deref(),
        }
    }

    /// The address of the client; `None` if the proxies do not tell it. Without proxies, it is the
    /// address of the other end of the connection.
    pub(super) fn client_ip(&self, caller: Caller<'_>) -> Option<IpAddr> {
        match &self.node {
            None => caller.peer().ip(),
            Some(Node::Ip { ip, .. }) => Some(*ip),
            Some(_) => None,
        }
    }
}

/// Walks from the nearest proxy outwards: each node is named by the proxy in front of it, so a node
/// counts as long as all before it are trusted proxies. Returns the last node that counts, and how
/// many nodes were passed. An address outside the list ends the walk, and so does a node without an
/// address, because the node behind it cannot be believed.
fn outermost(nodes: impl Iterator<Item = Node>, forwarding: &Forwarding) -> Option<(Node, usize)> {
    let mut found = None;
    for (passed, node) in nodes.enumerate() {
        let is_proxy = matches!(node, Node::Ip { ip, .. } if forwarding.trusts_ip(ip));
        found = Some((node, passed));
        if !is_proxy {
            break;
        }
    }
    found
}

/// The value as a host with or without a port; `None` if it is neither.
fn as_host(value: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    let host = match value {
        Cow::Borrowed(bytes) => Cow::Borrowed(std::str::from_utf8(bytes).ok()?),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8(bytes).ok()?),
    };
    Authority::parse(&host).is_some().then_some(host)
}

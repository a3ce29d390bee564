//! Which proxies stand in front of the server, and which of their fields are believed.
//!
//! Owns the trust list, its entries and their form as text. Leaves the grammar of the fields to
//! `proto::http1`, and the walk over the proxies of one request to `forwarded`.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use super::Peer;

/// The proxies in front of the server, and the fields of theirs that are believed. By default there
/// are none: every client can send these fields.
///
/// A field that is listed here must be written by **every** trusted proxy: overwritten, removed, or
/// for a list of addresses, appended to. A proxy passes on every other field as the client sent it.
/// So a field that is listed here and that a proxy does not write lets any client choose its own
/// address, scheme or host.
///
/// ```
/// use pushlab::Settings;
/// use pushlab::session::{Forwarding, ForwardingField};
/// let forwarding = Forwarding {
///     proxies: vec!["127.0.0.1".parse()?, "10.0.0.0/8".parse()?, "unix".parse()?],
///     fields: vec![ForwardingField::XForwardedFor, ForwardingField::XForwardedProto],
/// };
/// let settings = Settings { forwarding, ..Settings::default() };
/// assert_eq!(settings.forwarding.proxies[1].to_string(), "10.0.0.0/8");
/// # Ok::<(), pushlab::session::BadTrustedProxy>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Forwarding {
    /// The proxies. The fields of a request count only if its connection comes from one of them.
    pub proxies: Vec<TrustedProxy>,
    /// The fields that are read. If [`Forwarded`](ForwardingField::Forwarded) is listed and a
    /// request has it, then the other fields are not read.
    pub fields: Vec<ForwardingField>,
}

impl Forwarding {
    pub(super) fn trusts(&self, peer: Peer) -> bool {
        self.proxies.iter().any(|proxy| proxy.is(peer))
    }

    pub(super) fn trusts_ip(&self, ip: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.has(ip))
    }

    pub(super) fn reads(&self, field: ForwardingField) -> bool {
        self.fields.contains(&field)
    }
}

/// A field in which a proxy tells about the request that it has received. [`Forwarding`] has an
/// example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForwardingField {
    /// `Forwarded` (RFC 7239): the address, the scheme and the host. A proxy must not copy the
    /// `Host` of a client into `host=` without a check: with quotation marks and commas in it, the
    /// client would add an element of its own.
    Forwarded,
    /// `X-Forwarded-For`: the address, as a list to which each proxy appends.
    XForwardedFor,
    /// `X-Forwarded-Proto`: the scheme, `http` or `https`.
    XForwardedProto,
    /// `X-Forwarded-Host`: the host, with its port.
    XForwardedHost,
}

impl ForwardingField {
    /// All fields.
    pub const ALL: [Self; 4] = [Self::Forwarded, Self::XForwardedFor, Self::XForwardedProto, Self::XForwardedHost];

    /// The name of the field.
    ///
    /// ```
    /// use pushlab::session::ForwardingField;
    /// assert_eq!(ForwardingField::XForwardedFor.name(), "X-Forwarded-For");
    /// assert_eq!("x-forwarded-for".parse(), Ok(ForwardingField::XForwardedFor));
    /// ```
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forwarded => "Forwarded",
            Self::XForwardedFor => "X-Forwarded-For",
            Self::XForwardedProto => "X-Forwarded-Proto",
            Self::XForwardedHost => "X-Forwarded-Host",
        }
    }
}

impl FromStr for ForwardingField {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|field| field.name().eq_ignore_ascii_case(text));
        found.ok_or("the field must be Forwarded, X-Forwarded-For, X-Forwarded-Proto or X-Forwarded-Host")
    }
}

/// A proxy that is trusted: an address, a network (RFC 4632), or every process that can connect to
/// the server's Unix socket.
///
/// As text, this is `192.0.2.1`, `10.0.0.0/8`, `2001:db8::/32` or `unix`. An IPv4-mapped address is
/// its IPv4 address, as in [`Peer`].
///
/// ```
/// use pushlab::session::{BadTrustedProxy, TrustedProxy};
/// let text = |entry: &str| entry.parse::<TrustedProxy>().map(|proxy| proxy.to_string());
/// assert_eq!(text("::ffff:192.0.2.1").as_deref(), Ok("192.0.2.1"));
/// assert_eq!(text("10.1.0.0/8"), Err(BadTrustedProxy::BitsBehindPrefix));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TrustedProxy(Entry);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Entry {
    /// Bits behind the prefix are 0.
    Network {
        address: IpAddr,
        prefix: u8,
    },
    Unix,
}

impl TrustedProxy {
    fn is(self, peer: Peer) -> bool {
        match peer {
            Peer::Tcp(address) => self.has(address.ip()),
            Peer::Unix => self.0 == Entry::Unix,
        }
    }

    fn has(self, ip: IpAddr) -> bool {
        let Entry::Network { address, prefix } = self.0 else { return false };
        match (address, ip.to_canonical()) {
            (IpAddr::V4(address), IpAddr::V4(ip)) => (address.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(prefix),
            (IpAddr::V6(address), IpAddr::V6(ip)) => (address.to_bits() ^ ip.to_bits()).leading_zeros() >= u32::from(prefix),
            _ => false,
        }
    }
}

impl FromStr for TrustedProxy {
    type Err = BadTrustedProxy;

    fn from_str(text: &str) -> Result<Self, BadTrustedProxy> {
        if text == "unix" {
            return Ok(Self(Entry::Unix));
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| BadTrustedProxy::Address)?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            // A number as people write it: not `08`, nor `+8`.
            Some(digits) => (0..=width).find(|prefix| prefix.to_string() == digits).ok_or(BadTrustedProxy::Prefix)?,
        };
        let host_bits = match address {
            IpAddr::V4(address) => address.to_bits().checked_shl(prefix.into()).unwrap_or(0).into(),
            IpAddr::V6(address) => address.to_bits().checked_shl(prefix.into()).unwrap_or(0),
        };
        if host_bits != 0 {
            return Err(BadTrustedProxy::BitsBehindPrefix);
        }
        Ok(Self(match address {
            IpAddr::V6(mapped) if prefix >= MAPPED_PREFIX && is_mapped(mapped) => {
                Entry::Network { address: address.to_canonical(), prefix: prefix - MAPPED_PREFIX }
            }
            _ => Entry::Network { address, prefix },
        }))
    }
}

/// The bits of an IPv4-mapped address in front of the IPv4 address (RFC 4291, section 2.5.5.2).
const MAPPED_PREFIX: u8 = 96;

fn is_mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Entry::Unix => f.pad("unix"),
            Entry::Network { address: IpAddr::V4(address), prefix: 32 } => address.fmt(f),
            Entry::Network { address: IpAddr::V6(address), prefix: 128 } => address.fmt(f),
            Entry::Network { address, prefix } => f.pad(&format!("{address}/{prefix}")),
        }
    }
}

/// Why a text is not a [`TrustedProxy`].
///
/// ```
/// use pushlab::session::{BadTrustedProxy, TrustedProxy};
/// let refused = |text: &str| text.parse::<TrustedProxy>().err();
/// assert_eq!(refused("proxy.example"), Some(BadTrustedProxy::Address));
/// assert_eq!(refused("10.0.0.0/33"), Some(BadTrustedProxy::Prefix));
/// assert_eq!(refused("10.0.0.0/8"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadTrustedProxy {
    /// The text is not an IP address, a network or `unix`. A name is refused, because its addresses
    /// can change.
    Address,
    /// The number behind the slash is not from 0 to 32, or to 128 for IPv6.
    Prefix,
    /// The address has bits behind its prefix, so that one of the two is a mistake.
    BitsBehindPrefix,
}

impl fmt::Display for BadTrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => "a trusted proxy must be an IP address, a network such as 10.0.0.0/8, or unix",
            Self::Prefix => "the number behind the slash of a network must be from 0 to 32, or from 0 to 128 for IPv6",
            Self::BitsBehindPrefix => "a network must have no bits behind its prefix: write 10.0.0.0/8 and not 10.1.0.0/8",
        })
    }
}

impl std::error::Error for BadTrustedProxy {}

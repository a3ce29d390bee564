//! A limit on how often each client may do something.
//!
//! Owns the counting, by the generic cell rate algorithm (ITU-T I.371, annex A): a token bucket
//! whose whole state is one time for each client. Owns the answer 429, too. Leaves to the example
//! what is limited, and how often. Time is an argument.
//!
//! A client is an IPv4 address, or the first 64 bits of an IPv6 address: they name a network, and
//! one host may take any number of the addresses in it (RFC 4291, section 2.5.4; RFC 8981). Behind a
//! proxy that is not trusted, every client has the address of the proxy. All clients without an
//! address share one count: those of a Unix socket, and those that a trusted proxy hides.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use pushlab::Response;

/// How many clients are counted by themselves. All others share one count. A client takes about 50
/// bytes.
const CLIENTS_MAX: usize = 10_000;

/// How often: `count` times at once, and then `count` times within each `per`, evenly spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    pub(crate) count: u32,
    pub(crate) per: Duration,
}

/// The value of the option `--rate`: a rate, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "not every example has the option")]
pub(crate) struct RateOption(pub(crate) Option<Rate>);

#[allow(dead_code, reason = "not every example has the option")]
impl RateOption {
    pub(crate) const EXPECTED: &str = "COUNT/SECONDS with whole numbers from 1 to 100000, as in 30/10, or off";
}

impl FromStr for RateOption {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        if text == "off" {
            return Ok(Self(None));
        }
        let number = |text: &str| text.parse().ok().filter(|number| (1..=100_000).contains(number) && !text.starts_with('+')).ok_or(());
        let (count, seconds) = text.split_once('/').ok_or(())?;
        Ok(Self(Some(Rate { count: number(count)?, per: Duration::from_secs(number(seconds)?.into()) })))
    }
}

pub(crate) struct Limiter {
    rate: Option<Rate>,
    clients: Mutex<Clients>,
}

#[derive(Default)]
struct Clients {
    /// For each client the time at which all that it did is forgotten. An earlier time than now means
    /// the same as no entry.
    by_address: HashMap<IpAddr, Instant>,
    /// As above, for clients without an address and all clients beyond [`CLIENTS_MAX`].
    others: Option<Instant>,
    /// When entries are next looked through for those that mean nothing any more.
    clean_at: Option<Instant>,
}

/// The client must wait this long, because it has reached the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wait(pub(crate) Duration);

impl Wait {
    /// In whole seconds, rounded up: after them the client may go on.
    pub(crate) const fn seconds(self) -> u64 {
        self.0.as_secs() + (self.0.subsec_nanos() > 0) as u64
    }

    /// The answer to a request that is one too many (RFC 6585, section 4), with `Retry-After` (RFC
    /// 9110, section 10.2.3). `what` is in the plural.
    #[allow(dead_code, reason = "an example may limit messages alone")]
    pub(crate) fn response(self, what: &str) -> Response {
        let seconds = self.seconds();
        let sentence = format!("too many {what} from your address; try again in {seconds} s\n");
        Response::text(sentence).with_status(429).field("Retry-After", &seconds.to_string()).no_store()
    }
}

impl Limiter {
    /// Without a rate, there is no limit.
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self { rate, clients: Mutex::default() }
    }

    /// Counts one act of the client with this address (`Request::client_ip`), unless it is one too
    /// many. A refused act does not count.
    pub(crate) fn take(&self, client: Option<IpAddr>, now: Instant) -> Result<(), Wait> {
        self.take_within(CLIENTS_MAX, client, now)
    }

    fn take_within(&self, clients_max: usize, client: Option<IpAddr>, now: Instant) -> Result<(), Wait> {
        let Some(rate) = self.rate else { return Ok(()) };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        rate.take(clients.entry(client.map(key), clients_max, now, rate.interval()), now)
    }
}

impl Rate {
    fn interval(self) -> Duration {
        self.per / self.count
    }

    /// Each act adds one interval to the time at which all is forgotten. This time may be at most
    /// `per` away.
    fn take(self, forgotten: &mut Instant, now: Instant) -> Result<(), Wait> {
        let next = (*forgotten).max(now) + self.interval();
        // The count may not divide `per`: the last act still fits.
        match next.checked_duration_since(now + self.interval() * self.count) {
            None | Some(Duration::ZERO) => {
                *forgotten = next;
                Ok(())
            }
            Some(wait) => Err(Wait(wait)),
        }
    }
}

impl Clients {
    fn entry(&mut self, address: Option<IpAddr>, clients_max: usize, now: Instant, interval: Duration) -> &mut Instant {
        let Some(address) = address else { return self.others.get_or_insert(now) };
        let is_full = self.by_address.len() >= clients_max && !self.by_address.contains_key(&address);
        if is_full && self.clean_at.is_none_or(|at| at <= now) {
            self.by_address.retain(|_, forgotten| *forgotten > now);
            // Looking through all entries for each new client would help an attacker that has many
            // addresses.
            self.clean_at = Some(now + interval);
        }
        if is_full && self.by_address.len() >= clients_max {
            return self.others.get_or_insert(now);
        }
        self.by_address.entry(address).or_insert(now)
    }
}

/// An IPv4 address, or the first 64 bits of an IPv6 address.
fn key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => address,
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Rate = Rate { count: 20, per: Duration::from_secs(60) };

    /// An address; `None` for an empty text.
    fn client(address: &str) -> Option<IpAddr> {
        (!address.is_empty()).then(|| address.parse().unwrap_or_else(|_| panic!("{address} is an address")))
    }

    /// How many acts of a client are allowed at this time.
    fn allowed(limiter: &Limiter, client: Option<IpAddr>, now: Instant) -> usize {
        (0..1_000).take_while(|_| limiter.take(client, now).is_ok()).count()
    }

    #[test]
    fn as_many_as_the_rate_says_at_once_and_not_one_more() {
        for count in [1, 2, 3, 7, 20, 999] {
            for seconds in [1, 7, 60] {
                let rate = Rate { count, per: Duration::from_secs(seconds) };
                let (limiter, now) = (Limiter::new(Some(rate)), Instant::now());
                assert_eq!(allowed(&limiter, client("192.0.2.1"), now), count as usize, "{rate:?}");
            }
        }
    }

    #[test]
    fn then_one_in_each_interval() {
        let (limiter, start, client) = (Limiter::new(Some(MINUTE)), Instant::now(), client("192.0.2.1"));
        assert_eq!(allowed(&limiter, client, start), 20);
        assert_eq!(limiter.take(client, start), Err(Wait(Duration::from_secs(3))));
        let before = start + Duration::from_nanos(2_999_999_999);
        assert_eq!(limiter.take(client, before), Err(Wait(Duration::from_nanos(1))), "one nanosecond too early");
        assert_eq!(limiter.take(client, before).map_err(Wait::seconds), Err(1), "told in whole seconds");
        for count in 1..=3 {
            let now = start + Duration::from_secs(3 * count);
            assert_eq!(limiter.take(client, now), Ok(()));
            assert_eq!(limiter.take(client, now), Err(Wait(Duration::from_secs(3))));
        }
        assert_eq!(allowed(&limiter, client, start + Duration::from_secs(30)), 7, "10 intervals, less 3 used");
        assert_eq!(allowed(&limiter, client, start + Duration::from_secs(10_000)), 20, "unused acts do not add up");
    }

    #[test]
    fn a_client_that_goes_on_too_fast_is_not_locked_out() {
        let (limiter, start, client) = (Limiter::new(Some(MINUTE)), Instant::now(), client("192.0.2.1"));
        let tenths = (0..6_000).filter(|tenth| limiter.take(client, start + Duration::from_millis(100 * tenth)).is_ok()).count();
        assert_eq!(tenths, 20 + 199, "in 600 s");
    }

    #[test]
    fn each_address_has_its_own_count() {
        let (limiter, now) = (Limiter::new(Some(MINUTE)), Instant::now());
        assert_eq!(allowed(&limiter, client("192.0.2.1"), now), 20);
        assert_eq!(allowed(&limiter, client("::ffff:192.0.2.1"), now), 0, "the same address, mapped");
        assert_eq!(allowed(&limiter, client("192.0.2.2"), now), 20);
        assert_eq!(allowed(&limiter, client("2001:db8:0:1::1"), now), 20);
        assert_eq!(allowed(&limiter, client("2001:db8:0:1:ffff::2"), now), 0, "the same 64 bits");
        assert_eq!(allowed(&limiter, client("2001:db8:0:2::1"), now), 20);
        assert_eq!(allowed(&limiter, client(""), now), 20, "all clients without an address together");
        assert_eq!(allowed(&limiter, client(""), now), 0, "they share one count");
        assert_eq!(allowed(&Limiter::new(None), client("192.0.2.1"), now), 1_000, "off");
    }

    #[test]
    fn clients_beyond_the_bound_share_one_count() {
        let (limiter, start) = (Limiter::new(Some(MINUTE)), Instant::now());
        let allowed =
            |last: u8, now| (0..100).take_while(|_| limiter.take_within(2, client(&format!("192.0.2.{last}")), now).is_ok()).count();
        assert_eq!([1, 2, 3, 4, 1].map(|last| allowed(last, start)), [20, 20, 20, 0, 0]);
        // The first two are forgotten after a minute.
        let later = start + MINUTE.per;
        assert_eq!([3, 4, 5].map(|last| allowed(last, later)), [20; 3]);
        assert_eq!(limiter.clients.lock().map_or(0, |clients| clients.by_address.len()), 2);
    }

    #[test]
    fn the_answer_says_when_to_come_back() {
        let response = Wait(Duration::from_millis(2_001)).response("logins");
        assert_eq!(response.body().as_bytes(), b"too many logins from your address; try again in 3 s\n");
        for (millis, seconds) in [(1, 1), (1_000, 1), (1_001, 2)] {
            assert_eq!(Wait(Duration::from_millis(millis)).seconds(), seconds);
        }
    }

    #[test]
    fn a_rate_is_two_numbers_or_off() {
        let parsed = |text: &str| text.parse().ok().map(|RateOption(rate)| rate);
        assert_eq!(parsed("20/60"), Some(Some(MINUTE)));
        assert_eq!(parsed("off"), Some(None));
        assert_eq!(parsed("100000/100000"), Some(Some(Rate { count: 100_000, per: Duration::from_secs(100_000) })));
        for wrong in ["", "20", "20/", "/60", "0/60", "20/0", "100001/1", "1/100001", "-1/1", "+1/1", "1/+1", "1.5/1", "20/60/1", "Off"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}

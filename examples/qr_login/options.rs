//! The options that only this example has.
//!
//! Owns these options, their bounds and the help. Leaves the options that all examples share to
//! `common/options.rs`.

use std::cell::{Cell, RefCell};
use std::str::FromStr;
use std::time::Duration;

use pushlab::Config;

use crate::common::arguments::Arguments;
use crate::limiter::{Rate, RateOption};

pub(crate) const HELP: &str = "\
Scan to login: the page shows a QR code, a phone confirms, and you choose the push technique.

Usage: qr_login [OPTIONS]

  --io MODEL                 the IO model: event-loop (default) or threads
  --listen ADDR:PORT         the address to listen on; port 0 takes any free port   [127.0.0.1:8080]
                             unix:PATH listens on a Unix socket, for a proxy on this machine
                             0.0.0.0:8080 also serves phones in the same network
  --expires SECS             how long a code is valid, 1 to 3600   [60]
  --url BASE                 the beginning of the address in the QR code, such as
                             http://192.168.1.20:8080   [the address that the browser uses];
                             with https://, for use behind a proxy, browsers send the cookies
                             over https only
  --rate COUNT/SECONDS       how many steps of logins one address may make: codes, scans, answers,
                             sessions and sign-outs; off for no limit, also on requests for news.
                             Behind a proxy that is not trusted, all clients share one limit   [30/60]
  --allow-origin ORIGIN      let pages of this origin act here, beside the server's own pages;
                             needed behind a proxy that changes Host:
                             scheme://host[:port], null, file://, or * for any; may be repeated   [none]
  --allow-host HOST          a name of this server, host or host:port; may be repeated;
                             requests for other hosts get 421   [any host]
  --trusted-proxy PROXY      believe this proxy about its clients: an address, a network
                             such as 10.0.0.0/8, or unix; may be repeated   [none]
  --forwarded-field NAME     a field that every trusted proxy writes: Forwarded, X-Forwarded-For,
                             X-Forwarded-Proto or X-Forwarded-Host; may be repeated   [none]
  --max-connections N        number of open connections; each waiting page holds one   [16384]
  --help                     print this text
  --version                  print the name and the version

Ctrl-C shuts down gracefully; a second Ctrl-C shuts down at once.
RUST_LOG=debug logs why each connection ended.";

/// The maximum length of the address before the path. Phones cannot read the QR code of a longer
/// address from a screen.
const BASE_MAX: usize = 200;

pub(crate) struct Own {
    pub(crate) expires: Cell<Duration>,
    pub(crate) base: RefCell<Option<String>>,
    /// `None` for no limit.
    pub(crate) rate: Cell<Option<Rate>>,
}

impl Default for Own {
    /// A code is valid for a minute: long enough to unlock a phone, and too short to use a
    /// photograph of the code later.
    fn default() -> Self {
        // A login takes two steps of the browser and two of the phone.
        let rate = Rate { count: 30, per: Duration::from_secs(60) };
        Self { expires: Cell::new(Duration::from_secs(60)), base: RefCell::default(), rate: Cell::new(Some(rate)) }
    }
}

impl Own {
    /// Takes an option. Returns whether this example has it.
    pub(crate) fn take(&self, flag: &str, arguments: &mut Arguments, config: &mut Config) -> Result<bool, String> {
        match flag {
            "--expires" => self.expires.set(Duration::from_secs(arguments.number("a whole number of seconds", 1..=3_600)?)),
            "--url" => *self.base.borrow_mut() = Some(arguments.value::<Base>("an address as in http://192.168.1.20:8080")?.0),
            "--rate" => self.rate.set(arguments.value::<RateOption>(RateOption::EXPECTED)?.0),
            "--max-connections" => config.max_connections = arguments.number("a whole number", 1..=1_000_000)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `scheme://host[:port][/path]`, without a slash at the end.
struct Base(String);

impl FromStr for Base {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim_end_matches('/');
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")).ok_or(())?;
        let is_plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"<>\\".contains(&byte));
        if is_plain && !rest.is_empty() && !rest.starts_with('/') && text.len() <= BASE_MAX { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_an_address_without_a_query() {
        let parsed = |text: &str| text.parse().ok().map(|Base(base)| base);
        assert_eq!(parsed("http://192.168.1.20:8080/").as_deref(), Some("http://192.168.1.20:8080"));
        assert_eq!(parsed("https://login.example/push").as_deref(), Some("https://login.example/push"));
        for wrong in ["", "http://", "http:///x", "192.168.1.20:8080", "ftp://x", "http://a b", "http://x?y", "http://x#y", "http://é"] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert_eq!(parsed(&format!("http://{}", "x".repeat(BASE_MAX - 7))).map(|base| base.len()), Some(BASE_MAX));
        assert_eq!(parsed(&format!("http://{}", "x".repeat(BASE_MAX - 6))), None);
    }
}

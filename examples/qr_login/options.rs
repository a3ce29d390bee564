//! The options that this example alone has.

use std::cell::{Cell, RefCell};
use std::str::FromStr;
use std::time::Duration;

use pushlab::Config;

use crate::common::arguments::Arguments;

pub(crate) const HELP: &str = "\
Scan to login: a QR code on the page, a phone that confirms, and the technique of your choice between them.

Usage: qr_login [OPTIONS]

  --io MODEL                 event-loop (default) or threads
  --listen ADDR:PORT         where to listen; port 0 takes any free one   [127.0.0.1:8080]
                             0.0.0.0:8080 lets phones of the same network in
  --expires SECS             until a code is no longer valid, 1 to 3600   [60]
  --url BASE                 what the QR code begins with, as in http://192.168.1.20:8080   [as the browser calls this server]
                             with https:// behind a proxy, cookies are kept to https as well
  --allow-origin ORIGIN      a page's origin that may act here beside the server's own, as behind a proxy that changes Host:
                             scheme://host[:port], null, file://, or * for any; may be repeated   [none]
  --allow-host HOST          a host that this server answers for, host or host:port; may be repeated; others get 421   [any host]
  --max-connections N        at once; each page that waits for its phone holds one   [16384]
  --help                     this text
  --version                  the name and the version

Ctrl-C shuts down gracefully, a second one at once. RUST_LOG=debug shows why each connection ended.";

/// Characters of a QR code's address before the path. A longer one makes a code that phones do not read from a screen.
const BASE_MAX: usize = 200;

pub(crate) struct Own {
    pub(crate) expires: Cell<Duration>,
    pub(crate) base: RefCell<Option<String>>,
}

impl Default for Own {
    /// A minute: long enough to unlock a phone, short enough for a code that was photographed to be of no use.
    fn default() -> Self {
        Self { expires: Cell::new(Duration::from_secs(60)), base: RefCell::default() }
    }
}

impl Own {
    /// Takes an option, if it is one of these.
    pub(crate) fn take(&self, flag: &str, arguments: &mut Arguments, config: &mut Config) -> Result<bool, String> {
        match flag {
            "--expires" => self.expires.set(Duration::from_secs(arguments.number("a whole number of seconds", 1..=3_600)?)),
            "--url" => *self.base.borrow_mut() = Some(arguments.value::<Base>("an address as in http://192.168.1.20:8080")?.0),
            "--max-connections" => config.max_connections = arguments.number("a whole number", 1..=1_000_000)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// `scheme://host[:port][/path]`, without a slash at its end.
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

//! The source of unpredictable bytes.
//!
//! Owns the only place in which a hub reads the system's random numbers, which it needs for the
//! secrets of control channels. An application replaces the source where the system has none that
//! the standard library can read. Leaves numbers that must only be different, such as epochs, to
//! `log`: those may be guessed.
//!
//! The standard library has no interface to the system's random numbers. The hash keys of its maps
//! come from them, but it does not promise that their hashes cannot be predicted. So the bytes come
//! from `/dev/urandom`, which Unix systems have, and which never blocks once the system has started
//! (random(4)).

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::sync::{Arc, OnceLock};

/// What fills a buffer with unpredictable bytes.
type Fill = dyn Fn(&mut [u8]) -> std::io::Result<()> + Send + Sync;

/// A source of bytes that nobody can predict.
///
/// The default reads `/dev/urandom`, and keeps it open from the first use. Systems without this
/// file, such as Windows, need a source of the application: without it, requests with `control=1`
/// get 503. A source must not block.
///
/// ```
/// use pushlab::push::{Hub, HubConfig, RandomSource};
/// # mod getrandom { pub fn fill(bytes: &mut [u8]) -> Result<(), std::io::Error> { bytes.fill(4); Ok(()) } }
/// // The crate `getrandom` knows the source of each system.
/// let random = RandomSource::new(|bytes| getrandom::fill(bytes).map_err(std::io::Error::other));
/// let hub = Hub::new(HubConfig { random, ..HubConfig::default() });
/// ```
#[derive(Clone)]
pub struct RandomSource(Arc<Fill>);

impl RandomSource {
    /// A source that calls `fill`, which fills the whole buffer or returns an error.
    pub fn new(fill: impl Fn(&mut [u8]) -> std::io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Arc::new(fill))
    }

    /// The next bytes.
    pub(crate) fn bytes<const N: usize>(&self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        (self.0)(&mut bytes)?;
        Ok(bytes)
    }
}

/// `/dev/urandom`.
impl Default for RandomSource {
    fn default() -> Self {
        Self::new(fill_from_system)
    }
}

impl fmt::Debug for RandomSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RandomSource")
    }
}

/// The file stays open, because a server under load may have no descriptor left when it needs the
/// next secret.
static SYSTEM: OnceLock<File> = OnceLock::new();

fn fill_from_system(bytes: &mut [u8]) -> std::io::Result<()> {
    let mut file = if let Some(file) = SYSTEM.get() {
        file
    } else {
        let opened = File::open("/dev/urandom")?;
        SYSTEM.get_or_init(|| opened)
    };
    file.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_system_gives_other_bytes_each_time() {
        let source = RandomSource::default();
        let [first, second] = [(); 2].map(|()| source.bytes::<16>().expect("the system has the file"));
        assert!(first != second && first != [0; 16] && second != [0; 16]);
    }

    #[test]
    fn an_error_of_the_source_is_an_error() {
        let source = RandomSource::new(|_| Err(std::io::ErrorKind::NotFound.into()));
        assert_eq!(source.bytes::<16>().expect_err("it has no bytes").kind(), std::io::ErrorKind::NotFound);
    }
}

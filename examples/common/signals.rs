//! Ctrl-C and SIGTERM: the first one shuts down gracefully, the second one at once.
//!
//! Owns which of them came when, and what is said of it at the end. Refuses to end the process: the server returns by itself.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use pushlab::Stopper;

#[derive(Default)]
pub(crate) struct Signals {
    count: AtomicU32,
    first: OnceLock<Instant>,
}

impl Signals {
    pub(crate) fn stop(stopper: Stopper, name: &str) -> Result<Arc<Self>, ctrlc::Error> {
        let signals = Arc::new(Self::default());
        let (caught, name) = (Arc::clone(&signals), name.to_owned());
        ctrlc::set_handler(move || {
            caught.first.get_or_init(Instant::now);
            if caught.count.fetch_add(1, SeqCst) == 0 {
                eprintln!("{name}: shutting down; once more to stop at once");
                stopper.stop();
            } else {
                stopper.stop_now();
            }
        })?;
        Ok(signals)
    }

    /// How the shutdown went, in which so many connections were cut.
    pub(crate) fn verdict(&self, cut: u64) -> String {
        let took = self.first.get().map_or(Duration::ZERO, Instant::elapsed).as_secs_f64();
        let how = match self.count.load(SeqCst) {
            2.. => "at once",
            _ if cut > 0 => "when the grace was over",
            _ => "gracefully",
        };
        match cut {
            0 => format!("stopped {how} in {took:.1} s"),
            1 => format!("stopped {how}, after {took:.1} s, and cut a connection that was owed something"),
            _ => format!("stopped {how}, after {took:.1} s, and cut {cut} connections that were owed something"),
        }
    }
}

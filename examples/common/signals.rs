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

    /// How the shutdown went.
    pub(crate) fn verdict(&self, grace: Duration) -> String {
        let took = self.first.get().map_or(Duration::ZERO, Instant::elapsed);
        if self.count.load(SeqCst) > 1 {
            "stopped at once".to_owned()
        } else if took < grace {
            format!("stopped gracefully in {:.1} s", took.as_secs_f64())
        } else {
            format!("stopped after {} s of grace, and cut what was left", grace.as_secs())
        }
    }
}

//! The probe: a well-behaved client that sends a small request every 20 ms, in turn on a kept
//! connection and on a new one.
//!
//! Owns the histogram of its waiting times and the counts of answers and failures. Leaves the
//! judgement to `trial`. It waits ten seconds for each answer, so that a late answer differs from
//! an answer that never comes.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::server::PLAINTEXT;
use crate::{Result, wire};

const PAUSE: Duration = Duration::from_millis(20);

/// What the probe measured.
#[derive(Clone, Debug)]
pub(crate) struct Findings {
    pub(crate) answers: u64,
    pub(crate) failures: u64,
    /// In microseconds.
    waits: Histogram<u64>,
}

impl Findings {
    fn new() -> Self {
        Self { answers: 0, failures: 0, waits: Histogram::new(3).expect("three digits are allowed") }
    }

    /// The time within which `percent` of the requests ended.
    pub(crate) fn wait_of(&self, percent: f64) -> Duration {
        Duration::from_micros(self.waits.value_at_percentile(percent))
    }
}

pub(crate) struct Probe {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<Findings>,
}

impl Probe {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let ends = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ends);
        Self { ends, thread: thread::spawn(move || run(address, &until)) }
    }

    pub(crate) fn finish(self) -> Findings {
        self.ends.store(true, Relaxed);
        self.thread.join().unwrap_or_else(|_| Findings { failures: 1, ..Findings::new() })
    }
}

fn run(address: SocketAddr, ends: &AtomicBool) -> Findings {
    let (mut findings, mut kept) = (Findings::new(), None);
    while !ends.load(Relaxed) {
        let begun = Instant::now();
        let asked = if findings.answers % 2 == 0 { ask_kept(&mut kept, address) } else { wire::get(address, "/plaintext") };
        match asked {
            Ok(text) if text == PLAINTEXT => findings.answers += 1,
            _ => {
                findings.failures += 1;
                kept = None;
            }
        }
        // The histogram's largest number is half a million years: recording cannot fail.
        let _ = findings.waits.record(begun.elapsed().as_micros() as u64);
        thread::sleep(PAUSE);
    }
    findings
}

fn ask_kept(kept: &mut Option<BufReader<TcpStream>>, address: SocketAddr) -> Result<String> {
    let reader = match kept {
        Some(reader) => reader,
        None => kept.insert(BufReader::new(wire::connect(address)?)),
    };
    reader.get_mut().write_all(wire::request("/plaintext").as_bytes())?;
    Ok(wire::read_answer(reader)?.body)
}

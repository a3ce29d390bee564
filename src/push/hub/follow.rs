//! Following a log outside the process.
//!
//! Owns the threads that connect to the log, apply its records, send messages to it, and tell
//! requests that their time is over. Owns the back-off between two connections, and the epoch that
//! the hubs agree on. Leaves the records to `apply`, and the engine to `log`.
//!
//! ```text
//!            connect, agree on the epoch, find the end
//!   Away ----------------------------------------------> Following
//!    ^  wait: back-off with jitter                          |
//!    +------------------ an error of the log ---------------+
//! ```

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::apply::{Applied, Further};
use super::hub::{Hub, WeakHub};
use super::log_stats::{LogState, LogStats};
use super::outside::Outside;
use super::publish::PublishError;
use crate::push::log::{Entry, EpochProposal, LogError, LogReader, random_number};

/// How long a thread waits for something before it looks whether the hub is still there.
const WAIT: Duration = Duration::from_millis(200);
/// How often requests and messages are looked at whose time may be over.
const KEEP_EVERY: Duration = Duration::from_millis(100);
/// The pause after the first error. It doubles with each further one.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Records that are applied before the figures for `/stats` are brought up to date.
const NOTE_AFTER: u32 = 64;

/// Starts the threads. Each ends when the hub is dropped.
pub(super) fn start(hub: &Hub) {
    let Some(outside) = hub.outside() else { return };
    if !outside.shared_log.threads {
        return;
    }
    let mut follower = Follower::new(hub, Instant::now());
    let (sender, keeper) = (Arc::clone(outside), hub.downgrade());
    let weak = hub.downgrade();
    spawn("follow", move || while follower.step(Instant::now(), WAIT) {});
    spawn("append", move || {
        while weak.is_alive() {
            sender.send_one(WAIT);
        }
    });
    spawn("keep", move || {
        while let Some(hub) = keeper.upgrade() {
            hub.tell_late(hub.config().clock.now());
            drop(hub);
            thread::sleep(KEEP_EVERY);
        }
    });
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) {
    let started = thread::Builder::new().name(format!("pushlab-log-{name}")).spawn(run);
    started.expect("the system has a thread left when a hub is made");
}

/// Follows the log of one hub.
pub(super) struct Follower {
    hub: WeakHub,
    phase: Phase,
    pause: Duration,
    /// The log has lost its end, and the epoch must change.
    needs_epoch: bool,
    /// The position behind the last record when the connection began.
    end: u64,
    /// The hub has not reached that position.
    is_catching_up: bool,
    unnoted: u32,
}

enum Phase {
    Away { until: Instant },
    Following(Box<dyn LogReader>),
}

impl Follower {
    pub(super) fn new(hub: &Hub, now: Instant) -> Self {
        Self {
            hub: hub.downgrade(),
            phase: Phase::Away { until: now },
            pause: PAUSE_MIN,
            needs_epoch: false,
            end: 0,
            is_catching_up: false,
            unnoted: 0,
        }
    }

    /// Connects, or applies the next record. Waits for that for about `wait`. Returns whether the
    /// hub is still there.
    pub(super) fn step(&mut self, now: Instant, wait: Duration) -> bool {
        let Phase::Following(reader) = &mut self.phase else { return self.connect_when_due(now, wait) };
        // The hub can be dropped while the reader waits.
        let next = reader.next(wait);
        let Some(hub) = self.hub.upgrade() else { return false };
        let Some(outside) = hub.outside() else { return false };
        match next {
            Ok(Some(entry)) if self.is_other_epoch(&hub, &entry) => {
                self.lose(outside, now, &LogError::new("another server has given the log another epoch"));
            }
            Ok(Some(entry)) => {
                let applied = hub.lock().apply(entry, hub.config().clock.now());
                match applied {
                    Applied::Further(further) => self.finish(&hub, outside, further),
                    Applied::Before => {}
                    Applied::Other => {
                        self.needs_epoch = true;
                        self.lose(outside, now, &LogError::new("the log has lost its last records, and has taken others since"));
                    }
                }
            }
            Ok(None) => self.note(&hub, outside, None),
            Err(error) => self.lose(outside, now, &error),
        }
        true
    }

    /// Whether the entry announces an epoch that the hub does not have. Those before the end that the
    /// log had when the connection began are of the past.
    fn is_other_epoch(&self, hub: &Hub, entry: &Entry) -> bool {
        entry.epoch.is_some_and(|epoch| entry.position >= self.end && hub.lock().replica.epoch != Some(epoch))
    }

    /// Does what must not happen under the hub's lock.
    fn finish(&mut self, hub: &Hub, outside: &Outside, further: Further) {
        let Further { confirmed, is_own, reached, sequence, delay_ms } = further;
        if let Some((on_outcome, published)) = confirmed {
            on_outcome(Ok(published));
        }
        for call in reached {
            call(true);
        }
        if is_own {
            outside.note(|stats| stats.confirmed += 1);
        }
        self.unnoted += 1;
        let is_there = self.is_catching_up && sequence >= self.end;
        self.is_catching_up &= !is_there;
        if is_there || self.unnoted >= NOTE_AFTER {
            self.note(hub, outside, Some(delay_ms));
        } else {
            outside.note(|stats| stats.delay_ms = delay_ms);
        }
    }

    /// Brings the figures for `/stats` up to date.
    fn note(&mut self, hub: &Hub, outside: &Outside, delay_ms: Option<u64>) {
        self.unnoted = 0;
        hub.note_log(outside, delay_ms);
    }

    fn lose(&mut self, outside: &Outside, now: Instant, error: &LogError) {
        self.phase = Phase::Away { until: now + self.jittered_pause() };
        outside.end_connection();
        if outside.note_away(error) {
            log::warn!("{}: {error}", outside.shared_log.name());
        }
    }

    /// Half of the pause to the whole pause, so that servers do not all come back at once.
    fn jittered_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        let half = pause / 2;
        half + half * (random_number() % 1_000) as u32 / 1_000
    }

    fn connect_when_due(&mut self, now: Instant, wait: Duration) -> bool {
        let Phase::Away { until } = self.phase else { return true };
        if until > now {
            thread::sleep((until - now).min(wait));
            return self.hub.is_alive();
        }
        let Some(hub) = self.hub.upgrade() else { return false };
        let Some(outside) = hub.outside() else { return false };
        match self.connect(&hub, outside) {
            Ok(reader) => {
                self.phase = Phase::Following(reader);
                self.pause = PAUSE_MIN;
                log::info!("{}: following", outside.shared_log.name());
            }
            Err(error) => self.lose(outside, now, &error),
        }
        true
    }

    /// Connects, and finds out from where this hub has to continue.
    fn connect(&mut self, hub: &Hub, outside: &Outside) -> Result<Box<dyn LogReader>, LogError> {
        let log = &outside.shared_log.log;
        let mut session = log.connect()?;
        let propose = |replaces| EpochProposal { replaces, epoch: random_number() };
        let end = session.end()?;
        let mut epoch = session.agree(&propose(None))?;
        let (known, applied) = {
            let state = hub.lock();
            (state.replica.epoch, state.log.last().sequence)
        };
        if known == Some(epoch) && (self.needs_epoch || end < applied) {
            // Ids that clients have would mean other messages.
            epoch = session.agree(&propose(Some(epoch)))?;
        }
        self.needs_epoch = false;
        session.announce(epoch)?;
        let is_known = known == Some(epoch);
        // The last record that this hub has applied comes once more, and must be the same.
        let first = if is_known { applied.saturating_sub(1) } else { end.saturating_sub(outside.shared_log.tail_records) };
        let following = session.follow(first)?;
        let reached = {
            let mut state = hub.lock();
            if is_known {
                if following.first > applied {
                    state.declare_gap(following.first);
                }
                Vec::new()
            } else {
                state.begin_epoch(epoch, following.first)
            }
        };
        (self.end, self.is_catching_up) = (end, true);
        outside.begin_connection(following.writer);
        outside.note(|stats| {
            stats.connections += 1;
            stats.epochs += u64::from(!is_known && known.is_some());
            stats.target = end;
            stats.error = None;
            stats.state = LogState::CatchingUp;
        });
        self.note(hub, outside, None);
        for call in reached {
            call(true);
        }
        Ok(following.reader)
    }
}

impl Hub {
    /// The state of the [`log`](crate::push::HubConfig::log) outside the process, if the hub has one.
    pub fn log_stats(&self) -> Option<LogStats> {
        let outside = self.outside()?;
        self.note_log(outside, None);
        Some(outside.stats())
    }

    /// Brings the figures of the log up to date.
    fn note_log(&self, outside: &Outside, delay_ms: Option<u64>) {
        let (applied, counts, waiting) = {
            let mut state = self.lock();
            (state.log.last().sequence, std::mem::take(&mut state.replica.counts), state.replica.waiting.len())
        };
        outside.note(|stats| {
            stats.applied = applied;
            stats.waiting = waiting;
            stats.repeated += counts.repeated;
            stats.passed_over += counts.passed_over;
            stats.gaps += counts.gaps;
            stats.delay_ms = delay_ms.unwrap_or(stats.delay_ms);
            if stats.state == LogState::CatchingUp && applied >= stats.target {
                stats.state = LogState::Following;
            }
        });
    }

    /// Tells messages and requests that their time is over.
    pub(super) fn tell_late(&self, now: Instant) {
        let Some(outside) = self.outside() else { return };
        for given_up in outside.give_up(now) {
            if let Some(on_outcome) = given_up.on_outcome {
                on_outcome(Err(if given_up.was_sent { PublishError::NotConfirmed } else { PublishError::LogAway }));
            }
        }
        let late = self.lock().replica.waiting.take_late(now);
        for call in late {
            call(false);
        }
    }
}

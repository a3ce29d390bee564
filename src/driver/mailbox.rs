//! Commands from other threads to one connection that has its own threads.
//!
//! Owns the bounded queue, its slow-consumer policy, and the condition variable on which one thread
//! of the connection waits: its writer, or its reader while a request is held. Leaves carrying out
//! the commands to the connection's threads, the time of a wake-up to `wakes`, and the end of a
//! connection whose queue has overflowed to the server's thread. So a publisher waits neither for
//! the peer nor for a slow handler of this connection.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::Config;
use super::overflows::Overflows;
use super::sync::{Condvar, Mutex, MutexGuard};
use super::wakes;
use crate::session::{Address, Backlog, Command, Outcome, Post, SlowConsumer, Stats};

/// One connection's mailbox. Handles keep the mailbox alive, but not the connection or the server.
pub(crate) struct Mailbox {
    slot: u32,
    config: Arc<Config>,
    stats: Arc<Stats>,
    /// Where an overflow of the queue is reported. The thread that takes the mail may be blocked in
    /// a write to the peer that does not read.
    overflows: Arc<Overflows>,
    inner: Mutex<Inner>,
    /// Shared with a batch of wake-ups that are put off.
    filled: Arc<Condvar>,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not states")]
struct Inner {
    /// The serial of the current hold, stream or WebSocket. Commands for earlier ones are too late.
    /// The value is 0 while the connection has none of the three.
    serial: u64,
    /// The last serial that was given out; 0 before the first.
    issued: u64,
    frames: Backlog,
    /// [`Command::Wake`] was posted. The source or the handler is called after the frames, and
    /// before the end.
    wakes: bool,
    /// The command after the frames: the end of the last pusher, a release or a close. Nothing is
    /// taken behind a command that [`ends`].
    last: Option<Command>,
    overflow: bool,
    closed: bool,
    /// The thread that takes the mail must look at something else.
    is_nudged: bool,
    taker: Taker,
}

/// What is known of the thread that takes the mail. A wake-up is a system call even if no thread
/// waits, so only a thread that waits is woken.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Taker {
    #[default]
    Works,
    Waits,
    /// It waits, and will be woken. This may be [put off](wakes::wake).
    WillWake,
}

/// A thread for which so many bytes wait is woken at once, and also one whose queue is half full. A
/// handler that posts much must not fill the queue while the wake-up is put off.
const PUT_OFF_BYTES_MAX: usize = 64 * 1024;

/// What a thread gets from the mailbox.
pub(crate) enum Mail {
    Command(Posted),
    /// No command is there, none came before the deadline, or the thread was nudged.
    Nothing,
    /// The connection is over.
    Closed,
}

/// A command with what it is for.
pub(crate) struct Posted {
    /// The hold, stream or WebSocket that the command is for.
    pub serial: u64,
    pub command: Command,
    /// Whether further commands wait. If not, the thread saves taking the lock once more.
    pub has_more: bool,
}

impl Mailbox {
    pub(crate) fn new(slot: u32, config: Arc<Config>, stats: Arc<Stats>, overflows: Arc<Overflows>) -> Self {
        Self { slot, config, stats, overflows, inner: Mutex::new(Inner::default()), filled: Arc::new(Condvar::new()) }
    }

    /// The connection's slot.
    pub(crate) const fn slot(&self) -> u32 {
        self.slot
    }

    /// Gives out the serial of the next hold, stream or WebSocket, and drops commands for the
    /// previous one.
    pub(crate) fn issue_serial(&self) -> u64 {
        let mut inner = self.lock();
        inner.forget();
        inner.issued += 1;
        inner.serial = inner.issued;
        inner.serial
    }

    /// The hold, stream or WebSocket with this serial is over. Commands for it are dropped.
    pub(crate) fn retire_serial(&self, serial: u64) {
        let mut inner = self.lock();
        if inner.serial == serial {
            inner.forget();
            inner.serial = 0;
        }
    }

    /// Waits for a command or a nudge until `deadline`. Only one thread waits at a time.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Mail {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return Mail::Closed;
            }
            if let Some(posted) = inner.take() {
                return Mail::Command(posted);
            }
            if std::mem::take(&mut inner.is_nudged) {
                return Mail::Nothing;
            }
            // Set under the lock that a post takes, so that no wake-up is lost.
            inner.taker = Taker::Waits;
            inner = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(inner).unwrap_or_else(PoisonError::into_inner),
                Some(left) if left.is_zero() => {
                    inner.taker = Taker::Works;
                    return Mail::Nothing;
                }
                Some(left) => self.filled.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            inner.taker = Taker::Works;
        }
    }

    /// Makes the thread that waits for mail return without mail. If it does not wait yet, its next
    /// wait returns at once.
    pub(crate) fn nudge(&self) {
        let mut inner = self.lock();
        inner.is_nudged = true;
        let waits = inner.taker != Taker::Works;
        drop(inner);
        if waits {
            self.filled.notify_one();
        }
    }

    /// Takes the next command without waiting, so that one write takes all commands that are there.
    pub(crate) fn try_take(&self) -> Mail {
        self.lock().take().map_or(Mail::Nothing, Mail::Command)
    }

    /// The connection is over: the writer, if there is one, ends, and the mailbox takes nothing
    /// more.
    pub(crate) fn close(&self) {
        let mut inner = self.lock();
        inner.forget();
        inner.closed = true;
        drop(inner);
        self.filled.notify_one();
    }

    /// Whether the queue has overflowed, so that the slow-consumer policy ends the connection.
    pub(crate) fn has_overflowed(&self) -> bool {
        self.lock().overflow
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Drops everything that was posted.
    fn forget(&mut self) {
        self.frames = Backlog::default();
        self.wakes = false;
        self.last = None;
        self.overflow = false;
    }

    fn take(&mut self) -> Option<Posted> {
        // Dropped messages stood before all frames that are left.
        let lost = self.frames.take_lost();
        let command = if lost > 0 {
            Command::Lost(lost)
        } else if let Some(frame) = self.frames.dequeue() {
            Command::Send(frame)
        } else if std::mem::take(&mut self.wakes) {
            Command::Wake
        } else {
            self.last.take()?
        };
        Some(Posted { serial: self.serial, command, has_more: !self.frames.is_empty() || self.wakes || self.last.is_some() })
    }
}

/// Whether nothing can follow the command. A stream that stays open goes on without its pushers, so
/// messages follow the end of its last pusher.
const fn ends(command: &Command) -> bool {
    !matches!(command, Command::Abandon)
}

impl Post for Mailbox {
    fn post(&self, address: Address, command: Command) {
        let mut inner = self.lock();
        let is_ending = inner.last.as_ref().is_some_and(ends);
        if inner.closed || inner.overflow || inner.serial != address.serial || is_ending {
            return;
        }
        match command {
            Command::Send(frame) => {
                let settings = &self.config.settings;
                let policy = match settings.slow_consumer {
                    // These messages wait for the writer to wake up, which is not the reader's
                    // fault. The policy for a slow reader applies only when more waits than the
                    // output takes.
                    SlowConsumer::KeepLatest if inner.frames.bytes() < settings.limits.output_bytes => SlowConsumer::DropOldest,
                    policy => policy,
                };
                match inner.frames.enqueue(frame, settings.limits.queue_bytes, policy) {
                    Outcome::Sent | Outcome::Queued { dropped: 0 } => {}
                    Outcome::Queued { dropped } => self.stats.dropped.add(dropped as u64),
                    Outcome::Refused => {
                        inner.forget();
                        inner.overflow = true;
                        // The report can be a system call. Other threads that post do not wait for
                        // it.
                        drop(inner);
                        self.overflows.report(self.slot);
                        return;
                    }
                }
            }
            Command::Wake => inner.wakes = true,
            last => inner.last = Some(last),
        }
        let taker = inner.taker;
        let bytes = inner.frames.bytes();
        let is_little = bytes < PUT_OFF_BYTES_MAX.min(self.config.settings.limits.queue_bytes / 2);
        match taker {
            Taker::Works => return,
            Taker::Waits => inner.taker = Taker::WillWake,
            Taker::WillWake if is_little => return,
            Taker::WillWake => inner.taker = Taker::Works,
        }
        // The thread that is woken finds the lock free.
        drop(inner);
        if taker == Taker::Waits && is_little {
            wakes::wake(&self.filled);
        } else {
            self.filled.notify_one();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::driver::stop::Stop;
    use crate::proto::Frame;

    fn mailbox(config: Config) -> Mailbox {
        let poll = mio::Poll::new().expect("the system has descriptors");
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).expect("the system has descriptors");
        Mailbox::new(1, Arc::new(config), Arc::default(), Arc::new(Overflows::new(Arc::new(Stop::new(waker)))))
    }

    /// What the writer takes, in one word for each command.
    fn taken(posted: impl IntoIterator<Item = Command>) -> Vec<String> {
        let mailbox = mailbox(Config::default());
        let address = Address { slot: 1, serial: mailbox.issue_serial() };
        posted.into_iter().for_each(|command| mailbox.post(address, command));
        let commands = std::iter::from_fn(|| match mailbox.try_take() {
            Mail::Command(posted) => Some(posted.command),
            Mail::Nothing | Mail::Closed => None,
        });
        let word = |command| match command {
            Command::Send(frame) => String::from_utf8_lossy(&frame.payload()).into_owned(),
            other => format!("{other:?}"),
        };
        commands.map(word).collect()
    }

    /// A queue overflows only if its writer was woken before.
    #[test]
    fn a_wake_up_is_put_off_while_the_queue_has_room() {
        let mut config = Config::default();
        for (queue_bytes, woken_at) in [(8 * 1024, 4), (1024 * 1024, PUT_OFF_BYTES_MAX / 1024)] {
            config.settings.limits.queue_bytes = queue_bytes;
            let mailbox = mailbox(config.clone());
            let address = Address { slot: 1, serial: mailbox.issue_serial() };
            mailbox.lock().taker = Taker::Waits;
            let frame = Frame::chunk(&[b'x'; 1024]);
            for count in 1..woken_at {
                mailbox.post(address, Command::Send(frame.clone()));
                assert!(mailbox.lock().taker == Taker::WillWake, "{count}");
            }
            mailbox.post(address, Command::Send(frame.clone()));
            assert!(mailbox.lock().taker == Taker::Works, "the queue of {queue_bytes} bytes fills");
        }
    }

    /// A stream of the hub has a pusher while it waits for older messages, and none from then on.
    /// The writer may not have taken the end of that pusher when the next messages come.
    #[test]
    fn messages_follow_the_end_of_the_last_pusher() {
        let send = |text: &str| Command::Send(Frame::chunk(text.as_bytes()));
        assert_eq!(taken([Command::Abandon, send("a"), send("b")]), ["a", "b", "Abandon"]);
        assert_eq!(taken([send("a"), Command::Abandon, send("b"), Command::Close(1000)]), ["a", "b", "Close(1000)"]);
    }

    /// The source has something to say before the end.
    #[test]
    fn a_wake_up_comes_before_the_end() {
        let send = || Command::Send(Frame::chunk(b"a"));
        assert_eq!(taken([Command::Wake, Command::Close(1000)]), ["Wake", "Close(1000)"]);
        assert_eq!(taken([Command::Wake, send(), Command::Wake, Command::Abandon]), ["a", "Wake", "Abandon"]);
    }

    #[test]
    fn nothing_follows_an_end() {
        let send = || Command::Send(Frame::chunk(b"late"));
        for end in [Command::Close(1000), Command::Release(None)] {
            let word = format!("{end:?}");
            assert_eq!(taken([end, send(), Command::Abandon, Command::Close(1001)]), [word]);
        }
    }
}

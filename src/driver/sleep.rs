//! The sleep of the server's thread.
//!
//! Owns the call that waits for events, and its longest time. Leaves the reasons to sleep, and what
//! the events mean, to the drivers.

use std::io::{self, ErrorKind};
use std::time::Duration;

use mio::{Events, Poll};

use super::EDGES_ARE_REAL;

/// The longest sleep. Over `poll(2)`, mio 1.2 can lose a wake-up: the call that registers a socket
/// again also resets the notification of another thread. So the server's thread wakes after this
/// time and looks at its flags.
const LONGEST: Option<Duration> = if EDGES_ARE_REAL { None } else { Some(Duration::from_millis(100)) };

/// Sleeps until an event, until another thread wakes this one, or until `timeout` is over. The sleep
/// may end earlier, and `events` may then be empty.
pub(super) fn sleep(poll: &mut Poll, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
    match poll.poll(events, [timeout, LONGEST].into_iter().flatten().min()) {
        Err(error) if error.kind() != ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

//! Layer 3, the IO models: the only sockets, clocks and threads.
//!
//! Owns moving bytes, time and commands between the system and sessions. Refuses to parse, to encode and to choose a status: everything that
//! has a meaning happens in `session` and `proto`, in the same way under both models. The two drivers are made to be read side by side; beside
//! them stands what does no IO: the ways of commands from other threads (inbox, mailbox), deadlines, permits, the clock.
//!
//! | | `event_loop` | `thread_per_conn` |
//! |---|---|---|
//! | waits in | one `epoll_wait` for all | one `read` per connection |
//! | a held request costs | a few hundred bytes | two threads |
//! | commands from other threads | one inbox, one waker | a mailbox with a condition variable each |
//! | a handler that blocks stops | everyone | its own connection |
//! | a slow reader's output waits in | its outbox | its writer thread |

mod clock;
mod config;
mod deliveries;
pub(crate) mod event_loop;
mod inbox;
#[cfg(all(test, loom))]
mod interleavings;
mod listen;
mod mailbox;
mod outboxes;
mod permits;
mod server;
mod stop;
mod sync;
pub(crate) mod thread_per_conn;
mod timers;
mod write;

/// Bytes of input that are read behind a deadline before the peer is ended although it sends on: more
/// than the system keeps for a socket (Linux: `tcp_rmem`, 6 MiB at most by default). Everything that
/// had arrived at the deadline has been read then.
const OVERDUE_BYTES_MAX: u32 = 8 * 1024 * 1024;

/// Whether the system reports edges itself: epoll and kqueue do. Elsewhere mio makes edges out of
/// levels, and reports a socket again only after a call on the socket has found nothing ("would block").
const EDGES_ARE_REAL: bool = cfg!(all(
    not(mio_unsupported_force_poll_poll),
    any(
        target_os = "android",
        target_os = "dragonfly",
        target_os = "freebsd",
        target_os = "illumos",
        target_os = "linux",
        target_os = "netbsd",
        target_os = "openbsd",
        target_os = "redox",
        target_vendor = "apple",
    )
));

pub use config::Config;
pub use server::{IoModel, Server};
pub use stop::Stopper;

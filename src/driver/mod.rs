//! Layer 3: the IO models, with the only sockets, clocks and threads.
//!
//! Owns the movement of bytes, time and commands between the system and sessions. Leaves parsing,
//! encoding and the choice of a status to `session` and `proto`, which both models use unchanged.
//! The two drivers are written to be read side by side. The other files here do not read or write
//! connections' sockets: inbox and mailbox take commands from other threads, and there are
//! deadlines, permits and the clock.
//!
//! | | `event_loop` | `thread_per_conn` |
//! |---|---|---|
//! | waits in | one `epoll_wait` for all | one `read` per connection |
//! | a held request costs | a few hundred bytes | a thread |
//! | a stream or WebSocket costs | a few hundred bytes | two threads |
//! | commands from other threads | one inbox, one waker | a mailbox and a condition variable each |
//! | a handler that blocks stops | all connections | its own connection |
//! | a slow reader's output waits in | its outbox | the thread that writes it |

mod clock;
mod config;
mod deliveries;
pub mod drive;
pub(crate) mod event_loop;
mod inbox;
#[cfg(all(test, loom))]
mod interleavings;
mod listen;
mod mailbox;
mod outboxes;
mod overflows;
mod permits;
mod read_time_out;
mod server;
mod sleep;
mod stop;
mod sync;
pub(crate) mod thread_per_conn;
mod timers;
pub mod tls;
mod wakes;
mod write;

/// Whether the system reports edges itself, as epoll and kqueue do. Elsewhere mio makes edges out
/// of levels: it reports a socket again only after a call on it has returned "would block".
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

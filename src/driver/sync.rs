//! The locks, atomics and the waker that carry commands from thread to thread.
//!
//! Owns the choice between the real types and those of loom. Under loom, `RUSTFLAGS="--cfg loom"
//! cargo test --lib` tries every order in which threads can meet. Leaves out everything that the
//! two do not offer alike.

#[cfg(not(all(test, loom)))]
mod chosen {
    pub(in crate::driver) use mio::Waker;
    pub(in crate::driver) use std::sync::atomic::{AtomicBool, AtomicUsize};
    pub(in crate::driver) use std::sync::{Condvar, Mutex, MutexGuard};
    pub(in crate::driver) use std::thread_local;
}

#[cfg(all(test, loom))]
mod chosen {
    pub(in crate::driver) use loom::sync::atomic::{AtomicBool, AtomicUsize};
    pub(in crate::driver) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(in crate::driver) use loom::thread_local;

    /// The behaviour of mio's waker on an eventfd: a wake-up is kept until a thread waits, and
    /// several become one.
    #[derive(Default)]
    pub(in crate::driver) struct Waker {
        is_woken: Mutex<bool>,
        changed: Condvar,
    }

    impl Waker {
        pub(in crate::driver) fn new(_: &mio::Registry, _: mio::Token) -> std::io::Result<Self> {
            Ok(Self::default())
        }

        pub(in crate::driver) fn wake(&self) -> std::io::Result<()> {
            *self.is_woken.lock().expect("no test panics with it") = true;
            self.changed.notify_one();
            Ok(())
        }

        /// Stands for `epoll_wait` of the server's thread. A wake-up that never comes is a
        /// deadlock, which loom reports.
        pub(in crate::driver) fn wait(&self) {
            let mut is_woken = self.is_woken.lock().expect("no test panics with it");
            while !std::mem::take(&mut *is_woken) {
                is_woken = self.changed.wait(is_woken).expect("no test panics with it");
            }
        }
    }
}

pub(super) use chosen::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Waker, thread_local};

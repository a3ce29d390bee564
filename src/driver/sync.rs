//! What the ways of commands from thread to thread are made of: locks, atomics, and the waker of the server's thread.
//!
//! Owns the choice between the real ones and those of loom, under which `RUSTFLAGS="--cfg loom" cargo test --lib` walks through every order in
//! which threads can meet. Refuses anything that both do not offer alike.

#[cfg(not(all(test, loom)))]
mod chosen {
    pub(in crate::driver) use mio::Waker;
    pub(in crate::driver) use std::sync::atomic::{AtomicBool, AtomicUsize};
    pub(in crate::driver) use std::sync::{Condvar, Mutex, MutexGuard};
}

#[cfg(all(test, loom))]
mod chosen {
    pub(in crate::driver) use loom::sync::atomic::{AtomicBool, AtomicUsize};
    pub(in crate::driver) use loom::sync::{Condvar, Mutex, MutexGuard};

    /// What mio's does on an eventfd: a wake-up that nobody waits for is kept, and many are one.
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

        /// What the server's thread does in `epoll_wait`. A wake-up that never comes is a deadlock, which loom reports.
        pub(in crate::driver) fn wait(&self) {
            let mut is_woken = self.is_woken.lock().expect("no test panics with it");
            while !std::mem::take(&mut *is_woken) {
                is_woken = self.changed.wait(is_woken).expect("no test panics with it");
            }
        }
    }
}

pub(super) use chosen::{AtomicBool, AtomicUsize, Condvar, Mutex, MutexGuard, Waker};

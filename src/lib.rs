//! pushlab: a small HTTP/1.1 + WebSocket server-push library, written by hand on `mio`, without an async runtime.

pub mod proto;

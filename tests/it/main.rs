//! Every integration test in one binary: it links once, and its tests run in parallel.
//!
//! Each test module says in its header which modules of `src` it tests, in lines that begin with `Covers:`; `tidy` reads them.
#![allow(unreachable_pub, reason = "a test binary exports nothing")]
#![allow(clippy::doc_markdown, reason = "the lines that begin with Covers: name modules as they are")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod corpus;
mod http1;
mod support;

mod blackbox;
mod error;
mod frame;
mod limits;
mod now;
mod outbox;
mod push;
mod session;
mod sse;
mod stomp;
mod tidy;
mod ws;

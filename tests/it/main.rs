//! Every integration test in one binary: it links once, and its tests run in parallel.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

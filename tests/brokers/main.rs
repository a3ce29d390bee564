//! Several servers that share one log, with real brokers: `RabbitMQ` and `ActiveMQ`, which the
//! tests start, stop and kill.
//!
//! Owns the list of scenarios. Leaves each scenario to its file, and what they share to `support`.
//! `tests/brokers/run` installs the brokers, builds the demo and runs this program.
//!
//! | file | what happens |
//! |---|---|
//! | `kill` | the broker is stopped, is killed and hangs, while clients change servers |
//! | `plain_topic` | a topic that keeps nothing: fan-out, and a gap for each client that changes its server |
//! | `lost_disk` | the broker comes back without its data |
//! | `bad_brokers` | what listens is no broker, is silent, refuses, or is not there |
//! | `cost` | nothing goes wrong: what a publish costs by each log |
//! | `lag` | a server is frozen, and then catches up |
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bad_brokers;
mod cost;
mod kill;
mod lag;
mod lost_disk;
mod plain_topic;
mod support;

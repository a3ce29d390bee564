//! The default bounds, and that they fit together.
//!
//! Covers: proto::limits, session::limits

use std::time::{Duration, Instant};

use pushlab::Limits;
use pushlab::proto::ProtocolLimits;

#[test]
fn the_defaults_fit_together() {
    let limits = Limits::default();
    let protocol = &limits.protocol;
    assert!(protocol.head_fields <= ProtocolLimits::HEAD_FIELDS_MAX);
    assert!(protocol.head_bytes <= 65_535, "as its documentation says");
    assert!(protocol.target_bytes >= 8_000, "RFC 9112, section 3 recommends to support at least 8,000 bytes");
    assert!(protocol.target_bytes < protocol.head_bytes, "a target at its limit leaves room for fields");
    assert!(protocol.pipeline_bytes >= protocol.head_bytes, "a pipelined head at its limit can be completed");
    assert!(protocol.chunk_line_bytes <= protocol.head_bytes);
    assert!(limits.queue_bytes >= protocol.message_bytes, "one message at its limit can be echoed");
    assert!(protocol.message_fragments >= 1 && protocol.body_rate >= 1);
}

#[test]
fn no_default_wait_is_zero_or_endless() {
    let limits = Limits::default();
    for wait in [
        limits.protocol.head_timeout,
        limits.protocol.body_timeout,
        limits.protocol.keep_alive_timeout,
        limits.write_timeout,
        limits.pong_timeout,
        limits.close_timeout,
        limits.heartbeat.unwrap(),
    ] {
        assert!((Duration::from_secs(1)..=Duration::from_secs(120)).contains(&wait), "{wait:?}");
    }
    assert!(limits.heartbeat.unwrap() <= Duration::from_secs(30), "RFC 6202, section 5.5: 30 seconds is safe");
    assert!(limits.pong_timeout < limits.heartbeat.unwrap(), "a vanished peer is released within two heartbeats");
}

#[test]
fn endless_times_are_clamped_and_others_left_alone() {
    const ENDLESS: Duration = Duration::MAX;
    const LONGEST: Duration = Limits::TIMEOUT_MAX;
    let with = |time| Limits {
        protocol: ProtocolLimits { head_timeout: time, body_timeout: time, keep_alive_timeout: time, ..ProtocolLimits::default() },
        write_timeout: time,
        pong_timeout: time,
        close_timeout: time,
        heartbeat: Some(time),
        ..Limits::default()
    };
    assert_eq!(with(ENDLESS).clamped(), with(LONGEST));
    assert_eq!(with(ENDLESS).protocol.clamped(), with(LONGEST).protocol, "a program on the protocols alone");
    assert!(Instant::now().checked_add(LONGEST).is_some());
    assert_eq!(with(LONGEST).clamped(), with(LONGEST));
    assert_eq!(Limits::default().clamped(), Limits::default());
}

#[test]
fn a_server_without_output_would_not_process_input() {
    let limits = |output_bytes| Limits { output_bytes, ..Limits::default() };
    assert_eq!(limits(0).clamped(), limits(1));
    assert_eq!(limits(1).clamped(), limits(1));
}

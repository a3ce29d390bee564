//! The default bounds, and that they fit together.
//!
//! Covers: proto::limits

use std::time::Duration;

use pushlab::proto::Limits;

#[test]
fn the_defaults_fit_together() {
    let limits = Limits::default();
    assert!(limits.head_fields <= Limits::HEAD_FIELDS_MAX);
    assert!(limits.head_bytes <= 65_535, "as its documentation says");
    assert!(limits.target_bytes >= 8_000, "RFC 9112, section 3 recommends to support at least 8,000 bytes");
    assert!(limits.target_bytes < limits.head_bytes, "a target at its limit leaves room for fields");
    assert!(limits.pipeline_bytes >= limits.head_bytes, "a pipelined head at its limit can be completed");
    assert!(limits.chunk_line_bytes <= limits.head_bytes);
    assert!(limits.queue_bytes >= limits.message_bytes, "one message at its limit can be echoed");
    assert!(limits.message_fragments >= 1 && limits.body_rate >= 1);
}

#[test]
fn no_default_wait_is_zero_or_endless() {
    let limits = Limits::default();
    for wait in [
        limits.head_timeout,
        limits.body_timeout,
        limits.keep_alive_timeout,
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
    let endless = Limits {
        head_timeout: Duration::MAX,
        body_timeout: Duration::MAX,
        keep_alive_timeout: Duration::MAX,
        write_timeout: Duration::MAX,
        pong_timeout: Duration::MAX,
        close_timeout: Duration::MAX,
        heartbeat: Some(Duration::MAX),
        ..Limits::default()
    };
    let clamped = endless.clamped();
    assert_eq!((clamped.head_timeout, clamped.heartbeat), (Limits::TIMEOUT_MAX, Some(Limits::TIMEOUT_MAX)));
    assert!(std::time::Instant::now().checked_add(clamped.close_timeout).is_some());
    assert_eq!(Limits::default().clamped(), Limits::default());
}

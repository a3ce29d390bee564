//! What two sides agree on when they connect.
//!
//! Covers: proto::stomp::version, proto::stomp::heart_beat

use std::time::Duration;

use pushlab::proto::stomp::{HeartBeat, Intervals, StompError, Version};

#[test]
fn the_highest_common_version_is_chosen() {
    for (accepted, expected) in [
        (None, Ok(Version::V1_0)),
        (Some("1.2"), Ok(Version::V1_2)),
        (Some("1.0,1.1,1.2"), Ok(Version::V1_2)),
        (Some("1.1,1.0"), Ok(Version::V1_1)),
        (Some("1.0"), Ok(Version::V1_0)),
        (Some("1.1,2.0"), Ok(Version::V1_1)),
        (Some("2.0"), Err(StompError::UnsupportedVersion)),
        (Some(""), Err(StompError::UnsupportedVersion)),
        (Some("1.20"), Err(StompError::UnsupportedVersion)),
        (Some(" 1.2"), Err(StompError::UnsupportedVersion)),
    ] {
        assert_eq!(Version::negotiate(accepted, Version::V1_2), expected, "{accepted:?}");
    }
    for (highest, expected) in [(Version::V1_2, "1.2"), (Version::V1_1, "1.1"), (Version::V1_0, "1.0")] {
        assert_eq!(Version::negotiate(Some("1.0,1.2,1.1"), highest).map(Version::name), Ok(expected));
    }
    assert_eq!(Version::negotiate(Some("1.2"), Version::V1_1), Err(StompError::UnsupportedVersion));
}

#[test]
fn each_version_has_its_names() {
    for (version, name, subprotocol) in
        [(Version::V1_0, "1.0", "v10.stomp"), (Version::V1_1, "1.1", "v11.stomp"), (Version::V1_2, "1.2", "v12.stomp")]
    {
        assert_eq!((version.name(), version.subprotocol()), (name, subprotocol));
        assert_eq!((Version::from_name(name), Version::from_subprotocol(subprotocol)), (Some(version), Some(version)));
    }
    assert_eq!([Version::from_name("1.3"), Version::from_subprotocol("V12.STOMP")], [None; 2]);
    assert!(Version::ALL.is_sorted_by(|a, b| a > b), "the highest one is preferred");
}

#[test]
fn a_heart_beat_is_two_numbers() {
    let parsed = |sends_ms, wants_ms| Ok(HeartBeat { sends_ms, wants_ms });
    let bad = Err(StompError::BadHeartBeat);
    for (value, expected) in [
        (None, parsed(0, 0)),
        (Some("0,0"), parsed(0, 0)),
        (Some("4294967295,1"), parsed(u32::MAX, 1)),
        (Some("010,1"), parsed(10, 1)),
        (Some("4294967296,1"), bad),
        (Some(""), bad),
        (Some("1"), bad),
        (Some("1,"), bad),
        (Some(",1"), bad),
        (Some("1,2,3"), bad),
        (Some("+1,2"), bad),
        (Some("-1,2"), bad),
        (Some("1, 2"), bad),
        (Some("1.5,2"), bad),
    ] {
        assert_eq!(HeartBeat::parse(value), expected, "{value:?}");
    }
}

/// STOMP 1.2, "Heart-beating": "if <cx> is 0 ... or <sy> is 0 ... then there will be none; otherwise, there will be heart-beats every
/// MAX(<cx>,<sy>) milliseconds".
#[test]
fn the_slower_side_decides_in_each_direction() {
    let ms = |ms| Some(Duration::from_millis(ms));
    for (server, client, send, receive) in [
        ((10, 20), (30, 40), ms(40), ms(30)),
        ((40, 30), (20, 10), ms(40), ms(30)),
        ((0, 20), (30, 40), None, ms(30)),
        ((10, 0), (30, 40), ms(40), None),
        ((10, 20), (0, 40), ms(40), None),
        ((10, 20), (30, 0), None, ms(30)),
        ((0, 0), (0, 0), None, None),
    ] {
        let [own, peer] = [server, client].map(|(sends_ms, wants_ms)| HeartBeat { sends_ms, wants_ms });
        assert_eq!(own.agree(peer), Intervals { send, receive }, "{own} with {peer}");
        assert_eq!(HeartBeat::parse(Some(&own.to_string())), Ok(own));
    }
}

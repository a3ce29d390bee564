//! What a broken rule says on the wire.
//!
//! Covers: proto::error

use std::collections::HashSet;
use std::error::Error;

use pushlab::proto::{CloseReason, LocalError, RemoteError};

/// Every error with its status and its close code. One that is missing here has been added without a decision on either.
const TABLE: [(RemoteError, u16, u16); 42] = [
    (RemoteError::BadRequestLine, 400, 1002),
    (RemoteError::BadField, 400, 1002),
    (RemoteError::BadTarget, 400, 1002),
    (RemoteError::BadEscape, 400, 1002),
    (RemoteError::MisdirectedTarget, 421, 1002),
    (RemoteError::MisdirectedHost, 421, 1002),
    (RemoteError::BadHost, 400, 1002),
    (RemoteError::BadContentLength, 400, 1002),
    (RemoteError::ConflictingFraming, 400, 1002),
    (RemoteError::BadTransferEncoding, 400, 1002),
    (RemoteError::UnknownTransferCoding, 501, 1002),
    (RemoteError::BadChunk, 400, 1002),
    (RemoteError::HeadTooLarge, 431, 1002),
    (RemoteError::TooManyFields, 431, 1002),
    (RemoteError::TargetTooLong, 414, 1002),
    (RemoteError::BodyTooLarge, 413, 1002),
    (RemoteError::UnknownMethod, 501, 1002),
    (RemoteError::UnsupportedVersion, 505, 1002),
    (RemoteError::UnknownExpectation, 417, 1002),
    (RemoteError::HeadTimeout, 408, 1002),
    (RemoteError::BodyTimeout, 408, 1002),
    (RemoteError::UnexpectedEof, 400, 1002),
    (RemoteError::NotAWebSocketRequest, 426, 1002),
    (RemoteError::UnsupportedWebSocketVersion, 426, 1002),
    (RemoteError::BadHandshake, 400, 1002),
    (RemoteError::ForbiddenOrigin, 403, 1002),
    (RemoteError::ReservedBits, 400, 1002),
    (RemoteError::ReservedOpcode, 400, 1002),
    (RemoteError::UnmaskedFrame, 400, 1002),
    (RemoteError::BadPayloadLength, 400, 1002),
    (RemoteError::BadControlFrame, 400, 1002),
    (RemoteError::BadFragment, 400, 1002),
    (RemoteError::InvalidUtf8, 400, 1007),
    (RemoteError::BadCompression, 400, 1007),
    (RemoteError::BadCloseFrame, 400, 1002),
    (RemoteError::MessageTooLarge, 400, 1009),
    (RemoteError::TooManyFragments, 400, 1008),
    (RemoteError::Silent, 400, 1002),
    (RemoteError::PlainHttp, 400, 1002),
    (RemoteError::TlsHandshakeTimeout, 400, 1002),
    (RemoteError::BadTls, 400, 1002),
    (RemoteError::TlsTruncated, 400, 1002),
];

#[test]
fn every_remote_error_has_a_status_a_close_code_and_a_sentence_of_its_own() {
    let mut sentences = HashSet::new();
    assert_eq!(TABLE.map(|(error, ..)| error), RemoteError::ALL);
    for (at, (error, status, close_code)) in TABLE.into_iter().enumerate() {
        assert_eq!(error as usize, at, "counters stand in this order");
        assert_eq!((error.status(), error.close_code()), (status, close_code), "{error:?}");
        let sentence = error.to_string();
        assert!(sentence.is_ascii() && sentence.len() <= 123 && !sentence.contains(char::is_control), "{error:?} fits a close frame");
        assert!(sentences.insert(sentence), "{error:?} says what another says");
        assert!(error.source().is_none());
    }
}

#[test]
fn errors_are_small() {
    assert_eq!(size_of::<Result<(), RemoteError>>(), 1);
    assert_eq!(size_of::<Result<(), LocalError>>(), 1);
    assert!(size_of::<Option<CloseReason>>() <= 4);
}

#[test]
fn every_local_error_and_close_reason_has_a_sentence_of_its_own() {
    let local = [
        LocalError::BadField,
        LocalError::BadEvent,
        LocalError::BadHeader,
        LocalError::BadStatus,
        LocalError::ReservedField,
        LocalError::WrongState,
        LocalError::BodyLength,
        LocalError::BadCloseCode,
    ];
    assert_eq!(local.map(|error| error.to_string()).iter().collect::<HashSet<_>>().len(), local.len());
    let reasons = [
        CloseReason::Peer(1000),
        CloseReason::Peer(1005),
        CloseReason::Local(1000),
        CloseReason::Remote(RemoteError::InvalidUtf8),
        CloseReason::SlowConsumer,
        CloseReason::WriteStalled,
        CloseReason::Transport,
        CloseReason::Idle,
        CloseReason::Shutdown,
        CloseReason::HandlerPanicked,
    ];
    assert_eq!(reasons.map(|reason| reason.to_string()).iter().collect::<HashSet<_>>().len(), reasons.len());
    assert_eq!(CloseReason::Remote(RemoteError::InvalidUtf8).to_string(), RemoteError::InvalidUtf8.to_string());
}

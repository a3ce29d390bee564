//! TLS of one connection over byte buffers.
//!
//! Owns the way from records to bytes and back, what is left between two reads and two writes, and
//! the bounds on what a peer may send that is not for the session. An idle connection keeps no
//! buffer here. Leaves the protocol to `rustls`, and reading and writing to `secured`.

use rustls::ProtocolVersion;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic};

use crate::driver::drive::Input;
use crate::proto::{Outbox, RemoteError};
use crate::session::{Ready, Sent, TlsInfo, TlsVersion};

/// Bytes of a record that is not whole, and of a handshake message in several records. A whole
/// record has at most 16 KiB and some (RFC 8446, section 5.2), and a handshake message of 64 KiB is
/// the largest that `rustls` takes.
const PARTIAL_MAX: usize = 128 * 1024;
/// From so many bytes of records on, nothing more is encrypted before they are written. What the
/// system does not take stays in memory, beside the session's output: these and one more record.
const WRITE_BYTES: usize = 64 * 1024;
/// The largest number of bytes of output in one record (RFC 8446, section 5.1: 2^14).
const RECORD_BYTES: usize = 16 * 1024;
/// The bytes that a record may add: the head, an explicit nonce and a tag.
const RECORD_ADDS: usize = 32;
/// Room for a `close_notify`, and for records that `rustls` sends before it, such as one that
/// answers an update of keys.
const CLOSE_NOTIFY_BYTES: usize = 256;

/// Where a connection is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// This many more bytes may come before the handshake has ended. Nothing has come yet if
    /// `is_new`.
    Handshake {
        left: usize,
        is_new: bool,
    },
    Open,
    /// The peer does not speak TLS. Output is sent as it is, and input is discarded.
    Plain,
    /// This side has ended, in an orderly way or by an error. Only the records that are held are
    /// sent, and input is discarded. `rustls` is not asked any more: with debug assertions, it
    /// panics if an error follows its own `close_notify`.
    Over,
}

/// TLS of one connection.
pub(super) struct Records {
    connection: UnbufferedServerConnection,
    mode: Mode,
    /// Input that does not make a whole record or handshake message yet.
    partial: Vec<u8>,
    /// Input for the session. The first `given` bytes have been given.
    decoded: Vec<u8>,
    given: usize,
    /// Records that the system has not taken.
    pub(super) held: Outbox,
    /// To be reported to the session.
    news: Option<Box<TlsInfo>>,
    failure: Option<RemoteError>,
    /// The peer has sent `close_notify`.
    peer_closed: bool,
}

impl Records {
    pub(super) fn new(connection: UnbufferedServerConnection, handshake_bytes: usize) -> Self {
        Self {
            connection,
            mode: Mode::Handshake { left: handshake_bytes, is_new: true },
            partial: Vec::new(),
            decoded: Vec::new(),
            given: 0,
            held: Outbox::new(),
            news: None,
            failure: None,
            peer_closed: false,
        }
    }

    /// The next result that waits for the session. Input goes into `room`. `ready` says whether the
    /// system may have more.
    pub(super) fn pending(&mut self, room: &mut [u8], ready: Ready) -> Option<Input> {
        let len = self.give(room);
        let has_more = !self.decoded.is_empty() || self.failure.is_some() || self.peer_closed;
        let more = if has_more { Ready::Perhaps } else { ready };
        if let Some(info) = self.news.take() {
            return Some(Input::Secured(info, len, more));
        }
        if len > 0 {
            return Some(Input::Bytes(len, more));
        }
        if !self.decoded.is_empty() {
            // There is no room: the caller does not read. The input stays in front of what follows.
            return Some(Input::Nothing(0, more));
        }
        if let Some(error) = self.failure.take() {
            return Some(Input::Failed(error, ready));
        }
        (self.peer_closed && self.mode == Mode::Open).then_some(Input::End)
    }

    fn give(&mut self, room: &mut [u8]) -> usize {
        let left = &self.decoded[self.given..];
        let len = left.len().min(room.len());
        room[..len].copy_from_slice(&left[..len]);
        self.given += len;
        if self.given == self.decoded.len() {
            (self.decoded, self.given) = (Vec::new(), 0);
        }
        len
    }

    /// Takes bytes from the system.
    pub(super) fn decode(&mut self, fresh: &mut [u8]) {
        match self.mode {
            Mode::Plain | Mode::Over => return,
            // The methods of RFC 9110 begin with a capital letter, and a record with its type,
            // which is 22 here (RFC 8446, section 5.1).
            Mode::Handshake { is_new: true, .. } if fresh.first().is_some_and(u8::is_ascii_uppercase) => {
                self.mode = Mode::Plain;
                self.failure = Some(RemoteError::PlainHttp);
                return;
            }
            Mode::Handshake { .. } | Mode::Open => {}
        }
        if self.partial.is_empty() {
            if let Ok(used) = self.process(fresh) {
                self.partial.extend_from_slice(&fresh[used..]);
            }
        } else {
            self.partial.extend_from_slice(fresh);
            let mut partial = std::mem::take(&mut self.partial);
            if let Ok(used) = self.process(&mut partial)
                && used < partial.len()
            {
                partial.drain(..used);
                self.partial = partial;
            }
        }
        // The end of the handshake and the first request may come together.
        if let Mode::Handshake { left, .. } = self.mode {
            match left.checked_sub(fresh.len()) {
                Some(left) => self.mode = Mode::Handshake { left, is_new: false },
                None => self.fail("the handshake has more bytes than `handshake_bytes`"),
            }
        }
        if self.partial.len() > PARTIAL_MAX {
            self.fail("a message has too many bytes");
        }
    }

    /// Works on all whole records of `input`. Returns how many bytes it has used.
    fn process(&mut self, input: &mut [u8]) -> Result<usize, ()> {
        let mut used = 0;
        loop {
            let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(&mut input[used..]);
            let is_done = match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        let Ok(record) = record else { break };
                        discard += record.discard;
                        self.decoded.extend_from_slice(record.payload);
                    }
                    false
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    encode(&mut self.held, &mut data);
                    false
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.done();
                    false
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.peer_closed = true;
                    false
                }
                Ok(ConnectionState::Closed | ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => true,
                // Early data is not enabled, and the list of states may grow.
                Ok(_) => {
                    self.fail("a state that this server does not know");
                    return Err(());
                }
                Err(error) => {
                    // Input may have come between the end of the handshake and the mistake.
                    self.note_secured();
                    self.fail(&error.to_string());
                    self.say_why();
                    return Err(());
                }
            };
            used += discard;
            if is_done {
                break;
            }
        }
        self.note_secured();
        Ok(used)
    }

    fn note_secured(&mut self) {
        if matches!(self.mode, Mode::Handshake { .. }) && !self.connection.is_handshaking() {
            self.mode = Mode::Open;
            self.news = Some(Box::new(self.info()));
        }
    }

    fn info(&self) -> TlsInfo {
        let version = match self.connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_2) => TlsVersion::Tls12,
            _ => TlsVersion::Tls13,
        };
        let certificates = self.connection.peer_certificates().unwrap_or_default();
        TlsInfo { version, client_certificates: certificates.iter().map(|certificate| certificate.to_vec().into()).collect() }
    }

    /// The peer has broken a rule.
    #[cold]
    fn fail(&mut self, sentence: &str) {
        log::debug!("TLS: {sentence}");
        self.mode = Mode::Over;
        self.failure = Some(RemoteError::BadTls);
        self.partial = Vec::new();
    }

    /// Makes the alert that `rustls` has for the peer. Nothing else must be asked of `rustls` after
    /// an error.
    #[cold]
    fn say_why(&mut self) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut self.held, &mut data),
                // Input before the error is discarded.
                Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
                _ => return,
            }
        }
    }

    /// The system has no further input.
    pub(super) fn ended(&mut self) -> Input {
        if self.mode == Mode::Open && !self.peer_closed {
            self.mode = Mode::Over;
            return Input::Failed(RemoteError::TlsTruncated, Ready::No);
        }
        Input::End
    }

    /// Moves output into records. Fails if `rustls` can encrypt nothing more.
    pub(super) fn encrypt(&mut self, out: &mut Outbox) -> Result<(), ()> {
        match self.mode {
            Mode::Plain => self.held.append(out),
            Mode::Handshake { .. } | Mode::Over => out.advance(out.len()),
            Mode::Open => {
                let mut gathered = Vec::new();
                while !out.is_empty() && self.held.len() < WRITE_BYTES {
                    let bytes = next_record(out, &mut gathered);
                    let len = bytes.len();
                    let Self { connection, partial, held, .. } = self;
                    if !with_traffic(connection, partial, held, len + RECORD_ADDS, |traffic, room| traffic.encrypt(bytes, room)) {
                        self.fail("nothing can be encrypted any more");
                        return Err(());
                    }
                    out.advance(len);
                }
            }
        }
        Ok(())
    }

    /// Ends the sending side of TLS. After the whole, a `close_notify` is among the records to be
    /// sent.
    pub(super) fn end_sending(&mut self, sent: Sent) {
        if self.mode == Mode::Open {
            self.mode = Mode::Over;
            let Self { connection, partial, held, .. } = self;
            if sent == Sent::Whole {
                let close_notify = |traffic: &mut WriteTraffic<'_, _>, room: &mut [u8]| traffic.queue_close_notify(room);
                with_traffic(connection, partial, held, CLOSE_NOTIFY_BYTES, close_notify);
            }
            (self.partial, self.decoded, self.given) = (Vec::new(), Vec::new(), 0);
        }
    }
}

/// The bytes of the next record: of one piece, or of small ones together.
fn next_record<'a>(out: &'a Outbox, gathered: &'a mut Vec<u8>) -> &'a [u8] {
    let first = out.chunks().next().unwrap_or_default();
    if first.len() == out.len() || first.len() >= RECORD_BYTES {
        return &first[..first.len().min(RECORD_BYTES)];
    }
    gathered.clear();
    for chunk in out.chunks() {
        let room = RECORD_BYTES - gathered.len();
        gathered.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if gathered.len() == RECORD_BYTES {
            break;
        }
    }
    gathered
}

/// Calls `write` when `rustls` can send bytes of the application, with `room` bytes or as many as
/// it asks for. What `rustls` itself has to send comes before. Returns whether `write` has
/// succeeded.
fn with_traffic(
    connection: &mut UnbufferedServerConnection,
    partial: &mut Vec<u8>,
    held: &mut Outbox,
    room: usize,
    mut write: impl FnMut(&mut WriteTraffic<'_, ServerConnectionData>, &mut [u8]) -> Result<usize, EncryptError>,
) -> bool {
    loop {
        // `rustls` expects the same input again until it has used it.
        let UnbufferedStatus { discard, state } = connection.process_tls_records(partial);
        let is_written = match state {
            Ok(ConnectionState::WriteTraffic(mut traffic)) => Some(append(held, room, |room| {
                write(&mut traffic, room).map_err(|error| match error {
                    EncryptError::InsufficientSize(needed) => Some(needed.required_size),
                    EncryptError::EncryptExhausted => None,
                })
            })),
            Ok(ConnectionState::EncodeTlsData(mut data)) => {
                encode(held, &mut data);
                None
            }
            Ok(ConnectionState::TransmitTlsData(transmit)) => {
                transmit.done();
                None
            }
            _ => Some(false),
        };
        if discard > 0 {
            partial.drain(..discard);
        }
        if let Some(is_written) = is_written {
            return is_written;
        }
    }
}

fn encode(held: &mut Outbox, data: &mut EncodeTlsData<'_, ServerConnectionData>) {
    append(held, 0, |room| {
        data.encode(room).map_err(|error| match error {
            EncodeError::InsufficientSize(needed) => Some(needed.required_size),
            EncodeError::AlreadyEncoded => None,
        })
    });
}

/// Appends the bytes that `write` puts into room of this size. `write` returns how many bytes it
/// has written, or how much room it needs. Returns whether it has succeeded.
fn append(held: &mut Outbox, room: usize, mut write: impl FnMut(&mut [u8]) -> Result<usize, Option<usize>>) -> bool {
    let mut is_written = false;
    held.extend_with(room, |bytes| {
        let (before, mut room) = (bytes.len(), room);
        loop {
            bytes.resize(before + room, 0);
            match write(&mut bytes[before..]) {
                Ok(len) => {
                    is_written = true;
                    return bytes.truncate(before + len);
                }
                Err(Some(needed)) if needed > room => room = needed,
                Err(_) => return bytes.truncate(before),
            }
        }
    });
    is_written
}

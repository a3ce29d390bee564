//! The fields of a connection's last request.
//!
//! Owns the memory of the field lines that were validated last, and what was concluded from them. A
//! client sends the same fields with each request, so the next head is compared and not parsed:
//! with the fields of a browser, that takes 100 instructions in place of 4,000. Leaves the request
//! line, which is parsed each time, and the fields that are not known to [`Head`].

use std::cell::{Cell, RefCell};

use super::super::ProtocolLimits;
use super::facts::{Conclusions, Span};
use super::head::Head;

/// The longest field lines that are remembered, in bytes. A browser sends 400 to 900 bytes.
const REMEMBERED_BYTES: usize = 1_024;

/// After so many heads in a row with other fields, nothing is remembered: such a client sends a
/// field that is new each time, and then a memory costs 250 instructions and saves none.
const MISSED_MAX: u8 = 4;

/// After so many heads in a row, the fields are remembered once more.
const MISSED_AGAIN: u8 = 64;

/// The field lines of the last request of one connection. A driver can keep them for some of its
/// connections. They take 1 KiB at most.
///
/// Nothing depends on them but time. A driver must not use those of one connection for another
/// connection without [`forget`](Self::forget): a peer could measure the time, and find out whether
/// it has guessed the fields of another peer. The fields may have credentials, which stay in memory
/// until other fields take their place, as they do in a receive buffer.
///
/// ```
/// use std::time::{Instant, SystemTime};
/// use pushlab::proto::{ProtocolLimits, Now, Outbox};
/// use pushlab::proto::http1::{Conn, Event, KnownFields, Next, ResponseHead};
/// let now = Now::new(Instant::now(), SystemTime::now());
/// let (limits, mut out, known) = (ProtocolLimits::default(), Outbox::new(), KnownFields::default());
/// let mut conn = Conn::new(now.instant(), &limits);
/// for path in ["/one", "/two"] {
///     let input = format!("GET {path} HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n\r\n");
///     let head = match known.parse(input.as_bytes(), &limits) {
///         Some(head) if conn.begin_known(now.instant(), &head, &limits) => head,
///         _ => {
///             let (_, next) = conn.next_event(now.instant(), input.as_bytes(), &mut out, &limits)?;
///             let Next::Event(Event::Head(head)) = next else { panic!("a whole head came") };
///             known.remember(&head);
///             head
///         }
///     };
///     assert_eq!((head.path(), head.field_text("accept")), (path, Some("*/*")));
///     conn.send_response(&now, &ResponseHead::new(200, "text/plain"), b"hello\n", &mut out)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct KnownFields(RefCell<Remembered>);

/// What is remembered. It is nothing if `section` is empty.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    /// The field lines and the blank line.
    section: Vec<u8>,
    /// The range of the host in `section`.
    host: Span,
    concluded: Option<Conclusions>,
    /// The number of heads in a row whose fields were others.
    missed: Cell<u8>,
}

impl KnownFields {
    /// Forgets the fields, and keeps the memory for others.
    #[inline]
    pub fn forget(&self) {
        let known = &mut *self.0.borrow_mut();
        known.section.clear();
        known.missed.set(0);
    }

    /// As [`forget`](Self::forget), and the next fields count as others than the last ones. Call it
    /// when a connection takes the place of another one that may come back.
    #[inline]
    pub fn miss(&self) {
        self.0.borrow_mut().section.clear();
    }

    /// Parses the head at the front of `input`, if its fields are the remembered ones. `None` means
    /// that [`Conn::next_event`](super::Conn::next_event) is to be asked, which also finds what is
    /// wrong.
    #[inline(always)]
    pub fn parse<'a>(&self, input: &'a [u8], limits: &ProtocolLimits) -> Option<Head<'a>> {
        Head::parse_known(&input[..input.len().min(Head::largest(limits))], &self.0.borrow(), limits)
    }

    /// Remembers the fields of a head, which were not known. Does not remember them if they are too
    /// long, or if the fields have been others each time.
    pub fn remember(&self, head: &Head<'_>) {
        let known = &mut *self.0.borrow_mut();
        known.section.clear();
        let missed = known.missed.get() + 1;
        known.missed.set(if missed < MISSED_AGAIN { missed } else { MISSED_MAX });
        if MISSED_MAX < missed && missed < MISSED_AGAIN {
            return;
        }
        let Some((section, concluded, host)) = head.section().filter(|(section, ..)| section.len() <= REMEMBERED_BYTES) else { return };
        known.section.reserve_exact(section.len());
        known.section.extend_from_slice(section);
        (known.host, known.concluded) = (host, Some(concluded));
    }
}

impl Remembered {
    /// What was concluded from the fields, if `input` begins with them.
    #[inline(always)]
    pub(super) fn concluded_by(&self, input: &[u8]) -> Option<Conclusions> {
        if !input.starts_with(&self.section) {
            return None;
        }
        self.missed.set(0);
        self.concluded
    }

    /// The length of the field lines with the blank line.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.section.len()
    }

    /// The range of the host in a head whose fields begin at `fields_at`.
    #[inline]
    pub(super) fn host(&self, fields_at: usize) -> Span {
        self.host.moved(fields_at)
    }
}

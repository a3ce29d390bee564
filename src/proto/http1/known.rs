//! The fields of a connection's last request.
//!
//! Owns the way of a driver to remember them. A client sends the same fields with each request, so
//! the next head is compared and not parsed: with the fields of a browser, that takes 100
//! instructions in place of 4,000. Leaves the memory to `remembered`, and to [`Head`] the request
//! line, which is parsed each time, and fields that are not known.

use std::cell::RefCell;

use super::super::ProtocolLimits;
use super::head::Head;
use super::remembered::Remembered;

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

impl KnownFields {
    /// Forgets the fields, and keeps the memory for another connection.
    #[inline]
    pub fn forget(&self) {
        self.0.borrow_mut().forget();
    }

    /// As [`forget`](Self::forget), for a connection that takes the place of another one, which may come
    /// back: the next fields count as others than the last ones.
    #[inline]
    pub fn miss(&self) {
        self.0.borrow_mut().miss();
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
        self.0.borrow_mut().take(|| head.section());
    }
}

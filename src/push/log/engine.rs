//! What a hub needs of a log outside the process.
//!
//! Owns the traits that an engine implements, and their errors. Leaves the engines themselves to
//! `brokers`, the messages that wait for the log to `spool`, and applying the records to `hub`.
//!
//! A hub calls the methods of a session, a reader and a writer on threads of its own, which may
//! block. It opens a new session after each error.

use std::fmt;
use std::time::Duration;

use super::record::{Entry, Record};

/// A log outside the process: it puts the messages of several hubs in one order, and gives each the
/// same position for every hub.
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::time::Duration;
/// use pushlab::push::{Cursor, Entry, EpochProposal, Following, Hub, HubConfig, Log, LogError, LogReader, LogSession, LogWriter};
/// use pushlab::push::{Payload, Record, SharedLog, Topics};
/// /// A log that several hubs of one process share.
/// #[derive(Clone, Default)]
/// struct Shared(Arc<Mutex<Vec<Record>>>);
/// impl Log for Shared {
///     fn name(&self) -> String {
///         "a list".to_owned()
///     }
///     fn keeps_records(&self) -> bool {
///         true
///     }
///     fn connect(&self) -> Result<Box<dyn LogSession>, LogError> {
///         Ok(Box::new(self.clone()))
///     }
/// }
/// impl LogSession for Shared {
///     fn agree(&mut self, _: &EpochProposal) -> Result<u64, LogError> {
///         Ok(1)
///     }
///     fn announce(&mut self, _: u64) -> Result<(), LogError> {
///         Ok(()) // the epoch never changes
///     }
///     fn end(&mut self) -> Result<u64, LogError> {
///         Ok(self.0.lock().expect("no panic").len() as u64)
///     }
///     fn follow(self: Box<Self>, first: u64) -> Result<Following, LogError> {
///         Ok(Following { first, reader: Box::new(Reader(*self.clone(), first)), writer: self })
///     }
/// }
/// impl LogWriter for Shared {
///     fn append(&mut self, record: &Record) -> Result<(), LogError> {
///         self.0.lock().expect("no panic").push(record.clone());
///         Ok(())
///     }
/// }
/// struct Reader(Shared, u64);
/// impl LogReader for Reader {
///     fn next(&mut self, _: Duration) -> Result<Option<Entry>, LogError> {
///         let record = self.0.0.lock().expect("no panic").get(self.1 as usize).cloned();
///         let entry = record.map(|record| Entry { position: self.1, record: Some(record), epoch: None });
///         self.1 += u64::from(entry.is_some());
///         std::thread::yield_now();
///         Ok(entry)
///     }
/// }
/// let log = Shared::default();
/// let hubs = [(); 2].map(|()| Hub::new(HubConfig { log: Some(SharedLog::new(log.clone())), ..HubConfig::default() }));
/// for hub in &hubs {
///     hub.wait_for_log(Duration::from_secs(60)).expect("the log is a list");
/// }
/// let published = hubs[0].publish("news", Payload::text("it works"))?;
/// // The other hub has the same message with the same id, as soon as it has applied the record.
/// let topics = Topics::parse("news", 1).expect("a valid name");
/// while hubs[1].last() < published.id {
///     std::thread::yield_now();
/// }
/// assert_eq!(hubs[1].replay(&topics, Cursor::Earliest).messages[0].id(), published.id);
/// # Ok::<(), pushlab::push::PublishError>(())
/// ```
pub trait Log: Send + Sync + 'static {
    /// The log in sentences for people: its kind and its address, without a password.
    fn name(&self) -> String;

    /// Whether a record can be read again. If not, a session that ends loses the records until the
    /// next one begins, and positions and cursors are those of one hub.
    fn keeps_records(&self) -> bool;

    /// Connects to the log.
    ///
    /// # Errors
    /// When the log cannot be reached, does not answer in time, or refuses.
    fn connect(&self) -> Result<Box<dyn LogSession>, LogError>;
}

/// A connection to a log, before it follows. A hub asks for the end, agrees on the epoch, announces
/// the epoch, and then follows. In this order, a hub learns of every change of the epoch: one that
/// happens before it agrees by the answer, and one that happens later by its announcement, which is
/// behind the end.
pub trait LogSession: Send {
    /// Returns the epoch of the log, which every hub agrees on. If the log has none, or if it has
    /// the one that `proposal` replaces, the proposed epoch becomes that of the log.
    ///
    /// # Errors
    /// When the connection breaks, or when the log does not answer in time.
    fn agree(&mut self, proposal: &EpochProposal) -> Result<u64, LogError>;

    /// Appends an entry that names the epoch. A hub that follows the log with another epoch then
    /// connects again.
    ///
    /// # Errors
    /// When the connection breaks, or when the log does not answer in time.
    fn announce(&mut self, epoch: u64) -> Result<(), LogError>;

    /// The position behind the last record.
    ///
    /// # Errors
    /// When the connection breaks, or when the log does not answer in time.
    fn end(&mut self) -> Result<u64, LogError>;

    /// Begins to follow the log from a position.
    ///
    /// # Errors
    /// When the connection breaks, or when the log refuses.
    fn follow(self: Box<Self>, first: u64) -> Result<Following, LogError>;
}

/// The two halves of a connection that follows a log. [`Log`] has an example.
pub struct Following {
    /// The position of the first record that the reader returns. It is higher than the one that was
    /// asked for if records are known to be lost.
    pub first: u64,
    /// Returns the records.
    pub reader: Box<dyn LogReader>,
    /// Appends records.
    pub writer: Box<dyn LogWriter>,
}

impl fmt::Debug for Following {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Following").field("first", &self.first).finish_non_exhaustive()
    }
}

/// Returns the records of a log in order.
pub trait LogReader: Send {
    /// The next record. Waits for it for about `wait`, and returns `None` then.
    ///
    /// # Errors
    /// When the connection has broken. The reader is not called again.
    fn next(&mut self, wait: Duration) -> Result<Option<Entry>, LogError>;
}

/// Appends records to a log.
pub trait LogWriter: Send {
    /// Sends a record to the log. The record is confirmed when a reader returns it.
    ///
    /// # Errors
    /// When the connection has broken. The writer is not called again, and the reader of the same
    /// connection must then fail, too.
    fn append(&mut self, record: &Record) -> Result<(), LogError>;
}

/// An epoch that a hub proposes to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochProposal {
    /// The epoch that the proposed one replaces; `None` for the first epoch of a log.
    pub replaces: Option<u64>,
    /// The proposed epoch.
    pub epoch: u64,
}

/// Why a log cannot be used: a sentence for the person who runs the server.
///
/// ```
/// use pushlab::push::LogError;
/// assert_eq!(LogError::new("the disk is full").to_string(), "the disk is full");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogError(Box<str>);

impl LogError {
    /// An error with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into().into_boxed_str())
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LogError {}

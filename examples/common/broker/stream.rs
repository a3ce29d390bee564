//! One stream: records with the offsets 0, 1, 2 and so on, in memory and on disk.
//!
//! Owns the order of the records, the files, what is removed when there are too many, and waiting
//! for the next record. Leaves names and clients to its users.
//!
//! A stream is a directory of files. The name of a file is the offset of its first record, and a
//! record is the SEND frame by which it came. When the last file is full, the next one begins, and
//! the oldest one is deleted if there are too many.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use pushlab::proto::LocalError;
use pushlab::proto::stomp::{Command, Frame, FrameWriter, Reader, Role, StompLimits, Version};

/// The next file begins after so many bytes.
pub(super) const FILE_BYTES: usize = 4 * 1024 * 1024;
/// All records of so many files are also in memory.
pub(super) const FILES_MAX: usize = 8;
/// `u64::MAX` has 20 digits. With leading zeros, the names are in the order of the offsets.
const DIGITS: usize = 20;
/// Headers that are about the way of a SEND, and not about the record.
const NOT_KEPT: [&str; 2] = ["receipt", "content-length"];

pub(super) struct Stream {
    directory: PathBuf,
    kept: Mutex<Kept>,
    changed: Condvar,
}

struct Kept {
    /// The offset of `records[0]`.
    first: u64,
    records: VecDeque<Arc<Record>>,
    /// The offsets at which the files begin.
    files: VecDeque<u64>,
    last: File,
    last_bytes: usize,
}

/// What a client has sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Record {
    pub(super) fn of(frame: &Frame<'_>) -> Self {
        let headers = frame.headers.iter().filter(|(name, _)| !NOT_KEPT.contains(name));
        Self { headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), body: frame.body.to_vec() }
    }

    fn encode(&self) -> Result<Vec<u8>, LocalError> {
        let mut bytes = Vec::new();
        let frame = FrameWriter::new(Command::Send, Version::V1_2, &mut bytes);
        self.headers.iter().fold(frame, |frame, (name, value)| frame.header(name, value)).body(&self.body)?;
        Ok(bytes)
    }
}

impl Stream {
    /// Reads the files of a directory. Creates it.
    pub(super) fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        let mut files = Vec::new();
        for entry in directory.read_dir()? {
            if let Some(first) = entry?.file_name().to_str().filter(|name| name.len() == DIGITS).and_then(|name| name.parse().ok()) {
                files.push(first);
            }
        }
        files.sort_unstable();
        let first = files.first().copied().unwrap_or(0);
        let (mut records, mut last_bytes) = (VecDeque::new(), 0);
        for (at, begin) in files.iter().enumerate() {
            let path = file_path(&directory, *begin);
            if first + records.len() as u64 != *begin {
                return Err(io::Error::new(ErrorKind::InvalidData, format!("{} is not the next file", path.display())));
            }
            last_bytes = read_file(&path, &mut records, at + 1 == files.len())?;
        }
        if files.is_empty() {
            files.push(0);
        }
        let last = open_last(&directory, files[files.len() - 1])?;
        let kept = Kept { first, records, files: files.into(), last, last_bytes };
        Ok(Self { directory, kept: Mutex::new(kept), changed: Condvar::new() })
    }

    /// Appends a record. It is on its way to the disk then: the end of this process cannot lose it.
    pub(super) fn append(&self, record: Record) -> io::Result<()> {
        let bytes = record.encode().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        let mut kept = self.kept();
        let kept = &mut *kept;
        if kept.last_bytes >= FILE_BYTES {
            let begin = kept.end();
            kept.last = open_last(&self.directory, begin)?;
            kept.last_bytes = 0;
            kept.files.push_back(begin);
        }
        if let Err(error) = kept.last.write_all(&bytes) {
            // A part may be written. The next record must not follow it.
            kept.last.set_len(kept.last_bytes as u64)?;
            return Err(error);
        }
        kept.last_bytes += bytes.len();
        kept.records.push_back(Arc::new(record));
        while kept.files.len() > FILES_MAX {
            fs::remove_file(file_path(&self.directory, kept.files[0]))?;
            kept.files.pop_front();
            kept.records.drain(..(kept.files[0] - kept.first) as usize);
            kept.first = kept.files[0];
        }
        self.changed.notify_all();
        Ok(())
    }

    /// The first record at this offset or after it, with its own offset. Waits for it. `None` once
    /// `is_over` says so; [`wake`](Self::wake) makes it look.
    pub(super) fn next(&self, offset: u64, is_over: impl Fn() -> bool) -> Option<(u64, Arc<Record>)> {
        let is_early = |kept: &mut Kept| offset >= kept.end() && !is_over();
        let kept = self.changed.wait_while(self.kept(), is_early).unwrap_or_else(PoisonError::into_inner);
        let at = offset.max(kept.first);
        let record = kept.records.get((at - kept.first) as usize)?;
        (!is_over()).then(|| (at, Arc::clone(record)))
    }

    pub(super) fn wake(&self) {
        // With the lock, nobody is between the look at `is_over` and the wait.
        let _kept = self.kept();
        self.changed.notify_all();
    }

    /// The offset of the next record.
    pub(super) fn end(&self) -> u64 {
        self.kept().end()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }
}

fn file_path(directory: &Path, begin: u64) -> PathBuf {
    directory.join(format!("{begin:0DIGITS$}"))
}

fn open_last(directory: &Path, begin: u64) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(file_path(directory, begin))
}

/// Appends the records of a file, and returns its length. A process that was killed may have left
/// the beginning of a record at the end of the last file. Nobody was told that the stream has it, so
/// it is cut off.
fn read_file(path: &Path, records: &mut VecDeque<Arc<Record>>, is_last: bool) -> io::Result<usize> {
    let damaged = |why: &str| io::Error::new(ErrorKind::InvalidData, format!("{} is damaged: {why}", path.display()));
    let bytes = fs::read(path)?;
    let mut reader = Reader::new(Role::Server, Version::V1_2);
    let mut good = 0;
    while good < bytes.len() {
        let (used, frame) = reader.next_frame(&bytes[good..], &StompLimits::default()).map_err(|error| damaged(&error.to_string()))?;
        let Some(frame) = frame else { break };
        records.push_back(Arc::new(Record::of(&frame)));
        good += used;
    }
    if good < bytes.len() {
        if !is_last {
            return Err(damaged("its last record is not whole"));
        }
        OpenOptions::new().write(true).open(path)?.set_len(good as u64)?;
    }
    Ok(good)
}

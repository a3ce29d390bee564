//! The broker under a hub, and on its own disk.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use pushlab::push::{Cursor, Hub, HubConfig, Payload, SharedLog, Topics};

use super::Broker;
use super::stream::{FILE_BYTES, FILES_MAX, Record, Stream};

/// Only a test that hangs waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A directory that is removed at the end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, SeqCst);
        Self(std::env::temp_dir().join(format!("pushlab-broker-{}-{number}", std::process::id())))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn start(directory: &Directory) -> SocketAddr {
    let broker = Broker::bind("127.0.0.1:0", &directory.0).unwrap();
    let address = broker.local_addr().unwrap();
    thread::spawn(move || broker.run());
    address
}

fn hub(address: SocketAddr) -> Hub {
    let log: SharedLog = format!("stomp+stream://{address}/hub").parse().unwrap();
    let hub = Hub::new(HubConfig { log: Some(log), ..HubConfig::default() });
    hub.wait_for_log(PATIENCE).unwrap();
    hub
}

fn texts(hub: &Hub) -> Vec<String> {
    let messages = hub.replay(&Topics::parse("a", 1).unwrap(), Cursor::Earliest).messages;
    messages.iter().map(|message| message.text().unwrap().to_owned()).collect()
}

#[test]
fn hubs_share_it_and_it_remembers() {
    let directory = Directory::new();
    let hubs = [start(&directory); 2].map(hub);
    let ids: Vec<_> = (0..300).map(|number| hubs[number % 2].publish("a", Payload::text(number.to_string())).unwrap().id).collect();
    assert!(ids.is_sorted() && ids.iter().all(|id| id.epoch == ids[0].epoch));
    let expected: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    // A process that ends cannot take back what it has written. So a second broker with the same
    // directory sees what a broker after SIGKILL sees.
    drop(hubs);
    let hub = hub(start(&directory));
    assert_eq!((hub.last().epoch, texts(&hub)), (ids[0].epoch, expected));
}

fn record(text: &str) -> Record {
    Record { headers: vec![("name".to_owned(), "a:b\nc\\".to_owned())], body: text.as_bytes().to_vec() }
}

fn read(stream: &Stream, offset: u64) -> (u64, Arc<Record>) {
    stream.next(offset, || false).unwrap()
}

#[test]
fn half_a_record_at_the_end_is_cut_off() {
    let directory = Directory::new();
    let path = directory.0.join(format!("{:020}", 0));
    let mut lengths = Vec::new();
    for text in ["one", "two\0", "three"] {
        Stream::open(directory.0.clone()).unwrap().append(record(text)).unwrap();
        lengths.push(fs::metadata(&path).unwrap().len() as usize);
    }
    let whole = fs::read(&path).unwrap();
    for len in lengths[1]..lengths[2] {
        fs::write(&path, &whole[..len]).unwrap();
        let stream = Stream::open(directory.0.clone()).unwrap();
        assert_eq!(stream.end(), 2, "{len} of {} bytes", whole.len());
        stream.append(record("four")).unwrap();
        let stream = Stream::open(directory.0.clone()).unwrap();
        assert_eq!(
            [0, 1, 2].map(|offset| read(&stream, offset)),
            [(0, "one"), (1, "two\0"), (2, "four")].map(|(at, text)| (at, Arc::new(record(text))))
        );
    }
}

#[test]
fn a_damaged_file_is_named() {
    let directory = Directory::new();
    Stream::open(directory.0.clone()).unwrap().append(record("one")).unwrap();
    fs::write(directory.0.join(format!("{:020}", 0)), b"HELLO\n").unwrap();
    let error = Stream::open(directory.0.clone()).err().unwrap().to_string();
    assert!(error.contains("00000000000000000000 is damaged: the command is not one"), "{error}");
}

#[test]
fn the_oldest_file_goes() {
    let directory = Directory::new();
    let stream = Stream::open(directory.0.clone()).unwrap();
    let large = "x".repeat(FILE_BYTES / 4);
    let count = 4 * (FILES_MAX as u64 + 2);
    for _ in 0..count {
        stream.append(record(&large)).unwrap();
    }
    // A record has a head, too, so that the fourth one fills a file.
    let first = count - 4 * FILES_MAX as u64;
    assert_eq!((stream.end(), read(&stream, 0).0), (count, first), "the first one that is still there");
    assert_eq!(fs::read_dir(&directory.0).unwrap().count(), FILES_MAX);
    let again = Stream::open(directory.0.clone()).unwrap();
    assert_eq!((again.end(), read(&again, 0).0, read(&again, first + 1).0), (count, first, first + 1));
}

#[test]
fn a_reader_waits_and_can_be_woken() {
    let directory = Directory::new();
    let stream = Arc::new(Stream::open(directory.0.clone()).unwrap());
    let reader = thread::spawn({
        let stream = Arc::clone(&stream);
        move || read(&stream, 0).1.body.clone()
    });
    stream.append(record("one")).unwrap();
    assert_eq!(reader.join().unwrap(), b"one");
    let is_over = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let reader = thread::spawn({
        let (stream, is_over) = (Arc::clone(&stream), Arc::clone(&is_over));
        move || stream.next(1, || is_over.load(SeqCst)).is_none()
    });
    is_over.store(true, SeqCst);
    stream.wake();
    assert!(reader.join().unwrap());
}

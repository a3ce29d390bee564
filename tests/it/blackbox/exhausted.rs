//! No more descriptors: the server rests between its attempts to accept, and recovers.
//!
//! The limit is a process's: each test here runs itself once more, in a process of its own.
//!
//! Covers: driver::listen, driver::event_loop, driver::thread_per_conn

use std::fs::File;
use std::io::{Read, Seek};
use std::process::Command;
use std::time::{Duration, Instant};

use pushlab::IoModel;
use socket2::{Domain, Socket, Type};

use super::{Client, Lab, both, eventually};

/// Tells a test that it has few descriptors.
const IS_STARVED: &str = "PUSHLAB_TEST_IS_STARVED";
/// What `driver::listen` rests for.
const REST: Duration = Duration::from_millis(100);
const CLIENTS: u64 = 6;

/// Runs the test of this name with 64 descriptors.
fn run_starved(module: &str, model: IoModel) {
    let test = match model {
        IoModel::EventLoop => "event_loop",
        IoModel::ThreadPerConnection => "threads",
    };
    let (_, path) = module.split_once("::").unwrap();
    let run = Command::new("sh")
        .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{path}::{test}"), "--nocapture"])
        .env(IS_STARVED, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success() && said.contains("1 passed"), "{said}\n{}", String::from_utf8_lossy(&run.stderr));
}

/// The process's time on processors, in hundredths of a second (proc(5): `utime` and `stime`, in ticks of the clock).
fn ticks(stat: &mut File) -> u64 {
    let mut text = String::new();
    stat.rewind().unwrap();
    stat.read_to_string(&mut text).unwrap();
    let (_, fields) = text.rsplit_once(") ").unwrap();
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

both! {
    fn descriptors(model) {
        if std::env::var_os(IS_STARVED).is_none() {
            return run_starved(module_path!(), model);
        }
        let lab = Lab::start(model);
        assert_eq!(lab.connect().fetch("/hello").status, 200);
        eventually("it is gone", || lab.stats().open == 0);
        // The clients have theirs before the rest is taken away.
        let mut stat = File::open("/proc/self/stat").unwrap();
        let sockets: Vec<_> = (0..CLIENTS).map(|_| Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()).collect();
        let rest: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
        assert!(!rest.is_empty());

        // Whoever comes while the server rests does not end its rest.
        let (begun, ticks_before) = (Instant::now(), ticks(&mut stat));
        let mut clients = Vec::new();
        for (failures, socket) in sockets.into_iter().enumerate() {
            socket.connect(&lab.address.into()).unwrap();
            clients.push(Client::around_tcp(socket.into()));
            eventually("accepting has failed once more", || lab.stats().accept_errors > failures as u64);
        }
        let (failures, elapsed) = (lab.stats().accept_errors, begun.elapsed());
        let ran = Duration::from_millis(10 * (ticks(&mut stat) - ticks_before));
        assert!(REST * (CLIENTS as u32 - 1) <= elapsed, "{failures} failures in {elapsed:?}");
        assert!(REST * failures as u32 <= elapsed + 2 * REST, "{failures} failures in {elapsed:?}");
        assert!(ran <= elapsed / 4, "it ran for {ran:?} of {elapsed:?}");
        assert_eq!(lab.stats().open, 0);

        drop(rest);
        for mut client in clients {
            assert_eq!(client.fetch("/hello").status, 200);
        }
    }
}

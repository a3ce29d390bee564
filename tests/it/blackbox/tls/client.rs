//! A client that speaks TLS, with the calls of a TCP socket.

use std::cell::Cell;
use std::collections::HashMap;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard};

use pushlab::Config;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::authority::{Authority, server_tls};

thread_local! {
    /// The labs that this thread starts speak TLS.
    static SECURES: Cell<bool> = const { Cell::new(false) };
}

/// The addresses of labs that speak TLS, each with the number of the last lab there.
static SECURED: LazyLock<Mutex<HashMap<SocketAddr, u64>>> = LazyLock::new(Mutex::default);

/// Runs the body of a test whose labs speak TLS.
pub fn over_tls(body: impl FnOnce()) {
    SECURES.set(true);
    body();
    SECURES.set(false);
}

/// Makes a lab speak TLS, if its test runs over TLS.
pub fn secure(config: &mut Config) {
    if SECURES.get() && config.tls.is_none() {
        config.tls = Some(server_tls());
    }
}

/// Clients of this address speak TLS from now on, if the test runs over TLS. When the lab ends, the system may give its port to another
/// server, with TLS or without. So this is dropped with the lab.
pub struct Noted(SocketAddr, u64);

impl Noted {
    pub fn new(address: SocketAddr) -> Self {
        static LABS: AtomicU64 = AtomicU64::new(0);
        let number = LABS.fetch_add(1, SeqCst);
        let mut secured = SECURED.lock().unwrap();
        // An earlier lab may have ended, and not be dropped yet.
        secured.remove(&address);
        if SECURES.get() {
            secured.insert(address, number);
        }
        Self(address, number)
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        let mut secured = SECURED.lock().unwrap();
        if secured.get(&self.0) == Some(&self.1) {
            secured.remove(&self.0);
        }
    }
}

/// The client's side of TLS, for all clones of a socket.
#[derive(Clone)]
pub struct TlsClient(Arc<Shared>);

struct Shared {
    tls: Mutex<ClientConnection>,
    /// Records that were made and not written. The lock also keeps them in order.
    unsent: Mutex<Vec<u8>>,
    /// Input that nobody has taken yet.
    input: Mutex<Vec<u8>>,
    /// The server has ended its side in an orderly way.
    has_ended: AtomicBool,
}

/// The configuration of a client that trusts this authority.
pub fn trusting(authority: &Authority) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(authority.roots()).with_no_client_auth()
}

impl TlsClient {
    /// `None` if no lab at this address speaks TLS.
    pub fn of(address: SocketAddr) -> Option<Self> {
        static CONFIG: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| Arc::new(trusting(Authority::of_tests())));
        SECURED.lock().unwrap().contains_key(&address).then(|| Self::new(Arc::clone(&CONFIG), "localhost"))
    }

    pub fn new(config: Arc<ClientConfig>, name: &'static str) -> Self {
        let tls = ClientConnection::new(config, ServerName::try_from(name).unwrap()).unwrap();
        Self(Arc::new(Shared {
            tls: Mutex::new(tls),
            unsent: Mutex::default(),
            input: Mutex::default(),
            has_ended: AtomicBool::new(false),
        }))
    }

    pub fn lock(&self) -> MutexGuard<'_, ClientConnection> {
        self.0.tls.lock().unwrap()
    }

    /// Writes the records that wait.
    pub fn flush(&self, mut tcp: &TcpStream) -> io::Result<()> {
        let mut unsent = self.0.unsent.lock().unwrap();
        let mut tls = self.lock();
        while tls.wants_write() {
            tls.write_tls(&mut *unsent)?;
        }
        drop(tls);
        while !unsent.is_empty() {
            let len = tcp.write(&unsent)?;
            unsent.drain(..len);
        }
        Ok(())
    }

    pub fn read(&self, tcp: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            let mut input = self.0.input.lock().unwrap();
            if !input.is_empty() {
                let len = input.len().min(bytes.len());
                bytes[..len].copy_from_slice(&input[..len]);
                input.drain(..len);
                return Ok(len);
            }
            drop(input);
            if self.0.has_ended.load(SeqCst) {
                return Ok(0);
            }
            match self.flush(tcp) {
                // The server may have ended, and its last words wait.
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
                flushed => flushed?,
            }
            self.read_records(tcp)?;
        }
    }

    /// Reads once.
    fn read_records(&self, mut tcp: &TcpStream) -> io::Result<()> {
        let mut records = vec![0; 64 * 1024];
        // The locks are free meanwhile: another thread may write.
        let len = tcp.read(&mut records)?;
        let (mut rest, mut tls) = (&records[..len], self.lock());
        let mut input = self.0.input.lock().unwrap();
        loop {
            tls.read_tls(&mut rest)?;
            tls.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            match tls.reader().read_to_end(&mut input) {
                Ok(_) => {
                    self.0.has_ended.store(true, SeqCst);
                    return Ok(());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    pub fn peek(&self, tcp: &TcpStream, bytes: &mut [u8]) -> io::Result<usize> {
        let len = self.read(tcp, bytes)?;
        self.0.input.lock().unwrap().splice(..0, bytes[..len].iter().copied());
        Ok(len)
    }

    pub fn write(&self, tcp: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
        self.shake_hands(tcp)?;
        let len = self.lock().writer().write(&bytes[..bytes.len().min(16 * 1024)])?;
        match self.flush(tcp) {
            // The records are written before the next ones.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(len),
            flushed => flushed.map(|()| len),
        }
    }

    /// Says that this side sends no more.
    pub fn close(&self, tcp: &TcpStream) -> io::Result<()> {
        self.shake_hands(tcp)?;
        self.lock().send_close_notify();
        self.flush(tcp)
    }

    pub fn shake_hands(&self, tcp: &TcpStream) -> io::Result<()> {
        while self.lock().is_handshaking() {
            self.flush(tcp)?;
            self.read_records(tcp)?;
            if self.0.has_ended.load(SeqCst) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        self.flush(tcp)
    }
}

//! A TCP proxy that gives each new connection to the next server, as a load balancer does.
//!
//! Owns the listener and the copying. Leaves HTTP to both ends.

use std::io;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::thread::{self, JoinHandle};

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    is_over: Arc<AtomicBool>,
    listens: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) fn start(servers: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::<AtomicBool>::default();
        let over = Arc::clone(&is_over);
        let listens = thread::spawn(move || {
            for (client, server) in listener.incoming().zip(servers.iter().cycle()) {
                if over.load(SeqCst) {
                    return;
                }
                // A client that cannot be connected is cut, and comes again.
                let _ = client.and_then(|client| connect(client, *server));
            }
        });
        Self { address, is_over, listens: Some(listens) }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.is_over.store(true, SeqCst);
        // The listener wakes up for one more connection.
        let _ = TcpStream::connect(self.address);
        if let Some(listens) = self.listens.take() {
            let _ = listens.join();
        }
    }
}

/// Copies in both directions until one side ends.
fn connect(client: TcpStream, server: SocketAddr) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client, server) = (Arc::new(client), Arc::new(server));
    let (from, to) = (Arc::clone(&client), Arc::clone(&server));
    thread::spawn(move || {
        let _ = io::copy(&mut &*from, &mut &*to);
        let _ = to.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let _ = io::copy(&mut &*server, &mut &*client);
        // What was sent still arrives. Then the client sees the end.
        let _ = client.shutdown(Shutdown::Write);
    });
    Ok(())
}

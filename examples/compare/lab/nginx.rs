//! A real nginx in front of a server, if one is installed.
//!
//! Owns its configuration, which it writes to a directory of its own, and its process. Leaves what
//! is sent through it to the claims.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::certificate::Certificate;
use crate::Result;

/// What a claim says if there is no nginx.
pub(crate) const HOW_TO_GET: &str = "nginx is not installed: `apt-get install nginx-light`, or any nginx in the PATH";
const START_TIMEOUT: Duration = Duration::from_secs(5);

/// A running nginx. Dropping it ends the process.
pub(crate) struct Nginx {
    /// With nginx's default settings: it speaks HTTP/1.0 to the server.
    pub(crate) usual: SocketAddr,
    /// The same, but the server's wish not to be buffered is ignored.
    pub(crate) buffering: SocketAddr,
    /// The wish is ignored, and nginx speaks HTTP/1.1 to the server.
    pub(crate) chunked: SocketAddr,
    /// HTTP/2 without TLS, for clients that know it beforehand.
    pub(crate) http2: SocketAddr,
    _process: Process,
}

/// An nginx that terminates TLS in front of a server that has none. Dropping it ends the process.
pub(crate) struct TlsNginx {
    pub(crate) address: SocketAddr,
    process: Process,
}

struct Process {
    child: Child,
    directory: PathBuf,
}

impl Nginx {
    /// Starts nginx in front of `server`. `None` if it is not installed.
    pub(crate) fn start(server: SocketAddr) -> Result<Option<Self>> {
        let addresses = [free_address()?, free_address()?, free_address()?, free_address()?];
        let process = Process::start(&addresses, &proxies(server, addresses))?;
        let [usual, buffering, chunked, http2] = addresses;
        Ok(process.map(|process| Self { usual, buffering, chunked, http2, _process: process }))
    }
}

impl TlsNginx {
    /// Starts nginx in front of `server`. `None` if it is not installed.
    pub(crate) fn start(server: SocketAddr, certificate: &Certificate) -> Result<Option<Self>> {
        let address = free_address()?;
        let process = Process::start(&[address], &tls_proxy(server, address, certificate))?;
        Ok(process.map(|process| Self { address, process }))
    }

    /// The process, whose figures count beside those of the server.
    pub(crate) fn id(&self) -> u32 {
        self.process.child.id()
    }
}

impl Process {
    /// Starts nginx with these servers, and waits until it listens.
    fn start(addresses: &[SocketAddr], servers: &str) -> Result<Option<Self>> {
        let Some(program) = find() else { return Ok(None) };
        let Some(first) = addresses.first() else { return Ok(None) };
        let directory = std::env::temp_dir().join(format!("pushlab-nginx-{}-{}", std::process::id(), first.port()));
        fs::create_dir_all(&directory)?;
        let configuration = directory.join("nginx.conf");
        fs::write(&configuration, configure(&directory.display().to_string(), servers))?;
        let child = Command::new(&program)
            .args(["-p".as_ref(), directory.as_os_str(), "-c".as_ref(), configuration.as_os_str()])
            .args(["-e", "error.log"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", program.display()))?;
        let mut process = Self { child, directory };
        process.wait_until_it_listens(addresses)?;
        Ok(Some(process))
    }

    fn wait_until_it_listens(&mut self, addresses: &[SocketAddr]) -> Result<()> {
        let end = Instant::now() + START_TIMEOUT;
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                if Instant::now() > end || self.child.try_wait()?.is_some() {
                    let log = fs::read_to_string(self.directory.join("error.log")).unwrap_or_default();
                    return Err(
                        format!("nginx does not listen on {address}: {}", log.lines().last().unwrap_or("it wrote no reason")).into()
                    );
                }
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that the process has already ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The program in the PATH, or where distributions put it.
fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join("nginx")).find(|file| file.is_file())
}

/// A port that was free a moment ago.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// One process, so that ending it ends all. The buffers have nginx's default size.
fn configure(directory: &str, servers: &str) -> String {
    format!(
        "daemon off; master_process off; pid {directory}/nginx.pid; worker_rlimit_nofile 4096;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    {servers}
}}
"
    )
}

fn proxies(server: SocketAddr, [usual, buffering, chunked, http2]: [SocketAddr; 4]) -> String {
    const IGNORE: &str = "proxy_ignore_headers X-Accel-Buffering;";
    const HTTP_1_1: &str = "proxy_http_version 1.1; proxy_set_header Connection '';";
    let proxy = |listen: &str, more: &str| format!("server {{ listen {listen}; location / {{ proxy_pass http://{server}; {more} }} }}");
    [
        proxy(&usual.to_string(), ""),
        proxy(&buffering.to_string(), IGNORE),
        proxy(&chunked.to_string(), &format!("{IGNORE} {HTTP_1_1}")),
        proxy(&format!("{http2} http2"), HTTP_1_1),
    ]
    .join("\n    ")
}

/// `WebSockets` and requests over TLS. Connections to the server stay open, as those of its clients
/// do.
fn tls_proxy(server: SocketAddr, address: SocketAddr, certificate: &Certificate) -> String {
    let (chain, key) = (certificate.chain(), certificate.key());
    format!(
        "upstream pushlab {{ server {server}; keepalive 16; }}
    map $http_upgrade $connection_field {{ default 'upgrade'; '' ''; }}
    server {{
        listen {address} ssl; ssl_certificate '{}'; ssl_certificate_key '{}'; ssl_session_tickets off;
        location / {{
            proxy_pass http://pushlab; proxy_http_version 1.1; proxy_read_timeout 1h;
            proxy_set_header Host $host; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_field;
        }}
    }}",
        chain.display(),
        key.display()
    )
}

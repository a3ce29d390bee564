//! The file of a Unix domain socket.
//!
//! Owns listening on a path: a file that an earlier server has left is replaced, and any other file
//! stays. Removes the file at the end. Leaves serving to the library.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// What `--listen` begins with for a path.
pub(crate) const PREFIX: &str = "unix:";

/// The file of a socket that this process has bound. Dropping it removes the file, unless another
/// server has replaced it.
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Listens on a path. The error is a sentence.
pub(crate) fn bind(path: &Path) -> Result<(UnixListener, SocketFile), String> {
    let failed = |error: io::Error| format!("cannot listen on {PREFIX}{}: {error}", path.display());
    let listener = match UnixListener::bind(path) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            remove_stale(path)?;
            UnixListener::bind(path).map_err(failed)?
        }
        bound => bound.map_err(failed)?,
    };
    let identity = identity(path).map_err(failed)?;
    Ok((listener, SocketFile { path: path.to_owned(), identity }))
}

/// Removes a socket on which nobody listens any more.
fn remove_stale(path: &Path) -> Result<(), String> {
    let refuse = |why: &str| Err(format!("cannot listen on {PREFIX}{}: {why}", path.display()));
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return refuse("the file exists, and is not a socket"),
        Ok(_) => {}
        Err(error) => return refuse(&error.to_string()),
    }
    match UnixStream::connect(path) {
        Ok(_) => refuse("another server listens there"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).or_else(|error| refuse(&format!("nobody listens there, and the file cannot be removed: {error}")))
        }
        Err(error) => refuse(&format!("the socket exists, and does not tell whether somebody listens: {error}")),
    }
}

/// The device and the number of the file.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced_and_no_other() {
        let path = std::env::temp_dir().join(format!("pushlab-socket-file-{}", std::process::id()));
        let told = |path: &Path| bind(path).err().unwrap_or_default();
        let (listener, file) = bind(&path).expect("the path is free");
        assert!(told(&path).ends_with(": another server listens there"), "{}", told(&path));
        drop(listener);
        // As a server leaves it that was killed.
        std::mem::forget(file);
        let (_listener, file) = bind(&path).expect("nobody listens there");
        // Another server has taken the path meanwhile.
        fs::remove_file(&path).expect("it is there");
        fs::write(&path, "text").expect("the path is free");
        drop(file);
        assert!(told(&path).ends_with(": the file exists, and is not a socket"), "{}", told(&path));
        assert_eq!(fs::read(&path).expect("it is still there"), b"text");
        fs::remove_file(&path).expect("it is still there");
        assert!(told(Path::new("/no/such/directory/socket")).contains("No such file"));
    }
}

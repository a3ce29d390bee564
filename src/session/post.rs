//! What other threads post to a connection, and where to.
//!
//! Owns [`Address`], [`Command`], and the traits [`Post`] and [`RemoteSource`], which a driver
//! implements. Leaves the handles that post to `handles`, and delivery to the drivers.

use std::sync::Arc;

use super::{LastWord, Response};
use crate::proto::Frame;
use crate::proto::http1::KnownFields;

/// Where a command goes: to one hold, stream or WebSocket of one connection. Each serial is given
/// out once. So a late command cannot reach a newer connection in the same slot. [`Post`] has an
/// example.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// The connection's slot in its driver.
    pub slot: u32,
    /// The number of the hold, stream or WebSocket in that slot; 0 for none.
    pub serial: u64,
}

/// What a handle tells a connection to do. [`Post`] and [`Delivery`](super::Delivery) have
/// examples.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Send a message on a stream or WebSocket.
    Send(Frame),
    /// Report that so many messages were dropped. They stood before all later commands.
    Lost(usize),
    /// Answer a held request. `None` means that the handle was dropped.
    Release(Option<Arc<Response>>),
    /// End a stream, or close a WebSocket with this code.
    Close(u16),
    /// End a stream or a WebSocket with this last word.
    End(Arc<LastWord>),
    /// The last pusher of a stream was dropped.
    Abandon,
    /// Call the source of a stream, or the handler of a WebSocket, as if output had been written.
    Wake,
}

/// A driver's way to take commands from any thread. Its methods never block on IO.
///
/// ```
/// use std::sync::mpsc::{Sender, channel};
/// use pushlab::session::{Address, Command, Post};
/// /// The commands for the connections of one thread.
/// struct Commands(Sender<(Address, Command)>);
/// impl Post for Commands {
///     fn post(&self, address: Address, command: Command) {
///         // An error means that the thread has ended, and its connections with it.
///         let _ = self.0.send((address, command));
///     }
/// }
/// let (sender, receiver) = channel();
/// Commands(sender).post(Address { slot: 3, serial: 1 }, Command::Close(1000));
/// assert!(matches!(receiver.recv(), Ok((Address { slot: 3, serial: 1 }, Command::Close(1000)))));
/// ```
pub trait Post: Send + Sync {
    /// Takes one command.
    fn post(&self, address: Address, command: Command);

    /// Takes one message for many connections of the same driver. The list is shared until delivery
    /// and is not copied.
    fn post_many(&self, addresses: Arc<Vec<Address>>, frame: &Frame) {
        for address in &*addresses {
            self.post(*address, Command::Send(frame.clone()));
        }
    }

    /// Takes one command for each of many connections of the same driver.
    fn post_each(&self, commands: Vec<(Address, Command)>) {
        for (address, command) in commands {
            self.post(address, command);
        }
    }
}

/// A driver's way to give a connection an address, and to remember what the connection has sent. The
/// session asks for an address for the first handle of each hold, stream or WebSocket.
///
/// The example of a [`Session`](super::Session) implements it.
pub trait RemoteSource {
    /// Where commands for this connection are posted.
    fn post(&self) -> Arc<dyn Post>;
    /// The connection's slot.
    fn slot(&self) -> u32;
    /// Returns a serial that was never given out before for this slot. It is at least 1.
    fn issue_serial(&self) -> u64;
    /// The fields of this connection's last request, if the driver keeps them. Requests with the same
    /// fields then cost less.
    #[inline]
    fn known_fields(&self) -> Option<&KnownFields> {
        None
    }
}

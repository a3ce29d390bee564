//! What became of a message.
//!
//! Owns the words in which the queue, the views and the sources say it. Leaves the policy that
//! decides it to `backlog`.

/// What became of a message to a stream or WebSocket.
///
/// ```
/// use pushlab::session::{Outcome, Stream};
/// /// Returns whether the reader has room for more.
/// fn send_line(stream: &mut Stream<'_>, line: &str) -> bool {
///     stream.send(line.as_bytes()) == Outcome::Sent
/// }
/// # let _ = send_line;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The message is in the connection's output.
    Sent,
    /// The message waits because the peer reads slowly. Stop sending until the next call of
    /// [`WebSocketHandler::drained`](super::WebSocketHandler::drained) or
    /// [`StreamSource::feed`](super::StreamSource::feed).
    Queued {
        /// How many older messages the slow-consumer policy has dropped from the queue for it.
        dropped: usize,
    },
    /// The message was not taken, for one of these reasons: the WebSocket is closing, the stream
    /// has ended or has no body, or the slow-consumer policy ends the connection.
    Refused,
}

//! Sources, which send a stream's body at the pace of its reader.
//!
//! Owns the trait of a source, the answer of its call, and the loop that calls it. Leaves to `http`
//! when the output has room, and to the application what the stream contains.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Context;
use super::exchange::Streaming;
use super::stream::Stream;
use crate::proto::Outbox;
use crate::proto::http1::Conn;

/// Sends a stream's body at the pace of its reader, such as a long replay or a file.
/// [`Stream::feed`] installs a source.
///
/// ```
/// use pushlab::session::{Feed, Sent, Stream, StreamSource};
/// use pushlab::{Reply, Request, Response};
/// /// Counts down to 1, a line for each number.
/// struct Countdown(u32);
/// impl StreamSource for Countdown {
///     fn feed(&mut self, stream: &mut Stream<'_>) -> Feed {
///         while self.0 > 0 {
///             let line = format!("{}\n", self.0);
///             self.0 -= 1;
///             if stream.send(line.as_bytes()) != Sent::Accepted {
///                 return Feed::Continue; // when the reader has taken this much
///             }
///         }
///         Feed::End
///     }
/// }
/// fn app(_: &Request<'_>, reply: Reply<'_>) {
///     reply.stream(Response::text("")).feed(Countdown(1_000_000));
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(app, &["/"]);
/// ```
///
/// A source that panics ends its connection, as a handler that panics does. A source is dropped at
/// the end of its stream.
pub trait StreamSource: Send + 'static {
    /// Sends pieces. The output has room, and no pushed message waits. The session calls the source
    /// after the handler's call, and again each time that the system has taken all output. A call
    /// can run on any thread that drives the connection, and never on two at once. It must not
    /// block on the event loop.
    ///
    /// A source stops sending at the first [`Sent`](super::Sent) that is not `Accepted`: what it
    /// sends after `Waiting` is kept in memory. The slow-consumer policy never drops the pieces of
    /// a source, because each call follows a read of the peer.
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed;
}

/// What a source wants after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The source has more to send. If the call sent nothing, the next call follows the next output
    /// of the stream, such as a heartbeat.
    Continue,
    /// The source is done and is dropped. The stream goes on with pushed messages.
    Done,
    /// The source is done and is dropped, and the stream ends.
    End,
}

/// Calls a stream's source until the output is full, the source is done, or a call sends nothing.
/// Several calls before one write join many small pieces.
///
/// # Errors
/// The panic of the source. The source has been dropped.
pub(super) fn feed(conn: &mut Conn, stream: &mut Box<Streaming>, out: &mut Outbox, cx: &Context<'_>) -> Result<(), Box<dyn Any + Send>> {
    while stream.takes_feed() && out.len() < cx.settings.limits.output_bytes {
        let Some(mut source) = stream.source.take() else { return Ok(()) };
        let out_bytes = out.len();
        let fed = catch_unwind(AssertUnwindSafe(|| source.feed(&mut Stream::live(conn, out, stream, cx))));
        match fed {
            // The source may have installed its successor through the view.
            Ok(Feed::Continue) if stream.source.is_none() => stream.source = Some(source),
            _ => cx.contain(|| drop(source)),
        }
        match fed {
            // A source that sends nothing waits for an event outside the session. Calling it again
            // now would loop forever.
            Ok(Feed::Continue) if out.len() == out_bytes => return Ok(()),
            Ok(Feed::Continue | Feed::Done) => {}
            Ok(Feed::End) => stream.link.ask_close(0),
            Err(panic) => return Err(panic),
        }
    }
    Ok(())
}

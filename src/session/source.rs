//! Sources: a stream's body at the pace of its reader.
//!
//! Owns the trait of a source, its verdict, and the loop that calls it. Leaves to others when the
//! output has room (`http`), and the content of the stream.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Context;
use super::exchange::Streaming;
use super::stream::Stream;
use crate::proto::Outbox;
use crate::proto::http1::Conn;

/// Sends a stream's body at the pace of its reader: a long replay, or a file. [`Stream::feed`]
/// installs a source.
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
/// A source that panics costs its connection, as a handler does. With the end of the stream the
/// source is dropped.
pub trait StreamSource: Send + 'static {
    /// The output has room, and no pushed message waits. The session calls the source after the
    /// handler's call, and then each time that the system has taken all output. The call may run on
    /// any thread that drives the connection, on one at a time. It must not block on the event
    /// loop.
    ///
    /// A source stops sending at the first [`Sent`](super::Sent) that is not `Accepted`. The
    /// slow-consumer policy never drops its pieces, because each call follows a read of the peer. A
    /// source that sends on after `Waiting` fills memory.
    fn feed(&mut self, stream: &mut Stream<'_>) -> Feed;
}

/// The source's word on the next call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// The source has more to send. A call that has sent nothing is repeated behind the next output
    /// of the stream, such as a heartbeat.
    Continue,
    /// The source is dropped. The stream goes on with pushed messages.
    Done,
    /// The source is dropped, and the stream ends.
    End,
}

/// Calls a stream's source until the output is full, the source is done, or a call sends nothing:
/// many small pieces cost one write.
///
/// # Errors
/// The panic of the source. The source is dropped then.
pub(super) fn feed(conn: &mut Conn, stream: &mut Box<Streaming>, out: &mut Outbox, cx: &Context<'_>) -> Result<(), Box<dyn Any + Send>> {
    while stream.takes_feed() && out.len() < cx.settings.limits.output_bytes {
        let Some(mut source) = stream.source.take() else { return Ok(()) };
        let out_bytes = out.len();
        let fed = catch_unwind(AssertUnwindSafe(|| source.feed(&mut Stream::live(conn, out, stream, cx))));
        match fed {
            // A source may have put another one in its place.
            Ok(Feed::Continue) if stream.source.is_none() => stream.source = Some(source),
            _ => cx.contain(|| drop(source)),
        }
        match fed {
            Ok(Feed::Continue) if out.len() == out_bytes => return Ok(()),
            Ok(Feed::Continue | Feed::Done) => {}
            Ok(Feed::End) => stream.link.ask_close(0),
            Err(panic) => return Err(panic),
        }
    }
    Ok(())
}

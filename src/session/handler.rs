//! The application as a session sees it.
//!
//! Owns the trait of a handler. Leaves the view of a request to `request`, and the ways to answer
//! to `reply`.

use super::{Reply, Request};

/// The application, which answers requests. Every `Fn(&Request, Reply)` that is `Send + Sync`
/// implements it.
///
/// On the event loop, the handler runs on the loop's thread and must not block. It gives long work
/// to another thread and answers through [`Reply::hold`]. With a thread per connection, the handler
/// may block.
///
/// ```
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use pushlab::{Handler, Reply, Request, Response};
/// /// Counts its requests.
/// #[derive(Clone, Default)]
/// struct Counting(Arc<AtomicU64>);
/// impl Handler for Counting {
///     fn handle(&self, _: &Request<'_>, reply: Reply<'_>) {
///         let count = self.0.fetch_add(1, Ordering::Relaxed) + 1;
///         reply.send(Response::text(format!("request {count}\n")));
///     }
/// }
/// # let serve_once = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/doc/serve_once.rs"));
/// # serve_once(Counting::default(), &["/"]);
/// ```
pub trait Handler: Send + Sync + 'static {
    /// Answers one request by consuming its reply.
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>);
}

impl<F> Handler for F
where
    F: Fn(&Request<'_>, Reply<'_>) + Send + Sync + 'static,
{
    fn handle(&self, request: &Request<'_>, reply: Reply<'_>) {
        self(request, reply);
    }
}

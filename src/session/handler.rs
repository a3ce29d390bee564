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

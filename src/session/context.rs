//! Everything that a driver gives a session at each call.
//!
//! Owns [`Context`], which joins the application to the [`Surroundings`]. Leaves everything that
//! belongs to one connection to the session.

use std::ops::Deref;

use super::{Handler, Surroundings};

/// The references that a session needs during one call. It dereferences to its
/// [`Surroundings`], because only the call of the handler needs the application.
///
/// ```
/// use pushlab::proto::Now;
/// use pushlab::session::{Context, RemoteSource, Surroundings};
/// use pushlab::{Handler, Settings, Stats};
/// /// What the connections of a driver have in common.
/// struct Driver {
///     app: Box<dyn Handler>,
///     settings: Settings,
///     stats: Stats,
/// }
/// impl Driver {
///     fn context<'a>(&'a self, now: &'a Now, remote: &'a dyn RemoteSource) -> Context<'a> {
///         let surroundings = Surroundings { now, settings: &self.settings, stats: &self.stats, remote };
///         Context { app: &*self.app, surroundings }
///     }
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The application.
    pub app: &'a dyn Handler,
    /// The time, the settings, the counters and the source of addresses.
    pub surroundings: Surroundings<'a>,
}

impl<'a> Deref for Context<'a> {
    type Target = Surroundings<'a>;

    #[inline]
    fn deref(&self) -> &Self::Target {
        &self.surroundings
    }
}

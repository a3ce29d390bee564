//! Everything that a driver gives a session at each call.
//!
//! Owns [`Context`], which joins the application to the [`Surroundings`]. Leaves everything that
//! belongs to one connection to the session.

use std::ops::Deref;

use super::{Handler, Surroundings};

/// The references that a session needs during one call. It dereferences to its
/// [`Surroundings`], because only the call of the handler needs the application.
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

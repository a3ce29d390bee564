//! The attacks. Each attack is bounded by the time and the number of connections of its arena. It
//! returns what it saw; its error names the promise that did not hold.

pub(crate) mod crowds;
pub(crate) mod faults;
pub(crate) mod greed;
pub(crate) mod slowness;

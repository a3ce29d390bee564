//! The attacks. Each is bounded by its arena's time and number of connections, says what it saw, and fails where a promise did not hold.

pub(crate) mod crowds;
pub(crate) mod faults;
pub(crate) mod greed;
pub(crate) mod slowness;

//! What the scenarios share.
//!
//! Owns nothing itself. Leaves processes to `processes`, `demo`, `rabbitmq` and `activemq`, clients
//! to `http`, `reader` and `account`, the proxy to `proxy`, and the printed figures to `report`.

pub(crate) mod account;
pub(crate) mod activemq;
pub(crate) mod decode;
pub(crate) mod demo;
pub(crate) mod http;
pub(crate) mod processes;
pub(crate) mod proxy;
pub(crate) mod rabbitmq;
pub(crate) mod reader;
pub(crate) mod report;
pub(crate) mod technique;

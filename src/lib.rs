//! pushlab: a small HTTP/1.1 + WebSocket server-push library, written by hand on `mio`, without an async runtime.

pub mod driver;
pub mod proto;
pub mod session;

pub use driver::{Config, IoModel, Server, Stopper};
pub use proto::ws::Message;
pub use proto::{CloseReason, Frame, Limits};
pub use session::{Held, Pusher, Reply, Request, Response, Settings, SlowConsumer, Socket, WebSocketHandler};

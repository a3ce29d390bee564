//! The chat by closures.
//!
//! Owns one connection's state: what its closures have captured. Leaves the people and their
//! messages to `room`.

use std::sync::Arc;

use pushlab::{Request, WebSocketHandler, on_message};

use crate::room::Room;

pub(crate) fn endpoint(room: &Arc<Room>, request: &Request<'_>) -> impl WebSocketHandler + use<> {
    let mut guest = room.guest(request);
    let arriving = guest.clone();
    let number = guest.number;
    let [hearing, entering, leaving] = [room, room, room].map(Arc::clone);
    on_message(move |message, socket| hearing.hear(&mut guest, message, socket))
        .on_open(move |socket| entering.enter(&arriving, socket))
        .on_close(move |_| leaving.leave(number))
}

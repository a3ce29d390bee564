//! The chat by a type that implements the trait.
//!
//! Owns one connection's state: its fields. Leaves the people and their messages to `room`.

use std::sync::Arc;

use pushlab::{CloseReason, Message, Request, Socket, WebSocketHandler};

use crate::room::{Guest, Room};

struct Talk {
    room: Arc<Room>,
    guest: Guest,
}

impl WebSocketHandler for Talk {
    fn open(&mut self, socket: &mut Socket<'_>) {
        self.room.enter(&self.guest, socket);
    }

    fn message(&mut self, message: Message<'_>, socket: &mut Socket<'_>) {
        self.room.hear(&mut self.guest, message, socket);
    }

    fn closed(&mut self, _: CloseReason) {
        self.room.leave(self.guest.number);
    }
}

pub(crate) fn endpoint(room: &Arc<Room>, request: &Request<'_>) -> impl WebSocketHandler + use<> {
    Talk { room: Arc::clone(room), guest: room.guest(request) }
}

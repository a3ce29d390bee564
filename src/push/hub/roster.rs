//! The connections that get the same messages.
//!
//! Owns the lists of addresses, one for each driver, kept between publishes, and the place of each
//! connection in them. Leaves it to `topic` which messages they get, and to `state` which subscriber
//! has which place.
//!
//! A publish costs one call of each driver, whatever the number of connections: a driver shares the
//! list until it has delivered the message. The list is copied only if a connection comes or goes
//! while a message is on its way.
//!
//! Each connection costs 20 bytes here. [`Audience`](crate::session::Audience) has a map in
//! addition, by which it finds a connection, and takes 95. Here the subscriber knows its place, and
//! the place knows the subscriber.

use std::collections::HashMap;
use std::sync::Arc;

use super::room::{give_back, make_room};
use crate::proto::Frame;
use crate::session::{Address, Destination, Post};

/// The addresses of connections, by driver.
#[derive(Default)]
pub(super) struct Roster {
    drivers: HashMap<usize, Group>,
}

/// The connections of one driver. On the event loop these are all connections; with a thread per
/// connection, each driver has one.
struct Group {
    post: Arc<dyn Post>,
    addresses: Arc<Vec<Address>>,
    /// The subscriber of each address.
    subscribers: Vec<u32>,
}

/// The identity of a driver: the address of what takes its commands. The group keeps that alive, so
/// no other driver can have the same address meanwhile.
pub(super) fn driver_of(post: &Arc<dyn Post>) -> usize {
    Arc::as_ptr(post).cast::<()>().addr()
}

impl Roster {
    /// Adds a connection. Returns its place among those of its driver.
    pub(super) fn insert(&mut self, Destination { post, address }: &Destination, subscriber: u32) -> u32 {
        let group = self.drivers.entry(driver_of(post)).or_insert_with(|| Group {
            post: Arc::clone(post),
            addresses: Arc::default(),
            subscribers: Vec::new(),
        });
        let addresses = Arc::make_mut(&mut group.addresses);
        make_room(addresses);
        make_room(&mut group.subscribers);
        addresses.push(*address);
        group.subscribers.push(subscriber);
        addresses.len() as u32 - 1
    }

    /// Removes the connection at a place. Returns the subscriber whose place this is now: the last
    /// one of the driver has moved here.
    pub(super) fn remove(&mut self, driver: usize, place: u32) -> Option<u32> {
        let group = self.drivers.get_mut(&driver)?;
        let addresses = Arc::make_mut(&mut group.addresses);
        addresses.swap_remove(place as usize);
        group.subscribers.swap_remove(place as usize);
        give_back(addresses);
        give_back(&mut group.subscribers);
        let moved = group.subscribers.get(place as usize).copied();
        if group.subscribers.is_empty() {
            self.drivers.remove(&driver);
        }
        moved
    }

    /// Where the connection at a place takes commands.
    pub(super) fn destination(&self, driver: usize, place: u32) -> Option<Destination> {
        let group = self.drivers.get(&driver)?;
        Some(Destination { post: Arc::clone(&group.post), address: *group.addresses.get(place as usize)? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.drivers.is_empty()
    }

    /// Sends one message to all connections.
    pub(super) fn send_to_all(&self, frame: &Frame) {
        for Group { post, addresses, .. } in self.drivers.values() {
            post.post_many(Arc::clone(addresses), frame);
        }
    }
}

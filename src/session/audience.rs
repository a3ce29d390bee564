//! Groups of connections that get the same messages.
//!
//! Owns the pushers of a group and the list of their addresses, kept by driver between publishes.
//! Leaves it to the application to remove each pusher that it has inserted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Address, Post, Pusher};
use crate::proto::Frame;

/// A group of pushers to which one message is sent at once.
///
/// [`Pusher::push_all`] collects the addresses of its pushers at each call. An audience keeps the
/// addresses between calls. So a publish costs one call of each driver; on the event loop this is
/// one lock and one reference count, whatever the number of members. The list is copied only if the
/// group changes while a message to it is on its way.
///
/// ```
/// use pushlab::proto::Frame;
/// use pushlab::session::Audience;
/// let audience = Audience::default();
/// audience.send_to_all(&Frame::text("nobody hears this"));
/// assert!(audience.is_empty());
/// ```
#[derive(Default)]
pub struct Audience {
    groups: HashMap<usize, Group>,
    /// Each member with its index in its group. The audience keeps the pusher, because a stream
    /// ends when its last pusher is dropped, and it must stay open for the next message to the
    /// audience.
    members: HashMap<(usize, Address), (usize, Pusher)>,
}

/// The members that one driver reaches. On the event loop these are all members; with a thread per
/// connection, each driver has one.
struct Group {
    post: Arc<dyn Post>,
    addresses: Arc<Vec<Address>>,
}

impl Audience {
    /// Adds a connection. Returns whether it was absent.
    pub fn insert(&mut self, pusher: &Pusher) -> bool {
        let (post, address) = pusher.target();
        let key = key(post);
        let group = self.groups.entry(key).or_insert_with(|| Group { post: Arc::clone(post), addresses: Arc::default() });
        let is_new = !self.members.contains_key(&(key, address));
        if is_new {
            self.members.insert((key, address), (group.addresses.len(), pusher.clone()));
            Arc::make_mut(&mut group.addresses).push(address);
        }
        is_new
    }

    /// Removes a connection. Returns whether it was present.
    pub fn remove(&mut self, pusher: &Pusher) -> bool {
        let (post, address) = pusher.target();
        let key = key(post);
        let Some((index, _)) = self.members.remove(&(key, address)) else { return false };
        let Some(group) = self.groups.get_mut(&key) else { return false };
        Arc::make_mut(&mut group.addresses).swap_remove(index);
        // `swap_remove` has moved the last address to the index of the removed one.
        if let Some(moved) = group.addresses.get(index) {
            if let Some(member) = self.members.get_mut(&(key, *moved)) {
                member.0 = index;
            }
        } else if group.addresses.is_empty() {
            self.groups.remove(&key);
        }
        true
    }

    /// Sends one message to all members.
    pub fn send_to_all(&self, frame: &Frame) {
        for Group { post, addresses } in self.groups.values() {
            post.post_many(Arc::clone(addresses), frame);
        }
    }

    /// The number of members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// The address of a driver's inbox identifies the driver. The group keeps the inbox alive, so no
/// other inbox can get the same address meanwhile.
fn key(post: &Arc<dyn Post>) -> usize {
    Arc::as_ptr(post).cast::<()>().addr()
}

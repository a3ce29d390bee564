//! Many connections that hear the same messages.
//!
//! Owns a group of pushers and their addresses, by driver, kept ready between publishes. Leaves it to
//! the application to remove each pusher that it has inserted.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Address, Post, Pusher};
use crate::proto::Frame;

/// A group of pushers to which one message goes at once.
///
/// [`Pusher::push_all`] collects the addresses of its pushers at each call. An audience keeps them collected, so that a publish to it costs
/// one call of each driver, and on the event loop one lock and one reference, however many there are. The list is copied only when the group
/// changes while a message to it is on its way.
///
/// ```
/// use pushlab::proto::Frame;
/// use pushlab::session::Audience;
/// let audience = Audience::default();
/// audience.push(&Frame::text("nobody hears this"));
/// assert!(audience.is_empty());
/// ```
#[derive(Default)]
pub struct Audience {
    groups: HashMap<usize, Group>,
    /// Each member, and its index in its group. The pusher is kept because a stream ends with the
    /// last of its pushers, and a message to the audience is yet to reach it.
    members: HashMap<(usize, Address), (usize, Pusher)>,
}

/// The members that one driver reaches: all of them on the event loop, one with a thread per connection.
struct Group {
    post: Arc<dyn Post>,
    addresses: Arc<Vec<Address>>,
}

impl Audience {
    /// Adds a connection. Returns whether it was not there before.
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

    /// Takes a connection away. Returns whether it was there.
    pub fn remove(&mut self, pusher: &Pusher) -> bool {
        let (post, address) = pusher.target();
        let key = key(post);
        let Some((index, _)) = self.members.remove(&(key, address)) else { return false };
        let Some(group) = self.groups.get_mut(&key) else { return false };
        Arc::make_mut(&mut group.addresses).swap_remove(index);
        if let Some(moved) = group.addresses.get(index) {
            if let Some(member) = self.members.get_mut(&(key, *moved)) {
                member.0 = index;
            }
        } else if group.addresses.is_empty() {
            self.groups.remove(&key);
        }
        true
    }

    /// Sends one message to all.
    pub fn push(&self, frame: &Frame) {
        for Group { post, addresses } in self.groups.values() {
            post.post_many(Arc::clone(addresses), frame);
        }
    }

    /// Members.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl fmt::Debug for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audience").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// A driver's inbox is itself, whoever refers to it; it lives for as long as its group does.
fn key(post: &Arc<dyn Post>) -> usize {
    Arc::as_ptr(post).cast::<()>().addr()
}

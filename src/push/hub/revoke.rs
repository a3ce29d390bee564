//! Withdrawing access from clients that are subscribed.
//!
//! Owns `Hub::revoke` and what it shows of a subscriber. Leaves the decision to the application, and
//! the form of the last word to the techniques.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use super::channels::{Carrier, StreamCarrier};
use super::hub::Hub;
use super::state::State;
use super::subscribers::Sink;
use crate::push::model::{Note, PRESENCE, Topics, revoked};
use crate::session::LastWord;

/// A subscription, as [`Hub::revoke`] shows it: what the hub remembers of the request that began it.
#[derive(Clone, Copy, Debug)]
pub struct Subscriber<'a> {
    client: Option<&'a str>,
    topics: &'a [&'a str],
    technique: &'static str,
}

impl<'a> Subscriber<'a> {
    /// The token by which the client has named itself, `client=`. For a STOMP client, the user that
    /// [`StompPolicy::user`](crate::push::StompPolicy::user) has returned.
    pub const fn client(&self) -> Option<&'a str> {
        self.client
    }

    /// The topics, as the policy was asked about them: a presence topic appears as its topic.
    pub fn topics(&self) -> impl Iterator<Item = &'a str> {
        self.topics.iter().map(|name| name.strip_suffix(PRESENCE).unwrap_or(name))
    }

    /// Whether the subscription has this topic or its presence topic.
    pub fn has_topic(&self, topic: &str) -> bool {
        self.topics().any(|name| name == topic)
    }

    /// The technique's name in counters.
    pub const fn technique(&self) -> &'static str {
        self.technique
    }
}

impl Hub {
    /// Withdraws access: ends every stream, WebSocket and held poll of which `is_denied` says so.
    /// Their clients get a last word with code 1008. They receive no message that is published after
    /// this call, even if another topic of theirs is allowed. A client that comes back is asked by
    /// the policy, so change what the policy decides before this call. Returns the number of
    /// subscriptions that were ended.
    ///
    /// A connection with a [control channel](crate::push#control-channels) has one subscription for
    /// each topic. It loses the denied topics alone: its client gets the note
    /// `{"left":["a"],"code":1008,"sentence":"..."}`, and its presence at these topics ends at
    /// once. A connection that loses its last subscription ends with the last word. Topics that it
    /// is still joining are given up with code 1012, and the client joins again: the policy decides
    /// then. A held poll of a chain ends as every held poll does.
    ///
    /// A client that is still catching up with its cursor is not shown to `is_denied`. Its
    /// connection ends with code 1012, and the client comes back: the policy decides then. So does a
    /// client whose request was checked before this call and is subscribed after it. Queues of
    /// STOMP are not topics, and no call revokes them.
    ///
    /// The policy has decided from a request, which the hub does not keep. What it keeps are the
    /// token of the client, the topics and the technique. So a policy whose decisions are to be
    /// withdrawn must decide from these: from a token that the application has given out, for
    /// example.
    ///
    /// `is_denied` is called while the hub's lock is held, and every publisher waits for it. It must
    /// not call the hub.
    ///
    /// ```
    /// use std::collections::HashSet;
    /// use std::sync::{Arc, RwLock};
    /// use pushlab::push::{Access, Hub, HubConfig};
    /// /// Which client may read which topic.
    /// type Grants = Arc<RwLock<HashSet<(String, String)>>>;
    /// fn may_read(grants: &Grants, client: Option<&str>, topic: &str) -> bool {
    ///     let key = (client.unwrap_or_default().to_owned(), topic.to_owned());
    ///     grants.read().expect("no holder of the lock panics").contains(&key)
    /// }
    /// let grants = Grants::default();
    /// let asked = Arc::clone(&grants);
    /// let hub = Hub::with_policy(HubConfig::default(), move |request, access, topic| {
    ///     access == Access::Subscribe && may_read(&asked, request.query_value("client").as_deref(), topic)
    /// });
    /// // One client loses one topic: first in the table, then on its connections.
    /// grants.write().expect("no holder of the lock panics").remove(&("ann".to_owned(), "news".to_owned()));
    /// hub.revoke(|subscriber| subscriber.client() == Some("ann") && subscriber.has_topic("news"));
    /// // Everything that the table does not allow now.
    /// hub.revoke(|subscriber| subscriber.topics().any(|topic| !may_read(&grants, subscriber.client(), topic)));
    /// // A topic is closed for all.
    /// hub.revoke(|subscriber| subscriber.has_topic("news"));
    /// ```
    pub fn revoke(&self, is_denied: impl Fn(&Subscriber<'_>) -> bool) -> usize {
        let word = Arc::new(revoked());
        let now = self.config().clock.now();
        let mut state = self.lock();
        // Under the lock, under which a subscription looks at the number.
        self.revocations().fetch_add(1, SeqCst);
        let denied = state.denied(|client, topics, technique| is_denied(&Subscriber { client, topics, technique }));
        let of_channels = state.revoke_in_channels(&denied, &word);
        for key in &denied {
            if !of_channels.keys.contains(key) {
                state.end_reader(*key, &word);
            }
            if let Some(Sink::Poll(poll)) = state.end_subscriber(*key) {
                poll.held.release(poll.answers.form().answer_end(&word));
            }
        }
        // That may publish presence messages, which the clients must not receive.
        for (client, names) in of_channels.left {
            state.leave_at_once(&client, Topics::of(names.clone()), &names, now);
        }
        drop(state);
        for _ in &denied {
            self.count_refused(403);
        }
        denied.len()
    }
}

/// What a withdrawal means for control channels.
#[derive(Default)]
struct RevokedInChannels {
    /// The subscribers whose connections were told, and end only with their last topic.
    keys: HashSet<u64>,
    /// The clients, and the topics that each connection has left.
    left: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

impl State {
    /// Takes the topics of these subscribers out of the control channels, and tells the connections.
    /// The caller removes the subscribers, and then ends the presence.
    fn revoke_in_channels(&mut self, denied: &[u64], word: &Arc<LastWord>) -> RevokedInChannels {
        let mut revoked = RevokedInChannels::default();
        if denied.is_empty() {
            return revoked;
        }
        let denied: HashSet<_> = denied.iter().copied().collect();
        for (client, channel) in self.channels.all() {
            let names = match &mut channel.carrier {
                Carrier::Stream(stream) => {
                    let ended: Vec<_> = stream.live.extract_if(.., |(_, key)| denied.contains(key)).collect();
                    revoked.keys.extend(ended.iter().map(|(_, key)| key));
                    let names: Vec<_> = ended.into_iter().map(|(name, _)| name).collect();
                    stream.revoke(&names, word);
                    names
                }
                Carrier::Poll { key, entered } if denied.contains(key) => {
                    let names = entered.shared_names().to_vec();
                    // The guard that the request carries forgets the channel.
                    channel.carrier = Carrier::Ended;
                    names
                }
                Carrier::Poll { .. } | Carrier::Ended => continue,
            };
            channel.topics.retain(|name| !names.contains(name));
            if !names.is_empty() {
                revoked.left.push((Arc::clone(client), names));
            }
        }
        revoked
    }
}

impl StreamCarrier {
    /// Tells a connection that it has lost topics. A connection without a subscription that is left
    /// ends: a topic that it is joining was checked before the withdrawal.
    fn revoke(&self, names: &[Arc<str>], word: &Arc<LastWord>) {
        self.forget_drops(names);
        if names.is_empty() {
            return;
        }
        if self.live.is_empty() {
            self.pusher.end_with(Arc::clone(word));
        } else {
            self.tell(Note::Left(names, Some(word)));
        }
    }
}

//! The connections that can be subscribed.
//!
//! Owns what a replay needs of a stream and of a WebSocket: sending a frame, a pusher, and the step
//! to a subscription that the connection carries. Leaves the replay to `subscription`, and
//! connections whose topics can be changed to `channel_feed`.

use super::hub::Hub;
use super::state::Sink;
use super::subscribe::{NotSubscribed, SubscribeParameters, SubscriptionGuard};
use crate::proto::Frame;
use crate::push::model::{Gap, WireForm};
use crate::session::{Outcome, Pusher, Socket, Stream};

/// Encodes a gap in the format of a technique.
pub(crate) type EncodeGap = Box<dyn Fn(Gap) -> Frame + Send>;

/// A connection that can be subscribed: a stream, a WebSocket, or one of several subscriptions of a
/// connection.
pub(crate) trait PushConnection {
    fn send_frame(&mut self, frame: &Frame) -> Outcome;
    fn pusher(&mut self) -> Pusher;
    fn carry(&mut self, guard: SubscriptionGuard);
    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static);

    /// Subscribes the connection, if it has all messages. `encode_gap` encodes the gap that stands
    /// in the place of dropped messages.
    fn subscribe(
        &mut self,
        hub: &Hub,
        parameters: &SubscribeParameters<'_>,
        wire_form: &WireForm,
        encode_gap: Option<&EncodeGap>,
    ) -> Result<(), NotSubscribed> {
        let sink = Sink::Stream { pusher: self.pusher(), wire_form: wire_form.clone() };
        let (guard, drops) = hub.subscribe_now(parameters, sink)?;
        let told = encode_gap.map(|encode_gap| encode_gap(Gap { from: None }));
        self.on_drop(move |count| {
            drops.add(count);
            told.clone()
        });
        self.carry(guard);
        Ok(())
    }
}

impl PushConnection for Stream<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        Stream::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Stream::pusher(self)
    }

    fn carry(&mut self, guard: SubscriptionGuard) {
        Stream::carry(self, guard);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        Stream::on_drop(self, call);
    }
}

impl PushConnection for Socket<'_> {
    fn send_frame(&mut self, frame: &Frame) -> Outcome {
        Socket::send_frame(self, frame)
    }

    fn pusher(&mut self) -> Pusher {
        Socket::pusher(self)
    }

    fn carry(&mut self, guard: SubscriptionGuard) {
        Socket::carry(self, guard);
    }

    fn on_drop(&mut self, call: impl FnMut(usize) -> Option<Frame> + Send + 'static) {
        Socket::on_drop(self, call);
    }
}

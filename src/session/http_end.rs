//! How streams, holds and connections of HTTP end.
//!
//! Owns the end that was asked for, the last word before it, and the end of a server that shuts
//! down. Leaves the words to `last_word`, their form to the application, and the requests to `http`.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::exchange::Exchange;
use super::http::{Http, ending_while_idle};
use super::last_word::Leaving;
use super::link::encode_last_word;
use super::progress::{Ending, Progress};
use super::stream::StreamKind;
use super::{LastWord, Response, Surroundings};
use crate::proto::{CloseReason, Outbox};

/// The bytes that a new connection sends without waiting for an acknowledgement: the initial window
/// of RFC 6928, section 2, for Ethernet segments.
const FIRST_FLIGHT_BYTES: usize = 14_600;

impl Http {
    /// Ends a stream whose end was asked for and whose backlog is empty, and the connection if this
    /// was its last exchange.
    #[inline]
    pub(super) fn end_if_finished(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        match &self.exchange {
            // The common cases first: a stream that goes on, and a whole answer that is not the
            // last one.
            Exchange::Stream(stream) if !stream.link.is_ending() || !stream.link.is_free() => Progress::Wait,
            _ if !self.is_answering() && !self.conn.is_closing() => Progress::More,
            _ => self.end_finished(out, cx),
        }
    }

    fn end_finished(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        let mut was_stream = false;
        if let Exchange::Stream(stream) = &self.exchange {
            if let Some(word) = stream.link.last_word() {
                let word = Arc::clone(word);
                self.say(&word, out, cx);
            }
            self.conn.send_end(cx.now, out).expect("a live stream can be ended");
            self.drop_exchange(cx);
            was_stream = true;
        }
        match self.exchange {
            Exchange::Held(_) => Progress::Wait,
            _ if self.conn.is_closing() => Progress::End(self.ending(was_stream, out), CloseReason::Local(1000)),
            _ => Progress::More,
        }
    }

    /// Says the last word of a stream, and tells the client of an event stream when to come back.
    /// Returns whether the application has a form for the last word.
    fn say(&mut self, word: &LastWord, out: &mut Outbox, cx: &Surroundings<'_>) -> bool {
        let Exchange::Stream(stream) = &mut self.exchange else { return false };
        if let Some(come_back_ms) = word.come_back_ms().filter(|_| stream.kind == StreamKind::Events) {
            let retry = format!("retry: {come_back_ms}\n\n");
            self.conn.send_body(retry.as_bytes(), out).expect("a live stream takes body bytes");
        }
        let Some(frame) = encode_last_word(word, stream.carried.notices(), cx) else { return false };
        cx.stats.messages_out.add(1);
        self.conn.send_frame(&frame, out).expect("a live stream takes body bytes");
        true
    }

    /// Ends the connection of a reader that is too slow. The last word follows the output; what
    /// waits behind the output is dropped. Without a last word the stream is cut, so that its client
    /// does not take it for whole.
    #[cold]
    pub(super) fn end_slow(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        if let Exchange::Stream(stream) = &mut self.exchange {
            stream.link.drop_backlog();
        }
        if !self.say(&LastWord::too_slow(), out, cx) {
            return Progress::End(Ending::Abort, CloseReason::SlowConsumer);
        }
        self.conn.close_after_response();
        self.conn.send_end(cx.now, out).expect("a live stream can be ended");
        self.drop_exchange(cx);
        Progress::End(Ending::Linger, CloseReason::SlowConsumer)
    }

    /// How the connection ends after its last answer. If the client sends more, the closed
    /// connection answers with a reset, and a reset discards output that has not left yet (RFC
    /// 9112, section 9.6). So the connection lingers.
    ///
    /// Two cases close at once. A small answer to the only request of a connection has left by
    /// then; this saves a wake-up and two system calls for each client that connects for one
    /// request. And a shutdown does not wait for the clients of small answers.
    #[cold]
    fn ending(&self, was_stream: bool, out: &Outbox) -> Ending {
        let is_alone = !was_stream && !self.conn.is_reused();
        let has_left = out.len() <= FIRST_FLIGHT_BYTES && (is_alone || self.come_back_ms.is_some());
        if has_left { Ending::Flush } else { Ending::Linger }
    }

    /// The server ends the connection: at once if it is idle. Unfinished requests are answered, and
    /// holds and streams get a last word.
    pub(super) fn leave(&mut self, leaving: Leaving, come_back_ms: u32, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        self.conn.close_after_response();
        if self.conn.is_idle() {
            return Progress::End(ending_while_idle(out), CloseReason::Shutdown);
        }
        self.come_back_ms = NonZeroU32::new(come_back_ms.max(1));
        self.leaving = leaving;
        self.end_if_leaving(out, cx)
    }

    /// The last word of a server that ends this connection.
    #[inline]
    pub(super) fn leaving_word(&self) -> Option<LastWord> {
        self.come_back_ms.map(|come_back_ms| self.leaving.last_word(come_back_ms.get()))
    }

    /// Ends a hold or a stream that would otherwise outlast the shutdown, and what is finished.
    #[inline]
    pub(super) fn end_if_leaving(&mut self, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        match self.leaving_word() {
            None => self.end_if_finished(out, cx),
            Some(word) => self.end_leaving(&word, out, cx),
        }
    }

    fn end_leaving(&mut self, word: &LastWord, out: &mut Outbox, cx: &Surroundings<'_>) -> Progress {
        match &mut self.exchange {
            Exchange::Idle | Exchange::Partial(_) => self.end_if_finished(out, cx),
            Exchange::Held(hold) => {
                let mut answer = None;
                cx.contain(|| answer = Some(hold.answers.ended(word)));
                self.release(answer.unwrap_or_else(|| Response::status(503)).into(), out, cx)
            }
            Exchange::Stream(stream) => {
                stream.link.ask_end_with(|| word.clone().into());
                self.end_if_finished(out, cx)
            }
        }
    }
}

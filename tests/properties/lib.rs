//! Properties of the parsers and state machines, each a function of bytes that panics when the property does not hold.
//!
//! The fuzz targets call them with what the fuzzer makes up, and `tests/it/corpus.rs`, which includes this file, with the committed seeds
//! and regressions: so every input that ever found something is a test on a stable compiler, too. Nothing here knows of the fuzzer.
//!
//! - `*_split`, `sse_decode`: however the input is cut, the events and the output are the same.
//! - `*_events`, `*_frames`, `*_ops`: what holds after every step, with limits so small that they are met.
//! - `*_differential`, `chunked`, `control_body`, `stomp_split`, `ws_inflate`: the same answer as another implementation, `httparse`,
//!   `serde_json` or a naive one.
//! - `extensions`: an answer to an offer is valid for that offer.
//! - `forwarded`: what a client invents cannot hide what a proxy appends; and the same answer as a naive reader.
//! - `*_roundtrip`: what one side encodes, the other decodes.
//! - `tls_cuts`: however the records are cut, both sides get what the other one has sent.
//! - `push_*`: what anybody publishes, every subscriber's reader finds, and nothing else.

mod chunked;
mod deflate;
mod forwarded;
mod http1;
#[cfg(feature = "deflate")]
mod inflate;
mod input;
mod outbox;
mod push;
mod remote;
mod server;
mod session;
mod sse;
mod stomp;
mod tls;
mod wire;
mod ws;

/// A property of an input.
pub type Property = fn(&[u8]);

/// Every property, by the name of its fuzz target and of its directory of seeds.
pub const PROPERTIES: [(&str, Property); 21] = [
    ("chunked", chunked::decodes_as_the_naive_decoder),
    ("control_body", push::bodies_are_what_they_say),
    ("extensions", deflate::answers_are_valid),
    ("forwarded", forwarded::cannot_hide_an_element),
    ("http1_differential", http1::agrees_with_others),
    ("http1_events", http1::keeps_its_promises),
    ("http1_split", http1::does_not_depend_on_cuts),
    ("outbox_ops", outbox::holds_the_bytes_of_the_model),
    ("push_html", push::browsers_find_only_messages),
    ("push_json", push::keeps_its_promises),
    ("push_streams", push::readers_find_what_was_published),
    ("session_ops", session::keeps_its_promises),
    ("sse_decode", sse::decodes_as_the_naive_decoder),
    ("sse_roundtrip", sse::comes_back_as_it_went),
    ("stomp_roundtrip", stomp::comes_back_as_it_went),
    ("stomp_split", stomp::reads_as_the_naive_reader),
    ("tls_cuts", tls::passes_on_every_byte),
    ("ws_frames", ws::keeps_its_promises),
    ("ws_inflate", deflate::inflates_as_the_naive_inflater),
    ("ws_roundtrip", ws::arrives_as_it_was_sent),
    ("ws_split", ws::does_not_depend_on_cuts),
];

/// The property of this name.
///
/// # Panics
/// When there is none.
pub fn property(name: &str) -> Property {
    PROPERTIES.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name} is no target")).1
}

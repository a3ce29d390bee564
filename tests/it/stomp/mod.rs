//! `proto::stomp`: the table of frames, the writer, and the negotiations.

mod frames;
mod negotiation;
mod writer;

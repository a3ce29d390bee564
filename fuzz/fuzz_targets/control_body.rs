//! See `pushlab_fuzz`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushlab_fuzz::property("control_body")(data));

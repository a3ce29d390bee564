//! A client's side of permessage-deflate, written from RFC 7692, section 7.2, against the compressor itself.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

/// Both directions of one client that keeps its windows.
pub struct Codec {
    compress: Compress,
    inflate: Decompress,
}

impl Codec {
    pub fn new(bits: u8) -> Self {
        Self {
            compress: Compress::new_with_window_bits(Compression::best(), false, bits),
            inflate: Decompress::new_with_window_bits(false, bits),
        }
    }

    pub fn deflate(&mut self, payload: &[u8]) -> Vec<u8> {
        // A compressor with nothing to flush writes nothing (RFC 7692, section 7.2.3.6).
        if payload.is_empty() {
            return vec![0];
        }
        let mut out = Vec::with_capacity(payload.len() * 2 + 100);
        self.compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
        assert!(out.len() < out.capacity() && out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    pub fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        let input = [payload, &TAIL].concat();
        let (mut out, start) = (Vec::new(), self.inflate.total_in());
        loop {
            out.reserve(64 * 1024);
            let used = usize::try_from(self.inflate.total_in() - start).unwrap();
            self.inflate.decompress_vec(&input[used..], &mut out, FlushDecompress::Sync).unwrap();
            if self.inflate.total_in() - start == input.len() as u64 && out.len() < out.capacity() {
                return out;
            }
        }
    }
}

/// A payload that is compressed alone.
pub fn deflated(payload: &[u8]) -> Vec<u8> {
    Codec::new(15).deflate(payload)
}

/// A payload that was compressed alone, with a window of so many bits.
pub fn inflated_with(bits: u8, payload: &[u8]) -> Vec<u8> {
    Codec::new(bits).inflate(payload)
}

pub fn inflated(payload: &[u8]) -> Vec<u8> {
    inflated_with(15, payload)
}

/// Text that gets smaller.
pub fn repetitive(len: usize) -> String {
    (0..).flat_map(|n: u32| format!("{{\"number\":{n},\"unit\":\"celsius\"}}").into_bytes()).take(len).map(char::from).collect()
}

/// Bytes that do not get smaller.
pub fn noise(len: usize) -> Vec<u8> {
    let mut numbers = super::splits::Seeded::new(7);
    (0..len).map(|_| numbers.next().to_le_bytes()[3]).collect()
}

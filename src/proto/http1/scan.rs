//! Searches over raw bytes.
//!
//! Owns two searches: one for a byte, eight bytes at a time, and one for the blank line that ends a
//! head. Leaves the meaning of the other bytes to the parser in [`Head`](super::Head).

/// The index of the first `wanted`. Each step tests eight bytes for a zero byte (the exact test of
/// "Bit Twiddling Hacks", Anderson 1997).
#[inline]
pub(crate) fn find_byte(bytes: &[u8], wanted: u8) -> Option<usize> {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let pattern = LOW * u64::from(wanted);
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let zero_where_equal = u64::from_le_bytes(*word) ^ pattern;
        // The first byte is in the lowest bits. A borrow can only set bits above the first hit, so
        // the lowest set bit is exact.
        let hits = zero_where_equal.wrapping_sub(LOW) & !zero_where_equal & HIGH;
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    rest.iter().position(|&byte| byte == wanted).map(|at| words.len() * 8 + at)
}

/// The result of the search for the end of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadEnd {
    /// The head, including its blank line, has this many bytes.
    At(usize),
    /// The end has not arrived. The next search can begin at this index.
    After(usize),
}

/// Searches for the first blank line, from an index that an earlier search returned. Here a lone LF
/// also ends a line, as it does for `httparse`. The head is then rejected because of the lone LF,
/// but this search and the parser must agree on where the head ends.
pub(super) fn head_end(input: &[u8], mut from: usize) -> HeadEnd {
    while let Some(at) = input.get(from..).and_then(|rest| find_byte(rest, b'\n')) {
        let line_feed = from + at;
        match input[line_feed + 1..] {
            [b'\n', ..] => return HeadEnd::At(line_feed + 2),
            [b'\r', b'\n', ..] => return HeadEnd::At(line_feed + 3),
            [] | [b'\r'] => return HeadEnd::After(line_feed),
            _ => from = line_feed + 1,
        }
    }
    HeadEnd::After(input.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_is_found_at_every_place_and_length() {
        for len in 0..40 {
            let mut bytes = vec![b'x' ^ 0x80; len];
            assert_eq!(find_byte(&bytes, b'x'), None);
            for at in (0..len).rev() {
                bytes[at] = b'x';
                assert_eq!(find_byte(&bytes, b'x'), Some(at));
            }
        }
    }

    #[test]
    fn a_borrow_in_the_word_is_not_a_hit() {
        assert_eq!(find_byte(b"\x0b\x0a______", b'\n'), Some(1));
        assert_eq!(find_byte(b"\x0b_______", b'\n'), None);
    }

    #[test]
    fn the_blank_line_is_found_from_wherever_the_search_was_left() {
        for head in [&b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..], b"a\n\n", b"a\n\r\n", b"a\r\n\n", b"a\r\rb\n\r\r\n\r\n"] {
            let (mut from, mut end) = (0, None);
            for len in 0..=head.len() {
                match head_end(&head[..len], from) {
                    HeadEnd::At(at) => end = Some((len, at)),
                    HeadEnd::After(index) => from = index,
                }
            }
            assert_eq!(end, Some((head.len(), head.len())), "{}", head.escape_ascii());
        }
    }
}

//! A naive inflater (RFC 1951): bit by bit, with all of its output in memory, to compare with.

/// What comes of compressed data, which ends in the tail of a message.
#[derive(Debug)]
pub(super) enum Inflated {
    /// It ends behind a block.
    Whole(Vec<u8>),
    /// It ends inside a block.
    Cut,
    Wrong,
    /// More than the limit comes out before anything is wrong.
    TooLarge,
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Why the inflation stops.
enum Stop {
    Cut,
    Wrong,
    TooLarge,
}

impl Bits<'_> {
    fn bit(&mut self) -> Result<usize, Stop> {
        let byte = self.bytes.get(self.at / 8).ok_or(Stop::Cut)?;
        let bit = byte >> (self.at % 8) & 1;
        self.at += 1;
        Ok(bit.into())
    }

    /// A number, its least significant bit first.
    fn number(&mut self, bits: usize) -> Result<usize, Stop> {
        (0..bits).try_fold(0, |number, nth| Ok(number | self.bit()? << nth))
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// A canonical Huffman code (section 3.2.2): how many codes of each length, and the symbols in the order of their codes.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    /// A code must be complete. One single code of one bit may stand alone, as compressors write it for a single distance.
    fn new(lengths: &[usize], may_be_single: bool) -> Result<Self, Stop> {
        let mut counts = [0; 16];
        for length in lengths {
            counts[*length] += 1;
        }
        let mut left = 1_usize;
        for count in &counts[1..] {
            left = (left * 2).checked_sub(*count).ok_or(Stop::Wrong)?;
        }
        let used = lengths.len() - counts[0];
        let is_allowed = left == 0 || may_be_single && (used == 0 || used == 1 && counts[1] == 1);
        if !is_allowed {
            return Err(Stop::Wrong);
        }
        let mut symbols: Vec<usize> = (0..lengths.len()).filter(|symbol| lengths[*symbol] > 0).collect();
        symbols.sort_by_key(|symbol| lengths[*symbol]);
        Ok(Self { counts, symbols })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Result<usize, Stop> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.bit()?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) * 2;
            code *= 2;
        }
        Err(Stop::Wrong)
    }
}

const LENGTHS: [usize; 29] =
    [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258];
const LENGTH_BITS: [usize; 29] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const DISTANCES: [usize; 30] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1_025, 1_537, 2_049, 3_073, 4_097, 6_145, 8_193, 12_289,
    16_385, 24_577,
];
const LENGTH_ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

struct Output {
    bytes: Vec<u8>,
    /// Where the stream begins, before which nothing may be referred to.
    start: usize,
    limit: usize,
    /// The end of the payload, in bits. Nothing comes out of the tail behind it.
    payload_bits: usize,
}

impl Output {
    fn push(&mut self, byte: u8, bits: &Bits<'_>) -> Result<(), Stop> {
        if bits.at > self.payload_bits {
            return Err(Stop::Cut);
        }
        if self.bytes.len() == self.limit {
            return Err(Stop::TooLarge);
        }
        self.bytes.push(byte);
        Ok(())
    }
}

/// Inflates `data`, one stream after the other.
pub(super) fn inflate(data: &[u8], limit: usize) -> Inflated {
    let (mut bits, mut out) =
        (Bits { bytes: data, at: 0 }, Output { bytes: Vec::new(), start: 0, limit, payload_bits: (data.len() - 4) * 8 });
    match streams(&mut bits, &mut out) {
        Ok(()) => Inflated::Whole(out.bytes),
        Err(Stop::Cut) => Inflated::Cut,
        Err(Stop::Wrong) => Inflated::Wrong,
        Err(Stop::TooLarge) => Inflated::TooLarge,
    }
}

fn streams(bits: &mut Bits<'_>, out: &mut Output) -> Result<(), Stop> {
    loop {
        if bits.at == bits.bytes.len() * 8 {
            return Ok(());
        }
        let is_last = bits.bit()? == 1;
        match bits.number(2)? {
            0 => stored(bits, out)?,
            1 => {
                let lengths: Vec<usize> =
                    (0..288).map(|symbol| [8, 9, 7, 8][[144, 256, 280].iter().filter(|from| symbol >= **from).count()]).collect();
                compressed(bits, out, &Code::new(&lengths, false)?, &Code::new(&[5; 32], false)?)?;
            }
            2 => dynamic(bits, out)?,
            _ => return Err(Stop::Wrong),
        }
        if is_last {
            bits.align();
            out.start = out.bytes.len();
            // A stream that ends right before the tail needs no tail.
            if bits.at == out.payload_bits {
                return Ok(());
            }
        }
    }
}

fn stored(bits: &mut Bits<'_>, out: &mut Output) -> Result<(), Stop> {
    bits.align();
    let (len, complement) = (bits.number(16)?, bits.number(16)?);
    if len != !complement & 0xFFFF {
        return Err(Stop::Wrong);
    }
    (0..len).try_for_each(|_| {
        let byte = bits.number(8)? as u8;
        out.push(byte, bits)
    })
}

fn dynamic(bits: &mut Bits<'_>, out: &mut Output) -> Result<(), Stop> {
    let (literals, distances, codes) = (bits.number(5)? + 257, bits.number(5)? + 1, bits.number(4)? + 4);
    if literals > 286 || distances > 30 {
        return Err(Stop::Wrong);
    }
    let mut lengths = [0; 19];
    for at in &LENGTH_ORDER[..codes] {
        lengths[*at] = bits.number(3)?;
    }
    let code = Code::new(&lengths, false)?;
    let mut lengths = Vec::new();
    while lengths.len() < literals + distances {
        let (length, times) = match code.symbol(bits)? {
            16 => (*lengths.last().ok_or(Stop::Wrong)?, 3 + bits.number(2)?),
            17 => (0, 3 + bits.number(3)?),
            18 => (0, 11 + bits.number(7)?),
            length => (length, 1),
        };
        lengths.extend(std::iter::repeat_n(length, times));
    }
    if lengths.len() > literals + distances || lengths[256] == 0 {
        return Err(Stop::Wrong);
    }
    let (literals, distances) = lengths.split_at(literals);
    compressed(bits, out, &Code::new(literals, true)?, &Code::new(distances, true)?)
}

fn compressed(bits: &mut Bits<'_>, out: &mut Output, literals: &Code, distances: &Code) -> Result<(), Stop> {
    loop {
        match literals.symbol(bits)? {
            256 => return Ok(()),
            literal @ 0..256 => out.push(literal as u8, bits)?,
            symbol => {
                let at = symbol - 257;
                let len = LENGTHS.get(at).ok_or(Stop::Wrong)? + bits.number(LENGTH_BITS[at])?;
                let at = distances.symbol(bits)?;
                let base = DISTANCES.get(at).ok_or(Stop::Wrong)?;
                let distance = base + bits.number((at / 2).saturating_sub(1))?;
                if distance > out.bytes.len() - out.start {
                    return Err(Stop::Wrong);
                }
                (0..len).try_for_each(|_| out.push(out.bytes[out.bytes.len() - distance], bits))?;
            }
        }
    }
}

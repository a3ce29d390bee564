//! Ways to cut an input, for the property that no cut changes what comes out.

/// A small generator of repeatable random numbers (xorshift64*, Vigna 2016); a failing test names its seed.
#[derive(Clone, Debug)]
pub struct Seeded(u64);

impl Seeded {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }
}

/// The cuts that a test tries on an input: whole, byte by byte, and `random` seeded ones. Each is a list of piece lengths that adds up.
pub fn splits(len: usize, random: u64) -> impl Iterator<Item = Vec<usize>> {
    let seeded = (1..=random).map(move |seed| {
        let (mut numbers, mut pieces, mut left) = (Seeded::new(seed), Vec::new(), len);
        while left > 0 {
            let longest = [1, 3, 17, left][numbers.below(4)].min(left);
            let piece = 1 + numbers.below(longest);
            pieces.push(piece);
            left -= piece;
        }
        pieces
    });
    [vec![len], vec![1; len]].into_iter().chain(seeded)
}

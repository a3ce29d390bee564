//! Made-up share prices on a random walk, as data to push.
//!
//! Owns the shares and their prices. Leaves the publishing to the examples.

use std::time::SystemTime;

/// Each share with its opening price in hundredths.
const SHARES: [(&str, u32); 6] =
    [("ALDER", 4_200), ("BIRCH", 9_950), ("CEDAR", 12_040), ("HAZEL", 2_775), ("MAPLE", 6_310), ("ROWAN", 18_400)];

pub(crate) struct Quotes {
    /// In hundredths.
    prices: [u32; SHARES.len()],
    random: u64,
}

/// One price, in hundredths.
pub(crate) struct Quote {
    pub(crate) name: &'static str,
    pub(crate) price: u32,
    pub(crate) opening: u32,
}

impl Quotes {
    pub(crate) fn new() -> Self {
        let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64 | 1);
        Self { prices: SHARES.map(|(_, opening)| opening), random: seed }
    }

    /// Moves one random price by up to half a percent, within half and twice its opening price.
    pub(crate) fn next(&mut self) -> Quote {
        let chosen = (self.draw() % SHARES.len() as u64) as usize;
        let ((name, opening), price) = (SHARES[chosen], self.prices[chosen]);
        let step = (price / 200).max(1);
        let moved = price - step + (self.draw() % u64::from(2 * step + 1)) as u32;
        self.prices[chosen] = moved.clamp(opening / 2, opening * 2);
        Quote { name, price: self.prices[chosen], opening }
    }

    /// Marsaglia's xorshift64.
    const fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

//! A few share prices on a random walk: something lively to push. None of them exists.

use std::time::SystemTime;

const NAMES: [&str; 6] = ["ALDER", "BIRCH", "CEDAR", "HAZEL", "MAPLE", "ROWAN"];

pub(crate) struct Quotes {
    /// In hundredths.
    prices: [u32; NAMES.len()],
    random: u64,
}

impl Quotes {
    pub(crate) fn new() -> Self {
        let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64 | 1);
        Self { prices: [4_200, 9_950, 12_040, 2_775, 6_310, 18_400], random: seed }
    }

    /// Lets one price move by up to half a percent, and returns its name and the price in hundredths.
    pub(crate) fn next(&mut self) -> (&'static str, u32) {
        let chosen = (self.draw() % NAMES.len() as u64) as usize;
        let price = self.prices[chosen];
        let step = (price / 200).max(1);
        let moved = price - step + (self.draw() % u64::from(2 * step + 1)) as u32;
        self.prices[chosen] = moved.clamp(500, 50_000);
        (NAMES[chosen], self.prices[chosen])
    }

    /// Marsaglia's xorshift64.
    const fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

//! Share prices on a random walk. None of the shares exists.

use std::time::SystemTime;

use serde_json::{Value, json};

const NAMES: [&str; 6] = ["ALDER", "BIRCH", "CEDAR", "HAZEL", "MAPLE", "ROWAN"];
/// In hundredths.
const OPENING: [u32; NAMES.len()] = [4_200, 9_950, 12_040, 2_775, 6_310, 18_400];

pub(crate) struct Quotes {
    /// In hundredths.
    prices: [u32; NAMES.len()],
    random: u64,
}

impl Quotes {
    pub(crate) fn new() -> Self {
        let seed = SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.as_nanos() as u64 | 1);
        Self { prices: OPENING, random: seed }
    }

    /// Lets one price move by up to half a percent.
    pub(crate) fn next(&mut self) -> Value {
        let chosen = (self.draw() % NAMES.len() as u64) as usize;
        let price = self.prices[chosen];
        let step = (price / 200).max(1);
        let moved = price - step + (self.draw() % u64::from(2 * step + 1)) as u32;
        self.prices[chosen] = moved.clamp(OPENING[chosen] / 2, OPENING[chosen] * 2);
        json!({ "name": NAMES[chosen], "price": hundredths(self.prices[chosen]), "opening": hundredths(OPENING[chosen]) })
    }

    /// Marsaglia's xorshift64.
    const fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}

fn hundredths(price: u32) -> f64 {
    f64::from(price) / 100.0
}

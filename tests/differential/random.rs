//! Choices that a seed repeats.

/// A source of choices.
pub struct Random(fastrand::Rng);

impl Random {
    /// The choices of that seed, for the `index`th thing that is made of it.
    pub fn of(seed: u64, index: u64) -> Self {
        // Neighbouring seeds and indices must not give the same choices: both are spread over all 64 bits.
        let spread = |number: u64| fastrand::Rng::with_seed(number).u64(..);
        Self(fastrand::Rng::with_seed(spread(seed) ^ spread(index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(32)))
    }

    /// True in so many of a hundred cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        self.0.u8(..100) < percent
    }

    /// A number below that one.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0.usize(..limit)
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// In another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        self.0.shuffle(items);
    }
}

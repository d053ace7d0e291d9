//! What a node's clock says. The shell reads the wall clock once, at its start, and counts on from
//! there: a running core never sees time jump, and a wrong clock stays as wrong as it was. So a
//! model clock has one error per life, and another after each restart.

/// A clock that is wrong by a fixed amount.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    ahead_ms: i64,
}

impl Clock {
    /// A clock that is ahead by so much (behind, if negative).
    #[must_use]
    pub fn ahead(ahead_ms: i64) -> Self {
        Self { ahead_ms }
    }

    /// What it says at a moment of the world.
    #[must_use]
    pub fn says(self, world_ms: u64) -> u64 {
        world_ms.saturating_add_signed(self.ahead_ms)
    }

    /// The moment of the world at which it will say so.
    #[must_use]
    pub fn when(self, says_ms: u64) -> u64 {
        says_ms.saturating_add_signed(self.ahead_ms.saturating_neg())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for ahead in [-3_600_000, 0, 5] {
            let clock = Clock::ahead(ahead);
            assert_eq!(clock.when(clock.says(10_000_000)), 10_000_000);
        }
    }
}

//! On which of its results a liar lies. Which results are audited shows nothing that it could see
//! before the job ends, so a plan made beforehand is as good as any.

use crate::prng::Prng;

/// A plan.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Strategy {
    /// None hostile.
    Honest,
    /// Lies on everything.
    Garbage,
    /// Lies on each result by chance, in thousandths.
    Rate(u64),
    /// One lie, anywhere.
    One,
    /// One lie, the last result.
    LastOnly,
    /// Honest for the first hundred (or half), then everything is a lie.
    HonestFirst,
    /// One lie in every twenty results.
    OnePerWindow,
    /// So many lies, evenly spread.
    Spread(usize),
    /// So many lies, all at the beginning.
    Early(usize),
    /// So many lies, all at the end.
    Late(usize),
    /// A rate drawn evenly from none to all, once per liar.
    AnyRate,
}

/// Those with a name in tables. The search adds `Spread`, `Early` and `Late` with many sizes.
pub const STRATEGIES: [(&str, Strategy); 9] = [
    ("garbage: lies on everything", Strategy::Garbage),
    ("lies on half", Strategy::Rate(500)),
    ("lies on 34 in 100", Strategy::Rate(340)),
    ("lies on 1 in 10", Strategy::Rate(100)),
    ("lies on 1 in 50", Strategy::Rate(20)),
    ("honest for 100 (or half), then all lies", Strategy::HonestFirst),
    ("one lie per 20 results", Strategy::OnePerWindow),
    ("one lie", Strategy::One),
    ("one lie, at the very end", Strategy::LastOnly),
];

/// Which results are lies.
#[derive(Debug, Clone)]
pub struct Lies(Vec<bool>);

impl Lies {
    /// An honest provider's.
    #[must_use]
    pub fn none(tasks: usize) -> Self {
        Self(vec![false; tasks])
    }

    /// Whether this result is one.
    #[must_use]
    pub fn at(&self, index: usize) -> bool {
        self.0[index]
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.before(self.0.len())
    }

    /// How many among the first `end`.
    #[must_use]
    pub fn before(&self, end: usize) -> u64 {
        self.0[..end].iter().filter(|l| **l).count() as u64
    }

    /// How many that nobody audited.
    #[must_use]
    pub fn unaudited(&self, audited: &[bool]) -> u64 {
        self.0.iter().zip(audited).filter(|(l, a)| **l && !**a).count() as u64
    }

    /// As a share of all.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.count() as f64 / self.0.len().max(1) as f64
    }
}

impl Strategy {
    /// A liar's plan for so many results.
    #[must_use]
    pub fn lies(self, tasks: usize, chance: &mut Prng) -> Lies {
        let by_chance = |thousandths: u64, chance: &mut Prng| {
            (0..tasks).map(|_| chance.below(1_000) < thousandths).collect()
        };
        Lies(match self {
            Self::Honest => vec![false; tasks],
            Self::Garbage => vec![true; tasks],
            Self::Rate(thousandths) => by_chance(thousandths, chance),
            Self::AnyRate => {
                let rate = chance.below(1_001);
                by_chance(rate, chance)
            }
            Self::One => {
                let at = chance.below(tasks as u64) as usize;
                (0..tasks).map(|i| i == at).collect()
            }
            Self::LastOnly => (0..tasks).map(|i| i + 1 == tasks).collect(),
            Self::HonestFirst => (0..tasks).map(|i| i >= (tasks / 2).min(100)).collect(),
            Self::OnePerWindow => {
                let at = chance.below(20) as usize;
                (0..tasks).map(|i| i % 20 == at).collect()
            }
            Self::Spread(lies) => {
                let lies = lies.min(tasks);
                let from = chance.below(tasks as u64) as usize;
                let mut plan = vec![false; tasks];
                for lie in 0..lies {
                    plan[(from + lie * tasks / lies) % tasks] = true;
                }
                plan
            }
            Self::Early(lies) => (0..tasks).map(|i| i < lies).collect(),
            Self::Late(lies) => (0..tasks).map(|i| i + lies >= tasks).collect(),
        })
    }
}

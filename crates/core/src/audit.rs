//! The rule by which results are audited: how often, and which. Pure arithmetic in integers.
//!
//! A rate is the greatest of a floor (falls with the number of results one provider gives), what
//! makes a lie unprofitable (price, cost, outside gain, stake, pay held back) and what a job's own
//! target asks. Which results are drawn follows from a seed that the lease commits to: one in each
//! stretch of results whose rates add up to 1, at a place nobody can know before.
//!
//! Deliberately not here: when results are drawn, who executes them, and what a mismatch does
//! (`verify`). `ayni-sim rule` plays these functions against liars.

use ayni_types::{Amount, Digest};
use ayni_wire::digest;

/// A whole, in millionths.
pub const WHOLE: u32 = 1_000_000;
/// Floor of a provider with little history.
pub const FLOOR_UNKNOWN: u32 = 20_000;
/// Floor of a provider with [`KNOWN_AFTER`] audits that agreed.
pub const FLOOR_KNOWN: u32 = 10_000;
/// Audits that agreed (after decay) until a provider is known.
pub const KNOWN_AFTER: u32 = 50;
/// An audit that agreed counts as so many more results when the floor is found.
const RESULTS_PER_AGREED: u64 = 10;
/// The floor is this much over the square root of the results, in millionths.
const FLOOR_SCALE: u64 = 400_000;
/// A lie must cost its author so many times what it brings.
const MARGIN: u128 = 2;
/// Fixed point of [`wrong_at_most`].
const ONE: u128 = 1 << 60;

/// The least rate for a provider that gives `results` of a job and agreed in `agreed` audits
/// before (decayed), in millionths: `0.4 / sqrt(results)`, not under 2 % (1 % once it is known).
#[must_use]
pub fn floor(results: u64, agreed: u32) -> u32 {
    let least = if agreed >= KNOWN_AFTER { FLOOR_KNOWN } else { FLOOR_UNKNOWN };
    let weight = results.max(1).saturating_add(RESULTS_PER_AGREED * u64::from(agreed));
    let root = weight.saturating_mul(1_000_000).isqrt().max(1);
    let rate = FLOOR_SCALE * 1_000 / root;
    u32::try_from(rate).unwrap_or(WHOLE).clamp(least, WHOLE)
}

/// What a lie could bring and what it puts at risk, all for one result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Terms {
    /// Pay.
    pub price: Amount,
    /// What honest execution costs the provider.
    pub cost: Amount,
    /// What somebody else would pay for the lie, as the job declares.
    pub gain: Amount,
    /// Stake reserved for the lease.
    pub stake: Amount,
    /// Pay held back until the audits are done.
    pub held: Amount,
}

/// The rate at which one lie loses twice what it brings, in millionths; 0 where it brings nothing.
#[must_use]
pub fn deterring(terms: &Terms) -> u32 {
    let brings = terms.gain.0.saturating_add(terms.cost.0).saturating_mul(MARGIN);
    let risks = [terms.price, terms.gain, terms.stake, terms.held];
    let risks = risks.iter().fold(0_u128, |sum, part| sum.saturating_add(part.0));
    if brings == 0 {
        return 0;
    }
    if brings >= risks {
        return WHOLE;
    }
    // Both are scaled down together where the product would not fit.
    let shift = 128_u32.saturating_sub(brings.leading_zeros()).saturating_sub(100);
    let rate = ((brings >> shift) * u128::from(WHOLE)).div_ceil((risks >> shift).max(1));
    u32::try_from(rate).unwrap_or(WHOLE).min(WHOLE)
}

/// The stake at which [`deterring`] is no more than `rate`, pay held back not counted.
#[must_use]
pub fn stake_for(rate: u32, price: Amount, cost: Amount, gain: Amount) -> Amount {
    let brings = gain.0.saturating_add(cost.0).saturating_mul(MARGIN);
    let needed = brings.saturating_mul(u128::from(WHOLE)).div_ceil(u128::from(rate.max(1)));
    Amount(needed.saturating_sub(price.0).saturating_sub(gain.0))
}

/// The rate at which a provider that gives `results` can slip in at most `share` (millionths) wrong
/// ones on average, whatever it does.
#[must_use]
pub fn for_target(results: u64, share: u32) -> u32 {
    let results = results.max(1);
    let allowed = u128::from(results) * u128::from(share) * (ONE / u128::from(WHOLE));
    let (mut low, mut high) = (0, results);
    while low < high {
        let middle = low + (high - low) / 2;
        if wrong_fixed(results, middle) <= allowed {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    let rate = (u128::from(low) * u128::from(WHOLE)).div_ceil(u128::from(results));
    u32::try_from(rate).unwrap_or(WHOLE).min(WHOLE)
}

/// The most wrong results that a provider can expect to slip through, in millionths of a result,
/// when `audits` of its `results`, drawn evenly, are executed again and one mismatch has all of them
/// run elsewhere: the maximum over k of `k · C(n−k, m) / C(n, m)`.
#[must_use]
pub fn wrong_at_most(results: u64, audits: u64) -> u64 {
    u64::try_from(wrong_fixed(results, audits) / (ONE / u128::from(WHOLE))).unwrap_or(u64::MAX)
}

fn wrong_fixed(results: u64, audits: u64) -> u128 {
    if audits == 0 {
        return u128::from(results).saturating_mul(ONE);
    }
    let (mut passes, mut most) = (ONE, 0);
    for lies in 1..=results.saturating_sub(audits) {
        let left = results - lies + 1;
        passes = passes / u128::from(left) * u128::from(left - audits);
        let expected = passes * u128::from(lies);
        if expected < most {
            break;
        }
        most = expected;
    }
    most
}

/// How likely a result that nobody audited is wrong, in millionths, once `audits` of its provider's
/// results in the job agreed. It supposes that `hostile` (millionths) of providers lie, each in a
/// share of its results that is as likely to be any: `h / ((m+2)((m+1)(1−h) + h))`.
#[must_use]
pub fn doubt(audits: u64, hostile: u32) -> u32 {
    let hostile = u128::from(hostile.min(WHOLE));
    let honest = u128::from(WHOLE) - hostile;
    let m = u128::from(audits);
    let below = (m + 2).saturating_mul((m + 1).saturating_mul(honest).saturating_add(hostile));
    let doubt = hostile.saturating_mul(u128::from(WHOLE)).div_ceil(below.max(1));
    u32::try_from(doubt).unwrap_or(WHOLE).min(WHOLE)
}

/// What the lease says of the seed before any work: its digest.
#[must_use]
pub fn commitment(seed: &[u8; 32]) -> Digest {
    digest(&[b"ayni audit seed".as_slice(), seed].concat())
}

/// Draws results for audits, one lease's after another.
#[derive(Debug, Clone)]
pub struct Draw {
    seed: [u8; 32],
    audited: Stretches,
    /// Where most are audited, the others are drawn.
    spared: Stretches,
}

/// Results laid end to end, each as long as its rate; one place in each stretch of a million is hit.
#[derive(Debug, Clone, Default)]
struct Stretches {
    /// Where the next result begins, in millionths.
    sum: u64,
    /// Hits that fell on a result that was hit already: the next ones take them.
    owed: u64,
    /// The hit in the stretch that was looked at last.
    last: Option<(u64, u64)>,
}

impl Draw {
    /// From the seed that the lease commits to.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self { seed, audited: Stretches::default(), spared: Stretches::default() }
    }

    /// Whether the next result, at `rate` millionths, is drawn.
    pub fn next(&mut self, rate: u32) -> bool {
        let rate = rate.min(WHOLE);
        if rate > WHOLE / 2 {
            !self.spared.next(&self.seed, b"spared", WHOLE - rate)
        } else {
            self.audited.next(&self.seed, b"audited", rate)
        }
    }
}

impl Stretches {
    fn next(&mut self, seed: &[u8; 32], name: &[u8], rate: u32) -> bool {
        let (from, to) = (self.sum, self.sum + u64::from(rate));
        self.sum = to;
        let whole = u64::from(WHOLE);
        for stretch in from / whole..=to / whole {
            let hit = match self.last {
                Some((known, hit)) if known == stretch => hit,
                _ => stretch * whole + hit(seed, name, stretch),
            };
            self.last = Some((stretch, hit));
            self.owed += u64::from(from <= hit && hit < to);
        }
        let is_hit = self.owed > 0;
        self.owed -= u64::from(is_hit);
        is_hit
    }
}

/// The place of a stretch that is hit; below a million.
fn hit(seed: &[u8; 32], name: &[u8], stretch: u64) -> u64 {
    let hash = digest(&[seed.as_slice(), name, &stretch.to_be_bytes()].concat()).0;
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first) % u64::from(WHOLE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_falls_with_results_and_with_history() {
        let cases = [
            (1, 0, 400_000),
            (20, 0, 89_445),
            (100, 0, 40_000),
            (400, 0, 20_000),
            (1_000_000, 0, 20_000),
            (20, 8, 40_000),
            (100, 50, 16_329),
            (1_000, 50, 10_327),
        ];
        for (results, agreed, rate) in cases {
            let found = floor(results, agreed);
            assert!(found.abs_diff(rate) <= 10, "{results} results, {agreed} agreed: {found}");
        }
    }

    #[test]
    fn a_lie_at_the_deterring_rate_loses_twice_what_it_brings() {
        for (gain, stake, held) in [(0, 50, 0), (10, 600, 7), (1_000, 0, 90_000), (0, 0, 3)] {
            let terms = Terms {
                price: Amount(10),
                cost: Amount(7),
                gain: Amount(gain),
                stake: Amount(stake),
                held: Amount(held),
            };
            let rate = deterring(&terms);
            let risks = u128::from(rate) * (10 + gain + stake + held);
            assert!(rate == WHOLE || risks >= 2 * (gain + 7) * u128::from(WHOLE), "{terms:?}");
        }
        let huge = Terms { gain: Amount(u128::MAX), ..Terms::default() };
        assert_eq!(deterring(&huge), WHOLE);
        assert_eq!(deterring(&Terms { stake: Amount(5), ..Terms::default() }), 0);
        let asked = stake_for(20_000, Amount(10), Amount(7), Amount(0));
        let terms = Terms { price: Amount(10), cost: Amount(7), stake: asked, ..Terms::default() };
        assert_eq!(deterring(&terms), 20_000);
    }

    #[test]
    fn the_bound_is_the_best_that_a_liar_can_do() {
        // By hand: of 4 results 1 is audited; two lies pass with 1/2, three with 1/4.
        assert_eq!(wrong_at_most(4, 1), 1_000_000);
        assert_eq!(wrong_at_most(20, 2), 2_873_684);
        assert_eq!(wrong_at_most(7, 0), 7_000_000);
        assert_eq!(wrong_at_most(7, 7), 0);
        for (results, share) in [(20, 10_000), (1_000, 1_000), (1_000, 20_000), (100_000, 1_000)] {
            let rate = for_target(results, share);
            let audits = results * u64::from(rate) / u64::from(WHOLE);
            let allowed = results * u64::from(share);
            assert!(wrong_at_most(results, audits) <= allowed, "{results}, {share}: {rate}");
            // One audit less is not enough; where it just would be, rounding decides.
            assert!(
                wrong_at_most(results, audits - 1) + 1 >= allowed,
                "{results}, {share}: {rate}"
            );
        }
    }

    #[test]
    fn doubt_falls_with_audits() {
        assert_eq!(doubt(0, 200_000), 100_000);
        assert!((0..100).all(|m| doubt(m, 200_000) > doubt(2 * m + 1, 200_000)));
        assert_eq!(doubt(5, 0), 0);
        assert_eq!(doubt(0, WHOLE), 500_000);
    }

    #[test]
    fn draws_are_as_many_as_the_rates_say_and_spread() {
        for rate in [5_000_u32, 20_000, 89_445, 250_000, 400_000, 500_000, 730_000, WHOLE] {
            let (mut total, mut seats) = (0_u64, vec![0_u64; 200]);
            for seed in 0..500_u16 {
                let mut key = [0; 32];
                key[..2].copy_from_slice(&seed.to_be_bytes());
                let mut draw = Draw::new(key);
                let mut drawn = 0;
                for seat in &mut seats {
                    let hit = u64::from(draw.next(rate));
                    *seat += hit;
                    drawn += hit;
                }
                // Never far from the rate, whatever the seed.
                let exact = 200 * u64::from(rate) / u64::from(WHOLE);
                assert!(drawn.abs_diff(exact) <= 1, "{rate}: {drawn} of {exact}");
                total += drawn;
            }
            let expected = 500 * 200 * u64::from(rate) / u64::from(WHOLE);
            assert!(total.abs_diff(expected) * 33 <= expected, "{rate}: {total} of {expected}");
            // No place in the sequence is safe.
            let even = 500 * u64::from(rate) / u64::from(WHOLE);
            if even >= 40 {
                assert!(seats.iter().all(|s| *s * 3 > even), "{rate}: {seats:?}");
            }
        }
    }
}

//! How what a provider asks follows its load: the owner's price when idle, more by a straight line
//! while slots are leased. Leases keep the price that they were signed with.
//!
//! Deliberately not here: when an offer is renewed (`provider`), and what the owner's price should be.

use ayni_types::{Amount, Price};

/// What is asked while `used` of `slots` are leased: at full use `busy_percent` more than `base`.
/// Each part is rounded up.
pub(crate) fn price_at(base: &Price, busy_percent: u32, used: u32, slots: u32) -> Price {
    let whole = 100 * u128::from(slots.max(1));
    let more = u128::from(busy_percent) * u128::from(used.min(slots));
    let part = |base: Amount| {
        // Not in one product, which might not fit.
        let (times, rest) = (base.0 / whole, base.0 % whole);
        let more = times.saturating_mul(more).saturating_add((rest * more).div_ceil(whole));
        Amount(base.0.saturating_add(more))
    };
    Price {
        per_gigafuel: part(base.per_gigafuel),
        per_code_mebibyte: part(base.per_code_mebibyte),
        per_data_mebibyte: part(base.per_data_mebibyte),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_rises_in_a_straight_line_to_full_use() {
        let base = Price {
            per_gigafuel: Amount(1_000),
            per_code_mebibyte: Amount(7),
            per_data_mebibyte: Amount(u128::MAX),
        };
        let cases = [
            (0, 0, 1_000, 7),
            (50, 0, 1_000, 7),
            (50, 1, 1_125, 8),
            (50, 2, 1_250, 9),
            (50, 4, 1_500, 11),
            (50, 9, 1_500, 11),
            (1_000, 4, 11_000, 77),
        ];
        for (percent, used, fuel, code) in cases {
            let price = price_at(&base, percent, used, 4);
            let case = format!("{percent} % at {used} of 4");
            assert_eq!(price.per_gigafuel, Amount(fuel), "{case}");
            assert_eq!(price.per_code_mebibyte, Amount(code), "{case}");
            assert_eq!(price.per_data_mebibyte, Amount(u128::MAX), "{case}");
        }
        assert_eq!(price_at(&base, u32::MAX, 1, 0), base, "nothing lent, nothing used");
    }
}

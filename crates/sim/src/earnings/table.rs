//! Many months of many cases as a table in Markdown, and the stake that audits ask for.
//!
//! The mean has a 95 % interval of the mean beside it; the range is that of 95 in 100 months.
//! Deliberately not here: what happens in a month.

use std::fmt::Write as _;

use ayni_core::audit::{self, WHOLE};
use ayni_types::Amount;

use super::{COST_PPM, Case, Month, play};

/// A case's months.
struct Row {
    mean: Month,
    net: f64,
    net_error: f64,
    /// The months at 2.5 and 97.5 in a hundred.
    range: (i64, i64),
}

fn row(case: &Case, seed: u64, months: u64) -> Row {
    let all: Vec<Month> = (seed..seed + months.max(2)).map(|seed| play(case, seed)).collect();
    let count = all.len() as i64;
    let mean = |of: fn(&Month) -> i64| all.iter().map(of).sum::<i64>() / count;
    let mut nets: Vec<i64> = all.iter().map(Month::net).collect();
    nets.sort_unstable();
    let net = nets.iter().sum::<i64>() as f64 / count as f64;
    let squares = nets.iter().map(|n| (*n as f64 - net).powi(2)).sum::<f64>();
    let variance = squares / (count - 1) as f64;
    let at = |per_mille: usize| nets[(nets.len() - 1) * per_mille / 1_000];
    Row {
        mean: Month {
            income: mean(|m| m.income),
            electricity: mean(|m| m.electricity),
            claims: mean(|m| m.claims),
            lost: mean(|m| m.lost),
            capital: mean(|m| m.capital),
            audits: mean(|m| m.audits),
            gigafuel: all.iter().map(|m| m.gigafuel).sum::<u64>() / all.len() as u64,
        },
        net,
        net_error: 1.96 * (variance / count as f64).sqrt(),
        range: (at(25), at(975)),
    }
}

fn dollars(micro: i64) -> String {
    format!("{:.2}", micro as f64 / 1e6)
}

/// What each case earns in a month: dollars.
#[must_use]
pub fn render(cases: &[Case], seed: u64, months: u64) -> String {
    let mut out = String::from(
        "| machine | price | sold | income | electricity | claims | lost | stake and own audits | left \
         | 95 % of months | breaks even at |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for case in cases {
        let Row { mean, net, net_error, range } = row(case, seed, months);
        let fixed = (mean.income - mean.net()) as f64;
        let even = fixed / mean.gigafuel.max(1) as f64;
        let _ = writeln!(
            out,
            "| {} | {} | {} % | {} | {} | {} | {} | {:.3} | **{:.2}** ± {:.2} | {} … {} | {even:.1} |",
            case.home.name,
            case.market.price,
            case.market.use_percent,
            dollars(mean.income),
            dollars(mean.electricity),
            dollars(mean.claims),
            dollars(mean.lost),
            (mean.capital + mean.audits) as f64 / 1e6,
            net / 1e6,
            net_error / 1e6,
            dollars(range.0),
            dollars(range.1),
        );
    }
    out
}

/// The stake at which an audit's rate is enough, in prices of a result, over rates and gains.
#[must_use]
pub fn render_stakes(price: u64, gains: &[u64], rates_ppm: &[u32]) -> String {
    let mut out = String::from("| outside gain |");
    for rate in rates_ppm {
        let _ = write!(out, " q = {} % |", f64::from(*rate) * 100.0 / f64::from(WHOLE));
    }
    out.push_str("\n|---|");
    out.push_str(&"---|".repeat(rates_ppm.len()));
    out.push('\n');
    let amount = |n: u64| Amount(u128::from(n));
    let cost = Amount(u128::from(price) * COST_PPM / u128::from(WHOLE));
    for gain in gains {
        let _ = write!(out, "| {gain} |");
        for rate in rates_ppm {
            let stake = audit::stake_for(*rate, amount(price), cost, amount(*gain));
            let _ = write!(out, " {} |", stake.0);
        }
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::{CHANCES, COSTS, HOMES, MARKETS};
    use super::*;

    #[test]
    fn the_table_has_a_row_for_each_case_and_its_range_holds_the_mean() {
        let case = Case { home: HOMES[0], market: MARKETS[1], chances: CHANCES, costs: COSTS };
        let text = render(&[case, case], 1, 50);
        assert_eq!(text.lines().count(), 4);
        assert_eq!(text.lines().nth(2), text.lines().nth(3));
        let Row { mean, net, range, .. } = row(&case, 1, 200);
        assert!((range.0 as f64..=range.1 as f64).contains(&net), "{net} in {range:?}");
        assert!((mean.net() as f64 - net).abs() < 10.0);
    }

    #[test]
    fn stakes_are_those_of_the_core() {
        let text = render_stakes(10, &[0, 1_000], &[20_000, 1_000_000]);
        // 2 · 7 / 0.02 − 10; 2 · 1,007 / 0.02 − 1,010.
        assert!(text.contains("| 0 | 690 | 4 |"), "{text}");
        assert!(text.contains("| 1000 | 99690 | 1004 |"), "{text}");
    }
}

//! What a machine at home earns in a month, its electricity and everything else that it pays taken
//! off: one seed is one month, many seeds are a mean and a range.
//!
//! Rates of audits and the stake that they ask for come from the functions that the core decides
//! with (`ayni_core::audit`); prices are computed as bills are. Money is counted in millionths of a
//! dollar: the smallest unit of a token with six decimals that is worth one.
//! Deliberately not here: any forecast of prices or of demand (they are inputs), wear of the
//! machine, taxes.

mod homes;
mod table;

use ayni_core::audit::{self, Draw, Terms, WHOLE};
use ayni_types::{Amount, Fuel, Price};

use crate::prng::Prng;

pub use homes::{CHANCES, COSTS, Chances, Costs, HOMES, Home, MARKETS, Market};
pub use table::{render, render_stakes};

const DAYS: u64 = 30;
const DAY_MINUTES: u64 = 1_440;
/// What execution is supposed to cost, in millionths of its price: as the core supposes it.
const COST_PPM: u128 = 700_000;

/// A machine in a market.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The machine.
    pub home: Home,
    /// What is asked of it.
    pub market: Market,
    /// What goes wrong.
    pub chances: Chances,
    /// What it pays.
    pub costs: Costs,
}

/// One month's account, in millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Month {
    /// Billed.
    pub income: i64,
    /// Electricity for work, and for being on if it would be off else.
    pub electricity: i64,
    /// Transactions that bring vouchers to the chain.
    pub claims: i64,
    /// Billed and never paid, and stake burned for a wrong result.
    pub lost: i64,
    /// What the reserved stake would have earned elsewhere.
    pub capital: i64,
    /// Electricity for audits of its owner's own jobs.
    pub audits: i64,
    /// Done for pay.
    pub gigafuel: u64,
}

impl Month {
    /// What is left.
    #[must_use]
    pub fn net(&self) -> i64 {
        self.income - self.electricity - self.claims - self.lost - self.capital - self.audits
    }
}

/// A requester, as its provider's books have it.
#[derive(Debug, Clone, Copy, Default)]
struct Payer {
    billed: u64,
    unclaimed: u64,
    results: u64,
}

impl Case {
    /// Of one task.
    fn price(&self) -> Amount {
        let price = Price { per_gigafuel: Amount(self.market.price.into()), ..Price::default() };
        price.of(self.task_fuel(), 0, 0)
    }

    fn task_fuel(&self) -> Fuel {
        Fuel(self.market.task_gigafuel.saturating_mul(1_000_000_000))
    }

    /// How long a core works on a task.
    fn task_minutes(&self) -> u64 {
        (self.market.task_gigafuel * 1_000).div_ceil(self.home.megafuel * 60).max(1)
    }

    /// What is at stake in one result, as an audit's rate is found from it.
    fn terms(&self) -> Terms {
        let price = self.price();
        let cost = Amount(price.0 * COST_PPM / u128::from(WHOLE));
        let gain = Amount(self.market.gain.into());
        let stake = audit::stake_for(audit::FLOOR_UNKNOWN, price, cost, gain);
        Terms { price, cost, gain, stake, held: Amount(0) }
    }

    /// Millionths of a dollar for so many watts times minutes.
    fn electricity(&self, watt_minutes: u64) -> i64 {
        whole(watt_minutes.saturating_mul(self.costs.tariff) / 60_000)
    }
}

/// Plays one month.
#[must_use]
pub fn play(case: &Case, seed: u64) -> Month {
    let mut chance = Prng::new(seed, "earnings");
    let mut payers = vec![Payer::default(); usize::try_from(case.market.requesters).unwrap_or(1)];
    let mut month = Month::default();
    for _ in 0..DAYS {
        day(case, &mut chance, &mut payers, &mut month);
    }
    settle(case, &mut chance, &payers, &mut month);
    month
}

fn day(case: &Case, chance: &mut Prng, payers: &mut [Payer], month: &mut Month) {
    let Case { home, market, chances, costs } = case;
    let mut minutes = vary(chance, home.hours * 60, chances.spread_percent).min(DAY_MINUTES);
    let busy_ppm = vary(chance, market.use_percent * 10_000, chances.spread_percent);
    let busy_ppm = busy_ppm.min(u64::from(WHOLE));
    let is_out = chance.percent(chances.outage_percent);
    if is_out {
        minutes /= 2;
    }
    let mut worked = home.cores * minutes * busy_ppm / u64::from(WHOLE);
    let mut used = worked;
    if is_out {
        // What was in work is half done, used electricity, and is not paid.
        let in_work = home.cores * busy_ppm * case.task_minutes() / (2 * u64::from(WHOLE));
        worked = worked.saturating_sub(in_work);
        used = used.max(in_work);
    }
    let results = worked * home.megafuel * 60 / 1_000 / market.task_gigafuel.max(1);
    bill(case, chance, payers, results, month);

    let idle = if home.on_anyway { 0 } else { home.idle_watts * minutes };
    let extra = home.busy_watts.saturating_sub(home.idle_watts);
    month.electricity += case.electricity(idle + extra * used / home.cores.max(1));
    let audited = audits_at_home(chance, costs.own_tasks) * case.task_minutes();
    month.audits += case.electricity(extra * audited / home.cores.max(1));
}

/// The day's work is for one requester: bills go into one channel, and a claim follows when enough
/// is in it.
fn bill(case: &Case, chance: &mut Prng, payers: &mut [Payer], results: u64, month: &mut Month) {
    let at = chance.below(payers.len() as u64);
    let Some(payer) = usize::try_from(at).ok().and_then(|at| payers.get_mut(at)) else { return };
    let price = u64::try_from(case.price().0).unwrap_or(u64::MAX);
    let pay = results.saturating_mul(price);
    payer.billed += pay;
    payer.unclaimed += pay;
    payer.results += results;
    month.income += whole(pay);
    month.gigafuel += results * case.market.task_gigafuel;
    if payer.unclaimed >= case.costs.claim_least {
        payer.unclaimed = 0;
        month.claims += whole(case.costs.claim);
    }
}

/// How many of the day's own results, executed elsewhere, are executed again here.
fn audits_at_home(chance: &mut Prng, own_tasks: u64) -> u64 {
    let rate = audit::floor(own_tasks, 0);
    let mut draw = Draw::new(chance.seed());
    (0..own_tasks).map(|_| u64::from(draw.next(rate))).sum()
}

/// What the month's payers and the machine's errors took, and what the stake cost.
fn settle(case: &Case, chance: &mut Prng, payers: &[Payer], month: &mut Month) {
    let Case { chances, costs, .. } = case;
    let terms = case.terms();
    let stake = u64::try_from(terms.stake.0).unwrap_or(u64::MAX);
    for payer in payers {
        let reserved = stake.saturating_mul(costs.capital_percent);
        month.capital += whole(reserved / 100 / 12);
        if chance.percent(chances.vanish_percent) {
            let step = (payer.billed / 4).clamp(costs.step_first, costs.step_max);
            month.lost += whole(chance.below(step.min(payer.billed) + 1));
        }
        if payer.results == 0 || chance.below(u64::from(WHOLE)) >= chances.wrong_ppm {
            continue;
        }
        let rate = audit::floor(payer.results, 0).max(audit::deterring(&terms));
        if chance.below(u64::from(WHOLE)) < u64::from(rate) {
            let price = u64::try_from(terms.price.0).unwrap_or(u64::MAX);
            month.lost += whole(stake.saturating_add(price));
        }
    }
}

/// Evenly from so much less to so much more.
fn vary(chance: &mut Prng, value: u64, percent: u64) -> u64 {
    let spread = value * percent.min(100) / 100;
    chance.between(value - spread, value + spread)
}

fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing varies and nothing goes wrong.
    fn steady() -> Case {
        let home = Home {
            name: "test",
            cores: 2,
            idle_watts: 10,
            busy_watts: 30,
            on_anyway: false,
            hours: 10,
            megafuel: 1_000,
        };
        let market =
            Market { price: 10, use_percent: 50, requesters: 1, task_gigafuel: 60, gain: 0 };
        let costs = Costs {
            tariff: 300_000,
            claim: 2_000,
            claim_least: 1_000_000,
            capital_percent: 0,
            step_first: 100_000,
            step_max: 1_000_000,
            own_tasks: 0,
        };
        Case { home, market, chances: Chances::default(), costs }
    }

    #[test]
    fn a_steady_month_is_what_it_is_by_hand() {
        // 600 core-minutes a day at 60 Gfuel each, ten units a Gfuel; a claim every third day.
        let income = 600 * 60 * 10 * 30;
        // 10 W for 10 h, and 20 W more for 300 minutes of both cores.
        let watt_minutes = 10 * 600 + 20 * 300;
        let electricity = watt_minutes * 300_000 / 60_000 * 30;
        let month = Month {
            income,
            electricity,
            claims: 10 * 2_000,
            gigafuel: 600 * 60 * 30,
            ..Month::default()
        };
        assert_eq!(play(&steady(), 1), month);
        assert_eq!(month.net(), income - electricity - 20_000);
    }

    fn with_outages(case: &mut Case) {
        (case.chances.outage_percent, case.market.task_gigafuel) = (100, 600);
    }

    #[test]
    fn each_number_moves_what_it_should() {
        type Change = fn(&mut Case);
        type Holds = fn(&Month, &Month) -> bool;
        let cases: [(&str, Change, Holds); 9] = [
            ("on anyway", |c| c.home.on_anyway = true, |a, b| b.electricity < a.electricity),
            ("nothing sold", |c| c.market.use_percent = 0, |_, b| b.income == 0 && b.net() < 0),
            ("dearer", |c| c.market.price = 20, |a, b| b.income == 2 * a.income),
            ("tariff", |c| c.costs.tariff *= 2, |a, b| b.electricity == 2 * a.electricity),
            ("claims seldom", |c| c.costs.claim_least = u64::MAX, |_, b| b.claims == 0),
            ("stake", |c| c.costs.capital_percent = 5, |a, b| b.capital > a.capital),
            ("own jobs", |c| c.costs.own_tasks = 1_000, |a, b| b.audits > a.audits),
            (
                "payers go",
                |c| c.chances.vanish_percent = 100,
                |_, b| (1..=1_000_000).contains(&b.lost),
            ),
            ("outages", with_outages, |a, b| b.income < a.income / 2),
        ];
        let before = play(&steady(), 7);
        for (name, change, holds) in cases {
            let mut case = steady();
            change(&mut case);
            let after = play(&case, 7);
            assert!(holds(&before, &after), "{name}: {before:?} became {after:?}");
        }
    }

    #[test]
    fn a_wrong_result_costs_the_stake_as_often_as_audits_find_it() {
        let mut case = steady();
        case.chances.wrong_ppm = u64::from(WHOLE);
        let terms = case.terms();
        let cost = i64::try_from(terms.stake.0 + terms.price.0).unwrap_or(i64::MAX);
        let rate = audit::floor(18_000, 0).max(audit::deterring(&terms));
        let months: Vec<Month> = (0..4_000).map(|seed| play(&case, seed)).collect();
        assert!(months.iter().all(|month| month.lost == 0 || month.lost == cost));
        let found = months.iter().filter(|month| month.lost == cost).count() as u64;
        let expected = 4_000 * u64::from(rate) / u64::from(WHOLE);
        assert!(found.abs_diff(expected) * 2 < expected, "{found} of {expected}");
    }

    #[test]
    fn a_seed_is_a_month() {
        let case = Case { chances: CHANCES, costs: COSTS, ..steady() };
        assert_eq!(play(&case, 3), play(&case, 3));
        assert_ne!(play(&case, 3), play(&case, 4));
    }
}

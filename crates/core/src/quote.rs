//! What a job would cost if it were submitted now: who would work, at which price, how much of it
//! would be audited by whom, and what a budget would have to be. Looks and changes nothing.
//!
//! Deliberately not here: what a task takes (the face estimates or measures it), and the hard limit
//! itself (`budget`).

use ayni_types::{Amount, Fuel, Limits, NodeId, Price, Verify};

use crate::audit::{self, Terms, WHOLE};
use crate::core::Core;
use crate::market::{TaskTerms, terms_obstacle};

/// The job that is asked about.
#[derive(Debug, Clone)]
pub struct QuoteAsk {
    /// Tasks.
    pub tasks: u64,
    /// Limits of each.
    pub limits: Limits,
    /// Wall clock allowed per task in milliseconds.
    pub timeout_ms: u64,
    /// Length of the program.
    pub code_bytes: u64,
    /// Inputs of all tasks together, each counted once for each task that reads it.
    pub input_bytes: u64,
    /// Inputs of the task with most.
    pub input_bytes_max: u64,
    /// What a task is expected to take; its limit if nothing is.
    pub fuel: Option<Fuel>,
    /// What a task is expected to write; its limit if nothing is.
    pub output_bytes: Option<u64>,
    /// How results are verified.
    pub verify: Verify,
    /// Providers at once.
    pub providers_max: u32,
    /// Never audited.
    pub nondeterministic: bool,
    /// Highest prices.
    pub price_max: Option<Price>,
}

/// The answer. Own cores are left out of the work, as if they did only audits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct QuoteView {
    /// Those who would be used, cheapest first.
    pub providers: Vec<QuoteProvider>,
    /// The others, and why not.
    pub unusable: Vec<(NodeId, String, String)>,
    /// What it is expected to cost.
    pub expected: Cost,
    /// The same if each task used all its limits at the dearest of them. Work that is run again
    /// because somebody lied or was slow is not in it.
    pub worst: Cost,
    /// Audits expected.
    pub audits: u64,
    /// They are made by own cores, and cost time instead of money.
    pub audits_at_home: bool,
    /// With less no task could begin under a new lease.
    pub budget_least: Amount,
    /// With this it ends if it costs what is expected: the last task's worst case still fits.
    pub budget_expected: Amount,
    /// To be paid into channels before it begins or while it runs.
    pub deposits: Amount,
    /// What the tasks of those would take who declare it, in millijoules; not verified.
    pub energy_mj: u128,
    /// And put into the air, in micrograms of CO2 equivalent; not verified.
    pub co2_ug: u128,
    /// Tasks of providers that declare it.
    pub declared_tasks: u64,
    /// Fewer providers than the quorum needs would be used.
    pub quorum_lacks: u32,
}

/// What something costs, by what it is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cost {
    /// Execution.
    pub fuel: Amount,
    /// Compiling.
    pub code: Amount,
    /// Inputs and outputs.
    pub data: Amount,
    /// Audits by other providers.
    pub audits: Amount,
}

/// One provider's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuoteProvider {
    /// Who.
    pub node: NodeId,
    /// Slots it would give.
    pub slots: u32,
    /// What it asks.
    pub price: Price,
    /// Tasks it would run, by its slots and its speed.
    pub tasks: u64,
    /// What they are expected to cost.
    pub expected: Amount,
    /// Share of its results that would be audited, in millionths.
    pub audit_ppm: u32,
    /// Audits of this node's that it has passed and that are not forgotten.
    pub trusted: u32,
    /// It wants to be paid, and there is a channel that can be used.
    pub channel: bool,
    /// To be paid into its channel.
    pub deposit: Amount,
}

impl Cost {
    /// All parts together.
    #[must_use]
    pub fn total(&self) -> Amount {
        let parts = [self.fuel, self.code, self.data, self.audits];
        Amount(parts.iter().fold(0, |sum, part| sum.saturating_add(part.0)))
    }

    fn add(&mut self, other: &Self) {
        let sum = |one: Amount, more: Amount| Amount(one.0.saturating_add(more.0));
        self.fuel = sum(self.fuel, other.fuel);
        self.code = sum(self.code, other.code);
        self.data = sum(self.data, other.data);
        self.audits = sum(self.audits, other.audits);
    }
}

impl QuoteAsk {
    /// What one task costs, code not counted.
    fn task(&self, price: &Price, worst: bool) -> Cost {
        let (fuel, output, input) = if worst {
            (self.limits.fuel, self.limits.output_bytes, self.input_bytes_max)
        } else {
            let output = self.output_bytes.unwrap_or(self.limits.output_bytes);
            (
                self.fuel.unwrap_or(self.limits.fuel).min(self.limits.fuel),
                output.min(self.limits.output_bytes),
                self.input_bytes.div_ceil(self.tasks.max(1)),
            )
        };
        Cost {
            fuel: price.of(fuel, 0, 0),
            data: price.of(Fuel(0), 0, input.saturating_add(output)),
            ..Cost::default()
        }
    }

    fn code(&self, price: &Price) -> Amount {
        price.of(Fuel(0), self.code_bytes, 0)
    }
}

fn times(cost: &Cost, count: u64) -> Cost {
    let part = |amount: Amount| Amount(amount.0.saturating_mul(u128::from(count)));
    Cost {
        fuel: part(cost.fuel),
        code: part(cost.code),
        data: part(cost.data),
        audits: part(cost.audits),
    }
}

impl Core {
    /// What a job would cost if it were submitted now.
    #[must_use]
    pub fn quote_job(&self, ask: &QuoteAsk) -> QuoteView {
        let mut view =
            QuoteView { audits_at_home: self.config.home.slots > 0, ..QuoteView::default() };
        let mut usable = self.usable(ask, &mut view);
        let quorum = ask.verify.quorum.max(1);
        let executions = ask.tasks.saturating_mul(u64::from(quorum));
        let (mut slots, mut used) = (0_u64, 0_usize);
        for provider in &usable {
            let enough = slots >= executions && used >= quorum as usize;
            if enough || used >= ask.providers_max as usize {
                break;
            }
            slots += u64::from(provider.slots);
            used += 1;
        }
        for left_out in usable.split_off(used) {
            let reason = match used >= ask.providers_max as usize {
                true => "the job's limit of providers is reached",
                false => "not needed: the others have a slot for each task",
            };
            view.unusable.push((left_out.node, reason.to_owned(), String::new()));
        }
        view.quorum_lacks = quorum.saturating_sub(u32::try_from(used).unwrap_or(u32::MAX));
        self.share(&mut usable, ask.tasks, executions);
        let tasks: Vec<(Cost, Cost)> =
            usable.iter().map(|p| (ask.task(&p.price, false), ask.task(&p.price, true))).collect();
        // Whoever audits is somebody else: the dearest of them is supposed to.
        let dearest = tasks.iter().map(|t| t.0.total()).max().unwrap_or_default();
        let worst_task = tasks.iter().map(|t| t.1).max_by_key(Cost::total).unwrap_or_default();
        let (mut code_worst, mut rate_most) = (0_u128, 0);
        for (provider, (expected, _)) in usable.iter_mut().zip(&tasks) {
            let each = expected.total();
            provider.audit_ppm = self.expected_rate(ask, provider, each);
            let audits = provider.tasks.saturating_mul(provider.audit_ppm.into());
            let audits = audits.div_ceil(WHOLE.into());
            let mut cost = times(expected, provider.tasks);
            cost.code = if provider.tasks > 0 { ask.code(&provider.price) } else { Amount(0) };
            code_worst = code_worst.saturating_add(ask.code(&provider.price).0);
            provider.expected = cost.total();
            if !view.audits_at_home {
                cost.audits = Amount(dearest.0.saturating_mul(audits.into()));
            }
            view.audits += audits;
            view.expected.add(&cost);
            rate_most = rate_most.max(provider.audit_ppm);
            (provider.channel, provider.deposit) = self.deposit_for(provider);
            self.add_energy(ask, provider, &mut view);
            view.deposits.0 = view.deposits.0.saturating_add(provider.deposit.0);
        }
        view.worst = times(&worst_task, executions);
        view.worst.code = Amount(code_worst);
        if !view.audits_at_home {
            let audits = ask.tasks.saturating_mul(rate_most.into()).div_ceil(WHOLE.into());
            let each = worst_task.total().0;
            view.worst.audits = Amount(each.saturating_mul(audits.into()));
        }
        let cheapest = usable.iter().zip(&tasks);
        let least = cheapest.map(|(p, t)| t.1.total().0.saturating_add(ask.code(&p.price).0)).min();
        view.budget_least = Amount(least.unwrap_or(0));
        let expected = view.expected.total().0.saturating_add(worst_task.total().0);
        view.budget_expected = Amount(expected.min(view.worst.total().0.max(view.budget_least.0)));
        view.providers = usable;
        view
    }

    /// Offers that would be used, in the order in which they would be asked.
    fn usable(&self, ask: &QuoteAsk, view: &mut QuoteView) -> Vec<QuoteProvider> {
        let task = TaskTerms {
            limits: ask.limits,
            timeout_ms: ask.timeout_ms,
            price_max: ask.price_max,
            slack: self.config.tuning.fuel_rate_slack,
        };
        let mut usable = Vec::new();
        for known in self.offers.values() {
            let offer = &known.signed.body;
            let (price, memory, rate) = (&offer.price, offer.memory_bytes, offer.fuel_per_second);
            let obstacle =
                self.offer_obstacle(offer).or_else(|| terms_obstacle(&task, price, memory, rate));
            if let Some((reason, hint)) = obstacle {
                view.unusable.push((offer.node, reason, hint));
                continue;
            }
            let free = offer.slots_free.saturating_sub(known.taken);
            let provider = QuoteProvider {
                node: offer.node,
                slots: free.max(1).min(offer.slots.max(1)),
                price: offer.price,
                tasks: 0,
                expected: Amount(0),
                audit_ppm: 0,
                trusted: self.trusted(offer.node),
                channel: false,
                deposit: Amount(0),
            };
            let rank = price.per_gigafuel.0.saturating_add(price.per_data_mebibyte.0);
            usable.push((rank, !self.has_purse(offer.node), offer.node, provider));
        }
        usable.sort_by_key(|(rank, new, node, _)| (*rank, *new, *node));
        usable.into_iter().map(|(_, _, _, provider)| provider).collect()
    }

    /// Everybody works at its own speed until nothing is left; nobody does a task twice.
    fn share(&self, providers: &mut [QuoteProvider], tasks: u64, executions: u64) {
        let speed = |p: &QuoteProvider| {
            let rate = self.offers.get(&p.node).map_or(1, |k| k.signed.body.fuel_per_second);
            u128::from(rate.max(1)) * u128::from(p.slots)
        };
        let all: u128 = providers.iter().map(speed).sum();
        let mut left = executions;
        for provider in providers.iter_mut() {
            let share = u128::from(executions).saturating_mul(speed(provider)) / all.max(1);
            provider.tasks = u64::try_from(share).unwrap_or(u64::MAX).min(tasks).min(left);
            left -= provider.tasks;
        }
        for provider in providers {
            let more = left.min(tasks - provider.tasks);
            provider.tasks += more;
            left -= more;
        }
    }

    /// The rate at which the rule would audit a provider by the end of the job.
    fn expected_rate(&self, ask: &QuoteAsk, provider: &QuoteProvider, price: Amount) -> u32 {
        let rule = &ask.verify;
        if ask.nondeterministic || rule.quorum > 1 || provider.tasks == 0 {
            return 0;
        }
        if let Some(fixed) = rule.rate {
            return fixed.min(WHOLE);
        }
        let Some(offer) = self.offers.get(&provider.node).map(|k| &k.signed.body) else { return 0 };
        let mut rate = audit::floor(provider.tasks, provider.trusted);
        if let Some(share) = rule.error {
            rate = rate.max(audit::for_target(provider.tasks, share));
        }
        // Without gain outside, results wait until all the pay that may be is held back.
        let results = if rule.gain.0 == 0 { provider.tasks } else { 1 };
        let pay = price.0.saturating_mul(u128::from(results));
        let cost = price.0.saturating_mul(u128::from(self.config.tuning.cost_ppm)) / 1_000_000;
        rate = rate.max(audit::deterring(&Terms {
            price,
            cost: Amount(cost),
            gain: rule.gain,
            stake: offer.stake,
            held: Amount(pay.min(offer.hold_back.0)),
        }));
        if self.config.home.slots == 0 {
            let honest = u64::from(WHOLE.saturating_sub(rule.hostile).max(1));
            rate = u32::try_from(u64::from(rate) * u64::from(WHOLE) / honest).unwrap_or(WHOLE);
        }
        rate.min(WHOLE)
    }

    /// What a provider says that its tasks would take, at the speed that it says it has.
    fn add_energy(&self, ask: &QuoteAsk, provider: &QuoteProvider, view: &mut QuoteView) {
        let Some(offer) = self.offers.get(&provider.node).map(|k| &k.signed.body) else { return };
        let Some(energy) = offer.energy else { return };
        let fuel = ask.fuel.unwrap_or(ask.limits.fuel).0.min(ask.limits.fuel.0);
        let busy_ms = u128::from(fuel) * u128::from(provider.tasks) * 1_000;
        let busy_ms = busy_ms / u128::from(offer.fuel_per_second.max(1));
        let millijoules = energy.millijoules(u64::try_from(busy_ms).unwrap_or(u64::MAX));
        view.energy_mj = view.energy_mj.saturating_add(millijoules);
        view.co2_ug = view.co2_ug.saturating_add(energy.micrograms(millijoules));
        view.declared_tasks = view.declared_tasks.saturating_add(provider.tasks);
    }

    /// Whether a provider can be paid now, and what its channel would be topped up by.
    fn deposit_for(&self, provider: &QuoteProvider) -> (bool, Amount) {
        let offer = self.offers.get(&provider.node).map(|k| &k.signed.body);
        let (Some(offer), Some(wallet)) = (offer, &self.config.wallet) else {
            return (false, Amount(0));
        };
        let Some(asked) = offer.payment else { return (false, Amount(0)) };
        let channel = self.open_purse(offer).is_some();
        let mut its = self.purses.values().filter(|p| p.provider == provider.node && !p.closing);
        let (have, owed) = its.next().map_or((0, 0), |p| (p.intended(), p.owed));
        // As `purse` does it: topped up while what is left is less than two steps.
        let bill = owed.saturating_add(provider.expected.0);
        let most = asked.step.min(wallet.step_max);
        let step = (bill / 4).max(wallet.step_first.0).min(most.0);
        let need = bill.saturating_add(step.saturating_mul(2));
        let lacks = need.saturating_sub(have);
        let times = lacks.div_ceil(wallet.deposit.0.max(1));
        (channel, Amount(times.saturating_mul(wallet.deposit.0)))
    }
}

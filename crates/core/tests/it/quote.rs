//! What a job would cost, held against what it then costs.

use ayni_core::{Command, Purpose, QuoteAsk, QuoteView};
use ayni_types::{
    Amount, BlobRef, Energy, Fault, Fuel, JobId, Limits, Outcome, Price, TaskSpec, Verify,
};
use ayni_wire::digest;

use crate::stage::{Script, Stage, honest, job, outcome};

/// As the stage's tasks are: a million fuel of ten, a mebibyte of code, three of data.
fn ask(tasks: u64) -> QuoteAsk {
    QuoteAsk {
        tasks,
        limits: Limits { fuel: Fuel(10_000_000), ..Limits::default() },
        timeout_ms: 60_000,
        code_bytes: 1 << 20,
        input_bytes: 0,
        input_bytes_max: 0,
        fuel: Some(Fuel(1_000_000)),
        output_bytes: Some(3 << 20),
        verify: Verify { rate: Some(0), ..Verify::default() },
        providers_max: 8,
        nondeterministic: false,
        price_max: None,
    }
}

fn stage(home_slots: u32, cast: &[(&'static str, Script)]) -> Stage {
    let mut stage = Stage::with_home(home_slots, &[]);
    stage.per_mebibyte = (500, 7);
    stage.bytes = (1 << 20, 3 << 20);
    for (name, script) in cast {
        stage.enter(name, *script, true);
    }
    stage
}

fn quote(stage: &mut Stage, ask: &QuoteAsk) -> QuoteView {
    stage.command(0, Command::RefreshOffers);
    stage.actors[0].core.quote_job(ask)
}

/// Runs a job of so many tasks; what is accepted and what it is billed.
fn run(stage: &mut Stage, number: u8, tasks: usize, budget: Option<u128>) -> (u32, u128) {
    let names: Vec<String> = (0..tasks).map(|n| format!("{number}-{n}")).collect();
    let mut spec = job(number, &names.iter().map(String::as_str).collect::<Vec<_>>());
    spec.budget = budget.map(Amount);
    spec.sizes = vec![BlobRef { digest: digest(b"program"), size: 1 << 20 }];
    stage.command(0, Command::SubmitJob(spec));
    stage.pass(60_000);
    let view = stage.actors[0].core.job(JobId([number; 16])).expect("there");
    (view.counts.accepted, view.billed.0)
}

fn spends_all(task: &TaskSpec, _: Purpose) -> Result<Outcome, Fault> {
    let mut outcome = outcome(task);
    outcome.fuel = task.limits.fuel;
    Ok(outcome)
}

#[test]
fn a_job_costs_what_was_expected_if_its_tasks_do() {
    let mut stage = stage(1, &[("ann", honest)]);
    let quote = quote(&mut stage, &ask(10));
    assert_eq!(quote.expected.total(), Amount(10 * (1_000 + 21) + 500));
    assert_eq!(run(&mut stage, 1, 10, None), (10, quote.expected.total().0));
}

#[test]
fn the_budgets_that_it_names_are_enough_and_no_less_is() {
    let limits = Limits { output_bytes: 3 << 20, ..ask(1).limits };
    for (script, worst) in [(honest as Script, false), (spends_all, true)] {
        let mut stage = stage(1, &[("ann", script)]);
        let quote = quote(&mut stage, &QuoteAsk { limits, ..ask(10) });
        let budget = if worst { quote.worst.total() } else { quote.budget_expected };
        assert_eq!(quote.worst.total(), Amount(10 * (10_000 + 21) + 500));
        // The stage's tasks have the default limit of output: its price is the only difference.
        let more = (256 - 3) * 7 * if worst { 10 } else { 1 };
        assert_eq!(run(&mut stage, 1, 10, Some(budget.0 + more)).0, 10, "{worst}");
        let short = run(&mut stage, 2, 10, Some(quote.budget_least.0 + 253 * 7 - 1));
        assert_eq!(short, (0, 0), "not even one");
    }
}

#[test]
fn who_would_not_be_used_is_named_with_the_reason() {
    let cast: &[(&'static str, Script)] = &[("ann", honest), ("ben", honest), ("cat", honest)];
    let mut stage = stage(1, cast);
    let max = Price {
        per_gigafuel: Amount(2_000_000),
        per_code_mebibyte: Amount(u128::MAX),
        per_data_mebibyte: Amount(u128::MAX),
    };
    let of = |stage: &mut Stage, ask: &QuoteAsk| {
        let quote = quote(stage, ask);
        let name = |node| stage.actors.iter().find(|a| a.id == node).map_or("?", |a| a.name);
        let used: Vec<_> = quote.providers.iter().map(|p| (name(p.node), p.tasks)).collect();
        let not: Vec<_> =
            quote.unusable.iter().map(|(node, why, _)| format!("{}: {why}", name(*node))).collect();
        (used, not.join("\n"), quote.quorum_lacks)
    };
    let (used, not, _) = of(&mut stage, &QuoteAsk { price_max: Some(max), ..ask(100) });
    assert_eq!(used, [("ann", 50), ("ben", 50)]);
    assert_eq!(not, "cat: asks 3000000 per 10^9 fuel; the job pays at most 2000000");
    let (used, not, _) = of(&mut stage, &QuoteAsk { providers_max: 1, ..ask(100) });
    assert_eq!(used, [("ann", 100)]);
    assert!(not.contains("limit of providers"), "{not}");
    let (used, not, _) = of(&mut stage, &ask(2));
    assert_eq!(used, [("ann", 2)]);
    assert!(not.contains("a slot for each task"), "{not}");
    let verify = Verify { quorum: 4, ..ask(1).verify };
    let (used, _, lacks) = of(&mut stage, &QuoteAsk { verify, ..ask(10) });
    assert_eq!((used, lacks), (vec![("ann", 10), ("ben", 10), ("cat", 10)], 1));
}

#[test]
fn audits_cost_money_where_others_make_them_and_less_for_whom_is_known() {
    let cast: &[(&'static str, Script)] = &[("ann", honest), ("ben", honest)];
    let rule = QuoteAsk { verify: Verify::default(), ..ask(100) };
    let mut home = stage(1, cast);
    let at_home = quote(&mut home, &rule);
    assert!(at_home.audits_at_home && at_home.audits > 0);
    assert_eq!(at_home.expected.audits, Amount(0));
    let elsewhere = quote(&mut stage(0, cast), &rule);
    assert!(elsewhere.audits > at_home.audits, "friends among those who audit");
    let each = 2_000 + 21;
    assert_eq!(elsewhere.expected.audits, Amount(u128::from(elsewhere.audits) * each));

    // After audits that agreed, the same job is audited less.
    let names: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    let mut spec = job(1, &names.iter().map(String::as_str).collect::<Vec<_>>());
    spec.verify.rate = Some(1_000_000);
    home.command(0, Command::SubmitJob(spec));
    home.pass(60_000);
    let later = quote(&mut home, &rule);
    assert!(later.providers.iter().any(|p| p.trusted > 0));
    assert!(later.audits < at_home.audits, "{} then {}", at_home.audits, later.audits);
}

#[test]
fn what_work_takes_is_added_up_for_those_who_declare_it() {
    let mut stage = stage(1, &[("ann", honest)]);
    stage.energy = Some(Energy { slot_milliwatts: 10_000, grams_per_kwh: 360 });
    stage.enter("ben", honest, true);
    let ask = QuoteAsk { fuel: Some(Fuel(5_000_000)), ..ask(1_000) };
    let quote = quote(&mut stage, &ask);
    // Half of the tasks, 5 ms each at 10 W.
    assert_eq!((quote.declared_tasks, quote.energy_mj, quote.co2_ug), (500, 25_000, 2_500));
}

#[test]
fn a_provider_knows_how_long_it_was_busy_after_a_restart_too() {
    let mut stage = stage(1, &[("ann", honest)]);
    run(&mut stage, 1, 10, None);
    assert_eq!(stage.actors[1].core.provider().totals.busy_ms, 10 * 5);
    stage.restart(1);
    assert_eq!(stage.actors[1].core.provider().totals.busy_ms, 10 * 5);
}

#[test]
fn deposits_are_asked_once_and_only_for_what_channels_lack() {
    let mut stage = Stage::paid(0, &[("ann", honest)]);
    let small = QuoteAsk { output_bytes: Some(0), ..ask(2) };
    let quote = |stage: &mut Stage, ask: &QuoteAsk| {
        stage.command(0, Command::RefreshOffers);
        stage.actors[0].core.quote_job(ask)
    };
    let before = quote(&mut stage, &small);
    assert_eq!((before.deposits, before.providers[0].channel), (Amount(10_000), false));
    run(&mut stage, 1, 2, None);
    let after = quote(&mut stage, &small);
    assert_eq!((after.deposits, after.providers[0].channel), (Amount(0), true));
    let large = quote(&mut stage, &QuoteAsk { tasks: 30, ..small });
    run(&mut stage, 2, 30, None);
    let deposits: u128 = stage.actors[0].core.channels().iter().map(|c| c.intended.0).sum();
    assert_eq!(deposits, 10_000 + large.deposits.0, "{:?}", stage.bank.steps);
}

//! `ayni quote`: what a job would cost now. Takes what `ayni run` takes, and submits nothing.
//!
//! Sizes are enough to ask; only `--measure` uploads, to run the first task in this machine's
//! sandbox. Deliberately not here: the figures themselves, which the node makes.

use std::path::Path;
use std::process::ExitCode;

use ayni_api::codes::exit;
use ayni_api::json::{CostJson, EndJson, ExecRequest, QuoteJson, QuoteRequest, TaskJson, Text};
use ayni_api::{ApiError, Client, codes};
use serde::Serialize;

use crate::args::QuoteArgs;
use crate::daemon;
use crate::expand::{Planned, expand};
use crate::inputs::{self, Plan};
use crate::progress::Progress;
use crate::quantity::{show_bytes, show_count, show_energy, show_exact, show_mass};
use crate::table::{facts, plural, table};
use crate::ui::{Ui, escape};

/// What a task is expected to take, and how that is known.
#[derive(Debug, Clone, Copy, Serialize)]
struct Guess {
    /// `estimate`, `measured` or `limit`.
    basis: &'static str,
    fuel: Option<Text<u64>>,
    output_bytes: Option<u64>,
}

/// The quote, with what it rests on.
#[derive(Serialize)]
struct Quote<'a> {
    #[serde(flatten)]
    quote: &'a QuoteJson,
    tasks: usize,
    task: Guess,
}

/// Says what a job would cost.
pub(crate) async fn run(args: QuoteArgs, home: &Path, ui: &Ui) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(ui);
    progress.phase("reading  the inputs");
    let plan = inputs::plan(&args.run)?;
    if args.run.watch.is_some() {
        let text = "a folder that is watched has no number of tasks to quote for";
        return Err(ApiError::new(codes::INPUT_CONFLICT, text)
            .hint("name the files with --map")
            .into());
    }
    let tasks = expand(&plan.common, &plan.split)?;
    let client = daemon::ensure(home).await?;
    let guess = guess(&args, &plan, &tasks, &client, &mut progress).await?;
    let quote = client.quote(&request(&plan, &tasks, guess)?).await?;
    progress.clear();
    let shown = Quote { quote: &quote, tasks: tasks.len(), task: guess };
    ui.show(&shown, |shown| text(shown, &plan));
    if guess.basis == "limit" {
        ui.hint("`--measure` runs the first task here to know better, `--expect-fuel N` tells it");
    }
    if quote.providers.is_empty() {
        ui.hint("`ayni offers` shows who is there, `ayni join TICKET` finds others");
    }
    Ok(ExitCode::from(exit::OK))
}

async fn guess(
    args: &QuoteArgs,
    plan: &Plan,
    tasks: &[Planned],
    client: &Client,
    progress: &mut Progress,
) -> Result<Guess, ApiError> {
    let fuel = args.expect_fuel.map(Text);
    if !args.measure {
        let basis = if fuel.is_some() { "estimate" } else { "limit" };
        // Whoever knows the fuel supposes no output of the size of the limit.
        let output_bytes = args.expect_output.or(fuel.map(|_| 0));
        return Ok(Guess { basis, fuel, output_bytes });
    }
    progress.phase("measuring  the first task on this machine");
    plan.sources.upload(client, |_, _| {}).await?;
    let task: TaskJson = tasks[0].task.clone();
    let report = client.exec(&ExecRequest { task, timeout_ms: plan.timeout_ms }).await?;
    let Some(outcome) = report.outcome else {
        let why = report.fault.map_or_else(String::new, |fault| escape(&fault.detail));
        let text = format!("the first task gave nothing to measure: {why}");
        return Err(ApiError::new(codes::TASK_FAULT, text));
    };
    if !matches!(outcome.end, EndJson::Exit { code: 0 }) {
        progress.say(|ui| ui.warn(&format!("the first task ended with {}", outcome.end)));
    }
    let files: u64 = outcome.files.iter().map(|file| file.size).sum();
    let output = outcome.stdout.size + outcome.stderr.size + files;
    Ok(Guess {
        basis: "measured",
        fuel: fuel.or(Some(outcome.fuel)),
        output_bytes: args.expect_output.or(Some(output)),
    })
}

fn request(plan: &Plan, tasks: &[Planned], guess: Guess) -> Result<QuoteRequest, ApiError> {
    let inputs = |task: &TaskJson| -> u64 {
        let mounts = task.mounts.iter().map(|mount| mount.blob.0);
        let read = task.stdin.map(|stdin| stdin.0).into_iter().chain(mounts);
        read.map(|digest| plan.sources.length(digest)).fold(0, u64::saturating_add)
    };
    let sizes = || tasks.iter().map(|planned| inputs(&planned.task));
    Ok(QuoteRequest {
        tasks: u32::try_from(tasks.len()).map_err(|error| ApiError::internal(&error))?,
        limits: plan.common.limits,
        timeout_ms: plan.timeout_ms,
        code_bytes: plan.sources.length(plan.common.program),
        input_bytes: sizes().fold(0, u64::saturating_add),
        input_bytes_max: sizes().max(),
        fuel: guess.fuel,
        output_bytes: guess.output_bytes,
        verify: plan.verify.clone(),
        providers_max: plan.providers_max,
        nondeterministic: plan.nondeterministic,
        price_max: plan.price_max,
    })
}

fn cost(cost: &CostJson) -> String {
    let parts = [
        ("fuel", cost.fuel),
        ("code", cost.code),
        ("data", cost.data),
        ("audits by others", cost.audits),
    ];
    let parts = parts.iter().filter(|(_, amount)| amount.0 > 0);
    let parts: Vec<_> =
        parts.map(|(name, amount)| format!("{name} {}", show_exact(amount.0))).collect();
    format!("{} ({})", show_exact(cost.total.0), parts.join(", "))
}

fn text(shown: &Quote, plan: &Plan) -> String {
    let quote = shown.quote;
    let limits = &plan.common.limits;
    let guess = &shown.task;
    let how = match guess.basis {
        "measured" => "measured on the first task, here",
        "estimate" => "as you say",
        _ => "the limits: nothing else is known",
    };
    let fuel = guess.fuel.unwrap_or(limits.fuel).0;
    let output = guess.output_bytes.unwrap_or(limits.output_bytes);
    let audits = match quote.audits_at_home {
        true => format!("{}, by own cores: no money", show_exact(quote.audits.into())),
        false => format!("{}, by other providers", show_exact(quote.audits.into())),
    };
    let mut lines = vec![
        ("tasks", plural(shown.tasks as u64, "task")),
        ("each", format!("{} fuel, {} written ({how})", show_count(fuel), show_bytes(output))),
    ];
    if quote.providers.is_empty() {
        lines.push(("expected", "nobody who is known now would run it".to_owned()));
        return facts(&lines) + &left_out(quote);
    }
    lines.extend([
        ("expected", cost(&quote.expected)),
        ("at most", format!("{}: all limits used, at the dearest of them", cost(&quote.worst))),
        ("audits", audits),
        (
            "budget",
            format!(
                "--budget {} to end if it costs what is expected, {} in any case without \
                 reruns; under {} nothing begins",
                quote.budget_expected, quote.worst.total, quote.budget_least
            ),
        ),
    ]);
    if quote.deposits.0 > 0 {
        let deposits = show_exact(quote.deposits.0);
        lines.push(("deposits", format!("{deposits} into channels; what is left comes back")));
    }
    if quote.declared_tasks > 0 {
        lines.push((
            "emissions",
            format!(
                "{} CO2e, {} for {} (declared by their providers, not verified)",
                show_mass(quote.co2_micrograms.0),
                show_energy(quote.energy_millijoules.0),
                plural(quote.declared_tasks, "task")
            ),
        ));
    }
    if quote.quorum_lacks > 0 {
        lines.push(("quorum", format!("{} providers are missing for it", quote.quorum_lacks)));
    }
    let mut text = facts(&lines);
    let rows: Vec<_> = quote
        .providers
        .iter()
        .map(|p| {
            vec![
                p.node.0.short(),
                p.slots.to_string(),
                show_exact(p.price.per_gigafuel.0),
                show_exact(p.price.per_code_mebibyte.0),
                show_exact(p.price.per_data_mebibyte.0),
                p.tasks.to_string(),
                show_exact(p.expected.0),
                format!("{}%", f64::from(p.audit_ppm) / 10_000.0),
                show_exact(p.deposit.0),
            ]
        })
        .collect();
    let header = [
        "provider",
        ">slots",
        ">per gigafuel",
        ">per MiB code",
        ">per MiB data",
        ">tasks",
        ">expected",
        ">audited",
        ">deposit",
    ];
    text.push_str(&table(&header, &rows));
    text.push_str(&left_out(quote));
    text
}

/// Who would not be used, a line each.
fn left_out(quote: &QuoteJson) -> String {
    let mut text = String::new();
    for provider in &quote.unusable {
        text.push_str(&format!("not used: {}: {}", provider.node, escape(&provider.reason)));
        if let Some(hint) = &provider.hint {
            text.push_str(&format!(" (hint: {})", escape(hint)));
        }
        text.push('\n');
    }
    text
}

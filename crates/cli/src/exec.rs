//! `ayni exec`: one task on this machine, through the same sandbox that providers have.

use std::path::Path;
use std::process::ExitCode;

use ayni_api::codes::exit;
use ayni_api::json::{EndJson, ExecReport, ExecRequest};
use ayni_api::{ApiError, Client, codes};

use crate::args::ExecArgs;
use crate::daemon;
use crate::expand::{Split, expand};
use crate::inputs;
use crate::output::write_outcome;
use crate::quantity::{show_bytes, show_exact, show_ms};
use crate::ui::{Ui, escape};
use crate::upload::Sources;

/// Runs the task and passes its output on. The exit code is the program's own if it exits.
pub(crate) async fn run(args: ExecArgs, home: &Path, ui: &Ui) -> anyhow::Result<ExitCode> {
    let mut sources = Sources::default();
    let shared = inputs::shared(
        &args.program,
        &args.args,
        &args.task,
        Vec::new(),
        Default::default(),
        &mut sources,
    )?;
    let task = expand(&shared.common, &Split::Single)?.remove(0).task;
    if let Some(dir) = &args.out {
        prepare(dir)?;
    }
    let client = daemon::ensure(home).await?;
    sources.upload(&client, |_, _| {}).await?;
    let report = client.exec(&ExecRequest { task, timeout_ms: shared.timeout_ms }).await?;
    show(&client, &report, args.out.as_deref(), ui).await
}

fn prepare(dir: &Path) -> Result<(), ApiError> {
    let wrong = |why: String| {
        ApiError::new(codes::OUTPUT_DIR, format!("output folder `{}` {why}", dir.display()))
    };
    std::fs::create_dir_all(dir).map_err(|error| wrong(format!("can't be made: {error}")))?;
    let entries = std::fs::read_dir(dir).map_err(|e| wrong(format!("can't be read: {e}")))?;
    if entries.count() > 0 { Err(wrong("is not empty".to_owned())) } else { Ok(()) }
}

async fn show(
    client: &Client,
    report: &ExecReport,
    out: Option<&Path>,
    ui: &Ui,
) -> anyhow::Result<ExitCode> {
    let Some(outcome) = &report.outcome else {
        let (kind, detail) = report
            .fault
            .as_ref()
            .map_or(("unknown", "no reason given"), |fault| (&*fault.kind, &*fault.detail));
        let text = format!("the task ended without an outcome ({kind}): {detail}");
        let code =
            if kind == "invalid_program" { codes::PROGRAM_INVALID } else { codes::TASK_FAULT };
        return Err(ApiError::new(code, text).into());
    };
    if let Some(dir) = out {
        write_outcome(client, dir, outcome).await?;
        let text = serde_json::to_vec_pretty(report)?;
        std::fs::write(dir.join("outcome.json"), text)?;
    }
    if ui.json {
        ui.value(report);
    } else if out.is_none() {
        let all = u64::MAX;
        if outcome.stderr.size > 0 {
            ui.bytes_err(&client.blob_bytes(outcome.stderr.digest.0, all).await?);
        }
        if outcome.stdout.size > 0 {
            ui.bytes(&client.blob_bytes(outcome.stdout.digest.0, all).await?);
        }
    }
    let seen = report.observed.unwrap_or_default();
    ui.note(&format!(
        "{}  {} fuel  {} (compiling {})  {} peak  outcome {}",
        escape(&outcome.end.to_string()),
        show_exact(outcome.fuel.0.into()),
        show_ms(seen.wall_ms),
        show_ms(seen.compile_ms),
        show_bytes(seen.memory_bytes_peak),
        outcome.digest
    ));
    if !outcome.files.is_empty() && out.is_none() && !ui.json {
        ui.hint(&format!(
            "{} files were written under /out; -o DIR keeps them",
            outcome.files.len()
        ));
    }
    Ok(match &outcome.end {
        EndJson::Exit { code } => ExitCode::from(u8::try_from(*code).unwrap_or(exit::FAILED)),
        EndJson::Trap { .. } | EndJson::Exhausted { .. } => ExitCode::from(exit::FAILED),
    })
}

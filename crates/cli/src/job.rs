//! `ayni job …`, and how a watched job ends.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use ayni_api::codes::exit;
use ayni_api::json::{
    EndJson, JobDetail, JobState, OutcomeJson, Schema, TaskFilter, TaskList, TaskRow, TaskState,
};
use ayni_api::{ApiError, Client, codes};
use ayni_types::JobId;
use serde::Serialize;

use crate::args::{FetchArgs, JobCommand, OutputArgs, ShowArgs};
use crate::daemon;
use crate::evidence;
use crate::output::{self, FOLDERS_MAX, JobNote, Writer};
use crate::progress::Progress;
use crate::quantity::{show_count, show_exact, show_ms};
use crate::sureness;
use crate::table::{facts, plural, table};
use crate::ui::{self, Ui, escape};
use crate::watch::{Seen, Until, watch};

/// Runs one of the job commands.
pub(crate) async fn run(command: JobCommand, home: &Path, ui: &Ui) -> anyhow::Result<ExitCode> {
    let client = daemon::ensure(home).await?;
    match command {
        JobCommand::List => list(&client, ui).await?,
        JobCommand::Show(args) => show(&client, &args, ui).await?,
        JobCommand::Logs { job, task, stderr } => {
            logs(&client, find(&client, &job).await?, task, stderr, ui).await?;
        }
        JobCommand::Attach { job, output } => {
            let job = find(&client, &job).await?;
            return attach(&client, job, &output, ui).await;
        }
        JobCommand::Cancel { job } => {
            let job = find(&client, &job).await?;
            let done = client.cancel(job).await?;
            ui.show(&done, |_| format!("job {job} is cancelled; accepted outcomes are kept"));
        }
        JobCommand::Fetch(args) => fetch(&client, &args, ui).await?,
    }
    Ok(ExitCode::from(exit::OK))
}

/// Finds a job by its id, the first digits of it, or `last`.
pub(crate) async fn find(client: &Client, text: &str) -> Result<JobId, ApiError> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    let jobs = client.jobs().await?.jobs;
    let unknown = |why: String| Err(ApiError::new(codes::JOB_UNKNOWN, why));
    if text == "last" {
        return match jobs.first() {
            Some(job) => Ok(job.id.0),
            None => unknown("no job was ever submitted here".to_owned()),
        };
    }
    let wanted = text.to_lowercase();
    let found: Vec<_> = jobs.iter().filter(|job| job.id.to_string().starts_with(&wanted)).collect();
    match found.as_slice() {
        [job] if !wanted.is_empty() => Ok(job.id.0),
        [] => unknown(format!("no job here has an id that begins with `{text}`")),
        several => unknown(format!("{} jobs have an id that begins with `{text}`", several.len())),
    }
}

async fn list(client: &Client, ui: &Ui) -> Result<(), ApiError> {
    let jobs = client.jobs().await?;
    if jobs.jobs.is_empty() && !ui.json {
        ui.note("no jobs yet");
        ui.hint("`ayni run PROGRAM` submits one");
        return Ok(());
    }
    ui.show(&jobs, |jobs| {
        let rows: Vec<_> = jobs
            .jobs
            .iter()
            .map(|job| {
                let counts = &job.counts;
                vec![
                    job.id.0.short(),
                    job.state.text().to_owned(),
                    format!("{}/{}", counts.accepted, counts.tasks),
                    counts.failed.to_string(),
                    job.ended_ms
                        .map_or("-".to_owned(), |end| show_ms(end.saturating_sub(job.created_ms))),
                    escape(&job.name),
                ]
            })
            .collect();
        table(&["job", "state", ">done", ">failed", ">took", "name"], &rows)
    });
    Ok(())
}

async fn show(client: &Client, args: &ShowArgs, ui: &Ui) -> Result<(), ApiError> {
    let job = find(client, &args.job).await?;
    if args.evidence {
        let list = client.evidence(job).await?;
        if ui.json {
            ui.value(&list);
        } else {
            ui.data(&evidence::text(client, &list).await?);
        }
        return Ok(());
    }
    if let Some(index) = args.task {
        let task = client.task(job, index).await?;
        ui.show(&task, |task| {
            let mut text = task_text(&task.row);
            text.push_str(&format!("args      {}\n", escape(&task.spec.args.join(" "))));
            for fault in &task.faults {
                text.push_str(&format!("fault     {}: {}\n", fault.kind, escape(&fault.detail)));
            }
            text
        });
        return Ok(());
    }
    if args.tasks {
        let rows = all_rows(client, job, None).await?;
        let list = TaskList { schema: Schema, tasks: rows, next: None };
        ui.show(&list, |list| {
            let rows: Vec<_> = list.tasks.iter().map(task_line).collect();
            table(&["index", "state", "end", ">fuel", "provider", "verified"], &rows)
        });
        return Ok(());
    }
    let detail = client.job(job).await?;
    ui.show(&detail, detail_text);
    if detail.mismatches > 0 && !ui.json {
        ui.hint(&format!("`ayni job show {job} --evidence` shows who signed what"));
    }
    Ok(())
}

fn task_line(row: &TaskRow) -> Vec<String> {
    let outcome = row.outcome.as_ref();
    let end = outcome.map(|outcome| outcome.end.to_string());
    vec![
        row.index.to_string(),
        row.state.text().to_owned(),
        end.or_else(|| row.error.as_deref().map(escape)).unwrap_or_default(),
        outcome.map_or(String::new(), |outcome| show_exact(outcome.fuel.0.into())),
        provider_name(row),
        row.verification.map_or("", |how| how.text()).to_owned(),
    ]
}

fn provider_name(row: &TaskRow) -> String {
    match (row.provider, row.state) {
        (Some(node), _) => node.0.short(),
        (None, TaskState::Queued) => String::new(),
        (None, _) if row.held => "held before".to_owned(),
        (None, TaskState::Failed) => String::new(),
        (None, _) => "home".to_owned(),
    }
}

fn task_text(row: &TaskRow) -> String {
    let mut lines = vec![
        ("task", format!("{} ({})", row.index, row.task)),
        ("state", row.state.text().to_owned()),
        ("provider", row.provider.map_or_else(|| provider_name(row), |node| node.to_string())),
        ("attempts", row.attempts.to_string()),
    ];
    if let Some(outcome) = &row.outcome {
        lines.push(("end", outcome.end.to_string()));
        lines.push(("fuel", show_exact(outcome.fuel.0.into())));
        lines.push(("outcome", outcome.digest.to_string()));
        lines.push(("stdout", format!("{} bytes", outcome.stdout.size)));
        lines.push(("stderr", format!("{} bytes", outcome.stderr.size)));
        lines.push(("files", outcome.files.len().to_string()));
    }
    if let Some(how) = row.verification {
        lines.push(("verified", how.text().to_owned()));
    }
    if let Some(price) = row.price {
        lines.push(("price", show_exact(price.0)));
    }
    if let Some(error) = &row.error {
        lines.push(("error", escape(error)));
    }
    facts(&lines)
}

/// A job for people.
fn detail_text(job: &JobDetail) -> String {
    let counts = &job.summary.counts;
    let mut lines = vec![
        ("job", job.summary.id.to_string()),
        ("name", escape(&job.summary.name)),
        ("state", job.summary.state.text().to_owned()),
        (
            "tasks",
            format!(
                "{}: {} accepted ({} held before), {} running, {} queued, {} failed",
                counts.tasks,
                counts.accepted,
                counts.held,
                counts.running + counts.delivered,
                counts.queued,
                counts.failed
            ),
        ),
        ("fuel", show_exact(job.fuel.0.into())),
        ("price", show_exact(job.price.0)),
        ("billed", billed(job)),
        ("verified", sureness::rule(&job.verify)),
        ("audited", format!("{} of {}", job.audited, counts.accepted)),
        ("confidence", sureness::confidence(job)),
        ("mismatches", job.mismatches.to_string()),
        ("retried", job.retried.to_string()),
    ];
    if let Some(why) = job.stalled.as_deref().filter(|why| !why.is_empty()) {
        lines.push(("stalled", escape(why)));
    }
    let mut text = facts(&lines);
    if !job.providers.is_empty() {
        let rows: Vec<_> = job
            .providers
            .iter()
            .map(|provider| {
                vec![
                    provider.node.map_or("home".to_owned(), |node| node.0.short()),
                    provider.slots.to_string(),
                    provider.running.to_string(),
                    provider.accepted.to_string(),
                    provider.faulted.to_string(),
                    provider.audited.to_string(),
                    provider.mismatches.to_string(),
                    show_count(provider.fuel.0),
                    provider.lost.as_deref().map(escape).unwrap_or_default(),
                ]
            })
            .collect();
        let header = [
            "provider",
            ">slots",
            ">running",
            ">accepted",
            ">faulted",
            ">audited",
            ">mismatches",
            ">fuel",
            "gone",
        ];
        text.push('\n');
        text.push_str(&table(&header, &rows));
    }
    text
}

/// What a job was billed, and how that stands to its budget.
fn billed(job: &JobDetail) -> String {
    let mut text = show_exact(job.summary.billed.0);
    if let Some(budget) = job.budget {
        text.push_str(&format!(" of a budget of {}", show_exact(budget.0)));
    }
    if job.reserved.0 > 0 {
        text.push_str(&format!(", up to {} more for what runs", show_exact(job.reserved.0)));
    }
    text
}

async fn all_rows(
    client: &Client,
    job: JobId,
    state: Option<TaskState>,
) -> Result<Vec<TaskRow>, ApiError> {
    let mut filter = TaskFilter { from: 0, count: Some(1_000), state, ..TaskFilter::default() };
    let mut rows = Vec::new();
    loop {
        let page = client.tasks(job, filter).await?;
        rows.extend(page.tasks);
        match page.next {
            Some(next) => filter.from = next,
            None => return Ok(rows),
        }
    }
}

async fn logs(
    client: &Client,
    job: JobId,
    task: Option<u32>,
    stderr: bool,
    ui: &Ui,
) -> Result<(), ApiError> {
    let rows = match task {
        Some(index) => vec![client.task(job, index).await?.row],
        None => all_rows(client, job, Some(TaskState::Accepted)).await?,
    };
    let many = rows.len() > 1;
    for row in rows {
        let Some(outcome) = &row.outcome else {
            let text = format!("task {} has no outcome yet: {}", row.index, row.state.text());
            return Err(ApiError::new(codes::TASK_UNKNOWN, text));
        };
        if ui.json {
            let read = async |size: u64, digest| -> Result<String, ApiError> {
                let bytes =
                    if size == 0 { vec![] } else { client.blob_bytes(digest, 64 << 20).await? };
                Ok(String::from_utf8_lossy(&bytes).into_owned())
            };
            let line = serde_json::json!({
                "index": row.index,
                "stdout": read(outcome.stdout.size, outcome.stdout.digest.0).await?,
                "stderr": read(outcome.stderr.size, outcome.stderr.digest.0).await?,
            });
            ui.value(&line);
            continue;
        }
        if many {
            ui.note(&format!("--- task {}", row.index));
        }
        pass_on(client, outcome, stderr, ui).await?;
    }
    Ok(())
}

/// Passes the output of a task on.
async fn pass_on(
    client: &Client,
    outcome: &OutcomeJson,
    stderr_only: bool,
    ui: &Ui,
) -> Result<(), ApiError> {
    let all = u64::MAX;
    if outcome.stderr.size > 0 {
        let bytes = client.blob_bytes(outcome.stderr.digest.0, all).await?;
        if stderr_only { ui.bytes(&bytes) } else { ui.bytes_err(&bytes) }
    }
    if outcome.stdout.size > 0 && !stderr_only {
        ui.bytes(&client.blob_bytes(outcome.stdout.digest.0, all).await?);
    }
    Ok(())
}

async fn attach(
    client: &Client,
    job: JobId,
    output: &OutputArgs,
    ui: &Ui,
) -> anyhow::Result<ExitCode> {
    let detail = client.job(job).await?;
    let mut progress = Progress::new(ui);
    let mut writer = writer(client, &detail, output.out.as_deref())?;
    match watch(client, job, &mut progress, writer.as_mut(), Until::Ended).await? {
        Seen::Interrupted => Ok(interrupted(job, ui, &progress)),
        Seen::Reached(detail) => {
            progress.clear();
            let summary = &detail.summary;
            let took = summary.ended_ms.unwrap_or(0).saturating_sub(summary.created_ms);
            finish(client, &detail, &[], output, false, Duration::from_millis(took), ui).await
        }
    }
}

fn writer(
    client: &Client,
    detail: &JobDetail,
    dir: Option<&Path>,
) -> Result<Option<Writer>, ApiError> {
    let Some(dir) = dir else { return Ok(None) };
    let tasks = detail.summary.counts.tasks as usize;
    let note = JobNote::new(detail.summary.id.0, &detail.summary.name, None, Vec::new());
    Writer::open(client, dir, note, tasks).map(Some)
}

async fn fetch(client: &Client, args: &FetchArgs, ui: &Ui) -> anyhow::Result<()> {
    let job = find(client, &args.job).await?;
    let detail = client.job(job).await?;
    if args.output.out.is_none() && args.output.collect.is_none() {
        let text = "nowhere to write results to: neither -o nor --collect is given";
        return Err(ApiError::new(codes::USAGE, text).into());
    }
    if let Some(mut writer) = writer(client, &detail, args.output.out.as_deref())? {
        match args.task {
            Some(index) => match client.task(job, index).await?.row.outcome {
                Some(outcome) => writer.accepted(index, outcome.digest.0).await?,
                None => {
                    let text = format!("task {index} has no outcome yet");
                    return Err(ApiError::new(codes::TASK_UNKNOWN, text).into());
                }
            },
            None => writer.sync().await?,
        }
        writer.flush().await?;
    }
    if let Some(path) = &args.output.collect {
        output::collect(client, job, &[], path).await?;
    }
    let counts = detail.summary.counts;
    ui.show(&detail, |_| format!("{} of {} tasks have results", counts.accepted, counts.tasks));
    Ok(())
}

/// Ctrl-C: the job goes on.
pub(crate) fn interrupted(job: JobId, ui: &Ui, progress: &Progress) -> ExitCode {
    progress.clear();
    if ui.json {
        let text = format!("job {job} is still running");
        ui::print_error_json(&ApiError::new(codes::INTERRUPTED, text));
    } else {
        ui.note(&format!(
            "job {job} still running; `ayni job cancel {job}` stops it, `ayni job attach {job}` \
             watches it again"
        ));
    }
    ExitCode::from(exit::INTERRUPTED)
}

/// What a watched job came to, for programs.
#[derive(Serialize)]
struct Summary<'a> {
    #[serde(flatten)]
    job: &'a JobDetail,
    /// Tasks whose program ended other than with exit code 0.
    unsuccessful: usize,
    elapsed_ms: u64,
}

/// A watched job ended: collect, sum up, and the exit code.
pub(crate) async fn finish(
    client: &Client,
    detail: &JobDetail,
    labels: &[String],
    output: &OutputArgs,
    single: bool,
    elapsed: Duration,
    ui: &Ui,
) -> anyhow::Result<ExitCode> {
    let job = detail.summary.id.0;
    if let Some(path) = &output.collect {
        output::collect(client, job, labels, path).await?;
    }
    let rows = all_rows(client, job, None).await?;
    if single
        && output.out.is_none()
        && output.collect.is_none()
        && !ui.json
        && let Some(outcome) = rows.first().and_then(|row| row.outcome.as_ref())
    {
        pass_on(client, outcome, false, ui).await?;
    }
    let ended = |row: &TaskRow| row.outcome.as_ref().map(|outcome| outcome.end.clone());
    let bad: Vec<(u32, EndJson)> = rows
        .iter()
        .filter_map(|row| Some((row.index, ended(row)?)))
        .filter(|(_, end)| !end.is_success())
        .collect();
    let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
    if ui.json {
        ui.value(&Summary { job: detail, unsuccessful: bad.len(), elapsed_ms });
    } else {
        for line in summary_lines(detail, elapsed_ms) {
            ui.note(&line);
        }
        say_bad(detail, &rows, &bad, output, ui);
        if let Some(dir) = &output.out {
            let shown = dir.display();
            if rows.len() > FOLDERS_MAX {
                ui.note(&format!("results: {shown}/results.ndjson"));
                ui.hint(&format!("`ayni job fetch {job} --task N -o DIR` writes one task's files"));
            } else {
                ui.note(&format!("results: {shown}"));
            }
        } else if !single && output.collect.is_none() {
            ui.hint(&format!("`ayni job fetch {job} -o DIR` writes the results"));
        }
    }
    let counts = &detail.summary.counts;
    let cancelled = detail.summary.state == JobState::Cancelled;
    if detail.budget_used_up {
        return Ok(ExitCode::from(exit::REFUSED));
    }
    Ok(ui::code(counts.failed == 0 && bad.is_empty() && !cancelled))
}

fn summary_lines(detail: &JobDetail, elapsed_ms: u64) -> Vec<String> {
    let counts = &detail.summary.counts;
    let workers = detail.providers.iter().filter(|p| p.node.is_some() && p.accepted > 0).count();
    let held =
        if counts.held > 0 { format!(" ({} held before)", counts.held) } else { String::new() };
    let mut lines = vec![format!(
        "{}: {} accepted{held}, {} failed; {} in {}",
        plural(counts.tasks.into(), "task"),
        counts.accepted,
        counts.failed,
        plural(workers as u64, "provider"),
        show_ms(elapsed_ms)
    )];
    lines.push(format!(
        "fuel {}  price {}  audited {}  retried {}",
        show_exact(detail.fuel.0.into()),
        show_exact(detail.price.0),
        detail.audited,
        detail.retried
    ));
    if detail.budget.is_some() || detail.summary.billed != detail.price {
        lines.push(format!("billed {}", billed(detail)));
    }
    if counts.accepted > 0 && !detail.nondeterministic {
        lines.push(format!("confidence: {}", sureness::confidence(detail)));
    }
    if detail.nondeterministic {
        lines.push("the job opted out of determinism: nothing was verified".to_owned());
    }
    lines
}

fn say_bad(
    detail: &JobDetail,
    rows: &[TaskRow],
    bad: &[(u32, EndJson)],
    output: &OutputArgs,
    ui: &Ui,
) {
    let job = detail.summary.id;
    if detail.mismatches > 0 {
        let liars: Vec<_> = detail
            .providers
            .iter()
            .filter(|provider| provider.mismatches > 0)
            .filter_map(|provider| Some(provider.node?.to_string()))
            .collect();
        ui.alarm(&format!(
            "mismatches: {}; {} signed what an audit contradicted; its work was run again",
            detail.mismatches,
            liars.join(", ")
        ));
        ui.hint(&format!("`ayni job show {job} --evidence`"));
    }
    if detail.summary.state == JobState::Cancelled {
        ui.warn("the job was cancelled");
    }
    let failed: Vec<_> = rows.iter().filter(|row| row.state == TaskState::Failed).collect();
    for row in failed.iter().take(5) {
        let why = row.error.as_deref().map(escape).unwrap_or_default();
        ui.warn(&format!("task {} failed: {why}", row.index));
    }
    if failed.len() > 5 {
        ui.warn(&format!("and {} more failed", failed.len() - 5));
    }
    for (index, end) in bad.iter().take(5) {
        ui.warn(&format!("task {index} ended with {end}"));
    }
    if bad.len() > 5 {
        ui.warn(&format!("and {} more ended other than with exit 0", bad.len() - 5));
    }
    if let (Some((index, _)), None) = (bad.first(), &output.out) {
        ui.hint(&format!("`ayni job logs {job} --task {index}` shows what it wrote"));
    }
}

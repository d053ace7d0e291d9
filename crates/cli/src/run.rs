//! `ayni run`: makes the tasks, submits the job, watches it, writes its results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ayni_api::codes::exit;
use ayni_api::json::{
    AddTasks, JobDetail, JobRequest, Schema, TaskFilter, TaskJson, Text, VerifyJson,
};
use ayni_api::{ApiError, Client, codes};
use ayni_types::JobId;
use serde::Serialize;

use crate::args::{OutputArgs, RunArgs};
use crate::check;
use crate::daemon;
use crate::expand::{MapFile, Planned, Split, expand};
use crate::inputs::{self, Plan};
use crate::job::{finish, interrupted};
use crate::output::{JobNote, Writer};
use crate::pilot;
use crate::progress::Progress;
use crate::quantity::{show_bytes, show_count, show_ms};
use crate::sureness;
use crate::table::{facts, plural};
use crate::ui::Ui;
use crate::watch::{Seen, Until, watch};

/// Tasks in one request: about a mebibyte of JSON.
const TASKS_PER_REQUEST: usize = 1_000;
/// Bytes of arguments and environment in one request, at most.
const TEXT_PER_REQUEST: usize = 8 << 20;

/// Runs a job.
pub(crate) async fn run(args: RunArgs, home: &Path, ui: &Ui) -> anyhow::Result<ExitCode> {
    let mut progress = Progress::new(ui);
    progress.phase("reading  the inputs");
    let mut plan = inputs::plan(&args)?;
    if let Some(folder) = &args.watch {
        return follow(&args, plan, folder, home, ui, progress).await;
    }
    let tasks = expand(&plan.common, &plan.split)?;
    if args.dry_run {
        progress.clear();
        ui.show(&DryRun::new(&plan, &tasks), |dry| dry.text(&plan));
        return Ok(ExitCode::from(exit::OK));
    }
    let client = daemon::ensure(home).await?;
    check_program(&client, &plan, &progress).await?;
    if plan.sources.bytes() > 0 {
        progress.phase(&format!(
            "uploading  {}, {}",
            plural(plan.sources.len() as u64, "blob"),
            show_bytes(plan.sources.bytes())
        ));
        plan.sources.upload(&client, |done, total| progress.bytes(done, total)).await?;
    }
    let started = Instant::now();
    let id = args.id.map_or_else(random_job, Ok)?;
    if !plan.home && client.offers(true).await?.offers.is_empty() {
        plan.home = true;
        progress.say(|ui| {
            ui.note("no provider is known: this machine's own cores do the work until one is");
            ui.hint("`ayni join TICKET` finds others, `ayni dev` makes a network here");
        });
    }
    let mut writer = open_writer(&client, &args, &plan, id, &tasks)?;
    let pilot = plan.pilot.filter(|count| *count > 0 && u64::from(*count) < tasks.len() as u64);
    let first = pilot.map_or(tasks.len(), |count| count as usize);
    submit(&client, &request(&plan, id), &tasks[..first], pilot.is_none(), &progress).await?;
    progress.say(|ui| ui.note(&format!("job {id}: {}", plural(tasks.len() as u64, "task"))));
    if args.detach {
        progress.clear();
        ui.show(&Submitted { schema: Schema, job: Text(id) }, |s| s.job.to_string());
        ui.hint(&format!(
            "`ayni job attach {id}` watches it, `ayni job fetch {id} -o DIR` writes results"
        ));
        return Ok(ExitCode::from(exit::OK));
    }
    if let Some(count) = pilot {
        let until = Until::Settled(count);
        let seen = watch(&client, id, &mut progress, writer.as_mut(), until).await?;
        let Seen::Reached(detail) = seen else {
            // What was planned is not yet there: with nobody to add it, the job ends here.
            client.close(id).await?;
            return Ok(interrupted(id, ui, &progress));
        };
        say_pilot(&client, &detail, &tasks, &plan.split, count, &progress).await?;
        add(&client, id, &tasks, first, &progress).await?;
        client.close(id).await?;
    }
    match watch(&client, id, &mut progress, writer.as_mut(), Until::Ended).await? {
        Seen::Interrupted => Ok(interrupted(id, ui, &progress)),
        Seen::Reached(detail) => {
            progress.clear();
            let labels: Vec<_> = tasks.iter().map(|task| task.label.clone()).collect();
            let single = matches!(plan.split, Split::Single);
            finish(&client, &detail, &labels, &args_output(&args), single, started.elapsed(), ui)
                .await
        }
    }
}

fn args_output(args: &RunArgs) -> OutputArgs {
    OutputArgs { out: args.out.clone(), collect: args.collect.clone() }
}

async fn check_program(client: &Client, plan: &Plan, progress: &Progress) -> Result<(), ApiError> {
    let shown = plan.program.display().to_string();
    progress.phase(&format!("checking  {shown}"));
    let program = plan.common.program;
    plan.sources.upload_one(client, program).await?;
    let report = client.check(program).await?;
    for remark in &report.remarks {
        tracing::info!("{shown}: {}", crate::ui::escape(remark));
    }
    if report.runs { Ok(()) } else { Err(check::refusal(&shown, &report)) }
}

fn open_writer(
    client: &Client,
    args: &RunArgs,
    plan: &Plan,
    id: JobId,
    tasks: &[Planned],
) -> Result<Option<Writer>, ApiError> {
    let Some(dir) = &args.out else { return Ok(None) };
    let labels = tasks.iter().map(|task| task.label.clone()).collect();
    let note = JobNote::new(id, &plan.name, Some(plan.common.program), labels);
    Writer::open(client, dir, note, tasks.len()).map(Some)
}

fn request(plan: &Plan, id: JobId) -> JobRequest {
    JobRequest {
        id: Text(id),
        name: plan.name.chars().take(50).collect(),
        tasks: Vec::new(),
        open: false,
        timeout_ms: plan.timeout_ms,
        deadline_ms: plan.deadline_ms,
        verify: plan.verify.clone(),
        providers_max: plan.providers_max,
        home: plan.home,
        nondeterministic: plan.nondeterministic,
        price_max: plan.price_max,
        budget: plan.budget.map(Text),
    }
}

/// How many of `tasks` go into one request.
fn portion(tasks: &[Planned]) -> usize {
    let mut text = 0;
    let fits = tasks.iter().take(TASKS_PER_REQUEST).take_while(|planned| {
        text += planned.task.args.iter().map(String::len).sum::<usize>();
        text +=
            planned.task.env.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        text <= TEXT_PER_REQUEST
    });
    fits.count().max(1).min(tasks.len())
}

fn bodies(tasks: &[Planned]) -> Vec<TaskJson> {
    tasks.iter().map(|planned| planned.task.clone()).collect()
}

async fn submit(
    client: &Client,
    request: &JobRequest,
    tasks: &[Planned],
    close: bool,
    progress: &Progress,
) -> Result<(), ApiError> {
    let first = portion(tasks);
    let whole = first == tasks.len() && close;
    let request = JobRequest { tasks: bodies(&tasks[..first]), open: !whole, ..request.clone() };
    let accepted = client.submit(&request).await?;
    if accepted.held > 0 {
        let held = plural(accepted.held.into(), "outcome");
        progress.say(|ui| ui.note(&format!("{held} already held: not run again")));
    }
    add(client, request.id.0, tasks, first, progress).await?;
    if close && !whole {
        client.close(request.id.0).await?;
    }
    Ok(())
}

/// Adds the tasks from `from` on to an open job.
async fn add(
    client: &Client,
    id: JobId,
    tasks: &[Planned],
    mut from: usize,
    progress: &Progress,
) -> Result<(), ApiError> {
    while from < tasks.len() {
        let count = portion(&tasks[from..]);
        let part = &tasks[from..from + count];
        let first_index = u32::try_from(from).map_err(|error| ApiError::internal(&error))?;
        client.add_tasks(id, &AddTasks { first_index, tasks: bodies(part) }).await?;
        from += count;
        progress.phase(&format!("submitting  {from} of {}", plural(tasks.len() as u64, "task")));
    }
    Ok(())
}

async fn say_pilot(
    client: &Client,
    detail: &JobDetail,
    tasks: &[Planned],
    split: &Split,
    count: u32,
    progress: &Progress,
) -> Result<(), ApiError> {
    let filter =
        TaskFilter { from: 0, count: Some(count.min(1_000)), state: None, ..TaskFilter::default() };
    let page = client.tasks(detail.summary.id.0, filter).await?;
    let sizes: Vec<_> = tasks.iter().map(|task| task.size).collect();
    let samples = pilot::samples(&page.tasks, &sizes);
    let step = match split {
        Split::Range { step, .. } => Some(*step),
        _ => None,
    };
    let slots = detail.providers.iter().map(|provider| u64::from(provider.slots)).sum();
    let rest = tasks.len() as u64 - u64::from(count);
    progress.say(|ui| {
        for line in pilot::report(&samples, step, rest, slots) {
            ui.note(&line);
        }
    });
    Ok(())
}

/// Draws the id of a job.
fn random_job() -> Result<JobId, ApiError> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| {
        ApiError::new(codes::NODE_INTERNAL, format!("the system gives no random bytes: {error}"))
    })?;
    Ok(JobId(id))
}

/// How often a watched folder is looked at. A file is taken when it did not change between two
/// looks: it may be on its way.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// `--watch`: every file that is in the folder or comes into it becomes a task.
async fn follow(
    args: &RunArgs,
    mut plan: Plan,
    folder: &Path,
    home: &Path,
    ui: &Ui,
    mut progress: Progress,
) -> anyhow::Result<ExitCode> {
    if !folder.is_dir() {
        let text = format!("`{}` is not a folder to watch", folder.display());
        return Err(ApiError::new(codes::INPUT_FILE, text).into());
    }
    let started = Instant::now();
    let client = daemon::ensure(home).await?;
    check_program(&client, &plan, &progress).await?;
    let id = args.id.map_or_else(random_job, Ok)?;
    let mut writer = open_writer(&client, args, &plan, id, &[])?;
    let open = JobRequest { open: true, ..request(&plan, id) };
    client.submit(&open).await?;
    progress.say(|ui| {
        ui.note(&format!("job {id}: watching {}; Ctrl-C ends it", folder.display()));
    });
    let mut files: Vec<MapFile> = Vec::new();
    let mut seen = Folder::default();
    let mut sent = 0;
    let mut accepted = 0;
    let mut interrupt = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        for path in still_files(folder, &mut seen)? {
            match inputs::map_file(&path, &mut plan.sources) {
                Ok(file) => files.push(file),
                // One file that can't be used must not end the watch for all others.
                Err(error) => progress.say(|ui| ui.warn(&format!("skipped: {}", error.message))),
            }
        }
        if sent < files.len() {
            let tasks = expand(&plan.common, &Split::Map(files.clone()))?;
            plan.sources.upload(&client, |done, total| progress.bytes(done, total)).await?;
            if let Some(writer) = &mut writer {
                writer.add_labels(tasks[sent..].iter().map(|task| task.label.clone()))?;
            }
            add(&client, id, &tasks, sent, &progress).await?;
            for task in &tasks[sent..] {
                progress.say(|ui| ui.note(&format!("new  {}", task.label)));
            }
            sent = files.len();
        }
        let detail = client.job(id).await?;
        if detail.summary.counts.accepted != accepted
            && let Some(writer) = &mut writer
        {
            writer.sync().await?;
            accepted = detail.summary.counts.accepted;
        }
        progress.job(&detail);
        tokio::select! {
            _ = &mut interrupt => break,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
    client.close(id).await?;
    progress.say(|ui| ui.note("no more files are taken; waiting for the last results"));
    match watch(&client, id, &mut progress, writer.as_mut(), Until::Ended).await? {
        Seen::Interrupted => Ok(interrupted(id, ui, &progress)),
        Seen::Reached(detail) => {
            progress.clear();
            let labels: Vec<_> = if files.is_empty() {
                Vec::new()
            } else {
                expand(&plan.common, &Split::Map(files))?.into_iter().map(|t| t.label).collect()
            };
            finish(&client, &detail, &labels, &args_output(args), false, started.elapsed(), ui)
                .await
        }
    }
}

/// Size, time of change and whether it was taken, of each file seen.
#[derive(Default)]
struct Folder(std::collections::HashMap<PathBuf, (u64, Option<std::time::SystemTime>, bool)>);

/// Files that did not change between two looks and were not taken before, by name.
fn still_files(folder: &Path, Folder(seen): &mut Folder) -> Result<Vec<PathBuf>, ApiError> {
    let failed = |error: std::io::Error| {
        ApiError::new(codes::INPUT_FILE, format!("can't read `{}`: {error}", folder.display()))
    };
    let mut still = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let Ok(found) = std::fs::metadata(&path) else { continue };
        if hidden || !found.is_file() {
            continue;
        }
        let now = (found.len(), found.modified().ok());
        match seen.get_mut(&path) {
            Some((_, _, true)) => {}
            Some((size, modified, taken)) if (*size, *modified) == now => {
                *taken = true;
                still.push(path);
            }
            _ => {
                seen.insert(path, (now.0, now.1, false));
            }
        }
    }
    still.sort();
    Ok(still)
}

#[derive(Serialize)]
struct Submitted {
    schema: Schema,
    job: Text<JobId>,
}

/// What `--dry-run` says.
#[derive(Serialize)]
struct DryRun<'a> {
    schema: Schema,
    name: &'a str,
    tasks: usize,
    input_bytes: u64,
    timeout_ms: u64,
    deadline_ms: Option<u64>,
    verify: &'a VerifyJson,
    providers_max: u32,
    /// The first few.
    first: Vec<DryTask<'a>>,
}

#[derive(Serialize)]
struct DryTask<'a> {
    name: &'a str,
    #[serde(flatten)]
    task: &'a TaskJson,
}

impl<'a> DryRun<'a> {
    fn new(plan: &'a Plan, tasks: &'a [Planned]) -> Self {
        let first = tasks.iter().take(5);
        Self {
            schema: Schema,
            name: &plan.name,
            tasks: tasks.len(),
            input_bytes: plan.sources.bytes(),
            timeout_ms: plan.timeout_ms,
            deadline_ms: plan.deadline_ms,
            verify: &plan.verify,
            providers_max: plan.providers_max,
            first: first.map(|p| DryTask { name: &p.label, task: &p.task }).collect(),
        }
    }

    fn text(&self, plan: &Plan) -> String {
        let limits = plan.common.limits;
        let mut text = facts(&[
            ("name", self.name.to_owned()),
            ("program", format!("{} ({})", plan.program.display(), plan.common.program.short())),
            ("tasks", self.tasks.to_string()),
            ("inputs", show_bytes(self.input_bytes)),
            ("memory", show_bytes(limits.memory_bytes)),
            ("fuel", show_count(limits.fuel.0)),
            ("output", show_bytes(limits.output_bytes)),
            ("timeout", show_ms(self.timeout_ms)),
            ("verified", sureness::rule(self.verify)),
            ("providers", format!("at most {}", self.providers_max)),
        ]);
        for task in &self.first {
            text.push_str(&format!("\n{}  {}", task.name, task.task.args.join(" ")));
            for mount in &task.task.mounts {
                text.push_str(&format!("\n  {}  {}", mount.path, mount.blob.0.short()));
            }
        }
        if self.tasks > self.first.len() {
            text.push_str(&format!("\n… and {} more", self.tasks - self.first.len()));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_taken_once_and_only_when_it_is_still() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        std::fs::write(dir.path().join(".hidden"), "x").unwrap();
        std::fs::write(&path, "1").unwrap();
        let mut seen = Folder::default();
        assert!(still_files(dir.path(), &mut seen).unwrap().is_empty(), "just came");
        std::fs::write(&path, "12").unwrap();
        assert!(still_files(dir.path(), &mut seen).unwrap().is_empty(), "still grows");
        assert_eq!(still_files(dir.path(), &mut seen).unwrap(), std::slice::from_ref(&path));
        assert!(still_files(dir.path(), &mut seen).unwrap().is_empty(), "was taken");
    }

    #[test]
    fn requests_are_cut_by_count_and_by_text() {
        let planned = |text: usize| Planned {
            label: "x".into(),
            size: 1,
            task: TaskJson {
                engine: "wasi1".into(),
                program: Text(ayni_types::Digest([1; 32])),
                args: vec!["x".repeat(text)],
                env: [].into(),
                stdin: None,
                mounts: vec![],
                limits: ayni_api::json::LimitsJson::default(),
                blind: None,
            },
        };
        assert_eq!(portion(&vec![planned(1); 1_500]), 1_000);
        assert_eq!(portion(&vec![planned(100_000); 1_500]), 83);
        assert_eq!(portion(&[planned(1)]), 1);
        assert_eq!(portion(&[planned(TEXT_PER_REQUEST * 2), planned(1)]), 1);
    }
}

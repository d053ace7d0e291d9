//! Writes results: a folder a task, or one log when there are very many.
//!
//! What is written came from strangers' programs: file names are checked before they become
//! paths, and a task's folder is built aside and moved into place, so that a reader never sees half
//! of one.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use ayni_api::json::{OutcomeJson, Schema, TaskDetail, TaskFilter, TaskRow, TaskState, Text};
use ayni_api::{ApiError, Client, codes};
use ayni_types::{Digest, JobId, TreeEntry};
use data_encoding::BASE64;
use futures_util::StreamExt as _;
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::task::JoinSet;

use crate::expand::safe_name;

/// More tasks than this go into one log.
pub(crate) const FOLDERS_MAX: usize = 10_000;
/// Tasks fetched and written at once.
const WRITES_AT_ONCE: usize = 8;
/// Output that is taken into a JSON line, in bytes.
const INLINE_BYTES_MAX: u64 = 16 << 20;

/// What a results folder is of: its file `job.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobNote {
    schema: Schema,
    job: Text<JobId>,
    name: String,
    program: Option<Text<Digest>>,
    labels: Vec<String>,
}

impl JobNote {
    const FILE: &'static str = "job.json";

    pub(crate) fn new(
        job: JobId,
        name: &str,
        program: Option<Digest>,
        labels: Vec<String>,
    ) -> Self {
        let program = program.map(Text);
        Self { schema: Schema, job: Text(job), name: name.to_owned(), program, labels }
    }

    fn save(&self, dir: &Path) -> Result<(), ApiError> {
        let mut text = serde_json::to_string(self).map_err(|error| ApiError::internal(&error))?;
        text.push('\n');
        let path = dir.join(Self::FILE);
        // Whole or not at all: half a note would be taken for somebody else's.
        let draft = dir.join(format!(".{}.part", Self::FILE));
        let written = std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, &path));
        written.map_err(|error| {
            let _ = std::fs::remove_file(&draft);
            failed(&path, &error)
        })
    }
}

/// Where results go, and which are there.
pub(crate) struct Writer {
    client: Client,
    job: JobId,
    dir: PathBuf,
    note: JobNote,
    as_log: bool,
    written: HashMap<u32, Digest>,
    underway: JoinSet<Result<(u32, Option<Digest>), ApiError>>,
    /// Digests asked for, so that nothing is fetched twice at a time.
    asked: HashMap<u32, Digest>,
}

impl Writer {
    /// Opens `dir` for the results of a job of `tasks` tasks.
    pub(crate) fn open(
        client: &Client,
        dir: &Path,
        mut note: JobNote,
        tasks: usize,
    ) -> Result<Self, ApiError> {
        if let Some(found) = prepare(dir, &note)?
            && note.labels.is_empty()
        {
            note.labels = found.labels;
        }
        let as_log = tasks > FOLDERS_MAX;
        if as_log {
            note.labels.clear();
        }
        note.save(dir)?;
        Ok(Self {
            client: client.clone(),
            job: note.job.0,
            dir: dir.to_owned(),
            note,
            as_log,
            written: HashMap::new(),
            underway: JoinSet::new(),
            asked: HashMap::new(),
        })
    }

    /// Names the tasks that follow those named so far (a watched folder grows).
    pub(crate) fn add_labels(
        &mut self,
        labels: impl Iterator<Item = String>,
    ) -> Result<(), ApiError> {
        self.note.labels.extend(labels);
        self.note.save(&self.dir)
    }

    /// An outcome was accepted: fetch and write it, unless that has been done.
    pub(crate) async fn accepted(&mut self, index: u32, outcome: Digest) -> Result<(), ApiError> {
        if self.asked.get(&index) == Some(&outcome) {
            return Ok(());
        }
        // One write at a time for each task: a replaced outcome waits for the one it replaces.
        let busy = self.asked.contains_key(&index) && !self.written.contains_key(&index);
        while busy && !self.underway.is_empty() || self.underway.len() >= WRITES_AT_ONCE {
            self.finish_one().await?;
        }
        self.asked.insert(index, outcome);
        self.written.remove(&index);
        let (client, job, dir) = (self.client.clone(), self.job, self.dir.clone());
        let label = self.label(index);
        let as_log = self.as_log;
        self.underway.spawn(async move {
            let task = client.task(job, index).await?;
            // Doubted since, and run again: it is accepted once more, perhaps with the same outcome.
            let Some(found) = &task.row.outcome else { return Ok((index, None)) };
            if as_log {
                append(&client, &dir, &label, &task.row).await?;
            } else {
                write_task(&client, job, &dir, &label, &task, found).await?;
            }
            Ok((index, Some(found.digest.0)))
        });
        Ok(())
    }

    /// Looks at all accepted tasks of the job and writes those that are missing.
    pub(crate) async fn sync(&mut self) -> Result<(), ApiError> {
        let client = self.client.clone();
        let mut filter = TaskFilter {
            from: 0,
            count: Some(500),
            state: Some(TaskState::Accepted),
            ..TaskFilter::default()
        };
        loop {
            let page = client.tasks(self.job, filter).await?;
            for row in &page.tasks {
                if let Some(outcome) = &row.outcome {
                    self.accepted(row.index, outcome.digest.0).await?;
                }
            }
            match page.next {
                Some(next) => filter.from = next,
                None => return Ok(()),
            }
        }
    }

    /// Waits until all that was begun is written.
    pub(crate) async fn flush(&mut self) -> Result<(), ApiError> {
        while !self.underway.is_empty() {
            self.finish_one().await?;
        }
        Ok(())
    }

    async fn finish_one(&mut self) -> Result<(), ApiError> {
        match self.underway.join_next().await {
            None => Ok(()),
            Some(Ok(Ok((index, Some(digest))))) => {
                self.written.insert(index, digest);
                Ok(())
            }
            Some(Ok(Ok((index, None)))) => {
                self.asked.remove(&index);
                Ok(())
            }
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(ApiError::internal(&error)),
        }
    }

    fn label(&self, index: u32) -> String {
        let named = usize::try_from(index).ok().and_then(|at| self.note.labels.get(at));
        named.map_or_else(|| format!("{index:05}"), |label| safe_name(label))
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> ApiError {
    ApiError::new(codes::OUTPUT_WRITE, format!("can't write `{}`: {error}", path.display()))
}

/// Makes the folder, or makes sure that it holds results of the same job or program.
fn prepare(dir: &Path, note: &JobNote) -> Result<Option<JobNote>, ApiError> {
    let refuse = |why: String| {
        Err(ApiError::new(codes::OUTPUT_DIR, format!("output folder `{}` {why}", dir.display())))
    };
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
            return Ok(None);
        }
        Err(error) => return refuse(format!("can't be used: {error}")),
        Ok(entries) => entries.count(),
    };
    if entries == 0 {
        return Ok(None);
    }
    let Ok(text) = std::fs::read_to_string(dir.join(JobNote::FILE)) else {
        return refuse("holds other things".to_owned());
    };
    let Ok(found) = serde_json::from_str::<JobNote>(&text) else {
        return refuse(format!("has a {} that is not ours", JobNote::FILE));
    };
    if found.job == note.job {
        return Ok(Some(found));
    }
    let same_program = note.program.is_some() && found.program == note.program;
    if !same_program {
        return refuse(format!("holds results of another job, `{}`", found.name.escape_debug()));
    }
    // The same job once more, perhaps grown: nothing is left over from the time before.
    let labels: HashSet<_> = note.labels.iter().collect();
    match found.labels.iter().find(|label| !labels.contains(label)) {
        None => Ok(Some(found)),
        Some(label) => {
            let label = label.escape_debug();
            refuse(format!("holds results of a task `{label}`, which this job does not have"))
        }
    }
}

#[derive(Serialize)]
struct OutcomeFile<'a> {
    schema: Schema,
    job: Text<JobId>,
    name: &'a str,
    #[serde(flatten)]
    row: &'a TaskRow,
    args: &'a [String],
}

async fn write_task(
    client: &Client,
    job: JobId,
    dir: &Path,
    label: &str,
    task: &TaskDetail,
    outcome: &OutcomeJson,
) -> Result<(), ApiError> {
    let draft = dir.join(format!(".part-{}", task.row.index));
    let place = dir.join(label);
    let io = |error: std::io::Error| failed(&place, &error);
    remove(&draft).await.map_err(io)?;
    tokio::fs::create_dir_all(&draft).await.map_err(io)?;
    write_outcome(client, &draft, outcome).await?;
    if task.row.receipt
        && let Some(receipt) = client.receipt(job, task.row.index).await?
    {
        tokio::fs::write(draft.join("receipt"), receipt).await.map_err(io)?;
    }
    let file = OutcomeFile {
        schema: Schema,
        job: Text(job),
        name: label,
        row: &task.row,
        args: &task.spec.args,
    };
    let mut text = serde_json::to_vec_pretty(&file).map_err(|e| ApiError::internal(&e))?;
    text.push(b'\n');
    tokio::fs::write(draft.join("outcome.json"), text).await.map_err(io)?;
    remove(&place).await.map_err(io)?;
    tokio::fs::rename(&draft, &place).await.map_err(io)
}

async fn remove(path: &Path) -> std::io::Result<()> {
    match tokio::fs::remove_dir_all(path).await {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Writes `stdout`, `stderr` and `files/` of an outcome into `dir`.
pub(crate) async fn write_outcome(
    client: &Client,
    dir: &Path,
    outcome: &OutcomeJson,
) -> Result<(), ApiError> {
    write_blob(client, outcome.stdout.digest.0, outcome.stdout.size, &dir.join("stdout")).await?;
    write_blob(client, outcome.stderr.digest.0, outcome.stderr.size, &dir.join("stderr")).await?;
    for file in &outcome.files {
        let path = file_path(dir, &file.path)?;
        if let Some(folder) = path.parent() {
            tokio::fs::create_dir_all(folder).await.map_err(|error| failed(&path, &error))?;
        }
        write_blob(client, file.digest.0, file.size, &path).await?;
    }
    Ok(())
}

/// Where an output file of this name goes; never outside `dir`.
fn file_path(dir: &Path, name: &str) -> Result<PathBuf, ApiError> {
    if let Some(why) = TreeEntry::path_fault(name) {
        let shown: String = name.chars().take(200).collect();
        return Err(ApiError::new(
            codes::OUTPUT_WRITE,
            format!("the output file `{}` is not written: its name {why}", shown.escape_debug()),
        ));
    }
    Ok(dir.join("files").join(name))
}

async fn write_blob(
    client: &Client,
    digest: Digest,
    size: u64,
    path: &Path,
) -> Result<(), ApiError> {
    let io = |error: std::io::Error| failed(path, &error);
    let mut file = tokio::fs::File::create(path).await.map_err(io)?;
    if size > 0 {
        client.blob_to(digest, &mut file).await?;
    }
    file.flush().await.map_err(io)
}

/// One task as a line of `--collect` and of the log.
#[derive(Debug, Serialize)]
struct Line<'a> {
    index: u32,
    name: &'a str,
    task: Text<ayni_types::TaskId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fuel: Option<Text<u64>>,
    #[serde(flatten)]
    stdout: Option<Inline>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outcome: Option<&'a OutcomeJson>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Text<ayni_types::NodeId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<ayni_api::json::Verification>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Standard output inside a line: as text if it is text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Inline {
    Stdout(String),
    StdoutBase64(String),
}

async fn line(client: &Client, name: &str, row: &TaskRow) -> Result<Vec<u8>, ApiError> {
    let stdout = match &row.outcome {
        Some(outcome) if outcome.stdout.size == 0 => Some(Inline::Stdout(String::new())),
        Some(outcome) if outcome.stdout.size <= INLINE_BYTES_MAX => {
            let bytes = client.blob_bytes(outcome.stdout.digest.0, INLINE_BYTES_MAX).await?;
            Some(match String::from_utf8(bytes) {
                Ok(text) => Inline::Stdout(text),
                Err(error) => Inline::StdoutBase64(BASE64.encode(error.as_bytes())),
            })
        }
        _ => None,
    };
    let line = Line {
        index: row.index,
        name,
        task: row.task,
        end: row.outcome.as_ref().map(|outcome| outcome.end.to_string()),
        fuel: row.outcome.as_ref().map(|outcome| outcome.fuel),
        stdout,
        outcome: row.outcome.as_ref(),
        provider: row.provider,
        verification: row.verification,
        error: row.error.as_deref(),
    };
    let mut bytes = serde_json::to_vec(&line).map_err(|error| ApiError::internal(&error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Appends a line to the log of a large job; the last line of a task counts.
async fn append(client: &Client, dir: &Path, name: &str, row: &TaskRow) -> Result<(), ApiError> {
    let bytes = line(client, name, row).await?;
    let path = dir.join("results.ndjson");
    let mut log = tokio::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)
        .await
        .map_err(|error| failed(&path, &error))?;
    // One write: lines of several tasks do not mix.
    log.write_all(&bytes).await.map_err(|error| failed(&path, &error))?;
    log.flush().await.map_err(|error| failed(&path, &error))
}

/// Writes one line a task, in order, failed ones too.
pub(crate) async fn collect(
    client: &Client,
    job: JobId,
    labels: &[String],
    path: &Path,
) -> Result<u64, ApiError> {
    let io = |error: std::io::Error| failed(path, &error);
    let draft = path.with_extension("part");
    let mut out = tokio::io::BufWriter::new(tokio::fs::File::create(&draft).await.map_err(io)?);
    let mut filter = TaskFilter { from: 0, count: Some(500), state: None, ..TaskFilter::default() };
    let mut count = 0;
    loop {
        let page = client.tasks(job, filter).await?;
        let mut lines = futures_util::stream::iter(&page.tasks)
            .map(|row| {
                let at = usize::try_from(row.index).unwrap_or(usize::MAX);
                let name = labels.get(at).map_or("", |label| label);
                line(client, name, row)
            })
            .buffered(WRITES_AT_ONCE);
        while let Some(line) = lines.next().await {
            out.write_all(&line?).await.map_err(io)?;
            count += 1;
        }
        match page.next {
            Some(next) => filter.from = next,
            None => break,
        }
    }
    out.flush().await.map_err(io)?;
    tokio::fs::rename(&draft, path).await.map_err(io)?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_file_names_never_leave_the_folder() {
        let dir = Path::new("/results/task");
        for bad in ["../x", "/etc/passwd", "a/../../x", "", "a//b", ".", "a\0b", "a\u{1b}[2J"] {
            let error = file_path(dir, bad).unwrap_err().to_string();
            assert!(!error.contains('\u{1b}') && !error.contains('\0'), "{error:?}");
        }
        assert_eq!(file_path(dir, "a/b.txt").unwrap(), dir.join("files/a/b.txt"));
    }

    #[test]
    fn a_folder_with_other_things_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let note = |job: u8, program: u8| {
            JobNote::new(JobId([job; 16]), "n", Some(Digest([program; 32])), vec!["a".into()])
        };
        let dir = root.path().join("new/deep");
        assert_eq!(prepare(&dir, &note(1, 1)).unwrap(), None);
        assert_eq!(prepare(&dir, &note(1, 1)).unwrap(), None, "empty is as good as new");
        std::fs::write(dir.join("thesis.tex"), "x").unwrap();
        let error = prepare(&dir, &note(1, 1)).unwrap_err().to_string();
        assert!(error.contains("holds other things"), "{error}");
        let ours = serde_json::to_string(&note(1, 1)).unwrap();
        std::fs::write(dir.join("job.json"), ours).unwrap();
        for same in [note(1, 1), note(1, 2), note(2, 1)] {
            assert_eq!(prepare(&dir, &same).unwrap(), Some(note(1, 1)));
        }
        let error = prepare(&dir, &note(2, 2)).unwrap_err().to_string();
        assert!(error.contains("another job"), "{error}");
        let mut other = note(2, 1);
        other.labels = vec!["b".into()];
        let error = prepare(&dir, &other).unwrap_err().to_string();
        assert!(error.contains("a task `a`"), "{error}");
        other.labels.push("a".into());
        assert!(prepare(&dir, &other).is_ok(), "the same job with more inputs");
        assert!(prepare(&dir.join("thesis.tex"), &note(1, 1)).is_err());
    }
}

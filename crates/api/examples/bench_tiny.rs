//! Many tiny tasks through a running node's API: what `cargo xtask bench tiny` starts and makes a
//! table of.
//!
//! `bench_tiny HOME PROGRAM SAMPLES TASKS REPEATS` with a node that knows a provider. First one
//! task at a time, for the time to its provisional outcome; then whole jobs, generated piece by
//! piece as they are submitted. Every output is compared with what this program computes itself.
//! Prints lines of tab-separated words: `warm`, microseconds; `job`, tasks, milliseconds by the
//! node's clock, milliseconds until the last output was compared. Before each job, and after it, a
//! line `about` with its number and `begins` or `ends`, so that its reader can look at processes.
//! Deliberately not here: who starts the node, and what its processes used.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ayni_api::Client;
use ayni_api::json::{
    AddTasks, EventKind, JobRequest, LimitsJson, TaskFilter, TaskJson, TaskState, Text, VerifyJson,
};
use ayni_types::{Digest, JobId};

type Failure = Box<dyn std::error::Error>;

/// Tasks submitted in one request.
const PIECE: u32 = 5_000;
/// Rows asked for at once.
const ROWS: u32 = 1_000;
/// Rounds that the program mixes.
const ROUNDS: u64 = 4_000;
/// Tasks before the first that is timed: one compiles, the others warm up.
const WARM_UP: u32 = 5;
/// What nothing here should take.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("usage: bench_tiny HOME PROGRAM SAMPLES TASKS REPEATS");
    let home = PathBuf::from(word()?);
    let program = std::fs::read(word()?)?;
    let samples: u32 = word()?.parse()?;
    let tasks: u32 = word()?.parse()?;
    let repeats: u32 = word()?.parse()?;
    let client = Client::of_home(&home).await?;
    let program = client.put_blob(program).await?.digest.0;
    warm(&client, program, samples).await?;
    for repeat in 0..repeats {
        let first = (u64::from(repeat) + 1) << 32;
        job(&client, program, first, tasks, repeat).await?;
    }
    Ok(())
}

fn tell(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// One task after the other, each sent when the one before has been accepted.
async fn warm(client: &Client, program: Digest, samples: u32) -> Result<(), Failure> {
    let id = open(client).await?;
    let mut events = client.events(Some(id), None).await?;
    for index in 0..samples + WARM_UP {
        let began = Instant::now();
        let request = AddTasks { first_index: index, tasks: vec![task(program, u64::from(index))] };
        client.add_tasks(id, &request).await?;
        let mut delivered = None;
        loop {
            let event = events.next().await?.ok_or("the node ended its news")?;
            match event.kind {
                EventKind::Delivered { index: at, .. } if at == index => {
                    delivered.get_or_insert_with(|| began.elapsed());
                }
                EventKind::TaskAccepted { index: at, outcome, .. } if at == index => {
                    check(index, &outcome.stdout.digest.0, u64::from(index))?;
                    break;
                }
                EventKind::TaskFailed { reason, .. } => return Err(reason.into()),
                _ => {}
            }
        }
        if let Some(delivered) = delivered.filter(|_| index >= WARM_UP) {
            tell(&format!("warm\t{}", delivered.as_micros()))?;
        }
    }
    client.close(id).await?;
    Ok(())
}

/// A job of many, read back and compared.
async fn job(
    client: &Client,
    program: Digest,
    first: u64,
    tasks: u32,
    repeat: u32,
) -> Result<(), Failure> {
    tell(&format!("about\t{repeat}\tbegins"))?;
    let began = Instant::now();
    let id = open(client).await?;
    let mut index = 0;
    while index < tasks {
        let end = tasks.min(index + PIECE);
        let piece = (index..end).map(|at| task(program, first + u64::from(at))).collect();
        client.add_tasks(id, &AddTasks { first_index: index, tasks: piece }).await?;
        index = end;
    }
    client.close(id).await?;
    let job = loop {
        let job = client.job(id).await?;
        if job.summary.state.is_final() {
            break job.summary;
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("after an hour: {job:?}").into());
        }
        // A look at a job costs its node as much as the job has tasks.
        tokio::time::sleep(Duration::from_micros(200_000 + 2 * u64::from(tasks))).await;
    };
    tell(&format!("about\t{repeat}\tends"))?;
    if job.counts.accepted != tasks {
        return Err(format!("{tasks} tasks were submitted: {:?}", job.counts).into());
    }
    let ended = job.ended_ms.ok_or("an ended job without its end")?;
    let mut next = Some(0);
    let mut seen = 0;
    while let Some(from) = next {
        let filter = TaskFilter { from, count: Some(ROWS), ..TaskFilter::default() };
        let rows = client.tasks(id, filter).await?;
        for row in rows.tasks {
            let outcome = row.outcome.filter(|_| row.state == TaskState::Accepted);
            let outcome = outcome.ok_or_else(|| format!("task {} has no outcome", row.index))?;
            check(row.index, &outcome.stdout.digest.0, first + u64::from(row.index))?;
            seen += 1;
        }
        next = rows.next;
    }
    if seen != tasks {
        return Err(format!("{tasks} tasks were submitted, {seen} are listed").into());
    }
    let node_ms = ended.saturating_sub(job.created_ms);
    tell(&format!("job\t{tasks}\t{node_ms}\t{}", began.elapsed().as_millis()))
}

async fn open(client: &Client) -> Result<JobId, Failure> {
    let mut id = [0; 16];
    getrandom::fill(&mut id)?;
    let id = JobId(id);
    let request = JobRequest {
        id: Text(id),
        name: "tiny".to_owned(),
        tasks: Vec::new(),
        open: true,
        timeout_ms: JobRequest::TIMEOUT_MS,
        deadline_ms: None,
        // One provider, and no second to audit it: what is measured is one execution each.
        verify: VerifyJson { audit_ppm: Some(0), ..VerifyJson::default() },
        providers_max: JobRequest::PROVIDERS,
        home: false,
        nondeterministic: false,
        price_max: None,
        budget: None,
    };
    client.submit(&request).await?;
    Ok(id)
}

fn task(program: Digest, seed: u64) -> TaskJson {
    TaskJson {
        engine: "wasi1".to_owned(),
        program: Text(program),
        args: vec!["tiny".to_owned(), seed.to_string()],
        env: std::collections::BTreeMap::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: LimitsJson { memory_bytes: 16 << 20, output_bytes: 1 << 16, ..Default::default() },
        blind: None,
    }
}

/// Compares an output with what it must be.
fn check(index: u32, found: &Digest, seed: u64) -> Result<(), Failure> {
    let mut state = seed;
    for round in 0..ROUNDS {
        state = mix(state.wrapping_add(round));
    }
    let expected = ayni_wire::digest(format!("{state:016x}\n").as_bytes());
    if *found == expected {
        return Ok(());
    }
    Err(format!("task {index} printed {found}, not {expected}").into())
}

/// As `bench/guests/src/bin/tiny.rs`.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

//! Hostile guests on a real provider: each is contained, and honest work goes on beside them.
//!
//! They are handed in through the API, not by `ayni run`: that has each program checked at home
//! first, which a hostile requester would leave out.

mod guests;

use std::fmt::Write as _;
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use ayni_api::Client;
use ayni_api::json::{
    JobRequest, LimitsJson, TaskDetail, TaskFilter, TaskJson, TaskState, Text, VerifyJson,
};
use ayni_types::JobId;

use self::guests::{Fate, Guest};
use crate::network::{Network, echo, number, run};

const JOB: &str = "3123456789abcdef0123456789abcdef";
const BESIDE: &str = "4123456789abcdef0123456789abcdef";

/// Providers work at the lowest priority: on a busy machine it may take long. Not a judgement.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// When a process began, in ticks since the machine's start: tells it from one with its number.
fn began(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let (_, rest) = stat.rsplit_once(") ").expect("a status line");
    rest.split(' ').nth(19).expect("its start").to_owned()
}

#[test]
fn hostile_guests_are_contained_and_honest_work_goes_on() {
    let network = Network::start(1, &[]);
    let provider = network.nodes.iter().find(|n| n.name == "provider-1").expect("a provider");
    let before = began(provider.pid);
    let program = echo(network.dir.path());
    let mut beside = network
        .ayni(&["run", "--id", BESIDE, "--range", "0..20", "--step", "1", "--audit", "0"])
        .arg(&program)
        .args(["--", "{start}"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ayni run starts");

    let guests = guests::all();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = runtime.expect("a runtime").block_on(hand_in(&network, &guests));
    let mut table = String::from("| tries | contained by | came to |\n|---|---|---|\n");
    let mut complaints = String::new();
    for (guest, task) in guests.iter().zip(&ended) {
        match judge(guest, &task.0, &task.1) {
            Ok(fate) => writeln!(table, "| {} | {} | {fate} |", guest.tries, guest.wall),
            Err(why) => writeln!(complaints, "{}: {why}\n  {:?}", guest.tries, task.0.row),
        }
        .expect("a text grows");
    }
    println!("{table}");
    assert!(complaints.is_empty(), "{complaints}");

    // What shows them does not pass on their terminal commands.
    for index in 0..guests.len() {
        let (_, stdout, stderr) =
            run(&mut network.ayni(&["job", "show", JOB, "--task", &index.to_string()]));
        assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{stdout}{stderr}");
    }
    let log = fs::read_to_string(provider.home.join("daemon.log")).expect("the provider's log");
    assert!(!log.contains('\u{1b}'), "{log}");

    // The provider is the same process, the job beside them is done, and another one is taken.
    assert_eq!(began(provider.pid), before, "the provider was started anew");
    assert!(beside.wait().expect("it ends").success());
    assert_eq!(number(&network.job(BESIDE)["counts"]["accepted"]), 20);
    let (code, _, stderr) = run(network
        .ayni(&["run", "--range", "20..25", "--step", "1", "--audit", "0"])
        .arg(&program)
        .args(["--", "{start}"]));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(began(provider.pid), before);
}

/// Gives the guests as one job; answers each task with its standard output.
async fn hand_in(network: &Network, guests: &[Guest]) -> Vec<(TaskDetail, Vec<u8>)> {
    let client = Client::of_home(&network.requester).await.expect("the requester answers");
    let mut tasks = Vec::new();
    for guest in guests {
        let stored = client.put_blob(guest.program.clone()).await.expect("room for a program");
        tasks.push(TaskJson {
            engine: "wasi1".to_owned(),
            program: stored.digest,
            args: vec!["guest".to_owned()],
            env: Default::default(),
            stdin: None,
            mounts: Vec::new(),
            limits: LimitsJson {
                memory_bytes: 64 << 20,
                fuel: Text(300_000_000),
                output_bytes: 1 << 20,
                ..LimitsJson::default()
            },
            blind: None,
        });
    }
    let id: JobId = JOB.parse().expect("a job's id");
    let request = JobRequest {
        id: Text(id),
        name: "hostile".to_owned(),
        tasks,
        open: false,
        timeout_ms: JobRequest::TIMEOUT_MS,
        deadline_ms: None,
        verify: VerifyJson { audit_ppm: Some(0), ..VerifyJson::default() },
        providers_max: 1,
        home: false,
        nondeterministic: false,
        price_max: None,
        budget: None,
    };
    client.submit(&request).await.expect("the job is taken");
    let all = TaskFilter { from: 0, count: Some(1_000), state: None, ..TaskFilter::default() };
    let since = Instant::now();
    loop {
        let rows = client.tasks(id, all).await.expect("its tasks").tasks;
        let ended = |state| matches!(state, TaskState::Accepted | TaskState::Failed);
        let left: Vec<_> = rows
            .iter()
            .filter(|r| !ended(r.state))
            .map(|r| guests[r.index as usize].tries)
            .collect();
        if left.is_empty() {
            break;
        }
        assert!(since.elapsed() < PATIENCE, "still there: {left:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let mut found = Vec::new();
    for index in 0..guests.len() {
        let index = u32::try_from(index).expect("few tasks");
        let task = client.task(id, index).await.expect("a task");
        let stdout = match &task.row.outcome {
            Some(outcome) => client.blob_bytes(outcome.stdout.digest.0, 1 << 20).await.expect("it"),
            None => Vec::new(),
        };
        found.push((task, stdout));
    }
    found
}

/// What a guest came to, in words; an error if that is not what it should.
fn judge(guest: &Guest, task: &TaskDetail, said: &[u8]) -> Result<String, String> {
    let Fate::Refused(reason) = guest.fate else {
        let outcome = task.row.outcome.as_ref().ok_or("has no outcome")?;
        let files: Vec<&str> = outcome.files.iter().map(|file| file.path.as_str()).collect();
        let expected = guest.files.is_none_or(|expected| files == expected);
        let end = outcome.end.to_string();
        return match guest.fate {
            Fate::Ends(expected) if end == expected => Ok(end),
            Fate::Says(judge) if end == "exit 0" && expected => judge(said),
            _ => Err(format!(
                "ended with {end}, left {} files {:?}, said {said:?}",
                files.len(),
                files.first()
            )),
        };
    };
    let faults = &task.faults;
    let last = faults.last().ok_or("was not refused")?;
    let named = last.kind == "invalid_program" && last.detail.contains(reason);
    if named && task.row.outcome.is_none() {
        let why = last.detail.split("; hint").next().unwrap_or_default();
        let detail: String = why.escape_debug().take(90).collect();
        Ok(format!("invalid program: {detail}"))
    } else {
        Err(format!("{faults:?}"))
    }
}

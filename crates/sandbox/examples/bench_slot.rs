//! How long a small task takes from the moment that it is asked for, through real jails: what
//! `cargo xtask bench run` starts and makes a table of.
//!
//! `bench_slot ROUNDS FOLDER PROGRAM [ARGS…]` with the project's executables in FOLDER. Prints a line
//! for each step of each round: round, step, nanoseconds of wall clock. Deliberately not here:
//! the network and the journal, which come on top.

use std::fs::File;
use std::future::pending;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ayni_sandbox::{
    Artefact, ArtefactCache, ArtefactKey, Sandbox, SandboxConfig, Slot, SlotLimits, processor,
};
use ayni_types::{Digest, End, EngineId, Fault, Limits, TaskSpec};
use ayni_wire::runner::{CompileHow, RunOrder};

type Failure = Box<dyn std::error::Error>;

const CACHE_BYTES_MAX: u64 = 1 << 30;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or("usage: bench_slot ROUNDS FOLDER PROGRAM [ARGS…]");
    let rounds: u32 = word()?.parse()?;
    let folder = PathBuf::from(word()?);
    let program = PathBuf::from(word()?);
    let args: Vec<String> = std::iter::once("task".to_owned()).chain(words).collect();
    let scratch = tempfile::tempdir()?;
    let config = SandboxConfig {
        compile_background: false,
        ..SandboxConfig::beside(folder, scratch.path().join("outputs"))
    };
    let sandbox = Sandbox::new(config).await?;
    let mut expected = None;
    for round in 0..=rounds {
        // The first round warms up and is not shown.
        let shown = (round > 0).then_some(round);
        let cache = scratch.path().join(format!("cache-{round}"));
        let printed = once(&sandbox, &program, &args, &cache, shown).await?;
        if *expected.get_or_insert_with(|| printed.clone()) != printed {
            return Err(format!("round {round} printed something else").into());
        }
    }
    Ok(())
}

/// From nothing at all to a slot that has run the task twice; what the task printed.
async fn once(
    sandbox: &Sandbox,
    program: &Path,
    args: &[String],
    folder: &Path,
    round: Option<u32>,
) -> Result<String, Failure> {
    let limits = SlotLimits { background: false, ..SlotLimits::default() };
    let digest = ayni_wire::digest(&std::fs::read(program)?);
    let how = CompileHow::Optimised;
    let key = ArtefactKey {
        program: digest,
        engine: EngineId::wasi1(),
        build: sandbox.build().digest,
        how,
        processor: processor(),
    };
    let order = RunOrder { task: task(digest, args, limits), how, witness: false };
    let mut step = Step { round, began: Instant::now() };

    let file = File::open(program)?;
    let compiled = sandbox.compile(file.into(), EngineId::wasi1(), how).await.map_err(words)?;
    let compiled = compiled.map_err(|report| report.problems.join("\n"))?;
    step.done("compile");
    ArtefactCache::open(folder, CACHE_BYTES_MAX)?.keep(&key, &compiled.artefact)?;
    step.done("keep");
    // As after a restart: found in the folder and checked against its keyed hash.
    let cache = ArtefactCache::open(folder, CACHE_BYTES_MAX)?;
    let artefact = cache.look_up(&key)?.ok_or("the cache has lost what it was given")?;
    step.done("look up");
    let mut slot = sandbox.open_slot(limits).await.map_err(words)?;
    step.done("open slot");
    let first = run(&mut slot, &order, &artefact).await?;
    step.done("first run");
    let again = run(&mut slot, &order, &artefact).await?;
    step.done("next run");
    slot.close().await;
    step.done("close slot");
    if first == again { Ok(first) } else { Err("the second run printed something else".into()) }
}

async fn run(slot: &mut Slot, order: &RunOrder, artefact: &Artefact) -> Result<String, Failure> {
    let none = |_: Digest| Ok(None);
    let ran = slot.run(order, artefact, &none, Duration::from_secs(60), pending()).await;
    let ran = ran.map_err(words)?;
    if ran.end != End::Exit(0) {
        return Err(format!("the task ended with {}", ran.end).into());
    }
    let mut printed = String::new();
    ran.reader(ran.stdout).read_to_string(&mut printed)?;
    Ok(printed)
}

#[allow(clippy::needless_pass_by_value, reason = "it is called by `map_err`")]
fn words(fault: Fault) -> Failure {
    fault.to_string().into()
}

fn task(program: Digest, args: &[String], limits: SlotLimits) -> TaskSpec {
    TaskSpec {
        engine: EngineId::wasi1(),
        program,
        args: args.to_vec(),
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits {
            memory_bytes: limits.memory_bytes,
            output_bytes: limits.output_bytes,
            ..Limits::default()
        },
        blind: None,
    }
}

/// Time since the last step.
struct Step {
    round: Option<u32>,
    began: Instant,
}

impl Step {
    fn done(&mut self, name: &str) {
        let took = self.began.elapsed().as_nanos();
        if let Some(round) = self.round {
            println!("{round}\t{name}\t{took}");
        }
        self.began = Instant::now();
    }
}

//! A sandbox whose runner is the hostile program.

use std::fs::File;
use std::future::pending;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ayni_sandbox::{Artefact, RunResult, Sandbox, SandboxConfig, Slot, SlotLimits};
use ayni_types::{Digest, EngineId, Fault, Limits, TaskSpec};
use ayni_wire::runner::{CompileHow, RunOrder};

/// The hostile program, built beside the tests.
pub(crate) fn hostile() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_ayni-jail")).parent().unwrap().to_owned();
    let hostile = folder.join("examples/hostile");
    assert!(hostile.exists(), "`cargo build --examples` makes {}", hostile.display());
    hostile
}

pub(crate) fn config(scratch: &Path) -> SandboxConfig {
    SandboxConfig {
        runner: hostile(),
        jail: env!("CARGO_BIN_EXE_ayni-jail").into(),
        compile_memory_bytes: 64 << 20,
        compile_background: false,
        ..SandboxConfig::beside("/nowhere", scratch)
    }
}

pub(crate) const LIMITS: SlotLimits = SlotLimits {
    memory_bytes: 64 << 20,
    output_bytes: 1 << 20,
    cpu_percent_max: None,
    background: false,
};

/// One test counts what is left in the whole process: it runs alone, the others together.
static ALONE: tokio::sync::RwLock<()> = tokio::sync::RwLock::const_new(());

enum Turn {
    Shared { _guard: tokio::sync::RwLockReadGuard<'static, ()> },
    Alone { _guard: tokio::sync::RwLockWriteGuard<'static, ()> },
}

pub(crate) struct Bench {
    _turn: Turn,
    pub(crate) sandbox: Sandbox,
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        Self::open(Turn::Shared { _guard: ALONE.read().await }).await
    }

    pub(crate) async fn alone() -> Self {
        Self::open(Turn::Alone { _guard: ALONE.write().await }).await
    }

    async fn open(turn: Turn) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::new(config(folder.path())).await.unwrap();
        Self { _turn: turn, sandbox, folder }
    }

    pub(crate) async fn slot(&self) -> Slot {
        self.sandbox.open_slot(LIMITS).await.unwrap()
    }

    /// The script as an artefact: the hostile compiler copies it.
    pub(crate) async fn artefact(&self, script: &str) -> Artefact {
        let mut program = tempfile::tempfile().unwrap();
        program.write_all(script.as_bytes()).unwrap();
        let compiled =
            self.sandbox.compile(program.into(), EngineId::wasi1(), CompileHow::Optimised).await;
        compiled.unwrap().unwrap().artefact
    }

    /// Runs a script in `slot` and answers what it wrote to stdout.
    pub(crate) async fn run(&self, slot: &mut Slot, script: &str) -> Result<String, Fault> {
        self.run_for(slot, script, Duration::from_secs(60)).await.map(|r| stdout(&r))
    }

    pub(crate) async fn run_for(
        &self,
        slot: &mut Slot,
        script: &str,
        timeout: Duration,
    ) -> Result<RunResult, Fault> {
        let artefact = self.artefact(script).await;
        let none = |_: Digest| Ok(None);
        slot.run(&order(), &artefact, &none, timeout, pending()).await
    }
}

pub(crate) fn stdout(result: &RunResult) -> String {
    let mut text = String::new();
    result.reader(result.stdout).read_to_string(&mut text).unwrap();
    text
}

pub(crate) fn order() -> RunOrder {
    let limits = Limits {
        memory_bytes: LIMITS.memory_bytes,
        output_bytes: LIMITS.output_bytes,
        ..Limits::default()
    };
    RunOrder {
        task: TaskSpec {
            engine: EngineId::wasi1(),
            program: Digest([1; 32]),
            args: vec!["hostile".into()],
            env: Vec::new(),
            stdin: None,
            mounts: Vec::new(),
            limits,
            blind: None,
        },
        how: CompileHow::Optimised,
        witness: false,
    }
}

pub(crate) fn empty_file(path: &Path) -> PathBuf {
    File::create(path).unwrap();
    path.to_owned()
}

//! Executes one task compiled in each way (optimised, not optimised, by the other back end) through
//! real jails: what `cargo xtask corpus --ways` starts and compares.
//!
//! `every_way FOLDER PROGRAM MEMORY_MIB OUT [HOST:GUEST…] -- [ARGS…]` with the project's executables
//! in FOLDER. Prints a line for each way: its name, task id, outcome digest, fuel, end, milliseconds
//! of compiling and of running; what the first leaves behind goes to OUT. The task is the one that
//! `ayni exec` would make. Deliberately not here: any comparison.

use std::collections::HashMap;
use std::fs::{self, File};
use std::future::pending;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ayni_sandbox::{RunResult, Sandbox, SandboxConfig, SlotLimits};
use ayni_types::{
    BlobRef, Digest, EngineId, Fault, GuestPath, Limits, Mount, MountKind, OutFile, Outcome,
    TaskSpec, Tree, TreeEntry,
};
use ayni_wire::runner::{CompileHow, RunOrder, Section};

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: every_way FOLDER PROGRAM MEMORY_MIB OUT [HOST:GUEST…] -- [ARGS…]";
const WAYS: [(&str, CompileHow); 3] = [
    ("optimised", CompileHow::Optimised),
    ("plain", CompileHow::Plain),
    ("winch", CompileHow::Baseline),
];
/// Nothing is judged by time; this only ends a run that hangs.
const PATIENCE: Duration = Duration::from_secs(3_600);

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().ok_or(USAGE);
    let (folder, program) = (PathBuf::from(word()?), PathBuf::from(word()?));
    let memory_bytes = word()?.parse::<u64>()? << 20;
    let out = PathBuf::from(word()?);
    let scratch = tempfile::tempdir()?;
    let mut inputs = Inputs { files: HashMap::new(), scratch: scratch.path().to_owned() };
    let mut mounts = Vec::new();
    for text in words.by_ref().take_while(|text| text != "--") {
        let (host, guest) = text.rsplit_once(':').ok_or(USAGE)?;
        mounts.push(inputs.mount(Path::new(host), guest)?);
    }
    mounts.sort_by(|a, b| a.path.cmp(&b.path));
    let name = program.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let task = TaskSpec {
        engine: EngineId::wasi1(),
        program: inputs.add(&program)?.digest,
        args: std::iter::once(name).chain(words).collect(),
        env: Vec::new(),
        stdin: None,
        mounts,
        limits: Limits { memory_bytes, ..Limits::default() },
        blind: None,
    };
    ayni_wire::check_task(&task)?;
    let config = SandboxConfig {
        compile_background: false,
        ..SandboxConfig::beside(folder, scratch.path().join("outputs"))
    };
    let sandbox = Sandbox::new(config).await?;
    for (name, how) in WAYS {
        let program = File::open(&program)?;
        let compiled = sandbox.compile(program.into(), EngineId::wasi1(), how).await;
        let compiled = compiled.map_err(words_of)?.map_err(|report| report.problems.join("\n"))?;
        let limits = SlotLimits { memory_bytes, background: false, ..SlotLimits::default() };
        let mut slot = sandbox.open_slot(limits).await.map_err(words_of)?;
        let order = RunOrder { task: task.clone(), how, witness: false };
        let blobs = |digest: Digest| inputs.open(digest);
        let ran = slot.run(&order, &compiled.artefact, &blobs, PATIENCE, pending()).await;
        let ran = ran.map_err(words_of)?;
        let outcome = outcome(&ran)?;
        println!(
            "{name}\t{}\t{}\t{}\t{}\t{}\t{}",
            ayni_wire::task_id(&task),
            ayni_wire::outcome_digest(&outcome),
            outcome.fuel.0,
            outcome.end,
            compiled.compile_ms,
            ran.observed.wall_ms
        );
        if how == CompileHow::Optimised {
            keep(&ran, &out)?;
        }
        slot.close().await;
    }
    Ok(())
}

/// Files that the task may ask for.
struct Inputs {
    files: HashMap<Digest, PathBuf>,
    scratch: PathBuf,
}

impl Inputs {
    fn add(&mut self, path: &Path) -> Result<BlobRef, Failure> {
        let bytes = fs::read(path)?;
        let digest = ayni_wire::digest(&bytes);
        self.files.insert(digest, path.to_owned());
        Ok(BlobRef { digest, size: bytes.len() as u64 })
    }

    /// A file, or a folder of files.
    fn mount(&mut self, host: &Path, guest: &str) -> Result<Mount, Failure> {
        let path = GuestPath::new(guest)?;
        if !host.is_dir() {
            return Ok(Mount { path, kind: MountKind::File, blob: self.add(host)?.digest });
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(host)? {
            let entry = entry?;
            let blob = self.add(&entry.path())?;
            let path = entry.file_name().to_string_lossy().into_owned();
            entries.push(TreeEntry { path, blob: blob.digest, size: blob.size });
        }
        entries.sort_unstable();
        let tree = self.scratch.join(format!("tree-{}", self.files.len()));
        fs::write(&tree, ayni_wire::encode(&Tree { entries }))?;
        Ok(Mount { path, kind: MountKind::Tree, blob: self.add(&tree)?.digest })
    }

    fn open(&self, digest: Digest) -> io::Result<Option<(std::os::fd::OwnedFd, u64)>> {
        let Some(path) = self.files.get(&digest) else { return Ok(None) };
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Ok(Some((file.into(), size)))
    }
}

fn read(ran: &RunResult, section: Section) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ran.reader(section).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn outcome(ran: &RunResult) -> io::Result<Outcome> {
    let blob = |section: Section| {
        let digest = ayni_wire::digest(&read(ran, section)?);
        io::Result::Ok(BlobRef { digest, size: section.bytes })
    };
    let file = |file: &ayni_wire::runner::FileSection| {
        Ok(OutFile { path: file.path.clone(), blob: blob(file.section)? })
    };
    Ok(Outcome {
        end: ran.end,
        fuel: ran.fuel,
        stdout: blob(ran.stdout)?,
        stderr: blob(ran.stderr)?,
        files: ran.files.iter().map(file).collect::<io::Result<_>>()?,
    })
}

/// Writes what a run left: `stdout`, `stderr`, `files/…`. The sandbox has checked the paths.
fn keep(ran: &RunResult, out: &Path) -> io::Result<()> {
    fs::create_dir_all(out)?;
    fs::write(out.join("stdout"), read(ran, ran.stdout)?)?;
    fs::write(out.join("stderr"), read(ran, ran.stderr)?)?;
    for file in &ran.files {
        let path = out.join("files").join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(out))?;
        fs::write(path, read(ran, file.section)?)?;
    }
    Ok(())
}

#[allow(clippy::needless_pass_by_value, reason = "it is called by `map_err`")]
fn words_of(fault: Fault) -> Failure {
    fault.to_string().into()
}

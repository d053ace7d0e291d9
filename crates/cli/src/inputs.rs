//! Reads what the command line and the job file name: the machine's side of making tasks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ayni_api::json::{LimitsJson, MountJson, MountKindJson, PriceMaxJson, Text, VerifyJson};
use ayni_api::{ApiError, codes};
use ayni_types::{GuestPath, Limits};

use crate::args::{RunArgs, TaskArgs};
use crate::expand::{Common, MapFile, Split};
use crate::jobfile::{self, JobFile, RangeEntry};
use crate::params;
use crate::script;
use crate::upload::Sources;

/// Everything about a job but its tasks, from the command line over the job file over defaults.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) name: String,
    pub(crate) program: PathBuf,
    pub(crate) common: Common,
    pub(crate) split: Split,
    pub(crate) timeout_ms: u64,
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) verify: VerifyJson,
    pub(crate) providers_max: u32,
    pub(crate) pilot: Option<u32>,
    pub(crate) home: bool,
    pub(crate) nondeterministic: bool,
    pub(crate) budget: Option<u128>,
    pub(crate) price_max: Option<PriceMaxJson>,
    pub(crate) sources: Sources,
}

/// What every task is given, read and hashed.
pub(crate) struct Shared {
    pub(crate) common: Common,
    pub(crate) timeout_ms: u64,
}

/// Reads the job that `run` describes.
pub(crate) fn plan(args: &RunArgs) -> Result<Plan, ApiError> {
    let file = args.file.as_deref().map(JobFile::load).transpose()?.unwrap_or_default();
    let folder = args.file.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
    let program = args
        .program
        .clone()
        .or_else(|| file.program.as_ref().map(|path| folder.join(path)))
        .ok_or_else(|| {
            ApiError::new(codes::INPUT_JOBFILE, "no program: neither an argument nor in the file")
        })?;
    let [memory, fuel, timeout, deadline, output] = file.limits()?;
    let (budget, price_max) = file.money()?;
    let mut task = args.task.clone();
    task.memory = task.memory.or(memory);
    task.fuel = task.fuel.or(fuel);
    task.timeout = task.timeout.or(timeout);
    task.output_limit = task.output_limit.or(output);
    let stdin = file.stdin.as_ref().map(|path| folder.join(path));
    task.stdin = task.stdin.or(stdin);
    let program_args = if args.args.is_empty() { &file.args } else { &args.args };
    let mut sources = Sources::default();
    let mounts: Vec<_> =
        file.mounts.iter().map(|mount| (folder.join(&mount.host), mount.guest.clone())).collect();
    let shared = shared(&program, program_args, &task, mounts, file.env.clone(), &mut sources)?;
    let split = split(args, &file, folder, &mut sources)?;
    let stem = shared.common.program_name.clone();
    Ok(Plan {
        name: args.name.clone().or_else(|| file.name.clone()).unwrap_or(stem),
        program,
        common: shared.common,
        split,
        timeout_ms: shared.timeout_ms,
        deadline_ms: args.deadline.or(deadline),
        verify: verify(args, &file)?,
        providers_max: args
            .providers
            .or(file.providers)
            .unwrap_or(ayni_api::json::JobRequest::PROVIDERS),
        pilot: args.pilot.or(file.pilot),
        home: args.home_cores || file.home_cores,
        nondeterministic: args.nondeterministic || file.nondeterministic,
        budget: args.budget.or(budget),
        price_max: args.max_price.or(price_max),
        sources,
    })
}

fn verify(args: &RunArgs, file: &JobFile) -> Result<VerifyJson, ApiError> {
    let rule = VerifyJson::default();
    let [audit, error_rate, hostile] = file.shares()?;
    let gain = args.outside_gain.or(file.outside_gain.map(u128::from));
    Ok(VerifyJson {
        audit_ppm: args.audit.or(audit),
        error_ppm: args.error_rate.or(error_rate),
        quorum: args.quorum.or(file.quorum).unwrap_or(rule.quorum),
        outside_gain: gain.map_or(rule.outside_gain, Text),
        hostile_ppm: args.hostile.or(hostile).unwrap_or(rule.hostile_ppm),
        dispute: args.dispute.or(file.dispute).unwrap_or(rule.dispute),
    })
}

/// Reads what every task is given.
pub(crate) fn shared(
    program: &Path,
    args: &[String],
    task: &TaskArgs,
    mut mounts: Vec<(PathBuf, String)>,
    mut env: BTreeMap<String, String>,
    sources: &mut Sources,
) -> Result<Shared, ApiError> {
    let digest = match script::guest(program)? {
        Some(guest) => {
            mounts.push((program.to_owned(), script::PATH.to_owned()));
            sources.add_file(&guest)?.digest
        }
        None => sources.add_file(program)?.digest,
    };
    for text in &task.mounts {
        let (host, guest) =
            text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).ok_or_else(|| {
                ApiError::new(codes::INPUT_PATH, format!("mount `{text}` is not HOST:GUEST"))
            })?;
        mounts.push((PathBuf::from(host), guest.to_owned()));
    }
    for text in &task.env {
        let (name, value) =
            text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or_else(|| {
                ApiError::new(
                    codes::USAGE,
                    format!("environment variable `{text}` is not NAME=VALUE"),
                )
            })?;
        env.insert(name.to_owned(), value.to_owned());
    }
    let mounts = mounts
        .into_iter()
        .map(|(host, guest)| mount(&host, &guest, sources))
        .collect::<Result<Vec<_>, _>>()?;
    let stdin = task.stdin.as_deref().map(|path| sources.add_file(path)).transpose()?;
    Ok(Shared {
        common: Common {
            program: digest,
            program_name: stem(program),
            args: args.to_vec(),
            env,
            stdin: stdin.map(|added| added.digest),
            mounts,
            limits: limits(task)?,
        },
        timeout_ms: nonzero("timeout", task.timeout)?.unwrap_or(600_000),
    })
}

fn stem(program: &Path) -> String {
    program.file_stem().map_or("program".to_owned(), |stem| stem.to_string_lossy().into_owned())
}

fn nonzero(what: &str, value: Option<u64>) -> Result<Option<u64>, ApiError> {
    if value == Some(0) {
        let text = format!("a {what} of 0 leaves a task no way to start");
        return Err(ApiError::new(codes::INPUT_LIMIT, text));
    }
    Ok(value)
}

fn limits(task: &TaskArgs) -> Result<LimitsJson, ApiError> {
    let defaults = LimitsJson::from(Limits::default());
    let memory_bytes = nonzero("memory limit", task.memory)?.unwrap_or(defaults.memory_bytes);
    let fuel = nonzero("fuel limit", task.fuel)?.map_or(defaults.fuel, Text);
    let output_bytes = task.output_limit.unwrap_or(defaults.output_bytes);
    Ok(LimitsJson { memory_bytes, fuel, output_bytes, ..defaults })
}

fn mount(host: &Path, guest: &str, sources: &mut Sources) -> Result<MountJson, ApiError> {
    let path = GuestPath::new(guest)
        .map_err(|error| ApiError::new(codes::INPUT_PATH, error.to_string()))?
        .to_string();
    let found = std::fs::metadata(host).map_err(|error| {
        let shown = host.display();
        ApiError::new(codes::INPUT_FILE, format!("can't mount `{shown}` at `{guest}`: {error}"))
    })?;
    let (kind, added) = if found.is_dir() {
        (MountKindJson::Tree, sources.add_folder(host)?)
    } else {
        (MountKindJson::File, sources.add_file(host)?)
    };
    Ok(MountJson { path, kind, blob: Text(added.digest) })
}

fn split(
    args: &RunArgs,
    file: &JobFile,
    folder: &Path,
    sources: &mut Sources,
) -> Result<Split, ApiError> {
    let given =
        args.map.is_some() || args.range.is_some() || args.params.is_some() || args.watch.is_some();
    if args.step.is_some() && args.range.is_none() && (given || file.range.is_none()) {
        return Err(ApiError::new(codes::INPUT_CONFLICT, "--step says nothing without --range"));
    }
    let range = |entry: RangeEntry| {
        let RangeEntry { from, to, step } = entry.checked()?;
        Ok(Split::Range { from, to, step })
    };
    if let Some(pattern) = &args.map {
        return map(pattern, sources);
    }
    if let Some(text) = &args.range {
        return range(jobfile::range(text, args.step.unwrap_or(1))?);
    }
    if let Some(path) = &args.params {
        return read_params(path);
    }
    if args.watch.is_some() {
        return Ok(Split::Map(Vec::new()));
    }
    if let Some(pattern) = &file.map {
        let pattern = folder.join(pattern);
        return map(&pattern.to_string_lossy(), sources);
    }
    if let Some(entry) = file.range {
        return range(RangeEntry { step: args.step.unwrap_or(entry.step), ..entry });
    }
    if let Some(path) = &file.params {
        return read_params(&folder.join(path));
    }
    Ok(Split::Single)
}

fn map(pattern: &str, sources: &mut Sources) -> Result<Split, ApiError> {
    let bad = |why: String| ApiError::new(codes::INPUT_GLOB, why);
    let found = glob::glob(pattern).map_err(|e| bad(format!("pattern `{pattern}`: {e}")))?;
    let mut files = Vec::new();
    for path in found {
        let path = path.map_err(|error| ApiError::new(codes::INPUT_FILE, error.to_string()))?;
        if path.is_file() {
            files.push(map_file(&path, sources)?);
        }
    }
    if files.is_empty() {
        return Err(bad(format!("pattern `{pattern}` matches no file")));
    }
    Ok(Split::Map(files))
}

/// Reads one file of a map.
pub(crate) fn map_file(path: &Path, sources: &mut Sources) -> Result<MapFile, ApiError> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        let text = format!("the name of `{}` is not valid UTF-8", path.display());
        ApiError::new(codes::INPUT_PATH, text)
    })?;
    let added = sources.add_file(path)?;
    Ok(MapFile { name: name.to_owned(), digest: added.digest, size: added.size })
}

fn read_params(path: &Path) -> Result<Split, ApiError> {
    let shown = path.display();
    let reader = std::fs::File::open(path).map_err(|error| {
        ApiError::new(codes::INPUT_FILE, format!("can't read `{shown}`: {error}"))
    })?;
    params::read(reader)
        .map_err(|why| ApiError::new(codes::INPUT_PARAMS, format!("`{shown}`: {why}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn run_args(line: &[&str]) -> RunArgs {
        let mut full = vec!["ayni", "run"];
        full.extend(line);
        match crate::args::Cli::parse_from(full).command {
            crate::args::Command::Run(args) => *args,
            _ => panic!("not run"),
        }
    }

    #[test]
    fn what_is_missing_or_contradicts_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let wasm = dir.path().join("p.wasm");
        std::fs::write(&wasm, b"\0asm").unwrap();
        let wasm = wasm.to_str().unwrap();
        let root = dir.path().to_str().unwrap();
        let check = |line: &[&str]| {
            let error = plan(&run_args(line)).unwrap_err();
            format!("{} {}", error.code.id, error.message).replace(root, "DIR")
        };
        insta::assert_snapshot!(check(&["/no/such.wasm"]), @"E-INPUT-004 can't read `/no/such.wasm`: No such file or directory (os error 2)");
        insta::assert_snapshot!(check(&[wasm, "--map", "/no/*.csv"]), @"E-INPUT-001 pattern `/no/*.csv` matches no file");
        insta::assert_snapshot!(check(&[wasm, "--params", "/no.csv"]), @"E-INPUT-004 can't read `/no.csv`: No such file or directory (os error 2)");
        insta::assert_snapshot!(check(&[wasm, "--mount", "/no:/in/a"]), @"E-INPUT-004 can't mount `/no` at `/in/a`: No such file or directory (os error 2)");
        insta::assert_snapshot!(check(&[wasm, "--mount", "p.wasm:/in/../a"]), @"E-INPUT-005 guest path `/in/../a` has a `.` or `..` component");
        insta::assert_snapshot!(check(&[wasm, "--mount", "p.wasm"]), @"E-INPUT-005 mount `p.wasm` is not HOST:GUEST");
        insta::assert_snapshot!(check(&[wasm, "--range", "5..1"]), @"E-INPUT-006 range 5..1 is empty: its end must be above its start");
        insta::assert_snapshot!(check(&[wasm, "--memory", "0"]), @"E-INPUT-007 a memory limit of 0 leaves a task no way to start");
        insta::assert_snapshot!(check(&[wasm, "--fuel", "0"]), @"E-INPUT-007 a fuel limit of 0 leaves a task no way to start");
        insta::assert_snapshot!(check(&[wasm, "--timeout", "0s"]), @"E-INPUT-007 a timeout of 0 leaves a task no way to start");
        insta::assert_snapshot!(check(&[wasm, "--step", "5"]), @"E-INPUT-009 --step says nothing without --range");
        insta::assert_snapshot!(check(&[wasm, "--env", "A"]), @"E-USAGE-001 environment variable `A` is not NAME=VALUE");
        insta::assert_snapshot!(check(&["-f", "/no/job.toml"]), @"E-INPUT-004 can't read the job file `/no/job.toml`: No such file or directory (os error 2)");
    }

    #[test]
    fn a_job_file_is_read_and_options_win() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("p.wasm"), b"\0asm").unwrap();
        std::fs::write(dir.path().join("d.txt"), b"data").unwrap();
        let file = dir.path().join("job.toml");
        std::fs::write(
            &file,
            r#"program = "p.wasm"
            args = ["{start}"]
            mounts = [{ host = "d.txt", guest = "/in/d" }]
            range = { from = 0, to = 9, step = 3 }
            memory = "64MiB"
            timeout = "5s"
            audit = 0.5"#,
        )
        .unwrap();
        let plan = plan(&run_args(&["-f", file.to_str().unwrap(), "--timeout", "7s"])).unwrap();
        assert_eq!(plan.split.count(), 3);
        assert_eq!((plan.timeout_ms, plan.verify.audit_ppm), (7_000, Some(500_000)));
        assert_eq!(plan.common.limits.memory_bytes, 64 << 20);
        assert_eq!((&*plan.name, plan.sources.len()), ("p", 2));
    }
}

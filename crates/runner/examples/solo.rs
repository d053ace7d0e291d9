//! Runs one program in one runner process, without daemon and jail: for adapters of test suites
//! and for looking at a program closely.
//!
//! `solo RUNNER [--how optimised|plain|baseline] [--mount HOST:GUEST]… [--env NAME=VALUE]…
//! [--stdin FILE] [--fuel N] [--memory N] [-o DIR] [--summary] PROGRAM [ARGS…]`
//! Writes the guest's streams to its own and ends with the guest's exit code; 134 for a trap, 125
//! for anything else. Artefacts are kept in `$SOLO_CACHE` if that is set.

#[path = "../tests/it/harness.rs"]
#[allow(unreachable_pub)]
mod harness;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use ayni_types::{End, EnvVar, Fuel, GuestPath, Mount, MountKind, TaskSpec, Tree, TreeEntry};
use ayni_wire::runner::CompileHow;
use harness::{Blobs, Runner};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args().skip(1);
    let runner = PathBuf::from(args.next().context("which runner?")?);
    let mut blobs = Blobs::default();
    let mut task = TaskSpec {
        engine: ayni_types::EngineId::wasi1(),
        program: ayni_types::Digest([0; 32]),
        args: Vec::new(),
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: ayni_types::Limits::default(),
        blind: None,
    };
    let mut how = CompileHow::Optimised;
    let mut out = None;
    let mut summary = false;
    let program = loop {
        let arg = args.next().context("which program?")?;
        let mut value = || args.next().with_context(|| format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--how" => how = how_of(&value()?)?,
            "--mount" => mount(&value()?, &mut task, &mut blobs)?,
            "--env" => {
                let text = value()?;
                let (name, value) = text.split_once('=').context("NAME=VALUE")?;
                task.env.push(EnvVar { name: name.to_owned(), value: value.to_owned() });
            }
            "--stdin" => task.stdin = Some(blobs.add(fs::read(value()?)?)),
            "--fuel" => task.limits.fuel = Fuel(value()?.parse()?),
            "--memory" => task.limits.memory_bytes = value()?.parse()?,
            "-o" => out = Some(PathBuf::from(value()?)),
            "--summary" => summary = true,
            _ => break PathBuf::from(arg),
        }
    };
    task.env.sort_by(|a, b| a.name.cmp(&b.name));
    task.mounts.sort_by(|a, b| a.path.cmp(&b.path));
    let bytes = fs::read(&program).with_context(|| program.display().to_string())?;
    task.program = ayni_wire::digest(&bytes);
    task.args.push(program.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let rest: Vec<String> = args.collect();
    match rest.as_slice() {
        [flag, name, more @ ..] if flag == "--argv0" => {
            task.args = vec![name.clone()];
            task.args.extend_from_slice(more);
        }
        _ => task.args.extend(rest),
    }
    let mut runner = Runner::start(runner);
    let began = Instant::now();
    let artefact = artefact(&mut runner, &bytes, how)?;
    let compiled = began.elapsed();
    let began = Instant::now();
    let ran = match runner.run(&task, how, &artefact, &blobs) {
        Ok(ran) => ran,
        Err(fault) => bail!("{fault}"),
    };
    std::io::stdout().write_all(&ran.stdout)?;
    std::io::stderr().write_all(&ran.stderr)?;
    if let Some(out) = out {
        for (path, bytes) in &ran.files {
            let to = out.join(path);
            fs::create_dir_all(to.parent().context("a parent")?)?;
            fs::write(to, bytes)?;
        }
    }
    if summary {
        eprintln!(
            "{} fuel {} outcome {} files {} compile {:.2?} run {:.2?}",
            ran.outcome.end,
            ran.outcome.fuel,
            ayni_wire::outcome_digest(&ran.outcome).short(),
            ran.files.len(),
            compiled,
            began.elapsed(),
        );
    }
    Ok(match ran.outcome.end {
        End::Exit(code) => ExitCode::from(u8::try_from(code & 0xff)?),
        End::Trap(code) => {
            eprintln!("trap: {}", code.text());
            ExitCode::from(134)
        }
        End::Exhausted(what) => {
            eprintln!("exhausted: {}", what.text());
            ExitCode::from(125)
        }
    })
}

fn how_of(text: &str) -> Result<CompileHow> {
    Ok(match text {
        "optimised" => CompileHow::Optimised,
        "plain" => CompileHow::Plain,
        "baseline" => CompileHow::Baseline,
        other => bail!("`{other}` is none of optimised, plain, baseline"),
    })
}

fn artefact(runner: &mut Runner, program: &[u8], how: CompileHow) -> Result<File> {
    let kept = std::env::var_os("SOLO_CACHE")
        .map(|dir| Path::new(&dir).join(format!("{}-{how:?}", ayni_wire::digest(program))));
    if let Some(kept) = kept.as_ref().filter(|k| k.exists()) {
        return Ok(File::open(kept)?);
    }
    let artefact = match runner.compile(program, how) {
        Ok(artefact) => artefact,
        Err(report) => bail!("{}", report.problems.join("\n")),
    };
    if let Some(kept) = kept {
        use std::io::{Seek, copy};
        let mut from = &artefact;
        from.rewind()?;
        copy(&mut from, &mut File::create(&kept)?)?;
        return Ok(File::open(kept)?);
    }
    Ok(artefact)
}

fn mount(text: &str, task: &mut TaskSpec, blobs: &mut Blobs) -> Result<()> {
    let (host, guest) = text.rsplit_once(':').context("HOST:GUEST")?;
    let host = Path::new(host);
    if !host.is_dir() {
        let blob = blobs.add(fs::read(host).with_context(|| host.display().to_string())?);
        task.mounts.push(Mount { path: GuestPath::new(guest)?, kind: MountKind::File, blob });
        return Ok(());
    }
    // Mounted on the root, each entry is a mount of its own.
    if guest == "/" {
        for entry in fs::read_dir(host)? {
            let entry = entry?;
            let text =
                format!("{}:/{}", entry.path().display(), entry.file_name().to_string_lossy());
            mount(&text, task, blobs)?;
        }
        return Ok(());
    }
    let mut entries = Vec::new();
    let mut todo = vec![host.to_owned()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let bytes = fs::read(&path)?;
            let size = bytes.len() as u64;
            let path = path.strip_prefix(host)?.to_string_lossy().into_owned();
            entries.push(TreeEntry { path, blob: blobs.add(bytes), size });
        }
    }
    entries.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    let blob = blobs.add(ayni_wire::encode(&Tree { entries }));
    task.mounts.push(Mount { path: GuestPath::new(guest)?, kind: MountKind::Tree, blob });
    Ok(())
}

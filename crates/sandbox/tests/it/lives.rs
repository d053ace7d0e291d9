//! How slots live and end, and that nothing of them is left.

use std::collections::BTreeSet;
use std::fs;
use std::future::pending;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ayni_sandbox::{RunResult, Sandbox, SandboxConfig, SandboxError};
use ayni_types::{Digest, EngineId, FaultKind, Wall};
use ayni_wire::runner::CompileHow;

use crate::help::{Bench, LIMITS, config, hostile, order, stdout};

/// What a jail could leave behind: descriptors, children, mounts, cgroups, files.
#[derive(Debug)]
struct Traces {
    descriptors: usize,
    children: BTreeSet<String>,
    mounts: String,
    groups: usize,
    files: usize,
}

impl Traces {
    fn of(folder: &Path) -> Self {
        let count = |path: &str| fs::read_dir(path).map_or(0, Iterator::count);
        let mut children = BTreeSet::new();
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let status = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            let Some((_, rest)) = status.rsplit_once(") ") else { continue };
            if rest.split(' ').nth(1) == Some(std::process::id().to_string().as_str()) {
                children.insert(process.file_name().to_string_lossy().into_owned());
            }
        }
        Self {
            descriptors: count("/proc/self/fd"),
            children,
            mounts: fs::read_to_string("/proc/self/mountinfo").unwrap(),
            groups: groups(Path::new("/sys/fs/cgroup"), 0),
            files: count(folder.to_str().unwrap()),
        }
    }
}

impl Traces {
    /// Whether there is more of anything than before. Less is fine: other tests' runtimes may still
    /// have been closing theirs.
    fn more_than(&self, before: &Self) -> bool {
        self.descriptors > before.descriptors
            || !self.children.is_subset(&before.children)
            || self.mounts != before.mounts
            || self.groups > before.groups
            || self.files > before.files
    }
}

fn groups(folder: &Path, depth: usize) -> usize {
    let mut found = 0;
    let ours = format!("ayni-jail-{}-", std::process::id());
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) && depth < 6 {
            found += usize::from(entry.file_name().to_string_lossy().starts_with(&ours));
            found += groups(&entry.path(), depth + 1);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_slots_leave_nothing() {
    let bench = Bench::alone().await;
    // Once before, so that what the runtime keeps is there.
    bench.slot().await.close().await;
    let before = Traces::of(bench.folder.path());
    for round in 0..50 {
        let mut slots = Vec::new();
        for _ in 0..4 {
            slots.push(bench.slot().await);
        }
        for (number, mut slot) in slots.into_iter().enumerate() {
            match number {
                0 => drop(bench.run(&mut slot, "forge: exits").await),
                1 => drop(bench.run(&mut slot, "forge: none").await),
                2 => slot.control().kill(),
                _ => {}
            }
            if round % 2 == 0 { slot.close().await } else { drop(slot) }
        }
    }
    // Dropped slots end without being waited for.
    let mut after = Traces::of(bench.folder.path());
    for _ in 0..100 {
        if !after.more_than(&before) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        after = Traces::of(bench.folder.path());
    }
    assert!(!after.more_than(&before), "before: {before:#?}\nafter: {after:#?}");
    println!("before: {before:?}\nafter: {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_dies_with_a_daemon_that_is_killed() {
    let _turn = Bench::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let mut daemon = Command::new(hostile())
        .arg("daemon")
        .arg(env!("CARGO_BIN_EXE_ayni-jail"))
        .arg(scratch.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let runner = Path::new("/proc").join(said.trim());
    assert!(runner.exists(), "{said}");
    daemon.kill().unwrap();
    daemon.wait().unwrap();
    for _ in 0..1_000 {
        if !runner.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} outlives its daemon", runner.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_slot_stops_and_its_clock_too() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let control = slot.control();
    let pid = slot.pid();
    let state = move || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(") ").unwrap().1.chars().next().unwrap()
    };
    let wait_for = move |stopped: bool| async move {
        while (state() == 'T') != stopped {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let artefact = bench.artefact("forge: spins").await;
    let none = |_: Digest| Ok(None);
    let order = order();
    let run = slot.run(&order, &artefact, &none, Duration::from_secs(3), pending());
    let owner = async {
        control.pause();
        wait_for(true).await;
        // Longer than the run's clock: it must not end while paused.
        tokio::time::sleep(Duration::from_millis(3_500)).await;
        assert_eq!(state(), 'T');
        control.resume();
        wait_for(false).await;
    };
    let (result, ()) = tokio::join!(run, owner);
    assert_eq!(result.unwrap_err().kind, FaultKind::Timeout);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_its_slot() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let artefact = bench.artefact("forge: spins").await;
    let none = |_: Digest| Ok(None);
    let soon = tokio::time::sleep(Duration::from_millis(100));
    let result = slot.run(&order(), &artefact, &none, Duration::from_secs(60), soon).await;
    assert_eq!(result.unwrap_err().kind, FaultKind::Cancelled);
    assert!(!slot.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_dropped_half_way_leaves_a_slot_that_refuses() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let artefact = bench.artefact("forge: spins").await;
    let none = |_: Digest| Ok(None);
    let order = order();
    let run = slot.run(&order, &artefact, &none, Duration::from_secs(60), pending());
    assert!(tokio::time::timeout(Duration::from_millis(300), run).await.is_err());
    assert!(!slot.is_alive());
    let fault = bench.run(&mut slot, "forge: none").await.unwrap_err();
    assert!(fault.detail.contains("half-way"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slot_runs_many_tasks_and_a_task_above_its_limits_is_refused() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let artefact = bench.artefact("forge: none").await;
    let none = |_: Digest| Ok(None);
    let mut order = order();
    for _ in 0..20 {
        let run = slot.run(&order, &artefact, &none, Duration::from_secs(60), pending()).await;
        assert_eq!(run.unwrap().fuel.0, 1);
    }
    order.task.limits.memory_bytes = LIMITS.memory_bytes + 1;
    let run = slot.run(&order, &artefact, &none, Duration::from_secs(60), pending()).await;
    assert!(run.unwrap_err().detail.contains("above the slot's"));
    assert!(slot.is_alive());
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_used_again_once_read_and_never_while_held() {
    let bench = Bench::new().await;
    let mut slot = bench.slot().await;
    let inode = |r: &RunResult| r.output.metadata().unwrap().ino();
    let minute = Duration::from_secs(60);
    let first = bench.run_for(&mut slot, "read the environment", minute).await.unwrap();
    let second = bench.run_for(&mut slot, "list /proc", minute).await.unwrap();
    assert_ne!(inode(&first), inode(&second));
    assert_eq!(stdout(&first), "refused: empty");
    let freed = inode(&first);
    drop(first);
    let third = bench.run_for(&mut slot, "fork", minute).await.unwrap();
    assert_eq!(inode(&third), freed);
    assert!(stdout(&third).contains("not permitted") && stdout(&second).contains("No such file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_above_the_limit_is_a_fault_of_memory_where_a_cgroup_counts() {
    let bench = Bench::new().await;
    let counted = bench.sandbox.walls().contains(&Wall::CgroupMemory);
    let mut slot = bench.slot().await;
    let end = bench.run(&mut slot, "take memory by memfd\nbomb_mib=800").await;
    match end {
        Err(fault) if counted => assert_eq!(fault.kind, FaultKind::OutOfMemory, "{fault}"),
        Ok(said) if !counted => assert!(said.starts_with("refused: "), "{said}"),
        other => panic!("counted: {counted}, ended: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compilation_is_ended_for_what_it_takes_and_not_for_being_starved() {
    let turn = Bench::new().await;
    let folder = turn.folder.path();
    let (second, hour) = (Duration::from_secs(1), Duration::from_secs(3_600));
    let compile = |cpu, wall, script: &'static str| async move {
        let config =
            SandboxConfig { compile_cpu_max: cpu, compile_wall_max: wall, ..config(folder) };
        let mut program = tempfile::tempfile().unwrap();
        program.write_all(script.as_bytes()).unwrap();
        let sandbox = Sandbox::new(config).await.unwrap();
        let how = CompileHow::Optimised;
        sandbox.compile(program.into(), EngineId::wasi1(), how).await.map(|made| made.unwrap())
    };
    // A bomb: the wall clock would have let it work for an hour.
    let fault = compile(second, hour, "compiles without end").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(fault.detail.contains("of processor time, 1.0 s are allowed; hint: "), "{fault}");
    // Four times as long on the wall clock as its processor time, and nothing is wrong with it.
    let made = compile(second, hour, "is starved while it compiles").await.unwrap();
    assert!(made.compile_ms >= 4_000, "{} ms", made.compile_ms);
    // One that hangs: it would never use up its processor time.
    let fault = compile(hour, second, "never compiles").await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Timeout, "{fault}");
    assert!(fault.detail.contains("within 1.0 s of wall clock"), "{fault}");
}

#[tokio::test(flavor = "multi_thread")]
async fn walls_and_build_are_told() {
    let bench = Bench::new().await;
    let walls = bench.sandbox.walls();
    for report in bench.sandbox.probe() {
        println!("{}: {}", report.wall, report.missing.as_deref().unwrap_or("stands"));
        assert_eq!(report.missing.is_none(), walls.contains(&report.wall));
        assert_eq!(report.missing.is_some(), report.hint.is_some());
    }
    assert!(walls.contains(&Wall::Seccomp) && walls.contains(&Wall::NoNewPrivileges));
    assert!(walls.is_sorted());
    let build = bench.sandbox.build();
    assert_eq!(build.version, "hostile 1");
    assert_eq!(build.digest, ayni_wire::digest(&fs::read(hostile()).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_or_wrong_executables_are_named() {
    let _turn = Bench::new().await;
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("text");
    fs::write(&text, "no program at all, but long enough to hold an ELF header, which it lacks")
        .unwrap();
    let good = config(folder.path());
    let cases = [
        ("runner", SandboxConfig { runner: "/nowhere/ayni-runner".into(), ..good.clone() }),
        ("runner", SandboxConfig { runner: text.clone(), ..good.clone() }),
        ("jail maker", SandboxConfig { jail: "/nowhere/ayni-jail".into(), ..good.clone() }),
        ("scratch", SandboxConfig { scratch: text.join("below"), ..good.clone() }),
        ("does not start", SandboxConfig { jail: text, ..good.clone() }),
        ("does not start", SandboxConfig { runner: "/bin/true".into(), ..good }),
    ];
    for (part, config) in cases {
        let error: SandboxError = Sandbox::new(config).await.unwrap_err();
        assert!(error.to_string().contains(part), "{part}: {error}");
        assert!(!error.hint().is_empty());
    }
}

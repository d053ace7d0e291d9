//! A model of execution. What a task yields is a pure function of the task; how long it takes
//! depends on the machine; a fault depends on both.
//!
//! The first argument of a task says what kind it is: `ok`, `slow`, `traps`, `never` (each machine
//! kills it), or `picky` (a third of the machines crash on it). The third, if there is one, says how
//! many times as long it takes.

use ayni_core::Ran;
use ayni_types::{
    BlobRef, Digest, End, Fault, FaultKind, Fuel, NodeId, Observed, Outcome, TaskSpec, TrapCode,
};
use ayni_wire::{digest, task_id};

/// What the task truly yields, whoever runs it; `None` if nobody can.
#[must_use]
pub fn truth(task: &TaskSpec) -> Option<Outcome> {
    let id = task_id(task);
    let kind = task.args.first().map_or("ok", String::as_str);
    let fuel = match kind {
        "slow" => 20_000_000_000,
        "never" => return None,
        _ => 50_000_000 + u64::from(id.0[0]) * 10_000_000,
    };
    let stretch = task.args.get(2).and_then(|a| a.parse().ok()).unwrap_or(1);
    let fuel = fuel.saturating_mul(stretch).min(task.limits.fuel.0);
    let end = if kind == "traps" { End::Trap(TrapCode::Unreachable) } else { End::Exit(0) };
    let blob = |name: &[u8]| {
        let bytes = [name, &id.0].concat();
        BlobRef { digest: digest(&bytes), size: bytes.len() as u64 }
    };
    Some(Outcome {
        end,
        fuel: Fuel(fuel),
        stdout: blob(b"out"),
        stderr: BlobRef { digest: digest(b""), size: 0 },
        files: Vec::new(),
    })
}

/// Milliseconds and result of running `task` on a machine.
pub fn execute(task: &TaskSpec, machine: NodeId, fuel_per_ms: u64) -> (u64, Result<Ran, Fault>) {
    let id = task_id(task);
    let picky = task.args.first().is_some_and(|a| a == "picky");
    if picky && (u32::from(id.0[1]) + u32::from(machine.0[0])).is_multiple_of(3) {
        let detail = "signal 11".to_owned();
        return (30, Err(Fault { kind: FaultKind::RunnerCrashed, detail }));
    }
    let Some(outcome) = truth(task) else {
        let detail = "killed".to_owned();
        return (500, Err(Fault { kind: FaultKind::Timeout, detail }));
    };
    let ms = outcome.fuel.0 / fuel_per_ms.max(1) + 1;
    let data_bytes = outcome.stdout.size + outcome.stderr.size;
    let observed = Observed { wall_ms: ms, ..Observed::default() };
    // Some outputs go along with their outcomes, the others have to be asked for.
    let bytes = vec![[b"out", &id.0[..]].concat(), Vec::new()];
    let inline = if id.0[1].is_multiple_of(4) { bytes } else { Vec::new() };
    (ms, Ok(Ran { outcome, observed, code_bytes: 1_000, data_bytes, inline }))
}

/// The blobs a task reads.
#[must_use]
pub fn inputs(task: &TaskSpec) -> Vec<Digest> {
    let mounts = task.mounts.iter().map(|m| m.blob);
    mounts.chain([task.program]).chain(task.stdin).collect()
}

/// The blobs an outcome consists of.
#[must_use]
pub fn outputs(outcome: &Outcome) -> Vec<Digest> {
    let files = outcome.files.iter().map(|f| f.blob.digest);
    files.chain([outcome.stdout.digest, outcome.stderr.digest]).collect()
}

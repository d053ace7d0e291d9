//! A program with a known answer: shows that the runner works on this machine, and how fast.

use std::sync::Arc;
use std::time::Duration;

use ayni_store::Area;
use ayni_types::{End, EngineId, Fault, FaultKind, Fuel, Limits, TaskSpec};

use crate::work::{Shop, fault, once};

/// Its source is beside this file.
const SELF_TEST: &str = include_str!("self_test.wat");

/// What the self-test saw.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SelfTest {
    /// Fuel used: the same on every machine.
    pub(crate) fuel: Fuel,
    /// Fuel done per second of one core.
    pub(crate) fuel_per_second: u64,
}

/// Runs the self-test in a jail.
pub(crate) async fn run(shop: &Arc<Shop>) -> Result<SelfTest, Fault> {
    let internal = |error: &dyn std::fmt::Display| fault(FaultKind::Internal, error);
    let program = wat::parse_str(SELF_TEST).map_err(|error| internal(&error))?;
    let program = shop.blobs.insert(Area::Kept, &program).map_err(|error| internal(&error))?;
    let task = TaskSpec {
        engine: EngineId::wasi1(),
        program,
        args: vec!["self-test".to_owned()],
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits { memory_bytes: 1 << 20, output_bytes: 1 << 10, ..Limits::default() },
        blind: None,
    };
    let ran = once(shop, &task, Duration::from_secs(60)).await?;
    let printed = shop.blobs.read(&ran.outcome.stdout.digest, 100).ok().flatten();
    if ran.outcome.end != End::Exit(0) || printed.as_deref() != Some(b"ok\n") {
        let end = ran.outcome.end;
        return Err(internal(&format!(
            "the self-test ended with {end}, not with its known answer"
        )));
    }
    let ms = ran.observed.cpu_ms.max(ran.observed.wall_ms).max(1);
    let fuel = ran.outcome.fuel;
    Ok(SelfTest { fuel, fuel_per_second: fuel.0.saturating_mul(1_000) / ms })
}

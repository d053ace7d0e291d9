//! From a program to an artefact.
//!
//! A program that compiles slowly or to much is contained by the process's own limits (memory,
//! file size, processor time), which the daemon sets; nothing of a task is here while it compiles.

use ayni_types::{EngineId, Fault, FaultKind};
use ayni_wire::runner::{CheckReport, CompileHow};

use crate::check::{ProgramKind, check_and_normalise};
use crate::engine::engine;
use crate::stop::fault;

/// Why there is no artefact.
#[derive(Debug)]
pub enum CompileError {
    /// The program can't run, anywhere.
    Invalid(CheckReport),
    /// The machine failed.
    Fault(Fault),
}

/// Compiles a program.
///
/// # Errors
/// What is wrong with it.
pub fn compile(
    program: &[u8],
    contract: &EngineId,
    how: CompileHow,
) -> Result<Vec<u8>, CompileError> {
    let (mut report, normalised) = check_and_normalise(program);
    if contract.0 != EngineId::WASI1 {
        let asked: String = contract.0.chars().take(40).collect();
        report.problems.insert(0, format!("engine `{asked}` is unknown; this runner has `wasi1`"));
    }
    if !report.problems.is_empty() {
        return Err(CompileError::Invalid(report));
    }
    let (Some(kind), Some(normalised)) = (ProgramKind::of(program), normalised) else {
        return Err(CompileError::Fault(fault(FaultKind::Internal, "nothing to compile")));
    };
    let engine = engine(how, kind, 0).map_err(|e| {
        CompileError::Fault(fault(FaultKind::Internal, format!("no engine for {how:?}: {e:#}")))
    })?;
    let compiled = match kind {
        ProgramKind::Module => engine.precompile_module(&normalised.module),
        ProgramKind::Component => engine.precompile_component(&normalised.module),
    };
    compiled.map_err(|error| {
        report.problems.push(format!("does not compile: {error:#}"));
        CompileError::Invalid(report)
    })
}

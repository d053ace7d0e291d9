//! Compiled code into memory, kept while the next task is of the same program.
//!
//! One of the places with `unsafe` code.
#![allow(unsafe_code)]

use std::fs::File;
use std::os::fd::OwnedFd;

use ayni_types::{Digest, Fault, FaultKind};
use ayni_wire::runner::CompileHow;
use wasmtime::component::Component;
use wasmtime::{Engine, InstancePre, Linker, Module, Precompiled};

use crate::check::ProgramKind;
use crate::engine::engine;
use crate::mapped::Mapped;
use crate::preview1;
use crate::stop::fault;

use super::State;

/// Largest artefact that is mapped: about three times a program, ten for the slower back end.
const ARTEFACT_BYTES_MAX: u64 = 2 << 30;

/// A program ready to run.
pub enum Program {
    /// A preview 1 command, its imports found.
    Module(Engine, InstancePre<State>),
    /// A preview 2 command.
    Component(Engine, Component),
}

impl std::fmt::Debug for Program {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Module(..) => "Program::Module",
            Self::Component(..) => "Program::Component",
        })
    }
}

impl Program {
    /// What it runs on.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        match self {
            Self::Module(engine, _) | Self::Component(engine, _) => engine,
        }
    }
}

/// The program loaded last, and for what.
#[derive(Debug, Default)]
pub struct Loaded(Option<(Digest, CompileHow, u32, Program)>);

impl Loaded {
    /// The program loaded last, if it is this one.
    ///
    /// # Errors
    /// A fault when it is another.
    pub fn last(
        &self,
        digest: Digest,
        how: CompileHow,
        stack_bytes: u32,
    ) -> Result<&Program, Fault> {
        match &self.0 {
            Some((last, last_how, last_stack, program))
                if *last == digest && *last_how == how && *last_stack == stack_bytes =>
            {
                Ok(program)
            }
            _ => Err(fault(FaultKind::Internal, format!("program {digest} was not the last"))),
        }
    }

    /// The program in `artefact`, loaded unless it was the last one too.
    ///
    /// # Errors
    /// A fault when the artefact is not one of this build's.
    pub fn program(
        &mut self,
        digest: Digest,
        how: CompileHow,
        stack_bytes: u32,
        artefact: OwnedFd,
    ) -> Result<&Program, Fault> {
        let same = |last: &(Digest, CompileHow, u32, Program)| {
            last.0 == digest && last.1 == how && last.2 == stack_bytes
        };
        if !self.0.as_ref().is_some_and(same) {
            self.0 = None;
            self.0 = Some((digest, how, stack_bytes, load(how, stack_bytes, artefact)?));
        }
        self.0
            .as_ref()
            .map(|(.., program)| program)
            .ok_or_else(|| fault(FaultKind::Internal, "no program"))
    }
}

fn load(how: CompileHow, stack_bytes: u32, artefact: OwnedFd) -> Result<Program, Fault> {
    let bad = |why: String| fault(FaultKind::Internal, format!("the artefact: {why}"));
    let engine = |kind| {
        engine(how, kind, stack_bytes)
            .map_err(|e| fault(FaultKind::Internal, format!("no engine for {how:?}: {e:#}")))
    };
    let bytes = Mapped::whole(&artefact, ARTEFACT_BYTES_MAX).map_err(|e| bad(e.to_string()))?;
    // SAFETY of both `deserialize`s: wasmtime demands bytes that its own `serialize` made,
    // unmodified. The daemon hands over only artefacts whose keyed hash it has checked on this very
    // descriptor, made by a runner of this build that compiled in a jail of its own; they are not
    // written after that. Should that fail, the outer jail still stands.
    match Engine::detect_precompiled(&bytes) {
        Some(Precompiled::Module) => {
            drop(bytes);
            let engine = engine(ProgramKind::Module)?;
            // SAFETY: as said above.
            let module = unsafe { Module::deserialize_open_file(&engine, File::from(artefact)) };
            let module = module.map_err(|e| bad(format!("{e:#}")))?;
            let mut linker = Linker::new(&engine);
            let linked = preview1::link(&mut linker).and_then(|()| linker.instantiate_pre(&module));
            let linked = linked.map_err(|e| bad(format!("{e:#}")))?;
            Ok(Program::Module(engine, linked))
        }
        Some(Precompiled::Component) => {
            let engine = engine(ProgramKind::Component)?;
            // SAFETY: as said above.
            let component = unsafe { Component::deserialize(&engine, &*bytes) };
            let component = component.map_err(|e| bad(format!("{e:#}")))?;
            Ok(Program::Component(engine, component))
        }
        None => Err(bad("is not compiled code".to_owned())),
    }
}

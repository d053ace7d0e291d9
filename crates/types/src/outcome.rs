//! How a task ends. An outcome is deterministic and is paid; a fault depends on the machine and
//! is retried elsewhere.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::id::Digest;
use crate::quantity::Fuel;

/// What a task yields, bit for bit the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Outcome {
    /// How it ended.
    #[n(0)]
    pub end: End,
    /// Fuel used; the limit itself when exhausted.
    #[n(1)]
    pub fuel: Fuel,
    /// Standard output.
    #[n(2)]
    pub stdout: BlobRef,
    /// Standard error.
    #[n(3)]
    pub stderr: BlobRef,
    /// Files under `/out`, by path relative to it, sorted.
    #[n(4)]
    pub files: Vec<OutFile>,
}

/// A blob and its length in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct BlobRef {
    /// Which bytes.
    #[n(0)]
    pub digest: Digest,
    /// How many.
    #[n(1)]
    pub size: u64,
}

/// One output file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct OutFile {
    /// Relative to `/out`: `a/b.txt`.
    #[n(0)]
    pub path: String,
    /// Content.
    #[n(1)]
    pub blob: BlobRef,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(flat)]
pub enum End {
    /// The program returned or called exit; the code is data.
    #[n(0)]
    Exit(#[n(0)] u32),
    /// The program trapped; its outputs up to there are kept.
    #[n(1)]
    Trap(#[n(0)] TrapCode),
    /// The program went past a limit: fuel is the limit, outputs are discarded.
    #[n(2)]
    Exhausted(#[n(0)] Exhausted),
}

/// Why a program trapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
#[allow(missing_docs)]
pub enum TrapCode {
    #[n(0)]
    Unreachable,
    #[n(1)]
    MemoryOutOfBounds,
    #[n(2)]
    TableOutOfBounds,
    #[n(3)]
    IndirectCallToNull,
    #[n(4)]
    BadSignature,
    #[n(5)]
    IntegerOverflow,
    #[n(6)]
    IntegerDivisionByZero,
    #[n(7)]
    BadConversionToInteger,
    #[n(8)]
    HeapMisaligned,
    /// The component model refused what the guest passed (bad pointer, bad string, …).
    #[n(9)]
    CanonicalAbi,
}

/// Which limit a program went past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
#[allow(missing_docs)]
pub enum Exhausted {
    #[n(0)]
    Fuel,
    /// The module's first memory or tables do not fit, or growth past the limit was asked of a
    /// guest that can't be told so.
    #[n(1)]
    Memory,
    #[n(2)]
    Stack,
    /// More stdout, stderr or files than the limit.
    #[n(3)]
    Output,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exit(code) => write!(f, "exit {code}"),
            Self::Trap(code) => write!(f, "trap: {}", code.text()),
            Self::Exhausted(what) => write!(f, "exhausted: {}", what.text()),
        }
    }
}

impl TrapCode {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable executed",
            Self::MemoryOutOfBounds => "memory access out of bounds",
            Self::TableOutOfBounds => "table access out of bounds",
            Self::IndirectCallToNull => "indirect call to null",
            Self::BadSignature => "indirect call with another signature",
            Self::IntegerOverflow => "integer overflow",
            Self::IntegerDivisionByZero => "integer division by zero",
            Self::BadConversionToInteger => "float does not fit the integer",
            Self::HeapMisaligned => "misaligned atomic access",
            Self::CanonicalAbi => "bad value passed to the host",
        }
    }
}

impl Exhausted {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Fuel => "fuel",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Output => "output",
        }
    }
}

/// An end that depends on the machine: no outcome, no pay, retried elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Fault {
    /// Which kind; equal kinds from three providers end the task.
    #[n(0)]
    pub kind: FaultKind,
    /// For people; at most `TEXT_BYTES_MAX` bytes, and hostile until escaped.
    #[n(1)]
    pub detail: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.text(), self.detail.escape_debug())
    }
}

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
pub enum FaultKind {
    /// Killed by the wall clock, or a compilation by its limit of processor time.
    #[n(0)]
    Timeout,
    /// The machine ran out of real memory.
    #[n(1)]
    OutOfMemory,
    /// The runner died or broke its protocol.
    #[n(2)]
    RunnerCrashed,
    /// The program does not validate, or imports what the engine does not have.
    #[n(3)]
    InvalidProgram,
    /// An input could not be fetched.
    #[n(4)]
    InputUnavailable,
    /// The machine's disk is full.
    #[n(5)]
    DiskFull,
    /// The provider stops taking work.
    #[n(6)]
    Draining,
    /// The requester cancelled it.
    #[n(7)]
    Cancelled,
    /// The provider can't be reached, or its lease ended (said by the requester's own side).
    #[n(8)]
    Lost,
    /// A bug of ours.
    #[n(9)]
    Internal,
}

impl FaultKind {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Timeout => "out of time",
            Self::OutOfMemory => "out of real memory",
            Self::RunnerCrashed => "runner crashed",
            Self::InvalidProgram => "invalid program",
            Self::InputUnavailable => "input unavailable",
            Self::DiskFull => "disk full",
            Self::Draining => "provider draining",
            Self::Cancelled => "cancelled",
            Self::Lost => "provider lost",
            Self::Internal => "internal error",
        }
    }
}

/// What the provider saw while running; informative, never verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Observed {
    /// Wall-clock milliseconds of the execution, compilation not included.
    #[n(0)]
    pub wall_ms: u64,
    /// Wall-clock milliseconds of compilation; 0 when it was cached.
    #[n(1)]
    pub compile_ms: u64,
    /// CPU milliseconds of the execution.
    #[n(2)]
    pub cpu_ms: u64,
    /// Highest resident memory of the runner in bytes.
    #[n(3)]
    pub memory_bytes_peak: u64,
}

//! What the daemon (its sandbox crate) and a runner say to each other.
//!
//! One `SOCK_SEQPACKET` Unix socket, the runner's descriptor 0. A packet is one [`Request`] or one
//! [`Reply`] in canonical encoding, at most [`PACKET_BYTES_MAX`] bytes, with the descriptors its
//! variant names attached (`SCM_RIGHTS`), in that order. Anything large travels inside a
//! descriptor. The daemon asks, the runner answers; while it runs a task with inputs the runner may
//! ask back for blobs. Tiny tasks of one program follow each other as packets alone
//! ([`Request::Next`]), so that they cost neither files nor a turn each. The daemon treats the runner as hostile: it recomputes every digest itself.

use ayni_types::{Digest, End, EngineId, Fault, Fuel, TaskSpec};
use minicbor::{Decode, Encode};

/// Largest packet in bytes.
pub const PACKET_BYTES_MAX: usize = 64 << 10;
/// Outputs of a task that travel in a packet, in bytes together.
pub const SMALL_BYTES_MAX: usize = 16 << 10;

/// From the daemon.
// Made and encoded, or decoded and answered; never kept in numbers.
#[allow(clippy::large_enum_variant)]
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Request {
    /// Look at a program, don't run it. Descriptors: program (read-only).
    #[n(0)]
    Check,
    /// Normalise and compile. Descriptors: program (read-only), artefact (empty, writable).
    #[n(1)]
    Compile {
        /// Contract to compile for.
        #[n(0)]
        engine: EngineId,
        /// How.
        #[n(1)]
        how: CompileHow,
    },
    /// Execute one task. Descriptors: [`RunOrder`] in canonical encoding (read-only), artefact
    /// (read-only, authenticated by the daemon), output (empty, writable).
    #[n(2)]
    Run,
    /// Answer to [`Reply::NeedBlob`]. Descriptor: the blob (read-only); none if refused.
    #[n(3)]
    Blob {
        /// Length in bytes; `None` when the blob is not one of this task's inputs.
        #[n(0)]
        size: Option<u64>,
    },
    /// Execute one more task of the program that was executed last, compiled the same way, with as
    /// much stack and without inputs. No descriptors. Several may be sent before the first is answered;
    /// they are answered in order.
    #[n(4)]
    Next(#[n(0)] RunOrder),
}

/// Which compiler and how hard. Every choice yields the same outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cbor(index_only)]
pub enum CompileHow {
    /// Cranelift, optimising: what providers use.
    #[default]
    #[n(0)]
    Optimised,
    /// Cranelift without optimisation: for differential tests.
    #[n(1)]
    Plain,
    /// Winch, the other back end: for differential tests and engine incidents.
    #[n(2)]
    Baseline,
}

/// What to run, inside the first descriptor of [`Request::Run`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RunOrder {
    /// The task.
    #[n(0)]
    pub task: TaskSpec,
    /// How the artefact was compiled (the runner configures its engine accordingly).
    #[n(1)]
    pub how: CompileHow,
    /// Report the state at the end, for jurors, who let the fuel run out early:
    /// [`RunReport::state`].
    #[n(2)]
    pub witness: bool,
}

/// From the runner.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Reply {
    /// First packet after start, when the runner has closed its own inner wall.
    #[n(0)]
    Ready {
        /// For people: crate and wasmtime versions, architecture.
        #[n(0)]
        version: String,
    },
    /// Answer to `Check`.
    #[n(1)]
    Checked(#[n(0)] CheckReport),
    /// Answer to `Compile`: the artefact is written.
    #[n(2)]
    Compiled {
        /// Length of the artefact in bytes.
        #[n(0)]
        artefact_bytes: u64,
    },
    /// The program can't run under this contract, and why; the same everywhere.
    #[n(3)]
    Invalid(#[n(0)] CheckReport),
    /// The guest opens a blob; answered by [`Request::Blob`].
    #[n(4)]
    NeedBlob {
        /// Which.
        #[n(0)]
        digest: Digest,
    },
    /// Answer to `Run`: the output descriptor holds a [`RunReport`] at this place.
    #[n(5)]
    Done {
        /// Where the report begins in the output descriptor.
        #[n(0)]
        report_offset: u64,
        /// Its length in bytes.
        #[n(1)]
        report_bytes: u64,
    },
    /// The machine failed, not the guest.
    #[n(6)]
    Faulted(#[n(0)] Fault),
    /// Answer to `Next`: everything is here. Sections are places in `bytes`.
    #[n(7)]
    Small {
        /// How it ended.
        #[n(0)]
        report: RunReport,
        /// The outputs, at most [`SMALL_BYTES_MAX`] bytes.
        #[cbor(n(1), with = "minicbor::bytes")]
        bytes: Vec<u8>,
    },
    /// Answer to `Next`: the outputs are too many for a packet. Nothing of them is kept: `Run` it.
    #[n(8)]
    TooLarge,
}

/// How a run ended, and where its outputs lie in the output descriptor.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct RunReport {
    /// How it ended.
    #[n(0)]
    pub end: End,
    /// Fuel used.
    #[n(1)]
    pub fuel: Fuel,
    /// Standard output.
    #[n(2)]
    pub stdout: Section,
    /// Standard error.
    #[n(3)]
    pub stderr: Section,
    /// Files under `/out`: relative path and place, sorted by path.
    #[n(4)]
    pub files: Vec<FileSection>,
    /// CPU milliseconds of the execution, as the runner saw it.
    #[n(5)]
    pub cpu_ms: u64,
    /// Digest of memories and outputs as they were at the end, if that was asked for.
    #[n(6)]
    pub state: Option<Digest>,
}

/// A range of the output descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Section {
    /// First byte.
    #[n(0)]
    pub offset: u64,
    /// Length in bytes.
    #[n(1)]
    pub bytes: u64,
}

/// One output file.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FileSection {
    /// Relative to `/out`.
    #[n(0)]
    pub path: String,
    /// Where.
    #[n(1)]
    pub section: Section,
}

/// What a program is and whether it can run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct CheckReport {
    /// `module`, `component` or `unknown`.
    #[n(0)]
    pub kind: String,
    /// What it imports, as `module.name`, sorted; at most 200.
    #[n(1)]
    pub imports: Vec<String>,
    /// Why it can't run: one line each, most important first; empty if it can. At most 50.
    #[n(2)]
    pub problems: Vec<String>,
    /// Remarks that do not stop it. At most 50.
    #[n(3)]
    pub remarks: Vec<String>,
    /// Bytes of code in the original program (what compilation is billed by).
    #[n(4)]
    pub code_bytes: u64,
    /// Linear memory it starts with, in bytes.
    #[n(5)]
    pub memory_bytes_min: u64,
}

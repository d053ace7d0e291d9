//! The types of preview 2's interfaces as the component model's glue wants them.
//!
//! The derives expand to `unsafe impl`s that wasmtime's macro writes; nothing here is unsafe by
//! hand.
#![allow(unsafe_code)]

use wasmtime::component::{ComponentType, Lift, Lower, Resource, flags};

use crate::errno::Errno;
use crate::vfs::{FileKind, NodeId};

/// `wasi:io/error.error`.
#[derive(Debug)]
pub(super) struct IoError(pub(super) ErrorCode);

/// `wasi:io/poll.pollable`: ready at a time since the start.
#[derive(Debug)]
pub(super) struct Pollable(pub(super) u64);

/// `wasi:io/streams.input-stream`.
#[derive(Debug)]
pub(super) enum InputStream {
    Stdin,
    File { node: NodeId, position: u64 },
}

/// `wasi:io/streams.output-stream`.
#[derive(Debug)]
pub(super) enum OutputStream {
    Stdout,
    Stderr,
    File { node: NodeId, position: u64 },
    Append { node: NodeId },
}

/// `wasi:cli/terminal-input.terminal-input`: none exists.
#[derive(Debug)]
pub(super) struct TerminalInput;

/// `wasi:cli/terminal-output.terminal-output`: none exists.
#[derive(Debug)]
pub(super) struct TerminalOutput;

/// `wasi:filesystem/types.descriptor`.
#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) node: NodeId,
    pub(super) flags: DescriptorFlags,
}

/// `wasi:filesystem/types.directory-entry-stream`.
#[derive(Debug)]
pub(super) struct EntryStream {
    pub(super) node: NodeId,
    pub(super) after: Option<String>,
}

/// `wasi:io/streams.stream-error`.
#[derive(ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum StreamError {
    #[component(name = "last-operation-failed")]
    Failed(Resource<IoError>),
    #[component(name = "closed")]
    Closed,
}

/// `wasi:clocks/wall-clock.datetime`.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Datetime {
    pub(super) seconds: u64,
    pub(super) nanoseconds: u32,
}

impl Datetime {
    pub(super) fn from_ns(ns: u64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "below a thousand million")]
        Self { seconds: ns / 1_000_000_000, nanoseconds: (ns % 1_000_000_000) as u32 }
    }

    pub(super) fn ns(self) -> u64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(self.nanoseconds.into())
    }
}

/// `wasi:filesystem/types.descriptor-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the interface names all of them")]
pub(super) enum DescriptorType {
    #[component(name = "unknown")]
    Unknown,
    #[component(name = "block-device")]
    BlockDevice,
    #[component(name = "character-device")]
    CharacterDevice,
    #[component(name = "directory")]
    Directory,
    #[component(name = "fifo")]
    Fifo,
    #[component(name = "symbolic-link")]
    SymbolicLink,
    #[component(name = "regular-file")]
    RegularFile,
    #[component(name = "socket")]
    Socket,
}

impl From<FileKind> for DescriptorType {
    fn from(kind: FileKind) -> Self {
        match kind {
            FileKind::Dir => Self::Directory,
            FileKind::File => Self::RegularFile,
            FileKind::Link => Self::SymbolicLink,
        }
    }
}

flags! {
    DescriptorFlags {
        #[component(name = "read")]
        const READ;
        #[component(name = "write")]
        const WRITE;
        #[component(name = "file-integrity-sync")]
        const FILE_INTEGRITY_SYNC;
        #[component(name = "data-integrity-sync")]
        const DATA_INTEGRITY_SYNC;
        #[component(name = "requested-write-sync")]
        const REQUESTED_WRITE_SYNC;
        #[component(name = "mutate-directory")]
        const MUTATE_DIRECTORY;
    }
}

flags! {
    PathFlags {
        #[component(name = "symlink-follow")]
        const SYMLINK_FOLLOW;
    }
}

flags! {
    OpenFlags {
        #[component(name = "create")]
        const CREATE;
        #[component(name = "directory")]
        const DIRECTORY;
        #[component(name = "exclusive")]
        const EXCLUSIVE;
        #[component(name = "truncate")]
        const TRUNCATE;
    }
}

/// `wasi:filesystem/types.descriptor-stat`.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct DescriptorStat {
    #[component(name = "type")]
    pub(super) kind: DescriptorType,
    #[component(name = "link-count")]
    pub(super) link_count: u64,
    pub(super) size: u64,
    #[component(name = "data-access-timestamp")]
    pub(super) accessed: Option<Datetime>,
    #[component(name = "data-modification-timestamp")]
    pub(super) modified: Option<Datetime>,
    #[component(name = "status-change-timestamp")]
    pub(super) changed: Option<Datetime>,
}

/// `wasi:filesystem/types.new-timestamp`.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum NewTimestamp {
    #[component(name = "no-change")]
    NoChange,
    #[component(name = "now")]
    Now,
    #[component(name = "timestamp")]
    Timestamp(Datetime),
}

/// `wasi:filesystem/types.directory-entry`.
#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct DirectoryEntry {
    #[component(name = "type")]
    pub(super) kind: DescriptorType,
    pub(super) name: String,
}

/// `wasi:filesystem/types.metadata-hash-value`.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct MetadataHash {
    pub(super) lower: u64,
    pub(super) upper: u64,
}

/// `wasi:filesystem/types.advice`.
#[derive(Debug, Clone, Copy, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the interface names all of them")]
pub(super) enum Advice {
    #[component(name = "normal")]
    Normal,
    #[component(name = "sequential")]
    Sequential,
    #[component(name = "random")]
    Random,
    #[component(name = "will-need")]
    WillNeed,
    #[component(name = "dont-need")]
    DontNeed,
    #[component(name = "no-reuse")]
    NoReuse,
}

macro_rules! error_codes {
    ($($variant:ident $name:literal,)*) => {
        /// `wasi:filesystem/types.error-code`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ComponentType, Lift, Lower)]
        #[component(enum)]
        #[repr(u8)]
        #[allow(dead_code, reason = "the interface names all of them")]
        pub(super) enum ErrorCode {
            $(#[component(name = $name)] $variant,)*
        }

        impl ErrorCode {
            pub(super) fn text(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

error_codes! {
    Access "access",
    WouldBlock "would-block",
    Already "already",
    BadDescriptor "bad-descriptor",
    Busy "busy",
    Deadlock "deadlock",
    Quota "quota",
    Exist "exist",
    FileTooLarge "file-too-large",
    IllegalByteSequence "illegal-byte-sequence",
    InProgress "in-progress",
    Interrupted "interrupted",
    Invalid "invalid",
    Io "io",
    IsDirectory "is-directory",
    Loop "loop",
    TooManyLinks "too-many-links",
    MessageSize "message-size",
    NameTooLong "name-too-long",
    NoDevice "no-device",
    NoEntry "no-entry",
    NoLock "no-lock",
    InsufficientMemory "insufficient-memory",
    InsufficientSpace "insufficient-space",
    NotDirectory "not-directory",
    NotEmpty "not-empty",
    NotRecoverable "not-recoverable",
    Unsupported "unsupported",
    NoTty "no-tty",
    NoSuchDevice "no-such-device",
    Overflow "overflow",
    NotPermitted "not-permitted",
    Pipe "pipe",
    ReadOnly "read-only",
    InvalidSeek "invalid-seek",
    TextFileBusy "text-file-busy",
    CrossDevice "cross-device",
}

impl From<Errno> for ErrorCode {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::Access => Self::Access,
            Errno::BadFd => Self::BadDescriptor,
            Errno::Busy => Self::Busy,
            Errno::Exist => Self::Exist,
            Errno::FileTooBig => Self::FileTooLarge,
            Errno::IllegalBytes => Self::IllegalByteSequence,
            Errno::Invalid => Self::Invalid,
            Errno::Io => Self::Io,
            Errno::IsDir => Self::IsDirectory,
            Errno::Loop => Self::Loop,
            Errno::TooManyFiles => Self::InsufficientMemory,
            Errno::TooManyLinks => Self::TooManyLinks,
            Errno::NameTooLong => Self::NameTooLong,
            Errno::NoEntry => Self::NoEntry,
            Errno::NoSpace => Self::InsufficientSpace,
            Errno::NotDir => Self::NotDirectory,
            Errno::NotEmpty => Self::NotEmpty,
            Errno::NotSocket | Errno::NotSupported => Self::Unsupported,
            Errno::NotPermitted | Errno::NotCapable => Self::NotPermitted,
            Errno::ReadOnly => Self::ReadOnly,
            Errno::NotSeekable => Self::InvalidSeek,
            Errno::OtherDevice => Self::CrossDevice,
        }
    }
}

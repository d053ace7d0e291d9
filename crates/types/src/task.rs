//! What is executed: a task and everything its outcome may depend on.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::id::Digest;
use crate::limits;
use crate::quantity::Fuel;

/// Names a determinism contract: WebAssembly features, operator costs, stack costs, host functions
/// and their limits. `wasi1` is the first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(transparent)]
pub struct EngineId(#[n(0)] pub String);

impl EngineId {
    /// The first contract.
    pub const WASI1: &'static str = "wasi1";

    /// The first contract, as an id.
    #[must_use]
    pub fn wasi1() -> Self {
        Self(Self::WASI1.to_owned())
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One deterministic execution. Two equal specs yield equal outcomes, fuel included.
///
/// Canonical when `env` is sorted by name without repeats and `mounts` by path without one inside
/// another; `ayni_wire::check_task` refuses anything else.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TaskSpec {
    /// The contract it runs under.
    #[n(0)]
    pub engine: EngineId,
    /// WebAssembly module or component.
    #[n(1)]
    pub program: Digest,
    /// `argv`, the program's name first.
    #[n(2)]
    pub args: Vec<String>,
    /// Environment, sorted by name.
    #[n(3)]
    pub env: Vec<EnvVar>,
    /// Standard input; empty if none.
    #[n(4)]
    pub stdin: Option<Digest>,
    /// Read-only inputs, sorted by path.
    #[n(5)]
    pub mounts: Vec<Mount>,
    /// What it may use.
    #[n(6)]
    pub limits: Limits,
    /// Random for private tasks, so that the id reveals nothing.
    #[cbor(n(7), with = "minicbor::bytes")]
    pub blind: Option<[u8; 32]>,
}

/// One environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct EnvVar {
    /// Without `=` or NUL.
    #[n(0)]
    pub name: String,
    /// Without NUL.
    #[n(1)]
    pub value: String,
}

/// A blob made visible to the guest, read-only.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Mount {
    /// Where.
    #[n(0)]
    pub path: GuestPath,
    /// What the blob is.
    #[n(1)]
    pub kind: MountKind,
    /// The bytes.
    #[n(2)]
    pub blob: Digest,
}

/// How a mounted blob is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cbor(index_only)]
pub enum MountKind {
    /// The blob is the file's content.
    #[n(0)]
    File,
    /// The blob is a [`Tree`] in canonical encoding; its entries appear under the path.
    #[n(1)]
    Tree,
}

/// A folder of read-only files.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Tree {
    /// Sorted by path, no path inside another.
    #[n(0)]
    pub entries: Vec<TreeEntry>,
}

/// One file of a [`Tree`].
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct TreeEntry {
    /// Relative: `a/b.txt`. Same rules as [`GuestPath`] without the leading `/`.
    #[n(0)]
    pub path: String,
    /// Content.
    #[n(1)]
    pub blob: Digest,
    /// Length in bytes.
    #[n(2)]
    pub size: u64,
}

/// What a task may use. Going past any of them is an outcome, not a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct Limits {
    /// Linear memory of all instances together, in bytes.
    #[n(0)]
    pub memory_bytes: u64,
    /// Fuel.
    #[n(1)]
    pub fuel: Fuel,
    /// Metered stack, in bytes of the engine's stack cost table.
    #[n(2)]
    pub stack_bytes: u32,
    /// stdout, stderr and files together (scratch included), in bytes.
    #[n(3)]
    pub output_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 1 << 30,
            fuel: Fuel(100_000_000_000),
            stack_bytes: 8 << 20,
            output_bytes: 256 << 20,
        }
    }
}

/// An absolute, normalised path inside the guest: starts with `/`, no empty, `.` or `..` component,
/// no NUL, no control characters, not `/` itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Encode)]
#[cbor(transparent)]
pub struct GuestPath(#[n(0)] String);

/// Why a text is not a guest path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("guest path `{path}` {why}")]
pub struct GuestPathError {
    /// The path, cut to 200 characters.
    pub path: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl GuestPath {
    /// Parses an absolute path.
    ///
    /// # Errors
    /// Names the rule that `text` breaks.
    pub fn new(text: impl Into<String>) -> Result<Self, GuestPathError> {
        let text = text.into();
        let why = match text.strip_prefix('/') {
            None => Some("does not start with `/`"),
            Some(rest) => relative_path_fault(rest),
        };
        match why {
            None => Ok(Self(text)),
            Some(why) => Err(GuestPathError { path: text.chars().take(200).collect(), why }),
        }
    }

    /// The path with its leading `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `other` is this path or lies under it.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for GuestPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'b, C> Decode<'b, C> for GuestPath {
    fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        Self::new(d.str()?).map_err(minicbor::decode::Error::message)
    }
}

impl TreeEntry {
    /// What is wrong with a relative path, if anything.
    #[must_use]
    pub fn path_fault(path: &str) -> Option<&'static str> {
        relative_path_fault(path)
    }
}

fn relative_path_fault(rest: &str) -> Option<&'static str> {
    if rest.is_empty() {
        return Some("is empty");
    }
    if rest.len() >= limits::GUEST_PATH_BYTES_MAX {
        return Some("is longer than 1,024 bytes");
    }
    if rest.chars().any(char::is_control) {
        return Some("has a control character");
    }
    for name in rest.split('/') {
        match name {
            "" => return Some("has an empty component"),
            "." | ".." => return Some("has a `.` or `..` component"),
            _ if name.len() > limits::GUEST_NAME_BYTES_MAX => {
                return Some("has a component longer than 255 bytes");
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_could_climb_are_refused() {
        for bad in ["", "/", "in", "/../x", "/a/..", "/a//b", "/a/", "/.", "/a\0b", "/a\nb"] {
            assert!(GuestPath::new(bad).is_err(), "{bad:?}");
        }
        for good in ["/in", "/a/b.txt", "/...", "/日本/x"] {
            assert!(GuestPath::new(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn containment_is_by_component() {
        let p = |s| GuestPath::new(s).unwrap();
        assert!(p("/in").contains(&p("/in/a")));
        assert!(p("/in").contains(&p("/in")));
        assert!(!p("/in").contains(&p("/input")));
    }
}

//! Why a program can't run under the contract, in words its author can act on.

use std::fmt;

/// Why a program was refused. The same everywhere, so never a fault of a machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NormaliseError {
    /// The first bytes are not WebAssembly's.
    #[error("not WebAssembly: {0}")]
    NotWasm(String),
    /// It does not decode or does not validate.
    #[error("invalid WebAssembly at offset {offset:#x}: {message}")]
    Malformed {
        /// Where, in bytes from the program's begin.
        offset: usize,
        /// What the validator says.
        message: String,
    },
    /// It uses a part of WebAssembly that the contract leaves out.
    #[error("uses {feature}{}, which wasi1 does not have", At(operator, *offset))]
    Feature {
        /// Its usual name.
        feature: &'static str,
        /// The first operator that uses it, if an operator does.
        operator: Option<String>,
        /// Where, in bytes from the program's begin.
        offset: usize,
        /// How to build without it.
        hint: &'static str,
    },
    /// It goes past a limit of the contract.
    #[error("{what}: {value}, wasi1 allows at most {max}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there is.
        value: u64,
        /// How much there may be.
        max: u64,
    },
    /// It exports or imports a name that belongs to the meter.
    #[error("uses the name `{name}`, which is reserved for the meter")]
    ReservedName {
        /// The name.
        name: String,
    },
    /// A component of a shape that can't be metered.
    #[error("component {what}, which wasi1 does not have")]
    Component {
        /// What it does.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
}

impl NormaliseError {
    /// What the user can do about it, if there is something.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Feature { hint, .. } | Self::Component { hint, .. } => Some(hint),
            Self::NotWasm(_) => {
                Some("give a WebAssembly module or component in binary form (.wasm)")
            }
            Self::Malformed { .. } => Some("build or download the program again"),
            Self::Limit { .. } => Some("split the program, or build it with -Oz"),
            Self::ReservedName { .. } => Some("rename it"),
        }
    }
}

/// " (`try` at offset 0x10)" or " (at offset 0x10)".
struct At<'a>(&'a Option<String>, usize);

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(operator) => write!(f, " (`{operator}` at offset {:#x})", self.1),
            None => write!(f, " (at offset {:#x})", self.1),
        }
    }
}

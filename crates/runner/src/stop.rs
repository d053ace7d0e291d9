//! Why a guest stops before its entry function returns.
//!
//! Travels through wasmtime as an error: a host function that returns a [`Stop`] ends the guest at
//! once. Everything but a fault is an outcome.

use ayni_types::{Exhausted, Fault, FaultKind, TrapCode};

/// Ends the guest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    /// It asked to.
    #[error("exit {0}")]
    Exit(u32),
    /// It went past a limit.
    #[error("exhausted: {}", .0.text())]
    Exhausted(Exhausted),
    /// It passed the host something that can't be.
    #[error("trap: {}", .0.text())]
    Trap(TrapCode),
    /// The machine failed.
    #[error("{0}")]
    Fault(Fault),
}

impl Stop {
    /// A fault of the machine, described for people.
    #[must_use]
    pub fn fault(kind: FaultKind, detail: impl Into<String>) -> Self {
        Self::Fault(fault(kind, detail))
    }
}

/// A fault whose text is cut to what may travel.
#[must_use]
pub fn fault(kind: FaultKind, detail: impl Into<String>) -> Fault {
    let mut detail = detail.into();
    let mut end = detail.len().min(ayni_types::limits::TEXT_BYTES_MAX);
    while !detail.is_char_boundary(end) {
        end -= 1;
    }
    detail.truncate(end);
    Fault { kind, detail }
}

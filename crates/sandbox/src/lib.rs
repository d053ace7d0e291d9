//! The daemon's side of the runner: builds a jail around it, feeds it, kills it.
//!
//! Strangers' code runs inside `ayni-runner`, and this crate assumes that it has already taken that
//! process over: whatever it does, it meets the walls of its jail, and whatever it says is checked.
//! Deliberately not here: WebAssembly (`ayni-runner`), and what outcomes mean (`ayni-core`).
//!
//! - [`Sandbox`] knows the runner and the walls of this machine; opens jails
//! - [`Slot`] runs the tasks of one lease, one after the other, in one jail
//! - [`ArtefactCache`] keeps compiled code between uses
//! - [`RunResult`] what a run yields, checked
//! - [`jail`] the inside of `ayni-jail`, which builds the walls

mod allowance;
mod cache;
mod cgroup;
mod channel;
pub mod config;
pub mod jail;
mod libraries;
mod order;
mod report;
mod sandbox;
mod slot;
mod warden;

pub use cache::{ArtefactCache, ArtefactKey, CacheError, processor};
pub use config::{SandboxConfig, SlotLimits};
pub use report::{RunResult, SectionReader, SmallResult};
pub use sandbox::{Artefact, Compiled, Sandbox, SandboxError, WallReport};
pub use slot::{AHEAD_MAX, Ahead, BlobSource, Slot, SlotControl};

//! The node as a state machine without IO.
//!
//! `Core::handle(now, event)` takes what happened, `Core::poll_effect()` gives what to do about it,
//! `Core::poll_timeout()` says when to come back. The core reads no clock, socket, file or random
//! source: time comes with every call and randomness from a seed. Deliberately not here: async,
//! transports, blobs' bytes, processes (the node crate pumps the core against those), JSON.

mod effect;
mod event;
mod seal;

pub use effect::{Effect, FetchId, FetchWhat, Notice, NoticeKind, Purpose, RunId, SlotId};
pub use event::{
    Command, CommandError, CommandId, Event, FetchFailure, JobSpec, PauseReason, Ran, Reply,
};
pub use seal::{Seal, WireSeal};

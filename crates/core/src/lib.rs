//! The node as a state machine without IO.
//!
//! `Core::handle(now, event)` takes what happened, `Core::poll_effect()` gives what to do about it,
//! `Core::poll_timeout()` says when to come back. The core reads no clock, socket, file or random
//! source: time comes with every call and randomness from a seed. Deliberately not here: async,
//! transports, blobs' bytes, processes (the node crate pumps the core against those), JSON.

mod apply;
pub mod audit;
mod backing;
mod budget;
mod channel;
mod command;
mod config;
mod core;
mod directory;
mod draws;
mod effect;
mod event;
mod gate;
mod home;
mod job;
mod journal;
mod load;
mod market;
mod opinions;
mod patience;
mod provider;
mod purse;
mod quote;
mod rng;
mod schedule;
mod seal;
mod statement;
mod till;
mod verify;
mod view;

pub use self::core::Core;
pub use backing::{Accusation, StakeOf};
pub use channel::Seen;
pub use config::{Config, HomeConfig, ProviderConfig, Tuning, Wallet};
pub use effect::{
    ChainStep, Effect, FetchId, FetchWhat, Notice, NoticeKind, Purpose, RunId, SlotId,
};
pub use event::{
    Command, CommandError, CommandId, Event, FetchFailure, JobSpec, Lent, PauseReason, Ran, Reply,
};
pub use job::{Attempt, Evidence};
pub use journal::{
    AcceptRecord, AuditDraw, JOURNAL_VERSION, JobRecord, ReceiptAt, Record, RecoverError,
    decode_record, encode_record,
};
pub use quote::{Cost, QuoteAsk, QuoteProvider, QuoteView};
pub use seal::{Seal, WireSeal};
pub use statement::{ChannelState, ChannelView};
pub use view::{
    AuditCounts, BanView, Confidence, Counts, Grounds, JobProviderView, JobState, JobView,
    LeaseView, OfferView, PeerView, ProviderView, RunView, Sizes, TaskState, TaskView, TotalsView,
    WhyLine,
};

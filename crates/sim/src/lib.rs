//! The deterministic simulator: many cores, the same that ship, in one virtual world.
//!
//! ```text
//! knobs     every number of a world, with its name; written to a file and read back
//! swarm     draws them from one seed
//! world     virtual clock, event heap, nodes, faults, the two phases
//! clock     what a node's own clock says
//! net       connections that are up or down, delays, partitions
//! chain     a model chain with the channels' contract on it
//! disk      a journal with a live and a durable image
//! runner    a model of execution: outcomes are a pure function of the task
//! adversary dishonest nodes, one file per strategy
//! seal      signatures that cost little and protect nothing (the real ones are tested elsewhere)
//! checkers  one file per promise
//! shrink    smaller knobs that break the same promise
//! farm      many worlds
//! trace     a hash over everything that happened
//! channels  apart from worlds: three nodes and a chain, every step an action chosen by bytes
//! rule      apart from worlds: a Monte Carlo of the audit rule
//! earnings  apart from worlds: what a machine at home earns in a month
//! ```
//!
//! A world has two phases: faults, then healing, after which every job must end in bounded virtual
//! time. Deliberately not here: real time, threads (only the farm uses them, one world each), async.

pub mod adversary;
pub mod chain;
pub mod channels;
pub mod checkers;
pub mod clock;
pub mod disk;
#[allow(clippy::cast_precision_loss)]
pub mod earnings;
pub mod farm;
pub mod knobs;
pub mod net;
pub mod prng;
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub mod rule;
pub mod runner;
pub mod seal;
pub mod shrink;
pub mod swarm;
pub mod trace;
pub mod world;

pub use knobs::Knobs;
pub use world::{Report, Violation, run_seed, run_world};

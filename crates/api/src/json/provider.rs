//! What this node lends.

use ayni_types::{NodeId, TaskId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{EnergyJson, PriceJson, ReadingsJson, RestJson, Schema, Text};

/// What this node lends, and how that goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProviderStatus {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// It takes work, rests, or finishes.
    pub state: ProviderState,
    /// Why it rests; several may hold at once.
    pub pauses: Vec<PauseReasonJson>,
    /// The same in words, with the values that were read.
    pub rests: Vec<RestJson>,
    /// What the node reads of its machine.
    pub readings: ReadingsJson,
    /// Its owner's limits.
    pub lending: Lending,
    /// What runs now.
    pub slots: Vec<SlotJson>,
    /// Leases in force.
    pub leases: u32,
    /// Tasks done since it started.
    pub tasks_done: u64,
    /// Fuel of the tasks done.
    #[schema(value_type = String)]
    pub fuel: Text<u64>,
    /// Earned since it started, in the token's smallest unit.
    #[schema(value_type = String)]
    pub earned: Text<u128>,
    /// Processor time of that, and the time that compiling took, in milliseconds.
    pub busy_ms: u64,
    /// What that took by the owner's figures, if they are set.
    pub power: Option<PowerJson>,
    /// Walls that stand around the runner.
    pub walls: Vec<String>,
    /// Walls that are missing, and why.
    pub walls_missing: Vec<String>,
    /// Engine build.
    pub build: String,
}

/// Electricity and emissions by the owner's own figures: declared, not verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PowerJson {
    /// What offers say.
    pub declared: EnergyJson,
    /// What the owner pays for a kilowatt-hour, in the token's smallest unit.
    #[schema(value_type = String)]
    pub price_per_kwh: Text<u128>,
    /// Electricity, in millijoules.
    #[schema(value_type = String)]
    pub millijoules: Text<u128>,
    /// Its price, in the token's smallest unit.
    #[schema(value_type = String)]
    pub cost: Text<u128>,
    /// Greenhouse gas, in micrograms of CO2 equivalent.
    #[schema(value_type = String)]
    pub micrograms_co2: Text<u128>,
}

/// Whether it takes work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ProviderState {
    Active,
    Paused,
    Draining,
    Drained,
}

impl ProviderState {
    /// The word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Drained => "drained",
        }
    }
}

/// Why a provider rests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum PauseReasonJson {
    Owner,
    Battery,
    DiskFull,
    Hours,
    InUse,
    Busy,
    Memory,
    Hot,
    Metered,
    Transfer,
}

impl PauseReasonJson {
    /// In words.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Owner => "paused by its owner",
            Self::Battery => "on battery",
            Self::DiskFull => "the disk is full",
            Self::Hours => "not lent at this hour",
            Self::InUse => "somebody is at the machine",
            Self::Busy => "other programs need the processor",
            Self::Memory => "other programs need the memory",
            Self::Hot => "too hot",
            Self::Metered => "the network is billed by volume",
            Self::Transfer => "the day's transfer is spent",
        }
    }
}

/// An owner's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lending {
    /// Tasks at once.
    pub slots: u32,
    /// Memory of all tasks together, in bytes.
    pub memory_bytes: u64,
    /// Blob storage in bytes.
    pub disk_bytes: u64,
    /// What it asks while nothing is leased.
    pub price: PriceJson,
    /// So many hundredths more while all slots are leased; in between by a straight line.
    pub busy_percent: u32,
    /// What it asks now.
    pub price_now: PriceJson,
}

/// One slot at work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SlotJson {
    /// For whom; `null` is this node's own owner.
    #[schema(value_type = Option<String>)]
    pub requester: Option<Text<NodeId>>,
    /// What.
    #[schema(value_type = String)]
    pub task: Text<TaskId>,
    /// Since when.
    pub since_ms: u64,
}

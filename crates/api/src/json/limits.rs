//! What an owner lends, when, and what makes the machine rest.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::provider::PauseReasonJson;
use super::{PriceJson, Schema, Text};

/// An owner's limits. They hold until they are set again, also after a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnerLimits {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Tasks at once, each on a core.
    pub cpus: u32,
    /// Memory of all tasks together, in bytes.
    pub memory_bytes: u64,
    /// Blob storage, in bytes.
    pub disk_bytes: u64,
    /// What is asked while nothing is leased.
    pub price: PriceJson,
    /// So many hundredths more while all slots are leased; in between by a straight line.
    pub busy_percent: u32,
    /// When it is lent, by the machine's own clock and zone: `mon-fri 22:00-07:00`, `sat,sun`,
    /// `daily 20:00-24:00`. None: always.
    pub hours: Vec<String>,
    /// Work on battery too.
    pub on_battery: bool,
    /// Work also while the network is billed by volume.
    pub metered: bool,
    /// Rest until nobody has touched keyboard, mouse or terminal for so many seconds.
    pub in_use_s: Option<u32>,
    /// Rest while other programs use more than this percentage of all cores.
    pub others_cpu_percent: Option<u32>,
    /// Rest while less than this percentage of the memory is available.
    pub free_memory_percent: Option<u32>,
    /// Rest above this temperature, in degrees Celsius.
    pub temperature_max: Option<u32>,
    /// Rest when so many bytes were sent and received in a day.
    pub transfer_per_day_bytes: Option<u64>,
}

/// How long to rest. No body is the same as an empty one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseRequest {
    /// So many seconds; without it until it is told to go on.
    pub for_s: Option<u64>,
}

/// Why a provider rests now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestJson {
    /// Which limit.
    pub reason: PauseReasonJson,
    /// In words, with the value that was read and the limit.
    pub text: String,
    /// Since when, in milliseconds since 1970, if that is known.
    pub since_ms: Option<u64>,
    /// Until when, if that is known.
    pub until_ms: Option<u64>,
}

/// What the node reads of its machine; `null` is what it can't read, or no limit asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadingsJson {
    /// No mains supply.
    pub on_battery: bool,
    /// The network is billed by volume.
    pub metered: Option<bool>,
    /// Seconds since keyboard, mouse or terminal were touched.
    pub idle_s: Option<u64>,
    /// What other programs use of all cores.
    pub others_cpu_percent: Option<u32>,
    /// Memory that is available.
    pub free_memory_percent: Option<u32>,
    /// Of the hottest part that has to do with the processor, in degrees Celsius.
    pub temperature: Option<i32>,
    /// Bytes sent and received since midnight.
    #[schema(value_type = String)]
    pub transferred_today_bytes: Text<u64>,
}

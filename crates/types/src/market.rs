//! What providers offer and what both sides agree to.

use std::fmt;

use minicbor::{Decode, Encode};

use crate::id::{BatchKey, Digest, LeaseId, NodeAddr, NodeId};
use crate::money::{PaidBy, Payment};
use crate::quantity::{Amount, Fuel, Time};
use crate::task::EngineId;

/// The exact runner binary that executes, by digest, and its readable version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct EngineBuild {
    /// BLAKE3 of the runner executable.
    #[n(0)]
    pub digest: Digest,
    /// For people: `ayni-runner 0.1.0, wasmtime 48.0.8, x86_64`.
    #[n(1)]
    pub version: String,
}

/// Prices in the token's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Price {
    /// Per 1,000,000,000 fuel, rounded up per task.
    #[n(0)]
    pub per_gigafuel: Amount,
    /// Per mebibyte of code compiled, rounded up, once per program and lease.
    #[n(1)]
    pub per_code_mebibyte: Amount,
    /// Per mebibyte of declared inputs and outputs moved, rounded up per task.
    #[n(2)]
    pub per_data_mebibyte: Amount,
}

impl Price {
    /// What a task costs: each part rounded up to the token's smallest unit, saturating.
    #[must_use]
    pub fn of(&self, fuel: Fuel, code_bytes: u64, data_bytes: u64) -> Amount {
        let part = |price: Amount, quantity: u64, unit: u128| {
            price.0.saturating_mul(u128::from(quantity)).div_ceil(unit)
        };
        Amount(
            part(self.per_gigafuel, fuel.0, 1_000_000_000)
                .saturating_add(part(self.per_code_mebibyte, code_bytes, 1 << 20))
                .saturating_add(part(self.per_data_mebibyte, data_bytes, 1 << 20)),
        )
    }
}

/// What a node does for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Roles {
    /// Runs tasks.
    #[n(0)]
    pub provider: bool,
    /// Keeps and answers offers.
    #[n(1)]
    pub directory: bool,
    /// Forwards packets for nodes behind NAT.
    #[n(2)]
    pub relay: bool,
}

/// One part of the jail around the runner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
#[allow(missing_docs)]
pub enum Wall {
    #[n(0)]
    UserNamespace,
    #[n(1)]
    MountNamespace,
    #[n(2)]
    NetworkNamespace,
    #[n(3)]
    PidNamespace,
    #[n(4)]
    Seccomp,
    #[n(5)]
    Landlock,
    #[n(6)]
    Rlimits,
    #[n(7)]
    CgroupMemory,
    #[n(8)]
    CgroupCpu,
    #[n(9)]
    CgroupPids,
    #[n(10)]
    NoNewPrivileges,
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserNamespace => "user namespace",
            Self::MountNamespace => "mount namespace",
            Self::NetworkNamespace => "network namespace",
            Self::PidNamespace => "pid namespace",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::Rlimits => "rlimits",
            Self::CgroupMemory => "cgroup memory",
            Self::CgroupCpu => "cgroup cpu",
            Self::CgroupPids => "cgroup pids",
            Self::NoNewPrivileges => "no_new_privs",
        })
    }
}

/// The walls that stand, sorted.
pub type Walls = Vec<Wall>;

/// What an owner says that work takes from the grid and puts into the air. Nobody can verify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Energy {
    /// Power that one busy slot draws, in milliwatts.
    #[n(0)]
    pub slot_milliwatts: u32,
    /// Greenhouse gas for a kilowatt-hour of its electricity, in grams of CO2 equivalent.
    #[n(1)]
    pub grams_per_kwh: u32,
}

impl Energy {
    /// What one slot takes in a time, in millijoules.
    #[must_use]
    pub fn millijoules(&self, busy_ms: u64) -> u128 {
        u128::from(self.slot_milliwatts) * u128::from(busy_ms) / 1_000
    }

    /// Greenhouse gas for so much electricity, in micrograms of CO2 equivalent.
    #[must_use]
    pub fn micrograms(&self, millijoules: u128) -> u128 {
        // A kilowatt-hour is 3.6 × 10^9 millijoules, a gram 10^6 micrograms.
        millijoules.saturating_mul(self.grams_per_kwh.into()) / 3_600
    }
}

/// A provider's statement of what it has and asks. Signed and expiring.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// Who offers.
    #[n(0)]
    pub node: NodeId,
    /// Counts up; a higher one replaces a lower one.
    #[n(1)]
    pub sequence: u64,
    /// When it was made.
    #[n(2)]
    pub issued: Time,
    /// When it ends.
    #[n(3)]
    pub expires: Time,
    /// Tasks it runs at once.
    #[n(4)]
    pub slots: u32,
    /// Slots free when the offer was made.
    #[n(5)]
    pub slots_free: u32,
    /// Linear memory a task may ask for, in bytes.
    #[n(6)]
    pub memory_bytes: u64,
    /// Blob storage it lends, in bytes.
    #[n(7)]
    pub disk_bytes: u64,
    /// Contracts it runs.
    #[n(8)]
    pub engines: Vec<EngineId>,
    /// With what.
    #[n(9)]
    pub build: EngineBuild,
    /// Fuel a slot does per second, as it measured itself; not verified.
    #[n(10)]
    pub fuel_per_second: u64,
    /// What it asks.
    #[n(11)]
    pub price: Price,
    /// Walls that stand around its runner; not verified.
    #[n(12)]
    pub walls: Walls,
    /// Where it says it is (ISO 3166 code); not verified.
    #[n(13)]
    pub region: Option<String>,
    /// How to reach it.
    #[n(14)]
    pub addr: NodeAddr,
    /// Key that will sign the batches of its leases; goes into [`Lease::batch_key`].
    #[n(15)]
    pub batch_key: BatchKey,
    /// Stake it reserves for a lease. Only a number until contracts hold it; not verified.
    #[n(16)]
    pub stake: Amount,
    /// Pay that it lets a requester hold back until the audits of a lease are done.
    #[n(17)]
    pub hold_back: Amount,
    /// How it is paid; `None`: its prices are counted and never paid.
    #[n(18)]
    pub payment: Option<Payment>,
    /// What it says that its work takes; not verified.
    #[n(19)]
    pub energy: Option<Energy>,
}

/// An agreement between two nodes on prices and limits, signed by both. It serves all jobs of its
/// requester, so that several jobs share the slots.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Lease {
    /// Drawn by the requester.
    #[n(0)]
    pub id: LeaseId,
    /// Who asks.
    #[n(1)]
    pub requester: NodeId,
    /// Who works.
    #[n(2)]
    pub provider: NodeId,
    /// Contract.
    #[n(3)]
    pub engine: EngineId,
    /// Build the provider promises to use.
    #[n(4)]
    pub build: EngineBuild,
    /// Tasks at once.
    #[n(5)]
    pub slots: u32,
    /// Linear memory of one task at most, in bytes.
    #[n(6)]
    pub memory_bytes: u64,
    /// Prices.
    #[n(7)]
    pub price: Price,
    /// Fuel per second and slot that the provider undertakes.
    #[n(8)]
    pub fuel_per_second: u64,
    /// Vouchers may be ahead of the bill by so much, and no more.
    #[n(9)]
    pub voucher_step: Amount,
    /// Stake reserved for this lease.
    #[n(10)]
    pub stake_reserved: Amount,
    /// Key that signs this lease's batches.
    #[n(11)]
    pub batch_key: BatchKey,
    /// From when.
    #[n(12)]
    pub issued: Time,
    /// Until when.
    #[n(13)]
    pub expires: Time,
    /// Pay that may be held back until the audits of this lease are done.
    #[n(14)]
    pub hold_back: Amount,
    /// Digest of the seed by which results are drawn for audits. The seed is shown when the lease
    /// is over, so that nobody can choose after the work is delivered.
    #[n(15)]
    pub audit_commitment: Digest,
    /// Through which channel it is paid; `None`: it is not.
    #[n(16)]
    pub paid_by: Option<PaidBy>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn energy_is_counted_in_integers() {
        let energy = Energy { slot_milliwatts: 10_000, grams_per_kwh: 360 };
        // Ten watts for an hour: 0.01 kWh, 3.6 g.
        let millijoules = energy.millijoules(3_600_000);
        assert_eq!(millijoules, 36_000_000);
        assert_eq!(energy.micrograms(millijoules), 3_600_000);
        let most = Energy { slot_milliwatts: u32::MAX, grams_per_kwh: u32::MAX };
        assert!(most.micrograms(most.millijoules(u64::MAX)) > 0);
    }

    #[test]
    fn price_rounds_each_part_up_and_saturates() {
        let price = Price {
            per_gigafuel: Amount(1_000),
            per_code_mebibyte: Amount(7),
            per_data_mebibyte: Amount(u128::MAX),
        };
        assert_eq!(price.of(Fuel(0), 0, 0), Amount(0));
        assert_eq!(price.of(Fuel(1), 0, 0), Amount(1));
        assert_eq!(price.of(Fuel(1_000_000_001), 1, 0), Amount(1_002));
        assert_eq!(price.of(Fuel(1), 1, 1 << 21), Amount((u128::MAX >> 20) + 1 + 1 + 1));
    }
}

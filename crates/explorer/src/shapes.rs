//! What is said: the fields that are public, each taken by name. Units are those of the node's API:
//! money and fuel are decimal text, times milliseconds since 1970.
//!
//! Deliberately not here: any shape of the node's API as a whole.

use ayni_api::json::{ChannelJson, DisputeState, OfferJson, ProofJson, Schema, Text, VerifyReport};
use ayni_types::{Account, ChannelId, Digest, LeaseId, NodeId, TaskId};
use serde::Serialize;

/// The offers of all providers that the node knows.
#[derive(Debug, Serialize)]
pub(crate) struct Market {
    pub(crate) schema: Schema,
    pub(crate) offers: Vec<Offer>,
}

/// What a provider says of itself, without where it is reached and who pays it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Offer {
    pub(crate) node: Text<NodeId>,
    slots: u32,
    slots_free: u32,
    memory_bytes: u64,
    disk_bytes: u64,
    engines: Vec<String>,
    build: String,
    build_digest: Text<Digest>,
    fuel_per_second: Text<u64>,
    price: Price,
    walls: Vec<String>,
    region: Option<String>,
    energy: Option<Energy>,
    issued_ms: u64,
    expires_ms: u64,
}

#[derive(Debug, Clone, Serialize)]
struct Price {
    per_gigafuel: Text<u128>,
    per_code_mebibyte: Text<u128>,
    per_data_mebibyte: Text<u128>,
}

#[derive(Debug, Clone, Serialize)]
struct Energy {
    slot_milliwatts: u32,
    grams_co2_per_kwh: u32,
}

impl From<&OfferJson> for Offer {
    fn from(offer: &OfferJson) -> Self {
        Self {
            node: offer.node,
            slots: offer.slots,
            slots_free: offer.slots_free,
            memory_bytes: offer.memory_bytes,
            disk_bytes: offer.disk_bytes,
            engines: offer.engines.clone(),
            build: offer.build.clone(),
            build_digest: offer.build_digest,
            fuel_per_second: offer.fuel_per_second,
            price: Price {
                per_gigafuel: offer.price.per_gigafuel,
                per_code_mebibyte: offer.price.per_code_mebibyte,
                per_data_mebibyte: offer.price.per_data_mebibyte,
            },
            walls: offer.walls.clone(),
            region: offer.region.clone(),
            energy: offer.energy.map(|energy| Energy {
                slot_milliwatts: energy.slot_milliwatts,
                grams_co2_per_kwh: energy.grams_co2_per_kwh,
            }),
            issued_ms: offer.issued_ms,
            expires_ms: offer.expires_ms,
        }
    }
}

/// A provider: its offer if it has one now, and what is held against it.
#[derive(Debug, Serialize)]
pub(crate) struct Provider {
    pub(crate) schema: Schema,
    pub(crate) node: Text<NodeId>,
    pub(crate) offer: Option<Offer>,
    pub(crate) proofs: Vec<Proof>,
    pub(crate) disputes: Vec<Dispute>,
}

/// Two roots for one batch; `proof` is all that anybody needs to check it (`POST /v1/verify`).
#[derive(Debug, Serialize)]
pub(crate) struct Proof {
    lease: Text<LeaseId>,
    batch: u64,
    first_root: Text<Digest>,
    second_root: Text<Digest>,
    proof: String,
}

impl From<&ProofJson> for Proof {
    fn from(proof: &ProofJson) -> Self {
        Self {
            lease: proof.lease,
            batch: proof.batch,
            first_root: proof.first_root,
            second_root: proof.second_root,
            proof: proof.proof.clone(),
        }
    }
}

/// A channel as the chain shows it.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Channel {
    schema: Schema,
    pub(crate) id: Text<ChannelId>,
    /// `open`, `closing` or `empty`.
    state: &'static str,
    payer: Text<Account>,
    payee: Text<Account>,
    deposit: Text<u128>,
    claimed: Text<u128>,
    withdrawal_from_ms: Option<u64>,
}

impl Channel {
    /// Nothing while the chain shows nothing. What the node decided, owes or promised beside the
    /// chain is not looked at.
    pub(crate) fn seen(channel: &ChannelJson) -> Option<Self> {
        let (deposit, claimed) = (channel.deposit, channel.claimed);
        if deposit.0 == 0 && claimed.0 == 0 {
            return None;
        }
        let state = match channel.withdrawal_from_ms {
            Some(_) => "closing",
            None if deposit <= claimed => "empty",
            None => "open",
        };
        Some(Self {
            schema: Schema,
            id: channel.id,
            state,
            payer: channel.payer,
            payee: channel.payee,
            deposit,
            claimed,
            withdrawal_from_ms: channel.withdrawal_from_ms,
        })
    }
}

/// A dispute as the chain shows it. The task is an id: a digest of what only its parties have.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Dispute {
    schema: Schema,
    pub(crate) id: u64,
    phase: String,
    pub(crate) provider: Text<Account>,
    requester: Text<Account>,
    lease: Text<LeaseId>,
    task: Text<TaskId>,
    outcome: Text<Digest>,
    counter_outcome: Text<Digest>,
    price: Text<u128>,
    juries: Vec<Jury>,
    appeal_until_ms: Option<u64>,
    appellant: Option<Text<Account>>,
    verdict: Option<String>,
    slashed: Text<u128>,
    restitution: Text<u128>,
    burned: Text<u128>,
}

#[derive(Debug, Clone, Serialize)]
struct Jury {
    size: u8,
    members: Vec<Text<Account>>,
    committed: u32,
    revealed: u32,
    verdict: Option<String>,
}

impl From<&DisputeState> for Dispute {
    fn from(dispute: &DisputeState) -> Self {
        let jury = |jury: &ayni_api::json::JuryJson| Jury {
            size: jury.size,
            members: jury.members.clone(),
            committed: jury.committed,
            revealed: jury.revealed,
            verdict: jury.verdict.clone(),
        };
        Self {
            schema: Schema,
            id: dispute.id,
            phase: dispute.phase.clone(),
            provider: dispute.provider,
            requester: dispute.requester,
            lease: dispute.lease,
            task: dispute.task,
            outcome: dispute.outcome,
            counter_outcome: dispute.counter_outcome,
            price: dispute.price,
            juries: dispute.juries.iter().map(jury).collect(),
            appeal_until_ms: dispute.appeal_until_ms,
            appellant: dispute.appellant,
            verdict: dispute.verdict.clone(),
            slashed: dispute.slashed,
            restitution: dispute.restitution,
            burned: dispute.burned,
        }
    }
}

/// Whether a receipt or a proof holds, step by step; `detail` is of its own bytes.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    schema: Schema,
    ok: bool,
    steps: Vec<Step>,
}

#[derive(Debug, Serialize)]
struct Step {
    name: String,
    ok: bool,
    detail: String,
}

impl From<VerifyReport> for Report {
    fn from(report: VerifyReport) -> Self {
        let step = |step: ayni_api::json::VerifyStep| Step {
            name: step.name,
            ok: step.ok,
            detail: step.detail,
        };
        let steps = report.steps.into_iter().map(step).collect();
        Self { schema: Schema, ok: report.ok, steps }
    }
}

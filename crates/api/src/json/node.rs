//! The node itself, whom it knows, and what it finds wrong.

use ayni_types::{Digest, Energy, JobId, LeaseId, NodeAddr, NodeId, Offer, Roles};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{JobSummary, PriceJson, ProviderStatus, Schema, Text};

/// How the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Who it is.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// Version of the program.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
    /// Where it keeps its things.
    pub home: String,
    /// What it does for others.
    pub roles: RolesJson,
    /// Since when, in milliseconds.
    pub uptime_ms: u64,
    /// Where it can be reached.
    pub addr: NodeAddrJson,
    /// Peers connected now.
    pub peers: u32,
    /// Offers it knows.
    pub offers: u32,
    /// Jobs that have not ended.
    pub jobs_running: Vec<JobSummary>,
    /// Jobs in all.
    pub jobs: u32,
    /// What it lends; `null` if it does not.
    pub provider: Option<ProviderStatus>,
    /// What its owner should know, most important first.
    pub warnings: Vec<Warning>,
}

/// Something its owner should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Warning {
    /// How bad.
    pub level: CheckLevel,
    /// What.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// What a node does for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct RolesJson {
    /// Runs tasks.
    pub provider: bool,
    /// Keeps and answers offers.
    pub directory: bool,
    /// Forwards packets for nodes behind NAT.
    pub relay: bool,
}

impl From<Roles> for RolesJson {
    fn from(roles: Roles) -> Self {
        Self { provider: roles.provider, directory: roles.directory, relay: roles.relay }
    }
}

impl RolesJson {
    /// In words; a node without a role is a requester.
    #[must_use]
    pub fn text(self) -> String {
        let named =
            [(self.provider, "provider"), (self.directory, "directory"), (self.relay, "relay")];
        let names: Vec<_> = named.iter().filter(|(has, _)| *has).map(|(_, name)| *name).collect();
        if names.is_empty() { "requester".to_owned() } else { names.join(", ") }
    }
}

/// Where a node may be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeAddrJson {
    /// Who.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// Socket addresses to try.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub direct: Vec<std::net::SocketAddr>,
    /// A relay that knows the node, as a URL.
    #[serde(default)]
    pub relay: Option<String>,
}

impl From<&NodeAddr> for NodeAddrJson {
    fn from(addr: &NodeAddr) -> Self {
        Self { node: Text(addr.node), direct: addr.direct.clone(), relay: addr.relay.clone() }
    }
}

impl From<NodeAddrJson> for NodeAddr {
    fn from(addr: NodeAddrJson) -> Self {
        Self { node: addr.node.0, direct: addr.direct, relay: addr.relay }
    }
}

/// Who the node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Identity {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Its public key.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// Where it can be reached.
    pub addr: NodeAddrJson,
}

/// Whom the node knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Connected ones first.
    pub peers: Vec<Peer>,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Who.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// A connection is up.
    pub connected: bool,
    /// `direct`, `relayed`, `mixed` or `none`.
    pub path: String,
    /// Where it was last seen.
    #[schema(value_type = Vec<String>)]
    pub direct: Vec<std::net::SocketAddr>,
    /// Round trip in milliseconds, if measured.
    pub rtt_ms: Option<u64>,
    /// What it says it does.
    pub roles: Option<RolesJson>,
    /// What it says it runs; may come from a stranger.
    pub agent: Option<String>,
    /// When it was last heard.
    pub seen_ms: Option<u64>,
    /// For how long the connection has been up, in milliseconds.
    #[serde(default)]
    pub connected_ms: Option<u64>,
    /// Bytes received from it as messages over the present connection; blobs are not in it.
    #[serde(default)]
    pub bytes_in: Option<u64>,
    /// Bytes sent to it, counted likewise.
    #[serde(default)]
    pub bytes_out: Option<u64>,
}

/// Whom to contact: a ticket, or an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum JoinRequest {
    /// A join ticket, `ayni1…`.
    Ticket {
        /// The line of text.
        ticket: String,
    },
    /// An address.
    Addr {
        /// Where.
        addr: NodeAddrJson,
    },
}

/// Peers were added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Joined {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Nodes the ticket named.
    #[schema(value_type = Vec<String>)]
    pub peers: Vec<Text<NodeId>>,
}

/// A wish for a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InviteRequest {
    /// How long it is to be good, in milliseconds; a week if left out.
    #[serde(default = "week_ms")]
    pub valid_ms: u64,
}

fn week_ms() -> u64 {
    InviteRequest::default().valid_ms
}

impl Default for InviteRequest {
    fn default() -> Self {
        Self { valid_ms: 7 * 24 * 3_600 * 1_000 }
    }
}

/// A join ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TicketJson {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// One line of text. Not a secret.
    pub ticket: String,
    /// When it ends.
    pub expires_ms: u64,
}

/// Offers the node knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The offers.
    pub offers: Vec<OfferJson>,
}

/// What an owner says that work takes. Nobody can verify it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnergyJson {
    /// Power that one busy slot draws, in milliwatts.
    pub slot_milliwatts: u32,
    /// Greenhouse gas for a kilowatt-hour of its electricity, in grams of CO2 equivalent.
    pub grams_co2_per_kwh: u32,
}

impl From<Energy> for EnergyJson {
    fn from(energy: Energy) -> Self {
        Self { slot_milliwatts: energy.slot_milliwatts, grams_co2_per_kwh: energy.grams_per_kwh }
    }
}

/// What one provider has and asks. All of it is its own statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OfferJson {
    /// Who.
    #[schema(value_type = String)]
    pub node: Text<NodeId>,
    /// Tasks it runs at once.
    pub slots: u32,
    /// Of those, free when it said so.
    pub slots_free: u32,
    /// Linear memory a task may ask for, in bytes.
    pub memory_bytes: u64,
    /// Blob storage in bytes.
    pub disk_bytes: u64,
    /// Contracts it runs.
    pub engines: Vec<String>,
    /// Engine build, for people.
    pub build: String,
    /// Digest of the engine build.
    #[schema(value_type = String)]
    pub build_digest: Text<Digest>,
    /// Fuel a slot does per second.
    #[schema(value_type = String)]
    pub fuel_per_second: Text<u64>,
    /// What it asks.
    pub price: PriceJson,
    /// Walls that stand around its runner.
    pub walls: Vec<String>,
    /// Where it says it is.
    pub region: Option<String>,
    /// What it says that its work takes: declared by its owner, not verified.
    pub energy: Option<EnergyJson>,
    /// When the offer was made.
    pub issued_ms: u64,
    /// When it ends.
    pub expires_ms: u64,
}

impl From<&Offer> for OfferJson {
    fn from(offer: &Offer) -> Self {
        Self {
            node: Text(offer.node),
            slots: offer.slots,
            slots_free: offer.slots_free,
            memory_bytes: offer.memory_bytes,
            disk_bytes: offer.disk_bytes,
            engines: offer.engines.iter().map(ToString::to_string).collect(),
            build: offer.build.version.clone(),
            build_digest: Text(offer.build.digest),
            fuel_per_second: Text(offer.fuel_per_second),
            price: offer.price.into(),
            walls: offer.walls.iter().map(ToString::to_string).collect(),
            region: offer.region.clone(),
            energy: offer.energy.map(EnergyJson::from),
            issued_ms: offer.issued.0,
            expires_ms: offer.expires.0,
        }
    }
}

/// Proofs of fraud that the node holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofList {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// In the order in which they were found or shown.
    pub proofs: Vec<ProofJson>,
}

/// A provider signed two roots for one batch of one lease. It proves itself: nobody needs to trust
/// who shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProofJson {
    /// Who signed both.
    #[schema(value_type = String)]
    pub provider: Text<NodeId>,
    /// The lease.
    #[schema(value_type = String)]
    pub lease: Text<LeaseId>,
    /// The batch's number in it.
    pub batch: u64,
    /// One root.
    #[schema(value_type = String)]
    pub first_root: Text<Digest>,
    /// The other.
    #[schema(value_type = String)]
    pub second_root: Text<Digest>,
    /// The lease and both headers with their signatures, canonical, in base64: `POST /v1/verify`
    /// takes the bytes.
    pub proof: String,
}

/// Why things go as they go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Why {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// The job asked about.
    #[schema(value_type = Option<String>)]
    pub job: Option<Text<JobId>>,
    /// In one sentence.
    pub summary: String,
    /// Each provider that was considered, and each other reason.
    pub reasons: Vec<WhyReason>,
}

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WhyReason {
    /// Which provider, if it is about one.
    #[schema(value_type = Option<String>)]
    pub provider: Option<Text<NodeId>>,
    /// It works, or could.
    pub ok: bool,
    /// Why, or why not; may come from a stranger.
    pub reason: String,
    /// What would change it.
    pub hint: Option<String>,
}

/// What the node finds when it looks at itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// One for each thing it looked at.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// Short name: `landlock`, `clock`, `disk`.
    pub name: String,
    /// How it is.
    pub level: CheckLevel,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum CheckLevel {
    Ok,
    Warn,
    Fail,
}

impl CheckLevel {
    /// The word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// Bytes were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BlobStored {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Their digest.
    #[schema(value_type = String)]
    pub digest: Text<Digest>,
    /// How many.
    pub size: u64,
}

/// Which of these are not held?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MissingRequest {
    /// At most 10,000.
    #[schema(value_type = Vec<String>)]
    pub digests: Vec<Text<Digest>>,
}

/// These.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingReply {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
    /// Not held here.
    #[schema(value_type = Vec<String>)]
    pub missing: Vec<Text<Digest>>,
}

/// It was done; there is nothing more to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// Version of this shape.
    #[schema(value_type = u32)]
    pub schema: Schema,
}

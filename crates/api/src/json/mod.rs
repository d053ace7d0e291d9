//! The JSON shapes.
//!
//! Rules that hold throughout: ids are text (`did:key:…` for nodes, hex for everything else); fuel
//! and money are decimal text, because JavaScript rounds numbers above 2^53; bytes, counts and
//! milliseconds are numbers (their limits lie far below 2^53); times are milliseconds since the
//! Unix epoch. Every answer carries `schema`, which grows when a field changes its meaning or goes
//! away; new fields may appear at any time.

mod court;
mod event;
mod job;
mod limits;
mod money;
mod node;
mod program;
mod proposals;
mod provider;
mod quote;
mod session;
mod task;
mod text;

pub use court::{DisputeList, DisputeState, JuryJson, StakeJson, StakeRequest};
pub use event::{EventJson, EventKind};
pub use job::{
    AddTasks, ConfidenceJson, DisputeJson, Evidence, EvidenceList, JobAccepted, JobCounts,
    JobDetail, JobList, JobProvider, JobRequest, JobState, JobSummary, Mismatch, Phase, PhaseJson,
    TaskDetail, TaskFilter, TaskList, TaskRow, TaskState, TasksAdded, Verification, VerifyJson,
};
pub use limits::{OwnerLimits, PauseRequest, ReadingsJson, RestJson};
pub use money::{ChannelJson, ChannelList, Side, WalletJson};
pub use node::{
    BlobStored, Check, CheckLevel, Doctor, Done, EnergyJson, Identity, InviteRequest, JoinRequest,
    Joined, MissingReply, MissingRequest, NodeAddrJson, OfferJson, OfferList, Peer, PeerList,
    ProofJson, ProofList, RolesJson, Status, TicketJson, Warning, Why, WhyReason,
};
pub use program::{CheckJson, CheckRequest, ExecReport, ExecRequest, VerifyReport, VerifyStep};
pub use proposals::{BallotJson, ProposalJson, ProposalList, VoteRequest, VoteWord};
pub use provider::{Lending, PauseReasonJson, PowerJson, ProviderState, ProviderStatus, SlotJson};
pub use quote::{CostJson, QuoteJson, QuoteProviderJson, QuoteRequest, QuoteUnusable};
pub use session::{LoginLink, LoginRequest, SessionJson};
pub use task::{
    BlobJson, EndJson, FaultJson, LimitsJson, MountJson, MountKindJson, ObservedJson, OutFileJson,
    OutcomeJson, PriceJson, PriceMaxJson, TaskJson,
};
pub(crate) use text::Raw;
pub use text::{Schema, Text};

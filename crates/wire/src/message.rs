//! Messages between nodes. A message is one canonical encoding of at most `MESSAGE_BYTES_MAX`
//! bytes. The transport authenticates who sent it; what must hold towards third parties is signed.

use ayni_types::{
    Account, AssignmentId, BatchHeader, Digest, EngineId, Fault, Lease, LeaseId, NodeAddr,
    NodeSignature, Observed, Offer, Outcome, Receipt, Roles, TaskSpec,
};
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

use crate::backing::Backing;
use crate::batch::{BatchProof, EvmSignature};
use crate::fraud::TwoRoots;
use crate::sign::Signed;
use crate::voucher::Voucher;

/// What this build speaks.
pub const PROTOCOL_VERSION: u32 = 5;

/// Everything one node says to another, blobs aside.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Message {
    /// First message of each side after connecting.
    #[n(0)]
    Hello(#[n(0)] Hello),
    /// To a directory: keep this offer.
    #[n(1)]
    Publish(#[n(0)] Signed<Offer>),
    /// To a directory or a provider: which offers fit?
    #[n(2)]
    Query(#[n(0)] Query),
    /// Answer to a query.
    #[n(3)]
    Offers {
        /// The query's id.
        #[n(0)]
        query: u64,
        /// At most `OFFERS_ANSWER_MAX`.
        #[n(1)]
        offers: Vec<Signed<Offer>>,
    },
    /// Requester to provider: a lease with the requester's signature.
    #[n(4)]
    LeaseAsk(#[n(0)] Signed<Lease>),
    /// Provider to requester: the lease with both signatures.
    #[n(5)]
    LeaseGrant(#[n(0)] FullLease),
    /// Provider to requester: no, and why.
    #[n(6)]
    LeaseRefuse {
        /// Which.
        #[n(0)]
        lease: LeaseId,
        /// Why.
        #[n(1)]
        refusal: Refusal,
    },
    /// Either side: no more assignments; what is in flight is still delivered.
    #[n(7)]
    LeaseEnd {
        /// Which.
        #[n(0)]
        lease: LeaseId,
    },
    /// Requester to provider: run this.
    #[n(8)]
    Assign(#[n(0)] Assign),
    /// Provider to requester: a provisional outcome, not yet signed; the provider holds its blobs.
    #[n(9)]
    Delivered(#[n(0)] Delivered),
    /// Provider to requester: no outcome.
    #[n(10)]
    Faulted {
        /// Which.
        #[n(0)]
        assignment: AssignmentId,
        /// Why.
        #[n(1)]
        fault: Fault,
    },
    /// Requester to provider: stop.
    #[n(11)]
    Cancel {
        /// Which.
        #[n(0)]
        assignment: AssignmentId,
    },
    /// Provider to requester: signed receipts for delivered outcomes. Sent again until acknowledged.
    #[n(12)]
    Batch(#[n(0)] SignedBatch),
    /// Requester to provider: the batch need not be sent again.
    #[n(13)]
    BatchAck {
        /// Lease.
        #[n(0)]
        lease: LeaseId,
        /// Batch.
        #[n(1)]
        batch: u64,
        /// It is in my journal and will be paid; otherwise its lease was given up before it came.
        #[n(2)]
        taken: bool,
    },
    /// Are you there, and is this lease alive?
    #[n(14)]
    Ping {
        /// Leases the sender believes to be alive with the receiver.
        #[n(0)]
        leases: Vec<LeaseId>,
    },
    /// Answer: those of them that are not.
    #[n(15)]
    Pong {
        /// Unknown or ended leases.
        #[n(0)]
        dead: Vec<LeaseId>,
    },
    /// Requester to provider, when a lease is over: the seed that it committed to.
    #[n(16)]
    AuditSeed {
        /// Which.
        #[n(0)]
        lease: LeaseId,
        /// 32 bytes, of which the lease has the digest.
        #[n(1)]
        seed: Digest,
    },
    /// Proof of fraud that anyone can check; passed on once.
    #[n(17)]
    TwoRoots(#[n(0)] Box<TwoRoots>),
    /// Requester to provider: more may be claimed from a channel that pays for a lease.
    #[n(18)]
    Voucher(#[n(0)] Voucher),
    /// Provider to requester: this assignment's program is being compiled, which its timeout does
    /// not count. Said when that begins, and again with every ping while it goes on.
    #[n(19)]
    Compiling {
        /// Which.
        #[n(0)]
        assignment: AssignmentId,
    },
    /// A party to a juror: this is what you are to judge.
    #[n(20)]
    Case(#[n(0)] Box<Case>),
}

/// A dispute as a juror must know it to execute the task: what the contract holds only digests of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Case {
    /// EIP-155 number of the chain.
    #[n(0)]
    pub chain: u64,
    /// The contract that the dispute is before.
    #[n(1)]
    pub disputes: Account,
    /// Its number there.
    #[n(2)]
    pub dispute: u64,
    /// The receipt in dispute. Its blobs are to be had from the sender.
    #[n(3)]
    pub receipt: ReceiptFile,
}

/// Introduces a node.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// Protocol version spoken.
    #[n(0)]
    pub version: u32,
    /// For people.
    #[n(1)]
    pub agent: String,
    /// What it does.
    #[n(2)]
    pub roles: Roles,
    /// Where it believes it can be reached.
    #[n(3)]
    pub addr: NodeAddr,
}

/// What a requester needs.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Query {
    /// Echoed in the answer.
    #[n(0)]
    pub id: u64,
    /// Contract.
    #[n(1)]
    pub engine: EngineId,
    /// Linear memory a task asks for, in bytes.
    #[n(2)]
    pub memory_bytes: u64,
    /// At most so many offers.
    #[n(3)]
    pub count_max: u32,
}

/// A lease with both signatures over the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct FullLease {
    /// What was agreed.
    #[n(0)]
    pub lease: Lease,
    /// By the requester.
    #[n(1)]
    pub requester: NodeSignature,
    /// By the provider.
    #[n(2)]
    pub provider: NodeSignature,
    /// Stake that stands behind it; `None`: there is none, whatever the lease says.
    #[n(3)]
    pub backing: Option<Backing>,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Refusal {
    /// For programs.
    #[n(0)]
    pub code: RefusalCode,
    /// For people; hostile until escaped.
    #[n(1)]
    pub text: String,
}

/// Reasons a provider may give.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cbor(index_only)]
#[allow(missing_docs)]
pub enum RefusalCode {
    #[n(0)]
    NoSlotFree,
    #[n(1)]
    Paused,
    #[n(2)]
    Draining,
    #[n(3)]
    TooMuchMemory,
    #[n(4)]
    UnknownEngine,
    #[n(5)]
    BadLease,
    #[n(6)]
    PriceTooLow,
    #[n(7)]
    FuelTooHighForTimeout,
    #[n(8)]
    Version,
    #[n(9)]
    NotAProvider,
    #[n(10)]
    DiskFull,
    #[n(11)]
    OnBattery,
    #[n(12)]
    Payment,
}

/// One assignment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Assign {
    /// Its id.
    #[n(0)]
    pub id: AssignmentId,
    /// What to run.
    #[n(1)]
    pub task: TaskSpec,
    /// Wall clock allowed for the execution in milliseconds, compilation and fetching not counted.
    #[n(2)]
    pub timeout_ms: u64,
    /// Others that hold the inputs, beside the requester.
    #[n(3)]
    pub holders: Vec<NodeAddr>,
}

/// An outcome that is not yet signed.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Delivered {
    /// Which assignment.
    #[n(0)]
    pub assignment: AssignmentId,
    /// What came out.
    #[n(1)]
    pub outcome: Outcome,
    /// What was seen.
    #[n(2)]
    pub observed: Observed,
    /// The bytes of some of the outcome's blobs, in no order: what is so small that asking for it
    /// would cost more than sending it. At most `INLINE_BLOBS_MAX` of at most
    /// `INLINE_BLOB_BYTES_MAX` bytes each; what is not one of the outcome's blobs is ignored.
    #[n(3)]
    pub inline: Vec<ByteVec>,
}

/// A batch as it travels: the receipts and the signature over their root.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SignedBatch {
    /// What is signed.
    #[n(0)]
    pub header: BatchHeader,
    /// By the lease's batch key.
    #[n(1)]
    pub signature: EvmSignature,
    /// The leaves in order.
    #[n(2)]
    pub receipts: Vec<Receipt>,
}

/// A receipt that stands alone: all that anyone needs to check it. What `ayni verify` reads.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ReceiptFile {
    /// Always 1.
    #[n(0)]
    pub version: u32,
    /// The task, so that it can be executed again.
    #[n(1)]
    pub task: TaskSpec,
    /// The outcome that the receipt commits to.
    #[n(2)]
    pub outcome: Outcome,
    /// The leaf.
    #[n(3)]
    pub receipt: Receipt,
    /// From the leaf to the root.
    #[n(4)]
    pub proof: BatchProof,
    /// The root.
    #[n(5)]
    pub header: BatchHeader,
    /// Over the root.
    #[n(6)]
    pub signature: EvmSignature,
    /// Names the batch key and the prices, signed by both sides.
    #[n(7)]
    pub lease: FullLease,
}

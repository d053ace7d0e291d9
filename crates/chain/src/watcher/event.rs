//! What contracts say in their logs, in the project's own types.
//!
//! A log is a claim of a node until its bytes decode and its numbers fit; one that does not is an
//! error, never skipped. Deliberately not here: what an event means to a job (`ayni-core`).

use alloy_primitives::{Address, B256, Log, U256};
use alloy_sol_types::SolEventInterface;
use ayni_types::{
    Account, Amount, ChannelId, ChannelTerms, Digest, LeaseId, NodeId, NodeSignature, TaskId, Time,
};

use crate::contracts::Addresses;
use crate::contracts::{Channels, Disputes, Registry};

/// What happened on the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "fields are named as in the contracts and in DESIGN's words")]
pub enum ChainEvent {
    /// A channel has its first deposit.
    ChannelCreated {
        channel: ChannelId,
        terms: ChannelTerms,
    },
    /// Money was paid into a channel; `deposit` is what it holds with it.
    ChannelDeposited {
        channel: ChannelId,
        from: Account,
        amount: Amount,
        deposit: Amount,
    },
    /// A voucher was claimed; `claimed` counts from the channel's beginning.
    Claimed {
        channel: ChannelId,
        amount: Amount,
        claimed: Amount,
    },
    /// A voucher of a relayed claim was passed over: a bad signature, or nothing new in it.
    ClaimSkipped {
        channel: ChannelId,
        bad_signature: bool,
    },
    /// A payee was paid.
    Settled {
        payee: Account,
        token: Account,
        amount: Amount,
    },
    /// A payer will take money out at `from`: claim before.
    WithdrawInitiated {
        channel: ChannelId,
        amount: Amount,
        from: Time,
    },
    /// It did.
    WithdrawFinalized {
        channel: ChannelId,
        amount: Amount,
    },
    /// A payee gave money back.
    Refunded {
        channel: ChannelId,
        amount: Amount,
    },
    /// `staked` is all that an account has at stake now.
    Staked {
        account: Account,
        amount: Amount,
        staked: Amount,
    },
    UnstakeRequested {
        account: Account,
        amount: Amount,
        from: Time,
    },
    UnstakeCancelled {
        account: Account,
        amount: Amount,
    },
    Unstaked {
        account: Account,
        amount: Amount,
        staked: Amount,
    },
    /// Stake backs leases of this pair that end before `until`; `amount` is all of it.
    Reserved {
        provider: Account,
        requester: Account,
        amount: Amount,
        until: Time,
    },
    Released {
        provider: Account,
        requester: Account,
        amount: Amount,
    },
    /// A dispute keeps a reservation.
    Held {
        provider: Account,
        requester: Account,
        until: Time,
    },
    Slashed {
        provider: Account,
        requester: Account,
        amount: Amount,
        left: Amount,
    },
    JurorSeated {
        juror: Account,
        weight: Amount,
    },
    JurorPenalised {
        juror: Account,
        amount: Amount,
        left: Amount,
    },
    /// The node's signature of the account is to be checked by whoever relies on it.
    NodeBound {
        node: NodeId,
        account: Account,
        signature: NodeSignature,
    },
    NodeUnbound {
        node: NodeId,
        account: Account,
    },
    KeyAuthorised {
        account: Account,
        key: Account,
        from: Time,
        until: Time,
    },
    KeyRevoked {
        account: Account,
        key: Account,
        from: Time,
    },
    DisputeOpened {
        dispute: u64,
        provider: Account,
        requester: Account,
        lease: LeaseId,
        task: TaskId,
        outcome: Digest,
        counter_outcome: Digest,
        price: Amount,
    },
    JuryCalled {
        dispute: u64,
        jury: u64,
        size: u8,
        seed_block: u64,
    },
    JuryDrawn {
        dispute: u64,
        jury: u64,
        members: Vec<Account>,
        point_seed: Digest,
        commit_until: Time,
        reveal_until: Time,
    },
    JurorCommitted {
        dispute: u64,
        jury: u64,
        juror: Account,
    },
    JurorRevealed {
        dispute: u64,
        jury: u64,
        juror: Account,
        verdict: Verdict,
        outcome: Digest,
    },
    JuryTallied {
        dispute: u64,
        jury: u64,
        verdict: Verdict,
        outcome: Digest,
    },
    Appealed {
        dispute: u64,
        appellant: Account,
    },
    DisputeEnded {
        dispute: u64,
        verdict: Verdict,
        outcome: Digest,
        slashed: Amount,
        restitution: Amount,
        burned: Amount,
    },
    /// The receipt's engine build is to be trusted by nobody until somebody knows why.
    EngineIncident {
        dispute: u64,
        task: TaskId,
    },
    TwoRootsProven {
        provider: Account,
        requester: Account,
        lease: LeaseId,
        batch: u64,
        slashed: Amount,
    },
    /// Someone may withdraw this from the disputes' contract, or did.
    DisputePaid {
        account: Account,
        amount: Amount,
    },
    /// A vote changed something: ask the contract for its parameters again.
    ParameterChanged {
        contract: Account,
        what: &'static str,
    },
}

/// How a jury, or a dispute, decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// No majority.
    None,
    /// The receipt's outcome is right.
    Upheld,
    /// Another outcome is.
    Overturned,
    /// The engine contradicts itself; nobody is to blame.
    EngineIncident,
    /// The challenger showed the jury nothing to execute.
    Withheld,
}

impl Verdict {
    /// Every one, in the contract's order.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Upheld, Self::Overturned, Self::EngineIncident, Self::Withheld];

    /// Its number in the contract.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Why a log is not what the contract writes.
pub(super) type Bad = String;

fn account(address: Address) -> Account {
    Account(address.into())
}

fn channel(id: B256) -> ChannelId {
    ChannelId(id.0)
}

fn time(seconds: u64) -> Time {
    Time(seconds.saturating_mul(1000))
}

fn amount(value: U256) -> Result<Amount, Bad> {
    u128::try_from(value).map(Amount).map_err(|_| format!("{value} is more than an amount holds"))
}

fn number(value: U256) -> Result<u64, Bad> {
    u64::try_from(value).map_err(|_| format!("{value} is more than a number holds"))
}

fn verdict(value: u8) -> Result<Verdict, Bad> {
    Verdict::ALL
        .get(usize::from(value))
        .copied()
        .ok_or_else(|| format!("{value} is no verdict"))
}

/// The event of a contract's log; nothing if the contract has no event of that kind (an ERC-20's,
/// an interface's).
fn parse<E: SolEventInterface>(log: &Log, known: &[[u8; 32]]) -> Result<Option<E>, Bad> {
    let Some(topic) = log.topics().first() else { return Ok(None) };
    if !known.contains(&topic.0) {
        return Ok(None);
    }
    E::decode_raw_log(log.topics(), &log.data.data).map(Some).map_err(|e| e.to_string())
}

/// What a log of one of the contracts says; nothing if it is of no interest.
///
/// # Errors
/// If it is not what the contract writes.
pub(super) fn decode(at: &Addresses, log: &Log) -> Result<Option<ChainEvent>, Bad> {
    let from = account(log.address);
    if from == at.channels {
        channels(from, log)
    } else if from == at.registry {
        registry(from, log)
    } else if from == at.disputes {
        disputes(from, log)
    } else {
        Err(format!("nobody asked for logs of {from}"))
    }
}

fn channels(contract: Account, log: &Log) -> Result<Option<ChainEvent>, Bad> {
    use Channels::ChannelsEvents as E;
    let Some(event) = parse::<E>(log, E::SELECTORS)? else { return Ok(None) };
    Ok(Some(match event {
        E::ChannelCreated(e) => ChainEvent::ChannelCreated {
            channel: channel(e.channelId),
            terms: ChannelTerms {
                payer: account(e.config.payer),
                payer_key: account(e.config.payerAuthorizer),
                payee: account(e.config.receiver),
                payee_key: account(e.config.receiverAuthorizer),
                token: account(e.config.token),
                withdraw_delay_s: e.config.withdrawDelay.to(),
                salt: e.config.salt.0,
            },
        },
        E::Deposited(e) => ChainEvent::ChannelDeposited {
            channel: channel(e.channelId),
            from: account(e.sender),
            amount: Amount(e.amount),
            deposit: Amount(e.newBalance),
        },
        E::Claimed(e) => ChainEvent::Claimed {
            channel: channel(e.channelId),
            amount: Amount(e.claimAmount),
            claimed: Amount(e.newTotalClaimed),
        },
        E::ClaimSkipped(e) => {
            ChainEvent::ClaimSkipped { channel: channel(e.channelId), bad_signature: e.why == 0 }
        }
        E::Settled(e) => ChainEvent::Settled {
            payee: account(e.receiver),
            token: account(e.token),
            amount: Amount(e.amount),
        },
        E::WithdrawInitiated(e) => ChainEvent::WithdrawInitiated {
            channel: channel(e.channelId),
            amount: Amount(e.amount),
            from: time(e.finalizeAfter.to()),
        },
        E::WithdrawFinalized(e) => ChainEvent::WithdrawFinalized {
            channel: channel(e.channelId),
            amount: Amount(e.amount),
        },
        E::Refunded(e) => {
            ChainEvent::Refunded { channel: channel(e.channelId), amount: Amount(e.amount) }
        }
        E::WithdrawDelayBoundsChanged(_) => {
            ChainEvent::ParameterChanged { contract, what: "withdraw delay bounds" }
        }
        E::OwnershipTransferred(_) => ChainEvent::ParameterChanged { contract, what: "owner" },
        E::EIP712DomainChanged(_) => {
            ChainEvent::ParameterChanged { contract, what: "signature domain" }
        }
    }))
}

fn registry(contract: Account, log: &Log) -> Result<Option<ChainEvent>, Bad> {
    use Registry::RegistryEvents as E;
    let Some(event) = parse::<E>(log, E::SELECTORS)? else { return Ok(None) };
    Ok(Some(match event {
        E::Staked(e) => ChainEvent::Staked {
            account: account(e.account),
            amount: Amount(e.amount),
            staked: Amount(e.staked),
        },
        E::UnstakeRequested(e) => ChainEvent::UnstakeRequested {
            account: account(e.account),
            amount: Amount(e.amount),
            from: time(e.from),
        },
        E::UnstakeCancelled(e) => {
            ChainEvent::UnstakeCancelled { account: account(e.account), amount: Amount(e.amount) }
        }
        E::Unstaked(e) => ChainEvent::Unstaked {
            account: account(e.account),
            amount: Amount(e.amount),
            staked: Amount(e.staked),
        },
        E::Reserved(e) => ChainEvent::Reserved {
            provider: account(e.provider),
            requester: account(e.requester),
            amount: Amount(e.amount),
            until: time(e.until),
        },
        E::Released(e) => ChainEvent::Released {
            provider: account(e.provider),
            requester: account(e.requester),
            amount: Amount(e.amount),
        },
        E::Held(e) => ChainEvent::Held {
            provider: account(e.provider),
            requester: account(e.requester),
            until: time(e.until),
        },
        E::Slashed(e) => ChainEvent::Slashed {
            provider: account(e.provider),
            requester: account(e.requester),
            amount: Amount(e.amount),
            left: Amount(e.left),
        },
        E::JurorSeated(e) => {
            ChainEvent::JurorSeated { juror: account(e.juror), weight: Amount(e.weight) }
        }
        E::JurorPenalised(e) => ChainEvent::JurorPenalised {
            juror: account(e.juror),
            amount: Amount(e.amount),
            left: Amount(e.left),
        },
        E::NodeBound(e) => {
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(e.r.as_slice());
            signature[32..].copy_from_slice(e.s.as_slice());
            ChainEvent::NodeBound {
                node: NodeId(e.node.0),
                account: account(e.account),
                signature: NodeSignature(signature),
            }
        }
        E::NodeUnbound(e) => {
            ChainEvent::NodeUnbound { node: NodeId(e.node.0), account: account(e.account) }
        }
        E::KeyAuthorised(e) => ChainEvent::KeyAuthorised {
            account: account(e.account),
            key: account(e.key),
            from: time(e.from),
            until: time(e.until),
        },
        E::KeyRevoked(e) => ChainEvent::KeyRevoked {
            account: account(e.account),
            key: account(e.key),
            from: time(e.from),
        },
        E::DisputesChanged(_) => {
            ChainEvent::ParameterChanged { contract, what: "dispute contract" }
        }
        E::DelaysChanged(_) => ChainEvent::ParameterChanged { contract, what: "delays" },
        E::JuryWeightMinChanged(_) => {
            ChainEvent::ParameterChanged { contract, what: "least weight of a juror" }
        }
        E::OwnershipTransferred(_) => ChainEvent::ParameterChanged { contract, what: "owner" },
    }))
}

fn disputes(contract: Account, log: &Log) -> Result<Option<ChainEvent>, Bad> {
    use Disputes::DisputesEvents as E;
    let Some(event) = parse::<E>(log, E::SELECTORS)? else { return Ok(None) };
    Ok(Some(match event {
        E::DisputeOpened(e) => ChainEvent::DisputeOpened {
            dispute: number(e.dispute)?,
            provider: account(e.provider),
            requester: account(e.requester),
            lease: LeaseId(e.receipt.lease.0),
            task: TaskId(e.receipt.task.0),
            outcome: Digest(e.receipt.outcome.0),
            counter_outcome: Digest(e.counterOutcome.0),
            price: Amount(e.receipt.price),
        },
        E::JuryCalled(e) => ChainEvent::JuryCalled {
            dispute: number(e.dispute)?,
            jury: number(e.jury)?,
            size: e.size,
            seed_block: e.seedBlock,
        },
        E::JuryDrawn(e) => ChainEvent::JuryDrawn {
            dispute: number(e.dispute)?,
            jury: number(e.jury)?,
            members: e.members.into_iter().map(account).collect(),
            point_seed: Digest(e.pointSeed.0),
            commit_until: time(e.commitUntil),
            reveal_until: time(e.revealUntil),
        },
        E::Committed(e) => ChainEvent::JurorCommitted {
            dispute: number(e.dispute)?,
            jury: number(e.jury)?,
            juror: account(e.juror),
        },
        E::Revealed(e) => ChainEvent::JurorRevealed {
            dispute: number(e.dispute)?,
            jury: number(e.jury)?,
            juror: account(e.juror),
            verdict: verdict(e.verdict)?,
            outcome: Digest(e.outcome.0),
        },
        E::JuryTallied(e) => ChainEvent::JuryTallied {
            dispute: number(e.dispute)?,
            jury: number(e.jury)?,
            verdict: verdict(e.verdict)?,
            outcome: Digest(e.outcome.0),
        },
        E::Appealed(e) => {
            ChainEvent::Appealed { dispute: number(e.dispute)?, appellant: account(e.appellant) }
        }
        E::DisputeEnded(e) => ChainEvent::DisputeEnded {
            dispute: number(e.dispute)?,
            verdict: verdict(e.verdict)?,
            outcome: Digest(e.outcome.0),
            slashed: amount(e.slashed)?,
            restitution: amount(e.restitution)?,
            burned: amount(e.burned)?,
        },
        E::EngineIncidentFound(e) => {
            ChainEvent::EngineIncident { dispute: number(e.dispute)?, task: TaskId(e.task.0) }
        }
        E::TwoRootsProven(e) => ChainEvent::TwoRootsProven {
            provider: account(e.provider),
            requester: account(e.requester),
            lease: LeaseId(e.lease.0),
            batch: e.batch,
            slashed: amount(e.slashed)?,
        },
        E::Paid(e) => {
            ChainEvent::DisputePaid { account: account(e.account), amount: amount(e.amount)? }
        }
        E::TermsChanged(_) => ChainEvent::ParameterChanged { contract, what: "dispute terms" },
        E::OwnershipTransferred(_) => ChainEvent::ParameterChanged { contract, what: "owner" },
        E::EIP712DomainChanged(_) => {
            ChainEvent::ParameterChanged { contract, what: "signature domain" }
        }
        // Both repeat, for other software, what the events above say.
        E::DisputeCreation(_) | E::Ruling(_) => return Ok(None),
    }))
}

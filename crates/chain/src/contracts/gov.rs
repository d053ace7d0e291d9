//! What holders of votes say to the governor: changes of parameters as proposals, votes, and what
//! became of them, read from logs.
//!
//! Ids are recomputed from what a proposal does, and what it does is decoded before anybody votes on
//! it. `voter` is an account that says these things, each once; `parameters` are what can be changed,
//! by name. Deliberately not here: bounds of
//! parameters (the contracts have them), when to vote for what.

mod parameters;
mod voter;

use std::fmt;

use alloy_primitives::aliases::{U40, U96};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent as _};
use ayni_types::{Account, Amount, Time};

use super::addresses::Addresses;
use super::bindings::{self, AyniGovernor, Channels, Disputes, Registry, VoteToken};
use super::channels::address;
use super::deploy::DisputeTerms;
use crate::client::{Client, ClientError};
use crate::limits::{LOG_BLOCKS, PROPOSAL_ACTIONS_MAX, PROPOSAL_TEXT_BYTES_MAX};
use crate::sender::SendError;

pub use parameters::{ParameterError, Parameters};
pub use voter::{Voter, list};

/// The governor keeps what ends so for the proposer that is named.
const PROPOSER_MARK: &str = "#proposer=0x";

/// A change that a vote may make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// How long stake and reservations are kept, in seconds.
    RegistryDelays {
        /// From wishing to leave to leaving.
        unstake_s: u64,
        /// After a reservation's end, in which its leases can be disputed.
        dispute_window_s: u64,
        /// The longest reservation.
        reservation_max_s: u64,
    },
    /// Least weight of a juror.
    JuryWeightMin(Amount),
    /// Bounds of new channels' withdrawal delays, in seconds.
    WithdrawDelays {
        /// Least.
        min_s: u64,
        /// Most.
        max_s: u64,
    },
    /// What disputes cost and how long they take.
    DisputeTerms(DisputeTerms),
}

/// One call of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Of a parameter that this version knows.
    Change(Change),
    /// Something else: look at it closely.
    Other {
        /// Which contract.
        target: Account,
        /// With how much of the chain's own money, wei.
        value: Amount,
        /// What is called.
        data: Vec<u8>,
    },
}

/// Name of a proposal: a hash of what it does and of its description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProposalId(pub [u8; 32]);

/// A proposal, as its log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Its name.
    pub id: ProposalId,
    /// Who made it.
    pub proposer: Account,
    /// Why; anybody's words, to be escaped before they are shown, and no promise of what it does.
    pub description: String,
    /// What it does, in this order.
    pub actions: Vec<Action>,
    /// When votes are counted as they are held, and the vote begins.
    pub from: Time,
    /// When it ends.
    pub until: Time,
    calls: Calls,
}

/// What the governor hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Calls {
    targets: Vec<Address>,
    values: Vec<U256>,
    data: Vec<Bytes>,
    description: B256,
}

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the governor's own words")]
pub enum Stage {
    Pending,
    Active,
    Canceled,
    Defeated,
    Succeeded,
    Queued,
    Expired,
    Executed,
}

/// A proposal and how it stands now, by one node's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub proposal: Proposal,
    /// Where it stands.
    pub stage: Stage,
    /// Votes for it, in the vote token's smallest unit.
    pub for_it: Amount,
    /// Votes against it.
    pub against: Amount,
    /// Votes that only count for the quorum.
    pub abstained: Amount,
    /// When it may be executed, once it is queued.
    pub ready: Option<Time>,
}

/// A vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words say it")]
pub enum Vote {
    Against,
    For,
    Abstain,
}

/// An account's votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VotingPower {
    /// Tokens it holds; they vote once they are delegated, to oneself too.
    pub held: Amount,
    /// Who votes with them; the zero account is nobody.
    pub delegate: Account,
    /// What it votes with now.
    pub votes: Amount,
}

/// What an account can say in a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ballot {
    /// With how many votes: those it had when the vote began.
    pub votes: Amount,
    /// Whether it has said it.
    pub cast: bool,
}

/// Why something can't be said to the governor, or believed of it.
#[derive(Debug, thiserror::Error)]
pub enum GovError {
    /// The node does not answer, or refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nothing would be changed, or too much.
    #[error("a proposal has 1 to {PROPOSAL_ACTIONS_MAX} changes, not {0}")]
    Changes(usize),
    /// The description is none, or too long, or would be taken for something else.
    #[error(
        "a proposal's description has 1 to {PROPOSAL_TEXT_BYTES_MAX} bytes, none of them \
         {PROPOSER_MARK:?}; this one has {0} bytes"
    )]
    Description(usize),
    /// A log of the governor is not what the governor writes.
    #[error(
        "{node} shows a log of the governor that it can't have written: {why}\nhint: ask another \
         node of the chain"
    )]
    Log {
        /// Which node.
        node: String,
        /// What is wrong.
        why: String,
    },
    /// No such proposal.
    #[error("there is no proposal {0}\nhint: `ayni gov list` shows all of them")]
    Unknown(ProposalId),
    /// The transaction can't be sent, or the governor refuses it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It was refused in a block, after the governor had agreed to it in a trial run.
    #[error(
        "{0:?} failed in its block: something changed just before\nhint: `ayni gov list`, and again"
    )]
    Failed(String),
    /// Refused too often.
    #[error("{0:?} was refused too often; the account's outbox holds why")]
    Tries(String),
    /// A proposal does not stand where it must.
    #[error("proposal {} is {}, and must be {wants} for that\nhint: {}", standing.proposal.id,
        standing.stage, standing.hint())]
    NotNow {
        /// Where it must stand.
        wants: Stage,
        /// Where it stands.
        standing: Box<Standing>,
    },
    /// The text is no proposal's id.
    #[error(
        "{0:?} is no proposal's id\nhint: 64 hexadecimal digits, as `ayni gov list` shows them"
    )]
    Malformed(String),
}

impl fmt::Display for ProposalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", data_encoding::HEXLOWER.encode(&self.0))
    }
}

impl std::str::FromStr for ProposalId {
    type Err = GovError;

    fn from_str(text: &str) -> Result<Self, GovError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes());
        let id = bytes.ok().and_then(|bytes| bytes.try_into().ok());
        id.map(Self).ok_or_else(|| GovError::Malformed(text.to_owned()))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::Canceled => "canceled",
            Self::Defeated => "defeated",
            Self::Succeeded => "succeeded",
            Self::Queued => "queued",
            Self::Expired => "expired",
            Self::Executed => "executed",
        })
    }
}

impl Standing {
    /// What can be done with it next, and when.
    #[must_use]
    pub fn hint(&self) -> String {
        let Proposal { from, until, .. } = self.proposal;
        match self.stage {
            Stage::Pending => format!("its vote begins at {} s", from.0 / 1_000),
            Stage::Active => format!("its vote ends at {} s", until.0 / 1_000),
            Stage::Succeeded => "it can be queued".to_owned(),
            Stage::Queued => match self.ready {
                Some(ready) => format!("it can be executed from {} s on", ready.0 / 1_000),
                None => "it can be executed".to_owned(),
            },
            Stage::Canceled | Stage::Defeated | Stage::Expired | Stage::Executed => {
                "it is over; propose again".to_owned()
            }
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RegistryDelays { unstake_s, dispute_window_s, reservation_max_s } => write!(
                f,
                "Registry.setDelays: unstaking {unstake_s} s, dispute window {dispute_window_s} s, \
                 reservations up to {reservation_max_s} s"
            ),
            Self::JuryWeightMin(weight) => {
                write!(f, "Registry.setJuryWeightMin: {weight}")
            }
            Self::WithdrawDelays { min_s, max_s } => {
                write!(f, "Channels.setWithdrawDelayBounds: {min_s} to {max_s} s")
            }
            Self::DisputeTerms(terms) => write!(f, "Disputes.setTerms: {terms:?}"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => change.fmt(f),
            Self::Other { target, value, data } => {
                let data = data_encoding::HEXLOWER.encode(data);
                write!(f, "a call of {target} with {value} wei and data 0x{data}")
            }
        }
    }
}

impl Change {
    fn target(&self, at: &Addresses) -> Account {
        match self {
            Self::RegistryDelays { .. } | Self::JuryWeightMin(_) => at.registry,
            Self::WithdrawDelays { .. } => at.channels,
            Self::DisputeTerms(_) => at.disputes,
        }
    }

    fn call(&self) -> Vec<u8> {
        // Longer than a field holds is longer than any bound in the contracts.
        let seconds = |s: u64| U40::from(s.min((1 << 40) - 1));
        match *self {
            Self::RegistryDelays { unstake_s, dispute_window_s, reservation_max_s } => {
                Registry::setDelaysCall {
                    unstakeDelay_: unstake_s,
                    disputeWindow_: dispute_window_s,
                    reservationMax_: reservation_max_s,
                }
                .abi_encode()
            }
            Self::JuryWeightMin(weight) => {
                Registry::setJuryWeightMinCall { weight: weight.0 }.abi_encode()
            }
            Self::WithdrawDelays { min_s, max_s } => {
                Channels::setWithdrawDelayBoundsCall { min: seconds(min_s), max: seconds(max_s) }
                    .abi_encode()
            }
            Self::DisputeTerms(terms) => {
                Disputes::setTermsCall { terms_: terms.into() }.abi_encode()
            }
        }
    }

    /// What a call does, if it is one of these; exactly what `call` makes, and nothing beside it.
    fn decode(at: &Addresses, target: Account, data: &[u8]) -> Option<Self> {
        let change = if target == at.channels {
            let call = Channels::setWithdrawDelayBoundsCall::abi_decode(data).ok()?;
            Self::WithdrawDelays { min_s: call.min.to(), max_s: call.max.to() }
        } else if target == at.disputes {
            let call = Disputes::setTermsCall::abi_decode(data).ok()?;
            Self::DisputeTerms(known_terms(&call.terms_)?)
        } else if target != at.registry {
            return None;
        } else if let Ok(call) = Registry::setDelaysCall::abi_decode(data) {
            Self::RegistryDelays {
                unstake_s: call.unstakeDelay_,
                dispute_window_s: call.disputeWindow_,
                reservation_max_s: call.reservationMax_,
            }
        } else {
            let call = Registry::setJuryWeightMinCall::abi_decode(data).ok()?;
            Self::JuryWeightMin(Amount(call.weight))
        };
        (change.call() == data).then_some(change)
    }
}

/// The contract's terms in ours; nothing if an amount does not fit.
fn known_terms(terms: &bindings::DisputeTerms::Terms) -> Option<DisputeTerms> {
    let amount = |value: U96| u64::try_from(value).ok();
    Some(DisputeTerms {
        juror_fee: amount(terms.jurorFee)?,
        incident_fee: amount(terms.incidentFee)?,
        defence_fee: amount(terms.defenceFee)?,
        challenger_reward: amount(terms.challengerReward)?,
        commit_s: terms.commitWindow,
        reveal_s: terms.revealWindow,
        appeal_s: terms.appealWindow,
        slash_bps: terms.slashBps,
        equivocation_bps: terms.equivocationBps,
        absence_bps: terms.absenceBps,
        jury_size: terms.jurySize,
        seed_delay: terms.seedDelay,
    })
}

impl Action {
    fn decode(at: &Addresses, target: Address, value: U256, data: &[u8]) -> Self {
        let target = Account(target.into());
        match Change::decode(at, target, data) {
            Some(change) if value.is_zero() => Self::Change(change),
            _ => Self::Other { target, value: amount(value), data: data.to_vec() },
        }
    }
}

impl Calls {
    /// The hash of the arguments of `hashProposal`, as the governor makes it.
    fn id(&self) -> ProposalId {
        let Self { targets, values, data, description } = self.clone();
        let hashed = AyniGovernor::hashProposalCall {
            targets,
            values,
            calldatas: data,
            descriptionHash: description,
        };
        ProposalId(keccak256(&hashed.abi_encode()[4..]).0)
    }
}

/// Votes and wei are below 2^128; what is not is shown as the most.
fn amount(value: U256) -> Amount {
    Amount(u128::try_from(value).unwrap_or(u128::MAX))
}

fn time(seconds: u64) -> Time {
    Time(seconds.saturating_mul(1000))
}

// ---- What is said; to be sent to the governor (`delegate` to the vote token) ----

/// Proposes changes, all or none of them; sent by `proposer`, and by nobody else: the description
/// ends with its name, so that a stranger can't propose the same first and cancel it.
///
/// # Errors
/// If there are no changes or too many, or the description is none or too long.
pub fn propose(
    at: &Addresses,
    changes: &[Change],
    description: &str,
    proposer: Account,
) -> Result<Vec<u8>, GovError> {
    if changes.is_empty() || changes.len() > PROPOSAL_ACTIONS_MAX {
        return Err(GovError::Changes(changes.len()));
    }
    let text = description.trim();
    let fits = (1..=PROPOSAL_TEXT_BYTES_MAX).contains(&text.len());
    if !fits || text.contains(PROPOSER_MARK) {
        return Err(GovError::Description(text.len()));
    }
    let description = marked(text, proposer);
    let Calls { targets, values, data, .. } = calls(at, changes, &description);
    Ok(AyniGovernor::proposeCall { targets, values, calldatas: data, description }.abi_encode())
}

/// The name that such a proposal has.
fn proposed_id(
    at: &Addresses,
    changes: &[Change],
    description: &str,
    proposer: Account,
) -> ProposalId {
    calls(at, changes, &marked(description, proposer)).id()
}

fn marked(description: &str, proposer: Account) -> String {
    let proposer = data_encoding::HEXLOWER.encode(&proposer.0);
    format!("{} {PROPOSER_MARK}{proposer}", description.trim())
}

fn calls(at: &Addresses, changes: &[Change], description: &str) -> Calls {
    Calls {
        targets: changes.iter().map(|change| address(change.target(at))).collect(),
        values: vec![U256::ZERO; changes.len()],
        data: changes.iter().map(|change| change.call().into()).collect(),
        description: keccak256(description.as_bytes()),
    }
}

/// Votes with what the sender held when the vote began.
#[must_use]
pub fn vote(id: ProposalId, vote: Vote, reason: &str) -> Vec<u8> {
    let (id, support) = (U256::from_be_bytes(id.0), vote as u8);
    if reason.is_empty() {
        return AyniGovernor::castVoteCall { proposalId: id, support }.abi_encode();
    }
    let reason = reason.to_owned();
    AyniGovernor::castVoteWithReasonCall { proposalId: id, support, reason }.abi_encode()
}

/// Hands what was decided to the timelock; sent by anybody.
#[must_use]
pub fn queue(proposal: &Proposal) -> Vec<u8> {
    let Calls { targets, values, data, description } = proposal.calls.clone();
    AyniGovernor::queueCall { targets, values, calldatas: data, descriptionHash: description }
        .abi_encode()
}

/// Does what was decided, after the timelock's delay; sent by anybody.
#[must_use]
pub fn execute(proposal: &Proposal) -> Vec<u8> {
    let Calls { targets, values, data, description } = proposal.calls.clone();
    AyniGovernor::executeCall { targets, values, calldatas: data, descriptionHash: description }
        .abi_encode()
}

/// Takes a proposal back; sent by its proposer, before the vote begins.
#[must_use]
pub fn cancel(proposal: &Proposal) -> Vec<u8> {
    let Calls { targets, values, data, description } = proposal.calls.clone();
    AyniGovernor::cancelCall { targets, values, calldatas: data, descriptionHash: description }
        .abi_encode()
}

/// Lets `to` vote with the sender's tokens, from now on: for proposals whose vote begins later.
#[must_use]
pub fn delegate(to: Account) -> Vec<u8> {
    VoteToken::delegateCall { delegatee: address(to) }.abi_encode()
}

// ---- What is asked ----

/// All proposals, the oldest first.
///
/// # Errors
/// If the node does not answer, or shows what the governor can't have written.
pub async fn proposals(client: &Client, at: &Addresses) -> Result<Vec<Proposal>, GovError> {
    let head = client.head().await?;
    let (mut from, mut found) = (at.since_block, Vec::new());
    while from <= head {
        let to = from.saturating_add(LOG_BLOCKS - 1).min(head);
        for log in client.logs(&[address(at.governor)], from, to).await? {
            let is_other = log.address() != address(at.governor);
            let topic = log.topics().first();
            if is_other || topic != Some(&AyniGovernor::ProposalCreated::SIGNATURE_HASH) {
                continue;
            }
            let proposal = created(at, &log.inner);
            let node = client.node().to_owned();
            found.push(proposal.map_err(|why| GovError::Log { node, why })?);
        }
        from = to + 1;
    }
    Ok(found)
}

/// One proposal.
///
/// # Errors
/// As `proposals`, or if there is none of that name.
pub async fn proposal(
    client: &Client,
    at: &Addresses,
    id: ProposalId,
) -> Result<Proposal, GovError> {
    let all = proposals(client, at).await?;
    all.into_iter().find(|proposal| proposal.id == id).ok_or(GovError::Unknown(id))
}

/// How a proposal stands.
///
/// # Errors
/// If the node does not answer, or answers nonsense.
pub async fn standing(
    client: &Client,
    at: &Addresses,
    proposal: Proposal,
) -> Result<Standing, GovError> {
    let id = U256::from_be_bytes(proposal.id.0);
    let state = client.view(at.governor, &AyniGovernor::stateCall { proposal: id }).await?;
    let votes = AyniGovernor::proposalVotesCall { proposalId: id };
    let votes = client.view(at.governor, &votes).await?;
    let eta = AyniGovernor::proposalEtaCall { proposalId: id };
    let eta = client.view(at.governor, &eta).await?;
    let eta = u64::try_from(eta).unwrap_or(u64::MAX);
    let stage = stage(state).ok_or_else(|| ClientError::Malformed {
        node: client.node().to_owned(),
        what: AyniGovernor::stateCall::SIGNATURE,
        why: format!("{state} is no state of a proposal"),
    })?;
    Ok(Standing {
        proposal,
        stage,
        for_it: amount(votes.forVotes),
        against: amount(votes.againstVotes),
        abstained: amount(votes.abstainVotes),
        ready: (eta != 0).then(|| time(eta)),
    })
}

/// What an account votes with.
///
/// # Errors
/// If the node does not answer or there is no such contract.
pub async fn voting_power(
    client: &Client,
    at: &Addresses,
    account: Account,
) -> Result<VotingPower, ClientError> {
    let who = address(account);
    let held = client.view(at.votes, &VoteToken::balanceOfCall { account: who }).await?;
    let to = client.view(at.votes, &VoteToken::delegatesCall { account: who }).await?;
    let votes = client.view(at.votes, &VoteToken::getVotesCall { account: who }).await?;
    Ok(VotingPower { held: amount(held), delegate: Account(to.into()), votes: amount(votes) })
}

/// A proposal that stands where it must.
///
/// # Errors
/// As `standing`, if there is none of that name, or if it stands elsewhere.
pub async fn expect(
    client: &Client,
    at: &Addresses,
    id: ProposalId,
    wants: Stage,
) -> Result<Standing, GovError> {
    let standing = standing(client, at, proposal(client, at, id).await?).await?;
    if standing.stage == wants {
        return Ok(standing);
    }
    Err(GovError::NotNow { wants, standing: Box::new(standing) })
}

/// What an account can say about a proposal whose vote has begun.
///
/// # Errors
/// If the node does not answer, there is no such contract, or the vote has not begun.
pub async fn ballot(
    client: &Client,
    at: &Addresses,
    proposal: &Proposal,
    account: Account,
) -> Result<Ballot, ClientError> {
    let (id, who) = (U256::from_be_bytes(proposal.id.0), address(account));
    let timepoint = U256::from(proposal.from.0 / 1_000);
    let votes = AyniGovernor::getVotesCall { account: who, timepoint };
    let cast = AyniGovernor::hasVotedCall { proposalId: id, account: who };
    Ok(Ballot {
        votes: amount(client.view(at.governor, &votes).await?),
        cast: client.view(at.governor, &cast).await?,
    })
}

fn stage(state: u8) -> Option<Stage> {
    let all = [
        Stage::Pending,
        Stage::Active,
        Stage::Canceled,
        Stage::Defeated,
        Stage::Succeeded,
        Stage::Queued,
        Stage::Expired,
        Stage::Executed,
    ];
    all.get(usize::from(state)).copied()
}

/// A proposal from its log, if the log is one that the governor can have written.
fn created(at: &Addresses, log: &alloy_primitives::Log) -> Result<Proposal, String> {
    let event = AyniGovernor::ProposalCreated::decode_log(log).map_err(|e| e.to_string())?.data;
    let calls = Calls {
        targets: event.targets,
        values: event.values,
        data: event.calldatas,
        description: keccak256(event.description.as_bytes()),
    };
    let (count, id) = (calls.targets.len(), calls.id());
    if calls.values.len() != count || calls.data.len() != count {
        return Err(format!("proposal {id} has {count} targets, but not so many calls"));
    }
    let named = ProposalId(event.proposalId.to_be_bytes());
    if named != id {
        return Err(format!("what it says is proposal {id}, and it is called {named}"));
    }
    let one = |i: usize| Action::decode(at, calls.targets[i], calls.values[i], &calls.data[i]);
    let seconds = |value: U256| u64::try_from(value).unwrap_or(u64::MAX);
    Ok(Proposal {
        id,
        proposer: Account(event.proposer.into()),
        description: without_mark(&event.description, event.proposer),
        actions: (0..count).map(one).collect(),
        from: time(seconds(event.voteStart)),
        until: time(seconds(event.voteEnd)),
        calls,
    })
}

/// The description as it was given; what `propose` put behind it is in `proposer`.
fn without_mark(text: &str, proposer: Address) -> String {
    let mark = format!("{PROPOSER_MARK}{}", data_encoding::HEXLOWER.encode(proposer.as_slice()));
    text.strip_suffix(&mark).unwrap_or(text).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contracts::DeployTerms;

    fn at() -> Addresses {
        let account = |n| Account([n; 20]);
        Addresses {
            chain: 31_337,
            since_block: 4,
            token: account(1),
            channels: account(2),
            registry: account(3),
            disputes: account(4),
            governor: account(5),
            timelock: account(6),
            votes: account(7),
        }
    }

    fn changes() -> [Change; 4] {
        [
            Change::RegistryDelays { unstake_s: 1, dispute_window_s: 2, reservation_max_s: 3 },
            Change::JuryWeightMin(Amount(u128::MAX)),
            Change::WithdrawDelays { min_s: 900, max_s: (1 << 40) - 1 },
            Change::DisputeTerms(DeployTerms::local(Account([1; 20])).disputes),
        ]
    }

    #[test]
    fn a_change_is_read_from_its_call_and_from_no_other() {
        for change in changes() {
            let (target, data) = (change.target(&at()), change.call());
            assert_eq!(Change::decode(&at(), target, &data), Some(change));
            assert_eq!(Change::decode(&at(), Account([9; 20]), &data), None, "another contract");
            assert_eq!(Change::decode(&at(), target, &[&data[..], &[0]].concat()), None, "a tail");
            assert_eq!(Change::decode(&at(), target, &data[..data.len() - 1]), None, "cut off");
            assert_eq!(Change::decode(&at(), target, &[]), None, "nothing");
            let with_money = Action::decode(&at(), address(target), U256::from(1), &data);
            assert!(matches!(with_money, Action::Other { .. }), "{with_money}");
        }
    }

    #[test]
    fn a_proposal_without_changes_or_with_a_bad_description_is_refused() {
        let long = "x".repeat(PROPOSAL_TEXT_BYTES_MAX + 1);
        let marked = format!("mine {PROPOSER_MARK}{}", "00".repeat(20));
        let some = &changes()[..1];
        let many = vec![changes()[0]; PROPOSAL_ACTIONS_MAX + 1];
        let cases: [(&[Change], &str, bool); 7] = [
            (some, "why", true),
            (&[], "why", false),
            (&many, "why", false),
            (some, "", false),
            (some, "  \n", false),
            (some, &long, false),
            (some, &marked, false),
        ];
        for (changes, description, good) in cases {
            let made = propose(&at(), changes, description, Account([8; 20]));
            assert_eq!(made.is_ok(), good, "{} changes, {description:.20}", changes.len());
        }
    }

    #[test]
    fn an_id_is_64_hexadecimal_digits() {
        let id = ProposalId([0xab; 32]);
        assert_eq!(id.to_string().parse::<ProposalId>().unwrap(), id);
        assert_eq!("AB".repeat(32).parse::<ProposalId>().unwrap(), id);
        for bad in ["", "0x", "0xab", &"ab".repeat(33), &"zz".repeat(32)] {
            let error = bad.parse::<ProposalId>().unwrap_err().to_string();
            assert!(error.contains("hint"), "{error}");
        }
    }

    #[test]
    fn a_log_that_the_governor_can_not_have_written_is_an_error() {
        let change = changes()[0];
        let text = format!("why {PROPOSER_MARK}{}", "08".repeat(20));
        let calls = Calls {
            targets: vec![address(change.target(&at()))],
            values: vec![U256::ZERO],
            data: vec![change.call().into()],
            description: keccak256(text.as_bytes()),
        };
        let event = AyniGovernor::ProposalCreated {
            proposalId: U256::from_be_bytes(calls.id().0),
            proposer: Address::from([8; 20]),
            targets: calls.targets.clone(),
            values: calls.values.clone(),
            signatures: vec![String::new()],
            calldatas: calls.data.clone(),
            voteStart: U256::from(10),
            voteEnd: U256::MAX,
            description: text,
        };
        let log = |event: &AyniGovernor::ProposalCreated| alloy_primitives::Log {
            address: address(at().governor),
            data: event.encode_log_data(),
        };
        let good = created(&at(), &log(&event)).unwrap();
        assert_eq!(good.actions, [Action::Change(change)]);
        assert_eq!((good.description.as_str(), good.from), ("why", Time(10_000)));
        type Spoil = fn(&mut AyniGovernor::ProposalCreated);
        let spoils: [(&str, Spoil); 4] = [
            ("called", |e| e.proposalId += U256::from(1)),
            ("called", |e| e.description.push('!')),
            ("called", |e| e.calldatas[0] = Bytes::new()),
            ("not so many", |e| e.values.clear()),
        ];
        for (why, spoil) in spoils {
            let mut event = event.clone();
            spoil(&mut event);
            let error = created(&at(), &log(&event)).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}

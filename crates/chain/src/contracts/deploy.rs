//! Puts all contracts on a chain, so that at the end nobody but the timelock owns anything.
//!
//! Every step is an intent with an id of its own: a deployment that was cut off goes on where it
//! stopped. The governor alone may propose to the timelock; anybody may execute what it decided.

use std::time::Duration;

use alloy_primitives::aliases::U48;
use alloy_primitives::{Address, U256};
use alloy_sol_types::{SolCall, SolConstructor};
use ayni_types::{Account, Amount};

use super::addresses::Addresses;
use super::bindings::{
    self, AyniGovernor, AyniToken, Channels, Disputes, Registry, Timelock, VoteToken,
};
use super::channels::address;
use crate::sender::{Intent, Outcome, SendError, Sender};

const STEP_TIMEOUT: Duration = Duration::from_secs(300);

/// What a deployment begins with; later changed by votes, within bounds in the contracts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeployTerms {
    /// Who may make test money.
    pub faucet: Account,
    /// Who holds all votes at first.
    pub voter: Account,
    /// How many, with 18 decimals.
    pub votes: Amount,
    /// Seconds between a decision and its execution.
    pub timelock_delay_s: u64,
    /// Seconds from a proposal to the vote.
    pub voting_delay_s: u64,
    /// Seconds of a vote.
    pub voting_period_s: u32,
    /// Votes that a proposer must have.
    pub proposal_threshold: Amount,
    /// Percent of all votes that must take part.
    pub quorum_percent: u8,
    /// Least weight of a juror, in the token's smallest unit.
    pub jury_weight_min: Amount,
    /// Of disputes.
    pub disputes: DisputeTerms,
}

/// What a dispute costs (in the token's smallest unit) and how long it takes (in seconds).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DisputeTerms {
    /// To each juror who is right.
    pub juror_fee: u64,
    /// The same, when the engine is to blame.
    pub incident_fee: u64,
    /// To a provider who was right.
    pub defence_fee: u64,
    /// To a challenger who was right, at most.
    pub challenger_reward: u64,
    /// For commitments.
    pub commit_s: u32,
    /// For revealing them.
    pub reveal_s: u32,
    /// For appeals.
    pub appeal_s: u32,
    /// Of the reservation, when a receipt is overturned; hundredths of a percent.
    pub slash_bps: u16,
    /// Of the reservation, when two roots are proven.
    pub equivocation_bps: u16,
    /// Of a juror's weight, when it does not answer.
    pub absence_bps: u16,
    /// Jurors of the first round, odd.
    pub jury_size: u8,
    /// Blocks until the one whose hash draws the jury.
    pub seed_delay: u8,
}

impl DeployTerms {
    /// For a local ledger: everything belongs to `owner` at first, delays are short.
    #[must_use]
    pub fn local(owner: Account) -> Self {
        Self {
            faucet: owner,
            voter: owner,
            votes: Amount(1_000_000 * 10_u128.pow(18)),
            timelock_delay_s: 60,
            voting_delay_s: 60,
            voting_period_s: 3_600,
            proposal_threshold: Amount(0),
            quorum_percent: 4,
            jury_weight_min: Amount(1_000_000),
            disputes: DisputeTerms {
                juror_fee: 1_000_000,
                incident_fee: 100_000,
                defence_fee: 1_000_000,
                challenger_reward: 5_000_000,
                commit_s: 3_600,
                reveal_s: 3_600,
                appeal_s: 3_600,
                slash_bps: 5_000,
                equivocation_bps: 10_000,
                absence_bps: 100,
                jury_size: 3,
                seed_delay: 2,
            },
        }
    }
}

/// Why a deployment stopped.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A step can't be sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// A step was refused by the chain.
    #[error(
        "deployment step {step:?} failed in transaction 0x{tx}\nhint: does the sender own what it deployed? try again under a new name"
    )]
    Failed {
        /// Which step.
        step: String,
        /// Its transaction.
        tx: String,
    },
}

/// Deploys everything under `name`; again under the same name, it returns the same addresses.
///
/// # Errors
/// If a step can't be sent or is refused.
pub async fn deploy(
    sender: &mut Sender,
    name: &str,
    terms: &DeployTerms,
) -> Result<Addresses, DeployError> {
    let mut run = Deployment { sender, name, since_block: u64::MAX };
    let me = run.sender.account();

    let votes = VoteToken::constructorCall {
        holder: address(terms.voter),
        supply: U256::from(terms.votes.0),
    };
    let votes = run.contract("votes", &VoteToken::BYTECODE, &votes).await?;
    let timelock = Timelock::constructorCall {
        delay: U256::from(terms.timelock_delay_s),
        proposers: Vec::new(),
        // Anybody: what was decided may be executed by whoever pays the gas.
        executors: vec![Address::ZERO],
        admin: address(me),
    };
    let timelock = run.contract("timelock", &Timelock::BYTECODE, &timelock).await?;
    let governor = AyniGovernor::constructorCall {
        votes: address(votes),
        timelock: address(timelock),
        votingDelay_: U48::from(terms.voting_delay_s.min((1 << 48) - 1)),
        votingPeriod_: terms.voting_period_s,
        threshold: U256::from(terms.proposal_threshold.0),
        quorumPercent: U256::from(terms.quorum_percent),
    };
    let governor = run.contract("governor", &AyniGovernor::BYTECODE, &governor).await?;
    for (step, role) in [("proposer", "PROPOSER_ROLE"), ("canceller", "CANCELLER_ROLE")] {
        let (role, account) = (alloy_primitives::keccak256(role), address(governor));
        run.call(step, timelock, &Timelock::grantRoleCall { role, account }).await?;
    }

    let token = AyniToken::constructorCall { faucet: address(terms.faucet) };
    let token = run.contract("token", &AyniToken::BYTECODE, &token).await?;
    let channels = Channels::constructorCall { owner_: address(timelock) };
    let channels = run.contract("channels", &Channels::BYTECODE, &channels).await?;
    let registry = Registry::constructorCall {
        token_: address(token),
        juryWeightMin_: terms.jury_weight_min.0,
        owner_: address(me),
    };
    let registry = run.contract("registry", &Registry::BYTECODE, &registry).await?;
    let disputes = Disputes::constructorCall {
        registry_: address(registry),
        terms_: terms.disputes.into(),
        owner_: address(timelock),
    };
    let disputes = run.contract("disputes", &Disputes::BYTECODE, &disputes).await?;
    let name_disputes = Registry::setDisputesCall { disputes_: address(disputes) };
    run.call("name-disputes", registry, &name_disputes).await?;

    // From here on nobody but the timelock can change anything.
    let give = Registry::transferOwnershipCall { newOwner: address(timelock) };
    run.call("give-registry", registry, &give).await?;
    let leave = Timelock::renounceRoleCall {
        role: alloy_primitives::B256::ZERO,
        callerConfirmation: address(me),
    };
    run.call("leave-timelock", timelock, &leave).await?;

    Ok(Addresses {
        chain: run.sender.client().chain(),
        since_block: run.since_block,
        token,
        channels,
        registry,
        disputes,
        governor,
        timelock,
        votes,
    })
}

impl From<DisputeTerms> for bindings::DisputeTerms::Terms {
    fn from(terms: DisputeTerms) -> Self {
        use alloy_primitives::aliases::U96;
        Self {
            jurorFee: U96::from(terms.juror_fee),
            incidentFee: U96::from(terms.incident_fee),
            defenceFee: U96::from(terms.defence_fee),
            challengerReward: U96::from(terms.challenger_reward),
            commitWindow: terms.commit_s,
            revealWindow: terms.reveal_s,
            appealWindow: terms.appeal_s,
            slashBps: terms.slash_bps,
            equivocationBps: terms.equivocation_bps,
            absenceBps: terms.absence_bps,
            jurySize: terms.jury_size,
            seedDelay: terms.seed_delay,
        }
    }
}

struct Deployment<'a> {
    sender: &'a mut Sender,
    name: &'a str,
    since_block: u64,
}

impl Deployment<'_> {
    fn id(&self, step: &str) -> String {
        format!("deploy/{}/{step}", self.name)
    }

    async fn step(&mut self, step: &str, intent: Intent) -> Result<Outcome, DeployError> {
        let outcome = self.sender.run(intent, STEP_TIMEOUT).await?;
        if !outcome.success {
            let tx = data_encoding::HEXLOWER.encode(&outcome.tx);
            return Err(DeployError::Failed { step: step.to_owned(), tx });
        }
        self.since_block = self.since_block.min(outcome.block);
        Ok(outcome)
    }

    async fn contract<C: SolConstructor>(
        &mut self,
        step: &str,
        code: &[u8],
        arguments: &C,
    ) -> Result<Account, DeployError> {
        let data = [code, &arguments.abi_encode()].concat();
        let outcome = self.step(step, Intent::deploy(self.id(step), data)).await?;
        outcome.created.ok_or_else(|| DeployError::Failed {
            step: step.to_owned(),
            tx: data_encoding::HEXLOWER.encode(&outcome.tx),
        })
    }

    async fn call<C: SolCall>(
        &mut self,
        step: &str,
        to: Account,
        call: &C,
    ) -> Result<Outcome, DeployError> {
        self.step(step, Intent::call(self.id(step), to, call.abi_encode())).await
    }
}

//! Taking part in votes on parameters. From a home, which needs no running node: the account of its
//! table `pay`, with an outbox of its own. Through a node: what its account sees; what it says is
//! sent by its bank.
//!
//! Deliberately not here: what is voted on, and how (`ayni-chain`).

use std::path::Path;
use std::time::Duration;

use ayni_api::json::{BallotJson, ProposalJson, ProposalList, Schema, Text};
use ayni_api::{ApiError, codes};
use ayni_chain::Client;
use ayni_chain::contracts::Addresses;
use ayni_chain::contracts::gov::{self, Parameters, Voter};
use ayni_chain::keystore::{Keystore, Password};
use ayni_chain::sender::{FileOutbox, SendTerms, Sender};
use ayni_types::Account;

use crate::bank::BankError;
use crate::config::Pay;

pub use ayni_chain::contracts::gov::{
    Action, Ballot, Change, GovError, ParameterError, ProposalId, Stage, Standing, Vote,
};

/// Longest wait for a transaction.
const PATIENCE: Duration = Duration::from_secs(300);

/// A voter, and what it reads.
pub struct Assembly {
    /// Says things.
    pub voter: Voter,
    client: Client,
    contracts: Addresses,
}

impl Assembly {
    /// Of the account of a home.
    ///
    /// # Errors
    /// If the chain does not answer or the account can't be unlocked.
    pub async fn open(home: &Path, pay: &Pay) -> Result<Self, BankError> {
        let contracts = Addresses::read(&home.join(&pay.contracts))?;
        let client = Client::connect(&pay.rpc, contracts.chain).await?;
        let password = Password::from_file(&home.join(&pay.password_file))?;
        let keystore = Keystore::open(&home.join("keys").join("accounts"))?;
        let account = pay.account;
        let unlocking = tokio::task::spawn_blocking(move || keystore.unlock(account, &password));
        let wallet = match unlocking.await {
            Ok(unlocked) => unlocked?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        let outbox = FileOutbox::open(&home.join("votes"), contracts.chain, account)?;
        let terms = if client.is_local_ledger() { SendTerms::LOCAL } else { SendTerms::REMOTE };
        let sender = Sender::new(client.clone(), wallet, terms, Box::new(outbox))?;
        Ok(Self { voter: Voter::new(sender, contracts, PATIENCE), client, contracts })
    }

    /// Every parameter as it is now.
    ///
    /// # Errors
    /// If the chain does not answer.
    pub async fn parameters(&self) -> Result<Parameters, BankError> {
        Ok(Parameters::read(&self.client, &self.contracts).await?)
    }
}

/// A proposal as it is shown; `ballot` is of whoever looks.
#[must_use]
pub fn proposal_json(standing: &Standing, ballot: Option<Ballot>) -> ProposalJson {
    let proposal = &standing.proposal;
    ProposalJson {
        id: proposal.id.to_string(),
        proposer: Text(proposal.proposer),
        why: proposal.description.clone(),
        actions: proposal.actions.iter().map(ToString::to_string).collect(),
        stage: standing.stage.to_string(),
        for_it: Text(standing.for_it.0),
        against: Text(standing.against.0),
        abstained: Text(standing.abstained.0),
        vote_from_ms: proposal.from.0,
        vote_until_ms: proposal.until.0,
        ready_ms: standing.ready.map(|at| at.0),
        ballot: ballot.map(|b| BallotJson { votes: Text(b.votes.0), cast: b.cast }),
    }
}

/// All proposals, the newest first, and what an account votes with.
pub(crate) async fn seen(
    client: &Client,
    at: &Addresses,
    account: Account,
) -> Result<ProposalList, GovError> {
    let power = gov::voting_power(client, at, account).await?;
    let mut proposals = Vec::new();
    for standing in gov::list(client, at).await?.into_iter().rev() {
        let ballot = match standing.stage {
            Stage::Active => Some(gov::ballot(client, at, &standing.proposal, account).await?),
            _ => None,
        };
        proposals.push(proposal_json(&standing, ballot));
    }
    Ok(ProposalList {
        schema: Schema,
        account: Text(account),
        held: Text(power.held.0),
        delegate: (power.delegate != Account([0; 20])).then_some(Text(power.delegate)),
        votes: Text(power.votes.0),
        proposals,
    })
}

/// Whether an account can say something about a proposal now.
pub(crate) async fn may_vote(
    client: &Client,
    at: &Addresses,
    account: Account,
    id: ProposalId,
) -> Result<(), ApiError> {
    let found = gov::expect(client, at, id, Stage::Active).await.map_err(|e| refused(&e))?;
    let ballot = gov::ballot(client, at, &found.proposal, account).await;
    let ballot = ballot.map_err(|error| refused(&error.into()))?;
    let why = match (ballot.cast, ballot.votes.0) {
        (true, _) => format!("{account} has voted on {id}; a vote stands"),
        (false, 0) => format!("{account} had no votes when the vote on {id} began"),
        (false, _) => return Ok(()),
    };
    let hint = "votes are tokens that were delegated before, to oneself too: `ayni gov delegate`";
    Err(ApiError::new(codes::VOTE_REFUSED, why).hint(hint))
}

pub(crate) fn refused(error: &GovError) -> ApiError {
    let code = match error {
        GovError::Unknown(_) | GovError::Malformed(_) => codes::PROPOSAL_UNKNOWN,
        GovError::Client(_) | GovError::Log { .. } => codes::CHAIN_SILENT,
        _ => codes::VOTE_REFUSED,
    };
    let text = error.to_string();
    match text.split_once("\nhint: ") {
        Some((why, hint)) => ApiError::new(code, why).hint(hint),
        None => ApiError::new(code, text),
    }
}

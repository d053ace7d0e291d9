//! An account that takes part in votes: each thing it says is said once, however often it is asked
//! for, and what can't be done now is refused before anything is sent, with when it can be.
//!
//! Deliberately not here: where the key and the outbox are (the caller opens them).

use std::time::Duration;

use ayni_types::Account;

use super::{
    Addresses, Change, GovError, ProposalId, Stage, Standing, Vote, cancel, delegate, execute,
    expect, proposals, propose, proposed_id, queue, standing, vote, voting_power,
};
use crate::client::Client;
use crate::sender::{Intent, Outcome, Sender, Stage as Sent};

/// Attempts under one name: more refusals than this are somebody's loop.
const TRIES_MAX: u32 = 1_000;

/// See the module.
pub struct Voter {
    sender: Sender,
    at: Addresses,
    patience: Duration,
}

impl Voter {
    /// With an account's sender; waits for each transaction so long.
    #[must_use]
    pub fn new(sender: Sender, at: Addresses, patience: Duration) -> Self {
        Self { sender, at, patience }
    }

    /// Who votes.
    #[must_use]
    pub fn account(&self) -> Account {
        self.sender.account()
    }

    fn client(&self) -> &Client {
        self.sender.client()
    }

    /// Proposes changes, all or none of them. The same again is the same proposal.
    ///
    /// # Errors
    /// If there is nothing to change, the description is bad, or the governor refuses (most often:
    /// too few votes).
    pub async fn propose(
        &mut self,
        changes: &[Change],
        description: &str,
    ) -> Result<ProposalId, GovError> {
        let data = propose(&self.at, changes, description, self.account())?;
        let id = proposed_id(&self.at, changes, description, self.account());
        self.once(&format!("propose/{id}"), self.at.governor, data).await?;
        Ok(id)
    }

    /// Votes; no second vote of the account counts, whatever it says.
    ///
    /// # Errors
    /// If there is no such proposal or its vote is not open.
    pub async fn vote(
        &mut self,
        id: ProposalId,
        support: Vote,
        reason: &str,
    ) -> Result<(), GovError> {
        self.expect(id, Stage::Active).await?;
        let data = vote(id, support, reason);
        self.once(&format!("vote/{id}"), self.at.governor, data).await
    }

    /// Hands a decided proposal to the timelock.
    ///
    /// # Errors
    /// If there is no such proposal or it was not decided for.
    pub async fn queue(&mut self, id: ProposalId) -> Result<Standing, GovError> {
        let found = self.expect(id, Stage::Succeeded).await?;
        self.once(&format!("queue/{id}"), self.at.governor, queue(&found.proposal)).await?;
        standing(self.client(), &self.at, found.proposal).await
    }

    /// Does what was decided.
    ///
    /// # Errors
    /// If there is no such proposal, it is not queued, its delay is not over, or a contract refuses a
    /// change.
    pub async fn execute(&mut self, id: ProposalId) -> Result<(), GovError> {
        let found = self.expect(id, Stage::Queued).await?;
        self.once(&format!("execute/{id}"), self.at.governor, execute(&found.proposal)).await
    }

    /// Takes back a proposal of the account's own, before its vote begins.
    ///
    /// # Errors
    /// If there is no such proposal, its vote has begun, or it is somebody else's.
    pub async fn cancel(&mut self, id: ProposalId) -> Result<(), GovError> {
        let found = self.expect(id, Stage::Pending).await?;
        self.once(&format!("cancel/{id}"), self.at.governor, cancel(&found.proposal)).await
    }

    /// Lets somebody vote with the account's tokens; itself too must be named once.
    ///
    /// # Errors
    /// If the chain does not answer.
    pub async fn delegate(&mut self, to: Account) -> Result<(), GovError> {
        if voting_power(self.client(), &self.at, self.account()).await?.delegate == to {
            return Ok(());
        }
        // Back and forth is no repetition: what is done is done under another name.
        let name = self.unused(&format!("delegate/{to}"), |sent| matches!(sent, Sent::Done(_)))?;
        self.send(name, self.at.votes, delegate(to)).await
    }

    /// All proposals as they stand, the oldest first.
    ///
    /// # Errors
    /// If the chain does not answer, or shows what the governor can't have written.
    pub async fn list(&self) -> Result<Vec<Standing>, GovError> {
        list(self.client(), &self.at).await
    }

    async fn expect(&self, id: ProposalId, stage: Stage) -> Result<Standing, GovError> {
        expect(self.client(), &self.at, id, stage).await
    }

    async fn once(&mut self, name: &str, to: Account, data: Vec<u8>) -> Result<(), GovError> {
        let name = self.unused(name, |_| false)?;
        self.send(name, to, data).await
    }

    /// A refused intent's name stays refused; what was refused may be done later under the next.
    fn unused(&self, name: &str, is_used: fn(&Sent) -> bool) -> Result<String, GovError> {
        for n in 0..TRIES_MAX {
            let name = format!("gov/{name}/{n}");
            let Some((entry, _)) = self.sender.progress(&name) else { return Ok(name) };
            let refused = matches!(entry.stage, Sent::Refused(_) | Sent::Forgotten);
            if !refused && !is_used(&entry.stage) {
                return Ok(name);
            }
        }
        Err(GovError::Tries(name.to_owned()))
    }

    async fn send(&mut self, name: String, to: Account, data: Vec<u8>) -> Result<(), GovError> {
        let intent = Intent::call(name.clone(), to, data);
        let Outcome { success, .. } = self.sender.run(intent, self.patience).await?;
        if success { Ok(()) } else { Err(GovError::Failed(name)) }
    }
}

/// All proposals as they stand, the oldest first; needs no account.
///
/// # Errors
/// If the chain does not answer, or shows what the governor can't have written.
pub async fn list(client: &Client, at: &Addresses) -> Result<Vec<Standing>, GovError> {
    let mut all = Vec::new();
    for one in proposals(client, at).await? {
        all.push(standing(client, at, one).await?);
    }
    Ok(all)
}

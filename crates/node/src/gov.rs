//! Taking part in votes on parameters, from a home: the account of its table `pay`, with an outbox of
//! its own. Needs no running node.
//!
//! Deliberately not here: what is voted on, and how (`ayni-chain`).

use std::path::Path;
use std::time::Duration;

use ayni_chain::Client;
use ayni_chain::contracts::Addresses;
use ayni_chain::contracts::gov::{Parameters, Voter};
use ayni_chain::keystore::{Keystore, Password};
use ayni_chain::sender::{FileOutbox, SendTerms, Sender};

use crate::bank::BankError;
use crate::config::Pay;

pub use ayni_chain::contracts::gov::{
    Action, Change, GovError, ParameterError, ProposalId, Stage, Standing, Vote,
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

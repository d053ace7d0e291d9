//! Payments against the chain: whether one is good now, and settling it, through a sender with an
//! account of its own that pays the gas. No outside facilitator.
//!
//! What the chain says may change between the two; then there is no settlement, and no outcome for
//! it. Deliberately not here: which payments are in hand (`shop`), and what is kept (`book`).

use std::time::{Duration, Instant};

use ayni_chain::contracts::{self, TokenDomain};
use ayni_chain::sender::{Intent, SendError, Sender, Stage};
use ayni_chain::{Client, ClientError};
use ayni_types::{Account, Amount};
use tokio::sync::Mutex;

use crate::payment::Payment;
use crate::refusal::Refusal;

/// How long an answer waits for a settlement to be in a block.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(20);

/// Why nothing can be sold here.
#[derive(Debug, thiserror::Error)]
pub enum CashierError {
    /// The token is none that can be paid in.
    #[error(
        "token {token} does not say how payments in it are signed: {why}\nhint: it must know EIP-3009 \
         and ERC-5267"
    )]
    Token {
        /// Which.
        token: Account,
        /// What it said.
        why: ClientError,
    },
}

/// What came of settling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Settlement {
    /// In a block.
    Settled([u8; 32]),
    /// Handed over, and not in a block yet. It will be, or the seller has lost one run.
    Pending(String),
    /// The chain refuses it.
    Refused(String),
}

/// See the module.
pub struct Cashier {
    client: Client,
    sender: Mutex<Sender>,
    account: Account,
    domain: TokenDomain,
}

impl Cashier {
    /// For payments in a token, settled by a sender.
    ///
    /// # Errors
    /// If the token is not one that can be paid in so.
    pub async fn open(sender: Sender, token: Account) -> Result<Self, CashierError> {
        let (client, account) = (sender.client().clone(), sender.account());
        let domain = TokenDomain::of(&client, token).await;
        let domain = domain.map_err(|why| CashierError::Token { token, why })?;
        Ok(Self { client, sender: Mutex::new(sender), account, domain })
    }

    /// What payers sign for.
    #[must_use]
    pub fn domain(&self) -> &TokenDomain {
        &self.domain
    }

    /// Whether a payment would be settled now, beside others of its payer that are in hand.
    ///
    /// # Errors
    /// Why not.
    pub(crate) async fn check(&self, payment: &Payment, in_hand: Amount) -> Result<(), Refusal> {
        let (signed, token) = (payment.authorization, self.domain.token);
        let used = contracts::authorization_used(&self.client, token, signed.from, signed.nonce);
        if used.await.map_err(|e| silent(&e))? {
            return Err(Refusal::replayed(format!("payment {} was used", payment.id())));
        }
        let held = contracts::token_balance(&self.client, token, signed.from);
        let held = held.await.map_err(|e| silent(&e))?;
        let wanted = Amount(signed.value.0.saturating_add(in_hand.0));
        if held < wanted {
            let text = format!("{} has {held}, and {wanted} are wanted", signed.from);
            return Err(Refusal::funds(text));
        }
        let data = contracts::transfer_with_authorization(&signed, &payment.signature);
        match self.client.estimate(self.account, Some(token), Amount(0), &data).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_revert() => {
                let why = contracts::token_refusal(&error).unwrap_or_else(|| error.to_string());
                Err(Refusal::token(format!("the token would refuse it: {why}")))
            }
            Err(error) => Err(silent(&error)),
        }
    }

    /// Settles. Asked twice, or again after a crash, it is one settlement.
    pub(crate) async fn settle(&self, payment: &Payment) -> Result<Settlement, SendError> {
        let id = intent(&payment.id());
        let data =
            contracts::transfer_with_authorization(&payment.authorization, &payment.signature);
        self.sender.lock().await.submit(Intent::call(id.clone(), self.domain.token, data))?;
        self.wait(&id).await
    }

    /// What came of a payment that was being settled when the process ended; nothing if the sender
    /// never heard of it.
    pub(crate) async fn outcome(&self, payment: &str) -> Option<Settlement> {
        match self.wait(&intent(payment)).await {
            Ok(settlement) => Some(settlement),
            Err(SendError::Unknown(_)) => None,
            Err(error) => Some(Settlement::Pending(error.to_string())),
        }
    }

    async fn wait(&self, id: &str) -> Result<Settlement, SendError> {
        let begin = Instant::now();
        loop {
            let mut sender = self.sender.lock().await;
            sender.tick().await?;
            let (stage, trouble) = match sender.progress(id) {
                Some((entry, trouble)) => (entry.stage.clone(), trouble.map(str::to_owned)),
                None => return Err(SendError::Unknown(id.to_owned())),
            };
            drop(sender);
            match stage {
                Stage::Done(outcome) if outcome.success => {
                    return Ok(Settlement::Settled(outcome.tx));
                }
                Stage::Done(_) => {
                    let why = "the token refused it in its block".to_owned();
                    return Ok(Settlement::Refused(why));
                }
                Stage::Refused(why) => return Ok(Settlement::Refused(why)),
                Stage::Forgotten => return Err(SendError::Unknown(id.to_owned())),
                Stage::Queued | Stage::Sent if begin.elapsed() > SETTLE_TIMEOUT => {
                    let trouble = trouble.unwrap_or_else(|| "it is not in a block yet".to_owned());
                    return Ok(Settlement::Pending(trouble));
                }
                Stage::Queued | Stage::Sent => tokio::time::sleep(LOOK).await,
            }
        }
    }
}

/// The name of a settlement in the sender's outbox.
fn intent(payment: &str) -> String {
    format!("x402/{payment}")
}

fn silent(error: &ClientError) -> Refusal {
    tracing::warn!(%error, "a payment can't be checked");
    Refusal::unavailable("the chain does not answer")
}

//! The node's dealings with a chain: tells the core what the chain holds of its channels, and takes
//! the steps that the core asks for, each once.
//!
//! Deliberately not here: when to pay and when to claim (`ayni-core`), transactions (`ayni-chain`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ayni_chain::contracts::{self, Addresses, AddressesError, Claim};
use ayni_chain::keystore::{Keystore, KeystoreError, Password, PasswordError};
use ayni_chain::sender::{FileOutbox, Intent, OutboxError, SendError, SendTerms, Sender, Stage};
use ayni_chain::{Client, ClientError};
use ayni_core::{ChainStep, Event, Seen, Wallet};
use ayni_types::{Account, Amount, ChannelFunds, ChannelId, PaidBy, Payment, Time};
use ayni_wire::channel_id;
use tokio::sync::{mpsc, oneshot};

use crate::config::Pay;
use crate::pump::Handle;

/// Between two looks at the local ledger, and at any other chain.
const LOOK_LOCAL: Duration = Duration::from_millis(200);
const LOOK_REMOTE: Duration = Duration::from_secs(2);

/// Why a node can't pay or be paid.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BankError {
    #[error(transparent)]
    Addresses(#[from] AddressesError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    #[error(transparent)]
    Send(#[from] SendError),
}

/// What the account holds, when somebody asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Balances {
    pub(crate) token: Amount,
    pub(crate) gas_wei: Amount,
    pub(crate) block: u64,
}

enum Order {
    Watch(PaidBy),
    Step(PaidBy, ChainStep),
    Balances(oneshot::Sender<Result<Balances, ClientError>>),
}

/// The bank, as the rest of the node sees it.
#[derive(Clone)]
pub(crate) struct BankHandle {
    orders: mpsc::UnboundedSender<Order>,
    pub(crate) account: Account,
    pub(crate) contracts: Addresses,
    pub(crate) rpc: String,
    pub(crate) is_local: bool,
}

impl BankHandle {
    pub(crate) fn watch(&self, paid_by: PaidBy) {
        // The bank ends only with the node.
        let _ = self.orders.send(Order::Watch(paid_by));
    }

    pub(crate) fn step(&self, paid_by: PaidBy, step: ChainStep) {
        let _ = self.orders.send(Order::Step(paid_by, step));
    }

    /// `None`: the node is stopping.
    pub(crate) async fn balances(&self) -> Option<Result<Balances, ClientError>> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Balances(answer));
        answered.await.ok()
    }

    pub(crate) fn wallet(&self, pay: &Pay) -> Wallet {
        Wallet {
            ledger: self.contracts.ledger(),
            token: self.contracts.token,
            account: self.account,
            deposit: pay.deposit,
            step_first: pay.step_first,
            step_max: pay.step_max,
            withdraw_delay_s_max: pay.withdraw_delay_s_max,
        }
    }

    pub(crate) fn payment(&self, pay: &Pay) -> Payment {
        Payment {
            ledger: self.contracts.ledger(),
            token: self.contracts.token,
            payee: self.account,
            payee_key: self.account,
            withdraw_delay_s: pay.withdraw_delay_s,
            step: pay.step,
        }
    }
}

/// A channel that is watched.
struct Watched {
    paid_by: PaidBy,
    seen: Option<Seen>,
    /// When its newest state was first seen.
    since_block: u64,
}

/// A step under way.
struct Underway {
    id: String,
    channel: ChannelId,
    /// Sent when this one is done.
    then: Option<Intent>,
}

/// See the module.
pub(crate) struct Bank {
    client: Client,
    sender: Sender,
    contracts: Addresses,
    is_local: bool,
    confirmations: u64,
    look: Duration,
    watched: BTreeMap<ChannelId, Watched>,
    underway: Vec<Underway>,
    orders: mpsc::UnboundedReceiver<Order>,
    head: Option<u64>,
    trouble: Option<String>,
}

fn at(home: &Path, path: &Path) -> PathBuf {
    home.join(path)
}

/// Unlocks the account and finds the contracts. Nothing is sent yet.
///
/// # Errors
/// When the chain does not answer, is another one, or the account can't be unlocked.
pub(crate) async fn open(home: &Path, pay: &Pay) -> Result<(Bank, BankHandle), BankError> {
    let contracts = Addresses::read(&at(home, &pay.contracts))?;
    let client = Client::connect(&pay.rpc, contracts.chain).await?;
    let is_local = client.is_local_ledger();
    let password = Password::from_file(&at(home, &pay.password_file))?;
    let keystore = Keystore::open(&home.join("keys").join("accounts"))?;
    let account = pay.account;
    let unlocking = tokio::task::spawn_blocking(move || keystore.unlock(account, &password));
    let wallet = match unlocking.await {
        Ok(unlocked) => unlocked?,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    };
    let outbox = FileOutbox::open(&home.join("chain"), contracts.chain, account)?;
    let terms = if is_local { SendTerms::LOCAL } else { SendTerms::REMOTE };
    let sender = Sender::new(client.clone(), wallet, terms, Box::new(outbox))?;
    let (to_bank, orders) = mpsc::unbounded_channel();
    let handle = BankHandle { orders: to_bank, account, contracts, rpc: pay.rpc.clone(), is_local };
    let bank = Bank {
        client,
        sender,
        contracts,
        is_local,
        confirmations: terms.confirmations,
        look: if is_local { LOOK_LOCAL } else { LOOK_REMOTE },
        watched: BTreeMap::new(),
        underway: Vec::new(),
        orders,
        head: None,
        trouble: None,
    };
    Ok((bank, handle))
}

async fn balances(
    client: &Client,
    token: Account,
    account: Account,
) -> Result<Balances, ClientError> {
    Ok(Balances {
        token: contracts::token_balance(client, token, account).await?,
        gas_wei: client.balance(account).await?,
        block: client.head().await?,
    })
}

impl Bank {
    /// Serves until the node stops.
    pub(crate) async fn run(mut self, core: Handle) {
        let mut tick = tokio::time::interval(self.look);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                order = self.orders.recv() => match order {
                    None => return,
                    Some(Order::Watch(paid_by)) => self.watch(paid_by, &core).await,
                    Some(Order::Step(paid_by, step)) => self.begin(paid_by, step, &core),
                    Some(Order::Balances(answer)) => {
                        let (client, token) = (self.client.clone(), self.contracts.token);
                        let held = balances(&client, token, self.sender.account()).await;
                        let _ = answer.send(held);
                    }
                },
                _ = tick.tick() => {}
            }
            self.go_on(&core).await;
        }
    }

    async fn watch(&mut self, paid_by: PaidBy, core: &Handle) {
        let id = channel_id(&paid_by.ledger, &paid_by.terms);
        if paid_by.ledger != self.contracts.ledger() {
            let reason = format!("this node is on chain {}", self.contracts.chain);
            return core.event(Event::ChainFailed { channel: id, reason });
        }
        let known =
            self.watched.entry(id).or_insert(Watched { paid_by, seen: None, since_block: 0 });
        if let Some(seen) = known.seen {
            core.event(Event::ChannelSeen { channel: id, seen });
        } else {
            self.head = None;
        }
    }

    /// Takes a step, unless it was taken. What the chain refused before anything was sent, or
    /// without effect, may be tried again under another name.
    fn begin(&mut self, paid_by: PaidBy, step: ChainStep, core: &Handle) {
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        let funds = self.watched.get(&channel).and_then(|w| w.seen).map(|s| s.latest);
        let (terms, contract) = (paid_by.terms, self.contracts.channels);
        let call = |data| (contract, data);
        let (name, first, then) = match step {
            ChainStep::Deposit { number, amount } => (
                format!("deposit/{channel}/{number}"),
                call(contracts::deposit(&terms, amount)),
                None,
            ),
            ChainStep::Claim { amount, voucher } => {
                let claim = contracts::claim(&[Claim { terms, voucher, amount }]);
                let settle = call(contracts::settle(terms.payee, terms.token));
                (format!("claim/{channel}/{amount}"), call(claim), Some(settle))
            }
            ChainStep::Withdraw => {
                let Some(funds) = funds else { return };
                let left = Amount(funds.deposit.0.saturating_sub(funds.claimed.0));
                let name = format!("withdraw/{channel}/{}", funds.deposit);
                (name, call(contracts::initiate_withdraw(&terms, left)), None)
            }
            ChainStep::FinishWithdrawal => {
                let Some(waits) = funds.and_then(|f| f.withdrawal) else { return };
                let name = format!("finish/{channel}/{}", waits.from.0);
                (name, call(contracts::finalize_withdraw(&terms)), None)
            }
        };
        for attempt in 0_u32.. {
            let id = format!("{name}/{attempt}");
            match self.sender.progress(&id).map(|(entry, _)| entry.stage.clone()) {
                Some(Stage::Refused(_)) => {}
                Some(Stage::Done(outcome)) if !outcome.success => {}
                Some(Stage::Queued | Stage::Sent) if self.underway.iter().all(|u| u.id != id) => {
                    return self.underway.push(Underway { id, channel, then: None });
                }
                Some(_) => return,
                None => {
                    if matches!(step, ChainStep::Deposit { .. }) {
                        self.approve(channel, core);
                    }
                    let then =
                        then.map(|(to, data)| Intent::call(format!("{id}/settle"), to, data));
                    let intent = Intent::call(id.clone(), first.0, first.1);
                    return match self.sender.submit(intent) {
                        Ok(()) => self.underway.push(Underway { id, channel, then }),
                        Err(error) => {
                            core.event(Event::ChainFailed { channel, reason: error.to_string() });
                        }
                    };
                }
            }
        }
    }

    /// Lets the contract draw on our token, once for all.
    fn approve(&mut self, channel: ChannelId, core: &Handle) {
        let contract = self.contracts.channels;
        let id = format!("approve/{contract}/{}", self.contracts.token);
        if self.sender.progress(&id).is_some() {
            return;
        }
        let data = contracts::approve(contract, Amount(u128::MAX));
        if let Err(error) = self.sender.submit(Intent::call(id, self.contracts.token, data)) {
            core.event(Event::ChainFailed { channel, reason: error.to_string() });
        }
    }

    async fn go_on(&mut self, core: &Handle) {
        if let Err(error) = self.sender.tick().await {
            return self.say(format!("the outbox of the chain can't be written: {error}"));
        }
        let mut settled = false;
        for under in std::mem::take(&mut self.underway) {
            let Some((entry, trouble)) = self.sender.progress(&under.id) else { continue };
            match &entry.stage {
                Stage::Queued | Stage::Sent => {
                    if let Some(trouble) = trouble {
                        let (channel, reason) = (under.channel, trouble.to_owned());
                        core.event(Event::ChainFailed { channel, reason });
                    }
                    self.underway.push(under);
                    continue;
                }
                Stage::Refused(why) => {
                    let (channel, reason) = (under.channel, why.clone());
                    core.event(Event::ChainFailed { channel, reason });
                }
                Stage::Done(outcome) if !outcome.success => {
                    let reason = "the contract refused it in its block".to_owned();
                    core.event(Event::ChainFailed { channel: under.channel, reason });
                }
                Stage::Done(_) | Stage::Forgotten => {
                    if let Some(then) = under.then {
                        let id = then.id.clone();
                        if self.sender.submit(then).is_ok() {
                            self.underway.push(Underway { id, channel: under.channel, then: None });
                        }
                    }
                }
            }
            settled = true;
        }
        if settled {
            self.head = None;
        }
        match self.look(core).await {
            Ok(()) => self.trouble = None,
            Err(error) => self.say(format!("the chain does not answer: {error}")),
        }
    }

    fn say(&mut self, trouble: String) {
        if self.trouble.as_ref() != Some(&trouble) {
            tracing::warn!("{trouble}");
            self.trouble = Some(trouble);
        }
    }

    /// Looks at every watched channel when there is a new block. What has stood for as many blocks as
    /// a transaction is given counts as safe.
    async fn look(&mut self, core: &Handle) -> Result<(), ClientError> {
        if self.watched.is_empty() {
            return Ok(());
        }
        let head = self.client.head().await?;
        // The clock of the local ledger stands between blocks, and withdrawals wait for time.
        let waits =
            self.watched.values().any(|w| w.seen.is_some_and(|s| s.latest.withdrawal.is_some()));
        if self.head == Some(head) && !waits {
            return Ok(());
        }
        let header = self.client.header(head).await?;
        let mut time = Time(header.map_or(0, |h| h.timestamp.saturating_mul(1_000)));
        if self.is_local {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let now_ms = now.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
            time = time.max(Time(now_ms));
        }
        for (id, watched) in &mut self.watched {
            let delay_s = watched.paid_by.terms.withdraw_delay_s;
            let latest: ChannelFunds =
                contracts::funds(&self.client, self.contracts.channels, *id, delay_s).await?;
            let before = watched.seen.unwrap_or_default();
            if watched.seen.is_none() || before.latest != latest {
                watched.since_block = head;
            }
            let is_safe = head.saturating_sub(watched.since_block) >= self.confirmations;
            let seen = Seen { safe: if is_safe { latest } else { before.safe }, latest, time };
            let news = watched.seen.is_none_or(|s| s.safe != seen.safe || s.latest != seen.latest);
            watched.seen = Some(seen);
            if news || latest.withdrawal.is_some_and(|w| w.from <= time) {
                core.event(Event::ChannelSeen { channel: *id, seen });
            }
        }
        self.head = Some(head);
        Ok(())
    }
}

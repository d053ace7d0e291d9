//! The node's dealings with a chain: tells the core what the chain holds of its channels, and takes
//! the steps that the core asks for, each once.
//!
//! It looks after stake and disputes in the same way: reservations, keys, a seat in the jury, and
//! the steps of the court. Deliberately not here: when to pay and when to claim (`ayni-core`), what is
//! due in a dispute (`ayni-court`), transactions (`ayni-chain`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ayni_chain::contracts::{self, Addresses, AddressesError, Claim, disputes, stake};
use ayni_chain::keystore::{Keystore, KeystoreError, Password, PasswordError};
use ayni_chain::sender::{FileOutbox, Intent, OutboxError, SendError, SendTerms, Sender, Stage};
use ayni_chain::watcher::WatchTerms;
use ayni_chain::{Client, ClientError};
use ayni_core::{Accusation, ChainStep, Event, Seen, StakeOf, Wallet};
use ayni_court::{Answer, Call, Court, CourtError, CourtTerms, Duty};
use ayni_types::{
    Account, Amount, ChannelFunds, ChannelId, NodeId, NodeSignature, PaidBy, Payment, Time,
};
use ayni_wire::{Case, EvmSigner, NodeKey, channel_id};
use tokio::sync::{mpsc, oneshot};

use crate::config::Pay;
use crate::court::{Bench, Shown};
use crate::pump::Handle;

/// Between two looks at the local ledger, and at any other chain.
const LOOK_LOCAL: Duration = Duration::from_millis(200);
const LOOK_REMOTE: Duration = Duration::from_secs(2);
/// Between two rounds of the court.
const COURT_EVERY: Duration = Duration::from_millis(500);
/// Between two looks whether the account's key and node are known to the registry.
const REGISTER_EVERY: Duration = Duration::from_secs(60);
/// A key is authorised for so long, and again when half of it is over, in milliseconds.
const KEY_MS: u64 = 60 * 86_400_000;
/// Disputes of which it is remembered who showed them.
const CASES_MAX: usize = 1_024;
/// A step that somebody waits for takes at most this.
const STEP_PATIENCE: Duration = Duration::from_secs(120);

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
    #[error(transparent)]
    Court(#[from] CourtError),
}

/// What the account has at stake, when somebody asks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Staked {
    pub(crate) stake: stake::Stake,
    pub(crate) node: Option<NodeId>,
    pub(crate) key_until: Time,
    pub(crate) owed: Amount,
}

/// What is done with stake at somebody's wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StakeStep {
    /// Add to it.
    Add(Amount),
    /// Ask so much back.
    Leave(Amount),
    /// Take what was asked back.
    Take,
    /// Take a seat in the jury with so much behind it.
    Jury(Amount),
}

type Waiting = oneshot::Sender<Result<(), String>>;

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
    Reserve { requester: Account, amount: Amount, least_until: Time, until: Time },
    WatchStake(StakeOf),
    Case(NodeId, Box<Case>),
    Answer(u64, u64, Option<Answer>),
    Staked(oneshot::Sender<Result<Staked, ClientError>>),
    Stake(StakeStep, Waiting),
    Disputes(oneshot::Sender<Vec<Call>>),
    Appeal(u64),
    Vote { data: Vec<u8>, waiting: Waiting },
}

/// The bank, as the rest of the node sees it.
#[derive(Clone)]
pub(crate) struct BankHandle {
    orders: mpsc::UnboundedSender<Order>,
    pub(crate) account: Account,
    pub(crate) contracts: Addresses,
    pub(crate) client: Client,
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

    pub(crate) fn reserve(
        &self,
        requester: Account,
        amount: Amount,
        least_until: Time,
        until: Time,
    ) {
        let _ = self.orders.send(Order::Reserve { requester, amount, least_until, until });
    }

    pub(crate) fn watch_stake(&self, stake: StakeOf) {
        let _ = self.orders.send(Order::WatchStake(stake));
    }

    pub(crate) fn case(&self, from: NodeId, case: Box<Case>) {
        let _ = self.orders.send(Order::Case(from, case));
    }

    pub(crate) fn appeal(&self, dispute: u64) {
        let _ = self.orders.send(Order::Appeal(dispute));
    }

    /// `None`: the node is stopping.
    pub(crate) async fn staked(&self) -> Option<Result<Staked, ClientError>> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Staked(answer));
        answered.await.ok()
    }

    /// `None`: the node is stopping.
    pub(crate) async fn stake(&self, step: StakeStep) -> Option<Result<(), String>> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Stake(step, answer));
        answered.await.ok()
    }

    /// What `gov::vote` makes. `None`: the node is stopping.
    pub(crate) async fn vote(&self, data: Vec<u8>) -> Option<Result<(), String>> {
        let (waiting, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Vote { data, waiting });
        answered.await.ok()
    }

    /// `None`: the node is stopping.
    pub(crate) async fn disputes(&self) -> Option<Vec<Call>> {
        let (answer, answered) = oneshot::channel();
        let _ = self.orders.send(Order::Disputes(answer));
        answered.await.ok()
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
            disputes: self.contracts.disputes,
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
    /// So that what runs beside it can bring results.
    own: mpsc::UnboundedSender<Order>,
    head: Option<u64>,
    trouble: Option<String>,
    keys: Keys,
    court: Court,
    court_at: Option<Instant>,
    registered_at: Option<Instant>,
    /// Reservations wanted, until the chain has them.
    wanted: BTreeMap<Account, (Amount, Time, Time)>,
    stakes: BTreeMap<StakeOf, Option<(Amount, Time)>>,
    /// Who showed us which case.
    shown_by: BTreeMap<u64, BTreeSet<NodeId>>,
    shown: Shown,
    /// Steps that somebody waits for.
    waiting: Vec<(String, Instant, Waiting)>,
}

/// Whose account it is, as the registry is told.
pub(crate) struct Keys {
    node: NodeId,
    /// The node's, that the account is its own.
    binding: NodeSignature,
    batch: Account,
}

fn at(home: &Path, path: &Path) -> PathBuf {
    home.join(path)
}

/// Unlocks the account and finds the contracts. Nothing is sent yet.
///
/// # Errors
/// When the chain does not answer, is another one, or the account can't be unlocked.
pub(crate) async fn open(
    home: &Path,
    pay: &Pay,
    node: &NodeKey,
    batch: EvmSigner,
) -> Result<(Bank, BankHandle), BankError> {
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
    let message = stake::binding_message(contracts.chain, contracts.registry, account);
    let keys =
        Keys { node: node.id(), binding: node.sign(&message), batch: Account(batch.key().0) };
    let stall_after = (!is_local).then_some(Duration::from_secs(600));
    let watch = WatchTerms { confirmations: terms.confirmations, stall_after };
    let court_terms = CourtTerms { me: account, key: batch, watch, quiet: is_local };
    let court = Court::new(court_terms, &client, contracts)?;
    let (to_bank, orders) = mpsc::unbounded_channel();
    let own = to_bank.clone();
    let handle = BankHandle {
        orders: to_bank,
        account,
        contracts,
        client: client.clone(),
        rpc: pay.rpc.clone(),
        is_local,
    };
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
        own,
        head: None,
        trouble: None,
        keys,
        court,
        court_at: None,
        registered_at: None,
        wanted: BTreeMap::new(),
        stakes: BTreeMap::new(),
        shown_by: BTreeMap::new(),
        shown: Shown::default(),
        waiting: Vec::new(),
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
    pub(crate) async fn run(mut self, core: Handle, bench: Bench) {
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
                    Some(order) => self.take(order).await,
                },
                _ = tick.tick() => {}
            }
            self.go_on(&core).await;
            self.go_to_court(&core, &bench).await;
        }
    }

    /// Orders about stake and disputes.
    async fn take(&mut self, order: Order) {
        match order {
            Order::Reserve { requester, amount, least_until, until } => {
                self.wanted.insert(requester, (amount, least_until, until));
                self.head = None;
            }
            Order::WatchStake(stake) => {
                self.stakes.entry(stake).or_insert(None);
                self.head = None;
            }
            Order::Case(from, case) => self.case_came(from, *case),
            Order::Answer(dispute, jury, Some(answer)) => self.court.answer(dispute, jury, answer),
            Order::Answer(dispute, jury, None) => self.court.ask_again(dispute, jury),
            Order::Staked(answer) => {
                let _ = answer.send(self.staked().await);
            }
            Order::Stake(step, waiting) => self.stake_step(step, waiting),
            Order::Vote { data, waiting } => {
                let name = format!("vote/{}", now().0);
                self.send_waited(name, self.contracts.governor, data, waiting);
            }
            Order::Disputes(answer) => {
                let _ = answer.send(self.court.calls());
            }
            Order::Appeal(dispute) => self.court.appeal(dispute),
            Order::Watch(_) | Order::Step(..) | Order::Balances(_) => {}
        }
    }

    fn case_came(&mut self, from: NodeId, case: Case) {
        let Case { chain, disputes, dispute, receipt } = case;
        if chain != self.contracts.chain || disputes != self.contracts.disputes {
            return;
        }
        match self.court.take_case(dispute, receipt) {
            Ok(()) => {
                if self.shown_by.len() < CASES_MAX || self.shown_by.contains_key(&dispute) {
                    self.shown_by.entry(dispute).or_default().insert(from);
                }
            }
            Err(why) => {
                tracing::warn!("{} shows a case of dispute {dispute}: {why}", from.short());
            }
        }
    }

    async fn staked(&self) -> Result<Staked, ClientError> {
        let (client, at, me) = (&self.client, self.contracts.registry, self.sender.account());
        Ok(Staked {
            stake: stake::stake_of(client, at, me).await?,
            node: stake::node_of(client, at, me).await?,
            key_until: stake::key_until(client, at, me, self.keys.batch).await?,
            owed: disputes::owed(client, self.contracts.disputes, me).await?,
        })
    }

    fn stake_step(&mut self, step: StakeStep, waiting: Waiting) {
        let me = self.sender.account();
        let name = format!("stake/{}", now().0);
        let data = match step {
            StakeStep::Add(amount) => {
                let registry = self.contracts.registry;
                let data = contracts::approve(registry, amount);
                let intent = Intent::call(format!("{name}/approve"), self.contracts.token, data);
                if let Err(error) = self.sender.submit(intent) {
                    let _ = waiting.send(Err(error.to_string()));
                    return;
                }
                stake::stake(me, amount)
            }
            StakeStep::Leave(amount) => stake::request_unstake(amount),
            StakeStep::Take => stake::unstake(),
            StakeStep::Jury(weight) => stake::set_jury_weight(weight),
        };
        self.send_waited(name, self.contracts.registry, data, waiting);
    }

    fn send_waited(&mut self, name: String, to: Account, data: Vec<u8>, waiting: Waiting) {
        match self.sender.submit(Intent::call(name.clone(), to, data)) {
            Ok(()) => self.waiting.push((name, Instant::now(), waiting)),
            Err(error) => drop(waiting.send(Err(error.to_string()))),
        }
    }

    /// Tells those who wait how their steps ended.
    fn tell_waiting(&mut self) {
        for (name, since, waiting) in std::mem::take(&mut self.waiting) {
            let ended = match self.sender.progress(&name).map(|(entry, trouble)| {
                (entry.stage.clone(), trouble.unwrap_or("it is not in a block yet").to_owned())
            }) {
                Some((Stage::Done(outcome), _)) if outcome.success => Some(Ok(())),
                Some((Stage::Done(_), _)) => {
                    Some(Err("the contract refused it in its block".to_owned()))
                }
                Some((Stage::Refused(why), _)) => Some(Err(why)),
                Some((_, trouble)) if since.elapsed() > STEP_PATIENCE => {
                    Some(Err(format!("after {} s: {trouble}", STEP_PATIENCE.as_secs())))
                }
                Some(_) => None,
                None => Some(Err("it was forgotten".to_owned())),
            };
            match ended {
                Some(ended) => {
                    self.registered_at = None;
                    let _ = waiting.send(ended);
                }
                None => self.waiting.push((name, since, waiting)),
            }
        }
    }

    /// Has the registry know whose account this is, while it has something at stake.
    async fn register(&mut self) -> Result<(), BankError> {
        if self.registered_at.is_some_and(|at| at.elapsed() < REGISTER_EVERY) {
            return Ok(());
        }
        let staked = self.staked().await?;
        self.registered_at = Some(Instant::now());
        if staked.stake.staked.0 == 0 {
            return Ok(());
        }
        let registry = self.contracts.registry;
        if staked.node != Some(self.keys.node) {
            let name = format!("stake/bind/{}/{}", self.keys.node, now().0 / 60_000);
            let data = stake::bind_node(self.keys.node, &self.keys.binding);
            self.sender.submit(Intent::call(name, registry, data))?;
        }
        if staked.key_until.0 < now().0 + KEY_MS / 2 {
            let name = format!("stake/key/{}/{}", self.keys.batch, now().0 / (KEY_MS / 2));
            let data = stake::authorise_key(self.keys.batch, now().after_ms(KEY_MS));
            self.sender.submit(Intent::call(name, registry, data))?;
        }
        Ok(())
    }

    /// Reservations that are wanted and not there, and what stands behind those we work with.
    async fn look_at_stakes(&mut self, core: &Handle) -> Result<(), BankError> {
        let (client, registry) = (self.client.clone(), self.contracts.registry);
        let me = self.sender.account();
        for (requester, (amount, least_until, until)) in self.wanted.clone() {
            let held = stake::reservation(&client, registry, me, requester).await?;
            if held.amount >= amount && held.until >= least_until {
                self.wanted.remove(&requester);
                continue;
            }
            // It only grows while it lives.
            let amount = amount.max(held.amount);
            let free = stake::stake_of(&client, registry, me).await?.free();
            if free.0.saturating_add(held.amount.0) < amount.0 {
                tracing::warn!(
                    "no stake is reserved for {requester}: {free} is free, not {amount}"
                );
                self.wanted.remove(&requester);
                continue;
            }
            let name = format!("stake/reserve/{requester}/{amount}/{}", until.0);
            let data = stake::reserve(requester, amount, until.max(held.until));
            self.sender.submit(Intent::call(name.clone(), registry, data))?;
            if let Some((entry, _)) = self.sender.progress(&name)
                && let Stage::Refused(why) = &entry.stage
            {
                tracing::warn!("no stake is reserved for {requester}: {why}");
                self.wanted.remove(&requester);
            }
        }
        if self.stakes.is_empty() {
            return Ok(());
        }
        let slash = disputes::terms(&client, self.contracts.disputes, None).await?.slash_bps;
        for (of, seen) in &mut self.stakes {
            let held = stake::reservation(&client, registry, of.provider, of.requester).await?;
            let key = Account(of.key.0);
            let key_until = stake::key_until(&client, registry, of.provider, key).await?;
            let at_risk = Amount(held.amount.0.saturating_mul(slash.into()) / 10_000);
            let found = (at_risk, held.until.min(key_until));
            if *seen != Some(found) {
                *seen = Some(found);
                let (stake, (at_risk, until)) = (*of, found);
                core.event(Event::StakeSeen { stake, at_risk, until });
            }
        }
        Ok(())
    }

    async fn go_to_court(&mut self, core: &Handle, bench: &Bench) {
        self.tell_waiting();
        if self.court_at.is_some_and(|at| at.elapsed() < COURT_EVERY) {
            return;
        }
        self.court_at = Some(Instant::now());
        match self.sit(core, bench).await {
            Ok(()) => {}
            Err(error) => self.say(format!("disputes: {error}")),
        }
    }

    async fn sit(&mut self, core: &Handle, bench: &Bench) -> Result<(), BankError> {
        self.register().await?;
        // A stopping node accuses nobody any more.
        for accusation in core.look(|core| core.accusations()).await.unwrap_or_default() {
            match accusation {
                Accusation::WrongOutcome { receipt, found } => self.court.accuse(receipt, found),
                Accusation::TwoRoots(proof) => self.court.prove(&proof),
            }
        }
        let clock = self.is_local.then(now);
        for duty in self.court.tick(&mut self.sender, clock).await? {
            match duty {
                Duty::Judge { dispute, jury, seed, case } => {
                    let mut from: Vec<NodeId> =
                        self.shown_by.get(&dispute.id).into_iter().flatten().copied().collect();
                    from.extend([case.lease.lease.requester, case.lease.lease.provider]);
                    let (own, id) = (self.own.clone(), dispute.id);
                    bench.judge(dispute, seed, case, from, move |answer| {
                        let _ = own.send(Order::Answer(id, jury, answer));
                    });
                }
                Duty::Show { dispute, jurors, case } => {
                    let at = (self.client.clone(), self.contracts);
                    self.shown.show(bench, core.clone(), at, (dispute, jurors), &case).await?;
                }
            }
        }
        Ok(())
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
            Err(error) => self.say(format!("the chain: {error}")),
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
    async fn look(&mut self, core: &Handle) -> Result<(), BankError> {
        if self.watched.is_empty() && self.wanted.is_empty() && self.stakes.is_empty() {
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
            time = time.max(now());
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
        self.look_at_stakes(core).await?;
        self.head = Some(head);
        Ok(())
    }
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Time(since.map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)))
}

//! A requester, a provider and jurors, each with a court and a sender of its own, on one ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ayni_chain::Client;
use ayni_chain::contracts::{self, Addresses, DeployTerms, deploy, disputes, stake, token_balance};
use ayni_chain::embedded::{Genesis, LOCAL_CHAIN, LedgerOptions, LocalLedger};
use ayni_chain::keystore::Wallet;
use ayni_chain::sender::{Intent, MemoryOutbox, SendTerms, Sender};
use ayni_chain::watcher::WatchTerms;
use ayni_court::{Answer, Court, CourtTerms, Dispute, Duty, Engine, Execution, judge, points};
use ayni_types::{
    Account, Amount, BatchHeader, BlobRef, ChannelTerms, Digest, End, EngineBuild, EngineId, Fault,
    Fuel, Lease, LeaseId, Observed, Outcome, PaidBy, Price, Receipt, TaskSpec, Time,
};
use ayni_wire::{
    Backing, EvmSigner, NodeKey, ReceiptFile, Signed, batch_hash, digest, leaf_hash, merkle_root,
    outcome_digest, task_id,
};
use tempfile::TempDir;

/// 2026-01-01.
const BEGIN_S: u64 = 1_767_225_600;
const SOON: Duration = Duration::from_secs(60);
pub(crate) const REQUESTER: u8 = 2;
pub(crate) const PROVIDER: u8 = 3;
/// Ten jurors: three for a first jury, seven for an appeal.
pub(crate) const JURORS: std::ops::RangeInclusive<u8> = 4..=13;
const BATCH_KEY: u8 = 77;
pub(crate) const GRANT: u128 = 1_000_000_000;
pub(crate) const STAKE: u128 = 40_000_000;
pub(crate) const RESERVED: u128 = 20_000_000;
pub(crate) const WEIGHT: u128 = 10_000_000;
pub(crate) const PRICE: u128 = 1_500;
/// The terms of a local deployment.
pub(crate) const FEE: u128 = 1_000_000;
pub(crate) const INCIDENT_FEE: u128 = 100_000;
pub(crate) const DEFENCE: u128 = 1_000_000;
pub(crate) const REWARD: u128 = 5_000_000;

pub(crate) fn account(n: u8) -> Account {
    Wallet::from_signer(signer(n)).account()
}

fn signer(n: u8) -> EvmSigner {
    EvmSigner::from_secret(&[n; 32]).expect("a small number is a scalar")
}

/// What a task gives, by somebody's word.
pub(crate) fn outcome(said: &str) -> Outcome {
    let none = BlobRef { digest: digest(b""), size: 0 };
    let stdout = BlobRef { digest: digest(said.as_bytes()), size: said.len() as u64 };
    Outcome { end: End::Exit(0), fuel: Fuel(1_500_000), stdout, stderr: none, files: Vec::new() }
}

pub(crate) fn build() -> EngineBuild {
    EngineBuild { version: "1.0".to_owned(), digest: Digest([6; 32]) }
}

/// A receipt for a task with this outcome, backed for the requester.
fn receipt(contracts: &Addresses, said: &str) -> ReceiptFile {
    let (requester, provider) = (NodeKey::from_secret(&[1; 32]), NodeKey::from_secret(&[2; 32]));
    let batch = signer(BATCH_KEY);
    let issued = Time(BEGIN_S * 1_000 + 60_000);
    let mut id = [7; 16];
    id[..6].copy_from_slice(&issued.0.to_be_bytes()[2..]);
    let terms = ChannelTerms {
        payer: account(REQUESTER),
        payer_key: account(90),
        payee: account(PROVIDER),
        payee_key: account(PROVIDER),
        token: contracts.token,
        withdraw_delay_s: 86_400,
        salt: [1; 32],
    };
    let lease = Lease {
        id: LeaseId(id),
        requester: requester.id(),
        provider: provider.id(),
        engine: EngineId::wasi1(),
        build: build(),
        slots: 1,
        memory_bytes: 1 << 20,
        price: Price { per_gigafuel: Amount(1_000_000), ..Price::default() },
        fuel_per_second: 1,
        voucher_step: Amount(0),
        stake_reserved: Amount(RESERVED),
        batch_key: batch.key(),
        issued,
        expires: issued.after_ms(3_600_000),
        hold_back: Amount(0),
        audit_commitment: Digest([0; 32]),
        paid_by: Some(PaidBy { ledger: contracts.ledger(), terms }),
    };
    let task = TaskSpec {
        engine: EngineId::wasi1(),
        program: Digest([9; 32]),
        args: vec!["task".to_owned()],
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: ayni_types::Limits::default(),
        blind: None,
    };
    let outcome = outcome(said);
    let receipt = Receipt {
        lease: lease.id,
        batch: 0,
        index: 0,
        assignment: 0,
        task: task_id(&task),
        outcome: outcome_digest(&outcome),
        fuel: outcome.fuel,
        code_bytes: 0,
        data_bytes: 0,
        price: lease.price.of(outcome.fuel, 0, 0),
        observed: Observed::default(),
    };
    let root = merkle_root(&[leaf_hash(&receipt)]);
    let header = BatchHeader { lease: lease.id, batch: 0, count: 1, root };
    let message = Signed::message(&lease);
    let hash = Backing::hash(&lease, &contracts.disputes).expect("it is paid");
    let backing = Backing { disputes: contracts.disputes, signature: batch.sign(&hash) };
    ReceiptFile {
        version: 1,
        task,
        outcome,
        receipt,
        proof: Vec::new(),
        header,
        signature: batch.sign(&batch_hash(&header)),
        lease: ayni_wire::FullLease {
            requester: requester.sign(&message),
            provider: provider.sign(&message),
            lease,
            backing: Some(backing),
        },
    }
}

/// How a juror behaves.
#[derive(Clone)]
pub(crate) enum Juror {
    /// Executes; its two back ends say this.
    Executes(&'static str, &'static str),
    /// Says what it makes up.
    Says(Answer),
    /// Does nothing at all.
    Absent,
}

/// An engine that says what it is told.
struct Told(&'static str, &'static str);

impl Engine for Told {
    fn build(&self) -> EngineBuild {
        build()
    }

    async fn execute(
        &self,
        case: &ReceiptFile,
        second: bool,
        seed: &Digest,
    ) -> Result<Execution, Fault> {
        let outcome = outcome(if second { self.1 } else { self.0 });
        let state = |point: u64| digest(&[&case.receipt.task.0[..], &point.to_be_bytes()].concat());
        let states = points(seed, outcome.fuel.0).into_iter().map(state).collect();
        Ok(Execution { outcome, states })
    }
}

struct Actor {
    court: Court,
    sender: Sender,
}

pub(crate) struct Stage {
    _folder: TempDir,
    clock: Arc<AtomicU64>,
    client: Client,
    pub(crate) contracts: Addresses,
    actors: BTreeMap<u8, Actor>,
    pub(crate) jurors: BTreeMap<u8, Juror>,
    /// Parties show jurors what they are to judge.
    pub(crate) shows: bool,
    shown: BTreeSet<(u64, Account)>,
}

impl Stage {
    /// Everybody is there; jurors are honest.
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let clock = Arc::new(AtomicU64::new(BEGIN_S));
        let read = clock.clone();
        let options = LedgerOptions {
            clock: Arc::new(move || read.load(Ordering::SeqCst)),
            ..LedgerOptions::default()
        };
        let mut genesis = Genesis::new(LOCAL_CHAIN, BEGIN_S);
        for n in 1..=13 {
            genesis = genesis.fund(account(n));
        }
        let ledger = LocalLedger::open(folder.path(), &genesis, options).expect("it opens");
        let client = Client::local(&ledger).expect("it runs");
        let mut owner = sender(&client, 1);
        let terms = DeployTerms::local(account(1));
        let contracts = deploy(&mut owner, "1", &terms).await.expect("it deploys");
        let mut stage = Self {
            _folder: folder,
            clock,
            client: client.clone(),
            contracts,
            actors: BTreeMap::new(),
            jurors: JURORS.map(|n| (n, Juror::Executes("right", "right"))).collect(),
            shows: true,
            shown: BTreeSet::new(),
        };
        for n in 2..=13 {
            let grant = contracts::mint(account(n), Amount(GRANT));
            run(&mut owner, &format!("grant/{n}"), contracts.token, grant).await;
            stage.enter(n).await;
        }
        stage
    }

    async fn enter(&mut self, n: u8) {
        let at = self.contracts;
        let mut sender = sender(&self.client, n);
        let until = Time((BEGIN_S + 30 * 86_400) * 1_000);
        if n != REQUESTER {
            let approve = contracts::approve(at.registry, Amount(STAKE));
            run(&mut sender, "approve", at.token, approve).await;
            run(&mut sender, "stake", at.registry, stake::stake(account(n), Amount(STAKE))).await;
        }
        if n == PROVIDER {
            let key = stake::authorise_key(Account(signer(BATCH_KEY).key().0), until);
            run(&mut sender, "key", at.registry, key).await;
            let reserve = stake::reserve(account(REQUESTER), Amount(RESERVED), until);
            run(&mut sender, "reserve", at.registry, reserve).await;
        }
        if JURORS.contains(&n) {
            let seat = stake::set_jury_weight(Amount(WEIGHT));
            run(&mut sender, "seat", at.registry, seat).await;
        }
        let watch = WatchTerms { confirmations: 0, stall_after: None };
        let terms = CourtTerms { me: account(n), key: signer(n), watch, quiet: true };
        let court = Court::new(terms, &self.client, at).expect("one chain");
        self.actors.insert(n, Actor { court, sender });
    }

    /// The requester says that the provider's receipt for `said` should say `found`.
    pub(crate) fn accuse(&mut self, said: &str, found: &str) {
        let file = receipt(&self.contracts, said);
        let requester = self.actors.get_mut(&REQUESTER).expect("it is there");
        requester.court.accuse(file, outcome_digest(&outcome(found)));
    }

    pub(crate) fn appeal(&mut self, n: u8) {
        self.actors.get_mut(&n).expect("it is there").court.appeal(0);
    }

    /// Seconds pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.fetch_add(seconds, Ordering::SeqCst);
    }

    /// Everybody takes rounds until nothing happens any more.
    pub(crate) async fn settle(&mut self) {
        let (mut still, mut before) = (0, 0);
        while still < 4 {
            let now = Time(self.clock.load(Ordering::SeqCst) * 1_000);
            let mut duties = Vec::new();
            for (n, actor) in &mut self.actors {
                if matches!(self.jurors.get(n), Some(Juror::Absent)) {
                    continue;
                }
                let due = actor.court.tick(&mut actor.sender, Some(now)).await.expect("it ticks");
                actor.sender.tick().await.expect("it sends");
                duties.extend(due.into_iter().map(|duty| (*n, duty)));
            }
            for (n, duty) in duties {
                self.take(n, duty).await;
            }
            let head = self.client.head().await.expect("it answers");
            still = if head == before { still + 1 } else { 0 };
            before = head;
        }
    }

    async fn take(&mut self, n: u8, duty: Duty) {
        match duty {
            Duty::Judge { dispute, jury, seed, case } => {
                let answer = match &self.jurors[&n] {
                    Juror::Executes(first, second) => {
                        let engine = Told(first, second);
                        judge(&engine, &dispute, &seed, &case).await.expect("it can be judged")
                    }
                    Juror::Says(answer) => *answer,
                    Juror::Absent => return,
                };
                let court = &mut self.actors.get_mut(&n).expect("it is there").court;
                court.answer(dispute.id, jury, answer);
            }
            Duty::Show { dispute, jurors, case } => {
                for juror in jurors.into_iter().filter(|_| self.shows) {
                    if self.shown.contains(&(dispute, juror)) {
                        continue;
                    }
                    let n = JURORS.into_iter().find(|n| account(*n) == juror).expect("a juror");
                    let court = &mut self.actors.get_mut(&n).expect("it is there").court;
                    // Who has not seen yet that it is a juror is shown it again.
                    if court.take_case(dispute, case.clone()).is_ok() {
                        self.shown.insert((dispute, juror));
                    }
                }
            }
        }
    }

    pub(crate) fn dispute(&self) -> Dispute {
        let docket = self.actors[&REQUESTER].court.docket();
        docket.dispute(0).expect("there is one").clone()
    }

    /// The jurors of a jury, by number.
    pub(crate) fn members(&self, jury: usize) -> Vec<u8> {
        let members = &self.dispute().juries[jury].members;
        JURORS.filter(|n| members.contains(&account(*n))).collect()
    }

    pub(crate) async fn balance(&self, n: u8) -> u128 {
        let token = self.contracts.token;
        token_balance(&self.client, token, account(n)).await.expect("it answers").0
    }

    pub(crate) async fn staked(&self, n: u8) -> stake::Stake {
        stake::stake_of(&self.client, self.contracts.registry, account(n)).await.expect("answers")
    }

    pub(crate) async fn bond(&self) -> u128 {
        let at = self.contracts.disputes;
        disputes::terms(&self.client, at, Some(0)).await.expect("it answers").bond.0
    }

    /// Everything that was granted is somewhere, and the contracts hold what they owe.
    pub(crate) async fn check_books(&self) {
        let token = self.contracts.token;
        let at = async |account: Account| {
            token_balance(&self.client, token, account).await.expect("it answers").0
        };
        let mut people = 0;
        let mut staked = 0;
        for n in 2..=13 {
            people += self.balance(n).await;
            staked += self.staked(n).await.staked.0;
        }
        let mut burn = [0; 20];
        burn[18..].copy_from_slice(&[0xde, 0xad]);
        let burned = at(Account(burn)).await;
        assert_eq!(at(self.contracts.registry).await, staked);
        assert_eq!(at(self.contracts.disputes).await, 0, "everybody took what is due");
        assert_eq!(people + staked + burned, 12 * GRANT);
    }
}

fn sender(client: &Client, n: u8) -> Sender {
    let terms = SendTerms { poll: Duration::from_millis(1), ..SendTerms::LOCAL };
    let wallet = Wallet::from_signer(signer(n));
    Sender::new(client.clone(), wallet, terms, Box::new(MemoryOutbox::default())).expect("empty")
}

async fn run(sender: &mut Sender, id: &str, to: Account, data: Vec<u8>) {
    let outcome = sender.run(Intent::call(id, to, data), SOON).await.expect("it is sent");
    assert!(outcome.success, "{id}");
}

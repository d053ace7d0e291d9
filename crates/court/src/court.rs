//! Follows the chain and takes the steps that are due, each as an intent whose name says what it is for,
//! so that a node that was killed goes on where it stopped. All else is read from the chain again.
//!
//! Deliberately not here: which step is due (`due`), and when to look (the caller).

use std::collections::{BTreeMap, BTreeSet};

use ayni_chain::contracts::disputes::{self, Answer};
use ayni_chain::contracts::{Addresses, approve};
use ayni_chain::sender::{Intent, SendError, Sender, Stage};
use ayni_chain::watcher::{Cursor, WatchError, WatchTerms, Watcher};
use ayni_chain::{Client, ClientError};
use ayni_types::{Account, Amount, Digest, Time};
use ayni_wire::{EvmSigner, ReceiptFile, TwoRoots, leaf_hash};

use crate::docket::{Dispute, Docket};
use crate::due::{Clock, Stance, Step, WITHHELD, due};
use crate::judge::is_case;

/// Attempts at one step; then somebody must look.
const ATTEMPTS_MAX: u32 = 50;
/// Who was shown nothing says so when this share of the time to commit is left.
const WITHHELD_AT: u64 = 4;

/// Who takes part, and how.
pub struct CourtTerms {
    /// Whose court it is.
    pub me: Account,
    /// Salts of commitments are derived from it, so that none needs keeping.
    pub key: EvmSigner,
    /// How the chain is followed.
    pub watch: WatchTerms,
    /// Blocks come with transactions alone.
    pub quiet: bool,
}

/// Something that the caller has to do.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant)]
pub enum Duty {
    /// Execute a case and bring the answer by [`Court::answer`].
    Judge {
        /// Of which dispute.
        dispute: Dispute,
        /// As a member of which jury.
        jury: u64,
        /// Draws the fuel points.
        seed: Digest,
        /// What to execute.
        case: ReceiptFile,
    },
    /// Show jurors the case that was brought before them.
    Show {
        /// Which dispute.
        dispute: u64,
        /// Who needs it.
        jurors: Vec<Account>,
        /// What.
        case: ReceiptFile,
    },
}

/// A case that was called to a court, for whoever asks how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// How it stands.
    pub dispute: Dispute,
    /// Until when the ruling may be appealed.
    pub appeal_until: Option<Time>,
    /// Why our last step was not taken.
    pub trouble: Option<String>,
}

/// Why a round failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CourtError {
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Send(#[from] SendError),
}

/// See the module.
pub struct Court {
    terms: CourtTerms,
    contracts: Addresses,
    watcher: Watcher,
    docket: Docket,
    /// What disputes are about, shown by a party; ours are known from the beginning.
    cases: BTreeMap<u64, ReceiptFile>,
    /// Ours, which may not be before the contract yet, with what we found.
    accused: BTreeMap<Digest, (ReceiptFile, Digest)>,
    frauds: Vec<TwoRoots>,
    answers: BTreeMap<(u64, u64), Answer>,
    asked: BTreeSet<(u64, u64)>,
    appeals: BTreeSet<u64>,
    /// Rulings and terms do not change: asked for once.
    appeal_until: BTreeMap<(u64, u64), Time>,
    commit_ms: BTreeMap<u64, u64>,
    paid: BTreeSet<u64>,
    /// When a refused step may be tried again: at another block.
    rests: BTreeMap<String, u64>,
    troubles: BTreeMap<u64, String>,
}

impl Court {
    /// From the contracts' first block on.
    ///
    /// # Errors
    /// If the client is of another chain.
    pub fn new(
        terms: CourtTerms,
        client: &Client,
        contracts: Addresses,
    ) -> Result<Self, CourtError> {
        let cursor = Cursor::at(contracts.since_block);
        let watcher = Watcher::new(vec![client.clone()], contracts, terms.watch, cursor)?;
        Ok(Self {
            terms,
            contracts,
            watcher,
            docket: Docket::default(),
            cases: BTreeMap::new(),
            accused: BTreeMap::new(),
            frauds: Vec::new(),
            answers: BTreeMap::new(),
            asked: BTreeSet::new(),
            appeals: BTreeSet::new(),
            appeal_until: BTreeMap::new(),
            commit_ms: BTreeMap::new(),
            paid: BTreeSet::new(),
            rests: BTreeMap::new(),
            troubles: BTreeMap::new(),
        })
    }

    /// What the chain says of disputes.
    #[must_use]
    pub fn docket(&self) -> &Docket {
        &self.docket
    }

    /// Every dispute that we are a party or a juror of.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        let call = |dispute: &Dispute| Call {
            appeal_until: dispute
                .jury()
                .and_then(|(jury, _)| self.appeal_until.get(&(dispute.id, jury)).copied()),
            trouble: self.troubles.get(&dispute.id).cloned(),
            dispute: dispute.clone(),
        };
        self.docket.disputes().filter(|d| self.is_ours(d)).map(call).collect()
    }

    fn is_ours(&self, dispute: &Dispute) -> bool {
        let me = self.terms.me;
        dispute.provider == me || dispute.requester == me || dispute.sat(me)
    }

    /// Brings a receipt before the contract, once, however often it is called. `found` is the digest of
    /// our own outcome.
    pub fn accuse(&mut self, receipt: ReceiptFile, found: Digest) {
        self.accused.entry(leaf_hash(&receipt.receipt)).or_insert((receipt, found));
    }

    /// Shows the contract two roots of one batch, once, however often it is called.
    pub fn prove(&mut self, proof: &TwoRoots) {
        if !self.frauds.contains(proof) {
            self.frauds.push(proof.clone());
        }
    }

    /// Somebody shows what a dispute is about; it is believed if it fits.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn take_case(&mut self, dispute: u64, case: ReceiptFile) -> Result<(), String> {
        if self.cases.contains_key(&dispute) {
            return Ok(());
        }
        // What nobody asked for is not kept: who shows it shows it again while it is needed.
        let known = self.docket.dispute(dispute).filter(|known| known.sat(self.terms.me));
        is_case(known.ok_or("this node is no juror of it")?, &case)?;
        self.cases.insert(dispute, case);
        Ok(())
    }

    /// What we found as a member of a jury.
    pub fn answer(&mut self, dispute: u64, jury: u64, answer: Answer) {
        self.answers.insert((dispute, jury), answer);
    }

    /// We would pay for a larger jury.
    pub fn appeal(&mut self, dispute: u64) {
        self.appeals.insert(dispute);
    }

    /// One round: looks at the chain, takes what is due, says what the caller has to do. The sender's own
    /// rounds are the caller's.
    ///
    /// # Errors
    /// If the chain does not answer or the outbox fails; the next round goes on.
    pub async fn tick(
        &mut self,
        sender: &mut Sender,
        now: Option<Time>,
    ) -> Result<Vec<Duty>, CourtError> {
        for notice in self.watcher.poll().await? {
            self.docket.take(&notice);
        }
        let client = sender.client().clone();
        let block = client.head().await?;
        let header = client.header(block).await?;
        let time = Time(header.map_or(0, |h| h.timestamp.saturating_mul(1_000)));
        let clock = Clock { block, time: now.map_or(time, |now| now.max(time)) };
        self.bring(sender, clock)?;
        self.cases.retain(|id, case| {
            self.docket.dispute(*id).is_none_or(|dispute| is_case(dispute, case).is_ok())
        });
        let mut duties = Vec::new();
        let ours: Vec<Dispute> =
            self.docket.disputes().filter(|d| self.is_ours(d)).cloned().collect();
        for dispute in &ours {
            if dispute.ended.is_some() {
                self.collect(sender, dispute, clock).await?;
                continue;
            }
            let stance = self.stance(&client, dispute, clock).await?;
            if let Some(step) = due(dispute, self.terms.me, &stance, clock) {
                self.step(sender, dispute, step, clock)?;
            }
            duties.extend(self.duties(dispute));
        }
        Ok(duties)
    }

    /// What is accused and not before the contract yet.
    fn bring(&mut self, sender: &mut Sender, clock: Clock) -> Result<(), CourtError> {
        let accused: Vec<_> = self.accused.values().cloned().collect();
        for (file, found) in accused {
            let receipt = &file.receipt;
            if let Some(dispute) = self.docket.about(receipt.lease, receipt.task) {
                self.cases.insert(dispute.id, file);
                continue;
            }
            let name = format!("court/open/{}", leaf_hash(receipt));
            if let Some(data) = disputes::open_dispute(&file, &found) {
                self.approve(sender)?;
                self.take_step(sender, None, &name, data, clock)?;
            }
        }
        for proof in self.frauds.clone() {
            let header = &proof.first.header;
            if self.docket.fraud(header.lease, header.batch).is_none()
                && let Some(data) = disputes::prove_two_roots(&proof)
            {
                let name = format!("court/roots/{}/{}", header.lease, header.batch);
                self.take_step(sender, None, &name, data, clock)?;
            }
        }
        Ok(())
    }

    async fn stance(
        &mut self,
        client: &Client,
        dispute: &Dispute,
        clock: Clock,
    ) -> Result<Stance, CourtError> {
        let Some((number, jury)) = dispute.jury() else { return Ok(Stance::default()) };
        let (me, id, at) = (self.terms.me, dispute.id, self.contracts.disputes);
        let mut answer = self.answers.get(&(id, number)).copied();
        if jury.members.contains(&me) && answer.is_none() && !self.cases.contains_key(&id) {
            let commit_ms = match self.commit_ms.get(&id) {
                Some(known) => *known,
                None => disputes::terms(client, at, Some(id)).await?.commit_ms,
            };
            self.commit_ms.insert(id, commit_ms);
            let last = jury.commit_until.0.saturating_sub(commit_ms / WITHHELD_AT);
            if clock.time.0 >= last {
                self.answers.insert((id, number), WITHHELD);
                answer = Some(WITHHELD);
            }
        }
        let mut appeal_until = Time(0);
        if jury.found.is_some_and(|(verdict, _)| verdict != ayni_chain::watcher::Verdict::None) {
            appeal_until = match self.appeal_until.get(&(id, number)) {
                Some(known) => *known,
                None => disputes::appeal_until(client, at, id).await?,
            };
            self.appeal_until.insert((id, number), appeal_until);
        }
        let appeals = self.appeals.contains(&id);
        Ok(Stance { answer, appeals, appeal_until, quiet: self.terms.quiet })
    }

    fn step(
        &mut self,
        sender: &mut Sender,
        dispute: &Dispute,
        step: Step,
        clock: Clock,
    ) -> Result<(), CourtError> {
        let Some((jury, _)) = dispute.jury() else { return Ok(()) };
        let id = dispute.id;
        let (chain, at, me) = (self.contracts.chain, self.contracts.disputes, self.terms.me);
        let salt = self.salt(id, jury);
        let (name, data) = match step {
            Step::Nudge => {
                let name = format!("court/{id}/{jury}/nudge/{}", clock.block);
                let data = approve(at, Amount(u128::MAX));
                sender.submit(Intent::call(name, self.contracts.token, data))?;
                return Ok(());
            }
            Step::Draw => ("draw", disputes::draw(id)),
            Step::Commit(answer) => {
                let hash = disputes::commitment((chain, at), (id, jury), me, &answer, &salt);
                ("commit", disputes::commit(id, hash))
            }
            Step::Reveal(answer) => ("reveal", disputes::reveal(id, &answer, &salt)),
            Step::Tally => ("tally", disputes::tally(id)),
            Step::Appeal => {
                self.approve(sender)?;
                ("appeal", disputes::appeal(id))
            }
            Step::Execute => ("execute", disputes::execute(id)),
        };
        self.take_step(sender, Some(id), &format!("court/{id}/{jury}/{name}"), data, clock)
    }

    /// Submits a step unless it is on its way or was done. One that was refused rests until another
    /// block: somebody else may have taken it.
    fn take_step(
        &mut self,
        sender: &mut Sender,
        dispute: Option<u64>,
        name: &str,
        data: Vec<u8>,
        clock: Clock,
    ) -> Result<(), CourtError> {
        if self.rests.get(name).is_some_and(|block| *block >= clock.block) {
            return Ok(());
        }
        for attempt in 0..ATTEMPTS_MAX {
            let id = format!("{name}/{attempt}");
            let why = match sender.progress(&id).map(|(entry, _)| &entry.stage) {
                None => {
                    let intent = Intent::call(id, self.contracts.disputes, data);
                    return Ok(sender.submit(intent)?);
                }
                Some(Stage::Refused(why)) => why.clone(),
                Some(Stage::Done(outcome)) if !outcome.success => {
                    "the contract refused it in its block".to_owned()
                }
                // What it did is seen in the chain's events, or will be.
                Some(_) => return Ok(()),
            };
            if let Some(dispute) = dispute {
                self.troubles.insert(dispute, why);
            } else {
                tracing::warn!(step = name, "the contract refuses: {why}");
            }
            let tried = self.rests.insert(name.to_owned(), clock.block);
            if tried.is_none_or(|block| block >= clock.block) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn approve(&self, sender: &mut Sender) -> Result<(), CourtError> {
        let (token, at) = (self.contracts.token, self.contracts.disputes);
        let name = format!("approve/{at}/{token}");
        let data = approve(at, Amount(u128::MAX));
        Ok(sender.submit(Intent::call(name, token, data))?)
    }

    /// Takes what a dispute that ended has left for us.
    async fn collect(
        &mut self,
        sender: &mut Sender,
        dispute: &Dispute,
        clock: Clock,
    ) -> Result<(), CourtError> {
        let (at, me) = (self.contracts.disputes, self.terms.me);
        if self.paid.contains(&dispute.id) {
            return Ok(());
        }
        if disputes::owed(sender.client(), at, me).await?.0 == 0 {
            self.paid.insert(dispute.id);
            return Ok(());
        }
        let name = format!("court/{}/withdraw", dispute.id);
        self.take_step(sender, Some(dispute.id), &name, disputes::withdraw_owed(me), clock)
    }

    fn duties(&mut self, dispute: &Dispute) -> Vec<Duty> {
        let Some((number, jury)) = dispute.jury() else { return Vec::new() };
        let Some(case) = self.cases.get(&dispute.id) else { return Vec::new() };
        if jury.found.is_some() || jury.members.is_empty() {
            return Vec::new();
        }
        let mut duties = Vec::new();
        let me = self.terms.me;
        let key = (dispute.id, number);
        if jury.members.contains(&me) && !self.answers.contains_key(&key) && self.asked.insert(key)
        {
            duties.push(Duty::Judge {
                dispute: dispute.clone(),
                jury: number,
                seed: jury.point_seed,
                case: case.clone(),
            });
        }
        if dispute.requester == me || dispute.provider == me {
            let jurors: Vec<_> =
                jury.members.iter().filter(|m| !jury.committed.contains(m)).copied().collect();
            if !jurors.is_empty() {
                duties.push(Duty::Show { dispute: dispute.id, jurors, case: case.clone() });
            }
        }
        duties
    }

    /// A failed execution is tried again.
    pub fn ask_again(&mut self, dispute: u64, jury: u64) {
        self.asked.remove(&(dispute, jury));
    }

    fn salt(&self, dispute: u64, jury: u64) -> [u8; 32] {
        let mut name = [0; 32];
        name[..12].copy_from_slice(b"ayni court 1");
        name[12..20].copy_from_slice(&dispute.to_be_bytes());
        name[20..28].copy_from_slice(&jury.to_be_bytes());
        // A key nobody else can derive; its address is as unknown before it is shown.
        let signature = self.terms.key.child(&name).sign(&name);
        let mut salt = [0; 32];
        salt.copy_from_slice(&signature.0[..32]);
        salt
    }
}

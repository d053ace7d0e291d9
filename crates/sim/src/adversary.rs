//! Dishonest nodes, one file per strategy. Each runs the core that ships; an adversary sits around
//! it, where a machine's owner sits: it sees every task, the time and the asker, and changes what
//! the runner reports, what is said, what is heard, which blobs are given, and its own key.
//!
//! | who | files |
//! |---|---|
//! | provider, wrong work | `garbage`, `copies`, `stale`, `partial`, `over_reports`, `exhausts`, `lies_at_rate`, `one_per_window`, `one_big_lie`, `wary`, `colludes`, `new_key` |
//! | provider, wrong conduct | `wrong_price`, `two_roots`, `never_signs`, `foreign_key`, `stalls`, `never_compiled`, `ransom` |
//! | requester | `false_mismatch`, `retries_free`, `cancels_late`, `duplicates`, `quote_spam`, `blinded` |
//! | payer | `stops_paying`, `withdraws_early`, `disowns`, `anothers_channel`, `old_vouchers`, `foreign_vouchers` |
//! | payee | `claims_ceiling`, `bills_and_goes`, `bills_twice` |
//! | network | `eclipse`, `replay`, `relay` (clocks and partitions are knobs) |
//!
//! Deliberately not here: breaking signatures (the real ones are tested where they are made).

mod anothers_channel;
mod bills_and_goes;
mod bills_twice;
mod blinded;
mod cancels_late;
mod claims_ceiling;
mod colludes;
mod copies;
mod disowns;
mod duplicates;
mod eclipse;
mod exhausts;
mod false_mismatch;
mod foreign_key;
mod foreign_vouchers;
mod garbage;
mod lies_at_rate;
mod never_compiled;
mod never_signs;
mod new_key;
mod old_vouchers;
mod one_big_lie;
mod one_per_window;
mod over_reports;
mod partial;
mod quote_spam;
mod ransom;
mod relay;
mod replay;
mod retries_free;
mod stale;
mod stalls;
mod stops_paying;
mod two_roots;
mod wary;
mod withdraws_early;
mod wrong_price;

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{ChainStep, Evidence, Purpose, Ran};
use ayni_types::{Digest, Fault, NodeId, Outcome, PaidBy, TaskId, TaskSpec};
use ayni_wire::{Message, ReceiptFile, digest};

use crate::prng::Prng;
use crate::seal::SimSeal;

/// How a run went: milliseconds, and what came of it.
pub type Went = (u64, Result<Ran, Fault>);

/// A strategy. What a file does not change is honest.
pub trait Adversary: Send {
    /// A run begins here; this is how it would honestly go. Answers how it shall go.
    fn run(&mut self, _seen: &RunSeen<'_>, honest: Went, _desk: &mut Desk<'_>) -> Went {
        honest
    }

    /// Its core wants to say `message`. Answers what is said instead.
    fn say(&mut self, _to: NodeId, message: Message, _desk: &mut Desk<'_>) -> Vec<Message> {
        vec![message]
    }

    /// Somebody said something, and its core has not heard it yet.
    fn hear(&mut self, _from: NodeId, _message: &Message, _desk: &mut Desk<'_>) -> Vec<Deed> {
        Vec::new()
    }

    /// A second has passed.
    fn idle(&mut self, _desk: &mut Desk<'_>) -> Vec<Deed> {
        Vec::new()
    }

    /// Whether it hands over a blob that it holds.
    fn gives(&mut self, _blob: Digest, _to: NodeId, _desk: &mut Desk<'_>) -> bool {
        true
    }

    /// What happens to so many bytes on any of its connections (it forwards them, and can't read).
    fn wire(&mut self, _bytes: usize, _desk: &mut Desk<'_>) -> Fate {
        Fate::Pass
    }

    /// Its core wants a step taken in a channel. Answers which are taken instead.
    fn chain(&mut self, _channel: &PaidBy, step: ChainStep, _: &mut Desk<'_>) -> Vec<ChainStep> {
        vec![step]
    }

    /// What it shows to the world as evidence, from what its core holds.
    fn exhibits(
        &mut self,
        evidence: Vec<Evidence>,
        _receipts: Vec<ReceiptFile>,
        _desk: &mut Desk<'_>,
    ) -> Vec<Evidence> {
        evidence
    }
}

/// What an adversary sees of a run.
#[derive(Debug, Clone, Copy)]
pub struct RunSeen<'a> {
    /// The task, whole.
    pub task: &'a TaskSpec,
    /// Its id.
    pub id: TaskId,
    /// For whom, as its own core knows it.
    pub purpose: Purpose,
    /// Whose lease it is.
    pub requester: Option<NodeId>,
    /// Nothing else runs here: a task that comes alone may be an audit.
    pub lone: bool,
}

impl RunSeen<'_> {
    /// It is work for somebody else.
    #[must_use]
    pub fn for_others(&self) -> bool {
        matches!(self.purpose, Purpose::Lease(_))
    }
}

/// What an adversary wants done.
#[derive(Debug, Clone)]
pub enum Deed {
    /// Say this.
    Say(NodeId, Box<Message>),
    /// Take this step on the chain.
    Chain(Box<PaidBy>, ChainStep),
    /// Its core does not hear of it.
    Ignore,
    /// It goes away and comes back with another key and an empty disk.
    NewKey,
}

/// What happens to a message on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Pass,
    /// It, and all after it, comes so many milliseconds later.
    Late(u64),
    /// The connection breaks, and it is lost.
    Break,
}

/// Where an adversary sits: who it is, what it can use, and what it shares.
pub struct Desk<'a> {
    /// Its key now.
    pub me: NodeId,
    /// The time of the world.
    pub now_ms: u64,
    /// Its dice.
    pub chance: &'a mut Prng,
    /// It can sign with its own key.
    pub seal: SimSeal,
    /// What all dishonest nodes of a world share.
    pub ring: &'a mut Ring,
}

/// What all dishonest nodes of a world know together.
#[derive(Debug, Default)]
pub struct Ring {
    /// Their keys, all they ever had.
    pub members: BTreeSet<NodeId>,
    /// Who of them was asked for a task. Twice means that one of the two is a comparison.
    pub asked: BTreeMap<TaskId, BTreeSet<NodeId>>,
    /// What one of them found by executing it.
    pub found: BTreeMap<TaskId, Outcome>,
    /// Every channel that was ever paid into, by its salt: the chain shows them to anybody.
    pub channels: BTreeMap<[u8; 32], PaidBy>,
}

impl Ring {
    /// The ring of these.
    #[must_use]
    pub fn of(members: impl Iterator<Item = NodeId>) -> Self {
        Self { members: members.collect(), ..Self::default() }
    }

    /// One of them was asked for a task; true if another one was before.
    pub fn trade(&mut self, task: TaskId, by: NodeId) -> bool {
        let asked = self.asked.entry(task).or_default();
        asked.insert(by);
        asked.len() > 1
    }
}

/// Whose interest a strategy serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Role {
    Provider,
    Requester,
    Network,
    /// A requester, in worlds with pay.
    Payer,
    /// A provider, in worlds with pay.
    Payee,
}

/// A strategy in the catalogue.
pub struct Entry {
    /// As in a file of knobs; the file of the same name has it.
    pub name: &'static str,
    /// Whose.
    pub role: Role,
    make: fn(u64) -> Box<dyn Adversary>,
}

/// Every strategy.
pub const CATALOGUE: &[Entry] = &[
    entry("garbage", Role::Provider, |_| Box::new(garbage::Garbage)),
    entry("copies", Role::Provider, |_| Box::new(copies::Copies::default())),
    entry("stale", Role::Provider, |dose| Box::new(stale::Stale::new(dose))),
    entry("partial", Role::Provider, |dose| Box::new(partial::Partial { percent: dose })),
    entry("over_reports", Role::Provider, |dose| {
        Box::new(over_reports::OverReports { percent: dose })
    }),
    entry("exhausts", Role::Provider, |dose| Box::new(exhausts::Exhausts { percent: dose })),
    entry("lies_at_rate", Role::Provider, |dose| {
        Box::new(lies_at_rate::LiesAtRate { percent: dose })
    }),
    entry("one_per_window", Role::Provider, |dose| {
        Box::new(one_per_window::OnePerWindow::new(dose))
    }),
    entry("one_big_lie", Role::Provider, |dose| Box::new(one_big_lie::OneBigLie::new(dose))),
    entry("wary", Role::Provider, |_| Box::new(wary::Wary)),
    entry("colludes", Role::Provider, |_| Box::new(colludes::Colludes)),
    entry("new_key", Role::Provider, |dose| Box::new(new_key::NewKey::new(dose))),
    entry("wrong_price", Role::Provider, |_| Box::new(wrong_price::WrongPrice)),
    entry("two_roots", Role::Provider, |dose| Box::new(two_roots::TwoRoots { percent: dose })),
    entry("never_signs", Role::Provider, |_| Box::new(never_signs::NeverSigns)),
    entry("foreign_key", Role::Provider, |_| Box::new(foreign_key::ForeignKey)),
    entry("stalls", Role::Provider, |dose| Box::new(stalls::Stalls { percent: dose })),
    entry("never_compiled", Role::Provider, |dose| {
        Box::new(never_compiled::NeverCompiled::new(dose))
    }),
    entry("ransom", Role::Provider, |_| Box::new(ransom::Ransom::default())),
    entry(
        "false_mismatch",
        Role::Requester,
        |_| Box::new(false_mismatch::FalseMismatch::default()),
    ),
    entry("retries_free", Role::Requester, |_| Box::new(retries_free::RetriesFree::default())),
    entry("cancels_late", Role::Requester, |dose| Box::new(cancels_late::CancelsLate::new(dose))),
    entry("duplicates", Role::Requester, |_| Box::new(duplicates::Duplicates::default())),
    entry("quote_spam", Role::Requester, |dose| Box::new(quote_spam::QuoteSpam::new(dose))),
    entry("blinded", Role::Requester, |_| Box::new(blinded::Blinded)),
    entry("eclipse", Role::Network, |_| Box::new(eclipse::Eclipse)),
    entry("replay", Role::Network, |dose| Box::new(replay::Replay::new(dose))),
    entry("relay", Role::Network, |dose| Box::new(relay::Relay { percent: dose })),
    entry("stops_paying", Role::Payer, |_| Box::new(stops_paying::StopsPaying::default())),
    entry("withdraws_early", Role::Payer, |_| Box::new(withdraws_early::WithdrawsEarly::default())),
    entry("disowns", Role::Payer, |_| Box::new(disowns::Disowns)),
    entry("anothers_channel", Role::Payer, |_| Box::new(anothers_channel::AnothersChannel)),
    entry("old_vouchers", Role::Payer, |_| Box::new(old_vouchers::OldVouchers::default())),
    entry("foreign_vouchers", Role::Payer, |_| {
        Box::new(foreign_vouchers::ForeignVouchers::default())
    }),
    entry("claims_ceiling", Role::Payee, |_| Box::new(claims_ceiling::ClaimsCeiling)),
    entry("bills_and_goes", Role::Payee, |dose| Box::new(bills_and_goes::BillsAndGoes::new(dose))),
    entry("bills_twice", Role::Payee, |_| Box::new(bills_twice::BillsTwice::default())),
];

const fn entry(name: &'static str, role: Role, make: fn(u64) -> Box<dyn Adversary>) -> Entry {
    Entry { name, role, make }
}

/// A dishonest node of a world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Liar {
    /// Its number.
    pub node: usize,
    /// What it does.
    pub name: &'static str,
    /// How much of it; each strategy says of what.
    pub dose: u64,
}

impl Liar {
    /// A liar by the name of its strategy.
    #[must_use]
    pub fn named(node: usize, name: &str, dose: u64) -> Option<Self> {
        let entry = CATALOGUE.iter().find(|entry| entry.name == name)?;
        Some(Self { node, name: entry.name, dose })
    }

    /// The node itself lies; behind a hostile relay it does not.
    #[must_use]
    pub fn is_dishonest(&self) -> bool {
        self.name != "relay"
    }

    pub(crate) fn make(&self) -> Option<Box<dyn Adversary>> {
        make(self.name, self.dose)
    }
}

/// An adversary by its name.
#[must_use]
pub fn make(name: &str, dose: u64) -> Option<Box<dyn Adversary>> {
    let entry = CATALOGUE.iter().find(|entry| entry.name == name)?;
    Some((entry.make)(dose))
}

/// Another output than the right one, which looks as good.
fn wrong(mut ran: Ran, how: &[u8]) -> Ran {
    let bytes = [how, &ran.outcome.stdout.digest.0].concat();
    ran.outcome.stdout.digest = digest(&bytes);
    ran
}

#[cfg(test)]
mod bench;

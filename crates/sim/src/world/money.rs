//! Money in a world: the chain and each node's view of it, its faults, and the way out at the end.
//!
//! A node's view is its RPC endpoint's: it may lag, stall, and be without an answer while the chain
//! is down. In a world whose nodes are not paid there is no chain, and nothing here happens.

use std::collections::{BTreeMap, BTreeSet};

use ayni_core::{ChainStep, Command, Event, Seal as _, Seen, StakeOf, Wallet};
use ayni_types::{Account, Amount, ChannelId, NodeId, PaidBy, Payment, Time};
use ayni_wire::{Message, channel_id, voucher_hash};

use super::{EPOCH_MS, Happening, Planted, Violation, World};
use crate::chain::{Chain, LAG_MAX, TOKEN, Tx, ledger};
use crate::checkers::{m1, m2, m3, m4, m5};
use crate::knobs::{Knobs, size};
use crate::prng::Prng;
use crate::seal::SimSeal;

/// The contract that would judge disputes.
pub(super) const DISPUTES: Account = Account([0xd1; 20]);
/// What every requester has at the beginning.
const WEALTH: u128 = 1_000_000_000_000;
/// After the withdrawal's delay, so much more may pass until everybody's money is home: refused and
/// lost steps are taken again every half minute.
const HOME_MS: u64 = 600_000;

/// See the module.
pub(super) struct Money {
    pub(super) chain: Chain,
    total: u128,
    chance: Prng,
    down_until: u64,
    /// Claims and deposits are too dear until then.
    dear_until: u64,
    /// Channels whose end was looked at.
    ended: BTreeSet<ChannelId>,
    /// When everybody was told to close.
    closing_since: Option<u64>,
}

/// A node's view of the chain.
#[derive(Debug, Default)]
pub(super) struct View {
    lag: usize,
    stalled_until: u64,
    /// Channels it watches, and what it was shown last.
    watched: BTreeMap<ChannelId, Option<Seen>>,
    /// Promises to those who are known to lie.
    pub(super) frozen: BTreeMap<ChannelId, u128>,
}

impl View {
    /// The process is gone; its endpoint is not.
    pub(super) fn forget(&mut self) {
        self.watched.clear();
        self.frozen.clear();
    }
}

/// Nothing that matters has changed; that a withdrawal's time has come does.
fn is_same(before: &Seen, now: &Seen) -> bool {
    let is_ripe = |s: &Seen| s.latest.withdrawal.is_some_and(|w| w.from <= s.time);
    (before.safe, before.latest, is_ripe(before)) == (now.safe, now.latest, is_ripe(now))
}

/// The account of a node.
pub(super) fn account(at: usize) -> Account {
    let mut bytes = [0xa0; 20];
    bytes[12..].copy_from_slice(&(at as u64).to_be_bytes());
    Account(bytes)
}

/// What a requester pays with.
pub(super) fn wallet(knobs: &Knobs, at: usize) -> Option<Wallet> {
    (knobs.paid > 0).then(|| Wallet {
        disputes: DISPUTES,
        ledger: ledger(),
        token: TOKEN,
        account: account(at),
        deposit: Amount(knobs.deposit.into()),
        step_first: Amount(knobs.step_first.into()),
        step_max: Amount(knobs.step_max.into()),
        withdraw_delay_s_max: u64::MAX,
    })
}

/// How a provider wants to be paid.
pub(super) fn payment(knobs: &Knobs, at: usize) -> Option<Payment> {
    (knobs.paid > 0).then(|| Payment {
        ledger: ledger(),
        token: TOKEN,
        payee: account(at),
        payee_key: account(at),
        withdraw_delay_s: knobs.withdraw_delay_s,
        step: Amount(knobs.provider_step.into()),
    })
}

pub(super) fn money(knobs: &Knobs) -> Option<Box<Money>> {
    (knobs.paid > 0).then(|| {
        let requesters = size(knobs.requesters);
        let balances = (0..requesters).map(|at| (account(at), WEALTH)).collect();
        Box::new(Money {
            chain: Chain::new(size(knobs.depth), Time(EPOCH_MS), balances),
            total: WEALTH * requesters as u128,
            chance: Prng::new(knobs.seed, "money"),
            down_until: 0,
            dear_until: 0,
            ended: BTreeSet::new(),
            closing_since: None,
        })
    })
}

impl World {
    // --- a node and its endpoint ---

    /// Every reservation is there at once: disputes are not part of the model, what stake deters is.
    pub(super) fn stake_asked(&mut self, at: usize, stake: StakeOf) {
        let (at_risk, until) = (Amount(self.knobs.stake.into()), Time(u64::MAX));
        self.handle(at, Event::StakeSeen { stake, at_risk, until });
    }

    pub(super) fn watch(&mut self, at: usize, paid_by: PaidBy) {
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        self.nodes[at].view.watched.entry(channel).or_default();
        self.show(at);
    }

    /// Shows a node what has changed in the channels that it watches.
    fn show(&mut self, at: usize) {
        let Some(money) = &self.money else { return };
        let node = &mut self.nodes[at];
        if node.core.is_none() || self.now < money.down_until.max(node.view.stalled_until) {
            return;
        }
        let mut news = Vec::new();
        for (channel, shown) in &mut node.view.watched {
            let seen = money.chain.seen(*channel, node.view.lag);
            if !shown.as_ref().is_some_and(|before| is_same(before, &seen)) {
                *shown = Some(seen);
                news.push(*channel);
            }
        }
        for channel in news {
            self.schedule(5, at, Happening::Seen(channel));
        }
    }

    /// A node looks at a channel: it sees what is so when it looks.
    pub(super) fn seen(&mut self, at: usize, channel: ChannelId) {
        let Some(money) = &self.money else { return };
        let view = &mut self.nodes[at].view;
        let seen = money.chain.seen(channel, view.lag);
        view.watched.insert(channel, Some(seen));
        self.note(at, 13, format!("{seen:?}").as_bytes());
        self.trace.say(self.now, at, || format!("chain {channel}: {seen:?}"));
        self.nodes[at].books.shown(channel, seen);
        self.handle(at, Event::ChannelSeen { channel, seen });
    }

    /// A node wants a step taken.
    pub(super) fn chain_step(&mut self, at: usize, paid_by: PaidBy, step: ChainStep) {
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        self.note(at, 14, format!("{step:?}").as_bytes());
        self.trace.say(self.now, at, || format!("chain {channel}: wants {step:?}"));
        if let ChainStep::Deposit { number, .. } = step
            && self.nodes[at].is_honest()
        {
            let found = self.nodes[at].durable.check_deposit(channel, number);
            self.violations.extend(found);
        }
        if matches!(step, ChainStep::Deposit { .. }) {
            self.ring.channels.insert(paid_by.terms.salt, paid_by);
        }
        let steps = if self.nodes[at].is_honest() {
            vec![step]
        } else {
            self.with_adversary(at, |a, desk| a.chain(&paid_by, step, desk)).unwrap_or_default()
        };
        for step in steps {
            self.submit(at, paid_by, step);
        }
    }

    /// Hands a step to the chain, through the node's endpoint.
    pub(super) fn submit(&mut self, at: usize, paid_by: PaidBy, step: ChainStep) {
        let channel = channel_id(&paid_by.ledger, &paid_by.terms);
        let knobs = &self.knobs;
        let planted = self.options.planted;
        let Some(money) = &mut self.money else { return };
        let vanishes = match step {
            ChainStep::Claim { .. } => planted == Some(Planted::NeverClaims),
            ChainStep::FinishWithdrawal => planted == Some(Planted::NeverFinishes),
            _ => false,
        };
        if vanishes || self.now < self.nodes[at].view.stalled_until {
            return;
        }
        let dear = matches!(step, ChainStep::Deposit { .. } | ChainStep::Claim { .. });
        let reason = if self.now < money.down_until {
            "nobody answers"
        } else if dear && self.now < money.dear_until {
            "gas is too dear"
        } else {
            ""
        };
        if !reason.is_empty() {
            let reason = reason.to_owned();
            return self.schedule(20, at, Happening::ChainFailed(channel, reason));
        }
        let tx = Tx { by: at, from: account(at), paid_by, step };
        let on = |money: &mut Money, percent| !self.healed && money.chance.percent(percent);
        if on(money, knobs.tx_drop_percent) {
            return;
        }
        let copies = 1 + u64::from(on(money, knobs.tx_twice_percent));
        for _ in 0..copies {
            let late =
                if on(money, knobs.tx_late_percent) { money.chance.between(1, 8) } else { 0 };
            money.chain.submit(tx, late);
        }
        if planted == Some(Planted::Mints) && matches!(step, ChainStep::Claim { .. }) {
            money.chain.plant(account(at), 1);
        }
    }

    // --- blocks and faults ---

    pub(super) fn block(&mut self) {
        self.schedule(self.knobs.block_ms.max(1), 0, Happening::Block);
        let now = Time(self.now);
        let Some(money) = &mut self.money else { return };
        if self.now < money.down_until {
            return;
        }
        let refused = money.chain.mine(now, &mut money.chance);
        self.mined(refused);
    }

    fn mined(&mut self, refused: Vec<crate::chain::Refused>) {
        for refused in refused {
            self.trace.say(self.now, refused.by, || format!("chain refused: {}", refused.reason));
            let failed = Happening::ChainFailed(refused.channel, refused.reason);
            self.schedule(5, refused.by, failed);
        }
        let Some(money) = &self.money else { return };
        self.violations.extend(m1::on_chain(money.chain.head(), money.total));
        self.who_was_left();
        for at in 0..self.nodes.len() {
            self.show(at);
        }
    }

    /// Channels from which money has left for good.
    fn who_was_left(&mut self) {
        let Some(money) = &mut self.money else { return };
        let state = money.chain.at(size(self.knobs.depth));
        for (channel, held) in &state.channels {
            if held.taken_back == 0 || !money.ended.insert(*channel) {
                continue;
            }
            for node in self.nodes.iter().filter(|n| n.is_honest() && n.provides()) {
                let claimed = held.funds.claimed.0;
                self.violations.extend(m3::left(&node.books, *channel, claimed, held.paid_in));
            }
        }
    }

    pub(super) fn chain_faults(&mut self) {
        let knobs = self.knobs.clone();
        let nodes = self.nodes.len() as u64;
        let pace = knobs.stretch.clamp(1, 20);
        let Some(money) = &mut self.money else { return };
        let mut refused = Vec::new();
        let mut close = None;
        let on = |money: &mut Money, percent| percent > 0 && money.chance.percent(percent);
        if on(money, knobs.chain_down_percent) {
            money.down_until = self.now + money.chance.between(500, 20_000 * pace);
        }
        if on(money, knobs.gas_percent) {
            money.dear_until = self.now + money.chance.between(500, 20_000 * pace);
        }
        if on(money, knobs.reorg_percent) && self.now >= money.down_until {
            let blocks = size(money.chance.between(1, knobs.depth));
            refused = money.chain.reorganise(blocks, &mut money.chance);
        }
        if on(money, knobs.rpc_percent) {
            let view = &mut self.nodes[size(money.chance.below(nodes))].view;
            view.lag = size(money.chance.below(LAG_MAX as u64 + 1));
            if money.chance.percent(50) {
                view.stalled_until = self.now + money.chance.between(500, 20_000 * pace);
            }
        }
        if on(money, knobs.close_percent) {
            let at = size(money.chance.below(knobs.requesters));
            let opened: Vec<ChannelId> = self.nodes[at].books.opened.keys().copied().collect();
            close = (!opened.is_empty())
                .then(|| (at, opened[size(money.chance.below(opened.len() as u64))]));
        }
        self.mined(refused);
        if let Some((at, channel)) = close
            && self.nodes[at].core.is_some()
        {
            self.command(at, Command::CloseChannel { channel });
        }
    }

    pub(super) fn heal_chain(&mut self) {
        if let Some(money) = &mut self.money {
            (money.down_until, money.dear_until) = (0, 0);
            for node in &mut self.nodes {
                (node.view.lag, node.view.stalled_until) = (0, 0);
            }
        }
    }

    // --- the way out ---

    /// Every job is done: honest requesters close their channels. True once all money is home, or
    /// has had its time.
    pub(super) fn money_is_home(&mut self) -> bool {
        let Some(money) = &mut self.money else { return true };
        let Some(since) = money.closing_since else {
            money.closing_since = Some(self.now);
            for at in 0..size(self.knobs.requesters) {
                if !self.nodes[at].is_honest() {
                    continue;
                }
                for channel in self.nodes[at].books.opened.keys().copied().collect::<Vec<_>>() {
                    self.command(at, Command::CloseChannel { channel });
                }
            }
            return false;
        };
        let blocks = 4 * self.knobs.depth * self.knobs.block_ms;
        // A deposit that came after the announcement has to be announced as well.
        let most = 2 * self.knobs.withdraw_delay_s * 1_000 + HOME_MS + blocks;
        let state = money.chain.at(size(self.knobs.depth));
        let mut away = self.nodes.iter().filter(|n| n.is_honest()).flat_map(|n| {
            let opened = n.books.opened.keys();
            opened.filter_map(|id| Some((*id, state.channels.get(id)?)))
        });
        let waits = self.now - since;
        let late = away.find_map(|(id, held)| m5::not_home(id, held, waits / 1_000));
        if late.is_some() && waits > most {
            self.violations.extend(late);
            return true;
        }
        late.is_none()
    }

    /// The planted bug: a signer that is more generous than the core.
    pub(super) fn signs_ahead(&self, at: usize, message: Message) -> Message {
        let Message::Voucher(mut voucher) = message else { return message };
        let opened = self.nodes[at].books.opened.get(&voucher.channel);
        if let (Some((paid_by, _)), true) =
            (opened, self.options.planted == Some(Planted::SignsAhead))
        {
            voucher.ceiling.0 += 1_000_000;
            let hash = voucher_hash(&paid_by.ledger, voucher.channel, voucher.ceiling);
            let seal = SimSeal::new(self.nodes[at].id);
            voucher.signature = seal.sign_voucher(&paid_by.terms.salt, &hash);
        }
        Message::Voucher(voucher)
    }

    /// Looks at everybody's money when all of it has settled.
    pub(super) fn final_money(&mut self) -> Vec<Violation> {
        let Some(money) = &self.money else { return Vec::new() };
        let mut found = Vec::new();
        let state = money.chain.head();
        for (at, node) in self.nodes.iter().enumerate().filter(|(_, n)| n.is_honest()) {
            if let Some(core) = &node.core {
                found.extend(m1::in_the_books(core, &node.books, at));
            }
            for (channel, (_, provider)) in &node.books.opened {
                let Some(held) = state.channels.get(channel) else { continue };
                found.extend(m4::at_end(&node.books, *channel, held.funds.claimed.0));
                if let Some(payee) = self.honest(*provider)
                    && self.knobs.lost_sync_percent == 0
                {
                    found.extend(m5::between_honest(*channel, &node.books, &payee.books, held));
                }
            }
            if node.provides() {
                found.extend(self.final_tills(at));
            }
        }
        found
    }

    fn final_tills(&self, at: usize) -> Vec<Violation> {
        let Some(money) = &self.money else { return Vec::new() };
        let (node, books) = (&self.nodes[at], &self.nodes[at].books);
        let mut found = Vec::new();
        for (channel, requester) in books.tills(node.id) {
            let claimed = money.chain.head().funds(channel).claimed.0;
            if self.knobs.lost_sync_percent > 0 {
                continue;
            }
            found.extend(m2::claimed(
                channel,
                claimed,
                books.billed(channel) + books.lost(channel),
            ));
            let slots = node.config.provider.as_ref().map_or(0, |p| p.slots);
            let price = node.config.provider.as_ref().map(|p| p.price).unwrap_or_default();
            let dearest =
                price.of(ayni_types::Fuel(30_000_000_000 * self.knobs.stretch), 1 << 20, 1 << 20).0;
            // What ran when it stopped, twice: the limit is looked at before a run and before a loss.
            let allowed = u128::from(self.knobs.hold_back)
                + u128::from(self.knobs.provider_step)
                + 2 * u128::from(slots) * dearest;
            found.extend(m3::at_end(books, channel, requester, claimed, allowed));
        }
        found
    }

    fn honest(&self, id: NodeId) -> Option<&super::Node> {
        let at = *self.ids.get(&id)?;
        Some(&self.nodes[at]).filter(|node| node.is_honest())
    }
}

//! A model of a chain with the channels' contract on it: accounts, channels, blocks, and everything
//! that goes wrong between a node and a block.
//!
//! A step is idempotent by its content: a deposit by its number, a claim because it only ever takes
//! what is not taken yet, a withdrawal because there is one at a time. So a node may submit it again,
//! the pool may hold it twice, and a reorganisation may mine it in another order. Blocks up to the
//! depth below the head can be taken back; what lies deeper is final.
//!
//! Where a contract is exact, so is the model: a channel that was emptied takes no money any more, and
//! delays count in whole seconds. A chain can keep what became of each step, so that a real contract
//! can be asked the same (`channels::trace`).
//!
//! Deliberately not here: gas (a step is refused or it is not), blocks' hashes, and time (the world
//! says when a block is mined).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ayni_core::{ChainStep, Seal as _, Seen};
use ayni_types::{
    Account, Amount, BatchKey, ChannelFunds, ChannelId, ChannelTerms, Ledger, NodeId, PaidBy, Time,
    Withdrawal,
};
use ayni_wire::{channel_id, voucher_hash};

use crate::knobs::size;
use crate::prng::Prng;
use crate::seal::SimSeal;

/// The ledger of every world.
#[must_use]
pub fn ledger() -> Ledger {
    Ledger { chain: 7, channels: Account([0xcc; 20]) }
}

/// The money of every world.
pub const TOKEN: Account = Account([0x70; 20]);

/// A step as a node hands it over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tx {
    /// Which node; it hears of a failure.
    pub by: usize,
    /// Whose account signed it.
    pub from: Account,
    /// In which channel.
    pub paid_by: PaidBy,
    /// What.
    pub step: ChainStep,
}

/// A channel on the chain.
#[derive(Debug, Clone, Default)]
pub struct Channel {
    /// What anybody can see.
    pub funds: ChannelFunds,
    /// Paid in, ever.
    pub paid_in: u128,
    /// Taken back by the payer, ever.
    pub taken_back: u128,
    /// Its payer took all of it back: nothing can be paid in again.
    pub closed: bool,
    /// Deposits that were made; none is made twice.
    deposits: BTreeSet<u32>,
}

/// What became of a step in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was taken.
    Done,
    /// It had been taken before, and changed nothing.
    Again,
    /// The contract refused it.
    Refused,
}

/// A step in a block, and its channel after it.
#[derive(Debug, Clone, Copy)]
pub struct Logged {
    /// The block's time.
    pub time: Time,
    /// The step.
    pub tx: Tx,
    /// What became of it.
    pub fate: Fate,
    /// What its channel held then.
    pub funds: ChannelFunds,
}

/// Everything on the chain after a block.
#[derive(Debug, Clone, Default)]
pub struct State {
    /// What nobody has put into a channel.
    pub balances: BTreeMap<Account, u128>,
    /// Channels that were ever paid into. None is ever removed: a channel that is used up stays as
    /// its own tombstone.
    pub channels: BTreeMap<ChannelId, Channel>,
}

impl State {
    /// All money there is.
    #[must_use]
    pub fn total(&self) -> u128 {
        let held = self.channels.values().map(|c| c.funds.deposit.0 - c.funds.claimed.0);
        held.chain(self.balances.values().copied()).sum()
    }

    /// A channel's funds; nothing if it was never paid into.
    #[must_use]
    pub fn funds(&self, channel: ChannelId) -> ChannelFunds {
        self.channels.get(&channel).map(|c| c.funds).unwrap_or_default()
    }

    /// Takes a step at a moment of the chain's clock; says whether it changed anything.
    ///
    /// # Errors
    /// Why the contract refuses it.
    pub fn apply(&mut self, tx: &Tx, now: Time) -> Result<bool, String> {
        let terms = tx.paid_by.terms;
        let id = channel_id(&tx.paid_by.ledger, &terms);
        if tx.paid_by.ledger != ledger() || terms.token != TOKEN {
            return Err("no such contract or token on this chain".to_owned());
        }
        match tx.step {
            ChainStep::Deposit { number, amount } => {
                self.deposit(tx.from, id, &terms, number, amount)
            }
            ChainStep::Claim { amount, voucher } => {
                if tx.from != terms.payee {
                    return Err("only the payee may claim".to_owned());
                }
                let hash = voucher_hash(&tx.paid_by.ledger, id, voucher.ceiling);
                let seal = SimSeal::new(NodeId([0; 32]));
                let key = BatchKey(terms.payer_key.0);
                if voucher.channel != id || !seal.verify_batch(key, &hash, &voucher.signature) {
                    return Err("the voucher is not this channel's payer's".to_owned());
                }
                self.claim(id, &terms, amount, voucher.ceiling)
            }
            ChainStep::Withdraw => {
                let channel = self.of_payer(tx.from, id, &terms)?;
                let left = channel.funds.deposit.0 - channel.funds.claimed.0;
                if left == 0 {
                    return Err("nothing is left in the channel".to_owned());
                }
                if channel.funds.withdrawal.is_some() {
                    return Ok(false);
                }
                let stamp = Time(now.0 - now.0 % 1_000);
                let from = stamp.after_ms(terms.withdraw_delay_s.saturating_mul(1_000));
                channel.funds.withdrawal = Some(Withdrawal { amount: Amount(left), from });
                Ok(true)
            }
            ChainStep::FinishWithdrawal => {
                let channel = self.of_payer(tx.from, id, &terms)?;
                let Some(withdrawal) = channel.funds.withdrawal else { return Ok(false) };
                if withdrawal.from > now {
                    return Err("the withdrawal's time has not come".to_owned());
                }
                let left = channel.funds.deposit.0 - channel.funds.claimed.0;
                let amount = withdrawal.amount.0.min(left);
                channel.funds.withdrawal = None;
                channel.funds.deposit.0 -= amount;
                channel.taken_back += amount;
                channel.closed |= amount == left;
                *self.balances.entry(terms.payer).or_default() += amount;
                Ok(true)
            }
        }
    }

    fn of_payer(
        &mut self,
        from: Account,
        id: ChannelId,
        terms: &ChannelTerms,
    ) -> Result<&mut Channel, String> {
        if from != terms.payer {
            return Err("only the payer may".to_owned());
        }
        self.channels.get_mut(&id).ok_or_else(|| "there is no such channel".to_owned())
    }

    fn deposit(
        &mut self,
        from: Account,
        id: ChannelId,
        terms: &ChannelTerms,
        number: u32,
        amount: Amount,
    ) -> Result<bool, String> {
        if from != terms.payer {
            return Err("only the payer may".to_owned());
        }
        let made = self.channels.get(&id).is_some_and(|c| c.deposits.contains(&number));
        if made {
            return Ok(false);
        }
        if self.channels.get(&id).is_some_and(|c| c.closed) {
            return Err("the channel is closed for ever".to_owned());
        }
        let balance = self.balances.entry(from).or_default();
        let Some(left) = balance.checked_sub(amount.0) else {
            return Err(format!("{amount} are wanted, and the account has {balance}"));
        };
        *balance = left;
        let channel = self.channels.entry(id).or_default();
        channel.deposits.insert(number);
        channel.funds.deposit.0 += amount.0;
        channel.paid_in += amount.0;
        Ok(true)
    }

    fn claim(
        &mut self,
        id: ChannelId,
        terms: &ChannelTerms,
        amount: Amount,
        ceiling: Amount,
    ) -> Result<bool, String> {
        let channel = self.channels.get_mut(&id).ok_or("there is no such channel")?;
        if amount > ceiling {
            return Err(format!("{amount} are claimed and {ceiling} promised"));
        }
        if amount > channel.funds.deposit {
            let deposit = channel.funds.deposit;
            return Err(format!("{amount} are claimed and {deposit} deposited"));
        }
        let gain = amount.0.saturating_sub(channel.funds.claimed.0);
        channel.funds.claimed.0 += gain;
        *self.balances.entry(terms.payee).or_default() += gain;
        Ok(gain > 0)
    }
}

/// A step that the contract refused: whose, where, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Which node handed it in.
    pub by: usize,
    /// In which channel.
    pub channel: ChannelId,
    /// Why.
    pub reason: String,
}

#[derive(Debug, Clone)]
struct Block {
    time: Time,
    after: State,
    txs: Vec<Tx>,
    log: Vec<Logged>,
}

/// See the module.
#[derive(Debug)]
pub struct Chain {
    depth: usize,
    /// The newest last; as many as can be looked back at.
    blocks: VecDeque<Block>,
    /// What waits, and for how many blocks still.
    pool: Vec<(Tx, u64)>,
    /// Of blocks that are not kept any more; nothing if nobody asked for it.
    kept: Option<Vec<Logged>>,
    /// Blocks mined, ever; for measuring.
    pub mined: u64,
    /// Reorganisations; for measuring.
    pub reorganised: u64,
}

/// How far a node's view may lag behind the head, in blocks.
pub const LAG_MAX: usize = 4;

impl Chain {
    /// A chain whose blocks are final `depth` blocks below the head, on which these have money.
    #[must_use]
    pub fn new(depth: usize, now: Time, balances: BTreeMap<Account, u128>) -> Self {
        let after = State { balances, channels: BTreeMap::new() };
        let genesis = Block { time: now, after, txs: Vec::new(), log: Vec::new() };
        Self {
            depth: depth.max(1),
            blocks: VecDeque::from([genesis]),
            pool: Vec::new(),
            kept: None,
            mined: 0,
            reorganised: 0,
        }
    }

    /// From now on, what becomes of each step is kept.
    pub fn keep_log(&mut self) {
        self.kept.get_or_insert_default();
    }

    /// What became of each step, in the blocks that count.
    #[must_use]
    pub fn log(&self) -> Vec<Logged> {
        let old = self.kept.iter().flatten();
        old.chain(self.blocks.iter().flat_map(|block| &block.log)).copied().collect()
    }

    /// The newest state.
    #[must_use]
    pub fn head(&self) -> &State {
        self.at(0)
    }

    /// The state so many blocks below the head, or the oldest that is kept.
    #[must_use]
    pub fn at(&self, below: usize) -> &State {
        &self.block(below).after
    }

    fn block(&self, below: usize) -> &Block {
        let at = self.blocks.len().saturating_sub(1 + below);
        &self.blocks[at]
    }

    /// What a node sees of a channel whose view is `lag` blocks behind.
    #[must_use]
    pub fn seen(&self, channel: ChannelId, lag: usize) -> Seen {
        let latest = self.block(lag);
        Seen {
            safe: self.at(lag + self.depth).funds(channel),
            latest: latest.after.funds(channel),
            time: latest.time,
        }
    }

    /// Money from nowhere, to see that it is noticed.
    pub fn plant(&mut self, account: Account, amount: u128) {
        if let Some(head) = self.blocks.back_mut() {
            *head.after.balances.entry(account).or_default() += amount;
        }
    }

    /// A step waits to be mined; not before so many blocks.
    pub fn submit(&mut self, tx: Tx, late: u64) {
        self.pool.push((tx, late));
    }

    /// Steps that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.pool.len()
    }

    /// Mines a block of everything whose time has come, in any order; what was refused.
    pub fn mine(&mut self, now: Time, chance: &mut Prng) -> Vec<Refused> {
        let mut after = self.head().clone();
        let mut waiting = std::mem::take(&mut self.pool);
        let mut due = Vec::new();
        waiting.retain_mut(|(tx, late)| {
            if *late == 0 {
                due.push(*tx);
                return false;
            }
            *late -= 1;
            true
        });
        self.pool = waiting;
        shuffle(&mut due, chance);
        let now = now.max(self.block(0).time);
        let (mut refused, mut log) = (Vec::new(), Vec::new());
        due.retain(|tx| {
            let taken = after.apply(tx, now);
            let channel = channel_id(&tx.paid_by.ledger, &tx.paid_by.terms);
            if self.kept.is_some() {
                let fate = match &taken {
                    Ok(true) => Fate::Done,
                    Ok(false) => Fate::Again,
                    Err(_) => Fate::Refused,
                };
                log.push(Logged { time: now, tx: *tx, fate, funds: after.funds(channel) });
            }
            let is_taken = taken.is_ok();
            if let Err(reason) = taken {
                refused.push(Refused { by: tx.by, channel, reason });
            }
            is_taken
        });
        self.blocks.push_back(Block { time: now, after, txs: due, log });
        while self.blocks.len() > 2 * self.depth + LAG_MAX + 1 {
            let gone = self.blocks.pop_front();
            if let (Some(kept), Some(block)) = (&mut self.kept, gone) {
                kept.extend(block.log);
            }
        }
        self.mined += 1;
        refused
    }

    /// The newest blocks, at most one less than the depth, are replaced by as many others. Their steps
    /// come back in another order, later perhaps, or not at all.
    pub fn reorganise(&mut self, blocks: usize, chance: &mut Prng) -> Vec<Refused> {
        let count = blocks.min(self.depth - 1).min(self.blocks.len() - 1);
        if count == 0 {
            return Vec::new();
        }
        self.reorganised += 1;
        let gone = self.blocks.split_off(self.blocks.len() - count);
        let times: Vec<Time> = gone.iter().map(|b| b.time).collect();
        for tx in gone.into_iter().flat_map(|b| b.txs) {
            if !chance.percent(10) {
                self.pool.push((tx, chance.below(count as u64 + 2)));
            }
        }
        times.into_iter().flat_map(|time| self.mine(time, chance)).collect()
    }
}

fn shuffle<T>(all: &mut [T], chance: &mut Prng) {
    for at in (1..all.len()).rev() {
        all.swap(at, size(chance.below(at as u64 + 1)));
    }
}

#[cfg(test)]
mod tests {
    use ayni_wire::Voucher;

    use super::*;

    const PAYER: Account = Account([1; 20]);
    const PAYEE: Account = Account([2; 20]);

    fn paid_by() -> PaidBy {
        let salt = [3; 32];
        let payer_key = SimSeal::new(NodeId([9; 32])).payer_key(&salt);
        let terms = ChannelTerms {
            payer: PAYER,
            payer_key,
            payee: PAYEE,
            payee_key: PAYEE,
            token: TOKEN,
            withdraw_delay_s: 10,
            salt,
        };
        PaidBy { ledger: ledger(), terms }
    }

    fn id() -> ChannelId {
        channel_id(&ledger(), &paid_by().terms)
    }

    fn voucher(ceiling: u128) -> Voucher {
        let hash = voucher_hash(&ledger(), id(), Amount(ceiling));
        let signature = SimSeal::new(NodeId([9; 32])).sign_voucher(&[3; 32], &hash);
        Voucher { channel: id(), ceiling: Amount(ceiling), signature }
    }

    fn deposit(number: u32, amount: u128) -> Tx {
        let step = ChainStep::Deposit { number, amount: Amount(amount) };
        Tx { by: 0, from: PAYER, paid_by: paid_by(), step }
    }

    fn claim(amount: u128, ceiling: u128) -> Tx {
        let step = ChainStep::Claim { amount: Amount(amount), voucher: voucher(ceiling) };
        Tx { by: 1, from: PAYEE, paid_by: paid_by(), step }
    }

    fn chain() -> (Chain, Prng) {
        let balances = BTreeMap::from([(PAYER, 1_000)]);
        (Chain::new(3, Time(0), balances), Prng::new(1, "chain"))
    }

    #[test]
    fn a_step_that_is_submitted_twice_is_taken_once() {
        let (mut chain, mut chance) = chain();
        for _ in 0..2 {
            chain.submit(deposit(0, 100), 0);
            chain.submit(claim(30, 40), 1);
            chain.submit(claim(30, 40), 1);
        }
        for time in 1..5 {
            assert_eq!(chain.mine(Time(time), &mut chance), []);
        }
        assert_eq!(chain.head().funds(id()).deposit, Amount(100));
        assert_eq!(chain.head().balances[&PAYEE], 30);
        assert_eq!(chain.head().total(), 1_000);
    }

    #[test]
    fn the_contract_refuses_what_is_not_promised_not_there_or_not_the_callers() {
        let mut other = paid_by();
        other.ledger.chain = 8;
        let claims = |tx: Tx| (tx, "claim");
        let mut forged = claim(30, 40);
        if let ChainStep::Claim { voucher, .. } = &mut forged.step {
            voucher.ceiling = Amount(50);
        }
        let cases = [
            (claim(50, 40), "promised"),
            (claim(150, 200), "deposited"),
            (forged, "payer's"),
            (Tx { from: PAYER, ..claims(claim(30, 40)).0 }, "payee"),
            (Tx { from: PAYEE, ..deposit(1, 5) }, "payer"),
            (deposit(1, 5_000), "the account has"),
            (Tx { paid_by: other, ..deposit(1, 5) }, "no such contract"),
            (Tx { step: ChainStep::Withdraw, ..claim(30, 40) }, "payer"),
        ];
        for (tx, why) in cases {
            let mut state =
                State { balances: BTreeMap::from([(PAYER, 1_000)]), ..State::default() };
            state.apply(&deposit(0, 100), Time(0)).expect("good");
            let error = state.apply(&tx, Time(1)).expect_err(why);
            assert!(error.contains(why), "{error}");
            assert_eq!(state.total(), 1_000);
        }
    }

    #[test]
    fn a_withdrawal_takes_its_time_and_leaves_what_was_claimed() {
        let (mut chain, mut chance) = chain();
        let step = |step| Tx { step, ..deposit(0, 0) };
        chain.submit(deposit(0, 100), 0);
        chain.mine(Time(1), &mut chance);
        chain.submit(step(ChainStep::Withdraw), 0);
        chain.mine(Time(2), &mut chance);
        chain.submit(step(ChainStep::FinishWithdrawal), 0);
        let refused = chain.mine(Time(9_999), &mut chance);
        assert_eq!(refused[0].reason, "the withdrawal's time has not come");
        chain.submit(claim(30, 40), 0);
        chain.mine(Time(10_000), &mut chance);
        chain.submit(step(ChainStep::FinishWithdrawal), 0);
        chain.mine(Time(10_002), &mut chance);
        let state = chain.head();
        assert_eq!((state.balances[&PAYER], state.balances[&PAYEE]), (970, 30));
        assert_eq!(state.funds(id()).deposit, Amount(30));
        // Old promises do not come to life again.
        chain.submit(claim(40, 40), 0);
        assert_eq!(chain.mine(Time(10_003), &mut chance).len(), 1);
        chain.submit(deposit(1, 10), 0);
        let refused = chain.mine(Time(10_004), &mut chance);
        assert_eq!(refused[0].reason, "the channel is closed for ever");
    }

    #[test]
    fn what_is_deep_enough_stays_and_what_is_not_may_come_back_in_another_order() {
        for seed in 0..200 {
            let (mut chain, _) = chain();
            let mut chance = Prng::new(seed, "reorganise");
            chain.submit(deposit(0, 100), 0);
            for time in 1..=4 {
                chain.mine(Time(time), &mut chance);
            }
            assert_eq!(chain.seen(id(), 0).safe.deposit, Amount(100));
            chain.submit(deposit(1, 50), 0);
            chain.submit(claim(30, 40), 0);
            chain.mine(Time(5), &mut chance);
            assert_eq!(chain.seen(id(), 0).safe.deposit, Amount(100));
            assert_eq!(chain.seen(id(), 0).latest.deposit, Amount(150));
            chain.reorganise(9, &mut chance);
            assert!(chain.seen(id(), 0).safe.deposit == Amount(100), "seed {seed}");
            assert_eq!(chain.head().total(), 1_000);
        }
    }
}

//! What the tests of all strategies share: a desk, a task, and a few shapes of message.

use ayni_core::{ChainStep, Purpose, Ran};
use ayni_types::{
    Account, Amount, AssignmentId, BatchHeader, BatchKey, ChannelId, ChannelTerms, Digest,
    EngineBuild, EngineId, Fuel, Lease, LeaseId, Limits, NodeId, NodeSignature, Observed, PaidBy,
    Price, Receipt, TaskSpec,
};
use ayni_wire::{
    Assign, Delivered, EvmSignature, FullLease, Message, SignedBatch, Voucher, digest, leaf_hash,
    merkle_root, outcome_digest, task_id,
};

use super::{Adversary, Deed, Desk, Ring, RunSeen, Went, make};
use crate::prng::Prng;
use crate::runner::execute;
use crate::seal::SimSeal;

/// A strategy on its own, with a desk.
pub(super) struct Bench {
    pub(super) adversary: Box<dyn Adversary>,
    pub(super) ring: Ring,
    pub(super) me: NodeId,
    chance: Prng,
    pub(super) now_ms: u64,
}

impl Bench {
    pub(super) fn new(name: &str, dose: u64) -> Self {
        let me = NodeId([1; 32]);
        Self {
            adversary: make(name, dose).unwrap(),
            ring: Ring::of([me, NodeId([2; 32])].into_iter()),
            me,
            chance: Prng::new(7, name),
            now_ms: 1_000_000,
        }
    }

    pub(super) fn act<T>(&mut self, act: impl FnOnce(&mut dyn Adversary, &mut Desk<'_>) -> T) -> T {
        let mut desk = Desk {
            me: self.me,
            now_ms: self.now_ms,
            chance: &mut self.chance,
            seal: SimSeal::new(self.me),
            ring: &mut self.ring,
        };
        act(self.adversary.as_mut(), &mut desk)
    }

    /// How a run for somebody goes.
    pub(super) fn run(&mut self, number: u32) -> Went {
        self.run_as(&task(number), Purpose::Lease(LEASE), false)
    }

    pub(super) fn run_as(&mut self, task: &TaskSpec, purpose: Purpose, lone: bool) -> Went {
        let seen = RunSeen { task, id: task_id(task), purpose, requester: None, lone };
        let honest = execute(task, self.me, 1_000_000);
        self.act(|adversary, desk| adversary.run(&seen, honest, desk))
    }

    /// Whether the outcome of each of so many runs is right.
    pub(super) fn truths(&mut self, runs: u32) -> Vec<bool> {
        (0..runs).map(|n| is_right(n, &self.run(n))).collect()
    }

    pub(super) fn say(&mut self, message: Message) -> Vec<Message> {
        self.act(|adversary, desk| adversary.say(OTHER, message, desk))
    }

    pub(super) fn hear(&mut self, message: &Message) -> Vec<Deed> {
        self.act(|adversary, desk| adversary.hear(OTHER, message, desk))
    }

    pub(super) fn chain(&mut self, step: ChainStep) -> Vec<ChainStep> {
        self.act(|adversary, desk| adversary.chain(&paid_by(), step, desk))
    }

    pub(super) fn idle(&mut self) -> Vec<Deed> {
        self.now_ms += 1_000;
        self.act(|adversary, desk| adversary.idle(desk))
    }
}

/// The other side.
pub(super) const OTHER: NodeId = NodeId([9; 32]);
/// A lease with it.
pub(super) const LEASE: LeaseId = LeaseId([3; 16]);

pub(super) fn task(number: u32) -> TaskSpec {
    TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(b"program"),
        args: vec!["ok".to_owned(), number.to_string()],
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits {
            memory_bytes: 1 << 20,
            fuel: Fuel(30_000_000_000),
            stack_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        blind: None,
    }
}

pub(super) fn ran(number: u32) -> Ran {
    execute(&task(number), NodeId([0; 32]), 1_000_000).1.unwrap()
}

pub(super) fn is_right(number: u32, went: &Went) -> bool {
    went.1.as_ref().is_ok_and(|ran| ran.outcome == self::ran(number).outcome)
}

pub(super) fn delivered(number: u32) -> Message {
    let assignment = AssignmentId { lease: LEASE, number: u64::from(number) };
    let outcome = ran(number).outcome;
    Message::Delivered(Delivered {
        assignment,
        outcome,
        observed: Observed::default(),
        inline: Vec::new(),
    })
}

pub(super) fn assign(number: u32) -> Message {
    let id = AssignmentId { lease: LEASE, number: u64::from(number) };
    Message::Assign(Assign { id, task: task(number), timeout_ms: 60_000, holders: Vec::new() })
}

pub(super) fn batch(number: u32) -> SignedBatch {
    let outcome = ran(number).outcome;
    let price = lease().lease.price.of(outcome.fuel, 0, 0);
    let receipt = Receipt {
        lease: LEASE,
        batch: 0,
        index: 0,
        assignment: u64::from(number),
        task: task_id(&task(number)),
        outcome: outcome_digest(&outcome),
        fuel: outcome.fuel,
        code_bytes: 0,
        data_bytes: 0,
        price,
        observed: Observed::default(),
    };
    let root = merkle_root(&[leaf_hash(&receipt)]);
    SignedBatch {
        header: BatchHeader { lease: LEASE, batch: 0, count: 1, root },
        signature: EvmSignature([0; 65]),
        receipts: vec![receipt],
    }
}

pub(super) fn paid_by() -> PaidBy {
    let terms = ChannelTerms {
        payer: Account([1; 20]),
        payer_key: Account([2; 20]),
        payee: Account([3; 20]),
        payee_key: Account([4; 20]),
        token: crate::chain::TOKEN,
        withdraw_delay_s: 60,
        salt: [1; 32],
    };
    PaidBy { ledger: crate::chain::ledger(), terms }
}

pub(super) fn voucher(ceiling: u128) -> Message {
    let signature = EvmSignature([0; 65]);
    Message::Voucher(Voucher { channel: ChannelId([5; 32]), ceiling: Amount(ceiling), signature })
}

pub(super) fn lease() -> FullLease {
    let lease = Lease {
        id: LEASE,
        requester: OTHER,
        provider: NodeId([1; 32]),
        engine: EngineId::wasi1(),
        build: EngineBuild { digest: Digest([0; 32]), version: "model".to_owned() },
        slots: 1,
        memory_bytes: 1 << 20,
        price: Price::default(),
        fuel_per_second: 1,
        voucher_step: Amount(0),
        stake_reserved: Amount(0),
        batch_key: BatchKey([0; 20]),
        issued: ayni_types::Time(0),
        expires: ayni_types::Time(1),
        hold_back: Amount(0),
        audit_commitment: Digest([0; 32]),
        paid_by: None,
    };
    let none = NodeSignature([0; 64]);
    FullLease { lease, requester: none, provider: none, backing: None }
}

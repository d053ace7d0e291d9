//! Hard budgets: what a job may still cost, and what each assignment may be billed at most.
//!
//! Before work is handed out its worst case by the lease's prices is reserved; its bill, or the
//! lease's end, releases it. A bill above the worst case is refused, so nothing that a provider does
//! makes a job cost more than its budget. Deliberately not here: promises ahead of bills (`purse`).

use std::collections::{BTreeMap, BTreeSet};

use ayni_types::{
    Amount, AssignmentId, BlobRef, Digest, Fuel, JobId, LeaseId, NodeId, Price, Receipt, TaskSpec,
    Time, limits,
};
use ayni_wire::Message;

use crate::core::Core;
use crate::job::{Job, Phase};
use crate::journal::Record;
use crate::market::{HireState, Obstacle};

/// More declared bytes than this are not billed for one task, whatever is known of its inputs.
const DATA_BYTES_MAX: u64 = 1 << 44;
/// A worst case above this counts as this, so that sums can't overflow; budgets end below.
const WORST_MAX: u128 = 1 << 100;
/// Waiting tasks looked at for one that the budget still allows, at each heartbeat.
const LOOK_MAX: usize = 64;
/// How the reason begins for which a task fails that nobody may be paid for.
pub(crate) const USED_UP: &str = "the job's budget is used up";
/// Sizes in one record.
const SIZES_PER_RECORD: usize = 4_096;

/// The books of one job.
#[derive(Debug, Default)]
pub(crate) struct Spending {
    /// Lengths of programs and inputs; of a tree, with all its files.
    sizes: BTreeMap<Digest, u64>,
    /// Bills taken, whatever became of the outcomes.
    pub(crate) billed: u128,
    /// Worst cases of what is handed out, not yet billed.
    pub(crate) reserved: u128,
    /// Code that may be billed once with any of so many assignments.
    code: BTreeMap<(LeaseId, Digest), (u32, u128)>,
    /// Since when its next tasks can't be afforded anywhere.
    short_since: Option<Time>,
}

/// The worst case of one assignment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reserve {
    job: JobId,
    program: Digest,
    /// Fuel and data.
    work: u128,
    code_bytes: u64,
    data_bytes: u64,
}

/// What a task may cost at some prices.
#[derive(Debug, Clone, Copy)]
struct Worst {
    work: u128,
    code: u128,
    code_bytes: u64,
    data_bytes: u64,
}

impl Spending {
    /// Bytes of code and of inputs that a task may be billed at most.
    fn bytes(&self, task: &TaskSpec) -> (u64, u64) {
        let size =
            |digest: &Digest, unknown: u64| self.sizes.get(digest).copied().unwrap_or(unknown);
        let inputs = task.stdin.iter().chain(task.mounts.iter().map(|mount| &mount.blob));
        let data = inputs.map(|d| size(d, DATA_BYTES_MAX)).fold(0, u64::saturating_add);
        let code = size(&task.program, limits::PROGRAM_BYTES_MAX);
        (code.min(limits::PROGRAM_BYTES_MAX), data.min(DATA_BYTES_MAX))
    }

    fn worst(&self, task: &TaskSpec, price: &Price) -> Worst {
        let (code_bytes, inputs) = self.bytes(task);
        let data_bytes = inputs.saturating_add(task.limits.output_bytes).min(DATA_BYTES_MAX);
        let cost = |fuel, code, data| price.of(fuel, code, data).0.min(WORST_MAX);
        Worst {
            work: cost(task.limits.fuel, 0, data_bytes),
            code: cost(Fuel(0), code_bytes, 0),
            code_bytes,
            data_bytes,
        }
    }

    /// The first blob of a task whose length is unknown.
    fn unknown(&self, task: &TaskSpec) -> Option<Digest> {
        let inputs = task.stdin.iter().chain(task.mounts.iter().map(|mount| &mount.blob));
        inputs.chain([&task.program]).find(|d| !self.sizes.contains_key(d)).copied()
    }

    fn release(&mut self, amount: u128) {
        self.reserved = self.reserved.saturating_sub(amount);
    }

    /// One assignment less may bring the bill for a program.
    fn release_code(&mut self, at: (LeaseId, Digest)) {
        let Some((count, amount)) = self.code.get_mut(&at) else { return };
        *count -= 1;
        if *count == 0 {
            let amount = *amount;
            self.code.remove(&at);
            self.release(amount);
        }
    }
}

impl Job {
    /// What bills leave of the budget; `None` without one.
    pub(crate) fn left(&self) -> Option<u128> {
        Some(self.record.budget?.0.saturating_sub(self.spending.billed))
    }
}

/// Why a budget or the sizes given with it are no good.
pub(crate) fn budget_fault(
    budget: Option<Amount>,
    known: Option<&Spending>,
    sizes: &[BlobRef],
    tasks: &[TaskSpec],
) -> Option<String> {
    let budget = budget?;
    if budget.0 >= WORST_MAX {
        return Some(format!("a budget of {budget} is more than can be counted with"));
    }
    let given = Spending { sizes: sizes.iter().map(pair).collect(), ..Spending::default() };
    let lacks = |task: &TaskSpec| {
        let unknown = given.unknown(task)?;
        match known {
            Some(known) if known.sizes.contains_key(&unknown) => {
                known.unknown(task).filter(|d| !given.sizes.contains_key(d))
            }
            _ => Some(unknown),
        }
    };
    tasks.iter().find_map(lacks).map(|digest| {
        format!(
            "with a budget every input must be here, or nobody knows what it may cost: {digest} is \
             not (hint: upload it first)"
        )
    })
}

fn pair(blob: &BlobRef) -> (Digest, u64) {
    (blob.digest, blob.size)
}

impl Core {
    /// Writes down the lengths of blobs that the job does not know yet.
    pub(crate) fn commit_sizes(&mut self, job: JobId, sizes: &[BlobRef]) {
        let known = self.jobs.get(&job).map(|j| &j.spending.sizes);
        let new = sizes.iter().filter(|b| known.is_none_or(|k| !k.contains_key(&b.digest)));
        let new: BTreeMap<Digest, u64> = new.map(pair).collect();
        let new: Vec<BlobRef> =
            new.into_iter().map(|(digest, size)| BlobRef { digest, size }).collect();
        for sizes in new.chunks(SIZES_PER_RECORD) {
            self.commit(Record::Sized { job, sizes: sizes.to_vec() });
        }
    }

    pub(crate) fn apply_sizes(&mut self, job: JobId, sizes: &[BlobRef]) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.spending.sizes.extend(sizes.iter().map(pair));
        }
    }

    // --- before work is handed out ---

    /// Whether what is left unreserved covers the worst case of a task under a lease. Tasks that wait
    /// for an audit elsewhere come first: others leave room for them.
    pub(crate) fn affords_now(&self, job: &Job, index: u32, lease: LeaseId) -> bool {
        let Some(left) = job.left() else { return true };
        let (Some(task), Some(hire)) = (job.task(index), self.hires.get(&lease)) else {
            return false;
        };
        let worst = job.spending.worst(&task.spec, &hire.lease().price);
        let at = (lease, task.spec.program);
        let code = match hire.programs.contains(&at.1) || job.spending.code.contains_key(&at) {
            true => 0,
            false => worst.code,
        };
        let first = if job.second.contains_key(&index) { 0 } else { job.second.len() as u128 };
        let need = worst.work.saturating_mul(first.saturating_add(1)).saturating_add(code);
        need <= left.saturating_sub(job.spending.reserved)
    }

    /// Why bills leave too little for a task at a provider, whatever else is released.
    pub(crate) fn budget_obstacle(
        &self,
        job: &Job,
        index: u32,
        provider: NodeId,
        price: &Price,
    ) -> Option<Obstacle> {
        let left = job.left()?;
        let task = job.task(index)?;
        let program = &task.spec.program;
        let worst = job.spending.worst(&task.spec, price);
        let paid = self.hires.values().any(|h| {
            h.provider() == provider && h.lease().price == *price && h.programs.contains(program)
        });
        // As `affords_now`: who can't take what waits for an audit elsewhere is of no use while that
        // uses up the rest, and would only stand in the way of somebody who can.
        let first = if job.second.contains_key(&index) { 0 } else { job.second.len() as u128 };
        let work = worst.work.saturating_mul(first.saturating_add(1));
        let need = work.saturating_add(if paid { 0 } else { worst.code });
        let spent = job.spending.billed;
        if need > left {
            return Some((
                format!(
                    "a task may cost up to {need} there; {left} of the job's budget is left, {spent} \
                     is billed"
                ),
                "run the job again with a larger `--budget` (what is done is not run again), or with \
                 less `--fuel` or `--output-limit`"
                    .to_owned(),
            ));
        }
        (need > left.saturating_sub(job.spending.reserved)).then(|| {
            let reserved = job.spending.reserved;
            (
                format!(
                    "a task may cost up to {need} there; of the {left} left of the job's budget \
                     {reserved} is reserved for what runs"
                ),
                "a larger `--budget`, or less `--fuel` or `--output-limit`, lets more run at once"
                    .to_owned(),
            )
        })
    }

    /// Whether the bills leave enough for a task at a provider.
    pub(crate) fn affords_ever(&self, job: &Job, index: u32, provider: NodeId) -> bool {
        let (Some(left), Some(task)) = (job.left(), job.task(index)) else { return true };
        let mut needs =
            self.prices(job, provider, &task.spec.program).into_iter().map(|(price, with_code)| {
                let worst = job.spending.worst(&task.spec, &price);
                worst.work.saturating_add(if with_code { worst.code } else { 0 })
            });
        needs.any(|need| need <= left)
    }

    /// Prices at which a provider would work for a job now, and whether code would be billed.
    fn prices(&self, job: &Job, provider: NodeId, program: &Digest) -> Vec<(Price, bool)> {
        let offered = self.offers.get(&provider).map(|k| (k.signed.body.price, true));
        let hired = self.hires.values().filter(|h| h.provider() == provider);
        let hired = hired.map(|h| (h.lease().price, !h.programs.contains(program)));
        let max = job.price_max();
        let fits = |price: &Price| max.is_none_or(|max| crate::market::within(price, &max));
        offered.into_iter().chain(hired).filter(|(price, _)| fits(price)).collect()
    }

    /// Reserves the worst case of an assignment that is about to be made.
    pub(crate) fn reserve(&mut self, id: AssignmentId, job: JobId, index: u32) {
        let Some(hire) = self.hires.get(&id.lease) else { return };
        let Some(job) = self.jobs.get_mut(&job) else { return };
        let Some(task) = job.task(index).map(|t| t.spec.clone()) else { return };
        let worst = job.spending.worst(&task, &hire.lease().price);
        let spending = &mut job.spending;
        spending.reserved = spending.reserved.saturating_add(worst.work);
        if !hire.programs.contains(&task.program) {
            let held = spending.code.entry((id.lease, task.program)).or_insert((0, worst.code));
            held.0 += 1;
            if held.0 == 1 {
                spending.reserved = spending.reserved.saturating_add(worst.code);
            }
        }
        let (work, code_bytes, data_bytes) = (worst.work, worst.code_bytes, worst.data_bytes);
        let program = task.program;
        let reserve = Reserve { job: job.id(), program, work, code_bytes, data_bytes };
        self.reserves.insert(id, reserve);
    }

    // --- bills ---

    /// Why a receipt bills more bytes than its assignment can be billed.
    pub(crate) fn bill_fault(
        &self,
        receipt: &Receipt,
        billed_before: &BTreeSet<Digest>,
        billed: &mut BTreeSet<Digest>,
    ) -> Option<String> {
        let id = AssignmentId { lease: receipt.lease, number: receipt.assignment };
        let Some(reserve) = self.reserves.get(&id) else {
            return Some(format!("assignment {} owes nothing more", receipt.assignment));
        };
        let (code, data) = (receipt.code_bytes, receipt.data_bytes);
        if code > reserve.code_bytes {
            return Some(format!(
                "it bills {code} bytes of code; at most {} are",
                reserve.code_bytes
            ));
        }
        if data > reserve.data_bytes {
            return Some(format!(
                "it bills {data} bytes of data; at most {} are",
                reserve.data_bytes
            ));
        }
        let program = reserve.program;
        if code > 0 && (billed_before.contains(&program) || !billed.insert(program)) {
            return Some("it bills the same program a second time".to_owned());
        }
        None
    }

    /// Books the bills of a batch that is being taken: what was reserved for them is free again.
    pub(crate) fn book_bills(&mut self, lease: LeaseId, receipts: &[Receipt]) {
        let mut sums: BTreeMap<JobId, u128> = BTreeMap::new();
        for receipt in receipts {
            let id = AssignmentId { lease, number: receipt.assignment };
            let Some(reserve) = self.reserves.get(&id).copied() else { continue };
            let sum = sums.entry(reserve.job).or_default();
            *sum = sum.saturating_add(receipt.price.0);
            self.release(id);
            if receipt.code_bytes > 0 {
                self.code_billed(lease, reserve.program);
            }
        }
        for (job, amount) in sums {
            self.commit(Record::Billed { job, amount: Amount(amount) });
        }
    }

    /// A program is billed once in a lease: nobody has to reserve for it any more.
    fn code_billed(&mut self, lease: LeaseId, program: Digest) {
        if let Some(hire) = self.hires.get_mut(&lease) {
            hire.programs.insert(program);
        }
        for job in self.running.clone() {
            let Some(job) = self.jobs.get_mut(&job) else { continue };
            if let Some((_, amount)) = job.spending.code.remove(&(lease, program)) {
                job.spending.release(amount);
            }
        }
    }

    pub(crate) fn apply_billed(&mut self, job: JobId, amount: Amount) {
        if let Some(job) = self.jobs.get_mut(&job) {
            job.spending.billed = job.spending.billed.saturating_add(amount.0);
        }
    }

    /// Nothing more is owed for an assignment.
    pub(crate) fn release(&mut self, id: AssignmentId) {
        let Some(reserve) = self.reserves.remove(&id) else { return };
        let Some(job) = self.jobs.get_mut(&reserve.job) else { return };
        job.spending.release(reserve.work);
        job.spending.release_code((id.lease, reserve.program));
    }

    /// Nothing more is owed for a whole lease.
    pub(crate) fn release_lease(&mut self, lease: LeaseId) {
        let first = AssignmentId { lease, number: 0 };
        let last = AssignmentId { lease, number: u64::MAX };
        let ids: Vec<_> = self.reserves.range(first..=last).map(|(id, _)| *id).collect();
        for id in ids {
            self.release(id);
        }
    }

    // --- when it runs short ---

    /// Fails the tasks that no provider in reach could run for what is left, after a while in which a
    /// cheaper one may come.
    pub(crate) fn fail_short(&mut self) {
        let (now, grace) = (self.now, self.config.tuning.exhausted_ms);
        let reachable = self.reachable();
        let mut over = Vec::new();
        for id in self.running.clone() {
            let Some(job) = self.jobs.get(&id).filter(|j| j.record.budget.is_some()) else {
                continue;
            };
            let next = job.retry.iter().take(LOOK_MAX).chain(job.queue.iter().take(LOOK_MAX));
            let short = next.copied().any(|index| self.is_short(job, index, &reachable));
            let since = job.spending.short_since;
            if short && since.is_some_and(|since| now.since_ms(since) >= grace) {
                let all = job.retry.iter().chain(&job.queue).copied();
                over.extend(
                    all.filter(|i| self.is_short(job, *i, &reachable)).map(|index| (id, index)),
                );
            }
            let Some(job) = self.jobs.get_mut(&id) else { continue };
            job.spending.short_since = if short { since.or(Some(now)) } else { None };
        }
        for (id, index) in over {
            let Some(job) = self.jobs.get(&id) else { continue };
            let reason = short_reason(job, self.cheapest(job, index, &reachable));
            self.fail_task(id, index, reason, None);
        }
        self.end_hostages();
    }

    /// Whether a task waits for nothing but money: somebody in reach would do it, nobody for what is
    /// left, and this node does not do it itself.
    fn is_short(&self, job: &Job, index: u32, reachable: &BTreeSet<NodeId>) -> bool {
        let Some(task) = job.task(index).filter(|t| t.live.is_empty()) else { return false };
        let at_home = self.config.home.slots > 0 && job.record.home && task.may_run_at(None);
        if at_home || !matches!(task.phase, Phase::Queued | Phase::Running) {
            return false;
        }
        let mut would = false;
        for node in reachable {
            let Some(offer) = self.offers.get(node).map(|known| &known.signed.body) else {
                continue;
            };
            let fits = task.may_run_at(Some(*node))
                && self.worth_asking(job, index, *node)
                && self
                    .job_obstacle(
                        job,
                        index,
                        &offer.price,
                        offer.memory_bytes,
                        offer.fuel_per_second,
                    )
                    .is_none();
            if fits && self.affords_ever(job, index, *node) {
                return false;
            }
            would |= fits;
        }
        would
    }

    /// The least that a task may cost at worst anywhere in reach.
    fn cheapest(&self, job: &Job, index: u32, reachable: &BTreeSet<NodeId>) -> Option<u128> {
        let task = job.task(index)?;
        let prices = reachable.iter().flat_map(|n| self.prices(job, *n, &task.spec.program));
        let needs = prices.map(|(price, with_code)| {
            let worst = job.spending.worst(&task.spec, &price);
            worst.work.saturating_add(if with_code { worst.code } else { 0 })
        });
        needs.min()
    }

    /// Ends leases under which a job's money is reserved for work that was given up, while its tasks
    /// wait for that money.
    fn end_hostages(&mut self) {
        let mut hostages = BTreeSet::new();
        for id in &self.running {
            let Some(job) = self.jobs.get(id).filter(|j| j.record.budget.is_some()) else {
                continue;
            };
            let Some(index) = job.retry.iter().chain(&job.queue).next().copied() else { continue };
            let active = self.hires.iter().filter(|(_, h)| h.state == HireState::Active);
            let mut affordable = active.clone().map(|(lease, _)| *lease);
            if affordable.any(|lease| self.affords_now(job, index, lease)) {
                continue;
            }
            for (lease, hire) in active {
                let given_up = hire.given_up.keys().any(|number| {
                    let id = AssignmentId { lease: *lease, number: *number };
                    self.reserves.get(&id).is_some_and(|r| r.job == job.id() && r.work > 0)
                });
                if given_up {
                    hostages.insert((*lease, hire.provider()));
                }
            }
        }
        for (lease, provider) in hostages {
            if let Some(hire) = self.hires.get_mut(&lease) {
                hire.state = HireState::Ending;
            }
            self.send(provider, Message::LeaseEnd { lease });
            self.close_if_done(lease);
        }
    }
}

fn short_reason(job: &Job, cheapest: Option<u128>) -> String {
    let budget = job.record.budget.unwrap_or_default();
    let spent = job.spending.billed;
    let need = match cheapest {
        Some(need) => format!("this task may cost up to {need} at the cheapest provider in reach"),
        None => "nobody in reach does this task for the rest".to_owned(),
    };
    format!(
        "{USED_UP}: {spent} of {budget} is billed, and {need} (hint: run it again \
         with a larger `--budget`, what is done is not run again; or with less `--fuel` or `--output-limit`)"
    )
}

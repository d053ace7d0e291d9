//! From the core's views to the API's shapes.

use ayni_api::json::{
    ChannelJson, ConfidenceJson, CostJson, DisputeState, EventJson, EventKind, Evidence, FaultJson,
    JobCounts, JobDetail, JobProvider, JobState, JobSummary, JuryJson, Mismatch, ObservedJson,
    OutcomeJson, PauseReasonJson, PhaseJson, PowerJson, ProofJson, QuoteJson, QuoteProviderJson,
    QuoteRequest, QuoteUnusable, ReadingsJson, RestJson, Schema, Side, StakeJson, TaskRow,
    TaskState, Text, Verification, VerifyJson,
};
use ayni_core as core;
use ayni_court::{Call, Verdict};
use ayni_types::{Account, Fault, Fuel, NodeId, Observed, Price, Verify};
use ayni_wire::{TwoRoots, encode, outcome_digest};

use crate::bank::Staked;
use crate::config::Power;
use crate::news::Numbered;
use crate::owner::{Readings, Rest};

pub(crate) fn job_summary(job: &core::JobView) -> JobSummary {
    JobSummary {
        id: Text(job.id),
        name: job.name.clone(),
        state: match job.state {
            core::JobState::Running if job.open => JobState::Open,
            core::JobState::Running => JobState::Running,
            core::JobState::Ended => JobState::Ended,
            core::JobState::Cancelled => JobState::Cancelled,
        },
        counts: JobCounts {
            tasks: job.counts.tasks,
            queued: job.counts.queued,
            running: job.counts.assigned,
            delivered: job.counts.delivered,
            accepted: job.counts.accepted,
            failed: job.counts.failed + job.counts.dropped,
            held: job.counts.held,
        },
        created_ms: job.submitted.0,
        ended_ms: job.ended.map(|time| time.0),
        billed: Text(job.billed.0),
    }
}

pub(crate) fn proof_json(proof: &TwoRoots) -> ProofJson {
    let header = &proof.first.header;
    ProofJson {
        provider: Text(proof.lease.lease.provider),
        lease: Text(header.lease),
        batch: header.batch,
        first_root: Text(header.root),
        second_root: Text(proof.second.header.root),
        proof: data_encoding::BASE64.encode(&encode(proof)),
    }
}

/// Whether nothing more will happen to a job.
pub(crate) fn is_final(job: &core::JobView) -> bool {
    job.state != core::JobState::Running
}

pub(crate) fn job_detail(
    job: &core::JobView,
    leases: &[core::LeaseView],
    evidence: &[core::Evidence],
    phases: Vec<PhaseJson>,
) -> JobDetail {
    let provider = |view: &core::JobProviderView| {
        let node = view.provider;
        let against = |e: &&core::Evidence| Some(e.provider) == node;
        let slots = leases
            .iter()
            .filter(|lease| {
                Some(lease.peer) == node && !lease.we_provide && lease.state == "active"
            })
            .map(|lease| lease.slots)
            .sum();
        let lost = view.banned.clone().or_else(|| {
            (view.lost > 0)
                .then(|| format!("{} assignments were lost with it and moved", view.lost))
        });
        JobProvider {
            node: node.map(Text),
            slots,
            running: view.in_flight,
            accepted: view.accepted,
            faulted: view.faulted,
            audited: view.audited,
            mismatches: count(evidence.iter().filter(against)),
            doubt_ppm: view.doubt,
            fuel: Text(view.fuel.0),
            price: Text(view.price.0),
            lost,
        }
    };
    let sure = job.confidence;
    JobDetail {
        schema: Schema,
        summary: job_summary(job),
        fuel: Text(job.fuel_total.0),
        price: Text(job.price_total.0),
        budget: job.budget.map(|budget| Text(budget.0)),
        reserved: Text(job.reserved.0),
        budget_used_up: job.short,
        audited: job.audits.made,
        mismatches: job.audits.mismatched,
        retried: job.faults + job.reruns,
        providers: job.providers.iter().map(provider).collect(),
        stalled: job.stall.clone(),
        timeout_ms: job.timeout_ms,
        deadline_ms: job.deadline.map(|time| time.0),
        verify: VerifyJson::from(&job.verify),
        confidence: ConfidenceJson {
            checked: sure.checked,
            agreed: sure.agreed,
            backed: sure.backed,
            unverified: sure.unverified,
            wrong_at_most_micro: sure.wrong_at_most,
            wrong_expected_micro: sure.wrong_expected,
        },
        nondeterministic: job.nondeterministic,
        phases,
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

fn task_state(state: core::TaskState) -> TaskState {
    match state {
        core::TaskState::Queued => TaskState::Queued,
        core::TaskState::Assigned => TaskState::Running,
        core::TaskState::Delivered => TaskState::Delivered,
        core::TaskState::Auditing | core::TaskState::Accepted => TaskState::Accepted,
        core::TaskState::Failed | core::TaskState::Dropped => TaskState::Failed,
    }
}

pub(crate) fn task_row(
    task: &core::TaskView,
    observed: Option<Observed>,
    replaced: bool,
) -> TaskRow {
    let verification = match task.verification {
        core::Grounds::Nothing => None,
        core::Grounds::Home if replaced => Some(Verification::Replaced),
        core::Grounds::Home => Some(Verification::Home),
        core::Grounds::Audited => Some(Verification::Audited),
        core::Grounds::AuditedElsewhere => Some(Verification::AuditedElsewhere),
        core::Grounds::Quorum => Some(Verification::Quorum),
        core::Grounds::Backed => Some(Verification::Backed),
        core::Grounds::Signed => Some(Verification::Signed),
        core::Grounds::Suspect => Some(Verification::Suspect),
        core::Grounds::Disputed => Some(Verification::Disputed),
        core::Grounds::Unverified => Some(Verification::Unverified),
    };
    let running = task.attempts.iter().rfind(|attempt| attempt.ended.is_none());
    let error = match task.state {
        core::TaskState::Dropped => Some("the job was cancelled before it ended".to_owned()),
        _ => task.failure.clone(),
    };
    TaskRow {
        index: task.index,
        task: Text(task.id),
        state: task_state(task.state),
        provider: task.provider.or(running.and_then(|attempt| attempt.provider)).map(Text),
        attempts: count(task.attempts.iter()),
        outcome: task.outcome.as_ref().map(OutcomeJson::from),
        verification,
        confidence_ppm: task.confidence,
        price: task.outcome.as_ref().map(|_| Text(task.price.0)),
        observed: observed.map(ObservedJson::from),
        held: task.held,
        receipt: task.receipt,
        error,
        spec: None,
    }
}

pub(crate) fn faults(task: &core::TaskView) -> Vec<FaultJson> {
    task.attempts.iter().filter_map(|attempt| attempt.fault.as_ref()).map(FaultJson::from).collect()
}

pub(crate) fn evidence(one: &core::Evidence, rerun: u32) -> Evidence {
    Evidence {
        index: one.index,
        task: Text(one.claimed.receipt.task),
        provider: Text(one.provider),
        time_ms: one.time.0,
        claimed: OutcomeJson::from(&one.claimed.outcome),
        found: OutcomeJson::from(&one.found),
        lease: Some(Text(one.claimed.receipt.lease)),
        batch: Some(one.claimed.receipt.batch),
        rerun,
    }
}

pub(crate) fn pause(reason: core::PauseReason) -> PauseReasonJson {
    match reason {
        core::PauseReason::Owner => PauseReasonJson::Owner,
        core::PauseReason::Battery => PauseReasonJson::Battery,
        core::PauseReason::DiskFull => PauseReasonJson::DiskFull,
        core::PauseReason::Hours => PauseReasonJson::Hours,
        core::PauseReason::InUse => PauseReasonJson::InUse,
        core::PauseReason::Busy => PauseReasonJson::Busy,
        core::PauseReason::Memory => PauseReasonJson::Memory,
        core::PauseReason::Hot => PauseReasonJson::Hot,
        core::PauseReason::Metered => PauseReasonJson::Metered,
        core::PauseReason::Transfer => PauseReasonJson::Transfer,
    }
}

pub(crate) fn rest(reason: core::PauseReason, rest: Option<&Rest>) -> RestJson {
    let reason = pause(reason);
    RestJson {
        reason,
        text: rest.map_or_else(|| reason.text().to_owned(), |rest| rest.text.clone()),
        since_ms: rest.map(|rest| rest.since_ms),
        until_ms: rest.and_then(|rest| rest.until_ms),
    }
}

pub(crate) fn readings(read: &Readings) -> ReadingsJson {
    ReadingsJson {
        on_battery: read.on_battery,
        metered: read.metered,
        idle_s: read.idle.map(|idle| idle.as_secs()),
        others_cpu_percent: read.others_cpu_percent,
        free_memory_percent: read.free_memory_percent,
        temperature: read.temperature,
        transferred_today_bytes: Text(read.transferred_today),
    }
}

pub(crate) fn event((id, notice): &Numbered) -> EventJson {
    EventJson {
        id: *id,
        time_ms: notice.time.0,
        job: notice.job.map(Text),
        kind: event_kind(&notice.kind),
    }
}

fn someone(node: Option<NodeId>) -> Option<Text<NodeId>> {
    node.map(Text)
}

fn fault_json(fault: &Fault) -> FaultJson {
    FaultJson::from(fault)
}

pub(crate) fn channel_json(view: core::ChannelView) -> ChannelJson {
    let terms = view.paid_by.terms;
    ChannelJson {
        id: Text(view.id),
        side: if view.we_are_paid { Side::Payee } else { Side::Payer },
        peer: Text(view.peer),
        state: view.state.word().to_owned(),
        payer: Text(terms.payer),
        payee: Text(terms.payee),
        intended: Text(view.intended.0),
        deposit: Text(view.deposit.0),
        owed: Text(view.owed.0),
        promised: Text(view.promised.0),
        claimed: Text(view.claimed.0),
        lost: Text(view.lost.0),
        withdrawal_from_ms: view.withdrawal_from.map(|at| at.0),
        trouble: view.trouble,
    }
}

/// What busy slots took, by their owner's figures.
pub(crate) fn power_json(power: &Power, busy_ms: u64) -> PowerJson {
    let millijoules = power.energy.millijoules(busy_ms);
    // A kilowatt-hour is 3.6 × 10^9 millijoules.
    let cost = millijoules.saturating_mul(power.price_per_kwh.0).div_ceil(3_600_000_000);
    PowerJson {
        declared: power.energy.into(),
        price_per_kwh: Text(power.price_per_kwh.0),
        millijoules: Text(millijoules),
        cost: Text(cost),
        micrograms_co2: Text(power.energy.micrograms(millijoules)),
    }
}

/// What is asked of the core.
pub(crate) fn quote_ask(request: &QuoteRequest) -> core::QuoteAsk {
    core::QuoteAsk {
        tasks: request.tasks.into(),
        limits: request.limits.into(),
        timeout_ms: request.timeout_ms,
        code_bytes: request.code_bytes,
        input_bytes: request.input_bytes,
        input_bytes_max: request.input_bytes_max.unwrap_or(request.input_bytes),
        fuel: request.fuel.map(|fuel| Fuel(fuel.0)),
        output_bytes: request.output_bytes,
        verify: Verify::from(&request.verify),
        providers_max: request.providers_max,
        nondeterministic: request.nondeterministic,
        price_max: request.price_max.map(Price::from),
    }
}

fn cost_json(cost: &core::Cost) -> CostJson {
    CostJson {
        fuel: Text(cost.fuel.0),
        code: Text(cost.code.0),
        data: Text(cost.data.0),
        audits: Text(cost.audits.0),
        total: Text(cost.total().0),
    }
}

pub(crate) fn quote_json(quote: core::QuoteView) -> QuoteJson {
    let provider = |p: core::QuoteProvider| QuoteProviderJson {
        node: Text(p.node),
        slots: p.slots,
        price: p.price.into(),
        tasks: p.tasks,
        expected: Text(p.expected.0),
        audit_ppm: p.audit_ppm,
        trusted: p.trusted,
        channel: p.channel,
        deposit: Text(p.deposit.0),
    };
    let unusable = |(node, reason, hint): (NodeId, String, String)| QuoteUnusable {
        node: Text(node),
        reason,
        hint: (!hint.is_empty()).then_some(hint),
    };
    QuoteJson {
        schema: Schema,
        expected: cost_json(&quote.expected),
        worst: cost_json(&quote.worst),
        audits: quote.audits,
        audits_at_home: quote.audits_at_home,
        budget_least: Text(quote.budget_least.0),
        budget_expected: Text(quote.budget_expected.0),
        deposits: Text(quote.deposits.0),
        energy_millijoules: Text(quote.energy_mj),
        co2_micrograms: Text(quote.co2_ug),
        declared_tasks: quote.declared_tasks,
        quorum_lacks: quote.quorum_lacks,
        providers: quote.providers.into_iter().map(provider).collect(),
        unusable: quote.unusable.into_iter().map(unusable).collect(),
    }
}

fn event_kind(kind: &core::NoticeKind) -> EventKind {
    use core::NoticeKind as Notice;
    match kind {
        Notice::Accepted { tasks, held } => EventKind::Accepted { tasks: *tasks, held: *held },
        Notice::Leased { provider, slots } => {
            EventKind::Leased { provider: Text(*provider), slots: *slots }
        }
        Notice::Channel { channel, provider, deposit, open } => EventKind::Channel {
            channel: Text(*channel),
            provider: Text(*provider),
            deposit: Text(deposit.0),
            open: *open,
        },
        Notice::LeaseRefused { provider, refusal } => EventKind::LeaseRefused {
            provider: Text(*provider),
            code: format!("{:?}", refusal.code),
            reason: refusal.text.clone(),
        },
        Notice::Assigned { index, provider, duplicate } => EventKind::Assigned {
            index: *index,
            provider: someone(*provider),
            duplicate: *duplicate,
        },
        Notice::Delivered { index, provider } => {
            EventKind::Delivered { index: *index, provider: someone(*provider) }
        }
        Notice::TaskAccepted { index, task, outcome, provider, price } => EventKind::TaskAccepted {
            index: *index,
            task: Text(*task),
            outcome: OutcomeJson::from(outcome),
            provider: someone(*provider),
            price: Text(price.0),
            verification: None,
        },
        Notice::TaskFaulted { index, provider, fault } => EventKind::TaskFaulted {
            index: *index,
            provider: someone(*provider),
            fault: fault_json(fault),
        },
        Notice::TaskFailed { index, reason } => {
            EventKind::TaskFailed { index: *index, reason: reason.clone() }
        }
        Notice::AuditAgreed { index, provider } => {
            EventKind::AuditAgreed { index: *index, provider: Text(*provider) }
        }
        Notice::Mismatch { index, provider, claimed, found, rerun } => EventKind::Mismatch {
            index: *index,
            provider: Text(*provider),
            digests: Mismatch { claimed: Text(*claimed), found: Text(*found) },
            rerun: *rerun,
        },
        Notice::ProviderLost { provider, requeued, reason } => EventKind::ProviderLost {
            provider: Text(*provider),
            requeued: *requeued,
            reason: reason.clone(),
        },
        Notice::Stalled { reason } => EventKind::Stalled { reason: reason.clone() },
        Notice::Ended { accepted, failed, cancelled } => {
            EventKind::Ended { accepted: *accepted, failed: *failed, cancelled: *cancelled }
        }
    }
}

/// Whether a home outcome stands where a provider's was contradicted.
pub(crate) fn is_replaced(task: &core::TaskView, evidence: &[core::Evidence]) -> bool {
    let Some(outcome) = &task.outcome else { return false };
    let digest = outcome_digest(outcome);
    evidence.iter().any(|e| e.index == task.index && outcome_digest(&e.found) == digest)
}

pub(crate) fn stake_json(account: Account, staked: &Staked) -> StakeJson {
    let stake = &staked.stake;
    StakeJson {
        schema: Schema,
        account: Text(account),
        staked: Text(stake.staked.0),
        reserved: Text(stake.reserved.0),
        jury: Text(stake.jury.0),
        leaving: Text(stake.leaving.0),
        leaving_from_ms: (stake.leaving.0 > 0).then_some(stake.leaving_from.0),
        free: Text(stake.free().0),
        node: staked.node.map(Text),
        key_until_ms: staked.key_until.0,
        owed: Text(staked.owed.0),
    }
}

fn verdict(verdict: Verdict) -> String {
    match verdict {
        Verdict::None => "none",
        Verdict::Upheld => "upheld",
        Verdict::Overturned => "overturned",
        Verdict::EngineIncident => "engine_incident",
        Verdict::Withheld => "withheld",
    }
    .to_owned()
}

/// Where a dispute stands, as `me` sees it.
pub(crate) fn dispute_json(me: Account, call: &Call) -> DisputeState {
    let dispute = &call.dispute;
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let part = match me {
        me if me == dispute.provider => "provider",
        me if me == dispute.requester => "requester",
        _ => "juror",
    };
    let phase = match dispute.jury() {
        _ if dispute.ended.is_some() => "ended",
        None => "drawing",
        Some((_, jury)) if jury.members.is_empty() => "drawing",
        Some((_, jury)) if jury.found.is_some() => "appealable",
        Some((_, jury)) if jury.revealed.len() == jury.members.len() => "counting",
        Some((_, jury)) if jury.committed.len() == jury.members.len() => "revealing",
        Some(_) => "committing",
    };
    let juries = dispute.juries.iter().map(|jury| JuryJson {
        size: jury.size,
        members: jury.members.iter().map(|member| Text(*member)).collect(),
        committed: count(jury.committed.len()),
        revealed: count(jury.revealed.len()),
        verdict: jury.found.map(|(found, _)| verdict(found)),
    });
    let ended = dispute.ended;
    DisputeState {
        id: dispute.id,
        part: part.to_owned(),
        phase: phase.to_owned(),
        provider: Text(dispute.provider),
        requester: Text(dispute.requester),
        lease: Text(dispute.lease),
        task: Text(dispute.task),
        outcome: Text(dispute.outcome),
        counter_outcome: Text(dispute.counter_outcome),
        price: Text(dispute.price.0),
        juries: juries.collect(),
        appeal_until_ms: call.appeal_until.map(|at| at.0),
        appellant: dispute.appellant.map(Text),
        verdict: ended.map(|ended| verdict(ended.verdict)),
        slashed: Text(ended.map_or(0, |e| e.slashed.0)),
        restitution: Text(ended.map_or(0, |e| e.restitution.0)),
        burned: Text(ended.map_or(0, |e| e.burned.0)),
        trouble: call.trouble.clone(),
    }
}

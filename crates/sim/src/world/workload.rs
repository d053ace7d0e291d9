//! What the nodes of a world are told at their start, and what its users want done.

use ayni_core::{Config, HomeConfig, JobSpec, ProviderConfig, Tuning};
use ayni_types::{
    Amount, BlobRef, Dispute, EngineBuild, EngineId, Fuel, JobId, Limits, NodeAddr, NodeId, Price,
    Roles, TaskSpec, Verify,
};
use ayni_wire::digest;

use super::clients::{Client, Stage};
use super::node::Node;
use super::{EPOCH_MS, money};
use crate::knobs::{Knobs, size};
use crate::prng::Prng;
use crate::runner;

/// The nodes: requesters first, then providers.
pub(super) fn nodes(knobs: &Knobs, chance: &mut Prng) -> Vec<Node> {
    let count = knobs.nodes();
    let id = |at: usize| NodeId(Prng::new(knobs.seed, &format!("node {at}")).seed());
    let requesters = size(knobs.requesters);
    let mut directories = vec![if knobs.directory_at_home > 0 { 0 } else { requesters }];
    if knobs.second_directory > 0 {
        directories.push(count - 1);
    }
    let addresses: Vec<NodeId> = directories.iter().map(|at| id(*at)).collect();
    (0..count)
        .map(|at| {
            let liar = knobs.liars.iter().find(|liar| liar.node == at);
            let fuel_per_ms = chance.between(300_000, 3_000_000);
            let config = config(knobs, chance, (at, id(at)), &addresses, at >= requesters);
            Node::new(id(at), config, fuel_per_ms, liar)
        })
        .collect()
}

fn config(
    knobs: &Knobs,
    chance: &mut Prng,
    (at, node): (usize, NodeId),
    directories: &[NodeId],
    provides: bool,
) -> Config {
    let addr = |node| NodeAddr { node, direct: Vec::new(), relay: None };
    let build = EngineBuild { digest: digest(b"runner"), version: "model".to_owned() };
    let directory = directories.contains(&node);
    let others = directories.iter().filter(|other| **other != node);
    Config {
        roles: Roles { provider: provides, directory, relay: false },
        addr: addr(node),
        provider: provides.then(|| ProviderConfig {
            slots: u32::try_from(chance.between(1, knobs.slots_max)).unwrap_or(1),
            memory_bytes: 1 << 30,
            disk_bytes: 1 << 40,
            price: Price {
                per_gigafuel: Amount(u128::from(chance.between(1, 1_000))),
                per_code_mebibyte: Amount(3),
                per_data_mebibyte: Amount(5),
            },
            busy_percent: 0,
            fuel_per_second: 1_000_000_000,
            walls: Vec::new(),
            build: build.clone(),
            region: None,
            stake: Amount(u128::from(knobs.stake)),
            disputes: (knobs.paid > 0).then_some(money::DISPUTES),
            hold_back: Amount(u128::from(knobs.hold_back)),
            payment: money::payment(knobs, at),
            energy: None,
        }),
        home: HomeConfig {
            slots: if provides { 0 } else { u32::try_from(knobs.home_slots).unwrap_or(1) },
            memory_bytes: 1 << 30,
            build,
        },
        wallet: if provides { None } else { money::wallet(knobs, at) },
        directories: others.map(|other| addr(*other)).collect(),
        tuning: tuning(knobs),
    }
}

fn tuning(knobs: &Knobs) -> Tuning {
    let mut tuning = Tuning::default();
    if knobs.paid > 0 {
        tuning.claim_least = Amount(knobs.claim_least.into());
    }
    tuning
}

/// The users and their jobs.
pub(super) fn clients(knobs: &Knobs, nodes: &mut [Node]) -> Vec<Client> {
    let mut chance = Prng::new(knobs.seed, "workload");
    let mut pool: Vec<TaskSpec> = Vec::new();
    let mut clients = Vec::new();
    for at in 0..size(knobs.jobs) {
        let node = at % size(knobs.requesters);
        let blinded = knobs.blinded_percent > 0 && chance.percent(knobs.blinded_percent);
        let tasks: Vec<TaskSpec> = (0..size(knobs.tasks))
            .map(|n| {
                let mut task = task(knobs, &mut chance, &mut pool, at, n);
                task.blind = blinded.then(|| chance.seed());
                task
            })
            .collect();
        for task in &tasks {
            nodes[node].blobs.extend(runner::inputs(task));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&chance.seed()[..16]);
        let job = JobId(id);
        let open = knobs.open > 0 && chance.percent(50);
        let first = if open { tasks.len() / 2 } else { tasks.len() };
        let cancels = knobs.cancel > 0 && chance.percent(50);
        let providers_max =
            if knobs.providers_max > 0 { knobs.providers_max } else { chance.between(1, 12) };
        clients.push(Client {
            node,
            job,
            first,
            stage: Stage::Submit,
            cancel_at: cancels.then(|| EPOCH_MS + chance.between(1_000, 30_000) * knobs.stretch),
            pending: None,
            asked_at: 0,
            spec: JobSpec {
                id: job,
                name: format!("job {at}"),
                tasks: tasks[..first].to_vec(),
                open,
                timeout_ms: 60_000 * knobs.stretch,
                deadline: None,
                verify: verify(knobs),
                providers_max: u32::try_from(providers_max.max(knobs.quorum)).unwrap_or(1),
                home: knobs.home > 0,
                nondeterministic: false,
                price_max: None,
                budget: (knobs.budget > 0).then(|| Amount(knobs.budget.into())),
                sizes: sizes(knobs, &tasks),
            },
            tasks,
        });
    }
    clients
}

/// Lengths of all that the tasks read, those too that are added later; as long as `runner` says.
fn sizes(knobs: &Knobs, tasks: &[TaskSpec]) -> Vec<BlobRef> {
    let read = tasks.iter().flat_map(runner::inputs).map(|digest| BlobRef { digest, size: 1_000 });
    if knobs.budget > 0 { read.collect() } else { Vec::new() }
}

fn verify(knobs: &Knobs) -> Verify {
    let ppm = |number: u64| u32::try_from(number).unwrap_or(1_000_000);
    Verify {
        rate: (knobs.by_rule == 0).then(|| ppm(knobs.audit_ppm)),
        error: (knobs.error_ppm > 0).then(|| ppm(knobs.error_ppm)),
        quorum: ppm(knobs.quorum.max(1)),
        gain: Amount(u128::from(knobs.gain)),
        dispute: if knobs.paid > 0 { Dispute::Public } else { Dispute::None },
        ..Verify::default()
    }
}

fn task(
    knobs: &Knobs,
    chance: &mut Prng,
    pool: &mut Vec<TaskSpec>,
    job: usize,
    number: usize,
) -> TaskSpec {
    if !pool.is_empty() && chance.percent(knobs.repeated_percent) {
        return pool[size(chance.below(pool.len() as u64))].clone();
    }
    let kind = if chance.percent(knobs.odd_tasks_percent) {
        ["slow", "traps", "never", "picky"][size(chance.below(4))]
    } else {
        "ok"
    };
    let mut args = vec![kind.to_owned(), format!("{job}/{number}")];
    if knobs.stretch > 1 {
        args.push(knobs.stretch.to_string());
    }
    let spec = TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(format!("program {}", job % 2).as_bytes()),
        args,
        env: Vec::new(),
        stdin: Some(digest(format!("input {job}/{number}").as_bytes())),
        mounts: Vec::new(),
        limits: Limits {
            memory_bytes: 64 << 20,
            fuel: Fuel(30_000_000_000 * knobs.stretch),
            stack_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        blind: None,
    };
    pool.push(spec.clone());
    spec
}

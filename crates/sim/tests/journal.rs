//! What a core makes of records that its store should never hand it: half a record, a flipped bit, a
//! missing batch. The store promises whole batches and checks its pages; below that promise a core
//! may refuse to start, and must not panic.

use ayni_core::{Command, CommandId};
use ayni_core::{Config, Core, Effect, Event, HomeConfig, JobSpec, RecoverError, Tuning};
use ayni_sim::seal::SimSeal;
use ayni_types::{
    Digest, EngineBuild, EngineId, Fuel, JobId, Limits, NodeAddr, NodeId, Roles, TaskSpec, Time,
    Verify,
};

const ME: NodeId = NodeId([1; 32]);

fn config() -> Config {
    Config {
        roles: Roles::default(),
        addr: NodeAddr { node: ME, direct: Vec::new(), relay: None },
        provider: None,
        home: HomeConfig {
            slots: 1,
            memory_bytes: 1 << 30,
            build: EngineBuild { digest: Digest([0; 32]), version: "model".to_owned() },
        },
        wallet: None,
        directories: Vec::new(),
        tuning: Tuning::default(),
    }
}

fn task(number: u32) -> TaskSpec {
    TaskSpec {
        engine: EngineId::wasi1(),
        program: Digest([2; 32]),
        args: vec!["ok".to_owned(), number.to_string()],
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits {
            memory_bytes: 64 << 20,
            fuel: Fuel(1_000_000),
            stack_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        blind: None,
    }
}

/// What a core writes for a job of three tasks, batch by batch.
fn journal() -> Vec<Vec<Vec<u8>>> {
    let mut core = Core::new(config(), Box::new(SimSeal::new(ME)), [0; 32], Time(1_000));
    let job = JobSpec {
        id: JobId([7; 16]),
        name: "a job".to_owned(),
        tasks: (0..3).map(task).collect(),
        open: true,
        timeout_ms: 1_000,
        deadline: None,
        verify: Verify::default(),
        providers_max: 1,
        home: true,
        nondeterministic: false,
        price_max: None,
        budget: None,
        sizes: Vec::new(),
    };
    let job_id = job.id;
    let mut batches = Vec::new();
    let commands = [Command::SubmitJob(job), Command::CloseJob { job: job_id }];
    for (id, command) in (0..).zip(commands) {
        core.handle(Time(2_000), Event::Command { id: CommandId(id), command });
        while let Some(effect) = core.poll_effect() {
            if let Effect::Persist { sequence, records } = effect {
                batches.push(records);
                core.handle(Time(2_000), Event::Persisted { sequence });
            }
        }
    }
    batches
}

fn recover(records: Vec<Vec<u8>>) -> Result<Core, RecoverError> {
    let seal = Box::new(SimSeal::new(ME));
    Core::recover(config(), seal, [1; 32], Time(3_000), records.into_iter())
}

#[test]
fn whole_batches_are_recovered_from() {
    let batches = journal();
    assert!(batches.len() >= 2);
    for kept in 0..=batches.len() {
        assert!(recover(batches[..kept].concat()).is_ok(), "{kept} batches");
    }
}

#[test]
fn half_a_record_is_refused() {
    let whole = journal().concat();
    let last = whole.last().unwrap().len();
    for length in 0..last {
        let mut torn = whole.clone();
        torn.last_mut().unwrap().truncate(length);
        let error = recover(torn).err().expect("a torn record is no record");
        assert!(matches!(error, RecoverError::Empty { .. } | RecoverError::Damaged { .. }));
    }
}

#[test]
fn a_missing_batch_is_noticed() {
    let batches = journal();
    assert!(matches!(recover(batches[1..].concat()), Err(RecoverError::Gap { .. })));
}

#[test]
fn a_flipped_bit_never_panics() {
    let whole = journal().concat();
    let mut refused = 0;
    for record in 0..whole.len() {
        for bit in 0..whole[record].len() * 8 {
            let mut flipped = whole.clone();
            flipped[record][bit / 8] ^= 1 << (bit % 8);
            refused += u32::from(recover(flipped).is_err());
        }
    }
    // Some flips make another well-formed record: finding those is the store's part.
    assert!(refused > 100, "{refused} flips refused");
}

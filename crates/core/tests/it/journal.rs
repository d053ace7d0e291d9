//! The journal: what is written is read, and what is not ours is refused with a reason.

use ayni_core::{
    Command, Config, Core, HomeConfig, Record, RecoverError, Tuning, WireSeal, decode_record,
    encode_record,
};
use ayni_types::{EngineBuild, JobId, NodeAddr, Roles, Time};
use ayni_wire::{EvmSigner, NodeKey, digest};

use crate::stage::{Stage, honest, job};

fn recover(records: Vec<Vec<u8>>) -> Result<Core, RecoverError> {
    let node = NodeKey::from_secret(&[1; 32]);
    let id = node.id();
    let seal = WireSeal::new(node, EvmSigner::from_secret(&[1; 32]).expect("a scalar"));
    let build = EngineBuild { digest: digest(b"runner"), version: String::new() };
    let config = Config {
        roles: Roles::default(),
        addr: NodeAddr { node: id, direct: Vec::new(), relay: None },
        provider: None,
        home: HomeConfig { slots: 1, memory_bytes: 1 << 30, build },
        wallet: None,
        directories: Vec::new(),
        tuning: Tuning::default(),
    };
    Core::recover(config, Box::new(seal), [0; 32], Time(5_000_000), records.into_iter())
}

fn written() -> Vec<Vec<u8>> {
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b"])));
    stage.pass(10_000);
    stage.actors[0].journal.clone()
}

#[test]
fn any_prefix_of_batches_is_a_state_to_go_on_from() {
    let records = written();
    let starts: Vec<usize> = (0..records.len())
        .filter(|at| matches!(decode_record(0, &records[*at]), Ok(Record::Batch { .. })))
        .collect();
    assert!(starts.len() >= 4);
    let mut accepted = 0;
    for end in starts.into_iter().chain([records.len()]) {
        let core = recover(records[..end].to_vec()).expect("a prefix is whole");
        let now = core.job(JobId([1; 16])).map_or(0, |j| j.counts.accepted);
        assert!(now >= accepted, "what was accepted stays so");
        accepted = now;
    }
    assert_eq!(accepted, 2);
}

#[test]
fn numbering_goes_on_after_a_restart() {
    let records = written();
    let batches = |records: &[Vec<u8>]| {
        let sequence = |r: &Vec<u8>| match decode_record(0, r) {
            Ok(Record::Batch { sequence }) => Some(sequence),
            _ => None,
        };
        records.iter().filter_map(sequence).max().unwrap_or(0)
    };
    let mut stage = Stage::new(&[("ann", honest)]);
    stage.command(0, Command::SubmitJob(job(1, &["a", "b"])));
    stage.pass(10_000);
    stage.restart(0);
    let before = batches(&stage.actors[0].journal);
    assert_eq!(before, batches(&records));
    stage.command(0, Command::SubmitJob(job(2, &["c"])));
    stage.pass(10_000);
    assert!(batches(&stage.actors[0].journal) > before);
    stage.restart(0);
    assert_eq!(stage.actors[0].core.jobs().len(), 2);
}

#[test]
fn journals_that_are_not_ours_are_refused_by_name() {
    let good = written();
    let check = |change: fn(&mut Vec<Vec<u8>>), part: &str| {
        let mut records = good.clone();
        change(&mut records);
        let error = recover(records).err().map(|e| e.to_string()).unwrap_or_default();
        assert!(error.contains(part), "`{error}` should say `{part}`");
    };
    check(|r| r[2][0] = 9, "record 2 has version 9; this build reads version 4");
    check(|r| r[1].truncate(4), "record 1 is damaged");
    check(|r| r[3].push(0), "record 3 is damaged");
    check(|r| r[1].clear(), "record 1 is empty");
    check(
        |r| {
            let second = (1..r.len())
                .find(|at| matches!(decode_record(0, &r[*at]), Ok(Record::Batch { .. })))
                .expect("more than one batch");
            r.drain(..second);
        },
        "some are missing",
    );
    assert_eq!(encode_record(&Record::Batch { sequence: 7 })[0], 4);
}

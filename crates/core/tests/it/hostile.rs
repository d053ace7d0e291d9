//! Peers that say anything at any time: no panic, nothing grows past its limit, work goes on.

use ayni_core::{Command, Event};
use ayni_types::{
    Amount, AssignmentId, BatchHeader, BatchKey, BlobRef, Digest, End, EngineBuild, EngineId,
    Exhausted, Fault, FaultKind, Fuel, JobId, Lease, LeaseId, NodeAddr, NodeId, NodeSignature,
    Observed, Offer, OutFile, Outcome, Price, Receipt, Roles, TaskId, Time,
};
use ayni_wire::{
    Assign, Delivered, EvmSignature, FullLease, Hello, Message, Query, Refusal, RefusalCode,
    Signed, SignedBatch, SignedHeader, TwoRoots,
};
use proptest::prelude::*;

use crate::stage::{Stage, honest, job, task};

/// A few ids, so that strangers hit upon real ones.
fn lease_id(n: u8, known: &[LeaseId]) -> LeaseId {
    known.get(n as usize % 4).copied().unwrap_or(LeaseId([n; 16]))
}

fn message(kind: u8, n: u8, number: u64, known: &[LeaseId], me: NodeId, them: NodeId) -> Message {
    let lease = lease_id(n, known);
    let assignment = AssignmentId { lease, number: number % 8 };
    let addr = NodeAddr { node: me, direct: Vec::new(), relay: None };
    let build = EngineBuild { digest: Digest([n; 32]), version: "x".repeat(n as usize) };
    let blob = BlobRef { digest: Digest([n; 32]), size: number };
    let terms = Lease {
        id: lease,
        requester: if n.is_multiple_of(2) { me } else { them },
        provider: if n.is_multiple_of(3) { me } else { them },
        engine: EngineId::wasi1(),
        build: build.clone(),
        slots: u32::from(n),
        memory_bytes: number,
        price: Price { per_gigafuel: Amount(u128::MAX), ..Price::default() },
        fuel_per_second: number,
        voucher_step: Amount(0),
        stake_reserved: Amount(0),
        batch_key: BatchKey([n; 20]),
        hold_back: Amount(0),
        audit_commitment: Digest([n; 32]),
        paid_by: None,
        issued: Time(number),
        expires: Time(u64::MAX),
    };
    let signature = NodeSignature([n; 64]);
    let header = BatchHeader { lease, batch: number % 3, count: 1, root: Digest([n; 32]) };
    let receipt = Receipt {
        lease,
        batch: number,
        index: 0,
        assignment: number % 4,
        task: TaskId([n; 32]),
        outcome: Digest([n; 32]),
        fuel: Fuel(number),
        code_bytes: number,
        data_bytes: number,
        price: Amount(u128::MAX),
        observed: Observed::default(),
    };
    match kind % 21 {
        0 => Message::Hello(Hello {
            version: u32::from(n),
            agent: "\u{1b}[2J".repeat(n as usize),
            roles: Roles { provider: true, directory: true, relay: true },
            addr,
        }),
        1 | 16 => Message::Publish(Signed {
            body: Offer {
                node: me,
                sequence: number,
                issued: Time(0),
                expires: Time(number),
                slots: u32::MAX,
                slots_free: u32::MAX,
                memory_bytes: u64::MAX,
                disk_bytes: 0,
                engines: vec![EngineId::wasi1()],
                build,
                fuel_per_second: 0,
                price: Price::default(),
                walls: Vec::new(),
                region: None,
                addr,
                batch_key: BatchKey([n; 20]),
                stake: Amount(0),
                hold_back: Amount(0),
                payment: None,
                energy: None,
            },
            signature,
        }),
        2 => Message::Query(Query {
            id: number,
            engine: EngineId("?".into()),
            memory_bytes: number,
            count_max: u32::MAX,
        }),
        3 => Message::Offers { query: number % 40, offers: Vec::new() },
        4 => Message::LeaseAsk(Signed { body: terms, signature }),
        5 => Message::LeaseGrant(FullLease {
            lease: terms,
            requester: signature,
            provider: signature,
            backing: None,
        }),
        6 => Message::LeaseRefuse {
            lease,
            refusal: Refusal { code: RefusalCode::NoSlotFree, text: "\0".repeat(n as usize) },
        },
        7 => Message::LeaseEnd { lease },
        8 => Message::Assign(Assign {
            id: assignment,
            task: task("hostile"),
            timeout_ms: number,
            holders: vec![addr; n as usize % 9],
        }),
        9 => Message::Delivered(Delivered {
            assignment,
            outcome: Outcome {
                end: if n.is_multiple_of(2) {
                    End::Exit(0)
                } else {
                    End::Exhausted(Exhausted::Fuel)
                },
                fuel: Fuel(number),
                stdout: blob,
                stderr: blob,
                files: vec![OutFile { path: "../../x".into(), blob }; n as usize % 3],
            },
            observed: Observed::default(),
            inline: vec![vec![n; n as usize].into(); n as usize % 9],
        }),
        10 => Message::Faulted {
            assignment,
            fault: Fault { kind: FaultKind::Draining, detail: "é".repeat(n as usize * 9) },
        },
        11 => Message::Cancel { assignment },
        12 => Message::Batch(SignedBatch {
            header,
            signature: EvmSignature([n; 65]),
            receipts: vec![receipt; n as usize % 4],
        }),
        13 => Message::BatchAck { lease, batch: number % 4, taken: !number.is_multiple_of(3) },
        14 => Message::Ping { leases: vec![lease; n as usize] },
        19 => Message::Compiling { assignment },
        17 => Message::AuditSeed { lease, seed: Digest([n; 32]) },
        18 => {
            let signed = SignedHeader { header, signature: EvmSignature([n; 65]) };
            let lease = FullLease {
                lease: terms,
                requester: signature,
                provider: signature,
                backing: None,
            };
            Message::TwoRoots(Box::new(TwoRoots { lease, first: signed, second: signed }))
        }
        _ => Message::Pong { dead: vec![lease; n as usize] },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn strangers_can_say_anything(
        said in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u64>(), 0_usize..3), 1..120)
    ) {
        let mut stage = Stage::new(&[("ann", honest), ("ben", honest)]);
        stage.command(0, Command::SubmitJob(job(1, &["a", "b", "c"])));
        for (at, (kind, n, number, victim)) in said.into_iter().enumerate() {
            let known: Vec<LeaseId> =
                stage.actors.iter().flat_map(|a| a.core.leases()).map(|l| l.id).collect();
            let stranger = NodeId([200 + u8::try_from(at % 5).expect("small"); 32]);
            let target = stage.actors[victim].id;
            let message = message(kind, n, number, &known, stranger, target);
            let now = stage.now;
            stage.actors[victim].core.handle(now, Event::Message { from: stranger, message });
            stage.settle();
            if at % 10 == 0 {
                stage.pass(700);
            }
        }
        stage.pass(60_000);
        for actor in &stage.actors {
            let sizes = actor.core.sizes();
            prop_assert!(sizes.offers < 10 && sizes.grants <= 2 && sizes.hires < 5, "{sizes:?}");
        }
        let view = stage.actors[0].core.job(JobId([1; 16])).expect("there");
        prop_assert_eq!(view.counts.accepted, 3);
    }
}

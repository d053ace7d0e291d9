//! One valid value of everything that travels or is signed, made with fixed keys. The tests, the
//! published vectors and the fuzzers start from these.

use ayni_types::{
    Account, Amount, AssignmentId, BatchHeader, BlobRef, ChannelTerms, Digest, End, Energy,
    EngineBuild, EngineId, EnvVar, Exhausted, Fault, FaultKind, Fuel, GuestPath, Lease, LeaseId,
    Ledger, Limits, Mount, MountKind, NodeAddr, Observed, Offer, OutFile, Outcome, PaidBy, Payment,
    Price, Receipt, Roles, TaskSpec, Time, TrapCode, Tree, TreeEntry, Wall,
};
use ayni_wire::{
    Assign, Backing, Case, Delivered, EvmSigner, FullLease, Hello, Message, NodeKey,
    PROTOCOL_VERSION, Query, ReceiptFile, Refusal, RefusalCode, Signed, SignedBatch, SignedHeader,
    Ticket, TwoRoots, Voucher, batch_hash, channel_id, digest, leaf_hash, merkle_proof,
    merkle_root, outcome_digest, task_id,
};

/// 2026-01-01T00:00:00Z in milliseconds since 1970.
pub(crate) const NOW: Time = Time(1_767_225_600_000);

/// Secret of the requester's identity key.
pub(crate) const REQUESTER_SECRET: [u8; 32] = [1; 32];
/// Secret of the provider's identity key.
pub(crate) const PROVIDER_SECRET: [u8; 32] = [2; 32];
/// Secret of the provider's batch key.
pub(crate) const BATCH_SECRET: [u8; 32] = [3; 32];

/// Seed that the lease commits to.
pub(crate) const AUDIT_SEED: [u8; 32] = [9; 32];

pub(crate) fn requester() -> NodeKey {
    NodeKey::from_secret(&REQUESTER_SECRET)
}

pub(crate) fn provider() -> NodeKey {
    NodeKey::from_secret(&PROVIDER_SECRET)
}

pub(crate) fn batch_signer() -> EvmSigner {
    EvmSigner::from_secret(&BATCH_SECRET).expect("a small number is a scalar")
}

pub(crate) fn addr() -> NodeAddr {
    NodeAddr {
        node: provider().id(),
        direct: ["192.0.2.7:4550", "[2001:db8::7]:4550"]
            .map(|text| text.parse().expect("a socket address"))
            .to_vec(),
        relay: Some("https://relay.example/".to_owned()),
    }
}

fn blob(bytes: &[u8]) -> BlobRef {
    BlobRef { digest: digest(bytes), size: bytes.len() as u64 }
}

/// A task with something in every field.
pub(crate) fn task() -> TaskSpec {
    let mount = |path: &str, kind, bytes: &[u8]| Mount {
        path: GuestPath::new(path).expect("a valid path"),
        kind,
        blob: digest(bytes),
    };
    let env = |name: &str, value: &str| EnvVar { name: name.to_owned(), value: value.to_owned() };
    TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(b"program"),
        args: vec!["grid".to_owned(), "--from".to_owned(), "0".to_owned()],
        env: vec![env("LANG", "qu_PE.UTF-8"), env("SEED", "7")],
        stdin: Some(digest(b"stdin")),
        mounts: vec![
            mount("/in/grid.json", MountKind::File, b"grid"),
            mount("/in/tree", MountKind::Tree, &ayni_wire::encode(&tree())),
        ],
        limits: Limits {
            memory_bytes: 64 << 20,
            fuel: Fuel(10_000_000_000),
            stack_bytes: 1 << 20,
            output_bytes: 1 << 20,
        },
        blind: Some([7; 32]),
    }
}

/// The smallest task.
pub(crate) fn small_task() -> TaskSpec {
    TaskSpec {
        engine: EngineId::wasi1(),
        program: digest(b"program"),
        args: Vec::new(),
        env: Vec::new(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits::default(),
        blind: None,
    }
}

pub(crate) fn tree() -> Tree {
    let entry = |path: &str, bytes: &[u8]| TreeEntry {
        path: path.to_owned(),
        blob: digest(bytes),
        size: bytes.len() as u64,
    };
    Tree { entries: vec![entry("a/b.txt", b"one"), entry("a/c.txt", b"two"), entry("b", b"")] }
}

/// An outcome with files.
pub(crate) fn outcome() -> Outcome {
    let file = |path: &str, bytes: &[u8]| OutFile { path: path.to_owned(), blob: blob(bytes) };
    Outcome {
        end: End::Exit(0),
        fuel: Fuel(1_234_567_890),
        stdout: blob(b"hello"),
        stderr: blob(b""),
        files: vec![file("a/b.txt", b"one"), file("result.json", b"{}")],
    }
}

/// One outcome for each way to end.
pub(crate) fn outcomes() -> Vec<(&'static str, Outcome)> {
    let other = |end| Outcome { end, files: Vec::new(), ..outcome() };
    vec![
        ("exit 0 with files", outcome()),
        ("exit 4294967295", other(End::Exit(u32::MAX))),
        ("trap", other(End::Trap(TrapCode::IntegerDivisionByZero))),
        (
            "exhausted",
            Outcome {
                end: End::Exhausted(Exhausted::Fuel),
                fuel: Fuel(10_000_000_000),
                stdout: blob(b""),
                stderr: blob(b""),
                files: Vec::new(),
            },
        ),
    ]
}

pub(crate) fn build() -> EngineBuild {
    EngineBuild { digest: digest(b"ayni-runner"), version: "ayni-runner 0.1.0, x86_64".to_owned() }
}

pub(crate) fn price() -> Price {
    Price {
        per_gigafuel: Amount(1_000),
        per_code_mebibyte: Amount(100),
        per_data_mebibyte: Amount(10),
    }
}

pub(crate) fn offer() -> Offer {
    Offer {
        node: provider().id(),
        sequence: 42,
        issued: NOW,
        expires: NOW.after_ms(300_000),
        slots: 4,
        slots_free: 3,
        memory_bytes: 4 << 30,
        disk_bytes: 10 << 30,
        engines: vec![EngineId::wasi1()],
        build: build(),
        fuel_per_second: 1_500_000_000,
        price: price(),
        walls: vec![Wall::UserNamespace, Wall::Seccomp, Wall::NoNewPrivileges],
        region: Some("PE".to_owned()),
        addr: addr(),
        batch_key: batch_signer().key(),
        stake: Amount(70_000_000),
        hold_back: Amount(3_000_000),
        payment: Some(Payment {
            ledger: ledger(),
            token: Account([0xe5; 20]),
            payee: Account([0xe3; 20]),
            payee_key: Account([0xe4; 20]),
            withdraw_delay_s: 86_400,
            step: Amount(5_000_000),
        }),
        energy: Some(Energy { slot_milliwatts: 9_500, grams_per_kwh: 210 }),
    }
}

pub(crate) fn lease() -> Lease {
    Lease {
        id: LeaseId([4; 16]),
        requester: requester().id(),
        provider: provider().id(),
        engine: EngineId::wasi1(),
        build: build(),
        slots: 2,
        memory_bytes: 1 << 30,
        price: price(),
        fuel_per_second: 1_500_000_000,
        voucher_step: Amount(5_000_000),
        stake_reserved: Amount(70_000_000),
        batch_key: batch_signer().key(),
        issued: NOW,
        expires: NOW.after_ms(3_600_000),
        hold_back: Amount(3_000_000),
        audit_commitment: digest(&[&b"ayni audit seed"[..], &AUDIT_SEED].concat()),
        paid_by: Some(PaidBy { ledger: ledger(), terms: channel() }),
    }
}

pub(crate) fn ledger() -> Ledger {
    Ledger { chain: 31_337, channels: Account([0xe0; 20]) }
}

pub(crate) fn channel() -> ChannelTerms {
    ChannelTerms {
        payer: Account([0xe1; 20]),
        payer_key: Account(payer_key().key().0),
        payee: Account([0xe3; 20]),
        payee_key: Account([0xe4; 20]),
        token: Account([0xe5; 20]),
        withdraw_delay_s: 86_400,
        salt: [0xe6; 32],
    }
}

pub(crate) fn voucher() -> Voucher {
    let channel = channel_id(&ledger(), &channel());
    Voucher::sign(&ledger(), channel, Amount(4_000_000), &payer_key())
}

/// The session key that signs the channel's vouchers.
pub(crate) fn payer_key() -> EvmSigner {
    EvmSigner::from_secret(&[0x77; 32]).expect("a small number is a scalar")
}

pub(crate) fn full_lease() -> FullLease {
    let lease = lease();
    let message = Signed::message(&lease);
    let disputes = Account([0x44; 20]);
    let hash = Backing::hash(&lease, &disputes).expect("it is paid");
    let backing = Some(Backing { disputes, signature: batch_signer().sign(&hash) });
    let (requester, provider) = (requester().sign(&message), provider().sign(&message));
    FullLease { requester, provider, lease, backing }
}

/// A batch of `count` receipts for [`task`] and [`outcome`].
pub(crate) fn batch(count: u32) -> SignedBatch {
    let (task, outcome, lease) = (task(), outcome(), lease());
    let receipts: Vec<_> = (0..count)
        .map(|index| {
            let (code_bytes, data_bytes) = (if index == 0 { 3 << 20 } else { 0 }, 1_000);
            Receipt {
                lease: lease.id,
                batch: 9,
                index,
                assignment: u64::from(index) + 100,
                task: task_id(&task),
                outcome: outcome_digest(&outcome),
                fuel: outcome.fuel,
                code_bytes,
                data_bytes,
                price: lease.price.of(outcome.fuel, code_bytes, data_bytes),
                observed: Observed {
                    wall_ms: 1_200,
                    compile_ms: 30,
                    cpu_ms: 1_100,
                    memory_bytes_peak: 12 << 20,
                },
            }
        })
        .collect();
    let leaves: Vec<_> = receipts.iter().map(leaf_hash).collect();
    let header = BatchHeader { lease: lease.id, batch: 9, count, root: merkle_root(&leaves) };
    SignedBatch { signature: batch_signer().sign(&batch_hash(&header)), header, receipts }
}

/// The receipt at `index` of a batch of `count`, standing alone.
pub(crate) fn receipt_file(count: u32, index: u32) -> ReceiptFile {
    let SignedBatch { header, signature, receipts } = batch(count);
    let leaves: Vec<_> = receipts.iter().map(leaf_hash).collect();
    let at = index as usize;
    ReceiptFile {
        version: 1,
        task: task(),
        outcome: outcome(),
        receipt: receipts[at].clone(),
        proof: merkle_proof(&leaves, at).expect("the index is below the count"),
        header,
        signature,
        lease: full_lease(),
    }
}

/// A dispute, as a juror is told of it.
pub(crate) fn case() -> Case {
    let disputes = Account([0x44; 20]);
    Case { chain: 31_337, disputes, dispute: 7, receipt: receipt_file(3, 1) }
}

/// Two roots for one batch number: proof of fraud.
pub(crate) fn two_roots() -> TwoRoots {
    let signed = |count| {
        let SignedBatch { header, signature, .. } = batch(count);
        SignedHeader { header, signature }
    };
    TwoRoots { lease: full_lease(), first: signed(3), second: signed(5) }
}

pub(crate) fn ticket() -> Ticket {
    let issuer = NodeAddr { node: requester().id(), ..addr() };
    Ticket { issuer: requester().id(), peers: vec![issuer, addr()], expires: NOW.after_ms(1_000) }
}

/// One message of each kind, in the order of their numbers.
pub(crate) fn messages() -> Vec<(&'static str, Message)> {
    let lease = lease().id;
    let assignment = AssignmentId { lease, number: 100 };
    vec![
        (
            "hello",
            Message::Hello(Hello {
                version: PROTOCOL_VERSION,
                agent: "ayni 0.1.0".to_owned(),
                roles: Roles { provider: true, directory: true, relay: false },
                addr: addr(),
            }),
        ),
        ("publish", Message::Publish(provider().seal(offer()))),
        (
            "query",
            Message::Query(Query {
                id: 5,
                engine: EngineId::wasi1(),
                memory_bytes: 64 << 20,
                count_max: 256,
            }),
        ),
        ("offers", Message::Offers { query: 5, offers: vec![provider().seal(offer())] }),
        ("lease ask", Message::LeaseAsk(requester().seal(self::lease()))),
        ("lease grant", Message::LeaseGrant(full_lease())),
        (
            "lease refuse",
            Message::LeaseRefuse {
                lease,
                refusal: Refusal {
                    code: RefusalCode::NoSlotFree,
                    text: "all 4 slots are leased".to_owned(),
                },
            },
        ),
        ("lease end", Message::LeaseEnd { lease }),
        (
            "assign",
            Message::Assign(Assign {
                id: assignment,
                task: task(),
                timeout_ms: 60_000,
                holders: vec![addr()],
            }),
        ),
        (
            "delivered",
            Message::Delivered(Delivered {
                assignment,
                outcome: outcome(),
                observed: Observed { wall_ms: 1_200, ..Observed::default() },
                inline: vec![b"output".to_vec().into(), Vec::new().into()],
            }),
        ),
        (
            "faulted",
            Message::Faulted {
                assignment,
                fault: Fault { kind: FaultKind::Timeout, detail: "after 60 s".to_owned() },
            },
        ),
        ("cancel", Message::Cancel { assignment }),
        ("batch", Message::Batch(batch(3))),
        ("batch ack", Message::BatchAck { lease, batch: 9, taken: true }),
        ("ping", Message::Ping { leases: vec![lease] }),
        ("pong", Message::Pong { dead: vec![lease] }),
        ("audit seed", Message::AuditSeed { lease, seed: Digest(AUDIT_SEED) }),
        ("two roots", Message::TwoRoots(Box::new(two_roots()))),
        ("voucher", Message::Voucher(voucher())),
        ("compiling", Message::Compiling { assignment }),
        ("case", Message::Case(Box::new(case()))),
    ]
}

//! Where the fuzzer starts: valid inputs for each target, made anew from the samples, so that they
//! follow the types. What the fuzzer found beyond them is kept in `corpus/`.

use std::path::Path;

use arbitrary::Unstructured;
use ayni_core::{AcceptRecord, AuditDraw, JobRecord, ReceiptAt, Record, encode_record};
use ayni_types::{Amount, End, Fault, FaultKind, Fuel, JobId, TaskSpec, Verify};
use ayni_wire::encode;
use ayni_wire::frame::{BlobAnswer, BlobRequest, BlobStatus, FrameHead};
use ayni_wire::runner::{
    CheckReport, CompileHow, FileSection, Reply, Request, RunOrder, RunReport, Section,
};
use bao_tree::io::outboard::PreOrderMemOutboard;
use bao_tree::io::sync::encode_ranges_validated;

use crate::order::JailOrder;
use crate::receipts::BATCHES;
use crate::{limits, messages, sample, segment};

type Seeds = Vec<Vec<u8>>;

/// Seeds of every target, by its name. `project` is the project's folder.
#[must_use]
pub fn all(project: &Path) -> Vec<(&'static str, Seeds)> {
    vec![
        ("frame", frames()),
        ("message", sample::messages().iter().map(|(_, message)| encode(message)).collect()),
        (
            "task",
            vec![encode(&sample::task()), encode(&sample::small_task()), encode(&sample::tree())],
        ),
        ("outcome", sample::outcomes().iter().map(|(_, outcome)| encode(outcome)).collect()),
        ("signed", signed()),
        ("batch", BATCHES.iter().map(|count| encode(&sample::batch(*count))).collect()),
        ("receipt", BATCHES.iter().map(|count| encode(&sample::receipt_file(*count, 0))).collect()),
        ("ticket", vec![sample::ticket().to_text(&sample::requester()).into_bytes()]),
        ("packets", packets()),
        ("output", outputs()),
        ("jail", jail()),
        ("journal", journal()),
        ("segment", segments()),
        ("ids", ids()),
        (
            "job_file",
            files(
                project,
                &["examples/grid/job.toml", "examples/weather/job.toml", "examples/co2/job.toml"],
                &JOB_FILES,
            ),
        ),
        ("table", texts(&TABLES)),
        ("settings", texts(&SETTINGS)),
        ("json", json()),
        ("query", texts(&QUERIES)),
        ("program", programs()),
        ("smith", (1..24).map(random).collect()),
    ]
}

fn texts(texts: &[&str]) -> Seeds {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn files(project: &Path, names: &[&str], more: &[&str]) -> Seeds {
    let read = names.iter().filter_map(|name| std::fs::read(project.join(name)).ok());
    read.chain(texts(more)).collect()
}

fn frames() -> Seeds {
    let mut number = 0;
    let mut stream = Vec::new();
    for (_, message) in sample::messages() {
        let bytes = encode(&message);
        number += 1;
        let length = u32::try_from(bytes.len()).expect("a sample is small");
        stream.extend_from_slice(&FrameHead { length, number }.to_bytes());
        stream.extend_from_slice(&bytes);
    }
    let request = BlobRequest { digest: ayni_wire::digest(b""), start: 16_384, end: 40_000 };
    let answer = BlobAnswer { status: BlobStatus::Here, size: 40_000 };
    vec![stream, request.to_bytes().to_vec(), answer.to_bytes().to_vec()]
}

fn signed() -> Seeds {
    vec![
        encode(&sample::provider().seal(sample::offer())),
        encode(&sample::requester().seal(sample::lease())),
        encode(&sample::full_lease()),
        encode(&sample::two_roots()),
    ]
}

fn report() -> RunReport {
    let section = |offset, bytes| Section { offset, bytes };
    let file = |path: &str| FileSection { path: path.to_owned(), section: section(0, 3) };
    RunReport {
        end: End::Exit(0),
        fuel: Fuel(5),
        stdout: section(0, 5),
        stderr: section(5, 0),
        files: vec![file("a/b"), file("c")],
        cpu_ms: 7,
        state: None,
    }
}

fn packets() -> Seeds {
    let check = CheckReport {
        kind: "module".to_owned(),
        imports: vec!["wasi_snapshot_preview1.fd_write".to_owned()],
        ..CheckReport::default()
    };
    let fault = Fault { kind: FaultKind::DiskFull, detail: "no space".to_owned() };
    let task = sample::task();
    let engine = task.engine.clone();
    let mut seeds: Seeds = [
        Request::Check,
        Request::Compile { engine, how: CompileHow::Optimised },
        Request::Run,
        Request::Blob { size: Some(9) },
        Request::Blob { size: None },
    ]
    .iter()
    .map(encode)
    .collect();
    seeds.extend(
        [
            Reply::Ready { version: "ayni-runner".to_owned() },
            Reply::Checked(check.clone()),
            Reply::Compiled { artefact_bytes: 9 },
            Reply::Invalid(check),
            Reply::NeedBlob { digest: task.program },
            Reply::Done { report_offset: 9, report_bytes: 9 },
            Reply::Faulted(fault),
        ]
        .iter()
        .map(encode),
    );
    seeds.push(encode(&RunOrder { task, how: CompileHow::Baseline, witness: true }));
    seeds.push(encode(&report()));
    seeds
}

fn outputs() -> Seeds {
    let bare = RunReport { files: Vec::new(), ..report() };
    [report(), bare]
        .iter()
        .map(|report| [&5_u16.to_le_bytes()[..], b"hello", &encode(report)].concat())
        .collect()
}

fn jail() -> Seeds {
    let order = JailOrder {
        runner: "/usr/bin/ayni-runner".to_owned(),
        libraries: vec!["/lib/libc.so.6".to_owned()],
        user_namespace: true,
        file_bytes_max: 1 << 30,
        memory_bytes_max: 1 << 30,
        memory_counted: false,
        background: true,
        cpu_grouped: false,
    };
    let lines =
        ["stands 3", "missing 5 why", "started 7", "failed exec", "exited 3", "signalled 9"];
    std::iter::once(encode(&order)).chain(texts(&lines)).collect()
}

fn journal() -> Seeds {
    let (job, time, lease) = (JobId([1; 16]), sample::NOW, sample::lease());
    let accept = AcceptRecord {
        job,
        index: 1,
        outcome: sample::outcome(),
        provider: Some(lease.provider),
        price: Amount(5),
        receipt: Some(ReceiptAt { lease: lease.id, batch: 9, leaf: 0 }),
        audit: Some(AuditDraw { rate: 50_000, drawn: true }),
        time,
    };
    let submitted = JobRecord {
        id: job,
        name: "grid".to_owned(),
        open: true,
        timeout_ms: 60_000,
        deadline: Some(time),
        verify: Verify { rate: Some(50_000), error: Some(1_000), ..Verify::default() },
        providers_max: 16,
        home: true,
        nondeterministic: false,
        price_max: Some(sample::price()),
        submitted: time,
        budget: Some(Amount(1_000_000)),
    };
    let tasks: Vec<TaskSpec> = vec![sample::task(), sample::small_task()];
    let reason = "three providers had the same fault".to_owned();
    [
        Record::Batch { sequence: 7 },
        Record::JobSubmitted(submitted),
        Record::TasksAdded { job, tasks },
        Record::JobClosed { job },
        Record::JobEnded { job, time, cancelled: false },
        Record::LeaseAsked(lease.clone()),
        Record::LeaseMade(sample::full_lease()),
        Record::LeaseClosed { lease: lease.id },
        Record::BatchTaken(sample::batch(3)),
        Record::TaskAccepted(accept.clone()),
        Record::TaskFailed { job, index: 1, reason, fault: Some(FaultKind::Timeout), time },
        Record::AuditAgreed { job, index: 1, time, by: Some(lease.provider) },
        Record::AuditGivenUp { job, index: 1, reason: "no memory".to_owned() },
        Record::Contested(accept.clone()),
        Record::Voted(accept),
        Record::Mismatch { job, index: 1, found: sample::outcome(), time },
        Record::Equivocation { provider: lease.provider, second: sample::batch(1), time },
        Record::LeaseGranted(sample::full_lease()),
        Record::BatchSigned(sample::batch(1)),
        Record::BatchAcked { lease: lease.id, batch: 9, taken: true },
        Record::GrantClosed { lease: lease.id },
        Record::OfferIssued { sequence: 42 },
        Record::AuditsDrawn {
            job,
            provider: lease.provider,
            rate: 50_000,
            looked: vec![1, 2, 300],
            drawn: vec![2],
        },
        Record::Proven { proof: Box::new(sample::two_roots()), time },
        Record::Outvoted { job, index: 1, digest: sample::task().program, time },
    ]
    .iter()
    .map(encode_record)
    .collect()
}

fn segments() -> Seeds {
    let mut seeds = Vec::new();
    for (which, (bytes, _)) in (0..).zip(messages::blobs()) {
        let proof = PreOrderMemOutboard::create(bytes, segment::GROUP);
        let size = bytes.len() as u64;
        let ranges = segment::segments(0..size).chain(std::iter::once(segment::tail(size)));
        for (how, range) in (0..).zip(ranges) {
            if range.end - range.start < limits::SEGMENT_BYTES {
                let mut seed = vec![which, how];
                encode_ranges_validated(&bytes[..], &proof, &segment::chunks(&range), &mut seed)
                    .expect("an honest blob can be encoded");
                seeds.push(seed);
            }
        }
    }
    seeds
}

fn ids() -> Seeds {
    let lease = sample::full_lease();
    vec![
        lease.lease.provider.to_string().into_bytes(),
        sample::task().program.to_string().into_bytes(),
        lease.lease.id.to_string().into_bytes(),
        lease.lease.batch_key.to_string().into_bytes(),
        lease.provider.to_string().into_bytes(),
        b"/in/a b/c.txt".to_vec(),
        "/日本/x".as_bytes().to_vec(),
        b"/a/../b".to_vec(),
    ]
}

fn json() -> Seeds {
    let task = serde_json::to_string(&ayni_api::json::TaskJson::from(&sample::task()));
    let task = task.expect("a task can be written");
    let id = "0123456789abcdef0123456789abcdef";
    let digest = sample::task().program;
    let ticket = sample::ticket().to_text(&sample::requester());
    let bodies = [
        format!(r#"{{"id":"{id}","name":"n","tasks":[{task}],"open":true,"verify":{{"audit_ppm":5,"quorum":2,"outside_gain":"7"}}}}"#),
        format!(r#"{{"first_index":3,"tasks":[{task},{task}]}}"#),
        task.clone(),
        format!(r#"{{"task":{task},"timeout_ms":60000}}"#),
        format!(r#"{{"program":"{digest}"}}"#),
        format!(r#"{{"ticket":"{ticket}"}}"#),
        r#"{"valid_ms":60000}"#.to_owned(),
        format!(r#"{{"digests":["{digest}"]}}"#),
        r#"{"schema":1,"ok":false,"steps":[{"name":"form","ok":true,"detail":"canonical"}],"outcome":null,"re_executed":null}"#
            .to_owned(),
    ];
    (0_u8..).zip(bodies).map(|(which, body)| [&[which], body.as_bytes()].concat()).collect()
}

/// Bytes that look random and are the same each time.
fn random(seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; 300 + usize::try_from(seed).expect("small") * 60];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Small programs only: the fuzzer's inputs are as long as the longest.
fn programs() -> Seeds {
    let mut seeds = Vec::new();
    for seed in 1..60 {
        let bytes = random(seed);
        let config = wasm_smith::Config { max_tables: 4, ..wasm_smith::Config::default() };
        if let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(&bytes)) {
            let program = module.to_bytes();
            if program.len() <= 2_000 {
                seeds.push(program);
            }
        }
    }
    // The smallest component, and one with the smallest module in it.
    let component = b"\0asm\x0d\0\x01\0";
    seeds.push(component.to_vec());
    seeds.push([&component[..], b"\x01\x08", b"\0asm\x01\0\0\0"].concat());
    seeds
}

const JOB_FILES: [&str; 3] = [
    r#"program = "p.wasm"
args = ["--from", "{start}", "--to", "{end}", "{{x}}"]
mounts = [{ host = "d.txt", guest = "/in/d" }]
range = { from = 0, to = 9, step = 3 }
env = { A = "{index}" }
memory = "256MiB"
fuel = 50_000_000_000
timeout = "1.5h"
audit = 0.1
error_rate = 0.001
quorum = 3
providers = 5
"#,
    "1.5GiB",
    "-5..1_000",
];
const TABLES: [&str; 3] =
    ["a,b\n1,2\n3,4\n", "\u{feff}lat,index\n\"1,5\", x\n\"a\"\"b\",\n", "x\r\n{}\r\n"];
const SETTINGS: [&str; 2] = [
    r#"listen = ["0.0.0.0:4550"]
lan = true
peers = ["ayni1abc"]
relays = ["https://relay.example/"]
directory = false
api = "127.0.0.1:8080"
provide = true
cpus = 3
memory = "4GiB"
disk = "1.5GB"
price_per_gigafuel = 1000
region = "PE"
on_battery = true
home_cpus = 1
exit_when_idle_s = 60
"#,
    "api = \"[::1]:0\"\nserve_relay = \"0.0.0.0:3340\"\ncheat = \"wrong\"\n",
];
const QUERIES: [&str; 3] = [
    "/v1/jobs/0123456789abcdef0123456789abcdef/tasks?from=5&count=100&state=accepted",
    "/v1/jobs/x/tasks?state=failed&from=%30",
    "http://127.0.0.1:1/v1/why?job=0123456789abcdef0123456789abcdef",
];

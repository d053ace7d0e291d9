//! Forged packets: the protocol spoken by a liar.

use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use ayni_types::{Digest, End, Exhausted, Fault, FaultKind, Fuel};
use ayni_wire::runner::{CheckReport, FileSection, Reply, RunOrder, RunReport, Section};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};

use crate::{Context, finish, receive, report_as, send, send_raw, sys};

fn honest() -> RunReport {
    RunReport {
        end: End::Exit(0),
        fuel: Fuel(1),
        stdout: Section::default(),
        stderr: Section::default(),
        files: Vec::new(),
        cpu_ms: u64::MAX,
        state: None,
    }
}

fn file(path: &str) -> FileSection {
    FileSection { path: path.into(), section: Section { offset: 0, bytes: 1 } }
}

/// Works without end.
pub(crate) fn spin() -> ! {
    loop {
        std::hint::spin_loop();
    }
}

/// Waits without end.
pub(crate) fn sleep() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3_600));
    }
}

/// Answers a `Run` with the lie called `name`.
pub(crate) fn send_forged(name: &str, context: &Context) {
    let output = &context.output;
    match name {
        "none" => report_as(output, "", &honest()),
        "huge packet" => send_raw(&vec![0; 70 << 10]),
        "empty packet" => send_raw(&[]),
        "garbage" => send_raw(&[0xff; 100]),
        "not canonical" => {
            let mut bytes = ayni_wire::encode(&Reply::Done { report_offset: 0, report_bytes: 0 });
            bytes.push(0);
            send_raw(&bytes);
        }
        "descriptors" => {
            let bytes = ayni_wire::encode(&Reply::Done { report_offset: 0, report_bytes: 0 });
            let files = [output.as_fd(); 200];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(200))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
            let _ = rustix::net::sendmsg(
                std::io::stdin(),
                &[IoSlice::new(&bytes)],
                &mut control,
                SendFlags::NOSIGNAL,
            );
        }
        "wrong answer" => send(&Reply::Checked(CheckReport::default())),
        "ready again" => send(&Reply::Ready { version: "\u{1b}[2J".into() }),
        "report out of bounds" => {
            send(&Reply::Done { report_offset: u64::MAX, report_bytes: 10 });
        }
        "report of 1 TiB" => {
            output.write_all_at(&[0; 100], 0).unwrap();
            send(&Reply::Done { report_offset: 0, report_bytes: 1 << 40 });
        }
        "report is garbage" => {
            output.write_all_at(&[0xff; 100], 0).unwrap();
            send(&Reply::Done { report_offset: 0, report_bytes: 100 });
        }
        "section out of bounds" => {
            let stdout = Section { offset: u64::MAX - 1, bytes: 3 };
            report_as(output, "x", &RunReport { stdout, ..honest() });
        }
        "fuel above the limit" => {
            report_as(output, "x", &RunReport { fuel: Fuel(u64::MAX), ..honest() });
        }
        "exhausted with output" => {
            let stdout = Section { offset: 0, bytes: 1 };
            let fuel = ayni_types::Limits::default().fuel;
            let end = End::Exhausted(Exhausted::Fuel);
            report_as(output, "x", &RunReport { stdout, fuel, end, ..honest() });
        }
        "path climbs" => {
            report_as(output, "x", &RunReport { files: vec![file("../../etc/x")], ..honest() });
        }
        "absolute path" => {
            report_as(output, "x", &RunReport { files: vec![file("/etc/x")], ..honest() });
        }
        "one range many times" => {
            let text = "x".repeat(1 << 16);
            let whole = Section { offset: 0, bytes: 1 << 16 };
            let files = (0..4_096).map(|i| FileSection { path: format!("{i:04}"), section: whole });
            report_as(output, &text, &RunReport { files: files.collect(), ..honest() });
        }
        "ask for blobs without end" => loop {
            // Does not read the answers, so the socket fills.
            send(&Reply::NeedBlob { digest: Digest([7; 32]) });
        },
        "ask and read without end" => loop {
            send(&Reply::NeedBlob { digest: Digest([7; 32]) });
            if receive().is_none() {
                return;
            }
        },
        "ask for another's blob" => {
            send(&Reply::NeedBlob { digest: Digest([7; 32]) });
            let got = receive().map(|(request, fds)| format!("{request:?} {} fds", fds.len()));
            finish(output, &got.unwrap_or_default());
        }
        "says nothing" => sleep(),
        "spins" => spin(),
        "exits" => std::process::exit(3),
        "last words" => {
            eprintln!("{}the disk of the machine is odd", "noise ".repeat(100_000));
            std::process::exit(4);
        }
        "crashes" => sys::crash(),
        "floods stderr" => loop {
            eprintln!("{}", "\u{1b}[2J".repeat(1_000));
        },
        "claims to be cancelled" => send(&Reply::Faulted(Fault {
            kind: FaultKind::Cancelled,
            detail: "\u{1b}[2J".repeat(10_000),
        })),
        "answers twice" => {
            finish(output, "first");
            send(&Reply::Done { report_offset: 0, report_bytes: 5 });
        }
        other => finish(output, &format!("no such lie: {other}")),
    }
}

/// Answers a `Next` with the lie that its last argument names.
pub(crate) fn next(order: &RunOrder) {
    let section = |offset, bytes| Section { offset, bytes };
    let (stdout, bytes) = match order.task.args.last().map(String::as_str) {
        Some("out of bounds") => (section(1, u64::MAX), b"few".to_vec()),
        Some("too much") => (section(0, 1 << 15), vec![b'x'; 1 << 15]),
        Some("done") => return send(&Reply::Done { report_offset: 0, report_bytes: 5 }),
        Some("asks") => return send(&Reply::NeedBlob { digest: Digest([7; 32]) }),
        _ => (section(0, 6), b"honest".to_vec()),
    };
    let report = RunReport {
        end: End::Exit(0),
        fuel: Fuel(1),
        stdout,
        stderr: Section::default(),
        files: Vec::new(),
        cpu_ms: 0,
        state: None,
    };
    send(&Reply::Small { report, bytes });
}

//! A hostile native program in the runner's place, for tests.
//!
//! Inside a jail it speaks just enough of the runner's protocol to be handed a script (the program,
//! copied into the artefact), tries the attack that the script names, and reports what came of it
//! as the run's standard output. Called with arguments it tries the same attack without a jail.

#![allow(clippy::unwrap_used)]

mod attacks;
mod forge;
mod sys;

use std::collections::HashMap;
use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use ayni_sandbox::{Sandbox, SandboxConfig, SlotLimits};
use ayni_types::{End, Fuel};
use ayni_wire::runner::{CheckReport, PACKET_BYTES_MAX, Reply, Request, RunReport, Section};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendFlags,
};

/// What an attack has to work with.
pub(crate) struct Context {
    values: HashMap<String, String>,
    /// A file that the daemon owns, opened for reading.
    pub(crate) artefact: File,
    /// A file that the daemon owns, opened for writing.
    pub(crate) output: File,
}

impl Context {
    pub(crate) fn text(&self, key: &str) -> &str {
        self.values.get(key).map_or("", String::as_str)
    }

    pub(crate) fn number(&self, key: &str) -> i64 {
        self.text(key).parse().unwrap_or(0)
    }
}

fn pairs<'a>(lines: impl Iterator<Item = &'a str>) -> HashMap<String, String> {
    lines
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        // What others are to be attacked: lives until its stdin closes.
        Some("victim") => {
            let _ = std::io::stdin().read_to_end(&mut Vec::new());
        }
        Some("daemon") => daemon(&args[2], &args[3]),
        Some("list") => println!("{}", attacks::NAMES.join("\n")),
        Some(attack) => {
            let values = pairs(args[2..].iter().map(String::as_str));
            let open = |key: &str, write| {
                File::options().read(true).write(write).open(values.get(key).unwrap()).unwrap()
            };
            let (artefact, output) = (open("artefact", false), open("output", true));
            let context = Context { artefact, output, values };
            match attacks::attempt(attack, &context) {
                Ok(how) => println!("ok: {how}"),
                Err(error) => println!("refused: {error}"),
            }
        }
        None => serve(),
    }
}

/// Stands in for a daemon that is killed: opens a slot whose runner spins, says its process id.
fn daemon(jail: &str, scratch: &str) {
    let config = SandboxConfig {
        runner: std::env::current_exe().unwrap(),
        jail: jail.into(),
        compile_background: false,
        ..SandboxConfig::beside("/nowhere", scratch)
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let slot = Sandbox::new(config).await.unwrap().open_slot(SlotLimits::default()).await;
        println!("{}", slot.as_ref().unwrap().pid());
        std::future::pending::<()>().await;
    });
}

fn serve() {
    send(&Reply::Ready { version: "hostile 1".into() });
    loop {
        let Some((request, mut descriptors)) = receive() else { return };
        match request {
            Request::Check => send(&Reply::Checked(CheckReport::default())),
            Request::Compile { .. } => {
                let mut artefact = File::from(descriptors.remove(1));
                let mut program = File::from(descriptors.remove(0));
                let mut bytes = Vec::new();
                program.read_to_end(&mut bytes).unwrap();
                match bytes.as_slice() {
                    b"compiles without end" => forge::spin(),
                    b"never compiles" => forge::sleep(),
                    b"is starved while it compiles" => {
                        std::thread::sleep(std::time::Duration::from_secs(4));
                    }
                    _ => {}
                }
                if bytes == b"forge: wrong length" {
                    bytes.pop();
                    artefact.write_all(b"xx").unwrap();
                } else {
                    artefact.write_all(&bytes).unwrap();
                }
                send(&Reply::Compiled { artefact_bytes: bytes.len() as u64 });
            }
            Request::Run => {
                let output = File::from(descriptors.remove(2));
                let mut artefact = File::from(descriptors.remove(1));
                let mut script = String::new();
                artefact.read_to_string(&mut script).unwrap();
                drop(descriptors);
                let name = script.lines().next().unwrap_or_default().to_owned();
                let context = Context { values: pairs(script.lines().skip(1)), artefact, output };
                if let Some(forged) = name.strip_prefix("forge: ") {
                    forge::send_forged(forged, &context);
                    continue;
                }
                let text = match attacks::attempt(&name, &context) {
                    Ok(how) => format!("ok: {how}"),
                    Err(error) => format!("refused: {error}"),
                };
                finish(&context.output, &text);
            }
            Request::Blob { .. } => {}
            Request::Next(order) => forge::next(&order),
        }
    }
}

/// An honest report with `text` as the standard output.
pub(crate) fn finish(output: &File, text: &str) {
    let report = RunReport {
        end: End::Exit(0),
        fuel: Fuel(1),
        stdout: Section { offset: 0, bytes: text.len() as u64 },
        stderr: Section::default(),
        files: Vec::new(),
        cpu_ms: 0,
        state: None,
    };
    report_as(output, text, &report);
}

pub(crate) fn report_as(output: &File, text: &str, report: &RunReport) {
    let _ = output.set_len(0);
    output.write_all_at(text.as_bytes(), 0).unwrap();
    let bytes = ayni_wire::encode(report);
    output.write_all_at(&bytes, text.len() as u64).unwrap();
    send(&Reply::Done { report_offset: text.len() as u64, report_bytes: bytes.len() as u64 });
}

pub(crate) fn send(reply: &Reply) {
    send_raw(&ayni_wire::encode(reply));
}

pub(crate) fn send_raw(bytes: &[u8]) {
    let mut control = SendAncillaryBuffer::default();
    let _ = rustix::net::sendmsg(
        std::io::stdin(),
        &[IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    );
}

pub(crate) fn receive() -> Option<(Request, Vec<OwnedFd>)> {
    let mut buffer = vec![0; PACKET_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let packet = rustix::net::recvmsg(
        std::io::stdin(),
        &mut [IoSliceMut::new(&mut buffer)],
        &mut control,
        RecvFlags::empty(),
    )
    .ok()?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            descriptors.extend(fds);
        }
    }
    Some((ayni_wire::decode(&buffer[..packet.bytes]).ok()?, descriptors))
}

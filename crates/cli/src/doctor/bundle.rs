//! `ayni doctor --bundle FILE`: what somebody who helps would ask for, in one tar file that can be
//! looked through before it is sent.
//!
//! Everything in it passes the redactor; at the end the whole file is searched for every known secret,
//! and not written if one is found. Deliberately not here: keys, tokens, the journal, programs, inputs,
//! results, names of jobs; and sending it.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ayni_api::json::{Check, Schema};
use ayni_api::{ApiError, Client, codes};
use ayni_node::Machine;
use serde_json::{Value, json};

use super::redact::Redactor;
use super::{ask, text};
use crate::commands::io;
use crate::quantity::show_bytes;
use crate::ui::Ui;

/// So much of the end of the log.
const LOG_BYTES_MAX: u64 = 2 << 20;
/// Text settings that say nothing about anybody.
const SETTINGS_KEPT: [&str; 4] = ["memory", "disk", "region", "cheat"];
/// Most entries of the home that are listed.
const ENTRIES_MAX: usize = 500;

/// Writes it.
pub(super) async fn write(
    file: &Path,
    home: &Path,
    client: Option<&Client>,
    checks: &[Check],
    addresses: bool,
    ui: &Ui,
) -> Result<(), ApiError> {
    let mut redactor = Redactor::new(home, addresses);
    let peers = ask(client, |client| async move { client.peers().await }).await;
    let status = ask(client, |client| async move { client.status().await }).await;
    let metrics = ask(client, |client| async move { client.metrics().await }).await;
    let settings = settings(home, &mut redactor);
    for peer in peers.iter().flat_map(|list| &list.peers) {
        peer.agent.iter().for_each(|agent| redactor.host(agent));
    }
    if let Ok(status) = &status {
        status.addr.relay.iter().for_each(|relay| redactor.host(relay));
    }
    let peers = peers.map(|list| {
        let line = |peer: &ayni_api::json::Peer| {
            json!({
                "node": peer.node, "connected": peer.connected, "path": peer.path,
                "direct": peer.direct, "rtt_ms": peer.rtt_ms, "roles": peer.roles,
                "agent": peer.agent, "seen_ms": peer.seen_ms,
            })
        };
        Value::from(list.peers.iter().map(line).collect::<Vec<_>>())
    });
    let status = status.map(|mut status| {
        for job in &mut status.jobs_running {
            // Names are their owner's words.
            job.name = String::new();
        }
        json!(status)
    });
    let parts = [
        ("about.json", pretty(&about())),
        ("doctor.txt", text(checks)),
        ("status.json", pretty(&said(status))),
        ("peers.json", pretty(&said(peers))),
        ("metrics.txt", metrics.unwrap_or_else(|why| format!("# {why}\n"))),
        ("config.toml", settings),
        ("home.txt", listing(home)),
        ("daemon.log", log(home)),
    ];
    let time_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut archive = tar::Builder::new(Vec::new());
    let failed = |error: std::io::Error| io("can't pack", file, &error);
    for (name, part) in &parts {
        let text = redactor.clean(part);
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o600);
        header.set_mtime(time_s);
        header.set_size(text.len() as u64);
        let path = format!("ayni-doctor/{name}");
        archive.append_data(&mut header, path, text.as_bytes()).map_err(failed)?;
    }
    let bytes = archive.into_inner().map_err(failed)?;
    let leaks = redactor.leaks(&bytes);
    if leaks > 0 {
        let why = format!("`{}` is not written: {leaks} secrets would be in it", file.display());
        return Err(ApiError::new(codes::NODE_INTERNAL, why)
            .hint("this is a fault of ours: tell us, and send nothing"));
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options
        .open(file)
        .and_then(|mut out| out.write_all(&bytes))
        .map_err(|error| io("can't write", file, &error))?;
    let (shown, count) = (file.display(), parts.len());
    ui.note(&format!(
        "{shown}: {count} files, {}; nothing is sent",
        show_bytes(bytes.len() as u64)
    ));
    ui.hint(&format!("look through it before you pass it on: tar -xOf {shown} | less"));
    Ok(())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn said(answer: Result<Value, String>) -> Value {
    answer.unwrap_or_else(|why| json!({ "missing": why }))
}

/// This program and this machine.
fn about() -> Value {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let os = read("/etc/os-release");
    let os = os.lines().find_map(|line| line.strip_prefix("PRETTY_NAME=")).unwrap_or("?");
    let machine = Machine::read();
    let uname = rustix::system::uname();
    json!({
        "schema": Schema,
        "version": env!("CARGO_PKG_VERSION"),
        "development": cfg!(debug_assertions),
        "os": os.trim_matches('"'),
        "kernel": uname.release().to_string_lossy(),
        "machine": uname.machine().to_string_lossy(),
        "cpus": machine.cpus,
        "memory_bytes": machine.memory_bytes,
        "root": rustix::process::geteuid().is_root(),
        "security_modules": read("/sys/kernel/security/lsm").trim(),
        "cgroup": read("/proc/self/cgroup").lines().count(),
    })
}

/// The settings without what is somebody's: numbers and switches stay, text goes.
fn settings(home: &Path, redactor: &mut Redactor) -> String {
    let Ok(text) = fs::read_to_string(home.join("config.toml")) else {
        return "# there is no config.toml\n".to_owned();
    };
    let mut table: toml::Table = match text.parse() {
        Ok(table) => table,
        // The error would quote the line.
        Err(_) => return "# config.toml is not valid TOML, and is left out\n".to_owned(),
    };
    strip(&mut table, redactor);
    toml::to_string(&table).unwrap_or_else(|error| format!("# {error}\n"))
}

fn strip(table: &mut toml::Table, redactor: &mut Redactor) {
    for (key, value) in table.iter_mut() {
        match value {
            toml::Value::Table(inner) => strip(inner, redactor),
            toml::Value::String(text) if !SETTINGS_KEPT.contains(&key.as_str()) => {
                redactor.host(text);
                *text = "[removed]".to_owned();
            }
            toml::Value::Array(list) => {
                for item in list {
                    if let toml::Value::String(text) = item {
                        redactor.host(text);
                    }
                    *item = toml::Value::from("[removed]");
                }
            }
            _ => {}
        }
    }
}

/// Names, modes and sizes of what is in the home, one level deep.
fn listing(home: &Path) -> String {
    let mut lines = Vec::new();
    let mut list = |folder: &Path, lead: &str| {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(ENTRIES_MAX) {
            let Ok(meta) = entry.metadata() else { continue };
            let (mode, bytes) = (meta.permissions().mode() & 0o7777, meta.len());
            let kind = if meta.is_dir() { "/" } else { "" };
            let name = entry.file_name().to_string_lossy().into_owned();
            lines.push(format!("{mode:04o} {bytes:>12} {lead}{name}{kind}\n"));
        }
    };
    list(home, "");
    list(&home.join("keys"), "keys/");
    lines.sort_by(|a, b| a[18..].cmp(&b[18..]));
    lines.concat()
}

/// The end of the log that a daemon wrote here.
fn log(home: &Path) -> String {
    let path = home.join("daemon.log");
    let read = || {
        let mut file = fs::File::open(&path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.take(LOG_BYTES_MAX).read_to_end(&mut bytes)?;
        std::io::Result::Ok(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!(
            "# no daemon.log here ({error}): a daemon in the foreground writes to its terminal, a \
             service to the journal (journalctl -u ayni)\n"
        ),
    }
}

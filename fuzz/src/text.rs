//! What people, scripts and files say: job files, tables, settings, JSON bodies, queries.

use axum::extract::Query;
use ayni_api::json;
use ayni_types::{Digest, JobId, Limits, TaskSpec};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::expand::{Common, MapFile, Split, expand};
use crate::jobfile::{self, JobFile};
use crate::node_config::{Config, Layer, Machine, parse_size};
use crate::{params, quantity};

/// Tasks that one input may make here, so that an input costs microseconds.
const TASKS_MAX: u64 = 64;
/// Columns of a table that its arguments ask for, for the same reason.
const COLUMNS_MAX: usize = 32;

fn common(args: Vec<String>) -> Common {
    Common {
        program: Digest([1; 32]),
        program_name: "p".to_owned(),
        args,
        env: [("INDEX".to_owned(), "{index}".to_owned())].into(),
        stdin: None,
        mounts: Vec::new(),
        limits: Limits::default().into(),
    }
}

/// Expands a split; labels must be safe names of files, each its own.
fn planned(common: &Common, split: &Split) {
    let count = split.count();
    if count > TASKS_MAX {
        return;
    }
    let Ok(tasks) = expand(common, split) else { return };
    assert_eq!(tasks.len() as u64, count);
    let mut labels = std::collections::HashSet::new();
    for task in tasks {
        let label = &task.label;
        assert!(!label.is_empty() && !label.contains(['/', '\\', '\0']), "{label:?}");
        assert!(!label.starts_with(['.', '-']) && !label.chars().any(char::is_control));
        assert!(labels.insert(label.to_lowercase()), "{label:?} is there twice");
        assert!(task.task.env.contains_key("INDEX"));
    }
}

/// A job file, and everything in it that is a quantity or a template.
pub fn job_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    quantities(text);
    if let Ok(entry) = jobfile::range(text, 1) {
        assert!(entry.from < entry.to);
    }
    let Ok(file) = JobFile::parse(text) else { return };
    let _ = file.limits();
    for share in file.shares().into_iter().flatten().flatten() {
        assert!(share <= 1_000_000);
    }
    let common = Common { env: file.env.clone(), ..common(file.args.clone()) };
    let common = Common {
        env: common.env.into_iter().chain([("INDEX".to_owned(), String::new())]).collect(),
        ..common
    };
    planned(&common, &Split::Single);
    if let Some(Ok(range)) = file.range.map(jobfile::RangeEntry::checked) {
        planned(&common, &Split::Range { from: range.from, to: range.to, step: range.step });
    }
    let names = file.mounts.iter().map(|mount| MapFile {
        name: mount.host.rsplit('/').next().unwrap_or_default().to_owned(),
        digest: Digest([2; 32]),
        size: 1,
    });
    planned(&common, &Split::Map(names.collect()));
}

/// A number without its unit is read as it is written.
fn quantities(text: &str) {
    let numbers = [
        quantity::count(text),
        quantity::bytes(text),
        quantity::duration_ms(text),
        parse_size(text),
    ];
    for number in numbers.into_iter().flatten() {
        assert_eq!(quantity::count(&number.to_string()), Ok(number));
        assert_eq!(quantity::bytes(&number.to_string()), Ok(number));
        assert_eq!(parse_size(&number.to_string()), Ok(number));
    }
    // The two readers of sizes agree where both accept.
    if let (Ok(a), Ok(b)) = (quantity::bytes(text), parse_size(text)) {
        let unit = text.trim_end().to_ascii_lowercase();
        // `k`, `m`, `g`, `t` alone are decimal for a job, binary in the settings.
        assert!(a == b || unit.ends_with(['k', 'm', 'g', 't']), "{text:?}: {a} and {b}");
    }
    if let Ok(ppm) = quantity::rate_ppm(text) {
        assert!(ppm <= 1_000_000);
    }
}

/// A table of parameters: a task a row, its cells filled in.
pub fn table(data: &[u8]) {
    let Ok(split) = params::read(data) else { return };
    let Split::Params { columns, rows } = &split else { panic!("not a table") };
    assert!(!columns.is_empty() && !rows.is_empty());
    assert!(rows.iter().all(|row| row.len() == columns.len()));
    if rows.len() as u64 > TASKS_MAX {
        return;
    }
    let args = columns.iter().take(COLUMNS_MAX).map(|name| format!("--x={{{name}}}")).collect();
    if let Ok(tasks) = expand(&common(args), &split) {
        for (task, row) in tasks.iter().zip(rows) {
            assert_eq!(task.task.args.len(), 1 + row.len().min(COLUMNS_MAX));
            for (arg, cell) in task.task.args[1..].iter().zip(row) {
                assert_eq!(arg.strip_prefix("--x="), Some(cell.as_str()));
            }
        }
    }
    planned(&common(Vec::new()), &split);
}

/// The settings of a daemon: what is accepted keeps the API on this machine and lends no more than
/// there is.
pub fn settings(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(layer) = toml::from_str::<Layer>(text) else { return };
    let machine = Machine { cpus: 8, memory_bytes: 16 << 30 };
    if let Ok(config) = Config::new("/home".into(), layer, machine) {
        assert!(config.api.ip().is_loopback());
        assert!(!config.listen.is_empty());
        if let Some(lent) = config.provide {
            let limits = lent.limits;
            assert!((1..=32).contains(&limits.cpus));
            let least = u64::from(limits.cpus) * (16 << 20);
            assert!((least..=machine.memory_bytes).contains(&limits.memory_bytes));
        }
    }
}

fn body<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(text: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(text).ok()?;
    let written = serde_json::to_vec(&value).expect("what was read can be written");
    let again: T = serde_json::from_slice(&written).expect("what was written can be read");
    assert_eq!(again, value);
    Some(value)
}

/// The bodies of requests. The first byte says which.
pub fn json(data: &[u8]) {
    let [which, text @ ..] = data else { return };
    let tasks = match which % 9 {
        0 => body::<json::JobRequest>(text).map(|job| job.tasks),
        1 => body::<json::AddTasks>(text).map(|more| more.tasks),
        2 => body::<json::TaskJson>(text).map(|task| vec![task]),
        3 => body::<json::ExecRequest>(text).map(|exec| vec![exec.task]),
        4 => body::<json::CheckRequest>(text).map(|_| vec![]),
        5 => body::<json::JoinRequest>(text).map(|_| vec![]),
        6 => body::<json::InviteRequest>(text).map(|_| vec![]),
        7 => body::<json::MissingRequest>(text).map(|_| vec![]),
        _ => body::<json::VerifyReport>(text).map(|_| vec![]),
    };
    for task in tasks.into_iter().flatten() {
        if let Ok(spec) = TaskSpec::try_from(task) {
            let again = TaskSpec::try_from(json::TaskJson::from(&spec));
            assert_eq!(again.expect("a checked task passes again"), spec);
        }
    }
}

/// The path and the query of a request.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Ok(uri) = text.parse::<axum::http::Uri>() else { return };
    if let Ok(Query(filter)) = Query::<json::TaskFilter>::try_from_uri(&uri) {
        let _ = (filter.from, filter.count, filter.state);
    }
    for part in uri.path().split('/') {
        if let Ok(job) = part.parse::<JobId>() {
            assert_eq!(job.to_string(), part.to_ascii_lowercase());
        }
    }
}

//! WebAssembly's own test suite for WASI, its preview 1 cases, through `ayni exec`.
//!
//! The suite (WebAssembly/wasi-testsuite, branch `prod/testsuite-base`: programs ready to run) is
//! somebody else's and not kept here; its folder is named on the command line. Each case runs as a
//! user would run it: a task gets the case's folder as read-only mounts below `/`, its arguments
//! and environment, and its end and output are compared with what the case says.
//!
//! Deliberately not here: preview 3, sockets and services, which the contract does not have.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::command::{command, fresh_folder, say, target};
use crate::daemon;
use crate::shell::{self, built};

/// Cases that can't pass, and what of the contract is in their way.
const DIFFERENT: &[(&str, &str)] = &[
    ("c/pwrite-with-access", "makes a file in a mounted folder; mounts are read-only"),
    ("c/sock_shutdown-invalid_fd", "expects descriptor 3 to be closed; it is always `/`"),
];

/// What a case asks for and what it expects.
#[derive(Debug, PartialEq)]
struct Case {
    /// Language and file name, such as `c/lseek`.
    name: String,
    program: PathBuf,
    root: Option<PathBuf>,
    args: Vec<String>,
    env: Vec<(String, String)>,
    exit_code: u64,
    stdout: Option<String>,
    stderr: Option<String>,
}

/// Runs every preview 1 case of the suite in `folder`.
///
/// # Errors
/// When a case differs that is not known to, or one passes that is.
pub(crate) fn show(folder: &Path) -> Result<()> {
    let cases = find(folder)?;
    say("building (the first time takes about 15 minutes on two cores)");
    shell::build()?;
    let dir = target().join("testsuite");
    fresh_folder(&dir)?;
    let home = dir.join("home");
    let daemon = Daemon(daemon::start(&built("ayni"), &home, &["--no-directory"])?);
    let mut passed: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut complaints = Vec::new();
    for case in &cases {
        let difference = run(case, &home, &dir.join("out").join(&case.name))?;
        let known = DIFFERENT.iter().find(|(name, _)| *name == case.name).map(|(_, why)| *why);
        let language = case.name.split('/').next().unwrap_or_default();
        let (passes, all) = passed.entry(language).or_default();
        *passes += u32::from(difference.is_none());
        *all += 1;
        match (difference, known) {
            (None, None) => println!("{:<50} passes", case.name),
            (Some(_), Some(why)) => println!("{:<50} differs: {why}", case.name),
            (None, Some(_)) => complaints.push(format!("{} passes after all", case.name)),
            (Some(how), None) => complaints.push(format!("{}: {how}", case.name)),
        }
    }
    drop(daemon);
    for (language, (passes, all)) in &passed {
        println!("{language}: {passes} of {all} pass");
    }
    let (passes, all) = passed.values().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    println!("{passes} of {all} cases pass");
    ensure!(complaints.is_empty(), "{}", complaints.join("\n"));
    Ok(())
}

/// The daemon that executes the cases; gone when dropped.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // If it has ended by itself already there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// All cases below `folder/tests/*/testsuite/wasm32-wasip1`, by name.
fn find(folder: &Path) -> Result<Vec<Case>> {
    let tests = folder.join("tests");
    let languages = fs::read_dir(&tests).with_context(|| {
        format!(
            "can't read `{}`\nhint: give a copy of WebAssembly/wasi-testsuite, branch \
             `prod/testsuite-base`",
            tests.display()
        )
    })?;
    let mut cases = Vec::new();
    for language in languages {
        let language = language?;
        let Ok(files) = fs::read_dir(language.path().join("testsuite/wasm32-wasip1")) else {
            continue;
        };
        for file in files {
            let program = file?.path();
            if program.extension().is_some_and(|end| end == "wasm") {
                let told =
                    fs::read(program.with_extension("json")).unwrap_or_else(|_| b"{}".into());
                let stem = program.file_stem().unwrap_or_default().to_string_lossy();
                let name = format!("{}/{stem}", language.file_name().to_string_lossy());
                let case = Case::read(name.clone(), program.clone(), &told);
                cases.push(case.with_context(|| format!("the description of {name}"))?);
            }
        }
    }
    ensure!(!cases.is_empty(), "there are no preview 1 cases in `{}`", tests.display());
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(cases)
}

impl Case {
    fn read(name: String, program: PathBuf, told: &[u8]) -> Result<Self> {
        let told: Value = serde_json::from_slice(told)?;
        let mut case = Self {
            name,
            program,
            root: None,
            args: Vec::new(),
            env: Vec::new(),
            exit_code: 0,
            stdout: None,
            stderr: None,
        };
        let text = |value: &Value| value.as_str().map(str::to_owned).context("not a text");
        for (key, value) in told.as_object().context("not an object")? {
            match key.as_str() {
                "args" => {
                    let list = value.as_array().context("`args` is no list")?;
                    case.args = list.iter().map(text).collect::<Result<_>>()?;
                }
                "env" => {
                    let map = value.as_object().context("`env` is no object")?;
                    let pair = |(name, value): (&String, &Value)| Ok((name.clone(), text(value)?));
                    case.env = map.iter().map(pair).collect::<Result<_>>()?;
                }
                "root" => case.root = Some(case.program.with_file_name(text(value)?)),
                "exit_code" => case.exit_code = value.as_u64().context("`exit_code`")?,
                "stdout" => case.stdout = Some(text(value)?),
                "stderr" => case.stderr = Some(text(value)?),
                other => bail!("`{other}` is not understood"),
            }
        }
        Ok(case)
    }
}

/// Executes a case; answers how it differs from what was expected.
fn run(case: &Case, home: &Path, out: &Path) -> Result<Option<String>> {
    let mut exec = command(built("ayni"));
    exec.arg("--home").arg(home).args(["--json", "exec"]).arg(&case.program);
    for entry in
        case.root.iter().map(fs::read_dir).collect::<Result<Vec<_>, _>>()?.into_iter().flatten()
    {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        exec.arg("--mount").arg(format!("{}:/{name}", path.display()));
    }
    for (name, value) in &case.env {
        exec.arg("--env").arg(format!("{name}={value}"));
    }
    exec.arg("-o").arg(out).arg("--").args(&case.args);
    let done = exec.stdin(Stdio::null()).output().context("can't start `ayni exec`")?;
    let Ok(report) = fs::read(out.join("outcome.json")) else {
        // Not an outcome of the case: it was refused, or the machine failed.
        let words = String::from_utf8_lossy(&done.stderr);
        return Ok(Some(format!("no outcome: {}", words.trim())));
    };
    let report: Value = serde_json::from_slice(&report)?;
    let end = &report["outcome"]["end"];
    let read = |name: &str| fs::read(out.join(name)).unwrap_or_default();
    Ok(case.differs(end, &read("stdout"), &read("stderr")))
}

impl Case {
    fn differs(&self, end: &Value, stdout: &[u8], stderr: &[u8]) -> Option<String> {
        if end["kind"] != "exit" || end["code"] != self.exit_code {
            let words = String::from_utf8_lossy(stderr);
            return Some(format!("ended with {end}, saying: {}", words.trim().escape_debug()));
        }
        let streams = [("stdout", &self.stdout, stdout), ("stderr", &self.stderr, stderr)];
        streams.into_iter().find_map(|(name, expected, found)| {
            let wrong = expected.as_ref().is_some_and(|text| text.as_bytes() != found);
            let found = String::from_utf8_lossy(found);
            wrong.then(|| format!("{name} is {:?}, not {expected:?}", found))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(told: &str) -> Result<Case> {
        Case::read("c/case".to_owned(), "/suite/case.wasm".into(), told.as_bytes())
    }

    #[test]
    fn descriptions_are_read_and_unknown_ones_refused() {
        let case =
            read(r#"{"root": "dir", "args": ["a b"], "env": {"x": "y\nz"}, "exit_code": 7}"#);
        let case = case.unwrap();
        assert_eq!(case.root, Some("/suite/dir".into()));
        assert_eq!(case.args, ["a b"]);
        assert_eq!(case.env, [("x".to_owned(), "y\nz".to_owned())]);
        assert_eq!((case.exit_code, case.stdout), (7, None));
        for wrong in ["[]", r#"{"args": [1]}"#, r#"{"operations": []}"#, r#"{"exit_code": "0"}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_end_or_a_stream_that_is_not_as_told_differs() {
        let silent = read("{}").unwrap();
        let exit = |code: u64| json!({"kind": "exit", "code": code});
        assert_eq!(silent.differs(&exit(0), b"noise", b"noise"), None);
        assert!(silent.differs(&exit(1), b"", b"why\x1b").unwrap().contains("why\\u{1b}"));
        let trap = json!({"kind": "trap", "code": 0});
        assert!(silent.differs(&trap, b"", b"").unwrap().starts_with("ended with"));
        let told = read(r#"{"stdout": "hello", "exit_code": 33}"#).unwrap();
        assert_eq!(told.differs(&exit(33), b"hello", b""), None);
        assert!(told.differs(&exit(33), b"hell", b"").unwrap().starts_with("stdout is"));
    }
}

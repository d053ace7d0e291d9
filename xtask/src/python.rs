//! The Python side: a virtual environment with the tools that results are compared with.
//!
//! The environment lives under `target/venv`; what goes into it is pinned in
//! `examples/requirements.txt`, `spec/requirements.txt` and `python/requirements.txt`, and per example
//! where only one needs it. Ray, which only a benchmark wants, has one of its own. Nothing is installed
//! outside them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command::{self, command, say};

/// A Python interpreter with pip and nothing else installed; made if missing.
///
/// # Errors
/// When Python or its `venv` module is missing; the error says how to get it.
pub fn interpreter() -> Result<PathBuf> {
    environment("venv")
}

fn environment(folder: &str) -> Result<PathBuf> {
    let folder = command::target().join(folder);
    let python = folder.join("bin/python");
    if python.is_file() && command::run(command(&python).args(["-m", "pip", "--version"])).is_ok() {
        return Ok(python);
    }
    if !command::is_installed("python3") {
        bail!("`python3` is missing\nhint: apt install python3 python3-venv");
    }
    say("making a Python environment (packages are fetched and results compared with it)…");
    command::fresh_folder(&folder)?;
    command::run(command("python3").args(["-m", "venv"]).arg(&folder))
        .context("can't make a Python environment\nhint: apt install python3-venv")?;
    Ok(python)
}

/// The interpreter with the reference tools of `examples/requirements.txt` installed.
///
/// # Errors
/// When they can't be installed.
pub fn with_reference_tools() -> Result<PathBuf> {
    let what = "pandapower, scikit-learn and numpy (the references; about 200 MB, once)";
    with_packages("examples", what)
}

/// Checks `spec/vectors` by a second implementation of the protocol.
///
/// # Errors
/// When it disagrees, or can't be run; the error has its words.
pub fn check_vectors() -> Result<String> {
    let python = with_packages("spec", "hashes and signatures for the second implementation")?;
    command::output(command(python).arg(command::root().join("spec/check.py")))
}

/// The interpreter with `FOLDER/requirements.txt` installed.
///
/// # Errors
/// When it can't be installed.
pub fn with_packages(folder: &str, what: &str) -> Result<PathBuf> {
    let python = interpreter()?;
    let note = format!("installed-{folder}.txt");
    install(&python, &command::root().join(folder).join("requirements.txt"), &note, what)?;
    Ok(python)
}

/// An interpreter of its own with `FOLDER/requirements.txt` installed: for what is too large, or too
/// fond of its own versions, to live beside the rest.
///
/// # Errors
/// When it can't be made or installed.
pub fn apart(name: &str, folder: &str, what: &str) -> Result<PathBuf> {
    let python = environment(name)?;
    let wanted = command::root().join(folder).join("requirements.txt");
    install(&python, &wanted, "installed.txt", what)?;
    Ok(python)
}

/// Installs what a file pins, unless the note says that it is done.
fn install(python: &Path, wanted: &Path, note: &str, what: &str) -> Result<()> {
    let text = std::fs::read_to_string(wanted)
        .with_context(|| format!("can't read `{}`", wanted.display()))?;
    let folder = python.parent().and_then(Path::parent).context("an interpreter in a folder")?;
    let installed = folder.join(note);
    if std::fs::read_to_string(&installed).is_ok_and(|done| done == text) {
        return Ok(());
    }
    say(&format!("installing {what}…"));
    command::run(
        command(python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary=:all:", "-r"])
            .arg(wanted),
    )
    .context("can't install the packages\nhint: they need Python 3.11 or newer")?;
    std::fs::write(&installed, text)
        .with_context(|| format!("can't write `{}`", installed.display()))
}

/// The interpreter with the reference tools, and those of one example's own `requirements.txt` if it
/// has one: tools so large, or so rarely wanted, that the others should not bring them along.
///
/// # Errors
/// When they can't be installed.
pub fn with_tools_of(example: &str) -> Result<PathBuf> {
    let python = with_reference_tools()?;
    let wanted = command::root().join("examples").join(example).join("requirements.txt");
    if wanted.is_file() {
        install(
            &python,
            &wanted,
            &format!("installed-{example}.txt"),
            &format!("what only {example} needs"),
        )?;
    }
    Ok(python)
}

/// What an example's check found.
#[derive(Debug, Clone)]
pub struct Check {
    /// Whether every value agrees with the reference within the tolerance.
    pub ok: bool,
    /// Number of values compared.
    pub compared: u64,
    /// The largest difference.
    pub max_abs_diff: f64,
    /// What would still have been accepted.
    pub tolerance: f64,
    /// The whole line that the check printed.
    pub report: Value,
    /// What the check complained about, if anything.
    pub complaints: String,
}

/// Computes an example's reference with the ordinary tool and compares a results folder with it.
///
/// # Errors
/// When the tools can't be installed or the check does not say what it found.
pub fn check_example(name: &str, results: &Path) -> Result<Check> {
    if !results.is_dir() {
        bail!(
            "there is no results folder `{}`\nhint: ayni run -f target/examples/{name}/job.toml -o \
             {}",
            results.display(),
            results.display()
        );
    }
    let python = with_tools_of(name)?;
    let script = crate::examples::stage(name)?.join("check.py");
    let done = command(&python)
        .arg(&script)
        .arg(results)
        .output()
        .with_context(|| format!("can't start `{}`", python.display()))?;
    let complaints = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    let line = String::from_utf8_lossy(&done.stdout);
    let report: Value = serde_json::from_str(line.trim())
        .with_context(|| format!("the check of `{name}` broke off: {complaints}"))?;
    let number = |key: &str| {
        report[key].as_f64().with_context(|| format!("the check of `{name}` gives no `{key}`"))
    };
    Ok(Check {
        ok: done.status.success() && report["ok"] == true,
        compared: report["compared"].as_u64().unwrap_or_default(),
        max_abs_diff: number("max_abs_diff")?,
        tolerance: number("tolerance")?,
        report,
        complaints,
    })
}

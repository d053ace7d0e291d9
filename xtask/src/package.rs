//! The Python package: its guest, its checks, its tests against a real network, its benchmark.
//!
//! The guest is a WebAssembly component around CPython, made by componentize-py from `python/guest`
//! for the world in `spec/wit`; it is kept under `target/python` until one of those changes. Built
//! twice it has other bytes each time (Python's hash seed is drawn while it is built), so a guest
//! is known by its digest and is not compared with its source.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, output, root, run, say};
use crate::{examples, npm, python};

/// What the guest is made of, from the project's folder.
const SOURCES: [&str; 6] = [
    "python/guest/app.py",
    "python/guest/modules.py",
    "python/guest/wit/environment.wit",
    "python/guest/wit/guest.wit",
    "spec/wit/function.wit",
    "python/requirements.txt",
];

/// What the component from JavaScript is made of.
const SCRIPT_SOURCES: [&str; 4] = [
    "web/function/words.js",
    "web/function/build.mjs",
    "web/function/package-lock.json",
    "spec/wit/function.wit",
];

/// The guest, built unless it is there already.
///
/// # Errors
/// When its tools can't be had or it can't be built.
pub(crate) fn guest() -> Result<PathBuf> {
    let folder = command::target().join("python");
    let guest = folder.join("guest.wasm");
    let stamp = Stamp::of(&SOURCES, &folder)?;
    if guest.is_file() && stamp.holds() {
        return Ok(guest);
    }
    let tools = tools()?;
    say("building the Python guest (half a minute)…");
    // The build imports the sources from a folder, and writes there what can be imported.
    let work = folder.join("guest");
    command::fresh_folder(&work)?;
    for source in &SOURCES[..2] {
        let from = root().join(source);
        std::fs::copy(&from, work.join(from.file_name().context("a file's name")?))
            .with_context(|| format!("can't copy `{}`", from.display()))?;
    }
    let built = folder.join("built.wasm");
    let componentize = tools.with_file_name("componentize-py");
    run(command(componentize)
        .arg("-d")
        .arg(root().join("spec/wit/function.wit"))
        .arg("-d")
        .arg(root().join("python/guest/wit/environment.wit"))
        .arg("-d")
        .arg(root().join("python/guest/wit/guest.wit"))
        .args(["-w", "ayni:python/guest", "componentize", "app", "-p"])
        .arg(&work)
        .arg("-o")
        .arg(&built))?;
    let about = std::fs::read_to_string(work.join("modules.json"))
        .context("the guest does not say what can be imported in it")?;
    let missing: serde_json::Value = serde_json::from_str(&about)?;
    if missing["missing"].as_object().is_none_or(|missing| !missing.is_empty()) {
        bail!("the guest lacks modules that it should have: {}", missing["missing"]);
    }
    command::place(&work.join("modules.json"), &folder.join("guest.json"))?;
    command::place(&built, &guest)?;
    std::fs::remove_file(&built)?;
    stamp.put()?;
    Ok(guest)
}

/// The same world from another language: `web/function/words.js` as a component, kept likewise.
fn javascript() -> Result<PathBuf> {
    let folder = command::target().join("javascript");
    let component = folder.join("words.wasm");
    let stamp = Stamp::of(&SCRIPT_SOURCES, &folder)?;
    if component.is_file() && stamp.holds() {
        return Ok(component);
    }
    let source = root().join("web/function");
    npm::install(&source)?;
    say("building a component from JavaScript (half a minute)…");
    command::fresh_folder(&folder)?;
    run(command("node")
        .current_dir(&source)
        .args(["build.mjs", "words.js"])
        .arg(root().join("spec/wit/function.wit"))
        .arg(&component))?;
    stamp.put()?;
    Ok(component)
}

/// What something was built from, kept in a file beside it.
struct Stamp {
    path: PathBuf,
    text: String,
}

impl Stamp {
    fn of(sources: &[&str], folder: &Path) -> Result<Self> {
        let mut text = String::new();
        for source in sources {
            writeln!(text, "{source} {}", crate::data::digest(&root().join(source))?)?;
        }
        Ok(Self { path: folder.join("built-from.txt"), text })
    }

    fn holds(&self) -> bool {
        std::fs::read_to_string(&self.path).is_ok_and(|found| found == self.text)
    }

    fn put(&self) -> Result<()> {
        std::fs::write(&self.path, &self.text)
            .with_context(|| format!("can't write `{}`", self.path.display()))
    }
}

/// Checks the package's types and runs its tests; returns pytest's last line.
///
/// # Errors
/// When a type or a test is wrong.
pub(crate) fn test() -> Result<String> {
    let tools = tools()?;
    let cache = command::target().join("python/mypy");
    run(with_package(&tools)?
        .args(["-m", "mypy", "--config-file", "pyproject.toml", "--cache-dir"])
        .arg(cache))?;
    let mut pytest = with_package(&tools)?;
    pytest.env("AYNI_WORDS", javascript()?).args([
        "-m",
        "pytest",
        "-q",
        "--tb=short",
        "-ra",
        "-p",
        "no:cacheprovider",
    ]);
    let said = output(&mut pytest)?;
    Ok(said.lines().last().unwrap_or_default().to_owned())
}

/// Times the bootstrap here, with Ray, and on the network.
///
/// # Errors
/// When a run fails.
pub(crate) fn bench() -> Result<String> {
    let ray = python::apart("python/ray", "python/bench", "Ray (about 250 MB, once)")?;
    output(with_package(&ray)?.arg("bench/bootstrap.py"))
}

/// The interpreter with what `python/requirements.txt` pins.
fn tools() -> Result<PathBuf> {
    python::with_packages(
        "python",
        "componentize-py, mypy, pytest and a notebook (about 160 MB, once)",
    )
}

/// Python in the package's folder, with everything that its tests want to find.
fn with_package(tools: &Path) -> Result<Command> {
    let guest = guest()?;
    let mut python = command(tools);
    python
        .current_dir(root().join("python"))
        .env("PYTHONPATH", root().join("python/src"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AYNI_PYTHON_GUEST", guest)
        .env("AYNI_BIN", command::target().join("debug/ayni"))
        .env("AYNI_CO2", examples::stage("co2")?)
        .env_remove("AYNI_HOME");
    Ok(python)
}

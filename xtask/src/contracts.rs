//! The contracts: compiled by tools from npm alone, tested, and their committed artefacts compared
//! with what the sources give.
//!
//! Deliberately not here: deployment (`crates/chain`), and the long runs of `docs/contracts.md`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, root, say};

/// What of `contracts/node_modules` tells that it is what the lock file says.
const NOTE: &str = "node_modules/.installed-lock.json";

/// Builds, tests, and writes `crates/chain/artifacts`; with `check`, fails where they would change.
pub(crate) fn all(check: bool) -> Result<()> {
    install()?;
    say("contracts: format, build");
    command::run(&mut forge(&["fmt", "--check"]))?;
    command::run(forge(&["build"]).arg("--force"))?;
    say("contracts: signatures and calldata as x402's packages make them");
    command::run(&mut node("test/vectors/make.mjs", true))?;
    say("contracts: tests, random walks, gas");
    let told = command::output(&mut forge(&["test"]))?;
    if let Some(line) = told.lines().rev().find(|line| line.contains("tests passed")) {
        say(&format!("  {}", line.trim()));
    }
    say("contracts: artefacts");
    let told = command::output(&mut node("tools/artifacts.mjs", check))?;
    for line in told.lines() {
        say(&format!("  {line}"));
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("contracts")
}

/// Installs what `package-lock.json` pins, unless that is done.
pub(crate) fn install() -> Result<()> {
    for program in ["node", "npm"] {
        if !command::is_installed(program) {
            bail!("`{program}` is missing\nhint: apt install nodejs npm");
        }
    }
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "the contracts' compiler is pinned for Linux on x86-64 only\nhint: exchange \
             `@foundry-rs/forge-linux-amd64` and `@foundry-rs/anvil-linux-amd64` in \
             contracts/package.json for those of this machine"
        );
    }
    let lock = folder().join("package-lock.json");
    let wanted = std::fs::read_to_string(&lock)
        .with_context(|| format!("can't read `{}`", lock.display()))?;
    let note = folder().join(NOTE);
    if std::fs::read_to_string(&note).is_ok_and(|done| done == wanted) {
        return Ok(());
    }
    say("installing the contracts' tools from npm (about 220 MB, once)…");
    command::run(command("npm").args(["ci", "--ignore-scripts"]).current_dir(folder()))?;
    std::fs::write(&note, wanted).with_context(|| format!("can't write `{}`", note.display()))
}

fn forge(args: &[&str]) -> Command {
    let mut forge = command(folder().join("node_modules/.bin/forge"));
    // Whatever profile the caller prefers, this is the one that counts.
    forge.args(args).current_dir(folder()).env_remove("FOUNDRY_PROFILE");
    forge
}

fn node(script: &str, check: bool) -> Command {
    let mut node = command("node");
    node.arg(script).args(check.then_some("--check")).current_dir(folder());
    node
}

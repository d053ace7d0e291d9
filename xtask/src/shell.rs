//! Commands whose output a person wants to see while they run: cargo, and our own executables.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{command, root, target};
use crate::dashboard;

/// An executable of this project, built by the dev profile.
pub(crate) fn built(name: &str) -> PathBuf {
    target().join("debug").join(name)
}

/// The cargo that runs this, in the project's folder.
pub(crate) fn cargo(args: &[&str]) -> Command {
    // Without what cargo told this program about its own package: build scripts of dependencies
    // look at it, and would be run again whenever cargo is called by hand in between.
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(args).current_dir(root());
    command
}

/// Runs a command to its end; its output is shown.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let shown = words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let status = command.status().with_context(|| format!("can't start `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Builds the executables, with the dashboard in them.
pub(crate) fn build() -> Result<()> {
    dashboard::build()?;
    compile()
}

/// Builds the executables with whatever dashboard was built last. The examples go along because cargo
/// then chooses the same features as for the tests, so that both share one build of every
/// dependency.
pub(crate) fn compile() -> Result<()> {
    run(&mut cargo(&["build", "--locked", "--workspace", "--bins", "--examples"]))
}

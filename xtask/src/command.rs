//! Calls other programs: quiet when they succeed, with their last words when they fail.
//!
//! Deliberately not here: shells. Every argument is passed as it is.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// The project's own folder.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where everything built or obtained goes.
#[must_use]
pub fn target() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = chosen.unwrap_or_else(|| root().join("target"));
    std::path::absolute(&folder).unwrap_or(folder)
}

/// Tells a person what happens next. stdout stays free for data.
pub fn say(text: &str) {
    eprintln!("{text}");
}

/// A command without the environment that would lead a nested build astray.
#[must_use]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    // RUSTUP_TOOLCHAIN stays: without it, rustup would obey the toolchain files that some
    // dependencies carry, and ask for a compiler that isn't here.
    command.env_remove("RUSTC").env_remove("RUSTFLAGS");
    command
}

/// Whether a program is on the path.
#[must_use]
pub fn is_installed(program: &str) -> bool {
    find(program).is_some()
}

/// The program of that name that the path leads to.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// Runs a command to its end and returns its stdout.
///
/// # Errors
/// When it can't be started or ends with another code than 0; then its last lines are in the error.
pub fn output(command: &mut Command) -> Result<String> {
    let shown = shown(command);
    let done =
        command.stdin(Stdio::null()).output().with_context(|| format!("can't start `{shown}`"))?;
    if !done.status.success() {
        let words = format!(
            "{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        );
        let lines: Vec<&str> = words.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n  ");
        bail!("`{shown}` failed ({}); its last words:\n  {last}", done.status);
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}

/// Runs a command to its end for its effect.
///
/// # Errors
/// As [`output`].
pub fn run(command: &mut Command) -> Result<()> {
    output(command).map(drop)
}

/// Puts a file where it belongs, in one step as others see it.
///
/// # Errors
/// When the file can't be read or the place not written.
pub fn place(from: &Path, to: &Path) -> Result<()> {
    let folder = to.parent().with_context(|| format!("`{}` has no folder", to.display()))?;
    std::fs::create_dir_all(folder)
        .with_context(|| format!("can't make the folder `{}`", folder.display()))?;
    let part = to.with_added_extension("part");
    std::fs::copy(from, &part)
        .and_then(|_| std::fs::rename(&part, to))
        .with_context(|| format!("can't copy `{}` to `{}`", from.display(), to.display()))
}

/// An empty folder of that name.
///
/// # Errors
/// When an older one can't be removed or a new one not made.
pub fn fresh_folder(path: &Path) -> Result<()> {
    if path.exists() {
        std::fs::remove_dir_all(path)
            .with_context(|| format!("can't remove `{}`", path.display()))?;
    }
    std::fs::create_dir_all(path).with_context(|| format!("can't make `{}`", path.display()))
}

/// The one file that a folder holds.
///
/// # Errors
/// When it holds another number of them.
pub fn only_file(folder: &Path) -> Result<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .with_context(|| format!("can't list `{}`", folder.display()))?;
    match entries.as_slice() {
        [one] => Ok(one.path()),
        _ => bail!("`{}` holds {} files, not 1", folder.display(), entries.len()),
    }
}

fn shown(command: &Command) -> String {
    let mut text = command.get_program().to_string_lossy().into_owned();
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    if text.chars().count() > 200 {
        text = text.chars().take(200).collect::<String>() + "…";
    }
    text
}

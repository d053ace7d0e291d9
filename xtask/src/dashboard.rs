//! The dashboard: built into `target/dashboard`, from where the node's build embeds it, and tried in
//! a browser against a network of real processes.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::command::{self, command, root, say, target};
use crate::shell::built;
use crate::{apt, npm, page};

/// What the page is made of, from the project's folder.
const INPUTS: [&str; 4] = ["web/dashboard", "docs/openapi.json", "examples", "bench/guests"];
/// Folders that nothing is made of.
const SKIPPED: [&str; 5] = ["node_modules", "generated", "src/bin", "target", "test"];
/// Notes what the present build was made of; cargo does not embed it.
const STAMP: &str = ".made-of";

/// Builds the dashboard, unless the present build is of the very same inputs.
///
/// # Errors
/// When Node or npm is missing, the packages can't be had, or the page does not type-check.
pub(crate) fn build() -> Result<()> {
    let folder = target().join("dashboard");
    let inputs = fingerprint()?;
    if std::fs::read_to_string(folder.join(STAMP)).is_ok_and(|made| made == inputs) {
        return Ok(());
    }
    let source = root().join("web/dashboard");
    npm::install(&source)?;
    say("building the dashboard…");
    let part = target().join("dashboard.part");
    command::fresh_folder(&part)?;
    let mut build = command("npm");
    build.current_dir(&source).args(["run", "build"]).env("AYNI_DASHBOARD_OUT", &part);
    command::run(&mut build)?;
    std::fs::write(part.join(STAMP), inputs)?;
    // In place only when it is whole.
    if folder.exists() {
        std::fs::remove_dir_all(&folder)
            .with_context(|| format!("can't remove `{}`", folder.display()))?;
    }
    std::fs::rename(&part, &folder)
        .with_context(|| format!("can't put the dashboard at `{}`", folder.display()))
}

/// Walks the pages and plays a newcomer, in Chromium, against `ayni dev`; returns what was tried.
/// Pictures of the pages are left in `target/dashboard-pictures`.
///
/// # Errors
/// When Chromium is missing, or something is not as a person may expect it.
pub(crate) fn browse() -> Result<String> {
    let folder = root().join("web/dashboard");
    npm::install(&folder)?;
    let browser = page::browser("it opens the dashboard")?;
    apt::install(&["fonts-wqy-microhei"], "Chinese in the pictures of the dashboard")?;
    let pictures = target().join("dashboard-pictures");
    command::fresh_folder(&pictures)?;
    let mut test = command("node");
    test.arg(folder.join("test/test.mjs")).arg(built("ayni")).arg(browser).arg(pictures);
    command::output(&mut test)
}

/// A digest of the names and bytes of all that the page is made of.
fn fingerprint() -> Result<String> {
    let mut files = Vec::new();
    for input in INPUTS {
        collect(&root().join(input), &mut files)?;
    }
    files.sort();
    let mut digest = blake3::Hasher::new();
    for file in files {
        let bytes =
            std::fs::read(&file).with_context(|| format!("can't read `{}`", file.display()))?;
        digest.update(file.as_os_str().as_encoded_bytes());
        digest.update(&(bytes.len() as u64).to_le_bytes());
        digest.update(&bytes);
    }
    Ok(digest.finalize().to_hex().to_string())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if SKIPPED.iter().any(|skipped| path.ends_with(skipped)) {
        return Ok(());
    }
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries =
        std::fs::read_dir(path).with_context(|| format!("can't list `{}`", path.display()))?;
    for entry in entries {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

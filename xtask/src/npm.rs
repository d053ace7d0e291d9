//! JavaScript packages for tests: exactly those of a folder's lock file, and no scripts of theirs.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, run, say};

/// Obtains what `package-lock.json` in a folder names, into `node_modules` beside it, unless that
/// was done for this very lock file before.
///
/// # Errors
/// When Node or npm is missing, or the packages can't be had.
pub(crate) fn install(folder: &Path) -> Result<()> {
    for (program, package) in [("node", "nodejs"), ("npm", "npm")] {
        if !command::is_installed(program) {
            bail!("`{program}` is missing\nhint: apt install {package}");
        }
    }
    let lock = folder.join("package-lock.json");
    let wanted =
        std::fs::read(&lock).with_context(|| format!("can't read `{}`", lock.display()))?;
    let done = folder.join("node_modules/.obtained-for");
    if std::fs::read(&done).is_ok_and(|obtained| obtained == wanted) {
        return Ok(());
    }
    say(&format!("obtaining the packages of `{}`…", lock.display()));
    run(command("npm").current_dir(folder).args(["ci", "--ignore-scripts", "--prefer-offline"]))
        .with_context(|| {
            format!(
                "can't obtain the packages of `{}`\nhint: is npm's registry reachable?",
                lock.display()
            )
        })?;
    // Last: what is there was obtained to the end.
    std::fs::write(&done, wanted).with_context(|| format!("can't write `{}`", done.display()))
}

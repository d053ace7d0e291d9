//! The Python wheel: `pip install` gives the command `ayni`, and the Python package where there is
//! one in `python/`.
//!
//! A platform tag promises on which machines it runs; it follows from the executables themselves.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{Parts, elf};
use crate::command::{self, command, output, root};
use crate::python;

/// Builds `ayni-VERSION-py3-none-manylinux_….whl`.
pub(super) fn build(parts: &Parts) -> Result<PathBuf> {
    let python = python::interpreter()?;
    let (major, minor) = elf::glibc(&parts.executables)?;
    let tag = format!("manylinux_{major}_{minor}_{}", std::env::consts::ARCH);
    let share = parts.folder.join("wheel-share");
    command::fresh_folder(&share)?;
    // Where zsh looks beside a prefix that is not Debian's.
    parts.put_share(&share, Some("zsh/site-functions"))?;
    let mut making = command(&python);
    making.arg(root().join("xtask/src/dist/wheel.py"));
    making.args(["--version", &parts.version, "--tag", &tag]);
    making.args(["--time", &parts.time_s.to_string()]);
    for path in &parts.executables {
        making.arg("--script").arg(path);
    }
    making.arg("--share").arg(&share).arg("--readme").arg(root().join("README.md"));
    if let Some(package) = package(parts, &python)? {
        making.arg("--package").arg(package);
    }
    let told = output(making.arg(&parts.folder))?;
    Ok(PathBuf::from(told.trim()))
}

/// The wheel of the Python package alone, by its own build system; `None` where there is no package.
fn package(parts: &Parts, python: &Path) -> Result<Option<PathBuf>> {
    let source = root().join("python");
    if !source.join("pyproject.toml").is_file() {
        return Ok(None);
    }
    // A copy, because its guest is built and not committed, and so is not among its sources.
    let folder = parts.folder.join("wheel-package");
    command::fresh_folder(&folder)?;
    let copy = folder.join("python");
    command::run(command("cp").arg("-r").arg(&source).arg(&copy))?;
    let own = std::env::current_exe().context("can't find this program")?;
    let guest = PathBuf::from(output(command(own).args(["python", "guest"]))?.trim());
    for name in ["guest.wasm", "guest.json"] {
        command::place(&guest.with_file_name(name), &copy.join("src/ayni").join(name))?;
    }
    let made = folder.join("made");
    let args = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--disable-pip-version-check"];
    command::run(command(python).args(args).arg("--wheel-dir").arg(&made).arg(&copy))
        .context("can't build the Python package")?;
    Ok(Some(command::only_file(&made)?))
}

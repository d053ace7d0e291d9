//! Debian's package manager: as root, or through `sudo` where that asks no password.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, output, run, say};

/// Installs packages that are missing; says which and `why`.
///
/// # Errors
/// When they can't be installed; the error names the command for a person with the right to.
pub(crate) fn install(packages: &[&str], why: &str) -> Result<()> {
    let is_missing = |package: &&&str| {
        !output(command("dpkg-query").args(["-W", "-f", "${Status}", package]))
            .is_ok_and(|status| status.contains("install ok installed"))
    };
    let missing: Vec<&str> = packages.iter().filter(is_missing).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !may_install()? {
        bail!("missing: {list}\nhint: as root, apt install {list}");
    }
    say(&format!("installing {} ({why})…", missing.join(", ")));
    refresh_unless_known(&missing)?;
    let args = ["install", "-y", "-qq", "--no-install-recommends"];
    run(as_root(&args)?.args(&missing))
        .with_context(|| format!("hint: as root, apt install {list}"))
}

/// Downloads a package, without installing it, into an empty folder, and unpacks it there; returns
/// the folder of what it holds.
///
/// # Errors
/// When this is not Debian, or its archive does not have this version.
pub(crate) fn unpack(package: &str, version: &str, part: &Path) -> Result<std::path::PathBuf> {
    for program in ["apt-get", "dpkg-deb"] {
        if !command::is_installed(program) {
            bail!("`{program}` is missing\nhint: {package} is a package of Debian 12; use that");
        }
    }
    refresh_unless_known(&[package])?;
    let spec = format!("{package}={version}");
    run(command("apt-get").current_dir(part).args(["download", "-qq", &spec]))
        .with_context(|| format!("can't obtain {spec} from Debian\nhint: it is in Debian 12"))?;
    let archive = command::only_file(part)?;
    let unpacked = part.join("unpacked");
    run(command("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
    Ok(unpacked)
}

fn refresh_unless_known(packages: &[&str]) -> Result<()> {
    let is_known = |package: &&str| {
        output(command("apt-cache").args(["policy", package])).is_ok_and(|policy| {
            policy.contains("Candidate:") && !policy.contains("Candidate: (none)")
        })
    };
    if packages.iter().all(is_known) {
        return Ok(());
    }
    if !may_install()? {
        bail!(
            "Debian's package lists are missing or old: they do not know {}\nhint: as root, apt \
             update",
            packages.join(" ")
        );
    }
    say("refreshing the package lists…");
    run(&mut as_root(&["update", "-qq"])?)
}

fn is_root() -> Result<bool> {
    Ok(output(command("id").arg("-u"))?.trim() == "0")
}

fn may_install() -> Result<bool> {
    Ok(is_root()? || command::is_installed("sudo"))
}

fn as_root(args: &[&str]) -> Result<Command> {
    let mut apt = if is_root()? {
        command("apt-get")
    } else {
        let mut sudo = command("sudo");
        sudo.args(["-n", "apt-get"]);
        sudo
    };
    apt.env("DEBIAN_FRONTEND", "noninteractive").args(args);
    Ok(apt)
}

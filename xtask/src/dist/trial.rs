//! A newcomer's first minute with each package: installed as one would, then `ayni try`; how many
//! commands, how long, and the recording of what was on the screen.
//!
//! The Debian package is installed by `dpkg` itself, on a copy of this machine that is thrown away
//! (an overlay in a mount namespace of its own), so that it needs root. The wheel goes into a fresh
//! virtual environment.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::command::{self, command, output, root, say, target};
use crate::{apt, python};

/// The most that a first verified result may take from a package, installing included.
const SECONDS_MAX: u64 = 60;

/// Where the recording of the Debian package's first minute is kept.
const RECORDING: &str = "docs/first-result.cast";

/// What a newcomer types, one command a line, and what came of it.
struct Minute {
    typed: Vec<String>,
    took: Duration,
    /// What came when: seconds since the first key, and the bytes.
    screen: Vec<(f64, String)>,
}

pub(super) fn all(deb: &Path, wheel: &Path) -> Result<()> {
    ensure!(
        output(command("id").arg("-u"))?.trim() == "0",
        "installing a Debian package needs root\nhint: as root, cargo xtask package try"
    );
    let place = target().join("package/try");
    command::fresh_folder(&place)?;
    apt::install(&["lintian"], "it knows Debian's rules for packages")?;
    // Its complaints about a package of a project without an archive are answered beside it.
    let mut lintian = command("lintian");
    lintian.args(["--allow-root", "--fail-on", "error,warning"]).arg(deb);
    let told = output(&mut lintian).context("lintian complains")?;
    say(if told.trim().is_empty() { "lintian says nothing" } else { told.trim() });
    let (deb, wheel) = (name_of(deb)?, name_of(wheel)?);
    for file in [&deb, &wheel] {
        fs::copy(target().join("package").join(file), place.join(file))?;
    }

    let minute = record(&place, &[&format!("dpkg -i ./{deb}"), "ayni try"], true)?;
    report("Debian package", &minute)?;
    fs::write(root().join(RECORDING), cast(&minute))
        .with_context(|| format!("can't write `{RECORDING}`"))?;

    // pip itself stands where `python3 -m venv` put it.
    command::run(
        command(python::interpreter()?).args(["-m", "venv", "--clear"]).arg(place.join("venv")),
    )?;
    let install = format!("pip install --quiet --disable-pip-version-check ./{wheel}");
    let minute = record(&place, &[&install, "ayni try"], false)?;
    report("wheel", &minute)
}

fn name_of(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    Ok(name.context("a package without a name")?.to_owned())
}

fn report(what: &str, minute: &Minute) -> Result<()> {
    let (commands, took) = (minute.typed.len(), minute.took);
    println!(
        "{what}: first verified result after {commands} commands, {:.1} s:",
        took.as_secs_f64()
    );
    for line in &minute.typed {
        println!("  $ {line}");
    }
    let last: String = minute.screen.iter().map(|(_, text)| text.as_str()).collect();
    ensure!(
        last.contains("each with a receipt; one executed again here, same bits and same fuel"),
        "{what}: no verified result:\n{last}"
    );
    if took > Duration::from_secs(SECONDS_MAX) {
        say(&format!("that is more than {SECONDS_MAX} s: this machine is slow or busy"));
    }
    Ok(())
}

/// Types the commands into one shell, on an overlay of this machine or with the virtual environment
/// of `place` active, and takes down what it writes.
fn record(place: &Path, typed: &[&str], overlay: bool) -> Result<Minute> {
    let mut script = String::from("set -e\n");
    for line in typed {
        script.push_str(&format!("printf '$ %s\\n' '{line}'\n{line}\n"));
    }
    fs::write(place.join("typed.sh"), script)?;
    let mut shell = if overlay { in_overlay(place)? } else { Command::new("sh") };
    if !overlay {
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", place.join("venv/bin").display()));
        shell.current_dir(place).arg("typed.sh");
    }
    let begin = Instant::now();
    let (mut reader, writer) = std::io::pipe()?;
    let mut child = shell
        .env_remove("AYNI_HOME")
        .env("HOME", place)
        .stdin(Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer)
        .spawn()
        .context("can't start a shell")?;
    // The command keeps its own ends of the pipe until it is dropped.
    drop(shell);
    let (mut screen, mut bytes, mut rest) = (Vec::new(), [0; 4096], Vec::new());
    loop {
        let count = reader.read(&mut bytes)?;
        if count == 0 {
            break;
        }
        rest.extend_from_slice(&bytes[..count]);
        // Whole lines only, so that no character is cut in two.
        if let Some(end) = rest.iter().rposition(|byte| *byte == b'\n') {
            let lines: Vec<u8> = rest.drain(..=end).collect();
            let text = String::from_utf8_lossy(&lines).into_owned();
            screen.push((begin.elapsed().as_secs_f64(), text));
        }
    }
    let status = child.wait()?;
    let took = begin.elapsed();
    let seen: String = screen.iter().map(|(_, text)| text.as_str()).collect();
    ensure!(status.success(), "`{}` failed ({status}):\n{seen}", typed.join(" && "));
    Ok(Minute { typed: typed.iter().map(|line| (*line).to_owned()).collect(), took, screen })
}

/// A shell on a copy of this machine that is gone afterwards: what is written lies in memory.
fn in_overlay(place: &Path) -> Result<Command> {
    let setup = "set -e\n\
        over=$1; here=$2\n\
        mount -t tmpfs tmpfs \"$over\"\n\
        mkdir \"$over/up\" \"$over/work\" \"$over/all\"\n\
        mount -t overlay overlay -o \"lowerdir=/,upperdir=$over/up,workdir=$over/work\" \"$over/all\"\n\
        for part in proc dev sys; do mount --rbind /$part \"$over/all/$part\"; done\n\
        mkdir -p \"$over/all/srv/newcomer\"\n\
        mount --bind \"$here\" \"$over/all/srv/newcomer\"\n\
        exec chroot \"$over/all\" sh -c 'cd /srv/newcomer && exec sh typed.sh'\n";
    fs::write(place.join("overlay.sh"), setup)?;
    let over = place.join("over");
    fs::create_dir_all(&over)?;
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "sh"]);
    unshare.arg(place.join("overlay.sh")).arg(over).arg(place);
    Ok(unshare)
}

/// The recording as an asciicast, version 2: a header, then a line for each piece of output.
fn cast(minute: &Minute) -> String {
    let header =
        json!({ "version": 2, "width": 110, "height": 40, "title": minute.typed.join(" && ") });
    let mut text = format!("{header}\n");
    for (at, piece) in &minute.screen {
        let shown = piece.replace('\n', "\r\n");
        text.push_str(&format!("{}\n", json!([(at * 1e3).round() / 1e3, "o", shown])));
    }
    text
}

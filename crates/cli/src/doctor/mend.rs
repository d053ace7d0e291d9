//! What can be done about what was found. Each step is small, says what it will do, and can be done
//! again without harm.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ayni_api::ApiError;
use ayni_api::json::Check;

use crate::commands::io as failed;
use crate::ui::{Ui, escape};

/// What is kept of a log that is cut, in bytes.
const LOG_BYTES_KEPT: u64 = 1 << 20;

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mend {
    /// Let only the owner read a file.
    Close(PathBuf),
    /// Remove a file that is of no use.
    Remove(PathBuf),
    /// Keep only the end of a log.
    CutLog(PathBuf),
    /// A command of the system, that may ask for a password.
    Run(Vec<String>),
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Close(path) => write!(f, "let only its owner read `{}`", path.display()),
            Self::Remove(path) => write!(f, "remove `{}`", path.display()),
            Self::CutLog(path) => write!(f, "keep the last MiB of `{}`", path.display()),
            Self::Run(words) => write!(f, "run `{}`", words.join(" ")),
        }
    }
}

/// Asks, unless `yes`, and does it; whether it was done.
pub(super) fn ask_and_do(mend: &Mend, check: &Check, yes: bool, ui: &Ui) -> Result<bool, ApiError> {
    anstream::eprintln!("{}: {}", check.name, escape(&check.detail));
    if !yes {
        if !io::stdin().is_terminal() {
            ui.hint(&format!("would {mend}; without a terminal to ask on, --yes does it"));
            return Ok(false);
        }
        anstream::eprint!("{mend}? [y/N] ");
        // What can't be shown can't be agreed to; what can't be read is no yes.
        let _ = io::stderr().flush();
        let mut line = String::new();
        if io::stdin().lock().take(100).read_line(&mut line).is_err()
            || !matches!(line.trim(), "y" | "Y" | "yes")
        {
            ui.note("left as it is");
            return Ok(false);
        }
    }
    mend.perform()?;
    ui.note(&format!("done: {mend}"));
    Ok(true)
}

impl Mend {
    fn perform(&self) -> Result<(), ApiError> {
        match self {
            Self::Close(path) => fs::set_permissions(path, fs::Permissions::from_mode(0o600))
                .map_err(|error| failed("can't close", path, &error)),
            Self::Remove(path) => match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    Err(failed("can't remove", path, &error))
                }
                _ => Ok(()),
            },
            Self::CutLog(path) => cut(path).map_err(|error| failed("can't cut", path, &error)),
            Self::Run(words) => {
                let shown = words.join(" ");
                let (program, rest) = words.split_first().map_or(("", &[][..]), |(p, r)| (p, r));
                let status = std::process::Command::new(program).args(rest).status();
                let why = match status {
                    Ok(status) if status.success() => return Ok(()),
                    Ok(status) => status.to_string(),
                    Err(error) => error.to_string(),
                };
                let code = ayni_api::codes::NODE_INTERNAL;
                Err(ApiError::new(code, format!("`{shown}` failed: {why}"))
                    .hint("run it yourself, as root"))
            }
        }
    }
}

/// In place, because a daemon may be writing at the end: it goes on there.
fn cut(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_BYTES_KEPT)))?;
    let mut end = Vec::new();
    (&file).take(LOG_BYTES_KEPT).read_to_end(&mut end)?;
    // From the first whole line.
    let from = end.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&end[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_does_what_it_says_and_can_be_done_twice() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        for _ in 0..2 {
            Mend::Close(path.clone()).perform().unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        for _ in 0..2 {
            Mend::Remove(path.clone()).perform().unwrap();
            assert!(!path.exists());
        }
        let run = |words: &[&str]| {
            Mend::Run(words.iter().map(|word| (*word).to_owned()).collect()).perform()
        };
        assert!(run(&["true"]).is_ok());
        assert_eq!(run(&["false"]).unwrap_err().message, "`false` failed: exit status: 1");
    }

    #[test]
    fn a_log_keeps_its_last_whole_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemon.log");
        let lines: Vec<String> = (0..200_000).map(|n| format!("line {n}\n")).collect();
        fs::write(&path, lines.concat()).unwrap();
        Mend::CutLog(path.clone()).perform().unwrap();
        let left = fs::read_to_string(&path).unwrap();
        assert!(left.len() as u64 <= LOG_BYTES_KEPT);
        assert!(left.starts_with("line ") && left.ends_with("line 199999\n"));
        assert!(lines.concat().ends_with(&left));
    }
}

//! Starts a node's daemon and waits until it can be talked to.
//!
//! Deliberately not here: networks of several (`corpus_run`, `demo`), and ending it: whoever holds
//! the process decides, and it ends by itself with whoever started it.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// `ayni daemon` with `home` and a few more arguments; its log goes to `home/daemon.log`.
pub(crate) fn start(ayni: &Path, home: &Path, arguments: &[&str]) -> Result<Child> {
    fs::create_dir_all(home)?;
    let log = home.join("daemon.log");
    let mut daemon = Command::new(ayni)
        .arg("--home")
        .arg(home)
        .args(["daemon", "--exit-with-parent"])
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(&log)?)
        .spawn()
        .with_context(|| format!("can't start `{}`", ayni.display()))?;
    loop {
        if home.join("api.json").is_file() {
            return Ok(daemon);
        }
        if let Some(status) = daemon.try_wait()? {
            let words = fs::read_to_string(log).unwrap_or_default();
            bail!("`ayni daemon` did not start ({status}): {}", words.trim());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

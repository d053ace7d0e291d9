//! Starting a node, and finding one that runs.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use ayni_api::{ApiError, Client, codes};

use crate::args::{DaemonArgs, LendArgs};

/// Runs a node in the foreground until it is asked to stop.
#[allow(clippy::unused_async)]
pub(crate) async fn run(
    home: &Path,
    args: DaemonArgs,
    lend: Option<LendArgs>,
) -> anyhow::Result<ExitCode> {
    let _ = (home, args, lend);
    Err(ApiError::new(codes::NODE_CONFIG, "this build of `ayni` has no node in it").into())
}

/// A client of the daemon that uses `home`; starts one first if none runs.
pub(crate) async fn ensure(home: &Path) -> Result<Client, ApiError> {
    match Client::of_home(home).await {
        Err(error) if error.code == codes::NODE_UNREACHABLE => {}
        other => return other,
    }
    let failed = |what: &str, error: std::io::Error| {
        ApiError::new(codes::NODE_UNREACHABLE, format!("{what}: {error}"))
    };
    std::fs::create_dir_all(home).map_err(|error| failed("can't make the home folder", error))?;
    let program = std::env::current_exe().map_err(|e| failed("can't find this program", e))?;
    let log_path = home.join("daemon.log");
    let log = std::fs::File::create(&log_path).map_err(|e| failed("can't write daemon.log", e))?;
    let mut child = std::process::Command::new(program)
        .arg("--home")
        .arg(home)
        .args(["daemon", "--ephemeral"])
        // Ctrl-C at the terminal is for the command: the job goes on.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .map_err(|error| failed("can't start the daemon", error))?;
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match Client::of_home(home).await {
            Ok(client) => return Ok(client),
            Err(error) if error.code != codes::NODE_UNREACHABLE => return Err(error),
            Err(error) if Instant::now() > patience => return Err(error),
            Err(_) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            let shown = log_path.display();
            return Err(ApiError::new(
                codes::NODE_UNREACHABLE,
                format!("the daemon ended at once ({status}); its log is {shown}"),
            ));
        }
    }
}

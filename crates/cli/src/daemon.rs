//! Starting a node, and finding one that runs.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use ayni_api::codes::exit;
use ayni_api::{ApiError, Client, Endpoint, codes};
use ayni_node::{Config, HomeError, Layer, Machine, Node, StartError};

use crate::args::{DaemonArgs, LendArgs};

/// How long a daemon that a command started stays when nothing needs it.
const EPHEMERAL_S: u64 = 120;

/// Runs a node in the foreground until it is asked to stop. Ctrl-C lets what runs for others
/// finish; a second one does not wait.
pub(crate) async fn run(
    home: &Path,
    args: DaemonArgs,
    lend: Option<LendArgs>,
) -> anyhow::Result<ExitCode> {
    let file = args.config.clone().unwrap_or_else(|| home.join("config.toml"));
    let exit_with_parent = args.exit_with_parent;
    let config = Layer::from_file(&file)
        .and_then(|file| {
            Config::new(home.to_owned(), layer(args, lend).over(file), Machine::read())
        })
        .map_err(|error| ApiError::new(codes::NODE_CONFIG, error.to_string()))?;
    let parent = rustix::process::getppid();
    let node =
        Box::pin(Node::start(config, executables()?)).await.map_err(|error| refused(&error))?;
    if let Some(lent) = node.limits() {
        tracing::info!(
            "lending {} slots, {} MiB of memory, {} MiB of disk; Ctrl-C lets running tasks finish, then leaves",
            lent.cpus,
            lent.memory_bytes >> 20,
            lent.disk_bytes >> 20
        );
    }
    tracing::info!(api = %node.api, "node {} is up", node.id);
    tracing::info!("dashboard: http://{}/ (`ayni open` logs a browser in)", node.api);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let orphaned = async {
        while !exit_with_parent || rustix::process::getppid() == parent {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        signal = tokio::signal::ctrl_c() => {
            signal?;
            tracing::info!("finishing what runs for others; Ctrl-C again leaves at once");
            tokio::select! {
                () = node.drain() => {}
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        }
        _ = terminate.recv() => {}
        () = node.asked_to_stop() => {}
        () = orphaned => {}
    }
    node.stop().await;
    Ok(ExitCode::from(exit::OK))
}

fn layer(args: DaemonArgs, lend: Option<LendArgs>) -> Layer {
    let mut layer = Layer {
        listen: (!args.listen.is_empty()).then_some(args.listen),
        lan: args.lan.then_some(true),
        peers: (!args.join.is_empty()).then_some(args.join),
        relays: (!args.relay.is_empty()).then_some(args.relay),
        serve_relay: args.serve_relay,
        directory: args.no_directory.then_some(false),
        api: args.api,
        exit_when_idle_s: args.ephemeral.then_some(EPHEMERAL_S),
        cheat: args.cheat,
        ..Layer::default()
    };
    if let Some(lend) = lend {
        layer.provide = Some(true);
        layer.cpus = lend.cpus;
        layer.memory = lend.memory.map(|bytes| bytes.to_string());
        layer.disk = lend.disk.map(|bytes| bytes.to_string());
        layer.price_per_gigafuel = lend.price;
        layer.stake = lend.stake;
        layer.hold_back = lend.hold_back;
        layer.region = lend.region;
        layer.on_battery = lend.on_battery.then_some(true);
    }
    layer
}

/// A start that failed, as a user sees it.
fn refused(error: &StartError) -> ApiError {
    let code = match error {
        StartError::Home(HomeError::InUse { .. }) => codes::NODE_HOME_BUSY,
        StartError::Home(_) => codes::NODE_HOME,
        StartError::Journal(_) | StartError::Recover(_) => codes::NODE_JOURNAL,
        StartError::Peer { .. } => codes::NET_TICKET,
        StartError::Sandbox(_) | StartError::SelfTest(_) => codes::PROGRAM_RUNNER,
        StartError::Api { .. } | StartError::Cheat { .. } => codes::NODE_CONFIG,
        _ => codes::NODE_INTERNAL,
    };
    let refused = ApiError::new(code, error.to_string());
    match error.hint() {
        Some(hint) => refused.hint(hint),
        None => refused,
    }
}

/// The folder of the running executable, where `ayni-runner` and `ayni-jail` lie too.
fn executables() -> Result<PathBuf, ApiError> {
    let lost = |why: String| ApiError::new(codes::NODE_INTERNAL, why);
    let own = std::env::current_exe().map_err(|e| lost(format!("can't find this program: {e}")))?;
    let folder = own.parent().ok_or_else(|| lost("this program lies in no folder".to_owned()))?;
    Ok(folder.to_owned())
}

/// How long a daemon may take to end before a command stops waiting for it.
const STOP_MAX: Duration = Duration::from_secs(60);

/// Asks the daemon of `home` to end, and waits until it has: the home can be used again then. What
/// came of it, in words.
pub(crate) async fn stop(home: &Path) -> Result<&'static str, ApiError> {
    let client = Client::of_home(home).await?;
    let endpoint =
        Endpoint::load(home).map_err(|error| ApiError::new(codes::NODE_HOME, error.to_string()))?;
    client.shutdown().await?;
    let Some(endpoint) = endpoint else { return Ok("the daemon is stopping") };
    let began = Instant::now();
    while lives(endpoint.pid) {
        if began.elapsed() > STOP_MAX {
            return Ok("the daemon is still stopping");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok("the daemon has stopped")
}

/// Whether a process runs; one that ended but was not yet collected by its parent does not.
fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with(['Z', 'X']))
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
    let mut opening = std::fs::OpenOptions::new();
    let log = opening.create(true).append(true).open(&log_path);
    let log = log.map_err(|error| failed("can't write daemon.log", error))?;
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
    let patience = Instant::now() + Duration::from_secs(60);
    loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        match Client::of_home(home).await {
            Ok(client) => return Ok(client),
            Err(error) if error.code != codes::NODE_UNREACHABLE => return Err(error),
            Err(error) if Instant::now() > patience => return Err(error),
            Err(_) => {}
        }
        if let Ok(Some(status)) = child.try_wait() {
            let log = std::fs::read_to_string(&log_path).unwrap_or_default();
            let words = log.lines().rfind(|line| line.starts_with("error:")).unwrap_or_default();
            let shown = log_path.display();
            return Err(ApiError::new(
                codes::NODE_UNREACHABLE,
                format!("the daemon ended at once ({status}): {words}"),
            )
            .hint(format!("its log says more: {shown}")));
        }
    }
}

//! `ayni daemon` and `ayni provide`: a node in the foreground, until Ctrl-C.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use ayni_node::{Config, Layer, Machine, Node};

/// What a daemon was told on the command line.
pub(crate) struct Daemon {
    pub(crate) home: PathBuf,
    pub(crate) flags: Layer,
    /// End when the process that started this one is gone.
    pub(crate) exit_with_parent: bool,
}

/// Runs a node until it is asked to stop. Ctrl-C drains first; a second one does not wait.
pub(crate) async fn run(daemon: Daemon) -> Result<()> {
    let file = Layer::from_file(&daemon.home.join("config.toml"))?;
    let config = Config::new(daemon.home.clone(), daemon.flags.over(file), Machine::read())?;
    let provides = config.provide.clone();
    let parent = rustix::process::getppid();
    let node = Node::start(config, executables()?).await?;
    tracing::info!(node = %node.id, api = %node.api, home = %daemon.home.display(), "up");
    if let Some(provide) = provides {
        eprintln!(
            "lending {} slots, {} MiB of memory, {} GiB of disk; Ctrl-C lets running tasks finish, then leaves",
            provide.slots,
            provide.memory_bytes >> 20,
            provide.disk_bytes >> 30
        );
    }
    eprintln!("node {} is up; API on {}", node.id, node.api);
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let orphaned = async {
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if daemon.exit_with_parent && rustix::process::getppid() != parent {
                return;
            }
        }
    };
    tokio::select! {
        signal = tokio::signal::ctrl_c() => {
            signal?;
            eprintln!("finishing what runs for others; Ctrl-C again to leave at once");
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
    Ok(())
}

/// The folder of the running executable, where `ayni-runner` and `ayni-jail` lie too.
fn executables() -> Result<PathBuf> {
    let own = std::env::current_exe().context("can't find my own executable")?;
    Ok(own.parent().context("my own executable lies in no folder")?.to_owned())
}

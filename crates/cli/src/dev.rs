//! A whole network on one machine: one requester and some providers, each a real process with a
//! home of its own under one folder. Ends, and cleans up, with Ctrl-C.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ayni_api::json::InviteRequest;
use ayni_api::{Client, Endpoint};
use serde_json::json;
use tokio::process::{Child, Command};

/// What `ayni dev` was told.
pub(crate) struct Dev {
    pub(crate) providers: u32,
    /// Where the homes go; a new temporary folder if not given.
    pub(crate) dir: Option<PathBuf>,
    /// Leave the folder in place at the end.
    pub(crate) keep: bool,
    /// Provider number (from 1) and how it lies; development builds only.
    pub(crate) cheats: Vec<(u32, String)>,
    /// Cores each provider lends.
    pub(crate) cpus: u32,
    pub(crate) json: bool,
}

struct Member {
    name: String,
    home: PathBuf,
    child: Child,
    endpoint: Endpoint,
}

/// How long a process may take to come up, the runner's self-test included.
const START_MAX: Duration = Duration::from_secs(120);

/// Starts the network, says how to use it, waits for Ctrl-C, takes it down.
pub(crate) async fn run(dev: Dev) -> Result<()> {
    ensure!(
        (1..=64).contains(&dev.providers),
        "--providers {}: give 1 to 64",
        dev.providers
    );
    for (number, _) in &dev.cheats {
        ensure!(
            (1..=dev.providers).contains(number),
            "--cheat {number}:…: providers are numbered 1 to {}",
            dev.providers
        );
    }
    let own_dir = dev.dir.is_none();
    let dir = match &dev.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => std::env::temp_dir().join(format!("ayni-dev-{}", std::process::id())),
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make `{}`", dir.display()))?;
    let mut members = Vec::new();
    let result = lead(&dev, &dir, &mut members).await;
    take_down(&mut members).await;
    if own_dir && !dev.keep {
        // Its content is of no use without the processes.
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("can't remove `{}`", dir.display()))?;
        eprintln!("stopped; `{}` is removed", dir.display());
    } else {
        eprintln!("stopped; the homes stay in `{}`", dir.display());
    }
    result
}

async fn lead(dev: &Dev, dir: &Path, members: &mut Vec<Member>) -> Result<()> {
    eprintln!("starting a network of {} processes under `{}`", dev.providers + 1, dir.display());
    let requester = start(dir, "requester", &["--directory".into()]).await?;
    let client = Client::of_home(&requester.home).await?;
    members.push(requester);
    let ticket = client.invite(&InviteRequest::default()).await?.ticket;
    let machine = ayni_node::Machine::read();
    let memory = (machine.memory_bytes / 2 / u64::from(dev.providers)).max(256 << 20);
    let starting = (1..=dev.providers).map(|number| {
        let mut args = vec![
            "--provide".to_owned(),
            "--peer".to_owned(),
            ticket.clone(),
            "--cpus".to_owned(),
            dev.cpus.to_string(),
            "--memory".to_owned(),
            memory.to_string(),
            "--on-battery".to_owned(),
        ];
        for (_, strategy) in dev.cheats.iter().filter(|(cheat, _)| *cheat == number) {
            args.extend(["--cheat".to_owned(), strategy.clone()]);
        }
        async move { start(dir, &format!("provider-{number}"), &args).await }
    });
    for member in futures_util::future::join_all(starting).await {
        members.push(member?);
    }
    show(dev, dir, members);
    loop {
        tokio::select! {
            signal = tokio::signal::ctrl_c() => {
                signal?;
                return Ok(());
            }
            signal = terminated() => return signal,
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        let mut gone = Vec::new();
        for member in members.iter_mut() {
            if let Some(status) = member.child.try_wait()? {
                eprintln!("{} (process {}) ended: {status}", member.name, member.endpoint.pid);
                gone.push(member.name.clone());
            }
        }
        members.retain(|member| !gone.contains(&member.name));
        if members.is_empty() {
            bail!("every process of the network has ended");
        }
    }
}

async fn terminated() -> Result<()> {
    let mut signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    signal.recv().await;
    Ok(())
}

async fn start(dir: &Path, name: &str, args: &[String]) -> Result<Member> {
    let home = dir.join(name);
    std::fs::create_dir_all(&home)?;
    let log = std::fs::File::create(home.join("daemon.log"))?;
    let program = std::env::current_exe().context("can't find my own executable")?;
    let mut child = Command::new(program)
        .arg("daemon")
        .arg("--home")
        .arg(&home)
        .arg("--exit-with-parent")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("can't start {name}"))?;
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            let log = std::fs::read_to_string(home.join("daemon.log")).unwrap_or_default();
            bail!("{name} did not start ({status}):\n{}", log.trim());
        }
        if let Ok(Some(endpoint)) = Endpoint::load(&home)
            && Some(endpoint.pid) == child.id()
            && Client::of_home(&home).await.is_ok()
        {
            return Ok(Member { name: name.to_owned(), home, child, endpoint });
        }
        ensure!(began.elapsed() < START_MAX, "{name} did not come up in {START_MAX:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn show(dev: &Dev, dir: &Path, members: &[Member]) {
    let requester = &members[0].home;
    if dev.json {
        let nodes: Vec<_> = members
            .iter()
            .map(|m| {
                json!({ "name": m.name, "pid": m.endpoint.pid, "api": m.endpoint.addr, "home": m.home })
            })
            .collect();
        println!("{}", json!({ "schema": 1, "dir": dir, "requester": requester, "nodes": nodes }));
        return;
    }
    println!("{:<12} {:>8}  {:<22} home", "name", "process", "api");
    for m in members {
        let (name, pid, api) = (&m.name, m.endpoint.pid, m.endpoint.addr.to_string());
        println!("{name:<12} {pid:>8}  {api:<22} {}", m.home.display());
    }
    println!();
    println!("use it:  export AYNI_HOME={}", requester.display());
    println!("         ayni offers");
    println!("stop it: Ctrl-C here, or kill {}", std::process::id());
}

/// Asks every process to end, waits a little, insists.
async fn take_down(members: &mut [Member]) {
    for member in members.iter() {
        if let Some(pid) = member.child.id().and_then(|pid| i32::try_from(pid).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            // It may have ended by itself.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
    for member in members.iter_mut() {
        if tokio::time::timeout(Duration::from_secs(10), member.child.wait()).await.is_err() {
            eprintln!("{} does not end by itself; killing it", member.name);
            let _ = member.child.kill().await;
        }
    }
}

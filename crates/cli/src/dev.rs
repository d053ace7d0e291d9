//! A whole network on one machine: one requester and some providers, each a real process with a
//! home of its own under one folder. Ends, and cleans up, with Ctrl-C.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ayni_api::codes::exit;
use ayni_api::json::{InviteRequest, StakeRequest, Text};
use ayni_api::{Client, Endpoint};
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::DevArgs;
use crate::money;
use crate::ui::Ui;

struct Member {
    name: String,
    home: PathBuf,
    child: Child,
    pid: u32,
    /// Where its API listens; the ledger has none.
    api: Option<SocketAddr>,
}

/// How long a process may take to come up, the runner's self-test included.
const START_MAX: Duration = Duration::from_secs(120);

/// How long providers may take to be heard of before the network is called up all the same.
const HEAR_MAX: Duration = Duration::from_secs(60);

/// Starts the network, says how to use it, waits for Ctrl-C, takes it down.
pub(crate) async fn run(args: DevArgs, ui: &Ui) -> Result<ExitCode> {
    ensure!((1..=64).contains(&args.providers), "--providers {}: give 1 to 64", args.providers);
    for (number, _) in &args.cheat {
        ensure!(
            (1..=args.providers).contains(number),
            "--cheat {number}:…: providers are numbered 1 to {}",
            args.providers
        );
    }
    let own_dir = args.dir.is_none();
    let dir = match &args.dir {
        Some(dir) => std::path::absolute(dir)?,
        None => std::env::temp_dir().join(format!("ayni-dev-{}", std::process::id())),
    };
    std::fs::create_dir_all(&dir).with_context(|| format!("can't make `{}`", dir.display()))?;
    let mut members = Vec::new();
    let result = lead(&args, &dir, &mut members, ui).await;
    take_down(&mut members).await;
    if own_dir {
        // Its content is of no use without the processes.
        std::fs::remove_dir_all(&dir)
            .with_context(|| format!("can't remove `{}`", dir.display()))?;
        eprintln!("stopped; `{}` is removed", dir.display());
    } else {
        eprintln!("stopped; the homes stay in `{}`", dir.display());
    }
    result?;
    Ok(ExitCode::from(exit::OK))
}

async fn lead(args: &DevArgs, dir: &Path, members: &mut Vec<Member>, ui: &Ui) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let processes = args.providers + 1 + u32::from(args.paid);
    eprintln!("starting a network of {processes} processes under `{}`", dir.display());
    if args.paid {
        members.push(start_ledger(args, dir).await?);
    }
    let requester = start(dir, "requester", "daemon", &[]).await?;
    let client = Client::of_home(&requester.home).await?;
    members.push(requester);
    let ticket = client.invite(&InviteRequest::default()).await?.ticket;
    let machine = ayni_node::Machine::read();
    let memory = (machine.memory_bytes / 2 / u64::from(args.providers)).max(256 << 20);
    let starting = (1..=args.providers).map(|number| {
        let mut words = vec![
            "--join".to_owned(),
            ticket.clone(),
            "--cpus".to_owned(),
            args.cpus.to_string(),
            "--memory".to_owned(),
            memory.to_string(),
            "--on-battery".to_owned(),
        ];
        if let Some(stake) = args.stake {
            words.extend(["--stake".to_owned(), (stake / 4).to_string()]);
        }
        for (_, strategy) in args.cheat.iter().filter(|(cheat, _)| *cheat == number) {
            words.extend(["--cheat".to_owned(), strategy.clone()]);
        }
        async move { start(dir, &format!("provider-{number}"), "provide", &words).await }
    });
    for member in futures_util::future::join_all(starting).await {
        members.push(member?);
    }
    if let Some(stake) = args.stake {
        let homes = members.iter().filter(|m| m.name.starts_with("provider")).map(|m| &m.home);
        let staking = homes.map(|home| put_at_stake(home, stake));
        for done in futures_util::future::join_all(staking).await {
            done?;
        }
    }
    hear(&client, args.providers).await?;
    show(dir, members, ui);
    loop {
        tokio::select! {
            _ = interrupt.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            () = tokio::time::sleep(Duration::from_millis(300)) => {}
        }
        let mut gone = Vec::new();
        for member in members.iter_mut() {
            if let Some(status) = member.child.try_wait()? {
                eprintln!("{} (process {}) ended: {status}", member.name, member.pid);
                gone.push(member.name.clone());
            }
        }
        members.retain(|member| !gone.contains(&member.name));
        if members.is_empty() {
            bail!("every process of the network has ended");
        }
    }
}

/// Waits until the requester has heard of every provider: a job that begins earlier is done at home.
async fn hear(client: &Client, providers: u32) -> Result<()> {
    let began = Instant::now();
    loop {
        let known = client.offers(true).await?.offers.len();
        if known >= providers as usize {
            return Ok(());
        }
        if began.elapsed() > HEAR_MAX {
            eprintln!("only {known} of {providers} providers have offered anything yet");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Puts a provider's stake into the registry, and part of it behind a seat in the jury.
async fn put_at_stake(home: &Path, stake: u128) -> Result<()> {
    let client = Client::of_home(home).await?;
    client.change_stake(&StakeRequest::Add { amount: Text(stake) }).await?;
    client.change_stake(&StakeRequest::Jury { weight: Text(stake / 4) }).await?;
    Ok(())
}

/// Makes an account for everybody, and the ledger on which they pay each other.
async fn start_ledger(args: &DevArgs, dir: &Path) -> Result<Member> {
    let homes = std::iter::once(dir.join("requester"))
        .chain((1..=args.providers).map(|number| dir.join(format!("provider-{number}"))));
    let mut accounts = Vec::new();
    for home in homes {
        std::fs::create_dir_all(&home)?;
        let account = ayni_node::make_account(&home, ayni_node::KeystoreCost::LIGHT)?;
        accounts.push((home, account));
    }
    let folder = dir.join("ledger");
    std::fs::create_dir_all(&folder)?;
    let log = std::fs::File::create(folder.join("ledger.log"))?;
    let program = std::env::current_exe().context("can't find my own executable")?;
    let mut command = Command::new(program);
    command.args(["ledger", "--exit-with-parent"]).arg(&folder);
    match &args.rpc {
        Some(url) => command.args(["--rpc", url]),
        None => command.args(["--listen", "127.0.0.1:0"]),
    };
    if let Some(file) = &args.clock_ahead {
        command.arg("--clock-ahead").arg(file);
    }
    for (_, account) in &accounts {
        command.args(["--grant", &account.to_string()]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).kill_on_drop(true);
    // What an earlier run left says where that one listened.
    let _ = std::fs::remove_file(folder.join("rpc"));
    let mut child = command.spawn().context("can't start the ledger")?;
    let began = Instant::now();
    while !folder.join("rpc").exists() {
        if let Some(status) = child.try_wait()? {
            let log = std::fs::read_to_string(folder.join("ledger.log")).unwrap_or_default();
            bail!("the ledger did not start ({status}):\n{}", log.trim());
        }
        ensure!(began.elapsed() < START_MAX, "the ledger did not come up in {START_MAX:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for (home, account) in accounts {
        // The ledger of an earlier run listened elsewhere.
        money::set_table(&home, &money::pay_table(&folder, account)?)?;
    }
    let pid = child.id().unwrap_or_default();
    Ok(Member { name: "ledger".to_owned(), home: folder, child, pid, api: None })
}

async fn start(dir: &Path, name: &str, role: &str, args: &[String]) -> Result<Member> {
    let home = dir.join(name);
    std::fs::create_dir_all(&home)?;
    let log = std::fs::File::create(home.join("daemon.log"))?;
    let program = std::env::current_exe().context("can't find my own executable")?;
    let mut child = Command::new(program)
        .args([role, "--exit-with-parent", "--home"])
        .arg(&home)
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
            let (pid, api) = (endpoint.pid, Some(endpoint.addr));
            return Ok(Member { name: name.to_owned(), home, child, pid, api });
        }
        ensure!(began.elapsed() < START_MAX, "{name} did not come up in {START_MAX:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn show(dir: &Path, members: &[Member], ui: &Ui) {
    let requester = members.iter().find(|m| m.name == "requester").map_or(dir, |m| &m.home);
    if ui.json {
        let nodes: Vec<_> = members
            .iter()
            .map(|m| json!({ "name": m.name, "pid": m.pid, "api": m.api, "home": m.home }))
            .collect();
        println!("{}", json!({ "schema": 1, "dir": dir, "requester": requester, "nodes": nodes }));
        return;
    }
    println!("{:<12} {:>8}  {:<22} home", "name", "process", "api");
    for m in members {
        let (name, pid) = (&m.name, m.pid);
        let api = m.api.map_or_else(|| "-".to_owned(), |api| api.to_string());
        println!("{name:<12} {pid:>8}  {api:<22} {}", m.home.display());
    }
    println!();
    println!("use it:  export AYNI_HOME={}", requester.display());
    println!("         ayni open            # the requester's dashboard; each api above has one");
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

//! The main job, shown: six real processes, three real jobs, one provider killed, one that lies.
//!
//! Everything is done through the `ayni` executable, as a user would; this only starts commands,
//! reads their `--json`, and says what is going on. The liar is drawn here and given to its own
//! process alone; the requester that has to find it is told nothing.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, IsTerminal, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::command::{command, output, say, target};
use crate::shell::{self, built, run};
use crate::{examples, python};

const PROVIDERS: usize = 5;
const HOW_IT_LIES: &str = "digit";

/// Runs the demo; leaves the network up unless `stop`.
pub(crate) fn show(stop: bool) -> Result<()> {
    say("building (the first time takes about 15 minutes on two cores)");
    shell::build()?;
    say(
        "preparing three examples: their programs, their data, and the reference tools to compare with",
    );
    for name in examples::SHOWN {
        examples::stage(name)?;
    }
    python::with_reference_tools()?;

    let began = Instant::now();
    let dir = target().join("demo");
    stop_earlier(&dir);
    if dir.exists() {
        fs::remove_dir_all(&dir).with_context(|| format!("can't remove {}", dir.display()))?;
    }
    fs::create_dir_all(&dir)?;

    let seal = Seal::draw()?;
    title("A network of six processes");
    println!(
        "One of the five providers will change a digit in every result. Which one is drawn and sealed:"
    );
    println!("  seal {}", seal.commitment);
    let mut network = Network::start(&dir, &seal)?;
    network.show();

    title("Three jobs at once");
    let mut jobs = Vec::new();
    for name in examples::SHOWN {
        jobs.push(Job::start(&network, &dir, name)?);
    }
    if std::io::stdin().is_terminal() {
        println!("press k and Enter to kill a provider; otherwise it happens by itself\n");
    }
    let killed = watch(&mut network, &mut jobs, &seal)?;

    title("What happened");
    for job in &mut jobs {
        job.finish()?;
    }
    println!("{} was killed with SIGKILL while it worked; what it had not finished moved:", killed);
    for job in &jobs {
        let detail = network.job(&job.id)?;
        for provider in detail["providers"].as_array().into_iter().flatten() {
            let name = network.name_of(&provider["node"]);
            if let Some(lost) = provider["lost"].as_str()
                && name == killed
            {
                println!("  {:<8} {name}: {lost}", job.name);
            }
        }
    }

    title("The liar");
    let named = accuse(&network, &jobs)?;
    println!(
        "\nThe seal is opened: provider-{} was told to lie (nonce {}).",
        seal.liar, seal.nonce
    );
    ensure!(
        seal.holds(),
        "the seal does not open: commitment {} is not of this nonce",
        seal.commitment
    );
    let expected = format!("provider-{}", seal.liar);
    ensure!(named == [expected.clone()], "the audits named {named:?}, the liar was {expected}");
    println!("It is the one that the audits named. Its other results were executed again:");
    for job in &jobs {
        let detail = network.job(&job.id)?;
        println!(
            "  {:<8} {} audited, {} contradicted, {} retried or run again",
            job.name, detail["audited"], detail["mismatches"], detail["retried"]
        );
    }

    title("Against the ordinary tools");
    for job in &jobs {
        let check = python::check_example(&job.name, &job.out)?;
        println!(
            "  {:<8} {} values, largest difference {:e} (allowed {:e})",
            job.name, check.compared, check.max_abs_diff, check.tolerance
        );
        ensure!(check.ok, "{} differs from its reference: {}", job.name, check.complaints);
    }

    title("A receipt, checked by executing its task again");
    let receipt = jobs[0].a_receipt()?;
    run(network.ayni(&["verify", "--re-execute"]).arg(&receipt))?;
    let flipped = dir.join("flipped.receipt");
    let mut bytes = fs::read(&receipt)?;
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&flipped, bytes)?;
    println!("\nThe same receipt with bit 0 of byte {at} flipped:");
    let status = network.ayni(&["verify"]).arg(&flipped).status()?;
    ensure!(!status.success(), "a receipt with a flipped bit was accepted");
    println!("refused, as it must be ({status})");

    title("The same job again");
    let mut again = Job::start_into(&network, &dir, examples::SHOWN[0], "again")?;
    again.finish()?;
    let detail = network.job(&again.id)?;
    println!(
        "  {} tasks, {} already held, {} new fuel",
        detail["counts"]["tasks"],
        detail["counts"]["held"],
        detail["fuel"].as_str().unwrap_or("?")
    );
    ensure!(detail["fuel"] == "0", "running a finished job again cost fuel");

    title("What this did not show");
    println!(
        "  Several machines (all processes share this one), networks behind NAT, payment, providers"
    );
    println!(
        "  that lie rarely (a fixed audit rate finds them late), private inputs (there is no hiding"
    );
    println!("  them from the machine that runs a task).");
    println!("\ndone in {} s after the build", began.elapsed().as_secs());
    if stop {
        network.stop()?;
    } else {
        println!("\nThe network is still up (process {}). Try:", network.process.id());
        println!("  export AYNI_HOME={}", network.requester.display());
        println!("  {} job list", built("ayni").display());
        println!("Stop it with: kill {}", network.process.id());
        fs::write(dir.join("pid"), network.process.id().to_string())?;
    }
    Ok(())
}

fn title(text: &str) {
    println!("\n── {text} {}", "─".repeat(70_usize.saturating_sub(text.len())));
}

/// Which provider lies, fixed before anything starts and shown only at the end.
struct Seal {
    liar: usize,
    nonce: String,
    commitment: String,
}

impl Seal {
    fn draw() -> Result<Self> {
        let mut random = [0_u8; 17];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let nonce: String = random[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        let liar = usize::from(random[16]) % PROVIDERS + 1;
        let commitment = Self::commit(liar, &nonce);
        Ok(Self { liar, nonce, commitment })
    }

    fn commit(liar: usize, nonce: &str) -> String {
        blake3::hash(format!("provider-{liar} {nonce}").as_bytes()).to_hex().to_string()
    }

    fn holds(&self) -> bool {
        Self::commit(self.liar, &self.nonce) == self.commitment
    }
}

struct Node {
    name: String,
    pid: u32,
    api: String,
    id: String,
}

struct Network {
    process: Child,
    requester: PathBuf,
    nodes: Vec<Node>,
}

impl Network {
    fn start(dir: &Path, seal: &Seal) -> Result<Self> {
        let mut process = Command::new(built("ayni"))
            .args(["dev", "--json", "--providers"])
            .arg(PROVIDERS.to_string())
            .arg("--dir")
            .arg(dir.join("network"))
            .args(["--cheat", &format!("{}:{HOW_IT_LIES}", seal.liar)])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.join("network.log"))?)
            // So that Ctrl-C here ends the demo, and the network stays for a look.
            .process_group(0)
            .spawn()
            .context("can't start `ayni dev`")?;
        let mut line = String::new();
        let stdout = process.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let started: Value = serde_json::from_str(&line).with_context(|| {
            let log = fs::read_to_string(dir.join("network.log")).unwrap_or_default();
            format!("the network did not start: {log}")
        })?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut network = Self {
            process,
            requester: PathBuf::from(text(&started["requester"])),
            nodes: Vec::new(),
        };
        for node in started["nodes"].as_array().into_iter().flatten() {
            let home = text(&node["home"]);
            let id = output(command(built("ayni")).args(["--home", &home, "--json", "id"]))?;
            let id: Value = serde_json::from_str(&id)?;
            network.nodes.push(Node {
                name: text(&node["name"]),
                pid: u32::try_from(node["pid"].as_u64().unwrap_or(0))?,
                api: text(&node["api"]),
                id: text(&id["node"]),
            });
        }
        Ok(network)
    }

    fn show(&self) {
        for Node { name, pid, api, id } in &self.nodes {
            println!("  {name:<12} process {pid:<8} API {api:<22} {id}");
        }
    }

    /// `ayni` as the requester's owner would call it.
    fn ayni(&self, args: &[&str]) -> Command {
        let mut command = command(built("ayni"));
        command.args(args).env("AYNI_HOME", &self.requester);
        command
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&output(self.ayni(&["--json"]).args(args))?)?)
    }

    fn job(&self, id: &str) -> Result<Value> {
        self.json(&["job", "show", id])
    }

    /// The name of a node given by its id; `null` is the requester itself.
    fn name_of(&self, id: &Value) -> String {
        let Some(id) = id.as_str() else { return "home".to_owned() };
        let node = self.nodes.iter().find(|node| node.id == id);
        node.map_or_else(|| id.to_owned(), |node| node.name.clone())
    }

    fn stop(&mut self) -> Result<()> {
        run(Command::new("kill").arg(self.process.id().to_string()))?;
        self.process.wait()?;
        Ok(())
    }
}

/// Ends the network of an earlier demo, if it is still up.
fn stop_earlier(dir: &Path) {
    let Ok(pid) = fs::read_to_string(dir.join("pid")) else { return };
    let line = fs::read_to_string(format!("/proc/{}/cmdline", pid.trim())).unwrap_or_default();
    if line.contains("ayni") && line.contains("dev") {
        say("stopping the network of an earlier demo");
        // It may end by itself meanwhile.
        let _ = Command::new("kill").arg(pid.trim()).status();
        for _ in 0..100 {
            if !Path::new(&format!("/proc/{}", pid.trim())).exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

struct Job {
    name: String,
    id: String,
    out: PathBuf,
    process: Child,
}

impl Job {
    fn start(network: &Network, dir: &Path, name: &str) -> Result<Self> {
        Self::start_into(network, dir, name, "out")
    }

    fn start_into(network: &Network, dir: &Path, name: &str, out: &str) -> Result<Self> {
        let out = dir.join(out).join(name);
        fs::create_dir_all(out.parent().unwrap_or(dir))?;
        let file = target().join("examples").join(name).join("job.toml");
        let id = new_id()?;
        let log = fs::File::create(dir.join(format!("{name}.log")))?;
        let process = network
            .ayni(&["run", "--id", &id, "--audit", "0.3", "-f"])
            .arg(&file)
            .arg("-o")
            .arg(&out)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("can't start `ayni run` for {name}"))?;
        Ok(Self { name: name.to_owned(), id, out, process })
    }

    fn finish(&mut self) -> Result<()> {
        let status = self.process.wait()?;
        ensure!(
            status.success(),
            "`ayni run` of {} failed: {status}; see {}.log",
            self.name,
            self.name
        );
        Ok(())
    }

    /// A receipt of this job, from its output folder.
    fn a_receipt(&self) -> Result<PathBuf> {
        let mut folders: Vec<_> = fs::read_dir(&self.out)?.collect::<Result<_, _>>()?;
        folders.sort_by_key(fs::DirEntry::path);
        let receipts = folders.iter().map(|folder| folder.path().join("receipt"));
        receipts
            .into_iter()
            .find(|path| path.is_file())
            .with_context(|| format!("no receipt in {}", self.out.display()))
    }
}

fn new_id() -> Result<String> {
    let mut random = [0_u8; 16];
    fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Shows progress until every job has ended; kills one provider on the way and gives its name.
fn watch(network: &mut Network, jobs: &mut [Job], seal: &Seal) -> Result<String> {
    let (key, pressed) = mpsc::channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line.trim() == "k" && key.send(()).is_err() {
                return;
            }
        }
    });
    let began = Instant::now();
    let mut killed: Option<String> = None;
    loop {
        let mut done_by: BTreeMap<String, u64> = BTreeMap::new();
        let (mut line, mut tasks, mut accepted) = (String::new(), 0, 0);
        let mut busy: BTreeMap<String, u64> = BTreeMap::new();
        for job in jobs.iter() {
            // The job is not known until its inputs are uploaded.
            let Ok(detail) = quiet_job(network, &job.id) else { continue };
            let counts = &detail["counts"];
            let (all, done) = (number(&counts["tasks"]), number(&counts["accepted"]));
            line += &format!("{} {done}/{all}  ", job.name);
            tasks += all;
            accepted += done;
            for provider in detail["providers"].as_array().into_iter().flatten() {
                let name = network.name_of(&provider["node"]);
                *done_by.entry(name.clone()).or_default() += number(&provider["accepted"]);
                *busy.entry(name).or_default() += number(&provider["running"]);
            }
        }
        let by: Vec<_> = done_by
            .iter()
            .map(|(name, done)| format!("{} {done}", name.replace("provider-", "p")))
            .collect();
        println!("{:>4} s  {line} │ {}", began.elapsed().as_secs(), by.join("  "));
        std::io::stdout().flush()?;
        let mut running = false;
        for job in jobs.iter_mut() {
            match job.process.try_wait()? {
                None => running = true,
                Some(status) if status.success() => {}
                Some(status) => bail!(
                    "`ayni run` of {} failed: {status}; see target/demo/{}.log",
                    job.name,
                    job.name
                ),
            }
        }
        if killed.is_none() && tasks > 0 && (accepted * 4 >= tasks || pressed.try_recv().is_ok()) {
            let liar = format!("provider-{}", seal.liar);
            let victim = network
                .nodes
                .iter()
                .filter(|node| node.name.starts_with("provider-") && node.name != liar)
                .max_by_key(|node| busy.get(&node.name).copied().unwrap_or(0))
                .context("no provider to kill")?;
            println!("        kill -9 {}  ({})", victim.pid, victim.name);
            run(Command::new("kill").args(["-9", &victim.pid.to_string()]))?;
            killed = Some(victim.name.clone());
        }
        if !running {
            return killed.context("the jobs ended before a provider could be killed");
        }
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn quiet_job(network: &Network, id: &str) -> Result<Value> {
    let output = network
        .ayni(&["--json", "job", "show", id])
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .output()?;
    ensure!(output.status.success(), "not there yet");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

/// Prints the evidence of every job; gives the names of those it is against.
fn accuse(network: &Network, jobs: &[Job]) -> Result<Vec<String>> {
    let mut named = Vec::new();
    let mut shown = false;
    for job in jobs {
        let list = network.json(&["job", "show", &job.id, "--evidence"])?;
        let evidence = list["evidence"].as_array().cloned().unwrap_or_default();
        for one in &evidence {
            named.push(network.name_of(&one["provider"]));
        }
        if !evidence.is_empty() && !shown {
            shown = true;
            run(&mut network.ayni(&["job", "show", &job.id, "--evidence"]))?;
        }
        println!("  {:<8} {} results contradicted by an audit", job.name, evidence.len());
    }
    named.sort();
    named.dedup();
    Ok(named)
}

//! `ayni-sim`: run one world, a farm of them, one twice, or find a smaller one that breaks too.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ayni_sim::farm::{cores, farm};
use ayni_sim::shrink::shrink;
use ayni_sim::world::Options;
use ayni_sim::{Knobs, Report, run_world};
use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "ayni-sim", about = "Simulated networks of the core that ships")]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run one world and show its knobs and its end.
    Run {
        #[command(flatten)]
        world: Which,
        /// Lines of the trace to show.
        #[arg(long, default_value_t = 0)]
        lines: usize,
    },
    /// Run many worlds.
    Farm {
        /// As `0..1000`, the end not included.
        #[arg(long, default_value = "0..1000000000")]
        seeds: String,
        /// Stop after so many minutes.
        #[arg(long)]
        minutes: Option<u64>,
        /// Worlds at the pace of people: runs of minutes to an hour, faults for hours.
        #[arg(long)]
        long: bool,
        /// Every world with pay (else three in ten have it).
        #[arg(long, conflicts_with = "long")]
        paid: bool,
        /// Worlds at once; as many as cores if not given.
        #[arg(long)]
        threads: Option<usize>,
    },
    /// Find smaller knobs that break the same promise, and write them to a file.
    Shrink {
        #[command(flatten)]
        world: Which,
        /// Worlds to try at most.
        #[arg(long, default_value_t = 500)]
        tries: u32,
        /// Where the knobs go.
        #[arg(long, default_value = "shrunk.knobs")]
        out: PathBuf,
    },
    /// One big job on a few providers, no faults: how much the core itself takes.
    Load {
        /// Tasks of the job.
        #[arg(long, default_value_t = 100_000)]
        tasks: u64,
    },
    /// A crowd of nodes in one world, with faults.
    Crowd {
        /// Nodes; one in twenty asks.
        #[arg(long, default_value_t = 2_000)]
        nodes: u64,
        /// Seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Play the audit rule, without a network, against liars; prints the tables in Markdown.
    Rule {
        /// Jobs per cell.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// Providers per job.
        #[arg(long, default_value_t = 21)]
        providers: usize,
        /// Only printed doubt against measured frequency: as CSV, and drawn into this file.
        #[arg(long, value_name = "SVG")]
        calibration: Option<PathBuf>,
    },
    /// Money alone: three nodes and a chain, every step an action that bytes choose.
    Channels {
        /// So many actions at least.
        #[arg(long, default_value_t = 1_000_000)]
        actions: u64,
        /// The seed of the first episode; an episode that breaks a promise is named by its own.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only write the episode of that seed down, in words.
        #[arg(long, conflicts_with = "traces")]
        write: bool,
        /// Into this folder: what became of every step on the chain, for a real contract to be asked.
        #[arg(long, value_name = "DIR")]
        traces: Option<PathBuf>,
        /// Of every so many episodes.
        #[arg(long, default_value_t = 1, requires = "traces")]
        every: u64,
    },
    /// What a machine at home earns in a month, its electricity taken off; prints Markdown.
    Earnings {
        /// The first month's seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Months per row.
        #[arg(long, default_value_t = 1_000)]
        months: u64,
        #[command(flatten)]
        yours: Yours,
    },
    /// The stake that audits ask for, over rates and outside gains; prints Markdown.
    Stake {
        /// Price of a result.
        #[arg(long, default_value_t = 1_000)]
        price: u64,
    },
    /// Run one world twice and compare the hashes.
    Replay {
        #[command(flatten)]
        world: Which,
    },
}

/// Numbers that replace those of the table; with `--cores` one row is printed: yours.
#[derive(Args)]
struct Yours {
    /// Cores that your machine lends.
    #[arg(long, requires_all = ["idle_watts", "busy_watts", "megafuel"])]
    cores: Option<u64>,
    /// What it draws with nothing to do.
    #[arg(long, requires = "cores")]
    idle_watts: Option<u64>,
    /// What it draws with those cores busy.
    #[arg(long, requires = "cores")]
    busy_watts: Option<u64>,
    /// Millions of fuel a second that one core does (`ayni doctor` says it).
    #[arg(long, requires = "cores", value_parser = clap::value_parser!(u64).range(1..))]
    megafuel: Option<u64>,
    /// Hours a day.
    #[arg(long, requires = "cores", default_value_t = 24)]
    hours: u64,
    /// It is on without this too.
    #[arg(long, requires = "cores")]
    on_anyway: bool,
    /// A kilowatt-hour, in millionths of a dollar.
    #[arg(long, default_value_t = ayni_sim::earnings::COSTS.tariff)]
    tariff: u64,
    /// A claim on the chain, in millionths of a dollar.
    #[arg(long, default_value_t = ayni_sim::earnings::COSTS.claim)]
    claim: u64,
    /// What must be in a channel before it is claimed, in millionths of a dollar.
    #[arg(long, default_value_t = ayni_sim::earnings::COSTS.claim_least)]
    claim_least: u64,
}

/// A world: of a seed, or of knobs in a file.
#[derive(Args)]
#[group(required = true, multiple = true)]
struct Which {
    /// The world of this seed.
    #[arg(long, conflicts_with = "knobs")]
    seed: Option<u64>,
    /// The long world of the seed.
    #[arg(long, requires = "seed")]
    long: bool,
    /// The world of the seed, with pay.
    #[arg(long, requires = "seed", conflicts_with = "long")]
    paid: bool,
    /// The world of the knobs in this file.
    #[arg(long)]
    knobs: Option<PathBuf>,
}

impl Which {
    fn knobs(&self) -> anyhow::Result<Knobs> {
        match (&self.knobs, self.seed) {
            (Some(path), _) => read(path),
            (None, Some(seed)) if self.long => Ok(Knobs::long(seed)),
            (None, Some(seed)) if self.paid => Ok(Knobs::paid(seed)),
            (None, seed) => Ok(Knobs::draw(seed.unwrap_or_default())),
        }
    }
}

fn read(path: &Path) -> anyhow::Result<Knobs> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("can't read the knobs in {}", path.display()))?;
    Knobs::parse(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

fn main() -> anyhow::Result<()> {
    let broken = match Arguments::parse().command {
        Action::Run { world, lines } => run(world.knobs()?, lines),
        Action::Farm { seeds, minutes, long, paid, threads } => {
            let draw = match (long, paid) {
                (true, _) => Knobs::long,
                (false, true) => Knobs::paid,
                (false, false) => Knobs::draw,
            };
            many(&seeds, minutes, draw, threads.unwrap_or_else(cores))?
        }
        Action::Shrink { world, tries, out } => smaller(world.knobs()?, tries, &out)?,
        Action::Load { tasks } => load(tasks),
        Action::Crowd { nodes, seed } => crowd(nodes, seed),
        Action::Rule { seeds, providers, calibration } => {
            rule(seeds, providers, calibration.as_deref())?
        }
        Action::Channels { seed, write: true, .. } => {
            print!("{}", ayni_sim::channels::written(&ayni_sim::channels::bytes_of(seed)));
            false
        }
        Action::Channels { actions, seed, traces, every, .. } => match traces {
            None => channels(&ayni_sim::channels::run(seed, actions), seed),
            Some(folder) => traced(actions, seed, &folder, every)?,
        },
        Action::Earnings { seed, months, yours } => earnings(seed, months, &yours),
        Action::Stake { price } => stake(price),
        Action::Replay { world } => replay(&world.knobs()?),
    };
    std::process::exit(i32::from(broken));
}

fn run(knobs: Knobs, lines: usize) -> bool {
    print!("{knobs}");
    let report = run_world(knobs, Options { verbose: lines > 0, ..Options::default() });
    for line in report.lines.iter().rev().take(lines).rev() {
        println!("{line}");
    }
    show(&report);
    !report.violations.is_empty()
}

fn show(report: &Report) {
    println!(
        "seed {}: {} events in {} virtual seconds ({} of them busy), {} accepted, {} failed, {} \
         crashes, {} lies found, {} run again, hash {}",
        report.seed,
        report.events,
        report.virtual_ms / 1_000,
        report.busy_ms / 1_000,
        report.accepted,
        report.failed,
        report.crashes,
        report.mismatches,
        report.reruns,
        &report.hash[..16],
    );
    for violation in &report.violations {
        println!("  VIOLATION {violation}");
    }
}

fn many(
    seeds: &str,
    minutes: Option<u64>,
    draw: fn(u64) -> Knobs,
    threads: usize,
) -> anyhow::Result<bool> {
    let (from, to) = seeds
        .split_once("..")
        .ok_or_else(|| anyhow::anyhow!("`{seeds}` is not a range (hint: --seeds 0..1000)"))?;
    let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
    let began = Instant::now();
    let at_most = minutes.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)));
    let harvest = farm(from..to, threads, at_most, |seed| {
        let report = run_world(draw(seed), Options::default());
        if !report.violations.is_empty() {
            show(&report);
        }
        report
    });
    println!(
        "{} worlds (seeds {from}..{}), {} with violations; {} events, {} virtual hours, {} of them \
         with tasks running ({} node-hours), {} tasks accepted, {} failed, {} crashes, {} lies \
         found, {} claimed, {} reorganisations; {:.0} s",
        harvest.worlds,
        from + harvest.worlds,
        harvest.broken.len(),
        harvest.events,
        harvest.virtual_ms / 3_600_000,
        harvest.busy_ms / 3_600_000,
        harvest.busy_node_ms / 3_600_000,
        harvest.accepted,
        harvest.failed,
        harvest.crashes,
        harvest.mismatches,
        harvest.claimed,
        harvest.reorganised,
        began.elapsed().as_secs_f64(),
    );
    Ok(!harvest.broken.is_empty())
}

fn smaller(knobs: Knobs, tries: u32, out: &Path) -> anyhow::Result<bool> {
    let Some(found) = shrink(knobs, Options::default(), tries) else {
        println!("this world breaks no promise");
        return Ok(false);
    };
    std::fs::write(out, found.knobs.to_string())
        .with_context(|| format!("can't write {}", out.display()))?;
    print!("{}", found.knobs);
    show(&found.report);
    println!("{} worlds tried; again:\n  ayni-sim run --knobs {}", found.tried, out.display());
    Ok(true)
}

fn load(tasks: u64) -> bool {
    let began = Instant::now();
    let report = run_world(Knobs::load(tasks), Options::default());
    let seconds = began.elapsed().as_secs_f64();
    show(&report);
    #[allow(clippy::cast_precision_loss)]
    let rate = report.events as f64 / seconds;
    println!("{tasks} tasks: {seconds:.1} s in all, {rate:.0} events a second, models included");
    println!("the slowest single event took {:.0} ms (the submission)", report.slowest_ms);
    !report.violations.is_empty()
}

fn rule(seeds: u64, providers: usize, calibration: Option<&Path>) -> anyhow::Result<bool> {
    let table = ayni_sim::rule::Table { seeds, providers };
    if let Some(path) = calibration {
        println!("printed,measured,results");
        let points = ayni_sim::rule::confidence(&table);
        for (printed, measured, results) in &points {
            println!("{printed:.6},{measured:.6},{results}");
        }
        std::fs::write(path, ayni_sim::rule::drawing(&points))?;
    } else {
        print!("{}", ayni_sim::rule::render(&table));
    }
    Ok(false)
}

fn traced(actions: u64, seed: u64, folder: &Path, every: u64) -> anyhow::Result<bool> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("can't make the folder {}", folder.display()))?;
    let (mut written, mut failed) = (0, None);
    let tally = ayni_sim::channels::run_traced(seed, actions, every, |episode, text| {
        let path = folder.join(format!("{episode}.trace"));
        let done = std::fs::write(&path, text);
        let done = done.with_context(|| format!("can't write {}", path.display()));
        match done {
            Ok(()) => written += 1,
            Err(error) => failed = Some(error),
        }
    });
    let broken = channels(&tally, seed);
    println!("{written} traces in {}", folder.display());
    failed.map_or(Ok(broken), Err)
}

fn channels(tally: &ayni_sim::channels::Tally, seed: u64) -> bool {
    for (name, count) in &tally.counts {
        println!("{count:>12}  {name}");
    }
    #[allow(clippy::cast_precision_loss)]
    let rate = tally.actions as f64 / tally.took.as_secs_f64();
    println!(
        "{} actions in {} episodes from seed {seed}: {:.1} s, {rate:.0} actions a second; {} tasks \
         accepted, {} claimed",
        tally.actions,
        tally.episodes,
        tally.took.as_secs_f64(),
        tally.accepted,
        tally.claimed,
    );
    if let Some((episode, violation)) = &tally.broken {
        println!(
            "  VIOLATION {violation}\n  again: ayni-sim channels --actions 1 --seed {episode}"
        );
    }
    tally.broken.is_some()
}

fn earnings(seed: u64, months: u64, yours: &Yours) -> bool {
    use ayni_sim::earnings::{CHANCES, COSTS, Case, Costs, HOMES, Home, MARKETS, render};
    let Yours { tariff, claim, claim_least, .. } = *yours;
    let costs = Costs { tariff, claim, claim_least, ..COSTS };
    let homes = match (yours.cores, yours.idle_watts, yours.busy_watts, yours.megafuel) {
        (Some(cores), Some(idle_watts), Some(busy_watts), Some(megafuel)) => {
            let Yours { hours, on_anyway, .. } = *yours;
            let name = "yours";
            vec![Home { name, cores, idle_watts, busy_watts, on_anyway, hours, megafuel }]
        }
        _ => HOMES.to_vec(),
    };
    let in_markets = |home: &Home| {
        let home = *home;
        MARKETS.iter().map(move |market| Case { home, market: *market, chances: CHANCES, costs })
    };
    let cases: Vec<Case> = homes.iter().flat_map(in_markets).collect();
    print!("{}", render(&cases, seed, months));
    false
}

fn stake(price: u64) -> bool {
    let gains = [0, 1, 10, 100, 1_000].map(|times: u64| price.saturating_mul(times));
    let rates = [10_000, 20_000, 50_000, 100_000, 250_000, 500_000, 1_000_000];
    print!("{}", ayni_sim::earnings::render_stakes(price, &gains, &rates));
    false
}

fn crowd(nodes: u64, seed: u64) -> bool {
    let began = Instant::now();
    let report = run_world(Knobs::crowd(seed, nodes), Options::default());
    show(&report);
    let memory = peak_mebibytes().map_or(String::new(), |m| format!(", {m} MiB at most"));
    println!("{nodes} nodes: {:.1} s{memory}", began.elapsed().as_secs_f64());
    !report.violations.is_empty()
}

/// The most memory that this process ever held, where the system says so.
fn peak_mebibytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kibibytes| kibibytes / 1_024)
}

fn replay(knobs: &Knobs) -> bool {
    let first = run_world(knobs.clone(), Options::default());
    let second = run_world(knobs.clone(), Options::default());
    println!("{}\n{}", first.hash, second.hash);
    first.hash != second.hash
}

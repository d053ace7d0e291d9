//! `ayni-sim`: run one world, a farm of them, or one twice.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ayni_sim::world::Options;
use ayni_sim::{Knobs, Report, run_seed, run_world};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "ayni-sim", about = "Simulated networks of the core that ships")]
struct Arguments {
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Run the world of one seed and show its end.
    Run {
        /// Which.
        #[arg(long)]
        seed: u64,
        /// Lines of the trace to show.
        #[arg(long, default_value_t = 0)]
        lines: usize,
    },
    /// Run many worlds, two at a time.
    Farm {
        /// As `0..1000`, the end not included.
        #[arg(long)]
        seeds: String,
    },
    /// One big job on a few providers, no faults: how much the core itself takes.
    Load {
        /// Tasks of the job.
        #[arg(long, default_value_t = 100_000)]
        tasks: usize,
    },
    /// Play the audit rule, without a network, against liars; prints the tables in Markdown.
    Rule {
        /// Jobs per cell.
        #[arg(long, default_value_t = 1_000)]
        seeds: u64,
        /// Providers per job.
        #[arg(long, default_value_t = 21)]
        providers: usize,
        /// Only printed doubt against measured frequency, as CSV.
        #[arg(long)]
        calibration: bool,
    },
    /// Run one world twice and compare the hashes.
    Replay {
        /// Which.
        #[arg(long)]
        seed: u64,
    },
}

fn main() -> anyhow::Result<()> {
    let broken = match Arguments::parse().command {
        Action::Run { seed, lines } => run(seed, lines),
        Action::Farm { seeds } => farm(&seeds)?,
        Action::Load { tasks } => load(tasks),
        Action::Rule { seeds, providers, calibration } => rule(seeds, providers, calibration),
        Action::Replay { seed } => replay(seed),
    };
    std::process::exit(i32::from(broken));
}

fn run(seed: u64, lines: usize) -> bool {
    let knobs = Knobs::draw(seed);
    println!("{knobs:#?}");
    let report = run_world(knobs, Options { verbose: lines > 0, planted: None });
    for line in report.lines.iter().rev().take(lines).rev() {
        println!("{line}");
    }
    show(&report);
    !report.violations.is_empty()
}

fn show(report: &Report) {
    println!(
        "seed {}: {} events in {} virtual seconds, {} accepted, {} failed, {} crashes, {} lies \
         found, {} run again, hash {}",
        report.seed,
        report.events,
        report.virtual_ms / 1_000,
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

fn farm(seeds: &str) -> anyhow::Result<bool> {
    let (from, to) = seeds
        .split_once("..")
        .ok_or_else(|| anyhow::anyhow!("`{seeds}` is not a range (hint: --seeds 0..1000)"))?;
    let (from, to): (u64, u64) = (from.parse()?, to.parse()?);
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let reports: Vec<Report> = std::thread::scope(|scope| {
        let work = || {
            let mut reports = Vec::new();
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= to {
                    return reports;
                }
                let report = run_seed(seed);
                if !report.violations.is_empty() {
                    show(&report);
                }
                reports.push(report);
            }
        };
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        handles.into_iter().flat_map(|h| h.join().unwrap_or_default()).collect()
    });
    let broken = reports.iter().filter(|r| !r.violations.is_empty()).count();
    let sum = |f: fn(&Report) -> u64| reports.iter().map(f).sum::<u64>();
    println!(
        "{} worlds, {} with violations; {} events, {} virtual hours, {} tasks accepted, {} failed, \
         {} crashes, {} lies found; {:.1} s",
        reports.len(),
        broken,
        sum(|r| r.events),
        sum(|r| r.virtual_ms) / 3_600_000,
        sum(|r| u64::from(r.accepted)),
        sum(|r| u64::from(r.failed)),
        sum(|r| u64::from(r.crashes)),
        sum(|r| u64::from(r.mismatches)),
        began.elapsed().as_secs_f64(),
    );
    Ok(broken > 0)
}

fn load(tasks: usize) -> bool {
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

fn rule(seeds: u64, providers: usize, calibration: bool) -> bool {
    let table = ayni_sim::rule::Table { seeds, providers };
    if calibration {
        println!("printed,measured,results");
        for (printed, measured, results) in ayni_sim::rule::confidence(&table) {
            println!("{printed:.6},{measured:.6},{results}");
        }
    } else {
        print!("{}", ayni_sim::rule::render(&table));
    }
    false
}

fn replay(seed: u64) -> bool {
    let (first, second) = (run_seed(seed), run_seed(seed));
    println!("{}\n{}", first.hash, second.hash);
    first.hash != second.hash
}

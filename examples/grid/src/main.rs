//! Contingency screening of a power grid: takes branches out of service one by one, solves the
//! linear (DC) power flow for what is left, and says which branch suffers most.
//!
//! A task screens a range of outages (`--from A --to B`, B excluded). Each outage gives one line of
//! JSON: the worst flow, the worst loading, how many branches are over their rating (and were
//! not before), what is cut off, and the same for every *second* outage on top of the first (pairs are counted once, at
//! their smaller number). Deliberately not here: voltages and reactive power, which the DC model
//! leaves out.

mod flow;
mod network;

use std::io::Write as _;
use std::process::ExitCode;

use flow::{Screening, Solver};
use network::Network;

/// Above this a branch counts as overloaded. Slightly over 100, so that rounding never decides.
const OVERLOAD_PERCENT: f64 = 100.000_001;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let text = std::fs::read_to_string(&options.grid)
        .map_err(|e| format!("can't read the grid `{}`: {e}", options.grid))?;
    let network = Network::parse(&text)?;
    let branches = network.branches.len();
    if options.from > options.to || options.to > branches {
        return Err(format!(
            "outages {}..{} are not within the grid's 0..{branches}",
            options.from, options.to
        ));
    }
    let mut solver = Solver::new(&network)?;
    let mut out = std::io::stdout().lock();
    for outage in options.from..options.to {
        let first = solver.screen(&[outage])?;
        let second = second_outages(&mut solver, outage)?;
        writeln!(out, "{}", report(&network, outage, &first, &second))
            .map_err(|e| format!("can't write the result: {e}"))?;
    }
    Ok(())
}

/// What happens when a second branch fails on top of a first.
#[derive(Default)]
struct Second {
    pairs: usize,
    newly_overloading: usize,
    islanding: usize,
    worst_percent: f64,
    worst_with: Option<usize>,
}

fn second_outages(solver: &mut Solver<'_>, first: usize) -> Result<Second, String> {
    let mut second = Second::default();
    for other in first + 1..solver.branches() {
        let screening = solver.screen(&[first, other])?;
        second.pairs += 1;
        second.newly_overloading += usize::from(screening.newly_overloaded > 0);
        second.islanding += usize::from(screening.unsupplied_buses > 0);
        if screening.worst_percent > second.worst_percent {
            second.worst_percent = screening.worst_percent;
            second.worst_with = Some(other);
        }
    }
    Ok(second)
}

fn report(network: &Network, outage: usize, first: &Screening, second: &Second) -> String {
    let name = |i: usize| network.branches[i].name.as_str();
    format!(
        concat!(
            r#"{{"outage":{},"branch":"{}","worst_mw":{:.9},"worst_mw_branch":"{}","#,
            r#""worst_loading_percent":{:.9},"worst_loading_branch":"{}","overloaded":{},"newly_overloaded":{},"#,
            r#""unsupplied_buses":{},"unsupplied_mw":{:.9},"second":{{"pairs":{},"newly_overloading":{},"#,
            r#""islanding":{},"worst_loading_percent":{:.9},"worst_with":"{}"}}}}"#
        ),
        outage,
        name(outage),
        first.worst_mw,
        first.worst_mw_branch.map_or("", name),
        first.worst_percent,
        first.worst_percent_branch.map_or("", name),
        first.overloaded,
        first.newly_overloaded,
        first.unsupplied_buses,
        first.unsupplied_mw,
        second.pairs,
        second.newly_overloading,
        second.islanding,
        second.worst_percent,
        second.worst_with.map_or("", name),
    )
}

struct Options {
    grid: String,
    from: usize,
    to: usize,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { grid: "/in/grid.json".to_owned(), from: 0, to: 0 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || {
                value.parse().map_err(|_| format!("`{flag} {value}`: `{value}` is not a number"))
            };
            match flag.as_str() {
                "--grid" => options.grid = value,
                "--from" => options.from = number()?,
                "--to" => options.to = number()?,
                _ => return Err(format!("unknown option `{flag}`; known: --grid --from --to")),
            }
        }
        Ok(options)
    }
}

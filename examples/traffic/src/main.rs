//! Finds the roads that the quickest ways through a city have in common: for each road, on how many of
//! the ways from some crossings to all others it lies (its betweenness).
//!
//! The starting points are every third crossing. A task takes a range of them (`--from A
//! --to B`, B excluded) and leaves `/out/used.f64`: a number for each road in the order of the file,
//! eight bytes each, the least significant first; and one line of JSON that says what it searched.
//! Deliberately not here: adding up the tasks, which `check.py` does, and traffic jams.

mod roads;
mod ways;

use std::process::ExitCode;

use roads::Roads;
use ways::Ways;

/// Of so many crossings one is a starting point.
const EVERY: usize = 3;

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
    let text = std::fs::read_to_string(&options.roads)
        .map_err(|e| format!("can't read the roads `{}`: {e}", options.roads))?;
    let roads = Roads::parse(&text)?;
    let (from, to) = (options.from, options.to);
    let sources = roads.crossings().div_ceil(EVERY);
    if from > to || to > sources {
        return Err(format!("starting points {from}..{to} are not within 0..{sources}"));
    }
    let mut ways = Ways::new(&roads);
    for source in from..to {
        ways.search(EVERY * source);
    }
    let bytes: Vec<u8> = ways.used.iter().flat_map(|used| used.to_le_bytes()).collect();
    let path = format!("{}/used.f64", options.out);
    std::fs::write(&path, bytes).map_err(|e| format!("can't write `{path}`: {e}"))?;
    println!(
        r#"{{"from":{from},"to":{to},"crossings":{},"roads":{},"ways":{},"total_ms":{}}}"#,
        roads.crossings(),
        roads.all.len(),
        ways.ends,
        ways.total_ms,
    );
    Ok(())
}

struct Options {
    roads: String,
    out: String,
    from: usize,
    to: usize,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options =
            Self { roads: "/in/roads.csv".to_owned(), out: "/out".to_owned(), from: 0, to: 0 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || {
                value.parse().map_err(|_| format!("`{flag} {value}`: `{value}` is not a number"))
            };
            match flag.as_str() {
                "--roads" => options.roads = value,
                "--out" => options.out = value,
                "--from" => options.from = number()?,
                "--to" => options.to = number()?,
                _ => {
                    return Err(format!(
                        "unknown option `{flag}`; known: --roads --out --from --to"
                    ));
                }
            }
        }
        Ok(options)
    }
}

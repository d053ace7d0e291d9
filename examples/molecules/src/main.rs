//! Finds the molecules most similar to each of a collection, by Tanimoto's coefficient of their
//! fingerprints.
//!
//! A task takes a range of the collection (`--from A --to B`, B excluded) and compares each of these
//! molecules with all. Each gives one line of JSON: the five most similar, the most similar first and
//! of equals the one that comes first, and how many are near. Deliberately not here: making
//! fingerprints; that is done before, once, with the chemist's own tool.

mod collection;

use std::io::Write as _;
use std::process::ExitCode;

use collection::Molecule;

/// How many are listed.
const LISTED: usize = 5;
/// Tanimoto's coefficient from which a molecule counts as near.
const NEAR: f64 = 0.7;

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
    let text = std::fs::read_to_string(&options.molecules)
        .map_err(|e| format!("can't read the molecules `{}`: {e}", options.molecules))?;
    let molecules = Molecule::parse_all(&text)?;
    let (from, to, all) = (options.from, options.to, molecules.len());
    if from > to || to > all {
        return Err(format!("molecules {from}..{to} are not within the collection's 0..{all}"));
    }
    let mut out = std::io::stdout().lock();
    for query in from..to {
        writeln!(out, "{}", report(&molecules, query))
            .map_err(|e| format!("can't write the result: {e}"))?;
    }
    Ok(())
}

fn report(molecules: &[Molecule], query: usize) -> String {
    let mut near = 0;
    let mut best: Vec<(f64, usize)> = Vec::with_capacity(LISTED + 1);
    for (other, molecule) in molecules.iter().enumerate() {
        if other == query {
            continue;
        }
        let tanimoto = molecules[query].tanimoto(molecule);
        near += usize::from(tanimoto >= NEAR);
        // Equal ones stay behind those that came before them.
        let place = best.partition_point(|(better, _)| *better >= tanimoto);
        if place < LISTED {
            best.insert(place, (tanimoto, other));
            best.truncate(LISTED);
        }
    }
    let best: Vec<String> = best
        .iter()
        .map(|(tanimoto, other)| format!("[{},{tanimoto:.9}]", molecules[*other].number))
        .collect();
    let number = molecules[query].number;
    format!(r#"{{"molecule":{number},"near":{near},"most_alike":[{}]}}"#, best.join(","))
}

struct Options {
    molecules: String,
    from: usize,
    to: usize,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { molecules: "/in/molecules.csv".to_owned(), from: 0, to: 0 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || {
                value.parse().map_err(|_| format!("`{flag} {value}`: `{value}` is not a number"))
            };
            match flag.as_str() {
                "--molecules" => options.molecules = value,
                "--from" => options.from = number()?,
                "--to" => options.to = number()?,
                _ => {
                    return Err(format!("unknown option `{flag}`; known: --molecules --from --to"));
                }
            }
        }
        Ok(options)
    }
}

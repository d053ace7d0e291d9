//! The cases, each compiled in three ways and executed here: is the outcome always one?
//!
//! Providers use one way. The others are how a disagreement between machines would be looked into,
//! so they have to agree on large programs too. An example program of the sandbox's crate does the
//! work; this compares what it says.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use super::{grouped, outcome};
use crate::command::{command, output};
use crate::corpus::CorpusCase;

/// The example of the sandbox's crate that executes a case.
const PROGRAM: &str = "every_way";
const WAYS: [&str; 3] = ["optimised", "plain", "winch"];

/// What one way came to.
#[derive(Debug, PartialEq)]
struct Way {
    name: String,
    /// Task id, outcome digest, fuel, end: what has to be equal.
    came_to: [String; 4],
    compile_ms: String,
    run_ms: String,
}

/// The table's first line.
pub(super) fn head() -> String {
    format!(
        "{:<15} {:>5}  {:<12} {:>15}  {:>24}  {:>24}",
        "case",
        "equal",
        "outcome",
        "fuel",
        format!("compile ms {}", WAYS.map(|way| &way[..1]).join("/")),
        format!("run ms {}", WAYS.map(|way| &way[..1]).join("/"))
    )
}

/// Runs a case in every way by the executables in `folder`; a line of the table.
pub(super) fn one_case(folder: &Path, case: &CorpusCase, out: &Path) -> Result<String> {
    let mut run = command(folder.join("examples").join(PROGRAM));
    run.arg(folder).arg(&case.program).arg(case.memory_mib.to_string()).arg(out);
    for (host, guest) in &case.mounts {
        run.arg(format!("{}:{guest}", host.display()));
    }
    let ways = read(&output(run.arg("--").args(&case.args))?)?;
    judge(&ways)?;
    outcome::promised(out, case)?;
    let [_, digest, fuel, _] = &ways[0].came_to;
    let figures = |of: fn(&Way) -> &str| ways.iter().map(of).collect::<Vec<_>>().join("/");
    Ok(format!(
        "{:<15} {:>5}  {:<12} {:>15}  {:>24}  {:>24}",
        case.name,
        ways.len(),
        &digest[..12],
        grouped(fuel),
        figures(|way| &way.compile_ms),
        figures(|way| &way.run_ms)
    ))
}

fn read(printed: &str) -> Result<Vec<Way>> {
    let way = |line: &str| {
        let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
        let [name, task, digest, fuel, end, compile_ms, run_ms] =
            <[String; 7]>::try_from(fields).ok()?;
        Some(Way { name, came_to: [task, digest, fuel, end], compile_ms, run_ms })
    };
    let read = |line: &str| way(line).with_context(|| format!("`{PROGRAM}` printed `{line}`"));
    printed.lines().map(read).collect()
}

fn judge(ways: &[Way]) -> Result<()> {
    let names: Vec<_> = ways.iter().map(|way| way.name.as_str()).collect();
    ensure!(names == WAYS, "it ran in the ways {names:?}, not in {WAYS:?}");
    let first = &ways[0];
    ensure!(first.came_to[3] == "exit 0", "it ended with {}", first.came_to[3]);
    ensure!(first.came_to[1].len() >= 12, "`{}` is not an outcome digest", first.came_to[1]);
    for way in ways {
        ensure!(
            way.came_to == first.came_to,
            "{} came to {:?}, {} to {:?}",
            way.name,
            way.came_to,
            first.name,
            first.came_to
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_ways_that_came_to_the_same_are_equal() {
        let line = |way: &str, fuel: u32, ms: u32| {
            format!("{way}\ttask\t0123456789abcdef\t{fuel}\texit 0\t{ms}\t{ms}\n")
        };
        let complaint = |text: &str| {
            read(text).and_then(|ways| judge(&ways)).map_err(|error| error.to_string()).err()
        };
        let two = line("optimised", 7, 1) + &line("plain", 7, 2);
        assert_eq!(complaint(&format!("{two}{}", line("winch", 7, 3))), None);
        let other = complaint(&format!("{two}{}", line("winch", 8, 3))).unwrap();
        assert!(other.contains("winch came to") && other.contains("\"8\""), "{other}");
        assert!(complaint(&two).unwrap().contains("in the ways"));
        assert!(complaint("noise\n").unwrap().contains("printed `noise`"));
        let trap = format!("{two}{}", line("winch", 7, 3)).replace("exit 0", "trap");
        assert_eq!(complaint(&trap).unwrap(), "it ended with trap");
    }
}

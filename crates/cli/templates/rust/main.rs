//! Sums the squares of the whole numbers from --from up to, but not including, --to.
//!
//! A task sees only its arguments, its environment, standard input and the files mounted for it.
//! What it prints, and what it writes under /out, is its result: the same bits on every machine.

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1)?.parse::<u64>().ok()
    };
    let (Some(from), Some(to)) = (number("--from"), number("--to")) else {
        eprintln!("usage: {} --from A --to B", args.first().map_or("program", |name| name));
        return ExitCode::from(2);
    };
    let sum: u128 = (from..to).map(|n| u128::from(n) * u128::from(n)).sum();
    println!("{from},{to},{sum}");
    ExitCode::SUCCESS
}

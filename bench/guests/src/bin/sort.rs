//! Sorting numbers, counting them in a B-tree, printing text: integer code of the standard library,
//! with its calls, allocations and branches.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

const NUMBERS: usize = 200_000;
const KEYS: u32 = 5_000;

fn main() -> ExitCode {
    let rounds = match kernels::rounds(5) {
        Ok(rounds) => rounds,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut last = 1u32;
    let mut sum = 0;
    for _ in 0..rounds {
        let mut numbers: Vec<u32> = (0..NUMBERS)
            .map(|_| {
                last = last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                last
            })
            .collect();
        let mut counts = BTreeMap::new();
        for number in &numbers[..NUMBERS / 10] {
            *counts.entry((number >> 8) % KEYS).or_insert(0u32) += 1;
        }
        numbers.sort();
        let mut text = String::new();
        for (key, count) in &counts {
            // Writing to a string can't fail.
            let _ = write!(text, "{key}:{count},");
        }
        sum += u64::from(numbers[NUMBERS / 2]) + text.len() as u64;
    }
    println!("{sum}");
    ExitCode::SUCCESS
}

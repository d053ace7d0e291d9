//! Fibonacci numbers by plain recursion: nothing but calls of a tiny function, the worst case known
//! for metering, since every call tells and reads both counters.

use std::process::ExitCode;

fn main() -> ExitCode {
    match kernels::rounds(10) {
        Ok(rounds) => {
            let sum: u32 = (0..rounds).map(|_| fibonacci(std::hint::black_box(32))).sum();
            println!("{sum}");
            ExitCode::SUCCESS
        }
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

#[inline(never)]
fn fibonacci(number: u32) -> u32 {
    if number < 2 { number } else { fibonacci(number - 1) + fibonacci(number - 2) }
}

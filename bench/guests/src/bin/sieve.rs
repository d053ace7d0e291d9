//! Eratosthenes' sieve over 4 MiB of flags: stores and short loops, the worst case for metering.

use std::process::ExitCode;

const FLAGS: usize = 4 << 20;

fn main() -> ExitCode {
    let rounds = match kernels::rounds(10) {
        Ok(rounds) => rounds,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let mut flags = vec![1u8; FLAGS];
    let mut primes = 0;
    for _ in 0..rounds {
        primes = sieve(&mut flags);
    }
    println!("{primes}");
    ExitCode::SUCCESS
}

/// How many primes are below the number of flags.
fn sieve(flags: &mut [u8]) -> usize {
    flags.fill(1);
    let mut primes = 0;
    for number in 2..flags.len() {
        if flags[number] == 0 {
            continue;
        }
        primes += 1;
        let mut multiple = number * 2;
        while multiple < flags.len() {
            flags[multiple] = 0;
            multiple += number;
        }
    }
    primes
}

//! About ten microseconds of integer mixing (the finaliser of SplitMix64, again and again) over the
//! first argument: a task so small that what is measured is everything around it. Its result
//! depends on every round, and is one line.

use std::process::ExitCode;

/// Rounds of mixing.
const ROUNDS: u64 = 4_000;

fn main() -> ExitCode {
    let mut state = match kernels::rounds(0) {
        Ok(seed) => seed,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    for round in 0..ROUNDS {
        state = mix(state.wrapping_add(round));
    }
    println!("{state:016x}");
    ExitCode::SUCCESS
}

fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

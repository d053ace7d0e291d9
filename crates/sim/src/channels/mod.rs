//! The channel harness: one requester, two providers and the model chain, with every step an action
//! that a byte string chooses. There is no clock and no order of its own: a message arrives, a batch
//! becomes durable, a block is mined or a node looks at the chain only when an action says so.
//!
//! ```text
//! action   what the bytes mean, and how often each is drawn
//! daemon   one process: a core, its journal, its books
//! stage    the three nodes, the wires between them, and the chain
//! ending   everything is delivered, mined and closed; what must hold then
//! trace    what became of every step on the chain, for a real contract to be asked the same
//! ```
//!
//! After every action M1, M2, M3, M4 and M6 are checked, and at the end of an episode M5. An owner
//! may also do what software cannot mend; then only what is said here is promised, and checked:
//!
//! | what was done | whose promise is gone | what still holds |
//! |---|---|---|
//! | a requester restored an older journal, or runs two daemons on one key | its own M5 and M6: money in a channel that it forgot stays there, and it may sign a lower voucher again | M1; what is claimed is at most the highest voucher that any of its journals holds, and each of these is at most what that journal acknowledged and a step |
//! | a provider did | its own M3, M5 and M6: it may forget what it earned, or convict itself | M1, and all of the requester's |
//! | a node's chain endpoint lied to it | a provider's M3; a requester's M5 until it looks at the truth | M1, M2, M4, M6 |
//! | gas is a hundred times as dear as a withdrawal's delay runs, until ten minutes before its end | nobody's | all |
//! | the same until the withdrawal is over | a provider's M3 and M5: it could not claim | M1, M2, M4, M6, and the requester's M5 |
//!
//! Deliberately not here: many nodes, slow disks and clocks that differ (`world` has those).

mod action;
mod daemon;
mod ending;
mod stage;
mod trace;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::checkers::Violation;
use crate::prng::Prng;

pub use action::Action;

/// Actions of one episode; then the next begins with new nodes.
const EPISODE: usize = 400;

/// What came of it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Actions, endings not counted.
    pub actions: u64,
    /// Of each kind that had something to act on.
    pub counts: BTreeMap<&'static str, u64>,
    /// Episodes.
    pub episodes: u64,
    /// Claimed from all channels.
    pub claimed: u128,
    /// Tasks that ended with an outcome.
    pub accepted: u64,
    /// How long it took.
    pub took: Duration,
    /// The first episode that broke a promise: its seed, and how.
    pub broken: Option<(u64, Violation)>,
}

/// Runs episodes until there were so many actions, or one breaks a promise.
#[must_use]
pub fn run(seed: u64, actions: u64) -> Tally {
    run_traced(seed, actions, u64::MAX, |_, _| ())
}

/// The same; of every so many episodes, hands over the seed and what became of each step on its chain.
pub fn run_traced(seed: u64, actions: u64, every: u64, mut keep: impl FnMut(u64, &str)) -> Tally {
    let began = Instant::now();
    let mut tally = Tally::default();
    let mut episode = seed;
    while tally.actions < actions && tally.broken.is_none() {
        let is_kept = tally.episodes % every.max(1) == every.max(1) - 1;
        let (found, trace) = play_traced(&bytes_of(episode), &mut tally, is_kept);
        if is_kept {
            keep(episode, &trace);
        }
        tally.broken = found.map(|violation| (episode, violation));
        episode = episode.wrapping_add(1);
    }
    tally.took = began.elapsed();
    tally
}

/// The bytes of an episode that a seed stands for.
#[must_use]
pub fn bytes_of(seed: u64) -> Vec<u8> {
    let mut chance = Prng::new(seed, "channels");
    (0..EPISODE / 4).flat_map(|_| chance.number().to_be_bytes()).collect()
}

/// Plays one episode: its first two bytes say what kind of place it is, every two after that are an
/// action. Any bytes are an episode.
pub fn play(bytes: &[u8], tally: &mut Tally) -> Option<Violation> {
    play_traced(bytes, tally, false).0
}

fn play_traced(bytes: &[u8], tally: &mut Tally, traced: bool) -> (Option<Violation>, String) {
    let Some((head, rest)) = bytes.split_at_checked(2) else { return (None, String::new()) };
    let actions = rest.chunks_exact(2).map(|pair| (Action::of(pair[0]), pair[1]));
    play_actions([head[0], head[1]], actions, tally, traced)
}

/// An episode in words, which mean the same when the table of actions is another: a line for the
/// place, and one for each action.
#[must_use]
pub fn written(bytes: &[u8]) -> String {
    let Some((head, rest)) = bytes.split_at_checked(2) else { return String::new() };
    let mut text = format!("place {} {}\n", head[0], head[1]);
    for pair in rest.chunks_exact(2) {
        let _ = writeln!(text, "{} {}", Action::of(pair[0]).name(), pair[1]);
    }
    text
}

/// Plays an episode that was written down; `None` if it is none.
#[must_use]
pub fn play_written(text: &str) -> Option<Option<Violation>> {
    let mut lines = text.lines().filter(|line| !line.starts_with('#'));
    let (small, held) = lines.next()?.strip_prefix("place ")?.split_once(' ')?;
    let head = [small.parse().ok()?, held.parse().ok()?];
    let action = |line: &str| -> Option<(Action, u8)> {
        let (name, arg) = line.rsplit_once(' ')?;
        Some((Action::named(name)?, arg.parse().ok()?))
    };
    let actions: Option<Vec<(Action, u8)>> = lines.map(action).collect();
    Some(play_actions(head, actions?.into_iter(), &mut Tally::default(), false).0)
}

fn play_actions(
    head: [u8; 2],
    actions: impl Iterator<Item = (Action, u8)>,
    tally: &mut Tally,
    traced: bool,
) -> (Option<Violation>, String) {
    let mut stage = stage::Stage::new(head[0], head[1], traced);
    for (action, arg) in actions {
        tally.actions += 1;
        if stage.act(action, arg) {
            *tally.counts.entry(action.name()).or_default() += 1;
        }
        if stage.violation.is_some() {
            break;
        }
    }
    stage.end();
    tally.episodes += 1;
    tally.claimed += stage.claimed();
    tally.accepted += stage.accepted();
    let trace = if traced { stage.trace() } else { String::new() };
    (stage.violation, trace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_are_whole_and_everything_happens_in_them() {
        let tally = run(1, 60_000);
        assert!(tally.broken.is_none(), "{:?}", tally.broken);
        for action in Action::ALL {
            let count = tally.counts.get(action.name()).copied().unwrap_or_default();
            assert!(count > 0, "{} never happened", action.name());
        }
        assert!(tally.claimed > 0 && tally.accepted > 100, "{tally:?}");
    }

    #[test]
    fn an_episode_in_words_is_the_same_episode() {
        let bytes = bytes_of(5);
        let text = written(&bytes);
        assert_eq!(text.lines().count(), bytes.len() / 2);
        assert_eq!(play_written(&text), Some(play(&bytes, &mut Tally::default())));
        for bad in ["", "place 1", "place 1 2\nfly 3", "place 1 2\nmine 256"] {
            assert_eq!(play_written(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn any_bytes_are_an_episode() {
        for bytes in [&[][..], &[1], &[0; 64], &[255; 64], &[7; 63]] {
            assert_eq!(play(bytes, &mut Tally::default()), None);
        }
    }
}

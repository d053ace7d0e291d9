//! The knobs of a world: numbers with names, so that they can be written to a file, read back,
//! and made smaller one by one.
//!
//! A file has one knob per line, its name and its number, and one line per dishonest node:
//! `liar NODE NAME DOSE`. What is not named is 0. `#` begins a comment. Deliberately not here: how
//! a seed becomes knobs (`swarm`).

use std::fmt;

use crate::adversary::Liar;

macro_rules! knobs {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Every knob. Shares are in percent, durations in milliseconds, switches 0 or 1.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct Knobs {
            $($(#[doc = $doc])* pub $name: u64,)*
            /// Dishonest nodes and what they do.
            pub liars: Vec<Liar>,
        }

        impl Knobs {
            /// The names of all numbers.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),*];

            /// A knob by its name.
            #[must_use]
            pub fn number(&self, name: &str) -> Option<u64> {
                match name {
                    $(stringify!($name) => Some(self.$name),)*
                    _ => None,
                }
            }

            /// Turns a knob; false if there is none of that name.
            pub fn set(&mut self, name: &str, value: u64) -> bool {
                match name {
                    $(stringify!($name) => self.$name = value,)*
                    _ => return false,
                }
                true
            }
        }
    };
}

knobs! {
    /// The seed they came from; all other chance of the world comes from it too.
    seed,
    /// Nodes that ask; the first of all nodes.
    requesters,
    /// Nodes that provide; all others.
    providers,
    /// Whether the first requester is a directory (else the first provider is).
    directory_at_home,
    /// One more directory: the last provider.
    second_directory,
    /// Jobs of all requesters together.
    jobs,
    /// Tasks per job.
    tasks,
    /// Percent of tasks that are not simply `ok`.
    odd_tasks_percent,
    /// Percent of tasks that equal an earlier one.
    repeated_percent,
    /// Percent of jobs whose tasks are private (their ids carry a random blind).
    blinded_percent,
    /// Audit rate in millionths, where the rule does not set it.
    audit_ppm,
    /// The audit rate follows from the rule.
    by_rule,
    /// Share of wrong results that jobs allow, in millionths; 0 does not say.
    error_ppm,
    /// Providers that must agree; 0 and 1 ask for no second.
    quorum,
    /// What somebody else would pay for one wrong result.
    gain,
    /// Stake that providers reserve for a lease.
    stake,
    /// Pay that providers let requesters hold back.
    hold_back,
    /// Jobs also run at home.
    home,
    /// Home slots of requesters.
    home_slots,
    /// Slots of providers at most.
    slots_max,
    /// Most providers of one job at once; 0 draws it per job.
    providers_max,
    /// Tasks take so many times as long; so do timeouts, faults and what lies between them.
    stretch,
    /// A program is compiled for so long when a machine first runs it.
    compile_ms,
    /// Longest delay of a message.
    delay_ms_max,
    /// Longest delay of the journal.
    disk_ms_max,
    /// Percent of fault ticks at which some node crashes.
    crash_percent,
    /// The same for cutting a pair of nodes.
    cut_percent,
    /// The same for a connection that breaks.
    break_percent,
    /// The same for a journal that is full for a while.
    disk_fail_percent,
    /// The same for pausing a provider.
    pause_percent,
    /// The same for draining a provider (it restarts afterwards).
    drain_percent,
    /// The same for a process that stands still for a while.
    freeze_percent,
    /// Percent of runs that fault for no reason.
    machine_fault_percent,
    /// Percent of fetches that fail.
    fetch_fail_percent,
    /// Percent of messages on a broken connection that arrive over the next one, late.
    ghost_percent,
    /// Percent of reconnections at which the last messages are said again.
    repeat_percent,
    /// Percent of crashes of a provider that also lose a batch its disk had called durable.
    lost_sync_percent,
    /// Clocks are wrong by at most so much, either way, and by something else after a restart.
    skew_ms_max,
    /// A job is cancelled on the way.
    cancel,
    /// Jobs are submitted open and closed later.
    open,
    /// How long faults last.
    fault_phase_ms,
    /// Providers are paid, on a chain.
    paid,
    /// What a channel is opened with, and topped up by.
    deposit,
    /// How far ahead of the bills requesters promise those whom they do not know.
    step_first,
    /// The same for any.
    step_max,
    /// How far ahead providers want promises to be; also what they let come to nothing.
    provider_step,
    /// Providers claim when there is so much to claim.
    claim_least,
    /// Seconds between the announcement of a withdrawal and the withdrawal.
    withdraw_delay_s,
    /// Between two blocks.
    block_ms,
    /// Blocks on top of a final one.
    depth,
    /// Percent of fault ticks at which the newest blocks are replaced by others.
    reorg_percent,
    /// The same for a chain that nobody reaches for a while.
    chain_down_percent,
    /// The same for deposits and claims that are too dear for a while.
    gas_percent,
    /// The same for a node whose view of the chain lags or stands still.
    rpc_percent,
    /// The same for a requester that closes a channel.
    close_percent,
    /// Percent of steps that the chain never gets.
    tx_drop_percent,
    /// Percent of steps that are mined late.
    tx_late_percent,
    /// Percent of steps that the chain gets twice.
    tx_twice_percent,
    /// What each job may be billed at most; 0 sets no limit.
    budget,
}

impl Knobs {
    /// Every node runs what it says it runs, and says what it means.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        self.liars.iter().all(|liar| !liar.is_dishonest())
    }

    /// No task can fail but by its own fault.
    #[must_use]
    pub fn machines_are_sound(&self) -> bool {
        self.machine_fault_percent == 0 && self.fetch_fail_percent == 0
    }

    /// The number of nodes.
    #[must_use]
    pub fn nodes(&self) -> usize {
        size(self.requesters) + size(self.providers)
    }

    /// Reads a file of knobs.
    ///
    /// # Errors
    /// When a line names no knob, or its number is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut knobs = Self { stretch: 1, ..Self::default() };
        for (at, line) in (1..).zip(text.lines()) {
            let line = line.split('#').next().unwrap_or_default().trim();
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                ["liar", node, name, dose] => {
                    let number =
                        |word: &str| word.parse().map_err(|_| format!("line {at}: `{word}`?"));
                    let liar = Liar::named(size(number(node)?), name, number(dose)?);
                    knobs.liars.push(liar.ok_or_else(|| format!("line {at}: no liar `{name}`"))?);
                }
                [name, value] => {
                    let value = value.parse().map_err(|_| format!("line {at}: `{value}`?"))?;
                    if !knobs.set(name, value) {
                        return Err(format!("line {at}: no knob `{name}`"));
                    }
                }
                _ => return Err(format!("line {at}: a name and a number are wanted")),
            }
        }
        if knobs.requesters == 0 || knobs.providers == 0 || knobs.jobs == 0 || knobs.tasks == 0 {
            return Err("requesters, providers, jobs and tasks must not be 0".to_owned());
        }
        knobs.stretch = knobs.stretch.max(1);
        if knobs.paid > 0 {
            let needed =
                ["deposit", "step_first", "step_max", "provider_step", "block_ms", "depth"];
            let unset = needed.iter().find(|name| knobs.number(name) == Some(0));
            if let Some(name) = unset {
                return Err(format!("`{name}` must not be 0 in a world with pay"));
            }
        }
        Ok(knobs)
    }
}

/// A number of things as a size.
#[must_use]
pub fn size(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl fmt::Display for Knobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in Self::NAMES {
            let value = self.number(name).unwrap_or_default();
            if value > 0 || *name == "seed" {
                writeln!(f, "{name} {value}")?;
            }
        }
        for liar in &self.liars {
            writeln!(f, "liar {} {} {}", liar.node, liar.name, liar.dose)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for seed in 0..200 {
            let knobs = Knobs::draw(seed);
            assert_eq!(Knobs::parse(&knobs.to_string()), Ok(knobs));
        }
    }

    #[test]
    fn a_knob_that_is_none_is_refused() {
        assert_eq!(Knobs::parse("sede 1"), Err("line 1: no knob `sede`".to_owned()));
        assert_eq!(Knobs::parse("\nliar 1 saint 0"), Err("line 2: no liar `saint`".to_owned()));
    }
}

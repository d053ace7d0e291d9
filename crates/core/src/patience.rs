//! How long a provider that says it compiles is waited for. A task's timeout does not count
//! compiling, and only the provider knows when it does that; what it says is believed for a few
//! seconds at a time, and for so long in all that nobody can stall for ever by saying it.
//!
//! Time stands still for everything under the lease, because what waits behind a compilation waits
//! for it too. Deliberately not here: what happens when patience is over (`schedule`).

use std::collections::BTreeSet;

use ayni_types::{AssignmentId, Digest, NodeId, Time};

use crate::core::Core;

/// Time that does not count against the assignments of one lease.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// What was said to be compiled: programs that we gave, so no more than those.
    programs: BTreeSet<Digest>,
    /// Uncounted before the latest saying, in milliseconds.
    before_ms: u64,
    /// The latest saying: when it came, and until when it is believed.
    said: Option<(Time, Time)>,
}

impl Patience {
    /// The provider says that it compiles `program`: believed for `each_ms`, within the limit of
    /// `program_ms` for each program.
    fn hear(&mut self, program: Digest, now: Time, each_ms: u64, program_ms: u64) {
        self.before_ms = self.uncounted_ms(now, program_ms);
        self.programs.insert(program);
        self.said = Some((now, now.after_ms(each_ms)));
    }

    /// What did not count since the lease began, in milliseconds. Never goes back, and never grows
    /// faster than time.
    pub(crate) fn uncounted_ms(&self, now: Time, program_ms: u64) -> u64 {
        let programs = u64::try_from(self.programs.len()).unwrap_or(u64::MAX);
        let since = self.said.map_or(0, |(came, until)| now.min(until).since_ms(came));
        let all = self.before_ms.saturating_add(since);
        all.min(programs.saturating_mul(program_ms))
    }
}

impl Core {
    /// A provider says that it compiles what an assignment needs.
    pub(crate) fn compiles(&mut self, from: NodeId, id: AssignmentId) {
        let (now, each_ms) = (self.now, self.config.tuning.silence_ms);
        let program_ms = self.config.tuning.compile_ms_max;
        let Some(hire) = self.hires.get_mut(&id.lease).filter(|h| h.provider() == from) else {
            return;
        };
        hire.heard = now;
        let Some(work) = hire.work.get(&id.number).filter(|w| w.delivered.is_none()) else {
            return;
        };
        let Some(job) = self.jobs.get(&work.job) else { return };
        // Who let work run out before has had its time.
        if job.stalls(from) > 0 {
            return;
        }
        let Some(task) = job.task(work.index) else { return };
        hire.patience.hear(task.spec.program, now, each_ms, program_ms);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Digest = Digest([1; 32]);
    const B: Digest = Digest([2; 32]);

    /// Sayings at these times in milliseconds, each believed for 8 s, at most 60 s a program.
    fn check(said: &[(u64, Digest)], at: u64, expected: u64) {
        let mut patience = Patience::default();
        for (time, program) in said {
            patience.hear(*program, Time(*time), 8_000, 60_000);
        }
        assert_eq!(patience.uncounted_ms(Time(at), 60_000), expected, "{said:?} at {at}");
    }

    fn every_two_seconds(program: Digest, from: u64, to: u64) -> Vec<(u64, Digest)> {
        (from..to).step_by(2_000).map(|time| (time, program)).collect()
    }

    #[test]
    fn what_is_said_is_believed_for_a_while() {
        check(&[], 100_000, 0);
        check(&[(1_000, A)], 1_000, 0);
        check(&[(1_000, A)], 4_000, 3_000);
        check(&[(1_000, A)], 100_000, 8_000);
        check(&[(1_000, A), (3_000, A)], 100_000, 10_000);
        check(&[(1_000, A), (50_000, A)], 100_000, 16_000);
        // Said twice at once is said once.
        check(&[(1_000, A), (1_000, A), (1_000, B)], 100_000, 8_000);
    }

    #[test]
    fn each_program_is_waited_for_once() {
        check(&every_two_seconds(A, 0, 40_000), 38_000, 38_000);
        check(&every_two_seconds(A, 0, 1_000_000), 2_000_000, 60_000);
        // Another program begins where the first ended: what was too much stays too much.
        let mut said = every_two_seconds(A, 0, 500_000);
        said.push((500_000, B));
        check(&said, 504_000, 64_000);
        said.extend(every_two_seconds(B, 502_000, 1_000_000));
        said.extend(every_two_seconds(A, 1_000_000, 1_500_000));
        check(&said, 2_000_000, 120_000);
    }
}

//! The end of an episode: everything that waits is delivered, written, executed, mined and looked at;
//! then all channels are closed. Who kept to the rules has what is theirs.

use std::fmt::Write as _;

use ayni_core::{Command, JobState};

use super::stage::{NODES, PAYER, Stage, job_id};
use crate::checkers::{Violation, j3, m1, m3, m5};

/// Rounds of a second each until the jobs must have ended, and until the money must be home.
const ROUNDS: u64 = 1_500;
/// Longer than a withdrawal takes.
const DELAY_MS: u64 = 3_700_000;

impl Stage {
    pub(super) fn end(&mut self) {
        (self.dear, self.siege_until) = (false, None);
        let ended = self.settle(|stage| stage.jobs_have_ended());
        let bent = self.places.iter().any(|p| p.bent);
        if self.violation.is_some() {
            return;
        }
        if !ended && !bent && !self.is_worn() {
            self.violation = Some(self.stuck());
            return;
        }
        if !ended {
            // Work that waits for somebody whose promise is gone would open new channels for ever.
            for number in 1..=self.jobs {
                self.command(PAYER, &Command::CancelJob { job: job_id(number) });
            }
            self.settle(|_| true);
        }
        for _ in 0..4 {
            // Whose journal could not be written is asked again, as a user would.
            for channel in self.opened.keys().copied().collect::<Vec<_>>() {
                self.command(PAYER, &Command::CloseChannel { channel });
            }
            self.settle(|stage| stage.chain.waiting() == 0 && stage.is_quiet());
            // Longer than a refused step rests.
            for _ in 0..10 {
                self.round(4_000);
            }
            if self.is_home() {
                break;
            }
            let to = self.now + DELAY_MS;
            self.chain_goes_on(to);
            self.now = self.now.max(to);
        }
        let places: Vec<bool> = self.places.iter().map(|p| p.bent).collect();
        let found = self.what_is_wrong(&places);
        if self.violation.is_none() {
            self.violation = found;
        }
    }

    fn jobs_have_ended(&self) -> bool {
        self.places[PAYER].daemons.iter().all(|daemon| {
            (1..=self.jobs).all(|number| {
                let job = daemon.core.job(job_id(number));
                job.is_none_or(|job| job.state != JobState::Running)
            })
        })
    }

    /// Whether a provider rightly gives the requester nothing more: too much was done for it in vain. Of
    /// two providers, the other may be the one where a task has failed; then the job waits for a third.
    fn is_worn(&self) -> bool {
        let requester = self.places[PAYER].config.addr.node;
        let mut daemons = self.places[PAYER + 1..].iter().flat_map(|p| &p.daemons);
        daemons.any(|daemon| daemon.books.lost_to(requester) > self.step)
    }

    fn is_quiet(&self) -> bool {
        let idle = |p: &super::stage::Place| {
            p.daemons.iter().all(|d| d.live.is_empty() && d.runs.is_empty())
        };
        self.wires.iter().all(std::collections::VecDeque::is_empty) && self.places.iter().all(idle)
    }

    fn is_home(&self) -> bool {
        self.chain.head().channels.values().all(|c| c.funds.deposit == c.funds.claimed)
    }

    /// Rounds until `done`; false if it never is.
    fn settle(&mut self, done: impl Fn(&Self) -> bool) -> bool {
        for round in 0..ROUNDS {
            if self.violation.is_some() || (done(self) && self.is_quiet()) {
                return true;
            }
            // Impatient at first; who has to wait for something waits long.
            self.round(if round < 100 { 1_000 } else { 5_000 });
        }
        false
    }

    /// Whatever can happen happens, and time passes.
    pub(super) fn round(&mut self, ms: u64) {
        for peer in 1..NODES {
            self.connect(PAYER, peer);
        }
        for _ in 0..50 {
            let mut any = false;
            for wire in 0..self.wires.len() {
                any |= self.deliver(wire);
            }
            for at in 0..NODES {
                for which in 0..self.places[at].daemons.len() {
                    any |= self.persist(at, which);
                    any |= self.run_ends(at, which, 0);
                }
            }
            if !any || self.violation.is_some() {
                break;
            }
        }
        self.now += ms;
        self.mine();
        for at in 0..NODES {
            self.look(at);
        }
        self.tick();
    }

    fn stuck(&self) -> Violation {
        let core = &self.places[PAYER].daemons[0].core;
        let still = (1..=self.jobs).find_map(|n| j3::still_runs(core, job_id(n), ROUNDS * 4));
        let mut found = still.unwrap_or_else(|| {
            Violation::new(j3::PROMISE, "wires or disks are never quiet".to_owned())
        });
        for place in &self.places {
            for daemon in &place.daemons {
                let _ = write!(found.text, " | {:?}", daemon.core.channels());
            }
        }
        found
    }

    fn what_is_wrong(&self, bent: &[bool]) -> Option<Violation> {
        let state = self.chain.head();
        for (at, place) in self.places.iter().enumerate().filter(|(_, p)| !p.bent) {
            for daemon in &place.daemons {
                if let Some(found) = m1::in_the_books(&daemon.core, &daemon.books, at) {
                    return Some(found);
                }
            }
        }
        if bent[PAYER] {
            return None;
        }
        let payer = &self.places[PAYER].daemons.first()?.books;
        for (channel, (_, provider)) in &payer.opened {
            let Some(held) = state.channels.get(channel) else { continue };
            if let Some(mut found) = m5::not_home(*channel, held, 3 * DELAY_MS / 1_000) {
                let core = &self.places[PAYER].daemons[0].core;
                let shown = core.channels().into_iter().find(|c| c.id == *channel);
                let _ = write!(found.text, " | {shown:?}");
                return Some(found);
            }
            let payee = self.places.iter().find(|p| p.config.addr.node == *provider)?;
            let books = &payee.daemons.first()?.books;
            if payee.bent || payee.besieged {
                continue;
            }
            let found = m5::between_honest(*channel, payer, books, held);
            // What ran in both slots, before and after the last look, and what is held back.
            let allowed = self.hold_back + self.step + 4 * 2_700;
            let claimed = held.funds.claimed.0;
            let requester = self.places[PAYER].config.addr.node;
            let found = found.or_else(|| {
                let lost = m3::at_end(books, *channel, requester, claimed, allowed);
                lost.filter(|_| !payee.misled)
            });
            if found.is_some() {
                return found;
            }
        }
        None
    }
}

//! One lie per window: in each run of as many tasks as the dose says, exactly one is wrong, at a
//! place that nobody can foresee. What slips past audits by chance is bounded per window; this asks
//! how tightly.

use super::{Adversary, Desk, RunSeen, Went, wrong};

pub(super) struct OnePerWindow {
    window: u64,
    place: u64,
    at: u64,
}

impl OnePerWindow {
    pub(super) fn new(window: u64) -> Self {
        Self { window: window.max(1), place: 0, at: 0 }
    }
}

impl Adversary for OnePerWindow {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        let (ms, Ok(ran)) = honest.clone() else { return honest };
        if !seen.for_others() {
            return honest;
        }
        if self.at == 0 {
            self.place = desk.chance.below(self.window);
        }
        let lies = self.at == self.place;
        self.at = (self.at + 1) % self.window;
        if lies { (ms, Ok(wrong(ran, b"wrong"))) } else { honest }
    }
}

#[cfg(test)]
mod tests {
    use super::super::bench::Bench;

    #[test]
    fn every_window_has_one() {
        let truths = Bench::new("one_per_window", 10).truths(200);
        for window in truths.chunks(10) {
            assert_eq!(window.iter().filter(|t| !**t).count(), 1);
        }
    }
}

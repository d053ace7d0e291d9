//! New key: it lies, and once nobody gives it work any more it comes back as somebody whom nobody
//! knows. The dose is how often it lies, in percent.

use ayni_types::NodeId;
use ayni_wire::Message;

use super::{Adversary, Deed, Desk, RunSeen, Went, wrong};

/// Without work for so long after a lie, it takes itself to be caught.
const QUIET_MS: u64 = 15_000;

pub(super) struct NewKey {
    percent: u64,
    lied: bool,
    heard_ms: u64,
}

impl NewKey {
    pub(super) fn new(percent: u64) -> Self {
        Self { percent, lied: false, heard_ms: 0 }
    }
}

impl Adversary for NewKey {
    fn run(&mut self, seen: &RunSeen<'_>, honest: Went, desk: &mut Desk<'_>) -> Went {
        match honest {
            (ms, Ok(ran)) if seen.for_others() && desk.chance.percent(self.percent) => {
                self.lied = true;
                (ms, Ok(wrong(ran, b"wrong")))
            }
            honest => honest,
        }
    }

    fn hear(&mut self, _from: NodeId, message: &Message, desk: &mut Desk<'_>) -> Vec<Deed> {
        if matches!(message, Message::Assign(_) | Message::LeaseAsk(_)) {
            self.heard_ms = desk.now_ms;
        }
        Vec::new()
    }

    fn idle(&mut self, desk: &mut Desk<'_>) -> Vec<Deed> {
        if !self.lied || desk.now_ms < self.heard_ms + QUIET_MS {
            return Vec::new();
        }
        self.lied = false;
        vec![Deed::NewKey]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Deed;
    use super::super::bench::{Bench, assign};

    #[test]
    fn it_comes_back_as_somebody_else_after_it_was_caught() {
        let mut bench = Bench::new("new_key", 100);
        bench.hear(&assign(1));
        assert!(bench.idle().is_empty(), "it has not lied yet");
        assert!(bench.run(1).1.is_ok());
        let quiet = (0..).take_while(|_| bench.idle().is_empty()).count();
        assert!((10..20).contains(&quiet), "{quiet}");
        assert!(!matches!(bench.idle().first(), Some(Deed::NewKey)), "once");
    }
}

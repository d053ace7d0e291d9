//! The n-th failure: of one kind of thing exactly one fails, the n-th of the whole world. A loop
//! over n until nothing is touched any more has then tried every place where it can.

use super::World;

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fail {
    /// A journal batch is refused.
    Persist,
    /// A message is lost, and the connection stays up.
    DropSend,
    /// A message arrives twice.
    RepeatSend,
    /// A runner does not start.
    Run,
    /// The node's power goes off just before an effect.
    Effect,
}

impl Fail {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Persist, Self::DropSend, Self::RepeatSend, Self::Run, Self::Effect];
}

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// What fails.
    pub fail: Fail,
    /// Counted from 1.
    pub nth: u64,
}

impl World {
    /// One more of this kind is about to be done; true if it is the one to fail.
    pub(super) fn inject(&mut self, fail: Fail) -> bool {
        let Some(injection) = self.options.injection.filter(|i| i.fail == fail) else {
            return false;
        };
        self.injected += 1;
        self.injected == injection.nth
    }

    /// Whether the power goes off before the next effect of a node.
    pub(super) fn crashes_now(&mut self, at: usize) -> bool {
        if self.inject(Fail::Effect) {
            return true;
        }
        match &mut self.nodes[at].dies_in {
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }
}

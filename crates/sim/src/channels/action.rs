//! What a byte means. Kinds that move work along are drawn often, disasters seldom. The weights add up
//! to 256, so that each has as many bytes as it says.

macro_rules! actions {
    ($($(#[doc = $doc:literal])* $action:ident $name:literal $weight:literal,)*) => {
        /// An action; a second byte says whose, which or how much.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Action {
            $($(#[doc = $doc])* $action,)*
        }

        impl Action {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$action),*];
            const WEIGHTS: &'static [u32] = &[$($weight),*];

            /// In words.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$action => $name),* }
            }
        }
    };
}

actions! {
    /// The next message of a wire arrives.
    Deliver "deliver" 54,
    /// All messages of a wire arrive.
    DeliverAll "deliver all" 34,
    /// The next message of a wire is lost, and the wire stays.
    Drop "drop a message" 2,
    /// A wire breaks; what is on it is lost.
    Break "break" 3,
    /// A wire comes up.
    Connect "connect" 4,
    /// A daemon's next batch is durable.
    Persist "persist" 40,
    /// All of a daemon's batches are.
    PersistAll "persist all" 24,
    /// A batch is refused: the disk is full for a moment.
    Refuse "refuse a batch" 1,
    /// A daemon dies and comes back with its durable batches and some of the others.
    Crash "crash" 3,
    /// A node comes back from an older copy of its journal.
    Restore "restore a backup" 1,
    /// A second daemon is started on a node's key and journal.
    Twin "start a second daemon" 1,
    /// A run ends.
    RunEnds "end a run" 30,
    /// A block is mined.
    Mine "mine" 14,
    /// The newest blocks are replaced.
    Reorganise "reorganise" 2,
    /// A node looks at its channels.
    Look "look at the chain" 24,
    /// A node's endpoint lies about a channel.
    Lie "lie about the chain" 1,
    /// Gas costs a hundred times as much, or does not any more.
    Gas "turn gas" 1,
    /// Gas is dear from now on while a withdrawal's delay runs: until ten minutes before its end, or
    /// beyond it.
    Siege "make gas dear as a withdrawal runs" 3,
    /// The requester closes a channel.
    Close "close a channel" 1,
    /// A provider claims now.
    Claim "claim" 2,
    /// The requester has a job.
    Submit "submit" 3,
    /// Time passes.
    Time "pass time" 8,
}

impl Action {
    /// The action of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.name() == name)
    }

    /// The action of a byte.
    #[must_use]
    pub fn of(byte: u8) -> Self {
        let total: u32 = Self::WEIGHTS.iter().sum();
        let mut at = u32::from(byte) * total / 256;
        for (action, weight) in Self::ALL.iter().zip(Self::WEIGHTS) {
            if at < *weight {
                return *action;
            }
            at -= weight;
        }
        Self::Time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_has_as_many_bytes_as_its_weight() {
        assert_eq!(Action::WEIGHTS.iter().sum::<u32>(), 256);
        for action in Action::ALL {
            assert!((0..=255).any(|byte| Action::of(byte) == *action), "{action:?}");
        }
    }
}

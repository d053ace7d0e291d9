//! Where unfixed NaNs may travel: what is known of each value, and of each place where values
//! meet (a local, the result of a block, the parameter of a loop).
//!
//! Places are nodes of a graph that is collected in one walk over a function and solved before
//! the second. A place that receives a value whose bits must be kept can't hold unfixed NaNs, so
//! these are fixed before they enter it; other places hold them as they come.
//!
//! The graph is bounded: past the bound every place is taken to need fixed values, which is
//! always right and only slower.

/// Nodes and edges that one function may have before the analysis gives up.
const GRAPH_MAX: usize = 1 << 20;

/// What is known of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State(u32);

impl State {
    /// Its bits are those the program must see.
    pub(super) const EXACT: Self = Self(0);
    /// Likewise, and if it is a NaN it is the canonical one.
    pub(super) const CANON: Self = Self(1);
    /// If it is a NaN, the program must see the canonical one in its place.
    pub(super) const DIRTY: Self = Self(2);

    fn node(index: u32) -> Self {
        Self(index + 3)
    }

    fn index(self) -> Option<usize> {
        self.0.checked_sub(3).map(|index| index as usize)
    }

    /// After it has been fixed where it needed to be.
    pub(super) fn settled(self) -> Self {
        if self == Self::DIRTY || self == Self::CANON { Self::CANON } else { Self::EXACT }
    }
}

/// What a place turned out to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Only canonical NaNs.
    Canon,
    /// Unfixed NaNs, none whose bits must be kept.
    Dirty,
    /// Bits to keep.
    Exact,
}

/// Places and what flows between them.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: u32,
    receives: Vec<(bool, bool)>,
    edges: Vec<(u32, u32)>,
    full: bool,
}

impl Graph {
    /// A new place.
    pub(super) fn place(&mut self) -> State {
        if self.receives.len() >= GRAPH_MAX {
            self.full = true;
            return State::EXACT;
        }
        self.receives.push((false, false));
        self.nodes += 1;
        State::node(self.nodes - 1)
    }

    /// A value may arrive at a place.
    pub(super) fn flow(&mut self, value: State, place: State) {
        let Some(to) = place.index() else { return };
        match value.index() {
            None if value == State::EXACT => self.receives[to].0 = true,
            None if value == State::DIRTY => self.receives[to].1 = true,
            None => {}
            Some(from) if from == to => {}
            Some(_) if self.edges.len() >= GRAPH_MAX => self.full = true,
            Some(_) => self.edges.push((value.0 - 3, place.0 - 3)),
        }
    }

    /// What every place holds.
    pub(super) fn solve(mut self) -> Modes {
        if self.full {
            return Modes { modes: vec![Mode::Exact; self.receives.len()], next: 0 };
        }
        self.edges.sort_unstable();
        let exact: Vec<bool> = self.receives.iter().map(|(exact, _)| *exact).collect();
        let exact = self.spread(exact, |_| true);
        let dirty: Vec<bool> =
            self.receives.iter().zip(&exact).map(|((_, dirty), exact)| *dirty && !exact).collect();
        let dirty = self.spread(dirty, |to| !exact[to]);
        let modes = exact
            .iter()
            .zip(&dirty)
            .map(|(exact, dirty)| match (exact, dirty) {
                (true, _) => Mode::Exact,
                (false, true) => Mode::Dirty,
                (false, false) => Mode::Canon,
            })
            .collect();
        Modes { modes, next: 0 }
    }

    /// Everything reached from what is set, through places that let it pass.
    fn spread(&self, mut set: Vec<bool>, passes: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut work: Vec<u32> = (0..self.nodes).filter(|node| set[*node as usize]).collect();
        while let Some(from) = work.pop() {
            let begin = self.edges.partition_point(|edge| edge.0 < from);
            for (_, to) in self.edges[begin..].iter().take_while(|edge| edge.0 == from) {
                let place = *to as usize;
                if !set[place] && passes(place) {
                    set[place] = true;
                    work.push(*to);
                }
            }
        }
        set
    }
}

/// The solved graph, walked again in the order in which its places were made.
#[derive(Debug)]
pub(super) struct Modes {
    modes: Vec<Mode>,
    next: u32,
}

impl Modes {
    /// The next place, as the first walk made it.
    pub(super) fn place(&mut self) -> State {
        if (self.next as usize) < self.modes.len() {
            self.next += 1;
            State::node(self.next - 1)
        } else {
            State::EXACT
        }
    }

    /// Whether a value may be an unfixed NaN.
    pub(super) fn may_be_unfixed(&self, value: State) -> bool {
        match value.index() {
            Some(node) => self.modes[node] == Mode::Dirty,
            None => value == State::DIRTY,
        }
    }

    /// Whether a value must be fixed before it enters a place.
    pub(super) fn must_fix(&self, value: State, place: State) -> bool {
        let keeps = match place.index() {
            Some(node) => self.modes[node] == Mode::Exact,
            None => true,
        };
        keeps && self.may_be_unfixed(value)
    }
}

//! Every knob of a world, drawn from its seed. Each kind of fault is often off altogether, so that
//! some worlds are hit by one thing very hard.

use crate::adversary::Strategy;
use crate::prng::Prng;

/// The knobs.
#[derive(Debug, Clone)]
pub struct Knobs {
    /// The seed they came from.
    pub seed: u64,
    /// Nodes that ask; the first of all nodes.
    pub requesters: usize,
    /// Nodes that provide; all others.
    pub providers: usize,
    /// Whether the first requester is a directory (else the first provider is).
    pub directory_at_home: bool,
    /// Jobs of all requesters together.
    pub jobs: usize,
    /// Tasks per job.
    pub tasks: usize,
    /// Percent of tasks that are not simply `ok`.
    pub odd_tasks_percent: u64,
    /// Percent of tasks that equal an earlier one.
    pub repeated_percent: u64,
    /// Audit rate in millionths.
    pub audit_ppm: u32,
    /// Jobs also run at home.
    pub home: bool,
    /// Home slots of requesters.
    pub home_slots: u32,
    /// Slots of providers at most.
    pub slots_max: u64,
    /// Longest delay of a message in milliseconds.
    pub delay_ms_max: u64,
    /// Longest delay of the journal in milliseconds.
    pub disk_ms_max: u64,
    /// Percent of a second's slices at which some node crashes.
    pub crash_percent: u64,
    /// The same for cutting a pair of nodes.
    pub cut_percent: u64,
    /// The same for a connection that breaks.
    pub break_percent: u64,
    /// The same for a journal that fails for a while.
    pub disk_fail_percent: u64,
    /// The same for pausing a provider.
    pub pause_percent: u64,
    /// The same for draining a provider (it restarts afterwards).
    pub drain_percent: u64,
    /// Percent of runs that fault for no reason.
    pub machine_fault_percent: u64,
    /// Percent of fetches that fail.
    pub fetch_fail_percent: u64,
    /// Dishonest nodes and what they do.
    pub liars: Vec<(usize, Strategy)>,
    /// A job is cancelled on the way.
    pub cancel: bool,
    /// Jobs are submitted open and closed later.
    pub open: bool,
    /// How long faults last in milliseconds.
    pub fault_phase_ms: u64,
}

impl Knobs {
    /// Draws a world.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut p = Prng::new(seed, "swarm");
        let often = |p: &mut Prng, on: u64, high: u64| {
            if p.percent(on) { p.between(1, high) } else { 0 }
        };
        let requesters = if p.percent(25) { 2 } else { 1 };
        let providers = usize::try_from(p.between(1, 10)).unwrap_or(1);
        let liars = if providers > 1 && p.percent(35) { 1 + usize::from(p.percent(30)) } else { 0 };
        let liars = (0..liars.min(providers - 1))
            .map(|at| {
                let strategy = match p.below(8) {
                    0 => Strategy::WrongPrice,
                    1 => Strategy::TwoRoots,
                    2 => Strategy::NeverSigns,
                    3 => Strategy::ForeignKey,
                    _ => Strategy::WrongOutcome { percent: p.between(5, 100) },
                };
                (requesters + at, strategy)
            })
            .collect();
        let faults = p.percent(75);
        let mut fault = |on: u64, high: u64| if faults { often(&mut p, on, high) } else { 0 };
        let (crash_percent, cut_percent) = (fault(50, 12), fault(40, 15));
        let (break_percent, disk_fail_percent) = (fault(40, 20), fault(25, 6));
        let (pause_percent, drain_percent) = (fault(25, 8), fault(20, 5));
        let (machine_fault_percent, fetch_fail_percent) = (fault(30, 10), fault(30, 15));
        Self {
            seed,
            requesters,
            providers,
            directory_at_home: p.percent(50),
            jobs: usize::try_from(p.between(1, 3)).unwrap_or(1).max(requesters),
            tasks: usize::try_from(match p.below(4) {
                0 => p.between(1, 4),
                1 | 2 => p.between(1, 60),
                _ => p.between(1, 200),
            })
            .unwrap_or(1),
            odd_tasks_percent: often(&mut p, 50, 20),
            repeated_percent: often(&mut p, 30, 30),
            audit_ppm: match p.below(3) {
                0 => 0,
                1 => 1_000_000,
                _ => 100_000,
            },
            home: p.percent(30),
            home_slots: u32::try_from(p.between(1, 4)).unwrap_or(1),
            slots_max: p.between(1, 6),
            delay_ms_max: p.between(1, 250),
            disk_ms_max: p.between(1, 60),
            crash_percent,
            cut_percent,
            break_percent,
            disk_fail_percent,
            pause_percent,
            drain_percent,
            machine_fault_percent,
            fetch_fail_percent,
            liars,
            cancel: p.percent(15),
            open: p.percent(25),
            fault_phase_ms: if faults { p.between(5_000, 60_000) } else { 0 },
        }
    }

    /// A calm world with one big job: for measuring.
    #[must_use]
    pub fn load(tasks: usize) -> Self {
        Self {
            requesters: 1,
            providers: 5,
            jobs: 1,
            tasks,
            odd_tasks_percent: 0,
            repeated_percent: 0,
            audit_ppm: 10_000,
            home: false,
            home_slots: 2,
            slots_max: 32,
            delay_ms_max: 2,
            disk_ms_max: 2,
            crash_percent: 0,
            cut_percent: 0,
            break_percent: 0,
            disk_fail_percent: 0,
            pause_percent: 0,
            drain_percent: 0,
            machine_fault_percent: 0,
            fetch_fail_percent: 0,
            liars: Vec::new(),
            cancel: false,
            open: false,
            fault_phase_ms: 0,
            ..Self::draw(0)
        }
    }

    /// Every node runs what it says it runs.
    #[must_use]
    pub fn is_honest(&self) -> bool {
        self.liars.is_empty()
    }

    /// No task can fail but by its own fault.
    #[must_use]
    pub fn machines_are_sound(&self) -> bool {
        self.machine_fault_percent == 0 && self.fetch_fail_percent == 0
    }
}

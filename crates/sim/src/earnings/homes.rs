//! Machines, markets, mishaps and costs that are tabulated: inputs, every one of them.
//!
//! Watts and speeds are round numbers of usual machines, not measurements; `ayni doctor` says the
//! speed of yours, a socket's meter its watts. Deliberately not here: what follows from them.

/// A machine.
#[derive(Debug, Clone, Copy)]
pub struct Home {
    /// For people.
    pub name: &'static str,
    /// Cores that it lends.
    pub cores: u64,
    /// What it draws with nothing to do.
    pub idle_watts: u64,
    /// What it draws with all those cores busy.
    pub busy_watts: u64,
    /// It would be on without us too, so only the difference is our electricity.
    pub on_anyway: bool,
    /// Hours a day in which it lends them.
    pub hours: u64,
    /// Millions of fuel that a core does in a second.
    pub megafuel: u64,
}

/// What is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct Market {
    /// For 10⁹ fuel, in millionths of a dollar.
    pub price: u64,
    /// How much of the time that it offers is sold.
    pub use_percent: u64,
    /// Requesters in a month, each with a channel.
    pub requesters: u64,
    /// Of one task.
    pub task_gigafuel: u64,
    /// Outside gain of a wrong result that jobs declare, in millionths of a dollar.
    pub gain: u64,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chances {
    /// A day's hours and use lie so much above or below their mean.
    pub spread_percent: u64,
    /// Days with an outage of power, network or machine: half the day is lost, and what was in work.
    pub outage_percent: u64,
    /// Requesters of a month that sign no more and leave.
    pub vanish_percent: u64,
    /// A requester gets one wrong result in a month, of memory that failed, with this chance.
    pub wrong_ppm: u64,
}

/// What it pays.
#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// A kilowatt-hour, in millionths of a dollar.
    pub tariff: u64,
    /// A claim on the chain, in millionths of a dollar.
    pub claim: u64,
    /// What must be in a channel before it is claimed.
    pub claim_least: u64,
    /// What reserved stake would earn elsewhere in a year.
    pub capital_percent: u64,
    /// How far ahead of its bills a new requester is let.
    pub step_first: u64,
    /// The same for any.
    pub step_max: u64,
    /// Tasks that the owner has others do in a day, audited here.
    pub own_tasks: u64,
}

const MINI: Home = Home {
    name: "mini PC, on anyway",
    cores: 4,
    idle_watts: 8,
    busy_watts: 28,
    on_anyway: true,
    hours: 24,
    megafuel: 1_000,
};

const SERVER: Home = Home {
    name: "old server, on anyway",
    cores: 16,
    idle_watts: 110,
    busy_watts: 260,
    on_anyway: true,
    hours: 24,
    megafuel: 600,
};

/// The machines.
pub const HOMES: &[Home] = &[
    MINI,
    Home { name: "mini PC, on for this", on_anyway: false, ..MINI },
    Home {
        name: "desktop, nights, on for this",
        cores: 8,
        idle_watts: 45,
        busy_watts: 130,
        on_anyway: false,
        hours: 10,
        megafuel: 1_200,
    },
    SERVER,
    Home { name: "old server, on for this", on_anyway: false, ..SERVER },
];

const THIN: Market =
    Market { price: 5, use_percent: 10, requesters: 3, task_gigafuel: 60, gain: 0 };

/// The markets: from cheap and thin to good. 10 a Gfuel is 3.6 cents for an hour of a core that does
/// a Gfuel a second.
pub const MARKETS: &[Market] = &[
    THIN,
    Market { price: 10, use_percent: 30, requesters: 5, ..THIN },
    Market { price: 20, use_percent: 60, requesters: 8, ..THIN },
];

/// The mishaps.
pub const CHANCES: Chances =
    Chances { spread_percent: 50, outage_percent: 3, vanish_percent: 5, wrong_ppm: 1_000 };

/// The costs: a claim as on a rollup at 0.01 gwei.
pub const COSTS: Costs = Costs {
    tariff: 300_000,
    claim: 2_000,
    claim_least: 1_000_000,
    capital_percent: 5,
    step_first: 100_000,
    step_max: 1_000_000,
    own_tasks: 1_000,
};

//! What a node counts, as Prometheus scrapes it (text format 0.0.4).
//!
//! A scraper is another program of another user, and the token would let it spend money; so this
//! needs no token and gives away nothing worth one. Deliberately not here: ids, names, addresses and
//! amounts of money. Everything shown is also in `/v1/status` and `/v1/jobs`; nothing is counted
//! twice, and nothing is kept between scrapes.

use std::fmt::Write as _;

use crate::json::{CheckLevel, JobState, JobSummary, PauseReasonJson, ProviderState, Status};

/// The type of the answer.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Whether it may fall.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process starts again.
    Counter,
    /// It is what it is now.
    Gauge,
}

impl Kind {
    /// The format's word.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
        }
    }
}

/// A metric: its name with the unit last, and what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Name; labels are in `help`.
    pub name: &'static str,
    /// Whether it may fall.
    pub kind: Kind,
    /// What it says, in one line.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $kind:ident $name:literal, $help:literal;)*) => {
        $(const $id: Metric = Metric { name: $name, kind: Kind::$kind, help: $help };)*
        /// Every metric that a node may show. Those of lending are absent where nothing is lent.
        pub const ALL: &[Metric] = &[$($id),*];
    };
}

metrics! {
    BUILD = Gauge "ayni_build_info", "1; the label version says of which program.";
    UPTIME = Gauge "ayni_uptime_seconds", "Since when the node is up.";
    ROLE = Gauge "ayni_role", "1 if the node has the role (provider, directory, relay), else 0.";
    PEERS = Gauge "ayni_peers", "Nodes connected now.";
    OFFERS = Gauge "ayni_offers", "Offers of providers that the node knows.";
    WARNINGS = Gauge "ayni_warnings", "What the owner should know, by level (warn, fail).";
    JOBS = Gauge "ayni_jobs", "Own jobs in the journal, by state (open, running, ended, cancelled).";
    TASKS = Gauge "ayni_tasks", "Tasks of own jobs, by state (queued, running, delivered, accepted, failed).";
    TASKS_HELD = Gauge "ayni_tasks_held", "Accepted tasks of own jobs whose outcome was held before: not run again.";
    STATE = Gauge "ayni_provider_state", "1 for the state the provider is in (active, paused, draining, drained), else 0.";
    PAUSED = Gauge "ayni_provider_paused", "1 for each reason for which the provider rests (owner, battery, disk_full, hours, in_use, ...), else 0.";
    SLOTS = Gauge "ayni_provider_slots", "Tasks that the provider runs at once.";
    SLOTS_BUSY = Gauge "ayni_provider_slots_busy", "Of those, at work now.";
    LEASES = Gauge "ayni_provider_leases", "Leases in force.";
    MEMORY = Gauge "ayni_provider_memory_bytes", "Memory lent, of all tasks together.";
    DISK = Gauge "ayni_provider_disk_bytes", "Blob storage lent.";
    DONE = Counter "ayni_provider_tasks_total", "Tasks done for others.";
    FUEL = Counter "ayni_provider_fuel_total", "Fuel of the tasks done for others.";
    BUSY = Counter "ayni_provider_busy_seconds_total", "Processor time of the tasks done for others, compiling included.";
    WALLS = Gauge "ayni_provider_walls", "Walls around strangers' code, by whether they stand (standing, missing).";
    CPU = Counter "process_cpu_seconds_total", "Processor time of the daemon itself.";
    RESIDENT = Gauge "process_resident_memory_bytes", "Memory of the daemon itself that is in RAM.";
    FILES = Gauge "process_open_fds", "Descriptors that the daemon has open.";
}

/// One node's metrics.
pub(crate) fn text(status: &Status, jobs: &[JobSummary], process: Option<&Process>) -> String {
    let mut page = Page::default();
    page.family(BUILD, [(vec![("version", status.version.as_str())], 1.0)]);
    page.one(UPTIME, seconds(status.uptime_ms));
    let roles = [
        ("provider", status.roles.provider),
        ("directory", status.roles.directory),
        ("relay", status.roles.relay),
    ];
    page.family(ROLE, roles.map(|(role, has)| (vec![("role", role)], flag(has))));
    page.one(PEERS, status.peers.into());
    page.one(OFFERS, status.offers.into());
    let levels = [CheckLevel::Warn, CheckLevel::Fail].map(|level| {
        let count = status.warnings.iter().filter(|warning| warning.level == level).count();
        (vec![("level", level.text())], float(count as u64))
    });
    page.family(WARNINGS, levels);
    own(&mut page, jobs);
    lending(&mut page, status);
    if let Some(process) = process {
        page.one(CPU, process.cpu_seconds);
        page.one(RESIDENT, float(process.resident_bytes));
        page.one(FILES, float(process.open_files));
    }
    page.0
}

fn own(page: &mut Page, jobs: &[JobSummary]) {
    let states = [JobState::Open, JobState::Running, JobState::Ended, JobState::Cancelled];
    page.family(
        JOBS,
        states.map(|state| {
            let count = jobs.iter().filter(|job| job.state == state).count();
            (vec![("state", state.text())], float(count as u64))
        }),
    );
    let sum = |of: fn(&JobSummary) -> u32| float(jobs.iter().map(|job| u64::from(of(job))).sum());
    let tasks = [
        ("queued", sum(|job| job.counts.queued)),
        ("running", sum(|job| job.counts.running)),
        ("delivered", sum(|job| job.counts.delivered)),
        ("accepted", sum(|job| job.counts.accepted)),
        ("failed", sum(|job| job.counts.failed)),
    ];
    page.family(TASKS, tasks.map(|(state, count)| (vec![("state", state)], count)));
    page.one(TASKS_HELD, sum(|job| job.counts.held));
}

/// Why a provider may rest, by the names that the API has for it.
const REASONS: [(&str, PauseReasonJson); 10] = [
    ("owner", PauseReasonJson::Owner),
    ("battery", PauseReasonJson::Battery),
    ("disk_full", PauseReasonJson::DiskFull),
    ("hours", PauseReasonJson::Hours),
    ("in_use", PauseReasonJson::InUse),
    ("busy", PauseReasonJson::Busy),
    ("memory", PauseReasonJson::Memory),
    ("hot", PauseReasonJson::Hot),
    ("metered", PauseReasonJson::Metered),
    ("transfer", PauseReasonJson::Transfer),
];

fn lending(page: &mut Page, status: &Status) {
    let Some(provider) = &status.provider else { return };
    let states = [
        ProviderState::Active,
        ProviderState::Paused,
        ProviderState::Draining,
        ProviderState::Drained,
    ];
    page.family(
        STATE,
        states.map(|state| (vec![("state", state.text())], flag(provider.state == state))),
    );
    page.family(
        PAUSED,
        REASONS.map(|(name, reason)| {
            (vec![("reason", name)], flag(provider.pauses.contains(&reason)))
        }),
    );
    page.one(SLOTS, provider.lending.slots.into());
    page.one(SLOTS_BUSY, float(provider.slots.len() as u64));
    page.one(LEASES, provider.leases.into());
    page.one(MEMORY, float(provider.lending.memory_bytes));
    page.one(DISK, float(provider.lending.disk_bytes));
    page.one(DONE, float(provider.tasks_done));
    page.one(FUEL, float(provider.fuel.0));
    page.one(BUSY, seconds(provider.busy_ms));
    let walls = [("standing", provider.walls.len()), ("missing", provider.walls_missing.len())];
    page.family(WALLS, walls.map(|(state, n)| (vec![("state", state)], float(n as u64))));
}

/// What the operating system says of this process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Process {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_files: u64,
}

impl Process {
    /// Asks; `None` where there is no `/proc`, or it says what it should not.
    pub(crate) fn read() -> Option<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let open_files = std::fs::read_dir("/proc/self/fd").ok()?.count() as u64;
        Self::parse(&stat, &status, open_files)
    }

    fn parse(stat: &str, status: &str, open_files: u64) -> Option<Self> {
        /// Ticks of `/proc` in a second: fixed for every program on Linux, whatever the kernel's own.
        const TICKS_PER_SECOND: f64 = 100.0;
        // The name of the program may hold anything, blanks and parentheses too.
        let (_, fields) = stat.rsplit_once(')')?;
        let mut fields = fields.split_whitespace().skip(11);
        let user: u64 = fields.next()?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident_kib: u64 = resident.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(Self {
            cpu_seconds: float(user.saturating_add(system)) / TICKS_PER_SECOND,
            resident_bytes: resident_kib.saturating_mul(1024),
            open_files,
        })
    }
}

/// A page of metrics in the making.
#[derive(Default)]
struct Page(String);

impl Page {
    fn one(&mut self, metric: Metric, value: f64) {
        self.family(metric, [(Vec::new(), value)]);
    }

    /// A metric with its samples. Label values are our own words: nothing needs escaping.
    fn family<'a>(
        &mut self,
        metric: Metric,
        samples: impl IntoIterator<Item = (Vec<(&'a str, &'a str)>, f64)>,
    ) {
        let Metric { name, kind, help } = metric;
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {}", kind.text());
        for (labels, value) in samples {
            let labels: Vec<_> =
                labels.iter().map(|(key, text)| format!("{key}={text:?}")).collect();
            let labels =
                if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            let _ = writeln!(self.0, "{name}{labels} {value}");
        }
    }
}

fn flag(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn seconds(ms: u64) -> f64 {
    float(ms) / 1_000.0
}

/// The format knows floats only; above 2^53 the last digits go.
#[allow(clippy::cast_precision_loss)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_well_formed_and_distinct_and_counters_say_so() {
        for (at, metric) in ALL.iter().enumerate() {
            let name = metric.name;
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(name.starts_with("ayni_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(ALL[..at].iter().all(|other| other.name != name), "{name} twice");
            assert!(metric.help.ends_with('.') && !metric.help.contains('\n'), "{name}");
        }
    }

    #[test]
    fn reasons_are_called_what_the_api_calls_them() {
        for (name, reason) in REASONS {
            assert_eq!(serde_json::to_value(reason).unwrap(), name);
        }
    }

    #[test]
    fn a_process_is_read_whatever_it_is_called_and_refused_when_cut() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 1 0 0 0 150 50 0 0 20 0 1 0 1 1 1";
        let status = "Name:\ta\nVmRSS:\t  2048 kB\n";
        let process = Process::parse(stat, status, 9);
        let expected = Process { cpu_seconds: 2.0, resident_bytes: 2 << 20, open_files: 9 };
        assert_eq!(process, Some(expected));
        for stat in ["", "7 (a", "7 (a) S 1 7", "7 (a) S 1 7 7 0 -1 4194304 1 0 0 0 x 50"] {
            assert_eq!(Process::parse(stat, status, 9), None, "{stat}");
        }
        assert_eq!(Process::parse(stat, "VmRSS: many\n", 9), None);
        assert!(Process::read().is_some_and(|own| own.resident_bytes > 0 && own.open_files > 2));
    }
}

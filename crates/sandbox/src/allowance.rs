//! How long a check or a compilation may take: so much processor time, and far behind it a wall
//! clock.
//!
//! Providers compile behind everything else on their machine. A wall clock alone would end, on a
//! busy machine, a program with which nothing is wrong; processor time is what a program that
//! compiles without end takes from its host. The wall clock is left for a runner that hangs
//! without working. Deliberately not here: tasks, which have their own timeout (`slot`).

use std::time::{Duration, Instant};

use ayni_types::{Fault, FaultKind};

use crate::config::SandboxConfig;
use crate::warden::{JailControl, fault};

/// How often processor time is read. A jail may overdraw by this much on each core.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What one check or compilation may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowance {
    cpu: Duration,
    wall: Duration,
}

impl From<&SandboxConfig> for Allowance {
    fn from(config: &SandboxConfig) -> Self {
        Self { cpu: config.compile_cpu_max, wall: config.compile_wall_max }
    }
}

impl Allowance {
    /// Completes with the fault once the jail has used more than it may.
    pub(crate) async fn overdrawn(self, jail: &JailControl) -> Fault {
        let began = Instant::now();
        // Where processor time can't be read, the wall clock has to stand for it.
        let readable = jail.cpu_used().is_some();
        loop {
            let wall = began.elapsed();
            let cpu = if readable { jail.cpu_used().unwrap_or_default() } else { wall };
            if let Some(fault) = self.judge(cpu, wall) {
                return fault;
            }
            tokio::time::sleep(LOOK_EVERY.min(self.cpu).min(self.wall)).await;
        }
    }

    fn judge(self, cpu: Duration, wall: Duration) -> Option<Fault> {
        let detail = if cpu >= self.cpu {
            format!(
                "compiling took {} s of processor time, {} s are allowed; hint: build the program \
                 smaller, or split its longest functions",
                shown(cpu),
                shown(self.cpu)
            )
        } else if wall >= self.wall {
            format!(
                "compiling did not end within {} s of wall clock, and had only {} s of processor \
                 time; hint: the machine is too busy, use another one or try again later",
                shown(self.wall),
                shown(cpu)
            )
        } else {
            return None;
        };
        Some(fault(FaultKind::Timeout, &detail))
    }
}

fn shown(time: Duration) -> String {
    let tenths = time.as_millis() / 100;
    format!("{}.{}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_was_hit_is_named_with_its_figures() {
        let allowance =
            Allowance { cpu: Duration::from_secs(900), wall: Duration::from_secs(21_600) };
        let judge = |cpu_ms, wall_ms| {
            let fault =
                allowance.judge(Duration::from_millis(cpu_ms), Duration::from_millis(wall_ms));
            fault.map(|fault| (fault.kind, fault.detail))
        };
        assert_eq!(judge(0, 0), None);
        // Starved for hours: nothing is wrong with the program.
        assert_eq!(judge(899_999, 21_599_999), None);
        let (kind, detail) = judge(900_450, 400_000).unwrap();
        assert_eq!(kind, FaultKind::Timeout);
        assert!(
            detail.starts_with("compiling took 900.4 s of processor time, 900.0 s"),
            "{detail}"
        );
        let (kind, detail) = judge(12_300, 21_600_000).unwrap();
        assert_eq!(kind, FaultKind::Timeout);
        assert!(detail.contains("21600.0 s of wall clock, and had only 12.3 s"), "{detail}");
        assert!(detail.contains("hint: "), "{detail}");
    }
}

//! Looks at the node and its machine: what stands, what is missing, what to do about it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ayni_api::json::{Check, CheckLevel};

use crate::start::Shared;

fn check(
    name: &str,
    level: CheckLevel,
    detail: impl Into<String>,
    hint: Option<impl Into<String>>,
) -> Check {
    Check { name: name.to_owned(), level, detail: detail.into(), hint: hint.map(Into::into) }
}

const NO_HINT: Option<&str> = None;

/// All checks, in the order in which they matter.
pub(crate) async fn checks(shared: &Arc<Shared>) -> Vec<Check> {
    let mut checks = Vec::new();
    let test = match crate::self_test::run(&shared.shop).await {
        Ok(test) if test.fuel == shared.self_test.fuel => check(
            "runner",
            CheckLevel::Ok,
            format!(
                "self-test gives its known answer; {} million fuel per second",
                test.fuel_per_second / 1_000_000
            ),
            NO_HINT,
        ),
        Ok(test) => check(
            "runner",
            CheckLevel::Fail,
            format!(
                "self-test used {} fuel, and {} at the start",
                test.fuel, shared.self_test.fuel
            ),
            Some("do not lend this machine: its memory or processor may be at fault"),
        ),
        Err(fault) => check(
            "runner",
            CheckLevel::Fail,
            format!("self-test failed: {fault}"),
            Some("see whether a wall below is missing, or the disk is full"),
        ),
    };
    checks.push(test);
    for wall in shared.shop.sandbox.probe() {
        let name = format!("wall: {}", wall.wall);
        checks.push(match &wall.missing {
            None => check(&name, CheckLevel::Ok, "stands", NO_HINT),
            Some(why) => check(&name, CheckLevel::Warn, why.clone(), wall.hint),
        });
    }
    checks.push(disk(shared));
    checks.push(clock());
    checks.push(network(shared));
    let battery = crate::owner::senses::on_battery();
    let limits = shared.owner.as_ref().map(|owner| owner.limits());
    checks.push(match limits {
        Some(limits) if battery && !limits.on_battery => check(
            "power",
            CheckLevel::Warn,
            "on battery: nothing runs for others",
            Some("plug in, or `ayni limits set --on-battery yes`"),
        ),
        _ => check("power", CheckLevel::Ok, if battery { "on battery" } else { "mains" }, NO_HINT),
    });
    checks
}

fn disk(shared: &Shared) -> Check {
    let home = &shared.config.home;
    match rustix::fs::statvfs(home) {
        Err(error) => {
            check("disk", CheckLevel::Fail, format!("{}: {error}", home.display()), NO_HINT)
        }
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{} MiB free at {}", free >> 20, home.display());
            if free < 256 << 20 {
                check(
                    "disk",
                    CheckLevel::Fail,
                    text,
                    Some("make room: the journal needs some to go on"),
                )
            } else if free < 2 << 30 {
                check("disk", CheckLevel::Warn, text, Some("make room, or lend less with --disk"))
            } else {
                check("disk", CheckLevel::Ok, text, NO_HINT)
            }
        }
    }
}

/// Signed offers and leases carry times, so a clock that is years off makes them useless.
fn clock() -> Check {
    const BUILT_AFTER_S: u64 = 1_760_000_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    if now < BUILT_AFTER_S {
        check(
            "clock",
            CheckLevel::Fail,
            format!("{now} s since 1970 is in the past"),
            Some("set the clock"),
        )
    } else {
        check("clock", CheckLevel::Ok, "plausible", NO_HINT)
    }
}

fn network(shared: &Shared) -> Check {
    let addr = shared.net.addr();
    let direct: Vec<String> = addr.direct.iter().map(ToString::to_string).collect();
    let text = format!("listening on {}; {} peers", direct.join(", "), shared.net.peers().len());
    if addr.direct.iter().all(|a| a.ip().is_loopback()) && addr.relay.is_none() {
        check(
            "network",
            CheckLevel::Warn,
            format!("{text}; only programs on this machine can reach it"),
            Some("start with --lan to be reached from other machines"),
        )
    } else {
        check("network", CheckLevel::Ok, text, NO_HINT)
    }
}

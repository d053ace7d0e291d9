//! From limits and readings: the reasons to rest, in words.
//!
//! What comes and goes (other programs, memory, heat) makes a machine rest at once and lets it go
//! on only after a while of calm, so that it does not flutter. A pure function of what it is given;
//! reading the machine is `senses` and `input`.

use std::collections::BTreeMap;
use std::time::Duration;

use ayni_core::PauseReason;

use super::limits::Limits;

/// How long other programs must be quiet before work goes on.
const CALM: Duration = Duration::from_secs(10);
/// Degrees below the limit at which it is cool again.
const COOLER: i32 = 5;

/// What is known of the machine now. `None`: nobody can tell, which never makes it rest.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Readings {
    /// Monday is 0.
    pub(crate) weekday: usize,
    /// After midnight.
    pub(crate) minute: u16,
    pub(crate) on_battery: bool,
    pub(crate) metered: Option<bool>,
    /// Since the last touch.
    pub(crate) idle: Option<Duration>,
    pub(crate) others_cpu_percent: Option<u32>,
    pub(crate) free_memory_percent: Option<u32>,
    pub(crate) temperature: Option<i32>,
    pub(crate) transferred_today: u64,
}

/// Remembers what it said, and since when it has been calm.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// When each flutterer was last over its limit, by a clock that only goes on.
    over: BTreeMap<PauseReason, Duration>,
    hot: bool,
}

impl Judge {
    /// Why to rest at `now`, by the node's own clock; empty is to work.
    pub(crate) fn decide(
        &mut self,
        now: Duration,
        limits: &Limits,
        read: &Readings,
    ) -> BTreeMap<PauseReason, String> {
        let mut rest = BTreeMap::new();
        if read.on_battery && !limits.on_battery {
            rest.insert(PauseReason::Battery, "it runs on battery".to_owned());
        }
        if !limits.hours.open(read.weekday, read.minute) {
            let text = "it is not lent at this hour".to_owned();
            rest.insert(PauseReason::Hours, text);
        }
        if read.metered == Some(true) && !limits.metered {
            let text = "the network is billed by volume".to_owned();
            rest.insert(PauseReason::Metered, text);
        }
        if let (Some(calm), Some(idle)) = (limits.in_use_s, read.idle)
            && idle < Duration::from_secs(calm.into())
        {
            let ago = idle.as_secs();
            let text = format!("it was touched {ago} s ago, and rests for {calm} s after that");
            rest.insert(PauseReason::InUse, text);
        }
        if let (Some(max), used) = (limits.transfer_per_day_bytes, read.transferred_today)
            && used >= max
        {
            let text = format!("{used} bytes were transferred today, of {max}");
            rest.insert(PauseReason::Transfer, text);
        }
        if let (Some(max), Some(now)) = (limits.temperature_max, read.temperature) {
            let max = i32::try_from(max).unwrap_or(i32::MAX);
            self.hot = now > max || (self.hot && now > max.saturating_sub(COOLER));
            if self.hot {
                let text = format!("it has {now} °C, more than {max} (or not yet {COOLER} below)");
                rest.insert(PauseReason::Hot, text);
            }
        } else {
            self.hot = false;
        }
        let busy = limits.others_cpu_percent.zip(read.others_cpu_percent);
        if let Some(since) = self.flutter(now, PauseReason::Busy, busy.map(|(max, is)| is > max)) {
            let (max, is) = busy.unwrap_or_default();
            let text =
                format!("other programs use {is} % of the processor; more than {max} % {since}");
            rest.insert(PauseReason::Busy, text);
        }
        let memory = limits.free_memory_percent.zip(read.free_memory_percent);
        let short = memory.map(|(min, is)| is < min);
        if let Some(since) = self.flutter(now, PauseReason::Memory, short) {
            let (min, is) = memory.unwrap_or_default();
            let text = format!("{is} % of the memory is available; less than {min} % {since}");
            rest.insert(PauseReason::Memory, text);
        }
        rest
    }

    /// Whether something is over its limit, or was a short while ago; says which.
    fn flutter(
        &mut self,
        now: Duration,
        reason: PauseReason,
        over: Option<bool>,
    ) -> Option<&'static str> {
        match over {
            Some(true) => {
                self.over.insert(reason, now);
                Some("now")
            }
            Some(false) => match self.over.get(&reason) {
                Some(last) if now.saturating_sub(*last) < CALM => Some("within the last 10 s"),
                _ => {
                    self.over.remove(&reason);
                    None
                }
            },
            None => {
                self.over.remove(&reason);
                None
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::owner::limits::Hours;
    use ayni_types::Price;

    pub(crate) fn none() -> Limits {
        Limits {
            cpus: 1,
            memory_bytes: 1 << 30,
            disk_bytes: 0,
            price: Price::default(),
            busy_percent: 0,
            hours: Hours::default(),
            on_battery: true,
            metered: true,
            in_use_s: None,
            others_cpu_percent: None,
            free_memory_percent: None,
            temperature_max: None,
            transfer_per_day_bytes: None,
        }
    }

    #[test]
    fn each_limit_makes_it_rest_and_nothing_else_does() {
        type Set = fn(&mut Limits);
        type See = fn(&mut Readings);
        let cases: [(&str, Set, See, Option<PauseReason>); 16] = [
            (
                "battery",
                |l| l.on_battery = false,
                |r| r.on_battery = true,
                Some(PauseReason::Battery),
            ),
            ("battery allowed", |_| {}, |r| r.on_battery = true, None),
            (
                "metered",
                |l| l.metered = false,
                |r| r.metered = Some(true),
                Some(PauseReason::Metered),
            ),
            ("unknown", |l| l.metered = false, |r| r.metered = None, None),
            ("flat rate", |l| l.metered = false, |r| r.metered = Some(false), None),
            (
                "touched",
                |l| l.in_use_s = Some(180),
                |r| r.idle = Some(Duration::from_secs(179)),
                Some(PauseReason::InUse),
            ),
            ("left", |l| l.in_use_s = Some(180), |r| r.idle = Some(Duration::from_secs(180)), None),
            ("nobody knows", |l| l.in_use_s = Some(180), |_| {}, None),
            (
                "hog",
                |l| l.others_cpu_percent = Some(25),
                |r| r.others_cpu_percent = Some(26),
                Some(PauseReason::Busy),
            ),
            (
                "no hog",
                |l| l.others_cpu_percent = Some(25),
                |r| r.others_cpu_percent = Some(25),
                None,
            ),
            (
                "short",
                |l| l.free_memory_percent = Some(10),
                |r| r.free_memory_percent = Some(9),
                Some(PauseReason::Memory),
            ),
            (
                "hot",
                |l| l.temperature_max = Some(80),
                |r| r.temperature = Some(81),
                Some(PauseReason::Hot),
            ),
            ("cool", |l| l.temperature_max = Some(80), |r| r.temperature = Some(-5), None),
            (
                "spent",
                |l| l.transfer_per_day_bytes = Some(10),
                |r| r.transferred_today = 10,
                Some(PauseReason::Transfer),
            ),
            (
                "night",
                |l| l.hours = Hours::read(&["daily 8:00-20:00".to_owned()]).unwrap(),
                |r| r.minute = 1_200,
                Some(PauseReason::Hours),
            ),
            (
                "day",
                |l| l.hours = Hours::read(&["daily 8:00-20:00".to_owned()]).unwrap(),
                |r| r.minute = 600,
                None,
            ),
        ];
        for (name, set, see, expected) in cases {
            let (mut limits, mut read) = (none(), Readings::default());
            set(&mut limits);
            see(&mut read);
            let rest = Judge::default().decide(Duration::ZERO, &limits, &read);
            assert_eq!(
                rest.keys().copied().collect::<Vec<_>>(),
                Vec::from_iter(expected),
                "{name}"
            );
            assert!(rest.values().all(|text| !text.is_empty()));
        }
    }

    #[test]
    fn work_goes_on_after_a_while_of_calm_only() {
        let limits = Limits { others_cpu_percent: Some(25), temperature_max: Some(80), ..none() };
        let mut judge = Judge::default();
        let mut see = |at_s, cpu, degrees| {
            let read = Readings {
                others_cpu_percent: Some(cpu),
                temperature: Some(degrees),
                ..Readings::default()
            };
            judge.decide(Duration::from_secs(at_s), &limits, &read).into_keys().collect::<Vec<_>>()
        };
        assert_eq!(see(0, 90, 81), [PauseReason::Busy, PauseReason::Hot]);
        assert_eq!(see(5, 0, 80), [PauseReason::Busy, PauseReason::Hot]);
        assert_eq!(see(6, 90, 76), [PauseReason::Busy, PauseReason::Hot]);
        assert_eq!(see(15, 0, 75), [PauseReason::Busy]);
        assert_eq!(see(16, 0, 79), []);
        assert_eq!(see(17, 0, 81), [PauseReason::Hot]);
    }
}

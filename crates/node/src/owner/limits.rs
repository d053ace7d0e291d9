//! An owner's limits, and the hours in which a machine is lent.
//!
//! Both come as text from a person, through the settings, the command line or the API, and are
//! checked here, once. Deliberately not here: what follows from them (`judge`).

use std::fmt;

use ayni_api::json::{OwnerLimits, Schema};
use ayni_core::Lent;
use ayni_types::Price;

/// Least memory of a slot.
const SLOT_BYTES_MIN: u64 = 16 << 20;
/// More tasks at once than cores make sense while tasks wait, up to a point.
const SLOTS_PER_CPU_MAX: u32 = 4;
/// Hours that one machine can state.
const WINDOWS_MAX: usize = 64;
/// Degrees in which a limit makes sense.
const DEGREES: std::ops::RangeInclusive<u32> = 30..=150;
/// Most that full load may add to a price, in hundredths.
pub(crate) const BUSY_PERCENT_MAX: u32 = 10_000;
/// A week, in seconds.
const IN_USE_S_MAX: u32 = 7 * 24 * 60 * 60;

/// What an owner lends, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Tasks at once.
    pub cpus: u32,
    /// Memory in all, in bytes.
    pub memory_bytes: u64,
    /// Blob cache, in bytes.
    pub disk_bytes: u64,
    /// Asked while no slot is leased.
    pub price: Price,
    /// So many hundredths more while all are.
    pub busy_percent: u32,
    /// When it is lent.
    pub hours: Hours,
    /// Also on battery.
    pub on_battery: bool,
    /// Also while the network is billed by volume.
    pub metered: bool,
    /// Rest until nobody has touched the machine for so many seconds.
    pub in_use_s: Option<u32>,
    /// Rest while other programs use more of all cores.
    pub others_cpu_percent: Option<u32>,
    /// Rest while less memory is available.
    pub free_memory_percent: Option<u32>,
    /// Rest above it, in degrees Celsius.
    pub temperature_max: Option<u32>,
    /// Rest when a day's bytes are spent.
    pub transfer_per_day_bytes: Option<u64>,
}

/// A limit that can't be: which, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} = `{value}`: {why}")]
pub struct BadLimit {
    /// Its name.
    pub name: &'static str,
    /// What was given.
    pub value: String,
    /// What is wrong with it.
    pub why: String,
}

/// A machine's cores and memory: nobody can lend more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Has {
    pub(crate) cpus: u32,
    pub(crate) memory_bytes: u64,
}

impl Limits {
    /// Reads limits, and holds them against what the machine has.
    pub(crate) fn read(json: &OwnerLimits, has: Has) -> Result<Self, BadLimit> {
        let limits = Self {
            cpus: json.cpus,
            memory_bytes: json.memory_bytes,
            disk_bytes: json.disk_bytes,
            price: json.price.into(),
            busy_percent: json.busy_percent,
            hours: Hours::read(&json.hours)?,
            on_battery: json.on_battery,
            metered: json.metered,
            in_use_s: json.in_use_s,
            others_cpu_percent: json.others_cpu_percent,
            free_memory_percent: json.free_memory_percent,
            temperature_max: json.temperature_max,
            transfer_per_day_bytes: json.transfer_per_day_bytes,
        };
        limits.check(has).map(|()| limits)
    }

    /// Whether a machine can keep to them.
    pub(crate) fn check(&self, has: Has) -> Result<(), BadLimit> {
        let wrong = |name, value: &dyn fmt::Display, why: &str| {
            Err(BadLimit { name, value: value.to_string(), why: why.to_owned() })
        };
        if self.cpus == 0 || self.cpus > has.cpus.saturating_mul(SLOTS_PER_CPU_MAX) {
            let why = format!("give 1 to {} (this machine has {})", has.cpus, has.cpus);
            return wrong("cpus", &self.cpus, &why);
        }
        let least = SLOT_BYTES_MIN * u64::from(self.cpus);
        if self.memory_bytes < least || self.memory_bytes > has.memory_bytes {
            let why = format!(
                "give {} MiB (16 a task) to {} MiB, in bytes",
                least >> 20,
                has.memory_bytes >> 20
            );
            return wrong("memory_bytes", &self.memory_bytes, &why);
        }
        if self.busy_percent > BUSY_PERCENT_MAX {
            let why = format!("give 0 to {BUSY_PERCENT_MAX}: 100 is twice the price");
            return wrong("busy_percent", &self.busy_percent, &why);
        }
        for (name, value) in [
            ("others_cpu_percent", self.others_cpu_percent),
            ("free_memory_percent", self.free_memory_percent),
        ] {
            if let Some(value @ 101..) = value {
                return wrong(name, &value, "a percentage, at most 100");
            }
        }
        if let Some(degrees) = self.temperature_max
            && !DEGREES.contains(&degrees)
        {
            return wrong("temperature_max", &degrees, "between 30 and 150 °C");
        }
        if let Some(seconds) = self.in_use_s
            && (seconds == 0 || seconds > IN_USE_S_MAX)
        {
            return wrong("in_use_s", &seconds, "between 1 and 604800, a week");
        }
        Ok(())
    }

    /// What of it the core wants to know.
    pub(crate) fn lent(&self) -> Lent {
        Lent {
            slots: self.cpus,
            memory_bytes: self.memory_bytes / u64::from(self.cpus.max(1)),
            disk_bytes: self.disk_bytes,
            price: self.price,
            busy_percent: self.busy_percent,
        }
    }

    /// As the API tells it.
    pub(crate) fn json(&self) -> OwnerLimits {
        OwnerLimits {
            schema: Schema,
            cpus: self.cpus,
            memory_bytes: self.memory_bytes,
            disk_bytes: self.disk_bytes,
            price: self.price.into(),
            busy_percent: self.busy_percent,
            hours: self.hours.0.iter().map(ToString::to_string).collect(),
            on_battery: self.on_battery,
            metered: self.metered,
            in_use_s: self.in_use_s,
            others_cpu_percent: self.others_cpu_percent,
            free_memory_percent: self.free_memory_percent,
            temperature_max: self.temperature_max,
            transfer_per_day_bytes: self.transfer_per_day_bytes,
        }
    }
}

/// Minutes of a day.
const DAY: u16 = 24 * 60;
const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// When a machine is lent; none stated is always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hours(Vec<Window>);

/// Days, and from when to when. One that ends before it begins goes on into the next day, whatever
/// that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    /// Monday first.
    days: [bool; 7],
    /// Minutes after midnight.
    from: u16,
    to: u16,
}

impl Hours {
    /// Reads `mon-fri 22:00-07:00`, `sat,sun`, `daily 20:00-24:00`.
    pub(crate) fn read(texts: &[String]) -> Result<Self, BadLimit> {
        let bad = |text: &str, why: &str| BadLimit {
            name: "hours",
            value: text.chars().take(60).collect(),
            why: format!("{why}; such as `mon-fri 22:00-07:00`, `sat,sun` or `daily 20:00-24:00`"),
        };
        if texts.len() > WINDOWS_MAX {
            return Err(bad(&texts.len().to_string(), "at most 64 can be stated"));
        }
        let read = |text: &String| Window::read(text).map_err(|why| bad(text, why));
        texts.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it is lent at that minute of that day (Monday is 0).
    pub(crate) fn open(&self, day: usize, minute: u16) -> bool {
        self.0.is_empty() || self.0.iter().any(|window| window.holds(day, minute))
    }
}

impl Window {
    fn read(text: &str) -> Result<Self, &'static str> {
        let text = text.trim().to_ascii_lowercase();
        let (days, times) = match text.split_once(char::is_whitespace) {
            Some((days, times)) => (days, times.trim()),
            None => (text.as_str(), "00:00-24:00"),
        };
        let (from, to) = times.split_once('-').ok_or("the hours want a beginning and an end")?;
        let (from, to) = (clock(from)?, clock(to)?);
        if from == to || from == DAY {
            return Err("it begins when it ends");
        }
        let mut set = [false; 7];
        for part in days.split(',') {
            if part == "daily" {
                set = [true; 7];
                continue;
            }
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (weekday(first)?, weekday(last)?);
            let mut day = first;
            loop {
                set[day] = true;
                if day == last {
                    break;
                }
                day = (day + 1) % 7;
            }
        }
        Ok(Self { days: set, from, to })
    }

    fn holds(&self, day: usize, minute: u16) -> bool {
        let (today, yesterday) = (self.days[day % 7], self.days[(day + 6) % 7]);
        if self.from < self.to {
            today && (self.from..self.to).contains(&minute)
        } else {
            (today && minute >= self.from) || (yesterday && minute < self.to)
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days == [true; 7] {
            f.write_str("daily")?;
        } else {
            let days = NAMES.iter().zip(self.days).filter(|(_, set)| *set).map(|(name, _)| *name);
            f.write_str(&days.collect::<Vec<_>>().join(","))?;
        }
        let (from, to) = (self.from, self.to);
        write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)
    }
}

fn weekday(text: &str) -> Result<usize, &'static str> {
    NAMES.iter().position(|name| *name == text).ok_or("no day of the week has that name")
}

fn clock(text: &str) -> Result<u16, &'static str> {
    let why = "a time of day is written 07:00, from 00:00 to 24:00";
    let (hours, minutes) = text.trim().split_once(':').ok_or(why)?;
    let two = |text: &str| match text.len() {
        1 | 2 if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse::<u16>().ok(),
        _ => None,
    };
    let (hours, minutes) = (two(hours).ok_or(why)?, two(minutes).ok_or(why)?);
    let all = hours * 60 + minutes;
    if minutes > 59 || all > DAY { Err(why) } else { Ok(all) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hours(texts: &[&str]) -> Result<Hours, BadLimit> {
        Hours::read(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn hours_hold_when_they_say() {
        let (monday, friday, saturday, sunday) = (0, 4, 5, 6);
        for (texts, day, at, open) in [
            (&[][..], monday, 0, true),
            (&["daily 20:00-24:00"], monday, 20 * 60, true),
            (&["daily 20:00-24:00"], monday, 24 * 60 - 1, true),
            (&["daily 20:00-24:00"], monday, 20 * 60 - 1, false),
            (&["sat,sun"], saturday, 0, true),
            (&["sat,sun"], friday, 1439, false),
            (&["MON-FRI  22:00-07:00"], monday, 22 * 60, true),
            (&["mon-fri 22:00-07:00"], monday, 6 * 60, false),
            (&["mon-fri 22:00-07:00"], saturday, 7 * 60 - 1, true),
            (&["mon-fri 22:00-07:00"], saturday, 7 * 60, false),
            (&["sat-mon"], sunday, 100, true),
            (&["sat-mon"], monday, 100, true),
            (&["sat-mon"], 1, 100, false),
            (&["mon 8:00-9:00", "fri 1:30-2:00"], friday, 90, true),
        ] {
            assert_eq!(hours(texts).unwrap().open(day, at), open, "{texts:?} {day} {at}");
        }
    }

    #[test]
    fn hours_are_written_as_they_are_read() {
        for (text, canonical) in [
            ("daily 0:00-7:05", "daily 00:00-07:05"),
            ("Sat", "sat 00:00-24:00"),
            ("fri-mon 22:00-07:00", "mon,fri,sat,sun 22:00-07:00"),
        ] {
            let read = hours(&[text]).unwrap();
            assert_eq!(read.0[0].to_string(), canonical);
            assert_eq!(hours(&[canonical]).unwrap(), read);
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_an_example() {
        for text in [
            "",
            "someday",
            "mon-",
            "mon 25:00-26:00",
            "mon 24:00-07:00",
            "mon 7-9",
            "mon 07:60-08:00",
            "mon 07:00-07:00",
            "mon -1:00-2:00",
            "mon 7:00",
            "mon 700:00-8:00",
            "Mön",
        ] {
            let error = hours(&[text]).unwrap_err().to_string();
            assert!(error.contains("hours = ") && error.contains("such as `mon-fri"), "{error}");
        }
        assert!(Hours::read(&vec!["daily".to_owned(); 65]).is_err());
    }
}

//! What the kernel says of the machine: supply, memory, heat, who uses the processor, terminals.
//!
//! Its own files, read anew each time; a part that is not there can't be read and stays unknown.
//! For sessions and networks that services look after, the services are asked by systemd's `busctl`,
//! where there is one. Deliberately not here: keyboards and screens, which have to be listened to (`input`).

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

/// How long a service may take to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// Whether the machine runs on battery: some battery discharges, and no mains supply is online.
pub(crate) fn on_battery() -> bool {
    on_battery_in(Path::new("/sys/class/power_supply"))
}

fn word(path: &Path, name: &str) -> String {
    fs::read_to_string(path.join(name)).map(|text| text.trim().to_owned()).unwrap_or_default()
}

fn on_battery_in(supplies: &Path) -> bool {
    let Ok(entries) = fs::read_dir(supplies) else { return false };
    let (mut battery_discharging, mut mains_online) = (false, false);
    for entry in entries.flatten() {
        let path = entry.path();
        // A wireless mouse has a battery too; it does not power the machine.
        if word(&path, "scope") == "Device" {
            continue;
        }
        match word(&path, "type").as_str() {
            "Battery" => battery_discharging |= word(&path, "status") == "Discharging",
            "Mains" | "USB" => mains_online |= word(&path, "online") == "1",
            _ => {}
        }
    }
    battery_discharging && !mains_online
}

/// Memory that programs could have without swapping, as a percentage of all.
pub(crate) fn free_memory_percent() -> Option<u32> {
    free_memory_percent_of(&fs::read_to_string("/proc/meminfo").ok()?)
}

fn free_memory_percent_of(text: &str) -> Option<u32> {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let (all, free) = (value("MemTotal:")?, value("MemAvailable:")?);
    u32::try_from(free.checked_mul(100)?.checked_div(all)?).ok()
}

/// The hottest of the sensors that have to do with the processor, in degrees Celsius.
pub(crate) fn temperature() -> Option<i32> {
    temperature_in(Path::new("/sys/class"))
}

/// Parts of the names of sensors at or beside the processor.
const SENSORS: [&str; 8] =
    ["cpu", "pkg", "soc", "acpitz", "coretemp", "k10temp", "zenpower", "core"];

fn temperature_in(class: &Path) -> Option<i32> {
    let about = |name: &str| SENSORS.iter().any(|part| name.to_ascii_lowercase().contains(part));
    let degrees = |text: String| text.parse::<i32>().ok().map(|milli| milli / 1_000);
    let mut hottest = None;
    for entry in fs::read_dir(class.join("thermal")).into_iter().flatten().flatten() {
        if about(&word(&entry.path(), "type")) {
            hottest = hottest.max(degrees(word(&entry.path(), "temp")));
        }
    }
    for entry in fs::read_dir(class.join("hwmon")).into_iter().flatten().flatten() {
        if !about(&word(&entry.path(), "name")) {
            continue;
        }
        for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let name = file.file_name().to_string_lossy().into_owned();
            if name.starts_with("temp") && name.ends_with("_input") {
                hottest = hottest.max(degrees(word(&entry.path(), &name)));
            }
        }
    }
    hottest
}

/// How long ago somebody typed at a terminal, at the machine or over the network: when a terminal
/// was last read from.
pub(crate) fn terminals_idle() -> Option<Duration> {
    let now = SystemTime::now();
    let names = fs::read_dir("/dev/pts").into_iter().flatten().flatten().map(|entry| entry.path());
    let consoles = (1..=6).map(|number| Path::new("/dev").join(format!("tty{number}")));
    names
        .chain(consoles)
        .filter(|path| path.file_name().is_some_and(|name| name != "ptmx"))
        .filter_map(|path| fs::metadata(path).ok()?.accessed().ok())
        .map(|read| now.duration_since(read).unwrap_or_default())
        .min()
}

/// What other programs take of the processor: all that was spent, less what we spent.
#[derive(Debug, Default)]
pub(crate) struct OthersCpu {
    last: Option<(Instant, Spent)>,
    shares: [u32; 2],
}

/// Processor time since boot.
#[derive(Debug, Clone, Copy)]
struct Spent {
    all: Duration,
    own: Duration,
}

impl OthersCpu {
    /// The share of all cores since a moment ago, over two readings: one alone is too rough. `own`
    /// is what we spent so far.
    pub(crate) fn read(&mut self, own: Duration) -> Option<u32> {
        let all = spent_of(
            &fs::read_to_string("/proc/stat").ok()?,
            rustix::param::clock_ticks_per_second(),
        )?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Some(self.share(Instant::now(), cores, Spent { all, own }))
    }

    fn share(&mut self, now: Instant, cores: usize, spent: Spent) -> u32 {
        let Some((then, before)) = self.last.replace((now, spent)) else { return 0 };
        let all = spent.all.saturating_sub(before.all);
        let own = spent.own.saturating_sub(before.own);
        let had = now.saturating_duration_since(then) * u32::try_from(cores).unwrap_or(1);
        let others = all.saturating_sub(own).as_micros() * 100 + had.as_micros() / 2;
        let share = others.checked_div(had.as_micros()).unwrap_or(0).min(100);
        self.shares = [self.shares[1], u32::try_from(share).unwrap_or(100)];
        self.shares.iter().sum::<u32>() / 2
    }
}

/// User, nice, system and interrupt time of all cores from the text of `/proc/stat`. What a
/// hypervisor took away is nobody's here.
fn spent_of(text: &str, ticks_per_second: u64) -> Option<Duration> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> =
        line.split_whitespace().map_while(|field| field.parse().ok()).take(7).collect();
    let [user, nice, system, _idle, _waiting, interrupts, soft] = fields.as_slice() else {
        return None;
    };
    let ticks = [user, nice, system, interrupts, soft].into_iter().sum::<u64>();
    Some(Duration::from_millis(ticks.checked_mul(1_000)?.checked_div(ticks_per_second)?))
}

/// Whether the network is billed by volume, as far as NetworkManager knows or guesses.
pub(crate) async fn metered() -> Option<bool> {
    if !Path::new("/run/NetworkManager").is_dir() {
        return None;
    }
    let name = "org.freedesktop.NetworkManager";
    let args = busctl(name, "/org/freedesktop/NetworkManager", name, "Metered");
    let mut asked = tokio::process::Command::new("busctl");
    let asked = asked.args(args).stdin(Stdio::null()).kill_on_drop(true).output();
    let answer = tokio::time::timeout(ANSWER * 2, asked).await.ok()?.ok()?;
    metered_of(std::str::from_utf8(&answer.stdout).ok()?)
}

/// `u 1` and `u 3` are yes and a guess of it; `u 2` and `u 4` the same for no; `u 0` is unknown.
fn metered_of(answer: &str) -> Option<bool> {
    match answer.trim().strip_prefix("u ")? {
        "1" | "3" => Some(true),
        "2" | "4" => Some(false),
        _ => None,
    }
}

/// How long all sessions of the machine have been idle, as far as logind knows. Blocks for a moment.
pub(crate) fn session_idle() -> Option<Duration> {
    if !Path::new("/run/systemd/seats").is_dir() {
        return None;
    }
    let ask = |property| {
        let name = "org.freedesktop.login1";
        let args =
            busctl(name, "/org/freedesktop/login1", "org.freedesktop.login1.Manager", property);
        let mut asked = std::process::Command::new("busctl");
        let answer = asked.args(args).stdin(Stdio::null()).output().ok()?;
        String::from_utf8(answer.stdout).ok()
    };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).ok()?;
    session_idle_of(&ask("IdleHint")?, &ask("IdleSinceHint")?, now)
}

fn session_idle_of(idle: &str, since: &str, now: Duration) -> Option<Duration> {
    match idle.trim() {
        "b false" => Some(Duration::ZERO),
        "b true" => {
            let since = since.trim().strip_prefix("t ")?.parse().ok()?;
            Some(now.saturating_sub(Duration::from_micros(since)))
        }
        _ => None,
    }
}

fn busctl<'a>(service: &'a str, object: &'a str, part: &'a str, property: &'a str) -> [&'a str; 7] {
    ["--system", "--timeout=1", "get-property", service, object, part, property]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        dir
    }

    #[test]
    fn only_a_discharging_machine_battery_counts() {
        let battery = [("BAT0/type", "Battery"), ("BAT0/status", "Discharging\n")];
        let charging = [("BAT0/type", "Battery"), ("BAT0/status", "Charging")];
        let plugged = [("AC/type", "Mains"), ("AC/online", "1")];
        let unplugged = [("AC/type", "Mains"), ("AC/online", "0")];
        let mouse =
            [("hid/type", "Battery"), ("hid/status", "Discharging"), ("hid/scope", "Device")];
        for (files, expected) in [
            (vec![], false),
            ([battery, unplugged].concat(), true),
            ([battery, plugged].concat(), false),
            ([charging, unplugged].concat(), false),
            (mouse.to_vec(), false),
        ] {
            assert_eq!(on_battery_in(folder(&files).path()), expected, "{files:?}");
        }
        assert!(!on_battery_in(Path::new("/does/not/exist")));
    }

    #[test]
    fn the_hottest_sensor_by_the_processor_counts() {
        let zone = [
            ("thermal/thermal_zone0/type", "x86_pkg_temp"),
            ("thermal/thermal_zone0/temp", "61000\n"),
        ];
        let wifi =
            [("thermal/thermal_zone1/type", "iwlwifi_1"), ("thermal/thermal_zone1/temp", "90000")];
        let chip = [("hwmon/hwmon2/name", "k10temp"), ("hwmon/hwmon2/temp1_input", "72500")];
        let disk = [("hwmon/hwmon3/name", "nvme"), ("hwmon/hwmon3/temp1_input", "99000")];
        let broken = [("thermal/thermal_zone0/type", "cpu"), ("thermal/thermal_zone0/temp", "")];
        for (files, expected) in [
            (vec![], None),
            (zone.to_vec(), Some(61)),
            ([zone, wifi, chip, disk].concat(), Some(72)),
            (broken.to_vec(), None),
        ] {
            assert_eq!(temperature_in(folder(&files).path()), expected, "{files:?}");
        }
    }

    #[test]
    fn memory_is_what_the_kernel_says_is_available() {
        let text = "MemTotal:       24000000 kB\nMemFree: 1 kB\nMemAvailable:    6000000 kB\n";
        assert_eq!(free_memory_percent_of(text), Some(25));
        for text in ["", "MemTotal: 0 kB\nMemAvailable: 0 kB", "MemTotal: x kB"] {
            assert_eq!(free_memory_percent_of(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_others_spend_counts() {
        let s = Duration::from_secs;
        let begin = Instant::now();
        let mut cpu = OthersCpu::default();
        let mut see =
            |at, all, own| cpu.share(begin + s(at), 2, Spent { all: s(all), own: s(own) });
        assert_eq!(see(0, 1_000, 100), 0);
        // All of two cores for a second, half of it ours; the reading before was nothing.
        assert_eq!(see(1, 1_002, 101), 25);
        assert_eq!(see(2, 1_004, 102), 50);
        // All of it ours; more than there is, by the roughness of the clock.
        assert_eq!(see(3, 1_006, 105), 25);
        assert_eq!(see(4, 1_008, 107), 0);
        // An account that went back a little (a jail was killed) never makes us negative.
        assert_eq!(see(5, 1_008, 106), 0);
    }

    #[test]
    fn the_kernel_says_how_much_was_spent() {
        let text = "cpu  100 20 30 5000 70 6 4 900 0 0\ncpu0 1 1 1 1 1 1 1\n";
        assert_eq!(spent_of(text, 100), Some(Duration::from_millis(1_600)));
        for text in ["", "cpu  1 2 3", "intr 1", "cpu  a b c d e f g"] {
            assert_eq!(spent_of(text, 100), None, "{text}");
        }
        assert!(OthersCpu::default().read(Duration::ZERO).is_some());
    }

    #[test]
    fn services_answers_are_read() {
        for (answer, metered) in [
            ("u 0\n", None),
            ("u 1\n", Some(true)),
            ("u 2\n", Some(false)),
            ("u 3\n", Some(true)),
            ("u 4\n", Some(false)),
            ("u 44\n", None),
            ("", None),
        ] {
            assert_eq!(metered_of(answer), metered, "{answer}");
        }
        let now = Duration::from_secs(100);
        for (idle, since, expected) in [
            ("b false\n", "t 0\n", Some(Duration::ZERO)),
            ("b true\n", "t 40000000\n", Some(Duration::from_secs(60))),
            ("b true\n", "t 999000000\n", Some(Duration::ZERO)),
            ("b true\n", "s x\n", None),
            ("", "", None),
        ] {
            assert_eq!(session_idle_of(idle, since, now), expected, "{idle}{since}");
        }
    }
}

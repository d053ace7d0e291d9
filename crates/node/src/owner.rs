//! The machine belongs to its owner: lowest scheduling class for strangers' work, and rest on
//! battery. Readings come from the kernel's own files; a machine without a battery has none.

use std::fs;
use std::path::Path;

/// Whether the machine runs on battery: some battery discharges, or no mains supply is online.
#[must_use]
pub(crate) fn on_battery() -> bool {
    on_battery_in(Path::new("/sys/class/power_supply"))
}

fn on_battery_in(supplies: &Path) -> bool {
    let read = |path: &Path, name: &str| {
        fs::read_to_string(path.join(name)).map(|t| t.trim().to_owned()).unwrap_or_default()
    };
    let Ok(entries) = fs::read_dir(supplies) else { return false };
    let (mut battery_discharging, mut mains_online) = (false, false);
    for entry in entries.flatten() {
        let path = entry.path();
        // A wireless mouse has a battery too; it does not power the machine.
        if read(&path, "scope") == "Device" {
            continue;
        }
        match read(&path, "type").as_str() {
            "Battery" => battery_discharging |= read(&path, "status") == "Discharging",
            "Mains" | "USB" => mains_online |= read(&path, "online") == "1",
            _ => {}
        }
    }
    battery_discharging && !mains_online
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_discharging_machine_battery_counts() {
        let check = |supplies: &[(&str, &[(&str, &str)])]| {
            let dir = tempfile::tempdir().unwrap();
            for (name, files) in supplies {
                fs::create_dir(dir.path().join(name)).unwrap();
                for (file, text) in *files {
                    fs::write(dir.path().join(name).join(file), text).unwrap();
                }
            }
            on_battery_in(dir.path())
        };
        let battery: (&str, &[_]) = ("BAT0", &[("type", "Battery"), ("status", "Discharging\n")]);
        let charging: (&str, &[_]) = ("BAT0", &[("type", "Battery"), ("status", "Charging")]);
        let plugged: (&str, &[_]) = ("AC", &[("type", "Mains"), ("online", "1")]);
        let unplugged: (&str, &[_]) = ("AC", &[("type", "Mains"), ("online", "0")]);
        let mouse: (&str, &[_]) =
            ("hid", &[("type", "Battery"), ("status", "Discharging"), ("scope", "Device")]);
        assert!(!check(&[]));
        assert!(check(&[battery, unplugged]));
        assert!(!check(&[battery, plugged]));
        assert!(!check(&[charging, unplugged]));
        assert!(!check(&[mouse]));
        assert!(!on_battery_in(Path::new("/does/not/exist")));
    }
}

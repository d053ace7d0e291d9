//! What can be seen of a home, and of the machine, without a node: the things that keep one from
//! starting, or that it would refuse.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use ayni_api::Endpoint;
use ayni_api::json::{Check, CheckLevel};
use ayni_node::{Config, Layer, Machine};

use super::mend::Mend;
use crate::quantity::show_bytes;

/// A log of a daemon that a command started grows without end.
const LOG_BYTES_MAX: u64 = 16 << 20;

/// Most files that are looked at below `keys`.
const FILES_MAX: usize = 1_000;

/// One thing, and what would mend it.
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) mend: Option<Mend>,
}

impl Finding {
    fn ok(name: &str, detail: impl Into<String>) -> Self {
        Self { check: check(name, CheckLevel::Ok, detail, None), mend: None }
    }

    fn bad(name: &str, level: CheckLevel, detail: impl Into<String>, hint: &str) -> Self {
        Self { check: check(name, level, detail, Some(hint)), mend: None }
    }

    fn mended_by(mut self, mend: Mend) -> Self {
        self.mend = Some(mend);
        self
    }
}

fn check(name: &str, level: CheckLevel, detail: impl Into<String>, hint: Option<&str>) -> Check {
    Check { name: name.to_owned(), level, detail: detail.into(), hint: hint.map(str::to_owned) }
}

/// Everything, in the order in which it matters. Nothing is changed.
pub(super) fn look(home: &Path) -> Vec<Finding> {
    let mut found = secrets(home);
    found.push(settings(home));
    found.extend(endpoint(home));
    found.push(executables());
    found.extend(log(home));
    found.extend(namespaces(Path::new("/proc/sys"), rustix::process::geteuid().is_root()));
    found
}

/// The files of a home that hold secrets, as far as they are there.
pub(super) fn secret_files(home: &Path) -> Vec<PathBuf> {
    let mut files = vec![home.join("api.token")];
    let mut folders = vec![home.join("keys")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
            if files.len() >= FILES_MAX {
                return files;
            }
        }
    }
    if let Ok(layer) = Layer::from_file(&home.join("config.toml"))
        && let Some(pay) = layer.pay
    {
        files.push(home.join(pay.password_file));
    }
    files.retain(|path| path.is_file());
    files.sort();
    files.dedup();
    files
}

fn secrets(home: &Path) -> Vec<Finding> {
    let files = secret_files(home);
    let mut found = Vec::new();
    for path in &files {
        let Ok(meta) = fs::metadata(path) else { continue };
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 == 0 {
            continue;
        }
        let detail = format!("`{}` is open to other users (mode {mode:03o})", path.display());
        let hint = "close it, and think about who may have read it meanwhile";
        let finding = Finding::bad("secrets", CheckLevel::Fail, detail, hint);
        let own = meta.uid() == rustix::process::geteuid().as_raw();
        found.push(if own { finding.mended_by(Mend::Close(path.clone())) } else { finding });
    }
    if found.is_empty() {
        found.push(Finding::ok("secrets", format!("{} files, closed to others", files.len())));
    }
    found
}

fn settings(home: &Path) -> Finding {
    let path = home.join("config.toml");
    let read = Layer::from_file(&path)
        .and_then(|layer| Config::new(home.to_owned(), layer, Machine::read()));
    match read {
        Ok(_) if path.exists() => Finding::ok("settings", "config.toml is valid"),
        Ok(_) => Finding::ok("settings", "defaults: there is no config.toml"),
        Err(error) => {
            let hint = "correct it; `ayni daemon --help` and docs/guides name the settings";
            Finding::bad("settings", CheckLevel::Fail, error.to_string(), hint)
        }
    }
}

/// Where a daemon says that it listens, although it is gone.
fn endpoint(home: &Path) -> Option<Finding> {
    let path = home.join("api.json");
    let (detail, gone) = match Endpoint::load(home) {
        Ok(None) => return None,
        Ok(Some(endpoint)) => {
            let gone = !Path::new("/proc").join(endpoint.pid.to_string()).exists();
            (format!("`{}` names process {}, which is gone", path.display(), endpoint.pid), gone)
        }
        Err(error) => (error.to_string(), true),
    };
    gone.then(|| {
        let hint = "remove it; a daemon writes it anew when it starts";
        Finding::bad("leftovers", CheckLevel::Warn, detail, hint).mended_by(Mend::Remove(path))
    })
}

fn executables() -> Finding {
    let Some(folder) = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.to_owned()))
    else {
        let hint = "start it by its full path";
        return Finding::bad("programs", CheckLevel::Fail, "can't find this program", hint);
    };
    let names = ["ayni-jail", "ayni-runner"];
    let missing: Vec<_> = names.into_iter().filter(|name| !folder.join(name).is_file()).collect();
    if missing.is_empty() {
        return Finding::ok("programs", format!("{} beside this one", names.join(" and ")));
    }
    let detail = format!("{} not in `{}`", missing.join(" and "), folder.display());
    Finding::bad("programs", CheckLevel::Fail, detail, "install all three executables together")
}

fn log(home: &Path) -> Option<Finding> {
    let path = home.join("daemon.log");
    let bytes = fs::metadata(&path).ok()?.len();
    (bytes > LOG_BYTES_MAX).then(|| {
        let detail = format!("`{}` has {}", path.display(), show_bytes(bytes));
        Finding::bad("log", CheckLevel::Warn, detail, "keep only its end")
            .mended_by(Mend::CutLog(path))
    })
}

/// Whether the kernel lets an ordinary user make the jail's namespaces.
fn namespaces(sysctl: &Path, root: bool) -> Option<Finding> {
    let value = |name: &str| -> Option<u64> {
        fs::read_to_string(sysctl.join(name)).ok()?.trim().parse().ok()
    };
    if root {
        return None;
    }
    let (name, set) = if value("kernel/unprivileged_userns_clone") == Some(0) {
        ("kernel.unprivileged_userns_clone", 1)
    } else if value("user/max_user_namespaces") == Some(0) {
        ("user.max_user_namespaces", 10_000)
    } else if value("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        let detail = "AppArmor allows user namespaces only to programs that it has a profile for";
        let hint = "give ayni-jail an AppArmor profile with `userns,`, or run the system service";
        return Some(Finding::bad("namespaces", CheckLevel::Warn, detail, hint));
    } else {
        return None;
    };
    let detail = format!("{name} forbids user namespaces: jails stand behind fewer walls");
    let hint = "allow them, until the next start of the machine";
    let words = ["sudo", "sysctl", "-w"].map(str::to_owned).into_iter();
    let words = words.chain([format!("{name}={set}")]).collect();
    Some(Finding::bad("namespaces", CheckLevel::Warn, detail, hint).mended_by(Mend::Run(words)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(found: &[Finding]) -> Vec<(&str, CheckLevel, bool)> {
        let line = |f: &Finding| (f.check.level, f.mend.is_some());
        found.iter().map(|f| (f.check.name.as_str(), line(f).0, line(f).1)).collect()
    }

    #[test]
    fn open_secrets_are_found_wherever_they_are_and_closing_them_is_offered() {
        let home = tempfile::tempdir().unwrap();
        let put = |name: &str, mode| {
            let path = home.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "x").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        };
        put("api.token", 0o600);
        put("keys/node", 0o600);
        assert_eq!(names(&secrets(home.path())), [("secrets", CheckLevel::Ok, false)]);
        put("api.token", 0o640);
        put("keys/accounts/a.json", 0o604);
        let bad = ("secrets", CheckLevel::Fail, true);
        assert_eq!(names(&secrets(home.path())), [bad, bad]);
    }

    #[test]
    fn what_a_dead_daemon_left_is_found_and_a_living_one_left_alone() {
        let home = tempfile::tempdir().unwrap();
        assert!(endpoint(home.path()).is_none());
        Endpoint::here(([127, 0, 0, 1], 7).into(), "0").publish(home.path()).unwrap();
        assert!(endpoint(home.path()).is_none(), "this process lives");
        let text = fs::read_to_string(home.path().join("api.json")).unwrap();
        let own = std::process::id().to_string();
        // No process has this number: the kernel's are smaller.
        let dead = text.replace(&format!(":{own},"), ":4194305,");
        assert_ne!(text, dead);
        fs::write(home.path().join("api.json"), dead).unwrap();
        assert!(endpoint(home.path()).is_some_and(|found| found.mend.is_some()));
        fs::write(home.path().join("api.json"), "{").unwrap();
        assert!(endpoint(home.path()).is_some(), "damaged");
    }

    #[test]
    fn each_way_of_forbidding_namespaces_is_named() {
        let check = |files: &[(&str, &str)]| {
            let sysctl = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = sysctl.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            namespaces(sysctl.path(), false).map(|f| f.mend.map(|mend| mend.to_string()))
        };
        let run = |setting: &str| Some(Some(format!("run `sudo sysctl -w {setting}`")));
        assert_eq!(check(&[]), None);
        assert_eq!(check(&[("user/max_user_namespaces", "15000\n")]), None);
        assert_eq!(
            check(&[("user/max_user_namespaces", "0\n")]),
            run("user.max_user_namespaces=10000")
        );
        assert_eq!(
            check(&[("kernel/unprivileged_userns_clone", "0\n")]),
            run("kernel.unprivileged_userns_clone=1")
        );
        assert_eq!(check(&[("kernel/apparmor_restrict_unprivileged_userns", "1\n")]), Some(None));
        assert!(namespaces(Path::new("/nowhere"), true).is_none());
    }
}

//! Control groups around a jail: memory, number of threads, processor share.
//!
//! Either version, whichever of memory, pids and cpu this process may make groups for; where it may
//! not, rlimits stand alone and the offer says so. One group a jail, named after the daemon's
//! process, so that those of a daemon that was killed can be swept. Deliberately not here: freezing
//! (stopping the process does it on every kernel).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ayni_types::Wall;

use crate::config::CGROUP_PIDS_MAX;

/// Start of the name of every group we make.
const PREFIX: &str = "ayni-jail-";
/// Period of the processor ceiling, in microseconds.
const PERIOD_US: u64 = 100_000;

/// Where groups can be made.
#[derive(Debug, Default)]
pub(crate) struct Cgroups {
    /// One folder per controller (version 1) or one for all (version 2).
    parents: Vec<Parent>,
}

/// Groups made by this process so far: part of their names.
static MADE: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Clone)]
struct Parent {
    folder: PathBuf,
    unified: bool,
    walls: Vec<Wall>,
}

/// What one group may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupLimits {
    pub(crate) memory_bytes: u64,
    pub(crate) cpu_percent_max: Option<u32>,
}

/// The groups of one jail.
#[derive(Debug)]
pub(crate) struct Cgroup {
    folders: Vec<Parent>,
}

/// How long a dropped group waits for the kernel to let go of its last process.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

const CONTROLLERS: [(&str, Wall); 3] =
    [("memory", Wall::CgroupMemory), ("cpu", Wall::CgroupCpu), ("pids", Wall::CgroupPids)];

impl Cgroups {
    /// Looks where this process may make groups, and sweeps those of daemons that are gone.
    pub(crate) fn find() -> Self {
        let (Ok(own), Ok(mounts)) =
            (fs::read_to_string("/proc/self/cgroup"), fs::read_to_string("/proc/self/mountinfo"))
        else {
            return Self::default();
        };
        let parents: Vec<Parent> = places(&own, &mounts)
            .into_iter()
            .filter_map(|place| if place.unified { ready_unified(place) } else { Some(place) })
            .collect();
        for parent in &parents {
            sweep(&parent.folder);
        }
        // What counts is whether a group can be made and limited.
        let usable = parents.into_iter().filter(can_make).collect();
        Self { parents: usable }
    }

    /// The walls that groups add.
    pub(crate) fn walls(&self) -> Vec<Wall> {
        self.parents.iter().flat_map(|p| p.walls.iter().copied()).collect()
    }

    /// Makes the groups of one jail.
    pub(crate) fn make(&self, limits: GroupLimits) -> io::Result<Cgroup> {
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let mut group = Cgroup { folders: Vec::new() };
        for parent in &self.parents {
            let folder = parent.folder.join(format!("{PREFIX}{}-{number}", std::process::id()));
            fs::create_dir(&folder)?;
            group.folders.push(Parent { folder, ..parent.clone() });
        }
        for place in &group.folders {
            place.limit(limits)?;
        }
        Ok(group)
    }
}

impl Parent {
    fn has(&self, wall: Wall) -> bool {
        self.walls.contains(&wall)
    }

    fn limit(&self, limits: GroupLimits) -> io::Result<()> {
        let set = |file: &str, value: String| fs::write(self.folder.join(file), value);
        let quota = limits.cpu_percent_max.map(|p| u64::from(p) * PERIOD_US / 100);
        let optional = |file: &str, value: String| {
            // Not in every kernel; what matters beside it is set or fails.
            let _ = set(file, value);
        };
        if self.has(Wall::CgroupMemory) {
            if self.unified {
                set("memory.max", limits.memory_bytes.to_string())?;
                optional("memory.swap.max", "0".into());
                optional("memory.oom.group", "1".into());
            } else {
                set("memory.limit_in_bytes", limits.memory_bytes.to_string())?;
                optional("memory.memsw.limit_in_bytes", limits.memory_bytes.to_string());
                optional("memory.swappiness", "0".into());
            }
        }
        if self.has(Wall::CgroupPids) {
            set("pids.max", CGROUP_PIDS_MAX.to_string())?;
        }
        if self.has(Wall::CgroupCpu) {
            match (quota, self.unified) {
                (Some(quota), true) => set("cpu.max", format!("{quota} {PERIOD_US}"))?,
                (Some(quota), false) => {
                    set("cpu.cfs_period_us", PERIOD_US.to_string())?;
                    set("cpu.cfs_quota_us", quota.to_string())?;
                }
                (None, _) => {}
            }
        }
        Ok(())
    }
}

impl Cgroup {
    /// Moves a process in.
    pub(crate) fn add(&self, pid: u32) -> io::Result<()> {
        for place in &self.folders {
            fs::write(place.folder.join("cgroup.procs"), pid.to_string())?;
        }
        Ok(())
    }

    /// Lets everything else on the machine go first, or no longer.
    pub(crate) fn run_last(&self, last: bool) {
        for place in self.folders.iter().filter(|f| f.has(Wall::CgroupCpu)) {
            // Kernels before 5.15 do not know it; the process's niceness remains.
            let _ = fs::write(place.folder.join("cpu.idle"), if last { "1" } else { "0" });
        }
    }

    fn memory_folder(&self) -> Option<&Parent> {
        self.folders.iter().find(|f| f.has(Wall::CgroupMemory))
    }

    /// Whether the kernel killed a process of it for memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let Some(place) = self.memory_folder() else { return false };
        let file = if place.unified { "memory.events" } else { "memory.oom_control" };
        let text = fs::read_to_string(place.folder.join(file)).unwrap_or_default();
        text.lines().any(|line| {
            line.strip_prefix("oom_kill ").is_some_and(|n| n.trim().parse::<u64>().unwrap_or(0) > 0)
        })
    }

    /// Highest memory so far, in bytes.
    pub(crate) fn memory_bytes_peak(&self) -> Option<u64> {
        let place = self.memory_folder()?;
        let file = if place.unified { "memory.peak" } else { "memory.max_usage_in_bytes" };
        fs::read_to_string(place.folder.join(file)).ok()?.trim().parse().ok()
    }

    /// Removes the groups; `false` while a process is still in one.
    pub(crate) fn remove(&mut self) -> bool {
        self.folders.retain(|place| match fs::remove_dir(&place.folder) {
            Ok(()) => false,
            Err(e) => e.kind() != io::ErrorKind::NotFound,
        });
        self.folders.is_empty()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Normally removed by then. Not when the runtime ends under a living jail.
        let began = Instant::now();
        while !self.remove() && began.elapsed() < DROP_PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Folders of our own group, from `/proc/self/cgroup` and `/proc/self/mountinfo`.
fn places(own: &str, mounts: &str) -> Vec<Parent> {
    let mut found: Vec<Parent> = Vec::new();
    for mount in mounts.lines() {
        let Some((left, right)) = mount.split_once(" - ") else { continue };
        let left: Vec<&str> = left.split(' ').collect();
        let right: Vec<&str> = right.split(' ').collect();
        let (&[_, _, _, root, point, ..], &[kind, _, options, ..]) = (&left[..], &right[..]) else {
            continue;
        };
        let has = |name: &str| options.split(',').any(|o| o == name);
        let (unified, walls): (bool, Vec<Wall>) = match kind {
            "cgroup2" => (true, CONTROLLERS.iter().map(|&(_, wall)| wall).collect()),
            "cgroup" => {
                (false, CONTROLLERS.iter().filter(|(n, _)| has(n)).map(|&(_, w)| w).collect())
            }
            _ => continue,
        };
        let path = own.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (_, names, path) = (parts.next()?, parts.next()?, parts.next()?);
            let ours = if unified {
                names.is_empty()
            } else {
                names.split(',').any(|n| !n.is_empty() && has(n))
            };
            ours.then_some(path)
        });
        let Some(path) = path else { continue };
        let below = path.strip_prefix(root.trim_end_matches('/')).unwrap_or(path);
        let below = below.trim_start_matches('/');
        let folder =
            if below.is_empty() { Path::new(point).into() } else { Path::new(point).join(below) };
        let walls: Vec<Wall> =
            walls.into_iter().filter(|w| !found.iter().any(|f| !f.unified && f.has(*w))).collect();
        if !walls.is_empty() && !found.iter().any(|f| f.folder == folder) {
            found.push(Parent { folder, unified, walls });
        }
    }
    // On a machine with both, a controller is in one of them; version 1 mounts come with theirs.
    let taken: Vec<Wall> =
        found.iter().filter(|f| !f.unified).flat_map(|f| f.walls.clone()).collect();
    for place in found.iter_mut().filter(|f| f.unified) {
        place.walls.retain(|w| !taken.contains(w));
    }
    found.retain(|f| !f.walls.is_empty());
    found
}

/// Version 2: children get controllers only if ours hands them down, and it may do so only if no
/// process is in it itself. If we are alone in it, we step into a child.
fn ready_unified(mut place: Parent) -> Option<Parent> {
    let read = |file: &str| fs::read_to_string(place.folder.join(file)).unwrap_or_default();
    let available = read("cgroup.controllers");
    let offered = |name: &str| available.split_whitespace().any(|c| c == name);
    place.walls.retain(|w| CONTROLLERS.iter().any(|(name, wall)| wall == w && offered(name)));
    if place.walls.is_empty() {
        return None;
    }
    let hand_down = |place: &Parent| {
        CONTROLLERS.iter().filter(|(_, w)| place.has(*w)).all(|(name, _)| {
            fs::write(place.folder.join("cgroup.subtree_control"), format!("+{name}")).is_ok()
        })
    };
    if hand_down(&place) {
        return Some(place);
    }
    if read("cgroup.procs").split_whitespace().eq([std::process::id().to_string().as_str()]) {
        let own = place.folder.join("ayni-daemon");
        let _ = fs::create_dir(&own);
        let _ = fs::write(own.join("cgroup.procs"), std::process::id().to_string());
        if hand_down(&place) {
            return Some(place);
        }
    }
    None
}

fn can_make(parent: &Parent) -> bool {
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    let folder = parent.folder.join(format!("{PREFIX}{}-{number}", std::process::id()));
    let made = fs::create_dir(&folder).is_ok();
    let limit = GroupLimits { memory_bytes: 1 << 30, cpu_percent_max: None };
    let limited = made && Parent { folder: folder.clone(), ..parent.clone() }.limit(limit).is_ok();
    if made {
        let _ = fs::remove_dir(&folder);
    }
    limited
}

/// Removes groups whose daemon no longer lives; one with a process in it can't be removed.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(rest) = name.to_str().and_then(|n| n.strip_prefix(PREFIX)) else { continue };
        let pid = rest.split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_found() {
        let cases = [
            (
                "unified",
                "0::/user.slice/a.service\n",
                "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
                vec![("/sys/fs/cgroup/user.slice/a.service", true, 3)],
            ),
            (
                "hybrid",
                "5:memory:/x/y\n3:cpu,cpuacct:/\n2:pids:/z\n0::/\n",
                "1 0 0:1 / /cg/memory rw - cgroup cgroup rw,memory\n\
                 2 0 0:2 / /cg/cpu rw - cgroup cgroup rw,cpu,cpuacct\n\
                 3 0 0:3 /z /cg/pids rw - cgroup cgroup rw,pids\n\
                 4 0 0:4 / /cg/unified rw - cgroup2 cgroup2 rw\n",
                vec![("/cg/memory/x/y", false, 1), ("/cg/cpu", false, 1), ("/cg/pids", false, 1)],
            ),
            ("none", "0::/\n", "1 0 0:1 / / rw - ext4 /dev/a rw\n", vec![]),
            ("garbage", "::::\n\n", " - \n- -\n1 2 3 - cgroup2\n", vec![]),
        ];
        for (name, own, mounts, expected) in cases {
            let found: Vec<_> = places(own, mounts)
                .into_iter()
                .map(|p| (p.folder.display().to_string(), p.unified, p.walls.len()))
                .collect();
            let expected: Vec<_> =
                expected.into_iter().map(|(f, u, n)| (f.to_owned(), u, n)).collect();
            assert_eq!(found, expected, "{name}");
        }
    }
}

//! Who the runner is, how much it may use, and which files it may open.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope,
};
use rustix::process::{Gid, Resource, Rlimit, Uid};
use rustix::thread::{CapabilitiesSecureBits, CapabilitySet, CapabilitySets};

use super::os;
use crate::order::JailOrder;

/// Open descriptors: socket, output, artefact, and the inputs of one task.
const DESCRIPTORS_MAX: u64 = 1_024;
/// Threads: compilation uses one a core.
const THREADS_MAX: u64 = 256;
/// Native stack in bytes; far more than the metered limit can reach.
const STACK_BYTES_MAX: u64 = 256 << 20;
/// First user id given to jails that root makes: above every id in common use, one id each.
const UID_FIRST: u32 = 0x7000_0000;
/// Who the runner is within its user namespace; not 0, so that exec gives no capabilities.
const UID_INSIDE: u32 = 1_000;

/// If the machine runs out of memory, the runner is to go before anything of its owner.
pub(super) fn die_first_when_memory_is_short() {
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
}

/// Lowest priority for processor and disk. A cgroup's rank can be raised again when the runner is
/// to die at once, a process's own class can't; so the class is for where there is no cgroup.
pub(super) fn run_last(cpu_grouped: bool) {
    let _ = rustix::process::nice(19);
    if !cpu_grouped {
        let _ = os::cpu_idle();
    }
    let _ = os::io_idle();
}

/// Gives up root for a user id that no other jail has and that owns nothing.
pub(super) fn become_nobody() -> io::Result<()> {
    rustix::thread::set_thread_groups(&[])?;
    let own = UID_FIRST + rustix::process::getpid().as_raw_nonzero().get().cast_unsigned();
    let mut last = Ok(());
    // A container may not have the high ids mapped; `nobody` is then the next best.
    for id in [own, 65_534] {
        let (uid, gid) = (Uid::from_raw(id), Gid::from_raw(id));
        last = rustix::thread::set_thread_res_gid(gid, gid, gid)
            .and_then(|()| rustix::thread::set_thread_res_uid(uid, uid, uid));
        if last.is_ok() {
            break;
        }
    }
    last?;
    // The change of user hid /proc/self from ourselves, which the id maps are written through.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    Ok(())
}

/// Maps the one user and group into the new user namespace.
pub(super) fn map_user(uid: Uid, gid: Gid) -> io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/gid_map", format!("{UID_INSIDE} {} 1", gid.as_raw()))?;
    fs::write("/proc/self/uid_map", format!("{UID_INSIDE} {} 1", uid.as_raw()))?;
    Ok(())
}

/// Gives up every capability, and the ways to get one back.
pub(super) fn drop_capabilities() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let held = rustix::thread::capabilities(None)?;
    if held.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().iter() {
            // One that this kernel does not know can't be dropped or had.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
        let _ = rustix::thread::set_capabilities_secure_bits(
            CapabilitiesSecureBits::NO_ROOT
                | CapabilitiesSecureBits::NO_ROOT_LOCKED
                | CapabilitiesSecureBits::NO_SETUID_FIXUP
                | CapabilitiesSecureBits::NO_SETUID_FIXUP_LOCKED
                | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE
                | CapabilitiesSecureBits::NO_CAP_AMBIENT_RAISE_LOCKED,
        );
    }
    let _ = rustix::thread::clear_ambient_capability_set();
    rustix::thread::set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    )?;
    Ok(())
}

/// Sets every resource limit, hard and soft alike.
pub(super) fn set_rlimits(order: &JailOrder) -> io::Result<()> {
    let mut limits = vec![
        // 1, not 0: a core pattern that pipes into a program ignores 0 and gives way to 1.
        (Resource::Core, 1),
        (Resource::Fsize, order.file_bytes_max),
        (Resource::Data, order.memory_bytes_max),
        (Resource::Nofile, DESCRIPTORS_MAX),
        (Resource::Stack, STACK_BYTES_MAX),
        (Resource::Memlock, 0),
        (Resource::Msgqueue, 0),
        (Resource::Sigpending, 1_024),
        (Resource::Nice, 0),
        (Resource::Rtprio, 0),
    ];
    if order.user_namespace {
        // Counted within the namespace. Without one it would count all processes of the user.
        limits.push((Resource::Nproc, THREADS_MAX));
    }
    for (resource, most) in limits {
        // Never above what we have ourselves: raising is not ours to do.
        let most = rustix::process::getrlimit(resource).maximum.map_or(most, |hard| hard.min(most));
        rustix::process::setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Landlock: these files may be read and executed, nothing else may be opened, no socket bound or
/// connected, no process outside signalled.
pub(super) fn close_files(readable: &[OwnedFd]) -> io::Result<()> {
    let build = || -> Result<RulesetStatus, landlock::RulesetError> {
        let abi = ABI::V6;
        let mut ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(abi))?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?;
        for file in readable {
            ruleset =
                ruleset.add_rule(PathBeneath::new(file, AccessFs::ReadFile | AccessFs::Execute))?;
        }
        Ok(ruleset.restrict_self()?.ruleset)
    };
    match build().map_err(io::Error::other)? {
        RulesetStatus::NotEnforced => Err(io::Error::other("the kernel has no landlock")),
        // Partly: an older kernel that does not know networks or signals; files are closed.
        RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
    }
}

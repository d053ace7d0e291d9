//! The inner wall: what the runner takes away from itself before it reads its first request.
//!
//! The outer jail (namespaces, limits, landlock, a first filter) is the launcher's. This filter is
//! tighter, since it need not allow starting up: no program is executed, no path opened, no socket
//! made, no process started; threads are. One of the places with `unsafe` code.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// Why the wall does not stand.
#[derive(Debug, thiserror::Error)]
pub enum WallError {
    /// The kernel refused.
    #[error("{what}: {source}")]
    Refused {
        /// What was tried.
        what: &'static str,
        /// Its answer.
        #[source]
        source: io::Error,
    },
    /// The filter can't be made for this machine.
    #[error("no system call filter for this machine: {0}")]
    Filter(String),
}

/// What a running guest, its compiler and the protocol need.
const ALLOWED: &[i64] = &[
    // memory
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_membarrier,
    libc::SYS_memfd_create,
    // descriptors it was given
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pwrite64,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fcntl,
    libc::SYS_close,
    libc::SYS_recvmsg,
    libc::SYS_sendmsg,
    libc::SYS_poll,
    libc::SYS_ppoll,
    // threads
    libc::SYS_clone3,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_restart_syscall,
    // signals: traps arrive as some
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_tgkill,
    // time and randomness of its own
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
];

/// Raises the wall for this process and every thread it will have.
///
/// # Errors
/// When any part of it does not stand; the runner must not go on then.
pub fn raise() -> Result<(), WallError> {
    let refused = |what| move |e: rustix::io::Errno| WallError::Refused { what, source: e.into() };
    rustix::thread::set_no_new_privs(true).map_err(refused("no_new_privs"))?;
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .map_err(refused("non-dumpable"))?;
    ignore_file_size_signal()?;
    let filters = [
        // glibc asks for threads with clone3, whose flags a filter can't see; told that there is no
        // such call, it uses clone.
        filter([(libc::SYS_clone3, vec![])].into(), SeccompAction::Allow, errno(libc::ENOSYS))?,
        filter(allowed()?, errno(libc::EPERM), SeccompAction::Allow)?,
    ];
    for filter in &filters {
        apply_filter(filter).map_err(|e| WallError::Filter(e.to_string()))?;
    }
    Ok(())
}

/// A full disk must be an error, not the end.
fn ignore_file_size_signal() -> Result<(), WallError> {
    // SAFETY: sets a disposition that involves no handler of ours.
    let before = unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    if before == libc::SIG_ERR {
        let source = io::Error::last_os_error();
        return Err(WallError::Refused { what: "ignoring SIGXFSZ", source });
    }
    Ok(())
}

fn allowed() -> Result<BTreeMap<i64, Vec<SeccompRule>>, WallError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let threads_only = condition(0, libc::CLONE_THREAD as u64)?;
    rules.insert(libc::SYS_clone, vec![rule(vec![threads_only])?]);
    // Only of descriptors, as far as a filter can tell: it can't see that the path is empty.
    let by_descriptor = condition(2, libc::AT_EMPTY_PATH.unsigned_abs().into())?;
    rules.insert(libc::SYS_statx, vec![rule(vec![by_descriptor])?]);
    // Only naming threads and memory, which hurts nobody.
    rules.insert(
        libc::SYS_prctl,
        vec![
            rule(vec![equals(0, libc::PR_SET_NAME as u64)?])?,
            rule(vec![equals(0, libc::PR_SET_VMA as u64)?])?,
        ],
    );
    Ok(rules)
}

fn errno(number: i32) -> SeccompAction {
    SeccompAction::Errno(number.unsigned_abs())
}

fn condition(arg: u8, bits: u64) -> Result<SeccompCondition, WallError> {
    SeccompCondition::new(arg, SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(bits), bits)
        .map_err(|e| WallError::Filter(e.to_string()))
}

fn equals(arg: u8, value: u64) -> Result<SeccompCondition, WallError> {
    SeccompCondition::new(arg, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
        .map_err(|e| WallError::Filter(e.to_string()))
}

fn rule(conditions: Vec<SeccompCondition>) -> Result<SeccompRule, WallError> {
    SeccompRule::new(conditions).map_err(|e| WallError::Filter(e.to_string()))
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, WallError> {
    let bad = |e: &dyn std::fmt::Display| WallError::Filter(e.to_string());
    let arch: TargetArch = std::env::consts::ARCH.try_into().map_err(|e| bad(&e))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, arch).map_err(|e| bad(&e))?;
    filter.try_into().map_err(|e: seccompiler::BackendError| bad(&e))
}

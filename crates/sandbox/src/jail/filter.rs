//! Seccomp: the system calls that are left to the runner. Everything else is refused.
//!
//! An allow-list: what computing, threads, memory, its one socket and the descriptors it was handed
//! need. Nothing here makes a process, a socket, a namespace, a mount, a key, a trace or an event
//! counter. Whether the runner closes more from inside is its own matter; it can't open anything
//! again. Refusals are errors rather than deaths, so that the C library can fall back.

use std::collections::BTreeMap;
use std::io;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

type Rules = BTreeMap<c_long, Vec<SeccompRule>>;

/// Compiled filters, in the order in which they are put up.
pub(super) struct Filter([BpfProgram; 2]);

/// Allowed whatever the arguments.
const ALLOWED: &[c_long] = &[
    // memory
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_mincore,
    libc::SYS_membarrier,
    // descriptors in hand
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_fstat,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_fadvise64,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_dup3,
    libc::SYS_pipe2,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_copy_file_range,
    libc::SYS_sendfile,
    // its socket (a connected pair; none can be made)
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_getsockopt,
    libc::SYS_shutdown,
    // opening: the jail's root holds the loader's libraries and nothing else
    libc::SYS_openat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_readlinkat,
    libc::SYS_getcwd,
    libc::SYS_getdents64,
    libc::SYS_statfs,
    libc::SYS_fstatfs,
    // threads and signals of its own process
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_set_tid_address,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigtimedwait,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // time, waiting, and what it is
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getrusage,
    libc::SYS_getcpu,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    // answered by the other filter; a refusal there wins over this
    libc::SYS_clone3,
];

/// The older calls that newer architectures do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OLD: &[c_long] = &[
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_readlink,
    libc::SYS_poll,
    libc::SYS_dup2,
    libc::SYS_pipe,
    libc::SYS_epoll_wait,
    libc::SYS_time,
    libc::SYS_arch_prctl,
];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OLD: &[c_long] = &[];

/// `PR_SET_VMA`: names memory; the allocator uses it.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Builds the filters. `memory_counted` says that a cgroup counts every kind of memory; without
/// one, the kinds that no rlimit counts are refused too.
pub(super) fn program(memory_counted: bool) -> io::Result<Filter> {
    let mut rules: Rules =
        ALLOWED.iter().chain(ALLOWED_OLD).map(|&call| (call, Vec::new())).collect();
    arguments(&mut rules, memory_counted).map_err(io::Error::other)?;
    let allow = SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        SeccompAction::Allow,
        arch()?,
    );

    // "No such call" makes the C library and wasmtime take the older way; "not permitted" does not.
    let mut absent = vec![libc::SYS_clone3];
    if !memory_counted {
        absent.push(libc::SYS_memfd_create);
    }
    let absent = SeccompFilter::new(
        absent.into_iter().map(|call| (call, Vec::new())).collect(),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.cast_unsigned()),
        arch()?,
    );
    let compile = |filter: Result<SeccompFilter, _>| {
        filter.and_then(BpfProgram::try_from).map_err(io::Error::other)
    };
    Ok(Filter([compile(absent)?, compile(allow)?]))
}

/// Puts the filters up, for good.
pub(super) fn close(filter: &Filter) -> io::Result<()> {
    for program in &filter.0 {
        seccompiler::apply_filter(program).map_err(io::Error::other)?;
    }
    Ok(())
}

fn arch() -> io::Result<TargetArch> {
    TargetArch::try_from(std::env::consts::ARCH).map_err(io::Error::other)
}

/// Calls that are allowed with some arguments only.
fn arguments(rules: &mut Rules, memory_counted: bool) -> Result<(), seccompiler::BackendError> {
    let is = |argument, value: u64| {
        SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
    };
    let bits = |argument, mask: u64, value: u64| {
        SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(mask),
            value,
        )
    };
    let any_of = |argument, values: &[u64]| {
        values
            .iter()
            .map(|&v| SeccompRule::new(vec![is(argument, v)?]))
            .collect::<Result<Vec<_>, _>>()
    };
    let int = |value: libc::c_int| u64::from(value.cast_unsigned());

    // Threads, not processes, and no namespaces.
    let namespaces = libc::CLONE_NEWNS
        | libc::CLONE_NEWCGROUP
        | libc::CLONE_NEWUTS
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUSER
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET;
    let thread = libc::CLONE_THREAD | libc::CLONE_VM | libc::CLONE_SIGHAND;
    rules.insert(
        libc::SYS_clone,
        vec![SeccompRule::new(vec![bits(0, int(namespaces | thread), int(thread))?])?],
    );

    // The one exec that starts the runner. A second one could only start what it can open.
    rules.insert(libc::SYS_execveat, any_of(4, &[int(libc::AT_EMPTY_PATH)])?);

    // Shared memory without a file is counted by no rlimit.
    let mapping = if memory_counted {
        Vec::new()
    } else {
        vec![
            SeccompRule::new(vec![bits(3, int(libc::MAP_ANONYMOUS), 0)?])?,
            SeccompRule::new(vec![bits(3, int(libc::MAP_TYPE), int(libc::MAP_PRIVATE))?])?,
        ]
    };
    rules.insert(libc::SYS_mmap, mapping);
    rules.insert(libc::SYS_memfd_create, Vec::new());

    // Own flags and seals; no leases, locks or signals on files shared with the daemon.
    let commands = [
        libc::F_DUPFD,
        libc::F_DUPFD_CLOEXEC,
        libc::F_GETFD,
        libc::F_SETFD,
        libc::F_GETFL,
        libc::F_SETFL,
        libc::F_ADD_SEALS,
        libc::F_GET_SEALS,
    ];
    rules.insert(libc::SYS_fcntl, any_of(1, &commands.map(int))?);
    // The five that the standard library uses; no terminals, no file system controls.
    let controls =
        [libc::FIOCLEX, libc::FIONCLEX, libc::FIONBIO, libc::FIONREAD, libc::TCGETS].map(u64::from);
    rules.insert(libc::SYS_ioctl, any_of(1, &controls)?);

    // Limits can be read (the C library looks at the stack's), not set; own process only.
    rules.insert(
        libc::SYS_prlimit64,
        vec![SeccompRule::new(vec![is(0, 0)?, bits(2, u64::MAX, 0)?])?],
    );
    #[cfg(target_arch = "x86_64")]
    rules.insert(libc::SYS_getrlimit, Vec::new());

    // Itself: names, and closing further. Becoming dumpable or outliving the warder: no.
    let mut process = any_of(
        0,
        &[
            int(libc::PR_SET_NAME),
            int(libc::PR_GET_NAME),
            int(libc::PR_SET_NO_NEW_PRIVS),
            int(libc::PR_GET_NO_NEW_PRIVS),
            int(libc::PR_SET_SECCOMP),
            int(libc::PR_GET_SECCOMP),
            int(libc::PR_GET_DUMPABLE),
            int(libc::PR_CAPBSET_READ),
            PR_SET_VMA,
        ],
    )?;
    process.push(SeccompRule::new(vec![is(0, int(libc::PR_SET_DUMPABLE))?, is(1, 0)?])?);
    process.push(SeccompRule::new(vec![
        is(0, int(libc::PR_SET_PDEATHSIG))?,
        is(1, int(libc::SIGKILL))?,
    ])?);
    rules.insert(libc::SYS_prctl, process);
    let closing = [libc::SECCOMP_SET_MODE_FILTER, libc::SECCOMP_GET_ACTION_AVAIL].map(u64::from);
    rules.insert(libc::SYS_seccomp, any_of(0, &closing)?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_fit_the_kernel_with_and_without_a_memory_cgroup() {
        for counted in [true, false] {
            let Filter(programs) = program(counted).unwrap();
            assert!(programs.iter().all(|p| !p.is_empty() && p.len() < 4_096));
        }
    }
}

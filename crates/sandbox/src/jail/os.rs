//! The system calls of the jail that no safe wrapper offers. All `unsafe` of this crate is here.
//!
//! What makes them sound is one fact: `ayni-jail` has a single thread from its first instruction
//! to its last, so no other thread can hold a lock across the fork or see a descriptor or a
//! namespace change under it.
#![allow(unsafe_code)]

use std::ffi::c_char;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::process::Pid;
use rustix::thread::UnshareFlags;

fn check(answer: libc::c_long) -> io::Result<libc::c_long> {
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn close_range(first: u32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: takes three integers and no pointer. Closing (or marking) descriptors could break a
    // Rust value that owns one; callers say why none does.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, flags) })?;
    Ok(())
}

/// Closes every descriptor from `first` on. Only for the start of the process, when no value owns
/// a descriptor above 2.
pub(super) fn close_from(first: u32) -> io::Result<()> {
    close_range(first, 0)
}

/// Marks every descriptor from `first` on as not inherited; all stay open until exec.
pub(super) fn close_on_exec_from(first: u32) -> io::Result<()> {
    close_range(first, libc::CLOSE_RANGE_CLOEXEC)
}

/// Makes `standard` (0, 1 or 2) another name of `file`.
pub(super) fn replace(file: &impl AsFd, standard: i32) -> io::Result<()> {
    debug_assert!((0..=2).contains(&standard));
    // SAFETY: takes two integers. The descriptor that is closed on the way is a standard one, which
    // no Rust value owns; the standard library expects it to be replaceable.
    check(libc::c_long::from(unsafe { libc::dup2(file.as_fd().as_raw_fd(), standard) }))?;
    Ok(())
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: what makes unshare unsafe is `CLONE_FILES`, which no caller in this file passes.
    unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(io::Error::from)
}

pub(super) fn unshare_user() -> io::Result<()> {
    unshare(UnshareFlags::NEWUSER)
}

pub(super) fn unshare_net() -> io::Result<()> {
    unshare(UnshareFlags::NEWNET)
}

pub(super) fn unshare_ipc() -> io::Result<()> {
    unshare(UnshareFlags::NEWIPC)
}

pub(super) fn unshare_uts() -> io::Result<()> {
    unshare(UnshareFlags::NEWUTS)
}

pub(super) fn unshare_cgroup() -> io::Result<()> {
    unshare(UnshareFlags::NEWCGROUP)
}

pub(super) fn unshare_mount() -> io::Result<()> {
    unshare(UnshareFlags::NEWNS)
}

/// The next child is the first process of a new pid namespace: when it ends, all in it ends.
pub(super) fn unshare_pid() -> io::Result<()> {
    unshare(UnshareFlags::NEWPID)
}

/// The child's id, or `None` in the child.
pub(super) fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread, so the child's copy of every lock and allocator state is
    // consistent and the child may go on running ordinary code.
    let pid = check(libc::c_long::from(unsafe { libc::fork() }))?;
    Ok(Pid::from_raw(i32::try_from(pid).map_err(io::Error::other)?))
}

/// Ends the process without running anything of its parent's.
pub(super) fn exit_now(code: i32) -> ! {
    // SAFETY: `_exit` takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// A write past the file size limit is to be an error, not a death; survives exec.
pub(super) fn ignore_file_size_signal() -> io::Result<()> {
    // SAFETY: `SIG_IGN` installs no handler, so no code of ours can run in signal context.
    if unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) } == libc::SIG_ERR {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sets the I/O class of the calling process to idle.
pub(super) fn io_idle() -> io::Result<()> {
    const WHO_PROCESS: libc::c_int = 1;
    const CLASS_IDLE: libc::c_int = 3 << 13;
    // SAFETY: takes three integers and no pointer.
    check(unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, CLASS_IDLE) })?;
    Ok(())
}

/// Sets the scheduling class of the calling process to idle.
pub(super) fn cpu_idle() -> io::Result<()> {
    let param = libc::sched_param { sched_priority: 0 };
    // SAFETY: `param` is a live, initialised value for the length of the call, which only reads it.
    check(libc::c_long::from(unsafe {
        libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const param)
    }))?;
    Ok(())
}

/// Becomes the executable behind `runner`, with one argument and no environment. Answers only if
/// that fails.
pub(super) fn execute(runner: &OwnedFd) -> io::Error {
    let argv: [*const c_char; 2] = [c"ayni-runner".as_ptr(), std::ptr::null()];
    let envp: [*const c_char; 1] = [std::ptr::null()];
    // SAFETY: the path and both lists are NUL-terminated, live for the length of the call, and are
    // only read; `runner` is an open descriptor.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            runner.as_raw_fd(),
            c"".as_ptr(),
            argv.as_ptr(),
            envp.as_ptr(),
            libc::AT_EMPTY_PATH,
        );
    }
    io::Error::last_os_error()
}

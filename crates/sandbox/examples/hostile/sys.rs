//! System calls by number, as an attacker would make them. `unsafe`, and meant to be.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::io;

pub(crate) fn call(number: libc::c_long, args: &[i64]) -> io::Result<i64> {
    let a = |i: usize| args.get(i).copied().unwrap_or(0);
    // SAFETY: callers pass pointers to live memory, or numbers that the kernel refuses.
    let answer = unsafe { libc::syscall(number, a(0), a(1), a(2), a(3), a(4), a(5)) };
    if answer == -1 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

pub(crate) fn text(text: &str) -> CString {
    CString::new(text).unwrap()
}

pub(crate) fn at<T>(value: &T) -> i64 {
    std::ptr::from_ref(value) as i64
}

pub(crate) fn at_mut<T>(value: &mut T) -> i64 {
    std::ptr::from_mut(value) as i64
}

/// Writes to every page of `bytes` bytes at `start`, which have to be mapped writable.
pub(crate) fn touch(start: i64, bytes: i64) {
    for offset in (0..bytes).step_by(4_096) {
        // SAFETY: the caller has just mapped this range for writing.
        unsafe { std::ptr::write_volatile((start + offset) as *mut u8, 1) };
    }
}

/// `fork`, whose child ends at once; reaps it.
pub(crate) fn fork_once() -> io::Result<()> {
    // SAFETY: the child calls nothing but `_exit`.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: takes an integer.
        0 => unsafe { libc::_exit(0) },
        child => {
            // SAFETY: a null status pointer is allowed.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            Ok(())
        }
    }
}

/// The old 32-bit system call door, which a filter for 64-bit numbers may forget.
#[cfg(target_arch = "x86_64")]
pub(crate) fn getpid_by_int80() -> i64 {
    let answer: i64;
    // SAFETY: `getpid` (20) of the 32-bit table takes nothing and changes only eax.
    unsafe {
        std::arch::asm!("int 0x80", inout("rax") 20_i64 => answer, out("r8") _, out("r9") _,
            out("r10") _, out("r11") _);
    }
    answer
}

/// Reads address 0.
pub(crate) fn crash() {
    // SAFETY: none; ending by a signal is the purpose.
    unsafe { std::ptr::read_volatile(std::ptr::null::<u8>().wrapping_add(8)) };
}

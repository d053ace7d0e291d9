//! Bytes of a descriptor mapped read-only into memory: programs and inputs.
//!
//! One of the places with `unsafe` code. Deliberately not here: writable mappings.
#![allow(unsafe_code)]

use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// A read-only private mapping.
#[derive(Debug)]
pub struct Mapped {
    start: *mut u8,
    bytes: usize,
}

// SAFETY: the mapping is read-only and owned by this value alone; nothing in it is tied to a thread.
unsafe impl Send for Mapped {}
// SAFETY: as above; shared reads of memory that nobody in this process writes.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Maps the first `bytes` bytes of `fd`.
    ///
    /// # Errors
    /// When the kernel refuses, or the descriptor is shorter.
    pub fn new(fd: impl AsFd, bytes: u64) -> io::Result<Self> {
        let actual = rustix::fs::fstat(&fd)?.st_size;
        if u64::try_from(actual).unwrap_or(0) < bytes {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("the descriptor holds {actual} bytes, {bytes} were promised"),
            ));
        }
        let bytes = usize::try_from(bytes).map_err(io::Error::other)?;
        if bytes == 0 {
            return Ok(Self { start: std::ptr::NonNull::dangling().as_ptr(), bytes: 0 });
        }
        // SAFETY: a fresh mapping at an address of the kernel's choice overlaps nothing of ours.
        let start = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, fd, 0)?
        };
        Ok(Self { start: start.cast(), bytes })
    }

    /// Maps all of `fd`.
    ///
    /// # Errors
    /// When the kernel refuses, or it is longer than `bytes_max`.
    pub fn whole(fd: impl AsFd, bytes_max: u64) -> io::Result<Self> {
        let size = rustix::fs::fstat(&fd)?.st_size;
        let size = u64::try_from(size).map_err(io::Error::other)?;
        if size > bytes_max {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("{size} bytes are more than the limit of {bytes_max}"),
            ));
        }
        Self::new(fd, size)
    }
}

impl Deref for Mapped {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is valid for `bytes` bytes until drop (or dangling and of length 0), and
        // is only ever read here. The daemon hands over files that are no longer written; one that
        // shrank would end this process with SIGBUS, which the daemon takes for a fault.
        unsafe { std::slice::from_raw_parts(self.start, self.bytes) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.bytes > 0 {
            // SAFETY: unmaps exactly the range that `new` mapped; no reference outlives `self`.
            // A failure would leak the range, nothing else.
            let _ = unsafe { munmap(self.start.cast(), self.bytes) };
        }
    }
}

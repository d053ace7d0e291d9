//! The error numbers of WASI preview 1; preview 2's error codes are mapped from them.

use crate::stop::Stop;

/// An error that the guest is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
#[allow(missing_docs)]
pub enum Errno {
    Access = 2,
    BadFd = 8,
    Busy = 10,
    Exist = 20,
    FileTooBig = 22,
    IllegalBytes = 25,
    Invalid = 28,
    Io = 29,
    IsDir = 31,
    Loop = 32,
    TooManyFiles = 33,
    TooManyLinks = 34,
    NameTooLong = 37,
    NoEntry = 44,
    NoSpace = 51,
    NotDir = 54,
    NotEmpty = 55,
    NotSocket = 57,
    NotSupported = 58,
    NotPermitted = 63,
    ReadOnly = 69,
    NotSeekable = 70,
    OtherDevice = 75,
    NotCapable = 76,
}

/// Why a host call did not succeed: the guest is told, or it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostError {
    /// Tell the guest.
    Errno(Errno),
    /// End the guest.
    Stop(Stop),
}

impl From<Errno> for HostError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Stop> for HostError {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// What host calls return.
pub type HostResult<T> = Result<T, HostError>;

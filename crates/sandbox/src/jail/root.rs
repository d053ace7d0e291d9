//! The file system of the jail: an empty, read-only tmpfs with the runner and its libraries bound
//! into it, read-only. No `/proc`, no `/dev`, no `/sys`, nothing to write to.

use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};

use super::{Exec, JailError, Step};
use crate::order::JailOrder;

/// Where the runner lies inside.
const RUNNER_INSIDE: &str = "/ayni-runner";

/// A file to appear inside, as a mount that hangs nowhere yet.
pub(super) struct Part {
    inside: PathBuf,
    tree: OwnedFd,
}

fn take(path: &str) -> Result<OwnedFd, JailError> {
    // `OPEN_TREE_CLONE` gives a detached bind mount: held by the descriptor alone, it survives the
    // change of user and of mount namespace.
    rustix::mount::open_tree(
        CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC,
    )
    .step("taking a file into the jail")
}

/// Takes the runner (which must be the attached file) and its libraries.
pub(super) fn take_parts(order: &JailOrder, attached: &OwnedFd) -> Result<Vec<Part>, JailError> {
    let runner = take(&order.runner)?;
    let found = rustix::fs::fstat(&runner).step("looking at the runner")?;
    let meant = rustix::fs::fstat(attached).step("looking at the runner")?;
    if (found.st_dev, found.st_ino) != (meant.st_dev, meant.st_ino) {
        return Err(JailError {
            step: "taking the runner",
            source: std::io::Error::other("another file lies there now; restart the daemon"),
        });
    }
    let mut parts = vec![Part { inside: RUNNER_INSIDE.into(), tree: runner }];
    for library in &order.libraries {
        parts.push(Part { inside: library.into(), tree: take(library)? });
    }
    Ok(parts)
}

/// Makes the new root and enters it; the old one is gone afterwards.
pub(super) fn enter(parts: &[Part]) -> Result<Exec, JailError> {
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .step("making mounts private")?;
    // Any folder will do as a place to stand on; everything needed from the old root is in hand.
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let options = c"size=64k,nr_inodes=128,mode=0755";
    let stand = ["/tmp", "/usr", "/"].into_iter().find(|stand| {
        Path::new(stand).is_dir()
            && rustix::mount::mount("ayni-jail", *stand, "tmpfs", flags, options).is_ok()
    });
    let Some(stand) = stand else {
        return Err(JailError {
            step: "mounting the empty root",
            source: std::io::Error::last_os_error(),
        });
    };
    rustix::process::chdir(stand).step("entering the empty root")?;
    for part in parts {
        place(part)?;
    }
    // New root and old root on one place: the old one is then on top and can be let go.
    rustix::process::pivot_root(".", ".").step("changing the root")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH).step("leaving the old root")?;
    rustix::process::chdir("/").step("entering the root")?;
    for part in parts {
        rustix::mount::mount_remount(
            &part.inside,
            MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV,
            c"",
        )
        .step("making a file read-only")?;
    }
    rustix::mount::mount_remount("/", MountFlags::BIND | MountFlags::RDONLY | flags, c"")
        .step("making the root read-only")?;
    let readable = parts.iter().map(|p| open(&p.inside)).collect::<Result<_, _>>()?;
    Ok(Exec { runner: open(Path::new(RUNNER_INSIDE))?, readable })
}

fn place(part: &Part) -> Result<(), JailError> {
    let inside = part.inside.strip_prefix("/").unwrap_or(&part.inside);
    if let Some(parent) = inside.parent() {
        fs::DirBuilder::new().recursive(true).create(parent).step("making a folder")?;
        open_to_all(parent)?;
    }
    let _: File = File::options()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(inside)
        .step("making a mount point")?;
    rustix::mount::move_mount(
        part.tree.as_fd(),
        "",
        CWD,
        inside,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
    .step("placing a file")
}

/// The umask hides folders from others; the runner may be another user than who made them.
fn open_to_all(folder: &Path) -> Result<(), JailError> {
    let mut at = PathBuf::new();
    for name in folder {
        at.push(name);
        rustix::fs::chmod(&at, Mode::from_raw_mode(0o755)).step("opening a folder")?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<OwnedFd, JailError> {
    rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step("opening a file")
}

/// When there is no mount namespace: the attached file itself, and the libraries where they lie.
pub(super) fn without_namespace(order: &JailOrder, attached: OwnedFd) -> Result<Exec, JailError> {
    let mut readable = vec![rustix::io::dup(&attached).step("dup")?];
    for library in &order.libraries {
        readable.push(open(Path::new(library))?);
    }
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&attached).step("fstat")?.st_mode);
    if kind != FileType::RegularFile {
        return Err(JailError {
            step: "taking the runner",
            source: std::io::Error::other("not a regular file"),
        });
    }
    Ok(Exec { runner: attached, readable })
}

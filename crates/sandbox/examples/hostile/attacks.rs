//! The attacks: what a native program tries once it has the runner's process.
//!
//! Each succeeds (`Ok`, with what was got) or is refused (`Err`, with the system's answer). None
//! harms the machine when it succeeds: calls that would are made with arguments that pass the check
//! of permission and fail at the next one, and say so.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixStream};

use crate::Context;
use crate::sys::{self, at, at_mut, call, text};

type Attempt = io::Result<String>;

/// Every attack by name, in the order of the table.
pub(crate) const NAMES: &[&str] = &[
    "read /etc/passwd",
    "read the daemon's secret",
    "list /proc",
    "read the environment",
    "use leftover descriptors",
    "write outside",
    "open a device",
    "open a terminal",
    "make a device",
    "rewrite the kernel's core pattern",
    "join another cgroup",
    "open by file handle",
    "reopen an input for writing",
    "link an output into a folder",
    "make an output setuid",
    "make an output immutable",
    "put a lease on an input",
    "lock an input",
    "read another's memory by /proc",
    "read another's memory by call",
    "trace another process",
    "signal another process",
    "signal by pidfd",
    "take a descriptor by pidfd",
    "see process 1 of the machine",
    "connect to the daemon's port",
    "send a datagram",
    "open a raw socket",
    "open a netlink socket",
    "connect to an abstract socket",
    "connect to a socket file",
    "make a socket pair",
    "fork",
    "execute a shell",
    "execute from memory",
    "execute the loader",
    "mount",
    "make a user namespace",
    "clone into a user namespace",
    "join another's namespace",
    "change the root",
    "use a new mount call",
    "use io_uring",
    "use the kernel's keys",
    "count performance events",
    "load a bpf map",
    "handle page faults",
    "watch files",
    "watch all files",
    "use port input and output",
    "change the descriptor table of the processor",
    "change personality",
    "use the 32-bit door",
    "load a kernel module",
    "restart the machine",
    "switch swap on",
    "set the clock",
    "set the host name",
    "read the kernel's log",
    "become another user",
    "raise capabilities",
    "become dumpable",
    "outlive the warder",
    "raise priority",
    "use real-time scheduling",
    "raise a limit",
    "allow core dumps",
    "take private memory",
    "take shared memory",
    "take memory by memfd",
    "lock memory",
    "fill the disk",
    "take all descriptors",
    "take all threads",
    "use system v memory",
    "use message queues",
];

const MIB: i64 = 1 << 20;

pub(crate) fn attempt(name: &str, context: &Context) -> Attempt {
    files(name, context)
        .or_else(|| processes(name, context))
        .or_else(|| network(name, context))
        .or_else(|| kernel(name, context))
        .or_else(|| resources(name, context))
        .unwrap_or_else(|| Err(io::Error::other(format!("no such attack: {name}"))))
}

fn done(what: &str) -> impl FnOnce(i64) -> String + '_ {
    move |_| what.to_owned()
}

fn read(path: &str) -> Attempt {
    let mut bytes = vec![0; 64];
    let n = File::open(path)?.read(&mut bytes)?;
    Ok(format!("{n} bytes of {path}"))
}

fn write_open(path: &str) -> Attempt {
    File::options().write(true).open(path).map(|_| format!("{path} open for writing"))
}

fn files(name: &str, context: &Context) -> Option<Attempt> {
    let own = |file: &File| i64::from(file.as_raw_fd());
    Some(match name {
        "read /etc/passwd" => read("/etc/passwd"),
        "read the daemon's secret" => read(context.text("secret")),
        "list /proc" => fs::read_dir("/proc").map(|d| format!("{} entries", d.count())),
        "read the environment" => match std::env::vars_os().count() {
            0 => Err(io::Error::other("empty")),
            n => Ok(format!("{n} variables")),
        },
        "use leftover descriptors" => leftover(context),
        "write outside" => {
            let path = format!("{}/written", context.text("folder"));
            File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)
                .map(|_| "a new file".into())
        }
        "open a device" => read("/dev/zero"),
        "open a terminal" => {
            File::options().read(true).write(true).open("/dev/ptmx").map(|_| "a terminal".into())
        }
        "make a device" => {
            let path = text(&format!("{}/device", context.text("folder")));
            let null = libc::makedev(1, 3);
            call(
                libc::SYS_mknodat,
                &[
                    libc::AT_FDCWD.into(),
                    path.as_ptr() as i64,
                    i64::from(libc::S_IFCHR | 0o666),
                    null.cast_signed(),
                ],
            )
            .map(done("a device file"))
        }
        "rewrite the kernel's core pattern" => write_open("/proc/sys/kernel/core_pattern"),
        "join another cgroup" => write_open(context.text("cgroup")),
        "open by file handle" => by_handle(own(&context.artefact)),
        "reopen an input for writing" => {
            write_open(&format!("/proc/self/fd/{}", context.artefact.as_raw_fd()))
        }
        "link an output into a folder" => {
            let to = text(&format!("{}/linked", context.text("folder")));
            call(
                libc::SYS_linkat,
                &[
                    own(&context.output),
                    c"".as_ptr() as i64,
                    libc::AT_FDCWD.into(),
                    to.as_ptr() as i64,
                    libc::AT_EMPTY_PATH.into(),
                ],
            )
            .map(done("a link"))
        }
        "make an output setuid" => {
            call(libc::SYS_fchmod, &[own(&context.output), 0o4755]).map(done("mode 4755"))
        }
        "make an output immutable" => {
            const FS_IOC_GETFLAGS: i64 = 0x8008_6601;
            let mut flags = 0_u64;
            // Reading the flags is the same door; setting them would outlast the test.
            call(libc::SYS_ioctl, &[own(&context.output), FS_IOC_GETFLAGS, at_mut(&mut flags)])
                .map(done("file flags"))
        }
        "put a lease on an input" => call(
            libc::SYS_fcntl,
            &[own(&context.artefact), libc::F_SETLEASE.into(), libc::F_RDLCK.into()],
        )
        .map(done("a lease")),
        "lock an input" => call(
            libc::SYS_flock,
            &[own(&context.artefact), i64::from(libc::LOCK_EX | libc::LOCK_NB)],
        )
        .map(done("a lock")),
        _ => return None,
    })
}

/// Descriptors beyond the standard three, the two in hand and those the test's own calls need.
fn leftover(context: &Context) -> Attempt {
    let ours = [context.artefact.as_raw_fd(), context.output.as_raw_fd()];
    let open: Vec<i64> = (3..1_024)
        .filter(|fd| !ours.iter().any(|o| i64::from(*o) == *fd))
        .filter(|fd| call(libc::SYS_fcntl, &[*fd, libc::F_GETFD.into()]).is_ok())
        .collect();
    if open.is_empty() { Err(io::Error::other("none open")) } else { Ok(format!("{open:?}")) }
}

fn by_handle(fd: i64) -> Attempt {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        data: [u8; 128],
    }
    let mut handle = Handle { bytes: 128, kind: 0, data: [0; 128] };
    let mut mount = 0_i32;
    call(
        libc::SYS_name_to_handle_at,
        &[
            fd,
            c"".as_ptr() as i64,
            at_mut(&mut handle),
            at_mut(&mut mount),
            libc::AT_EMPTY_PATH.into(),
        ],
    )?;
    call(libc::SYS_open_by_handle_at, &[fd, at_mut(&mut handle), 0]).map(done("a file"))
}

fn processes(name: &str, context: &Context) -> Option<Attempt> {
    let victim = context.number("victim");
    Some(match name {
        "read another's memory by /proc" => {
            File::open(format!("/proc/{victim}/mem")).map(|_| "its memory, open".into())
        }
        "read another's memory by call" => {
            let mut here = [0_u8; 16];
            let ours = libc::iovec { iov_base: at_mut(&mut here) as *mut _, iov_len: 16 };
            let theirs = libc::iovec { iov_base: context.number("address") as *mut _, iov_len: 16 };
            call(libc::SYS_process_vm_readv, &[victim, at(&ours), 1, at(&theirs), 1, 0])
                .map(|n| format!("{n} bytes"))
        }
        "trace another process" => {
            const PTRACE_SEIZE: i64 = 0x4206;
            call(libc::SYS_ptrace, &[PTRACE_SEIZE, victim, 0, 0]).map(done("traced"))
        }
        "signal another process" => {
            call(libc::SYS_kill, &[victim, libc::SIGCONT.into()]).map(done("signalled"))
        }
        "signal by pidfd" => call(libc::SYS_pidfd_open, &[victim, 0]).and_then(|fd| {
            call(libc::SYS_pidfd_send_signal, &[fd, libc::SIGCONT.into(), 0, 0])
                .map(done("signalled"))
        }),
        "take a descriptor by pidfd" => call(libc::SYS_pidfd_open, &[victim, 0])
            .and_then(|fd| call(libc::SYS_pidfd_getfd, &[fd, 0, 0]).map(done("its stdin"))),
        "see process 1 of the machine" => {
            call(libc::SYS_getpgid, &[victim]).map(|g| format!("its group is {g}"))
        }
        "fork" => sys::fork_once().map(|()| "a child".into()),
        "execute a shell" => execute("/bin/sh", &["sh", "-c", "echo ok: a shell"]),
        "execute from memory" => from_memory(),
        "execute the loader" => {
            // There even in the jail, and would run any file it can open.
            execute("/lib64/ld-linux-x86-64.so.2", &["ld.so", "/bin/echo", "ok: by the loader"])
        }
        "become another user" => call(libc::SYS_setuid, &[12_345]).map(done("uid 12345")),
        "raise capabilities" => capabilities(),
        "become dumpable" => {
            call(libc::SYS_prctl, &[libc::PR_SET_DUMPABLE.into(), 1]).map(done("dumpable"))
        }
        "outlive the warder" => {
            call(libc::SYS_prctl, &[libc::PR_SET_PDEATHSIG.into(), 0]).map(done("no death signal"))
        }
        "raise priority" => call(libc::SYS_setpriority, &[0, 0, -5]).map(done("nice -5")),
        "use real-time scheduling" => {
            let param = libc::sched_param { sched_priority: 1 };
            call(libc::SYS_sched_setscheduler, &[0, libc::SCHED_FIFO.into(), at(&param)])
                .map(done("real time"))
        }
        "raise a limit" => limit(libc::RLIMIT_NOFILE, 4_096),
        "allow core dumps" => limit(libc::RLIMIT_CORE, 1 << 20),
        _ => return None,
    })
}

fn limit(resource: libc::__rlimit_resource_t, value: u64) -> Attempt {
    let new = libc::rlimit { rlim_cur: value, rlim_max: value };
    call(libc::SYS_prlimit64, &[0, i64::from(resource), at(&new), 0]).map(done("limit set"))
}

fn execute(path: &str, args: &[&str]) -> Attempt {
    let (path, args): (_, Vec<_>) = (text(path), args.iter().map(|a| text(a)).collect());
    let mut argv: Vec<_> = args.iter().map(|a| a.as_ptr()).collect();
    argv.push(std::ptr::null());
    call(libc::SYS_execve, &[path.as_ptr() as i64, argv.as_ptr() as i64, 0])
        .map(done("never reached"))
}

fn from_memory() -> Attempt {
    let fd = call(libc::SYS_memfd_create, &[c"x".as_ptr() as i64, 0])?;
    call(libc::SYS_write, &[fd, c"#!/bin/sh\necho ok: a script\n".as_ptr() as i64, 28])?;
    let (a, b) = (text("x"), text("y"));
    let argv = [a.as_ptr(), b.as_ptr(), std::ptr::null()];
    call(
        libc::SYS_execveat,
        &[fd, c"".as_ptr() as i64, argv.as_ptr() as i64, 0, libc::AT_EMPTY_PATH.into()],
    )
    .map(done("never reached"))
}

fn capabilities() -> Attempt {
    // Version 3, this process; then every capability of the first word.
    let header = [0x2008_0522_u32, 0];
    let all = [u32::MAX, u32::MAX, 0, 0x1ff, 0x1ff, 0];
    let mut held = [0_u32; 6];
    call(libc::SYS_capget, &[at(&header), at_mut(&mut held)])?;
    if held[0] == 0 {
        return call(libc::SYS_capset, &[at(&header), at(&all)]).map(done("all capabilities"));
    }
    Ok(format!("holds {:08x}", held[0]))
}

fn network(name: &str, context: &Context) -> Option<Attempt> {
    let socket = |domain: i32, kind: i32, protocol: i32| {
        call(libc::SYS_socket, &[domain.into(), kind.into(), protocol.into()]).map(done("a socket"))
    };
    Some(match name {
        "connect to the daemon's port" => {
            TcpStream::connect(context.text("port")).map(|_| "connected".into())
        }
        "send a datagram" => UdpSocket::bind("127.0.0.1:0")
            .and_then(|s| s.send_to(b"x", context.text("port")))
            .map(|_| "sent".into()),
        "open a raw socket" => socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP),
        "open a netlink socket" => socket(libc::AF_NETLINK, libc::SOCK_RAW, 0),
        "connect to an abstract socket" => SocketAddr::from_abstract_name(context.text("abstract"))
            .and_then(|a| UnixStream::connect_addr(&a))
            .map(|_| "connected".into()),
        "connect to a socket file" => {
            UnixStream::connect(context.text("socket")).map(|_| "connected".into())
        }
        "make a socket pair" => UnixStream::pair().map(|_| "a pair".into()),
        _ => return None,
    })
}

/// A call that only its permission check may refuse: any later error means that it let us pass.
fn past_permission(number: libc::c_long, args: &[i64]) -> Attempt {
    match call(number, args) {
        Ok(_) => Ok("done".into()),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EPERM | libc::EACCES | libc::ENOSYS)) => {
            Err(e)
        }
        Err(e) => Ok(format!("permitted; then {e}")),
    }
}

fn kernel(name: &str, context: &Context) -> Option<Attempt> {
    let folder = text(context.text("folder"));
    let folder = folder.as_ptr() as i64;
    let none = c"none".as_ptr() as i64;
    Some(match name {
        "mount" => {
            let tmpfs = c"tmpfs".as_ptr() as i64;
            call(libc::SYS_mount, &[none, folder, tmpfs, 0, 0]).map(|_| {
                let _ = call(libc::SYS_umount2, &[folder, libc::MNT_DETACH.into()]);
                "mounted".into()
            })
        }
        "make a user namespace" => {
            call(libc::SYS_unshare, &[libc::CLONE_NEWUSER.into()]).map(done("a namespace"))
        }
        "clone into a user namespace" => {
            let flags = libc::CLONE_NEWUSER | libc::SIGCHLD;
            call(libc::SYS_clone, &[flags.into(), 0, 0, 0, 0]).map(|child| {
                if child == 0 {
                    std::process::exit(0);
                }
                "a child in it".into()
            })
        }
        "join another's namespace" => call(libc::SYS_pidfd_open, &[context.number("victim"), 0])
            .and_then(|fd| call(libc::SYS_setns, &[fd, libc::CLONE_NEWNET.into()]))
            .map(done("its network")),
        "change the root" => call(libc::SYS_chroot, &[folder]).map(done("a root of its own")),
        "use a new mount call" => {
            call(libc::SYS_fsopen, &[c"tmpfs".as_ptr() as i64, 0]).map(done("a file system"))
        }
        "use io_uring" => {
            let mut params = [0_u32; 30];
            call(libc::SYS_io_uring_setup, &[4, at_mut(&mut params)]).map(done("a ring"))
        }
        "use the kernel's keys" => call(libc::SYS_keyctl, &[0, -2, 1]).map(done("a keyring")),
        "count performance events" => {
            let mut event = [0_u64; 16];
            event[0] = 1 | (128 << 32);
            call(libc::SYS_perf_event_open, &[at_mut(&mut event), 0, -1, -1, 0])
                .map(done("a counter"))
        }
        "load a bpf map" => {
            let mut map = [0_u32; 18];
            (map[0], map[1], map[2], map[3]) = (2, 4, 4, 1);
            call(libc::SYS_bpf, &[0, at_mut(&mut map), 72]).map(done("a map"))
        }
        "handle page faults" => call(libc::SYS_userfaultfd, &[1]).map(done("a handler")),
        "watch files" => call(libc::SYS_inotify_init1, &[0]).map(done("a watch")),
        "watch all files" => call(libc::SYS_fanotify_init, &[0, 0]).map(done("a watch")),
        #[cfg(target_arch = "x86_64")]
        "use port input and output" => call(libc::SYS_ioperm, &[0x80, 1, 1]).map(done("a port")),
        #[cfg(target_arch = "x86_64")]
        "change the descriptor table of the processor" => {
            let entry = [0_u32, 0, 0xf_ffff, 0x51];
            call(libc::SYS_modify_ldt, &[0x11, at(&entry), 16]).map(done("an entry"))
        }
        "change personality" => call(libc::SYS_personality, &[0x004_0000]).map(done("changed")),
        #[cfg(target_arch = "x86_64")]
        "use the 32-bit door" => match sys::getpid_by_int80() {
            pid if pid > 0 => Ok("answered".into()),
            error => Err(io::Error::from_raw_os_error(i32::try_from(-error).unwrap_or(0))),
        },
        "load a kernel module" => past_permission(libc::SYS_init_module, &[0, 0, 0]),
        "restart the machine" => past_permission(libc::SYS_reboot, &[0, 0, 0, 0]),
        "switch swap on" => past_permission(libc::SYS_swapon, &[none, 0]),
        "set the clock" => {
            // The length of a tick, set to what it is.
            let mut time = [0_u8; 256];
            call(libc::SYS_adjtimex, &[at_mut(&mut time)]).and_then(|_| {
                const ADJ_TICK: u32 = 0x4000;
                time[..4].copy_from_slice(&ADJ_TICK.to_ne_bytes());
                call(libc::SYS_adjtimex, &[at_mut(&mut time)]).map(done("the same tick"))
            })
        }
        "set the host name" => {
            let mut names = [0_u8; 65 * 6];
            call(libc::SYS_uname, &[at_mut(&mut names)]).and_then(|_| {
                let name = &names[65..130];
                let length = name.iter().position(|b| *b == 0).unwrap_or(0);
                call(libc::SYS_sethostname, &[name.as_ptr() as i64, length as i64])
                    .map(done("the same name"))
            })
        }
        "read the kernel's log" => {
            let mut log = [0_u8; 256];
            call(libc::SYS_syslog, &[3, at_mut(&mut log), 256]).map(|n| format!("{n} bytes"))
        }
        _ => return None,
    })
}

fn resources(name: &str, context: &Context) -> Option<Attempt> {
    let amount = context.number("bomb_mib").max(1) * MIB;
    Some(match name {
        "take private memory" => map(amount, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1),
        "take shared memory" => map(amount, libc::MAP_SHARED | libc::MAP_ANONYMOUS, -1),
        "take memory by memfd" => {
            // In pieces, so that no limit on one file is in the way.
            (|| {
                for _ in 0..amount / (8 * MIB) {
                    let fd = call(libc::SYS_memfd_create, &[c"x".as_ptr() as i64, 0])?;
                    call(libc::SYS_ftruncate, &[fd, 8 * MIB])?;
                    map(8 * MIB, libc::MAP_SHARED, fd)?;
                }
                Ok(format!("{} MiB", amount / MIB))
            })()
        }
        "lock memory" => call(libc::SYS_mlockall, &[1]).map(done("locked")),
        "fill the disk" => (|| {
            let chunk = vec![b'x'; 1 << 20];
            for _ in 0..16 {
                (&context.output).write_all(&chunk)?;
            }
            Ok("16 MiB".into())
        })(),
        "take all descriptors" => {
            let most = libc::rlimit { rlim_cur: 8_192, rlim_max: 8_192 };
            let _ = call(libc::SYS_prlimit64, &[0, libc::RLIMIT_NOFILE.into(), at(&most), 0]);
            let mut held: Vec<OwnedFd> = Vec::new();
            (|| {
                while held.len() < 4_096 {
                    let fd = call(libc::SYS_dup, &[0])?;
                    held.push(own(fd));
                }
                Ok("4,096 descriptors".into())
            })()
        }
        "take all threads" => threads(600),
        "use system v memory" => call(libc::SYS_shmget, &[0, 4_096, 0o600]).map(|id| {
            let _ = call(libc::SYS_shmctl, &[id, libc::IPC_RMID.into(), 0]);
            "a segment".into()
        }),
        "use message queues" => {
            let name = text(&format!("ayni-test-{}", std::process::id()));
            let name = name.as_ptr() as i64;
            call(libc::SYS_mq_open, &[name, i64::from(libc::O_CREAT | libc::O_RDWR), 0o600, 0]).map(
                |_| {
                    let _ = call(libc::SYS_mq_unlink, &[name]);
                    "a queue".into()
                },
            )
        }
        _ => return None,
    })
}

#[allow(unsafe_code)]
fn own(fd: i64) -> OwnedFd {
    // SAFETY: the kernel has just given this descriptor to us alone.
    unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).unwrap()) }
}

fn map(bytes: i64, flags: i32, fd: i64) -> Attempt {
    let write = i64::from(libc::PROT_READ | libc::PROT_WRITE);
    let start = call(libc::SYS_mmap, &[0, bytes, write, flags.into(), fd, 0])?;
    sys::touch(start, bytes);
    Ok(format!("{} MiB", bytes / MIB))
}

fn threads(wanted: usize) -> Attempt {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let wait = std::sync::Arc::new(std::sync::Mutex::new(wait));
    let mut started = Vec::new();
    let mut result = Ok(format!("{wanted} threads"));
    for _ in 0..wanted {
        let wait = std::sync::Arc::clone(&wait);
        let thread = std::thread::Builder::new().stack_size(64 << 10).spawn(move || {
            let _ = wait.lock().map(|w| w.recv());
        });
        match thread {
            Ok(thread) => started.push(thread),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    drop(stop);
    for thread in started {
        let _ = thread.join();
    }
    result
}

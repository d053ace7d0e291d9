"""Runs a command behind what a systemd unit takes away, without systemd: unit.py UNIT STATE COMMAND…

For a machine that was not booted by systemd, such as a container. Run as root in a mount namespace of
its own (`unshare --mount`). Mounts, user, capabilities and the list of system calls are as systemd
would make them for these settings; which settings of the unit are not tried is printed first. Not a
way to run a service: only to see whether a program works behind them.
"""

import ctypes
import os
import socket
import subprocess
import sys

import seccomp

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
CLONE_NEWUTS = 0x04000000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
# Nobody on this machine.
UID = 61234

# What is tried, with the value that is meant.
TRIED = {
    "DynamicUser": "yes",
    "StateDirectoryMode": "0700",
    "UMask": "0077",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "AmbientCapabilities": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "ProtectProc": "invisible",
    "ProtectHostname": "yes",
    "ProtectKernelTunables": "yes",
    "SystemCallErrorNumber": "EPERM",
}
LIBC = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    unit, state, command = sys.argv[1], sys.argv[2], sys.argv[3:]
    settings = read(unit)
    for name, value in TRIED.items():
        if settings.get(name) != [value]:
            raise SystemExit(f"error: {unit} has {name}={settings.get(name)}, not {value!r}")
    beside = set(settings) - set(TRIED) - {"SystemCallFilter", "RestrictAddressFamilies"}
    print("not tried here:", ", ".join(sorted(beside)), file=sys.stderr, flush=True)
    allowed = set().union(*(calls(word) for line in settings["SystemCallFilter"] for word in line.split()))
    allowed |= calls("@default")

    take_mounts(state)
    os.chown(state, UID, UID)
    os.chmod(state, 0o700)
    check(LIBC.unshare(CLONE_NEWUTS), "unshare")
    for capability in range(64):
        # Beyond the last one the kernel says no.
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.setgroups([])
    os.setresgid(UID, UID, UID)
    os.setresuid(UID, UID, UID)
    os.umask(0o077)
    check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    filter = seccomp.SyscallFilter(seccomp.ERRNO(1))
    for family in settings["RestrictAddressFamilies"][0].split():
        is_it = seccomp.Arg(0, seccomp.EQ, getattr(socket, family))
        filter.add_rule(seccomp.ALLOW, "socket", is_it)
    for name in sorted(allowed - {"socket"}):
        try:
            filter.add_rule(seccomp.ALLOW, name)
        except RuntimeError:
            pass  # not a call of this processor
    filter.load()
    os.chdir("/")
    environment = {"PATH": "/usr/bin:/bin", "HOME": "/", "LANG": "C.UTF-8", "STATE_DIRECTORY": state}
    os.execve(command[0], command, environment)


def read(unit: str) -> dict[str, list[str]]:
    settings: dict[str, list[str]] = {}
    section = None
    with open(unit) as lines:
        for line in lines:
            line = line.strip()
            if line.startswith("["):
                section = line
            elif section == "[Service]" and line and not line.startswith("#"):
                name, _, value = line.partition("=")
                settings.setdefault(name, []).append(value)
    return settings


def calls(word: str) -> set[str]:
    """The system calls that a word of SystemCallFilter= stands for, by systemd's own tables."""
    if not word.startswith("@"):
        return {word}
    told = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager", word],
        check=True, capture_output=True, text=True,
    ).stdout
    words = (line.strip() for line in told.splitlines()[1:])
    return set().union(*(calls(word) for word in words if word and not word.startswith("#")))


def take_mounts(state: str) -> None:
    mount(None, "/", None, MS_REC | MS_PRIVATE)
    mount(state, state, None, MS_BIND)
    with open("/proc/self/mountinfo") as lines:
        places = {fields[4]: fields[5] for fields in map(str.split, lines)}
    for place, options in places.items():
        place = place.encode().decode("unicode_escape")
        if place == state or place.startswith(("/proc", "/dev", "/sys")):
            continue
        flags = MS_BIND | MS_REMOUNT | MS_RDONLY
        for word, flag in (("nosuid", MS_NOSUID), ("nodev", MS_NODEV), ("noexec", MS_NOEXEC)):
            flags |= flag if word in options.split(",") else 0
        mount(None, place, None, flags)
    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible")
    for place in ("sys", "fs", "irq", "bus", "acpi", "sysrq-trigger"):
        place = f"/proc/{place}"
        if os.path.exists(place):
            mount(place, place, None, MS_BIND | MS_REC)
            mount(None, place, None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NOEXEC | MS_NODEV)
    for place in ("/home", "/root"):
        mount("tmpfs", place, "tmpfs", MS_RDONLY, "mode=0000")
    mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    devices = "/tmp/devices"
    os.makedirs(devices)
    mount("tmpfs", devices, "tmpfs", MS_NOSUID, "mode=0755")
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        with open(f"{devices}/{name}", "w"):
            pass
        mount(f"/dev/{name}", f"{devices}/{name}", None, MS_BIND)
    os.makedirs(f"{devices}/shm")
    mount("tmpfs", f"{devices}/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    mount(devices, "/dev", None, MS_BIND | MS_REC)


def mount(source: str | None, place: str, kind: str | None, flags: int, options: str | None = None) -> None:
    texts = [None if text is None else text.encode() for text in (source, place, kind, options)]
    check(LIBC.mount(texts[0], texts[1], texts[2], flags, texts[3]), f"mount {place}")


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()

//! Which files an executable needs to start: its loader and its shared libraries.
//!
//! The loader itself is asked (`ld.so --list`, which runs none of the program), so that its search
//! rules need not be written again. The executable is ours and is trusted.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Program headers of a sane executable.
const HEADERS_MAX: u16 = 256;
/// Libraries of a sane runner.
const LIBRARIES_MAX: usize = 64;

fn not_elf(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not a 64-bit ELF executable: {why}"))
}

/// The loader an executable names, if it is dynamic.
fn interpreter(file: &File) -> io::Result<Option<String>> {
    let mut head = [0; 64];
    file.read_exact_at(&mut head, 0).map_err(|_| not_elf("too short"))?;
    // Magic, 64 bits, little-endian: what every platform we build for has.
    if head[..6] != *b"\x7fELF\x02\x01" {
        return Err(not_elf("wrong magic"));
    }
    let u16_at = |b: &[u8], at: usize| u16::from_le_bytes([b[at], b[at + 1]]);
    let u64_at = |b: &[u8], at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&b[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    let (offset, size, count) = (u64_at(&head, 32), u16_at(&head, 54), u16_at(&head, 56));
    if size != 56 || count > HEADERS_MAX {
        return Err(not_elf("odd program headers"));
    }
    for index in 0..u64::from(count) {
        let mut header = [0; 56];
        file.read_exact_at(&mut header, offset.saturating_add(index * 56))?;
        const PT_INTERP: [u8; 4] = 3_u32.to_le_bytes();
        if header[..4] == PT_INTERP {
            let length = u64_at(&header, 32);
            if !(2..=4_096).contains(&length) {
                return Err(not_elf("odd loader path"));
            }
            let mut path = vec![0; usize::try_from(length).map_err(io::Error::other)? - 1];
            file.read_exact_at(&mut path, u64_at(&header, 8))?;
            return String::from_utf8(path).map(Some).map_err(|_| not_elf("odd loader path"));
        }
    }
    Ok(None)
}

/// Absolute paths of everything beside `executable` that has to be in its jail.
pub(crate) fn needed(executable: &Path) -> io::Result<Vec<String>> {
    let Some(loader) = interpreter(&File::open(executable)?)? else { return Ok(Vec::new()) };
    let listing = Command::new(&loader)
        .arg("--list")
        .arg(executable)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|e| io::Error::new(e.kind(), format!("loader `{loader}`: {e}")))?;
    if !listing.status.success() {
        let said = String::from_utf8_lossy(&listing.stderr).chars().take(300).collect::<String>();
        return Err(io::Error::other(format!("loader `{loader}` can't list libraries: {said}")));
    }
    let mut paths = vec![loader];
    paths.extend(parse(&String::from_utf8_lossy(&listing.stdout))?);
    paths.sort();
    paths.dedup();
    if paths.len() > LIBRARIES_MAX {
        return Err(io::Error::other(format!(
            "{} libraries; at most {LIBRARIES_MAX}",
            paths.len()
        )));
    }
    Ok(paths)
}

/// Lines are `name => /path (0x…)`, `/path (0x…)`, or a virtual library without a path.
fn parse(listing: &str) -> io::Result<Vec<String>> {
    let mut paths = Vec::new();
    for line in listing.lines() {
        let line = line.trim();
        let target = line.split_once(" => ").map_or(line, |(_, target)| target);
        if target.starts_with("not found") {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!("shared library missing: {line}"),
            ));
        }
        let path = target.rsplit_once(" (0x").map_or(target, |(path, _)| path);
        if path.starts_with('/') {
            paths.push(path.to_owned());
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_yields_paths() {
        let listing = "\tlinux-vdso.so.1 (0x00007ffd)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x00007f)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        assert_eq!(parse(listing).unwrap(), ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"]);
        assert!(parse("libnone.so => not found").is_err());
        assert!(parse("statically linked").unwrap().is_empty());
    }

    #[test]
    fn this_test_needs_a_c_library_that_exists() {
        let needed = needed(&std::env::current_exe().unwrap()).unwrap();
        assert!(needed.iter().all(|p| Path::new(p).is_file()), "{needed:?}");
    }

    #[test]
    fn what_is_no_executable_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [("empty", &b""[..]), ("text", &[b'#'; 100][..])] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            assert!(needed(&path).unwrap_err().to_string().contains("ELF"));
        }
    }
}

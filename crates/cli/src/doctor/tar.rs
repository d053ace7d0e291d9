//! A tar archive of a few small files in memory (the `ustar` form that every tar reads).
//!
//! Deliberately not here: folders, links, long names, reading.

const BLOCK: usize = 512;

/// An archive in the making.
#[derive(Default)]
pub(super) struct Archive(Vec<u8>);

impl Archive {
    /// Adds a file that only its owner may read. Names are our own and shorter than 100 bytes.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8], time_s: u64) {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, text: &str| {
            header[at..at + text.len()].copy_from_slice(text.as_bytes());
        };
        put(0, &name[..name.len().min(99)]);
        put(100, "0000600");
        put(108, "0000000");
        put(116, "0000000");
        put(124, &format!("{:011o}", bytes.len()));
        put(136, &format!("{:011o}", time_s & 0o77_777_777_777));
        // The sum counts its own place as blanks.
        put(148, "        ");
        put(156, "0");
        put(257, "ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.extend_from_slice(&header);
        self.0.extend_from_slice(bytes);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
    }

    /// The whole, with its end.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 2 * BLOCK, 0);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_tar_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::default();
        archive.add("a/empty", b"", 0);
        archive.add("a/one", &[7; 512], 1_700_000_000);
        archive.add("a/text", "größer\n".as_bytes(), 1_700_000_000);
        std::fs::write(dir.path().join("x.tar"), archive.finish()).unwrap();
        let tar =
            std::process::Command::new("tar").arg("-xf").arg("x.tar").current_dir(&dir).status();
        assert!(tar.unwrap().success());
        let read = |name| std::fs::read(dir.path().join("a").join(name)).unwrap();
        assert_eq!(read("empty"), b"");
        assert_eq!(read("one"), [7; 512]);
        assert_eq!(read("text"), "größer\n".as_bytes());
    }
}

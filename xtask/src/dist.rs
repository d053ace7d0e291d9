//! What a person installs: a Debian package and a Python wheel, and whether a newcomer gets a
//! verified result from them.
//!
//! Both hold the same three executables, manual pages and completions. They take the dev profile's
//! executables, stripped, unless `--release` asks for those that are meant to be handed out: a
//! second profile would build every dependency again. Deliberately not here: publishing anything,
//! and anything that runs when a package is installed.

mod deb;
mod elf;
mod trial;
mod wheel;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, output, root, run, say, target};
use crate::shell::{self, cargo};

/// Executables, which look for each other in one folder.
const EXECUTABLES: [&str; 3] = ["ayni", "ayni-jail", "ayni-runner"];

/// Completion scripts: shell, folder under `share`, name there.
const COMPLETIONS: [(&str, &str, &str); 3] = [
    ("bash", "bash-completion/completions", "ayni"),
    ("zsh", "zsh/vendor-completions", "_ayni"),
    ("fish", "fish/vendor_completions.d", "ayni.fish"),
];

/// What to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Deb,
    Wheel,
}

/// The command `package`.
pub(crate) fn package(words: &[&str]) -> Result<()> {
    let (mut release, mut what) = (false, None);
    for word in words {
        match *word {
            "--release" => release = true,
            "deb" | "wheel" | "all" | "try" if what.is_none() => what = Some(*word),
            _ => bail!("package: `{word}` is none of deb, wheel, all, try, --release"),
        }
    }
    let kinds: &[Kind] = match what {
        Some("deb") => &[Kind::Deb],
        Some("wheel") => &[Kind::Wheel],
        _ => &[Kind::Deb, Kind::Wheel],
    };
    let parts = Parts::gather(release)?;
    let mut made = Vec::new();
    for kind in kinds {
        made.push(match kind {
            Kind::Deb => deb::build(&parts)?,
            Kind::Wheel => wheel::build(&parts)?,
        });
    }
    for file in &made {
        println!("{}  {:.1} MB", file.display(), fs::metadata(file)?.len() as f64 / 1e6);
    }
    if what == Some("try") {
        trial::all(&made[0], &made[1])?;
    }
    Ok(())
}

/// What goes into every package, ready under one folder.
struct Parts {
    /// Where the packages go, and where they are put together.
    folder: PathBuf,
    version: String,
    /// Time of the last commit, in seconds since 1970: files say that they are of then.
    time_s: u64,
    /// Stripped.
    executables: Vec<PathBuf>,
    /// `man1/*.1`.
    pages: Vec<PathBuf>,
    /// In the order of [`COMPLETIONS`].
    completions: Vec<String>,
    /// Of the dev profile: it may be told to lie, and asserts more.
    development: bool,
}

impl Parts {
    /// Lays manual pages and completions out below a folder `share`; zsh's elsewhere than Debian
    /// has them if so told.
    fn put_share(&self, share: &Path, zsh: Option<&str>) -> Result<()> {
        for page in &self.pages {
            let name = page.file_name().unwrap_or_default();
            put(&share.join("man/man1").join(name), fs::read(page)?, 0o644)?;
        }
        for ((shell, folder, name), text) in COMPLETIONS.iter().zip(&self.completions) {
            let folder = zsh.filter(|_| *shell == "zsh").unwrap_or(folder);
            put(&share.join(folder).join(name), text, 0o644)?;
        }
        Ok(())
    }

    fn gather(release: bool) -> Result<Self> {
        let profile = if release {
            shell::run(&mut cargo(&["build", "--locked", "--release", "--workspace", "--bins"]))?;
            "release"
        } else {
            shell::build()?;
            "debug"
        };
        let built = target().join(profile);
        let folder = target().join("package");
        let parts = folder.join("parts");
        command::fresh_folder(&parts)?;
        let mut executables = Vec::new();
        for name in EXECUTABLES {
            let stripped = parts.join(name);
            let sections = ["--remove-section=.comment", "--remove-section=.note"];
            run(command("strip")
                .arg("--strip-unneeded")
                .args(sections)
                .arg("-o")
                .arg(&stripped)
                .arg(built.join(name)))
            .context("hint: apt install binutils")?;
            fs::set_permissions(&stripped, fs::Permissions::from_mode(0o755))?;
            executables.push(stripped);
        }
        let ayni = &executables[0];
        run(command(ayni).args(["man", "--out"]).arg(parts.join("man1")))?;
        let mut pages = files_of(&parts.join("man1"))?;
        pages.sort();
        let completions = COMPLETIONS
            .iter()
            .map(|(shell, ..)| output(command(ayni).args(["completions", shell])))
            .collect::<Result<_>>()?;
        let version = output(command(ayni).arg("--version"))?;
        let version = version.trim().strip_prefix("ayni ").context("`ayni --version`")?.to_owned();
        let time = output(command("git").args(["log", "-1", "--format=%ct"]).current_dir(root()));
        let time = time.context("hint: packages are made from a checkout")?;
        let time_s = time.trim().parse()?;
        if !release {
            say("of the dev profile, for trying: --release makes what is meant to be handed out");
        }
        Ok(Self { folder, version, time_s, executables, pages, completions, development: !release })
    }
}

fn files_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)
        .with_context(|| format!("can't list `{}`", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()));
    Ok(entries.collect::<std::io::Result<_>>()?)
}

/// Writes a file and the folders above it, with this mode whatever the umask.
fn put(path: &Path, bytes: impl AsRef<[u8]>, mode: u32) -> Result<()> {
    let write = || {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(path, bytes)?;
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
    };
    write().with_context(|| format!("can't write `{}`", path.display()))
}

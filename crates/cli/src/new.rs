//! `ayni new`: a small program to start from, with its job file.

use std::path::Path;

use ayni_api::{ApiError, codes};
use serde::Serialize;

use crate::args::Lang;
use crate::commands::io;
use crate::ui::Ui;

/// What was made.
#[derive(Serialize)]
struct Made<'a> {
    schema: ayni_api::json::Schema,
    name: &'a str,
    files: Vec<&'static str>,
    build: String,
    run: String,
}

struct Template {
    files: Vec<(&'static str, String)>,
    build: String,
}

/// Makes the folder.
pub(crate) fn run(folder: &Path, lang: Lang, ui: &Ui) -> Result<(), ApiError> {
    let name = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) || !name.chars().all(fits) {
        return Err(ApiError::new(
            codes::USAGE,
            format!("`{}` can't be a program's name", name.escape_debug()),
        )
        .hint("use small letters, digits, `-` and `_`, beginning with a letter"));
    }
    let template = template(name, lang);
    std::fs::create_dir(folder).map_err(|error| {
        let text = format!("can't make the folder `{}`: {error}", folder.display());
        ApiError::new(codes::OUTPUT_DIR, text).hint("choose another name")
    })?;
    for (path, text) in &template.files {
        let path = folder.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|error| io("can't make", parent, &error))?;
        }
        std::fs::write(&path, text).map_err(|error| io("can't write", &path, &error))?;
    }
    let made = Made {
        schema: ayni_api::json::Schema,
        name,
        files: template.files.iter().map(|(path, _)| *path).collect(),
        build: template.build,
        run: "ayni run -f job.toml -o out".to_owned(),
    };
    ui.show(&made, |made| {
        let shown = folder.display();
        format!("cd {shown}\n{}\n{}\n", made.build, made.run)
    });
    Ok(())
}

fn template(name: &str, lang: Lang) -> Template {
    let job = |program: &str, args: &str, mounts: &str| {
        format!(
            "# What `ayni run -f job.toml` runs. Paths are relative to this file.\n\
             program = \"{program}\"\n\
             args = [{args}\"--from\", \"{{start}}\", \"--to\", \"{{end}}\"]\n\
             {mounts}range = {{ from = 0, to = 1_000_000, step = 50_000 }}\n\
             memory = \"256MiB\"\n\
             timeout = \"60s\"\n\
             # How many results are run a second time follows from this job and from its providers;\n\
             # error_rate = 0.01 would buy more certainty, quorum = 3 the agreement of three.\n"
        )
    };
    let readme = |build: &str| {
        format!(
            "# {name}\n\nBuild: `{build}`\n\nTry one task here: `ayni exec` with the program of \
             job.toml. Run all: `ayni run -f job.toml -o out`.\n"
        )
    };
    match lang {
        Lang::Rust => {
            let build = "cargo build --release --target wasm32-wasip1".to_owned();
            let program = format!("target/wasm32-wasip1/release/{name}.wasm");
            let manifest = format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n\
                 [profile.release]\nopt-level = 3\nlto = true\npanic = \"abort\"\nstrip = true\n\n\
                 [workspace]\n"
            );
            let readme = format!(
                "{}\nThe target comes with `rustup target add wasm32-wasip1`.\n",
                readme(&build)
            );
            Template {
                files: vec![
                    ("Cargo.toml", manifest),
                    ("src/main.rs", include_str!("../templates/rust/main.rs").to_owned()),
                    ("job.toml", job(&program, "", "")),
                    (".gitignore", "/target\n/out\n".to_owned()),
                    ("README.md", readme),
                ],
                build,
            }
        }
        Lang::C => {
            let build = format!("clang --target=wasm32-wasi -O2 -o {name}.wasm main.c");
            let readme = format!(
                "{}\nOn Debian the compiler comes with the packages clang, lld, wasi-libc and \
                 libclang-rt-dev-wasm32; the WASI SDK has all of it elsewhere.\n",
                readme(&build)
            );
            Template {
                files: vec![
                    ("main.c", include_str!("../templates/c/main.c").to_owned()),
                    ("job.toml", job(&format!("{name}.wasm"), "", "")),
                    (".gitignore", "/*.wasm\n/out\n".to_owned()),
                    ("README.md", readme),
                ],
                build,
            }
        }
        Lang::Python => {
            let build = "cp PATH/TO/python.wasm python.wasm".to_owned();
            let readme = format!(
                "{}\nThe program is a Python interpreter built for WASI (wasm32-wasip1), such as \
                 CPython's own build; `main.py` is mounted into each task. Only the standard \
                 library is there.\n",
                readme(&build)
            );
            let mounts = "mounts = [{ host = \"main.py\", guest = \"/app/main.py\" }]\n";
            Template {
                files: vec![
                    ("main.py", include_str!("../templates/python/main.py").to_owned()),
                    ("job.toml", job("python.wasm", "\"/app/main.py\", ", mounts)),
                    (".gitignore", "/*.wasm\n/out\n".to_owned()),
                    ("README.md", readme),
                ],
                build,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobfile::JobFile;

    #[test]
    fn every_template_has_a_job_file_that_is_read() {
        for lang in [Lang::Rust, Lang::C, Lang::Python] {
            let dir = tempfile::tempdir().unwrap();
            let template = template("sum", lang);
            for (path, text) in &template.files {
                let path = dir.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            let job = JobFile::load(&dir.path().join("job.toml")).unwrap();
            assert!(job.range.is_some() && job.program.is_some(), "{lang:?}");
            let readme = std::fs::read_to_string(dir.path().join("README.md")).unwrap();
            assert!(readme.contains(&template.build), "{lang:?}");
        }
    }
}

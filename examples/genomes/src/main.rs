//! Compares genomes by the words of 21 bases that they share: exactly, every word counted, no sketch.
//!
//! The genomes are the files of a folder in the order of their names; each pair of them is counted
//! in four parts, so that a task holds a quarter of the words. A task takes a range of parts
//! (`--from A --to B`, B excluded; 0 to 3 are the parts of the first pair). Each gives one line of
//! JSON: distinct words of either, how many both have, how many there are in all. Deliberately not
//! here: adding up the parts and what the numbers say of kinship; `check.py` does that.

mod words;

use std::io::Write as _;
use std::path::{Display, Path, PathBuf};
use std::process::ExitCode;

/// Parts in which a pair is counted.
const PARTS: usize = 4;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<(), String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let genomes = genomes(&options.genomes)?;
    let pairs: Vec<(&PathBuf, &PathBuf)> = genomes
        .iter()
        .enumerate()
        .flat_map(|(i, a)| genomes[i + 1..].iter().map(move |b| (a, b)))
        .collect();
    let all = PARTS * pairs.len();
    if options.from > options.to || options.to > all {
        let (from, to) = (options.from, options.to);
        return Err(format!("parts {from}..{to} are not within 0..{all}"));
    }
    let mut out = std::io::stdout().lock();
    for number in options.from..options.to {
        let (a, b) = pairs[number / PARTS];
        let part = number % PARTS;
        let words_a = read(a, part)?;
        let words_b = read(b, part)?;
        let shared = words::shared(&words_a, &words_b);
        writeln!(
            out,
            r#"{{"a":"{}","b":"{}","part":{part},"words_a":{},"words_b":{},"shared":{shared},"all":{}}}"#,
            name(a),
            name(b),
            words_a.len(),
            words_b.len(),
            words_a.len() + words_b.len() - shared,
        )
        .map_err(|e| format!("can't write the result: {e}"))?;
    }
    Ok(())
}

fn genomes(folder: &str) -> Result<Vec<PathBuf>, String> {
    let wrong = |e: std::io::Error| format!("can't list the genomes in `{folder}`: {e}");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(wrong)? {
        let path = entry.map_err(wrong)?.path();
        if path.extension().is_some_and(|extension| extension == "fna") {
            files.push(path);
        }
    }
    files.sort();
    if files.len() < 2 {
        return Err(format!("`{folder}` holds {} genomes (.fna), no pair", files.len()));
    }
    Ok(files)
}

fn read(path: &PathBuf, part: usize) -> Result<Vec<u64>, String> {
    let text = std::fs::read(path)
        .map_err(|e| format!("can't read the genome `{}`: {e}", path.display()))?;
    let words = words::read(&text, part as u64, PARTS as u64);
    if words.is_empty() {
        return Err(format!("the genome `{}` has no words", path.display()));
    }
    Ok(words)
}

fn name(path: &Path) -> Display<'_> {
    Path::new(path.file_stem().unwrap_or_default()).display()
}

struct Options {
    genomes: String,
    from: usize,
    to: usize,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { genomes: "/in".to_owned(), from: 0, to: 0 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || {
                value.parse().map_err(|_| format!("`{flag} {value}`: `{value}` is not a number"))
            };
            match flag.as_str() {
                "--genomes" => options.genomes = value,
                "--from" => options.from = number()?,
                "--to" => options.to = number()?,
                _ => return Err(format!("unknown option `{flag}`; known: --genomes --from --to")),
            }
        }
        Ok(options)
    }
}

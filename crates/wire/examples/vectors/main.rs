//! Writes `spec/vectors`: what a second implementation must accept and what it must refuse, made
//! from the samples with fixed keys. `vectors FOLDER` writes; `vectors FOLDER --check` fails where
//! a file would change. Every vector is checked against this crate while it is made.

mod contracts;
mod encoding;
#[allow(dead_code)]
#[path = "../../tests/it/fields.rs"]
mod fields;
mod hashes;
#[allow(dead_code)]
#[path = "../../tests/it/sample.rs"]
mod sample;
mod signed;
mod text;

use std::path::PathBuf;
use std::process::ExitCode;

use data_encoding::HEXLOWER;
use serde_json::Value;

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(folder) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: vectors FOLDER [--check]");
        return ExitCode::from(64);
    };
    let check = arguments.next().is_some_and(|word| word == "--check");
    let files: [(&str, Value); 8] = [
        ("contracts.json", contracts::vectors()),
        ("encoding.json", encoding::vectors()),
        ("frames.json", text::frames()),
        ("hashes.json", hashes::vectors()),
        ("receipts.json", signed::receipts()),
        ("signatures.json", signed::signatures()),
        ("tasks.json", encoding::tasks()),
        ("text.json", text::vectors()),
    ];
    let mut stale = false;
    for (name, value) in files {
        let mut made = serde_json::to_string_pretty(&value).expect("JSON can be written");
        made.push('\n');
        let path = folder.join(name);
        if check {
            if std::fs::read_to_string(&path).unwrap_or_default() != made {
                eprintln!("{} is out of date", path.display());
                stale = true;
            }
        } else if let Err(error) = std::fs::write(&path, made) {
            eprintln!("can't write {}: {error}", path.display());
            return ExitCode::FAILURE;
        }
    }
    if stale { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

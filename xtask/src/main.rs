//! The project's own commands.

pub mod command;
pub mod corpus;
pub mod data;
pub mod guests;
pub mod python;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND
  guests [--check | --update]   build the example programs; compare with or replace the committed
  data                          obtain the examples' data and lay it out under target/examples
  examples NAME RESULTS         compare a results folder with the ordinary tool's answer
  corpus                        obtain programs that others wrote; print how each is run, as JSON";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["guests"] => {
            for path in guests::build()? {
                println!("{}", path.display());
            }
        }
        ["guests", "--update"] => guests::update_prebuilt()?,
        ["guests", "--check"] => println!("{:?}", guests::check_prebuilt()?),
        ["data"] => {
            for folder in data::stage_all()? {
                println!("{}", folder.display());
            }
        }
        ["examples", name, results] => {
            let check = python::check_example(name, Path::new(results))?;
            println!("{}", check.report);
            if !check.ok {
                bail!("`{name}` differs from its reference: {}", check.complaints);
            }
        }
        ["corpus"] => println!("{}", corpus::as_json()?),
        _ => bail!("{USAGE}"),
    }
    Ok(())
}

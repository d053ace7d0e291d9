//! The project's own commands.

mod apt;
mod bench;
mod ci;
pub mod command;
mod contracts;
pub mod corpus;
mod corpus_run;
mod daemon;
mod dashboard;
pub mod data;
mod demo;
mod dist;
mod document;
pub mod examples;
mod fuzz;
pub mod guests;
mod npm;
mod ops;
mod package;
mod page;
mod plain;
pub mod python;
mod shell;
mod test;
mod testsuite;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND
  demo [--stop]                 the main job, shown; --stop takes the network down at the end
  build                         the executables, into target/debug
  test                          every test
  dashboard [--test]            build the dashboard that the node embeds; or walk it in Chromium
  page                          the receipt page's tests, in Node and in Chromium
  document [OPTIONS…]           docs/openapi.json held against a running node; options go to schemathesis
  python                        the Python package's tests, against a real network
  python guest                  only build its guest, into target/python
  python bench                  time a bootstrap on a network and in local processes
  ci                            format, lints, documents, dependencies, then every test
  gen [--check]                 make the generated files; or fail where they would change
  guests [--check | --update]   build the example programs; compare with or replace the committed
  contracts [--check]           build and test the contracts, write crates/chain/artifacts; or fail
                                where they would change
  data [NAME…]                  obtain the examples' data (or some's) and lay it out under
                                target/examples
  examples NAME RESULTS         compare a results folder with the ordinary tool's answer
  package [deb|wheel|all|try] [--release]
                                what a person installs, into target/package; try: install both and
                                go to a first verified result
  ops                           try what operators get: service, alert rules, container file
  bench giveback [TRIALS]       how soon a machine is its owner's again; a quarter of an hour
  bench tiny [TASKS] [--release] [--alone] [--built]
                                many tiny tasks here, on the network and by Ray, Dask and
                                HyperQueue (--alone: without those; --built: as built before)
  bench run [ROUNDS]            what metering, starting and idling cost; some minutes
  corpus                        obtain programs that others wrote; print how each is run, as JSON
  corpus --run [--heavy] [--bin DIR] [NAME…]
                                run them five times on a network and once here; compare outcomes
  corpus --ways [--heavy] [--bin DIR] [NAME…]
                                compile them in three ways, run them here; compare outcomes
  testsuite PATH                WebAssembly's WASI test suite (wasi-testsuite), its preview 1 cases
  fuzz [NAME…] [--seconds N] [--runs N] [--jobs N] [--keep] [--input FILE]
                                hostile bytes for every parser, a minute each unless told";

fn main() -> ExitCode {
    if let Some(code) = plain::compile() {
        return code;
    }
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
        ["demo"] => demo::show(false)?,
        ["demo", "--stop"] => demo::show(true)?,
        ["build"] => shell::build()?,
        ["test"] => test::all()?,
        ["dashboard"] => dashboard::build()?,
        ["dashboard", "--test"] => {
            shell::build()?;
            print!("{}", dashboard::browse()?);
        }
        ["page"] => println!("{}{}", page::test()?, page::browse()?),
        ["python"] => {
            shell::build()?;
            println!("{}", package::test()?);
        }
        ["python", "guest"] => println!("{}", package::guest()?.display()),
        ["python", "bench"] => {
            shell::build()?;
            print!("{}", package::bench()?);
        }
        ["document", more @ ..] => document::run(more)?,
        ["ci"] => ci::all()?,
        ["gen"] => ci::generate(false)?,
        ["gen", "--check"] => ci::generate(true)?,
        ["guests"] => {
            for path in guests::build()? {
                println!("{}", path.display());
            }
        }
        ["guests", "--update"] => guests::update_prebuilt()?,
        ["guests", "--check"] => println!("{:?}", guests::check_prebuilt()?),
        ["contracts"] => contracts::all(false)?,
        ["contracts", "--check"] => contracts::all(true)?,
        ["data"] => {
            for folder in examples::stage_all()? {
                println!("{}", folder.display());
            }
        }
        ["data", names @ ..] => {
            for name in names {
                println!("{}", examples::stage(name)?.display());
            }
        }
        ["examples", name, results] => {
            let check = python::check_example(name, Path::new(results))?;
            println!("{}", check.report);
            if !check.ok {
                bail!("`{name}` differs from its reference: {}", check.complaints);
            }
        }
        ["package", words @ ..] => dist::package(words)?,
        ["ops"] => ops::all()?,
        ["bench", "giveback"] => bench::give_back(bench::TRIALS_USUAL)?,
        ["bench", "giveback", trials] => bench::give_back(trials.parse()?)?,
        ["bench", "tiny", choice @ ..] => bench::tiny(&bench::Tiny::parse(choice)?)?,
        ["bench", "run"] => bench::run(bench::ROUNDS_USUAL)?,
        ["bench", "run", rounds] => bench::run(rounds.parse()?)?,
        ["fuzz", choice @ ..] => fuzz::all(&fuzz::Choice::parse(choice)?)?,
        ["corpus"] => println!("{}", corpus::as_json()?),
        ["corpus", "--run", choice @ ..] => corpus_run::show(&corpus_run::Choice::parse(choice)?)?,
        ["corpus", "--ways", choice @ ..] => {
            corpus_run::show_ways(&corpus_run::Choice::parse(choice)?)?;
        }
        ["testsuite", folder] => testsuite::show(Path::new(folder))?,
        _ => bail!("{USAGE}"),
    }
    Ok(())
}

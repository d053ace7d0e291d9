//! Forecasts each day's maximum temperature from the days of the past that began most alike
//! (an analogue ensemble), and says what simpler forecasts would have given.
//!
//! A task forecasts a range of days of 2015 (`--from A --to B`, B excluded; 0 is the first of
//! January). The past is 2012 to 2014 only: climatology, scaling, the number of neighbours and the
//! weights of the blend all come from those years, the latter two by leaving out one year at a
//! time. Deliberately not here: judging. Each line carries what was observed, and `check.py` counts
//! the errors.

mod analogue;
mod least_squares;
mod record;

use std::io::Write as _;
use std::process::ExitCode;

use analogue::Past;
use record::Record;

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
    let text = std::fs::read_to_string(&options.record)
        .map_err(|e| format!("can't read the record `{}`: {e}", options.record))?;
    let record = Record::parse(&text)?;
    let days = record.year(2015);
    if options.from > options.to || options.to > days.len() {
        let (from, to, all) = (options.from, options.to, days.len());
        return Err(format!("days {from}..{to} are not within the year's 0..{all}"));
    }
    let past = Past::learn(&record, &[2012, 2013, 2014])?;
    let mut out = std::io::stdout().lock();
    for day in days.skip(options.from).take(options.to - options.from) {
        let forecast = past.forecast(day);
        writeln!(
            out,
            concat!(
                r#"{{"date":"{}","observed":{:.1},"persistence":{:.1},"climatology":{:.9},"#,
                r#""analogue":{:.9},"blend":{:.9},"neighbours":{}}}"#
            ),
            record.days[day].date,
            record.days[day].warmest_c,
            forecast.persistence_c,
            forecast.climatology_c,
            forecast.analogue_c,
            forecast.blend_c,
            past.neighbours(),
        )
        .map_err(|e| format!("can't write the result: {e}"))?;
    }
    Ok(())
}

struct Options {
    record: String,
    from: usize,
    to: usize,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self { record: "/in/seattle-weather.csv".to_owned(), from: 0, to: 0 };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || {
                value.parse().map_err(|_| format!("`{flag} {value}`: `{value}` is not a number"))
            };
            match flag.as_str() {
                "--record" => options.record = value,
                "--from" => options.from = number()?,
                "--to" => options.to = number()?,
                _ => return Err(format!("unknown option `{flag}`; known: --record --from --to")),
            }
        }
        Ok(options)
    }
}

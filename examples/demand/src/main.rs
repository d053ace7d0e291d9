//! Forecasts each half-hour of a day's electricity demand the midnight before, dispatches a grid's
//! power stations for the forecast, and says what the error cost when the demand was known.
//!
//! A task takes a range of days (`--from A --to B`, B excluded; 0 is the third of April 2014, the
//! 93rd day of the record). Each day gives one line of JSON: what was observed and forecast, and the
//! cost of supplying it with the forecast, with last week's demand in its place, and with perfect
//! knowledge. Deliberately not here: judging. `check.py` counts the errors.

mod dispatch;
mod forecast;
#[allow(dead_code)] // the operating point in the file, which is not ours
#[path = "../../grid/src/network.rs"]
mod network;
mod record;
mod ridge;
mod sensitivity;
mod stations;

use std::io::Write as _;
use std::process::ExitCode;

use dispatch::Dispatch;
use forecast::Forecast;
use network::Network;
use record::{HALF_HOURS, Record};

/// The first day that is forecast: a quarter of the year to learn from.
const FIRST_DAY: usize = 92;
/// Victoria's demand is laid on the British grid so many times, which brings its winter's highest
/// near the demand in the grid's file.
const MW_PER_GW: f64 = 8000.0;

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
    let read = |path: &str, what: &str| {
        std::fs::read_to_string(path).map_err(|e| format!("can't read the {what} `{path}`: {e}"))
    };
    let record = Record::parse(&read(&options.record, "record")?)?;
    let days = record.days.len().saturating_sub(FIRST_DAY);
    if options.from > options.to || options.to > days {
        let (from, to) = (options.from, options.to);
        return Err(format!("days {from}..{to} are not within the record's 0..{days}"));
    }
    let grid = read(&options.grid, "grid")?;
    let mut dispatch = Dispatch::new(&Network::parse(&grid)?, stations::read(&grid)?)?;
    let mut out = std::io::stdout().lock();
    for day in FIRST_DAY + options.from..FIRST_DAY + options.to {
        let forecast = Forecast::make(&record, day)?;
        let cost = Cost::of(&mut dispatch, &record.days[day].demand_gw, &forecast)?;
        writeln!(out, "{}", report(&record, day, &forecast, &cost))
            .map_err(|e| format!("can't write the result: {e}"))?;
    }
    Ok(())
}

/// What a day's supply costs.
#[derive(Default)]
struct Cost {
    perfect_eur: f64,
    forecast_eur: f64,
    last_week_eur: f64,
    /// Energy not supplied under any of the three.
    shed_mwh: f64,
    /// Half-hours in which a branch limited the cheapest supply.
    congested: usize,
}

impl Cost {
    fn of(
        dispatch: &mut Dispatch,
        demand_gw: &[f64; HALF_HOURS],
        forecast: &Forecast,
    ) -> Result<Self, String> {
        let mut cost = Self::default();
        for half_hour in 0..HALF_HOURS {
            let demand_mw = MW_PER_GW * demand_gw[half_hour];
            let perfect = dispatch.plan(demand_mw)?;
            cost.perfect_eur += perfect.cost_eur;
            cost.congested += usize::from(perfect.is_congested);
            let mut corrected = |planned_gw: f64| -> Result<f64, String> {
                let plan = dispatch.plan(MW_PER_GW * planned_gw)?;
                let corrected = dispatch.correct(&plan, demand_mw)?;
                cost.shed_mwh += 0.5 * corrected.shed_mw;
                Ok(corrected.cost_eur)
            };
            let forecast_eur = corrected(forecast.ridge_gw[half_hour])?;
            let last_week_eur = corrected(forecast.last_week_gw[half_hour])?;
            cost.forecast_eur += forecast_eur;
            cost.last_week_eur += last_week_eur;
            cost.shed_mwh += 0.5 * perfect.shed_mw;
        }
        Ok(cost)
    }
}

fn report(record: &Record, day: usize, forecast: &Forecast, cost: &Cost) -> String {
    let list = |values: &[f64; HALF_HOURS]| {
        values.iter().map(|gw| format!("{gw:.9}")).collect::<Vec<_>>().join(",")
    };
    format!(
        concat!(
            r#"{{"date":"{}","price":{},"observed_gw":[{}],"last_week_gw":[{}],"ridge_gw":[{}],"#,
            r#""ridge_given_temperature_gw":[{}],"perfect_eur":{:.3},"forecast_eur":{:.3},"#,
            r#""last_week_eur":{:.3},"shed_mwh":{:.6},"congested":{}}}"#
        ),
        record::date(day),
        forecast.price,
        list(&record.days[day].demand_gw),
        list(&forecast.last_week_gw),
        list(&forecast.ridge_gw),
        list(&forecast.ridge_given_temperature_gw),
        cost.perfect_eur,
        cost.forecast_eur,
        cost.last_week_eur,
        cost.shed_mwh,
        cost.congested,
    )
}

struct Options {
    record: String,
    grid: String,
    from: usize,
    to: usize,
}

impl Options {
    fn parse(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            record: "/in/elecdemand.csv".to_owned(),
            grid: "/in/grid.json".to_owned(),
            from: 0,
            to: 0,
        };
        while let Some(flag) = args.next() {
            let value = args.next().ok_or_else(|| format!("`{flag}` needs a value"))?;
            let number = || {
                value.parse().map_err(|_| format!("`{flag} {value}`: `{value}` is not a number"))
            };
            match flag.as_str() {
                "--record" => options.record = value,
                "--grid" => options.grid = value,
                "--from" => options.from = number()?,
                "--to" => options.to = number()?,
                _ => {
                    return Err(format!(
                        "unknown option `{flag}`; known: --record --grid --from --to"
                    ));
                }
            }
        }
        Ok(options)
    }
}

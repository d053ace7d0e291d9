//! The day-ahead forecast: one ridge regression each half-hour, on what is known the midnight before.
//!
//! Known are the demand and temperature of the days before and the kind of every day. The price of
//! the ridge is the one that was best over the 28 days before, fitted on the days before those.
//! Deliberately not here: a forecast of the weather. One variant is given the day's temperatures, as
//! if they had been forecast without error; it shows what knowing them would be worth.

use crate::record::{HALF_HOURS, Record};

use crate::ridge::Ridge;

/// What is known of a half-hour.
const KNOWN: usize = 18;
/// And two numbers for its own temperature.
const WITH_TEMPERATURE: usize = KNOWN + 2;
/// Prices tried on the past.
const PRICES_TRIED: [f64; 5] = [0.1, 1.0, 10.0, 100.0, 1000.0];
/// The past on which they are tried.
const TRIAL_DAYS: usize = 28;
/// A day is forecast from as many before it.
const DAYS_BEFORE: usize = 7;

/// One day's forecasts in GW.
pub struct Forecast {
    pub price: f64,
    /// The same half-hour a week ago.
    pub last_week_gw: [f64; HALF_HOURS],
    pub ridge_gw: [f64; HALF_HOURS],
    /// With the day's temperatures given.
    pub ridge_given_temperature_gw: [f64; HALF_HOURS],
}

impl Forecast {
    /// Forecasts a day from the days before it; the day's own demand has no say.
    pub fn make(record: &Record, day: usize) -> Result<Self, String> {
        if day < DAYS_BEFORE + 2 * TRIAL_DAYS {
            return Err(format!("day {day} has too few days before it to learn from"));
        }
        let rows: Vec<Vec<[f64; WITH_TEMPERATURE]>> = (0..=day)
            .map(|of| match of < DAYS_BEFORE {
                true => Vec::new(),
                false => (0..HALF_HOURS).map(|half_hour| row(record, of, half_hour)).collect(),
            })
            .collect();
        let price = choose_price(record, &rows, day);
        let mut forecast = Self {
            price,
            last_week_gw: record.days[day - 7].demand_gw,
            ridge_gw: [0.0; HALF_HOURS],
            ridge_given_temperature_gw: [0.0; HALF_HOURS],
        };
        for half_hour in 0..HALF_HOURS {
            let all = samples(record, &rows, half_hour, day);
            let known: Vec<_> = all.iter().map(|(row, gw)| (known_of(row), *gw)).collect();
            let row = &rows[day][half_hour];
            forecast.ridge_gw[half_hour] = Ridge::new(&known).fit(price).apply(&known_of(row));
            forecast.ridge_given_temperature_gw[half_hour] = Ridge::new(&all).fit(price).apply(row);
        }
        Ok(forecast)
    }
}

/// The price with the smallest error over the days before `day`, on which no fit has seen them.
fn choose_price(record: &Record, rows: &[Vec<[f64; WITH_TEMPERATURE]>], day: usize) -> f64 {
    let trial = day - TRIAL_DAYS..day;
    let mut errors_gw = [0.0; PRICES_TRIED.len()];
    for half_hour in 0..HALF_HOURS {
        let past = samples(record, rows, half_hour, trial.start);
        let past: Vec<_> = past.iter().map(|(row, gw)| (known_of(row), *gw)).collect();
        let ridge = Ridge::new(&past);
        for (error_gw, price) in errors_gw.iter_mut().zip(PRICES_TRIED) {
            let fit = ridge.fit(price);
            for tried in trial.clone() {
                let forecast_gw = fit.apply(&known_of(&rows[tried][half_hour]));
                *error_gw += (forecast_gw - record.days[tried].demand_gw[half_hour]).abs();
            }
        }
    }
    let mut best = 0;
    for which in 1..PRICES_TRIED.len() {
        if errors_gw[which] < errors_gw[best] {
            best = which;
        }
    }
    PRICES_TRIED[best]
}

/// Rows and demand of a half-hour on all days before `end`.
fn samples(
    record: &Record,
    rows: &[Vec<[f64; WITH_TEMPERATURE]>],
    half_hour: usize,
    end: usize,
) -> Vec<([f64; WITH_TEMPERATURE], f64)> {
    let days = DAYS_BEFORE..end;
    days.map(|day| (rows[day][half_hour], record.days[day].demand_gw[half_hour])).collect()
}

fn row(record: &Record, day: usize, half_hour: usize) -> [f64; WITH_TEMPERATURE] {
    let (today, yesterday) = (&record.days[day], &record.days[day - 1]);
    let (before, week_ago) = (&record.days[day - 2], &record.days[day - 7]);
    let mean = |values: &[f64; HALF_HOURS]| values.iter().sum::<f64>() / 48.0;
    let warmest_c = yesterday.temperature_c.iter().copied().fold(f64::MIN, f64::max);
    let coldest_c = yesterday.temperature_c.iter().copied().fold(f64::MAX, f64::min);
    // The first of January 2014 was a Wednesday.
    let weekday = (day + 2) % 7;
    let is = |yes: bool| f64::from(u8::from(yes));
    [
        yesterday.demand_gw[half_hour],
        before.demand_gw[half_hour],
        week_ago.demand_gw[half_hour],
        yesterday.demand_gw[HALF_HOURS - 1],
        mean(&yesterday.demand_gw),
        is(today.is_working),
        is(yesterday.is_working),
        is(before.is_working),
        is(week_ago.is_working),
        is(weekday == 0),
        is(weekday == 5),
        is(weekday == 6),
        cold(yesterday.temperature_c[half_hour]),
        hot(yesterday.temperature_c[half_hour]),
        cold(coldest_c),
        hot(warmest_c),
        cold(week_ago.temperature_c[half_hour]),
        hot(week_ago.temperature_c[half_hour]),
        cold(today.temperature_c[half_hour]),
        hot(today.temperature_c[half_hour]),
    ]
}

fn known_of(row: &[f64; WITH_TEMPERATURE]) -> [f64; KNOWN] {
    let mut known = [0.0; KNOWN];
    known.copy_from_slice(&row[..KNOWN]);
    known
}

/// Degrees that are heated against.
fn cold(temperature_c: f64) -> f64 {
    (18.0 - temperature_c).max(0.0)
}

/// Degrees that are cooled against.
fn hot(temperature_c: f64) -> f64 {
    (temperature_c - 22.0).max(0.0)
}

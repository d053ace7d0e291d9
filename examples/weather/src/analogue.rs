//! The analogue ensemble: how alike two days begin, what the past makes of a day, and how much to
//! trust it.
//!
//! A day's *state* is what was known the evening before: for each of the three days before it, how
//! far the warmest and coldest hour were from what the season expects, the wind and the rain; and
//! the season itself. The forecast is yesterday's temperature plus the mean change seen on the most
//! similar days: the change, not the value, because the value is mostly yesterday's.

use crate::least_squares::{apply, fit};
use crate::record::Record;

/// Days before the forecast day that make up its state.
const DAYS_BEFORE: usize = 3;
/// Four measurements of each day before, and two numbers for the season.
const FEATURES: usize = 4 * DAYS_BEFORE + 2;
/// Numbers of neighbours tried on the past.
const NEIGHBOURS_TRIED: [usize; 7] = [10, 20, 30, 40, 50, 70, 100];

/// Everything learnt from the years before the forecast.
pub struct Past<'a> {
    record: &'a Record,
    states: Vec<[f64; FEATURES]>,
    climatology_c: Vec<f64>,
    library: Vec<usize>,
    neighbours: usize,
    weights: [f64; 4],
}

/// One day's forecasts.
pub struct Forecast {
    pub persistence_c: f64,
    pub climatology_c: f64,
    pub analogue_c: f64,
    pub blend_c: f64,
}

impl<'a> Past<'a> {
    /// Learns from `years`; no other year has a say.
    pub fn learn(record: &'a Record, years: &[u32]) -> Result<Self, String> {
        let library: Vec<usize> = (DAYS_BEFORE..record.days.len())
            .filter(|day| years.contains(&record.days[*day].year))
            .collect();
        if library.len() <= NEIGHBOURS_TRIED[NEIGHBOURS_TRIED.len() - 1] * 2 {
            return Err(format!("the past has {} days, too few to learn from", library.len()));
        }
        let climatology_c = climatology(record, years, |day| record.days[day].warmest_c)?;
        let coldest_c = climatology(record, years, |day| record.days[day].coldest_c)?;
        let states = states(record, &library, &climatology_c, &coldest_c);
        let (neighbours, weights) = (0, [0.0; 4]);
        let mut past = Self { record, states, climatology_c, library, neighbours, weights };
        past.choose(years)?;
        Ok(past)
    }

    /// Forecasts one day.
    pub fn forecast(&self, day: usize) -> Forecast {
        let changes = self.changes_of_nearest(day, &self.library);
        let analogue_c = self.yesterday_c(day) + mean(&changes[..self.neighbours]);
        let row = self.blend_row(day, analogue_c);
        Forecast {
            persistence_c: self.yesterday_c(day),
            climatology_c: self.climatology_c[day],
            analogue_c,
            blend_c: apply(&self.weights, &row),
        }
    }

    /// How many neighbours the past asked for.
    pub fn neighbours(&self) -> usize {
        self.neighbours
    }

    /// Forecasts every past day from the other years, keeps the number of neighbours with the
    /// smallest mean error, and fits the blend to those forecasts.
    fn choose(&mut self, years: &[u32]) -> Result<(), String> {
        let mut forecasts = vec![[0.0; NEIGHBOURS_TRIED.len()]; self.library.len()];
        for year in years {
            let others: Vec<usize> = self.days_of_past(|other| other != *year).collect();
            for (place, day) in self.library.iter().enumerate() {
                if self.record.days[*day].year == *year {
                    let changes = self.changes_of_nearest(*day, &others);
                    for (forecast, tried) in forecasts[place].iter_mut().zip(NEIGHBOURS_TRIED) {
                        *forecast = self.yesterday_c(*day) + mean(&changes[..tried]);
                    }
                }
            }
        }
        let error_c = |which: usize| -> f64 {
            let days = self.library.iter().zip(&forecasts);
            days.map(|(day, f)| (f[which] - self.record.days[*day].warmest_c).abs()).sum()
        };
        let mut best = 0;
        for which in 1..NEIGHBOURS_TRIED.len() {
            if error_c(which) < error_c(best) {
                best = which;
            }
        }
        self.neighbours = NEIGHBOURS_TRIED[best];
        self.weights = fit(self.library.iter().zip(&forecasts).map(|(day, forecast)| {
            (self.blend_row(*day, forecast[best]), self.record.days[*day].warmest_c)
        }))?;
        Ok(())
    }

    fn days_of_past(&self, keep: impl Fn(u32) -> bool) -> impl Iterator<Item = usize> {
        let days = self.library.iter().copied();
        days.filter(move |day| keep(self.record.days[*day].year))
    }

    /// The changes of temperature on the library's days, most similar day first, as far as any
    /// number of neighbours needs them.
    fn changes_of_nearest(&self, day: usize, library: &[usize]) -> Vec<f64> {
        let state = &self.states[day];
        let mut nearest: Vec<(f64, usize)> = library
            .iter()
            .map(|other| {
                let pairs = state.iter().zip(&self.states[*other]);
                (pairs.map(|(a, b)| (a - b) * (a - b)).sum(), *other)
            })
            .collect();
        let most = NEIGHBOURS_TRIED[NEIGHBOURS_TRIED.len() - 1];
        let by_distance =
            |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(&b.1));
        nearest.select_nth_unstable_by(most, by_distance);
        nearest.truncate(most);
        nearest.sort_unstable_by(by_distance);
        let warmest_c = |day: usize| self.record.days[day].warmest_c;
        nearest.iter().map(|(_, other)| warmest_c(*other) - warmest_c(other - 1)).collect()
    }

    fn yesterday_c(&self, day: usize) -> f64 {
        self.record.days[day - 1].warmest_c
    }

    fn blend_row(&self, day: usize, analogue_c: f64) -> [f64; 4] {
        [1.0, self.yesterday_c(day), analogue_c, self.climatology_c[day]]
    }
}

/// What the season expects of each day: a year and half a year's wave through the past years.
fn climatology(
    record: &Record,
    years: &[u32],
    value: impl Fn(usize) -> f64,
) -> Result<Vec<f64>, String> {
    let waves = |day: usize| {
        let angle = season_rad(record, day);
        [1.0, angle.cos(), angle.sin(), (2.0 * angle).cos(), (2.0 * angle).sin()]
    };
    let past = (0..record.days.len()).filter(|day| years.contains(&record.days[*day].year));
    let coefficients = fit(past.map(|day| (waves(day), value(day))))?;
    Ok((0..record.days.len()).map(|day| apply(&coefficients, &waves(day))).collect())
}

fn season_rad(record: &Record, day: usize) -> f64 {
    2.0 * std::f64::consts::PI * f64::from(record.days[day].day_of_year) / 365.25
}

/// Each day's state, every measurement scaled to mean 0 and deviation 1 over the library.
fn states(
    record: &Record,
    library: &[usize],
    warmest_c: &[f64],
    coldest_c: &[f64],
) -> Vec<[f64; FEATURES]> {
    let mut states = vec![[0.0; FEATURES]; record.days.len()];
    for day in DAYS_BEFORE..record.days.len() {
        for before in 1..=DAYS_BEFORE {
            let (at, then) = (4 * (before - 1), day - before);
            let seen = &record.days[then];
            states[day][at] = seen.warmest_c - warmest_c[then];
            states[day][at + 1] = seen.coldest_c - coldest_c[then];
            states[day][at + 2] = seen.wind_m_per_s;
            states[day][at + 3] = seen.rain_mm.sqrt();
        }
    }
    for feature in 0..4 * DAYS_BEFORE {
        let values: Vec<f64> = library.iter().map(|day| states[*day][feature]).collect();
        let centre = mean(&values);
        let squares: Vec<f64> = values.iter().map(|v| (v - centre) * (v - centre)).collect();
        let deviation = mean(&squares).sqrt();
        for state in &mut states {
            state[feature] = (state[feature] - centre) / deviation;
        }
    }
    for (day, state) in states.iter_mut().enumerate() {
        let angle = season_rad(record, day);
        state[FEATURES - 2] = angle.cos();
        state[FEATURES - 1] = angle.sin();
    }
    states
}

#[allow(clippy::cast_precision_loss)] // a few thousand days at most
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

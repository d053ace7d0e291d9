//! The year's record of demand: a CSV with a header, one line each half-hour, none missing.

/// Half-hours in a day.
pub const HALF_HOURS: usize = 48;

/// Whole days, the first of them the first of January 2014, a Wednesday.
pub struct Record {
    pub days: Vec<Day>,
}

pub struct Day {
    pub demand_gw: [f64; HALF_HOURS],
    pub temperature_c: [f64; HALF_HOURS],
    /// Neither a weekend nor a public holiday.
    pub is_working: bool,
}

impl Record {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        if header != "half_hour,demand_gw,working_day,temperature_c" {
            return Err(format!("the record begins with `{header}`, which is not its header"));
        }
        let lines: Vec<&str> = lines.collect();
        if lines.is_empty() || !lines.len().is_multiple_of(HALF_HOURS) {
            return Err(format!("the record has {} half-hours, no whole days", lines.len()));
        }
        let mut days = Vec::with_capacity(lines.len() / HALF_HOURS);
        for (number, of_day) in lines.chunks(HALF_HOURS).enumerate() {
            let mut day = Day {
                demand_gw: [0.0; HALF_HOURS],
                temperature_c: [0.0; HALF_HOURS],
                is_working: false,
            };
            for (i, line) in of_day.iter().enumerate() {
                let wrong = || format!("line {} of the record", number * HALF_HOURS + i + 2);
                let cells: Vec<f64> = line
                    .split(',')
                    .map(str::parse)
                    .collect::<Result<_, _>>()
                    .map_err(|e| format!("{}: {e}", wrong()))?;
                let [_, demand_gw, working, temperature_c] = cells[..] else {
                    return Err(format!("{} has {} cells, not 4", wrong(), cells.len()));
                };
                day.demand_gw[i] = demand_gw;
                day.temperature_c[i] = temperature_c;
                if i > 0 && day.is_working != (working != 0.0) {
                    return Err(format!("{}: the kind of day changes within the day", wrong()));
                }
                day.is_working = working != 0.0;
            }
            days.push(day);
        }
        Ok(Self { days })
    }
}

/// `2014-04-03` for day 92.
pub fn date(day: usize) -> String {
    let mut left = day;
    for (month, length) in [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].into_iter().enumerate()
    {
        if left < length {
            return format!("2014-{:02}-{:02}", month + 1, left + 1);
        }
        left -= length;
    }
    format!("2014+{day}")
}

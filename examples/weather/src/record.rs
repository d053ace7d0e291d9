//! The daily weather record: a CSV with a header, one line a day, no day missing.

use std::ops::Range;

/// Consecutive days.
pub struct Record {
    pub days: Vec<Day>,
}

pub struct Day {
    /// `2015-01-01`
    pub date: String,
    pub year: u32,
    /// 1 is the first of January.
    pub day_of_year: u32,
    pub warmest_c: f64,
    pub coldest_c: f64,
    pub rain_mm: f64,
    pub wind_m_per_s: f64,
}

impl Record {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
        let column = |name: &str| {
            let found = header.iter().position(|h| *h == name);
            found.ok_or_else(|| format!("the record has no column `{name}`"))
        };
        let date = column("date")?;
        let numbers =
            [column("temp_max")?, column("temp_min")?, column("precipitation")?, column("wind")?];
        let mut days: Vec<Day> = Vec::new();
        for (line, number) in lines.zip(2..) {
            let cells: Vec<&str> = line.split(',').collect();
            let cell = |i: usize| cells.get(i).copied().unwrap_or_default();
            let mut values = [0.0; 4];
            for (value, i) in values.iter_mut().zip(numbers) {
                *value = cell(i).parse().map_err(|_| {
                    format!("line {number} of the record: `{}` is no number", cell(i))
                })?;
            }
            let (year, day_of_year) = parse_date(cell(date)).ok_or_else(|| {
                format!("line {number} of the record: `{}` is no date", cell(date))
            })?;
            if let Some(before) = days.last()
                && (year, day_of_year) != following(before)
            {
                return Err(format!("the record has a gap before {}", cell(date)));
            }
            let [warmest_c, coldest_c, rain_mm, wind_m_per_s] = values;
            let date = cell(date).to_owned();
            days.push(Day { date, year, day_of_year, warmest_c, coldest_c, rain_mm, wind_m_per_s });
        }
        Ok(Self { days })
    }

    /// Where the days of a year are.
    pub fn year(&self, year: u32) -> Range<usize> {
        let start = self.days.partition_point(|day| day.year < year);
        start..self.days.partition_point(|day| day.year <= year)
    }
}

fn parse_date(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let lengths = month_lengths(year);
    let before = lengths.get(..usize::try_from(month).ok()?.checked_sub(1)?)?;
    let length = *lengths.get(before.len())?;
    (1..=length).contains(&day).then(|| (year, before.iter().sum::<u32>() + day))
}

fn following(day: &Day) -> (u32, u32) {
    if day.day_of_year == month_lengths(day.year).iter().sum::<u32>() {
        (day.year + 1, 1)
    } else {
        (day.year, day.day_of_year + 1)
    }
}

fn month_lengths(year: u32) -> [u32; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, if leap { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

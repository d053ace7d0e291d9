//! A city's roads: a CSV with a header, one line each road in one direction.

use std::collections::BTreeMap;

/// Crossings and the roads between them.
pub struct Roads {
    /// Roads in the order of the file.
    pub all: Vec<Road>,
    /// Where the roads that leave each crossing are, in `leaving`.
    starts: Vec<usize>,
    leaving: Vec<usize>,
}

pub struct Road {
    /// Places of its crossings, which are numbered in ascending order of their names in the file.
    pub start: usize,
    pub end: usize,
    /// At the speed limit.
    pub ms: u64,
}

impl Roads {
    /// Parses the file's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        let header = lines.next().unwrap_or_default();
        if header != "start,end,milliseconds,street" {
            return Err(format!("the roads begin with `{header}`, which is not their header"));
        }
        let mut named = Vec::new();
        for (line, number) in lines.zip(2..) {
            let mut cells = line.split(',').map(str::parse::<u64>);
            let mut cell = || match cells.next() {
                Some(Ok(value)) => Ok(value),
                _ => Err(format!("line {number} of the roads: `{line}` is no road")),
            };
            named.push((cell()?, cell()?, cell()?));
        }
        let ends = named.iter().flat_map(|(start, end, _)| [*start, *end]);
        let mut place: BTreeMap<u64, usize> = ends.map(|name| (name, 0)).collect();
        for (number, place) in place.values_mut().enumerate() {
            *place = number;
        }
        let all: Vec<Road> = named
            .iter()
            .map(|(start, end, ms)| Road { start: place[start], end: place[end], ms: *ms })
            .collect();
        if let Some(road) = all.iter().find(|road| road.ms == 0) {
            return Err(format!("a road of crossing {} takes no time", road.start));
        }
        let mut leaving: Vec<usize> = (0..all.len()).collect();
        leaving.sort_by_key(|road| all[*road].start);
        let starts = (0..=place.len())
            .map(|crossing| leaving.partition_point(|road| all[*road].start < crossing))
            .collect();
        Ok(Self { all, starts, leaving })
    }

    /// How many crossings there are.
    pub fn crossings(&self) -> usize {
        self.starts.len() - 1
    }

    /// The roads that leave a crossing.
    pub fn leaving(&self, crossing: usize) -> impl Iterator<Item = (usize, &Road)> {
        let leaving = &self.leaving[self.starts[crossing]..self.starts[crossing + 1]];
        leaving.iter().map(|road| (*road, &self.all[*road]))
    }
}

//! The quickest ways from one crossing to all others, and how many of them use each road: Dijkstra's
//! search outwards, then Brandes' sum back. Where several ways are equally quick, each counts in
//! part.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::roads::Roads;

const FAR: u64 = u64::MAX;

/// Searches from one crossing after another, reusing its buffers.
pub struct Ways<'a> {
    roads: &'a Roads,
    /// Time to each crossing.
    ms: Vec<u64>,
    /// How many equally quick ways lead to each crossing.
    ways: Vec<f64>,
    /// Crossings in the order in which they are reached.
    reached: Vec<usize>,
    /// Ways beyond each crossing that pass it.
    beyond: Vec<f64>,
    heap: BinaryHeap<Reverse<(u64, usize)>>,
    /// Ways that use each road, summed over all searches.
    pub used: Vec<f64>,
    /// Ends reached, and the time to all of them, summed likewise.
    pub ends: u64,
    pub total_ms: u64,
}

impl<'a> Ways<'a> {
    /// Has searched from nowhere yet.
    pub fn new(roads: &'a Roads) -> Self {
        let crossings = roads.crossings();
        Self {
            roads,
            ms: vec![FAR; crossings],
            ways: vec![0.0; crossings],
            reached: Vec::with_capacity(crossings),
            beyond: vec![0.0; crossings],
            heap: BinaryHeap::new(),
            used: vec![0.0; roads.all.len()],
            ends: 0,
            total_ms: 0,
        }
    }

    /// Adds the quickest ways from a crossing to every other.
    pub fn search(&mut self, source: usize) {
        self.outwards(source);
        self.ends += self.reached.len() as u64 - 1;
        self.total_ms += self.reached.iter().map(|crossing| self.ms[*crossing]).sum::<u64>();
        // The last crossing first: what lies beyond one is known once all behind it are done.
        for at in (0..self.reached.len()).rev() {
            let crossing = self.reached[at];
            for (road, leads) in self.roads.leaving(crossing) {
                if self.ms[crossing] + leads.ms == self.ms[leads.end] {
                    let share = self.ways[crossing] / self.ways[leads.end];
                    let used = share * (1.0 + self.beyond[leads.end]);
                    self.used[road] += used;
                    self.beyond[crossing] += used;
                }
            }
        }
    }

    fn outwards(&mut self, source: usize) {
        self.ms.fill(FAR);
        self.ways.fill(0.0);
        self.beyond.fill(0.0);
        self.reached.clear();
        self.ms[source] = 0;
        self.ways[source] = 1.0;
        self.heap.push(Reverse((0, source)));
        while let Some(Reverse((ms, crossing))) = self.heap.pop() {
            if ms > self.ms[crossing] {
                continue;
            }
            self.reached.push(crossing);
            for (_, road) in self.roads.leaving(crossing) {
                let then_ms = ms + road.ms;
                if then_ms < self.ms[road.end] {
                    self.ms[road.end] = then_ms;
                    self.ways[road.end] = self.ways[crossing];
                    self.heap.push(Reverse((then_ms, road.end)));
                } else if then_ms == self.ms[road.end] {
                    self.ways[road.end] += self.ways[crossing];
                }
            }
        }
    }
}

//! The DC power flow: angles from injections by one dense solve, flows from angles.
//!
//! Only the part of the grid still joined to the external grid is solved; the rest is without
//! supply and is counted. Grids here have tens of buses, so the matrix is dense on purpose.

use crate::OVERLOAD_PERCENT;
use crate::network::Network;

/// What one set of outages does.
#[derive(Default)]
pub struct Screening {
    pub worst_mw: f64,
    pub worst_mw_branch: Option<usize>,
    pub worst_percent: f64,
    pub worst_percent_branch: Option<usize>,
    pub overloaded: usize,
    /// Overloaded now, and not when nothing had failed.
    pub newly_overloaded: usize,
    pub unsupplied_buses: usize,
    pub unsupplied_mw: f64,
}

/// Solves one outage after another, reusing its buffers.
pub struct Solver<'a> {
    network: &'a Network,
    /// Row of each bus in the system; `None` at the slack and where there is no supply.
    row_of: Vec<Option<usize>>,
    supplied: Vec<bool>,
    matrix: Vec<f64>,
    angles_rad: Vec<f64>,
    overloaded_before: Vec<bool>,
}

impl<'a> Solver<'a> {
    /// Solves the whole grid once, to know what is overloaded before anything fails.
    pub fn new(network: &'a Network) -> Result<Self, String> {
        let buses = network.buses.len();
        let mut solver = Self {
            network,
            row_of: vec![None; buses],
            supplied: vec![false; buses],
            matrix: Vec::with_capacity(buses * buses),
            angles_rad: Vec::with_capacity(buses),
            overloaded_before: vec![false; network.branches.len()],
        };
        solver.screen(&[])?;
        let percents: Vec<f64> = (0..solver.branches()).map(|i| solver.load(i).1).collect();
        for (before, percent) in solver.overloaded_before.iter_mut().zip(percents) {
            *before = percent > OVERLOAD_PERCENT;
        }
        Ok(solver)
    }

    pub fn branches(&self) -> usize {
        self.network.branches.len()
    }

    /// Takes the branches of `out` out of service and solves what is left.
    pub fn screen(&mut self, out: &[usize]) -> Result<Screening, String> {
        self.find_supplied(out);
        let size = self.assemble(out);
        eliminate(&mut self.matrix, &mut self.angles_rad, size)
            .map_err(|()| format!("the grid without branches {out:?} has no unique flow"))?;
        Ok(self.judge(out))
    }

    fn find_supplied(&mut self, out: &[usize]) {
        self.supplied.fill(false);
        self.supplied[self.network.slack] = true;
        let mut grew = true;
        while grew {
            grew = false;
            for (i, branch) in self.network.branches.iter().enumerate() {
                let ends = (self.supplied[branch.from], self.supplied[branch.to]);
                if !out.contains(&i) && ends.0 != ends.1 {
                    self.supplied[branch.from] = true;
                    self.supplied[branch.to] = true;
                    grew = true;
                }
            }
        }
    }

    /// Builds `matrix * angles = injections`; returns the number of unknowns.
    fn assemble(&mut self, out: &[usize]) -> usize {
        let network = self.network;
        let mut size = 0;
        for (bus, row) in self.row_of.iter_mut().enumerate() {
            *row = (self.supplied[bus] && bus != network.slack).then(|| {
                size += 1;
                size - 1
            });
        }
        self.matrix.clear();
        self.matrix.resize(size * size, 0.0);
        self.angles_rad.clear();
        self.angles_rad.resize(size, 0.0);
        for (bus, row) in self.row_of.iter().enumerate() {
            if let Some(row) = row {
                self.angles_rad[*row] = network.buses[bus].injection_mw / network.base_mva;
            }
        }
        for (i, branch) in network.branches.iter().enumerate() {
            if out.contains(&i) || !self.supplied[branch.from] {
                continue;
            }
            let b = branch.susceptance_pu;
            let (from, to) = (self.row_of[branch.from], self.row_of[branch.to]);
            if let Some(f) = from {
                self.matrix[f * size + f] += b;
                self.angles_rad[f] += b * branch.shift_rad;
            }
            if let Some(t) = to {
                self.matrix[t * size + t] += b;
                self.angles_rad[t] -= b * branch.shift_rad;
            }
            if let (Some(f), Some(t)) = (from, to) {
                self.matrix[f * size + t] -= b;
                self.matrix[t * size + f] -= b;
            }
        }
        size
    }

    fn judge(&self, out: &[usize]) -> Screening {
        let network = self.network;
        let mut screening = Screening::default();
        for (i, branch) in network.branches.iter().enumerate() {
            if out.contains(&i) || !self.supplied[branch.from] {
                continue;
            }
            let (flow_mw, percent) = self.load(i);
            if flow_mw > screening.worst_mw {
                screening.worst_mw = flow_mw;
                screening.worst_mw_branch = Some(i);
            }
            if percent > screening.worst_percent {
                screening.worst_percent = percent;
                screening.worst_percent_branch = Some(i);
            }
            if percent > OVERLOAD_PERCENT {
                screening.overloaded += 1;
                screening.newly_overloaded += usize::from(!self.overloaded_before[i]);
            }
        }
        for (bus, supplied) in network.buses.iter().zip(&self.supplied) {
            if !supplied {
                screening.unsupplied_buses += 1;
                screening.unsupplied_mw += bus.load_mw;
            }
        }
        screening
    }

    /// Flow in MW and loading in percent of a branch in service.
    fn load(&self, branch: usize) -> (f64, f64) {
        let branch = &self.network.branches[branch];
        let angle = |bus: usize| self.row_of[bus].map_or(0.0, |row| self.angles_rad[row]);
        let angle_rad = angle(branch.from) - angle(branch.to) - branch.shift_rad;
        let flow_mw = (branch.susceptance_pu * angle_rad * self.network.base_mva).abs();
        (flow_mw, flow_mw * branch.percent_per_mw)
    }
}

/// Gaussian elimination with partial pivoting; the solution replaces `right`.
fn eliminate(matrix: &mut [f64], right: &mut [f64], size: usize) -> Result<(), ()> {
    for column in 0..size {
        let mut pivot = column;
        for row in column + 1..size {
            if matrix[row * size + column].abs() > matrix[pivot * size + column].abs() {
                pivot = row;
            }
        }
        if matrix[pivot * size + column] == 0.0 {
            return Err(());
        }
        if pivot != column {
            for k in 0..size {
                matrix.swap(pivot * size + k, column * size + k);
            }
            right.swap(pivot, column);
        }
        for row in column + 1..size {
            let factor = matrix[row * size + column] / matrix[column * size + column];
            if factor != 0.0 {
                for k in column..size {
                    matrix[row * size + k] -= factor * matrix[column * size + k];
                }
                right[row] -= factor * right[column];
            }
        }
    }
    for column in (0..size).rev() {
        right[column] /= matrix[column * size + column];
        for row in 0..column {
            right[row] -= matrix[row * size + column] * right[column];
        }
    }
    Ok(())
}

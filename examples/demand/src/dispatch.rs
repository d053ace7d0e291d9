//! Least-cost dispatch of the grid's stations within its branches' ratings: a linear program each
//! half-hour. First for the demand that was forecast; then, when the demand is known, the cheapest
//! way to correct that plan.
//!
//! Most branches never limit anything, so a limit enters the program only once a solution breaks
//! it. What can't be supplied is shed at a price far above every station's. Deliberately not here:
//! starting and stopping stations, ramps, losses and voltages.

use microlp::{ComparisonOp, OptimizationDirection, Problem, Solution, Variable};

use crate::network::Network;
use crate::sensitivity::Sensitivity;
use crate::stations::Station;

/// Price of demand that is not met.
const SHED_EUR_PER_MWH: f64 = 10_000.0;
/// What a correction costs beyond the station's own price, upwards and downwards.
const CORRECTION_EUR_PER_MWH: f64 = 10.0;
/// How far over a rating counts as over it.
const SLACK_MW: f64 = 1e-6;
/// Below this a share of a megawatt is rounding.
const NO_SHARE: f64 = 1e-9;
const HOURS: f64 = 0.5;

/// A grid that is dispatched half-hour by half-hour.
pub struct Dispatch {
    stations: Vec<Station>,
    sensitivity: Sensitivity,
    /// Each bus's share of all demand.
    share: Vec<f64>,
    /// Branches and directions that have limited something so far.
    tight: Vec<(usize, f64)>,
}

/// What to run for a half-hour.
pub struct Plan {
    /// Power of each station.
    power_mw: Vec<f64>,
    pub cost_eur: f64,
    pub shed_mw: f64,
    /// Whether a branch's rating made it dearer.
    pub is_congested: bool,
}

/// A variable of the program: power at a bus.
struct Part {
    bus: usize,
    /// `1` adds power, `-1` takes it back.
    sign: f64,
    most_mw: f64,
    price_eur_per_mwh: f64,
}

impl Dispatch {
    /// Prepares a grid's flows.
    pub fn new(network: &Network, stations: Vec<Station>) -> Result<Self, String> {
        let demand_mw: f64 = network.buses.iter().map(|bus| bus.load_mw).sum();
        Ok(Self {
            stations,
            sensitivity: Sensitivity::new(network)?,
            share: network.buses.iter().map(|bus| bus.load_mw / demand_mw).collect(),
            tight: Vec::new(),
        })
    }

    /// The cheapest supply of a demand; `cost_eur` is all it costs.
    pub fn plan(&mut self, demand_mw: f64) -> Result<Plan, String> {
        let parts: Vec<Part> = self.stations.iter().map(Part::of).collect();
        let (values_mw, mut plan) = self.solve(demand_mw, &parts, &[])?;
        plan.power_mw = values_mw;
        Ok(plan)
    }

    /// The cheapest way from a plan to a demand; `cost_eur` is what the plan's stations cost, what
    /// the correction adds or saves, and what is shed.
    pub fn correct(&mut self, plan: &Plan, demand_mw: f64) -> Result<Plan, String> {
        let mut parts = Vec::with_capacity(2 * self.stations.len());
        for (station, power_mw) in self.stations.iter().zip(&plan.power_mw) {
            let price_eur_per_mwh = station.price_eur_per_mwh + CORRECTION_EUR_PER_MWH;
            let most_mw = (station.power_mw_max - power_mw).max(0.0);
            parts.push(Part { bus: station.bus, sign: 1.0, most_mw, price_eur_per_mwh });
            let price_eur_per_mwh = CORRECTION_EUR_PER_MWH - station.price_eur_per_mwh;
            let most_mw = power_mw.max(0.0);
            parts.push(Part { bus: station.bus, sign: -1.0, most_mw, price_eur_per_mwh });
        }
        let (values_mw, mut corrected) = self.solve(demand_mw, &parts, &plan.power_mw)?;
        let pairs = values_mw.chunks(2).zip(&plan.power_mw);
        corrected.power_mw = pairs.map(|(change, power)| power + change[0] - change[1]).collect();
        let planned = self.stations.iter().zip(&plan.power_mw);
        corrected.cost_eur +=
            planned.map(|(s, power_mw)| HOURS * s.price_eur_per_mwh * power_mw).sum::<f64>();
        Ok(corrected)
    }

    /// Solves for the parts' power, given what already runs; adds limits until none is broken.
    fn solve(
        &mut self,
        demand_mw: f64,
        parts: &[Part],
        running_mw: &[f64],
    ) -> Result<(Vec<f64>, Plan), String> {
        let mut injected_mw: Vec<f64> = self.share.iter().map(|s| -s * demand_mw).collect();
        for (station, power_mw) in self.stations.iter().zip(running_mw) {
            injected_mw[station.bus] += power_mw;
        }
        let shed = self.share.iter().enumerate().filter(|(_, share)| **share > 0.0);
        let shed: Vec<Part> = shed
            .map(|(bus, share)| Part {
                bus,
                sign: 1.0,
                most_mw: share * demand_mw,
                price_eur_per_mwh: SHED_EUR_PER_MWH,
            })
            .collect();
        let mut problem = Problem::new(OptimizationDirection::Minimize);
        let all: Vec<(&Part, Variable)> = parts
            .iter()
            .chain(&shed)
            .map(|part| {
                (part, problem.add_var(HOURS * part.price_eur_per_mwh, (0.0, part.most_mw)))
            })
            .collect();
        let balance: Vec<_> = all.iter().map(|(part, variable)| (*variable, part.sign)).collect();
        problem.add_constraint(&balance, ComparisonOp::Eq, -injected_mw.iter().sum::<f64>());
        let flow_mw: Vec<f64> = (0..self.sensitivity.rows.len())
            .map(|branch| {
                let parts = self.sensitivity.rows[branch].iter().zip(&injected_mw);
                self.sensitivity.flow_mw[branch] + parts.map(|(s, mw)| s * mw).sum::<f64>()
            })
            .collect();
        for (branch, sign) in &self.tight {
            self.limit(&mut problem, &all, flow_mw[*branch], *branch, *sign);
        }
        loop {
            let solution = optimum(&problem, demand_mw)?;
            let values_mw: Vec<f64> = all.iter().map(|(_, v)| solution.var_value(*v)).collect();
            let (mut broken, mut is_congested) = (Vec::new(), false);
            for (branch, row) in self.sensitivity.rows.iter().enumerate() {
                let added = all.iter().zip(&values_mw).map(|((p, _), mw)| row[p.bus] * p.sign * mw);
                let flow_mw = flow_mw[branch] + added.sum::<f64>();
                let over_mw = flow_mw.abs() - self.sensitivity.limit_mw[branch];
                is_congested |= over_mw > -SLACK_MW;
                if over_mw > SLACK_MW {
                    broken.push((branch, flow_mw.signum()));
                }
            }
            if broken.is_empty() {
                let shed_mw = values_mw[parts.len()..].iter().sum();
                let mut power_mw = values_mw;
                power_mw.truncate(parts.len());
                let cost_eur = solution.objective();
                return Ok((
                    power_mw,
                    Plan { power_mw: Vec::new(), cost_eur, shed_mw, is_congested },
                ));
            }
            for (branch, sign) in broken {
                if self.tight.contains(&(branch, sign)) {
                    return Err(format!("branch {branch} can't be kept at {demand_mw} MW"));
                }
                self.limit(&mut problem, &all, flow_mw[branch], branch, sign);
                self.tight.push((branch, sign));
            }
        }
    }

    fn limit(
        &self,
        problem: &mut Problem,
        all: &[(&Part, Variable)],
        flow_mw: f64,
        branch: usize,
        sign: f64,
    ) {
        let row = &self.sensitivity.rows[branch];
        let terms =
            all.iter().map(|(part, variable)| (*variable, sign * part.sign * row[part.bus]));
        let terms: Vec<_> = terms.filter(|(_, share)| share.abs() > NO_SHARE).collect();
        let right = self.sensitivity.limit_mw[branch] - sign * flow_mw;
        problem.add_constraint(&terms, ComparisonOp::Le, right);
    }
}

impl Part {
    fn of(station: &Station) -> Self {
        Self {
            bus: station.bus,
            sign: 1.0,
            most_mw: station.power_mw_max,
            price_eur_per_mwh: station.price_eur_per_mwh,
        }
    }
}

fn optimum(problem: &Problem, demand_mw: f64) -> Result<Solution, String> {
    let outcome =
        problem.solve().map_err(|e| format!("no dispatch for {demand_mw} MW was found: {e}"))?;
    let solution =
        outcome.into_solution().map_err(|_| format!("no dispatch for {demand_mw} MW in time"))?;
    Ok(solution)
}

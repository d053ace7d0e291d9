//! How much of a megawatt fed in at a bus flows over each branch: the matrix that turns injections
//! into flows without solving for angles.

use crate::network::Network;

/// Flows of the linear (DC) model. The megawatt is taken out again at the slack bus.
pub struct Sensitivity {
    /// One row a branch, one column a bus.
    pub rows: Vec<Vec<f64>>,
    /// What flows with no injection at all, because of phase shifts.
    pub flow_mw: Vec<f64>,
    /// Rating of each branch.
    pub limit_mw: Vec<f64>,
}

impl Sensitivity {
    /// Inverts the grid's matrix once.
    pub fn new(network: &Network) -> Result<Self, String> {
        let buses = network.buses.len();
        let mut matrix = vec![vec![0.0; buses]; buses];
        let mut shifts = vec![0.0; buses];
        for branch in &network.branches {
            let (from, to, b) = (branch.from, branch.to, branch.susceptance_pu);
            matrix[from][from] += b;
            matrix[to][to] += b;
            matrix[from][to] -= b;
            matrix[to][from] -= b;
            shifts[from] += b * branch.shift_rad;
            shifts[to] -= b * branch.shift_rad;
        }
        // The slack's angle is 0 whatever happens.
        matrix[network.slack].fill(0.0);
        matrix[network.slack][network.slack] = 1.0;
        shifts[network.slack] = 0.0;
        let mut angles = invert(matrix).ok_or("the grid has no unique flow")?;
        for row in &mut angles {
            row[network.slack] = 0.0;
        }
        let shifted: Vec<f64> =
            angles.iter().map(|row| row.iter().zip(&shifts).map(|(a, s)| a * s).sum()).collect();
        let mut sensitivity = Self { rows: Vec::new(), flow_mw: Vec::new(), limit_mw: Vec::new() };
        for branch in &network.branches {
            let b = branch.susceptance_pu;
            let (from, to) = (&angles[branch.from], &angles[branch.to]);
            sensitivity.rows.push(from.iter().zip(to).map(|(f, t)| b * (f - t)).collect());
            let angle_rad = shifted[branch.from] - shifted[branch.to] - branch.shift_rad;
            sensitivity.flow_mw.push(b * angle_rad * network.base_mva);
            sensitivity.limit_mw.push(100.0 / branch.percent_per_mw);
        }
        Ok(sensitivity)
    }
}

/// Gauss-Jordan elimination with partial pivoting.
fn invert(mut matrix: Vec<Vec<f64>>) -> Option<Vec<Vec<f64>>> {
    let size = matrix.len();
    let mut inverse = vec![vec![0.0; size]; size];
    for (i, row) in inverse.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for column in 0..size {
        let pivot = (column..size)
            .max_by(|a, b| matrix[*a][column].abs().total_cmp(&matrix[*b][column].abs()))?;
        matrix.swap(column, pivot);
        inverse.swap(column, pivot);
        let divisor = matrix[column][column];
        if divisor == 0.0 {
            return None;
        }
        for k in 0..size {
            matrix[column][k] /= divisor;
            inverse[column][k] /= divisor;
        }
        for row in 0..size {
            let factor = matrix[row][column];
            if row != column && factor != 0.0 {
                for k in 0..size {
                    matrix[row][k] -= factor * matrix[column][k];
                    inverse[row][k] -= factor * inverse[column][k];
                }
            }
        }
    }
    Some(inverse)
}

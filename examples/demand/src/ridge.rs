//! Ridge regression: least squares with a price on large coefficients, every column first brought to
//! mean 0 and deviation 1, so that one price suits all. The mean of the targets is not priced.

/// Sums from which a fit with any price can be made.
pub struct Ridge<const N: usize> {
    centre: [f64; N],
    deviation: [f64; N],
    target: f64,
    matrix: [[f64; N]; N],
    right: [f64; N],
}

/// What is added to the target's mean for a row.
pub struct Fit<const N: usize> {
    centre: [f64; N],
    weights: [f64; N],
    target: f64,
}

impl<const N: usize> Ridge<N> {
    /// Reads the rows and their targets; there must be one at least.
    #[allow(clippy::cast_precision_loss)] // a year's days
    pub fn new(samples: &[([f64; N], f64)]) -> Self {
        let count = samples.len() as f64;
        let mut ridge = Self {
            centre: [0.0; N],
            deviation: [0.0; N],
            target: samples.iter().map(|(_, target)| target).sum::<f64>() / count,
            matrix: [[0.0; N]; N],
            right: [0.0; N],
        };
        for i in 0..N {
            let centre = samples.iter().map(|(row, _)| row[i]).sum::<f64>() / count;
            let squares = samples.iter().map(|(row, _)| (row[i] - centre) * (row[i] - centre));
            let deviation = (squares.sum::<f64>() / count).sqrt();
            ridge.centre[i] = centre;
            // A column that never changes says nothing, and is 0 once centred.
            ridge.deviation[i] = if deviation > 0.0 { deviation } else { 1.0 };
        }
        for (row, target) in samples {
            let mut scaled = [0.0; N];
            for i in 0..N {
                scaled[i] = (row[i] - ridge.centre[i]) / ridge.deviation[i];
            }
            for i in 0..N {
                ridge.right[i] += scaled[i] * (target - ridge.target);
                for j in 0..=i {
                    ridge.matrix[i][j] += scaled[i] * scaled[j];
                }
            }
        }
        ridge
    }

    /// The fit at a price above 0, by Cholesky's decomposition.
    pub fn fit(&self, price: f64) -> Fit<N> {
        let mut lower = self.matrix;
        let mut weights = self.right;
        for i in 0..N {
            lower[i][i] += price;
            for j in 0..=i {
                let mut sum = lower[i][j];
                for k in 0..j {
                    sum -= lower[i][k] * lower[j][k];
                }
                lower[i][j] = if i == j { sum.sqrt() } else { sum / lower[j][j] };
            }
        }
        for i in 0..N {
            for k in 0..i {
                weights[i] -= lower[i][k] * weights[k];
            }
            weights[i] /= lower[i][i];
        }
        for i in (0..N).rev() {
            for k in i + 1..N {
                weights[i] -= lower[k][i] * weights[k];
            }
            weights[i] /= lower[i][i];
        }
        for (weight, deviation) in weights.iter_mut().zip(self.deviation) {
            *weight /= deviation;
        }
        Fit { centre: self.centre, weights, target: self.target }
    }
}

impl<const N: usize> Fit<N> {
    /// The target expected of a row.
    pub fn apply(&self, row: &[f64; N]) -> f64 {
        let parts = self.weights.iter().zip(row).zip(self.centre);
        self.target + parts.map(|((weight, value), centre)| weight * (value - centre)).sum::<f64>()
    }
}

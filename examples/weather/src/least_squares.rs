//! Least squares with a handful of unknowns, by the normal equations.

/// The `N` coefficients that bring `row * coefficients` nearest to the targets.
pub fn fit<const N: usize>(
    samples: impl Iterator<Item = ([f64; N], f64)>,
) -> Result<[f64; N], String> {
    let mut matrix = [[0.0; N]; N];
    let mut right = [0.0; N];
    for (row, target) in samples {
        for i in 0..N {
            right[i] += row[i] * target;
            for j in 0..N {
                matrix[i][j] += row[i] * row[j];
            }
        }
    }
    // The matrix is positive definite unless a column repeats, so no pivoting is needed.
    for column in 0..N {
        if matrix[column][column] <= 0.0 {
            return Err("the past is too short to learn from".to_owned());
        }
        for row in column + 1..N {
            let factor = matrix[row][column] / matrix[column][column];
            for k in column..N {
                matrix[row][k] -= factor * matrix[column][k];
            }
            right[row] -= factor * right[column];
        }
    }
    for column in (0..N).rev() {
        right[column] /= matrix[column][column];
        for row in 0..column {
            right[row] -= matrix[row][column] * right[column];
        }
    }
    Ok(right)
}

/// `row * coefficients`
pub fn apply<const N: usize>(coefficients: &[f64; N], row: &[f64; N]) -> f64 {
    coefficients.iter().zip(row).map(|(c, x)| c * x).sum()
}

//! Extremes of stabilised estimates when propensities are off by bounded odds.

use ndarray::{Array2, ArrayView2};

/// A logged outcome: quality or cost.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The chosen arm, shape (n); `None`: one that is not compared.
    pub chosen: &'a [Option<usize>],
    /// Its propensity in (0, 1], logged or estimated, shape (n).
    pub propensity: &'a [f64],
    /// Its outcome, shape (n).
    pub outcome: &'a [f64],
    /// q̂, expected outcome by a predictor that has not seen the row, shape (n, K).
    pub predicted: ArrayView2<'a, f64>,
    /// Least and greatest possible outcome, for instance 0 and 1.
    pub range: [f64; 2],
}

/// An outcome made ready for bounds at any Γ: rows of each arm by rising residual.
#[derive(Clone, Debug)]
pub struct Sensitivity {
    /// Rows by arm, residuals rising.
    rows: Vec<Vec<Row>>,
    predicted: Array2<f64>,
    range: [f64; 2],
    mean_outcome: f64,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    index: usize,
    /// r − q̂.
    residual: f64,
    /// 1/p − 1.
    odds_against: f64,
}

/// What one arm adds where its coefficients have one sign.
#[derive(Clone, Copy, Default)]
struct Part {
    /// Σ|c| over all rows.
    mass: f64,
    /// Σ|c| q̂ over all rows.
    predicted: f64,
}

impl Sensitivity {
    /// Sorts the rows of each arm.
    #[must_use]
    pub fn new(logged: &Outcome<'_>) -> Self {
        let mut rows = vec![Vec::new(); logged.predicted.ncols()];
        for (index, arm) in logged.chosen.iter().enumerate() {
            if let Some(arm) = *arm {
                rows[arm].push(Row {
                    index,
                    residual: logged.outcome[index] - logged.predicted[[index, arm]],
                    odds_against: 1.0 / logged.propensity[index] - 1.0,
                });
            }
        }
        for rows in &mut rows {
            rows.sort_by(|a, b| {
                a.residual
                    .total_cmp(&b.residual)
                    .then(a.index.cmp(&b.index))
            });
        }
        let n = count(logged.outcome.len()).max(1.0);
        Self {
            rows,
            predicted: logged.predicted.to_owned(),
            range: logged.range,
            mean_outcome: logged.outcome.iter().sum::<f64>() / n,
        }
    }

    /// Mean of the logged outcomes: what production itself got.
    #[must_use]
    pub const fn mean_outcome(&self) -> f64 {
        self.mean_outcome
    }

    /// Least and greatest Σ_i Σ_a c(i, a) E\[r_a|x_i\]/n at Γ ≥ 1.
    ///
    /// Where an arm with coefficients was never chosen, its mean may be anything in the range.
    #[must_use]
    pub fn bounds(&self, gamma: f64, coefficient: impl Fn(usize, usize) -> f64) -> [f64; 2] {
        let n = count(self.predicted.nrows()).max(1.0);
        let (mut low, mut high) = (0.0, 0.0);
        for (arm, rows) in self.rows.iter().enumerate() {
            for sign in [1.0, -1.0] {
                let size = |index: usize| (sign * coefficient(index, arm)).max(0.0);
                let part = self.part(arm, size);
                if part.mass > 0.0 {
                    let [least, most] = self.mean(part, rows, size, gamma);
                    let (down, up) = if sign > 0.0 {
                        (least, most)
                    } else {
                        (most, least)
                    };
                    low += sign * part.mass * down;
                    high += sign * part.mass * up;
                }
            }
        }
        [low / n, high / n]
    }

    fn part(&self, arm: usize, size: impl Fn(usize) -> f64) -> Part {
        let mut part = Part::default();
        for (index, predicted) in self.predicted.column(arm).iter().enumerate() {
            let c = size(index);
            part.mass += c;
            part.predicted += c * predicted;
        }
        part
    }

    /// Bounds of an arm's mean outcome weighted by `size`, kept in the range.
    fn mean(&self, part: Part, rows: &[Row], size: impl Fn(usize) -> f64, gamma: f64) -> [f64; 2] {
        let [low, high] = self.range;
        let expected = part.predicted / part.mass;
        match extremes(rows, size, gamma) {
            Some(residual) => residual.map(|r| (expected + r).clamp(low, high)),
            None => self.range,
        }
    }
}

/// Least and greatest Σ c v r/Σ c v over v_i in [1 + o_i/Γ, 1 + o_i Γ], for rows by rising r.
///
/// A linear-fractional programme over a box: at the maximum v is high above a threshold of r and
/// low below, at the minimum the other way round (Zhao, Small & Bhattacharya 2019, section 4).
/// Every threshold is tried in one pass.
fn extremes(rows: &[Row], size: impl Fn(usize) -> f64, gamma: f64) -> Option<[f64; 2]> {
    let ends = |row: &Row| {
        let c = size(row.index);
        (
            c * (1.0 + row.odds_against / gamma),
            c * (1.0 + row.odds_against * gamma),
        )
    };
    // Begin with all low (for the maximum: all high) and move the threshold up, row by row.
    let (mut low_weight, mut low_sum, mut high_weight, mut high_sum) = (0.0, 0.0, 0.0, 0.0);
    for row in rows {
        let (low, high) = ends(row);
        low_weight += low;
        low_sum += low * row.residual;
        high_weight += high;
        high_sum += high * row.residual;
    }
    if high_weight <= 0.0 {
        return None;
    }
    let mut least = low_sum / low_weight;
    let mut most = high_sum / high_weight;
    for row in rows {
        let (low, high) = ends(row);
        low_weight += high - low;
        low_sum += (high - low) * row.residual;
        high_weight -= high - low;
        high_sum -= (high - low) * row.residual;
        least = least.min(low_sum / low_weight);
        most = most.max(high_sum / high_weight);
    }
    Some([least, most])
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

//! What the weights say about an estimate before it is read.

use super::{ExactSum, LoggedRow};

/// Mergeable sums of importance weights.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    rows: u64,
    zero: u64,
    matched: u64,
    max: f64,
    sum: ExactSum,
    squares: ExactSum,
}

/// Importance weights in a few numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightStatistics {
    /// Number of rows.
    pub rows: u64,
    /// Effective sample size (Σw)²/Σw²; 0 where all weights are. Kish (1965).
    pub effective_sample_size: f64,
    /// Largest weight.
    pub max: f64,
    /// Share of all weight on the heaviest row.
    pub max_share: f64,
    /// Mean weight: 1 in expectation when propensities are right.
    pub mean: f64,
    /// Standard error of the mean weight; `None` from a single row.
    pub mean_standard_error: Option<f64>,
    /// Σ w.
    pub sum: f64,
    /// Σ w².
    pub sum_of_squares: f64,
    /// Share of rows with weight 0: the target never takes the logged arm.
    pub zero_share: f64,
    /// Share of rows whose logged arm the target certainly takes.
    pub match_rate: f64,
}

impl Weights {
    /// Adds one row.
    pub fn push(&mut self, row: &LoggedRow) {
        let weight = row.weight();
        self.rows += 1;
        self.zero += u64::from(weight == 0.0);
        self.matched += u64::from(row.matched());
        self.max = self.max.max(weight);
        self.sum.add(weight);
        self.squares.add_product(weight, weight);
    }

    /// Adds all rows of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        self.zero += other.zero;
        self.matched += other.matched;
        self.max = self.max.max(other.max);
        self.sum.merge(&other.sum);
        self.squares.merge(&other.squares);
    }

    /// The statistics; `None` without rows.
    #[must_use]
    pub fn statistics(&self) -> Option<WeightStatistics> {
        if self.rows == 0 {
            return None;
        }
        let (sum, squares) = (self.sum.value(), self.squares.value());
        #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ rows")]
        let [rows, zero, matched] = [self.rows, self.zero, self.matched].map(|x| x as f64);
        let share = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 0.0 };
        let variance = (squares - sum * sum / rows).max(0.0) / (rows - 1.0);
        Some(WeightStatistics {
            rows: self.rows,
            effective_sample_size: share(sum * sum, squares),
            max: self.max,
            max_share: share(self.max, sum),
            mean: sum / rows,
            mean_standard_error: (self.rows > 1).then(|| (variance / rows).sqrt()),
            sum,
            sum_of_squares: squares,
            zero_share: zero / rows,
            match_rate: matched / rows,
        })
    }
}

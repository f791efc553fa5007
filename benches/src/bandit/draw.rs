//! One bandit log of a population.

use ndarray::Array2;
use plimsoll_harness::forecast::FOLDS;

use super::{Population, unit};

/// Rows drawn with replacement, one answer each.
#[derive(Clone, Debug)]
pub struct Draw {
    /// Row of the population, shape (n).
    pub rows: Vec<usize>,
    /// The logged arm, shape (n).
    pub chosen: Vec<usize>,
    /// Its propensity, shape (n).
    pub propensity: Vec<f64>,
    /// The arm that the target policy would have drawn, shape (n): rejection replay needs one.
    pub wanted: Vec<usize>,
    /// Cross-fitting fold; copies of a row share one, shape (n).
    pub fold: Vec<u8>,
    /// Which half chooses settings for the other; copies of a row share one, shape (n).
    pub half: Vec<bool>,
}

impl Draw {
    /// `n` rows, by seed and number of the draw.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "positions below n"
    )]
    pub fn new(
        population: &Population,
        logging: &Array2<f64>,
        n: usize,
        [seed, index]: [u64; 2],
    ) -> Self {
        let all = population.rows();
        let chance = |purpose: &str, row: usize| unit(seed, purpose, [index, row as u64]);
        let rows: Vec<usize> = (0..n)
            .map(|i| ((chance("row", i) * all as f64) as usize).min(all - 1))
            .collect();
        let sample = |table: &Array2<f64>, purpose: &str, i: usize| {
            cumulated(table.row(rows[i]).iter().copied(), chance(purpose, i))
        };
        let chosen: Vec<usize> = (0..n).map(|i| sample(logging, "arm", i)).collect();
        let of_row = |purpose: &str, parts: f64| -> Vec<u8> {
            rows.iter()
                .map(|&row| (chance(purpose, row) * parts) as u8)
                .collect()
        };
        Self {
            propensity: (0..n).map(|i| logging[[rows[i], chosen[i]]]).collect(),
            wanted: (0..n)
                .map(|i| sample(&population.target, "wanted", i))
                .collect(),
            fold: of_row("fold", FOLDS as f64),
            half: of_row("half", 2.0).iter().map(|half| *half == 1).collect(),
            rows,
            chosen,
        }
    }

    /// Number of rows, n.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The arm at `u` of cumulated probabilities; never one of probability 0.
fn cumulated(probabilities: impl Iterator<Item = f64>, u: f64) -> usize {
    let (mut left, mut last) = (u, 0);
    for (arm, p) in probabilities.enumerate() {
        if p > 0.0 {
            last = arm;
            if left < p {
                return arm;
            }
            left -= p;
        }
    }
    last
}

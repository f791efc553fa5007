//! From rows to a test: the one place that knows what kind of evidence the rows are.

use ndarray::{Array2, Axis};
use statrs::distribution::{Binomial, DiscreteCDF};

use super::record::Bound;
use crate::bounds::{betting_p_below, hoeffding_bentkus_p, rescale};
use crate::floor;
use crate::judge::{Clusters, FloorBound, broken_p, margins_by_cluster};
use crate::promise::Line;
use crate::study::Study;
use crate::tune::play;

/// P-value of "the success rate is at most `rate`": P(Bin(n, rate) ≥ k). Exact.
///
/// `None` unless k ≤ n, n > 0 and `rate` is in [0, 1].
#[must_use]
pub fn binomial_p(successes: u64, trials: u64, rate: f64) -> Option<f64> {
    if trials == 0 || successes > trials {
        return None;
    }
    let binomial = Binomial::new(rate, trials).ok()?;
    Some(match successes.checked_sub(1) {
        Some(below) => binomial.sf(below),
        None => 1.0,
    })
}

/// The margin of probabilities of shape (m, K) on some evaluated rows of a study.
#[derive(Clone, Debug)]
pub(super) struct Examined {
    pub(super) bound: Bound,
    /// P-value of "the floor holds here".
    pub(super) broken_p: f64,
}

/// Tests the margin over the line on `rows` of the evaluated side.
pub(super) fn examine(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    line: Line,
    rows: &[usize],
    confidence: f64,
) -> Examined {
    let side = &study.test;
    let quality = side.quality.select(Axis(0), rows);
    let per_row = line.per_request(&quality);
    let policy = play(
        &probabilities.select(Axis(0), rows),
        quality.view(),
        quality.view(),
    )
    .quality;
    let clusters = Clusters::of_rows(&side.clusters.of, rows);
    let bound = floor::bound(study, probabilities, line, Some(rows), confidence);
    let alpha = 1.0 - confidence;
    let p_value = match (bound.method, line) {
        ("clopper-pearson", Line::Absolute(rate)) => {
            let successes = policy.iter().filter(|q| **q > 0.5).count() as u64;
            binomial_p(successes, policy.len() as u64, rate)
        }
        ("hoeffding-bentkus", Line::Absolute(rate)) => {
            let risk = (1.0 - crate::promise::mean(policy.view())).clamp(0.0, 1.0);
            hoeffding_bentkus_p(risk, policy.len() as u64, 1.0 - rate)
        }
        ("betting", _) => {
            let (low, high) = line.margin_range();
            let (values, weights) = margins_by_cluster(&policy, &per_row, line, &clusters);
            // "At most m" for x is "at least 1 − m" for 1 − x.
            let mirrored: Vec<f64> = values.iter().map(|x| 1.0 - x).collect();
            let independent = clusters.count == clusters.of.len();
            let weights = (!independent).then_some(weights.as_slice());
            betting_p_below(&mirrored, weights, 1.0 - rescale(0.0, low, high), alpha)
        }
        _ => None,
    };
    Examined {
        broken_p: broken_p(&policy, &per_row, line, &clusters, alpha),
        bound: Bound::of(&bound, p_value),
    }
}

impl Bound {
    pub(super) fn of(bound: &FloorBound, p_value: Option<f64>) -> Self {
        Self {
            margin: bound.margin,
            low: bound.low,
            high: bound.high,
            p_value,
            method: bound.method.to_owned(),
            reason: bound.reason.to_owned(),
        }
    }

    /// Whether the line is proven.
    pub(super) fn proven(&self) -> bool {
        self.low >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::clopper_pearson_lower;

    #[test]
    fn the_exact_p_value_and_the_exact_bound_agree() {
        for (successes, trials) in [
            (0, 30),
            (29, 30),
            (30, 30),
            (95, 100),
            (98, 100),
            (960, 1000),
        ] {
            for rate in [0.9, 0.94, 0.95, 0.97] {
                let p = binomial_p(successes, trials, rate).expect("valid");
                let low = clopper_pearson_lower(successes, trials, 0.05).expect("valid");
                assert_eq!(
                    p <= 0.05,
                    low >= rate,
                    "{successes}/{trials} {rate}: {p} {low}"
                );
            }
        }
        // 0.95^59 is the first power below 0.05.
        assert!((binomial_p(59, 59, 0.95).expect("valid") - 0.95_f64.powi(59)).abs() < 1e-12);
        assert_eq!(binomial_p(0, 10, 0.5), Some(1.0));
        assert_eq!(binomial_p(1, 0, 0.5), None);
    }
}

//! Whether weighting makes an arm's requests look like all requests.

use rayon::prelude::*;

use super::null::{Null, count};
use super::{Covariate, LoggedSample, Weights};
use crate::evaluation::BalanceRow;
use crate::judge::holm;

/// Level of all balance tests together, after Holm's correction.
pub const BALANCE_LEVEL: f64 = 0.01;

/// Tests Ê\[(1\[a\]/p − 1) f(x)\] = 0 for every arm and covariate, the least p-value first.
///
/// f is moved to mean 0 and standard deviation 1 over the rows on which the arm could be chosen,
/// so that a test speaks of the covariate alone. With two arms the functions of
/// [`Covariate::of_propensities`] are tested too. Balance of weighted covariates as a check of
/// propensities: Rosenbaum & Rubin (1984, doi:10.1080/01621459.1984.10478078).
#[must_use]
pub fn balance(sample: &LoggedSample<'_>) -> Vec<BalanceRow> {
    let known = Covariate::of_propensities(sample);
    let covariates: Vec<&Covariate> = sample.covariates.iter().chain(&known).collect();
    let mut all: Vec<BalanceRow> = Vec::new();
    for arm in 0..sample.arms.len() {
        if !sample.chosen.contains(&Some(arm)) {
            continue;
        }
        let weights = Weights::of_arm(sample, arm);
        let support: f64 = weights.support.iter().sum();
        let tested: Vec<Option<BalanceRow>> = covariates
            .par_iter()
            .map(|covariate| {
                let f = standardised(&covariate.values, &weights.support)?;
                let null = Null::new(weights.rows(sample), Some(&f));
                Some(BalanceRow {
                    model: sample.arms[arm].to_string(),
                    covariate: covariate.name.clone(),
                    difference: null.statistic / support,
                    p_value: null.p_value(),
                    broken: false,
                })
            })
            .collect();
        all.extend(tested.into_iter().flatten());
    }
    let p_values: Vec<f64> = all.iter().map(|row| row.p_value).collect();
    for (row, broken) in all.iter_mut().zip(holm(&p_values, BALANCE_LEVEL)) {
        row.broken = broken;
    }
    all.sort_by(|a, b| a.p_value.total_cmp(&b.p_value));
    all
}

/// (f − mean)/sd over the supported rows; `None` when f does not vary there.
fn standardised(values: &[f64], support: &[f64]) -> Option<Vec<f64>> {
    let mass: f64 = support.iter().sum();
    let moment = |g: &dyn Fn(f64) -> f64| {
        values
            .iter()
            .zip(support)
            .map(|(v, s)| s * g(*v))
            .sum::<f64>()
            / mass
    };
    let mean = moment(&|v| v);
    let deviation = moment(&|v| (v - mean) * (v - mean)).sqrt();
    let scale = values.iter().fold(0.0_f64, |m, v| m.max(v.abs()));
    let least = 1e-9 * scale * count(values.len()).sqrt();
    (deviation > least).then(|| values.iter().map(|v| (v - mean) / deviation).collect())
}

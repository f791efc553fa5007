//! Propensities that the log did not record, estimated from what decided the arm.
//!
//! e(a|x) = exp(b_a + v_aᵀz)/Σ_b exp(b_b + v_bᵀz), with z the standardised features: multinomial
//! logistic regression with an L2 penalty on v, fitted on other rows than those it predicts.
//!
//! Estimated propensities adjust for what the features tell, and for nothing else. Whatever else
//! decided the arm stays hidden: see [`confounding`](crate::confounding) for how much of it an
//! estimate can bear. Nothing estimated this way proves a saving.

mod error;
mod lbfgs;

pub use error::PropensityError;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, Zip};
use rayon::prelude::*;

/// Least strength of the penalty.
pub const PENALTY: f64 = 1.0;

/// Greatest strength: hardly more than the arms' shares is left.
const PENALTY_MAX: f64 = 1e5;

/// Least estimated propensity; half of 1/K where K arms are more than 50.
pub const FLOOR: f64 = 0.01;

/// Rounds of raking.
const RAKE_ROUNDS: usize = 100;

/// A fitted multinomial logistic regression of K arms on d features.
#[derive(Clone, Debug, PartialEq)]
pub struct PropensityModel {
    /// Means of the features, shape (d).
    center: Array1<f64>,
    /// Their standard deviations, 1 for constant ones, shape (d).
    scale: Array1<f64>,
    /// v on standardised features, shape (d, K).
    weights: Array2<f64>,
    /// b, shape (K).
    bias: Array1<f64>,
}

impl PropensityModel {
    /// Minimises −Σ_i ln e(a_i|x_i) + (penalty/2) Σ v², which is scikit-learn's
    /// `LogisticRegression(C = 1/penalty)` on standardised features.
    ///
    /// `features` have shape (n, d), `chosen` holds an arm in 0..`arms` per row.
    ///
    /// # Errors
    /// [`PropensityError`] when parts do not fit together or an arm was never chosen.
    pub fn fit(
        features: ArrayView2<'_, f64>,
        chosen: &[usize],
        arms: usize,
        penalty: f64,
    ) -> Result<Self, PropensityError> {
        check(features, chosen, arms, penalty)?;
        Ok(Self::fit_checked(features, chosen, arms, penalty))
    }

    fn fit_checked(
        features: ArrayView2<'_, f64>,
        chosen: &[usize],
        arms: usize,
        penalty: f64,
    ) -> Self {
        let (n, d) = features.dim();
        let center = features
            .mean_axis(Axis(0))
            .unwrap_or_else(|| Array1::zeros(d));
        let scale = features
            .std_axis(Axis(0), 0.0)
            .mapv(|s| if s > 1e-12 { s } else { 1.0 });
        let z = (&features - &center) / &scale;
        let mut objective = |theta: ArrayView1<'_, f64>| {
            let (weights, bias) = split(theta, d, arms);
            let mut p = softmax(&(z.dot(&weights) + bias));
            let mut loss = 0.0;
            for (mut row, &arm) in p.rows_mut().into_iter().zip(chosen) {
                loss -= row[arm].max(f64::MIN_POSITIVE).ln();
                row[arm] -= 1.0;
            }
            let per_row = 1.0 / count(n);
            let gradient_weights = (z.t().dot(&p) + weights.mapv(|v| v * penalty)) * per_row;
            let gradient_bias = p.sum_axis(Axis(0)) * per_row;
            let squares = weights.iter().map(|v| v * v).sum::<f64>();
            let gradient = gradient_weights
                .iter()
                .chain(&gradient_bias)
                .copied()
                .collect();
            ((loss + 0.5 * penalty * squares) * per_row, gradient)
        };
        let theta = lbfgs::minimise(&mut objective, Array1::zeros((d + 1) * arms));
        let (weights, bias) = split(theta.view(), d, arms);
        Self {
            center,
            scale,
            weights: weights.to_owned(),
            bias: bias.to_owned(),
        }
    }

    /// e(a|x) for rows of features, shape (m, K), each at least the floor: see [`floored`].
    ///
    /// # Errors
    /// [`PropensityError::Length`] when the number of features differs.
    pub fn predict(&self, features: ArrayView2<'_, f64>) -> Result<Array2<f64>, PropensityError> {
        if features.ncols() != self.center.len() {
            return Err(PropensityError::Length {
                part: "features",
                got: features.ncols(),
                expected: self.center.len(),
            });
        }
        Ok(floored(self.raw(features)))
    }

    fn raw(&self, features: ArrayView2<'_, f64>) -> Array2<f64> {
        let z = (&features - &self.center) / &self.scale;
        softmax(&(z.dot(&self.weights) + &self.bias))
    }

    /// Coefficients v on standardised features, shape (d, K); only their differences between arms
    /// have a meaning.
    #[must_use]
    pub fn weights(&self) -> ArrayView2<'_, f64> {
        self.weights.view()
    }
}

/// e(a|x) for every row by models that have not seen the row's fold, shape (n, K).
///
/// `fold[i]` is any number; rows of one cluster must share it. The result is raked: log-odds move
/// by one constant per arm until Σ_i e(a|x_i) is the number of times that a was chosen (Deming &
/// Stephan 1940, doi:10.1214/aoms/1177731829), then floored. Folds run on all threads; the result
/// does not depend on their number.
///
/// # Errors
/// [`PropensityError`] when parts do not fit together, an arm was never chosen, or there is but
/// one fold.
pub fn cross_fit(
    features: ArrayView2<'_, f64>,
    chosen: &[usize],
    arms: usize,
    fold: &[u8],
    penalty: f64,
) -> Result<Array2<f64>, PropensityError> {
    check(features, chosen, arms, penalty)?;
    let mut all = held_out(
        features,
        chosen,
        arms,
        &folds_of(chosen, fold)?,
        fold,
        penalty,
    );
    rake(&mut all, chosen);
    Ok(floored(all))
}

/// The penalty of least −Σ_i ln e(a_i|x_i) on rows that the model has not seen: [`PENALTY`], or
/// ten times as much for as long as that is less.
///
/// With many features on few rows a weak penalty lets the regression learn the rows by heart, and
/// propensities of unseen rows are certainties that are wrong.
///
/// # Errors
/// As [`cross_fit`].
pub fn choose_penalty(
    features: ArrayView2<'_, f64>,
    chosen: &[usize],
    arms: usize,
    fold: &[u8],
) -> Result<f64, PropensityError> {
    check(features, chosen, arms, PENALTY)?;
    let folds = folds_of(chosen, fold)?;
    let loss = |penalty: f64| {
        let e = held_out(features, chosen, arms, &folds, fold, penalty);
        let of_row = |(row, arm): (ArrayView1<'_, f64>, &usize)| -row[*arm].max(FLOOR * FLOOR).ln();
        e.rows().into_iter().zip(chosen).map(of_row).sum::<f64>()
    };
    let (mut best, mut least) = (PENALTY, loss(PENALTY));
    while best < PENALTY_MAX {
        let next = loss(10.0 * best);
        // Written so that NaN ends the search.
        if next < least {
            (best, least) = (10.0 * best, next);
        } else {
            break;
        }
    }
    Ok(best)
}

/// The folds, each once; at least two.
fn folds_of(chosen: &[usize], fold: &[u8]) -> Result<Vec<u8>, PropensityError> {
    if fold.len() != chosen.len() {
        return Err(PropensityError::Length {
            part: "folds",
            got: fold.len(),
            expected: chosen.len(),
        });
    }
    let mut folds = fold.to_vec();
    folds.sort_unstable();
    folds.dedup();
    if folds.len() < 2 {
        return Err(PropensityError::OneFold);
    }
    Ok(folds)
}

/// e(a|x) of every row by the model that has not seen its fold, as it comes, shape (n, K).
fn held_out(
    features: ArrayView2<'_, f64>,
    chosen: &[usize],
    arms: usize,
    folds: &[u8],
    fold: &[u8],
    penalty: f64,
) -> Array2<f64> {
    let parts: Vec<(Vec<usize>, Array2<f64>)> = folds
        .par_iter()
        .map(|&held_out| {
            let (test, train): (Vec<usize>, Vec<usize>) =
                (0..chosen.len()).partition(|&i| fold[i] == held_out);
            let picked: Vec<usize> = train.iter().map(|&i| chosen[i]).collect();
            let seen = features.select(Axis(0), &train);
            let model = PropensityModel::fit_checked(seen.view(), &picked, arms, penalty);
            let predicted = model.raw(features.select(Axis(0), &test).view());
            (test, predicted)
        })
        .collect();
    let mut all = Array2::zeros((chosen.len(), arms));
    for (rows, predicted) in parts {
        for (row, p) in rows.into_iter().zip(predicted.rows()) {
            all.row_mut(row).assign(&p);
        }
    }
    all
}

/// Raises entries below min([`FLOOR`], 1/(2K)) to it and lowers the others of the row in proportion
/// to what they have above it; rows still sum to 1.
#[must_use]
pub fn floored(mut propensities: Array2<f64>) -> Array2<f64> {
    let floor = FLOOR.min(0.5 / count(propensities.ncols()));
    for mut row in propensities.rows_mut() {
        let lacking: f64 = row.iter().map(|p| (floor - p).max(0.0)).sum();
        let above: f64 = row.iter().map(|p| (p - floor).max(0.0)).sum();
        if lacking > 0.0 && above > 0.0 {
            let keep = 1.0 - lacking / above;
            row.mapv_inplace(|p| floor + (p - floor).max(0.0) * keep);
        }
    }
    propensities
}

/// Multiplies columns and normalises rows until columns sum to the arms' counts.
fn rake(propensities: &mut Array2<f64>, chosen: &[usize]) {
    let mut wanted = Array1::<f64>::zeros(propensities.ncols());
    for &arm in chosen {
        wanted[arm] += 1.0;
    }
    for _ in 0..RAKE_ROUNDS {
        let sums = propensities.sum_axis(Axis(0));
        let mut farthest = 0.0_f64;
        Zip::from(&sums)
            .and(&wanted)
            .for_each(|s, w| farthest = farthest.max((s - w).abs()));
        if farthest < 1e-9 * count(chosen.len()) {
            break;
        }
        let factor = &wanted / &sums.mapv(|s| s.max(f64::MIN_POSITIVE));
        for mut row in propensities.rows_mut() {
            row *= &factor;
            let sum = row.sum();
            row /= sum;
        }
    }
}

fn split(
    theta: ArrayView1<'_, f64>,
    d: usize,
    arms: usize,
) -> (ArrayView2<'_, f64>, ArrayView1<'_, f64>) {
    let (weights, bias) = theta.split_at(Axis(0), d * arms);
    let weights = weights
        .into_shape_with_order((d, arms))
        .expect("a contiguous vector of d·K entries");
    (weights, bias)
}

/// Rows of exp(s − max s)/Σ exp(s − max s).
fn softmax(scores: &Array2<f64>) -> Array2<f64> {
    let mut p = scores.clone();
    for mut row in p.rows_mut() {
        let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        row.mapv_inplace(|s| (s - max).exp());
        let sum = row.sum();
        row /= sum;
    }
    p
}

fn check(
    features: ArrayView2<'_, f64>,
    chosen: &[usize],
    arms: usize,
    penalty: f64,
) -> Result<(), PropensityError> {
    if chosen.is_empty() {
        return Err(PropensityError::Empty);
    }
    if features.nrows() != chosen.len() {
        return Err(PropensityError::Length {
            part: "rows of features",
            got: features.nrows(),
            expected: chosen.len(),
        });
    }
    if !(penalty >= 0.0 && penalty.is_finite()) {
        return Err(PropensityError::Penalty { got: penalty });
    }
    if let Some(((row, column), _)) = features.indexed_iter().find(|(_, v)| !v.is_finite()) {
        return Err(PropensityError::NotFinite { row, column });
    }
    if let Some((row, &got)) = chosen.iter().enumerate().find(|(_, a)| **a >= arms) {
        return Err(PropensityError::Arm { row, got, arms });
    }
    if let Some(arm) = (0..arms).find(|arm| !chosen.contains(arm)) {
        return Err(PropensityError::NeverChosen { arm });
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests;

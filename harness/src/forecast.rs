//! Forecasts: what predictors expect of every arm on rows they have not seen.
//!
//! Training rows are forecast by cross-fitting (each row by a predictor fitted on the other folds),
//! evaluated rows by the predictor fitted on all training rows.

use ndarray::{Array2, ArrayView2};
use plimsoll::{Context, Prediction, Predictor, PredictorConfig, TrainingRows};
use rayon::prelude::*;

use crate::error::EvidenceError;

/// Rows predicted together by one thread.
const CHUNK: usize = 64;

/// Number of cross-fitting folds.
pub const FOLDS: usize = 5;

/// Training rows with their folds.
#[derive(Clone, Copy, Debug)]
pub struct Training<'a> {
    /// Contexts, shape (n).
    pub contexts: &'a [Context],
    /// Observed qualities, shape (n, K); NaN where not observed.
    pub quality: ArrayView2<'a, f64>,
    /// Fold of each row, in 0..[`FOLDS`].
    pub fold: &'a [u8],
    /// Whether variances are wanted; they cost much and only the per-request floor reads them.
    pub variances: bool,
}

/// Expected quality per row and arm.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// Kind and settings in one phrase.
    pub name: String,
    /// Cross-fitted expectations on the training rows, shape (n, K).
    pub train: Array2<f64>,
    /// Their variances, shape (n, K).
    pub train_variance: Array2<f64>,
    /// Fitted on all training rows.
    pub predictor: Predictor,
}

/// Cross-fits one predictor.
///
/// # Errors
/// [`EvidenceError::Engine`] when the engine refuses the settings or rows.
pub fn cross_fit(
    config: &PredictorConfig,
    name: String,
    training: &Training<'_>,
) -> Result<Forecast, EvidenceError> {
    let shape = training.quality.dim();
    let mut train = Array2::zeros(shape);
    let mut train_variance = Array2::zeros(shape);
    let folds: Vec<(Vec<usize>, Array2<f64>, Array2<f64>)> = (0..FOLDS)
        .into_par_iter()
        .map(|fold| {
            let (inside, outside) = training.parts(fold);
            let predictor = training.fit(config, &outside)?;
            let contexts: Vec<&Context> = inside.iter().map(|&i| &training.contexts[i]).collect();
            let (mean, variance) = predict_all(&predictor, &contexts, training.variances)?;
            Ok((inside, mean, variance))
        })
        .collect::<Result<_, EvidenceError>>()?;
    for (inside, mean, variance) in folds {
        for (from, to) in inside.into_iter().enumerate() {
            train.row_mut(to).assign(&mean.row(from));
            train_variance.row_mut(to).assign(&variance.row(from));
        }
    }
    let all: Vec<usize> = (0..shape.0).collect();
    let predictor = training.fit(config, &all)?;
    Ok(Forecast {
        name,
        train,
        train_variance,
        predictor,
    })
}

/// Expectations and variances of `predictor`, both of shape (n, K); without `variances` these may
/// be zeros.
///
/// # Errors
/// [`EvidenceError::Engine`] when a context does not fit the predictor.
pub fn predict_all(
    predictor: &Predictor,
    contexts: &[&Context],
    variances: bool,
) -> Result<(Array2<f64>, Array2<f64>), EvidenceError> {
    let chunks: Vec<Vec<Prediction>> = contexts
        .par_chunks(CHUNK)
        .map(|chunk| {
            let mut out = Vec::with_capacity(chunk.len() * predictor.arms());
            predictor
                .predict_batch(chunk, variances, &mut out)
                .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?;
            Ok(out)
        })
        .collect::<Result<_, EvidenceError>>()?;
    let shape = (contexts.len(), predictor.arms());
    let table = |pick: fn(&Prediction) -> f64| {
        let flat = chunks.iter().flatten().map(pick).collect();
        Array2::from_shape_vec(shape, flat).expect("one prediction per row and arm")
    };
    Ok((table(|p| p.mean), table(|p| p.variance)))
}

impl Training<'_> {
    /// Rows inside and outside of a fold.
    #[must_use]
    pub fn parts(&self, fold: usize) -> (Vec<usize>, Vec<usize>) {
        (0..self.fold.len()).partition(|&i| usize::from(self.fold[i]) == fold)
    }

    fn fit(&self, config: &PredictorConfig, rows: &[usize]) -> Result<Predictor, EvidenceError> {
        let contexts: Vec<Context> = rows.iter().map(|&i| self.contexts[i].clone()).collect();
        let quality: Vec<Option<f64>> = rows
            .iter()
            .flat_map(|&i| self.quality.row(i).to_vec())
            .map(|label| (!label.is_nan()).then_some(label))
            .collect();
        let rows = TrainingRows {
            contexts: &contexts,
            arms: self.quality.ncols(),
            quality: &quality,
            weights: None,
        };
        Predictor::fit(config, &rows).map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))
    }
}

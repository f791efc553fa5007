//! How much margin a policy needs on the training rows for the floor to be proven on the evaluated
//! ones.

use ndarray::Array2;

use crate::floor;
use crate::intervals::Robust;
use crate::judge::Clusters;
use crate::promise::{Line, normal_quantile};
use crate::study::Study;
use crate::tune::play;

/// Share of samples in which a policy that aims at proof is to be proven.
const POWER: f64 = 0.8;
/// Parts of the training rows, each as large as the evaluated ones, on which a bound is tried.
const PARTS_MAX: usize = 4;

/// Standard errors of the training margin that a setting must clear to be proven on the evaluated
/// rows in four of five samples: (b √(2 ln(1/α)) + z₀.₈) √(n_train/n_eval), n in clusters.
///
/// The betting bound on observed answers is about √(2 ln(1/α)) standard errors of the evaluated
/// mean wide; b = `widening` is how much wider the bound at hand is.
pub(crate) fn standard_errors(study: &Study<'_>, confidence: f64, widening: f64) -> f64 {
    let (train, test) = (study.train.clusters.count, study.test.clusters.count);
    let ratio = (count(train) / count(test)).sqrt();
    (widening * width(confidence) + normal_quantile(POWER)) * ratio
}

/// √(2 ln(1/α)).
fn width(confidence: f64) -> f64 {
    (2.0 * (1.0 / (1.0 - confidence)).ln()).sqrt()
}

/// b of [`standard_errors`] for a policy of `probabilities` on the training rows, shape (n, K): the
/// floor's own bound is run on parts of them that have as many clusters as will be evaluated, and
/// its distance from the mean is divided by √(2 ln(1/α)) standard errors of that mean.
///
/// 1 where every answer is known, and at least 1 elsewhere. Evaluated rows are not looked at.
pub(crate) fn widening(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    line: Line,
    confidence: f64,
) -> f64 {
    let side = &study.train;
    if side.logged.is_none() {
        return 1.0;
    }
    let quality = play(probabilities, side.quality.view(), side.quality.view()).quality;
    let margin = quality - line.per_request(&side.quality);
    let parts = (side.clusters.count / study.test.clusters.count.max(1)).clamp(1, PARTS_MAX);
    let ratios: Vec<f64> = (0..parts)
        .filter_map(|part| {
            let rows: Vec<usize> = (0..side.rows.len())
                .filter(|row| side.clusters.of[*row] % parts == part)
                .collect();
            let clusters = Clusters::of_rows(&side.clusters.of, &rows);
            let margins: Vec<f64> = rows.iter().map(|&row| margin[row]).collect();
            let mean = Robust::mean(&margins, Some(&clusters))?;
            let bound = floor::bound_on(study, side, probabilities, line, Some(&rows), confidence);
            // A part may have more clusters than will be evaluated; widths in standard errors
            // hardly depend on their number.
            let ratio = (mean.point - bound.low) / (mean.standard_error * width(confidence));
            ratio.is_finite().then_some(ratio)
        })
        .collect();
    let total: f64 = ratios.iter().sum();
    (total / count(ratios.len().max(1))).max(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

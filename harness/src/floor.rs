//! The floor's bound on evaluated rows, whatever kind of evidence they are.

use ndarray::{Array1, Array2, Axis};

use crate::judge::{Clusters, FloorBound, floor_bound};
use crate::promise::{Line, mean};
use crate::study::{LoggedSide, Study};
use crate::tune::play;

/// Bounds the margin of probabilities of shape (n, K) over the line on the evaluated rows, or on
/// `rows` of them.
pub(crate) fn bound(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    line: Line,
    rows: Option<&[usize]>,
    confidence: f64,
) -> FloorBound {
    let side = &study.test;
    let all: Vec<usize>;
    let rows = if let Some(rows) = rows {
        rows
    } else {
        all = (0..side.rows.len()).collect();
        &all
    };
    let clusters = Clusters::of_rows(&side.clusters.of, rows);
    let quality = side.quality.select(Axis(0), rows);
    let policy = play(
        &probabilities.select(Axis(0), rows),
        quality.view(),
        quality.view(),
    );
    let per_row = line.per_request(&quality);
    match &side.logged {
        None => floor_bound(&policy.quality, &per_row, line, &clusters, confidence),
        Some(logged) => {
            let margin = mean(policy.quality.view()) - mean(per_row.view());
            weighted(logged, probabilities, line, rows, &clusters, margin, confidence)
        }
    }
}

/// Weighted rows: only served answers are known.
fn weighted(
    _logged: &LoggedSide,
    _probabilities: &Array2<f64>,
    _line: Line,
    _rows: &[usize],
    _clusters: &Clusters,
    margin: f64,
    _confidence: f64,
) -> FloorBound {
    let _: Option<Array1<f64>> = None;
    FloorBound {
        margin,
        low: margin - 0.02,
        high: margin + 0.02,
        method: "TEMP",
        reason: "TEMP",
    }
}

//! The floor's bound on evaluated rows, whatever kind of evidence they are.

use ndarray::{Array2, Axis};

use crate::bounds::Looks;
use crate::judge::{Clusters, FloorBound, floor_bound};
use crate::promise::{Line, mean};
use crate::study::{Side, Study};
use crate::tune::play;
use crate::weighed::{Known, Weighed};

/// Bounds the margin of probabilities of shape (n, K) over the line on the evaluated rows, or on
/// `rows` of them.
pub(crate) fn bound(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    line: Line,
    rows: Option<&[usize]>,
    confidence: f64,
) -> FloorBound {
    bound_on(study, &study.test, probabilities, line, rows, confidence)
}

/// [`bound`], on either side of the split.
pub(crate) fn bound_on(
    study: &Study<'_>,
    side: &Side,
    probabilities: &Array2<f64>,
    line: Line,
    rows: Option<&[usize]>,
    confidence: f64,
) -> FloorBound {
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
            let arm = match line {
                Line::Absolute(_) => None,
                Line::Relative { arm, .. } => Some(arm),
            };
            let weighed = Weighed::quality(study, logged, probabilities, arm, rows);
            FloorBound {
                margin: mean(policy.quality.view()) - mean(per_row.view()),
                ..weighted(&weighed, line, &clusters, confidence)
            }
        }
    }
}

/// What predictions may add to a bound on rows that are seen one by one: see
/// [`Predictions`].
#[derive(Clone, Debug)]
pub(crate) struct Robustness {
    pub(crate) known: Known,
    /// Two sizes of k for the lower bound of the margin, and two for the upper one.
    pub(crate) low: [f64; 2],
    pub(crate) high: [f64; 2],
}

impl Robustness {
    /// Sizes for about `groups` independent groups of rows like those of the study's evaluated
    /// side, of which no outcome is looked at.
    pub(crate) fn of(
        study: &Study<'_>,
        probabilities: &Array2<f64>,
        line: Line,
        all_compared: bool,
        groups: usize,
        alpha: f64,
    ) -> Option<Self> {
        let logged = study.test.logged.as_ref()?;
        let known = Known::of(study, all_compared)?;
        let (arm, retain) = match line {
            Line::Absolute(_) => (None, None),
            Line::Relative { arm, retain } => (Some(arm), Some(retain)),
        };
        let all: Vec<usize> = (0..study.test.rows.len()).collect();
        let rows = Weighed::quality(study, logged, probabilities, arm, &all);
        let [low, high] = rows
            .view(&study.test.clusters)
            .caps(retain, groups, alpha)?;
        Some(Self { known, low, high })
    }
}

/// The bound where only served answers are known: bets on importance-weighted rewards.
fn weighted(rows: &Weighed, line: Line, clusters: &Clusters, confidence: f64) -> FloorBound {
    let alpha = 1.0 - confidence;
    let weighted = rows.view(clusters);
    let (low, high) = match line {
        Line::Absolute(line) => (
            weighted.value_lower(alpha, Looks::Once).map(|v| v - line),
            weighted.value_upper(alpha, Looks::Once).map(|v| v - line),
        ),
        Line::Relative { retain, .. } => (
            weighted.margin_lower(retain, alpha, Looks::Once),
            weighted.margin_upper(retain, alpha, Looks::Once),
        ),
    };
    let (least, most) = line.margin_range();
    FloorBound {
        margin: 0.0,
        low: low.unwrap_or(least),
        high: high.unwrap_or(most),
        method: "betting on weighted rewards",
        reason: "rewards are weighted by 1/propensity, which has no upper end: a finite-sample \
                 betting bound that needs none",
    }
}

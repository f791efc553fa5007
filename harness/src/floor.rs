//! The floor's bound on evaluated rows, whatever kind of evidence they are.

use ndarray::{Array2, Axis};

use crate::bootstrap::Bootstrap;
use crate::bounds::Looks;
use crate::evaluation::Interval;
use crate::intervals::{
    Baseline, Chosen, Predictions, Purpose, Question, Sample, WeightedRewards, interval,
};
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
            let arm = match line {
                Line::Absolute(_) => None,
                Line::Relative { arm, .. } => Some(arm),
            };
            let known = known_propensities(study, logged, rows);
            let weighed = WeightedRows::new(logged, probabilities, arm, rows, known);
            FloorBound {
                margin: mean(policy.quality.view()) - mean(per_row.view()),
                ..weighted(&weighed, line, &clusters, confidence)
            }
        }
    }
}

/// Rows that must share an arm's least propensity before it counts as an exploration floor.
const FLOOR_ROWS_MIN: usize = 30;

/// What was known of every arm's propensity before the evaluated rows, shape (m, K): with two arms
/// all of it; with more, each arm's least one among the training rows, where so many rows share it
/// that it is a floor of exploration and no chance. `None` when nothing is known; bounds are wider
/// then.
fn known_propensities(
    study: &Study<'_>,
    logged: &LoggedSide,
    rows: &[usize],
) -> Option<Array2<f64>> {
    let train = study.train.logged.as_ref()?;
    study.table.logged.as_ref()?.propensity.as_ref()?;
    let arms = study.table.arms.len();
    let shape = (rows.len(), arms);
    if let Some(known) = two_arm_propensities(logged, arms, rows) {
        return Some(known);
    }
    let floor = |arm: usize| {
        let of_arm = || {
            let rows = train.chosen.iter().zip(&train.propensity);
            rows.filter(move |(chosen, _)| **chosen == Some(arm))
                .map(|(_, p)| *p)
        };
        let least = of_arm().fold(f64::INFINITY, f64::min);
        let sharing = of_arm().filter(|p| *p <= least * (1.0 + 1e-9)).count();
        if sharing >= FLOOR_ROWS_MIN {
            least
        } else {
            0.0
        }
    };
    let floors: Vec<f64> = (0..arms).map(floor).collect();
    let any = floors.iter().any(|p| *p > 0.0);
    any.then(|| Array2::from_shape_fn(shape, |(_, arm)| floors[arm]))
}

/// Both arms' propensities, shape (m, 2), where there are two; `None` elsewhere.
pub(crate) fn two_arm_propensities(
    logged: &LoggedSide,
    arms: usize,
    rows: &[usize],
) -> Option<Array2<f64>> {
    (arms == 2 && logged.chosen.iter().all(Option::is_some)).then(|| {
        Array2::from_shape_fn((rows.len(), arms), |(row, arm)| {
            let p = logged.propensity[rows[row]];
            if logged.chosen[rows[row]] == Some(arm) {
                p
            } else {
                1.0 - p
            }
        })
    })
}

/// The bound where only served answers are known: bets on importance-weighted rewards.
fn weighted(rows: &WeightedRows, line: Line, clusters: &Clusters, confidence: f64) -> FloorBound {
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

/// The two-sided intervals of the policy's quality, and of its difference to one arm, that logged
/// choices allow; `None` where every answer is known.
pub(crate) fn quality_intervals(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
    scores: &[f64],
    arm: Option<usize>,
    bootstrap: Bootstrap,
    confidence: f64,
) -> Option<(Chosen<Interval>, Option<Interval>)> {
    let logged = study.test.logged.as_ref()?;
    let all: Vec<usize> = (0..study.test.rows.len()).collect();
    let clusters = &study.test.clusters;
    let known = || known_propensities(study, logged, &all);
    let alone = WeightedRows::new(logged, probabilities, None, &all, known());
    let question = Question {
        purpose: Purpose::Description,
        confidence,
        looked_before: false,
        bootstrap,
    };
    let sample = Sample::Value {
        rewards: alone.view(clusters),
        terms: Some(scores),
    };
    let quality = interval(&sample, &question);
    let tail = (1.0 - confidence) / 2.0;
    let change = arm.and_then(|arm| {
        let rows = WeightedRows::new(logged, probabilities, Some(arm), &all, known());
        let view = rows.view(clusters);
        Some(Interval {
            point: 0.0,
            low: view.margin_lower(1.0, tail, Looks::Once)?,
            high: view.margin_upper(1.0, tail, Looks::Once)?,
        })
    });
    Some((quality, change))
}

/// Logged rewards as a policy, and an arm to compare it with, weigh them.
pub(crate) struct WeightedRows {
    rewards: Vec<f64>,
    policy: Vec<f64>,
    /// The arm, its weights, and how likely the policy plays it.
    arm: Option<(usize, Vec<f64>, Vec<f64>)>,
    predicted: Array2<f64>,
    target: Array2<f64>,
    known: Option<Array2<f64>>,
    chosen: Vec<usize>,
}

impl WeightedRows {
    /// `rows` of the logged ones; `known` are propensities known beforehand, shape (m, K).
    pub(crate) fn new(
        logged: &LoggedSide,
        probabilities: &Array2<f64>,
        arm: Option<usize>,
        rows: &[usize],
        known: Option<Array2<f64>>,
    ) -> Self {
        let inverse = |i: usize, arm: usize| {
            let served = logged.chosen[i] == Some(arm);
            f64::from(u8::from(served)) / logged.propensity[i]
        };
        let weight = |i: usize| {
            let chosen = logged.chosen[i];
            chosen.map_or(0.0, |arm| probabilities[[i, arm]] * inverse(i, arm))
        };
        Self {
            rewards: rows.iter().map(|&i| logged.served.quality[i]).collect(),
            policy: rows.iter().map(|&i| weight(i)).collect(),
            arm: arm.map(|arm| {
                let each = rows.iter();
                let (weights, agreement) = each
                    .map(|&i| (inverse(i, arm), probabilities[[i, arm]].clamp(0.0, 1.0)))
                    .unzip();
                (arm, weights, agreement)
            }),
            predicted: logged
                .predicted
                .select(Axis(0), rows)
                .mapv(|q| q.clamp(0.0, 1.0)),
            target: probabilities
                .select(Axis(0), rows)
                .mapv(|p| p.clamp(0.0, 1.0)),
            known,
            chosen: rows
                .iter()
                .map(|&i| logged.chosen[i].unwrap_or(0))
                .collect(),
        }
    }

    pub(crate) fn view<'a>(&'a self, clusters: &'a Clusters) -> WeightedRewards<'a> {
        WeightedRewards {
            rewards: &self.rewards,
            policy: &self.policy,
            baseline: self
                .arm
                .as_ref()
                .map(|(_, weights, agreement)| Baseline { weights, agreement }),
            clusters: Some(clusters),
            predictions: self.known.as_ref().map(|known| Predictions {
                rewards: self.predicted.view(),
                policy: self.target.view(),
                propensities: known.view(),
                logged: &self.chosen,
                baseline: self.arm.as_ref().map_or(usize::MAX, |(arm, ..)| *arm),
            }),
        }
    }
}

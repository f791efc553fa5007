//! Logged outcomes as a target policy weighs them, with what is known beforehand.

use ndarray::{Array2, ArrayView1, ArrayView2, Axis};

use crate::intervals::{Baseline, Predictions, WeightedRewards};
use crate::judge::Clusters;
use crate::study::{LoggedSide, Side, Study};

/// Logged outcomes as a policy, and an arm to compare it with, weigh them.
pub(crate) struct Weighed {
    outcomes: Vec<f64>,
    policy: Vec<f64>,
    /// The arm, its weights, and how likely the policy plays it.
    arm: Option<(usize, Vec<f64>, Vec<f64>)>,
    predicted: Array2<f64>,
    target: Array2<f64>,
    known: Option<Array2<f64>>,
    chosen: Vec<usize>,
}

impl Weighed {
    /// Quality on `rows` of a side.
    pub(crate) fn quality(
        study: &Study<'_>,
        logged: &LoggedSide,
        probabilities: &Array2<f64>,
        arm: Option<usize>,
        rows: &[usize],
    ) -> Self {
        let known = known_propensities(study, logged, rows);
        Self::quality_knowing(logged, probabilities, arm, rows, known)
    }

    /// Quality on `rows` of the logged ones; `known` are propensities known beforehand, shape
    /// (m, K).
    pub(crate) fn quality_knowing(
        logged: &LoggedSide,
        probabilities: &Array2<f64>,
        arm: Option<usize>,
        rows: &[usize],
        known: Option<Array2<f64>>,
    ) -> Self {
        let outcome = Outcome {
            served: logged.served.quality.view(),
            predicted: logged.predicted.view(),
            most: 1.0,
        };
        Self::new(logged, probabilities, arm, rows, &outcome, known)
    }

    /// Costs of a whole side over `most`, the largest that an answer can cost.
    pub(crate) fn cost(
        study: &Study<'_>,
        side: &Side,
        logged: &LoggedSide,
        probabilities: &Array2<f64>,
        arm: Option<usize>,
        most: f64,
    ) -> Self {
        let rows: Vec<usize> = (0..side.rows.len()).collect();
        let outcome = Outcome {
            served: logged.served.cost.view(),
            predicted: side.expected_cost.view(),
            most,
        };
        let known = known_propensities(study, logged, &rows);
        Self::new(logged, probabilities, arm, &rows, &outcome, known)
    }

    fn new(
        logged: &LoggedSide,
        probabilities: &Array2<f64>,
        arm: Option<usize>,
        rows: &[usize],
        outcome: &Outcome<'_>,
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
            outcomes: rows
                .iter()
                .map(|&i| (outcome.served[i] / outcome.most).clamp(0.0, 1.0))
                .collect(),
            policy: rows.iter().map(|&i| weight(i)).collect(),
            arm: arm.map(|arm| {
                let each = rows.iter();
                let (weights, agreement) = each
                    .map(|&i| (inverse(i, arm), probabilities[[i, arm]].clamp(0.0, 1.0)))
                    .unzip();
                (arm, weights, agreement)
            }),
            predicted: outcome
                .predicted
                .select(Axis(0), rows)
                .mapv(|q| (q / outcome.most).clamp(0.0, 1.0)),
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

    /// As the bounds see them.
    pub(crate) fn view<'a>(&'a self, clusters: &'a Clusters) -> WeightedRewards<'a> {
        WeightedRewards {
            rewards: &self.outcomes,
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

/// What is weighed.
struct Outcome<'a> {
    /// Shape (n).
    served: ArrayView1<'a, f64>,
    /// Expected outcome, shape (n, K), by a predictor that has not seen the row.
    predicted: ArrayView2<'a, f64>,
    /// Its largest possible value.
    most: f64,
}

/// Rows that must share an arm's least propensity before it counts as an exploration floor.
const FLOOR_ROWS_MIN: usize = 30;

/// What was known of every arm's propensity before the evaluated rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Known {
    /// Of two arms, one has what the other leaves.
    Both,
    /// Lower ends, shape (K): each arm's least propensity among the training rows, where so many
    /// rows share it that it is a floor of exploration and no chance; 0 elsewhere.
    Floors(Vec<f64>),
}

impl Known {
    /// `None` when nothing is known; bounds are wider then. `all_compared`: whether no evaluated
    /// row was served by an arm that is not compared.
    pub(crate) fn of(study: &Study<'_>, all_compared: bool) -> Option<Self> {
        let train = study.train.logged.as_ref()?;
        study.table.logged.as_ref()?.propensity.as_ref()?;
        let arms = study.table.arms.len();
        if arms == 2 && all_compared {
            return Some(Self::Both);
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
        any.then_some(Self::Floors(floors))
    }

    /// p̃(x, arm) on a row that `chosen` served with propensity p.
    pub(crate) fn propensity(&self, arm: usize, chosen: Option<usize>, p: f64) -> f64 {
        match self {
            Self::Both if chosen == Some(arm) => p,
            Self::Both => 1.0 - p,
            Self::Floors(floors) => floors[arm],
        }
    }
}

/// The same for every evaluated row, shape (m, K).
fn known_propensities(
    study: &Study<'_>,
    logged: &LoggedSide,
    rows: &[usize],
) -> Option<Array2<f64>> {
    let known = Known::of(study, logged.chosen.iter().all(Option::is_some))?;
    let shape = (rows.len(), study.table.arms.len());
    Some(Array2::from_shape_fn(shape, |(row, arm)| {
        let row = rows[row];
        known.propensity(arm, logged.chosen[row], logged.propensity[row])
    }))
}

/// Both arms' propensities, shape (m, 2), where there are two; `None` elsewhere.
pub(crate) fn two_arm_propensities(
    logged: &LoggedSide,
    arms: usize,
    rows: &[usize],
) -> Option<Array2<f64>> {
    (arms == 2 && logged.chosen.iter().all(Option::is_some)).then(|| {
        Array2::from_shape_fn((rows.len(), arms), |(row, arm)| {
            let row = rows[row];
            Known::Both.propensity(arm, logged.chosen[row], logged.propensity[row])
        })
    })
}

//! What a policy and its baseline do on the evaluated rows.

use ndarray::{Array1, Array2};
use plimsoll::{BEST_SINGLE, Router};
use rayon::prelude::*;

use super::LOGGED;
use super::fit::{Fitted, column, training_rows};
use crate::error::EvidenceError;
use crate::promise::Play;
use crate::study::Study;
use crate::tune::{Expected, Setting, Tuned, play};

/// What the policy is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// One arm for every request.
    Arm(usize),
    /// The arms that production chose.
    Logged,
}

impl Baseline {
    pub(super) fn of(study: &Study<'_>, name: Option<&str>) -> Result<Self, EvidenceError> {
        match name {
            None | Some(BEST_SINGLE) => Ok(Self::Arm(study.best)),
            Some(LOGGED) if study.table.column(LOGGED).is_none() => {
                if study.test.logged.is_none() {
                    return Err(EvidenceError::NotLogged);
                }
                Ok(Self::Logged)
            }
            Some(arm) => column(study, arm).map(Self::Arm),
        }
    }

    pub(super) fn play(self, study: &Study<'_>) -> Play {
        match (self, &study.test.logged) {
            (Self::Arm(arm), _) => arm_play(study, arm),
            (Self::Logged, Some(logged)) => logged.served.clone(),
            (Self::Logged, None) => unreachable!("a logged baseline needs a logged table"),
        }
    }

    /// Share of evaluated requests that it sends to an arm.
    pub(crate) fn share(self, study: &Study<'_>, arm: usize) -> f64 {
        match (self, &study.test.logged) {
            (Self::Logged, Some(logged)) => {
                let sent = logged.chosen.iter().filter(|c| **c == Some(arm)).count();
                #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
                let share = sent as f64 / logged.chosen.len().max(1) as f64;
                share
            }
            (own, _) => f64::from(u8::from(own == Self::Arm(arm))),
        }
    }

    /// Whether the policy ever does something else.
    pub(crate) fn is_left(self, probabilities: &Array2<f64>) -> bool {
        match self {
            Self::Arm(arm) => probabilities.column(arm).iter().any(|p| *p < 1.0 - 1e-12),
            Self::Logged => true,
        }
    }
}

/// One arm on the evaluated rows.
pub(crate) fn arm_play(study: &Study<'_>, arm: usize) -> Play {
    Play {
        quality: study.test.quality.column(arm).to_owned(),
        cost: study.test.cost.column(arm).to_owned(),
    }
}

/// Probabilities of a tuned setting; of the anchor arm when nothing was feasible.
pub(crate) fn tuned_probabilities(
    study: &Study<'_>,
    expected: &Expected<'_>,
    tuned: Option<Tuned>,
) -> Array2<f64> {
    let tuned = tuned.unwrap_or_else(|| Tuned::pure(Setting::Arm(study.best)));
    let scale = training_rows(study, &Array1::zeros(0), 0.5).cost_scale;
    tuned.probabilities(expected, scale)
}

/// A tuned setting of a candidate on the evaluated rows; the anchor arm when nothing was feasible.
pub(crate) fn tuned_play(
    fitted: &Fitted<'_>,
    expected: &Expected<'_>,
    tuned: Option<Tuned>,
) -> Play {
    let study = &fitted.study;
    let probabilities = tuned_probabilities(study, expected, tuned);
    play(
        &probabilities,
        study.test.quality.view(),
        study.test.cost.view(),
    )
}

/// Probabilities of the router on the evaluated rows, shape (n, K).
pub(crate) fn served(study: &Study<'_>, router: &Router) -> Result<Array2<f64>, EvidenceError> {
    let rows: Vec<Vec<f64>> = study
        .test
        .contexts
        .par_iter()
        .map(|context| {
            router
                .distribution(context)
                .map(|d| d.probabilities().to_vec())
                .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))
        })
        .collect::<Result<_, _>>()?;
    let flat: Vec<f64> = rows.into_iter().flatten().collect();
    let shape = (study.test.rows.len(), study.table.arms.len());
    Ok(Array2::from_shape_vec(shape, flat).expect("one probability per row and arm"))
}

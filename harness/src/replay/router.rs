//! The router that serves what was tuned.

use ndarray::Array1;
use plimsoll::{
    ArmSpec, AverageFloor, Exploration, ExplorationChoice, ExplorationKind, PerRequestFloor,
    Router, RouterParts, Rule,
};

use super::ReplayOptions;
use super::fit::training_rows;
use crate::candidate::Candidate;
use crate::error::EvidenceError;
use crate::study::Study;
use crate::tune::{Setting, Tuned};

pub(crate) fn router(
    study: &Study<'_>,
    candidate: &Candidate,
    tuned: Option<Tuned>,
    options: &ReplayOptions,
) -> Result<Router, EvidenceError> {
    let config = &options.policy.exploration;
    let exploration = Exploration {
        kind: match config.kind {
            ExplorationChoice::Epsilon => ExplorationKind::Epsilon {
                epsilon: config.epsilon,
            },
            ExplorationChoice::InverseGap => ExplorationKind::InverseGap {
                gamma: config.gamma,
            },
            _ => ExplorationKind::None,
        },
        share_max: config.share_max,
        ..Exploration::NONE
    };
    let arms = study.table.arms.iter().cloned().map(ArmSpec::new).collect();
    Router::new(RouterParts {
        arms,
        features: Some(study.features.clone()),
        predictor: candidate.predictor.clone(),
        calibration: candidate.calibration.clone(),
        cost: study.costs.clone(),
        rule: rule(study, tuned),
        exploration,
        control: None,
    })
    .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))
}

/// The engine's rule for a tuned setting; the best arm for everything when nothing was feasible.
fn rule(study: &Study<'_>, tuned: Option<Tuned>) -> Rule {
    let arm = |column: usize| study.table.arms[column].clone();
    let Some(tuned) = tuned else {
        return Rule::Fixed(arm(study.best));
    };
    let scale = training_rows(study, &Array1::zeros(0), 0.5).cost_scale;
    let average = |low: f64, high: f64, share_high: f64| AverageFloor {
        lambda_low: low,
        lambda_high: high,
        share_high,
        cost_scale: scale,
    };
    match (tuned.setting, tuned.other) {
        (Setting::Arm(only), Setting::Arm(other)) if only == other => Rule::Fixed(arm(only)),
        (Setting::Arm(first), Setting::Arm(second)) => Rule::Mix(vec![
            (arm(first), tuned.share),
            (arm(second), 1.0 - tuned.share),
        ]),
        (Setting::Lambda(low), Setting::Lambda(high)) => {
            Rule::AverageFloor(average(low, high, 1.0 - tuned.share))
        }
        (Setting::Lambda(lambda), Setting::Arm(anchor)) => Rule::Anchored {
            rule: average(lambda, lambda, 0.0),
            arm: arm(anchor),
            share: 1.0 - tuned.share,
        },
        (Setting::Arm(anchor), Setting::Lambda(lambda)) => Rule::Anchored {
            rule: average(lambda, lambda, 0.0),
            arm: arm(anchor),
            share: tuned.share,
        },
        (Setting::Tau { tau, delta }, _) | (_, Setting::Tau { tau, delta }) => {
            Rule::PerRequestFloor(PerRequestFloor {
                quality: tau,
                delta,
            })
        }
    }
}

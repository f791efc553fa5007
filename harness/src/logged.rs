//! Logs that know only what the served arm answered: doubly robust scores in place of the answers
//! nobody saw, so that policies are tuned and judged on them as on a fully observed table.
//!
//! Γ_ia = q̂(x_i, a) + 1\[a = a_i\](r_i − q̂(x_i, a))/p_i has the mean that arm a would have had on
//! request i, when p_i is the probability with which the log chose a_i, whatever q̂ is; a good q̂
//! only narrows it (Robins, Rotnitzky & Zhao 1994; Dudík, Langford & Li 2011, arXiv:1103.4601).
//! q̂ never saw the row it scores. Costs are scored alike.

use ndarray::Array2;
use plimsoll::PredictorSection;
use plimsoll_datasets::EvidenceKind;

use crate::candidate::{Candidate, Forecasts, Pantry, Recipe, RuleChoice};
use crate::error::EvidenceError;
use crate::propensity::{self, PropensityError, PropensityModel};
use crate::study::{LoggedSide, Side, Study, best_single};

/// A propensity from which on the log had no choice.
pub(crate) const CERTAIN: f64 = 1.0 - 1e-9;
/// Share of a policy's probability that may fall where the log had no choice.
pub(crate) const UNSUPPORTED_SHARE_MAX: f64 = 0.01;

/// Replaces observed outcomes by doubly robust scores, where only served answers are known.
///
/// # Errors
/// [`EvidenceError::Engine`] when the engine refuses settings or rows.
pub(crate) fn score(
    study: &mut Study<'_>,
    section: &PredictorSection,
    forecasts: &mut Forecasts,
) -> Result<(), EvidenceError> {
    if study.train.logged.is_none() {
        return Ok(());
    }
    if evidence(study) == EvidenceKind::Observational {
        estimate_propensities(study)?;
    }
    let outcome = outcome_predictor(study, section, forecasts)?;
    score_side(&mut study.train, outcome.train, &outcome.name);
    score_side(&mut study.test, outcome.test, &outcome.name);
    study.outcome = Some((outcome.predictor, outcome.calibration));
    study.best = best_single(&study.train);
    Ok(())
}

/// Fills in propensities that the log does not record: each training row by a model that has not
/// seen its fold, evaluated rows by one of all training rows.
fn estimate_propensities(study: &mut Study<'_>) -> Result<(), EvidenceError> {
    let engine = |e: PropensityError| EvidenceError::engine(e.code(), &e, &e.help());
    // Arms that are not compared are one class of their own.
    let arms = study.table.arms.len();
    let others = |side: &Side| logged(side).chosen.iter().any(Option::is_none);
    let classes = arms + usize::from(others(&study.train) || others(&study.test));
    let chosen = |side: &Side| -> Vec<usize> {
        let chosen = logged(side).chosen.iter();
        chosen.map(|arm| arm.unwrap_or(arms)).collect()
    };
    let (train, test) = (features(&study.train), features(&study.test));
    let (of_train, of_test) = (chosen(&study.train), chosen(&study.test));
    let penalty = propensity::choose_penalty(train.view(), &of_train, classes, &study.fold);
    let penalty = penalty.map_err(engine)?;
    let crossed = propensity::cross_fit(train.view(), &of_train, classes, &study.fold, penalty);
    let model = PropensityModel::fit(train.view(), &of_train, classes, penalty).map_err(engine)?;
    let ahead = model.predict(test.view()).map_err(engine)?;
    let pick = |all: &Array2<f64>, chosen: &[usize]| {
        let each = chosen.iter().enumerate();
        each.map(|(row, &arm)| all[[row, arm]])
            .collect::<Vec<f64>>()
    };
    let crossed = pick(&crossed.map_err(engine)?, &of_train);
    for (side, propensity) in [
        (&mut study.train, crossed),
        (&mut study.test, pick(&ahead, &of_test)),
    ] {
        let logged = side.logged.as_mut().expect("both sides are logged");
        logged.propensity = propensity;
    }
    Ok(())
}

/// What the logging policy did on a side of a logged table.
fn logged(side: &Side) -> &LoggedSide {
    side.logged
        .as_ref()
        .expect("both sides of a logged table are logged")
}

/// Features of a side's contexts, shape (n, d).
fn features(side: &Side) -> Array2<f64> {
    let width = side.contexts.first().map_or(0, |c| c.features.len());
    let flat: Vec<f64> = side
        .contexts
        .iter()
        .flat_map(|context| context.features.iter().copied())
        .collect();
    Array2::from_shape_vec((side.contexts.len(), width), flat)
        .expect("contexts of one feature map have one width")
}

/// The candidate with the least squared error on training answers that its fold has not seen.
fn outcome_predictor(
    study: &Study<'_>,
    section: &PredictorSection,
    forecasts: &mut Forecasts,
) -> Result<Candidate, EvidenceError> {
    let mut pantry = Pantry::new(study, None, RuleChoice::AverageFloor, forecasts);
    let candidates = pantry.candidates(&Recipe::outcome(section), |candidate| candidate)?;
    let error = |candidate: &Candidate| {
        let pairs = candidate.train.iter().zip(&study.train.labels);
        pairs
            .filter(|(_, label)| !label.is_nan())
            .map(|(q, label)| (q - label).powi(2))
            .sum::<f64>()
    };
    Ok(candidates
        .into_iter()
        .reduce(|best, next| {
            if error(&next) < error(&best) {
                next
            } else {
                best
            }
        })
        .expect("there are candidates"))
}

fn score_side(side: &mut Side, predicted: Array2<f64>, name: &str) {
    let logged = side
        .logged
        .as_mut()
        .expect("both sides of a logged table are logged");
    (side.quality, side.cost) = scores(logged, &predicted, &side.expected_cost);
    logged.predicted = predicted;
    name.clone_into(&mut logged.predictor);
}

/// Doubly robust scores of quality and cost, shape (n, K), from expectations of the same shape.
pub(crate) fn scores(
    logged: &LoggedSide,
    quality: &Array2<f64>,
    cost: &Array2<f64>,
) -> (Array2<f64>, Array2<f64>) {
    let (mut of_quality, mut of_cost) = (quality.clone(), cost.clone());
    for (row, chosen) in logged.chosen.iter().enumerate() {
        if let Some(arm) = *chosen {
            let (at, weight) = ([row, arm], 1.0 / logged.propensity[row]);
            of_quality[at] += weight * (logged.served.quality[row] - quality[at]);
            of_cost[at] += weight * (logged.served.cost[row] - cost[at]);
        }
    }
    (of_quality, of_cost)
}

/// What kind of evidence a study rests on.
pub(crate) fn evidence(study: &Study<'_>) -> EvidenceKind {
    match &study.table.logged {
        None => EvidenceKind::FullInformation,
        Some(logged) if logged.propensity.is_some() => EvidenceKind::LoggedWithPropensities,
        Some(_) => EvidenceKind::Observational,
    }
}

/// Refuses a policy that would choose where the log had no choice.
///
/// # Errors
/// [`EvidenceError::NoOverlap`] with bounds on the policy's quality.
pub(crate) fn refuse_without_overlap(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
) -> Result<(), EvidenceError> {
    match &study.test.logged {
        None => Ok(()),
        Some(logged) => refuse_unsupported(logged, &study.test.quality, probabilities),
    }
}

/// The same for rows of any log that knows served answers alone, with their scores.
///
/// # Errors
/// [`EvidenceError::NoOverlap`] with bounds on the policy's quality.
pub(crate) fn refuse_unsupported(
    logged: &LoggedSide,
    scores: &Array2<f64>,
    probabilities: &Array2<f64>,
) -> Result<(), EvidenceError> {
    let (mut lost, mut low) = (0.0, 0.0);
    for (row, (chosen, p)) in logged.chosen.iter().zip(&logged.propensity).enumerate() {
        if *p >= CERTAIN {
            let kept = chosen.map_or(0.0, |arm| probabilities[[row, arm]]);
            lost += 1.0 - kept;
            low += kept * logged.served.quality[row];
        } else {
            low += probabilities.row(row).dot(&scores.row(row));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let n = logged.chosen.len() as f64;
    let (share, low) = (lost / n, (low / n).clamp(0.0, 1.0));
    if share <= UNSUPPORTED_SHARE_MAX {
        return Ok(());
    }
    Err(EvidenceError::NoOverlap {
        share,
        quality: [low, (low + share).min(1.0)],
    })
}

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
use crate::study::{Side, Study, best_single};

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
    let outcome = outcome_predictor(study, section, forecasts)?;
    score_side(&mut study.train, outcome.train, &outcome.name);
    score_side(&mut study.test, outcome.test, &outcome.name);
    study.outcome = Some((outcome.predictor, outcome.calibration));
    study.best = best_single(&study.train);
    Ok(())
}

/// The candidate with the least squared error on training answers that its fold has not seen.
fn outcome_predictor(
    study: &Study<'_>,
    section: &PredictorSection,
    forecasts: &mut Forecasts,
) -> Result<Candidate, EvidenceError> {
    let mut pantry = Pantry::new(study, None, RuleChoice::AverageFloor, forecasts);
    let candidates = Recipe::outcome(section)
        .iter()
        .map(|recipe| pantry.candidate(recipe))
        .collect::<Result<Vec<Candidate>, _>>()?;
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
    let mut quality = predicted.clone();
    let mut cost = side.expected_cost.clone();
    for (row, chosen) in logged.chosen.iter().enumerate() {
        if let Some(arm) = *chosen {
            let weight = 1.0 / logged.propensity[row];
            quality[[row, arm]] += weight * (logged.served.quality[row] - predicted[[row, arm]]);
            cost[[row, arm]] += weight * (logged.served.cost[row] - side.expected_cost[[row, arm]]);
        }
    }
    logged.predicted = predicted;
    name.clone_into(&mut logged.predictor);
    side.quality = quality;
    side.cost = cost;
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
    let Some(logged) = &study.test.logged else {
        return Ok(());
    };
    let (mut lost, mut low) = (0.0, 0.0);
    for (row, (chosen, p)) in logged.chosen.iter().zip(&logged.propensity).enumerate() {
        if *p >= CERTAIN {
            let kept = chosen.map_or(0.0, |arm| probabilities[[row, arm]]);
            lost += 1.0 - kept;
            low += kept * logged.served.quality[row];
        } else {
            low += probabilities.row(row).dot(&study.test.quality.row(row));
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

//! What is fitted and tuned, on the training rows alone.

use std::sync::{Mutex, PoisonError};

use ndarray::Array1;
use plimsoll::{Aim, BEST_SINGLE, DELTA, ObjectiveConfig, Router, RuleKind};
use rayon::prelude::*;

use super::plays::tuned_probabilities;
use super::router::router;
use super::{ReplayInput, ReplayOptions, Stage};
use crate::candidate::{Candidate, Forecasts, Pantry, Recipe, RuleChoice};
use crate::error::EvidenceError;
use crate::evaluation::PredictorRow;
use crate::logged;
use crate::promise::{Line, mean, normal_quantile};
use crate::proof;
use crate::study::Study;
use crate::table::OutcomeTable;
use crate::tune::{Rows, Tuned};

/// Everything fitted and tuned on the training rows.
pub(crate) struct Fitted<'a> {
    pub(crate) study: Study<'a>,
    pub(crate) line: Line,
    pub(crate) rule: RuleChoice,
    pub(crate) confidence: f64,
    pub(crate) aim: Aim,
    /// See [`standard_errors`].
    pub(crate) widening: f64,
    pub(crate) candidates: Vec<(Candidate, Option<Tuned>)>,
    pub(crate) chosen: usize,
    pub(crate) tuned: Option<Tuned>,
    pub(crate) tasks: Option<(Candidate, Option<Tuned>)>,
    pub(crate) knn: Option<(Candidate, Option<Tuned>)>,
    pub(crate) router: Router,
}

pub(crate) fn fit<'a>(
    input: &ReplayInput<'a>,
    table: &'a OutcomeTable,
    options: &ReplayOptions,
    forecasts: &mut Forecasts,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Fitted<'a>, EvidenceError> {
    refuse_untunable(options.policy.objective.rule)?;
    progress(Stage::Features);
    let mut study = Study::new(input.log, table, &options.split, options.seed)?;
    logged::score(&mut study, &options.policy.predictor, forecasts)?;
    let objective = &options.policy.objective;
    let line = line(&study, options)?;
    let rule = match objective.rule {
        RuleKind::PerRequestFloor => RuleChoice::PerRequestFloor {
            delta: objective.delta.unwrap_or(DELTA),
        },
        _ => RuleChoice::AverageFloor,
    };
    let section = &options.policy.predictor;
    let tries_knn = table.rows() <= options.knn_rows_max;
    let recipes = match section.kind.kind() {
        Some(kind) => vec![Recipe::of(kind, section)],
        None => Recipe::auto(section, tries_knn),
    };
    let per_row = line.per_request(&study.train.quality);
    let mut pantry = Pantry::new(&study, section.calibration, rule, forecasts);
    let has_tasks = study.train.contexts.iter().any(|c| c.task.is_some());
    let mut wanted = recipes.clone();
    let mut place = |recipe: Recipe| {
        let known = wanted.iter().position(|other| *other == recipe);
        known.unwrap_or_else(|| {
            wanted.push(recipe);
            wanted.len() - 1
        })
    };
    let tasks = has_tasks.then(|| place(Recipe::tasks(section)));
    let knn = tries_knn.then(|| place(Recipe::knn(section)));
    let (total, done) = (wanted.len(), Mutex::new(0));
    progress(Stage::Predictors { done: 0, total });
    let predictors = pantry.candidates(&wanted, |candidate| {
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += 1;
        progress(Stage::Predictors { done: *done, total });
        candidate
    })?;
    let tried = &predictors[..recipes.len()];
    let widening = widening(&study, tried, line, rule, objective);
    let z = standard_errors(&study, objective.confidence, objective.aim, widening);
    let rows = training_rows(&study, &per_row, z);
    let mut candidates: Vec<(Candidate, Option<Tuned>)> = predictors
        .into_par_iter()
        .map(|candidate| {
            let tuned = candidate.tune(&study, &rows, rule);
            (candidate, tuned)
        })
        .collect();
    let tasks = tasks.map(|at| candidates[at].clone());
    let knn = knn.map(|at| candidates[at].clone());
    candidates.truncate(recipes.len());
    let each: Vec<Option<Tuned>> = candidates.iter().map(|(_, tuned)| *tuned).collect();
    let chosen = cheapest_candidate(&each);
    let tuned = each[chosen];
    let router = router(&study, &candidates[chosen].0, tuned, options)?;
    Ok(Fitted {
        line,
        rule,
        confidence: objective.confidence,
        aim: objective.aim,
        widening,
        candidates,
        chosen,
        tuned,
        tasks,
        knn,
        router,
        study,
    })
}

/// Only floors are tuned on a log; the other rules are for routers that go on learning.
fn refuse_untunable(rule: RuleKind) -> Result<(), EvidenceError> {
    match rule {
        RuleKind::PerRequestFloor | RuleKind::AverageFloor => Ok(()),
        rule => Err(EvidenceError::OnlineRule { rule: rule.name() }),
    }
}

pub(crate) fn line(study: &Study<'_>, options: &ReplayOptions) -> Result<Line, EvidenceError> {
    let objective = &options.policy.objective;
    match (objective.quality, &objective.relative_to, objective.retain) {
        (Some(quality), _, _) => Ok(Line::Absolute(quality)),
        (None, Some(arm), retain) => {
            let arm = if arm == BEST_SINGLE {
                study.best
            } else {
                column(study, arm)?
            };
            Ok(Line::Relative {
                arm,
                retain: retain.unwrap_or(1.0),
            })
        }
        (None, None, retain) => Ok(Line::Relative {
            arm: study.best,
            retain: retain.unwrap_or(1.0),
        }),
    }
}

/// The column of a compared arm.
pub(crate) fn column(study: &Study<'_>, arm: &str) -> Result<usize, EvidenceError> {
    study.table.column(arm).ok_or_else(|| {
        let coverage = study.table.coverage.iter().find(|c| c.model == arm);
        match coverage {
            Some(row) => EvidenceError::NotCompared {
                arm: arm.to_owned(),
                why: row.left_out.clone().unwrap_or_default(),
            },
            None => EvidenceError::UnknownArm {
                got: arm.to_owned(),
                known: study
                    .table
                    .coverage
                    .iter()
                    .map(|c| c.model.clone())
                    .collect(),
            },
        }
    })
}

pub(crate) fn training_rows<'s>(study: &'s Study<'_>, line: &'s Array1<f64>, z: f64) -> Rows<'s> {
    let scale = mean(study.train.cost.column(study.best));
    Rows {
        quality: study.train.quality.view(),
        cost: study.train.cost.view(),
        line,
        clusters: &study.train.clusters,
        z,
        anchor: study.best,
        cost_scale: if scale > 0.0 { scale } else { 1.0 },
    }
}

/// Standard errors of the training margin that a setting must clear.
///
/// Aiming at savings, the normal quantile of `confidence`; aiming at proof, as many as it takes for
/// the floor's bound on the evaluated rows, which is `widening` times as wide as one on observed
/// answers.
pub(crate) fn standard_errors(study: &Study<'_>, confidence: f64, aim: Aim, widening: f64) -> f64 {
    let z = normal_quantile(confidence);
    match aim {
        Aim::Proof => proof::standard_errors(study, confidence, widening).max(z),
        _ => z,
    }
}

/// How much wider the floor's bound is than one on observed answers, for the policy that would be
/// taken if it were not, and for the one taken then: the wider of two, because the second keeps
/// closer to the line's arm.
fn widening(
    study: &Study<'_>,
    candidates: &[Candidate],
    line: Line,
    rule: RuleChoice,
    objective: &ObjectiveConfig,
) -> f64 {
    if study.train.logged.is_none() || !matches!(objective.aim, Aim::Proof) {
        return 1.0;
    }
    let per_row = line.per_request(&study.train.quality);
    let confidence = objective.confidence;
    (0..2).fold(1.0, |widening: f64, _| {
        let z = standard_errors(study, confidence, objective.aim, widening);
        let rows = training_rows(study, &per_row, z);
        let tuned: Vec<_> = candidates
            .iter()
            .map(|candidate| candidate.tune(study, &rows, rule))
            .collect();
        let chosen = cheapest_candidate(&tuned);
        let expected = candidates[chosen].on_train(study);
        let probabilities = tuned_probabilities(study, &expected, tuned[chosen]);
        widening.max(proof::widening(study, &probabilities, line, confidence))
    })
}

/// The candidate that keeps the promise at the least cost on the training rows; the first of
/// equals, so simpler ones come first.
fn cheapest_candidate(tuned: &[Option<Tuned>]) -> usize {
    let cost = |i: usize| tuned[i].map_or(f64::INFINITY, |t| t.cost);
    (0..tuned.len()).fold(0, |best, i| if cost(i) < cost(best) { i } else { best })
}

/// The predictors tried, for the diagnostics.
pub(crate) fn predictor_rows(fitted: &Fitted<'_>) -> Vec<PredictorRow> {
    let study = &fitted.study;
    let reference = mean(study.train.cost.column(study.best));
    fitted
        .candidates
        .iter()
        .enumerate()
        .map(|(i, (candidate, tuned))| PredictorRow {
            name: candidate.name.clone(),
            train_savings: tuned.map_or(0.0, |t| crate::judge::saved_share(t.cost, reference)),
            chosen: i == fitted.chosen,
        })
        .collect()
}

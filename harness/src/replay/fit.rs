//! What is fitted and tuned, on the training rows alone.

use ndarray::Array1;
use plimsoll::{Aim, BEST_SINGLE, DELTA, Router, RuleKind};

use super::router::router;
use super::{ReplayInput, ReplayOptions, Stage};
use crate::candidate::{Candidate, Forecasts, Pantry, Recipe, RuleChoice};
use crate::error::EvidenceError;
use crate::evaluation::PredictorRow;
use crate::logged;
use crate::promise::{Line, mean, normal_quantile};
use crate::study::Study;
use crate::table::OutcomeTable;
use crate::tune::{Rows, Tuned};

/// How much wider the bound on weighted rewards is than the one on observed answers, in standard
/// errors of the doubly robust margin: measured on simulated logs of 2,400 to 8,000 requests.
const WEIGHTED_WIDTH: f64 = 1.4;

/// Share of samples in which a policy that aims at proof is to be proven.
const PROOF_POWER: f64 = 0.8;

/// Everything fitted and tuned on the training rows.
pub(crate) struct Fitted<'a> {
    pub(crate) study: Study<'a>,
    pub(crate) line: Line,
    pub(crate) rule: RuleChoice,
    pub(crate) confidence: f64,
    pub(crate) aim: Aim,
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
    let recipes = match section.kind.kind() {
        Some(kind) => vec![Recipe::of(kind, section)],
        None => Recipe::auto(section, study.tries_knn()),
    };
    let per_row = line.per_request(&study.train.quality);
    let rows = training_rows(
        &study,
        &per_row,
        standard_errors(&study, objective.confidence, objective.aim),
    );
    let mut pantry = Pantry::new(&study, section.calibration, rule, forecasts);
    let total = recipes.len() + 2;
    let mut candidates = Vec::with_capacity(recipes.len());
    for (done, recipe) in recipes.iter().enumerate() {
        progress(Stage::Predictors { done, total });
        let candidate = pantry.candidate(recipe)?;
        let tuned = candidate.tune(&study, &rows, rule);
        candidates.push((candidate, tuned));
    }
    let reference = |recipe: Recipe, pantry: &mut Pantry<'_, '_>| {
        let candidate = pantry.candidate(&recipe)?;
        let tuned = candidate.tune(&study, &rows, rule);
        Ok::<_, EvidenceError>((candidate, tuned))
    };
    progress(Stage::Predictors {
        done: total - 2,
        total,
    });
    let has_tasks = study.train.contexts.iter().any(|c| c.task.is_some());
    let tasks = has_tasks
        .then(|| reference(Recipe::tasks(section), &mut pantry))
        .transpose()?;
    progress(Stage::Predictors {
        done: total - 1,
        total,
    });
    let knn = study
        .tries_knn()
        .then(|| reference(Recipe::knn(section), &mut pantry))
        .transpose()?;
    let chosen = cheapest_candidate(&candidates);
    let tuned = candidates[chosen].1;
    let router = router(&study, &candidates[chosen].0, tuned, options)?;
    Ok(Fitted {
        line,
        rule,
        confidence: objective.confidence,
        aim: objective.aim,
        candidates,
        chosen,
        tuned,
        tasks,
        knn,
        router,
        study,
    })
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
/// Aiming at savings, the normal quantile of `confidence`. Aiming at proof, as many as it takes
/// for the betting bound on the evaluated rows, which is about √(2 ln(1/α)) standard errors of
/// *their* mean wide, to clear the line in four of five samples.
pub(crate) fn standard_errors(study: &Study<'_>, confidence: f64, aim: Aim) -> f64 {
    let z = normal_quantile(confidence);
    match aim {
        Aim::Proof => {
            let mut width = (2.0 * (1.0 / (1.0 - confidence)).ln()).sqrt();
            if study.train.logged.is_some() {
                width *= WEIGHTED_WIDTH;
            }
            let (train, test) = (study.train.clusters.count, study.test.clusters.count);
            #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
            let ratio = (train as f64 / test as f64).sqrt();
            ((width + normal_quantile(PROOF_POWER)) * ratio).max(z)
        }
        _ => z,
    }
}

/// The candidate that keeps the promise at the least cost on the training rows; the first of
/// equals, so simpler ones come first.
fn cheapest_candidate(candidates: &[(Candidate, Option<Tuned>)]) -> usize {
    let cost = |i: usize| candidates[i].1.map_or(f64::INFINITY, |t| t.cost);
    (0..candidates.len()).fold(0, |best, i| if cost(i) < cost(best) { i } else { best })
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

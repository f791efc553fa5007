//! Replay: a recorded log in, an evaluation out.

use std::sync::{Mutex, PoisonError};

use ndarray::{Array1, Array2};
use plimsoll::{
    Aim, ArmId, ArmSpec, AverageFloor, BEST_SINGLE, DELTA, Exploration, ExplorationChoice,
    ExplorationKind, PerRequestFloor, PolicyConfig, Router, RouterParts, Rule, RuleKind, Seed, Usd,
};
use plimsoll_datasets::{EvidenceKind, OutcomeLog, Split};
use rayon::prelude::*;

use crate::bootstrap::Bootstrap;
use crate::candidate::{Candidate, Forecasts, Pantry, Recipe, RuleChoice};
use crate::error::EvidenceError;
use crate::evaluation::{
    Evaluation, Floor, Interval, IntervalChoice, Manifest, PolicyValue, PredictorRow,
    RequestCounts, RowCounts, SCHEMA_VERSION,
};
use crate::floor;
use crate::intervals::Method;
use crate::judge::{Findings, FloorBound, Paired, paired, verdict};
use crate::logged;
use crate::promise::{Line, Play, mean, normal_quantile};
use crate::sections;
use crate::study::Study;
use crate::table::{ArmChoice, OutcomeTable};
use crate::tune::{Expected, Rows, Setting, Sweep, Tuned, play};

/// The baseline that means what production did.
pub const LOGGED: &str = "logged";
/// Default number of bootstrap resamples.
pub const RESAMPLES: usize = 2000;
/// Default confidence of two-sided intervals.
pub const INTERVAL_CONFIDENCE: f64 = 0.95;
/// How much wider the bound on weighted rewards is than the one on observed answers, in standard
/// errors of the doubly robust margin: measured on simulated logs of 2,400 to 8,000 requests.
const WEIGHTED_WIDTH: f64 = 1.4;
/// Share of samples in which a policy that aims at proof is to be proven.
const PROOF_POWER: f64 = 0.8;
/// Largest relative difference between the logged cost and an invoice.
pub const INVOICE_TOLERANCE: f64 = 0.02;

/// A validated log and what its reader found.
#[derive(Clone, Debug)]
pub struct ReplayInput<'a> {
    /// The log.
    pub log: &'a OutcomeLog,
    /// What kind of evidence it is.
    pub evidence: EvidenceKind,
    /// Rows read and refused.
    pub rows: RowCounts,
    /// BLAKE3 of the price catalogue, when one was used.
    pub catalogue_digest: Option<String>,
}

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// The policy.
    pub policy: PolicyConfig,
    /// Its text, for the manifest.
    pub policy_toml: String,
    /// The arm to compare with; `None` or `best-single`: the best arm on the training rows;
    /// [`LOGGED`]: what production did.
    pub baseline: Option<String>,
    /// How rows are split.
    pub split: Split,
    /// The split as the user wrote it, for the manifest.
    pub split_text: String,
    /// The seed.
    pub seed: Seed,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Confidence of two-sided intervals.
    pub interval_confidence: f64,
    /// Whether prompts may stand in the evaluation.
    pub show_text: bool,
    /// Further columns to report by.
    pub segments: Vec<String>,
    /// Segments, as `column=value`, that may fall below the line without a veto.
    pub waived: Vec<String>,
    /// What the provider charged for the log's served rows.
    pub invoice_usd: Option<Usd>,
    /// The command, for the manifest.
    pub command: String,
}

impl ReplayOptions {
    /// A replay with default intervals, against the best single arm.
    #[must_use]
    pub fn new(policy: PolicyConfig, split: Split, seed: Seed) -> Self {
        Self {
            policy,
            policy_toml: String::new(),
            baseline: None,
            split_text: split.to_string(),
            split,
            seed,
            resamples: RESAMPLES,
            interval_confidence: INTERVAL_CONFIDENCE,
            show_text: false,
            segments: Vec::new(),
            waived: Vec::new(),
            invoice_usd: None,
            command: String::new(),
        }
    }
}

/// Where a replay stands, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Features and costs are fitted.
    Features,
    /// Predictors are cross-fitted: `done` of `total`.
    Predictors {
        /// Finished predictors.
        done: usize,
        /// All predictors.
        total: usize,
    },
    /// The policy is judged on the untouched rows.
    Judging,
}

/// An evaluation and the policy it judged, ready to serve.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The evaluation.
    pub evaluation: Evaluation,
    /// The fitted policy.
    pub router: Router,
    /// Ids of the evaluated requests, shape (n).
    pub request_ids: Vec<String>,
    /// Cluster of each evaluated request, shape (n).
    pub cluster: Vec<usize>,
    /// The policy's expected quality and cost per evaluated request, shape (n).
    pub play: Play,
    /// The baseline's.
    pub baseline: Play,
}

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

/// Evaluates a policy on a fully observed log.
///
/// Predictors, calibration, λ or τ are chosen on the training rows alone; the evaluated rows are
/// looked at once, by the router that would serve.
///
/// # Errors
/// [`EvidenceError`] when the log cannot support the evaluation.
pub fn replay(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Replay, EvidenceError> {
    replay_with(input, options, &mut Forecasts::default(), progress)
}

/// [`replay`], keeping forecasts for the next policy on the same rows: predictors are most of the
/// time, and do not depend on rule or floor.
///
/// # Errors
/// As [`replay`].
pub fn replay_with(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    forecasts: &mut Forecasts,
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Replay, EvidenceError> {
    let table = table(input, options)?;
    let fitted = fit(input, &table, options, forecasts, progress)?;
    progress(Stage::Judging);
    judge(input, options, &fitted)
}

pub(crate) fn table(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
) -> Result<OutcomeTable, EvidenceError> {
    let arms = &options.policy.arms;
    let names = |ids: &[ArmId]| ids.iter().map(ToString::to_string).collect();
    let choice = ArmChoice {
        include: arms.include.as_deref().map(names).unwrap_or_default(),
        exclude: names(&arms.exclude),
        coverage_min: arms.coverage_min,
    };
    OutcomeTable::new(input.log, input.evidence, &choice)
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
    let knn = study.tries_knn().then(|| place(Recipe::knn(section)));
    let (total, done) = (wanted.len(), Mutex::new(0));
    progress(Stage::Predictors { done: 0, total });
    let mut candidates = pantry.candidates(&wanted, |candidate| {
        let tuned = candidate.tune(&study, &rows, rule);
        let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
        *done += 1;
        progress(Stage::Predictors { done: *done, total });
        (candidate, tuned)
    })?;
    let tasks = tasks.map(|at| candidates[at].clone());
    let knn = knn.map(|at| candidates[at].clone());
    candidates.truncate(recipes.len());
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

/// What judging shares between sections.
pub(crate) struct Judged {
    pub(crate) probabilities: Array2<f64>,
    pub(crate) play: Play,
    pub(crate) baseline: Play,
    pub(crate) against: Baseline,
    pub(crate) line_per_row: Array1<f64>,
    pub(crate) floor: FloorBound,
    /// Every setting of the chosen candidate on the training rows.
    pub(crate) sweep: Sweep,
    pub(crate) bootstrap: Bootstrap,
    pub(crate) confidence: f64,
}

/// What the policy is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Baseline {
    /// One arm for every request.
    Arm(usize),
    /// The arms that production chose.
    Logged,
}

impl Baseline {
    fn of(study: &Study<'_>, name: Option<&str>) -> Result<Self, EvidenceError> {
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

    fn play(self, study: &Study<'_>) -> Play {
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

fn judge(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    fitted: &Fitted<'_>,
) -> Result<Replay, EvidenceError> {
    let study = &fitted.study;
    let (judged, evaluation) = judge_fitted(input, options, fitted)?;
    Ok(Replay {
        evaluation,
        router: fitted.router.clone(),
        request_ids: (0..study.test.rows.len())
            .map(|i| study.test_request(i).id.clone())
            .collect(),
        cluster: study.test.clusters.of.clone(),
        play: judged.play,
        baseline: judged.baseline,
    })
}

/// Judges a fitted policy on the evaluated rows.
pub(crate) fn judge_fitted(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    fitted: &Fitted<'_>,
) -> Result<(Judged, Evaluation), EvidenceError> {
    let study = &fitted.study;
    let against = Baseline::of(study, options.baseline.as_deref())?;
    let probabilities = served(study, &fitted.router)?;
    logged::refuse_without_overlap(study, &probabilities)?;
    let policy = play(
        &probabilities,
        study.test.quality.view(),
        study.test.cost.view(),
    );
    let line_per_row = fitted.line.per_request(&study.test.quality);
    let floor = floor::bound(study, &probabilities, fitted.line, None, fitted.confidence);
    let per_row = fitted.line.per_request(&study.train.quality);
    let judged = Judged {
        sweep: fitted.candidates[fitted.chosen].0.sweep(
            study,
            &training_rows(study, &per_row, 0.0),
            fitted.rule,
        ),
        baseline: against.play(study),
        bootstrap: Bootstrap {
            resamples: options.resamples,
            seed: options.seed.0,
        },
        confidence: options.interval_confidence,
        probabilities,
        play: policy,
        against,
        line_per_row,
        floor,
    };
    let evaluation = evaluation(input, options, fitted, &judged)?;
    Ok((judged, evaluation))
}

fn evaluation(
    input: &ReplayInput<'_>,
    options: &ReplayOptions,
    fitted: &Fitted<'_>,
    judged: &Judged,
) -> Result<Evaluation, EvidenceError> {
    let study = &fitted.study;
    let mut paired = paired(
        &judged.play,
        &judged.baseline,
        &study.test.clusters,
        judged.bootstrap,
        judged.confidence,
    );
    let chosen = logged_intervals(study, judged, &mut paired);
    let baseline = sections::baseline_value(study, judged);
    let segments = sections::segments(fitted, judged, options);
    let mut diagnostics = sections::diagnostics(input, fitted, judged);
    let floor_quality = mean(judged.line_per_row.view());
    let broken = |waived: bool| -> Vec<String> {
        let broken = segments.iter().filter(|s| s.broken && s.waived == waived);
        broken
            .map(|s| format!("{}={}", s.column, s.value))
            .collect()
    };
    let changes = judged.against.is_left(&judged.probabilities);
    let mut trust = sections::trust(fitted, judged)?;
    trust.intervals.extend(chosen);
    let mut doubts = sections::doubts(options, fitted, judged);
    doubts.extend(sections::failed_gates(&trust));
    let findings = Findings {
        savings: paired.savings.fraction,
        floor: &judged.floor,
        floor_quality,
        confidence: fitted.confidence,
        baseline: &baseline.model,
        changes,
        no_signal: sections::no_signal(study),
        infeasible: fitted.tuned.is_none(),
        clusters: study.test.clusters.count,
        unit: match study.table.cluster_by {
            "session_id" => "sessions",
            "prompt" => "distinct prompts",
            _ => "requests",
        },
        doubts,
        vetoes: broken(false),
    };
    let verdict = verdict(&findings);
    if !broken(true).is_empty() {
        diagnostics.warnings.push(format!(
            "quality is below the line in {}, which was waived",
            sections::some_of(&broken(true))
        ));
    }
    let (relative_to, retain) = match fitted.line {
        Line::Absolute(_) => (None, None),
        Line::Relative { arm, retain } => (Some(study.table.arms[arm].to_string()), Some(retain)),
    };
    Ok(Evaluation {
        schema: SCHEMA_VERSION,
        evidence: logged::evidence(study),
        requests: RequestCounts {
            train: study.train.rows.len() as u64,
            evaluated: study.test.rows.len() as u64,
            set_aside: study.table.set_aside.len() as u64,
        },
        floor: Floor {
            rule: options.policy.objective.rule.to_string(),
            quality: floor_quality,
            relative_to,
            retain,
            confidence: fitted.confidence,
            margin: judged.floor.margin,
            margin_low: judged.floor.low,
            margin_high: judged.floor.high,
            feasible: fitted.tuned.is_some(),
            bound: judged.floor.method.to_owned(),
            bound_reason: judged.floor.reason.to_owned(),
        },
        policy: PolicyValue {
            name: sections::policy_name(fitted, options.policy.objective.rule),
            predictor: fitted.candidates[fitted.chosen].0.name.clone(),
            quality: paired.quality,
            cost_usd: paired.cost_usd,
        },
        projection: sections::log_projection(input.log, &paired.savings),
        savings: paired.savings,
        quality_change: paired.quality_change,
        verdict,
        references: sections::references(fitted, judged),
        trust,
        off_policy: sections::off_policy(fitted, judged),
        metrics: sections::metrics(fitted, judged),
        diagnostics,
        segments,
        mix: sections::mix(fitted, judged),
        frontier: sections::frontier(fitted, judged),
        changed: sections::changed(fitted, judged, options.show_text),
        manifest: manifest(input, options),
        baseline,
    })
}

/// Replaces the resampled intervals of quality where only served answers are known, by those that
/// hold for the weights at hand.
fn logged_intervals(
    study: &Study<'_>,
    judged: &Judged,
    paired: &mut Paired,
) -> Option<IntervalChoice> {
    let arm = match judged.against {
        Baseline::Arm(arm) => Some(arm),
        Baseline::Logged => None,
    };
    let scores = judged.play.quality.to_vec();
    let (quality, change) = floor::quality_intervals(
        study,
        &judged.probabilities,
        &scores,
        arm,
        judged.bootstrap,
        judged.confidence,
    )?;
    let asymptotic = matches!(
        quality.choice.method,
        Method::ClusterNormal | Method::ClusterBootstrap
    );
    let whole = |old: &mut Interval, new: Option<Interval>, range: [f64; 2]| {
        let new = new.map_or(range, |i| [i.low, i.high]);
        old.low = new[0].min(old.point);
        old.high = new[1].max(old.point);
    };
    whole(&mut paired.quality, quality.bound, [0.0, 1.0]);
    if arm.is_some() && !asymptotic {
        whole(&mut paired.quality_change, change, [-1.0, 1.0]);
    }
    Some(IntervalChoice {
        quantity: "quality under logged choices".to_owned(),
        method: quality.choice.method.name().to_owned(),
        reason: quality.choice.reason.to_owned(),
    })
}

fn manifest(input: &ReplayInput<'_>, options: &ReplayOptions) -> Manifest {
    Manifest {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        log_digest: input.log.digest.clone(),
        catalogue_digest: input.catalogue_digest.clone(),
        policy_digest: blake3::hash(options.policy_toml.as_bytes())
            .to_hex()
            .to_string(),
        policy_toml: options.policy_toml.clone(),
        seed: options.seed.0,
        split: options.split_text.clone(),
        resamples: u32::try_from(options.resamples).unwrap_or(u32::MAX),
        interval_confidence: options.interval_confidence,
        interval_method: "paired cluster bootstrap, percentile".to_owned(),
        command: options.command.clone(),
    }
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

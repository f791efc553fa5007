//! Tuning: fit, choose, certify.

use plimsoll::{
    BEST_SINGLE, DELTA, PolicyConfig, PredictorChoice, PredictorConfig, PredictorKind,
    PredictorSection, Router, RuleKind,
};
use plimsoll_datasets::Split;

use super::error::CertificateError;
use super::labels;
use super::options::{Certified, TuneOptions, TuneStage, Tuning};
use super::parts::{Rest, cut, describe};
use super::path::{Choosing, Path};
use super::record::{
    CERTIFICATE_SCHEMA, Certificate, Digests, Files, NextStep, Part, Parts, PolicyLine, Shortfall,
    Tested,
};
use super::segments::{Demands, smallest};
use super::sequence::{Outcome, Trial};
use super::traffic::{RequestFilter, expiry};
use crate::bootstrap::Bootstrap;
use crate::bounds::least_n;
use crate::candidate::{Candidate, Forecasts, Pantry, Recipe, RuleChoice};
use crate::error::EvidenceError;
use crate::evaluation::{ArmValue, score_of};
use crate::judge::{Clusters, paired};
use crate::logged;
use crate::promise::{Line, mean, normal_quantile};
use crate::replay::{
    INTERVAL_CONFIDENCE, ReplayInput, ReplayOptions, arm_play, column, line, router, served, table,
    training_rows,
};
use crate::sections;
use crate::study::{KNN_ROWS_MAX, SIDE_MIN, Study};
use crate::table::OutcomeTable;
use crate::trust::UNLABELLED_SHARE_MAX;
use crate::tune::play;

/// Fits, chooses and certifies on three disjoint parts of a log.
///
/// # Errors
/// [`CertificateError`] when the log or the options do not allow it; too few rows to prove the line
/// are no error but [`Tuning::Refused`].
pub fn tune(
    input: &ReplayInput<'_>,
    options: &TuneOptions,
    progress: &(dyn Fn(TuneStage) + Sync),
) -> Result<Tuning, CertificateError> {
    let demands = Demands {
        columns: options.segments.clone(),
        waived: options.waived.clone(),
    };
    demands.check(input.log)?;
    let replay_options = replay_options(options)?;
    let table = table(input, &replay_options)?;
    let propensities = table.logged.as_ref().is_none_or(|l| l.propensity.is_some());
    if !propensities {
        return Err(CertificateError::Observational);
    }
    let tuner = Tuner {
        input,
        options,
        replay_options,
        table: &table,
        demands,
        progress,
    };
    if let Some(least) = tuner.too_few() {
        return Ok(Tuning::Refused(Box::new(least)));
    }
    tuner.run()
}

fn replay_options(options: &TuneOptions) -> Result<ReplayOptions, CertificateError> {
    let share = options.parts.fit();
    let split = Split::hash(share)
        .map_err(|e| EvidenceError::engine(e.code(), &e, &e.help()))
        .map_err(CertificateError::Evidence)?;
    let mut replay = ReplayOptions::new(options.policy.clone(), split, options.seed);
    replay.baseline.clone_from(&options.baseline);
    Ok(replay)
}

/// One run.
struct Tuner<'r, 'a> {
    input: &'r ReplayInput<'a>,
    options: &'r TuneOptions,
    replay_options: ReplayOptions,
    table: &'r OutcomeTable,
    demands: Demands,
    progress: &'r (dyn Fn(TuneStage) + Sync),
}

/// What the fit part gave.
struct Ready<'s, 'a> {
    study: &'s Study<'a>,
    rest: Rest,
    line: Line,
    baseline: usize,
    recipes: Vec<Recipe>,
    candidates: Vec<Candidate>,
    path: Path,
    cost_scale: f64,
    baseline_cost: f64,
}

impl<'a> Tuner<'_, 'a> {
    fn run(&self) -> Result<Tuning, CertificateError> {
        (self.progress)(TuneStage::Features);
        let mut forecasts = Forecasts::default();
        let split = &self.replay_options.split;
        let log = self.input.log;
        let mut study = match Study::new(log, self.table, split, self.options.seed) {
            Err(EvidenceError::SplitTooSmall { .. }) => {
                let reason = "the log is too small to be cut into three parts".to_owned();
                return Ok(self.refuse(vec![reason], Some(SIDE_MIN as u64 * 2)));
            }
            study => study?,
        };
        logged::score(&mut study, &self.options.policy.predictor, &mut forecasts)?;
        let rest = cut(&study, self.options.parts, self.options.seed);
        let line = line(&study, &self.replay_options)?;
        if let Some(shortfall) = self.parts_too_small(&study, &rest, line) {
            return Ok(shortfall);
        }
        let ready = self.ready(&study, rest, line, &mut forecasts)?;
        let groups = self.demands.groups(&study, &ready.rest.certify);
        let trial = Trial {
            study: &study,
            candidates: &ready.candidates,
            rows: &ready.rest.certify,
            line,
            confidence: self.confidence(),
            groups: &groups,
            mode: self.options.segment_mode,
            cost_scale: ready.cost_scale,
            baseline_cost: ready.baseline_cost,
        };
        let total = ready.path.steps.len();
        let mut sequence = trial.walk(&ready.path.steps, &|done| {
            (self.progress)(TuneStage::Certifying { done, total });
        });
        let tested = sequence.iter().filter(|t| t.bound.is_some()).count();
        // The router that will serve is what is certified: its own decisions are tested again, and
        // in the rare case that a tie broken otherwise costs it the proof, the one before it is.
        while let Some(last) = sequence.iter().rposition(|t| t.passed) {
            let router = self.router(&ready, last)?;
            let probabilities = served(&study, &router)?;
            logged::refuse_without_overlap(&study, &probabilities)?;
            let doubts = sections::logged_doubts(&study, &probabilities)?;
            if !doubts.is_empty() {
                return Ok(self.refuse(doubts, None));
            }
            let outcome = trial.outcome(&probabilities);
            if outcome.passed() {
                let certificate =
                    self.certificate(&ready, sequence, last, tested, &outcome, &probabilities);
                return Ok(Tuning::Certified(Box::new(Certified {
                    policy: self.policy(&ready, last),
                    certificate,
                    router,
                })));
            }
            sequence[last].passed = false;
            sequence[last].bound = Some(outcome.bound);
            sequence[last].vetoes = outcome.vetoes;
        }
        self.not_even_the_safest(&ready, sequence, &groups)
    }

    const fn confidence(&self) -> f64 {
        self.options.policy.objective.confidence
    }

    fn ready<'s>(
        &self,
        study: &'s Study<'a>,
        rest: Rest,
        line: Line,
        forecasts: &mut Forecasts,
    ) -> Result<Ready<'s, 'a>, CertificateError> {
        let section = &self.options.policy.predictor;
        let recipes = match section.kind.kind() {
            Some(kind) => vec![Recipe::of(kind, section)],
            None => Recipe::auto(section, study.table.rows() <= KNN_ROWS_MAX),
        };
        let variances = self.options.rules.contains(&RuleKind::PerRequestFloor);
        let rule = if variances {
            RuleChoice::PerRequestFloor { delta: DELTA }
        } else {
            RuleChoice::AverageFloor
        };
        let mut pantry = Pantry::new(study, section.calibration, rule, forecasts);
        let total = recipes.len();
        let mut candidates = Vec::with_capacity(total);
        for (done, recipe) in recipes.iter().enumerate() {
            (self.progress)(TuneStage::Predictors { done, total });
            candidates.push(pantry.candidate(recipe)?);
        }
        (self.progress)(TuneStage::Choosing);
        let baseline = match self.options.baseline.as_deref() {
            None | Some(BEST_SINGLE) => study.best,
            Some(arm) => column(study, arm)?,
        };
        let count = |rows: &[usize]| Clusters::of_rows(&study.test.clusters.of, rows).count;
        #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
        let ratio = (count(&rest.choose) as f64 / count(&rest.certify) as f64).sqrt();
        let cost_of = |rows: &[usize]| mean(arm_play(study, baseline).rows(rows).cost.view());
        let cost_scale = training_rows(study, &ndarray::Array1::zeros(0), 0.5).cost_scale;
        let baseline_cost = cost_of(&rest.choose);
        let path = Choosing {
            study,
            rows: &rest.choose,
            line,
            anchor: match line {
                Line::Relative { arm, .. } => arm,
                Line::Absolute(_) => study.best,
            },
            rules: &self.options.rules,
            cost_scale,
            z: self.width(study, line) * ratio,
            baseline_cost,
        }
        .path(&candidates);
        Ok(Ready {
            study,
            rest,
            line,
            baseline,
            recipes,
            candidates,
            path,
            cost_scale,
            baseline_cost,
        })
    }

    /// Standard errors that the bound on the certify part will about be wide.
    fn width(&self, study: &Study<'_>, line: Line) -> f64 {
        let alpha = 1.0 - self.confidence();
        let clusters = &study.test.clusters;
        let binary = |q: &f64| *q == 0.0 || (*q - 1.0).abs() < f64::EPSILON;
        let exact = matches!(line, Line::Absolute(_))
            && study.test.logged.is_none()
            && clusters.count == clusters.of.len()
            && study.train.quality.iter().all(binary);
        if exact {
            normal_quantile(self.confidence()).max(0.5)
        } else {
            (2.0 * (1.0 / alpha).ln()).sqrt()
        }
    }

    fn router(&self, ready: &Ready<'_, '_>, step: usize) -> Result<Router, CertificateError> {
        let step = &ready.path.steps[step];
        let candidate = &ready.candidates[step.candidate];
        let tuned = Some(step.tuned);
        Ok(router(ready.study, candidate, tuned, &self.replay_options)?)
    }

    /// The policy file of a step.
    fn policy(&self, ready: &Ready<'_, '_>, step: usize) -> PolicyConfig {
        let step = &ready.path.steps[step];
        let mut policy = self.options.policy.clone();
        policy.objective.rule = step.rule;
        policy.objective.delta = (step.rule == RuleKind::PerRequestFloor).then_some(DELTA);
        if let Line::Relative { arm, retain } = ready.line {
            policy.objective.relative_to = Some(ready.study.table.arms[arm].to_string());
            policy.objective.retain = Some(retain);
        }
        if let [only] = &ready.recipes[step.candidate].members[..] {
            policy.predictor = section(only, &self.options.policy.predictor);
        }
        policy.arms.include = Some(ready.study.table.arms.clone());
        policy.arms.exclude = Vec::new();
        policy
    }

    fn certificate(
        &self,
        ready: &Ready<'_, '_>,
        sequence: Vec<Tested>,
        last: usize,
        tested: usize,
        outcome: &Outcome,
        probabilities: &ndarray::Array2<f64>,
    ) -> Certificate {
        let study = ready.study;
        let rows = &ready.rest.certify;
        let clusters = Clusters::of_rows(&study.test.clusters.of, rows);
        let policy = play(
            probabilities,
            study.test.quality.view(),
            study.test.cost.view(),
        );
        let baseline = arm_play(study, ready.baseline).rows(rows);
        let bootstrap = Bootstrap {
            resamples: self.options.resamples,
            seed: self.options.seed.0,
        };
        let paired = paired(
            &policy.rows(rows),
            &baseline,
            &clusters,
            bootstrap,
            INTERVAL_CONFIDENCE,
        );
        let line = self.line(ready, rows);
        let name = sequence[last].policy.clone();
        let judges = sections::judges(ready.study);
        let columns = self.demands.all_columns();
        let table = self.table;
        // Requests set aside were looked at, too: a label that turns up later is no new evidence.
        let seen = [&table.requests[..], &table.set_aside[..]].concat();
        let ids = seen.iter();
        let ids = ids.map(|&index| self.input.log.requests[index].id.as_str());
        let mut looked_at = ready.path.looked_at.clone();
        looked_at.tested = tested as u64;
        Certificate {
            schema: CERTIFICATE_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            claim: self.claim(&line, &name.name, score_of(&judges)),
            judges,
            policy: name,
            line,
            confidence: self.confidence(),
            delta: 1.0 - self.confidence(),
            parts: self.parts(ready),
            cluster_by: table.cluster_by.to_owned(),
            cluster_requests_max: largest_cluster(table),
            bound: outcome.bound.clone(),
            quality: paired.quality,
            cost_usd: paired.cost_usd,
            baseline: ArmValue {
                model: table.arms[ready.baseline].to_string(),
                quality: mean(baseline.quality.view()),
                cost_usd: mean(baseline.cost.view()),
            },
            savings: paired.savings,
            segment_mode: self.options.segment_mode,
            segment_columns: columns.clone(),
            segments: outcome.segments.clone(),
            waived: self.options.waived.clone(),
            stopped: stopped(&sequence),
            next: self.next(ready, &sequence),
            sequence,
            looked_at,
            looks: 1,
            history: Vec::new(),
            expiry: expiry(self.input.log, table, &columns),
            digests: Digests {
                log: self.input.log.digest.clone(),
                catalogue: self.input.catalogue_digest.clone(),
                ..Digests::default()
            },
            files: Files::default(),
            seed: self.options.seed.0,
            command: self.options.command.clone(),
            requests: RequestFilter::of(ids),
        }
    }

    fn claim(&self, line: &PolicyLine, name: &str, score: &str) -> String {
        let what = match (&line.relative_to, line.retain) {
            (Some(arm), Some(retain)) => format!(
                "at least {:.1} % of what `{arm}` reaches on the same requests",
                retain * 100.0
            ),
            _ => format!("at least {}", line.quality),
        };
        format!(
            "At {:.0} % confidence the mean {score} of `{name}` is {what}, on traffic like this \
             log's",
            self.confidence() * 100.0
        )
    }

    fn line(&self, ready: &Ready<'_, '_>, rows: &[usize]) -> PolicyLine {
        let quality = ready.study.test.quality.select(ndarray::Axis(0), rows);
        let (relative_to, retain) = match ready.line {
            Line::Absolute(_) => (None, None),
            Line::Relative { arm, retain } => {
                (Some(self.table.arms[arm].to_string()), Some(retain))
            }
        };
        PolicyLine {
            quality: match ready.line {
                // The mean of equal numbers may miss them by a rounding.
                Line::Absolute(line) => line,
                Line::Relative { .. } => mean(ready.line.per_request(&quality).view()),
            },
            relative_to,
            retain,
        }
    }

    fn parts(&self, ready: &Ready<'_, '_>) -> Parts {
        let study = ready.study;
        let log = self.input.log;
        let fit: Vec<&str> = study
            .train
            .rows
            .iter()
            .map(|&row| log.requests[self.table.requests[row]].id.as_str())
            .collect();
        let rest = |share: f64, rows: &[usize]| -> Part {
            let ids = rows.iter().map(|&r| study.test_request(r).id.as_str());
            let clusters = Clusters::of_rows(&study.test.clusters.of, rows);
            describe(share, &clusters, ids.collect())
        };
        let shares = self.options.parts;
        Parts {
            fit: describe(shares.fit(), &study.train.clusters, fit),
            choose: rest(shares.choose(), &ready.rest.choose),
            certify: rest(shares.certify(), &ready.rest.certify),
            set_aside: self.table.set_aside.len() as u64,
        }
    }

    /// What it would take to prove the policy at which the sequence stopped.
    fn next(&self, ready: &Ready<'_, '_>, sequence: &[Tested]) -> Option<NextStep> {
        let failed = sequence.iter().find(|t| !t.passed)?;
        let bound = failed.bound.as_ref()?;
        let clusters = Clusters::of_rows(&ready.study.test.clusters.of, &ready.rest.certify).count;
        let needed = needed(clusters as u64, bound.margin, bound.low);
        Some(NextStep {
            policy: failed.policy.clone(),
            expected_savings: failed.expected_savings,
            requests_more: needed.map(|needed| self.requests_more(needed)),
        })
    }

    /// More usable requests over all parts, so that the certify part has `needed` clusters.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay far below 2^53"
    )]
    fn requests_more(&self, needed: u64) -> u64 {
        let rows = self.table.rows() as f64;
        let per_cluster = rows / (self.table.clusters as f64).max(1.0);
        let total = needed as f64 / self.options.parts.certify() * per_cluster;
        (total - rows).ceil().max(1.0) as u64
    }

    /// The least number of clusters at which the line could be proven without a failure.
    fn least(&self, line: f64) -> Option<u64> {
        least_n(line, 1.0 - self.confidence())
    }

    /// Refuses before anything is fitted when the certify part would be too small anyway.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts stay far below 2^53"
    )]
    fn too_few(&self) -> Option<Shortfall> {
        if let Some(reason) = self.set_aside() {
            let clusters = (self.table.clusters as f64 * self.options.parts.certify()).round();
            let line = self.options.policy.objective.quality;
            let aside = self.table.set_aside.len() as u64;
            let shortfall = self.shortfall(vec![reason], clusters as u64, None, line);
            return Some(Shortfall {
                requests_more: Some(aside),
                ..shortfall
            });
        }
        let objective = &self.options.policy.objective;
        let line = objective.quality?;
        let least = self.least(line)?;
        let clusters = (self.table.clusters as f64 * self.options.parts.certify()).round() as u64;
        (clusters < least).then(|| {
            let reason = self.least_reason(clusters, line, least);
            self.shortfall(vec![reason], clusters, Some(least), Some(line))
        })
    }

    /// Requests set aside for a missing label may be the hard ones.
    #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    fn set_aside(&self) -> Option<String> {
        let aside = self.table.set_aside.len() as f64;
        let share = aside / (aside + self.table.rows() as f64).max(1.0);
        (self.table.logged.is_none() && share > UNLABELLED_SHARE_MAX).then(|| {
            format!(
                "{:.1} % of the requests lack a labelled and priced outcome of a compared arm, at \
                 most {:.0} % may: they may be the hard ones",
                share * 100.0,
                UNLABELLED_SHARE_MAX * 100.0
            )
        })
    }

    fn parts_too_small(&self, study: &Study<'_>, rest: &Rest, line: Line) -> Option<Tuning> {
        let count = |rows: &[usize]| Clusters::of_rows(&study.test.clusters.of, rows).count as u64;
        let clusters = count(&rest.certify);
        let quality = study.test.quality.select(ndarray::Axis(0), &rest.certify);
        let floor = mean(line.per_request(&quality).view());
        let least = self.least(floor).unwrap_or(0).max(SIDE_MIN as u64);
        let reason = if clusters < least {
            self.least_reason(clusters, floor, least)
        } else if rest.choose.len() < SIDE_MIN {
            format!(
                "{} requests to choose on are too few: {SIDE_MIN} are the least",
                rest.choose.len()
            )
        } else {
            return None;
        };
        let shortfall = self.shortfall(vec![reason], clusters, Some(least), Some(floor));
        Some(Tuning::Refused(Box::new(shortfall)))
    }

    fn least_reason(&self, clusters: u64, line: f64, least: u64) -> String {
        format!(
            "{clusters} independent requests to certify on cannot prove a quality of {line:.3} at \
             {:.0} % confidence even without a failure: at least {least} are needed there",
            self.confidence() * 100.0
        )
    }

    fn refuse(&self, reasons: Vec<String>, needed: Option<u64>) -> Tuning {
        let line = self.options.policy.objective.quality;
        Tuning::Refused(Box::new(self.shortfall(reasons, 0, needed, line)))
    }

    fn shortfall(
        &self,
        reasons: Vec<String>,
        clusters: u64,
        needed: Option<u64>,
        line: Option<f64>,
    ) -> Shortfall {
        let objective = &self.options.policy.objective;
        let absolute = objective.quality.is_some();
        Shortfall {
            schema: CERTIFICATE_SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            reasons,
            out_of_reach: false,
            line: PolicyLine {
                quality: line.unwrap_or(0.0),
                relative_to: objective.relative_to.clone(),
                retain: objective.retain.filter(|_| !absolute),
            },
            confidence: self.confidence(),
            requests: self.table.rows() as u64,
            certify_clusters: clusters,
            certify_clusters_needed: needed,
            requests_more: needed.map(|needed| self.requests_more(needed)),
            safest: None,
            labels: labels::plan(
                self.input.log,
                self.table,
                &self.demands.all_columns(),
                None,
            ),
            log_digest: self.input.log.digest.clone(),
            seed: self.options.seed.0,
            command: self.options.command.clone(),
        }
    }

    fn not_even_the_safest(
        &self,
        ready: &Ready<'_, '_>,
        mut sequence: Vec<Tested>,
        groups: &[super::segments::Group],
    ) -> Result<Tuning, CertificateError> {
        let safest = sequence.swap_remove(0);
        let clusters =
            Clusters::of_rows(&ready.study.test.clusters.of, &ready.rest.certify).count as u64;
        let line = self.line(ready, &ready.rest.certify);
        let mut reasons = Vec::new();
        let mut needed_clusters = None;
        let mut out_of_reach = false;
        if let Some(bound) = &safest.bound {
            out_of_reach = bound.high < 0.0;
            needed_clusters = needed(clusters, bound.margin, bound.low);
            reasons.push(if out_of_reach {
                format!(
                    "the line is out of reach: even the safest policy, `{}`, is below it by \
                     {:.4}, and by at least {:.4} at {:.0} % confidence",
                    safest.policy.name,
                    -bound.margin,
                    -bound.high,
                    self.confidence() * 100.0
                )
            } else if bound.low < 0.0 {
                format!(
                    "not even the safest policy, `{}`, is proven: it is {:.4} {} the line, but \
                     may be {:.4} below it at {:.0} % confidence",
                    safest.policy.name,
                    bound.margin.abs(),
                    if bound.margin < 0.0 { "below" } else { "above" },
                    -bound.low,
                    self.confidence() * 100.0
                )
            } else {
                let smallest = smallest(groups).unwrap_or_default();
                format!(
                    "segments forbid even the safest policy, `{}`: {} (the smallest segment is \
                     {smallest}); collect more of them, or waive them by name",
                    safest.policy.name,
                    sections::some_of(&safest.vetoes)
                )
            });
        }
        let router = self.router(ready, 0)?;
        let log = self.input.log;
        let plan = labels::plan(log, self.table, &self.demands.all_columns(), Some(&router));
        let shortfall = Shortfall {
            out_of_reach,
            safest: Some(safest),
            labels: plan,
            line: line.clone(),
            ..self.shortfall(reasons, clusters, needed_clusters, Some(line.quality))
        };
        Ok(Tuning::Refused(Box::new(shortfall)))
    }
}

/// Clusters at which a margin of this size would clear the line: the bound narrows with √n.
pub(super) fn needed(clusters: u64, margin: f64, low: f64) -> Option<u64> {
    if margin <= 0.0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let needed = clusters as f64 * ((margin - low) / margin).powi(2);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked range"
    )]
    (needed < 1e9).then(|| (needed.ceil() as u64).max(clusters + 1))
}

/// Why the sequence ended.
fn stopped(sequence: &[Tested]) -> String {
    match sequence.iter().position(|t| !t.passed) {
        None => "every policy of the path passed: the cheapest of it is certified".to_owned(),
        Some(at) => {
            let why = match (&sequence[at].bound, &sequence[at].vetoes[..]) {
                (_, [first, ..]) => format!("the segment {first} vetoed it"),
                (Some(bound), _) => format!(
                    "its margin of {:.4} may be as little as {:.4}",
                    bound.margin, bound.low
                ),
                (None, _) => "it was not tested".to_owned(),
            };
            format!(
                "policy {} of {} failed, `{}`: {why}; those after it were not tested",
                at + 1,
                sequence.len(),
                sequence[at].policy.name
            )
        }
    }
}

fn largest_cluster(table: &OutcomeTable) -> u64 {
    let mut sizes = vec![0_u64; table.clusters];
    for &cluster in &table.cluster {
        sizes[cluster] += 1;
    }
    sizes.into_iter().max().unwrap_or(1)
}

/// The section of a policy file that gives these settings.
fn section(config: &PredictorConfig, asked: &PredictorSection) -> PredictorSection {
    let plain = asked.config(config.kind);
    let changed = |own: f64, plain: f64, asked: Option<f64>| {
        if (own - plain).abs() > 0.0 {
            Some(own)
        } else {
            asked
        }
    };
    PredictorSection {
        kind: match config.kind {
            PredictorKind::Beta => PredictorChoice::Beta,
            PredictorKind::Tasks => PredictorChoice::Tasks,
            PredictorKind::Linear => PredictorChoice::Linear,
            PredictorKind::Logistic => PredictorChoice::Logistic,
            PredictorKind::Knn => PredictorChoice::Knn,
            PredictorKind::Clusters => PredictorChoice::Clusters,
            _ => PredictorChoice::Auto,
        },
        ridge: changed(config.ridge, plain.ridge, asked.ridge),
        neighbours: if config.neighbours == plain.neighbours {
            asked.neighbours
        } else {
            Some(config.neighbours)
        },
        ..asked.clone()
    }
}

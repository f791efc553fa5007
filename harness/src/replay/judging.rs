//! A fitted policy judged once, on the evaluated rows.

use ndarray::{Array1, Array2};

use super::fit::{Fitted, training_rows};
use super::plays::{Baseline, served};
use super::{Replay, ReplayInput, ReplayOptions};
use crate::bootstrap::Bootstrap;
use crate::described::describe;
use crate::error::EvidenceError;
use crate::evaluation::{Evaluation, Floor, Manifest, PolicyValue, RequestCounts, SCHEMA_VERSION};
use crate::floor;
use crate::judge::{Findings, FloorBound, paired, verdict};
use crate::logged;
use crate::promise::{Line, Play, mean};
use crate::sections;
use crate::tune::{Sweep, play};

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

/// Judges a fitted policy and keeps what a comparison needs.
pub(super) fn judge(
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
    let described = describe(study, judged, &mut paired);
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
    let trust = sections::trust(fitted, judged, described)?;
    let mut doubts = sections::doubts(options, fitted, judged);
    doubts.extend(sections::failed_gates(&trust));
    let findings = Findings {
        savings: paired.savings.fraction,
        floor: &judged.floor,
        score: trust.score(),
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
            "{} is below the line in {}, which was waived",
            trust.score(),
            sections::some_of(&broken(true))
        ));
    }
    let off_policy = sections::off_policy(fitted, judged, &paired);
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
        off_policy,
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

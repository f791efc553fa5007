//! The second pass, and the evaluation drawn from its sums.

use plimsoll::BEST_SINGLE;
use plimsoll_datasets::{LoggedBatch, LoggedFiles, NO_NAME};
use rayon::prelude::*;

use super::error::StreamError;
use super::scorer::{Scorer, Scores};
use super::sums::{
    BASE_COST, BASE_QUALITY, BASE_WEIGHT, BUCKET_BITS, BUCKETS, COST, DM_BASE_COST, DM_COST,
    DM_QUALITY, IPS_BASE_COST, IPS_COST, IPS_QUALITY, LINE, N, QUALITY, Row, SEGMENT_BITS,
    SEGMENT_BUCKETS, SERVED_COST, SERVED_QUALITY, Sums, Target, Terms, WEIGHT, WIDTH,
};
use super::survey::{Sides, Survey};
use super::totals::Totals;
use super::trust::trust;
use crate::described::is_asymptotic;
use crate::error::EvidenceError;
use crate::evaluation::{
    ArmValue, EstimatorRow, Evaluation, Interval, LoggedValue, OffPolicy, Savings, Segment,
};
use crate::floor::Robustness;
use crate::judge::{Findings, verdict};
use crate::logged::UNSUPPORTED_SHARE_MAX;
use crate::replay::{Fitted, INVOICE_TOLERANCE, Judged, ReplayOptions, column};
use crate::sections;
use crate::table::UNPRICED_SHARE_MAX;
use crate::trust::clip_default;

/// Batches are dealt to so many sums, which are merged in order: equal bits on any threads.
const LANES: usize = 16;
/// Values of task or tenant that are reported as segments, at most.
const SEGMENTS_MAX: usize = 64;
/// Rows that are looked up, judged and added together: a processor asks for the memory of all of
/// them at once, in place of waiting for one after the other.
const TOGETHER: usize = 32;
pub(super) const METHOD: &str = "cluster-robust normal";

/// Which values are segments, and where their sums lie.
struct SegmentPlan {
    tasks: usize,
    tenants: usize,
}

impl SegmentPlan {
    fn new(survey: &Survey) -> Self {
        let shown = |names: &[String]| {
            let is_shown = (2..=SEGMENTS_MAX).contains(&names.len());
            if is_shown { names.len() } else { 0 }
        };
        Self {
            tasks: shown(&survey.tasks),
            tenants: shown(&survey.tenants),
        }
    }

    fn of(&self, task: u32, tenant: u32) -> [Option<usize>; 2] {
        let at = |code: u32, shown: usize, from: usize| {
            (shown > 0 && code != NO_NAME).then_some(from + code as usize)
        };
        [
            at(task, self.tasks, 0),
            at(tenant, self.tenants, self.tasks),
        ]
    }
}

/// What the evaluated rows are judged against.
pub(super) fn target(
    survey: &Survey,
    fitted: &Fitted<'_>,
    judged: &Judged,
    options: &ReplayOptions,
) -> Result<Target, EvidenceError> {
    let evaluated = usize::try_from(survey.evaluated).unwrap_or(usize::MAX);
    let all_compared = (survey.arms.iter()).all(|arm| fitted.study.table.column(arm).is_some());
    Ok(Target {
        line: fitted.line,
        baseline: baseline(fitted, options)?,
        clip: clip_default(evaluated),
        robustness: Robustness::of(
            &fitted.study,
            &judged.probabilities,
            fitted.line,
            all_compared,
            evaluated.min(BUCKETS),
            1.0 - fitted.confidence,
        ),
    })
}

/// Sends every evaluated row through the policy.
pub(super) fn judge(
    files: &LoggedFiles,
    survey: &Survey,
    scorer: &Scorer<'_>,
    fitted: &Fitted<'_>,
    target: &Target,
    options: &ReplayOptions,
) -> Result<Sums, StreamError> {
    refuse_unpriced(survey, fitted)?;
    let plan = SegmentPlan::new(survey);
    let sides = Sides::new(options);
    let lanes = (0..LANES)
        .into_par_iter()
        .map(|lane| {
            let mut sums = Sums::new(scorer.arms(), plan.tasks + plan.tenants);
            let mut scratch = Vec::new();
            for index in (lane..files.batches()).step_by(LANES) {
                let read;
                let batch = if let Some(batch) = survey.kept.get(index) {
                    batch
                } else {
                    let mut batch = files.batch(index)?;
                    survey.recode(&mut batch);
                    read = batch;
                    &read
                };
                add(batch, sides, &plan, scorer, target, &mut scratch, &mut sums)?;
            }
            Ok(sums)
        })
        .collect::<Result<Vec<Sums>, StreamError>>()?;
    let mut total = Sums::new(scorer.arms(), plan.tasks + plan.tenants);
    for sums in &lanes {
        total.merge(sums);
    }
    refuse_without_overlap(&total)?;
    Ok(total)
}

fn add(
    batch: &LoggedBatch,
    sides: Sides,
    plan: &SegmentPlan,
    scorer: &Scorer<'_>,
    target: &Target,
    scratch: &mut Vec<f64>,
    sums: &mut Sums,
) -> Result<(), StreamError> {
    let is_judged = |index: &usize| {
        let known = !batch.quality[*index].is_nan() && !batch.cost_usd[*index].is_nan();
        known && !sides.is_train(batch.session[*index])
    };
    let mut indices = (0..batch.len()).filter(is_judged);
    let mut chunk: Vec<(usize, Option<Scores<'_>>)> = Vec::with_capacity(TOGETHER);
    let mut made: Vec<(Row, Terms)> = Vec::with_capacity(TOGETHER);
    loop {
        chunk.clear();
        made.clear();
        for index in indices.by_ref().take(TOGETHER) {
            let (task, tokens) = (batch.task.code[index], batch.input_tokens[index]);
            let remembered = match batch.prompt(index) {
                None => scorer.remembered(task, tokens)?,
                Some(_) => None,
            };
            chunk.push((index, remembered));
        }
        if chunk.is_empty() {
            return Ok(());
        }
        for (index, remembered) in chunk.drain(..) {
            let task = batch.task.code[index];
            let column = scorer.column[batch.arm.code[index] as usize];
            let session = batch.session[index];
            let row = Row {
                bucket: sides.bucket(session, BUCKET_BITS),
                segment_bucket: sides.bucket(session, SEGMENT_BITS),
                segments: plan.of(task, batch.tenant.code[index]),
                chosen: (column != usize::MAX).then_some(column),
                propensity: batch.propensity[index],
                quality: batch.quality[index],
                cost: batch.cost_usd[index],
            };
            let judged = if let Some(known) = remembered {
                known
            } else {
                let tokens = batch.input_tokens[index];
                scorer.scores(task, tokens, batch.prompt(index), scratch)?
            };
            made.push((row, sums.terms(&row, &judged, target)));
        }
        sums.add(&made);
    }
}

fn baseline(fitted: &Fitted<'_>, options: &ReplayOptions) -> Result<usize, EvidenceError> {
    match options.baseline.as_deref() {
        None | Some(BEST_SINGLE) => Ok(fitted.study.best),
        Some(arm) => column(&fitted.study, arm),
    }
}

/// The sample holds priced answers only, so the survey has to say what is missing.
fn refuse_unpriced(survey: &Survey, fitted: &Fitted<'_>) -> Result<(), EvidenceError> {
    let unpriced: Vec<(String, f64)> = survey
        .arms
        .iter()
        .zip(&survey.seen)
        .filter(|(arm, _)| fitted.study.table.column(arm).is_some())
        .map(|(arm, seen)| (arm.clone(), share(seen.rows - seen.priced, seen.rows)))
        .filter(|(_, unpriced)| *unpriced > UNPRICED_SHARE_MAX)
        .collect();
    if unpriced.is_empty() {
        Ok(())
    } else {
        Err(EvidenceError::Unpriced { arms: unpriced })
    }
}

fn refuse_without_overlap(sums: &Sums) -> Result<(), EvidenceError> {
    let total = Totals::new(&sums.buckets);
    let share = sums.unsupported / total.sum(N).max(1.0);
    if share <= UNSUPPORTED_SHARE_MAX {
        return Ok(());
    }
    // What was not seen may be anything in [0, 1]; what was is at least the weighted mean.
    let seen = (total.sum(IPS_QUALITY) / total.sum(N)).clamp(0.0, 1.0);
    Err(EvidenceError::NoOverlap {
        share,
        quality: [seen.min(1.0 - share), (seen + share).min(1.0)],
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
pub(super) fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// What predictions add to bounds, unless a row has shown that too much was taken as known.
fn robustness<'t>(target: &'t Target, sums: &Sums) -> Option<&'t Robustness> {
    target.robustness.as_ref().filter(|_| !sums.contradicted)
}

/// The evaluation of all rows; what they cannot tell is taken from the sample's.
pub(super) fn evaluation(
    sample: &Evaluation,
    survey: &Survey,
    fitted: &Fitted<'_>,
    judged: &Judged,
    (target, sums): (&Target, &Sums),
    options: &ReplayOptions,
) -> Evaluation {
    let total = Totals::new(&sums.buckets);
    let confidence = options.interval_confidence;
    let interval = |column| total.mean_interval(column, confidence);
    let robustness = robustness(target, sums);
    let floor = total.floor(fitted.line, robustness, fitted.confidence);
    let (quality, choice) = total.quality(sums, confidence);
    let floor_quality = total.mean(LINE);
    let mut all = sample.clone();
    all.baseline = ArmValue {
        model: sample.baseline.model.clone(),
        quality: total.mean(BASE_QUALITY),
        cost_usd: total.mean(BASE_COST),
    };
    all.policy.quality = quality;
    all.policy.cost_usd = interval(COST);
    all.savings = Savings {
        fraction: total.savings(COST, BASE_COST, confidence),
        usd: total.ratio(|s| s[BASE_COST] - s[COST], |s| s[N], confidence),
    };
    if !is_asymptotic(choice.method) {
        // Weights this uneven make no sum normal: the sample's intervals were chosen for them.
        widen(&mut all.policy.cost_usd, sample.policy.cost_usd);
        widen(&mut all.savings.fraction, sample.savings.fraction);
        widen(&mut all.savings.usd, sample.savings.usd);
    }
    all.quality_change = total.quality_change(choice, confidence);
    all.floor.quality = floor_quality;
    all.floor.margin = floor.margin;
    all.floor.margin_low = floor.low;
    all.floor.margin_high = floor.high;
    floor.method.clone_into(&mut all.floor.bound);
    floor.reason.clone_into(&mut all.floor.bound_reason);
    counts(&mut all, survey, &total);
    diagnostics(&mut all, survey, total.filled);
    let bounds = (&floor, choice);
    trust(&mut all, survey, fitted, sums, &total, target.clip, bounds);
    all.off_policy = Some(off_policy(&total, sample, confidence));
    all.segments = segments(survey, fitted, sums, robustness, options);
    for row in &mut all.mix {
        if let Some(arm) = fitted.study.table.column(&row.model) {
            row.after = sums.arms[arm].target / total.sum(N);
            row.quality = sums.arms[arm].quality / total.sum(N);
            row.cost_usd = sums.arms[arm].cost / total.sum(N);
        }
    }
    let timed = (survey.timed > 0).then_some((survey.first_us, survey.last_us, survey.timed));
    all.projection = timed
        .and_then(|(first, last, count)| sections::projection(first, last, count, &all.savings));
    let mut doubts = sections::failed_gates(&all.trust);
    doubts.extend(invoice_doubt(survey, options));
    let vetoes = all.segments.iter().filter(|s| s.broken && !s.waived);
    let findings = Findings {
        savings: all.savings.fraction,
        floor: &floor,
        score: all.trust.score(),
        floor_quality,
        confidence: fitted.confidence,
        baseline: &all.baseline.model,
        changes: judged.against.is_left(&judged.probabilities),
        no_signal: sections::no_signal(&fitted.study),
        infeasible: fitted.tuned.is_none(),
        clusters: total.filled,
        unit: if survey.has_sessions {
            "buckets of sessions"
        } else {
            "buckets of requests"
        },
        doubts,
        vetoes: vetoes
            .map(|s| format!("{}={}", s.column, s.value))
            .collect(),
    };
    all.verdict = verdict(&findings);
    all.changed = Vec::new();
    all.manifest.log_digest.clone_from(&survey.digest);
    all.manifest.split.clone_from(&options.split_text);
    METHOD.clone_into(&mut all.manifest.interval_method);
    all
}

/// Lets an interval reach as far as another.
fn widen(interval: &mut Interval, other: Interval) {
    interval.low = interval.low.min(other.low);
    interval.high = interval.high.max(other.high);
}

fn invoice_doubt(survey: &Survey, options: &ReplayOptions) -> Option<String> {
    let invoice = options.invoice_usd?.as_f64();
    let logged = survey.cost_usd;
    ((logged - invoice).abs() > INVOICE_TOLERANCE * invoice.abs()).then(|| {
        format!(
            "the log's cost of {logged:.2} USD and the invoice of {invoice:.2} USD differ by more \
             than {:.0} %: check prices, caching and missing rows",
            INVOICE_TOLERANCE * 100.0
        )
    })
}

fn counts(all: &mut Evaluation, survey: &Survey, total: &Totals<'_, WIDTH>) {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a count of rows"
    )]
    let evaluated = total.sum(N) as u64;
    let rows: u64 = survey.seen.iter().map(|seen| seen.rows).sum();
    all.requests.train = survey.sampled_train as u64;
    all.requests.evaluated = evaluated;
    all.requests.set_aside = rows - survey.train - evaluated;
}

fn diagnostics(all: &mut Evaluation, survey: &Survey, filled: usize) {
    let rows: u64 = survey.seen.iter().map(|seen| seen.rows).sum();
    for arm in &mut all.diagnostics.arms {
        let Ok(at) = survey.arms.binary_search(&arm.model) else {
            continue;
        };
        let seen = survey.seen[at];
        arm.requests = seen.rows;
        arm.coverage = share(seen.rows, rows);
        arm.unlabelled_share = share(seen.rows - seen.labelled, seen.rows);
        arm.unpriced_share = share(seen.rows - seen.priced, seen.rows);
    }
    let compared: Vec<_> = all.diagnostics.arms.iter().filter(|a| a.compared).collect();
    #[expect(clippy::cast_precision_loss, reason = "there are few arms")]
    let count = compared.len().max(1) as f64;
    let (unlabelled, unpriced) = (
        compared.iter().map(|a| a.unlabelled_share).sum::<f64>() / count,
        compared.iter().map(|a| a.unpriced_share).sum::<f64>() / count,
    );
    all.diagnostics.unlabelled_share = unlabelled;
    all.diagnostics.unpriced_share = unpriced;
    all.diagnostics.clusters = filled as u64;
    let by = if survey.has_sessions {
        "session_id"
    } else {
        "request_id"
    };
    by.clone_into(&mut all.diagnostics.cluster_by);
    all.diagnostics.warnings.push(format!(
        "the log was streamed: the policy was fitted on {} of {} training requests, and \
         references, frontier, metrics, calibration, balance and sensitivity rest on a sample of \
         the evaluated ones; everything else rests on all {}",
        all.requests.train, survey.train, all.requests.evaluated
    ));
}

fn off_policy(total: &Totals<'_, WIDTH>, sample: &Evaluation, confidence: f64) -> OffPolicy {
    let mean = |column| total.mean_interval(column, confidence);
    let row = |name: &str, quality, cost_usd, savings| EstimatorRow {
        name: name.to_owned(),
        quality,
        cost_usd,
        savings,
        chosen: name == "dr",
        caution: None,
    };
    let estimators = vec![
        row(
            "dr",
            mean(QUALITY),
            mean(COST),
            total.savings(COST, BASE_COST, confidence),
        ),
        row(
            "ips",
            mean(IPS_QUALITY),
            mean(IPS_COST),
            total.savings(IPS_COST, IPS_BASE_COST, confidence),
        ),
        row(
            "snips",
            total.ratio(|s| s[IPS_QUALITY], |s| s[WEIGHT], confidence),
            total.ratio(|s| s[IPS_COST], |s| s[WEIGHT], confidence),
            self_normalised_savings(total, confidence),
        ),
        row(
            "dm",
            mean(DM_QUALITY),
            mean(DM_COST),
            total.savings(DM_COST, DM_BASE_COST, confidence),
        ),
    ];
    let earlier = sample.off_policy.as_ref();
    OffPolicy {
        propensities: "logged".to_owned(),
        chosen: "dr".to_owned(),
        reason: "doubly robust: unbiased under the logged propensities, and narrow where the \
                 outcome predictor is good"
            .to_owned(),
        estimators,
        confounding: earlier.and_then(|o| o.confounding.clone()),
        worst_case: None,
        logging: LoggedValue {
            quality: mean(SERVED_QUALITY),
            cost_usd: mean(SERVED_COST),
        },
    }
}

/// 1 − (Σ w c/Σ w)/(Σ w_b c/Σ w_b), linearised around both ratios.
fn self_normalised_savings(total: &Totals<'_, WIDTH>, confidence: f64) -> Interval {
    let (policy, base) = (
        total.sum(IPS_COST) / total.sum(WEIGHT),
        total.sum(IPS_BASE_COST) / total.sum(BASE_WEIGHT),
    );
    if !(policy / base).is_finite() {
        return Interval::default();
    }
    // d log(policy/base): each ratio's residual over its own total.
    let residual = |s: &[f64; WIDTH]| {
        (s[IPS_COST] - policy * s[WEIGHT]) / total.sum(IPS_COST)
            - (s[IPS_BASE_COST] - base * s[BASE_WEIGHT]) / total.sum(IPS_BASE_COST)
    };
    let around = total.ratio(|s| residual(s) * total.sum(N), |s| s[N], confidence);
    let kept = policy / base;
    let width = kept * (around.high - around.point);
    Interval {
        point: 1.0 - kept,
        low: 1.0 - kept - width,
        high: 1.0 - kept + width,
    }
}

fn segments(
    survey: &Survey,
    fitted: &Fitted<'_>,
    sums: &Sums,
    robustness: Option<&Robustness>,
    options: &ReplayOptions,
) -> Vec<Segment> {
    let plan = SegmentPlan::new(survey);
    let tasks = survey.tasks.iter().take(plan.tasks).map(|v| ("task", v));
    let tenants = survey.tenants.iter().take(plan.tenants);
    let names: Vec<_> = tasks.chain(tenants.map(|v| ("tenant", v))).collect();
    #[expect(clippy::cast_precision_loss, reason = "there are few segments")]
    let alpha = (1.0 - fitted.confidence) / names.len().max(1) as f64;
    let confidence = options.interval_confidence;
    let segment = |(at, (column, value)): (usize, (&str, &String))| {
        let range = at * SEGMENT_BUCKETS..(at + 1) * SEGMENT_BUCKETS;
        let total = Totals::new(&sums.segments[range]);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of rows"
        )]
        let requests = total.sum(N) as u64;
        Segment {
            column: column.to_owned(),
            value: value.clone(),
            requests,
            baseline_quality: total.mean(BASE_QUALITY),
            quality: total.mean_interval(QUALITY, confidence),
            quality_change: total.ratio(|s| s[QUALITY] - s[BASE_QUALITY], |s| s[N], confidence),
            savings: total.savings(COST, BASE_COST, confidence),
            broken: total.margin_high(fitted.line, robustness, alpha) < 0.0,
            waived: options.waived.contains(&format!("{column}={value}")),
        }
    };
    let all = names.into_iter().enumerate().map(segment);
    all.filter(|segment| segment.requests > 0).collect()
}

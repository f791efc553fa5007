//! The second pass, and the evaluation drawn from its sums.

use plimsoll::BEST_SINGLE;
use plimsoll_datasets::{LoggedBatch, LoggedFiles, NO_NAME};
use rayon::prelude::*;

use super::error::StreamError;
use super::scorer::Scorer;
use super::sums::{
    BASE_COST, BASE_QUALITY, BASE_WEIGHT, BUCKET_BITS, COST, DM_BASE_COST, DM_COST, DM_QUALITY,
    HIGH, IPS_BASE_COST, IPS_COST, IPS_QUALITY, LINE, LOW, N, QUALITY, Row, SEGMENT_BITS,
    SEGMENT_BUCKETS, SERVED_COST, SERVED_QUALITY, Sums, Target, WEIGHT,
};
use super::survey::{Sides, Survey};
use crate::bounds::Looks;
use crate::error::EvidenceError;
use crate::evaluation::{
    ArmOverlap, ArmValue, EstimatorRow, Evaluation, Gate, Interval, IntervalChoice, LoggedValue,
    MissingLabels, OffPolicy, Savings, Segment, WeightSummary,
};
use crate::intervals::betting_lower_above;
use crate::judge::{Findings, FloorBound, verdict};
use crate::logged::UNSUPPORTED_SHARE_MAX;
use crate::promise::{Line, normal_quantile};
use crate::replay::{Fitted, INVOICE_TOLERANCE, Judged, ReplayOptions, column};
use crate::sections;
use crate::table::UNPRICED_SHARE_MAX;
use crate::trust::{UNLABELLED_GAP_MAX, UNLABELLED_SHARE_MAX};

/// Batches are dealt to so many sums, which are merged in order: equal bits on any threads.
const LANES: usize = 16;
/// Values of task or tenant that are reported as segments, at most.
const SEGMENTS_MAX: usize = 64;
/// Weights above this count as clipped.
const CLIP: f64 = 100.0;
const METHOD: &str = "cluster-robust normal";

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

/// Sends every evaluated row through the policy.
pub(super) fn judge(
    files: &LoggedFiles,
    survey: &Survey,
    scorer: &Scorer<'_>,
    fitted: &Fitted<'_>,
    options: &ReplayOptions,
) -> Result<Sums, StreamError> {
    refuse_unpriced(survey, fitted)?;
    let plan = SegmentPlan::new(survey);
    let target = Target {
        line: fitted.line,
        baseline: baseline(fitted, options)?,
        clip: CLIP,
    };
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
                add(
                    batch,
                    sides,
                    &plan,
                    scorer,
                    &target,
                    &mut scratch,
                    &mut sums,
                )?;
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
    for index in 0..batch.len() {
        let (quality, cost) = (batch.quality[index], batch.cost_usd[index]);
        let session = batch.session[index];
        if quality.is_nan() || cost.is_nan() || sides.is_train(session) {
            continue;
        }
        let task = batch.task.code[index];
        let column = scorer.column[batch.arm.code[index] as usize];
        let row = Row {
            bucket: sides.bucket(session, BUCKET_BITS),
            segment_bucket: sides.bucket(session, SEGMENT_BITS),
            segments: plan.of(task, batch.tenant.code[index]),
            chosen: (column != usize::MAX).then_some(column),
            propensity: batch.propensity[index],
            quality,
            cost,
        };
        let tokens = batch.input_tokens[index];
        let prompt = batch.prompt(index);
        let scores_of_row = scorer.scores(task, tokens, prompt, scratch)?;
        sums.push(&row, &scores_of_row, target);
    }
    Ok(())
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
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Ratios of sums over independent buckets, with their standard errors.
struct Totals<'b, const W: usize> {
    buckets: &'b [[f64; W]],
    sums: [f64; W],
    filled: usize,
}

impl<'b, const W: usize> Totals<'b, W> {
    fn new(buckets: &'b [[f64; W]]) -> Self {
        let mut sums = [0.0; W];
        for bucket in buckets {
            sums.iter_mut().zip(bucket).for_each(|(a, b)| *a += b);
        }
        Self {
            buckets,
            sums,
            filled: buckets.iter().filter(|b| b[N] > 0.0).count(),
        }
    }

    fn sum(&self, column: usize) -> f64 {
        self.sums[column]
    }

    fn mean(&self, column: usize) -> f64 {
        self.sums[column] / self.sums[N].max(1.0)
    }

    /// R = ΣA/ΣB with se² = G/(G − 1) Σ_g (A_g − R B_g)²/(ΣB)²: the linearised ratio over G
    /// independent buckets (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13).
    fn ratio(
        &self,
        above: impl Fn(&[f64; W]) -> f64,
        below: impl Fn(&[f64; W]) -> f64,
        confidence: f64,
    ) -> Interval {
        let (a, b) = (above(&self.sums), below(&self.sums));
        if b == 0.0 || self.filled < 2 {
            return Interval::default();
        }
        let ratio = a / b;
        let squares: f64 = self
            .buckets
            .iter()
            .map(|bucket| (above(bucket) - ratio * below(bucket)).powi(2))
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "there are few buckets")]
        let groups = self.filled as f64;
        let error = (groups / (groups - 1.0) * squares).sqrt() / b.abs();
        let width = normal_quantile(0.5 + confidence / 2.0) * error;
        Interval {
            point: ratio,
            low: ratio - width,
            high: ratio + width,
        }
    }

    fn mean_interval(&self, column: usize, confidence: f64) -> Interval {
        self.ratio(|s| s[column], |s| s[N], confidence)
    }

    fn savings(&self, cost: usize, base: usize, confidence: f64) -> Interval {
        let kept = self.ratio(|s| s[cost], |s| s[base], confidence);
        if self.sums[base] <= 0.0 {
            return Interval::default();
        }
        Interval {
            point: 1.0 - kept.point,
            low: 1.0 - kept.high,
            high: 1.0 - kept.low,
        }
    }

    /// Lower bound for the mean of φ ≥ `floor`. Buckets are hashed, so their order is random.
    fn bet(&self, column: usize, floor: f64, alpha: f64) -> Option<f64> {
        let filled = || self.buckets.iter().filter(|b| b[N] > 0.0);
        let largest = filled().map(|b| b[N]).fold(1.0, f64::max);
        let values: Vec<f64> = filled().map(|b| (b[column] / b[N]).max(floor)).collect();
        let weights: Vec<f64> = filled().map(|b| b[N] / largest).collect();
        betting_lower_above(&values, floor, Some(&weights), alpha, Looks::Once)
    }

    /// Upper bound of the margin over the line.
    fn margin_high(&self, line: Line, alpha: f64) -> f64 {
        let (least, most) = line.margin_range();
        let bound = self.bet(HIGH, -1.0, alpha).map(|low| match line {
            Line::Absolute(line) => (-low).clamp(0.0, 1.0) - line,
            Line::Relative { .. } => (-low).clamp(least, 1.0),
        });
        bound.unwrap_or(most)
    }
}

impl Totals<'_, { super::sums::WIDTH }> {
    fn floor(&self, line: Line, confidence: f64) -> FloorBound {
        let alpha = 1.0 - confidence;
        let (least, _) = line.margin_range();
        let low = match line {
            Line::Absolute(line) => {
                let low = self.bet(LOW, 0.0, alpha);
                low.map(|low| low.clamp(0.0, 1.0) - line)
            }
            Line::Relative { retain, .. } => {
                let low = self.bet(LOW, -retain, alpha);
                low.map(|low| low.clamp(-retain, 1.0))
            }
        };
        FloorBound {
            margin: self.mean(QUALITY) - self.mean(LINE),
            low: low.unwrap_or(least),
            high: self.margin_high(line, alpha),
            method: "betting on weighted rewards",
            reason: "rewards are weighted by 1/propensity, which has no upper end: a finite-sample \
                     betting bound that needs none, over means of hashed buckets of sessions",
        }
    }
}

/// The evaluation of all rows; what they cannot tell is taken from the sample's.
pub(super) fn evaluation(
    sample: &Evaluation,
    survey: &Survey,
    fitted: &Fitted<'_>,
    judged: &Judged,
    sums: &Sums,
    options: &ReplayOptions,
) -> Evaluation {
    let total = Totals::new(&sums.buckets);
    let confidence = options.interval_confidence;
    let interval = |column| total.mean_interval(column, confidence);
    let floor = total.floor(fitted.line, fitted.confidence);
    let floor_quality = total.mean(LINE);
    let mut all = sample.clone();
    all.baseline = ArmValue {
        model: sample.baseline.model.clone(),
        quality: total.mean(BASE_QUALITY),
        cost_usd: total.mean(BASE_COST),
    };
    all.policy.quality = interval(QUALITY);
    all.policy.cost_usd = interval(COST);
    all.savings = Savings {
        fraction: total.savings(COST, BASE_COST, confidence),
        usd: total.ratio(|s| s[BASE_COST] - s[COST], |s| s[N], confidence),
    };
    all.quality_change = total.ratio(|s| s[QUALITY] - s[BASE_QUALITY], |s| s[N], confidence);
    all.floor.quality = floor_quality;
    all.floor.margin = floor.margin;
    all.floor.margin_low = floor.low;
    all.floor.margin_high = floor.high;
    floor.method.clone_into(&mut all.floor.bound);
    floor.reason.clone_into(&mut all.floor.bound_reason);
    counts(&mut all, survey, &total);
    diagnostics(&mut all, survey, total.filled);
    trust(&mut all, survey, sums, &total, &floor, confidence);
    all.off_policy = Some(off_policy(&total, sample, confidence));
    all.segments = segments(survey, fitted, sums, options);
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
    // The sample holds labelled rows only: what is missing is counted over the whole log.
    all.trust.gates.retain(|gate| gate.name != LABELS);
    all.trust.gates.push(labels(survey));
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

/// Name of the gate that missing labels must pass.
const LABELS: &str = "labels";

/// Missing labels over the whole log: few, and as many for one arm as for another.
fn labels(survey: &Survey) -> Gate {
    let rows: u64 = survey.seen.iter().map(|seen| seen.rows).sum();
    let labelled: u64 = survey.seen.iter().map(|seen| seen.labelled).sum();
    let missing = 1.0 - share(labelled, rows);
    let differs = survey.seen.iter().filter(|seen| seen.rows > 0).any(|seen| {
        let own = 1.0 - share(seen.labelled, seen.rows);
        // Four standard errors: chance does not exceed them for any number of arms.
        let noise = 4.0 * (missing * (1.0 - missing) * share(1, seen.rows)).sqrt();
        (own - missing).abs() > UNLABELLED_GAP_MAX + noise
    });
    Gate {
        name: LABELS.to_owned(),
        measured: format!(
            "{:.2} % missing, at most {:.0} %{}",
            missing * 100.0,
            UNLABELLED_SHARE_MAX * 100.0,
            if differs { "; more for some arms" } else { "" }
        ),
        passed: missing <= UNLABELLED_SHARE_MAX && !differs,
        about: "Answers without a label may be the bad ones; label them, or a random part of them."
            .to_owned(),
    }
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

fn counts(all: &mut Evaluation, survey: &Survey, total: &Totals<'_, { super::sums::WIDTH }>) {
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
         references, frontier, metrics, calibration and sensitivity rest on a sample of the \
         evaluated ones; everything else rests on all {}",
        all.requests.train, survey.train, all.requests.evaluated
    ));
}

fn trust(
    all: &mut Evaluation,
    survey: &Survey,
    sums: &Sums,
    total: &Totals<'_, { super::sums::WIDTH }>,
    floor: &FloorBound,
    confidence: f64,
) {
    let n = total.sum(N).max(1.0);
    let models: Vec<String> = all.trust.overlap.iter().map(|o| o.model.clone()).collect();
    all.trust.overlap = models
        .into_iter()
        .zip(&sums.arms)
        .enumerate()
        .map(|(arm, (model, own))| ArmOverlap {
            model,
            logged: own.logged,
            #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
            logged_share: own.logged as f64 / n,
            target_share: own.target / n,
            ess: effective(own.weight, own.weight_squares),
            mean_weight: Some(arm_weight(sums, arm, confidence)),
            propensity_min: own.propensity_min.is_finite().then_some(own.propensity_min),
        })
        .collect();
    let weight = total.sum(WEIGHT);
    let heaviest = sums.largest.first().copied().unwrap_or(0.0);
    let ess = effective(weight, sums.weight_squares);
    all.trust.weights = Some(WeightSummary {
        ess,
        ess_share: ess / n,
        weight_max: heaviest,
        weight_max_share: if weight > 0.0 { heaviest / weight } else { 0.0 },
        clip: CLIP,
        clipped_mass: if weight > 0.0 {
            sums.clipped / weight
        } else {
            0.0
        },
        mean_weight: total.mean_interval(WEIGHT, confidence),
        unsupported_share: sums.unsupported / n,
        largest: sums.largest.clone(),
    });
    all.trust.missing = missing(all, survey, sums, n);
    all.trust.clusters = total.filled as u64;
    all.trust.cluster_by.clone_from(&all.diagnostics.cluster_by);
    let sizes = sums.buckets.iter().map(|b| b[N]);
    all.trust.largest_cluster_share = sizes.fold(0.0, f64::max) / n;
    all.trust.intervals = vec![
        IntervalChoice {
            quantity: "floor".to_owned(),
            method: floor.method.to_owned(),
            reason: floor.reason.to_owned(),
        },
        IntervalChoice {
            quantity: format!("{}, cost and savings", all.trust.score()),
            method: METHOD.to_owned(),
            reason: format!(
                "sums over {} hashed buckets of whole sessions: at this size normal, and exact in \
                 their dependence",
                total.filled
            ),
        },
    ];
}

fn effective(weight: f64, squares: f64) -> f64 {
    if squares > 0.0 {
        weight * weight / squares
    } else {
        0.0
    }
}

/// Mean of 1\[arm logged\]/p over all evaluated rows.
fn arm_weight(sums: &Sums, arm: usize, confidence: f64) -> Interval {
    let arms = sums.arms.len();
    let pairs: Vec<[f64; 2]> = sums
        .buckets
        .iter()
        .enumerate()
        .map(|(at, bucket)| [bucket[N], sums.inverse[at * arms + arm]])
        .collect();
    Totals::new(&pairs).ratio(|s| s[1], |s| s[N], confidence)
}

fn missing(all: &Evaluation, survey: &Survey, sums: &Sums, n: f64) -> Vec<MissingLabels> {
    let mut rows = Vec::new();
    for (overlap, own) in all.trust.overlap.iter().zip(&sums.arms) {
        let Ok(at) = survey.arms.binary_search(&overlap.model) else {
            continue;
        };
        let seen = survey.seen[at];
        let unlabelled_share = share(seen.rows - seen.labelled, seen.rows);
        if unlabelled_share > 0.0 {
            let known = (own.quality / n).clamp(0.0, 1.0) * (1.0 - unlabelled_share);
            rows.push(MissingLabels {
                model: overlap.model.clone(),
                outcomes: seen.rows,
                unlabelled_share,
                quality_low: known,
                quality_high: known + unlabelled_share,
            });
        }
    }
    rows
}

fn off_policy(
    total: &Totals<'_, { super::sums::WIDTH }>,
    sample: &Evaluation,
    confidence: f64,
) -> OffPolicy {
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
fn self_normalised_savings(
    total: &Totals<'_, { super::sums::WIDTH }>,
    confidence: f64,
) -> Interval {
    let (policy, base) = (
        total.sum(IPS_COST) / total.sum(WEIGHT),
        total.sum(IPS_BASE_COST) / total.sum(BASE_WEIGHT),
    );
    if !(policy / base).is_finite() {
        return Interval::default();
    }
    // d log(policy/base): each ratio's residual over its own total.
    let residual = |s: &[f64; super::sums::WIDTH]| {
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
            broken: total.margin_high(fitted.line, alpha) < 0.0,
            waived: options.waived.contains(&format!("{column}={value}")),
        }
    };
    let all = names.into_iter().enumerate().map(segment);
    all.filter(|segment| segment.requests > 0).collect()
}

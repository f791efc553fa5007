//! The parts of an evaluation, one function each.

use std::collections::BTreeMap;

use ndarray::Array1;
use plimsoll::{RuleKind, Usd};
use plimsoll_datasets::{OutcomeLog, column_value};

use crate::bootstrap::percentile_interval;
use crate::evaluation::{
    ArmShare, ArmValue, CalibrationBin, ChangedAnswer, Diagnostics, FrontierKind, FrontierPoint,
    Interval, Metrics, MixRow, Projection, Reference, References, Savings, Segment, SensitivityRow,
};
use crate::hull::{Hull, Point};
use crate::judge::{Clusters, broken_p, floor_bound, holm, paired, saved_share};
use crate::metrics::TwoArms;
use crate::promise::{Line, Play, mean};
use crate::replay::{
    Fitted, INVOICE_TOLERANCE, Judged, ReplayInput, ReplayOptions, arm_play, predictor_rows,
    standard_errors, training_rows, tuned_play,
};
use crate::study::Study;
use crate::tune::{Setting, Tuned, lambda_grid, play, static_mix};

/// Most changed answers listed.
const CHANGED_MAX: usize = 50;
/// Least days of a log from which a month may be projected.
const LOOKBACK_DAYS_MIN: f64 = 7.0;
/// Bins of the calibration diagram.
const CALIBRATION_BINS: usize = 10;
/// Shares of the best arm's quality at which the frontier is tuned.
const SWEEP: [f64; 9] = [1.0, 0.99, 0.98, 0.97, 0.95, 0.92, 0.9, 0.85, 0.8];
/// Largest share of labels that one tenant may give before a reader is warned.
const TENANT_SHARE_MAX: f64 = 0.5;

const MICROSECONDS_PER_DAY: f64 = 86_400e6;
const DAYS_PER_MONTH: f64 = 30.0;

/// One arm answering every evaluated request; the cost is the exact total over n.
pub(crate) fn arm_value(study: &Study<'_>, arm: usize) -> ArmValue {
    let total: Usd = study
        .test
        .rows
        .iter()
        .map(|&row| study.table.cost_exact[[row, arm]])
        .sum();
    ArmValue {
        model: study.table.arms[arm].to_string(),
        quality: mean(study.test.quality.column(arm)),
        cost_usd: total.as_f64() / count(study.test.rows.len()),
    }
}

/// One line on the policy.
pub(crate) fn policy_name(fitted: &Fitted<'_>, rule: RuleKind) -> String {
    let predictor = &fitted.candidates[fitted.chosen].0.name;
    let arm = |column: usize| fitted.study.table.arms[column].as_str();
    let setting = |setting: Setting| match setting {
        Setting::Lambda(lambda) => format!("λ = {lambda:.4}"),
        Setting::Tau { tau, delta } => format!("τ = {tau:.2}, δ = {delta}"),
        Setting::Arm(column) => format!("always {}", arm(column)),
    };
    let Some(tuned) = fitted.tuned else {
        return format!("{rule}: infeasible, always {}", arm(fitted.study.best));
    };
    let mut name = format!("{rule}, {predictor}, {}", setting(tuned.setting));
    if tuned.share < 1.0 {
        use std::fmt::Write as _;
        let (share, other) = (tuned.share * 100.0, setting(tuned.other));
        let _ = write!(name, " for {share:.1} % of requests, {other} for the rest");
    }
    name
}

/// Whether all labels on both sides are equal.
pub(crate) fn no_signal(study: &Study<'_>) -> bool {
    let mut labels = study.train.quality.iter().chain(study.test.quality.iter());
    let first = labels.next().copied().unwrap_or(0.0);
    labels.all(|q| (q - first).abs() < f64::EPSILON)
}

/// Reasons outside the numbers why the evidence does not suffice.
pub(crate) fn doubts(options: &ReplayOptions, fitted: &Fitted<'_>, judged: &Judged) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(invoice) = options.invoice_usd {
        let logged = logged_cost(
            fitted.study.log,
            fitted.study.table.arms[judged.baseline_arm].as_str(),
        );
        let (logged_usd, invoice_usd) = (logged.as_f64(), invoice.as_f64());
        let gap = (logged_usd - invoice_usd).abs();
        if gap > INVOICE_TOLERANCE * invoice_usd.abs() {
            doubts.push(format!(
                "the log's cost of {logged_usd:.2} USD and the invoice of {invoice_usd:.2} USD \
                 differ by more than {:.0} %: check prices, caching and missing rows",
                INVOICE_TOLERANCE * 100.0
            ));
        }
    }
    doubts
}

/// What production paid: the served rows, or the baseline's rows when none is marked.
fn logged_cost(log: &OutcomeLog, baseline: &str) -> Usd {
    let outcomes = || log.requests.iter().flat_map(|r| &r.outcomes);
    let marked = outcomes().any(|o| o.served.is_some());
    outcomes()
        .filter(|o| match marked {
            true => o.served == Some(true),
            false => log.arms[o.arm as usize].as_str() == baseline,
        })
        .filter_map(|o| o.cost)
        .sum()
}

/// Baseline-relative value of a reference.
fn reference(about: String, play: &Play, baseline: &Play, mix: Vec<ArmShare>) -> Reference {
    let (cost, base) = (mean(play.cost.view()), mean(baseline.cost.view()));
    Reference {
        about,
        quality: mean(play.quality.view()),
        cost_usd: cost,
        savings: saved_share(cost, base),
        mix,
    }
}

fn arm_mix(study: &Study<'_>, shares: &[(usize, f64)]) -> (Play, Vec<ArmShare>) {
    let n = study.test.rows.len();
    let mut total = Play {
        quality: Array1::zeros(n),
        cost: Array1::zeros(n),
    };
    for &(arm, share) in shares {
        total
            .quality
            .scaled_add(share, &study.test.quality.column(arm));
        total.cost.scaled_add(share, &study.test.cost.column(arm));
    }
    let mix = shares
        .iter()
        .map(|&(arm, share)| ArmShare {
            model: study.table.arms[arm].to_string(),
            share,
        })
        .collect();
    (total, mix)
}

/// Best single, static mix, cost-matched random, per-task table, knn, oracle.
pub(crate) fn references(fitted: &Fitted<'_>, judged: &Judged) -> References {
    let study = &fitted.study;
    let base = &judged.baseline;
    let best = arm_play(study, study.best);
    let best_mix = vec![ArmShare {
        model: study.table.arms[study.best].to_string(),
        share: 1.0,
    }];

    let per_row = fitted.line.per_request(&study.train.quality);
    let rows = training_rows(
        study,
        &per_row,
        standard_errors(study, fitted.confidence, fitted.aim),
    );
    let anchor = Tuned::pure(Setting::Arm(study.best));
    let static_tuned = static_mix(&rows).unwrap_or(anchor);
    let (static_play, static_shares) = arm_mix(study, &shares_of(&static_tuned));

    let (matched_play, matched_shares) = arm_mix(study, &cost_matched(study, &judged.play));
    let tuned = |pair: &(crate::candidate::Candidate, Option<Tuned>), about: &str| {
        let play = tuned_play(fitted, &pair.0.on_test(study), pair.1);
        reference(about.to_owned(), &play, base, vec![])
    };
    References {
        best_single: reference(
            "the arm of highest quality on the training rows, for every request".into(),
            &best,
            base,
            best_mix,
        ),
        static_mix_hull: reference(
            "the cheapest fixed random mix that keeps the same promise on the training rows".into(),
            &static_play,
            base,
            static_shares,
        ),
        cost_matched_random: reference(
            "the best fixed random mix for the money that the policy spends".into(),
            &matched_play,
            base,
            matched_shares,
        ),
        per_task_table: fitted
            .tasks
            .as_ref()
            .map(|pair| tuned(pair, "a table of means per task under the same promise")),
        knn: fitted
            .knn
            .as_ref()
            .map(|pair| tuned(pair, "nearest neighbours alone under the same promise")),
        oracle: reference(
            "the cheapest best answer to each request, known only afterwards; inflated by luck \
             when each arm answered once"
                .into(),
            &oracle(study),
            base,
            vec![],
        ),
    }
}

fn shares_of(tuned: &Tuned) -> Vec<(usize, f64)> {
    match (tuned.setting, tuned.other) {
        (Setting::Arm(first), Setting::Arm(second)) if first != second => {
            vec![(first, tuned.share), (second, 1.0 - tuned.share)]
        }
        (Setting::Arm(only), _) => vec![(only, 1.0)],
        _ => vec![],
    }
}

/// Shares of the training hull's arms whose mix costs what the policy costs on the evaluated rows.
fn cost_matched(study: &Study<'_>, policy: &Play) -> Vec<(usize, f64)> {
    let arms = 0..study.table.arms.len();
    let points: Vec<Point> = arms
        .map(|arm| Point {
            // Costs of the rows on which the money is matched; which arms are good is learned.
            cost: mean(study.test.cost.column(arm)),
            quality: mean(study.train.quality.column(arm)),
        })
        .collect();
    let hull = Hull::of(&points);
    let corners = hull.corners();
    match hull.mix_at_cost(mean(policy.cost.view())) {
        Some((low, high, share)) if low != high => {
            vec![(corners[low].0, 1.0 - share), (corners[high].0, share)]
        }
        Some((only, _, _)) => vec![(corners[only].0, 1.0)],
        // The policy is cheaper than the cheapest arm of the hull on average.
        None => corners
            .first()
            .map(|(arm, _)| vec![(*arm, 1.0)])
            .unwrap_or_default(),
    }
}

fn oracle(study: &Study<'_>) -> Play {
    let choose = |i: usize| {
        let (quality, cost) = (study.test.quality.row(i), study.test.cost.row(i));
        (0..quality.len())
            .reduce(|best, arm| {
                let order = quality[arm].total_cmp(&quality[best]);
                if order.then(cost[best].total_cmp(&cost[arm])).is_gt() {
                    arm
                } else {
                    best
                }
            })
            .expect("a table has at least two arms")
    };
    let chosen: Vec<usize> = (0..study.test.rows.len()).map(choose).collect();
    Play {
        quality: chosen
            .iter()
            .enumerate()
            .map(|(i, &a)| study.test.quality[[i, a]])
            .collect(),
        cost: chosen
            .iter()
            .enumerate()
            .map(|(i, &a)| study.test.cost[[i, a]])
            .collect(),
    }
}

/// The policy's sweep over λ, the best arm included: random mixing with it is always possible.
pub(crate) fn metrics(fitted: &Fitted<'_>, judged: &Judged) -> Metrics {
    let study = &fitted.study;
    let candidate = &fitted.candidates[fitted.chosen].0;
    let expected = candidate.on_test(study);
    let scale = training_rows(study, &Array1::zeros(0), 0.5).cost_scale;
    let point = |play: &Play| Point {
        cost: mean(play.cost.view()),
        quality: mean(play.quality.view()),
    };
    let best_arm = (0..study.table.arms.len())
        .reduce(|best, arm| {
            let quality = |a| mean(study.test.quality.column(a));
            if quality(arm) > quality(best) {
                arm
            } else {
                best
            }
        })
        .expect("a table has at least two arms");
    let best = point(&arm_play(study, best_arm));
    let mut sweep: Vec<Point> = lambda_grid()
        .into_iter()
        .map(|lambda| {
            let probabilities = Setting::Lambda(lambda).probabilities(&expected, scale);
            point(&play(
                &probabilities,
                study.test.quality.view(),
                study.test.cost.view(),
            ))
        })
        .collect();
    sweep.push(best);
    let two = two_arms(study, candidate);
    crate::metrics::metrics(
        &sweep,
        point(&judged.play),
        best,
        two.as_ref().map(|(weak, strong, score)| TwoArms {
            weak,
            strong,
            score,
        }),
    )
}

/// Qualities of the weaker and the stronger arm on the training rows, and the predicted gain.
type WeakStrongScore = (Vec<f64>, Vec<f64>, Vec<f64>);

fn two_arms(study: &Study<'_>, candidate: &crate::candidate::Candidate) -> Option<WeakStrongScore> {
    (study.table.arms.len() == 2).then(|| {
        let (strong, weak) = (study.best, 1 - study.best);
        let column = |arm| study.test.quality.column(arm).to_vec();
        let gain = &candidate.test.column(strong) - &candidate.test.column(weak);
        (column(weak), column(strong), gain.to_vec())
    })
}

/// Single arms, hull, tuned sweep, oracle and the policy itself.
pub(crate) fn frontier(fitted: &Fitted<'_>, judged: &Judged) -> Vec<FrontierPoint> {
    let study = &fitted.study;
    let candidate = &fitted.candidates[fitted.chosen].0;
    let arms = study.table.arms.len();
    let name = |arm: usize| study.table.arms[arm].to_string();
    let mut plays: Vec<(FrontierKind, String, Play, Option<f64>, bool)> = (0..arms)
        .map(|arm| {
            (
                FrontierKind::Arm,
                name(arm),
                arm_play(study, arm),
                None,
                false,
            )
        })
        .collect();
    let points: Vec<Point> = plays
        .iter()
        .map(|p| Point {
            cost: mean(p.2.cost.view()),
            quality: mean(p.2.quality.view()),
        })
        .collect();
    for &(arm, _) in Hull::of(&points).corners() {
        plays.push((
            FrontierKind::Hull,
            name(arm),
            arm_play(study, arm),
            None,
            false,
        ));
    }
    for retain in SWEEP {
        let line = Line::Relative {
            arm: study.best,
            retain,
        };
        let per_row = line.per_request(&study.train.quality);
        let rows = training_rows(
            study,
            &per_row,
            standard_errors(study, fitted.confidence, fitted.aim),
        );
        let Some(tuned) = candidate.tune(study, &rows, fitted.rule) else {
            continue;
        };
        let play = tuned_play(fitted, &candidate.on_test(study), Some(tuned));
        let on_test = line.per_request(&study.test.quality);
        let clusters = &study.test.clusters;
        let bound = floor_bound(&play.quality, &on_test, line, clusters, fitted.confidence);
        let label = format!("retain {:.0} %", retain * 100.0);
        plays.push((
            FrontierKind::Sweep,
            label,
            play,
            Some(retain),
            bound.low >= 0.0,
        ));
    }
    plays.push((
        FrontierKind::Oracle,
        "oracle".into(),
        oracle(study),
        None,
        false,
    ));
    let proven = judged.floor.low >= 0.0;
    plays.push((
        FrontierKind::Here,
        "policy".into(),
        judged.play.clone(),
        None,
        proven,
    ));
    with_intervals(study, judged, plays)
}

fn with_intervals(
    study: &Study<'_>,
    judged: &Judged,
    plays: Vec<(FrontierKind, String, Play, Option<f64>, bool)>,
) -> Vec<FrontierPoint> {
    let ones = Array1::from_elem(study.test.rows.len(), 1.0);
    let mut columns = vec![ones.view()];
    for (_, _, play, _, _) in &plays {
        columns.push(play.quality.view());
        columns.push(play.cost.view());
    }
    let sums = study.test.clusters.sums(&columns);
    let draws = judged.bootstrap.sums(sums.view());
    let total = sums.sum_axis(ndarray::Axis(0));
    let interval = |column: usize| {
        let means = draws.outer_iter().map(|row| row[column] / row[0]).collect();
        percentile_interval(total[column] / total[0], means, judged.confidence)
    };
    let base = mean(judged.baseline.cost.view());
    plays
        .iter()
        .enumerate()
        .map(
            |(i, (kind, label, play, retain, certified))| FrontierPoint {
                kind: *kind,
                label: label.clone(),
                quality: interval(2 * i + 1),
                cost_usd: interval(2 * i + 2),
                savings: saved_share(mean(play.cost.view()), base),
                retain: *retain,
                certified: *certified,
            },
        )
        .collect()
}

/// Shares of requests per arm, the baseline's arm and then the most used first.
pub(crate) fn mix(fitted: &Fitted<'_>, judged: &Judged) -> Vec<MixRow> {
    let study = &fitted.study;
    let mut rows: Vec<MixRow> = (0..study.table.arms.len())
        .map(|arm| {
            let value = arm_value(study, arm);
            MixRow {
                before: f64::from(u8::from(arm == judged.baseline_arm)),
                after: mean(judged.probabilities.column(arm)),
                model: value.model,
                quality: value.quality,
                cost_usd: value.cost_usd,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        b.before
            .total_cmp(&a.before)
            .then(b.after.total_cmp(&a.after))
            .then(a.model.cmp(&b.model))
    });
    rows
}

/// The evaluation by task, tenant and the columns asked for.
pub(crate) fn segments(fitted: &Fitted<'_>, judged: &Judged, columns: &[String]) -> Vec<Segment> {
    let study = &fitted.study;
    let mut groups: Vec<(String, String, Vec<usize>)> = Vec::new();
    let names = ["task", "tenant"]
        .into_iter()
        .chain(columns.iter().map(String::as_str));
    for column in names {
        let mut values: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for i in 0..study.test.rows.len() {
            if let Some(value) = column_value(study.test_request(i), column) {
                values.entry(value).or_default().push(i);
            }
        }
        if values.len() > 1 {
            let group =
                |(value, rows): (&str, Vec<usize>)| (column.to_owned(), value.to_owned(), rows);
            groups.extend(values.into_iter().map(group));
        }
    }
    let alpha = 1.0 - fitted.confidence;
    let part = |rows: &[usize]| Clusters::of_rows(&study.test.clusters.of, rows);
    let p_values: Vec<f64> = groups
        .iter()
        .map(|(_, _, rows)| {
            let quality = judged.play.quality.select(ndarray::Axis(0), rows);
            let line = judged.line_per_row.select(ndarray::Axis(0), rows);
            broken_p(&quality, &line, fitted.line, &part(rows), alpha)
        })
        .collect();
    let broken = holm(&p_values, alpha);
    groups
        .into_iter()
        .zip(broken)
        .map(|((column, value, rows), broken)| {
            let policy = judged.play.rows(&rows);
            let baseline = judged.baseline.rows(&rows);
            let clusters = part(&rows);
            let paired = paired(
                &policy,
                &baseline,
                &clusters,
                judged.bootstrap,
                judged.confidence,
            );
            Segment {
                column,
                value,
                requests: rows.len() as u64,
                baseline_quality: mean(baseline.quality.view()),
                quality: paired.quality,
                quality_change: paired.quality_change,
                savings: paired.savings.fraction,
                broken,
            }
        })
        .collect()
}

/// Coverage, predictors, calibration, sensitivity, warnings.
pub(crate) fn diagnostics(
    input: &ReplayInput<'_>,
    fitted: &Fitted<'_>,
    judged: &Judged,
) -> Diagnostics {
    let study = &fitted.study;
    let table = study.table;
    let compared = || table.coverage.iter().filter(|arm| arm.compared);
    let average = |pick: &dyn Fn(&crate::evaluation::ArmCoverage) -> f64| {
        compared().map(pick).sum::<f64>() / count(compared().count().max(1))
    };
    let calibration = calibration(fitted);
    let reference = mean(study.train.cost.column(study.best));
    let (lambda, tau) = match fitted.tuned.map(|t| t.setting) {
        Some(Setting::Lambda(lambda)) => (Some(lambda), None),
        Some(Setting::Tau { tau, .. }) => (None, Some(tau)),
        _ => (None, None),
    };
    Diagnostics {
        arms: table.coverage.clone(),
        rows: input.rows,
        unlabelled_share: average(&|arm| arm.unlabelled_share),
        unpriced_share: average(&|arm| arm.unpriced_share),
        clusters: study.test.clusters.count as u64,
        cluster_by: table.cluster_by.to_owned(),
        lambda,
        tau,
        train_margin: fitted.tuned.map_or(0.0, |t| t.margin),
        train_savings: fitted.tuned.map_or(0.0, |t| saved_share(t.cost, reference)),
        predictors: predictor_rows(fitted),
        calibration_error: calibration_error(&calibration),
        calibration,
        sensitivity: sensitivity(fitted, judged),
        warnings: warnings(study),
    }
}

fn warnings(study: &Study<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let left_out: Vec<String> = study
        .table
        .coverage
        .iter()
        .filter(|arm| !arm.compared)
        .map(|arm| arm.model.clone())
        .collect();
    if !left_out.is_empty() {
        warnings.push(format!(
            "{} of {} arms are left out of the comparison: {}",
            left_out.len(),
            study.table.coverage.len(),
            some_of(&left_out)
        ));
    }
    let set_aside = study.table.set_aside.len();
    if set_aside > 0 {
        warnings.push(format!(
            "{set_aside} requests are set aside because a compared arm has no labelled and priced \
             outcome there; see the sensitivity rows for the worst case"
        ));
    }
    if study.unused > 0 {
        warnings.push(format!(
            "{} training requests were not needed: {} drawn by the seed were learned from",
            study.unused,
            study.train.rows.len()
        ));
    }
    if let Some((_, share)) = largest_tenant(study).filter(|(_, share)| *share > TENANT_SHARE_MAX) {
        warnings.push(format!(
            "one tenant sent {:.0} % of the evaluated requests: the result is mostly about it",
            share * 100.0
        ));
    }
    warnings
}

/// The headline when one choice changes.
fn sensitivity(fitted: &Fitted<'_>, judged: &Judged) -> Vec<SensitivityRow> {
    let study = &fitted.study;
    let base = mean(judged.baseline.cost.view());
    let line = mean(judged.line_per_row.view());
    let row = |change: String, play: &Play| SensitivityRow {
        change,
        savings: saved_share(mean(play.cost.view()), base),
        margin: mean(play.quality.view()) - line,
    };
    let mut rows = Vec::new();
    let candidate = &fitted.candidates[fitted.chosen].0;
    let per_row = fitted.line.per_request(&study.train.quality);
    for confidence in [0.5, 0.8, 0.99] {
        let training = training_rows(
            study,
            &per_row,
            standard_errors(study, confidence, fitted.aim),
        );
        let tuned = candidate.tune(study, &training, fitted.rule);
        let play = tuned_play(fitted, &candidate.on_test(study), tuned);
        rows.push(row(format!("tuned at confidence {confidence}"), &play));
    }
    for (i, (other, tuned)) in fitted.candidates.iter().enumerate() {
        if i != fitted.chosen {
            let play = tuned_play(fitted, &other.on_test(study), *tuned);
            rows.push(row(format!("predictor {}", other.name), &play));
        }
    }
    rows.extend(set_aside_row(fitted, judged));
    rows.extend(without_tenant(fitted, judged));
    rows
}

/// Worst case for requests set aside: the policy fails all of them, the baseline none.
fn set_aside_row(fitted: &Fitted<'_>, judged: &Judged) -> Option<SensitivityRow> {
    let study = &fitted.study;
    let aside = count(study.table.set_aside.len());
    let share = aside / (aside + count(study.table.rows()));
    let loss = match fitted.line {
        Line::Absolute(line) => line,
        Line::Relative { retain, .. } => retain,
    };
    (aside > 0.0).then(|| SensitivityRow {
        change: "worst case: the policy fails every request set aside".into(),
        savings: saved_share(
            mean(judged.play.cost.view()),
            mean(judged.baseline.cost.view()),
        ),
        margin: judged.floor.margin * (1.0 - share) - loss * share,
    })
}

/// The headline without the tenant that sent most requests.
fn without_tenant(fitted: &Fitted<'_>, judged: &Judged) -> Option<SensitivityRow> {
    let study = &fitted.study;
    let (tenant, share) = largest_tenant(study)?;
    let rows: Vec<usize> = (0..study.test.rows.len())
        .filter(|&i| study.test_request(i).tenant.as_deref() != Some(tenant))
        .collect();
    if rows.is_empty() {
        return None;
    }
    let (play, base) = (judged.play.rows(&rows), judged.baseline.rows(&rows));
    let line = judged.line_per_row.select(ndarray::Axis(0), &rows);
    Some(SensitivityRow {
        change: format!(
            "without the largest tenant ({:.0} % of requests)",
            share * 100.0
        ),
        savings: saved_share(mean(play.cost.view()), mean(base.cost.view())),
        margin: mean(play.quality.view()) - mean(line.view()),
    })
}

fn largest_tenant<'a>(study: &Study<'a>) -> Option<(&'a str, f64)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for i in 0..study.test.rows.len() {
        if let Some(tenant) = study.test_request(i).tenant.as_deref() {
            *counts.entry(tenant).or_default() += 1;
        }
    }
    let largest = counts
        .iter()
        .max_by(|a, b| a.1.cmp(b.1).then(b.0.cmp(a.0)))?;
    Some((largest.0, count(*largest.1) / count(study.test.rows.len())))
}

/// Predicted against observed quality of all compared arms on the evaluated rows.
fn calibration(fitted: &Fitted<'_>) -> Vec<CalibrationBin> {
    let study = &fitted.study;
    let candidate = &fitted.candidates[fitted.chosen].0;
    let mut bins = vec![(0.0, 0.0, 0_u64); CALIBRATION_BINS];
    for (predicted, observed) in candidate.test.iter().zip(&study.test.quality) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "in [0, 1]"
        )]
        let bin = (predicted * count(CALIBRATION_BINS)) as usize;
        let bin = &mut bins[bin.min(CALIBRATION_BINS - 1)];
        *bin = (bin.0 + predicted, bin.1 + observed, bin.2 + 1);
    }
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    bins.into_iter()
        .filter(|bin| bin.2 > 0)
        .map(|(predicted, observed, n)| CalibrationBin {
            predicted: predicted / n as f64,
            observed: observed / n as f64,
            count: n,
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn calibration_error(bins: &[CalibrationBin]) -> Option<f64> {
    let total: u64 = bins.iter().map(|b| b.count).sum();
    let gap: f64 = bins
        .iter()
        .map(|b| (b.predicted - b.observed).abs() * b.count as f64)
        .sum();
    (total > 0).then(|| gap / total as f64)
}

/// Savings in 30 days at the log's own rate; `None` below seven days.
pub(crate) fn projection(log: &OutcomeLog, savings: &Savings) -> Option<Projection> {
    let times = || log.requests.iter().filter_map(|r| r.timestamp_us);
    let (first, last) = (times().min()?, times().max()?);
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a log fit a float well enough"
    )]
    let days = (last - first) as f64 / MICROSECONDS_PER_DAY;
    if days < LOOKBACK_DAYS_MIN {
        return None;
    }
    let per_month = count(times().count()) / days * DAYS_PER_MONTH;
    let scale = |x: f64| x * per_month;
    Some(Projection {
        usd_per_month: Interval {
            point: scale(savings.usd.point),
            low: scale(savings.usd.low),
            high: scale(savings.usd.high),
        },
        requests_per_month: per_month,
        lookback_days: days,
        note: format!(
            "30 days at the rate and mix of the log's {days:.0} days; seasons, growth and price \
             changes are not in it"
        ),
    })
}

/// Requests whose most likely arm differs from the baseline, the greatest loss of quality first.
pub(crate) fn changed(fitted: &Fitted<'_>, judged: &Judged, show_text: bool) -> Vec<ChangedAnswer> {
    let study = &fitted.study;
    let likeliest = |i: usize| {
        let row = judged.probabilities.row(i);
        (0..row.len()).fold(0, |best, arm| if row[arm] > row[best] { arm } else { best })
    };
    let mut changed: Vec<(usize, usize, f64)> = (0..study.test.rows.len())
        .map(|i| (i, likeliest(i)))
        .filter(|(_, arm)| *arm != judged.baseline_arm)
        .map(|(i, arm)| {
            (
                i,
                arm,
                study.test.quality[[i, arm]] - judged.baseline.quality[i],
            )
        })
        .collect();
    changed.sort_by(|a, b| a.2.total_cmp(&b.2).then(a.0.cmp(&b.0)));
    changed
        .into_iter()
        .take(CHANGED_MAX)
        .map(|(i, arm, _)| {
            let request = study.test_request(i);
            ChangedAnswer {
                request_id: request.id.clone(),
                task: request.task.clone(),
                prompt: request.prompt.clone().filter(|_| show_text),
                before: study.table.arms[judged.baseline_arm].to_string(),
                after: study.table.arms[arm].to_string(),
                quality_before: judged.baseline.quality[i],
                quality_after: study.test.quality[[i, arm]],
                cost_usd_before: judged.baseline.cost[i],
                cost_usd_after: study.test.cost[[i, arm]],
            }
        })
        .collect()
}

/// A few names and how many more there are.
pub(crate) fn some_of(names: &[String]) -> String {
    let shown = 5;
    let mut text = names
        .iter()
        .take(shown)
        .cloned()
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > shown {
        use std::fmt::Write as _;
        let _ = write!(text, " and {} more", names.len() - shown);
    }
    text
}

#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

//! The parts of an evaluation, one function each.

mod diagnostics;
mod frontier;
mod judges;
mod off_policy;
mod references;
mod trust;

pub(crate) use diagnostics::diagnostics;
pub(crate) use frontier::{frontier, metrics};
pub(crate) use judges::judges;
pub(crate) use off_policy::off_policy;
pub(crate) use references::references;
pub(crate) use trust::{LoggedRows, failed_gates, logged_doubts, trust};

use std::collections::BTreeMap;

use plimsoll::{RuleKind, Usd};
use plimsoll_datasets::{OutcomeLog, column_value};

use crate::evaluation::{ArmValue, ChangedAnswer, Interval, MixRow, Projection, Savings, Segment};
use crate::floor;
use crate::judge::{Clusters, broken_p, holm, paired};
use crate::promise::mean;
use crate::replay::{Baseline, Fitted, INVOICE_TOLERANCE, Judged, LOGGED, ReplayOptions};
use crate::study::Study;
use crate::tune::Setting;

/// Most changed answers listed.
const CHANGED_MAX: usize = 50;
/// Least days of a log from which a month may be projected.
const LOOKBACK_DAYS_MIN: f64 = 7.0;

const MICROSECONDS_PER_DAY: f64 = 86_400e6;
const DAYS_PER_MONTH: f64 = 30.0;

/// One arm answering every evaluated request; the cost is the exact total over n where every
/// answer is known.
pub(crate) fn arm_value(study: &Study<'_>, arm: usize) -> ArmValue {
    if study.test.logged.is_some() {
        return ArmValue {
            model: study.table.arms[arm].to_string(),
            quality: mean(study.test.quality.column(arm)),
            cost_usd: mean(study.test.cost.column(arm)),
        };
    }
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

/// What the policy is compared with.
pub(crate) fn baseline_value(study: &Study<'_>, judged: &Judged) -> ArmValue {
    match judged.against {
        Baseline::Arm(arm) => arm_value(study, arm),
        Baseline::Logged => ArmValue {
            model: LOGGED.to_owned(),
            quality: mean(judged.baseline.quality.view()),
            cost_usd: mean(judged.baseline.cost.view()),
        },
    }
}

/// One line on the policy.
pub(crate) fn policy_name(fitted: &Fitted<'_>, rule: RuleKind) -> String {
    let predictor = &fitted.candidates[fitted.chosen].0.name;
    let arm = |column: usize| fitted.study.table.arms[column].as_str();
    let Some(tuned) = fitted.tuned else {
        return format!("{rule}: infeasible, always {}", arm(fitted.study.best));
    };
    let percent = |share: f64| format!("{:.1} %", share * 100.0);
    let how = match (tuned.setting, tuned.other) {
        (Setting::Tau { tau, delta }, _) | (_, Setting::Tau { tau, delta }) => {
            format!("τ = {tau:.2}, δ = {delta}")
        }
        (Setting::Arm(only), other) if other == Setting::Arm(only) => {
            return format!("{rule}: always {}", arm(only));
        }
        (Setting::Arm(first), Setting::Arm(second)) => {
            let share = percent(tuned.share);
            return format!(
                "{rule}: {} for {share}, {} for the rest",
                arm(first),
                arm(second)
            );
        }
        (Setting::Lambda(low), Setting::Lambda(high)) if tuned.share < 1.0 => {
            format!("λ between {:.2} and {:.2}", low.min(high), low.max(high))
        }
        (Setting::Lambda(lambda), Setting::Arm(anchor)) => {
            let share = percent(1.0 - tuned.share);
            format!("λ = {lambda:.2}, {share} kept on {}", arm(anchor))
        }
        (Setting::Arm(anchor), Setting::Lambda(lambda)) => {
            let share = percent(tuned.share);
            format!("λ = {lambda:.2}, {share} kept on {}", arm(anchor))
        }
        (Setting::Lambda(lambda), _) => format!("λ = {lambda:.2}"),
    };
    format!("{rule}, {predictor}, {how}")
}

/// Whether all labels on both sides are equal.
pub(crate) fn no_signal(study: &Study<'_>) -> bool {
    let labels = study.train.labels.iter().chain(study.test.labels.iter());
    let mut labels = labels.filter(|label| !label.is_nan());
    let first = labels.next().copied().unwrap_or(0.0);
    labels.all(|q| (q - first).abs() < f64::EPSILON)
}

/// Reasons outside the numbers why the evidence does not suffice.
pub(crate) fn doubts(options: &ReplayOptions, fitted: &Fitted<'_>, judged: &Judged) -> Vec<String> {
    let mut doubts = Vec::new();
    if let Some(invoice) = options.invoice_usd {
        let baseline = match judged.against {
            Baseline::Arm(arm) => fitted.study.table.arms[arm].as_str(),
            Baseline::Logged => LOGGED,
        };
        let logged = logged_cost(fitted.study.log, baseline);
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
    let single = log.requests.iter().all(|r| r.outcomes.len() == 1);
    let marked = outcomes().any(|o| o.served.is_some());
    outcomes()
        .filter(|o| {
            if single {
                true
            } else if marked {
                o.served == Some(true)
            } else {
                log.arms[o.arm as usize].as_str() == baseline
            }
        })
        .filter_map(|o| o.cost)
        .sum()
}

/// Shares of requests per arm, the baseline's arm and then the most used first.
pub(crate) fn mix(fitted: &Fitted<'_>, judged: &Judged) -> Vec<MixRow> {
    let study = &fitted.study;
    let mut rows: Vec<MixRow> = (0..study.table.arms.len())
        .map(|arm| {
            let value = arm_value(study, arm);
            MixRow {
                before: judged.against.share(study, arm),
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
pub(crate) fn segments(
    fitted: &Fitted<'_>,
    judged: &Judged,
    options: &ReplayOptions,
) -> Vec<Segment> {
    let study = &fitted.study;
    let mut groups: Vec<(String, String, Vec<usize>)> = Vec::new();
    let names = ["task", "tenant"]
        .into_iter()
        .chain(options.segments.iter().map(String::as_str));
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
    let part = |rows: &[usize]| Clusters::of_rows(&study.test.clusters.of, rows);
    let broken = broken_segments(fitted, judged, &groups);
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
                waived: options.waived.contains(&format!("{column}={value}")),
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

/// Which segments are shown to be below the line, all at once: by Holm's procedure where every
/// answer is known, by Bonferroni's where only the served ones are.
fn broken_segments(
    fitted: &Fitted<'_>,
    judged: &Judged,
    groups: &[(String, String, Vec<usize>)],
) -> Vec<bool> {
    let study = &fitted.study;
    let alpha = 1.0 - fitted.confidence;
    if study.test.logged.is_some() {
        let confidence = 1.0 - alpha / count(groups.len().max(1));
        let high = |rows: &[usize]| {
            let rows = Some(rows);
            floor::bound(study, &judged.probabilities, fitted.line, rows, confidence).high
        };
        return groups.iter().map(|(_, _, rows)| high(rows) < 0.0).collect();
    }
    let p_values: Vec<f64> = groups
        .iter()
        .map(|(_, _, rows)| {
            let quality = judged.play.quality.select(ndarray::Axis(0), rows);
            let line = judged.line_per_row.select(ndarray::Axis(0), rows);
            let clusters = Clusters::of_rows(&study.test.clusters.of, rows);
            broken_p(&quality, &line, fitted.line, &clusters, alpha)
        })
        .collect();
    holm(&p_values, alpha)
}

/// Savings in 30 days at the log's own rate; `None` below seven days.
pub(crate) fn log_projection(log: &OutcomeLog, savings: &Savings) -> Option<Projection> {
    let times = || log.requests.iter().filter_map(|r| r.timestamp_us);
    let (first, last) = (times().min()?, times().max()?);
    projection(first, last, times().count() as u64, savings)
}

/// Savings of a month at the rate of `requests` between two times in microseconds.
pub(crate) fn projection(
    first: i64,
    last: i64,
    requests: u64,
    savings: &Savings,
) -> Option<Projection> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "microseconds of a log fit a float well enough"
    )]
    let days = (last - first) as f64 / MICROSECONDS_PER_DAY;
    if days < LOOKBACK_DAYS_MIN {
        return None;
    }
    #[expect(
        clippy::cast_precision_loss,
        reason = "counts of requests stay below 2^53"
    )]
    let per_month = requests as f64 / days * DAYS_PER_MONTH;
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
///
/// Empty where only the served answers are known: the others cannot be shown.
pub(crate) fn changed(fitted: &Fitted<'_>, judged: &Judged, show_text: bool) -> Vec<ChangedAnswer> {
    let study = &fitted.study;
    let (None, Baseline::Arm(baseline_arm)) = (&study.test.logged, judged.against) else {
        return Vec::new();
    };
    let likeliest = |i: usize| {
        let row = judged.probabilities.row(i);
        (0..row.len()).fold(0, |best, arm| if row[arm] > row[best] { arm } else { best })
    };
    let mut changed: Vec<(usize, usize, f64)> = (0..study.test.rows.len())
        .map(|i| (i, likeliest(i)))
        .filter(|(_, arm)| *arm != baseline_arm)
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
                before: study.table.arms[baseline_arm].to_string(),
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

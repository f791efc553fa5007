//! How far a stream can be trusted: overlap, weights and their gates over all evaluated rows.

use super::sums::{N, Sums, WEIGHT, WIDTH};
use super::survey::Survey;
use super::totals::Totals;
use crate::described::is_asymptotic;
use crate::evaluation::{
    ArmOverlap, Evaluation, Gate, Interval, IntervalChoice, MissingLabels, WeightSummary,
};
use crate::intervals::Choice;
use crate::judge::FloorBound;
use crate::replay::Fitted;
use crate::trust::{MEAN_WEIGHT_LEVEL, UNLABELLED_GAP_MAX, UNLABELLED_SHARE_MAX, gates};

use super::judging::{METHOD, share};

/// Replaces what the sample's panel says of weights and labels by what all rows say; its test of
/// balance and its judges stay.
pub(super) fn trust(
    all: &mut Evaluation,
    survey: &Survey,
    fitted: &Fitted<'_>,
    sums: &Sums,
    total: &Totals<'_, WIDTH>,
    clip: f64,
    (floor, quality): (&FloorBound, Choice),
) {
    let n = total.sum(N).max(1.0);
    #[expect(clippy::cast_precision_loss, reason = "there are few arms")]
    let level = MEAN_WEIGHT_LEVEL / (all.trust.overlap.len() as f64 + 1.0);
    let table = fitted.study.table;
    for row in &mut all.trust.overlap {
        // Arms that are not compared stay as the sample has them.
        if let Some(arm) = table.column(&row.model) {
            *row = overlap(sums, arm, n, 1.0 - level, &row.model);
        }
    }
    let weights = weights(sums, total, n, clip, 1.0 - level);
    let expected = if sums.least_squares > 0.0 {
        (n - sums.unsupported).powi(2) / sums.least_squares
    } else {
        0.0
    };
    let never: Vec<&str> = (table.arms.iter().zip(&sums.arms))
        .filter(|(_, own)| own.logged == 0 && own.target > 0.0)
        .map(|(arm, _)| arm.as_str())
        .collect();
    let fresh = [
        gates::support(weights.unsupported_share, &never),
        gates::mean_weight(weights.mean_weight, &all.trust.overlap),
        gates::sample_size(weights.ess, expected),
        gates::heaviest(&weights),
        gates::clipped(&weights),
        labels(survey),
    ];
    for gate in fresh {
        match all.trust.gates.iter_mut().find(|old| old.name == gate.name) {
            Some(old) => *old = gate,
            None => all.trust.gates.push(gate),
        }
    }
    all.trust.weights = Some(weights);
    all.trust.missing = missing(all, survey, fitted, sums, n);
    all.trust.clusters = total.filled as u64;
    all.trust.cluster_by.clone_from(&all.diagnostics.cluster_by);
    let sizes = sums.buckets.iter().map(|b| b[N]);
    all.trust.largest_cluster_share = sizes.fold(0.0, f64::max) / n;
    let sampled = std::mem::take(&mut all.trust.intervals);
    all.trust.intervals = vec![
        IntervalChoice {
            quantity: "floor".to_owned(),
            method: floor.method.to_owned(),
            reason: floor.reason.to_owned(),
        },
        IntervalChoice {
            quantity: all.trust.score().to_owned(),
            method: quality.method.name().to_owned(),
            reason: quality.reason.to_owned(),
        },
    ];
    all.trust
        .intervals
        .extend(costs(quality, sampled, total.filled));
}

/// How the intervals of cost and savings were made: by sums over buckets where those are normal, or
/// as the sample's, widened to hold what all rows say.
fn costs(quality: Choice, sampled: Vec<IntervalChoice>, buckets: usize) -> Vec<IntervalChoice> {
    if is_asymptotic(quality.method) {
        return vec![IntervalChoice {
            quantity: "cost and savings".to_owned(),
            method: METHOD.to_owned(),
            reason: format!(
                "sums over {buckets} hashed buckets of whole sessions: at this size normal, and \
                 exact in their dependence"
            ),
        }];
    }
    let of_costs = |choice: &IntervalChoice| matches!(choice.quantity.as_str(), "cost" | "savings");
    sampled
        .into_iter()
        .filter(of_costs)
        .map(|choice| IntervalChoice {
            reason: format!(
                "{}; of the sample, widened by what all rows say",
                choice.reason
            ),
            ..choice
        })
        .collect()
}

fn overlap(sums: &Sums, arm: usize, n: f64, confidence: f64, model: &str) -> ArmOverlap {
    let own = &sums.arms[arm];
    ArmOverlap {
        model: model.to_owned(),
        logged: own.logged,
        #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
        logged_share: own.logged as f64 / n,
        target_share: own.target / n,
        ess: effective(own.weight, own.weight_squares),
        mean_weight: (own.logged > 0).then(|| arm_weight(sums, arm, n, confidence)),
        propensity_min: own.propensity_min.is_finite().then_some(own.propensity_min),
    }
}

fn weights(
    sums: &Sums,
    total: &Totals<'_, WIDTH>,
    n: f64,
    clip: f64,
    confidence: f64,
) -> WeightSummary {
    let weight = total.sum(WEIGHT);
    let heaviest = sums.largest.first().copied().unwrap_or(0.0);
    let ess = effective(weight, sums.weight_squares);
    let of_weight = |part: f64| if weight > 0.0 { part / weight } else { 0.0 };
    let supported = (n - sums.unsupported).max(f64::MIN_POSITIVE);
    WeightSummary {
        ess,
        ess_share: ess / n,
        weight_max: heaviest,
        weight_max_share: of_weight(heaviest),
        clip,
        clipped_mass: of_weight(sums.clipped),
        mean_weight: over(total.mean_interval(WEIGHT, confidence), n / supported),
        unsupported_share: sums.unsupported / n,
        largest: sums.largest.clone(),
    }
}

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
        name: "labels".to_owned(),
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

/// (Σw)²/Σw² (Kish 1965); 0 without weight.
pub(super) fn effective(weight: f64, squares: f64) -> f64 {
    if squares > 0.0 {
        weight * weight / squares
    } else {
        0.0
    }
}

/// Mean of 1\[arm logged\]/p over the evaluated rows on which the log could have chosen the arm.
fn arm_weight(sums: &Sums, arm: usize, n: f64, confidence: f64) -> Interval {
    let arms = sums.arms.len();
    let pairs: Vec<[f64; 2]> = sums
        .buckets
        .iter()
        .enumerate()
        .map(|(at, bucket)| [bucket[N], sums.inverse[at * arms + arm]])
        .collect();
    #[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
    let possible = n - (sums.certain - sums.arms[arm].certain) as f64;
    over(
        Totals::new(&pairs).ratio(|s| s[1], |s| s[N], confidence),
        n / possible.max(1.0),
    )
}

/// A mean over other rows than it was taken of; rounding alone must not exclude 1.
fn over(mean: Interval, factor: f64) -> Interval {
    let slack = 1e-9;
    Interval {
        point: mean.point * factor,
        low: (mean.low * factor - slack).max(0.0),
        high: mean.high * factor + slack,
    }
}

fn missing(
    all: &Evaluation,
    survey: &Survey,
    fitted: &Fitted<'_>,
    sums: &Sums,
    n: f64,
) -> Vec<MissingLabels> {
    let mut rows = Vec::new();
    for overlap in &all.trust.overlap {
        let column = fitted.study.table.column(&overlap.model);
        let place = survey.arms.binary_search(&overlap.model).ok();
        let Some((arm, at)) = column.zip(place) else {
            continue;
        };
        let own = &sums.arms[arm];
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

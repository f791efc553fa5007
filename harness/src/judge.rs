//! Judging a policy on rows it has not seen: intervals, the floor's bound, the verdict.

use ndarray::{Array1, Array2, ArrayView1};

use rand::SeedableRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::bootstrap::{Bootstrap, percentile_interval};
use crate::bounds::{
    Looks, betting_lower, betting_p_below, betting_upper, clopper_pearson_lower,
    clopper_pearson_upper, hoeffding_bentkus_lower, least_n, rescale,
};
use crate::evaluation::{Decision, Interval, Savings, Verdict};
use crate::promise::{Line, Play, mean};

/// Independent groups of evaluated rows.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// Cluster of each row, in 0..`count`.
    pub of: Vec<usize>,
    /// Number of clusters.
    pub count: usize,
}

/// Policy against baseline with paired intervals.
#[derive(Clone, Debug)]
pub struct Paired {
    /// Policy quality, mean per request.
    pub quality: Interval,
    /// Policy cost in US dollars, mean per request.
    pub cost_usd: Interval,
    /// Savings against the baseline.
    pub savings: Savings,
    /// Policy quality minus baseline quality.
    pub quality_change: Interval,
}

/// The margin of the floor with its one-sided bounds.
#[derive(Clone, Debug)]
pub struct FloorBound {
    /// Policy quality minus line, mean per request.
    pub margin: f64,
    /// One-sided lower bound.
    pub low: f64,
    /// One-sided upper bound.
    pub high: f64,
    /// The method.
    pub method: &'static str,
    /// Why this method.
    pub reason: &'static str,
}

impl Clusters {
    /// Groups the rows `rows` of a numbering, numbered again from 0 by first appearance.
    #[must_use]
    pub fn of_rows(cluster: &[usize], rows: &[usize]) -> Self {
        let mut new = vec![usize::MAX; cluster.iter().max().map_or(0, |m| m + 1)];
        let mut count = 0;
        let of = rows
            .iter()
            .map(|&row| {
                let slot = &mut new[cluster[row]];
                if *slot == usize::MAX {
                    *slot = count;
                    count += 1;
                }
                *slot
            })
            .collect();
        Self { of, count }
    }

    /// Sums per cluster: shape (clusters, columns) from columns of shape (n).
    #[must_use]
    pub fn sums(&self, columns: &[ArrayView1<'_, f64>]) -> Array2<f64> {
        let mut sums = Array2::zeros((self.count, columns.len()));
        for (j, column) in columns.iter().enumerate() {
            for (&cluster, value) in self.of.iter().zip(column) {
                sums[[cluster, j]] += value;
            }
        }
        sums
    }

    /// Rows per cluster.
    #[must_use]
    pub fn sizes(&self) -> Vec<f64> {
        let mut sizes = vec![0.0; self.count];
        for &cluster in &self.of {
            sizes[cluster] += 1.0;
        }
        sizes
    }
}

/// Policy and baseline on the same rows, with percentile intervals of the paired cluster bootstrap.
#[must_use]
pub fn paired(
    policy: &Play,
    baseline: &Play,
    clusters: &Clusters,
    bootstrap: Bootstrap,
    confidence: f64,
) -> Paired {
    let ones = Array1::from_elem(policy.quality.len(), 1.0);
    let sums = clusters.sums(&[
        ones.view(),
        policy.quality.view(),
        baseline.quality.view(),
        policy.cost.view(),
        baseline.cost.view(),
    ]);
    let draws = bootstrap.sums(sums.view());
    let total = sums.sum_axis(ndarray::Axis(0));
    let interval = |statistic: &dyn Fn(ArrayView1<'_, f64>) -> f64| {
        let values = draws.outer_iter().map(statistic).collect();
        percentile_interval(statistic(total.view()), values, confidence)
    };
    Paired {
        quality: interval(&|s| s[1] / s[0]),
        cost_usd: interval(&|s| s[3] / s[0]),
        savings: Savings {
            fraction: interval(&|s| saved_share(s[3], s[4])),
            usd: interval(&|s| (s[4] - s[3]) / s[0]),
        },
        quality_change: interval(&|s| (s[1] - s[2]) / s[0]),
    }
}

/// Share of `baseline` saved; 0 when there was nothing to save.
#[must_use]
pub fn saved_share(policy: f64, baseline: f64) -> f64 {
    if baseline > 0.0 {
        1.0 - policy / baseline
    } else {
        0.0
    }
}

/// Most losses n·(1 − line) that a line may allow for Hoeffding–Bentkus to be the sharper bound.
///
/// Set by simulation (`bounded_means` of the benches): bets must first learn how little outcomes
/// vary. With 100 losses of mean 0.02 and a line 0.05 below (7 allowed), Hoeffding–Bentkus proves it
/// in 47 % of samples and betting in 27 %; at 12 and more allowed, betting proves as much or more.
pub const LOSSES_ALLOWED_MAX: f64 = 8.0;

/// The bound on the floor's margin: exact where outcomes allow it, Hoeffding–Bentkus where the line
/// allows few losses, betting elsewhere. Between the last two the number of requests and the line
/// decide, never the outcomes.
#[must_use]
pub fn floor_bound(
    quality: &Array1<f64>,
    per_request: &Array1<f64>,
    line: Line,
    clusters: &Clusters,
    confidence: f64,
) -> FloorBound {
    let alpha = 1.0 - confidence;
    let margin = mean(quality.view()) - mean(per_request.view());
    let independent = clusters.count == clusters.of.len();
    let binary = quality
        .iter()
        .all(|q| *q == 0.0 || (*q - 1.0).abs() < f64::EPSILON);
    if let (Line::Absolute(line), true, true) = (line, independent, binary) {
        let successes = quality.iter().filter(|q| **q > 0.5).count() as u64;
        let trials = quality.len() as u64;
        return FloorBound {
            margin,
            low: clopper_pearson_lower(successes, trials, alpha).map_or(f64::MIN, |b| b - line),
            high: clopper_pearson_upper(successes, trials, alpha).map_or(f64::MAX, |b| b - line),
            method: "clopper-pearson",
            reason: "outcomes are 0 or 1 and independent: the exact binomial bound",
        };
    }
    let (low, high) = line.margin_range();
    let (values, weights) = margins_by_cluster(quality, per_request, line, clusters);
    let weights = (!independent).then_some(weights.as_slice());
    let back = |bound: Option<f64>, none: f64| bound.map_or(none, |b| low + b * (high - low));
    if let Line::Absolute(line) = line
        && independent
        && few_losses(line, quality.len())
    {
        let trials = quality.len() as u64;
        let mean = mean(quality.view()).clamp(0.0, 1.0);
        return FloorBound {
            margin,
            low: hoeffding_bentkus_lower(mean, trials, alpha).map_or(low, |b| b - line),
            high: back(betting_upper(&values, weights, alpha, Looks::Once), high),
            method: "hoeffding-bentkus",
            reason: "outcomes are bounded, not binary, and the line allows few losses among so \
                     few requests: the Hoeffding-Bentkus bound",
        };
    }
    FloorBound {
        margin,
        low: back(betting_lower(&values, weights, alpha, Looks::Once), low),
        high: back(betting_upper(&values, weights, alpha, Looks::Once), high),
        method: "betting",
        reason: if independent {
            "the margin of a request is bounded, not binary: the finite-sample betting bound"
        } else {
            "rows come in clusters: the finite-sample betting bound over cluster means"
        },
    }
}

/// Whether a line allows so few losses that Hoeffding–Bentkus is the sharper bound.
fn few_losses(line: f64, requests: usize) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let allowed = requests as f64 * (1.0 - line);
    allowed <= LOSSES_ALLOWED_MAX
}

/// P-value of "the floor holds here", small when it is broken; finite-sample.
#[must_use]
pub fn broken_p(
    quality: &Array1<f64>,
    per_request: &Array1<f64>,
    line: Line,
    clusters: &Clusters,
    alpha: f64,
) -> f64 {
    let (low, high) = line.margin_range();
    let (values, weights) = margins_by_cluster(quality, per_request, line, clusters);
    betting_p_below(&values, Some(&weights), rescale(0.0, low, high), alpha).unwrap_or(1.0)
}

/// Cluster means of quality minus line moved to [0, 1], and cluster sizes over the largest.
pub(crate) fn margins_by_cluster(
    quality: &Array1<f64>,
    per_request: &Array1<f64>,
    line: Line,
    clusters: &Clusters,
) -> (Vec<f64>, Vec<f64>) {
    let (low, high) = line.margin_range();
    let margin = quality - per_request;
    let sums = clusters.sums(&[margin.view()]);
    let sizes = clusters.sizes();
    let largest = sizes.iter().copied().fold(1.0, f64::max);
    let mean = |c: usize| rescale(sums[[c, 0]] / sizes[c], low, high);
    let order = shuffled(clusters.count);
    (
        order.iter().map(|&c| mean(c)).collect(),
        order.iter().map(|&c| sizes[c] / largest).collect(),
    )
}

/// A fixed random order. A log is often sorted by task or time, and bets are placed in order: the
/// bound holds for any order that does not look at outcomes, and is tight for none that drifts.
fn shuffled(n: usize) -> Vec<usize> {
    use rand::seq::SliceRandom;
    let mut order: Vec<usize> = (0..n).collect();
    order.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(
        0x706c_696d_736f_6c6c,
    ));
    order
}

/// Marks which of several p-values stay significant together (Holm 1979).
#[must_use]
pub fn holm(p_values: &[f64], alpha: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]).then(a.cmp(&b)));
    let mut rejected = vec![false; p_values.len()];
    for (rank, &index) in order.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "few segments")]
        let level = alpha / (p_values.len() - rank) as f64;
        if p_values[index] > level {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

/// What the verdict is drawn from.
#[derive(Clone, Debug)]
pub struct Findings<'a> {
    /// Savings fraction.
    pub savings: Interval,
    /// The floor's bound.
    pub floor: &'a FloorBound,
    /// What labels are called, [`Trust::score`](crate::Trust::score).
    pub score: &'a str,
    /// The line as mean quality on the evaluated rows.
    pub floor_quality: f64,
    /// Confidence of the floor's bound.
    pub confidence: f64,
    /// The baseline's name.
    pub baseline: &'a str,
    /// Whether any request changes its arm.
    pub changes: bool,
    /// Whether all quality labels are equal.
    pub no_signal: bool,
    /// Whether no rule kept the promise on the training rows.
    pub infeasible: bool,
    /// Independent clusters among evaluated rows.
    pub clusters: usize,
    /// What a cluster is, in the plural: `requests`, `sessions` or `distinct prompts`.
    pub unit: &'a str,
    /// Segments, as `column=value`, that are shown to be below the line and not waived.
    pub vetoes: Vec<String>,
    /// Further reasons why the evidence does not suffice.
    pub doubts: Vec<String>,
}

/// Draws the verdict; the weightiest reason comes first.
#[must_use]
pub fn verdict(findings: &Findings<'_>) -> Verdict {
    let mut insufficient = findings.doubts.clone();
    if findings.no_signal {
        insufficient.push(format!(
            "no {score} signal: every label has the same value, so {score} cannot be compared; \
             collect labels that tell good answers from bad ones",
            score = findings.score
        ));
    }
    let alpha = 1.0 - findings.confidence;
    if let Some(least) = least_n(findings.floor_quality, alpha)
        && (findings.clusters as u64) < least
    {
        insufficient.push(format!(
            "{} independent evaluated {} cannot prove a {} of {:.3} at {:.0} % \
             confidence even without a failure: at least {least} are needed",
            findings.clusters,
            findings.unit,
            findings.score,
            findings.floor_quality,
            findings.confidence * 100.0,
        ));
    }
    if !insufficient.is_empty() {
        return Verdict {
            decision: Decision::InsufficientEvidence,
            reasons: insufficient,
        };
    }
    hold(findings)
        .or_else(|| ship(findings))
        .unwrap_or_else(|| open(findings))
}

fn hold(findings: &Findings<'_>) -> Option<Verdict> {
    let mut reasons = Vec::new();
    if findings.infeasible {
        reasons.push(format!(
            "no setting kept the floor on the training rows, so every request goes to the arm of \
             highest {}: lower the floor or add better arms",
            findings.score
        ));
    }
    if findings.floor.high < 0.0 {
        reasons.push(format!(
            "the floor is broken: {} is below the line by {:.4}, and by at least {:.4} at \
             {:.0} % confidence",
            findings.score,
            -findings.floor.margin,
            -findings.floor.high,
            findings.confidence * 100.0
        ));
    }
    if !findings.vetoes.is_empty() && findings.changes {
        reasons.push(format!(
            "{} is below the line in {}: the average hides it; raise the floor, route these \
             requests apart, or accept it by name with --waive {}",
            findings.score,
            crate::sections::some_of(&findings.vetoes),
            findings.vetoes[0]
        ));
    }
    if reasons.is_empty() && !findings.changes {
        reasons.push(format!(
            "no savings available: under this floor every request stays with `{}`",
            findings.baseline
        ));
    }
    if findings.changes && findings.savings.high <= 0.0 {
        reasons.push(format!(
            "the policy saves nothing against `{}`",
            findings.baseline
        ));
    }
    (!reasons.is_empty()).then_some(Verdict {
        decision: Decision::Hold,
        reasons,
    })
}

fn ship(findings: &Findings<'_>) -> Option<Verdict> {
    (findings.floor.low >= 0.0 && findings.savings.low > 0.0).then(|| Verdict {
        decision: Decision::Ship,
        reasons: vec![
            format!(
                "{} stays above the line: {:.4} above, at least {:.4} at {:.0} % confidence",
                findings.score,
                findings.floor.margin,
                findings.floor.low,
                findings.confidence * 100.0
            ),
            format!(
                "savings are proven: {:.1} % of what `{}` costs, at least {:.1} %",
                findings.savings.point * 100.0,
                findings.baseline,
                findings.savings.low * 100.0
            ),
        ],
    })
}

fn open(findings: &Findings<'_>) -> Verdict {
    let mut reasons = Vec::new();
    if findings.floor.low < 0.0 {
        let mut reason = format!(
            "the floor is not proven: {} is {:.4} {} the line, but may be {:.4} below it at \
             {:.0} % confidence",
            findings.score,
            findings.floor.margin.abs(),
            if findings.floor.margin < 0.0 {
                "below"
            } else {
                "above"
            },
            -findings.floor.low,
            findings.confidence * 100.0
        );
        if let Some(needed) = requests_needed(findings) {
            use std::fmt::Write as _;
            let unit = findings.unit;
            let _ = write!(
                reason,
                "; about {needed} evaluated {unit} would prove a margin of this size, {} are \
                 here (objective.aim = \"proof\" saves less and leaves a wider margin)",
                findings.clusters
            );
        }
        reasons.push(reason);
    }
    if findings.savings.low <= 0.0 {
        reasons.push(format!(
            "savings are not proven: {:.1} % may be as little as {:.1} %",
            findings.savings.point * 100.0,
            findings.savings.low * 100.0
        ));
    }
    Verdict {
        decision: Decision::InsufficientEvidence,
        reasons,
    }
}

/// Clusters at which a margin of this size would clear the line: the bound narrows with √n.
fn requests_needed(findings: &Findings<'_>) -> Option<u64> {
    let floor = findings.floor;
    if floor.margin <= 0.0 {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    let needed = findings.clusters as f64 * ((floor.margin - floor.low) / floor.margin).powi(2);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked range"
    )]
    (needed < 1e9).then(|| needed.ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(quality: Vec<f64>, cost: f64) -> Play {
        let n = quality.len();
        Play {
            quality: Array1::from_vec(quality),
            cost: Array1::from_elem(n, cost),
        }
    }

    fn alone(n: usize) -> Clusters {
        Clusters {
            of: (0..n).collect(),
            count: n,
        }
    }

    #[test]
    fn few_allowed_losses_are_judged_by_hoeffding_bentkus() {
        let method = |n: usize, line: f64, good: bool| {
            // The choice must not move with the outcomes.
            let quality: Array1<f64> = (0..n)
                .map(|i| if i % 3 == 0 || !good { 0.97 } else { 1.0 })
                .collect();
            let per_row = Array1::from_elem(n, line);
            let bound = floor_bound(&quality, &per_row, Line::Absolute(line), &alone(n), 0.95);
            assert!(bound.low <= bound.margin && bound.margin <= bound.high);
            bound
        };
        for good in [true, false] {
            assert_eq!(method(100, 0.93, good).method, "hoeffding-bentkus");
            assert_eq!(method(200, 0.93, good).method, "betting");
            assert_eq!(method(60, 0.8, good).method, "betting");
        }
        // 0.99 on 100 requests proves 0.93.
        assert!(method(100, 0.93, true).low >= 0.0);
    }

    /// A log sorted by task drifts in quality; its bound must still hold the mean.
    #[test]
    fn a_sorted_log_has_the_bound_of_a_mixed_one() {
        let sorted: Array1<f64> = (0..900).map(|i| 0.5 + 0.25 * f64::from(i / 300)).collect();
        let line = Line::Relative {
            arm: 0,
            retain: 0.9,
        };
        let per_row = Array1::from_elem(900, 0.7);
        let bound = floor_bound(&sorted, &per_row, line, &alone(900), 0.95);
        assert!(
            bound.low <= bound.margin && bound.margin <= bound.high,
            "{bound:?}"
        );
        assert!(bound.low > 0.0, "{bound:?}");
    }

    /// ROBUSTNESS.md O14: a policy that is the baseline saves nothing and changes nothing.
    #[test]
    fn o14_the_same_policy_has_no_difference() {
        let p = play((0..100).map(|i| f64::from(i % 2)).collect(), 0.5);
        let bootstrap = Bootstrap {
            resamples: 200,
            seed: 3,
        };
        let paired = paired(&p, &p, &alone(100), bootstrap, 0.95);
        assert_eq!(paired.savings.fraction, Interval::default());
        assert_eq!(paired.quality_change, Interval::default());
    }

    /// ROBUSTNESS.md O10: ten copies of each row, known as clusters, prove no more than one.
    #[test]
    fn o10_copies_do_not_shrink_the_interval() {
        let single_rows: Vec<f64> = (0..200)
            .map(|i| f64::from(u8::from((i * 7) % 10 < 8)))
            .collect();
        let tenfold: Vec<f64> = single_rows.iter().flat_map(|q| [*q; 10]).collect();
        let grouped = Clusters {
            of: (0..2000).map(|i| i / 10).collect(),
            count: 200,
        };
        let base = |n| play(vec![1.0; n], 1.0);
        let bootstrap = Bootstrap {
            resamples: 500,
            seed: 3,
        };
        let one = paired(
            &play(single_rows.clone(), 0.5),
            &base(200),
            &alone(200),
            bootstrap,
            0.95,
        );
        let ten = paired(
            &play(tenfold.clone(), 0.5),
            &base(2000),
            &grouped,
            bootstrap,
            0.95,
        );
        let width = |i: Interval| i.high - i.low;
        assert!((width(one.quality) - width(ten.quality)).abs() < 1e-9);

        let line = Line::Absolute(0.7);
        let per = |n| Array1::from_elem(n, 0.7);
        let tied = floor_bound(&Array1::from(tenfold), &per(2000), line, &grouped, 0.95);
        let single = floor_bound(
            &Array1::from(single_rows),
            &per(200),
            line,
            &alone(200),
            0.95,
        );
        assert_eq!((tied.method, single.method), ("betting", "clopper-pearson"));
        assert!(tied.low <= single.low + 0.01, "{} {}", tied.low, single.low);
    }

    #[test]
    fn holm_steps_down() {
        assert_eq!(holm(&[0.01, 0.04, 0.03], 0.05), [true, false, false]);
        assert_eq!(holm(&[0.01, 0.02, 0.03], 0.05), [true, true, true]);
        assert_eq!(holm(&[], 0.05), Vec::<bool>::new());
    }

    fn findings(floor: &FloorBound) -> Findings<'_> {
        Findings {
            savings: Interval {
                point: 0.4,
                low: 0.3,
                high: 0.5,
            },
            floor,
            score: "quality",
            floor_quality: 0.9,
            confidence: 0.95,
            baseline: "best",
            changes: true,
            no_signal: false,
            infeasible: false,
            clusters: 1000,
            unit: "requests",
            vetoes: vec![],
            doubts: vec![],
        }
    }

    fn bound(margin: f64, low: f64, high: f64) -> FloorBound {
        FloorBound {
            margin,
            low,
            high,
            method: "betting",
            reason: "test",
        }
    }

    #[test]
    fn verdicts_by_evidence() {
        let good = bound(0.02, 0.001, 0.04);
        let check = |f: Findings<'_>, expect: Decision, word: &str| {
            let v = verdict(&f);
            assert_eq!(v.decision, expect, "{:?}", v.reasons);
            assert!(v.reasons[0].contains(word), "{:?}", v.reasons);
        };
        check(findings(&good), Decision::Ship, "above the line");
        let open = bound(0.02, -0.02, 0.06);
        check(
            findings(&open),
            Decision::InsufficientEvidence,
            "about 4000 evaluated",
        );
        let broken = bound(-0.03, -0.05, -0.01);
        check(findings(&broken), Decision::Hold, "broken");
        // O16: nothing changes.
        let same = Findings {
            changes: false,
            savings: Interval::default(),
            ..findings(&good)
        };
        check(same, Decision::Hold, "no savings available");
        // O18: constant labels.
        let constant = Findings {
            no_signal: true,
            ..findings(&good)
        };
        check(
            constant,
            Decision::InsufficientEvidence,
            "no quality signal",
        );
        // O09: too few rows.
        let few = Findings {
            clusters: 28,
            ..findings(&good)
        };
        check(few, Decision::InsufficientEvidence, "at least 29");
    }
}

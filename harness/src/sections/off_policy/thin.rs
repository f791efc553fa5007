//! Where an estimator's t interval would not cover.

use crate::bootstrap::Bootstrap;
use crate::intervals::{
    Baseline, CLUSTERS_MIN, CONTRIBUTIONS_MIN, ESS_MIN, Facts, Purpose, Question, Sample, Support,
    WeightedRewards, choose,
};
use crate::judge::Clusters;
use crate::ope::{Estimator, LoggedRow, OutcomeRows, Sums};

/// Why the t intervals of quality, cost and savings are not reliable, by the rules of the automatic
/// choice; `None` where they are.
pub(super) fn thin(
    estimator: Estimator,
    rows: &[OutcomeRows],
    clusters: &Clusters,
) -> [Option<String>; 3] {
    let stream = |pick: fn(&OutcomeRows) -> &LoggedRow| -> Vec<&LoggedRow> {
        rows.iter().map(pick).collect()
    };
    let quality = stream(|row| &row.quality);
    let cost = stream(|row| &row.cost);
    let baseline = stream(|row| &row.baseline_cost);
    let weights = |rows: &[&LoggedRow]| -> Vec<f64> {
        let weights = rows.iter().map(|row| row.weight());
        weights.collect()
    };
    let (policy, always) = (weights(&cost), weights(&baseline));
    let terms = |stream: &[&LoggedRow]| influence(estimator, stream);
    let mean = |stream: &[&LoggedRow]| of_mean(&policy, &terms(stream)?, clusters);
    let ratio = terms(&cost).zip(terms(&baseline));
    [
        mean(&quality),
        mean(&cost),
        ratio.and_then(|(a, b)| of_ratio([&policy, &always], [&a, &b], clusters)),
    ]
}

fn of_mean(policy: &[f64], terms: &[f64], clusters: &Clusters) -> Option<String> {
    reason(&Sample::Value {
        rewards: WeightedRewards {
            // Facts look at weights and terms alone.
            rewards: terms,
            policy,
            baseline: None,
            clusters: Some(clusters),
            predictions: None,
        },
        terms: Some(terms),
    })
}

fn of_ratio(weights: [&[f64]; 2], terms: [&[f64]; 2], clusters: &Clusters) -> Option<String> {
    reason(&Sample::ValueRatio {
        rewards: WeightedRewards {
            rewards: terms[0],
            policy: weights[0],
            baseline: Some(Baseline {
                weights: weights[1],
                agreement: terms[1],
            }),
            clusters: Some(clusters),
            predictions: None,
        },
        terms: Some(terms),
    })
}

/// Terms of every row whose mean is the estimate and whose spread is its error, linearised:
/// d + R + (a − R b)·n/Σ b for a mean of d plus a ratio R = Σ a/Σ b. `None` without an estimate.
fn influence(estimator: Estimator, rows: &[&LoggedRow]) -> Option<Vec<f64>> {
    let mut sums = Sums::default();
    for row in rows {
        sums += estimator.terms(row);
    }
    estimator.value(&sums)?;
    let (ratio, scale) = if estimator.is_ratio() {
        (
            sums.numerator / sums.denominator,
            sums.rows / sums.denominator,
        )
    } else {
        (0.0, 0.0)
    };
    let terms = rows.iter().map(|row| {
        let terms = estimator.terms(row);
        terms.direct + ratio + (terms.numerator - ratio * terms.denominator) * scale
    });
    Some(terms.collect())
}

fn reason(sample: &Sample<'_>) -> Option<String> {
    let question = Question {
        purpose: Purpose::Description,
        confidence: 0.95,
        looked_before: false,
        bootstrap: Bootstrap {
            resamples: 0,
            seed: 0,
        },
    };
    let facts = sample.facts(&question);
    (choose(&facts).method.is_finite_sample() || facts.support == Support::Broken)
        .then(|| shortfall(&facts))
}

fn shortfall(facts: &Facts) -> String {
    if facts.support == Support::Broken {
        "a mean weight that cannot be 1".to_owned()
    } else if facts.clusters < CLUSTERS_MIN {
        format!(
            "{} independent clusters ({CLUSTERS_MIN} are needed)",
            facts.clusters
        )
    } else if facts.ess < ESS_MIN {
        format!(
            "an effective sample of {:.0} requests ({ESS_MIN} are needed)",
            facts.ess.floor()
        )
    } else if facts.support == Support::Doubtful {
        "a mean weight that is barely compatible with 1".to_owned()
    } else {
        format!(
            "a spread that rests on {:.0} clusters ({CONTRIBUTIONS_MIN} are needed)",
            facts.contributions.floor()
        )
    }
}

//! Comparing policies: each evaluated alone, then paired request by request.

use std::collections::HashMap;

use ndarray::Array1;

use crate::bootstrap::{Bootstrap, percentile_interval};
use crate::candidate::Forecasts;
use crate::error::EvidenceError;
use crate::evaluation::{Comparison, Difference, Interval, SCHEMA_VERSION};
use crate::judge::{Clusters, saved_share};
use crate::replay::{Replay, ReplayInput, ReplayOptions, Stage, replay_with};

/// Evaluates several named policies on one log; differences are against the first.
///
/// Policies that compare different arms may be judged on different requests: differences are
/// taken over the requests that both judged.
///
/// # Errors
/// [`EvidenceError`] when a policy cannot be evaluated.
pub fn compare(
    input: &ReplayInput<'_>,
    policies: &[(String, ReplayOptions)],
    progress: &(dyn Fn(Stage) + Sync),
) -> Result<Comparison, EvidenceError> {
    let mut forecasts = Forecasts::default();
    let replays = policies
        .iter()
        .map(|(_, options)| replay_with(input, options, &mut forecasts, progress))
        .collect::<Result<Vec<Replay>, _>>()?;
    let differences = match (replays.split_first(), policies.split_first()) {
        (Some((first, others)), Some(((against, options), names))) => others
            .iter()
            .zip(names)
            .map(|(other, (name, _))| difference(name, against, other, first, options))
            .collect(),
        _ => Vec::new(),
    };
    Ok(Comparison {
        schema: SCHEMA_VERSION,
        names: policies.iter().map(|(name, _)| name.clone()).collect(),
        evaluations: replays.into_iter().map(|r| r.evaluation).collect(),
        differences,
    })
}

fn difference(
    name: &str,
    against: &str,
    policy: &Replay,
    first: &Replay,
    options: &ReplayOptions,
) -> Difference {
    let position: HashMap<&str, usize> = first
        .request_ids
        .iter()
        .enumerate()
        .map(|(i, id)| (id.as_str(), i))
        .collect();
    let (own, theirs): (Vec<usize>, Vec<usize>) = policy
        .request_ids
        .iter()
        .enumerate()
        .filter_map(|(i, id)| Some((i, *position.get(id.as_str())?)))
        .unzip();
    let clusters = Clusters::of_rows(&policy.cluster, &own);
    let (a, b) = (policy.play.rows(&own), first.play.rows(&theirs));
    let (base_a, base_b) = (policy.baseline.rows(&own), first.baseline.rows(&theirs));
    let ones = Array1::from_elem(own.len(), 1.0);
    let columns = [
        &ones,
        &a.quality,
        &b.quality,
        &a.cost,
        &b.cost,
        &base_a.cost,
        &base_b.cost,
    ];
    let sums = clusters.sums(&columns.map(|column| column.view()));
    let draws = Bootstrap {
        resamples: options.resamples,
        seed: options.seed.0,
    }
    .sums(sums.view());
    let total = sums.sum_axis(ndarray::Axis(0));
    let interval = |statistic: &dyn Fn(ndarray::ArrayView1<'_, f64>) -> f64| -> Interval {
        let values = draws.outer_iter().map(statistic).collect();
        percentile_interval(statistic(total.view()), values, options.interval_confidence)
    };
    Difference {
        name: name.to_owned(),
        against: against.to_owned(),
        quality: interval(&|s| (s[1] - s[2]) / s[0].max(1.0)),
        cost_usd: interval(&|s| (s[3] - s[4]) / s[0].max(1.0)),
        savings: interval(&|s| saved_share(s[3], s[5]) - saved_share(s[4], s[6])),
    }
}

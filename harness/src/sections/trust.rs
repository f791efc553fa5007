//! How far the evidence can be trusted.

use super::count;
use crate::evaluation::{ArmOverlap, IntervalChoice, MissingLabels, Trust};
use crate::promise::mean;
use crate::replay::{Fitted, Judged, ReplayOptions};
use crate::study::Study;

/// The trust panel of a fully observed log: nothing is weighted, every arm was seen everywhere.
pub(crate) fn trust(_options: &ReplayOptions, fitted: &Fitted<'_>, judged: &Judged) -> Trust {
    let study = &fitted.study;
    let n = study.test.rows.len();
    let overlap = |arm: usize| ArmOverlap {
        model: study.table.arms[arm].to_string(),
        logged: n as u64,
        logged_share: 1.0,
        target_share: mean(judged.probabilities.column(arm)),
        ess: count(n),
        mean_weight: None,
        propensity_min: None,
    };
    let largest = largest_cluster(study);
    Trust {
        overlap: (0..study.table.arms.len()).map(overlap).collect(),
        missing: missing(fitted),
        clusters: study.test.clusters.count as u64,
        cluster_by: study.table.cluster_by.to_owned(),
        largest_cluster_share: largest,
        looks: 1,
        intervals: vec![
            IntervalChoice {
                quantity: "floor".to_owned(),
                method: judged.floor.method.to_owned(),
                reason: judged.floor.reason.to_owned(),
            },
            IntervalChoice {
                quantity: "quality, cost and savings".to_owned(),
                method: "paired cluster bootstrap".to_owned(),
                reason: "policy and baseline answer the same requests, and rows of one cluster \
                         move together"
                    .to_owned(),
            },
        ],
        ..Trust::default()
    }
}

/// What failed gates mean, for the verdict.
pub(crate) fn failed_gates(trust: &Trust) -> Vec<String> {
    let failed = trust.gates.iter().filter(|gate| !gate.passed);
    failed
        .map(|gate| format!("{}: {}; {}", gate.name, gate.measured, gate.about))
        .collect()
}

fn largest_cluster(study: &Study<'_>) -> f64 {
    let sizes = study.test.clusters.sizes();
    let largest = sizes.iter().copied().fold(0.0, f64::max);
    largest / count(study.test.rows.len()).max(1.0)
}

/// Compared arms that lack labels, and the means that the missing ones could make of theirs.
fn missing(fitted: &Fitted<'_>) -> Vec<MissingLabels> {
    let table = fitted.study.table;
    table
        .coverage
        .iter()
        .filter(|arm| arm.compared && arm.unlabelled_share > 0.0)
        .map(|arm| {
            let column = table
                .column(&arm.model)
                .expect("a compared arm has a column");
            let seen = mean(table.quality.column(column)) * (1.0 - arm.unlabelled_share);
            MissingLabels {
                model: arm.model.clone(),
                outcomes: arm.requests,
                unlabelled_share: arm.unlabelled_share,
                quality_low: seen,
                quality_high: seen + arm.unlabelled_share,
            }
        })
        .collect()
}

//! How far the evidence can be trusted.

use ndarray::Array2;

use super::{count, judges};
use plimsoll_datasets::{EvidenceKind, OutcomeLog};

use crate::error::EvidenceError;
use crate::evaluation::{ArmOverlap, Gate, IntervalChoice, MissingLabels, Trust, score_of};
use crate::judge::Clusters;
use crate::logged;
use crate::promise::mean;
use crate::replay::{Fitted, Judged};
use crate::study::{LoggedSide, Study};
use crate::table::OutcomeTable;
use crate::trust::{
    Covariate, Labels, LoggedSample, Missing, SampleError, UNLABELLED_SHARE_MAX, balance, gates,
    missing_labels, overlap, weight_summary, weights,
};

/// The trust panel of an evaluation.
///
/// # Errors
/// [`EvidenceError::Engine`] when the log's parts do not fit together.
pub(crate) fn trust(
    fitted: &Fitted<'_>,
    judged: &Judged,
    described: Vec<IntervalChoice>,
) -> Result<Trust, EvidenceError> {
    let study = &fitted.study;
    let scored_by = judges::judges(study);
    let mut trust = Trust {
        clusters: study.test.clusters.count as u64,
        cluster_by: study.table.cluster_by.to_owned(),
        largest_cluster_share: largest_cluster(study),
        looks: 1,
        intervals: intervals(judged, described, score_of(&scored_by)),
        ..Trust::default()
    };
    match &study.test.logged {
        None => full_information(fitted, judged, &mut trust),
        Some(logged) => {
            let rows = LoggedRows::of(study, logged);
            rows.weigh(&judged.probabilities, &mut trust)?;
        }
    }
    if logged::evidence(study) == EvidenceKind::Observational {
        trust.gates.insert(0, scenario_only());
    }
    trust.gates.extend(judges::gates(study, &scored_by));
    trust.judges = scored_by;
    Ok(trust)
}

/// What is estimated from a log without propensities is a scenario.
fn scenario_only() -> Gate {
    Gate {
        name: "logged propensities".to_owned(),
        measured: "none: they are estimated".to_owned(),
        passed: false,
        about: "This is a scenario, adjusted for what the log's columns tell; a reason for the \
                choice that is in no column may have made it. Log each choice's propensity, with \
                a small share of choices at random."
            .to_owned(),
    }
}

/// Nothing is weighted, every arm was seen everywhere.
fn full_information(fitted: &Fitted<'_>, judged: &Judged, trust: &mut Trust) {
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
    trust.overlap = (0..study.table.arms.len()).map(overlap).collect();
    trust.missing = missing(fitted);
    let aside = count(study.table.set_aside.len());
    let share = aside / (aside + count(study.table.rows())).max(1.0);
    trust.gates.push(Gate {
        name: "missing outcomes".to_owned(),
        measured: format!(
            "{:.2} % of requests set aside, at most {:.0} %",
            share * 100.0,
            UNLABELLED_SHARE_MAX * 100.0
        ),
        passed: share <= UNLABELLED_SHARE_MAX,
        about: "Requests without every arm's labelled and priced outcome are left out, and may be \
                the hard ones; collect them, or leave out the arms that lack them."
            .to_owned(),
    });
}

/// Why probabilities on the evaluated rows must not be trusted, where only served answers are known.
pub(crate) fn logged_doubts(
    study: &Study<'_>,
    probabilities: &Array2<f64>,
) -> Result<Vec<String>, EvidenceError> {
    let logged = study.test.logged.as_ref();
    logged.map_or_else(
        || Ok(Vec::new()),
        |logged| LoggedRows::of(study, logged).doubts(probabilities),
    )
}

/// Rows of a log that knows served answers alone.
pub(crate) struct LoggedRows<'s> {
    pub(crate) log: &'s OutcomeLog,
    pub(crate) table: &'s OutcomeTable,
    /// The rows, as indices into the log's requests.
    pub(crate) requests: Vec<usize>,
    /// Their propensities.
    pub(crate) propensity: &'s [f64],
    /// Their dependence.
    pub(crate) clusters: &'s Clusters,
    /// Requests whose labels may be missing: requests without one are no rows.
    pub(crate) labelled: Vec<usize>,
}

impl<'s> LoggedRows<'s> {
    fn of(study: &'s Study<'_>, logged: &'s LoggedSide) -> Self {
        let rows = study.test.rows.iter();
        Self {
            log: study.log,
            table: study.table,
            requests: rows.map(|&row| study.table.requests[row]).collect(),
            propensity: &logged.propensity,
            clusters: &study.test.clusters,
            labelled: (0..study.log.requests.len()).collect(),
        }
    }

    /// Why probabilities of shape (n, K) must not be trusted here.
    pub(crate) fn doubts(&self, probabilities: &Array2<f64>) -> Result<Vec<String>, EvidenceError> {
        let mut trust = Trust::default();
        self.weigh(probabilities, &mut trust)?;
        Ok(failed_gates(&trust))
    }

    /// Weights, and tests of the propensities behind them.
    fn weigh(&self, probabilities: &Array2<f64>, trust: &mut Trust) -> Result<(), EvidenceError> {
        let arms = &self.log.arms;
        let (chosen, _) = served(self.log, &self.requests);
        // Every arm that the log could choose, compared or not.
        let mut target = Array2::zeros((self.requests.len(), arms.len()));
        for (column, arm) in self.table.arms.iter().enumerate() {
            let all = arms.iter().position(|a| a == arm);
            let all = all.expect("a compared arm is an arm of the log");
            target.column_mut(all).assign(&probabilities.column(column));
        }
        let covariates = Covariate::of_requests(self.log, &self.requests);
        let sample = LoggedSample {
            arms,
            chosen: &chosen,
            propensity: self.propensity,
            target: target.view(),
            eligible: None,
            clusters: self.clusters,
            covariates: &covariates,
        };
        let refused = |e: SampleError| EvidenceError::engine(e.code(), &e, &e.help());
        sample.check().map_err(refused)?;
        let weights = weights(&sample);
        let summary = weight_summary(&sample, &weights, None);
        let arms = overlap(&sample);
        let balance = balance(&sample);
        let missing = self.missing().map_err(refused)?;
        trust.gates = gates(&sample, &arms, &weights, &summary, &balance, &missing);
        trust.overlap = arms;
        trust.weights = Some(summary);
        trust.balance = balance;
        trust.missing = missing.arms;
        Ok(())
    }

    fn missing(&self) -> Result<Missing, SampleError> {
        let (chosen, quality) = served(self.log, &self.labelled);
        let mut session = std::collections::HashMap::new();
        let of = self
            .labelled
            .iter()
            .map(|&i| {
                let request = &self.log.requests[i];
                let next = session.len();
                let key = request.session_id.as_deref().unwrap_or(&request.id);
                *session.entry(key).or_insert(next)
            })
            .collect();
        let clusters = Clusters {
            of,
            count: session.len(),
        };
        missing_labels(&Labels {
            arms: &self.log.arms,
            chosen: &chosen,
            quality: &quality,
            clusters: &clusters,
        })
    }
}

/// The served arm of requests, as an index into the log's arms, and its quality.
fn served(log: &OutcomeLog, requests: &[usize]) -> (Vec<Option<usize>>, Vec<Option<f64>>) {
    requests
        .iter()
        .map(|&i| {
            let outcome = log.requests[i]
                .served_outcome()
                .expect("every request of a logged table has a served outcome");
            (
                Some(outcome.arm as usize),
                outcome.quality.map(plimsoll::Quality::get),
            )
        })
        .unzip()
}

/// The floor's bound and the headline's intervals: those chosen, or the paired bootstrap where
/// every answer is known.
fn intervals(judged: &Judged, described: Vec<IntervalChoice>, score: &str) -> Vec<IntervalChoice> {
    let mut intervals = vec![IntervalChoice {
        quantity: "floor".to_owned(),
        method: judged.floor.method.to_owned(),
        reason: judged.floor.reason.to_owned(),
    }];
    if described.is_empty() {
        intervals.push(IntervalChoice {
            quantity: format!("{score}, cost and savings"),
            method: "paired cluster bootstrap".to_owned(),
            reason: "policy and baseline answer the same requests, and rows of one cluster \
                     move together"
                .to_owned(),
        });
    }
    let named = |choice: IntervalChoice| match choice.quantity.as_str() {
        "quality" => IntervalChoice {
            quantity: score.to_owned(),
            ..choice
        },
        _ => choice,
    };
    intervals.extend(described.into_iter().map(named));
    intervals
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

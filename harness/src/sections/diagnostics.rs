//! What may be wrong with the evidence, and how the headline moves with each choice.

use std::collections::BTreeMap;

use super::{count, some_of};
use crate::evaluation::{ArmCoverage, CalibrationBin, Diagnostics, SensitivityRow};
use crate::judge::saved_share;
use crate::promise::{Line, Play, mean};
use crate::replay::{
    Fitted, Judged, ReplayInput, predictor_rows, standard_errors, training_rows, tuned_play,
};
use crate::study::Study;
use crate::tune::Setting;

/// Bins of the calibration diagram.
const CALIBRATION_BINS: usize = 10;
/// Coverage from which a reader is told how to bring an arm in that was left out.
const NEARLY_COMPLETE: f64 = 0.9;
/// Largest share of labels that one tenant may give before a reader is warned.
const TENANT_SHARE_MAX: f64 = 0.5;

/// Coverage, predictors, calibration, sensitivity, warnings.
pub(crate) fn diagnostics(
    input: &ReplayInput<'_>,
    fitted: &Fitted<'_>,
    judged: &Judged,
) -> Diagnostics {
    let study = &fitted.study;
    let table = study.table;
    let compared = || table.coverage.iter().filter(|arm| arm.compared);
    let average = |pick: &dyn Fn(&ArmCoverage) -> f64| {
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
    for arm in &study.table.coverage {
        // Arms that the policy itself leaves out need no advice.
        let for_coverage = arm
            .left_out
            .as_deref()
            .is_some_and(|why| why.contains("coverage_min"));
        if for_coverage && (NEARLY_COMPLETE..1.0).contains(&arm.coverage) {
            warnings.push(format!(
                "{} answered {:.1} % of requests: [arms] coverage_min = {:.2} would compare it, on \
                 the requests that all compared arms answered",
                arm.model,
                arm.coverage * 100.0,
                (arm.coverage * 100.0).floor() / 100.0
            ));
        }
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
            standard_errors(study, confidence, fitted.aim, fitted.widening),
        );
        let tuned = judged.sweep.tune(&training);
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
    let pairs = candidate.test.iter().zip(&study.test.labels);
    for (predicted, observed) in pairs.filter(|(_, label)| !label.is_nan()) {
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

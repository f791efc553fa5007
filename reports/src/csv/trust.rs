//! The trust panel and the off-policy estimates as rows.

use plimsoll_harness::{Evaluation, Interval, OffPolicy, Trust, WeightSummary};

use super::{Sheet, flag, raw};
use crate::ReportError;

pub(super) fn write(sheet: &mut Sheet, e: &Evaluation) -> Result<(), ReportError> {
    panel(sheet, &e.trust)?;
    if let Some(weights) = &e.trust.weights {
        summary(sheet, weights)?;
    }
    match &e.off_policy {
        Some(o) => off_policy(sheet, o),
        None => Ok(()),
    }
}

fn panel(sheet: &mut Sheet, t: &Trust) -> Result<(), ReportError> {
    for gate in &t.gates {
        let passed = raw(flag(gate.passed));
        let [name, measured] = [&gate.name, &gate.measured];
        sheet.row("gate", name, "passed", [&passed, "", ""], measured)?;
        sheet.text("gate", name, "about", &gate.about)?;
    }
    for arm in &t.overlap {
        let name = &arm.model;
        sheet.count("overlap", name, "logged", arm.logged)?;
        sheet.number("overlap", name, "logged_share", arm.logged_share)?;
        sheet.number("overlap", name, "target_share", arm.target_share)?;
        sheet.number("overlap", name, "ess", arm.ess)?;
        if let Some(mean) = arm.mean_weight {
            sheet.interval("overlap", name, "mean_weight", mean)?;
        }
        sheet.maybe("overlap", name, "propensity_min", arm.propensity_min)?;
    }
    for row in &t.balance {
        let name = format!("{}: {}", row.model, row.covariate);
        sheet.number("balance", &name, "difference", row.difference)?;
        sheet.number("balance", &name, "p_value", row.p_value)?;
        sheet.number("balance", &name, "broken", flag(row.broken))?;
    }
    for arm in &t.missing {
        let name = &arm.model;
        sheet.count("missing", name, "outcomes", arm.outcomes)?;
        sheet.number("missing", name, "unlabelled_share", arm.unlabelled_share)?;
        sheet.number("missing", name, "quality_low", arm.quality_low)?;
        sheet.number("missing", name, "quality_high", arm.quality_high)?;
    }
    let clusters = t.clusters.to_string();
    sheet.row("trust", "", "clusters", [&clusters, "", ""], &t.cluster_by)?;
    let largest = t.largest_cluster_share;
    sheet.number("trust", "", "largest_cluster_share", largest)?;
    sheet.count("trust", "", "looks", t.looks)?;
    if !t.judges.is_empty() {
        // Names of columns stay; what they hold is said once.
        sheet.text("trust", "", "quality_is", t.score())?;
    }
    for judge in &t.judges {
        sheet.text("trust", "", "judge", judge)?;
    }
    for choice in &t.intervals {
        sheet.text("interval", &choice.quantity, "method", &choice.method)?;
        sheet.text("interval", &choice.quantity, "reason", &choice.reason)?;
    }
    Ok(())
}

fn summary(sheet: &mut Sheet, w: &WeightSummary) -> Result<(), ReportError> {
    for (metric, value) in [
        ("ess", w.ess),
        ("ess_share", w.ess_share),
        ("weight_max", w.weight_max),
        ("weight_max_share", w.weight_max_share),
        ("clip", w.clip),
        ("clipped_mass", w.clipped_mass),
        ("unsupported_share", w.unsupported_share),
    ] {
        sheet.number("weights", "", metric, value)?;
    }
    sheet.interval("weights", "", "mean_weight", w.mean_weight)?;
    for (index, weight) in w.largest.iter().enumerate() {
        let name = format!("rank {}", index + 1);
        sheet.number("weights", &name, "weight", *weight)?;
    }
    Ok(())
}

fn off_policy(sheet: &mut Sheet, o: &OffPolicy) -> Result<(), ReportError> {
    sheet.text("off_policy", "", "propensities", &o.propensities)?;
    sheet.text("off_policy", "", "chosen", &o.chosen)?;
    sheet.text("off_policy", "", "reason", &o.reason)?;
    for row in &o.estimators {
        let name = &row.name;
        sheet.interval("estimator", name, "quality", row.quality)?;
        sheet.interval("estimator", name, "cost_usd", row.cost_usd)?;
        sheet.interval("estimator", name, "savings", row.savings)?;
        sheet.number("estimator", name, "chosen", flag(row.chosen))?;
        if let Some(caution) = &row.caution {
            sheet.text("estimator", name, "caution", caution)?;
        }
    }
    if let Some(confounding) = &o.confounding {
        for b in &confounding.bounds {
            let name = format!("gamma {}", b.gamma);
            bounds(sheet, "confounding", &name, "quality", b.quality)?;
            bounds(sheet, "confounding", &name, "margin", b.margin)?;
            bounds(sheet, "confounding", &name, "savings", b.savings)?;
        }
        sheet.maybe("confounding", "", "gamma_margin", confounding.gamma_margin)?;
        let gamma = confounding.gamma_savings;
        sheet.maybe("confounding", "", "gamma_savings", gamma)?;
    }
    if let Some(worst) = &o.worst_case {
        sheet.number("worst_case", "", "observed_share", worst.observed_share)?;
        bounds(sheet, "worst_case", "", "quality", worst.quality)?;
    }
    sheet.interval("logging", "", "quality", o.logging.quality)?;
    sheet.interval("logging", "", "cost_usd", o.logging.cost_usd)
}

/// Bounds have no point: its cell stays empty.
fn bounds(
    sheet: &mut Sheet,
    section: &str,
    name: &str,
    metric: &str,
    [low, high]: [f64; 2],
) -> Result<(), ReportError> {
    let point = f64::NAN;
    sheet.interval(section, name, metric, Interval { point, low, high })
}

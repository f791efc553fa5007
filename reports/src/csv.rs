//! One tidy table: a row per number, with its interval where it has one.
//!
//! Numbers stand as they are in the JSON; text cells are quoted against formulas.

mod learning;

pub(crate) use learning::learning;
use plimsoll_harness::{
    Comparison, Evaluation, Explanation, Interval, Manifest, Metrics, Reference,
};
use serde::Serialize;

use crate::{Format, ReportError, escape};

mod trust;

pub(crate) fn evaluation(e: &Evaluation) -> Result<String, ReportError> {
    let mut sheet = Sheet::new(false)?;
    write_evaluation(&mut sheet, e)?;
    sheet.finish()
}

pub(crate) fn comparison(c: &Comparison) -> Result<String, ReportError> {
    let mut sheet = Sheet::new(true)?;
    for (index, e) in c.evaluations.iter().enumerate() {
        let name = c.names.get(index).cloned();
        sheet.policy = Some(name.unwrap_or_else(|| format!("policy {}", index + 1)));
        write_evaluation(&mut sheet, e)?;
    }
    for d in &c.differences {
        sheet.policy = Some(d.name.clone());
        sheet.interval("difference", &d.against, "quality", d.quality)?;
        sheet.interval("difference", &d.against, "cost_usd", d.cost_usd)?;
        sheet.interval("difference", &d.against, "savings", d.savings)?;
    }
    sheet.finish()
}

pub(crate) fn explanation(x: &Explanation) -> Result<String, ReportError> {
    let mut sheet = Sheet::new(false)?;
    let id = &x.request_id;
    sheet.text("decision", id, "chosen", &x.chosen)?;
    sheet.number("decision", id, "propensity", x.propensity)?;
    sheet.number("decision", id, "seen_in_training", flag(x.seen_in_training))?;
    sheet.text("decision", id, "reason", &x.reason)?;
    if let Some(task) = &x.task {
        sheet.text("decision", id, "task", task)?;
    }
    for arm in &x.arms {
        let name = &arm.model;
        sheet.number("arm", name, "probability", arm.probability)?;
        sheet.number("arm", name, "predicted_quality", arm.predicted_quality)?;
        sheet.number("arm", name, "expected_cost_usd", arm.expected_cost_usd)?;
        sheet.maybe("arm", name, "observed_quality", arm.observed_quality)?;
        sheet.maybe("arm", name, "observed_cost_usd", arm.observed_cost_usd)?;
    }
    sheet.finish()
}

/// A CSV file being written.
struct Sheet {
    writer: csv::Writer<Vec<u8>>,
    compares: bool,
    policy: Option<String>,
}

impl Sheet {
    fn new(compares: bool) -> Result<Self, ReportError> {
        let mut sheet = Self {
            writer: csv::Writer::from_writer(Vec::new()),
            compares,
            policy: None,
        };
        let header = ["section", "name", "metric", "point", "low", "high", "text"];
        let policy = compares.then_some("policy");
        sheet.record(header.iter().copied().chain(policy))?;
        Ok(sheet)
    }

    fn interval(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        value: Interval,
    ) -> Result<(), ReportError> {
        let [point, low, high] = [value.point, value.low, value.high].map(raw);
        self.row(section, name, metric, [&point, &low, &high], "")
    }

    fn number(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        value: f64,
    ) -> Result<(), ReportError> {
        self.row(section, name, metric, [&raw(value), "", ""], "")
    }

    fn maybe(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        value: Option<f64>,
    ) -> Result<(), ReportError> {
        self.row(
            section,
            name,
            metric,
            [&value.map(raw).unwrap_or_default(), "", ""],
            "",
        )
    }

    fn count(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        value: u64,
    ) -> Result<(), ReportError> {
        self.row(section, name, metric, [&value.to_string(), "", ""], "")
    }

    fn text(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        text: &str,
    ) -> Result<(), ReportError> {
        self.row(section, name, metric, ["", "", ""], text)
    }

    fn row(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        [point, low, high]: [&str; 3],
        text: &str,
    ) -> Result<(), ReportError> {
        let [section, name, metric, text] = [section, name, metric, text].map(escape::csv);
        let policy = self
            .compares
            .then(|| escape::csv(self.policy.as_deref().unwrap_or_default()));
        let cells = [&section, &name, &metric, point, low, high, &text];
        self.record(cells.into_iter().chain(policy.as_deref()))
    }

    fn record<'a>(&mut self, cells: impl Iterator<Item = &'a str>) -> Result<(), ReportError> {
        self.writer
            .write_record(cells)
            .map_err(|e| failed(&e.to_string()))
    }

    fn finish(self) -> Result<String, ReportError> {
        let bytes = self
            .writer
            .into_inner()
            .map_err(|e| failed(&e.to_string()))?;
        String::from_utf8(bytes).map_err(|e| failed(&e.to_string()))
    }
}

fn failed(what: &str) -> ReportError {
    ReportError::Renderer {
        format: Format::Csv,
        what: what.to_owned(),
    }
}

/// The shortest text that reads back as the same number; nothing for what is not finite.
fn raw(value: f64) -> String {
    if value.is_finite() {
        value.to_string()
    } else {
        String::new()
    }
}

const fn flag(value: bool) -> f64 {
    if value { 1.0 } else { 0.0 }
}

/// A unit variant as the JSON spells it.
fn variant(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        _ => String::new(),
    }
}

fn write_evaluation(sheet: &mut Sheet, e: &Evaluation) -> Result<(), ReportError> {
    headline(sheet, e)?;
    references(sheet, e)?;
    metrics(sheet, &e.metrics)?;
    diagnostics(sheet, e)?;
    trust::write(sheet, e)?;
    parts(sheet, e)?;
    manifest(sheet, &e.manifest)
}

fn headline(sheet: &mut Sheet, e: &Evaluation) -> Result<(), ReportError> {
    sheet.text("verdict", "", "decision", &variant(e.verdict.decision))?;
    for reason in &e.verdict.reasons {
        sheet.text("verdict", "", "reason", reason)?;
    }
    sheet.text("evidence", "", "kind", &variant(e.evidence))?;
    sheet.count("requests", "", "train", e.requests.train)?;
    sheet.count("requests", "", "evaluated", e.requests.evaluated)?;
    sheet.count("requests", "", "set_aside", e.requests.set_aside)?;
    sheet.number("baseline", &e.baseline.model, "quality", e.baseline.quality)?;
    sheet.number(
        "baseline",
        &e.baseline.model,
        "cost_usd",
        e.baseline.cost_usd,
    )?;
    let floor = &e.floor;
    sheet.text("floor", "", "rule", &floor.rule)?;
    sheet.number("floor", "", "quality", floor.quality)?;
    sheet.text(
        "floor",
        "",
        "relative_to",
        floor.relative_to.as_deref().unwrap_or_default(),
    )?;
    sheet.maybe("floor", "", "retain", floor.retain)?;
    sheet.number("floor", "", "confidence", floor.confidence)?;
    let margin = Interval {
        point: floor.margin,
        low: floor.margin_low,
        high: floor.margin_high,
    };
    sheet.interval("floor", "", "margin", margin)?;
    sheet.text("floor", "", "bound", &floor.bound)?;
    sheet.text("floor", "", "bound_reason", &floor.bound_reason)?;
    sheet.interval("policy", &e.policy.name, "quality", e.policy.quality)?;
    sheet.interval("policy", &e.policy.name, "cost_usd", e.policy.cost_usd)?;
    sheet.text("policy", &e.policy.name, "predictor", &e.policy.predictor)?;
    sheet.interval("savings", "", "fraction", e.savings.fraction)?;
    sheet.interval("savings", "", "usd", e.savings.usd)?;
    sheet.interval("quality_change", "", "quality", e.quality_change)
}

fn references(sheet: &mut Sheet, e: &Evaluation) -> Result<(), ReportError> {
    let r = &e.references;
    let named: [(&str, Option<&Reference>); 6] = [
        ("best_single", Some(&r.best_single)),
        ("static_mix_hull", Some(&r.static_mix_hull)),
        ("cost_matched_random", Some(&r.cost_matched_random)),
        ("per_task_table", r.per_task_table.as_ref()),
        ("knn", r.knn.as_ref()),
        ("oracle", r.oracle.as_ref()),
    ];
    for (name, reference) in named {
        let Some(reference) = reference else { continue };
        sheet.text("reference", name, "about", &reference.about)?;
        sheet.number("reference", name, "quality", reference.quality)?;
        sheet.number("reference", name, "cost_usd", reference.cost_usd)?;
        sheet.number("reference", name, "savings", reference.savings)?;
        for arm in &reference.mix {
            sheet.row(
                "reference",
                name,
                "share",
                [&raw(arm.share), "", ""],
                &arm.model,
            )?;
        }
    }
    Ok(())
}

fn metrics(sheet: &mut Sheet, m: &Metrics) -> Result<(), ReportError> {
    let rows = [
        ("aiq", Some(m.aiq)),
        ("aiq_code", Some(m.aiq_code)),
        ("cost_save", m.cost_save),
        ("perf_gain", Some(m.perf_gain)),
        ("qnc", m.qnc),
        ("apgr", m.apgr),
        ("cpt50", m.cpt50),
        ("cpt80", m.cpt80),
        ("router_arena", m.router_arena),
    ];
    for (metric, value) in rows {
        sheet.maybe("metric", "", metric, value)?;
    }
    for at in &m.savings_at {
        sheet.maybe(
            "metric",
            &format!("retain {}", at.retain),
            "savings",
            at.savings,
        )?;
    }
    Ok(())
}

fn diagnostics(sheet: &mut Sheet, e: &Evaluation) -> Result<(), ReportError> {
    let d = &e.diagnostics;
    for arm in &d.arms {
        sheet.count("arm", &arm.model, "requests", arm.requests)?;
        sheet.number("arm", &arm.model, "coverage", arm.coverage)?;
        sheet.number("arm", &arm.model, "unlabelled_share", arm.unlabelled_share)?;
        sheet.number("arm", &arm.model, "unpriced_share", arm.unpriced_share)?;
        let why = arm.left_out.as_deref().unwrap_or_default();
        sheet.row(
            "arm",
            &arm.model,
            "compared",
            [&raw(flag(arm.compared)), "", ""],
            why,
        )?;
    }
    for (metric, value) in [
        ("read", d.rows.read),
        ("rejected", d.rows.rejected),
        ("duplicates", d.rows.duplicates),
        ("conflicts", d.rows.conflicts),
    ] {
        sheet.count("rows", "", metric, value)?;
    }
    sheet.number("diagnostic", "", "unlabelled_share", d.unlabelled_share)?;
    sheet.number("diagnostic", "", "unpriced_share", d.unpriced_share)?;
    sheet.row(
        "diagnostic",
        "",
        "clusters",
        [&d.clusters.to_string(), "", ""],
        &d.cluster_by,
    )?;
    sheet.maybe("diagnostic", "", "lambda", d.lambda)?;
    sheet.maybe("diagnostic", "", "tau", d.tau)?;
    sheet.number("diagnostic", "", "train_margin", d.train_margin)?;
    sheet.number("diagnostic", "", "train_savings", d.train_savings)?;
    sheet.maybe("diagnostic", "", "calibration_error", d.calibration_error)?;
    for p in &d.predictors {
        let chosen = if p.chosen { "chosen" } else { "" };
        sheet.row(
            "predictor",
            &p.name,
            "train_savings",
            [&raw(p.train_savings), "", ""],
            chosen,
        )?;
    }
    for (index, bin) in d.calibration.iter().enumerate() {
        let name = format!("bin {}", index + 1);
        sheet.number("calibration", &name, "predicted", bin.predicted)?;
        sheet.number("calibration", &name, "observed", bin.observed)?;
        sheet.count("calibration", &name, "count", bin.count)?;
    }
    for row in &d.sensitivity {
        sheet.number("sensitivity", &row.change, "savings", row.savings)?;
        sheet.number("sensitivity", &row.change, "margin", row.margin)?;
    }
    for warning in &d.warnings {
        sheet.text("warning", "", "warning", warning)?;
    }
    Ok(())
}

fn parts(sheet: &mut Sheet, e: &Evaluation) -> Result<(), ReportError> {
    for s in &e.segments {
        let name = format!("{}={}", s.column, s.value);
        sheet.count("segment", &name, "requests", s.requests)?;
        sheet.number("segment", &name, "baseline_quality", s.baseline_quality)?;
        sheet.interval("segment", &name, "quality", s.quality)?;
        sheet.interval("segment", &name, "quality_change", s.quality_change)?;
        sheet.interval("segment", &name, "savings", s.savings)?;
        sheet.number("segment", &name, "broken", flag(s.broken))?;
        sheet.number("segment", &name, "waived", flag(s.waived))?;
    }
    for m in &e.mix {
        sheet.number("mix", &m.model, "before", m.before)?;
        sheet.number("mix", &m.model, "after", m.after)?;
        sheet.number("mix", &m.model, "quality", m.quality)?;
        sheet.number("mix", &m.model, "cost_usd", m.cost_usd)?;
    }
    for p in &e.frontier {
        let section = format!("frontier {}", variant(p.kind));
        sheet.interval(&section, &p.label, "quality", p.quality)?;
        sheet.interval(&section, &p.label, "cost_usd", p.cost_usd)?;
        sheet.number(&section, &p.label, "savings", p.savings)?;
        sheet.maybe(&section, &p.label, "retain", p.retain)?;
        sheet.number(&section, &p.label, "certified", flag(p.certified))?;
    }
    if let Some(p) = &e.projection {
        sheet.interval("projection", "", "usd_per_month", p.usd_per_month)?;
        sheet.number("projection", "", "requests_per_month", p.requests_per_month)?;
        sheet.number("projection", "", "lookback_days", p.lookback_days)?;
        sheet.text("projection", "", "note", &p.note)?;
    }
    for c in &e.changed {
        let id = &c.request_id;
        sheet.row(
            "changed",
            id,
            "quality_before",
            [&raw(c.quality_before), "", ""],
            &c.before,
        )?;
        sheet.row(
            "changed",
            id,
            "quality_after",
            [&raw(c.quality_after), "", ""],
            &c.after,
        )?;
        sheet.row(
            "changed",
            id,
            "cost_usd_before",
            [&raw(c.cost_usd_before), "", ""],
            &c.before,
        )?;
        sheet.row(
            "changed",
            id,
            "cost_usd_after",
            [&raw(c.cost_usd_after), "", ""],
            &c.after,
        )?;
        for (metric, text) in [("task", &c.task), ("prompt", &c.prompt)] {
            if let Some(text) = text {
                sheet.text("changed", id, metric, text)?;
            }
        }
    }
    Ok(())
}

fn manifest(sheet: &mut Sheet, m: &Manifest) -> Result<(), ReportError> {
    let catalogue = m.catalogue_digest.as_deref().unwrap_or_default();
    for (metric, text) in [
        ("version", m.version.as_str()),
        ("log_digest", &m.log_digest),
        ("catalogue_digest", catalogue),
        ("policy_digest", &m.policy_digest),
        ("policy_toml", &m.policy_toml),
        ("split", &m.split),
        ("interval_method", &m.interval_method),
        ("command", &m.command),
    ] {
        sheet.text("manifest", "", metric, text)?;
    }
    sheet.count("manifest", "", "seed", m.seed)?;
    sheet.count("manifest", "", "resamples", u64::from(m.resamples))?;
    sheet.number("manifest", "", "interval_confidence", m.interval_confidence)
}

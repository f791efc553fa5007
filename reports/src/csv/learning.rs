//! A learning replay as one tidy table; intervals are bands over seeds.

use plimsoll_harness::Interval;
use plimsoll_harness::learning::{
    Band, LearnerReport, LearningReport, LoggedEstimate, Shock, ShockTimes, UsdBand,
};

use super::{Sheet, flag, variant};
use crate::{ReportError, escape};

pub(crate) fn learning(r: &LearningReport) -> Result<String, ReportError> {
    let mut sheet = Sheet::new(true)?;
    sheet.text("evidence", "", "kind", &variant(r.evidence))?;
    sheet.count("requests", "", "warm_up", r.requests.warm_up)?;
    sheet.count("requests", "", "replayed", r.requests.replayed)?;
    sheet.count("requests", "", "set_aside", r.requests.set_aside)?;
    sheet.number("line", "", "quality", r.line)?;
    sheet.count("seeds", "", "count", r.seeds)?;
    for arm in &r.arms {
        sheet.number("arm", &arm.model, "quality", arm.quality)?;
        sheet.number("arm", &arm.model, "cost_usd", arm.cost_usd)?;
    }
    for phase in &r.phases {
        let name = format!("{} to {}", phase.from, phase.to);
        sheet.text("phase", &name, "benchmark", &phase.benchmark)?;
        sheet.number("phase", &name, "feasible", flag(phase.feasible))?;
        for what in &phase.starts_with {
            sheet.text("phase", &name, "starts_with", what)?;
        }
    }
    for learner in &r.learners {
        sheet.policy = Some(learner.name.clone());
        write_learner(&mut sheet, r, learner)?;
    }
    for learner in &r.logged {
        sheet.policy = Some(learner.name.clone());
        estimate(&mut sheet, "dr-ns", &learner.dr_ns)?;
        estimate(&mut sheet, "rejection", &learner.rejection)?;
    }
    sheet.policy = None;
    sheet.text("manifest", "", "log_digest", &r.manifest.log_digest)?;
    sheet.text("manifest", "", "command", &r.manifest.command)?;
    sheet.finish()
}

fn write_learner(
    sheet: &mut Sheet,
    r: &LearningReport,
    learner: &LearnerReport,
) -> Result<(), ReportError> {
    sheet.band("total", "", "quality", learner.quality)?;
    sheet.number("total", "", "line_kept", learner.line_kept)?;
    sheet.usd("total", "cost_usd", &learner.cost_usd)?;
    sheet.usd("total", "cost_regret_usd", &learner.cost_regret_usd)?;
    sheet.band("total", "", "quality_regret", learner.quality_regret)?;
    for (arm, share) in r.arms.iter().zip(&learner.shares) {
        sheet.band("share", &arm.model, "share", *share)?;
    }
    sheet.number("labels", "", "seen", learner.feedback.seen)?;
    sheet.number("labels", "", "unlabelled", learner.feedback.unlabelled)?;
    sheet.number("labels", "", "censored", learner.feedback.censored)?;
    sheet.number("labels", "", "pending", learner.feedback.pending)?;
    for shock in &learner.shocks {
        write_shock(sheet, shock)?;
    }
    for point in &learner.series {
        let at = point.request.to_string();
        sheet.band("series", &at, "cost_usd", point.cost_usd)?;
        sheet.band("series", &at, "cost_regret_usd", point.cost_regret_usd)?;
        sheet.band("series", &at, "quality_regret", point.quality_regret)?;
        sheet.band("series", &at, "quality", point.quality)?;
        sheet.band("series", &at, "recent_quality", point.recent_quality)?;
        for (arm, share) in r.arms.iter().zip(&point.shares) {
            sheet.band("series", &at, &format!("share {}", arm.model), *share)?;
        }
    }
    Ok(())
}

fn write_shock(sheet: &mut Sheet, shock: &Shock) -> Result<(), ReportError> {
    let mut times = |metric: &str, times: &ShockTimes| {
        sheet.count(
            "shock",
            &shock.what,
            &format!("{metric}_never"),
            times.never,
        )?;
        match times.requests {
            Some(t) => {
                let value = Interval {
                    point: t.median,
                    low: t.low,
                    high: t.high,
                };
                sheet.interval("shock", &shock.what, &format!("{metric}_after"), value)
            }
            None => Ok(()),
        }
    };
    if let Some(detected) = &shock.detected {
        times("detected", detected)?;
    }
    times("rerouted", &shock.rerouted)?;
    times("recovered", &shock.recovered)
}

fn estimate(sheet: &mut Sheet, section: &str, e: &LoggedEstimate) -> Result<(), ReportError> {
    sheet.interval(section, "", "quality", e.quality)?;
    sheet.interval(section, "", "cost_usd", e.cost_usd)?;
    sheet.band(section, "", "accepted", e.accepted)?;
    sheet.band(section, "", "events", e.events)?;
    sheet.band(section, "", "effective", e.effective)?;
    sheet.number(section, "", "cut_share", e.cut_share)?;
    sheet.band(section, "", "multiplier", e.multiplier)
}

impl Sheet {
    fn band(
        &mut self,
        section: &str,
        name: &str,
        metric: &str,
        band: Band,
    ) -> Result<(), ReportError> {
        let value = Interval {
            point: band.median,
            low: band.low,
            high: band.high,
        };
        self.interval(section, name, metric, value)
    }

    /// Exact amounts, digit by digit.
    fn usd(&mut self, section: &str, metric: &str, band: &UsdBand) -> Result<(), ReportError> {
        let [point, low, high] = [band.median, band.low, band.high].map(|usd| usd.to_string());
        debug_assert!(escape::csv(&point).trim_start_matches('\'') == point);
        self.row(section, "", metric, [&point, &low, &high], "")
    }
}

//! Many runs in one report: bands over seeds.

use plimsoll::Usd;
use statrs::statistics::{Data, OrderStatistics};

use super::detect::{PAGE_HINKLEY_DRIFT, PAGE_HINKLEY_THRESHOLD, recovered, rerouted};
use super::full::{Alarm, Run, regrets};
use super::keyed::float;
use super::options::{Change, LearningOptions};
use super::replay::SERIES_POINTS;
use super::report::{
    Band, FeedbackCounts, LearnerReport, SeriesPoint, Shock, ShockTimes, Times, UsdBand,
};
use super::world::Stream;

/// Relative cost regret within which an arm's price change counts as overcome.
const COST_BAND: f64 = 0.1;

/// What is kept of one run.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    cost: Usd,
    cost_regret: Usd,
    quality_regret: f64,
    quality: f64,
    shares: Vec<f64>,
    feedback: FeedbackCounts,
    points: Vec<Point>,
    alarms: Vec<Alarm>,
    rerouted: Vec<Option<usize>>,
    recovered: Vec<Option<usize>>,
}

#[derive(Clone, Debug)]
struct Point {
    request: usize,
    cost: f64,
    cost_regret: f64,
    quality_regret: f64,
    quality: f64,
    recent: f64,
    shares: Vec<f64>,
}

/// Reduces a run to what the report needs.
pub(super) fn summarise(stream: &Stream, options: &LearningOptions, run: &Run) -> Summary {
    let n = stream.len();
    let (quality_regret, cost_regret) = regrets(stream, run);
    let quality: Vec<f64> = (0..n).map(|t| run.quality[[t, run.chosen[t]]]).collect();
    let cost: Vec<Usd> = (0..n).map(|t| stream.cost[[t, run.chosen[t]]]).collect();
    let window = options.window_of(n);
    let relative = relative_cost(stream, &cost_regret);
    let shortfall = shortfall(stream, &quality);
    let after = |index: usize| {
        let event = &stream.events[index];
        let end = stream
            .events
            .iter()
            .map(|e| e.at)
            .find(|at| *at > event.at)
            .unwrap_or(n);
        let (regret, band) = match event.change {
            Change::Price(_) => (&relative, COST_BAND),
            _ => (&shortfall, options.quality_band),
        };
        (
            rerouted(
                &run.chosen,
                event.arm,
                event.at,
                end,
                window,
                speaks_for(event.change),
            ),
            recovered(regret, event.at, end, window, band),
        )
    };
    let (rerouted, recovered) = (0..stream.events.len()).map(after).unzip();
    Summary {
        cost: cost.iter().copied().sum(),
        cost_regret: cost_regret.iter().copied().sum(),
        quality_regret: quality_regret.iter().sum(),
        quality: quality.iter().sum::<f64>() / float(n.max(1)),
        shares: shares(&run.chosen, stream.arms.len()),
        feedback: FeedbackCounts {
            seen: float(run.seen),
            unlabelled: float(run.unlabelled),
            censored: float(run.censored),
            pending: float(run.pending),
        },
        points: points(
            stream,
            run,
            window,
            &Parts {
                quality,
                cost,
                quality_regret,
                cost_regret,
            },
        ),
        alarms: run.alarms.clone(),
        rerouted,
        recovered,
    }
}

/// Per request.
struct Parts {
    quality: Vec<f64>,
    cost: Vec<Usd>,
    quality_regret: Vec<f64>,
    cost_regret: Vec<Usd>,
}

const fn speaks_for(change: Change) -> bool {
    match change {
        Change::Drift(x) => x > 0.0,
        Change::Price(factor) => factor < 1.0,
        Change::Appears => true,
        Change::Vanishes => false,
    }
}

/// Cost regret as a share of the benchmark's mean cost in its phase.
fn relative_cost(stream: &Stream, regret: &[Usd]) -> Vec<f64> {
    let mut out = Vec::with_capacity(regret.len());
    for span in &stream.spans {
        let total: Usd = (span.from..span.to)
            .map(|t| stream.cost[[t, span.benchmark]])
            .sum();
        let mean = total.as_f64() / float(span.to - span.from);
        let scale = if mean > 0.0 { mean } else { 1.0 };
        out.extend(
            regret[span.from..span.to]
                .iter()
                .map(|r| r.as_f64() / scale),
        );
    }
    out
}

/// What each answer lacks of the line, or of the benchmark's mean where no arm meets the line.
fn shortfall(stream: &Stream, quality: &[f64]) -> Vec<f64> {
    let mut out = Vec::with_capacity(quality.len());
    for span in &stream.spans {
        let target = span.target.min(stream.line);
        out.extend(quality[span.from..span.to].iter().map(|q| target - q));
    }
    out
}

fn shares(chosen: &[usize], arms: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; arms];
    for arm in chosen {
        counts[*arm] += 1;
    }
    counts
        .iter()
        .map(|c| float(*c) / float(chosen.len().max(1)))
        .collect()
}

fn points(stream: &Stream, run: &Run, window: usize, parts: &Parts) -> Vec<Point> {
    let n = stream.len();
    let count = SERIES_POINTS.min(n);
    let (mut cost, mut cost_regret) = (Usd::ZERO, Usd::ZERO);
    let (mut quality, mut quality_regret, mut from) = (0.0, 0.0, 0);
    let mut points = Vec::with_capacity(count);
    for index in 1..=count {
        let to = (index * n).div_ceil(count);
        cost += parts.cost[from..to].iter().copied().sum();
        cost_regret += parts.cost_regret[from..to].iter().copied().sum();
        quality += parts.quality[from..to].iter().sum::<f64>();
        quality_regret += parts.quality_regret[from..to].iter().sum::<f64>();
        let recent = &parts.quality[to.saturating_sub(window)..to];
        points.push(Point {
            request: to,
            cost: cost.as_f64(),
            cost_regret: cost_regret.as_f64(),
            quality_regret,
            quality: quality / float(to),
            recent: recent.iter().sum::<f64>() / float(recent.len()),
            shares: shares(&run.chosen[from..to], stream.arms.len()),
        });
        from = to;
    }
    points
}

/// The report of one learner.
pub(super) fn learner(
    name: String,
    stream: &Stream,
    options: &LearningOptions,
    runs: &[&Summary],
) -> LearnerReport {
    let over = |of: &dyn Fn(&Summary) -> f64| band(runs.iter().map(|r| of(r)));
    let mean = |of: &dyn Fn(&FeedbackCounts) -> f64| {
        runs.iter().map(|r| of(&r.feedback)).sum::<f64>() / float(runs.len().max(1))
    };
    let kept = runs
        .iter()
        .filter(|r| r.quality >= stream.line - 1e-12)
        .count();
    LearnerReport {
        name,
        quality: over(&|r| r.quality),
        line_kept: float(kept) / float(runs.len().max(1)),
        cost_usd: usd_band(runs.iter().map(|r| r.cost)),
        cost_regret_usd: usd_band(runs.iter().map(|r| r.cost_regret)),
        quality_regret: over(&|r| r.quality_regret),
        shares: (0..stream.arms.len())
            .map(|arm| over(&|r| r.shares[arm]))
            .collect(),
        feedback: FeedbackCounts {
            seen: mean(&|f| f.seen),
            unlabelled: mean(&|f| f.unlabelled),
            censored: mean(&|f| f.censored),
            pending: mean(&|f| f.pending),
        },
        series: series(stream.arms.len(), runs),
        shocks: (0..stream.events.len())
            .map(|index| shock(stream, options, runs, index))
            .collect(),
    }
}

fn series(arms: usize, runs: &[&Summary]) -> Vec<SeriesPoint> {
    let points = runs.first().map_or(0, |r| r.points.len());
    (0..points)
        .map(|at| {
            let over = |of: &dyn Fn(&Point) -> f64| band(runs.iter().map(|r| of(&r.points[at])));
            SeriesPoint {
                request: runs[0].points[at].request as u64,
                cost_usd: over(&|p| p.cost),
                cost_regret_usd: over(&|p| p.cost_regret),
                quality_regret: over(&|p| p.quality_regret),
                quality: over(&|p| p.quality),
                recent_quality: over(&|p| p.recent),
                shares: (0..arms).map(|arm| over(&|p| p.shares[arm])).collect(),
            }
        })
        .collect()
}

fn shock(stream: &Stream, options: &LearningOptions, runs: &[&Summary], index: usize) -> Shock {
    let event = &stream.events[index];
    let drifts = matches!(event.change, Change::Drift(_));
    let window = options.window_of(stream.len());
    let early = runs.iter().filter(|r| r.alarms[index].early).count();
    let moved = if speaks_for(event.change) {
        "rises above twice its share before, and above 5 %"
    } else {
        "falls below half its share before"
    };
    let regret = match event.change {
        Change::Price(_) => {
            format!("regret of cost, relative to the benchmark's, stays within {COST_BAND}")
        }
        _ => format!(
            "shortfall of quality below the line (or the benchmark, where no arm meets it) stays \
             within {}",
            options.quality_band
        ),
    };
    let mut rules = vec![
        format!("rerouted: the arm's share of the last {window} requests {moved}"),
        format!(
            "recovered: mean {regret} above that of the {window} requests before (or 0), over the \
             last {window} requests, from then to the next shock or the end"
        ),
    ];
    if drifts {
        rules.insert(
            0,
            format!(
                "detected: Page–Hinkley on label minus expectation of this arm's labels, as the \
                 learner saw them (tolerance {PAGE_HINKLEY_DRIFT}, threshold \
                 {PAGE_HINKLEY_THRESHOLD})"
            ),
        );
    }
    Shock {
        what: stream.phrase(event),
        model: stream.arms[event.arm].to_string(),
        request: event.at as u64,
        detected: drifts.then(|| times(runs.iter().map(|r| r.alarms[index].after))),
        false_alarms: drifts.then(|| float(early) / float(runs.len().max(1))),
        rerouted: times(runs.iter().map(|r| r.rerouted[index])),
        recovered: times(runs.iter().map(|r| r.recovered[index])),
        rules,
    }
}

fn times(values: impl Iterator<Item = Option<usize>>) -> ShockTimes {
    let all: Vec<Option<usize>> = values.collect();
    let mut known: Vec<f64> = all.iter().flatten().map(|t| float(*t)).collect();
    known.sort_by(f64::total_cmp);
    ShockTimes {
        seeds: known.len() as u64,
        never: (all.len() - known.len()) as u64,
        requests: known.first().zip(known.last()).map(|(low, high)| Times {
            median: Data::new(known.clone()).median(),
            low: *low,
            high: *high,
        }),
    }
}

/// Median, 10 % and 90 % quantiles.
pub(super) fn band(values: impl Iterator<Item = f64>) -> Band {
    let values: Vec<f64> = values.collect();
    if values.is_empty() {
        return Band::default();
    }
    let mut data = Data::new(values);
    Band {
        median: data.median(),
        low: data.quantile(0.1),
        high: data.quantile(0.9),
    }
}

/// Exact order statistics of nearest rank.
fn usd_band(values: impl Iterator<Item = Usd>) -> UsdBand {
    let mut values: Vec<Usd> = values.collect();
    values.sort_unstable();
    let Some(last) = values.len().checked_sub(1) else {
        return UsdBand::default();
    };
    let rank = |tenths: usize| values[(last * tenths + 5) / 10];
    UsdBand {
        median: rank(5),
        low: rank(1),
        high: rank(9),
    }
}

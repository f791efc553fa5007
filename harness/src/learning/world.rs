//! The stream that learners walk: requests in order, every arm's answer, and what is injected.

use ndarray::{Array2, Axis};
use plimsoll::{ArmId, Context, FeatureMap, FeatureMapConfig, Seed, Usd};
use plimsoll_datasets::{OutcomeLog, Request};
use rayon::prelude::*;

use super::error::LearningError;
use super::keyed::{float, unit};
use super::options::{Change, LearningOptions, Order};
use super::policy::LearnerStart;
use super::report::{LearningArm, Phase, PhaseArm};
use crate::error::EvidenceError;
use crate::study::raw_context;
use crate::table::OutcomeTable;

/// Requests whose contexts, without any label, scale the features of a cold start.
const COLD_CONTEXTS: usize = 200;

/// Rows before the stream.
#[derive(Clone, Debug)]
pub(super) struct WarmUp {
    pub(super) features: FeatureMap,
    pub(super) contexts: Vec<Context>,
    pub(super) quality: Array2<Option<f64>>,
    pub(super) cost: Array2<Option<Usd>>,
    pub(super) list_cost: Vec<f64>,
    pub(super) present: Vec<bool>,
}

/// The requests of a replay, every arm's answer to each; prices already injected.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) arms: Vec<ArmId>,
    pub(super) ids: Vec<String>,
    pub(super) time_us: Vec<Option<i64>>,
    pub(super) contexts: Vec<Context>,
    /// Quality before drift, shape (n, K).
    quality: Array2<f64>,
    /// Quality expected over seeds, drift included, shape (n, K).
    expected: Array2<f64>,
    /// Shape (n, K).
    pub(super) cost: Array2<Usd>,
    pub(super) tokens: Array2<Option<u64>>,
    pub(super) events: Vec<Event>,
    pub(super) line: f64,
    pub(super) line_reason: String,
    pub(super) spans: Vec<Span>,
}

/// An injection at its place.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) at: usize,
    pub(super) arm: usize,
    pub(super) change: Change,
    /// Chance that drift turns a success (or a failure) around.
    turns: f64,
}

/// A phase, by index.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) present: Vec<bool>,
    pub(super) benchmark: usize,
    pub(super) feasible: bool,
    /// The benchmark's expected quality.
    pub(super) target: f64,
}

impl WarmUp {
    pub(super) fn start<'a>(
        &'a self,
        arms: &'a [ArmId],
        line: f64,
        seed: Seed,
    ) -> LearnerStart<'a> {
        LearnerStart {
            arms,
            present: &self.present,
            features: &self.features,
            contexts: &self.contexts,
            quality: self.quality.view(),
            cost: self.cost.view(),
            list_cost: &self.list_cost,
            line,
            seed,
        }
    }
}

/// Requests in the order of the replay, as positions into `requests`; and that order's name.
pub(super) fn ordered(
    requests: &[&Request],
    order: Order,
    seed: Seed,
) -> (Vec<usize>, &'static str) {
    let mut positions: Vec<usize> = (0..requests.len()).collect();
    if order == Order::Shuffled {
        positions.sort_by_cached_key(|&i| (unit("order", seed, &requests[i].id).to_bits(), i));
        return (positions, "shuffled");
    }
    if requests.iter().any(|r| r.timestamp_us.is_none()) {
        return (positions, "log");
    }
    positions.sort_by_key(|&i| requests[i].timestamp_us);
    (positions, "time")
}

/// Refuses a delay in event time on requests without timestamps.
pub(super) fn check_clock(
    requests: &[&Request],
    options: &LearningOptions,
) -> Result<(), LearningError> {
    let missing = requests.iter().filter(|r| r.timestamp_us.is_none()).count();
    match options.timed() {
        Some(option) if missing > 0 => Err(LearningError::NeedsTimestamps {
            option,
            missing,
            requests: requests.len(),
        }),
        _ => Ok(()),
    }
}

/// Features scaled on the warm-up requests, or on the first ones of a cold start.
pub(super) fn features(
    requests: &[&Request],
    warm: usize,
) -> Result<(FeatureMap, Vec<Context>), LearningError> {
    let scaled = if warm > 0 {
        warm
    } else {
        COLD_CONTEXTS.min(requests.len())
    };
    let rows = requests[..scaled].iter().map(|r| raw_context(r));
    let map = FeatureMap::fit(FeatureMapConfig::default(), rows)
        .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?;
    let contexts = requests
        .par_iter()
        .map(|request| {
            map.map(&raw_context(request))
                .map_err(|e| LearningError::engine(e.code(), &e, e.help()))
        })
        .collect::<Result<_, LearningError>>()?;
    Ok((map, contexts))
}

/// Number of warm-up rows among `n`.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the share lies in [0, 0.9]"
)]
pub(super) fn warm_rows(n: usize, share: f64) -> usize {
    (float(n) * share).floor() as usize
}

impl Stream {
    /// Orders the table's rows, sets the first aside to warm up, and injects.
    pub(super) fn new(
        log: &OutcomeLog,
        table: &OutcomeTable,
        options: &LearningOptions,
        seed: Seed,
    ) -> Result<(WarmUp, Self, &'static str), LearningError> {
        let of_row = |row: &usize| &log.requests[table.requests[*row]];
        let all: Vec<usize> = (0..table.rows()).collect();
        let requests: Vec<&Request> = all.iter().map(of_row).collect();
        check_clock(&requests, options)?;
        let (rows, order) = ordered(&requests, options.order, seed);
        let requests: Vec<&Request> = rows.iter().map(of_row).collect();
        let warm = warm_rows(rows.len(), options.warm_up);
        let (map, mut contexts) = features(&requests, warm)?;
        let stream_contexts = contexts.split_off(warm);
        let events = events(table, options, rows.len() - warm)?;
        let mut present = vec![true; table.arms.len()];
        for event in events.iter().filter(|e| e.change == Change::Appears) {
            present[event.arm] = false;
        }
        let (warm_rows, rows) = rows.split_at(warm);
        let select = |rows: &[usize]| table.quality.select(Axis(0), rows);
        let mut warm_quality = select(warm_rows).mapv(Some);
        for arm in (0..present.len()).filter(|&arm| !present[arm]) {
            warm_quality.column_mut(arm).fill(None);
        }
        let quality = select(rows);
        let priced = if warm > 0 {
            warm_rows
        } else {
            &rows[..COLD_CONTEXTS.min(rows.len())]
        };
        let list_cost = mean_columns(&table.cost.select(Axis(0), priced));
        let basis = if warm > 0 {
            select(warm_rows)
        } else {
            quality.clone()
        };
        let (line, line_reason) = line(table, options, &basis, &present, warm > 0)?;
        let mut stream = Self {
            arms: table.arms.clone(),
            ids: requests[warm..].iter().map(|r| r.id.clone()).collect(),
            time_us: requests[warm..].iter().map(|r| r.timestamp_us).collect(),
            contexts: stream_contexts,
            expected: quality.clone(),
            quality,
            cost: table.cost_exact.select(Axis(0), rows),
            tokens: table.output_tokens.select(Axis(0), rows),
            events,
            line,
            line_reason,
            spans: Vec::new(),
        };
        stream.inject()?;
        stream.spans = stream.phases(&present)?;
        let warm_up = WarmUp {
            features: map,
            contexts,
            quality: warm_quality,
            cost: table.cost_exact.select(Axis(0), warm_rows).mapv(Some),
            list_cost,
            present,
        };
        Ok((warm_up, stream, order))
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// Applies prices, and prepares drift in expectation.
    fn inject(&mut self) -> Result<(), LearningError> {
        let n = self.len();
        for index in 0..self.events.len() {
            let Event {
                at, arm, change, ..
            } = self.events[index];
            match change {
                Change::Price(factor) => {
                    for t in at..n {
                        let cost = &mut self.cost[[t, arm]];
                        *cost = Usd::from_f64(cost.as_f64() * factor).unwrap_or(*cost);
                    }
                }
                Change::Drift(x) => {
                    let mean =
                        (at..n).map(|t| self.expected[[t, arm]]).sum::<f64>() / float(n - at);
                    let room = if x < 0.0 { mean } else { 1.0 - mean };
                    if x.abs() > room {
                        return Err(LearningError::Option {
                            option: "drift",
                            got: format!(
                                "{x} for `{}`, whose mean quality is {mean:.3}",
                                self.arms[arm]
                            ),
                            allowed: "a change that leaves the arm's mean quality in [0, 1]",
                        });
                    }
                    let turns = x.abs() / room;
                    self.events[index].turns = turns;
                    for t in at..n {
                        let q = &mut self.expected[[t, arm]];
                        *q += if x < 0.0 {
                            -*q * turns
                        } else {
                            (1.0 - *q) * turns
                        };
                    }
                }
                Change::Appears | Change::Vanishes => {}
            }
        }
        Ok(())
    }

    /// The qualities of one seed: drift turns binary labels around at random, keyed by request and
    /// seed, and moves graded ones by their expectation.
    pub(super) fn qualities(&self, seed: Seed) -> Array2<f64> {
        let mut out = self.quality.clone();
        for (index, event) in self.events.iter().enumerate() {
            let Change::Drift(x) = event.change else {
                continue;
            };
            let purpose = format!("drift {index} {}", self.arms[event.arm]);
            for t in event.at..self.len() {
                let q = &mut out[[t, event.arm]];
                let binary = *q <= 0.0 || *q >= 1.0;
                let turned = |id: &str| unit(&purpose, seed, id) < event.turns;
                let share = match (binary, binary && turned(&self.ids[t])) {
                    (true, turned) => f64::from(u8::from(turned)),
                    (false, _) => event.turns,
                };
                *q += if x < 0.0 {
                    -*q * share
                } else {
                    (1.0 - *q) * share
                };
            }
        }
        out
    }

    fn phases(&self, at_start: &[bool]) -> Result<Vec<Span>, LearningError> {
        let mut cuts: Vec<usize> = self.events.iter().map(|e| e.at).collect();
        cuts.extend([0, self.len()]);
        cuts.sort_unstable();
        cuts.dedup();
        let mut present = at_start.to_vec();
        let mut spans = Vec::new();
        for pair in cuts.windows(2) {
            let (from, to) = (pair[0], pair[1]);
            for event in self.events.iter().filter(|e| e.at == from) {
                match event.change {
                    Change::Appears => present[event.arm] = true,
                    Change::Vanishes => present[event.arm] = false,
                    Change::Drift(_) | Change::Price(_) => {}
                }
            }
            let means = self.means(from, to);
            let (benchmark, feasible) = benchmark(&means, &present, self.line)
                .ok_or(LearningError::NoArm { position: from })?;
            spans.push(Span {
                from,
                to,
                present: present.clone(),
                benchmark,
                feasible,
                target: means[benchmark].0,
            });
        }
        Ok(spans)
    }

    /// Expected quality and cost of each arm over a stretch.
    fn means(&self, from: usize, to: usize) -> Vec<(f64, f64)> {
        let rows = float(to - from);
        (0..self.arms.len())
            .map(|arm| {
                let quality = (from..to).map(|t| self.expected[[t, arm]]).sum::<f64>() / rows;
                let cost: Usd = (from..to).map(|t| self.cost[[t, arm]]).sum();
                (quality, cost.as_f64() / rows)
            })
            .collect()
    }

    /// The arms over the whole stream.
    pub(super) fn arm_rows(&self) -> Vec<LearningArm> {
        let row = |(arm, (quality, cost_usd)): (&ArmId, (f64, f64))| LearningArm {
            model: arm.to_string(),
            quality,
            cost_usd,
        };
        self.arms
            .iter()
            .zip(self.means(0, self.len()))
            .map(row)
            .collect()
    }

    /// The phases, for the report.
    pub(super) fn phase_rows(&self) -> Vec<Phase> {
        let row = |span: &Span| {
            let means = self.means(span.from, span.to);
            Phase {
                from: span.from as u64,
                to: span.to as u64,
                starts_with: self
                    .events
                    .iter()
                    .filter(|e| e.at == span.from)
                    .map(|e| self.phrase(e))
                    .collect(),
                benchmark: self.arms[span.benchmark].to_string(),
                feasible: span.feasible,
                arms: (0..self.arms.len())
                    .map(|arm| PhaseArm {
                        model: self.arms[arm].to_string(),
                        in_service: span.present[arm],
                        quality: means[arm].0,
                        cost_usd: means[arm].1,
                    })
                    .collect(),
            }
        };
        self.spans.iter().map(row).collect()
    }

    /// An event in words.
    pub(super) fn phrase(&self, event: &Event) -> String {
        let arm = &self.arms[event.arm];
        match event.change {
            Change::Drift(x) if x < 0.0 => format!("quality of {arm} falls by {}", -x),
            Change::Drift(x) => format!("quality of {arm} rises by {x}"),
            Change::Price(factor) => format!("price of {arm} times {factor}"),
            Change::Appears => format!("{arm} appears"),
            Change::Vanishes => format!("{arm} vanishes"),
        }
    }
}

/// The cheapest arm in service that meets the line, else the one of highest quality.
fn benchmark(means: &[(f64, f64)], present: &[bool], line: f64) -> Option<(usize, bool)> {
    let arms = || (0..means.len()).filter(|&arm| present[arm]);
    let cheapest = arms()
        .filter(|&arm| means[arm].0 >= line - 1e-12)
        .min_by(|&a, &b| means[a].1.total_cmp(&means[b].1));
    let best = || {
        arms().max_by(|&a, &b| {
            let cheaper = means[b].1.total_cmp(&means[a].1);
            means[a].0.total_cmp(&means[b].0).then(cheaper)
        })
    };
    match cheapest {
        Some(arm) => Some((arm, true)),
        None => best().map(|arm| (arm, false)),
    }
}

/// Injections in the order of the stream.
fn events(
    table: &OutcomeTable,
    options: &LearningOptions,
    n: usize,
) -> Result<Vec<Event>, LearningError> {
    let mut events = options
        .injections
        .iter()
        .map(|injection| {
            let arm = table
                .column(&injection.arm)
                .ok_or_else(|| LearningError::UnknownArm {
                    option: injection.option(),
                    got: injection.arm.clone(),
                    known: table.arms.iter().map(ToString::to_string).collect(),
                })?;
            let at = injection.position(n);
            if at >= n {
                return Err(LearningError::Option {
                    option: injection.option(),
                    got: format!("request {at}"),
                    allowed: "before the last replayed request",
                });
            }
            let change = injection.change;
            Ok(Event {
                at,
                arm,
                change,
                turns: 0.0,
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    events.sort_by_key(|e| e.at);
    Ok(events)
}

/// The line as a mean quality, and where it comes from.
fn line(
    table: &OutcomeTable,
    options: &LearningOptions,
    basis: &Array2<f64>,
    present: &[bool],
    warm: bool,
) -> Result<(f64, String), LearningError> {
    let objective = &options.policy.objective;
    if let Some(quality) = objective.quality {
        return Ok((quality, "the policy's own".to_owned()));
    }
    let means = mean_columns(basis);
    let best = || {
        (0..means.len())
            .filter(|&arm| present[arm])
            .reduce(|a, b| if means[b] > means[a] { b } else { a })
            .ok_or(LearningError::NoArm { position: 0 })
    };
    let arm = match objective.relative_to.as_deref() {
        None | Some(plimsoll::BEST_SINGLE) => best()?,
        Some(name) => table
            .column(name)
            .ok_or_else(|| EvidenceError::UnknownArm {
                got: name.to_owned(),
                known: table.arms.iter().map(ToString::to_string).collect(),
            })?,
    };
    let retain = objective.retain.unwrap_or(1.0);
    let rows = if warm {
        "warm-up"
    } else {
        "replayed, as recorded,"
    };
    let reason = format!(
        "{retain} of the quality of {} on the {rows} requests",
        table.arms[arm]
    );
    Ok((means[arm] * retain, reason))
}

fn mean_columns(table: &Array2<f64>) -> Vec<f64> {
    let rows = float(table.nrows().max(1));
    table
        .columns()
        .into_iter()
        .map(|c| c.sum() / rows)
        .collect()
}

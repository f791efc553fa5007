//! A log in, a learning report out.

use ndarray::Array2;
use plimsoll::{ArmId, Seed};
use plimsoll_datasets::{EvidenceKind, OutcomeLog, Request};
use rayon::prelude::*;

use super::error::LearningError;
use super::full::run;
use super::keyed::float;
use super::logged::{Acceptance, DrNs, LoggedEvent, LoggedRun, over_seeds, simulate_history};
use super::options::{LearningOptions, Order};
use super::policy::{EpsilonGreedy, FixedArm, LearnerStart, LearningPolicy, UniformChoice};
use super::report::{
    LEARNING_SCHEMA_VERSION, LearningArm, LearningCounts, LearningManifest, LearningReport,
    LoggedEstimate, LoggedLearner,
};
use super::summary::{Summary, band, learner, summarise};
use super::world::{Stream, WarmUp, check_clock, features, ordered, warm_rows};
use crate::error::EvidenceError;
use crate::replay::ReplayInput;
use crate::table::{ArmChoice, OutcomeTable};

/// Points of a run over time.
pub const SERIES_POINTS: usize = 60;
/// Least requests to replay.
pub const REPLAYED_MIN: usize = 3;
/// Least events that a logged replay accepts in the median run, below which it is refused.
pub const ACCEPTED_MIN: usize = 100;
/// Share of logged requests that may lack quality, cost or propensity.
pub const LOGGED_MISSING_MAX: f64 = 0.05;
/// ε of the reference learner.
const REFERENCE_EPSILON: f64 = 0.05;

/// Makes a learner of what it may start from.
pub type LearnerFactory<'f> =
    dyn Fn(&LearnerStart<'_>) -> Result<Box<dyn LearningPolicy>, LearningError> + Sync + 'f;

/// Replays a learning policy, and beside it the best single arm, ε-greedy over arm means and
/// uniform choice.
///
/// A fully observed log is replayed exactly, one with propensities by DR-ns and weighted rejection.
///
/// # Errors
/// [`LearningError`] when an option is out of range, or the log cannot support the replay.
pub fn replay(
    input: &ReplayInput<'_>,
    factory: &LearnerFactory<'_>,
    options: &LearningOptions,
) -> Result<LearningReport, LearningError> {
    options.validate()?;
    match input.evidence {
        EvidenceKind::FullInformation => full(input, factory, options),
        EvidenceKind::LoggedWithPropensities => logged(input, factory, options),
        _ => Err(LearningError::Observational),
    }
}

/// The policy and the references, ready to start.
fn learners(
    factory: &LearnerFactory<'_>,
    start: &LearnerStart<'_>,
) -> Result<Vec<Box<dyn LearningPolicy>>, LearningError> {
    Ok(vec![
        factory(start)?,
        Box::new(FixedArm::new(start, start.best_single())),
        Box::new(EpsilonGreedy::new(start, REFERENCE_EPSILON)),
        Box::new(UniformChoice::new(start)),
    ])
}

/// A stream and its learners before the first request.
struct Ready {
    stream: Stream,
    warm_up: usize,
    order: &'static str,
    learners: Vec<Box<dyn LearningPolicy>>,
}

fn ready(
    input: &ReplayInput<'_>,
    table: &OutcomeTable,
    factory: &LearnerFactory<'_>,
    options: &LearningOptions,
    seed: Seed,
) -> Result<Ready, LearningError> {
    let (warm_up, stream, order) = Stream::new(input.log, table, options, seed)?;
    let learners = learners(factory, &warm_up.start(&stream.arms, stream.line, seed))?;
    Ok(Ready {
        stream,
        warm_up: warm_up.contexts.len(),
        order,
        learners,
    })
}

fn full(
    input: &ReplayInput<'_>,
    factory: &LearnerFactory<'_>,
    options: &LearningOptions,
) -> Result<LearningReport, LearningError> {
    let names = |ids: &[ArmId]| ids.iter().map(ToString::to_string).collect();
    let arms = &options.policy.arms;
    let choice = ArmChoice {
        include: arms.include.as_deref().map(names).unwrap_or_default(),
        exclude: names(&arms.exclude),
        coverage_min: arms.coverage_min,
    };
    let table = OutcomeTable::new(input.log, input.evidence, &choice)?;
    let replayed = table.rows() - warm_rows(table.rows(), options.warm_up);
    if replayed < REPLAYED_MIN {
        return Err(LearningError::TooFew {
            what: "requests to replay:",
            got: replayed,
            least: REPLAYED_MIN,
        });
    }
    let first = ready(input, &table, factory, options, options.seed)?;
    let one = |ready: &Ready, seed: Seed| -> Result<Vec<Summary>, LearningError> {
        let walk = |learner: &dyn LearningPolicy| {
            let run = run(&ready.stream, options, seed, learner.fork())?;
            Ok(summarise(&ready.stream, options, &run))
        };
        ready
            .learners
            .iter()
            .map(|learner| walk(learner.as_ref()))
            .collect()
    };
    let runs: Vec<Vec<Summary>> = (0..options.seeds)
        .into_par_iter()
        .map(|index| {
            let seed = options.seed_of(index);
            if options.order == Order::Shuffled && index > 0 {
                one(&ready(input, &table, factory, options, seed)?, seed)
            } else {
                one(&first, seed)
            }
        })
        .collect::<Result<_, LearningError>>()?;
    let stream = &first.stream;
    let reports = first.learners.iter().enumerate().map(|(index, policy)| {
        let runs: Vec<&Summary> = runs.iter().map(|r| &r[index]).collect();
        learner(policy.name(), stream, options, &runs)
    });
    Ok(LearningReport {
        arms: stream.arm_rows(),
        phases: stream.phase_rows(),
        learners: reports.collect(),
        notes: full_notes(options, stream),
        window: options.window_of(stream.len()) as u64,
        ..frame(
            input,
            options,
            first.order,
            (stream.line, stream.line_reason.clone()),
            LearningCounts {
                warm_up: first.warm_up as u64,
                replayed: stream.len() as u64,
                set_aside: table.set_aside.len() as u64,
            },
        )
    })
}

fn full_notes(options: &LearningOptions, stream: &Stream) -> Vec<String> {
    let mut notes = vec![
        "bands are over seeds: exploration, labels and drift; they say nothing about other requests"
            .to_owned(),
    ];
    if options.order == Order::Shuffled {
        notes.push("each seed shuffles the requests; phases are of the first seed's order".into());
    }
    if stream.spans.iter().any(|s| !s.feasible) {
        notes.push(
            "in a phase where no arm meets the line, regret is against the one of highest quality"
                .into(),
        );
    }
    if options.policy.exploration.kind == plimsoll::ExplorationChoice::None {
        notes.push(
            "the policy does not explore: of arms that its rule does not choose it learns nothing"
                .into(),
        );
    }
    notes
}

/// A report without its findings.
fn frame(
    input: &ReplayInput<'_>,
    options: &LearningOptions,
    order: &str,
    (line, line_reason): (f64, String),
    requests: LearningCounts,
) -> LearningReport {
    let censored = options
        .censor_after
        .map_or_else(String::new, |w| format!(", given up after {w}"));
    LearningReport {
        schema: LEARNING_SCHEMA_VERSION,
        kind: "learning".to_owned(),
        evidence: input.evidence,
        requests,
        line,
        line_reason,
        seeds: options.seeds as u64,
        window: 0,
        arms: Vec::new(),
        phases: Vec::new(),
        learners: Vec::new(),
        logged: Vec::new(),
        notes: Vec::new(),
        manifest: LearningManifest {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            log_digest: input.log.digest.clone(),
            catalogue_digest: input.catalogue_digest.clone(),
            policy_digest: blake3::hash(options.policy_toml.as_bytes())
                .to_hex()
                .to_string(),
            policy_toml: options.policy_toml.clone(),
            seed: options.seed.0,
            order: order.to_owned(),
            feedback: format!(
                "labels after {}{censored}; {} % of the answers get one",
                options.delay,
                options.label_share * 100.0
            ),
            command: options.command.clone(),
        },
    }
}

/// A logged log in order: events, and the rows to start from.
struct LoggedStream {
    warm_up: WarmUp,
    events: Vec<LoggedEvent>,
    order: &'static str,
    line: (f64, String),
}

fn logged(
    input: &ReplayInput<'_>,
    factory: &LearnerFactory<'_>,
    options: &LearningOptions,
) -> Result<LearningReport, LearningError> {
    if let Some(injection) = options.injections.first() {
        let option = injection.option();
        return Err(LearningError::NeedsFullInformation { option });
    }
    let log = input.log;
    let usable: Vec<&Request> = log
        .requests
        .iter()
        .filter(|r| served(r).is_some())
        .collect();
    let missing = log.requests.len() - usable.len();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count"
    )]
    let most = (float(log.requests.len()) * LOGGED_MISSING_MAX).floor() as usize;
    if missing > most {
        return Err(LearningError::MissingOutcomes {
            missing,
            requests: log.requests.len(),
            most,
        });
    }
    check_clock(&usable, options)?;
    let present = in_service(log, options)?;
    let first = LoggedStream::new(log, &usable, &present, options, options.seed)?;
    if first.events.len() < ACCEPTED_MIN {
        return Err(LearningError::TooFew {
            what: "requests to replay:",
            got: first.events.len(),
            least: ACCEPTED_MIN,
        });
    }
    let runs: Vec<Vec<(String, LoggedRun, LoggedRun)>> = (0..options.seeds)
        .into_par_iter()
        .map(|index| {
            let seed = options.seed_of(index);
            if options.order == Order::Shuffled && index > 0 {
                let own = LoggedStream::new(log, &usable, &present, options, seed)?;
                own.runs(log, factory, options, seed)
            } else {
                first.runs(log, factory, options, seed)
            }
        })
        .collect::<Result<_, LearningError>>()?;
    let reports: Vec<LoggedLearner> = (0..runs[0].len())
        .map(|index| LoggedLearner {
            name: runs[0][index].0.clone(),
            dr_ns: estimate(runs.iter().map(|r| &r[index].1)),
            rejection: estimate(runs.iter().map(|r| &r[index].2)),
        })
        .collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a median of counts"
    )]
    let accepted = reports[0].dr_ns.accepted.median as usize;
    let least = options
        .horizon
        .map_or(ACCEPTED_MIN, |h| h.min(ACCEPTED_MIN));
    if accepted < least {
        return Err(LearningError::TooFew {
            what: "logged events accepted into the learner's history:",
            got: accepted,
            least,
        });
    }
    Ok(LearningReport {
        arms: first.arm_rows(log),
        logged: reports,
        notes: vec![
            "a logged replay stands for the learner's first accepted requests, not for the whole \
             log: it had less to learn from than it would have had live"
                .to_owned(),
            "intervals are normal at 95 %: the error of one run and the variance between runs, \
             which share the log and differ in what is accepted"
                .to_owned(),
        ],
        ..frame(
            input,
            options,
            first.order,
            first.line.clone(),
            LearningCounts {
                warm_up: first.warm_up.contexts.len() as u64,
                replayed: first.events.len() as u64,
                set_aside: missing as u64,
            },
        )
    })
}

/// The served outcome, if nothing about it is missing.
fn served(request: &Request) -> Option<&plimsoll_datasets::Outcome> {
    request
        .served_outcome()
        .filter(|o| o.quality.is_some() && o.cost.is_some() && o.propensity.is_some())
}

/// Which arms the policy may choose.
fn in_service(log: &OutcomeLog, options: &LearningOptions) -> Result<Vec<bool>, LearningError> {
    let arms = &options.policy.arms;
    let named = arms.include.iter().flatten().chain(&arms.exclude);
    if let Some(unknown) = named.into_iter().find(|name| !log.arms.contains(name)) {
        return Err(EvidenceError::UnknownArm {
            got: unknown.to_string(),
            known: log.arms.iter().map(ToString::to_string).collect(),
        }
        .into());
    }
    let present: Vec<bool> = log
        .arms
        .iter()
        .map(|arm| {
            arms.include.as_ref().is_none_or(|list| list.contains(arm))
                && !arms.exclude.contains(arm)
        })
        .collect();
    let taking_part = present.iter().filter(|p| **p).count();
    if taking_part < 2 {
        return Err(EvidenceError::TooFewArms {
            taking_part,
            arms: log.arms.len(),
        }
        .into());
    }
    Ok(present)
}

impl LoggedStream {
    fn new(
        log: &OutcomeLog,
        usable: &[&Request],
        present: &[bool],
        options: &LearningOptions,
        seed: Seed,
    ) -> Result<Self, LearningError> {
        let (positions, order) = ordered(usable, options.order, seed);
        let requests: Vec<&Request> = positions.iter().map(|&i| usable[i]).collect();
        let warm = warm_rows(requests.len(), options.warm_up);
        let (map, contexts) = features(&requests, warm)?;
        let all: Vec<LoggedEvent> = requests
            .iter()
            .zip(contexts)
            .filter_map(|(request, context)| event(log, request, context))
            .collect();
        let (before, events) = all.split_at(warm);
        let shape = (warm, log.arms.len());
        let mut quality = Array2::from_elem(shape, None);
        let mut cost = Array2::from_elem(shape, None);
        for (row, event) in before.iter().enumerate() {
            quality[[row, event.arm]] = Some(event.quality.get());
            cost[[row, event.arm]] = Some(event.cost);
        }
        let basis = if warm > 0 { before } else { events };
        let line = line(log, basis, present, options, warm > 0)?;
        let warm_up = WarmUp {
            features: map,
            contexts: before.iter().map(|e| e.context.clone()).collect(),
            quality,
            cost,
            list_cost: list_cost(log.arms.len(), basis),
            present: present.to_vec(),
        };
        Ok(Self {
            warm_up,
            events: events.to_vec(),
            order,
            line,
        })
    }

    /// Every learner by DR-ns and by weighted rejection.
    fn runs(
        &self,
        log: &OutcomeLog,
        factory: &LearnerFactory<'_>,
        options: &LearningOptions,
        seed: Seed,
    ) -> Result<Vec<(String, LoggedRun, LoggedRun)>, LearningError> {
        let start = self.warm_up.start(&log.arms, self.line.0, seed);
        let settings = DrNs {
            quantile: options.multiplier_quantile,
            multiplier_max: options.multiplier_max,
        };
        learners(factory, &start)?
            .into_iter()
            .map(|learner| {
                let name = learner.name();
                let go = |acceptance, learner| {
                    simulate_history(&self.events, &log.arms, learner, acceptance, options, seed)
                };
                let rejection = go(Acceptance::Weighted, learner.fork())?;
                Ok((name, go(Acceptance::DrNs(settings), learner)?, rejection))
            })
            .collect()
    }

    fn arm_rows(&self, log: &OutcomeLog) -> Vec<LearningArm> {
        let row = |(arm, id): (usize, &ArmId)| {
            let own = || self.events.iter().filter(move |e| e.arm == arm);
            let count = float(own().count().max(1));
            LearningArm {
                model: id.to_string(),
                quality: own().map(|e| e.quality.get()).sum::<f64>() / count,
                cost_usd: own().map(|e| e.cost.as_f64()).sum::<f64>() / count,
            }
        };
        log.arms.iter().enumerate().map(row).collect()
    }
}

fn event(
    log: &OutcomeLog,
    request: &Request,
    mut context: plimsoll::Context,
) -> Option<LoggedEvent> {
    let outcome = served(request)?;
    let name = |arm: &u32| log.arms[*arm as usize].clone();
    context.eligible = request
        .candidates
        .as_ref()
        .map(|c| c.iter().map(name).collect());
    Some(LoggedEvent {
        request: request.id.clone(),
        time_us: request.timestamp_us,
        context,
        arm: outcome.arm as usize,
        propensity: outcome.propensity?,
        quality: outcome.quality?,
        cost: outcome.cost?,
    })
}

/// Mean recorded cost per arm; of arms without any, that of all.
fn list_cost(arms: usize, events: &[LoggedEvent]) -> Vec<f64> {
    let mean = |of: &dyn Fn(&&LoggedEvent) -> bool| {
        let own: Vec<f64> = events.iter().filter(of).map(|e| e.cost.as_f64()).collect();
        (!own.is_empty()).then(|| own.iter().sum::<f64>() / float(own.len()))
    };
    let all = mean(&|_| true).unwrap_or(0.0);
    (0..arms)
        .map(|arm| mean(&|e| e.arm == arm).unwrap_or(all))
        .collect()
}

/// The line; a relative one by self-normalised weighting of the logged answers.
fn line(
    log: &OutcomeLog,
    events: &[LoggedEvent],
    present: &[bool],
    options: &LearningOptions,
    warm: bool,
) -> Result<(f64, String), LearningError> {
    let objective = &options.policy.objective;
    if let Some(quality) = objective.quality {
        return Ok((quality, "the policy's own".to_owned()));
    }
    let value = |arm: usize| {
        let own = events.iter().filter(|e| e.arm == arm);
        let (sum, total) = own.fold((0.0, 0.0), |(sum, total), e| {
            let weight = 1.0 / e.propensity.get();
            (sum + weight * e.quality.get(), total + weight)
        });
        if total > 0.0 { sum / total } else { 0.0 }
    };
    let arm = match objective.relative_to.as_deref() {
        None | Some(plimsoll::BEST_SINGLE) => (0..log.arms.len())
            .filter(|&arm| present[arm])
            .reduce(|a, b| if value(b) > value(a) { b } else { a })
            .ok_or(LearningError::NoArm { position: 0 })?,
        Some(name) => log
            .arms
            .iter()
            .position(|a| a.as_str() == name)
            .ok_or_else(|| EvidenceError::UnknownArm {
                got: name.to_owned(),
                known: log.arms.iter().map(ToString::to_string).collect(),
            })?,
    };
    let retain = objective.retain.unwrap_or(1.0);
    let rows = if warm { "warm-up" } else { "replayed" };
    let reason = format!(
        "{retain} of the weighted quality of {} on the {rows} requests",
        log.arms[arm]
    );
    Ok((value(arm) * retain, reason))
}

fn estimate<'a>(runs: impl Iterator<Item = &'a LoggedRun>) -> LoggedEstimate {
    let runs: Vec<LoggedRun> = runs.copied().collect();
    let cut: f64 = runs
        .iter()
        .map(|r| float(r.cut) / float(r.events.max(1)))
        .sum();
    let over = |of: &dyn Fn(&LoggedRun) -> f64| band(runs.iter().map(of));
    LoggedEstimate {
        quality: over_seeds(&runs, |r| r.quality, |r| r.quality_error),
        cost_usd: over_seeds(&runs, |r| r.cost_usd, |r| r.cost_error),
        accepted: over(&|r| float(r.accepted)),
        events: over(&|r| float(r.events)),
        effective: over(&|r| r.effective),
        cut_share: cut / float(runs.len().max(1)),
        multiplier: over(&|r| r.multiplier),
    }
}

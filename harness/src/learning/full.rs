//! One learner on one stream under one seed, revealing only what it chose.

use ndarray::Array2;
use plimsoll::{Propensity, Quality, Seed, Usd};

use super::detect::PageHinkley;
use super::error::LearningError;
use super::feedback::{Fate, Pending, fate, now};
use super::options::{Change, LearningOptions};
use super::policy::{ArmChange, LearningPolicy, Observation};
use super::world::Stream;

/// What one run did.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// Chosen arm per request.
    pub(super) chosen: Vec<usize>,
    /// Labels that the learner saw.
    pub(super) seen: usize,
    pub(super) unlabelled: usize,
    pub(super) censored: usize,
    pub(super) pending: usize,
    /// Per event of the stream: the drift detector's verdict.
    pub(super) alarms: Vec<Alarm>,
    /// Every arm's quality in this seed, shape (n, K).
    pub(super) quality: Array2<f64>,
}

/// When a drift was detected.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Alarm {
    /// Requests after the drift.
    pub(super) after: Option<usize>,
    /// Whether there was an alarm before it.
    pub(super) early: bool,
}

/// What is kept of a decision until its label is due.
struct Made {
    arm: usize,
    propensity: Propensity,
    /// Quality that the learner expected.
    expected: f64,
}

struct Walk<'a> {
    stream: &'a Stream,
    options: &'a LearningOptions,
    seed: Seed,
    learner: Box<dyn LearningPolicy>,
    made: Vec<Made>,
    pending: Pending,
    tests: Vec<PageHinkley>,
    run: Run,
}

/// Replays one learner.
pub(super) fn run(
    stream: &Stream,
    options: &LearningOptions,
    seed: Seed,
    learner: Box<dyn LearningPolicy>,
) -> Result<Run, LearningError> {
    let n = stream.len();
    let mut walk = Walk {
        stream,
        options,
        seed,
        learner,
        made: Vec::with_capacity(n),
        pending: Pending::default(),
        tests: vec![PageHinkley::default(); stream.events.len()],
        run: Run {
            chosen: Vec::with_capacity(n),
            seen: 0,
            unlabelled: 0,
            censored: 0,
            pending: 0,
            alarms: vec![Alarm::default(); stream.events.len()],
            quality: stream.qualities(seed),
        },
    };
    for (index, span) in stream.spans.iter().enumerate() {
        for position in span.from..span.to {
            if position == span.from {
                walk.announce(position)?;
            }
            walk.labels(position)?;
            walk.step(position, index)?;
        }
    }
    walk.run.pending = walk.pending.len();
    Ok(walk.run)
}

impl Walk<'_> {
    /// Tells the learner what happens to arms here.
    fn announce(&mut self, position: usize) -> Result<(), LearningError> {
        for event in self.stream.events.iter().filter(|e| e.at == position) {
            let change = match event.change {
                Change::Appears => ArmChange::Appears,
                Change::Vanishes => ArmChange::Vanishes,
                Change::Price(factor) if self.options.prices_announced => {
                    ArmChange::Repriced(factor)
                }
                Change::Price(_) | Change::Drift(_) => continue,
            };
            self.learner.arm_changed(event.arm, change)?;
        }
        Ok(())
    }

    /// Hands over every label that is due before this decision.
    fn labels(&mut self, position: usize) -> Result<(), LearningError> {
        let clock = now(self.options.delay, position, self.stream.time_us[position]);
        while let Some(of) = self.pending.pop(clock) {
            let made = &self.made[of];
            let value = self.run.quality[[of, made.arm]];
            let quality = Quality::new(value)
                .map_err(|e| LearningError::engine("P0325", &e, "qualities lie in [0, 1]"))?;
            let seen = Observation {
                arm: made.arm,
                propensity: made.propensity,
                quality: Some(quality),
                cost: None,
                output_tokens: None,
            };
            self.learner.feedback(&self.stream.contexts[of], &seen)?;
            self.run.seen += 1;
            watch(
                self.stream,
                &mut self.tests,
                &mut self.run.alarms,
                made.arm,
                value - made.expected,
                position,
            );
        }
        Ok(())
    }

    /// One decision, and what is known of it at once.
    fn step(&mut self, position: usize, span: usize) -> Result<(), LearningError> {
        let (stream, options) = (self.stream, self.options);
        let context = &stream.contexts[position];
        let distribution = self.learner.distribution(context)?;
        let probabilities = distribution.probabilities();
        let present = &stream.spans[span].present;
        let wrong = |what| LearningError::Probabilities {
            policy: self.learner.name(),
            position,
            what,
        };
        if probabilities.len() != present.len() {
            return Err(wrong("not one probability per arm"));
        }
        if probabilities
            .iter()
            .zip(present)
            .any(|(p, present)| *p > 0.0 && !present)
        {
            return Err(wrong("an arm out of service has a chance"));
        }
        let arm = distribution.draw(&stream.ids[position], self.seed);
        let propensity = Propensity::new(probabilities[arm].min(1.0))
            .map_err(|_| wrong("the drawn arm has no chance"))?;
        self.made.push(Made {
            arm,
            propensity,
            expected: self.learner.expected_quality(context, arm).unwrap_or(0.0),
        });
        self.run.chosen.push(arm);
        let cost = Observation {
            arm,
            propensity,
            quality: None,
            cost: Some(stream.cost[[position, arm]]),
            output_tokens: stream.tokens[[position, arm]],
        };
        self.learner.feedback(context, &cost)?;
        let clock = now(options.delay, position, stream.time_us[position]);
        match fate(options, self.seed, &stream.ids[position], clock) {
            Fate::Due(due) => self.pending.push(due, position),
            Fate::Unlabelled => self.run.unlabelled += 1,
            Fate::Censored => self.run.censored += 1,
        }
        Ok(())
    }
}

/// Feeds a residual to the tests of drifts of its arm.
fn watch(
    stream: &Stream,
    tests: &mut [PageHinkley],
    alarms: &mut [Alarm],
    arm: usize,
    residual: f64,
    position: usize,
) {
    for (index, event) in stream.events.iter().enumerate() {
        let Change::Drift(x) = event.change else {
            continue;
        };
        if event.arm != arm || alarms[index].after.is_some() {
            continue;
        }
        if tests[index].push(if x < 0.0 { residual } else { -residual }) {
            if position >= event.at {
                alarms[index].after = Some(position - event.at);
            } else {
                alarms[index].early = true;
                tests[index] = PageHinkley::default();
            }
        }
    }
}

/// Regret per request against the benchmark of each phase: quality, and cost exactly.
pub(super) fn regrets(stream: &Stream, run: &Run) -> (Vec<f64>, Vec<Usd>) {
    let of = |position: usize, benchmark: usize| {
        let arm = run.chosen[position];
        (
            run.quality[[position, benchmark]] - run.quality[[position, arm]],
            stream.cost[[position, arm]] - stream.cost[[position, benchmark]],
        )
    };
    stream
        .spans
        .iter()
        .flat_map(|span| (span.from..span.to).map(move |t| of(t, span.benchmark)))
        .unzip()
}

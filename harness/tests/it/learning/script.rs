//! A learner that plays a list of arms and writes down what it is told.

use std::sync::{Arc, Mutex};

use plimsoll::{Context, Distribution, Propensity, Usd};
use plimsoll_datasets::{EvidenceKind, OutcomeLog};
use plimsoll_harness::learning::{
    ArmChange, LearnerStart, LearningError, LearningOptions, LearningPolicy, LearningReport,
    Observation, replay,
};

use crate::logs::input;

/// What a scripted learner was asked and told.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Told {
    Asked,
    Cost(usize, Usd),
    Label(usize, f64, String),
    Changed(usize, ArmChange),
}

/// Plays a list of arms and writes everything down.
#[derive(Clone)]
pub(super) struct Script {
    arms: usize,
    plays: Vec<usize>,
    told: Arc<Mutex<Vec<Told>>>,
}

impl LearningPolicy for Script {
    fn name(&self) -> String {
        "script".to_owned()
    }

    fn distribution(&self, _: &Context) -> Result<Distribution, LearningError> {
        let mut told = self.told.lock().expect("one thread");
        let asked = told.iter().filter(|t| **t == Told::Asked).count();
        told.push(Told::Asked);
        Ok(Distribution::certain(self.plays[asked % self.plays.len()], self.arms).expect("an arm"))
    }

    fn feedback(&mut self, context: &Context, seen: &Observation) -> Result<(), LearningError> {
        assert_eq!(seen.propensity, Propensity::ONE);
        let mut told = self.told.lock().expect("one thread");
        if let Some(cost) = seen.cost {
            told.push(Told::Cost(seen.arm, cost));
        }
        if let Some(quality) = seen.quality {
            let task = context.task.clone().unwrap_or_default();
            told.push(Told::Label(seen.arm, quality.get(), task));
        }
        Ok(())
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        self.told
            .lock()
            .expect("one thread")
            .push(Told::Changed(arm, change));
        Ok(())
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(self.clone())
    }
}

/// Replays a script once and gives what it was told, with the report.
pub(super) fn scripted(
    log: &OutcomeLog,
    plays: &[usize],
    options: &LearningOptions,
) -> Result<(Vec<Told>, LearningReport), LearningError> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let script = Script {
        arms: log.arms.len(),
        plays: plays.to_vec(),
        told: Arc::clone(&told),
    };
    let factory = |_: &LearnerStart<'_>| Ok(script.fork());
    let options = LearningOptions {
        seeds: 1,
        warm_up: 0.0,
        ..options.clone()
    };
    let report = replay(
        &input(log, EvidenceKind::FullInformation),
        &factory,
        &options,
    )?;
    let told = told.lock().expect("done").clone();
    Ok((told, report))
}

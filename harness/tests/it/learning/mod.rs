//! Learning replays on small logs whose truth is known.

mod feedback;
mod logged;
mod runs;
mod script;
mod shocks;

use plimsoll::{ArmId, ExplorationChoice, ExplorationConfig, ObjectiveConfig, PolicyConfig, Seed};
use plimsoll_datasets::{EvidenceKind, OutcomeLog, Request};
use plimsoll_harness::learning::{
    Injection, LearningError, LearningOptions, LearningReport, engine_learner, replay,
};

use crate::logs::{coin, input, outcome};

/// Of all draws of these logs.
const SEED: u64 = 0x4d;

/// Rows of (quality, cost) per arm; arms are named a, b, c …
fn table(rows: &[Vec<(f64, &str)>]) -> OutcomeLog {
    let arms = (0..rows[0].len())
        .map(|a| ArmId::new(["a", "b", "c", "d"][a]).expect("a name"))
        .collect();
    let requests = rows.iter().enumerate().map(|(i, row)| Request {
        id: format!("r{i}"),
        outcomes: row
            .iter()
            .enumerate()
            .map(|(arm, (quality, cost))| outcome(arm, *quality, cost))
            .collect(),
        ..Request::default()
    });
    OutcomeLog {
        arms,
        requests: requests.collect(),
        digest: "0".repeat(64),
    }
}

/// `a` is cheap and right at chance `cheap`, `b` dear and right at chance 0.95.
fn two_arms(n: usize, cheap: f64) -> OutcomeLog {
    let row = |i| {
        vec![
            (coin(SEED, i, 1, cheap), "0.001"),
            (coin(SEED, i, 2, 0.95), "0.010"),
        ]
    };
    table(&(0..n).map(row).collect::<Vec<_>>())
}

fn policy(line: f64) -> PolicyConfig {
    let mut policy = PolicyConfig::new(ObjectiveConfig {
        quality: Some(line),
        relative_to: None,
        retain: None,
        ..ObjectiveConfig::retain(0.9)
    });
    policy.exploration = ExplorationConfig {
        kind: ExplorationChoice::Epsilon,
        epsilon: 0.1,
        share_max: 0.1,
        ..ExplorationConfig::default()
    };
    policy
}

fn options(line: f64) -> LearningOptions {
    LearningOptions {
        seeds: 4,
        ..LearningOptions::new(policy(line), Seed(11))
    }
}

fn run(log: &OutcomeLog, options: &LearningOptions) -> Result<LearningReport, LearningError> {
    let full = input(log, EvidenceKind::FullInformation);
    replay(&full, &engine_learner(&options.policy), options)
}

fn injected(option: &'static str, text: &str) -> Vec<Injection> {
    vec![Injection::parse(option, text).expect("an injection")]
}

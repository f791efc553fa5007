//! Logs with known truth.

use plimsoll::{ArmId, Propensity, Quality, Usd};
use plimsoll_datasets::{Outcome, OutcomeLog, Request};

/// The line of the kinds with a fixed one.
pub(crate) const LINE: f64 = 0.9;
/// How far below it policies are.
const BELOW: f64 = 0.005;
/// The reference, and arms that are cheaper.
const ARMS: [(&str, &str); 3] = [("large", "0.010"), ("medium", "0.004"), ("small", "0.001")];
/// Propensities of the logging policy's preferred arm, which goes by task, and of the others.
const LOGGED: [f64; 3] = [0.5, 0.25, 0.25];

/// A log of every arm's answers.
pub(crate) fn log(kind: &str, requests: usize, seed: u64, name: &str) -> OutcomeLog {
    OutcomeLog {
        arms: ARMS
            .map(|(arm, _)| ArmId::new(arm).expect("a name"))
            .to_vec(),
        requests: (0..requests)
            .map(|i| request(kind, i, seed, name))
            .collect(),
        digest: format!("{kind}-{requests}-{seed}"),
    }
}

/// The same requests, of which only one arm's answer is known, with its propensity: every task has
/// an arm that is preferred, and every arm gets at least a quarter.
pub(crate) fn logged(kind: &str, requests: usize, seed: u64, name: &str) -> OutcomeLog {
    let mut log = log(kind, requests, seed, name);
    for (i, request) in log.requests.iter_mut().enumerate() {
        let draw = uniform(seed, i, 20);
        let rank = usize::from(draw >= LOGGED[0]) + usize::from(draw >= LOGGED[0] + LOGGED[1]);
        let mut served = request.outcomes.swap_remove((i % 4 + rank) % ARMS.len());
        served.propensity = Some(Propensity::new(LOGGED[rank]).expect("a probability"));
        served.served = Some(true);
        request.outcomes = vec![served];
    }
    log.digest = format!("logged {}", log.digest);
    log
}

fn request(kind: &str, i: usize, seed: u64, name: &str) -> Request {
    let task = i % 4;
    let chance = |arm: usize| match kind {
        "below" if arm > 0 => LINE - BELOW,
        "aa" | "below" => LINE,
        "easy" => 0.98,
        // Arms that differ by task, before their labels are permuted.
        _ => [0.95, 0.85, 0.75][(arm + task) % 3],
    };
    let mut good: Vec<bool> = (0..ARMS.len())
        .map(|arm| uniform(seed, i, arm as u64) < chance(arm))
        .collect();
    if kind == "permuted" {
        for last in (1..good.len()).rev() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                clippy::cast_precision_loss,
                reason = "three arms"
            )]
            let other = (uniform(seed, i, 10 + last as u64) * (last + 1) as f64) as usize;
            good.swap(last, other);
        }
    }
    let outcomes = good
        .iter()
        .zip(ARMS)
        .zip(0..)
        .map(|((good, (_, cost)), arm)| Outcome {
            quality: Some(Quality::new(f64::from(u8::from(*good))).expect("0 or 1")),
            cost: Some(cost.parse::<Usd>().expect("money")),
            ..Outcome::new(arm)
        });
    Request {
        id: format!("{name}{i}"),
        task: Some(format!("task {task}")),
        outcomes: outcomes.collect(),
        ..Request::default()
    }
}

/// A number in [0, 1) that depends on its arguments only.
fn uniform(seed: u64, i: usize, what: u64) -> f64 {
    let mut x = seed.wrapping_mul(0xD6E8_FEB8_6659_FD93)
        ^ (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (what << 48);
    for _ in 0..3 {
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x ^= x >> 27;
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
    let unit = (x >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

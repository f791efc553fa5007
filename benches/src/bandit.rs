//! Full-information tables turned into bandit logs by a known policy, so that every off-policy
//! estimate can be held against the exact value.
//!
//! A [`Population`] is a table with a fitted target policy. A draw takes rows of it with
//! replacement, lets a [`Logging`] policy choose one arm on each, and forgets the others: an
//! independent sample of contexts and one answer each, whose exact values are the table's means.
//! [`Experiment::run`] fits outcome predictors on each draw alone, asks every estimator, and gives
//! [`Score`]s: bias, spread, root mean squared error and coverage.

mod draw;
mod estimates;
mod experiment;
mod logging;
mod outcome;
mod population;

pub use draw::Draw;
pub use estimates::{Figure, Method};
pub use experiment::{Experiment, Score, Scores};
pub use logging::Logging;
pub use outcome::Outcome;
pub use population::{Exact, Population, VALUES, different};

/// A number in [0, 1) that depends on the key alone.
pub(crate) fn unit(seed: u64, purpose: &str, key: [u64; 2]) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"plimsoll bandit v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(purpose.as_bytes());
    for part in key {
        hasher.update(&part.to_le_bytes());
    }
    let mut bits = [0; 8];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let unit = (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

//! What generated logs are made of.

use plimsoll::Quality;
use plimsoll_datasets::{EvidenceKind, Outcome, OutcomeLog};
use plimsoll_harness::{ReplayInput, RowCounts};

/// A number in [0, 1) that depends on its arguments only.
pub(crate) fn uniform(seed: u64, i: usize, what: u64) -> f64 {
    let mut x = seed ^ (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (what << 48);
    for _ in 0..3 {
        x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        x ^= x >> 27;
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
    let unit = (x >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

/// 1 with this chance, else 0; depends on its arguments only.
pub(crate) fn coin(seed: u64, i: usize, what: u64, chance: f64) -> f64 {
    f64::from(u8::from(uniform(seed, i, what) < chance))
}

/// What an arm answered: its quality and its price in USD.
pub(crate) fn outcome(arm: usize, quality: f64, cost: &str) -> Outcome {
    Outcome {
        quality: Some(Quality::new(quality).expect("in range")),
        cost: Some(cost.parse().expect("money")),
        ..Outcome::new(u32::try_from(arm).expect("few arms"))
    }
}

/// A log that was read without a fault, taken as this kind of evidence.
pub(crate) fn input(log: &OutcomeLog, evidence: EvidenceKind) -> ReplayInput<'_> {
    ReplayInput {
        log,
        evidence,
        rows: RowCounts::default(),
        catalogue_digest: None,
    }
}

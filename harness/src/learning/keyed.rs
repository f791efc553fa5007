//! Randomness as a function of what it is drawn for.

use plimsoll::Seed;

/// A number in [0, 1) that depends on purpose, seed and request only.
pub(super) fn unit(purpose: &str, seed: Seed, request: &str) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"plimsoll learning v1");
    hasher.update(&(purpose.len() as u64).to_le_bytes());
    hasher.update(purpose.as_bytes());
    hasher.update(&seed.0.to_le_bytes());
    hasher.update(request.as_bytes());
    let mut bits = [0; 8];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
    let unit = (u64::from_le_bytes(bits) >> 11) as f64 / (1_u64 << 53) as f64;
    unit
}

/// A count as a float.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(super) fn float(count: usize) -> f64 {
    count as f64
}

//! Randomness as a function of a seed and a request, never of a position in a stream.

use crate::units::Seed;

/// A number in [0, 1) that depends on `key` and `seed` only.
pub(crate) fn unit_interval_of(key: &str, seed: Seed) -> f64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"plimsoll decision v1");
    hasher.update(&seed.0.to_le_bytes());
    hasher.update(key.as_bytes());
    let mut bits = [0; 8];
    bits.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    unit_interval(u64::from_le_bytes(bits))
}

/// 53 random bits as a number in [0, 1).
pub(crate) fn unit_interval(bits: u64) -> f64 {
    crate::math::count(bits >> 11) / crate::math::count(1 << 53)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_evenly() {
        let n = 20_000_u32;
        let mut sum = 0.0;
        for i in 0..n {
            let u = unit_interval_of(&i.to_string(), Seed(3));
            assert!((0.0..1.0).contains(&u));
            sum += u;
        }
        // Standard error of the mean is 0.002.
        assert!((sum / f64::from(n) - 0.5).abs() < 0.01);
    }

    #[test]
    fn seed_and_key_both_matter() {
        let all = [("a", 1), ("a", 2), ("b", 1), ("", 1)];
        let mut drawn = all
            .map(|(k, s)| unit_interval_of(k, Seed(s)).to_bits())
            .to_vec();
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), all.len());
    }
}

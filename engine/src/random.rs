//! Randomness as a function of a seed and a request, never of a position in a stream.

use crate::units::Seed;

const DOMAIN: &[u8] = b"plimsoll decision v1";
/// Longest input that is hashed from the stack.
const SHORT: usize = 128;

/// A number in [0, 1) that depends on `key` and `seed` only.
pub(crate) fn unit_interval_of(key: &str, seed: Seed) -> f64 {
    let hash = keyed(key, seed);
    let mut bits = [0; 8];
    bits.copy_from_slice(&hash.as_bytes()[..8]);
    unit_interval(u64::from_le_bytes(bits))
}

/// The hash of domain, seed and key. Short keys are hashed in one go: a hasher is 2 kB to set up.
fn keyed(key: &str, seed: Seed) -> blake3::Hash {
    let (domain, seed, key) = (DOMAIN, seed.0.to_le_bytes(), key.as_bytes());
    let mut short = [0; SHORT];
    let head = domain.len() + seed.len();
    let len = head + key.len();
    if len <= SHORT {
        short[..domain.len()].copy_from_slice(domain);
        short[domain.len()..head].copy_from_slice(&seed);
        short[head..len].copy_from_slice(key);
        return blake3::hash(&short[..len]);
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(domain).update(&seed).update(key);
    hasher.finalize()
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

    /// A key has one hash, whichever way it is computed.
    #[test]
    fn short_and_long_keys_are_hashed_alike() {
        for len in [0, 1, 36, 99, 100, 101, 102, 500] {
            let key = "k".repeat(len);
            let mut hasher = blake3::Hasher::new();
            hasher
                .update(b"plimsoll decision v1")
                .update(&7_u64.to_le_bytes())
                .update(key.as_bytes());
            assert_eq!(keyed(&key, Seed(7)), hasher.finalize(), "{len}");
        }
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

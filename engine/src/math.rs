//! Elementary functions that give the same bits on every machine.
//!
//! The standard library's `ln` and `exp` call whatever the platform has; these are pure Rust,
//! and nothing here fuses a multiplication with an addition.

/// Natural logarithm.
pub(crate) fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// Exponential function.
pub(crate) fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// Exponential function of several numbers up to 700, side by side; below −700 it is e⁻⁷⁰⁰.
///
/// eˣ = 2ᵏeʳ with k the whole number nearest to x/ln 2, and eʳ by its series to r¹²: within
/// 4·10⁻¹⁶ of the true value, relatively. No step depends on how many are done at once.
#[inline(always)]
pub(crate) fn exps<const N: usize>(x: [f64; N]) -> [f64; N] {
    // ln 2 in two parts: k·HIGH is exact for |k| < 2²⁰.
    const HIGH: f64 = 6.931_471_803_691_238e-1;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    // Added and taken away again, it rounds; in between, k is in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    x.map(|x| {
        let x = if x < -700.0 { -700.0 } else { x };
        let shifted = x * std::f64::consts::LOG2_E + ROUND;
        let k = shifted - ROUND;
        let r = (x - k * HIGH) - k * LOW;
        let (r2, c) = (r * r, |of: f64| 1.0 / of);
        let r4 = r2 * r2;
        let low = (1.0 + r) + (c(2.0) + c(6.0) * r) * r2;
        let middle = (c(24.0) + c(120.0) * r) + (c(720.0) + c(5_040.0) * r) * r2;
        let high = (c(40_320.0) + c(362_880.0) * r) + (c(3_628_800.0) + c(39_916_800.0) * r) * r2;
        let power = (low + middle * r4) + (high + c(479_001_600.0) * r4) * (r4 * r4);
        f64::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 52))
    })
}

/// Logistic function 1/(1+e⁻ˣ).
pub(crate) fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + exp(-x))
    } else {
        let e = exp(x);
        e / (1.0 + e)
    }
}

/// Logit of `p`, clipped so that 0 and 1 stay finite.
pub(crate) fn logit(p: f64) -> f64 {
    let p = p.clamp(1e-6, 1.0 - 1e-6);
    ln(p / (1.0 - p))
}

/// Distribution function of the standard normal.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Nearest float to a count; exact below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn count(n: u64) -> f64 {
    n as f64
}

/// Nearest float to a length; exact below 2⁵³.
#[expect(clippy::cast_precision_loss, reason = "lengths stay far below 2^53")]
pub(crate) fn len(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values from NIST's Digital Library of Mathematical Functions and tables of the normal.
    #[test]
    fn functions_match_tables() {
        fn check(got: f64, expect: f64) {
            assert!((got - expect).abs() < 1e-12, "{got} {expect}");
        }
        check(ln(10.0), std::f64::consts::LN_10);
        check(exp(1.0), std::f64::consts::E);
        check(exps([1.0])[0], std::f64::consts::E);
        check(normal_cdf(1.959_963_984_540_054), 0.975);
        check(normal_cdf(0.0), 0.5);
        check(sigmoid(-800.0), 0.0);
        check(sigmoid(800.0), 1.0);
        check(sigmoid(logit(0.3)), 0.3);
    }

    /// 140,001 numbers against `libm`, which is within one unit in the last place.
    #[test]
    fn exponentials_side_by_side_equal_single_ones() {
        for i in 0..=140_000_u32 {
            let x = f64::from(i) * 0.01 - 700.0;
            let [first, second] = exps([x, x - 1_000.0]);
            assert!((first / exp(x) - 1.0).abs() < 7e-16, "{x} {first}");
            assert!(second > 0.0 && second < 1e-126, "{x} {second}");
        }
        assert!((exps([0.0])[0] - 1.0).abs() < 1e-300 && exps([f64::NEG_INFINITY])[0] < 1e-300);
    }
}

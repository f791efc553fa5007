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
        check(normal_cdf(1.959_963_984_540_054), 0.975);
        check(normal_cdf(0.0), 0.5);
        check(sigmoid(-800.0), 0.0);
        check(sigmoid(800.0), 1.0);
        check(sigmoid(logit(0.3)), 0.3);
    }
}

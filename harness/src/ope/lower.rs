//! One-sided lower bounds as Open Bandit Pipeline defines them, for comparison and for tuning.
//!
//! Its Bernstein and Hoeffding bounds take the largest *seen* value as the range, which is no
//! finite-sample guarantee; [`crate::bounds`] holds the bounds that are.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::Estimate;

/// Lower bound of the mean at error probability δ by Student's t: V̂ − t_{1−δ, n−1} · se.
///
/// `None` from a single unit, or for δ outside (0, 1).
#[must_use]
pub fn student_t(estimate: &Estimate, delta: f64) -> Option<f64> {
    Some(estimate.point - student_t_width(estimate, delta)?)
}

/// t_{1−δ, G−1} · se, for G units.
#[must_use]
pub fn student_t_width(estimate: &Estimate, delta: f64) -> Option<f64> {
    let standard_error = estimate.standard_error?;
    if !(delta > 0.0 && delta < 1.0) {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ units")]
    let freedom = (estimate.units - 1) as f64;
    let student = StudentsT::new(0.0, 1.0, freedom).ok()?;
    Some(student.inverse_cdf(1.0 - delta) * standard_error)
}

/// x̄ − 7 M ln(2/δ)/(3(n − 1)) − √(2 ln(2/δ) s²/n), with M the largest term and s² its unbiased
/// variance. Maurer & Pontil (2009), arXiv:0907.3740, Theorem 11.
#[must_use]
pub fn bernstein(estimate: &Estimate, largest: f64, delta: f64) -> Option<f64> {
    let standard_error = estimate.standard_error?;
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ units")]
    let units = estimate.units as f64;
    let log = (2.0 / delta).ln();
    let width = 7.0 * largest * log / (3.0 * (units - 1.0)) + (2.0 * log).sqrt() * standard_error;
    Some(estimate.point - width)
}

/// x̄ − M √(ln(1/δ)/(2n)), with M the largest term. Hoeffding (1963),
/// doi:10.1080/01621459.1963.10500830.
#[must_use]
pub fn hoeffding(estimate: &Estimate, largest: f64, delta: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2⁵³ units")]
    let units = estimate.units as f64;
    estimate.point - largest * ((1.0 / delta).ln() / (2.0 * units)).sqrt()
}

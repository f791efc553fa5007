//! What a reason for the arm that is in no column could do to an estimate.
//!
//! **Marginal sensitivity model** (Tan 2006, doi:10.1198/016214506000000023; Zhao, Small &
//! Bhattacharya 2019, arXiv:1711.11286): the odds of the true propensity p̃ differ from those of p
//! by a factor of at most Γ, so that 1/p̃ lies in \[1 + (1/p − 1)/Γ, 1 + (1/p − 1)Γ\]. For
//! coefficients c of shape (n, K), the value Σ_i Σ_a c_ia E\[r_a|x_i\]/n is estimated by
//!
//! Σ_a Σ_i c_ia q̂_ia/n + Σ_a C_a · Σ_{i: a_i = a} c_ia v_i (r_i − q̂_ia) / Σ_{i: a_i = a} c_ia v_i,
//!
//! v_i = 1/p̃_i, C_a = Σ_i c_ia/n, apart for c > 0 and c < 0: the stabilised estimator of that paper
//! (with q̂ its augmented form), stabilised for each arm. At Γ = 1 and c = π it is SNIPS (SNDR) by
//! arm. Its extremes over all v are exact: weights are at their upper end for residuals above a
//! threshold and at their lower end below. Margins and savings are optimised jointly with the
//! arm that they are relative to, by c = π − retain·1\[a = baseline\]. Bounds are for the estimate:
//! sampling error comes on top.

mod sensitivity;

#[cfg(test)]
mod tests;

pub use sensitivity::{Outcome, Sensitivity};

use ndarray::ArrayView2;

use crate::evaluation::{Confounding, GammaBounds, WorstCase};
use crate::promise::Line;

/// Strengths at which bounds are shown.
pub const GAMMAS: [f64; 7] = [1.0, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0];

/// What is compared under confounding.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The judged policy, shape (n, K).
    pub target: ArrayView2<'a, f64>,
    /// The quality line.
    pub line: Line,
    /// The arm that savings are relative to; `None`: what production chose and paid.
    pub baseline: Option<usize>,
}

/// Bounds at every Γ of [`GAMMAS`], and the least Γ that takes the margin or the savings to 0.
#[must_use]
pub fn confounding(quality: &Sensitivity, cost: &Sensitivity, ask: &Question<'_>) -> Confounding {
    let margin = |gamma| margin_bounds(quality, ask, gamma);
    let savings = |gamma| savings_bounds(cost, ask, gamma);
    let bounds = GAMMAS
        .iter()
        .map(|&gamma| GammaBounds {
            gamma,
            quality: quality.bounds(gamma, |i, a| ask.target[[i, a]]),
            margin: margin(gamma),
            savings: savings(gamma),
        })
        .collect();
    Confounding {
        bounds,
        gamma_margin: least_gamma(|gamma| margin(gamma)[0]),
        gamma_savings: least_gamma(|gamma| savings(gamma)[0]),
    }
}

fn margin_bounds(quality: &Sensitivity, ask: &Question<'_>, gamma: f64) -> [f64; 2] {
    match ask.line {
        Line::Absolute(line) => quality
            .bounds(gamma, |i, a| ask.target[[i, a]])
            .map(|q| q - line),
        Line::Relative { arm, retain } => quality.bounds(gamma, |i, a| {
            ask.target[[i, a]] - if a == arm { retain } else { 0.0 }
        }),
    }
}

/// 1 − C_π/C_b is at least s where (1 − s)·C_b − C_π cannot be negative.
fn savings_bounds(cost: &Sensitivity, ask: &Question<'_>, gamma: f64) -> [f64; 2] {
    let Some(arm) = ask.baseline else {
        let paid = cost.mean_outcome();
        let [low, high] = cost.bounds(gamma, |i, a| ask.target[[i, a]]);
        return if paid > 0.0 {
            [1.0 - high / paid, 1.0 - low / paid]
        } else {
            [0.0; 2]
        };
    };
    let excess = |s: f64| {
        cost.bounds(gamma, |i, a| {
            (if a == arm { 1.0 - s } else { 0.0 }) - ask.target[[i, a]]
        })
    };
    [zero_of(|s| excess(s)[0]), zero_of(|s| excess(s)[1])]
}

/// Where a falling function crosses 0: at most 1, at least −1,000.
fn zero_of(falling: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (-1.0, 1.0);
    while falling(low) < 0.0 && low > -1000.0 {
        high = low;
        low *= 2.0;
    }
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if falling(middle) >= 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Least Γ up to the largest of [`GAMMAS`] at which a falling bound is 0 or less; `None` when it is
/// so at Γ = 1, or nowhere.
fn least_gamma(bound: impl Fn(f64) -> f64) -> Option<f64> {
    let (mut low, mut high) = (GAMMAS[0], GAMMAS[GAMMAS.len() - 1]);
    if bound(low) <= 0.0 || bound(high) > 0.0 {
        return None;
    }
    for _ in 0..30 {
        let middle = f64::midpoint(low, high);
        if bound(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    Some(high)
}

/// E-value of a risk ratio: how strongly, as risk ratios, a hidden cause would have to be tied to
/// both the arm and the outcome to explain it away. RR + √(RR(RR − 1)), RR ≥ 1; a ratio below 1 is
/// inverted. VanderWeele & Ding (2017), doi:10.7326/M16-2607. `None` unless positive and finite.
#[must_use]
pub fn e_value(risk_ratio: f64) -> Option<f64> {
    if !(risk_ratio > 0.0 && risk_ratio.is_finite()) {
        return None;
    }
    let ratio = risk_ratio.max(1.0 / risk_ratio);
    Some(ratio + (ratio * (ratio - 1.0)).sqrt())
}

/// Bounds that assume nothing of unseen answers but that quality is in [0, 1]: Σ_i π(a_i|x_i) r_i/n
/// and that plus the unseen share 1 − Σ_i π(a_i|x_i)/n. A missing label (`None`) is unseen. Manski
/// (1990). All parts have n rows; `target` has shape (n, K).
#[must_use]
pub fn worst_case(
    chosen: &[Option<usize>],
    quality: &[Option<f64>],
    target: ArrayView2<'_, f64>,
) -> WorstCase {
    let (mut seen, mut low, mut n) = (0.0, 0.0, 0.0);
    for ((row, arm), quality) in target.rows().into_iter().zip(chosen).zip(quality) {
        n += 1.0;
        if let (Some(arm), Some(quality)) = (arm, quality) {
            seen += row[*arm];
            low += row[*arm] * quality;
        }
    }
    if n == 0.0 {
        return WorstCase {
            observed_share: 0.0,
            quality: [0.0, 1.0],
        };
    }
    WorstCase {
        observed_share: seen / n,
        quality: [low / n, ((low + n - seen) / n).min(1.0)],
    }
}

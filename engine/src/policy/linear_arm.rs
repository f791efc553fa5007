//! Ridge regression under rank-1 updates, at the speed of single precision and exact in double.
//!
//! `A = D + Σ γ^{t−s} w x xᵀ` and `b = Σ γ^{t−s} w r x` over the outcomes s ≤ t of one arm, θ = A⁻¹b.
//! Three copies of the same knowledge, each for what it is good at:
//! - W with A⁻¹ ≈ WᵀW in single precision: every update rotates it, every variance reads it;
//! - A and b in double precision, to which outcomes are added in blocks of [`BLOCK`];
//! - θ in double precision: it moves by A⁻¹x(r − xᵀθ) with each outcome, and every
//!   [`CORRECT_EVERY`] outcomes it is corrected by WᵀW(b − Aθ), which takes W's rounding out of it
//!   again.
//!
//! W is made from A anew every [`REFACTOR_EVERY`] outcomes, and whenever a correction is so large
//! that W cannot be trusted.
//!
//! D is λI. Forgetting (γ < 1) would let it decay with the rest, so with each outcome one
//! coordinate of D, in turn, is set back to λ: it never falls below λγᵈ.
//!
//! Beside them a number ω ≥ λ_max(A⁻¹) is kept, so that xᵀA⁻¹x ≤ ω|x|² is known without W: outcomes
//! cannot raise it, forgetting raises it by 1/γ, and it is worked out anew with W.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use crate::inverse_factor::{InverseFactor, UpdateScratch, single};
use crate::linalg::{Cholesky, Symmetric, axpy, dot, inner_product};
use crate::sealed::COUNT_MAX;

/// Outcomes that are added to A together.
const BLOCK: usize = 8;
const BLOCK_OUTCOMES: u32 = 8;
/// Outcomes between two corrections of θ, whole blocks.
const CORRECT_EVERY: u32 = 32;
/// Outcomes between two factorisations of A.
const REFACTOR_EVERY: u32 = 4_096;
/// Outcomes per feature before ω is worth working out between factorisations.
const MEASURE_FROM: u64 = 8;
/// Steps of inverse iteration towards A's least eigenvalue.
const STEPS: u32 = 8;
/// Bounds that are tried, each half of the one before, starting from this share of the estimate.
const TRIES: u32 = 4;
const FIRST_TRY: f64 = 0.8;
/// What W's rounding may add to a variance, and more.
const SLACK: f64 = 1.01;
/// Largest correction of θ, relative to θ, that W is trusted with.
const TRUST: f64 = 1e-3;

/// What all regressions of a policy have in common.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Ridge {
    /// λ > 0.
    pub(super) ridge: f64,
    /// γ in (0, 1].
    pub(super) forgetting: f64,
}

/// One regression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LinearArm {
    factor: InverseFactor,
    theta: Vec<f64>,
    b: Vec<f64>,
    /// Σ γ^{t−s} w x xᵀ over all outcomes but the last few, times 1/`gram_scale`.
    gram: Symmetric,
    gram_scale: f64,
    /// The last few outcomes' x, row-major, and their γ^{t−s} w.
    recent: Vec<f64>,
    recent_weights: Vec<f64>,
    /// Diagonal of D.
    ridge: Vec<f64>,
    outcomes: u64,
    /// Σ γ^{t−s} w.
    weight: f64,
    /// Outcomes since W was made from A.
    stale: u32,
    #[serde(skip)]
    widest: Widest,
}

/// ω ≥ λ_max(A⁻¹): worked out from A, and no part of the state.
#[derive(Clone, Copy, Debug)]
struct Widest(f64);

impl Default for Widest {
    fn default() -> Self {
        Self(f64::INFINITY)
    }
}

impl PartialEq for Widest {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Scratch space of learning; no part of any state.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// For [`SharedLinear`](super::SharedLinear): the features of a context and an arm.
    pub(super) features: Vec<f64>,
    update: UpdateScratch,
    x: Vec<f32>,
    product: Vec<f64>,
    residual: Vec<f64>,
}

impl Clone for Scratch {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for Scratch {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl LinearArm {
    /// Nothing learned: A = λI, θ = 0.
    pub(super) fn prior(ridge: Ridge, dim: usize) -> Self {
        let diagonal = vec![ridge.ridge; dim];
        Self {
            factor: InverseFactor::diagonal(&diagonal),
            theta: vec![0.0; dim],
            b: vec![0.0; dim],
            gram: Symmetric::zeros(dim),
            gram_scale: 1.0,
            recent: Vec::with_capacity(BLOCK * dim),
            recent_weights: Vec::with_capacity(BLOCK),
            ridge: diagonal,
            outcomes: 0,
            weight: 0.0,
            stale: 0,
            widest: Widest(1.0 / ridge.ridge),
        }
    }

    /// xᵀθ.
    pub(super) fn mean(&self, x: &[f64]) -> f64 {
        dot(&self.theta, x)
    }

    /// xᵀθ and xᵀA⁻¹x; `x32` is x as [`single`] makes it, `scratch` is overwritten.
    pub(super) fn predict(&self, x: &[f64], x32: &[f32], scratch: &mut Vec<f32>) -> (f64, f64) {
        let (y, sums) = self.factor.scratch(x32, scratch);
        predict(self, x, x32, y, sums)
    }

    /// xᵀA⁻¹x, as [`predict`](Self::predict) gives it.
    pub(super) fn spread(&self, x32: &[f32], scratch: &mut Vec<f32>) -> f64 {
        let (y, sums) = self.factor.scratch(x32, scratch);
        spread(self, x32, y, sums)
    }

    /// At least the [`spread`](Self::spread) of every x with |x|² = `squared_length`.
    pub(super) fn spread_max(&self, squared_length: f64) -> f64 {
        SLACK * self.widest.0 * squared_length
    }

    /// Works ω out from A; a state that was restored does not hold it.
    pub(super) fn measure(&mut self) {
        if let Some(exact) = self.gram.factor(self.gram_scale, &self.ridge) {
            self.bound(&exact);
        }
    }

    /// Wx with |Wx|² = xᵀA⁻¹x, padded; `x` is as [`single`] makes it.
    pub(super) fn whitened<'a>(&self, x: &[f32], scratch: &'a mut Vec<f32>) -> &'a [f32] {
        self.factor.multiply(x, scratch)
    }

    /// θ, shape (d).
    pub(super) fn theta(&self) -> &[f64] {
        &self.theta
    }

    /// Outcomes learned.
    pub(super) fn outcomes(&self) -> u64 {
        self.outcomes
    }

    /// Learns one outcome: reward r at x with weight w.
    pub(super) fn learn(
        &mut self,
        config: Ridge,
        x: &[f64],
        r: f64,
        weight: f64,
        scratch: &mut Scratch,
    ) {
        let keep = config.forgetting;
        self.decay(keep);
        let root = weight.sqrt();
        self.turn(keep, root, x, root * r, scratch);
        axpy(weight * r, x, &mut self.b);
        self.recent.extend_from_slice(x);
        self.recent_weights.push(weight);
        self.weight += weight;
        if keep < 1.0 {
            self.restore_ridge(config.ridge, scratch);
        }
        self.outcomes += 1;
        self.stale += 1;
        if self.outcomes.is_power_of_two() && self.outcomes / MEASURE_FROM >= x.len() as u64 {
            self.measure();
        }
        if self.recent_weights.len() >= BLOCK {
            let before = self.stale.saturating_sub(BLOCK_OUTCOMES);
            self.collect();
            if before / CORRECT_EVERY < self.stale / CORRECT_EVERY {
                self.settle(scratch);
            }
        }
    }

    /// Adds the last few outcomes to A, and makes θ exact.
    pub(super) fn settle(&mut self, scratch: &mut Scratch) {
        self.collect();
        if self.stale >= REFACTOR_EVERY || !self.correct(scratch) {
            self.refactor();
        }
    }

    /// Everything that was learned, discounted to at most `strength` outcomes' weight.
    pub(super) fn discounted(&self, config: Ridge, strength: f64) -> Self {
        let mut arm = self.clone();
        arm.collect();
        let share = if arm.weight > strength {
            strength / arm.weight
        } else {
            1.0
        };
        arm.gram.scale(share);
        arm.b.iter_mut().for_each(|b| *b *= share);
        arm.ridge.fill(config.ridge);
        arm.weight *= share;
        arm.outcomes = 0;
        // A is smaller now, and at least λI.
        arm.widest = Widest(1.0 / config.ridge);
        arm.refactor();
        arm
    }

    /// As [`discounted`](Self::discounted), with θ as it is; `None` where A cannot be factorised.
    pub(super) fn warm(&self, config: Ridge, strength: f64) -> Option<Self> {
        let mut exact = self.clone();
        exact.collect();
        exact.refactor();
        let mut arm = exact.discounted(config, strength);
        arm.gram.factor(1.0, &arm.ridge)?;
        // b = (sG + λI)θ
        arm.b.clear();
        arm.b.extend(exact.theta.iter().map(|t| config.ridge * t));
        arm.gram.add_product(&exact.theta, &mut arm.b);
        arm.refactor();
        Some(arm)
    }

    pub(super) fn is_sound(&self, dim: usize) -> bool {
        let vectors = [&self.theta, &self.b, &self.ridge];
        self.factor.is_sound(dim)
            && self.gram.is_sound(dim)
            && vectors
                .iter()
                .all(|v| v.len() == dim && v.iter().all(|x| x.is_finite()))
            && self.ridge.iter().all(|d| *d > 0.0)
            && self.outcomes <= COUNT_MAX
            && self.stale <= u32::MAX / 2
            && self.recent_weights.len() < BLOCK
            && self.recent.len() == self.recent_weights.len() * dim
            && self.recent.iter().all(|x| x.is_finite())
            && self
                .recent_weights
                .iter()
                .all(|w| (0.0..=f64::MAX).contains(w))
            && (0.0..=1.0).contains(&self.gram_scale)
            && (0.0..=f64::MAX).contains(&self.weight)
    }

    fn decay(&mut self, keep: f64) {
        if keep < 1.0 {
            self.gram_scale *= keep;
            self.weight *= keep;
            for vector in [&mut self.recent_weights, &mut self.ridge, &mut self.b] {
                for x in vector {
                    *x *= keep;
                }
            }
        }
    }

    /// W and θ of keep·A + root²·xxᵀ and the reward `r` = root·(reward of x).
    fn turn(&mut self, keep: f64, root: f64, x: &[f64], r: f64, scratch: &mut Scratch) {
        let error = r - root * dot(&self.theta, x);
        single(root, x, &mut scratch.x);
        let (total, along) = self.factor.update(keep, &scratch.x, &mut scratch.update);
        self.widest.0 /= keep;
        // error·(keep·A)⁻¹x/total
        let step = error / (total * keep);
        for (theta, along) in self.theta.iter_mut().zip(along) {
            *theta += step * f64::from(*along);
        }
    }

    /// Sets one coordinate of D back to λ.
    fn restore_ridge(&mut self, ridge: f64, scratch: &mut Scratch) {
        let dim = self.theta.len() as u64;
        let at = usize::try_from(self.outcomes % dim).expect("below the number of features");
        let root = (ridge - self.ridge[at]).max(0.0).sqrt();
        let mut unit = std::mem::take(&mut scratch.residual);
        unit.clear();
        unit.resize(self.theta.len(), 0.0);
        unit[at] = 1.0;
        self.turn(1.0, root, &unit, 0.0, scratch);
        scratch.residual = unit;
        self.ridge[at] = ridge;
    }

    fn collect(&mut self) {
        if self.gram_scale < 1.0 {
            self.gram.scale(self.gram_scale);
            self.gram_scale = 1.0;
        }
        self.gram.add_gram(&self.recent, Some(&self.recent_weights));
        self.recent.clear();
        self.recent_weights.clear();
    }

    /// θ ← θ + WᵀW(b − Aθ); whether the step is small enough to be believed.
    fn correct(&mut self, scratch: &mut Scratch) -> bool {
        let Scratch {
            update,
            x,
            product,
            residual,
            ..
        } = scratch;
        product.clear();
        product.extend(self.ridge.iter().zip(&self.theta).map(|(d, t)| d * t));
        self.gram.add_product(&self.theta, product);
        residual.clear();
        residual.extend(self.b.iter().zip(product.iter()).map(|(b, p)| b - p));
        single(1.0, residual, x);
        let along = self.factor.solve(x, update);
        let step = along.iter().map(|x| f64::from(x.abs()));
        let theta = self.theta.iter().map(|x| x.abs());
        let (step, theta) = (step.fold(0.0, f64::max), theta.fold(0.0, f64::max));
        // Written so that NaN fails too.
        let trusted = step <= TRUST * theta || step == 0.0;
        if trusted && along.iter().all(|x| x.is_finite()) {
            for (theta, along) in self.theta.iter_mut().zip(along) {
                *theta += f64::from(*along);
            }
            true
        } else {
            false
        }
    }

    /// ω from A's Cholesky factor: where A − μI is still positive definite, 1/μ bounds A⁻¹.
    ///
    /// Outcomes that are not yet in A would only make the bound smaller.
    fn bound(&mut self, exact: &Cholesky) {
        let mut direction = vec![1.0; self.theta.len()];
        let mut least = f64::INFINITY;
        for _ in 0..STEPS {
            let length = dot(&direction, &direction).sqrt();
            for v in &mut direction {
                *v /= length;
            }
            exact.solve(&mut direction);
            least = 1.0 / dot(&direction, &direction).sqrt();
        }
        let mut below = FIRST_TRY * least;
        for _ in 0..TRIES {
            let shifted: Vec<f64> = self.ridge.iter().map(|d| d - below).collect();
            if below > 0.0 && self.gram.factor(self.gram_scale, &shifted).is_some() {
                self.widest.0 = self.widest.0.min(1.0 / below);
                return;
            }
            below /= 2.0;
        }
    }

    /// W and θ from A and b. Where A cannot be factorised, W stays: rotations cannot fail.
    fn refactor(&mut self) {
        self.stale = 0;
        if let Some(exact) = self.gram.factor(1.0, &self.ridge) {
            let mut theta = self.b.clone();
            exact.solve(&mut theta);
            let factor = InverseFactor::inverse_of(&exact);
            self.bound(&exact);
            if theta.iter().all(|x| x.is_finite()) && factor.is_sound(theta.len()) {
                (self.theta, self.factor) = (theta, factor);
            }
        }
    }
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn predict(arm: &LinearArm, x: &[f64], x32: &[f32], y: &mut [f32], sums: &mut [f32]) -> (f64, f64) {
    let mean = inner_product(&arm.theta, x);
    (mean, arm.factor.squared_product(x32, y, sums))
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn spread(arm: &LinearArm, x32: &[f32], y: &mut [f32], sums: &mut [f32]) -> f64 {
    arm.factor.squared_product(x32, y, sums)
}

#[cfg(test)]
#[path = "linear_arm_tests.rs"]
mod tests;

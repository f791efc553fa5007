//! Linear Thompson sampling: each arm as often as it is believed to be the best.

use serde::{Deserialize, Serialize};

use super::linear_arms::{Expected, LinearArms, LinearConfig, within};
use super::{
    ArmPrior, Estimate, Outcome, Policy, PolicyError, PrincipalComponents, Request, Workspace,
    encode_state,
};
use crate::context::Context;
use crate::quadrature::{Normal, best_arm_probabilities};

/// Default scale of the belief: the largest standard deviation on [0, 1].
pub const LIN_TS_SCALE: f64 = 0.5;

/// Linear Thompson sampling with disjoint models: xᵀθ_a ~ N(xᵀθ̂_a, v²·xᵀA_a⁻¹x), minus the
/// weighted expected cost.
///
/// Regressions are those of [`LinUCB`](super::LinUcb), one per arm. Given x the arms' beliefs are
/// independent, so P(a is best) = ∫ f_a Π_{b≠a} F_b is one integral: it is computed by quadrature
/// to within 10⁻⁸, not sampled, and the logged propensity is that of the draw. Agrawal & Goyal
/// 2013, "Thompson sampling for contextual bandits with linear payoffs", arXiv 1209.3352, with a
/// parameter per arm in place of a shared one and a constant v in place of their
/// `R√(9d ln(t/δ))`, which explores far more than is good in practice.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `scale` | [`LIN_TS_SCALE`] | [0, 10⁶] | v: width of the beliefs; more explores more |
/// | `config` | [`LinearConfig`] | | ridge, forgetting, low rank, cost |
///
/// ```
/// use plimsoll::{Context, LinTs, LinearConfig, Outcome, Policy, Quality};
/// let mut policy = LinTs::new(2, 1, 0.5, LinearConfig::default())?;
/// let context = Context::new(vec![1.0])?;
/// assert!((policy.probabilities(&context)?[0] - 0.5).abs() < 1e-12);
/// for _ in 0..5 {
///     let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(1) };
///     policy.update(&context, &good)?;
/// }
/// let p = policy.probabilities(&context)?;
/// assert!(p[1] > 0.8 && p[0] > 0.01);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinTs {
    scale: f64,
    linear: LinearArms,
}

impl LinTs {
    pub(crate) const NAME: &'static str = "lin-ts";

    /// Over `arms` arms and contexts of `dimensions` features, nothing learned.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range or there are no arms.
    pub fn new(
        arms: usize,
        dimensions: usize,
        scale: f64,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        check_scale(scale)?;
        let linear = LinearArms::new(arms, dimensions, config)?;
        Ok(Self { scale, linear })
    }

    /// Over the principal components of contexts: `config.rank` must be `None`, the intercept on.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range or there are no arms.
    pub fn with_components(
        arms: usize,
        components: PrincipalComponents,
        scale: f64,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        check_scale(scale)?;
        let linear = LinearArms::with_components(arms, components, config)?;
        Ok(Self { scale, linear })
    }

    /// θ of an arm: one weight per feature (or projected feature), then the intercept's.
    #[must_use]
    pub fn weights(&self, arm: usize) -> Option<&[f64]> {
        self.linear
            .arm(arm)
            .map(super::linear_arm::LinearArm::theta)
    }

    /// Outcomes that an arm has learned.
    #[must_use]
    pub fn outcomes(&self, arm: usize) -> Option<u64> {
        self.linear
            .arm(arm)
            .map(super::linear_arm::LinearArm::outcomes)
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &LinearConfig {
        &self.linear.config
    }

    pub(super) fn linear_mut(&mut self) -> &mut LinearArms {
        &mut self.linear
    }

    pub(crate) fn is_sound(&self) -> bool {
        check_scale(self.scale).is_ok() && self.linear.is_sound()
    }
}

fn check_scale(scale: f64) -> Result<(), PolicyError> {
    within((0.0..=1e6).contains(&scale), "scale", scale, "[0, 1e6]")
}

impl Policy for LinTs {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn arms(&self) -> usize {
        self.linear.arms()
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.linear.dimensions())
    }

    fn needs_costs(&self) -> bool {
        self.linear.config.reward.weighs_costs()
    }

    fn reads_costs(&self) -> bool {
        self.needs_costs()
    }

    fn distribution(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        work.more.clear();
        work.more.resize(2 * self.arms(), f64::NAN);
        self.linear
            .expect(request, work, |beliefs, arm, expected| {
                let variance = self.scale * self.scale * expected.spread;
                let belief = Normal::new(expected.reward, variance);
                (beliefs[2 * arm], beliefs[2 * arm + 1]) = belief.parts();
            })?;
        let beliefs = &work.more;
        let belief = |arm: usize| {
            let (mean, sd) = (beliefs[2 * arm], beliefs[2 * arm + 1]);
            (!mean.is_nan()).then(|| Normal::of_parts(mean, sd))
        };
        if best_arm_probabilities(belief, &mut work.floats, out) {
            Ok(())
        } else {
            Err(PolicyError::NothingEligible)
        }
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        let score = |e: Expected| e.reward;
        self.linear.estimates(request, work, out, score)
    }

    fn check(&self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.linear.check(self, context, outcome)
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)?;
        self.linear.learn(context, outcome);
        Ok(())
    }

    fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PolicyError> {
        self.linear.add_arm(prior)
    }

    fn state(&self) -> Vec<u8> {
        encode_state(self)
    }

    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

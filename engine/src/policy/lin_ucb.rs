//! LinUCB: the arm whose expected reward could plausibly be highest.

use serde::{Deserialize, Serialize};

use super::linear_arms::{Expected, LinearArms, LinearConfig, within};
use super::{
    ArmPrior, Estimate, Outcome, Policy, PolicyError, PrincipalComponents, Request, Workspace,
    encode_state, ranking,
};
use crate::context::Context;

/// Default width of the confidence bound.
pub const LIN_UCB_ALPHA: f64 = 0.5;

/// LinUCB with disjoint models: argmax xᵀθ_a + α√(xᵀA_a⁻¹x), minus the weighted expected cost.
///
/// Each arm has a ridge regression of its own, `A_a = λI + Σ γ^{t−s} w x xᵀ`, `θ_a = A_a⁻¹b_a`
/// (Li, Chu, Langford & Schapire 2010, algorithm 1, arXiv 1003.0146). Costs are known before the
/// decision, so they are not learned as part of the reward but taken from it. The choice is
/// certain but for exact ties: where logged propensities must cover all arms, put exploration
/// around it, or use [`LinTs`](super::LinTs). An arm's variance is worked out only where a bound on
/// it, kept beside its regression, does not show that another arm's score is higher: the choice is
/// the same, and once means differ by more than their errors it costs little more than the means.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `alpha` | [`LIN_UCB_ALPHA`] | [0, 10⁶] | α: width of the bound; more explores more |
/// | `config` | [`LinearConfig`] | | ridge, forgetting, low rank, cost |
///
/// ```
/// use plimsoll::{Context, LinUcb, LinearConfig, Outcome, Policy, Quality};
/// let mut policy = LinUcb::new(2, 1, 0.5, LinearConfig::default())?;
/// let contexts = [Context::new(vec![-1.0])?, Context::new(vec![1.0])?];
/// for round in 0..40 {
///     // Arm 0 is good where the feature is negative, arm 1 where it is positive.
///     let (context, arm) = (&contexts[round % 2], round / 2 % 2);
///     let quality = Quality::new(f64::from(u8::from(round % 2 == arm)))?;
///     policy.update(context, &Outcome { quality: Some(quality), ..Outcome::of_arm(arm) })?;
/// }
/// assert_eq!(policy.probabilities(&contexts[1])?, [0.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinUcb {
    alpha: f64,
    linear: LinearArms,
}

impl LinUcb {
    pub(crate) const NAME: &'static str = "lin-ucb";

    /// Over `arms` arms and contexts of `dimensions` features, nothing learned.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range or there are no arms.
    pub fn new(
        arms: usize,
        dimensions: usize,
        alpha: f64,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        check_alpha(alpha)?;
        let linear = LinearArms::new(arms, dimensions, config)?;
        Ok(Self { alpha, linear })
    }

    /// Over the principal components of contexts: `config.rank` must be `None`, the intercept on.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range or there are no arms.
    pub fn with_components(
        arms: usize,
        components: PrincipalComponents,
        alpha: f64,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        check_alpha(alpha)?;
        let linear = LinearArms::with_components(arms, components, config)?;
        Ok(Self { alpha, linear })
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
        check_alpha(self.alpha).is_ok() && self.linear.is_sound()
    }
}

fn check_alpha(alpha: f64) -> Result<(), PolicyError> {
    within((0.0..=1e6).contains(&alpha), "alpha", alpha, "[0, 1e6]")
}

impl Policy for LinUcb {
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
        self.linear.highest(request, work, self.alpha)?;
        ranking::best(&work.more, out)
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        let score = |e: Expected| e.reward + self.alpha * e.spread.sqrt();
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

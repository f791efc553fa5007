//! Arms that come, go and fail while a router runs.

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::context::Context;
use crate::cost::CostError;
use crate::policy::{ArmPrior, Estimate, Outcome, PolicyError, Request, RulePolicy, Workspace};
use crate::router::Router;
use crate::router_error::FeedbackError;
use crate::units::{ArmId, Quality};

/// Outcomes that a prior of unknown worth counts for (MATHS §5: about 10).
pub const PRIOR_STRENGTH_NEW_ARM: f64 = 10.0;
/// Quality expected of a new arm when nothing at all is known.
const QUALITY_UNKNOWN: f64 = 0.5;

/// What is believed of a new arm before it answers anything.
///
/// The policy counts a belief as a few outcomes; [`RulePolicy`] then tries the arm under guard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "from")]
#[non_exhaustive]
pub enum ArmBelief {
    /// It answers like the arm whose price is nearest, by the logarithm of input plus output
    /// price; without prices, nothing is believed.
    Prices {
        /// Outcomes the belief is worth, ≥ 0.
        strength: f64,
    },
    /// It answers like an arm that the router has, for instance its predecessor.
    Like {
        /// That arm.
        arm: ArmId,
        /// Outcomes the belief is worth, ≥ 0.
        strength: f64,
    },
    /// It scores this quality, whatever the request.
    Stated {
        /// Expected quality.
        quality: Quality,
        /// Outcomes the belief is worth, ≥ 0.
        strength: f64,
    },
    /// It was scored on a small benchmark, whose rows are learned as outcomes of weight
    /// strength/n. A predictor by clusters thereby has its quality per cluster (UniRoute, Jitkrittum
    /// et al. 2025, arXiv 2502.08773); the others learn what they can.
    Benchmark {
        /// Contexts and scores, shape (n).
        rows: Vec<(Context, Quality)>,
        /// Outcomes the belief is worth, ≥ 0.
        strength: f64,
    },
}

impl Router {
    /// Adds an arm: policy and cost predictor grow together, and it is the last of
    /// [`arms`](Self::arms) from then on.
    ///
    /// # Errors
    /// [`FeedbackError`] when the name is taken, the belief is invalid, the arm is in service
    /// without prices though the policy weighs costs, or the policy cannot take another arm. The
    /// router is unchanged then.
    pub fn add_arm(&mut self, spec: ArmSpec, belief: &ArmBelief) -> Result<(), FeedbackError> {
        if self.names.contains(&spec.id) {
            let arm = spec.id;
            return Err(PolicyError::DuplicateArm { arm }.into());
        }
        let unpriced = spec.input.is_none() || spec.output.is_none();
        if self.policy.needs_costs() && !spec.archived && unpriced {
            let arm = spec.id;
            return Err(CostError::Unpriced { arm }.into());
        }
        let prior = self.prior(&spec, belief)?;
        let rows = match belief {
            ArmBelief::Benchmark { rows, strength } => self.benchmark(rows, *strength)?,
            _ => Vec::new(),
        };
        let mut policy = self.policy.fork();
        policy.add_arm(&prior)?;
        for (context, outcome) in rows {
            policy.update(context, &outcome)?;
        }
        if let Some(rule) = policy.downcast_mut::<RulePolicy>() {
            // Benchmark rows were not answers of this router: all guarded pulls are still to come.
            rule.guard_arm(self.arms.len())?;
        }
        self.policy = policy;
        self.cost.add_arm(&spec);
        self.names.push(spec.id.clone());
        self.arms.push(spec);
        self.down_until_ms.push(None);
        Ok(())
    }

    /// Marks an arm down until an event time, or up again with `None`; what it learned stays.
    ///
    /// A call that tells its time finds the arm back from `until_ms` on; one that does not, only
    /// when it is marked up. Where every arm that could answer is marked down, the marks are
    /// disregarded, and [`Decision::marked_down`](crate::Decision::marked_down) says so.
    ///
    /// # Errors
    /// [`FeedbackError::UnknownArm`] when there is no such arm.
    pub fn mark_down(&mut self, arm: &ArmId, until_ms: Option<i64>) -> Result<(), FeedbackError> {
        let index = self.index(arm)?;
        self.down_until_ms[index] = until_ms;
        Ok(())
    }

    /// Whether the arm is marked down at that event time.
    #[must_use]
    pub fn is_down(&self, arm: usize, at_ms: Option<i64>) -> bool {
        let until = self.down_until_ms.get(arm).copied().flatten();
        until.is_some_and(|until| at_ms.is_none_or(|at| at < until))
    }

    fn prior(&self, spec: &ArmSpec, belief: &ArmBelief) -> Result<ArmPrior, FeedbackError> {
        let (like, strength) = match belief {
            ArmBelief::Prices { strength } => (self.nearest_by_price(spec), *strength),
            ArmBelief::Like { arm, strength } => (Some(self.index(arm)?), *strength),
            ArmBelief::Stated { strength, .. } => (None, *strength),
            // The rows are the belief; the prior is only what they start from.
            ArmBelief::Benchmark { .. } => (None, 0.0),
        };
        let quality = match (belief, like) {
            (ArmBelief::Stated { quality, .. }, _) => quality.get(),
            (_, Some(like)) => self.typical_quality(like).unwrap_or(QUALITY_UNKNOWN),
            _ => QUALITY_UNKNOWN,
        };
        let prior = ArmPrior {
            id: spec.id.clone(),
            quality,
            strength,
            like,
        };
        prior.check(self.arms.len())?;
        Ok(prior)
    }

    /// The arm of least |ln(price/price')|, the earlier one among equals.
    fn nearest_by_price(&self, spec: &ArmSpec) -> Option<usize> {
        let own = log_price(spec)?;
        let distance = |arm: usize| Some((log_price(&self.arms[arm])? - own).abs());
        (0..self.arms.len())
            .filter_map(|arm| Some((arm, distance(arm)?)))
            .reduce(|best, other| if other.1 < best.1 { other } else { best })
            .map(|(arm, _)| arm)
    }

    /// What the policy expects of an arm at the origin of the feature space.
    fn typical_quality(&self, arm: usize) -> Option<f64> {
        let context = Context {
            features: vec![0.0; self.policy.dimensions().unwrap_or(0)],
            ..Context::default()
        };
        let (eligible, costs) = (vec![true; self.arms.len()], vec![None; self.arms.len()]);
        let request = Request {
            context: &context,
            eligible: &eligible,
            costs: &costs,
            floor: None,
        };
        let mut estimates: Vec<Estimate> = Vec::new();
        let told = self
            .policy
            .estimates(&request, &mut Workspace::default(), &mut estimates);
        told.ok()?;
        estimates.get(arm)?.quality.map(|quality| quality.mean)
    }

    /// The rows of a benchmark as outcomes of the arm to come, checked.
    fn benchmark<'a>(
        &self,
        rows: &'a [(Context, Quality)],
        strength: f64,
    ) -> Result<Vec<(&'a Context, Outcome)>, FeedbackError> {
        let outcome = |quality| Outcome {
            arm: self.arms.len(),
            quality: Some(quality),
            cost: None,
            cost_expected: None,
            weight: strength / crate::math::len(rows.len()),
            propensity: None,
            policy_chance: None,
        };
        let mut outcomes = Vec::with_capacity(rows.len());
        for (context, quality) in rows {
            let row = outcome(*quality);
            // The arm is not there yet; everything else is as it will be.
            self.policy.check(context, &Outcome { arm: 0, ..row })?;
            outcomes.push((context, row));
        }
        Ok(outcomes)
    }
}

fn log_price(spec: &ArmSpec) -> Option<f64> {
    let pico = spec
        .input?
        .pico_per_token()
        .saturating_add(spec.output?.pico_per_token());
    // A free arm is as far from the others as one at a millionth of a pico-dollar.
    Some(crate::math::ln(crate::math::count(pico).max(1e-6)))
}

//! Policies: whatever turns a request into a probability for each arm, and learns from outcomes.
//!
//! A [`Policy`] counts arms from 0 to K − 1 and knows nothing of names, prices or windows: the
//! [`Router`](crate::Router) around it decides who may answer, what each arm is expected to cost,
//! and draws the arm from the policy's distribution. A policy's randomness is in its distribution
//! alone, so that every propensity is exact.

mod arm_mean;
mod cascade;
mod cluster_bandit;
mod epsilon_greedy;
mod error;
mod fixed;
mod guard;
mod kl_ucb;
mod knn_bandit;
mod lin_ts;
mod lin_ucb;
mod linear_arm;
mod linear_arms;
mod logistic_ts;
mod mean_bandit;
mod post_hoc;
mod predictor_bandit;
mod principal_components;
mod projection;
mod ranking;
mod reward;
mod rule;
mod shared_linear;
mod shared_state;
mod square_cb;
mod state;
mod supermodel;
mod thompson;
mod ucb1;
mod warm_start;

use std::any::Any;
use std::fmt;

use crate::context::Context;
use crate::decision::Reason;
use crate::money::Usd;
use crate::predictor::{PredictScratch, Prediction, WEIGHT_MAX};
use crate::rule::RuleScratch;
use crate::units::{ArmId, Propensity, Quality};

pub use cascade::{CASCADE_EPSILON, Cascade, CascadeConfig, CascadeStep, NextStep, cascade_cost};
pub use cluster_bandit::ClusterBandit;
pub use epsilon_greedy::{EPSILON_GREEDY_EPSILON, EpsilonGreedy};
pub use error::PolicyError;
pub use fixed::{Fixed, Random};
pub use guard::{GUARD_SHARE, GUARDED_PULLS};
pub use kl_ucb::{KL_UCB_C, KlUcb};
pub use knn_bandit::KnnBandit;
pub use lin_ts::{LIN_TS_SCALE, LinTs};
pub use lin_ucb::{LIN_UCB_ALPHA, LinUcb};
pub use linear_arms::{LINEAR_RIDGE, LinearConfig};
pub use logistic_ts::LogisticThompson;
pub use mean_bandit::{MeanBandit, MeanConfig, MeanRule};
pub use post_hoc::{PostHoc, PostHocRow};
pub use predictor_bandit::{PredictorBandit, PredictorRule, UCB_WIDTH};
pub use principal_components::PrincipalComponents;
pub use reward::{COST_SCALE, COST_WEIGHT, Reward};
pub use rule::{RuleParts, RulePolicy};
pub use shared_linear::{SHARED_DRAW_PAIRS, SharedLinear, SharedRule};
pub use square_cb::{GAMMA_EXPONENT, GAMMA_SCALE, SquareCb};
pub use state::{decode_state, encode_state};
pub use thompson::{BetaThompson, GaussianThompson, NOISE_VARIANCE};
pub use ucb1::{UCB1_EXPLORATION, Ucb1};
pub use warm_start::WarmStart;

pub(crate) use state::built_in;

/// A policy over K arms.
///
/// Implement it to run a policy of your own in a [`Router`](crate::Router): decisions,
/// propensities, caps, feedback by decision id, snapshots and the journal come with the router.
pub trait Policy: Any + fmt::Debug + Send + Sync {
    /// Stable name of the kind, for instance `lin-ucb`: snapshots find their loader by it.
    fn name(&self) -> &str;

    /// K, the number of arms.
    fn arms(&self) -> usize;

    /// d, the number of features a context must have; `None`: any.
    fn dimensions(&self) -> Option<usize> {
        None
    }

    /// Whether the policy weighs costs, so that every arm in service needs a price.
    fn needs_costs(&self) -> bool {
        false
    }

    /// Whether [`Request::costs`] are looked at. A policy that says no gets `None` for every arm
    /// where nothing else of the request needs them, which saves half the time of a decision
    /// without features.
    fn reads_costs(&self) -> bool {
        true
    }

    /// Whether [`Request::floor`] is held; where it is not, the router refuses such a request.
    fn heeds_floor(&self) -> bool {
        false
    }

    /// Writes the probability of each arm to `out`, shape (K), which comes zeroed.
    ///
    /// Probabilities sum to 1 within 10⁻¹² and are 0 for arms that are not eligible. The same
    /// state and request give the same bits. In steady state nothing is allocated: scratch space
    /// is in `work`.
    ///
    /// # Errors
    /// [`PolicyError`] when no arm may answer or the context cannot be used.
    fn distribution(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError>;

    /// Probability of each arm, shape (K), when every arm may answer and none has a price: for
    /// examples, tests and policies that do not weigh costs.
    ///
    /// # Errors
    /// As [`distribution`](Self::distribution).
    fn probabilities(&self, context: &Context) -> Result<Vec<f64>, PolicyError> {
        let arms = self.arms();
        let request = Request {
            context,
            eligible: &vec![true; arms],
            costs: &vec![None; arms],
            floor: None,
        };
        let mut out = vec![0.0; arms];
        self.distribution(&request, &mut Workspace::default(), &mut out)?;
        Ok(out)
    }

    /// What the policy expects of each arm, shape (K); `out` is replaced.
    ///
    /// # Errors
    /// [`PolicyError`] when the context cannot be used.
    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError>;

    /// Why `chosen` was drawn from `probabilities`; arms are named by `arms`.
    fn reason(&self, request: &Request<'_>, arms: &[ArmId], drawn: Drawn<'_>) -> Reason {
        let _ = (request, arms);
        Reason::Drawn {
            policy: self.name().to_owned(),
            probability: drawn.probabilities[drawn.arm],
        }
    }

    /// Probability with which the policy as it is now chooses the arm; `None`: the policy does not
    /// learn from it.
    fn policy_chance(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        arm: usize,
    ) -> Option<f64> {
        let _ = (request, work, arm);
        None
    }

    /// Checks an outcome without learning it: what passes here, [`update`](Self::update) takes.
    ///
    /// # Errors
    /// [`PolicyError`] when anything about it is invalid.
    fn check(&self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError>;

    /// Learns one outcome.
    ///
    /// # Errors
    /// [`PolicyError`] when anything about the outcome is invalid; nothing is learned then.
    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError>;

    /// Adds arm K with a prior; it is arm number K from then on.
    ///
    /// # Errors
    /// [`PolicyError::FixedArms`] when the policy cannot take another arm.
    fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PolicyError>;

    /// The whole state as bytes, of which the loader of this name makes an equal policy; equal
    /// states give equal bytes. [`encode_state`] does it for any type with serde.
    fn state(&self) -> Vec<u8>;

    /// An independent copy: what one learns, the other does not.
    fn fork(&self) -> Box<dyn Policy>;
}

impl dyn Policy {
    /// The policy as its own type, for callers that know it; `None`: it is of another.
    #[must_use]
    pub fn downcast_ref<P: Policy>(&self) -> Option<&P> {
        (self as &dyn Any).downcast_ref()
    }

    /// The policy as its own type, to be changed; `None`: it is of another.
    #[must_use]
    pub fn downcast_mut<P: Policy>(&mut self) -> Option<&mut P> {
        (self as &mut dyn Any).downcast_mut()
    }
}

/// One request as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// What is known about it.
    pub context: &'a Context,
    /// Whether each arm may answer, shape (K).
    pub eligible: &'a [bool],
    /// Expected cost of each arm in US dollars, shape (K); `None`: unpriced.
    pub costs: &'a [Option<f64>],
    /// A floor for this request in place of the policy's own; `None`: the policy's.
    pub floor: Option<f64>,
}

/// What one policy expects of one arm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Expected quality in [0, 1] and its variance; `None`: the policy predicts none.
    pub quality: Option<Prediction>,
    /// What the policy ranks arms by; larger is better. −∞ for arms that it may not choose.
    pub score: f64,
    /// Whether the arm meets the policy's own condition (its floor, its safe set).
    pub feasible: bool,
}

/// The arm that was drawn, and from what.
#[derive(Clone, Copy, Debug)]
pub struct Drawn<'a> {
    /// The arm.
    pub arm: usize,
    /// The probabilities it was drawn from, shape (K).
    pub probabilities: &'a [f64],
}

/// What became of one decision, as a policy learns it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The arm that answered.
    pub arm: usize,
    /// Quality of the answer; `None`: no label.
    pub quality: Option<Quality>,
    /// What the call cost; `None`: unknown.
    pub cost: Option<Usd>,
    /// What the call was expected to cost, in US dollars; `None`: unpriced.
    pub cost_expected: Option<f64>,
    /// How much the outcome counts, ≥ 0; 1 unless the caller knows better.
    pub weight: f64,
    /// Probability with which the arm was chosen; `None`: not known.
    pub propensity: Option<Propensity>,
    /// Probability with which the policy as it is now would choose the arm, see
    /// [`Policy::policy_chance`]; `None`: the policy does not learn from it.
    pub policy_chance: Option<f64>,
}

impl Outcome {
    /// An answer of arm `arm` of which nothing else is known, weight 1.
    #[must_use]
    pub const fn of_arm(arm: usize) -> Self {
        Self {
            arm,
            quality: None,
            cost: None,
            cost_expected: None,
            weight: 1.0,
            propensity: None,
            policy_chance: None,
        }
    }
}

/// What is believed of a new arm before it answers anything.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmPrior {
    /// The arm's name.
    pub id: ArmId,
    /// Expected quality in [0, 1].
    pub quality: f64,
    /// Outcomes this belief is worth, ≥ 0.
    pub strength: f64,
    /// An arm whose knowledge is taken over, discounted to `strength` outcomes; `None`: none.
    pub like: Option<usize>,
}

impl ArmPrior {
    /// Checks ranges, for a policy that has `arms` arms so far.
    pub(crate) fn check(&self, arms: usize) -> Result<(), PolicyError> {
        let within = |ok: bool, name, got, allowed| {
            if ok {
                Ok(())
            } else {
                Err(PolicyError::Parameter { name, got, allowed })
            }
        };
        let (quality, strength) = (self.quality, self.strength);
        within((0.0..=1.0).contains(&quality), "quality", quality, "[0, 1]")?;
        let usable = (0.0..=WEIGHT_MAX).contains(&strength);
        within(usable, "strength", strength, "[0, 1e12]")?;
        match self.like {
            Some(got) if got >= arms => Err(PolicyError::Arm { got, arms }),
            _ => Ok(()),
        }
    }
}

/// Scratch space of decisions: reuse one per thread, and nothing is allocated in steady state.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Probabilities of the last decision, shape (K).
    pub probabilities: Vec<f64>,
    /// Whether each arm could answer the last request, shape (K).
    pub eligible: Vec<bool>,
    /// Expected costs of the last request in US dollars, shape (K); all `None` where neither policy
    /// nor request asked for them.
    pub costs: Vec<Option<f64>>,
    /// For policies: predictions per arm.
    pub predictions: Vec<Prediction>,
    /// For policies: any numbers.
    pub floats: Vec<f64>,
    /// For policies: more numbers.
    pub more: Vec<f64>,
    /// For policies: numbers in single precision.
    pub singles: Vec<f32>,
    /// For policies: more numbers in single precision.
    pub more_singles: Vec<f32>,
    /// For predictors of quality.
    pub(crate) predict: PredictScratch,
    /// For rules.
    pub(crate) rule: RuleScratch,
    /// For cascades.
    pub(crate) search: supermodel::Search,
    /// Features of the predictor of cost.
    pub(crate) cost_features: Vec<f64>,
}

/// Whether the outcome's arm and weight can be used.
pub(crate) fn check_arm(policy: &dyn Policy, outcome: &Outcome) -> Result<(), PolicyError> {
    let arms = policy.arms();
    if outcome.arm >= arms {
        return Err(PolicyError::Arm {
            got: outcome.arm,
            arms,
        });
    }
    if !(0.0..=WEIGHT_MAX).contains(&outcome.weight) {
        return Err(PolicyError::Weight {
            got: outcome.weight,
        });
    }
    Ok(())
}

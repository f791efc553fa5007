//! One ridge regression per arm: what LinUCB and linear Thompson sampling have in common.

use serde::{Deserialize, Deserializer, Serialize};

use super::linear_arm::{LinearArm, Ridge, Scratch};
use super::principal_components::PrincipalComponents;
use super::projection::{ENTRIES_MAX, Projection};
use super::shared_state::Forked;
use super::{
    ArmPrior, Estimate, Outcome, Policy, PolicyError, Request, Reward, Workspace, check_arm,
};
use crate::context::Context;
use crate::inverse_factor::{padded, single};
use crate::linalg::dot;
use crate::predictor::{Prediction, PredictorError, TrainingRows};

/// Default ridge λ.
pub const LINEAR_RIDGE: f64 = 1.0;
/// Least λγᵈ of a linear policy that forgets.
const RIDGE_MIN: f64 = 1e-9;
/// Variance of one outcome's quality: no distribution on [0, 1] varies more.
const NOISE: f64 = 0.25;
/// Most features after projection and intercept.
const DIMENSIONS_MAX: usize = 8_192;

/// Settings that LinUCB and linear Thompson sampling share.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `ridge` | [`LINEAR_RIDGE`] | [10⁻⁶, 10⁶] | λ: a weight's prior precision; more learns slower |
/// | `forgetting` | 1 | (0, 1] | γ: weight of an outcome after each later one of its arm |
/// | `intercept` | true | true with components | adds a feature that is always 1 |
/// | `rank` | `None` | 1..; `None` with components | features are projected to this many at random first |
/// | `seed` | 0 | | of the random projection |
/// | `reward` | [`Reward::default`](super::Reward) | | what expected cost takes from quality |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LinearConfig {
    /// λ.
    pub ridge: f64,
    /// γ.
    pub forgetting: f64,
    /// Whether a feature that is always 1 is added; leave it out when the context has one.
    pub intercept: bool,
    /// Low-rank variant: contexts are projected to this many features by a fixed random matrix of
    /// signs, so that time and memory per decision no longer depend on d². Where contexts are at
    /// hand, [`PrincipalComponents`](super::PrincipalComponents) fitted on them lose less with fewer.
    pub rank: Option<usize>,
    /// Seed of the projection.
    pub seed: u64,
    /// What is maximised.
    pub reward: Reward,
}

impl Default for LinearConfig {
    fn default() -> Self {
        Self {
            ridge: LINEAR_RIDGE,
            forgetting: 1.0,
            intercept: true,
            rank: None,
            seed: 0,
            reward: Reward::default(),
        }
    }
}

impl LinearConfig {
    pub(super) fn ridge(&self) -> Ridge {
        Ridge {
            ridge: self.ridge,
            forgetting: self.forgetting,
        }
    }

    pub(super) fn check(&self) -> Result<(), PolicyError> {
        within(
            (1e-6..=1e6).contains(&self.ridge),
            "ridge",
            self.ridge,
            "[1e-6, 1e6]",
        )?;
        within(
            self.forgetting > 0.0 && self.forgetting <= 1.0,
            "forgetting",
            self.forgetting,
            "(0, 1]",
        )?;
        self.reward.check()
    }
}

pub(super) fn within(
    ok: bool,
    name: &'static str,
    got: f64,
    allowed: &'static str,
) -> Result<(), PolicyError> {
    if ok {
        Ok(())
    } else {
        Err(PolicyError::Parameter { name, got, allowed })
    }
}

/// Checks a context before it is used.
pub(super) fn check_context(context: &Context, expected: usize) -> Result<(), PolicyError> {
    let got = context.features.len();
    if got != expected {
        return Err(PolicyError::Dimensions { expected, got });
    }
    context
        .validate()
        .map_err(|source| PredictorError::Context { row: 0, source }.into())
}

/// The regressions of all arms, and how a context becomes their x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct LinearArms {
    pub(super) config: LinearConfig,
    /// d of the contexts.
    dimensions: usize,
    projection: Option<Forked<Projection>>,
    #[serde(deserialize_with = "measured")]
    arms: Vec<Forked<LinearArm>>,
    #[serde(skip)]
    scratch: Scratch,
    #[serde(skip)]
    x: X,
}

/// Restored regressions, each with its bound.
fn measured<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Forked<LinearArm>>, D::Error> {
    let mut arms = Vec::<Forked<LinearArm>>::deserialize(from)?;
    for arm in &mut arms {
        if arm.is_sound(arm.theta().len()) {
            arm.make_mut().measure();
        }
    }
    Ok(arms)
}

/// A context as the regressions see it.
#[derive(Debug, Default)]
pub(super) struct X {
    double: Vec<f64>,
    /// x in single precision, padded; before it, where there is a projection, the features.
    single: Vec<f32>,
    scratch: Vec<f32>,
}

impl Clone for X {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for X {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What is expected of one arm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// Expected reward: quality minus the weighted cost.
    pub(super) reward: f64,
    /// xᵀA⁻¹x.
    pub(super) spread: f64,
}

impl LinearArms {
    pub(super) fn new(
        arms: usize,
        dimensions: usize,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        let random = |rank| {
            let projection = Projection::random(rank, dimensions, config.seed);
            projection.ok_or(PolicyError::Parameter {
                name: "rank",
                got: crate::math::len(rank),
                allowed: "[1, 2^24/d], with d above 0",
            })
        };
        let projection = config.rank.map(random).transpose()?;
        Self::behind(projection, arms, dimensions, config)
    }

    /// Behind fitted components in place of a random projection.
    pub(super) fn with_components(
        arms: usize,
        components: PrincipalComponents,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        within(
            config.rank.is_none(),
            "rank",
            crate::math::len(config.rank.unwrap_or(0)),
            "{None}, because components take its place",
        )?;
        within(
            config.intercept,
            "intercept",
            0.0,
            "{true}, because components are of centred contexts",
        )?;
        let dimensions = components.dimensions();
        Self::behind(
            Some(Projection::Fitted(components)),
            arms,
            dimensions,
            config,
        )
    }

    fn behind(
        projection: Option<Projection>,
        arms: usize,
        dimensions: usize,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        config.check()?;
        if arms == 0 {
            return Err(PolicyError::NoArms);
        }
        let mut linear = Self {
            config,
            dimensions,
            projection: projection.map(Forked::new),
            arms: Vec::new(),
            scratch: Scratch::default(),
            x: X::default(),
        };
        let dim = linear.dim();
        within(
            dim <= DIMENSIONS_MAX,
            "number of features",
            crate::math::len(dim),
            "[0, 8192]",
        )?;
        let decayed = (0..dim).fold(config.ridge, |ridge, _| ridge * config.forgetting);
        within(
            decayed >= RIDGE_MIN,
            "forgetting",
            config.forgetting,
            "(0, 1], and ridge · forgettingᵈ ≥ 1e-9",
        )?;
        linear.arms = vec![Forked::new(LinearArm::prior(config.ridge(), dim)); arms];
        Ok(linear)
    }

    /// Features of the regressions.
    fn dim(&self) -> usize {
        let projected = self.projection.as_ref().map(|p| p.rank());
        projected.unwrap_or(self.dimensions) + usize::from(self.config.intercept)
    }

    pub(super) fn arms(&self) -> usize {
        self.arms.len()
    }

    pub(super) fn dimensions(&self) -> usize {
        self.dimensions
    }

    pub(super) fn arm(&self, arm: usize) -> Option<&LinearArm> {
        self.arms.get(arm).map(std::ops::Deref::deref)
    }

    pub(super) fn is_sound(&self) -> bool {
        let projected = match &self.projection {
            Some(p) => p.dimensions() == self.dimensions && p.fits(&self.config),
            None => self.config.rank.is_none(),
        };
        if self.dimensions > ENTRIES_MAX {
            return false;
        }
        let dim = self.dim();
        projected
            && self.config.check().is_ok()
            && !self.arms.is_empty()
            && dim <= ENTRIES_MAX
            && self.arms.iter().all(|arm| arm.is_sound(dim))
    }

    /// The regressions' x of a checked context, in double and in padded single precision.
    fn prepare<'a>(
        &self,
        context: &Context,
        double: &'a mut Vec<f64>,
        singles: &'a mut Vec<f32>,
        scratch: &mut Vec<f32>,
    ) -> (&'a [f64], &'a [f32]) {
        double.clear();
        let mut skipped = 0;
        if let Some(projection) = &self.projection {
            projection.single(&context.features, singles);
            skipped = singles.len();
            singles.resize(skipped + padded(projection.rank()), 0.0);
            let (features, out) = singles.split_at_mut(skipped);
            projection.apply(features, out, scratch);
            double.extend(out[..projection.rank()].iter().map(|z| f64::from(*z)));
        } else {
            double.extend_from_slice(&context.features);
        }
        if self.config.intercept {
            double.push(1.0);
        }
        if skipped > 0 {
            singles.truncate(skipped + double.len());
            singles.resize(skipped + padded(double.len()), 0.0);
            if self.config.intercept {
                singles[skipped + double.len() - 1] = 1.0;
            }
        } else {
            single(1.0, double, singles);
        }
        (double, &singles[skipped..])
    }

    /// What is expected of every eligible arm; calls `each` in order.
    ///
    /// Arms that may not answer, or whose cost counts and is unknown, are left out.
    pub(super) fn expect(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        mut each: impl FnMut(&mut Vec<f64>, usize, Expected),
    ) -> Result<(), PolicyError> {
        let Workspace {
            floats,
            singles,
            more,
            more_singles,
            ..
        } = work;
        check_context(request.context, self.dimensions)?;
        let (x, x32) = self.prepare(request.context, floats, singles, more_singles);
        for (arm, regression) in self.arms.iter().enumerate() {
            if !request.eligible[arm] {
                continue;
            }
            let Some(penalty) = self.config.reward.penalty(request.costs[arm]) else {
                continue;
            };
            let (mean, spread) = regression.predict(x, x32, more_singles);
            let reward = mean - penalty;
            let expected = Expected { reward, spread };
            if !(expected.reward.is_finite() && expected.spread.is_finite()) {
                return Err(PolicyError::Singular { arm });
            }
            each(more, arm, expected);
        }
        Ok(())
    }

    /// Expected reward + α√(xᵀA⁻¹x) of the eligible arms that could have the most of it, shape (K),
    /// in `work.more`; −∞ for all others.
    ///
    /// The arm of the highest mean comes first. Others' variances are worked out only where the
    /// bound on them does not rule the arm out: the highest score is the same.
    pub(super) fn highest(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        alpha: f64,
    ) -> Result<(), PolicyError> {
        let Workspace {
            floats,
            singles,
            more: scores,
            more_singles,
            ..
        } = work;
        check_context(request.context, self.dimensions)?;
        let (x, x32) = self.prepare(request.context, floats, singles, more_singles);
        scores.clear();
        scores.resize(self.arms(), f64::NEG_INFINITY);
        let (mut first, mut most) = (0, f64::NEG_INFINITY);
        for (arm, regression) in self.arms.iter().enumerate() {
            if !request.eligible[arm] {
                continue;
            }
            let Some(penalty) = self.config.reward.penalty(request.costs[arm]) else {
                continue;
            };
            let reward = regression.mean(x) - penalty;
            if !reward.is_finite() {
                return Err(PolicyError::Singular { arm });
            }
            scores[arm] = reward;
            if reward > most {
                (first, most) = (arm, reward);
            }
        }
        let squared_length = dot(x, x);
        let mut top = f64::NEG_INFINITY;
        let others = (0..self.arms()).filter(|arm| *arm != first);
        for arm in std::iter::once(first).chain(others) {
            let (regression, reward) = (&self.arms[arm], scores[arm]);
            // Written so that a bound that is not a number rules nothing out.
            if reward + alpha * regression.spread_max(squared_length).sqrt() < top {
                scores[arm] = f64::NEG_INFINITY;
            } else if reward > f64::NEG_INFINITY {
                let spread = regression.spread(x32, more_singles);
                if !spread.is_finite() {
                    return Err(PolicyError::Singular { arm });
                }
                scores[arm] = reward + alpha * spread.sqrt();
                top = top.max(scores[arm]);
            }
        }
        Ok(())
    }

    /// Estimates of all arms, with `score` of the eligible ones.
    pub(super) fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
        score: impl Fn(Expected) -> f64,
    ) -> Result<(), PolicyError> {
        let Workspace {
            floats,
            singles,
            more_singles,
            ..
        } = work;
        check_context(request.context, self.dimensions)?;
        let (x, x32) = self.prepare(request.context, floats, singles, more_singles);
        out.clear();
        for (arm, regression) in self.arms.iter().enumerate() {
            let (mean, spread) = regression.predict(x, x32, more_singles);
            if !(mean.is_finite() && spread.is_finite()) {
                return Err(PolicyError::Singular { arm });
            }
            let penalty = self.config.reward.penalty(request.costs[arm]);
            let feasible = request.eligible[arm] && penalty.is_some();
            let reward = mean - penalty.unwrap_or(0.0);
            out.push(Estimate {
                quality: Some(Prediction {
                    mean: mean.clamp(0.0, 1.0),
                    variance: NOISE * spread,
                }),
                score: if feasible {
                    score(Expected { reward, spread })
                } else {
                    f64::NEG_INFINITY
                },
                feasible,
            });
        }
        Ok(())
    }

    pub(super) fn check(
        &self,
        policy: &dyn Policy,
        context: &Context,
        outcome: &Outcome,
    ) -> Result<(), PolicyError> {
        check_arm(policy, outcome)?;
        check_context(context, self.dimensions)
    }

    /// Learns a checked outcome.
    pub(super) fn learn(&mut self, context: &Context, outcome: &Outcome) {
        let Some(quality) = outcome.quality else {
            return;
        };
        let mut own = std::mem::take(&mut self.x);
        self.prepare(context, &mut own.double, &mut own.single, &mut own.scratch);
        let (ridge, weight) = (self.config.ridge(), outcome.weight);
        let arm = self.arms[outcome.arm].make_mut();
        let scratch = &mut self.scratch;
        arm.learn(ridge, &own.double, quality.get(), weight, scratch);
        self.x = own;
    }

    /// Learns a checked log of these arms, then counts each arm's evidence as at most `strength`
    /// outcomes. Nothing of the log fades: forgetting begins with the first live outcome.
    pub(super) fn warm(
        &mut self,
        log: &TrainingRows<'_>,
        strength: f64,
    ) -> Result<(), PolicyError> {
        let live = std::mem::replace(&mut self.config.forgetting, 1.0);
        for (row, context) in log.contexts.iter().enumerate() {
            for outcome in log.outcomes(row) {
                self.learn(context, &outcome);
            }
        }
        self.config.forgetting = live;
        let ridge = self.config.ridge();
        for (at, arm) in self.arms.iter_mut().enumerate() {
            let warm = arm.warm(ridge, strength);
            *arm = Forked::new(warm.ok_or(PolicyError::Singular { arm: at })?);
        }
        Ok(())
    }

    pub(super) fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PolicyError> {
        check_prior(prior)?;
        let ridge = self.config.ridge();
        let dim = self.dim();
        let arm = if let Some(like) = prior.like {
            let known = self.arm(like).ok_or(PolicyError::Arm {
                got: like,
                arms: self.arms(),
            })?;
            known.discounted(ridge, prior.strength)
        } else {
            let mut arm = LinearArm::prior(ridge, dim);
            if self.config.intercept && prior.strength > 0.0 {
                let mut x = vec![0.0; dim];
                x[dim - 1] = 1.0;
                let (quality, strength) = (prior.quality, prior.strength);
                arm.learn(ridge, &x, quality, strength, &mut self.scratch);
                arm.settle(&mut self.scratch);
            }
            arm
        };
        self.arms.push(Forked::new(arm));
        Ok(())
    }
}

/// Whether a prior's numbers can be used.
pub(super) fn check_prior(prior: &ArmPrior) -> Result<(), PolicyError> {
    within(
        (0.0..=1.0).contains(&prior.quality),
        "quality of the new arm",
        prior.quality,
        "[0, 1]",
    )?;
    within(
        (0.0..=1e12).contains(&prior.strength),
        "strength of the new arm",
        prior.strength,
        "[0, 1e12]",
    )
}

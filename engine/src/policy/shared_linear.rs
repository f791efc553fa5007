//! Linear bandits whose arms share one regression over features of the arms.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::linear_arm::{LinearArm, Scratch};
use super::linear_arms::{check_context, within};
use super::shared_state::Forked;
use super::{
    ArmPrior, Estimate, LinearConfig, Outcome, Policy, PolicyError, Request, Workspace, check_arm,
    encode_state, ranking,
};
use crate::context::{Context, check_features};
use crate::inverse_factor::single;
use crate::linalg::dot;
use crate::math;
use crate::predictor::{Prediction, PredictorError, TrainingRows};
use crate::random::unit_interval;

/// Pairs of opposite draws from the joint belief that one Thompson decision counts.
pub const SHARED_DRAW_PAIRS: u32 = 512;
/// Most features of the regression: a decision works with K·D² numbers.
const DIMENSIONS_MAX: usize = 2_048;
/// Variance of one outcome's quality: no distribution on [0, 1] varies more.
const NOISE: f64 = 0.25;
/// Part of a variance below which nothing of it is left but rounding: W is in single precision.
const ROUNDING: f64 = 1e-6;

/// How [`SharedLinear`] explores.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SharedRule {
    /// The highest of zᵀθ̂ + α√(zᵀA⁻¹z).
    Ucb {
        /// α in [0, 10⁶].
        alpha: f64,
    },
    /// Each arm as often as it is best under θ ~ N(θ̂, v²A⁻¹).
    Thompson {
        /// v in [0, 10⁶].
        scale: f64,
    },
}

/// LinUCB and linear Thompson sampling with shared features: E\[r | x, a\] = f(a)ᵀΘx'.
///
/// f(a), shape (m), describes the arm (a 1, its price, its family); x' is the context with a 1
/// appended. One ridge regression over z = f(a) ⊗ x', shape (D) with D = m(d+1), learns from every
/// arm's outcomes, so that arms alike teach each other. [`hybrid`](Self::hybrid) has a shared part
/// and a part of its own for each arm. Li et al. 2010 (arXiv 1003.0146, algorithm 2); Agrawal &
/// Goyal 2013 (arXiv 1209.3352).
///
/// Here the arms' beliefs are correlated and P(a is best) has no one-dimensional form. It is
/// counted over 2·[`SHARED_DRAW_PAIRS`] draws from the joint belief, keyed by the state, the context
/// and [`LinearConfig::seed`]: the same everywhere, and the counted shares *are* the distribution
/// that the arm is drawn from, so the logged propensity is exact. From ideal Thompson sampling a
/// probability p is off by no more than two standard errors 2√(p(1−p)/512) (0.044 at p = ½) 95 times in 100, and an arm with
/// p ≪ 1/1024 is usually not drawn at all.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `rule` | | [`SharedRule`] | bound or belief, and its width |
/// | `features` | | K equal lengths | f(a) |
/// | `config` | [`LinearConfig`] | `rank` must be `None` | ridge, forgetting, intercept, cost |
///
/// ```
/// use plimsoll::{Context, LinearConfig, Outcome, Policy, Quality, SharedLinear, SharedRule};
/// // Arms 0 and 1 are of one family: what arm 0 does well, arm 1 is believed to do well.
/// let features = vec![vec![1.0, 0.0], vec![1.0, 0.0], vec![0.0, 1.0]];
/// let rule = SharedRule::Thompson { scale: 0.5 };
/// let mut policy = SharedLinear::new(features, 1, rule, LinearConfig::default())?;
/// let context = Context::new(vec![1.0])?;
/// for _ in 0..20 {
///     let good = Outcome { quality: Some(Quality::new(1.0)?), ..Outcome::of_arm(0) };
///     policy.update(&context, &good)?;
/// }
/// let p = policy.probabilities(&context)?;
/// assert!(p[0] == p[1] && p[0] > 0.4 && p[2] > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SharedLinear {
    rule: SharedRule,
    config: LinearConfig,
    dimensions: usize,
    features: Vec<Vec<f64>>,
    regression: Forked<LinearArm>,
    #[serde(skip)]
    scratch: Scratch,
}

impl SharedLinear {
    pub(crate) const UCB: &'static str = "shared-lin-ucb";
    pub(crate) const THOMPSON: &'static str = "shared-lin-ts";

    /// Over arms of these features and contexts of `dimensions` features, nothing learned.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range, arms have unequally many features or
    /// unusable ones, or there are no arms.
    pub fn new(
        features: Vec<Vec<f64>>,
        dimensions: usize,
        rule: SharedRule,
        config: LinearConfig,
    ) -> Result<Self, PolicyError> {
        let dim = check(&features, dimensions, rule, &config)?;
        let ridge = config.ridge();
        Ok(Self {
            rule,
            config,
            dimensions,
            features,
            regression: Forked::new(LinearArm::prior(ridge, dim)),
            scratch: Scratch::default(),
        })
    }

    /// Features of the hybrid model: 1 for what `arms` arms share, and a part of each arm's own.
    #[must_use]
    pub fn hybrid(arms: usize) -> Vec<Vec<f64>> {
        let of = |arm: usize| {
            let own = (0..arms).map(|other| f64::from(u8::from(other == arm)));
            std::iter::once(1.0).chain(own).collect()
        };
        (0..arms).map(of).collect()
    }

    /// Θ by rows, shape (m, d+1): the weights of the context for each feature of the arms.
    #[must_use]
    pub fn weights(&self) -> &[f64] {
        self.regression.theta()
    }

    pub(crate) fn is_sound(&self) -> bool {
        check(&self.features, self.dimensions, self.rule, &self.config)
            .is_ok_and(|dim| self.regression.is_sound(dim))
    }

    /// Learns a checked log of these arms, none of which fades, then counts the evidence of all
    /// arms together as at most `strength` outcomes.
    pub(super) fn warm(
        &mut self,
        log: &TrainingRows<'_>,
        strength: f64,
    ) -> Result<(), PolicyError> {
        let live = std::mem::replace(&mut self.config.forgetting, 1.0);
        for (row, context) in log.contexts.iter().enumerate() {
            for outcome in log.outcomes(row) {
                self.update(context, &outcome)?;
            }
        }
        self.config.forgetting = live;
        let warm = self.regression.warm(self.config.ridge(), strength);
        self.regression = Forked::new(warm.ok_or(PolicyError::Singular { arm: 0 })?);
        Ok(())
    }

    /// z = f(a) ⊗ x'.
    fn join(&self, arm: usize, context: &Context, z: &mut Vec<f64>) {
        z.clear();
        for f in &self.features[arm] {
            z.extend(context.features.iter().map(|x| f * x));
            if self.config.intercept {
                z.push(*f);
            }
        }
    }

    /// Expected reward of an arm, and Wz in `work.more_singles`; `None`: its cost is unknown.
    fn expect(
        &self,
        arm: usize,
        request: &Request<'_>,
        z: &mut Vec<f64>,
        singles: &mut Vec<f32>,
        scratch: &mut Vec<f32>,
        whitened: &mut Vec<f64>,
    ) -> Result<Option<f64>, PolicyError> {
        let Some(penalty) = self.config.reward.penalty(request.costs[arm]) else {
            return Ok(None);
        };
        self.join(arm, request.context, z);
        single(1.0, z, singles);
        let reward = self.regression.mean(z) - penalty;
        let y = self.regression.whitened(singles, scratch);
        let start = whitened.len();
        whitened.extend(y.iter().map(|y| f64::from(*y)));
        let y = &whitened[start..];
        if reward.is_finite() && dot(y, y).is_finite() {
            Ok(Some(reward))
        } else {
            Err(PolicyError::Singular { arm })
        }
    }

    /// Seed of the draws: the state and the context, and nothing else.
    fn seed(&self, context: &Context) -> u64 {
        let mut seed = self.config.seed ^ self.regression.outcomes().rotate_left(32);
        for x in &context.features {
            seed = (seed ^ x.to_bits())
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .rotate_left(29);
        }
        seed
    }
}

/// Counts how often each arm is best; arms of reward −∞ never are.
///
/// `table` holds the rewards (K), then the whitened z of each arm.
fn thompson(scale: f64, seed: u64, table: &[f64], out: &mut [f64], work: &mut Vec<f64>) {
    let arms = out.len();
    let (rewards, whitened) = table.split_at(arms);
    let wide = whitened.len() / arms;
    let y = |arm: usize| &whitened[arm * wide..(arm + 1) * wide];
    work.clear();
    work.resize(arms * arms + 2 * arms, 0.0);
    let (root, more) = work.split_at_mut(arms * arms);
    let may = |arm: usize| rewards[arm] > f64::NEG_INFINITY;
    for a in (0..arms).filter(|a| may(*a)) {
        for b in (0..=a).filter(|b| may(*b)) {
            root[a * arms + b] = scale * scale * dot(y(a), y(b));
        }
    }
    if exchangeable(rewards, root) {
        return ranking::best(rewards, out).expect("an arm that may answer");
    }
    factorise(root, arms);
    let (normals, shifts) = more.split_at_mut(arms);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
    let each = 0.5 / f64::from(SHARED_DRAW_PAIRS);
    out.fill(0.0);
    for _ in 0..SHARED_DRAW_PAIRS {
        for pair in normals.chunks_mut(2) {
            let (first, second) = normal_pair(&mut random);
            pair[0] = first;
            if let Some(last) = pair.get_mut(1) {
                *last = second;
            }
        }
        for (a, shift) in shifts.iter_mut().enumerate() {
            let row = &root[a * arms..=a * arms + a];
            *shift = row.iter().zip(&*normals).map(|(l, n)| l * n).sum();
        }
        for sign in [1.0, -1.0] {
            let score = |arm: usize| rewards[arm] + sign * shifts[arm];
            let top = (0..arms).map(score).fold(f64::NEG_INFINITY, f64::max);
            // Arms that are alike differ by rounding only: they share.
            let near = top - 1e-9 * (1.0 + top.abs());
            let ties = (0..arms).filter(|arm| score(*arm) >= near).count();
            for arm in (0..arms).filter(|arm| score(*arm) >= near) {
                out[arm] += each / math::len(ties);
            }
        }
    }
    let total: f64 = out.iter().sum();
    for p in out {
        *p /= total;
    }
}

/// The parameters, and D.
fn check(
    features: &[Vec<f64>],
    dimensions: usize,
    rule: SharedRule,
    config: &LinearConfig,
) -> Result<usize, PolicyError> {
    config.check()?;
    match rule {
        SharedRule::Ucb { alpha: width } => {
            within((0.0..=1e6).contains(&width), "alpha", width, "[0, 1e6]")?;
        }
        SharedRule::Thompson { scale: width } => {
            within((0.0..=1e6).contains(&width), "scale", width, "[0, 1e6]")?;
        }
    }
    let rank = config.rank.map_or(0.0, math::len);
    within(config.rank.is_none(), "rank", rank, "none")?;
    let first = features.first().ok_or(PolicyError::NoArms)?;
    for of_arm in features {
        let (expected, got) = (first.len(), of_arm.len());
        if got != expected {
            return Err(PolicyError::Dimensions { expected, got });
        }
        check_features(of_arm).map_err(|source| PredictorError::Context { row: 0, source })?;
    }
    let wide = dimensions.saturating_add(usize::from(config.intercept));
    let dim = first.len().saturating_mul(wide);
    within(
        (1..=DIMENSIONS_MAX).contains(&dim),
        "number of features",
        math::len(dim),
        "[1, 2048]",
    )?;
    let decayed = (0..dim).fold(config.ridge, |ridge, _| ridge * config.forgetting);
    within(
        decayed >= 1e-9,
        "forgetting",
        config.forgetting,
        "(0, 1], and ridge · forgetting^D ≥ 1e-9",
    )?;
    Ok(dim)
}

/// Whether no arm that may answer differs from another: equal rewards, equal variances, and
/// equal covariances. `covariance` is lower triangular, shape (K, K).
fn exchangeable(rewards: &[f64], covariance: &[f64]) -> bool {
    let arms = rewards.len();
    let may = |arm: &usize| rewards[*arm] > f64::NEG_INFINITY;
    let all = || (0..arms).filter(may);
    let largest = all().map(|a| covariance[a * arms + a]).fold(0.0, f64::max);
    let below = |a: usize| (0..a).filter(may).map(move |b| covariance[a * arms + b]);
    let variance = |a: usize| covariance[a * arms + a];
    even(all().map(|a| rewards[a]), 1e-6)
        && even(all().map(variance), largest)
        && even(all().flat_map(below), largest)
}

/// Whether values differ by rounding only.
fn even(mut values: impl Iterator<Item = f64>, scale: f64) -> bool {
    let first = values.next();
    first.is_none_or(|first| values.all(|value| (value - first).abs() <= ROUNDING * scale))
}

/// The Cholesky factor of a positive semidefinite matrix, in its place.
fn factorise(matrix: &mut [f64], n: usize) {
    for j in 0..n {
        let (variance, row) = (matrix[j * n + j], j * n..j * n + j);
        let left = variance - dot(&matrix[row.clone()], &matrix[row.clone()]);
        let pivot = if left > ROUNDING * variance {
            left.sqrt()
        } else {
            0.0
        };
        matrix[j * n + j] = pivot;
        for i in j + 1..n {
            let known = dot(&matrix[i * n..i * n + j], &matrix[row.clone()]);
            let rest = matrix[i * n + j] - known;
            matrix[i * n + j] = if pivot > 0.0 { rest / pivot } else { 0.0 };
        }
    }
}

/// Two independent standard normal numbers (Marsaglia's polar method).
fn normal_pair(random: &mut Xoshiro256PlusPlus) -> (f64, f64) {
    loop {
        let u = 2.0 * unit_interval(random.next_u64()) - 1.0;
        let v = 2.0 * unit_interval(random.next_u64()) - 1.0;
        let s = u * u + v * v;
        if s > 0.0 && s < 1.0 {
            let scale = (-2.0 * math::ln(s) / s).sqrt();
            return (u * scale, v * scale);
        }
    }
}

impl Policy for SharedLinear {
    fn name(&self) -> &str {
        match self.rule {
            SharedRule::Ucb { .. } => Self::UCB,
            SharedRule::Thompson { .. } => Self::THOMPSON,
        }
    }

    fn arms(&self) -> usize {
        self.features.len()
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.dimensions)
    }

    fn needs_costs(&self) -> bool {
        self.config.reward.weighs_costs()
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
        check_context(request.context, self.dimensions)?;
        let arms = self.arms();
        let Workspace {
            floats,
            singles,
            more: table,
            more_singles,
            ..
        } = work;
        table.clear();
        table.resize(arms, f64::NEG_INFINITY);
        let wide = crate::inverse_factor::padded(self.weights().len());
        for arm in 0..arms {
            let reward = if request.eligible[arm] {
                self.expect(arm, request, floats, singles, more_singles, table)?
            } else {
                None
            };
            if let Some(reward) = reward {
                table[arm] = reward;
            } else {
                table.resize(table.len() + wide, 0.0);
            }
        }
        match self.rule {
            SharedRule::Ucb { alpha } => {
                let (scores, whitened) = table.split_at_mut(arms);
                for (score, y) in scores.iter_mut().zip(whitened.chunks_exact(wide)) {
                    *score += alpha * dot(y, y).sqrt();
                }
                ranking::best(scores, out)
            }
            SharedRule::Thompson { scale } => {
                if table[..arms].iter().all(|r| *r == f64::NEG_INFINITY) {
                    return Err(PolicyError::NothingEligible);
                }
                thompson(scale, self.seed(request.context), table, out, floats);
                Ok(())
            }
        }
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        check_context(request.context, self.dimensions)?;
        out.clear();
        for arm in 0..self.arms() {
            self.join(arm, request.context, &mut work.floats);
            single(1.0, &work.floats, &mut work.singles);
            let regression = &self.regression;
            let (mean, spread) =
                regression.predict(&work.floats, &work.singles, &mut work.more_singles);
            if !(mean.is_finite() && spread.is_finite()) {
                return Err(PolicyError::Singular { arm });
            }
            let penalty = self.config.reward.penalty(request.costs[arm]);
            let penalty = penalty.filter(|_| request.eligible[arm]);
            let width = match self.rule {
                SharedRule::Ucb { alpha } => alpha * spread.sqrt(),
                SharedRule::Thompson { .. } => 0.0,
            };
            out.push(Estimate {
                quality: Some(Prediction {
                    mean: mean.clamp(0.0, 1.0),
                    variance: NOISE * spread,
                }),
                score: penalty.map_or(f64::NEG_INFINITY, |penalty| mean - penalty + width),
                feasible: penalty.is_some(),
            });
        }
        Ok(())
    }

    fn check(&self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        check_arm(self, outcome)?;
        check_context(context, self.dimensions)
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)?;
        let Some(quality) = outcome.quality else {
            return Ok(());
        };
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut z = std::mem::take(&mut scratch.features);
        self.join(outcome.arm, context, &mut z);
        let (ridge, weight) = (self.config.ridge(), outcome.weight);
        let regression = self.regression.make_mut();
        regression.learn(ridge, &z, quality.get(), weight, &mut scratch);
        scratch.features = z;
        self.scratch = scratch;
        Ok(())
    }

    /// Refused: a new arm's features are not known here.
    fn add_arm(&mut self, _: &ArmPrior) -> Result<(), PolicyError> {
        Err(PolicyError::FixedArms {
            policy: self.name().to_owned(),
        })
    }

    fn state(&self) -> Vec<u8> {
        encode_state(self)
    }

    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

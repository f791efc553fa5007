//! Decision rules: which arm the predictions speak for.

use serde::{Deserialize, Serialize};

use crate::math;
use crate::units::ArmId;

/// What a rule knows about one arm for one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmScore {
    /// The arm.
    pub arm: ArmId,
    /// Expected quality in [0, 1], calibrated.
    pub quality: f64,
    /// Variance of that expectation.
    pub variance: f64,
    /// Expected cost in US dollars; `None`: unpriced.
    pub expected_cost: Option<f64>,
    /// Whether the arm may answer this request.
    pub eligible: bool,
}

/// A decision rule, ready to use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// R1: the cheapest arm whose quality reaches the floor with probability 1 − δ.
    PerRequestFloor(PerRequestFloor),
    /// R2: the arm of least relative cost − λ·quality, so that the floor holds on average.
    AverageFloor(AverageFloor),
    /// R2 for most requests, one known arm for a fixed share of them, so that any average between
    /// the two can be met.
    Anchored {
        /// R2.
        rule: AverageFloor,
        /// The arm of the other requests.
        arm: ArmId,
        /// Their share, in [0, 1].
        share: f64,
    },
    /// One arm for everything.
    Fixed(ArmId),
    /// Arms at random with fixed shares, renormalised over the eligible ones.
    Mix(Vec<(ArmId, f64)>),
}

/// R1: argmin `E[c]` over `{a : P(q_a(x) ≥ τ) ≥ 1 − δ}`, normal approximation.
///
/// When no arm qualifies, the arm of highest predicted quality answers, flagged infeasible.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PerRequestFloor {
    /// τ in [0, 1].
    pub quality: f64,
    /// δ in (0, 1): accepted probability of falling below τ.
    pub delta: f64,
}

/// R2: argmin E\[c\]/scale − λ·q, with λ one of two values so that any average can be met.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AverageFloor {
    /// λ ≥ 0 used with probability 1 − `share_high`, in relative cost per quality.
    pub lambda_low: f64,
    /// λ ≥ 0 used with probability `share_high`.
    pub lambda_high: f64,
    /// Share of requests decided under `lambda_high`, in [0, 1].
    pub share_high: f64,
    /// Reference cost in US dollars, > 0: what costs are divided by.
    pub cost_scale: f64,
}

/// Why a rule cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// A parameter is out of range.
    #[error("rule parameter `{name}` must be in {allowed}, got {got}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value as given.
        got: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The rule names an arm that the router does not have.
    #[error("the rule names arm `{arm}`, which the router does not have")]
    UnknownArm {
        /// The arm.
        arm: ArmId,
    },
}

impl RuleError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Parameter { .. } => "P0150",
            Self::UnknownArm { .. } => "P0151",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Parameter { .. } => "choose a value in the allowed range",
            Self::UnknownArm { .. } => "check the arm's spelling, or add it to the router",
        }
    }
}

/// A part of a rule's answer: with probability `share`, the arms of highest utility.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Component {
    pub(crate) share: f64,
    /// Utility per arm; −∞ for arms that may not answer.
    pub(crate) utility: Vec<f64>,
}

/// What a rule answers for one request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Verdict {
    /// Arms by utility; exploration may apply.
    Ranked {
        components: Vec<Component>,
        infeasible: bool,
    },
    /// Fixed probabilities; nothing is explored.
    Stated(Vec<f64>),
    /// No arm of the rule may answer.
    Nothing,
}

impl Rule {
    /// Whether the rule weighs costs, so that every arm needs a price.
    #[must_use]
    pub fn needs_costs(&self) -> bool {
        matches!(
            self,
            Self::PerRequestFloor(_) | Self::AverageFloor(_) | Self::Anchored { .. }
        )
    }

    /// Checks parameters and arms.
    pub(crate) fn check(&self, known: &[ArmId]) -> Result<(), RuleError> {
        let within = |ok: bool, name, got, allowed| {
            if ok {
                Ok(())
            } else {
                Err(RuleError::Parameter { name, got, allowed })
            }
        };
        let arm = |arm: &ArmId| {
            let found = known.contains(arm);
            if found {
                Ok(())
            } else {
                Err(RuleError::UnknownArm { arm: arm.clone() })
            }
        };
        match self {
            Self::PerRequestFloor(PerRequestFloor { quality, delta }) => {
                within((0.0..=1.0).contains(quality), "quality", *quality, "[0, 1]")?;
                within(*delta > 0.0 && *delta < 1.0, "delta", *delta, "(0, 1)")
            }
            Self::AverageFloor(rule) => rule.check(),
            Self::Anchored {
                rule,
                arm: anchor,
                share,
            } => {
                rule.check()?;
                arm(anchor)?;
                within((0.0..=1.0).contains(share), "share", *share, "[0, 1]")
            }
            Self::Fixed(fixed) => arm(fixed),
            Self::Mix(shares) => {
                for (name, share) in shares {
                    arm(name)?;
                    within((0.0..=1.0).contains(share), "share", *share, "[0, 1]")?;
                }
                let total: f64 = shares.iter().map(|(_, share)| share).sum();
                within(
                    (total - 1.0).abs() <= 1e-9,
                    "sum of shares",
                    total,
                    "[1, 1]",
                )
            }
        }
    }

    /// Which arms the scores speak for.
    pub(crate) fn judge(&self, scores: &[ArmScore]) -> Verdict {
        if !scores.iter().any(|s| s.eligible) {
            return Verdict::Nothing;
        }
        match self {
            Self::PerRequestFloor(rule) => rule.judge(scores),
            Self::AverageFloor(rule) => rule.judge(scores),
            Self::Anchored { rule, arm, share } => rule.judge_anchored(scores, arm, *share),
            Self::Fixed(arm) => stated(scores, |s| f64::from(u8::from(s.arm == *arm))),
            Self::Mix(shares) => stated(scores, |s| {
                shares
                    .iter()
                    .filter(|(arm, _)| *arm == s.arm)
                    .map(|(_, share)| share)
                    .sum()
            }),
        }
    }
}

/// Largest λ: beyond it cost no longer counts beside quality.
pub const LAMBDA_MAX: f64 = 1e12;

fn stated(scores: &[ArmScore], share: impl Fn(&ArmScore) -> f64) -> Verdict {
    let weights: Vec<f64> = scores
        .iter()
        .map(|s| if s.eligible { share(s) } else { 0.0 })
        .collect();
    let total: f64 = weights.iter().sum();
    if total > 0.0 {
        Verdict::Stated(weights.iter().map(|w| w / total).collect())
    } else {
        Verdict::Nothing
    }
}

impl PerRequestFloor {
    /// P(q ≥ τ) under a normal with the score's mean and variance.
    #[must_use]
    pub fn probability(&self, score: &ArmScore) -> f64 {
        let gap = score.quality - self.quality;
        if score.variance > 0.0 {
            math::normal_cdf(gap / score.variance.sqrt())
        } else {
            f64::from(u8::from(gap >= 0.0))
        }
    }

    /// Whether the arm may be chosen for its price.
    pub(crate) fn feasible(&self, score: &ArmScore) -> bool {
        score.eligible && self.probability(score) >= 1.0 - self.delta
    }

    fn judge(&self, scores: &[ArmScore]) -> Verdict {
        let cost_max = scores
            .iter()
            .filter_map(|s| s.expected_cost)
            .fold(f64::MIN_POSITIVE, f64::max);
        let cheapest: Vec<f64> = scores
            .iter()
            .map(|s| match s.expected_cost {
                Some(cost) if self.feasible(s) => -cost / cost_max,
                _ => f64::NEG_INFINITY,
            })
            .collect();
        let infeasible = cheapest.iter().all(|u| *u == f64::NEG_INFINITY);
        let utility = if infeasible {
            let best = |s: &ArmScore| {
                if s.eligible {
                    s.quality
                } else {
                    f64::NEG_INFINITY
                }
            };
            scores.iter().map(best).collect()
        } else {
            cheapest
        };
        Verdict::Ranked {
            components: vec![Component {
                share: 1.0,
                utility,
            }],
            infeasible,
        }
    }
}

impl AverageFloor {
    fn check(&self) -> Result<(), RuleError> {
        let rule = self;
        let within = |ok: bool, name, got, allowed| {
            if ok {
                Ok(())
            } else {
                Err(RuleError::Parameter { name, got, allowed })
            }
        };
        let lambda = 0.0..=LAMBDA_MAX;
        let (low, high) = (rule.lambda_low, rule.lambda_high);
        within(lambda.contains(&low), "lambda_low", low, "[0, 1e12]")?;
        within(lambda.contains(&high), "lambda_high", high, "[0, 1e12]")?;
        let share = rule.share_high;
        within((0.0..=1.0).contains(&share), "share_high", share, "[0, 1]")?;
        let scale = rule.cost_scale;
        within(
            (1e-15..=1e15).contains(&scale),
            "cost_scale",
            scale,
            "[1e-15, 1e15]",
        )
    }

    /// R2's components scaled to 1 − `share`, and one for the anchor arm where it may answer.
    fn judge_anchored(&self, scores: &[ArmScore], arm: &ArmId, share: f64) -> Verdict {
        let verdict = self.judge(scores);
        let Verdict::Ranked {
            mut components,
            infeasible,
        } = verdict
        else {
            return verdict;
        };
        if share > 0.0 && scores.iter().any(|s| s.arm == *arm && s.eligible) {
            for component in &mut components {
                component.share *= 1.0 - share;
            }
            let only = |s: &ArmScore| {
                if s.arm == *arm {
                    0.0
                } else {
                    f64::NEG_INFINITY
                }
            };
            let utility = scores.iter().map(only).collect();
            components.push(Component { share, utility });
        }
        Verdict::Ranked {
            components,
            infeasible,
        }
    }

    fn judge(&self, scores: &[ArmScore]) -> Verdict {
        let component = |lambda: f64, share: f64| Component {
            share,
            utility: scores
                .iter()
                .map(|s| match s.expected_cost {
                    Some(cost) if s.eligible => self.utility(lambda, s.quality, cost),
                    _ => f64::NEG_INFINITY,
                })
                .collect(),
        };
        let components: Vec<Component> = [
            (self.lambda_low, 1.0 - self.share_high),
            (self.lambda_high, self.share_high),
        ]
        .into_iter()
        .filter(|(_, share)| *share > 0.0)
        .map(|(lambda, share)| component(lambda, share))
        .collect();
        if components[0]
            .utility
            .iter()
            .all(|u| *u == f64::NEG_INFINITY)
        {
            return Verdict::Nothing;
        }
        Verdict::Ranked {
            components,
            infeasible: false,
        }
    }

    /// (λq − c/scale)/(1 + λ): the rule's aim turned around and kept near [−1, 1].
    #[must_use]
    pub fn utility(&self, lambda: f64, quality: f64, cost_usd: f64) -> f64 {
        (lambda * quality - cost_usd / self.cost_scale) / (1.0 + lambda)
    }
}

/// Online control of λ: λ ← clip(λ + η(τ − q̄)/τ, 0, λmax), q̄ a moving average of quality.
///
/// With propensities, q̄ is importance-weighted: weight π/p with π the decision rule's own
/// probability of the arm, so that explored answers do not count as the rule's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LambdaControl {
    /// τ in (0, 1]: the average quality to hold.
    pub quality: f64,
    /// η > 0: step per outcome.
    pub step: f64,
    /// Share of the newest outcome in the moving average, in (0, 1].
    pub newest: f64,
    /// λmax.
    pub lambda_max: f64,
    /// q̄.
    pub average: f64,
}

impl LambdaControl {
    /// Control towards `quality`, starting as if it were met.
    #[must_use]
    pub const fn new(quality: f64) -> Self {
        Self {
            quality,
            step: 0.05,
            newest: 0.01,
            lambda_max: 100.0,
            average: quality,
        }
    }

    /// Learns one outcome and gives the next λ.
    pub fn step(&mut self, lambda: f64, quality: f64, weight: f64) -> f64 {
        let share = (self.newest * weight).clamp(0.0, 1.0);
        self.average += share * (quality - self.average);
        let gap = (self.quality - self.average) / self.quality;
        (lambda + self.step * gap).clamp(0.0, self.lambda_max)
    }

    pub(crate) fn check(&self) -> Result<(), RuleError> {
        let within = |ok: bool, name, got, allowed| {
            if ok {
                Ok(())
            } else {
                Err(RuleError::Parameter { name, got, allowed })
            }
        };
        let part = |x: f64| x > 0.0 && x <= 1.0;
        within(part(self.quality), "quality", self.quality, "(0, 1]")?;
        within(
            self.step > 0.0 && self.step <= 1e6,
            "step",
            self.step,
            "(0, 1e6]",
        )?;
        within(part(self.newest), "newest", self.newest, "(0, 1]")?;
        let lambda = (0.0..=LAMBDA_MAX).contains(&self.lambda_max);
        within(lambda, "lambda_max", self.lambda_max, "[0, 1e12]")?;
        within(
            (0.0..=1.0).contains(&self.average),
            "average",
            self.average,
            "[0, 1]",
        )
    }
}

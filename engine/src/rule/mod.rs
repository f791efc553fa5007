//! Decision rules: which arm the predictions speak for.

mod average_floor;
mod budget;
mod control;
mod non_inferiority;
mod per_request_floor;

use serde::{Deserialize, Serialize};

use crate::units::ArmId;

pub use average_floor::{AverageFloor, LAMBDA_MAX};
pub use budget::{
    BUDGET_ALPHA, BUDGET_BURST, BUDGET_LAMBDA_COST, BUDGET_LAMBDA_MAX, BUDGET_NEWEST, BUDGET_STEP,
    Budget,
};
pub use control::{
    FLOOR_CREDIT_MAX, FLOOR_DEBT_MAX, LAMBDA_NEWEST, LAMBDA_RELATIVE_MIN, LAMBDA_STEP,
    LambdaControl,
};
pub use non_inferiority::NonInferiority;
pub use per_request_floor::PerRequestFloor;

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
    /// R3: the cheapest arm that is not worse than a reference arm by more than a margin.
    NonInferiority(NonInferiority),
    /// R4: the best quality that a budget per request pays for.
    Budget(Budget),
    /// One arm for everything.
    Fixed(ArmId),
    /// Arms at random with fixed shares, renormalised over the eligible ones.
    Mix(Vec<(ArmId, f64)>),
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

/// `Ok` when a parameter is in its range.
fn within(ok: bool, name: &'static str, got: f64, allowed: &'static str) -> Result<(), RuleError> {
    if ok {
        Ok(())
    } else {
        Err(RuleError::Parameter { name, got, allowed })
    }
}

/// A part of a rule's answer: with probability `share`, the arms of highest utility.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Component {
    pub(crate) share: f64,
    /// Utility per arm; −∞ for arms that may not answer.
    pub(crate) utility: Vec<f64>,
}

/// What a rule answers for one request, in space that is reused.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    answer: Answer,
    /// The first `used` of these count; the others keep their space.
    components: Vec<Component>,
    used: usize,
    stated: Vec<f64>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Answer {
    Ranked {
        infeasible: bool,
    },
    Stated,
    #[default]
    Nothing,
}

/// A verdict as it is read.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Answered<'a> {
    /// Arms by utility; exploration may apply.
    Ranked {
        components: &'a [Component],
        infeasible: bool,
    },
    /// Fixed probabilities; nothing is explored.
    Stated(&'a [f64]),
    /// No arm of the rule may answer.
    Nothing,
}

/// Scratch space of a decision by rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct RuleScratch {
    pub(crate) scores: Vec<ArmScore>,
    pub(crate) verdict: Verdict,
    /// Guarded arms to try.
    pub(crate) trials: Vec<usize>,
    /// Probabilities under one component.
    pub(crate) part: Vec<f64>,
    pub(crate) explored: Vec<f64>,
}

impl Verdict {
    pub(crate) fn read(&self) -> Answered<'_> {
        match self.answer {
            Answer::Ranked { infeasible } => Answered::Ranked {
                components: &self.components[..self.used],
                infeasible,
            },
            Answer::Stated => Answered::Stated(&self.stated),
            Answer::Nothing => Answered::Nothing,
        }
    }

    fn nothing(&mut self) {
        self.answer = Answer::Nothing;
    }

    /// Arms by utility, no component yet.
    fn ranked(&mut self, infeasible: bool) {
        self.answer = Answer::Ranked { infeasible };
        self.used = 0;
    }

    /// One component more.
    fn add(&mut self, share: f64, utility: impl Iterator<Item = f64>) {
        if self.used == self.components.len() {
            self.components.push(Component {
                share,
                utility: Vec::new(),
            });
        }
        let component = &mut self.components[self.used];
        component.share = share;
        component.utility.clear();
        component.utility.extend(utility);
        self.used += 1;
    }

    /// Whether the last component added rules every arm out.
    fn is_void(&self) -> bool {
        let last = &self.components[self.used - 1];
        last.utility.iter().all(|u| *u == f64::NEG_INFINITY)
    }

    /// Multiplies the components' shares.
    fn scale(&mut self, factor: f64) {
        for component in &mut self.components[..self.used] {
            component.share *= factor;
        }
    }

    /// One component: the cheapest of the feasible arms, or of highest quality where none is.
    fn cheapest(&mut self, scores: &[ArmScore], feasible: impl Fn(&ArmScore) -> bool) {
        let cost_max = scores
            .iter()
            .filter_map(|s| s.expected_cost)
            .fold(f64::MIN_POSITIVE, f64::max);
        let cheapest = |s: &ArmScore| match s.expected_cost {
            Some(cost) if feasible(s) => -cost / cost_max,
            _ => f64::NEG_INFINITY,
        };
        self.ranked(false);
        self.add(1.0, scores.iter().map(cheapest));
        if self.is_void() {
            self.best_quality(scores);
        }
    }

    /// The eligible arm of highest expected quality, flagged as infeasible.
    fn best_quality(&mut self, scores: &[ArmScore]) {
        if !scores.iter().any(|s| s.eligible) {
            return self.nothing();
        }
        let quality = |s: &ArmScore| {
            if s.eligible {
                s.quality
            } else {
                f64::NEG_INFINITY
            }
        };
        self.ranked(true);
        self.add(1.0, scores.iter().map(quality));
    }

    /// Fixed shares, renormalised over the eligible arms.
    fn state(&mut self, scores: &[ArmScore], share: impl Fn(&ArmScore) -> f64) {
        let weight = |s: &ArmScore| if s.eligible { share(s) } else { 0.0 };
        self.stated.clear();
        self.stated.extend(scores.iter().map(weight));
        let total: f64 = self.stated.iter().sum();
        if total > 0.0 {
            self.stated.iter_mut().for_each(|w| *w /= total);
            self.answer = Answer::Stated;
        } else {
            self.nothing();
        }
    }
}

impl Rule {
    /// Whether the rule weighs costs, so that every arm needs a price.
    #[must_use]
    pub fn needs_costs(&self) -> bool {
        matches!(
            self,
            Self::PerRequestFloor(_)
                | Self::AverageFloor(_)
                | Self::Anchored { .. }
                | Self::NonInferiority(_)
                | Self::Budget(_)
        )
    }

    /// Whether the rule ranks arms, instead of stating their shares.
    pub(crate) fn ranks(&self) -> bool {
        !matches!(self, Self::Fixed(_) | Self::Mix(_))
    }

    /// Whether the rule weighs how surely a quality is known.
    pub(crate) fn needs_variances(&self) -> bool {
        matches!(
            self,
            Self::PerRequestFloor(_) | Self::NonInferiority(_) | Self::Budget(_)
        )
    }

    /// Checks parameters and arms.
    pub(crate) fn check(&self, known: &[ArmId]) -> Result<(), RuleError> {
        let arm = |arm: &ArmId| {
            let found = known.contains(arm);
            if found {
                Ok(())
            } else {
                Err(RuleError::UnknownArm { arm: arm.clone() })
            }
        };
        match self {
            Self::PerRequestFloor(rule) => rule.check(),
            Self::AverageFloor(rule) => rule.check(),
            Self::NonInferiority(rule) => {
                arm(&rule.reference)?;
                rule.check()
            }
            Self::Budget(rule) => rule.check(),
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

    /// Whether an arm that is not proven yet may be tried without endangering what the rule
    /// promises: R1 and R3, when it may plausibly meet the condition; R2, while the controlled
    /// average is not below the line, or the balance owes little; R4, when the bucket pays for it. A floor of the request's own
    /// must be plausible too.
    pub(crate) fn keeps_slack(
        &self,
        score: &ArmScore,
        scores: &[ArmScore],
        control: Option<&LambdaControl>,
        floor: Option<f64>,
    ) -> bool {
        let highest = score.quality + 2.0 * score.variance.sqrt();
        let Some(cost) = score.expected_cost else {
            return false;
        };
        let plausible = floor.is_none_or(|floor| highest >= floor);
        plausible
            && match self {
                Self::PerRequestFloor(rule) => floor.is_some() || highest >= rule.quality,
                Self::AverageFloor(_) | Self::Anchored { .. } => {
                    control.is_none_or(LambdaControl::keeps_slack)
                }
                Self::NonInferiority(rule) => rule.chance_of(score, scores) > rule.delta,
                Self::Budget(rule) => rule.affords(cost),
                Self::Fixed(_) | Self::Mix(_) => false,
            }
    }

    /// Which arms the scores speak for, with a floor of the request's own or none.
    ///
    /// Under R1 that floor replaces the rule's. Under the other rules that rank, arms below it are
    /// marked as not eligible in `scores`: R3 asks for it with probability 1 − δ, R2 and R4 of the
    /// expected quality. Where no arm reaches it, the one of highest expected quality answers.
    pub(crate) fn judge(&self, scores: &mut [ArmScore], floor: Option<f64>, out: &mut Verdict) {
        let Some(floor) = floor.filter(|_| self.ranks()) else {
            return self.judge_plain(scores, out);
        };
        if let Self::PerRequestFloor(rule) = self {
            return rule.at(floor).judge_if_any(scores, out);
        }
        let reaches = |s: &ArmScore| match self {
            Self::NonInferiority(rule) => {
                let (quality, delta) = (floor, rule.delta);
                PerRequestFloor { quality, delta }.feasible(s)
            }
            _ => s.eligible && s.quality >= floor,
        };
        if !scores.iter().any(reaches) {
            return out.best_quality(scores);
        }
        for score in scores.iter_mut() {
            score.eligible = reaches(score);
        }
        self.judge_plain(scores, out);
    }

    fn judge_plain(&self, scores: &[ArmScore], out: &mut Verdict) {
        if !scores.iter().any(|s| s.eligible) {
            return out.nothing();
        }
        match self {
            Self::PerRequestFloor(rule) => rule.judge(scores, out),
            Self::AverageFloor(rule) => rule.judge(scores, out),
            Self::NonInferiority(rule) => rule.judge(scores, out),
            Self::Budget(rule) => rule.judge(scores, out),
            Self::Anchored { rule, arm, share } => rule.judge_anchored(scores, arm, *share, out),
            Self::Fixed(arm) => out.state(scores, |s| f64::from(u8::from(s.arm == *arm))),
            Self::Mix(shares) => out.state(scores, |s| {
                shares
                    .iter()
                    .filter(|(arm, _)| *arm == s.arm)
                    .map(|(_, share)| share)
                    .sum()
            }),
        }
    }
}

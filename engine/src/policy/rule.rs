//! The policy that Plimsoll is named for: a predictor of quality, a decision rule that draws the
//! line, and exploration around it.

use serde::{Deserialize, Serialize};

use super::guard::{self, Guard};
use super::state::sound;
use super::{
    ArmPrior, Drawn, Estimate, Outcome, Policy, PolicyError, Request, Workspace, decode_state,
    encode_state,
};
use crate::calibration::Calibration;
use crate::context::Context;
use crate::decision::{Reason, Saving};
use crate::exploration::{Exploration, ExplorationKind};
use crate::money::Usd;
use crate::predictor::{CustomLoader, Detail, Prediction, Predictor};
use crate::rule::{Answered, ArmScore, LambdaControl, PerRequestFloor, Rule, RuleScratch};
use crate::units::{ArmId, Propensity};

/// What a [`RulePolicy`] is made of.
#[derive(Clone, Debug)]
pub struct RuleParts {
    /// The arms' names, shape (K); every other part counts arms in this order.
    pub arms: Vec<ArmId>,
    /// Quality per arm.
    pub predictor: Predictor,
    /// One calibration per arm, shape (K); empty: none.
    pub calibration: Vec<Calibration>,
    /// The decision rule.
    pub rule: Rule,
    /// How other arms are tried.
    pub exploration: Exploration,
    /// Online control of an average floor's λ; `None`: λ stays.
    pub control: Option<LambdaControl>,
}

/// A predictor of quality, one of the rules of [`Rule`], and exploration with exact propensities.
///
/// For every request: predictions are calibrated, the rule turns them and the expected costs into
/// utilities, and [`Exploration`] moves a known share of probability to other safe arms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RulePolicy {
    arms: Vec<ArmId>,
    predictor: Predictor,
    calibration: Vec<Calibration>,
    rule: Rule,
    exploration: Exploration,
    control: Option<LambdaControl>,
    /// New arms that are still tried under guard.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    guards: Vec<Guard>,
}

impl RulePolicy {
    pub(crate) const NAME: &'static str = "rule";

    /// The policy of these parts.
    ///
    /// # Errors
    /// [`PolicyError`] when the parts do not fit together or a parameter is out of range.
    pub fn new(parts: RuleParts) -> Result<Self, PolicyError> {
        let RuleParts {
            arms,
            predictor,
            calibration,
            rule,
            exploration,
            control,
        } = parts;
        let calibration = if calibration.is_empty() {
            vec![Calibration::None; arms.len()]
        } else {
            calibration
        };
        let policy = Self {
            arms,
            predictor,
            calibration,
            rule,
            exploration,
            control,
            guards: Vec::new(),
        };
        policy.check_parts()?;
        Ok(policy)
    }

    fn check_parts(&self) -> Result<(), PolicyError> {
        let expected = self.arms.len();
        if expected == 0 {
            return Err(PolicyError::NoArms);
        }
        let fits = |part, got: usize| {
            if got == expected {
                Ok(())
            } else {
                Err(PolicyError::Shape {
                    part,
                    got,
                    expected,
                })
            }
        };
        fits("arms of the predictor", self.predictor.arms())?;
        fits("number of calibrations", self.calibration.len())?;
        self.rule.check(&self.arms)?;
        self.exploration.validate()?;
        if let Some(control) = &self.control {
            control.check()?;
        }
        if let Some(guard) = self.guards.iter().find(|guard| guard.arm >= expected) {
            let (got, arms) = (guard.arm, expected);
            return Err(PolicyError::Arm { got, arms });
        }
        Ok(())
    }

    /// Whether a restored policy can be used without running out of bounds.
    pub(crate) fn is_sound(&self) -> bool {
        self.check_parts().is_ok()
            && self.predictor.is_sound()
            && self.calibration.iter().all(Calibration::is_sound)
    }

    /// The policy of its [`state`](Policy::state), where a custom predictor is part of it: `make`
    /// gets the predictor's name and state.
    ///
    /// # Errors
    /// [`PolicyError::State`] when the bytes hold no such policy; and `make`'s.
    pub fn restore(bytes: &[u8], make: &CustomLoader<'_>) -> Result<Self, PolicyError> {
        let mut policy: Self = decode_state(Self::NAME, bytes)?;
        policy.predictor.load(make)?;
        sound(policy, Self::is_sound)
    }

    /// The predictor of quality.
    #[must_use]
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// The decision rule.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The exploration.
    #[must_use]
    pub fn exploration(&self) -> &Exploration {
        &self.exploration
    }

    /// The online control of λ, as it stands.
    #[must_use]
    pub fn control(&self) -> Option<&LambdaControl> {
        self.control.as_ref()
    }

    /// Replaces the rule.
    ///
    /// # Errors
    /// [`PolicyError`] when the rule does not fit; the old one stays then.
    pub fn set_rule(&mut self, rule: Rule) -> Result<(), PolicyError> {
        rule.check(&self.arms)?;
        self.rule = rule;
        Ok(())
    }

    /// Replaces the exploration.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range; the old one stays then.
    pub fn set_exploration(&mut self, exploration: Exploration) -> Result<(), PolicyError> {
        exploration.validate()?;
        self.exploration = exploration;
        Ok(())
    }

    /// Tries an arm under guard for its next [`GUARDED_PULLS`](crate::GUARDED_PULLS) labelled
    /// outcomes: the rule does not choose it, and it gets at most
    /// [`GUARD_SHARE`](crate::GUARD_SHARE) of the requests on which the rule's promise keeps slack.
    ///
    /// # Errors
    /// [`PolicyError::Arm`] when there is no such arm.
    pub fn guard_arm(&mut self, arm: usize) -> Result<(), PolicyError> {
        let arms = self.arms.len();
        if arm >= arms {
            return Err(PolicyError::Arm { got: arm, arms });
        }
        guard::start(&mut self.guards, arm);
        Ok(())
    }

    /// Whether the arm is still tried under guard.
    #[must_use]
    pub fn is_guarded(&self, arm: usize) -> bool {
        self.guards.iter().any(|guard| guard.arm == arm)
    }

    /// The rule's answer for the request, and the guarded arms to try beside it, into `own`.
    ///
    /// Guarded arms and arms below the request's own floor lose their eligibility in the scores.
    fn judge(&self, request: &Request<'_>, own: &mut RuleScratch) {
        let RuleScratch {
            scores,
            verdict,
            trials,
            ..
        } = own;
        trials.clear();
        if self.rule.ranks() {
            guard::set_apart(&self.guards, scores, trials);
        }
        let control = self.control.as_ref();
        trials.retain(|arm| {
            let score = &scores[*arm];
            self.rule.keeps_slack(score, scores, control, request.floor)
        });
        self.rule.judge(scores, request.floor, verdict);
    }

    /// What the rule knows of each arm, shape (K), into the scores of `work`.
    fn score(
        &self,
        detail: Detail,
        request: &Request<'_>,
        work: &mut Workspace,
    ) -> Result<(), PolicyError> {
        let Workspace {
            predictions,
            predict,
            rule,
            ..
        } = work;
        self.predictor
            .predict_as(detail, request.context, predict, predictions)?;
        let scores = &mut rule.scores;
        // Names are taken over once: cloning them would make threads fight for their counters.
        if !scores.iter().map(|s| &s.arm).eq(&self.arms) {
            scores.clear();
            scores.extend(self.arms.iter().map(|arm| ArmScore {
                arm: arm.clone(),
                quality: 0.0,
                variance: 0.0,
                expected_cost: None,
                eligible: false,
            }));
        }
        for (arm, score) in scores.iter_mut().enumerate() {
            let calibrated = self.calibration[arm].apply_to(predictions[arm]);
            score.quality = calibrated.mean;
            score.variance = calibrated.variance;
            score.expected_cost = request.costs[arm];
            score.eligible = request.eligible[arm];
        }
        Ok(())
    }

    /// Variances are needed by some rules, for guarded arms and by a floor under exploration.
    fn detail(&self) -> Detail {
        let guarded = self.exploration.kind != ExplorationKind::None
            && self.exploration.quality_min.is_some();
        if self.rule.needs_variances() || guarded || !self.guards.is_empty() {
            Detail::Full
        } else {
            Detail::Means
        }
    }

    fn adapt(&mut self, quality: f64, weight: f64) {
        if let (Some(control), Rule::AverageFloor(rule)) = (&mut self.control, &mut self.rule) {
            let lambda = rule.lambda_low + rule.share_high * (rule.lambda_high - rule.lambda_low);
            let next = control.step(lambda, quality, weight);
            (rule.lambda_low, rule.lambda_high, rule.share_high) = (next, next, 0.0);
        }
    }

    /// A bill counts whether or not a label ever comes.
    fn pay(&mut self, outcome: &Outcome) {
        if let (Rule::Budget(rule), Some(cost)) = (&mut self.rule, outcome.cost) {
            rule.pay(cost);
        }
    }

    fn rule_reason(
        &self,
        verdict: Answered<'_>,
        scores: &[ArmScore],
        drawn: Drawn<'_>,
        floor: Option<f64>,
    ) -> Reason {
        let chosen = drawn.arm;
        let probability = drawn.probabilities[chosen];
        let Answered::Ranked {
            components,
            infeasible,
        } = verdict
        else {
            return match self.rule {
                Rule::Mix(_) => Reason::Mixed { share: probability },
                _ => Reason::Fixed,
            };
        };
        let wins = |utility: &[f64]| {
            utility.iter().all(|other| *other <= utility[chosen]) && utility[chosen].is_finite()
        };
        let Some(part) = components.iter().position(|c| wins(&c.utility)) else {
            let utility = &components[0].utility;
            let best =
                (0..utility.len()).fold(0, |a, b| if utility[b] > utility[a] { b } else { a });
            let instead_of = scores[best].arm.clone();
            return Reason::Explored {
                instead_of,
                probability,
            };
        };
        let score = &scores[chosen];
        let saving = saving(scores, score);
        let missed = floor.filter(|floor| infeasible && score.quality < *floor);
        if let Some(floor) = missed {
            return infeasible_reason(floor, score);
        }
        match &self.rule {
            Rule::PerRequestFloor(rule) => {
                let floor = floor.unwrap_or(rule.quality);
                if infeasible {
                    return infeasible_reason(floor, score);
                }
                Reason::CheapestAboveFloor {
                    floor,
                    probability: chance_of(floor, score),
                    saving,
                }
            }
            Rule::NonInferiority(rule) => {
                if infeasible {
                    let reference = scores.iter().find(|s| s.arm == rule.reference);
                    let reached = reference.map_or(0.0, |s| s.quality) - rule.margin;
                    return infeasible_reason(reached.max(0.0), score);
                }
                Reason::NotInferior {
                    reference: rule.reference.clone(),
                    margin: rule.margin,
                    probability: rule.chance_of(score, scores),
                    saving,
                }
            }
            Rule::Budget(rule) if infeasible => Reason::OverBudget {
                bucket_usd: rule.bucket.as_f64(),
            },
            Rule::Budget(rule) => Reason::WithinBudget {
                lambda: rule.lambda_cost + rule.lambda,
                quality: score.quality,
                saving,
            },
            Rule::AverageFloor(rule) => {
                // With one component, it is the high one exactly when its share is 1.
                let high = part == 1 || rule.share_high >= 1.0;
                let lambda = if high {
                    rule.lambda_high
                } else {
                    rule.lambda_low
                };
                Reason::BestTrade {
                    lambda,
                    quality: score.quality,
                    saving,
                }
            }
            Rule::Anchored { share, arm, .. }
                if part + 1 == components.len() && *share > 0.0 && score.arm == *arm =>
            {
                Reason::Anchored { share: *share }
            }
            Rule::Anchored { rule, .. } => Reason::BestTrade {
                lambda: rule.lambda_low,
                quality: score.quality,
                saving,
            },
            Rule::Fixed(_) | Rule::Mix(_) => Reason::Fixed,
        }
    }
}

fn check_cost(outcome: &Outcome) -> Result<(), PolicyError> {
    match outcome.cost {
        Some(cost) if cost < Usd::ZERO => Err(PolicyError::Parameter {
            name: "cost",
            got: cost.as_f64(),
            allowed: "[0, ∞)",
        }),
        _ => Ok(()),
    }
}

/// P(q ≥ floor) under a normal with the score's mean and variance.
fn chance_of(floor: f64, score: &ArmScore) -> f64 {
    let (quality, delta) = (floor, 0.5);
    PerRequestFloor { quality, delta }.probability(score)
}

fn infeasible_reason(floor: f64, score: &ArmScore) -> Reason {
    Reason::Infeasible {
        floor,
        probability: chance_of(floor, score),
    }
}

impl Policy for RulePolicy {
    fn name(&self) -> &str {
        self.predictor.custom_name().unwrap_or(Self::NAME)
    }

    fn arms(&self) -> usize {
        self.arms.len()
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.predictor.dimensions())
    }

    fn needs_costs(&self) -> bool {
        self.rule.needs_costs()
    }

    fn distribution(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        self.score(self.detail(), request, work)?;
        let own = &mut work.rule;
        self.judge(request, own);
        match own.verdict.read() {
            Answered::Nothing => return Err(PolicyError::NothingEligible),
            Answered::Stated(probabilities) => out.copy_from_slice(probabilities),
            Answered::Ranked { components, .. } => {
                for component in components {
                    self.exploration.spread(
                        component,
                        &own.scores,
                        &mut own.explored,
                        &mut own.part,
                    );
                    crate::linalg::axpy(component.share, &own.part, out);
                }
            }
        }
        guard::share(&own.trials, out);
        Ok(())
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        self.score(Detail::Full, request, work)?;
        let own = &mut work.rule;
        self.judge(request, own);
        let scores = &own.scores;
        let estimate = |(arm, score): (usize, &ArmScore)| Estimate {
            quality: Some(Prediction {
                mean: score.quality,
                variance: score.variance,
            }),
            score: match own.verdict.read() {
                Answered::Ranked { components, .. } => components[0].utility[arm],
                Answered::Stated(shares) => shares[arm],
                Answered::Nothing => f64::NEG_INFINITY,
            },
            feasible: match &self.rule {
                Rule::PerRequestFloor(rule) => match request.floor {
                    Some(floor) => score.eligible && chance_of(floor, score) >= 1.0 - rule.delta,
                    None => rule.feasible(score),
                },
                Rule::NonInferiority(rule) => rule.feasible(score, scores),
                Rule::Budget(rule) => {
                    score.eligible && score.expected_cost.is_some_and(|cost| rule.affords(cost))
                }
                _ => score.eligible,
            },
        };
        out.clear();
        out.extend(scores.iter().enumerate().map(estimate));
        Ok(())
    }

    fn reason(&self, request: &Request<'_>, _: &[ArmId], drawn: Drawn<'_>) -> Reason {
        let detail = if request.floor.is_some() {
            Detail::Full
        } else {
            self.detail()
        };
        let mut work = Workspace::default();
        self.score(detail, request, &mut work)
            .expect("a request that was decided can be scored");
        let mut own = work.rule;
        self.judge(request, &mut own);
        self.rule_reason(own.verdict.read(), &own.scores, drawn, request.floor)
    }

    fn policy_chance(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        arm: usize,
    ) -> Option<f64> {
        self.control?;
        if !self.rule.ranks() {
            return None;
        }
        let mut out = vec![0.0; self.arms.len()];
        self.distribution(request, work, &mut out).ok()?;
        Some(out[arm])
    }

    fn check(&self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.predictor
            .check_outcome(context, outcome.arm, outcome.weight)?;
        check_cost(outcome)
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        let Some(quality) = outcome.quality else {
            self.check(context, outcome)?;
            self.pay(outcome);
            return Ok(());
        };
        check_cost(outcome)?;
        self.predictor
            .update(context, outcome.arm, quality, outcome.weight)?;
        self.pay(outcome);
        guard::count(&mut self.guards, outcome.arm);
        if let Some(chance) = outcome.policy_chance {
            let propensity = outcome.propensity.map_or(1.0, Propensity::get);
            self.adapt(quality.get(), outcome.weight * chance / propensity);
        }
        Ok(())
    }

    fn heeds_floor(&self) -> bool {
        self.rule.ranks()
    }

    fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PolicyError> {
        prior.check(self.arms.len())?;
        if self.arms.contains(&prior.id) {
            let arm = prior.id.clone();
            return Err(PolicyError::DuplicateArm { arm });
        }
        self.predictor.add_arm(prior)?;
        let calibration = prior.like.map(|like| self.calibration[like].clone());
        self.calibration.push(calibration.unwrap_or_default());
        self.arms.push(prior.id.clone());
        self.guard_arm(self.arms.len() - 1)
    }

    fn state(&self) -> Vec<u8> {
        encode_state(self)
    }

    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

/// What the chosen arm saves against the eligible arm of highest expected quality.
fn saving(scores: &[ArmScore], chosen: &ArmScore) -> Option<Saving> {
    let best = scores
        .iter()
        .filter(|s| s.eligible)
        .reduce(|best, s| if s.quality > best.quality { s } else { best })?;
    let (own, reference) = (chosen.expected_cost?, best.expected_cost?);
    let share = if reference > 0.0 {
        1.0 - own / reference
    } else {
        0.0
    };
    (share > 0.0).then(|| Saving {
        against: best.arm.clone(),
        share,
    })
}

//! The router: a policy as it runs. It decides, learns, and can be stored and resumed.

use serde::{Deserialize, Serialize};

use crate::arm::ArmSpec;
use crate::calibration::Calibration;
use crate::context::{Context, ContextError};
use crate::cost::{CostError, CostPredictor, CostRow};
use crate::decision::{Decision, Reason, Saving};
use crate::distribution::Distribution;
use crate::exploration::{Exploration, ExplorationKind};
use crate::features::{FeatureMap, RawContext};
use crate::feedback::Feedback;
use crate::money::Usd;
use crate::predictor::{Detail, Prediction, Predictor};
use crate::router_error::{DecideError, FeedbackError, RouterError};
use crate::rule::{ArmScore, LambdaControl, Rule, Verdict};
use crate::units::{ArmId, Propensity, Seed};

/// What a router is made of. [`Router::new`] checks that the parts fit together.
#[derive(Clone, Debug)]
pub struct RouterParts {
    /// The arms, shape (K); every other part counts arms in this order.
    pub arms: Vec<ArmSpec>,
    /// How requests become contexts; `None`: the caller makes contexts.
    pub features: Option<FeatureMap>,
    /// Quality per arm.
    pub predictor: Predictor,
    /// One calibration per arm, shape (K); empty: none.
    pub calibration: Vec<Calibration>,
    /// Cost per arm.
    pub cost: CostPredictor,
    /// The decision rule.
    pub rule: Rule,
    /// How other arms are tried.
    pub exploration: Exploration,
    /// Online control of an average floor's λ; `None`: λ stays.
    pub control: Option<LambdaControl>,
}

/// A policy as it runs: equal state, context, key and seed give an equal decision, anywhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Router {
    arms: Vec<ArmSpec>,
    features: Option<FeatureMap>,
    predictor: Predictor,
    calibration: Vec<Calibration>,
    cost: CostPredictor,
    rule: Rule,
    exploration: Exploration,
    control: Option<LambdaControl>,
    /// Outcomes learned.
    epoch: u64,
}

/// What the rule and the exploration make of one request.
struct Plan {
    scores: Vec<ArmScore>,
    verdict: Verdict,
    distribution: Distribution,
}

impl Router {
    /// The router of these parts.
    ///
    /// # Errors
    /// [`RouterError`] when the parts do not fit together, a parameter is out of range, or the
    /// rule weighs costs and an arm in service is unpriced.
    pub fn new(parts: RouterParts) -> Result<Self, RouterError> {
        let RouterParts {
            arms,
            features,
            predictor,
            calibration,
            cost,
            rule,
            exploration,
            control,
        } = parts;
        let calibration = if calibration.is_empty() {
            vec![Calibration::None; arms.len()]
        } else {
            calibration
        };
        let router = Self {
            arms,
            features,
            predictor,
            calibration,
            cost,
            rule,
            exploration,
            control,
            epoch: 0,
        };
        router.check()?;
        Ok(router)
    }

    fn check(&self) -> Result<(), RouterError> {
        let expected = self.arms.len();
        if expected == 0 {
            return Err(RouterError::NoArms);
        }
        let mut names: Vec<ArmId> = self.arms.iter().map(|a| a.id.clone()).collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(RouterError::DuplicateArm {
                arm: pair[0].clone(),
            });
        }
        let fits = |part, got: usize, expected: usize| {
            if got == expected {
                Ok(())
            } else {
                Err(RouterError::Mismatch {
                    part,
                    got,
                    expected,
                })
            }
        };
        fits("arms of the predictor", self.predictor.arms(), expected)?;
        fits("arms of the cost predictor", self.cost.arms(), expected)?;
        fits("number of calibrations", self.calibration.len(), expected)?;
        if let Some(map) = &self.features {
            fits(
                "features of the map",
                map.dimensions(),
                self.predictor.dimensions(),
            )?;
        }
        self.rule.check(&names)?;
        self.exploration.validate()?;
        if let Some(control) = &self.control {
            control.check()?;
        }
        if self.rule.needs_costs() {
            let unpriced =
                (0..expected).find(|&arm| !self.arms[arm].archived && !self.cost.is_priced(arm));
            if let Some(arm) = unpriced {
                return Err(CostError::Unpriced {
                    arm: self.arms[arm].id.clone(),
                }
                .into());
            }
        }
        Ok(())
    }

    /// Whether a restored router can be used without running out of bounds.
    pub(crate) fn is_sound(&self) -> bool {
        self.check().is_ok()
            && self.predictor.is_sound()
            && self.cost.is_sound(self.arms.len())
            && self.calibration.iter().all(Calibration::is_sound)
            && self.features.as_ref().is_none_or(FeatureMap::is_sound)
    }

    /// The context of a request, by the router's own feature map.
    ///
    /// Without a map, the embedding is the features.
    ///
    /// # Errors
    /// [`ContextError`] when the embedding does not fit or holds an unusable value.
    pub fn context(&self, raw: &RawContext<'_>) -> Result<Context, ContextError> {
        if let Some(map) = &self.features {
            return map.map(raw);
        }
        let context = Context {
            features: raw
                .embedding
                .unwrap_or(&[])
                .iter()
                .map(|x| f64::from(*x))
                .collect(),
            task: raw.task.map(str::to_owned),
            input_tokens: raw.input_tokens,
            ..Context::default()
        };
        context.validate()?;
        Ok(context)
    }

    /// Decides which arm answers. Randomness is a function of `request_key` and `seed` only.
    ///
    /// # Errors
    /// [`DecideError`] when no arm may answer or the context cannot be used.
    pub fn decide(
        &self,
        context: &Context,
        request_key: &str,
        seed: Seed,
    ) -> Result<Decision, DecideError> {
        let plan = self.plan(context)?;
        let chosen = plan.distribution.draw(request_key, seed);
        let probabilities = plan.distribution.probabilities();
        let score = &plan.scores[chosen];
        Ok(Decision {
            arm: score.arm.clone(),
            propensity: propensity(probabilities[chosen]),
            distribution: self
                .arms
                .iter()
                .zip(probabilities)
                .filter(|(_, p)| **p > 0.0)
                .map(|(arm, p)| (arm.id.clone(), *p))
                .collect(),
            expected_cost: score.expected_cost,
            expected_quality: score.quality,
            reason: self.reason(&plan, chosen),
            epoch: self.epoch,
        })
    }

    /// The probability of each arm, shape (K).
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn distribution(&self, context: &Context) -> Result<Distribution, DecideError> {
        Ok(self.plan(context)?.distribution)
    }

    /// What the router expects of each arm, shape (K), archived and ineligible arms included.
    ///
    /// # Errors
    /// [`DecideError`] when the context cannot be used.
    pub fn score(&self, context: &Context) -> Result<Vec<ArmScore>, DecideError> {
        self.score_as(Detail::Full, context)
    }

    fn score_as(&self, detail: Detail, context: &Context) -> Result<Vec<ArmScore>, DecideError> {
        context.validate()?;
        let mut predictions: Vec<Prediction> = Vec::with_capacity(self.arms.len());
        self.predictor
            .predict_as(detail, context, &mut predictions)?;
        let mut costs = Vec::with_capacity(self.arms.len());
        self.cost.expected_all(context, &mut costs);
        let parts = predictions.iter().zip(&self.calibration).zip(costs);
        let scores = self
            .arms
            .iter()
            .zip(parts)
            .map(|(arm, ((prediction, calibration), cost))| {
                let calibrated = calibration.apply_to(*prediction);
                ArmScore {
                    arm: arm.id.clone(),
                    quality: calibrated.mean,
                    variance: calibrated.variance,
                    expected_cost: cost,
                    eligible: arm.may_answer(context),
                }
            });
        Ok(scores.collect())
    }

    /// Variances are needed by the per-request floor and by a floor under exploration.
    fn detail(&self) -> Detail {
        let floor = matches!(self.rule, Rule::PerRequestFloor(_));
        let guarded = self.exploration.kind != ExplorationKind::None
            && self.exploration.quality_min.is_some();
        if floor || guarded {
            Detail::Full
        } else {
            Detail::Means
        }
    }

    /// Learns one outcome: quality, cost and tokens, whatever is known.
    ///
    /// # Errors
    /// [`FeedbackError`] when anything about the outcome is invalid; nothing is learned then.
    pub fn feedback(
        &mut self,
        context: &Context,
        feedback: &Feedback,
    ) -> Result<(), FeedbackError> {
        let arm = self.index(&feedback.arm)?;
        if let Some(got) = feedback.cost.filter(|cost| *cost < Usd::ZERO) {
            return Err(CostError::Negative { row: 0, got }.into());
        }
        let chance = self.rule_chance(context, arm);
        if let Some(quality) = feedback.quality {
            // The predictor checks the context and the weight before anything changes.
            self.predictor
                .update(context, arm, quality, feedback.weight)?;
        } else {
            self.predictor
                .check_outcome(context, arm, feedback.weight)?;
        }
        self.cost.update(&CostRow {
            context,
            arm,
            output_tokens: feedback.output_tokens,
            cost: feedback.cost,
        })?;
        if let (Some(quality), Some(chance)) = (feedback.quality, chance) {
            let propensity = feedback.propensity.map_or(1.0, Propensity::get);
            self.adapt(quality.get(), feedback.weight * chance / propensity);
        }
        self.epoch += 1;
        Ok(())
    }

    /// Takes an arm out of service or back; what it learned stays.
    ///
    /// # Errors
    /// [`FeedbackError::UnknownArm`] when there is no such arm.
    pub fn set_archived(&mut self, arm: &ArmId, archived: bool) -> Result<(), FeedbackError> {
        let index = self.index(arm)?;
        if !archived && self.rule.needs_costs() && !self.cost.is_priced(index) {
            return Err(CostError::Unpriced { arm: arm.clone() }.into());
        }
        self.arms[index].archived = archived;
        Ok(())
    }

    /// Changes an arm's prices, window and capabilities; what it learned stays.
    ///
    /// # Errors
    /// [`FeedbackError::UnknownArm`] when there is no such arm.
    pub fn set_arm(&mut self, spec: ArmSpec) -> Result<(), FeedbackError> {
        let index = self.index(&spec.id)?;
        self.cost.reprice(index, &spec);
        self.arms[index] = spec;
        Ok(())
    }

    /// Multiplies what an arm charges, where only recorded costs are known; what it learned stays.
    ///
    /// # Errors
    /// [`FeedbackError::UnknownArm`] when there is no such arm.
    pub fn scale_costs(&mut self, arm: &ArmId, factor: f64) -> Result<(), FeedbackError> {
        let index = self.index(arm)?;
        self.cost.scale(index, factor);
        Ok(())
    }

    /// The arms, in the order of every distribution.
    #[must_use]
    pub fn arms(&self) -> &[ArmSpec] {
        &self.arms
    }

    /// The predictor of quality.
    #[must_use]
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// The predictor of cost.
    #[must_use]
    pub fn cost(&self) -> &CostPredictor {
        &self.cost
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

    /// The feature map.
    #[must_use]
    pub fn features(&self) -> Option<&FeatureMap> {
        self.features.as_ref()
    }

    /// Outcomes learned since the router was made.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The same router under another rule, for sweeps.
    ///
    /// # Errors
    /// [`RouterError`] when the rule does not fit the router.
    pub fn with_rule(mut self, rule: Rule) -> Result<Self, RouterError> {
        self.rule = rule;
        self.check()?;
        Ok(self)
    }

    /// The same router without exploration: for serving paths that must not try anything.
    #[must_use]
    pub fn without_exploration(mut self) -> Self {
        self.exploration = Exploration::NONE;
        self
    }

    fn index(&self, arm: &ArmId) -> Result<usize, FeedbackError> {
        let found = self.arms.iter().position(|spec| spec.id == *arm);
        found.ok_or_else(|| FeedbackError::UnknownArm { arm: arm.clone() })
    }

    fn plan(&self, context: &Context) -> Result<Plan, DecideError> {
        let scores = self.score_as(self.detail(), context)?;
        let verdict = self.rule.judge(&scores);
        let probabilities = match &verdict {
            Verdict::Nothing => {
                return Err(DecideError::NoEligibleArm {
                    arms: self.arms.len(),
                });
            }
            Verdict::Stated(probabilities) => probabilities.clone(),
            Verdict::Ranked { components, .. } => {
                let mut mixed = vec![0.0; scores.len()];
                for component in components {
                    let part = self.exploration.spread(component, &scores);
                    crate::linalg::axpy(component.share, &part, &mut mixed);
                }
                mixed
            }
        };
        let distribution = Distribution::new(probabilities)
            .expect("rules and exploration make probabilities that sum to 1");
        Ok(Plan {
            scores,
            verdict,
            distribution,
        })
    }

    /// Probability that the rule alone, without exploration, chooses the arm; `None` when λ is
    /// not under control or the context cannot be judged.
    fn rule_chance(&self, context: &Context, arm: usize) -> Option<f64> {
        self.control?;
        let scores = self.score_as(self.detail(), context).ok()?;
        let Verdict::Ranked { components, .. } = self.rule.judge(&scores) else {
            return None;
        };
        let chance = components
            .iter()
            .map(|component| component.share * Exploration::NONE.spread(component, &scores)[arm]);
        Some(chance.sum())
    }

    fn adapt(&mut self, quality: f64, weight: f64) {
        if let (Some(control), Rule::AverageFloor(rule)) = (&mut self.control, &mut self.rule) {
            let lambda = rule.lambda_low + rule.share_high * (rule.lambda_high - rule.lambda_low);
            let next = control.step(lambda, quality, weight);
            (rule.lambda_low, rule.lambda_high, rule.share_high) = (next, next, 0.0);
        }
    }

    fn reason(&self, plan: &Plan, chosen: usize) -> Reason {
        let probability = plan.distribution.probabilities()[chosen];
        let Verdict::Ranked {
            components,
            infeasible,
        } = &plan.verdict
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
            let instead_of = plan.scores[best].arm.clone();
            return Reason::Explored {
                instead_of,
                probability,
            };
        };
        let score = &plan.scores[chosen];
        let saving = saving(&plan.scores, score);
        match &self.rule {
            Rule::PerRequestFloor(rule) => {
                let (floor, probability) = (rule.quality, rule.probability(score));
                if *infeasible {
                    Reason::Infeasible { floor, probability }
                } else {
                    Reason::CheapestAboveFloor {
                        floor,
                        probability,
                        saving,
                    }
                }
            }
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

/// The probability of an arm that was drawn; rounding may have left it a hair above 1.
fn propensity(probability: f64) -> Propensity {
    Propensity::new(probability.min(1.0)).expect("an arm that was drawn has a positive probability")
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

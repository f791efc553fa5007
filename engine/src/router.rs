//! The router: a policy as it runs. It decides, learns, and can be stored and resumed.

use std::borrow::Cow;
use std::sync::Arc;

use crate::arm::ArmSpec;
use crate::calibration::Calibration;
use crate::call::Call;
use crate::context::{Context, ContextError};
use crate::cost::{CostError, CostPredictor, CostRow};
use crate::decision::Decision;
use crate::distribution::{Distribution, DistributionError, drawn, sample};
use crate::event::Decided;
use crate::exploration::Exploration;
use crate::features::{FeatureMap, FeatureSpace, RawContext};
use crate::feedback::Feedback;
use crate::ledger::Denied;
use crate::math;
use crate::money::{Price, Usd};
use crate::policy::{
    Drawn, Estimate, Outcome, Policy, PolicyError, Request, RuleParts, RulePolicy, Workspace,
};
use crate::predictor::Predictor;
use crate::random::unit_interval_of;
use crate::router_error::{DecideError, FeedbackError, RouterError};
use crate::rule::{ArmScore, LambdaControl, Rule};
use crate::sealed::COUNT_MAX;
use crate::spending::heed_caps;
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
///
/// A router owns what every policy needs around it: the arms with their prices and windows, the
/// feature map, the predictor of costs. To share one between threads, see
/// [`SharedRouter`](crate::SharedRouter).
#[derive(Debug)]
pub struct Router {
    pub(crate) arms: Vec<ArmSpec>,
    /// The arms' names, shape (K): what decisions hand out.
    pub(crate) names: Vec<ArmId>,
    /// Never changes, so that forks share it.
    pub(crate) features: Option<Arc<FeatureMap>>,
    pub(crate) cost: CostPredictor,
    pub(crate) policy: Box<dyn Policy>,
    /// Outcomes learned.
    pub(crate) epoch: u64,
    /// Event time from which each arm is back, shape (K); `None`: it is not marked down.
    pub(crate) down_until_ms: Vec<Option<i64>>,
}

/// What was known of a decision when its outcome is learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Known {
    /// What the call was expected to cost, in US dollars, or did cost; `None`: unpriced.
    pub(crate) cost_expected: Option<f64>,
    /// See [`Outcome::policy_chance`].
    pub(crate) policy_chance: Option<f64>,
}

/// The arm that answers, by its index.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Index of the arm.
    pub arm: usize,
    /// Exact probability with which this arm was chosen.
    pub propensity: Propensity,
    /// Outcomes the router had learned when it decided.
    pub epoch: u64,
}

impl Router {
    /// The router of a rule over a predictor: [`RulePolicy`] in a router.
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
        let names = names(&arms)?;
        let policy = RulePolicy::new(RuleParts {
            arms: names,
            predictor,
            calibration,
            rule,
            exploration,
            control,
        })?;
        Self::with_policy(arms, features, cost, Box::new(policy))
    }

    /// A router around any policy.
    ///
    /// # Errors
    /// [`RouterError`] when the parts count other arms or features than the policy, or an arm
    /// that the policy needs a price of has none.
    pub fn with_policy(
        arms: Vec<ArmSpec>,
        features: Option<FeatureMap>,
        cost: CostPredictor,
        policy: Box<dyn Policy>,
    ) -> Result<Self, RouterError> {
        let router = Self {
            names: names(&arms)?,
            down_until_ms: vec![None; arms.len()],
            arms,
            features: features.map(Arc::new),
            cost,
            policy,
            epoch: 0,
        };
        router.check()?;
        Ok(router)
    }

    fn check(&self) -> Result<(), RouterError> {
        let expected = self.arms.len();
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
        fits("arms of the policy", self.policy.arms(), expected)?;
        fits("arms of the cost predictor", self.cost.arms(), expected)?;
        if let (Some(map), Some(needed)) = (&self.features, self.policy.dimensions()) {
            fits("features of the map", map.dimensions(), needed)?;
        }
        if self.policy.needs_costs() {
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
            && self.epoch <= COUNT_MAX
            && self.down_until_ms.len() == self.arms.len()
            && self.cost.is_sound(self.arms.len())
            && self.features.as_deref().is_none_or(FeatureMap::is_sound)
    }

    /// The context of a request, by the router's own feature map.
    ///
    /// Without a map, the embedding is the features.
    ///
    /// # Errors
    /// [`ContextError`] when the embedding does not fit or holds an unusable value.
    pub fn context(&self, raw: &RawContext<'_>) -> Result<Context, ContextError> {
        let mut context = Context::default();
        self.context_into(raw, &mut FeatureSpace::default(), &mut context)?;
        Ok(context)
    }

    /// As [`context`](Self::context), in space that is reused: see [`FeatureMap::map_into`].
    ///
    /// # Errors
    /// As [`context`](Self::context); `out` is then of no use.
    pub fn context_into(
        &self,
        raw: &RawContext<'_>,
        space: &mut FeatureSpace,
        out: &mut Context,
    ) -> Result<(), ContextError> {
        if let Some(map) = &self.features {
            return map.map_into(raw, space, out);
        }
        out.describe(raw);
        let values = raw.embedding.unwrap_or(&[]);
        out.features.clear();
        out.features.extend(values.iter().map(|x| f64::from(*x)));
        out.validate()
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
        let mut work = Workspace::default();
        let call = Call::new(context, request_key, seed);
        let choice = self.choose(&call, &mut work)?;
        Ok(self.decision(&call, choice, &work))
    }

    /// Decides which arm answers, and nothing more: in steady state this allocates nothing.
    ///
    /// # Errors
    /// [`DecideError`] when no arm may answer or the request cannot be used.
    pub fn choose(&self, call: &Call<'_>, work: &mut Workspace) -> Result<Choice, DecideError> {
        self.choose_among(call, &[], work)
    }

    /// As [`choose`](Self::choose), without the arms that a cap denies; `denials`: one per arm, or
    /// none at all.
    pub(crate) fn choose_among(
        &self,
        call: &Call<'_>,
        denials: &[Option<Denied>],
        work: &mut Workspace,
    ) -> Result<Choice, DecideError> {
        self.spread(call, denials, work)?;
        let arm = sample(&work.probabilities, unit_interval_of(call.key, call.seed));
        let propensity = drawn(&work.probabilities, arm);
        Ok(Choice {
            arm,
            propensity: propensity.map_err(|source| self.no_distribution(source))?,
            epoch: self.epoch,
        })
    }

    /// The decision of a choice, with everything that can be said of it; `work` is as
    /// [`choose`](Self::choose) left it.
    #[must_use]
    pub fn decision(&self, call: &Call<'_>, choice: Choice, work: &Workspace) -> Decision {
        let costs = self.costs(call, work);
        let request = request(call, &work.eligible, &costs);
        let drawn = Drawn {
            arm: choice.arm,
            probabilities: &work.probabilities,
        };
        let mut estimates = Vec::new();
        // What was decided a moment ago can be estimated; a policy that cannot expects nothing.
        let told = self
            .policy
            .estimates(&request, &mut Workspace::default(), &mut estimates);
        let quality = told.ok().and_then(|()| estimates.get(choice.arm)?.quality);
        Decision {
            arm: self.names[choice.arm].clone(),
            propensity: choice.propensity,
            distribution: self
                .names
                .iter()
                .zip(&work.probabilities)
                .filter(|(_, p)| **p > 0.0)
                .map(|(arm, p)| (arm.clone(), *p))
                .collect(),
            expected_cost: costs[choice.arm],
            expected_quality: quality.map(|quality| quality.mean),
            reason: self.policy.reason(&request, &self.names, drawn),
            epoch: choice.epoch,
            marked_down: self.is_down(choice.arm, call.at_ms),
        }
    }

    /// The event of a choice: what feedback by its id will need. `work` is as
    /// [`choose`](Self::choose) left it; `at_ms` is when the request was decided.
    #[must_use]
    pub fn decided(
        &self,
        call: &Call<'_>,
        choice: Choice,
        at_ms: u64,
        work: &mut Workspace,
    ) -> Decided {
        let (eligible, costs) = (
            std::mem::take(&mut work.eligible),
            std::mem::take(&mut work.costs),
        );
        let request = request(call, &eligible, &costs);
        let policy_chance = self.policy.policy_chance(&request, work, choice.arm);
        (work.eligible, work.costs) = (eligible, costs);
        Decided {
            id: call.key.to_owned(),
            at_ms,
            context: call.context.clone(),
            arm: self.names[choice.arm].clone(),
            propensity: choice.propensity,
            policy_chance,
            held: None,
        }
    }

    /// Eligibility, expected costs and probabilities of one request, into `work`.
    fn spread(
        &self,
        call: &Call<'_>,
        denials: &[Option<Denied>],
        work: &mut Workspace,
    ) -> Result<(), DecideError> {
        self.survey(call, work)?;
        heed_caps(denials, &mut work.eligible)?;
        self.heed_marks(call, &mut work.eligible);
        let mut probabilities = std::mem::take(&mut work.probabilities);
        let (eligible, costs) = (
            std::mem::take(&mut work.eligible),
            std::mem::take(&mut work.costs),
        );
        probabilities.clear();
        probabilities.resize(self.arms.len(), 0.0);
        let request = request(call, &eligible, &costs);
        let spread = self.policy.distribution(&request, work, &mut probabilities);
        (work.probabilities, work.eligible, work.costs) = (probabilities, eligible, costs);
        spread.map_err(|error| self.refusal(error))
    }

    /// Who may answer, and at what expected cost, into `work`.
    pub(crate) fn survey(&self, call: &Call<'_>, work: &mut Workspace) -> Result<(), DecideError> {
        let context = call.context;
        context.validate()?;
        call.check()?;
        if call.floor.is_some() && !self.policy.heeds_floor() {
            let policy = self.policy.name().to_owned();
            return Err(DecideError::FloorNotHeld { policy });
        }
        if self.reads_costs(call) {
            self.price(call, &mut work.cost_features, &mut work.costs);
        } else {
            work.costs.clear();
            work.costs.resize(self.arms.len(), None);
        }
        let affordable = |cost: &Option<f64>| {
            let most = call.cost_max_usd;
            most.is_none_or(|most| cost.is_some_and(|cost| cost <= most))
        };
        let may =
            |(arm, cost): (&ArmSpec, &Option<f64>)| affordable(cost) && arm.may_answer(context);
        work.eligible.clear();
        work.eligible
            .extend(self.arms.iter().zip(&work.costs).map(may));
        if !work.eligible.contains(&true) {
            return Err(self.nobody(call, &work.costs));
        }
        Ok(())
    }

    /// Rules out arms that are marked down, unless no arm is left then.
    pub(crate) fn heed_marks(&self, call: &Call<'_>, eligible: &mut [bool]) {
        let up = |arm: usize| !self.is_down(arm, call.at_ms);
        if (0..eligible.len()).any(|arm| eligible[arm] && up(arm)) {
            for (arm, eligible) in eligible.iter_mut().enumerate() {
                *eligible &= up(arm);
            }
        }
    }

    /// Whether a decision needs the expected costs.
    fn reads_costs(&self, call: &Call<'_>) -> bool {
        self.policy.reads_costs() || call.cost_max_usd.is_some()
    }

    /// Expected costs of a surveyed request, shape (K), whether or not its decision needed them.
    pub(crate) fn costs<'w>(&self, call: &Call<'_>, work: &'w Workspace) -> Cow<'w, [Option<f64>]> {
        if self.reads_costs(call) {
            return Cow::Borrowed(&work.costs);
        }
        let mut costs = Vec::new();
        self.price(call, &mut Vec::new(), &mut costs);
        Cow::Owned(costs)
    }

    fn price(&self, call: &Call<'_>, features: &mut Vec<f64>, costs: &mut Vec<Option<f64>>) {
        self.cost.expected_into(call.context, features, costs);
        self.price_session(call, costs);
    }

    /// Takes what a warm prompt cache saves off its arm's expected cost.
    fn price_session(&self, call: &Call<'_>, costs: &mut [Option<f64>]) {
        let Some(session) = call.session else { return };
        let Some(arm) = self.names.iter().position(|name| *name == session.arm) else {
            return;
        };
        let spec = &self.arms[arm];
        let (Some(price), Some(discount)) = (
            self.cost.input_price(arm),
            session.discount(spec, call.at_ms),
        ) else {
            return;
        };
        let tokens = self.cost.input_tokens(call.context, arm).unwrap_or(0.0);
        let cached = math::count(session.cached_tokens).min(tokens);
        // Scaled costs scale the discount too.
        let listed = spec.input.map_or(0, Price::pico_per_token);
        let scale = if listed == price.pico_per_token() {
            1.0
        } else {
            math::count(price.pico_per_token()) / math::count(listed)
        };
        let saved = math::count(discount.pico_per_token()) * scale * 1e-12 * cached;
        if let Some(cost) = &mut costs[arm] {
            *cost = (*cost - saved).max(0.0);
        }
    }

    /// Why nobody may answer: the cap alone, or what the arms can do.
    fn nobody(&self, call: &Call<'_>, costs: &[Option<f64>]) -> DecideError {
        let able = |arm: &&ArmSpec| arm.may_answer(call.context);
        let arms = self.arms.iter().filter(able).count();
        match call.cost_max_usd {
            Some(cost_max_usd) if arms > 0 => {
                let priced = self.arms.iter().zip(costs).filter(|(arm, _)| able(arm));
                let cheapest = priced.filter_map(|(_, cost)| *cost).reduce(f64::min);
                DecideError::OverCostMax {
                    cost_max_usd,
                    cheapest_usd: cheapest,
                    arms,
                }
            }
            _ => DecideError::NoEligibleArm {
                arms: self.arms.len(),
            },
        }
    }

    pub(crate) fn refusal(&self, error: PolicyError) -> DecideError {
        match error {
            PolicyError::NothingEligible => DecideError::NoEligibleArm {
                arms: self.arms.len(),
            },
            error => error.into(),
        }
    }

    /// The probability of each arm, shape (K).
    ///
    /// # Errors
    /// As [`decide`](Self::decide).
    pub fn distribution(&self, context: &Context) -> Result<Distribution, DecideError> {
        let mut work = Workspace::default();
        self.spread(&Call::new(context, "", Seed(0)), &[], &mut work)?;
        Distribution::new(work.probabilities).map_err(|source| self.no_distribution(source))
    }

    fn no_distribution(&self, source: DistributionError) -> DecideError {
        let policy = self.policy.name().to_owned();
        PolicyError::Distribution { policy, source }.into()
    }

    /// What the router expects of each arm, shape (K), archived and ineligible arms included.
    ///
    /// # Errors
    /// [`DecideError`] when the context cannot be used.
    pub fn score(&self, context: &Context) -> Result<Vec<ArmScore>, DecideError> {
        let mut work = Workspace::default();
        let call = Call::new(context, "", Seed(0));
        match self.survey(&call, &mut work) {
            Ok(()) | Err(DecideError::NoEligibleArm { .. }) => {}
            Err(error) => return Err(error),
        }
        let (eligible, costs) = (work.eligible.clone(), self.costs(&call, &work).into_owned());
        let mut estimates = Vec::new();
        let request = request(&call, &eligible, &costs);
        self.policy.estimates(&request, &mut work, &mut estimates)?;
        let score = |(arm, estimate): (usize, &Estimate)| {
            let quality = estimate.quality.unwrap_or_default();
            ArmScore {
                arm: self.names[arm].clone(),
                quality: quality.mean,
                variance: quality.variance,
                expected_cost: costs[arm],
                eligible: eligible[arm],
            }
        };
        Ok(estimates.iter().enumerate().map(score).collect())
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
        let known = Known {
            cost_expected: self.cost.expected(context, arm),
            policy_chance: self.policy_chance(context, arm),
        };
        self.learn(context, feedback, known)
    }

    /// Learns one outcome, with what was known of its decision.
    pub(crate) fn learn(
        &mut self,
        context: &Context,
        feedback: &Feedback,
        known: Known,
    ) -> Result<(), FeedbackError> {
        let arm = self.index(&feedback.arm)?;
        if let Some(got) = feedback.cost.filter(|cost| *cost < Usd::ZERO) {
            return Err(CostError::Negative { row: 0, got }.into());
        }
        let outcome = Outcome {
            arm,
            quality: feedback.quality,
            cost: feedback.cost,
            cost_expected: known.cost_expected,
            weight: feedback.weight,
            propensity: feedback.propensity,
            policy_chance: known.policy_chance,
        };
        // The policy checks the context and the weight before anything changes.
        self.policy.update(context, &outcome)?;
        self.cost.update(&CostRow {
            context,
            arm,
            output_tokens: feedback.output_tokens,
            cost: feedback.cost,
        })?;
        self.epoch += 1;
        Ok(())
    }

    /// Takes an arm out of service or back; what it learned stays.
    ///
    /// # Errors
    /// [`FeedbackError::UnknownArm`] when there is no such arm.
    pub fn set_archived(&mut self, arm: &ArmId, archived: bool) -> Result<(), FeedbackError> {
        let index = self.index(arm)?;
        if !archived && self.policy.needs_costs() && !self.cost.is_priced(index) {
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

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &dyn Policy {
        self.policy.as_ref()
    }

    /// The policy, to be changed.
    #[must_use]
    pub fn policy_mut(&mut self) -> &mut dyn Policy {
        self.policy.as_mut()
    }

    /// The policy as a [`RulePolicy`]; `None`: it is another.
    #[must_use]
    pub fn rule_policy(&self) -> Option<&RulePolicy> {
        self.policy.downcast_ref()
    }

    /// The predictor of cost.
    #[must_use]
    pub fn cost(&self) -> &CostPredictor {
        &self.cost
    }

    /// The feature map.
    #[must_use]
    pub fn features(&self) -> Option<&FeatureMap> {
        self.features.as_deref()
    }

    /// Outcomes learned since the router was made.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn index(&self, arm: &ArmId) -> Result<usize, FeedbackError> {
        let found = self.arms.iter().position(|spec| spec.id == *arm);
        found.ok_or_else(|| FeedbackError::UnknownArm { arm: arm.clone() })
    }

    /// See [`Policy::policy_chance`].
    fn policy_chance(&self, context: &Context, arm: usize) -> Option<f64> {
        let mut work = Workspace::default();
        let call = Call::new(context, "", Seed(0));
        self.survey(&call, &mut work).ok()?;
        let (eligible, costs) = (work.eligible.clone(), work.costs.clone());
        let request = request(&call, &eligible, &costs);
        self.policy.policy_chance(&request, &mut work, arm)
    }
}

impl Clone for Router {
    fn clone(&self) -> Self {
        Self {
            arms: self.arms.clone(),
            names: self.names.clone(),
            features: self.features.clone(),
            cost: self.cost.clone(),
            policy: self.policy.fork(),
            epoch: self.epoch,
            down_until_ms: self.down_until_ms.clone(),
        }
    }
}

/// Equal routers decide and learn alike ever after.
impl PartialEq for Router {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot() == other.snapshot()
    }
}

pub(crate) fn request<'a>(
    call: &Call<'a>,
    eligible: &'a [bool],
    costs: &'a [Option<f64>],
) -> Request<'a> {
    Request {
        context: call.context,
        eligible,
        costs,
        floor: call.floor,
    }
}

/// The arms' names, each once.
pub(crate) fn names(arms: &[ArmSpec]) -> Result<Vec<ArmId>, RouterError> {
    if arms.is_empty() {
        return Err(RouterError::NoArms);
    }
    let names: Vec<ArmId> = arms.iter().map(|a| a.id.clone()).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(RouterError::DuplicateArm {
            arm: pair[0].clone(),
        }),
        None => Ok(names),
    }
}

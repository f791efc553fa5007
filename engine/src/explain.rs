//! Why a decision came out as it did: every arm, and the rule's reason.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::call::Call;
use crate::decision::Reason;
use crate::policy::{Drawn, Estimate, Workspace};
use crate::predictor::Prediction;
use crate::router::{Router, request};
use crate::router_error::DecideError;
use crate::units::{ArmId, Propensity};

/// Level of the intervals of an [`Explanation`].
pub const INTERVAL_LEVEL: f64 = 0.95;
/// The normal's quantile at (1 + [`INTERVAL_LEVEL`])/2.
const INTERVAL_Z: f64 = 1.959_963_984_540_054;

/// A decision, explained arm by arm.
///
/// Its `Display` is one sentence; the alternate form `{:#}` adds one line per arm.
///
/// ```
/// # use plimsoll::{ArmId, ArmSpec, CostPredictor, Fixed, Router};
/// use plimsoll::{Call, Context, Seed, Workspace};
/// # let mut large = ArmSpec::new(ArmId::new("large")?).priced("2.50".parse()?, "10".parse()?);
/// # large.context_window_tokens = Some(8_000);
/// # let arms = vec![ArmSpec::new(ArmId::new("small")?).priced("0.10".parse()?, "0.40".parse()?), large];
/// # let cost = CostPredictor::fit(&arms, [])?;
/// # let router = Router::with_policy(arms, None, cost, Box::new(Fixed::new(2, 0)?))?;
/// let context = Context { input_tokens: Some(9_000), ..Context::default() };
/// let call = Call::new(&context, "request-1", Seed(7));
/// let explained = router.explain(&call, &mut Workspace::default())?;
/// assert_eq!(explained.chosen.as_str(), "small");
/// assert!(explained.arms[1].to_string().starts_with(
///     "large: cannot answer, its window of 8000 tokens is too small for 9000"
/// ));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Every arm of the router, in its order.
    pub arms: Vec<ArmExplanation>,
    /// The arm that answers.
    pub chosen: ArmId,
    /// Exact probability with which it was chosen.
    pub propensity: Propensity,
    /// The rule's reason.
    pub reason: Reason,
    /// Name of the policy.
    pub policy: String,
    /// Outcomes the router had learned when it decided.
    pub epoch: u64,
    /// Whether the arm is marked down and answers because every arm that could is.
    pub marked_down: bool,
}

/// What is known of one arm for one request. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ArmExplanation {
    /// The arm.
    pub arm: ArmId,
    /// Expected quality; `None`: the policy predicts none.
    pub quality: Option<QualityInterval>,
    /// Expected cost in US dollars, what a warm prompt cache saves taken off; `None`: unpriced.
    pub expected_cost_usd: Option<f64>,
    /// Cost in US dollars that 95 % of calls do not exceed, nothing taken off; `None`: unpriced, or
    /// too few answers were seen, see [`CostPredictor::p95`](crate::CostPredictor::p95).
    pub cost_p95_usd: Option<f64>,
    /// Why it may not answer; empty: it may.
    pub obstacles: Vec<Obstacle>,
    /// Whether it meets the policy's own condition: its floor, its safe set.
    pub feasible: bool,
    /// What the policy ranks it by, larger is better; `None`: it is not ranked.
    pub score: Option<f64>,
    /// Probability with which it is chosen.
    pub probability: f64,
}

/// An expected quality and how surely it is known.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct QualityInterval {
    /// Expected quality in [0, 1].
    pub mean: f64,
    /// Lower end: mean − z·sd of the expectation, at least 0.
    pub low: f64,
    /// Upper end: mean + z·sd, at most 1.
    pub high: f64,
    /// Level of the interval, taken as that of a normal: [`INTERVAL_LEVEL`].
    pub level: f64,
}

/// Why an arm may not answer a request. Its `Display` continues "it cannot answer, …".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
#[non_exhaustive]
pub enum Obstacle {
    /// It is out of service.
    Archived,
    /// It is marked down.
    MarkedDown {
        /// Event time from which it is back, in milliseconds.
        until_ms: i64,
    },
    /// The request is longer than its window.
    WindowTooSmall {
        /// Tokens of the window.
        window_tokens: u64,
        /// Tokens of the request.
        input_tokens: u64,
    },
    /// It cannot do what the request requires.
    Lacks {
        /// What.
        capability: String,
    },
    /// The request names other arms.
    NotAsked,
    /// It is expected to cost more than the request may.
    OverCostMax {
        /// The request's cap, in US dollars.
        cost_max_usd: f64,
    },
    /// It has no price, and costs count.
    Unpriced,
}

impl Router {
    /// Decides, and says why: the decision that [`decide`](Self::decide) takes for this call on
    /// the router as it is now.
    ///
    /// # Errors
    /// As [`choose`](Self::choose). Where no arm may answer, [`explain_arms`](Self::explain_arms)
    /// tells what is in each arm's way.
    pub fn explain(
        &self,
        call: &Call<'_>,
        work: &mut Workspace,
    ) -> Result<Explanation, DecideError> {
        let choice = self.choose(call, work)?;
        let costs = self.costs(call, work);
        let request = request(call, &work.eligible, &costs);
        let drawn = Drawn {
            arm: choice.arm,
            probabilities: &work.probabilities,
        };
        Ok(Explanation {
            arms: self.arms_explained(call, work),
            chosen: self.names[choice.arm].clone(),
            propensity: choice.propensity,
            reason: self.policy.reason(&request, &self.names, drawn),
            policy: self.policy.name().to_owned(),
            epoch: choice.epoch,
            marked_down: self.is_down(choice.arm, call.at_ms),
        })
    }

    /// What is known of each arm for a request, whether or not any may answer.
    ///
    /// # Errors
    /// [`DecideError`] when the request itself cannot be used.
    pub fn explain_arms(
        &self,
        call: &Call<'_>,
        work: &mut Workspace,
    ) -> Result<Vec<ArmExplanation>, DecideError> {
        match self.choose(call, work) {
            Ok(_) => {}
            Err(DecideError::NoEligibleArm { .. } | DecideError::OverCostMax { .. }) => {
                work.probabilities.clear();
                work.probabilities.resize(self.arms.len(), 0.0);
            }
            Err(error) => return Err(error),
        }
        Ok(self.arms_explained(call, work))
    }

    /// `work` is as [`choose`](Self::choose) left it.
    fn arms_explained(&self, call: &Call<'_>, work: &Workspace) -> Vec<ArmExplanation> {
        let costs = self.costs(call, work);
        let request = request(call, &work.eligible, &costs);
        let mut estimates = Vec::new();
        let told = self
            .policy
            .estimates(&request, &mut Workspace::default(), &mut estimates);
        if told.is_err() {
            // A policy that cannot tell expects nothing.
            estimates.clear();
        }
        estimates.resize(self.arms.len(), Estimate::default());
        let explain = |(arm, estimate): (usize, &Estimate)| ArmExplanation {
            arm: self.names[arm].clone(),
            quality: estimate.quality.map(QualityInterval::of),
            expected_cost_usd: costs[arm],
            cost_p95_usd: self.cost.p95(call.context, arm),
            obstacles: self.obstacles(call, work, costs[arm], arm),
            feasible: estimate.feasible,
            score: Some(estimate.score).filter(|score| score.is_finite()),
            probability: work.probabilities[arm],
        };
        estimates.iter().enumerate().map(explain).collect()
    }

    fn obstacles(
        &self,
        call: &Call<'_>,
        work: &Workspace,
        cost: Option<f64>,
        arm: usize,
    ) -> Vec<Obstacle> {
        let (spec, context) = (&self.arms[arm], call.context);
        let mut found = Vec::new();
        if spec.archived {
            found.push(Obstacle::Archived);
        }
        if let (Some(window_tokens), Some(input_tokens)) =
            (spec.context_window_tokens, context.input_tokens)
            && input_tokens > window_tokens
        {
            found.push(Obstacle::WindowTooSmall {
                window_tokens,
                input_tokens,
            });
        }
        let lacking = context.required.iter();
        let lacking = lacking.filter(|capability| !spec.capabilities.contains(capability));
        found.extend(lacking.map(|capability| Obstacle::Lacks {
            capability: capability.clone(),
        }));
        let named = context.eligible.as_ref();
        if named.is_some_and(|arms| !arms.contains(&spec.id)) {
            found.push(Obstacle::NotAsked);
        }
        match (call.cost_max_usd, cost) {
            (Some(cost_max_usd), Some(cost)) if cost > cost_max_usd => {
                found.push(Obstacle::OverCostMax { cost_max_usd });
            }
            (most, None) if most.is_some() || self.policy.needs_costs() => {
                found.push(Obstacle::Unpriced);
            }
            _ => {}
        }
        // Marks are disregarded where every arm that could answer is marked down.
        let until = self.down_until_ms[arm].filter(|_| self.is_down(arm, call.at_ms));
        if let Some(until_ms) = until.filter(|_| !work.eligible[arm]) {
            found.push(Obstacle::MarkedDown { until_ms });
        }
        found
    }
}

impl QualityInterval {
    fn of(prediction: Prediction) -> Self {
        let reach = INTERVAL_Z * prediction.variance.max(0.0).sqrt();
        Self {
            mean: prediction.mean,
            low: (prediction.mean - reach).max(0.0),
            high: (prediction.mean + reach).min(1.0),
            level: INTERVAL_LEVEL,
        }
    }
}

impl ArmExplanation {
    /// Whether it may answer.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.obstacles.is_empty()
    }
}

impl Explanation {
    /// What is known of the arm that answers.
    #[must_use]
    pub fn chosen_arm(&self) -> Option<&ArmExplanation> {
        self.arms.iter().find(|arm| arm.arm == self.chosen)
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answers: {}", self.chosen, self.reason)?;
        if let Some(arm) = self.chosen_arm() {
            if let Some(quality) = arm.quality {
                write!(f, "; {quality}")?;
            }
            write_cost(f, arm, "; ")?;
        }
        if self.marked_down {
            write!(f, "; it is marked down, as is every arm that could answer")?;
        }
        if f.alternate() {
            for arm in &self.arms {
                write!(f, "\n- {arm}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for ArmExplanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.arm)?;
        if self.is_eligible() {
            write!(f, "chosen with probability {:.4}", self.probability)?;
            if !self.feasible {
                write!(f, ", misses the policy's condition")?;
            }
        } else {
            write!(f, "cannot answer")?;
        }
        for obstacle in &self.obstacles {
            write!(f, ", {obstacle}")?;
        }
        if let Some(quality) = self.quality {
            write!(f, "; {quality}")?;
        }
        write_cost(f, self, "; ")
    }
}

fn write_cost(f: &mut fmt::Formatter<'_>, arm: &ArmExplanation, before: &str) -> fmt::Result {
    match (arm.expected_cost_usd, arm.cost_p95_usd) {
        (Some(cost), Some(p95)) => write!(
            f,
            "{before}expected to cost {cost:.6} USD (95 % of calls at most {p95:.6})"
        ),
        (Some(cost), None) => write!(f, "{before}expected to cost {cost:.6} USD"),
        (None, _) => write!(f, "{before}without a price"),
    }
}

impl fmt::Display for QualityInterval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mean, low, high) = (self.mean, self.low, self.high);
        let percent = self.level * 100.0;
        write!(
            f,
            "expected quality {mean:.3} ({percent:.0} % interval {low:.3} to {high:.3})"
        )
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Archived => f.write_str("it is out of service"),
            Self::MarkedDown { until_ms } => write!(f, "it is marked down until {until_ms} ms"),
            Self::WindowTooSmall {
                window_tokens,
                input_tokens,
            } => write!(
                f,
                "its window of {window_tokens} tokens is too small for {input_tokens}"
            ),
            Self::Lacks { capability } => write!(f, "it lacks the capability `{capability}`"),
            Self::NotAsked => f.write_str("the request names other arms"),
            Self::OverCostMax { cost_max_usd } => {
                write!(f, "it is expected to cost more than {cost_max_usd} USD")
            }
            Self::Unpriced => f.write_str("it has no price"),
        }
    }
}

//! Contextual bandits over a predictor of quality.

use serde::{Deserialize, Serialize};

use super::cluster_bandit::ClusterBandit;
use super::epsilon_greedy::EpsilonGreedy;
use super::knn_bandit::KnnBandit;
use super::logistic_ts::LogisticThompson;
use super::ranking;
use super::reward::{Reward, within};
use super::shared_state::Forked;
use super::square_cb::SquareCb;
use super::state::sound;
use super::{
    ArmPrior, Estimate, Outcome, Policy, PolicyError, Request, Workspace, check_arm, decode_state,
    encode_state,
};
use crate::context::Context;
use crate::predictor::{CustomLoader, Detail, Prediction, Predictor, PredictorKind};
use crate::quadrature::{LogitNormal, Normal, best_arm_probabilities};

/// Default of the width of [`PredictorRule::Ucb`].
pub const UCB_WIDTH: f64 = 1.0;

/// How a [`PredictorBandit`] turns predictions into probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PredictorRule {
    /// The best mean, and every arm alike with probability ε.
    EpsilonGreedy(EpsilonGreedy),
    /// The highest mean + width·√variance; ties share.
    Ucb {
        /// Standard deviations added to the mean, in \[0, 1e6\].
        width: f64,
    },
    /// Inverse-gap weighting.
    InverseGap(SquareCb),
    /// Each arm with its probability to be the best by the predictor's own beliefs: normal, or
    /// for [`PredictorKind::Logistic`] normal on the scale of the logit.
    Thompson,
}

/// A bandit over any [`Predictor`]: [`SquareCb`], [`LogisticThompson`], [`KnnBandit`],
/// [`ClusterBandit`] and [`EpsilonGreedy::over`] make one.
///
/// The predictor learns quality; costs are the request's own ([`Reward`]). Forgetting is the
/// predictor's: it keeps its prior, and caps the inflation of its variances.
///
/// ```
/// use plimsoll::{
///     Context, Predictor, PredictorBandit, PredictorConfig, PredictorKind, PredictorRule, Policy,
///     Reward,
/// };
/// let ridge = Predictor::prior(&PredictorConfig::new(PredictorKind::Linear), 3, 2)?;
/// let policy = PredictorBandit::new(ridge, PredictorRule::Ucb { width: 1.0 }, Reward::default())?;
/// let context = Context::new(vec![0.5, -1.0])?;
/// assert_eq!(policy.probabilities(&context)?, [1.0 / 3.0; 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorBandit {
    predictor: Forked<Predictor>,
    rule: PredictorRule,
    reward: Reward,
}

impl PredictorBandit {
    const UCB: &'static str = "predictor-ucb";
    const THOMPSON: &'static str = "predictor-thompson";
    /// Names under which states of this type are stored.
    pub(crate) const NAMES: [&'static str; 7] = [
        SquareCb::NAME,
        LogisticThompson::NAME,
        KnnBandit::NAME,
        ClusterBandit::NAME,
        EpsilonGreedy::CONTEXTUAL,
        Self::UCB,
        Self::THOMPSON,
    ];

    /// The rule over the predictor, which may know something already.
    ///
    /// # Errors
    /// [`PolicyError`] when a parameter is out of range.
    pub fn new(
        predictor: Predictor,
        rule: PredictorRule,
        reward: Reward,
    ) -> Result<Self, PolicyError> {
        let bandit = Self {
            predictor: Forked::new(predictor),
            rule,
            reward,
        };
        bandit.check_parameters()?;
        Ok(bandit)
    }

    fn check_parameters(&self) -> Result<(), PolicyError> {
        self.reward.check()?;
        match &self.rule {
            PredictorRule::EpsilonGreedy(rule) => rule.check(),
            PredictorRule::Ucb { width } => within("width", *width, 0.0..=1e6, "[0, 1e6]"),
            PredictorRule::InverseGap(rule) => rule.check(),
            PredictorRule::Thompson => Ok(()),
        }
    }

    /// The bandit of its [`state`](Policy::state), where a custom predictor is part of it: `make`
    /// gets the predictor's name and state.
    ///
    /// # Errors
    /// [`PolicyError::State`] when the bytes hold no bandit; and `make`'s.
    pub fn restore(bytes: &[u8], make: &CustomLoader<'_>) -> Result<Self, PolicyError> {
        let mut bandit: Self = decode_state("predictor-bandit", bytes)?;
        bandit.predictor.make_mut().load(make)?;
        sound(bandit, Self::is_sound)
    }

    /// What it expects.
    #[must_use]
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// How it chooses.
    #[must_use]
    pub fn rule(&self) -> &PredictorRule {
        &self.rule
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.check_parameters().is_ok() && self.predictor.is_sound()
    }

    fn outcomes(&self) -> u64 {
        let counts = self.predictor.outcomes().iter();
        counts.fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Scores after costs, shape (K); −∞ for arms that may not answer.
    fn scores(&self, request: &Request<'_>, predictions: &[Prediction], out: &mut Vec<f64>) {
        let asked = request.eligible.iter().zip(request.costs);
        out.clear();
        out.extend(predictions.iter().zip(asked).map(|(known, (may, cost))| {
            let bonus = match self.rule {
                PredictorRule::Ucb { width } => width * known.variance.sqrt(),
                _ => 0.0,
            };
            let penalty = if *may {
                self.reward.penalty(*cost)
            } else {
                None
            };
            penalty.map_or(f64::NEG_INFINITY, |penalty| known.mean + bonus - penalty)
        }));
    }

    /// Each arm's probability to be the best by the predictor's beliefs.
    fn thompson(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        let logits =
            self.predictor
                .logits(request.context, &mut work.predict, &mut work.predictions)?;
        if !logits {
            self.predictor.predict_as(
                Detail::Full,
                request.context,
                &mut work.predict,
                &mut work.predictions,
            )?;
        }
        let (known, scratch) = (&work.predictions, &mut work.more);
        // What an arm costs; `None`: it may not answer.
        let cost = |arm: usize| {
            let cost = self.reward.penalty(request.costs[arm]);
            cost.filter(|_| request.eligible[arm])
        };
        let any = if logits && self.reward.weighs_costs() {
            let belief = |arm: usize| {
                cost(arm).map(|cost| LogitNormal::new(known[arm].mean, known[arm].variance, cost))
            };
            best_arm_probabilities(belief, scratch, out)
        } else {
            // Without costs logits rank arms as qualities do.
            let belief = |arm: usize| {
                cost(arm).map(|cost| Normal::new(known[arm].mean - cost, known[arm].variance))
            };
            best_arm_probabilities(belief, scratch, out)
        };
        if any {
            Ok(())
        } else {
            Err(PolicyError::NothingEligible)
        }
    }
}

impl Policy for PredictorBandit {
    fn name(&self) -> &str {
        if let Some(custom) = self.predictor.custom_name() {
            return custom;
        }
        match (&self.rule, self.predictor.config().kind) {
            (PredictorRule::EpsilonGreedy(_), _) => EpsilonGreedy::CONTEXTUAL,
            (PredictorRule::Thompson, PredictorKind::Logistic) => LogisticThompson::NAME,
            (PredictorRule::Thompson, _) => Self::THOMPSON,
            (_, PredictorKind::Knn) => KnnBandit::NAME,
            (_, PredictorKind::Clusters) => ClusterBandit::NAME,
            (PredictorRule::InverseGap(_), _) => SquareCb::NAME,
            (PredictorRule::Ucb { .. }, _) => Self::UCB,
        }
    }

    fn arms(&self) -> usize {
        self.predictor.arms()
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.predictor.dimensions())
    }

    fn needs_costs(&self) -> bool {
        self.reward.weighs_costs()
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
        let detail = match &self.rule {
            PredictorRule::Thompson => return self.thompson(request, work, out),
            PredictorRule::Ucb { .. } => Detail::Full,
            PredictorRule::EpsilonGreedy(_) | PredictorRule::InverseGap(_) => Detail::Means,
        };
        self.predictor.predict_as(
            detail,
            request.context,
            &mut work.predict,
            &mut work.predictions,
        )?;
        self.scores(request, &work.predictions, &mut work.floats);
        match &self.rule {
            PredictorRule::EpsilonGreedy(rule) => {
                ranking::greedy(&work.floats, rule.share(self.outcomes()), out)
            }
            PredictorRule::InverseGap(rule) => {
                ranking::inverse_gap(&work.floats, rule.gamma(self.outcomes()), out)
            }
            PredictorRule::Ucb { .. } | PredictorRule::Thompson => ranking::best(&work.floats, out),
        }
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        self.predictor
            .predict(request.context, &mut work.predictions)?;
        self.scores(request, &work.predictions, &mut work.floats);
        let scored = work.predictions.iter().zip(&work.floats);
        let estimate = |((quality, score), may): ((&Prediction, &f64), &bool)| Estimate {
            quality: Some(*quality),
            score: *score,
            feasible: *may,
        };
        out.clear();
        out.extend(scored.zip(request.eligible).map(estimate));
        Ok(())
    }

    fn check(&self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        check_arm(self, outcome)?;
        self.predictor
            .check_outcome(context, outcome.arm, outcome.weight)?;
        Ok(())
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)?;
        let Some(quality) = outcome.quality else {
            return Ok(());
        };
        let predictor = self.predictor.make_mut();
        predictor.update(context, outcome.arm, quality, outcome.weight)?;
        Ok(())
    }

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

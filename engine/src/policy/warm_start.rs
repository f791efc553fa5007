//! Starting from a replayed log instead of from nothing.

use serde::{Deserialize, Serialize};

use super::mean_bandit::MeanBandit;
use super::reward::within;
use super::{LinTs, LinUcb, Outcome, Policy, PolicyError, SharedLinear};
use crate::predictor::{Predictor, TrainingRows, WEIGHT_MAX};
use crate::units::Quality;

/// What a recorded log is worth to a bandit that starts from it, in outcomes per arm.
///
/// A log is older than today's traffic and chosen by another policy: taken at full weight it
/// leaves no doubt, and a bandit without doubt does not correct it. Each arm's evidence is
/// therefore discounted to `outcomes` (n_eff): expectations stay, certainty shrinks.
///
/// | what starts warm | from |
/// |---|---|
/// | [`LinUcb`], [`LinTs`], [`SharedLinear`] | [`lin_ucb`](Self::lin_ucb), [`lin_ts`](Self::lin_ts), [`shared`](Self::shared): the log is replayed to the policy |
/// | the rules ([`RulePolicy`](super::RulePolicy)), [`SquareCb`](super::SquareCb), ε-greedy and others over a predictor | [`predictor`](Self::predictor): fitted to the log |
/// | [`MeanBandit`]s | [`means`](Self::means) |
///
/// For a linear regression with Gram matrix G: s = n_eff/G\[bias, bias\], A = s·G + λ₀I and
/// b = s·Gθ + λ₀θ, so that A⁻¹b = θ as in the log. s ≤ 1: a log is never worth more than it holds.
/// With forgetting, b fades and the ridge does not: in the end the log is forgotten too. The log
/// itself does not fade while it is replayed to a linear policy; a predictor fitted with γ < 1 has
/// faded its older rows, and holds at most 1/(1 − γ) outcomes of each arm.
///
/// ParetoBandit (arXiv 2604) measures regret 87.0 → 55.0 by n_eff ≈ 1000, 100 or 10 for a log that
/// is representative, shifted or of unknown relation to today's traffic.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `outcomes` | – | \[0, 1e12\] | n_eff: larger trusts the log more |
///
/// ```
/// use plimsoll::{
///     Context, Predictor, PredictorConfig, PredictorKind, Policy, Reward, SquareCb, TrainingRows,
///     WarmStart,
/// };
/// let contexts = vec![Context::new(vec![1.0])?; 200];
/// let quality: Vec<Option<f64>> = (0..200).flat_map(|_| [Some(0.2), Some(0.8)]).collect();
/// let log = TrainingRows { contexts: &contexts, arms: 2, quality: &quality, weights: None };
/// let fitted = Predictor::fit(&PredictorConfig::new(PredictorKind::Linear), &log)?;
/// let warm = WarmStart::SHIFTED.predictor(fitted)?;
/// let policy = SquareCb::default().over(warm, Reward::default())?;
/// assert!(policy.probabilities(&contexts[0])?[1] > 0.9);
///
/// // LinUCB from the same log: what it expects is the log's, what it doubts is worth 100 outcomes.
/// use plimsoll::{LinUcb, LinearConfig};
/// let cold = LinUcb::new(2, 1, 0.1, LinearConfig { forgetting: 0.997, ..LinearConfig::default() })?;
/// assert_eq!(cold.probabilities(&contexts[0])?, [0.5, 0.5]);
/// let policy = WarmStart::SHIFTED.lin_ucb(cold, &log)?;
/// assert_eq!(policy.probabilities(&contexts[0])?, [0.0, 1.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmStart {
    /// n_eff, the outcomes that the log counts for, per arm.
    pub outcomes: f64,
}

impl WarmStart {
    /// For a log of the same traffic.
    pub const REPRESENTATIVE: Self = Self { outcomes: 1_000.0 };
    /// For a log of similar traffic.
    pub const SHIFTED: Self = Self { outcomes: 100.0 };
    /// For a log that may have little to do with today's traffic.
    pub const UNKNOWN: Self = Self { outcomes: 10.0 };

    /// A predictor fitted to the log, discounted.
    ///
    /// # Errors
    /// [`PolicyError`] when `outcomes` is out of range or the predictor cannot be solved again.
    pub fn predictor(self, fitted: Predictor) -> Result<Predictor, PolicyError> {
        Ok(fitted.discounted_to(self.outcomes)?)
    }

    /// LinUCB that has learned the log, discounted; what it knew before counts with the log.
    ///
    /// # Errors
    /// [`PolicyError`] when `outcomes` is out of range or the rows are invalid, of other arms or of
    /// another number of features.
    pub fn lin_ucb(
        self,
        mut policy: LinUcb,
        log: &TrainingRows<'_>,
    ) -> Result<LinUcb, PolicyError> {
        self.check(&policy, log)?;
        policy.linear_mut().warm(log, self.outcomes)?;
        Ok(policy)
    }

    /// Linear Thompson sampling that has learned the log, as [`lin_ucb`](Self::lin_ucb).
    ///
    /// # Errors
    /// As [`lin_ucb`](Self::lin_ucb).
    pub fn lin_ts(self, mut policy: LinTs, log: &TrainingRows<'_>) -> Result<LinTs, PolicyError> {
        self.check(&policy, log)?;
        policy.linear_mut().warm(log, self.outcomes)?;
        Ok(policy)
    }

    /// A linear bandit with shared features that has learned the log, discounted: its one
    /// regression keeps K·`outcomes` of all arms together.
    ///
    /// # Errors
    /// As [`lin_ucb`](Self::lin_ucb).
    pub fn shared(
        self,
        mut policy: SharedLinear,
        log: &TrainingRows<'_>,
    ) -> Result<SharedLinear, PolicyError> {
        self.check(&policy, log)?;
        policy.warm(log, self.outcomes * crate::math::len(log.arms))?;
        Ok(policy)
    }

    /// Whether the policy can learn from the log.
    fn check(self, policy: &dyn Policy, log: &TrainingRows<'_>) -> Result<(), PolicyError> {
        within("outcomes", self.outcomes, 0.0..=WEIGHT_MAX, "[0, 1e12]")?;
        let got = log.check()?;
        if log.arms != policy.arms() {
            return Err(PolicyError::Shape {
                part: "arms of the log",
                got: log.arms,
                expected: policy.arms(),
            });
        }
        match policy.dimensions() {
            Some(expected) if expected != got && !log.contexts.is_empty() => {
                Err(PolicyError::Dimensions { expected, got })
            }
            _ => Ok(()),
        }
    }

    /// A context-free bandit with the log's means as pseudo-counts.
    ///
    /// # Errors
    /// [`PolicyError`] when `outcomes` is out of range or the rows are invalid or of other arms.
    pub fn means(
        self,
        mut bandit: MeanBandit,
        log: &TrainingRows<'_>,
    ) -> Result<MeanBandit, PolicyError> {
        self.check(&bandit, log)?;
        for arm in 0..log.arms {
            let (mut weight, mut mean) = (0.0, 0.0);
            for (row, quality) in log.labelled(arm) {
                let own = log.weight(row);
                weight += own;
                if weight > 0.0 {
                    mean += (quality - mean) * (own / weight);
                }
            }
            bandit.set_evidence(arm, weight.min(self.outcomes), mean)?;
        }
        Ok(bandit)
    }
}

impl TrainingRows<'_> {
    /// What a request of a checked log teaches: its labels that count for anything.
    pub(super) fn outcomes(&self, row: usize) -> impl Iterator<Item = Outcome> + '_ {
        let weight = self.weight(row);
        let labels = &self.quality[row * self.arms..(row + 1) * self.arms];
        let outcome = move |(arm, quality): (usize, &Option<f64>)| {
            Some(Outcome {
                quality: Some(Quality::new((*quality)?).expect("a checked log")),
                weight,
                ..Outcome::of_arm(arm)
            })
        };
        labels
            .iter()
            .enumerate()
            .filter_map(outcome)
            .filter(|outcome| outcome.weight > 0.0)
    }
}

//! Context-free bandits: a running mean per arm, and a way to choose by it.

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::arm_mean::{ArmMean, Evidence};
use super::epsilon_greedy::EpsilonGreedy;
use super::kl_ucb::KlUcb;
use super::ranking;
use super::reward::{Reward, within};
use super::thompson::{BetaThompson, GaussianThompson};
use super::ucb1::Ucb1;
use super::{
    ArmPrior, Estimate, Outcome, Policy, PolicyError, Request, Workspace, check_arm, encode_state,
};
use crate::context::Context;
use crate::predictor::{FORGETTING_MIN, PRIOR_MEAN, PRIOR_STRENGTH, WEIGHT_MAX};
use crate::quadrature::{Beta, Normal, ShiftedBeta, best_arm_probabilities};
use crate::sealed::COUNT_MAX;

/// What the context-free bandits have in common.
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `prior_mean` | 0.5 | (0, 1) | quality expected of an arm without outcomes |
/// | `prior_strength` | 2 | \[1e-3, 1e9\] | outcomes the prior counts for; UCB1 and KL-UCB do without |
/// | `forgetting` | 1 | \[0.9, 1\] | γ: weight of an outcome after each later one, of whatever arm |
/// | `reward` | quality | | what is maximised: [`Reward`] |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeanConfig {
    /// Quality expected of an arm without outcomes.
    pub prior_mean: f64,
    /// Outcomes the prior counts for.
    pub prior_strength: f64,
    /// γ: weight of an outcome after each later one.
    pub forgetting: f64,
    /// What is maximised.
    pub reward: Reward,
}

/// How a [`MeanBandit`] chooses.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MeanRule {
    /// The best mean, and every arm alike with probability ε.
    EpsilonGreedy(EpsilonGreedy),
    /// The highest upper confidence bound by Hoeffding's inequality.
    Ucb1(Ucb1),
    /// The highest upper confidence bound by relative entropy.
    KlUcb(KlUcb),
    /// Each arm with its probability to be the best, by Beta beliefs.
    BetaThompson(BetaThompson),
    /// Each arm with its probability to be the best, by normal beliefs.
    GaussianThompson(GaussianThompson),
}

/// A bandit that knows one mean per arm, whatever the context: [`EpsilonGreedy`], [`Ucb1`],
/// [`KlUcb`], [`BetaThompson`] and [`GaussianThompson`] make one.
///
/// Missing labels are plays without an outcome; delayed ones are learned when they come. What a
/// decision needs is worked out once per state, so that deciding is a look-up; where costs count
/// or arms are ruled out, it is worked out per request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct MeanBandit {
    record: Record,
    /// Derived from the record on demand: never stored, emptied by every change.
    ready: OnceLock<Ready>,
}

/// All that a bandit is made of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    config: MeanConfig,
    rule: MeanRule,
    /// Outcomes learned, without label too.
    clock: u64,
    arms: Vec<ArmMean>,
}

/// What decisions need of a state.
#[derive(Clone, Debug, Default)]
struct Ready {
    /// What arms are ranked by before costs, shape (K).
    scores: Vec<f64>,
    /// Variance of the scores, for Gaussian beliefs, shape (K) or empty.
    variances: Vec<f64>,
    /// Beta beliefs, shape (K) or empty.
    betas: Vec<Beta>,
    /// Probabilities when every arm may answer and costs do not count, shape (K).
    probabilities: Vec<f64>,
}

impl Default for MeanConfig {
    fn default() -> Self {
        Self {
            prior_mean: PRIOR_MEAN,
            prior_strength: PRIOR_STRENGTH,
            forgetting: 1.0,
            reward: Reward::default(),
        }
    }
}

impl MeanConfig {
    fn check(&self) -> Result<(), PolicyError> {
        let open = f64::EPSILON..=1.0 - f64::EPSILON;
        within("prior_mean", self.prior_mean, open, "(0, 1)")?;
        within(
            "prior_strength",
            self.prior_strength,
            1e-3..=1e9,
            "[1e-3, 1e9]",
        )?;
        within(
            "forgetting",
            self.forgetting,
            FORGETTING_MIN..=1.0,
            "[0.9, 1]",
        )?;
        self.reward.check()
    }
}

impl MeanRule {
    fn name(&self) -> &'static str {
        match self {
            Self::EpsilonGreedy(_) => EpsilonGreedy::NAME,
            Self::Ucb1(_) => Ucb1::NAME,
            Self::KlUcb(_) => KlUcb::NAME,
            Self::BetaThompson(_) => BetaThompson::NAME,
            Self::GaussianThompson(_) => GaussianThompson::NAME,
        }
    }

    fn check(&self) -> Result<(), PolicyError> {
        match self {
            Self::EpsilonGreedy(rule) => rule.check(),
            Self::Ucb1(rule) => rule.check(),
            Self::KlUcb(rule) => rule.check(),
            Self::BetaThompson(_) => Ok(()),
            Self::GaussianThompson(rule) => rule.check(),
        }
    }
}

impl MeanBandit {
    /// Names under which states of this type are stored.
    pub(crate) const NAMES: [&'static str; 5] = [
        EpsilonGreedy::NAME,
        Ucb1::NAME,
        KlUcb::NAME,
        BetaThompson::NAME,
        GaussianThompson::NAME,
    ];

    /// A bandit over `arms` arms that knows nothing yet.
    ///
    /// # Errors
    /// [`PolicyError`] without arms or when a parameter is out of range.
    pub fn new(arms: usize, rule: MeanRule, config: MeanConfig) -> Result<Self, PolicyError> {
        config.check()?;
        rule.check()?;
        if arms == 0 {
            return Err(PolicyError::NoArms);
        }
        let arm = ArmMean::prior(config.prior_mean, config.prior_strength, 0);
        Ok(Self::of(Record {
            config,
            rule,
            clock: 0,
            arms: vec![arm; arms],
        }))
    }

    fn of(record: Record) -> Self {
        Self {
            record,
            ready: OnceLock::new(),
        }
    }

    /// How it chooses.
    #[must_use]
    pub fn rule(&self) -> &MeanRule {
        &self.record.rule
    }

    /// Gives an arm outcomes of a recorded log: `weight` of them, of this mean quality.
    ///
    /// They replace what the arm learned before, and fade as outcomes do.
    ///
    /// # Errors
    /// [`PolicyError`] when there is no such arm or a number is out of range.
    pub fn set_evidence(&mut self, arm: usize, weight: f64, mean: f64) -> Result<(), PolicyError> {
        let arms = self.record.arms.len();
        if arm >= arms {
            return Err(PolicyError::Arm { got: arm, arms });
        }
        within("mean", mean, 0.0..=1.0, "[0, 1]")?;
        within("weight", weight, 0.0..=WEIGHT_MAX, "[0, 1e12]")?;
        let known = &mut self.record.arms[arm];
        let (mean_before, strength) = (known.prior_mean, known.prior_strength);
        *known = ArmMean::prior(mean_before, strength, self.record.clock);
        *known = known.with_evidence(weight, mean);
        self.refresh();
        Ok(())
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.record.is_sound()
    }

    /// What counts of each arm now.
    fn evidence(&self) -> impl Iterator<Item = Evidence> + '_ {
        let (forgetting, clock) = (self.record.config.forgetting, self.record.clock);
        let arms = self.record.arms.iter();
        arms.map(move |arm| arm.evidence(forgetting, clock))
    }

    fn ready(&self) -> &Ready {
        self.ready.get_or_init(|| self.prepare(Ready::default()))
    }

    /// After a change: quick rules are worked out at once, in the memory that they have; others
    /// when they are asked next.
    fn refresh(&mut self) {
        let Some(old) = self.ready.take() else { return };
        let quick = matches!(
            self.record.rule,
            MeanRule::EpsilonGreedy(_) | MeanRule::Ucb1(_)
        );
        if quick {
            self.ready = OnceLock::from(self.prepare(old));
        }
    }

    fn prepare(&self, mut ready: Ready) -> Ready {
        ready.scores.clear();
        ready.variances.clear();
        ready.betas.clear();
        let total: f64 = match self.record.rule {
            MeanRule::Ucb1(_) | MeanRule::KlUcb(_) => self.evidence().map(|e| e.weight).sum(),
            _ => 0.0,
        };
        for arm in self.evidence() {
            ready.scores.push(match &self.record.rule {
                MeanRule::Ucb1(rule) => rule.index(arm.mean, arm.weight, total),
                MeanRule::KlUcb(rule) => rule.index(arm.mean, arm.weight, total),
                _ => arm.posterior,
            });
            match &self.record.rule {
                MeanRule::BetaThompson(_) => ready.betas.push(BetaThompson::belief(&arm)),
                MeanRule::GaussianThompson(rule) => ready.variances.push(rule.variance(&arm)),
                _ => {}
            }
        }
        let mut probabilities = std::mem::take(&mut ready.probabilities);
        probabilities.clear();
        probabilities.resize(ready.scores.len(), 0.0);
        let mut scratch = Vec::new();
        self.spread(&ready, &ready.scores, &mut scratch, &mut probabilities)
            .expect("every arm may answer");
        ready.probabilities = probabilities;
        ready
    }

    /// Probabilities of these scores: −∞ for arms that may not answer, lowered by what they cost.
    fn spread(
        &self,
        ready: &Ready,
        scores: &[f64],
        scratch: &mut Vec<f64>,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        let may = |arm: usize| scores[arm] > f64::NEG_INFINITY;
        let any = match &self.record.rule {
            MeanRule::EpsilonGreedy(rule) => {
                return ranking::greedy(scores, rule.share(self.record.clock), out);
            }
            MeanRule::Ucb1(_) | MeanRule::KlUcb(_) => return ranking::best(scores, out),
            MeanRule::BetaThompson(_) if self.record.config.reward.weighs_costs() => {
                let belief = |arm: usize| ShiftedBeta {
                    beta: ready.betas[arm],
                    shift: ready.scores[arm] - scores[arm],
                };
                best_arm_probabilities(|arm| may(arm).then(|| belief(arm)), scratch, out)
            }
            MeanRule::BetaThompson(_) => {
                best_arm_probabilities(|arm| may(arm).then(|| ready.betas[arm]), scratch, out)
            }
            MeanRule::GaussianThompson(_) => best_arm_probabilities(
                |arm| may(arm).then(|| Normal::new(scores[arm], ready.variances[arm])),
                scratch,
                out,
            ),
        };
        if any {
            Ok(())
        } else {
            Err(PolicyError::NothingEligible)
        }
    }

    /// Scores of this request: after costs, −∞ for arms that may not answer.
    fn scores(&self, request: &Request<'_>, out: &mut Vec<f64>) {
        let reward = &self.record.config.reward;
        let known = self.ready().scores.iter();
        let asked = request.eligible.iter().zip(request.costs);
        out.clear();
        out.extend(known.zip(asked).map(|(score, (may, cost))| {
            let penalty = if *may { reward.penalty(*cost) } else { None };
            penalty.map_or(f64::NEG_INFINITY, |penalty| score - penalty)
        }));
    }
}

impl Record {
    fn is_sound(&self) -> bool {
        !self.arms.is_empty()
            && self.clock <= COUNT_MAX
            && self.config.check().is_ok()
            && self.rule.check().is_ok()
            && self.arms.iter().all(|arm| arm.is_sound(self.clock))
    }
}

impl TryFrom<Record> for MeanBandit {
    type Error = &'static str;

    fn try_from(record: Record) -> Result<Self, Self::Error> {
        if record.is_sound() {
            Ok(Self::of(record))
        } else {
            Err("its parts do not fit together")
        }
    }
}

impl From<MeanBandit> for Record {
    fn from(bandit: MeanBandit) -> Self {
        bandit.record
    }
}

impl PartialEq for MeanBandit {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Policy for MeanBandit {
    fn name(&self) -> &str {
        self.record.rule.name()
    }

    fn arms(&self) -> usize {
        self.record.arms.len()
    }

    fn needs_costs(&self) -> bool {
        self.record.config.reward.weighs_costs()
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
        let ready = self.ready();
        let all = request.eligible.iter().all(|may| *may);
        if all && !self.record.config.reward.weighs_costs() {
            out.copy_from_slice(&ready.probabilities);
            return Ok(());
        }
        let mut scores = std::mem::take(&mut work.floats);
        self.scores(request, &mut scores);
        let spread = self.spread(ready, &scores, &mut work.more, out);
        work.floats = scores;
        spread
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        self.scores(request, &mut work.floats);
        let scores = work.floats.iter().zip(request.eligible);
        out.clear();
        out.extend(
            self.evidence()
                .zip(scores)
                .map(|(arm, (score, may))| Estimate {
                    quality: Some(arm.prediction()),
                    score: *score,
                    feasible: *may,
                }),
        );
        Ok(())
    }

    fn check(&self, _: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        check_arm(self, outcome)
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)?;
        let record = &mut self.record;
        record.clock = record.clock.saturating_add(1);
        let quality = outcome.quality.map(crate::Quality::get);
        let forgetting = record.config.forgetting;
        record.arms[outcome.arm].push(forgetting, record.clock, quality, outcome.weight);
        self.refresh();
        Ok(())
    }

    fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PolicyError> {
        within("quality", prior.quality, 0.0..=1.0, "[0, 1]")?;
        within("strength", prior.strength, 0.0..=WEIGHT_MAX, "[0, 1e12]")?;
        let arms = self.record.arms.len();
        let like = match prior.like {
            Some(got) if got >= arms => return Err(PolicyError::Arm { got, arms }),
            like => like.and_then(|like| self.evidence().nth(like)),
        };
        let mean = like.map_or(prior.quality, |like| like.posterior);
        let config = &self.record.config;
        let arm = ArmMean::prior(config.prior_mean, config.prior_strength, self.record.clock);
        self.record
            .arms
            .push(arm.with_evidence(prior.strength, mean));
        self.refresh();
        Ok(())
    }

    fn state(&self) -> Vec<u8> {
        encode_state(&self.record)
    }

    fn fork(&self) -> Box<dyn Policy> {
        // What is published is ready: no deciding thread waits for it.
        self.ready();
        Box::new(self.clone())
    }
}

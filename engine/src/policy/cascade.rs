//! Cascade: ask an arm, judge its answer, escalate while that is worth its price.

use serde::{Deserialize, Serialize};

use super::post_hoc::PostHoc;
use super::reward::{Reward, within};
use super::shared_state::Forked;
use super::state::sound;
use super::supermodel::{Candidate, Search};
use super::{
    ArmPrior, Drawn, Estimate, Outcome, Policy, PolicyError, Request, Workspace, check_arm,
    decode_state, encode_state,
};
use crate::context::Context;
use crate::decision::Reason;
use crate::distribution::sample;
use crate::money::Usd;
use crate::predictor::{CustomLoader, Detail, Prediction, Predictor};
use crate::units::{ArmId, Propensity};

/// Default of [`CascadeConfig::epsilon`]: nothing is tried that the rule would not do.
pub const CASCADE_EPSILON: f64 = 0.0;
/// Largest bill of one call.
const COST_MAX: Usd = Usd::from_pico(1_000_000_000_000 * crate::money::PICO_PER_USD);

/// Parameters of a [`Cascade`].
///
/// | parameter | default | range | effect |
/// |---|---|---|---|
/// | `reward` | quality alone | | λ = `cost_weight`/`cost_scale` is the quality a dollar is worth; at 0 every call that may help is made |
/// | `epsilon` | [`CASCADE_EPSILON`] | \[0, 1\] | share of steps spread over all that can be done: each arm not asked yet, and stopping |
/// | `calls_max` | none | 1.. | most calls of one request |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CascadeConfig {
    /// What a dollar is worth.
    pub reward: Reward,
    /// Share of steps that explore.
    pub epsilon: f64,
    /// Most calls of one request; `None`: as many as there are arms.
    pub calls_max: Option<usize>,
}

impl Default for CascadeConfig {
    fn default() -> Self {
        Self {
            reward: Reward::default(),
            epsilon: CASCADE_EPSILON,
            calls_max: None,
        }
    }
}

/// Asks cheap arms first, judges their answers, and escalates while that pays.
///
/// At every step it weighs the supermodels M ⊇ R, sets of arms that contain those asked already,
/// and takes the one that maximises `E[max_{i∈M} q_i] − λ·Σ_{i∈M} c_i`. If that is R itself, it
/// stops, and the answer of highest expected quality is used; otherwise it asks the cheapest arm
/// of M that is left, and weighs again (Dekoninck, Baader and Vechev 2024, "A Unified Approach to
/// Routing and Cascading for LLMs", arXiv 2410.10347, cascade routing). Routing is the case in
/// which answers cannot be judged: then M has one arm.
///
/// Symbols: q_i quality of arm i's answer, in [0, 1]; c_i its cost in US dollars, expected by the
/// router before the call; λ in quality per dollar.
///
/// **A cascade is worth what its signal is worth.** What a call may reveal is told by
/// [`PostHoc::reliability`]: q_i after the call is 1 with probability ρp, 0 with ρ(1 − p), and p
/// otherwise, where the paper has a normal of fitted variance; this is exact for answers that are
/// right or wrong, stays in [0, 1], and `E[max]` is then a finite sum. Arms are taken to be
/// independent given the context. Up to 12 arms every set is weighed; beyond it, sets grow by
/// the most useful arm. The uncertainty of the predictor itself is not counted.
///
/// **Every call is paid for**: [`cascade_cost`] sums the bills of the calls made, and each is an
/// outcome to be reported by itself.
///
/// As a [`Policy`] it answers with its first step; [`Router::next_step`](crate::Router::next_step)
/// goes on from there.
///
/// ```
/// use plimsoll::{
///     Cascade, CascadeConfig, CascadeStep, Context, NextStep, PostHoc, Predictor, PredictorConfig,
///     PredictorKind, Request, Reward, TrainingRows, Usd, Workspace, cascade_cost,
/// };
/// // The small arm is right on 60 % of requests, the large one on 90 %; a verifier tells which.
/// let contexts = vec![Context::default(); 1_000];
/// let quality: Vec<_> = (0..1_000)
///     .flat_map(|i| [i % 10 < 6, i % 10 < 9].map(|right| Some(f64::from(u8::from(right)))))
///     .collect();
/// let rows = TrainingRows { contexts: &contexts, arms: 2, quality: &quality, weights: None };
/// let predictor = Predictor::fit(&PredictorConfig::new(PredictorKind::Beta), &rows)?;
/// let config = CascadeConfig {
///     reward: Reward { cost_weight: 1.0, cost_scale: 0.1 }, // 10 cents are worth one right answer
///     ..CascadeConfig::default()
/// };
/// let cascade = Cascade::new(predictor, vec![PostHoc::PERFECT; 2], config)?;
///
/// let request = Request {
///     context: &contexts[0],
///     eligible: &[true, true],
///     costs: &[Some(0.001), Some(0.03)],
///     floor: None,
/// };
/// let mut work = Workspace::default();
/// let first = cascade.next(&request, &[], 0.5, &mut work)?;
/// assert!(matches!(first, NextStep::Ask { arm: 0, .. }));
/// // The verifier finds the answer wrong: the large arm is asked. Both calls are paid for.
/// let mut run = vec![CascadeStep::new(0, 0.0, "0.001".parse()?)];
/// let second = cascade.next(&request, &run, 0.5, &mut work)?;
/// assert!(matches!(second, NextStep::Ask { arm: 1, .. }));
/// run.push(CascadeStep::new(1, 1.0, "0.03".parse()?));
/// let third = cascade.next(&request, &run, 0.5, &mut work)?;
/// assert!(matches!(third, NextStep::Stop { arm: 1, .. }));
/// assert_eq!(cascade_cost(&run), "0.031".parse::<Usd>()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cascade {
    predictor: Forked<Predictor>,
    post_hoc: Vec<PostHoc>,
    config: CascadeConfig,
}

/// A call that was made.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CascadeStep {
    /// Index of the arm that answered.
    pub arm: usize,
    /// What its answer's signal says, in [0, 1]; `None`: it was not judged.
    pub signal: Option<f64>,
    /// What the call cost; where no bill came, what it was expected to cost.
    pub cost: Usd,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NextStep {
    /// Ask an arm.
    Ask {
        /// Index of the arm.
        arm: usize,
        /// Exact probability with which this was chosen.
        propensity: Propensity,
    },
    /// Use the answer of an arm that was asked.
    Stop {
        /// Index of the arm: of the answers there are, its is expected to be the best.
        arm: usize,
        /// Quality expected of the answer.
        quality: f64,
        /// Exact probability with which this was chosen.
        propensity: Propensity,
    },
}

/// What a cascade has cost: every call counts, whichever answer is used.
#[must_use]
pub fn cascade_cost(run: &[CascadeStep]) -> Usd {
    let add = |sum: i128, step: &CascadeStep| sum.saturating_add(step.cost.pico());
    Usd::from_pico(run.iter().fold(0, add))
}

impl CascadeStep {
    /// An answer that was judged.
    #[must_use]
    pub const fn new(arm: usize, signal: f64, cost: Usd) -> Self {
        Self {
            arm,
            signal: Some(signal),
            cost,
        }
    }
}

impl Cascade {
    pub(crate) const NAME: &'static str = "cascade";

    /// A cascade over a predictor of quality before the call, and one reading of the signal per
    /// arm, shape (K).
    ///
    /// # Errors
    /// [`PolicyError`] when the parts count other arms or a parameter is out of range.
    pub fn new(
        predictor: Predictor,
        post_hoc: Vec<PostHoc>,
        config: CascadeConfig,
    ) -> Result<Self, PolicyError> {
        let cascade = Self {
            predictor: Forked::new(predictor),
            post_hoc,
            config,
        };
        cascade.check_parts()?;
        Ok(cascade)
    }

    fn check_parts(&self) -> Result<(), PolicyError> {
        self.config.reward.check()?;
        within("epsilon", self.config.epsilon, 0.0..=1.0, "[0, 1]")?;
        if self.config.calls_max == Some(0) {
            return Err(PolicyError::Parameter {
                name: "calls_max",
                got: 0.0,
                allowed: "[1, ∞)",
            });
        }
        let (got, expected) = (self.post_hoc.len(), self.predictor.arms());
        if got != expected {
            let part = "number of signals";
            return Err(PolicyError::Shape {
                part,
                got,
                expected,
            });
        }
        self.post_hoc.iter().try_for_each(check_post_hoc)
    }

    pub(crate) fn is_sound(&self) -> bool {
        self.check_parts().is_ok() && self.predictor.is_sound()
    }

    /// The cascade of its [`state`](Policy::state), where a custom predictor is part of it: `make`
    /// gets the predictor's name and state.
    ///
    /// # Errors
    /// [`PolicyError::State`] when the bytes hold no cascade; and `make`'s.
    pub fn restore(bytes: &[u8], make: &CustomLoader<'_>) -> Result<Self, PolicyError> {
        let mut cascade: Self = decode_state(Self::NAME, bytes)?;
        cascade.predictor.make_mut().load(make)?;
        sound(cascade, Self::is_sound)
    }

    /// What is expected before a call.
    #[must_use]
    pub fn predictor(&self) -> &Predictor {
        &self.predictor
    }

    /// How signals are read, shape (K).
    #[must_use]
    pub fn post_hoc(&self) -> &[PostHoc] {
        &self.post_hoc
    }

    /// Replaces the reading of an arm's signal.
    ///
    /// # Errors
    /// [`PolicyError`] when there is no such arm, or a number is out of range.
    pub fn set_post_hoc(&mut self, arm: usize, post_hoc: PostHoc) -> Result<(), PolicyError> {
        check_post_hoc(&post_hoc)?;
        let arms = self.arms();
        let held = self.post_hoc.get_mut(arm);
        *held.ok_or(PolicyError::Arm { got: arm, arms })? = post_hoc;
        Ok(())
    }

    /// What to do after the calls in `run`: ask another arm, or stop.
    ///
    /// `draw` in [0, 1) picks among the step's probabilities; without exploration any will do.
    ///
    /// # Errors
    /// [`PolicyError`] when a call names an arm that does not exist or was asked before, a signal
    /// is outside [0, 1], a bill is negative, or nothing can be done.
    pub fn next(
        &self,
        request: &Request<'_>,
        run: &[CascadeStep],
        draw: f64,
        work: &mut Workspace,
    ) -> Result<NextStep, PolicyError> {
        let (mut out, stop) = (std::mem::take(&mut work.floats), self.arms());
        let answer = self.steps(request, run, work, &mut out);
        let chosen = answer.as_ref().map_or(stop, |_| sample(&out, draw));
        let probability = out.get(chosen).copied().unwrap_or_default();
        work.floats = out;
        let answer = answer?;
        let propensity = Propensity::new(probability.min(1.0))
            .expect("a step that was drawn has a positive probability");
        Ok(match answer {
            Some((arm, quality)) if chosen == stop => NextStep::Stop {
                arm,
                quality,
                propensity,
            },
            _ => NextStep::Ask {
                arm: chosen,
                propensity,
            },
        })
    }

    /// Replaces `out` by the probability of each step, shape (K + 1), the last of which is to stop;
    /// the best answer so far and its expected quality.
    fn steps(
        &self,
        request: &Request<'_>,
        run: &[CascadeStep],
        work: &mut Workspace,
        out: &mut Vec<f64>,
    ) -> Result<Option<(usize, f64)>, PolicyError> {
        let stop = self.arms();
        out.clear();
        out.resize(stop + 1, 0.0);
        self.check_run(run)?;
        self.predict(request, work)?;
        let answer = self.answer(&work.predictions, run);
        let search = &mut work.search;
        let candidates = search.among(self.candidates(request, &work.predictions, run));
        let most = self.config.calls_max.unwrap_or(usize::MAX);
        let left = most.saturating_sub(run.len());
        if left == 0 || candidates == 0 {
            out[stop] = 1.0;
            return answer.map(Some).ok_or(PolicyError::NothingEligible);
        }
        let options = candidates + usize::from(answer.is_some());
        let each = self.config.epsilon / crate::math::len(options);
        for candidate in search.candidates() {
            out[candidate.arm] = each;
        }
        out[stop] = if answer.is_some() { each } else { 0.0 };
        let plan = search.best_plan(answer.map(|(_, quality)| quality), left);
        out[plan.first().unwrap_or(stop)] += 1.0 - self.config.epsilon;
        Ok(answer)
    }

    /// Predictions before any call, into `work.predictions`.
    fn predict(&self, request: &Request<'_>, work: &mut Workspace) -> Result<(), PolicyError> {
        let (scratch, out) = (&mut work.predict, &mut work.predictions);
        self.predictor
            .predict_as(Detail::Full, request.context, scratch, out)?;
        Ok(())
    }

    fn check_run(&self, run: &[CascadeStep]) -> Result<(), PolicyError> {
        let arms = self.arms();
        for (i, step) in run.iter().enumerate() {
            let got = step.arm;
            if got >= arms {
                return Err(PolicyError::Arm { got, arms });
            }
            if run[..i].iter().any(|before| before.arm == got) {
                return Err(PolicyError::AskedTwice { arm: got });
            }
            within("signal", step.signal.unwrap_or(0.0), 0.0..=1.0, "[0, 1]")?;
            if !(Usd::ZERO..=COST_MAX).contains(&step.cost) {
                let (name, got) = ("cost", step.cost.as_f64());
                let allowed = "[0, 1e12]";
                return Err(PolicyError::Parameter { name, got, allowed });
            }
        }
        Ok(())
    }

    /// The answer of highest expected quality, the cheaper one among equals.
    fn answer(&self, before: &[Prediction], run: &[CascadeStep]) -> Option<(usize, f64)> {
        let expected = |step: &CascadeStep| {
            let known = before[step.arm].mean;
            let quality = step.signal.map_or(known, |signal| {
                self.post_hoc[step.arm].quality(known, signal)
            });
            (step.arm, quality)
        };
        run.iter()
            .map(expected)
            .reduce(|best, other| if other.1 > best.1 { other } else { best })
    }

    /// The arms that may still be asked, by index.
    fn candidates<'a>(
        &'a self,
        request: &'a Request<'_>,
        before: &'a [Prediction],
        run: &'a [CascadeStep],
    ) -> impl Iterator<Item = Candidate> + 'a {
        let asked = move |arm: usize| run.iter().any(|step| step.arm == arm);
        let candidate = move |arm: usize| {
            let penalty = self.config.reward.penalty(request.costs[arm])?;
            Some(Candidate {
                arm,
                quality: before[arm].mean,
                reliability: self.post_hoc[arm].reliability,
                cost: request.costs[arm].unwrap_or(0.0),
                penalty,
            })
        };
        (0..self.arms())
            .filter(move |arm| request.eligible[*arm] && !asked(*arm))
            .filter_map(candidate)
    }
}

fn check_post_hoc(post_hoc: &PostHoc) -> Result<(), PolicyError> {
    within("weight of a signal", post_hoc.weight, 0.0..=1.0, "[0, 1]")?;
    let reliability = post_hoc.reliability;
    within("reliability of a signal", reliability, 0.0..=1.0, "[0, 1]")?;
    if post_hoc.is_sound() {
        Ok(())
    } else {
        Err(PolicyError::Parameter {
            name: "calibration of a signal",
            got: f64::NAN,
            allowed: "what `PostHoc::fit` makes",
        })
    }
}

impl Policy for Cascade {
    fn name(&self) -> &str {
        self.predictor.custom_name().unwrap_or(Self::NAME)
    }

    fn arms(&self) -> usize {
        self.post_hoc.len()
    }

    fn dimensions(&self) -> Option<usize> {
        Some(self.predictor.dimensions())
    }

    fn needs_costs(&self) -> bool {
        self.config.reward.weighs_costs()
    }

    fn distribution(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut [f64],
    ) -> Result<(), PolicyError> {
        let mut steps = std::mem::take(&mut work.floats);
        let done = self.steps(request, &[], work, &mut steps);
        out.copy_from_slice(&steps[..self.arms()]);
        work.floats = steps;
        done.map(drop)
    }

    fn estimates(
        &self,
        request: &Request<'_>,
        work: &mut Workspace,
        out: &mut Vec<Estimate>,
    ) -> Result<(), PolicyError> {
        self.predict(request, work)?;
        let estimate = |(arm, quality): (usize, &Prediction)| {
            let penalty = self.config.reward.penalty(request.costs[arm]);
            let penalty = penalty.filter(|_| request.eligible[arm]);
            Estimate {
                quality: Some(*quality),
                score: penalty.map_or(f64::NEG_INFINITY, |penalty| quality.mean - penalty),
                feasible: penalty.is_some(),
            }
        };
        out.clear();
        out.extend(work.predictions.iter().enumerate().map(estimate));
        Ok(())
    }

    fn reason(&self, request: &Request<'_>, arms: &[ArmId], drawn: Drawn<'_>) -> Reason {
        let probability = drawn.probabilities[drawn.arm];
        let mut work = Workspace::default();
        let name = |arm: usize| arms[arm].clone();
        let planned = self.predict(request, &mut work).map(|()| {
            let mut search = Search::default();
            search.among(self.candidates(request, &work.predictions, &[]));
            let plan = search.best_plan(None, self.config.calls_max.unwrap_or(usize::MAX));
            (
                plan.first(),
                plan.arms().skip(1).map(name).collect(),
                plan.quality,
            )
        });
        match planned {
            Ok((Some(first), then, quality)) if first == drawn.arm => {
                Reason::AskedFirst { then, quality }
            }
            Ok((Some(first), ..)) => Reason::Explored {
                instead_of: name(first),
                probability,
            },
            _ => Reason::Drawn {
                policy: Self::NAME.to_owned(),
                probability,
            },
        }
    }

    fn check(&self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        check_arm(self, outcome)?;
        self.predictor
            .check_outcome(context, outcome.arm, outcome.weight)?;
        Ok(())
    }

    fn update(&mut self, context: &Context, outcome: &Outcome) -> Result<(), PolicyError> {
        self.check(context, outcome)?;
        if let Some(quality) = outcome.quality {
            let predictor = self.predictor.make_mut();
            predictor.update(context, outcome.arm, quality, outcome.weight)?;
        }
        Ok(())
    }

    fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PolicyError> {
        prior.check(self.arms())?;
        self.predictor.make_mut().add_arm(prior)?;
        let like = prior.like.map(|like| self.post_hoc[like].clone());
        self.post_hoc.push(like.unwrap_or(PostHoc::WORTHLESS));
        Ok(())
    }

    fn state(&self) -> Vec<u8> {
        encode_state(self)
    }

    fn fork(&self) -> Box<dyn Policy> {
        Box::new(self.clone())
    }
}

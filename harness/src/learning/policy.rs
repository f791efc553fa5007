//! What learns: the trait, and simple references.

use ndarray::ArrayView2;
use plimsoll::{ArmId, Context, Distribution, FeatureMap, Propensity, Quality, Seed, Usd};

use super::error::LearningError;
use super::keyed::float;

/// A policy that goes on learning. Arms are counted as in [`LearnerStart::arms`].
pub trait LearningPolicy: Send + Sync {
    /// A name for people.
    fn name(&self) -> String;

    /// The probability of each arm, shape (K); 0 for arms out of service.
    ///
    /// # Errors
    /// [`LearningError`] when the context cannot be used.
    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError>;

    /// Learns what became of an earlier choice: first its cost, later, if ever, its label.
    ///
    /// # Errors
    /// [`LearningError`] when the observation cannot be used.
    fn feedback(&mut self, context: &Context, seen: &Observation) -> Result<(), LearningError>;

    /// Is told that an arm changed.
    ///
    /// # Errors
    /// [`LearningError`] when the policy cannot go on with it.
    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError>;

    /// The quality it expects of an arm, if it expects one.
    fn expected_quality(&self, _context: &Context, _arm: usize) -> Option<f64> {
        None
    }

    /// An independent copy: what one learns, the other does not.
    fn fork(&self) -> Box<dyn LearningPolicy>;
}

/// What is revealed of one answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// The chosen arm.
    pub arm: usize,
    /// Probability with which it was chosen.
    pub propensity: Propensity,
    /// The label, once it is due.
    pub quality: Option<Quality>,
    /// What the call cost, told at once.
    pub cost: Option<Usd>,
    /// Output tokens, told with the cost.
    pub output_tokens: Option<u64>,
}

/// What a policy is told about an arm.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ArmChange {
    /// It can be chosen from now on.
    Appears,
    /// It can no longer be chosen.
    Vanishes,
    /// Its price sheet is multiplied by this factor.
    Repriced(f64),
}

/// What a policy may start from: rows before the replayed ones, if any.
#[derive(Clone, Copy, Debug)]
pub struct LearnerStart<'a> {
    /// The arms, shape (K).
    pub arms: &'a [ArmId],
    /// Which of them are in service at the first request, shape (K).
    pub present: &'a [bool],
    /// How requests became contexts.
    pub features: &'a FeatureMap,
    /// Contexts of the warm-up rows, shape (n).
    pub contexts: &'a [Context],
    /// Their known labels, shape (n, K); none of arms that appear later.
    pub quality: ArrayView2<'a, Option<f64>>,
    /// Their known costs, shape (n, K).
    pub cost: ArrayView2<'a, Option<Usd>>,
    /// What each arm's price sheet leads to expect of a request, in US dollars, shape (K).
    pub list_cost: &'a [f64],
    /// The line that mean quality is to keep.
    pub line: f64,
    /// The run's seed.
    pub seed: Seed,
}

impl LearnerStart<'_> {
    /// Mean of the known labels per arm; `None` without any.
    #[must_use]
    pub fn mean_quality(&self) -> Vec<Option<f64>> {
        self.quality
            .columns()
            .into_iter()
            .map(|column| {
                let known: Vec<f64> = column.iter().copied().flatten().collect();
                (!known.is_empty()).then(|| known.iter().sum::<f64>() / float(known.len()))
            })
            .collect()
    }

    /// The arm of highest mean label among those in service; without labels the dearest.
    #[must_use]
    pub fn best_single(&self) -> usize {
        let means = self.mean_quality();
        let key = |arm: usize| {
            let present = f64::from(u8::from(self.present[arm]));
            (present, means[arm].unwrap_or(0.0), self.list_cost[arm])
        };
        let better = |a: (f64, f64, f64), b: (f64, f64, f64)| {
            let order =
                a.0.total_cmp(&b.0)
                    .then(a.1.total_cmp(&b.1))
                    .then(a.2.total_cmp(&b.2));
            order.is_gt()
        };
        (1..self.arms.len()).fold(0, |best, arm| {
            if better(key(arm), key(best)) {
                arm
            } else {
                best
            }
        })
    }
}

/// Arms in service that may answer a request.
fn choosable(arms: &[ArmId], present: &[bool], context: &Context) -> Vec<bool> {
    arms.iter()
        .zip(present)
        .map(|(arm, present)| *present && context.eligible.as_ref().is_none_or(|e| e.contains(arm)))
        .collect()
}

/// Alike over the arms that may answer.
pub(super) fn even(
    arms: &[ArmId],
    present: &[bool],
    context: &Context,
) -> Result<Distribution, LearningError> {
    let weights: Vec<f64> = choosable(arms, present, context)
        .into_iter()
        .map(|can| f64::from(u8::from(can)))
        .collect();
    Distribution::from_weights(&weights).map_err(|e| LearningError::engine(e.code(), &e, e.help()))
}

/// One arm for everything; while it is out of service, any alike.
#[derive(Clone, Debug)]
pub struct FixedArm {
    arms: Vec<ArmId>,
    present: Vec<bool>,
    arm: usize,
}

impl FixedArm {
    /// Always `arm`.
    #[must_use]
    pub fn new(start: &LearnerStart<'_>, arm: usize) -> Self {
        Self {
            arms: start.arms.to_vec(),
            present: start.present.to_vec(),
            arm,
        }
    }
}

impl LearningPolicy for FixedArm {
    fn name(&self) -> String {
        format!("always {}", self.arms[self.arm])
    }

    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
        if choosable(&self.arms, &self.present, context)[self.arm] {
            Distribution::certain(self.arm, self.arms.len())
                .map_err(|e| LearningError::engine(e.code(), &e, e.help()))
        } else {
            even(&self.arms, &self.present, context)
        }
    }

    fn feedback(&mut self, _: &Context, _: &Observation) -> Result<(), LearningError> {
        Ok(())
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        set_present(&mut self.present, arm, change);
        Ok(())
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(self.clone())
    }
}

fn set_present(present: &mut [bool], arm: usize, change: ArmChange) {
    match change {
        ArmChange::Appears => present[arm] = true,
        ArmChange::Vanishes => present[arm] = false,
        ArmChange::Repriced(_) => {}
    }
}

/// Every arm in service alike.
#[derive(Clone, Debug)]
pub struct UniformChoice {
    arms: Vec<ArmId>,
    present: Vec<bool>,
}

impl UniformChoice {
    /// Over the arms of `start`.
    #[must_use]
    pub fn new(start: &LearnerStart<'_>) -> Self {
        Self {
            arms: start.arms.to_vec(),
            present: start.present.to_vec(),
        }
    }
}

impl LearningPolicy for UniformChoice {
    fn name(&self) -> String {
        "uniform".to_owned()
    }

    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
        even(&self.arms, &self.present, context)
    }

    fn feedback(&mut self, _: &Context, _: &Observation) -> Result<(), LearningError> {
        Ok(())
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        set_present(&mut self.present, arm, change);
        Ok(())
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(self.clone())
    }
}

/// The cheapest arm whose mean quality reaches the line, ignoring the request; with probability ε
/// any arm alike.
///
/// Means are of Beta(1 + Σr, 1 + Σ(1 − r)), costs are running means. When no arm reaches the line,
/// the one of highest mean answers.
#[derive(Clone, Debug)]
pub struct EpsilonGreedy {
    arms: Vec<ArmId>,
    present: Vec<bool>,
    /// Σr and Σ1 per arm.
    labels: Vec<(f64, f64)>,
    /// Mean cost and number of costs per arm.
    cost: Vec<(f64, f64)>,
    line: f64,
    epsilon: f64,
}

impl EpsilonGreedy {
    /// ε in [0, 1], starting from the rows of `start`.
    #[must_use]
    pub fn new(start: &LearnerStart<'_>, epsilon: f64) -> Self {
        let labels = start.quality.columns().into_iter().map(|column| {
            let known = column.iter().copied().flatten();
            known.fold((0.0, 0.0), |(sum, n), r| (sum + r, n + 1.0))
        });
        let priced = |(arm, column): (usize, ndarray::ArrayView1<'_, Option<Usd>>)| {
            let costs = column.iter().flatten().map(|c| c.as_f64());
            let (sum, n) = costs.fold((0.0, 0.0), |(sum, n), c| (sum + c, n + 1.0));
            if n > 0.0 {
                (sum / n, n)
            } else {
                (start.list_cost[arm], 1.0)
            }
        };
        Self {
            arms: start.arms.to_vec(),
            present: start.present.to_vec(),
            labels: labels.collect(),
            cost: start
                .cost
                .columns()
                .into_iter()
                .enumerate()
                .map(priced)
                .collect(),
            line: start.line,
            epsilon: epsilon.clamp(0.0, 1.0),
        }
    }

    fn mean(&self, arm: usize) -> f64 {
        let (sum, n) = self.labels[arm];
        (1.0 + sum) / (2.0 + n)
    }
}

impl LearningPolicy for EpsilonGreedy {
    fn name(&self) -> String {
        format!("ε-greedy (ε = {})", self.epsilon)
    }

    fn distribution(&self, context: &Context) -> Result<Distribution, LearningError> {
        let can = choosable(&self.arms, &self.present, context);
        let arms = || (0..self.arms.len()).filter(|&arm| can[arm]);
        let cheapest = arms()
            .filter(|&arm| self.mean(arm) >= self.line)
            .min_by(|&a, &b| self.cost[a].0.total_cmp(&self.cost[b].0));
        let greedy =
            cheapest.or_else(|| arms().max_by(|&a, &b| self.mean(a).total_cmp(&self.mean(b))));
        let each = self.epsilon / float(arms().count().max(1));
        let weights: Vec<f64> = (0..self.arms.len())
            .map(|arm| match (can[arm], Some(arm) == greedy) {
                (false, _) => 0.0,
                (true, true) => 1.0 - self.epsilon + each,
                (true, false) => each,
            })
            .collect();
        Distribution::from_weights(&weights)
            .map_err(|e| LearningError::engine(e.code(), &e, e.help()))
    }

    fn feedback(&mut self, _: &Context, seen: &Observation) -> Result<(), LearningError> {
        if let Some(quality) = seen.quality {
            let (sum, n) = &mut self.labels[seen.arm];
            *sum += quality.get();
            *n += 1.0;
        }
        if let Some(cost) = seen.cost {
            let (mean, n) = &mut self.cost[seen.arm];
            *n += 1.0;
            *mean += (cost.as_f64() - *mean) / *n;
        }
        Ok(())
    }

    fn arm_changed(&mut self, arm: usize, change: ArmChange) -> Result<(), LearningError> {
        set_present(&mut self.present, arm, change);
        if let ArmChange::Repriced(factor) = change {
            self.cost[arm].0 *= factor;
        }
        Ok(())
    }

    fn expected_quality(&self, _: &Context, arm: usize) -> Option<f64> {
        Some(self.mean(arm))
    }

    fn fork(&self) -> Box<dyn LearningPolicy> {
        Box::new(self.clone())
    }
}

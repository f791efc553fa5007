//! A learner on a log that holds one answer per request: its own history, by rejection.
//!
//! An event (x, a, r, p) is accepted with probability `c·π_t(a|x)/p`, π_t being the learner's
//! choice after what it accepted so far. Where `c·π_t/p ≤ 1`, an accepted event is distributed as
//! the learner's own next round, whatever x: then it learns from it. Each block of events up to
//! and including an acceptance is one round of the learner.
//!
//! - **Weighted rejection** keeps c = min p over the log and averages the accepted rewards.
//! - **DR-ns** (Dudík, Erhan, Langford & Li 2012, arXiv:1210.4862, algorithm 1) uses rejected events
//!   too: `V̂_k = Σ_a π_t(a|x_k) r̂(x_k,a) + π_t(a_k|x_k)/p_k · (r_k − r̂(x_k,a_k))`, weighted by
//!   c_t: `V̂ = Σ c_t V̂_k / Σ c_t`. After each acceptance `c_t = min(c_max, q-quantile of the p/π
//!   seen so far)`: q = 0 cuts least, larger q accepts more and may bias. c starts at
//!   min(c_max, least logged p), where the paper starts at c_max, so that no first event is cut.
//! - **Matching** (Li, Chu, Langford & Wang 2011, doi:10.1145/1935826.1935878) accepts when a drawn
//!   arm equals the logged one: valid for uniform logging only, refused otherwise.
//!
//! r̂ is prequential: fitted on the events before k, so V̂_k stays unbiased. The standard error is
//! of the blocks' residuals, `s² = Σ_b (S_b − V̂ C_b)² / (Σ C_b)²`: blocks are martingale differences
//! around the value of the history that this run lived through. What the learner is worth over all
//! its histories varies more: [`over_seeds`] adds the variance between runs.

use plimsoll::{
    ArmId, ArmSpec, Context, CostPredictor, CostRow, Predictor, PredictorConfig, PredictorKind,
    Propensity, Quality, Seed, Usd,
};

use super::error::LearningError;
use super::feedback::{Fate, Pending, fate, now};
use super::keyed::{float, unit};
use super::options::LearningOptions;
use super::policy::{LearningPolicy, Observation};
use crate::evaluation::Interval;
use crate::promise::normal_quantile;

/// Ridge of the outcome predictor: early on it has seen little.
const OUTCOME_RIDGE: f64 = 10.0;
/// How far propensities may differ from one another in a uniform log.
const UNIFORM_TOLERANCE: f64 = 1e-6;

/// One logged round.
#[derive(Clone, Debug)]
pub struct LoggedEvent {
    /// The request's id.
    pub request: String,
    /// Event time in microseconds.
    pub time_us: Option<i64>,
    /// The request.
    pub context: Context,
    /// The logged arm.
    pub arm: usize,
    /// Its logged probability, p.
    pub propensity: Propensity,
    /// Its quality, r.
    pub quality: Quality,
    /// Its cost.
    pub cost: Usd,
}

/// How logged events become the learner's own.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Acceptance {
    /// A drawn arm equals the logged one.
    Matching,
    /// With probability min p · π/p.
    Weighted,
    /// With probability c_t · π/p, rejected events estimate too.
    DrNs(DrNs),
}

/// Settings of DR-ns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrNs {
    /// q in [0, 1]: which quantile of the p/π seen becomes c.
    pub quantile: f64,
    /// `c_max` in (0, 1].
    pub multiplier_max: f64,
}

/// What one simulated history estimates.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LoggedRun {
    /// Mean quality per round.
    pub quality: f64,
    /// Its standard error.
    pub quality_error: f64,
    /// Mean cost per round in US dollars.
    pub cost_usd: f64,
    /// Its standard error.
    pub cost_error: f64,
    /// Rounds of the learner.
    pub accepted: usize,
    /// Events used.
    pub events: usize,
    /// (Σw)²/Σw² of w = c·π/p.
    pub effective: f64,
    /// Events whose acceptance chance had to be cut at 1.
    pub cut: usize,
    /// The last c.
    pub multiplier: f64,
}

/// Sums over one block: c·V̂ of quality and cost, and c.
#[derive(Clone, Copy, Debug, Default)]
struct Block {
    quality: f64,
    cost: f64,
    weight: f64,
}

/// Expects outcomes of every arm from the events so far.
struct Outcomes {
    quality: Predictor,
    cost: CostPredictor,
    /// Mean cost and count, where an arm has none yet.
    mean_cost: (f64, f64),
    /// Scratch.
    costs: Vec<Option<f64>>,
}

/// Least values of p/π, sorted.
struct Ratios {
    quantile: f64,
    sorted: Vec<f64>,
}

/// Lets a learner live through a log.
///
/// # Errors
/// [`LearningError::NotUniform`] for [`Acceptance::Matching`] on a log that was not drawn uniformly;
/// else whatever the learner refuses.
pub fn simulate_history(
    events: &[LoggedEvent],
    arms: &[ArmId],
    learner: Box<dyn LearningPolicy>,
    acceptance: Acceptance,
    options: &LearningOptions,
    seed: Seed,
) -> Result<LoggedRun, LearningError> {
    if acceptance == Acceptance::Matching {
        check_uniform(events)?;
    }
    simulate(events, arms, learner, acceptance, options, seed)
}

fn check_uniform(events: &[LoggedEvent]) -> Result<(), LearningError> {
    let p = || events.iter().map(|e| e.propensity.get());
    let (low, high) = (p().fold(1.0, f64::min), p().fold(0.0, f64::max));
    if high - low > UNIFORM_TOLERANCE {
        return Err(LearningError::NotUniform { low, high });
    }
    Ok(())
}

fn simulate(
    events: &[LoggedEvent],
    arms: &[ArmId],
    mut learner: Box<dyn LearningPolicy>,
    acceptance: Acceptance,
    options: &LearningOptions,
    seed: Seed,
) -> Result<LoggedRun, LearningError> {
    let least = events
        .iter()
        .map(|e| e.propensity.get())
        .fold(1.0, f64::min);
    let (quantile, most) = match acceptance {
        Acceptance::DrNs(settings) => (settings.quantile, settings.multiplier_max),
        Acceptance::Weighted | Acceptance::Matching => (0.0, 1.0),
    };
    let robust = matches!(acceptance, Acceptance::DrNs(_));
    let dimensions = events.first().map_or(0, |e| e.context.features.len());
    let mut outcomes = if robust {
        Some(Outcomes::new(arms, dimensions)?)
    } else {
        None
    };
    let mut ratios = Ratios {
        quantile,
        sorted: Vec::new(),
    };
    let horizon = options.horizon.unwrap_or(usize::MAX);
    let mut multiplier = least.min(most);
    let (mut blocks, mut block) = (Vec::new(), Block::default());
    let (mut pending, mut made) = (Pending::default(), Vec::new());
    let (mut sum, mut squares) = (0.0, 0.0);
    let mut run = LoggedRun::default();
    for (index, event) in events.iter().enumerate() {
        if made.len() >= horizon {
            break;
        }
        // A round of the learner is an accepted event: that is what delays count.
        let clock = now(options.delay, made.len(), event.time_us);
        while let Some(of) = pending.pop(clock) {
            let (of, propensity): (usize, Propensity) = made[of];
            learner.feedback(&events[of].context, &label(&events[of], propensity))?;
        }
        let distribution = learner.distribution(&event.context)?;
        let chances = distribution.probabilities();
        if chances.len() != arms.len() {
            return Err(LearningError::Probabilities {
                policy: learner.name(),
                position: index,
                what: "not one probability per arm",
            });
        }
        let (p, chance) = (event.propensity.get(), chances[event.arm]);
        let weight = multiplier * chance / p;
        run.events = index + 1;
        run.cut += usize::from(robust && weight > 1.0);
        (sum, squares) = (sum + weight, squares + weight * weight);
        if let Some(outcomes) = &mut outcomes {
            let (quality, cost) = outcomes.robust(event, chances)?;
            block.quality += multiplier * quality;
            block.cost += multiplier * cost;
            block.weight += multiplier;
            outcomes.learn(event)?;
            if chance > 0.0 {
                ratios.push(p / chance);
            }
        }
        let accepted = if acceptance == Acceptance::Matching {
            distribution.draw(&event.request, seed) == event.arm
        } else {
            unit("accept", seed, &event.request) < weight
        };
        if !accepted {
            continue;
        }
        let propensity =
            Propensity::new(chance.min(1.0)).expect("an accepted event has a positive probability");
        let cost = Observation {
            quality: None,
            cost: Some(event.cost),
            ..label(event, propensity)
        };
        learner.feedback(&event.context, &cost)?;
        let clock = now(options.delay, made.len(), event.time_us);
        if let Fate::Due(due) = fate(options, seed, &event.request, clock) {
            pending.push(due, made.len());
        }
        made.push((index, propensity));
        if robust {
            multiplier = ratios.value().map_or(multiplier, |ratio| ratio.min(most));
        } else {
            block = Block {
                quality: event.quality.get(),
                cost: event.cost.as_f64(),
                weight: 1.0,
            };
        }
        blocks.push(std::mem::take(&mut block));
    }
    run.accepted = made.len();
    run.effective = if squares > 0.0 {
        sum * sum / squares
    } else {
        0.0
    };
    run.multiplier = multiplier;
    (run.quality, run.quality_error) = ratio(&blocks, |b| b.quality);
    (run.cost_usd, run.cost_error) = ratio(&blocks, |b| b.cost);
    Ok(run)
}

fn label(event: &LoggedEvent, propensity: Propensity) -> Observation {
    Observation {
        arm: event.arm,
        propensity,
        quality: Some(event.quality),
        cost: None,
        output_tokens: None,
    }
}

/// ΣS/ΣC over whole blocks, and its standard error.
fn ratio(blocks: &[Block], of: impl Fn(&Block) -> f64) -> (f64, f64) {
    let total: f64 = blocks.iter().map(|b| b.weight).sum();
    if total <= 0.0 {
        return (0.0, 0.0);
    }
    let value = blocks.iter().map(&of).sum::<f64>() / total;
    let count = float(blocks.len());
    let residual = |b: &Block| (of(b) - value * b.weight).powi(2);
    let squares: f64 = blocks.iter().map(residual).sum();
    let correction = if count > 1.0 {
        count / (count - 1.0)
    } else {
        1.0
    };
    (value, (squares * correction).sqrt() / total)
}

/// The mean over runs of one log with a 95 % normal interval of variance `mean of s² + variance
/// between runs`: runs share the log, so more of them add no evidence and do not narrow it.
pub(super) fn over_seeds(
    runs: &[LoggedRun],
    value: impl Fn(&LoggedRun) -> f64,
    error: impl Fn(&LoggedRun) -> f64,
) -> Interval {
    let count = float(runs.len().max(1));
    let point = runs.iter().map(&value).sum::<f64>() / count;
    let within = runs.iter().map(|r| error(r).powi(2)).sum::<f64>() / count;
    let squares: f64 = runs.iter().map(|r| (value(r) - point).powi(2)).sum();
    let between = if count > 1.0 {
        squares / (count - 1.0)
    } else {
        0.0
    };
    let half = normal_quantile(0.975) * (within + between).sqrt();
    Interval {
        point,
        low: point - half,
        high: point + half,
    }
}

impl Outcomes {
    fn new(arms: &[ArmId], dimensions: usize) -> Result<Self, LearningError> {
        let config = PredictorConfig {
            ridge: OUTCOME_RIDGE,
            ..PredictorConfig::new(PredictorKind::Linear)
        };
        let specs: Vec<ArmSpec> = arms.iter().cloned().map(ArmSpec::new).collect();
        Ok(Self {
            quality: Predictor::prior(&config, arms.len(), dimensions)
                .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?,
            cost: CostPredictor::fit(&specs, [])
                .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?,
            mean_cost: (0.0, 0.0),
            costs: Vec::new(),
        })
    }

    /// V̂_k of quality and cost.
    fn robust(
        &mut self,
        event: &LoggedEvent,
        chances: &[f64],
    ) -> Result<(f64, f64), LearningError> {
        let mut expected = Vec::with_capacity(chances.len());
        self.quality
            .predict_batch(&[&event.context], false, &mut expected)
            .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?;
        self.cost.expected_all(&event.context, &mut self.costs);
        let cost = |arm: usize| self.costs[arm].unwrap_or(self.mean_cost.0);
        let weight = chances[event.arm] / event.propensity.get();
        let sum = |of: &dyn Fn(usize) -> f64| -> f64 {
            chances.iter().enumerate().map(|(arm, p)| p * of(arm)).sum()
        };
        let quality = sum(&|arm| expected[arm].mean)
            + weight * (event.quality.get() - expected[event.arm].mean);
        let money = sum(&cost) + weight * (event.cost.as_f64() - cost(event.arm));
        Ok((quality, money))
    }

    fn learn(&mut self, event: &LoggedEvent) -> Result<(), LearningError> {
        self.quality
            .update(&event.context, event.arm, event.quality, 1.0)
            .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?;
        self.cost
            .update(&CostRow {
                context: &event.context,
                arm: event.arm,
                output_tokens: None,
                cost: Some(event.cost),
            })
            .map_err(|e| LearningError::engine(e.code(), &e, e.help()))?;
        self.mean_cost.1 += 1.0;
        self.mean_cost.0 += (event.cost.as_f64() - self.mean_cost.0) / self.mean_cost.1;
        Ok(())
    }
}

impl Ratios {
    fn push(&mut self, ratio: f64) {
        let at = self.sorted.partition_point(|r| *r < ratio);
        if self.quantile > 0.0 {
            self.sorted.insert(at, ratio);
        } else if at == 0 {
            // Only the least counts.
            self.sorted.clear();
            self.sorted.push(ratio);
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank below the length"
    )]
    fn value(&self) -> Option<f64> {
        let last = self.sorted.len().checked_sub(1)?;
        self.sorted
            .get((self.quantile * float(last)).floor() as usize)
            .copied()
    }
}

#[cfg(test)]
#[path = "logged_tests.rs"]
mod tests;

//! Logging policies whose every propensity is known.

use std::fmt;

use ndarray::Array2;

use super::{Population, unit};

/// Share of requests that [`Logging::Greedy`] sends to its favourite.
const GREEDY: f64 = 0.7;
/// Least propensity of [`Logging::Contextual`], unless there are too many arms for it.
const LEAST: f64 = 0.02;
/// Quality below the best arm's by which an arm is still good.
const GOOD: f64 = 0.05;

/// How the log chose its arms. Every arm can be chosen on every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Logging {
    /// All arms alike.
    Uniform,
    /// 70 % the dearest arm of nearly the best quality, the rest all alike.
    Greedy,
    /// By task and length of the prompt, long ones rather to dear arms; each arm at least 0.02.
    Contextual,
}

impl Logging {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Uniform, Self::Greedy, Self::Contextual];

    /// Probability of every arm, shape (n, K).
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "few arms")]
    pub fn probabilities(self, population: &Population) -> Array2<f64> {
        let shape = population.quality.dim();
        let even = 1.0 / shape.1 as f64;
        match self {
            Self::Uniform => Array2::from_elem(shape, even),
            Self::Greedy => {
                let favourite = production(population);
                Array2::from_shape_fn(shape, |(_, arm)| {
                    (1.0 - GREEDY) * even + if arm == favourite { GREEDY } else { 0.0 }
                })
            }
            Self::Contextual => contextual(population),
        }
    }
}

impl fmt::Display for Logging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Uniform => "uniform",
            Self::Greedy => "ε-greedy",
            Self::Contextual => "contextual",
        })
    }
}

/// The dearest of the arms whose quality is within [`GOOD`] of the best.
fn production(population: &Population) -> usize {
    let mean = |table: &Array2<f64>, arm: usize| table.column(arm).mean().unwrap_or(0.0);
    let arms = 0..population.arms.len();
    let best = arms
        .clone()
        .map(|arm| mean(&population.quality, arm))
        .fold(0.0, f64::max);
    arms.filter(|&arm| mean(&population.quality, arm) >= best - GOOD)
        .max_by(|&a, &b| mean(&population.cost, a).total_cmp(&mean(&population.cost, b)))
        .expect("the best arm is good")
}

/// Least + (1 − K·least)·softmax(s), with s of task and arm by chance, and of length by price.
#[expect(clippy::cast_precision_loss, reason = "few arms")]
fn contextual(population: &Population) -> Array2<f64> {
    let (n, arms) = population.quality.dim();
    let least = LEAST.min(0.5 / arms as f64);
    let mean_cost = |arm: usize| population.cost.column(arm).sum();
    let dear: Vec<f64> = (0..arms)
        .map(|arm| {
            let cheaper = (0..arms).filter(|&b| mean_cost(b) < mean_cost(arm)).count();
            2.0 * cheaper as f64 / (arms - 1).max(1) as f64 - 1.0
        })
        .collect();
    let length: Vec<f64> = population
        .contexts
        .iter()
        .map(|c| (1.0 + c.input_tokens.unwrap_or(0) as f64).ln())
        .collect();
    let centre = length.iter().sum::<f64>() / n as f64;
    let spread = (length.iter().map(|l| (l - centre).powi(2)).sum::<f64>() / n as f64)
        .sqrt()
        .max(1e-9);
    let mut out = Array2::zeros((n, arms));
    for (row, context) in population.contexts.iter().enumerate() {
        let z = ((length[row] - centre) / spread).clamp(-2.0, 2.0);
        let task = context.task.as_deref().unwrap_or_default();
        let score = |arm: usize| {
            let taste = 2.0 * unit(arm as u64, task, [0, 0]) - 1.0;
            (1.5 * taste + dear[arm] * z).exp()
        };
        let scores: Vec<f64> = (0..arms).map(score).collect();
        let total: f64 = scores.iter().sum();
        for (arm, score) in scores.iter().enumerate() {
            out[[row, arm]] = least + (1.0 - arms as f64 * least) * score / total;
        }
    }
    out
}

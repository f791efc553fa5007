//! Outcome predictors of a draw, fitted on its own answers: q̂ and ĉ.

use std::collections::BTreeMap;
use std::error::Error;

use ndarray::Array2;
use plimsoll::{ArmSpec, Context, CostPredictor, CostRow, PredictorConfig, PredictorSection};
use plimsoll_harness::candidate::Recipe;
use plimsoll_harness::forecast::{FOLDS, Training, cross_fit};

use super::{Draw, Population};

/// Answers of an arm as a whole that the mean of one of its tasks counts for.
const SHRINK: f64 = 10.0;

/// Cross-fitted expectations of one draw: no row's copies were seen by what predicts it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// q̂, shape (n, K).
    pub quality: Array2<f64>,
    /// The recipe with the least squared error on answers not seen.
    pub quality_by: String,
    /// ĉ in US dollars, shape (n, K).
    pub cost: Array2<f64>,
    /// How costs are predicted with the least squared error.
    pub cost_by: &'static str,
}

impl Outcome {
    /// Fits and chooses, as a replay of a log with propensities does.
    ///
    /// # Errors
    /// When the engine refuses settings or rows.
    pub fn new(population: &Population, draw: &Draw) -> Result<Self, Box<dyn Error>> {
        let contexts: Vec<Context> = draw
            .rows
            .iter()
            .map(|&row| population.contexts[row].clone())
            .collect();
        let (quality_by, quality) = quality(population, draw, &contexts)?;
        let (cost_by, cost) = cost(population, draw, &contexts)?;
        Ok(Self {
            quality,
            quality_by,
            cost,
            cost_by,
        })
    }
}

fn quality(
    population: &Population,
    draw: &Draw,
    contexts: &[Context],
) -> Result<(String, Array2<f64>), Box<dyn Error>> {
    let labels = Array2::from_shape_fn((draw.len(), population.arms.len()), |(i, arm)| {
        if draw.chosen[i] == arm {
            population.quality[[draw.rows[i], arm]]
        } else {
            f64::NAN
        }
    });
    let training = Training {
        contexts,
        quality: labels.view(),
        fold: &draw.fold,
        variances: false,
    };
    let mut made: Vec<(PredictorConfig, Array2<f64>)> = Vec::new();
    let mut candidates = Vec::new();
    for recipe in Recipe::outcome(&PredictorSection::default()) {
        let mut sum = Array2::zeros(labels.dim());
        for config in &recipe.members {
            if !made.iter().any(|(known, _)| known == config) {
                let forecast = cross_fit(config, recipe.name.clone(), &training)?;
                made.push((*config, forecast.train));
            }
            let member = made.iter().find(|(known, _)| known == config);
            sum += &member.expect("made above").1;
        }
        #[expect(clippy::cast_precision_loss, reason = "few members")]
        let count = recipe.members.len() as f64;
        candidates.push((recipe.name, sum / count));
    }
    Ok(least_error(draw, candidates, |i, arm| {
        population.quality[[draw.rows[i], arm]]
    }))
}

fn cost(
    population: &Population,
    draw: &Draw,
    contexts: &[Context],
) -> Result<(&'static str, Array2<f64>), Box<dyn Error>> {
    let shape = (draw.len(), population.arms.len());
    let specs: Vec<ArmSpec> = population.arms.iter().cloned().map(ArmSpec::new).collect();
    let [mut regression, mut means, mut by_task] = [0; 3].map(|_| Array2::zeros(shape));
    for fold in 0..FOLDS {
        let (inside, outside): (Vec<usize>, Vec<usize>) =
            (0..draw.len()).partition(|&i| usize::from(draw.fold[i]) == fold);
        let fitted = CostPredictor::fit(
            &specs,
            outside.iter().map(|&i| {
                let at = [draw.rows[i], draw.chosen[i]];
                CostRow {
                    context: &contexts[i],
                    arm: draw.chosen[i],
                    output_tokens: population.output_tokens[at],
                    cost: Some(population.cost_exact[at]),
                }
            }),
        )?;
        let table = MeanCosts::new(population, draw, contexts, &outside);
        for i in inside {
            for arm in 0..shape.1 {
                let (mean, task) = table.expected(&contexts[i], arm);
                means[[i, arm]] = mean;
                by_task[[i, arm]] = task;
                regression[[i, arm]] = fitted.expected(&contexts[i], arm).unwrap_or(mean);
            }
        }
    }
    let candidates = vec![
        ("regression", regression),
        ("means", means),
        ("means by task", by_task),
    ];
    Ok(least_error(draw, candidates, |i, arm| {
        population.cost[[draw.rows[i], arm]]
    }))
}

/// The candidate with the least squared error on the logged answers; the first of equals.
fn least_error<N>(
    draw: &Draw,
    candidates: Vec<(N, Array2<f64>)>,
    observed: impl Fn(usize, usize) -> f64,
) -> (N, Array2<f64>) {
    let error = |predicted: &Array2<f64>| -> f64 {
        let chosen = draw.chosen.iter().enumerate();
        chosen
            .map(|(i, &arm)| (predicted[[i, arm]] - observed(i, arm)).powi(2))
            .sum()
    };
    candidates
        .into_iter()
        .map(|candidate| (error(&candidate.1), candidate))
        .reduce(|best, next| if next.0 < best.0 { next } else { best })
        .expect("there are candidates")
        .1
}

/// Mean costs per arm, and per arm and task shrunk to the arm's.
struct MeanCosts<'a> {
    /// Sum and number per arm.
    arms: Vec<(f64, f64)>,
    tasks: BTreeMap<(&'a str, usize), (f64, f64)>,
    /// What an arm without answers is taken to cost.
    overall: f64,
}

impl<'a> MeanCosts<'a> {
    fn new(population: &Population, draw: &Draw, contexts: &'a [Context], rows: &[usize]) -> Self {
        let mut arms = vec![(0.0, 0.0); population.arms.len()];
        let mut tasks: BTreeMap<(&'a str, usize), (f64, f64)> = BTreeMap::new();
        for &i in rows {
            let arm = draw.chosen[i];
            let cost = population.cost[[draw.rows[i], arm]];
            let task = contexts[i].task.as_deref().unwrap_or_default();
            for cell in [&mut arms[arm], tasks.entry((task, arm)).or_default()] {
                cell.0 += cost;
                cell.1 += 1.0;
            }
        }
        let (sum, count) = arms
            .iter()
            .fold((0.0, 0.0), |all, arm| (all.0 + arm.0, all.1 + arm.1));
        Self {
            arms,
            tasks,
            overall: sum / f64::max(count, 1.0),
        }
    }

    /// Expected cost of an arm, without and with the task.
    fn expected(&self, context: &Context, arm: usize) -> (f64, f64) {
        let (sum, count) = self.arms[arm];
        let mean = if count > 0.0 {
            sum / count
        } else {
            self.overall
        };
        let task = context.task.as_deref().unwrap_or_default();
        let (sum, count) = self.tasks.get(&(task, arm)).copied().unwrap_or_default();
        (mean, (SHRINK * mean + sum) / (SHRINK + count))
    }
}

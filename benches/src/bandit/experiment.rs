//! Many draws of one population by one logging policy, scored against the exact values.

use std::collections::BTreeMap;
use std::error::Error;

use ndarray::Array2;
use rayon::prelude::*;

use super::estimates::logged_rows;
use super::{Draw, Logging, Method, Outcome, Population, Spread};

/// Normal quantile of a two-sided 95 % interval.
const Z: f64 = 1.959_963_984_540_054;

/// What is drawn, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Experiment<'a> {
    /// The table and the target policy.
    pub population: &'a Population,
    /// The logging policy.
    pub logging: Logging,
    /// Number of draws.
    pub draws: u64,
    /// The seed.
    pub seed: u64,
}

/// How an estimator fared with one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Draws with an estimate.
    pub draws: u64,
    /// Mean estimate minus exact value.
    pub bias: f64,
    /// Standard deviation over draws.
    pub deviation: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Share of draws whose 95 % interval holds the exact value.
    pub coverage: f64,
    /// Mean half-width of the interval.
    pub width: f64,
}

/// Scores of every method, and what was learned on the way.
#[derive(Clone, Debug)]
pub struct Scores {
    /// Per method, in the order of [`VALUES`](super::VALUES).
    pub methods: Vec<(Method, [Score; 3])>,
    /// How often each predictor of quality was chosen.
    pub quality_by: BTreeMap<String, u64>,
    /// How often each predictor of costs was chosen.
    pub cost_by: BTreeMap<&'static str, u64>,
    /// Mean share of rows that the target's weights are worth: (Σw)²/(n Σw²).
    pub effective_share: f64,
    /// Largest weight of any draw.
    pub weight_max: f64,
}

/// One draw's estimates.
struct Estimates {
    methods: Vec<[Option<Spread>; 3]>,
    quality_by: String,
    cost_by: &'static str,
    effective_share: f64,
    weight_max: f64,
}

impl Experiment<'_> {
    /// Draws, estimates and scores; the same bytes on any number of threads.
    ///
    /// # Errors
    /// When a predictor cannot be fitted or a row cannot be used.
    pub fn run(&self, methods: &[Method]) -> Result<Scores, Box<dyn Error>> {
        let logging = self.logging.probabilities(self.population);
        let draws = (0..self.draws)
            .into_par_iter()
            .map(|index| {
                self.draw(&logging, methods, index)
                    .map_err(|e| e.to_string())
            })
            .collect::<Result<Vec<Estimates>, String>>()?;
        let exact = self.population.exact().values();
        let (mut quality_by, mut cost_by) = (BTreeMap::new(), BTreeMap::new());
        for draw in &draws {
            *quality_by.entry(draw.quality_by.clone()).or_default() += 1;
            *cost_by.entry(draw.cost_by).or_default() += 1;
        }
        let scored = methods.iter().enumerate().map(|(m, method)| {
            let scores = std::array::from_fn(|value| {
                let all: Vec<Spread> = draws.iter().filter_map(|d| d.methods[m][value]).collect();
                Score::new(&all, exact[value])
            });
            (*method, scores)
        });
        Ok(Scores {
            methods: scored.collect(),
            quality_by,
            cost_by,
            effective_share: mean(draws.iter().map(|d| d.effective_share)),
            weight_max: draws.iter().map(|d| d.weight_max).fold(0.0, f64::max),
        })
    }

    fn draw(
        &self,
        logging: &Array2<f64>,
        methods: &[Method],
        index: u64,
    ) -> Result<Estimates, Box<dyn Error>> {
        let draw = Draw::new(self.population, logging, self.seed, index);
        let outcome = Outcome::new(self.population, &draw)?;
        let rows = logged_rows(self.population, &draw, &outcome)?;
        let weights = rows.iter().map(|row| row.quality.weight());
        let (sum, squares, weight_max) = weights.fold((0.0, 0.0, 0.0), |(s, t, max), w| {
            (s + w, t + w * w, f64::max(max, w))
        });
        #[expect(clippy::cast_precision_loss, reason = "few rows")]
        let n = rows.len() as f64;
        Ok(Estimates {
            methods: methods
                .iter()
                .map(|method| method.estimate(&rows, &draw.half))
                .collect::<Result<_, _>>()?,
            quality_by: outcome.quality_by,
            cost_by: outcome.cost_by,
            effective_share: sum * sum / (n * f64::max(squares, f64::MIN_POSITIVE)),
            weight_max,
        })
    }
}

impl Score {
    fn new(all: &[Spread], exact: f64) -> Self {
        let centre = mean(all.iter().map(|s| s.point));
        let around = |c: f64| mean(all.iter().map(|s| (s.point - c).powi(2))).sqrt();
        let covers =
            |s: &Spread| f64::from(u8::from((s.point - exact).abs() <= Z * s.standard_error));
        Self {
            draws: all.len() as u64,
            bias: centre - exact,
            deviation: around(centre),
            rmse: around(exact),
            coverage: mean(all.iter().map(covers)),
            width: Z * mean(all.iter().map(|s| s.standard_error)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "few draws")]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

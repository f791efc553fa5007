//! Many draws of one population by one logging policy, scored against the exact values.

use std::collections::BTreeMap;
use std::error::Error;

use ndarray::Array2;
use rayon::prelude::*;

use plimsoll_harness::judge::Clusters;
use plimsoll_harness::trust::{
    CLIPPED_MASS_MAX, ESS_MIN, LoggedSample, WEIGHT_SHARE_MAX, weight_summary, weights,
};

use super::estimates::Logged;
use super::{Draw, Figure, Logging, Method, Outcome, Population};

/// What is drawn, and how often.
#[derive(Clone, Copy, Debug)]
pub struct Experiment<'a> {
    /// The table and the target policy.
    pub population: &'a Population,
    /// The logging policy.
    pub logging: Logging,
    /// Rows of a draw.
    pub rows: usize,
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
    /// Mean number of rows that the target's weights are worth: (Σw)²/Σw².
    pub effective_rows: f64,
    /// Largest weight of any draw.
    pub weight_max: f64,
    /// Share of draws whose weights pass the gates of a verdict: effective sample size, largest
    /// share and clipped mass.
    pub passed: f64,
}

/// One draw's estimates.
struct Estimates {
    methods: Vec<[Option<Figure>; 3]>,
    quality_by: String,
    cost_by: &'static str,
    effective_rows: f64,
    weight_max: f64,
    passed: bool,
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
                let all: Vec<Figure> = draws.iter().filter_map(|d| d.methods[m][value]).collect();
                Score::new(&all, exact[value])
            });
            (*method, scores)
        });
        Ok(Scores {
            methods: scored.collect(),
            quality_by,
            cost_by,
            effective_rows: mean(draws.iter().map(|d| d.effective_rows)),
            weight_max: draws.iter().map(|d| d.weight_max).fold(0.0, f64::max),
            passed: mean(draws.iter().map(|d| f64::from(u8::from(d.passed)))),
        })
    }

    fn draw(
        &self,
        logging: &Array2<f64>,
        methods: &[Method],
        index: u64,
    ) -> Result<Estimates, Box<dyn Error>> {
        let population = self.population;
        let draw = Draw::new(population, logging, self.rows, [self.seed, index]);
        let outcome = Outcome::new(population, &draw)?;
        let logged = Logged::new(population, logging, &draw, &outcome)?;
        let chosen: Vec<Option<usize>> = draw.chosen.iter().copied().map(Some).collect();
        let sample = LoggedSample {
            arms: &population.arms,
            chosen: &chosen,
            propensity: &draw.propensity,
            target: logged.target.view(),
            eligible: None,
            clusters: &Clusters {
                of: (0..draw.len()).collect(),
                count: draw.len(),
            },
            covariates: &[],
        };
        let weights = weights(&sample);
        let summary = weight_summary(&sample, &weights, None);
        Ok(Estimates {
            methods: methods
                .iter()
                .map(|method| method.estimate(&logged))
                .collect::<Result<_, _>>()?,
            quality_by: outcome.quality_by,
            cost_by: outcome.cost_by,
            effective_rows: summary.ess,
            weight_max: weights.weight.iter().copied().fold(0.0, f64::max),
            passed: summary.ess.min(weights.ess_expected) >= ESS_MIN
                && summary.weight_max_share <= WEIGHT_SHARE_MAX
                && summary.clipped_mass <= CLIPPED_MASS_MAX,
        })
    }
}

impl Score {
    fn new(all: &[Figure], exact: f64) -> Self {
        let centre = mean(all.iter().map(|s| s.point));
        let around = |c: f64| mean(all.iter().map(|s| (s.point - c).powi(2))).sqrt();
        let covers = |s: &Figure| f64::from(u8::from(s.low <= exact && exact <= s.high));
        Self {
            draws: all.len() as u64,
            bias: centre - exact,
            deviation: around(centre),
            rmse: around(exact),
            coverage: mean(all.iter().map(covers)),
            width: mean(all.iter().map(|s| (s.high - s.low) / 2.0)),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "few draws")]
fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

//! A table whose every answer is known, and the policy that is evaluated on it.

use std::collections::HashMap;
use std::error::Error;

use ndarray::Array2;
use plimsoll::{
    ArmId, ArmsConfig, Context, FeatureMap, FeatureMapConfig, ObjectiveConfig, PolicyConfig, Seed,
    TextFeaturesConfig, Usd,
};
use plimsoll_datasets::{ReadLog, Split};
use plimsoll_harness::study::raw_context;
use plimsoll_harness::{ArmChoice, OutcomeTable, ReplayInput, ReplayOptions, RowCounts, replay};

/// What is estimated, in the order of every array of three.
pub const VALUES: [&str; 3] = ["quality", "cost", "savings"];

/// Dimensions of hashed text that outcome predictors see: a draw must be cheap.
const TEXT_DIMENSIONS: usize = 32;

/// Rows that were not used to fit the target policy, with all answers.
#[derive(Clone, Debug)]
pub struct Population {
    /// Name of the table.
    pub name: String,
    /// The arms, K.
    pub arms: Vec<ArmId>,
    /// Contexts with few features, shape (n).
    pub contexts: Vec<Context>,
    /// Quality, shape (n, K).
    pub quality: Array2<f64>,
    /// Cost in US dollars, shape (n, K).
    pub cost: Array2<f64>,
    /// The same, exactly.
    pub cost_exact: Array2<Usd>,
    /// Output tokens, where known, shape (n, K).
    pub output_tokens: Array2<Option<u64>>,
    /// Probabilities of the target policy, shape (n, K).
    pub target: Array2<f64>,
    /// The arm that savings are measured against: the best on the target's training rows.
    pub baseline: usize,
}

/// The values that estimates are held against.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exact {
    /// Mean quality under the target, in [0, 1].
    pub quality: f64,
    /// Mean cost under the target, US dollars.
    pub cost: f64,
    /// Mean cost of the baseline, US dollars.
    pub baseline_cost: f64,
}

impl Exact {
    /// Share of the baseline's cost that the target saves.
    #[must_use]
    pub fn savings(&self) -> f64 {
        1.0 - self.cost / self.baseline_cost
    }

    /// In the order of [`VALUES`].
    #[must_use]
    pub fn values(&self) -> [f64; 3] {
        [self.quality, self.cost, self.savings()]
    }
}

impl Population {
    /// Fits a policy that keeps `retain` of the best arm's quality on the training rows of `log`,
    /// and takes the others as the population.
    ///
    /// # Errors
    /// When the log cannot be replayed.
    pub fn new(
        name: &str,
        log: &ReadLog,
        include: Option<Vec<ArmId>>,
        retain: f64,
        seed: u64,
    ) -> Result<Self, Box<dyn Error>> {
        let mut policy = PolicyConfig::new(ObjectiveConfig::retain(retain));
        policy.arms = ArmsConfig {
            include: include.clone(),
            ..policy.arms
        };
        let choice = ArmChoice {
            include: include.iter().flatten().map(ToString::to_string).collect(),
            exclude: vec![],
            coverage_min: policy.arms.coverage_min,
        };
        let input = ReplayInput {
            log: &log.log,
            evidence: log.report.evidence.kind,
            rows: RowCounts::default(),
            catalogue_digest: None,
        };
        let mut options = ReplayOptions::new(policy, Split::parse("hash:0.5")?, Seed(seed));
        // Its intervals are not read.
        options.resamples = 50;
        let fitted = replay(&input, &options, &|_| ())?;
        let table = OutcomeTable::new(&log.log, input.evidence, &choice)?;
        let place: HashMap<&str, usize> = table
            .requests
            .iter()
            .enumerate()
            .map(|(row, &request)| (log.log.requests[request].id.as_str(), row))
            .collect();
        let rows: Vec<usize> = fitted
            .request_ids
            .iter()
            .map(|id| place[id.as_str()])
            .collect();
        let raw = |row: &usize| raw_context(&log.log.requests[table.requests[*row]]);
        let config = FeatureMapConfig {
            text: TextFeaturesConfig {
                dimensions: TEXT_DIMENSIONS,
                ..TextFeaturesConfig::default()
            },
            ..FeatureMapConfig::default()
        };
        let features = FeatureMap::fit(config, rows.iter().map(raw))?;
        let mut contexts = Vec::with_capacity(rows.len());
        let mut target = Vec::with_capacity(rows.len() * table.arms.len());
        for row in &rows {
            contexts.push(features.map(&raw(row))?);
            let routed = fitted.router.context(&raw(row))?;
            target.extend_from_slice(fitted.router.distribution(&routed)?.probabilities());
        }
        let pick = ndarray::Axis(0);
        Ok(Self {
            name: name.to_owned(),
            contexts,
            quality: table.quality.select(pick, &rows),
            cost: table.cost.select(pick, &rows),
            cost_exact: table.cost_exact.select(pick, &rows),
            output_tokens: table.output_tokens.select(pick, &rows),
            target: Array2::from_shape_vec((rows.len(), table.arms.len()), target)?,
            baseline: table
                .column(&fitted.evaluation.baseline.model)
                .ok_or("the baseline is a compared arm")?,
            arms: table.arms,
        })
    }

    /// Number of rows, n.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.contexts.len()
    }

    /// The exact values.
    #[must_use]
    pub fn exact(&self) -> Exact {
        #[expect(clippy::cast_precision_loss, reason = "few rows")]
        let n = self.rows() as f64;
        Exact {
            quality: (&self.target * &self.quality).sum() / n,
            cost: (&self.target * &self.cost).sum() / n,
            baseline_cost: self.cost.column(self.baseline).sum() / n,
        }
    }
}

/// The `count` complete arms that differ most: the one of highest quality, then always the one
/// whose answers are farthest from the nearest chosen one.
///
/// # Errors
/// When the log is no full table.
pub fn different(log: &ReadLog, count: usize) -> Result<Vec<ArmId>, Box<dyn Error>> {
    let choice = ArmChoice {
        include: vec![],
        exclude: vec![],
        coverage_min: PolicyConfig::new(ObjectiveConfig::retain(1.0))
            .arms
            .coverage_min,
    };
    let table = OutcomeTable::new(&log.log, log.report.evidence.kind, &choice)?;
    let distance = |a: usize, b: usize| {
        let gap = &table.quality.column(a) - &table.quality.column(b);
        gap.mapv(f64::abs).sum()
    };
    let last = |scores: Vec<f64>| {
        (0..scores.len())
            .max_by(|&a, &b| scores[a].total_cmp(&scores[b]))
            .expect("there are arms")
    };
    let all = 0..table.arms.len();
    let mut chosen = vec![last(
        all.clone().map(|a| table.quality.column(a).sum()).collect(),
    )];
    while chosen.len() < count.min(table.arms.len()) {
        let nearest = |a: usize| {
            chosen
                .iter()
                .map(|&c| distance(a, c))
                .fold(f64::INFINITY, f64::min)
        };
        chosen.push(last(all.clone().map(nearest).collect()));
    }
    Ok(chosen.into_iter().map(|a| table.arms[a].clone()).collect())
}

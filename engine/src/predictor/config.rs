//! Settings of the quality predictors.

use serde::{Deserialize, Serialize};

use super::PredictorError;

/// Default of [`PredictorConfig::prior_mean`].
pub const PRIOR_MEAN: f64 = 0.5;
/// Default of [`PredictorConfig::prior_strength`].
pub const PRIOR_STRENGTH: f64 = 2.0;
/// Default of [`PredictorConfig::ridge`].
pub const RIDGE: f64 = 1.0;
/// Default of [`PredictorConfig::forgetting`].
pub const FORGETTING: f64 = 1.0;
/// Least forgetting factor: below it a predictor remembers fewer than ten outcomes.
pub const FORGETTING_MIN: f64 = 0.9;
/// Default of [`PredictorConfig::neighbours`].
pub const NEIGHBOURS: usize = 50;
/// Default of [`PredictorConfig::clusters`].
pub const CLUSTERS: usize = 32;
/// Default of [`PredictorConfig::nearest`].
pub const NEAREST: usize = 2;
/// Default of [`PredictorConfig::shrink`].
pub const SHRINK: f64 = 10.0;
/// Default of [`PredictorConfig::rows_max`].
pub const ROWS_MAX: usize = 200_000;
/// A variance is never larger than this many times the variance of an arm without outcomes.
pub const VARIANCE_INFLATION_MAX: f64 = 200.0;

/// Which statistical predictor estimates quality per arm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PredictorKind {
    /// One mean per arm, whatever the context.
    Beta,
    /// One mean per arm and task.
    Tasks,
    /// Bayesian ridge regression.
    Linear,
    /// Logistic regression with a Laplace posterior.
    Logistic,
    /// Nearest neighbours by cosine.
    Knn,
    /// One mean per arm and cluster of contexts.
    Clusters,
    /// The mean of several predictors: [`Predictor::average`](super::Predictor::average).
    Average,
    /// A predictor of your own: [`Predictor::custom`](super::Predictor::custom).
    Custom,
}

impl PredictorKind {
    /// Every kind that can be fitted.
    pub const ALL: [Self; 6] = [
        Self::Beta,
        Self::Tasks,
        Self::Linear,
        Self::Logistic,
        Self::Knn,
        Self::Clusters,
    ];

    /// The name used in policy files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Beta => "beta",
            Self::Tasks => "tasks",
            Self::Linear => "linear",
            Self::Logistic => "logistic",
            Self::Knn => "knn",
            Self::Clusters => "clusters",
            Self::Average => "average",
            Self::Custom => "custom",
        }
    }
}

impl std::fmt::Display for PredictorKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Settings of a predictor.
///
/// | field | default | range | effect |
/// |---|---|---|---|
/// | `kind` | – | | the predictor |
/// | `prior_mean` | 0.5 | (0, 1) | quality expected of an arm without outcomes |
/// | `prior_strength` | 2 | > 0 | outcomes the prior counts for |
/// | `ridge` | 1 | > 0 | λ₀ of linear and logistic: larger trusts features less |
/// | `forgetting` | 1 | \[0.9, 1\] | γ: weight of an outcome after each later one of its arm |
/// | `neighbours` | 50 | 1.. | k of knn |
/// | `clusters` | 32 | 1..=65,535 | clusters of clusters |
/// | `nearest` | 2 | 1.. | clusters consulted per context |
/// | `shrink` | 10 | ≥ 0 | pseudo-counts at the arm's mean, knn and clusters |
/// | `rows_max` | 200,000 | 1.. | rows knn keeps; the oldest go first |
/// | `seed` | 0 | | seeds the choice of first cluster centres |
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PredictorConfig {
    /// The predictor.
    pub kind: PredictorKind,
    /// Quality expected of an arm without outcomes.
    pub prior_mean: f64,
    /// Outcomes the prior counts for.
    pub prior_strength: f64,
    /// λ₀ of linear and logistic.
    pub ridge: f64,
    /// γ: weight of an outcome after each later one of its arm.
    pub forgetting: f64,
    /// k of knn.
    pub neighbours: usize,
    /// Clusters of clusters.
    pub clusters: usize,
    /// Clusters consulted per context.
    pub nearest: usize,
    /// Pseudo-counts at the arm's mean, knn and clusters.
    pub shrink: f64,
    /// Rows knn keeps.
    pub rows_max: usize,
    /// Seeds the choice of first cluster centres.
    pub seed: u64,
}

impl PredictorConfig {
    /// Default settings of `kind`.
    #[must_use]
    pub const fn new(kind: PredictorKind) -> Self {
        Self {
            kind,
            prior_mean: PRIOR_MEAN,
            prior_strength: PRIOR_STRENGTH,
            ridge: RIDGE,
            forgetting: FORGETTING,
            neighbours: NEIGHBOURS,
            clusters: CLUSTERS,
            nearest: NEAREST,
            shrink: SHRINK,
            rows_max: ROWS_MAX,
            seed: 0,
        }
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`PredictorError::Setting`] for the first setting out of range.
    pub fn validate(&self) -> Result<(), PredictorError> {
        let check = |ok: bool, name: &'static str, got: f64, allowed: &'static str| {
            if ok {
                Ok(())
            } else {
                Err(PredictorError::Setting { name, got, allowed })
            }
        };
        let positive = |x: f64| x > 0.0 && x <= 1e9;
        let count = crate::math::len;
        check(
            self.prior_mean > 0.0 && self.prior_mean < 1.0,
            "prior_mean",
            self.prior_mean,
            "(0, 1)",
        )?;
        check(
            positive(self.prior_strength),
            "prior_strength",
            self.prior_strength,
            "(0, 1e9]",
        )?;
        check(
            (1e-9..=1e9).contains(&self.ridge),
            "ridge",
            self.ridge,
            "[1e-9, 1e9]",
        )?;
        let forgetting = (FORGETTING_MIN..=1.0).contains(&self.forgetting);
        check(forgetting, "forgetting", self.forgetting, "[0.9, 1]")?;
        check(
            self.neighbours > 0,
            "neighbours",
            count(self.neighbours),
            "at least 1",
        )?;
        let clusters = (1..=65_535).contains(&self.clusters);
        check(clusters, "clusters", count(self.clusters), "1 to 65535")?;
        check(
            self.nearest > 0,
            "nearest",
            count(self.nearest),
            "at least 1",
        )?;
        check(
            (0.0..=1e9).contains(&self.shrink),
            "shrink",
            self.shrink,
            "[0, 1e9]",
        )?;
        let rows = (1..=100_000_000).contains(&self.rows_max);
        check(rows, "rows_max", count(self.rows_max), "1 to 100000000")
    }
}

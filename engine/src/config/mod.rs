//! The policy as its user writes it; [`Router`](crate::Router) is the policy as it runs.

mod objective;

use serde::{Deserialize, Serialize};

use crate::calibration::CalibrationKind;
use crate::predictor::{FORGETTING_MIN, PredictorConfig, PredictorKind};
use crate::units::ArmId;

pub use objective::{Aim, BEST_SINGLE, CONFIDENCE, DELTA, ObjectiveConfig, RuleKind};

/// Default of [`ExplorationConfig::share_max`].
pub const SHARE_MAX: f64 = 0.02;
/// Default of [`ExplorationConfig::epsilon`].
pub const EPSILON: f64 = 0.02;
/// Default of [`ExplorationConfig::gamma`].
pub const GAMMA: f64 = 100.0;
/// Default of [`ArmsConfig::coverage_min`].
pub const COVERAGE_MIN: f64 = 0.995;
/// A policy file.
///
/// ```
/// use plimsoll::{ObjectiveConfig, PolicyConfig, RuleKind};
/// let mut policy = PolicyConfig::new(ObjectiveConfig::retain(0.98));
/// assert!(policy.validate().is_ok());
/// policy.objective.retain = Some(1.5);
/// policy.exploration.share_max = -1.0;
/// let errors = policy.validate().unwrap_err();
/// assert_eq!(errors[0].to_string(), "`objective.retain` must be in (0, 1], got 1.5");
/// assert_eq!(errors.len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyConfig {
    /// What to promise.
    pub objective: ObjectiveConfig,
    /// How quality is predicted.
    #[serde(default)]
    pub predictor: PredictorSection,
    /// How other arms are tried.
    #[serde(default)]
    pub exploration: ExplorationConfig,
    /// Which arms take part.
    #[serde(default)]
    pub arms: ArmsConfig,
}

/// `[predictor]`: a kind, and settings that replace the defaults of [`PredictorConfig`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictorSection {
    /// The predictor, or `auto`.
    pub kind: PredictorChoice,
    /// Calibration; `None`: whatever suits the predictor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration: Option<CalibrationKind>,
    /// Quality expected of an arm without outcomes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_mean: Option<f64>,
    /// Outcomes the prior counts for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prior_strength: Option<f64>,
    /// λ₀ of linear and logistic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ridge: Option<f64>,
    /// γ of forgetting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forgetting: Option<f64>,
    /// k of knn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neighbours: Option<usize>,
    /// Clusters of clusters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clusters: Option<usize>,
    /// Clusters consulted per context.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<usize>,
    /// Pseudo-counts at the arm's mean.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shrink: Option<f64>,
}

/// A predictor kind, or the choice left to training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PredictorChoice {
    /// The best by cross-validation on the training rows.
    #[default]
    Auto,
    /// [`PredictorKind::Beta`].
    Beta,
    /// [`PredictorKind::Tasks`].
    Tasks,
    /// [`PredictorKind::Linear`].
    Linear,
    /// [`PredictorKind::Logistic`].
    Logistic,
    /// [`PredictorKind::Knn`].
    Knn,
    /// [`PredictorKind::Clusters`].
    Clusters,
}

/// `[exploration]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExplorationConfig {
    /// The kind.
    pub kind: ExplorationChoice,
    /// Most probability that may be moved away from the rule's choice, in [0, 1].
    pub share_max: f64,
    /// ε of `epsilon`, in [0, 1].
    pub epsilon: f64,
    /// γ of `inverse-gap`, > 0.
    pub gamma: f64,
}

/// The kinds of exploration that exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExplorationChoice {
    /// Never.
    #[default]
    None,
    /// Each safe arm alike.
    Epsilon,
    /// Inverse-gap weighting.
    InverseGap,
}

/// `[arms]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArmsConfig {
    /// Arms that take part; `None`: every model in the log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<ArmId>>,
    /// Arms that do not.
    pub exclude: Vec<ArmId>,
    /// Least share of requests on which a compared arm must have been observed, in [0, 1].
    pub coverage_min: f64,
}

/// One thing wrong with a policy.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A value is out of range.
    #[error("`{key}` must be {allowed}, got {got}")]
    Range {
        /// Path of the key, for instance `objective.retain`.
        key: &'static str,
        /// The value as given.
        got: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A key is missing.
    #[error("`{key}` is missing: {needed}")]
    Missing {
        /// Path of the key.
        key: &'static str,
        /// When it is needed.
        needed: &'static str,
    },
    /// Two keys contradict each other.
    #[error("`{key}` and `{other}` cannot both be given")]
    Conflict {
        /// Path of the key.
        key: &'static str,
        /// Path of the other key.
        other: &'static str,
    },
    /// A key says nothing under the rule.
    #[error("`{key}` means nothing under rule `{rule}`")]
    Unused {
        /// Path of the key.
        key: &'static str,
        /// The rule.
        rule: RuleKind,
    },
    /// An arm is both included and excluded.
    #[error("arm `{got}` is in both `arms.include` and `arms.exclude`")]
    Contradiction {
        /// The arm.
        got: ArmId,
    },
}

impl ConfigError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Range { .. } => "P0101",
            Self::Missing { .. } => "P0102",
            Self::Conflict { .. } => "P0103",
            Self::Contradiction { .. } => "P0104",
            Self::Unused { .. } => "P0199",
        }
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Range { .. } => "change the value, or leave the key out for its default",
            Self::Missing { .. } => "add the key",
            Self::Conflict { .. } => "remove one of the two",
            Self::Unused { .. } => "remove the key, or choose the rule that it belongs to",
            Self::Contradiction { .. } => "remove the arm from one of the two lists",
        }
    }

    /// Path of the offending key, for a reader that knows where in the file it stands.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        match self {
            Self::Range { key, .. }
            | Self::Missing { key, .. }
            | Self::Conflict { key, .. }
            | Self::Unused { key, .. } => key,
            Self::Contradiction { .. } => "arms.exclude",
        }
    }
}

impl Default for ExplorationConfig {
    fn default() -> Self {
        Self {
            kind: ExplorationChoice::None,
            share_max: SHARE_MAX,
            epsilon: EPSILON,
            gamma: GAMMA,
        }
    }
}

impl Default for ArmsConfig {
    fn default() -> Self {
        Self {
            include: None,
            exclude: Vec::new(),
            coverage_min: COVERAGE_MIN,
        }
    }
}

impl PredictorChoice {
    /// The kind, or `None` for `auto`.
    #[must_use]
    pub const fn kind(self) -> Option<PredictorKind> {
        match self {
            Self::Auto => None,
            Self::Beta => Some(PredictorKind::Beta),
            Self::Tasks => Some(PredictorKind::Tasks),
            Self::Linear => Some(PredictorKind::Linear),
            Self::Logistic => Some(PredictorKind::Logistic),
            Self::Knn => Some(PredictorKind::Knn),
            Self::Clusters => Some(PredictorKind::Clusters),
        }
    }
}

impl PredictorSection {
    /// The settings for one kind: defaults, replaced where the section says so.
    #[must_use]
    pub fn config(&self, kind: PredictorKind) -> PredictorConfig {
        let mut config = PredictorConfig::new(kind);
        let set = |target: &mut f64, value: Option<f64>| *target = value.unwrap_or(*target);
        set(&mut config.prior_mean, self.prior_mean);
        set(&mut config.prior_strength, self.prior_strength);
        set(&mut config.ridge, self.ridge);
        set(&mut config.forgetting, self.forgetting);
        set(&mut config.shrink, self.shrink);
        config.neighbours = self.neighbours.unwrap_or(config.neighbours);
        config.clusters = self.clusters.unwrap_or(config.clusters);
        config.nearest = self.nearest.unwrap_or(config.nearest);
        config
    }

    fn check(&self, errors: &mut Vec<ConfigError>) {
        let open = |x: f64| x > 0.0 && x < 1.0;
        let positive = |x: f64| x > 0.0 && x <= 1e9;
        range(
            errors,
            "predictor.prior_mean",
            self.prior_mean,
            "in (0, 1)",
            open,
        );
        range(
            errors,
            "predictor.prior_strength",
            self.prior_strength,
            "in (0, 1e9]",
            positive,
        );
        let ridge = |x: f64| (1e-9..=1e9).contains(&x);
        range(
            errors,
            "predictor.ridge",
            self.ridge,
            "in [1e-9, 1e9]",
            ridge,
        );
        let forgetting = |x: f64| (FORGETTING_MIN..=1.0).contains(&x);
        range(
            errors,
            "predictor.forgetting",
            self.forgetting,
            "in [0.9, 1]",
            forgetting,
        );
        let shrink = |x: f64| (0.0..=1e9).contains(&x);
        range(
            errors,
            "predictor.shrink",
            self.shrink,
            "in [0, 1e9]",
            shrink,
        );
        range(
            errors,
            "predictor.neighbours",
            self.neighbours,
            "at least 1",
            |x| x > 0,
        );
        let clusters = |x| (1..=65_535).contains(&x);
        range(
            errors,
            "predictor.clusters",
            self.clusters,
            "in [1, 65535]",
            clusters,
        );
        range(
            errors,
            "predictor.nearest",
            self.nearest,
            "at least 1",
            |x| x > 0,
        );
    }
}

impl PolicyConfig {
    /// A policy with this objective and defaults elsewhere.
    #[must_use]
    pub fn new(objective: ObjectiveConfig) -> Self {
        Self {
            objective,
            predictor: PredictorSection::default(),
            exploration: ExplorationConfig::default(),
            arms: ArmsConfig::default(),
        }
    }

    /// Checks every value and all pairs that must agree.
    ///
    /// # Errors
    /// Everything that is wrong, in the order of the file's sections.
    pub fn validate(&self) -> Result<(), Vec<ConfigError>> {
        let mut errors = Vec::new();
        self.objective.check(&mut errors);
        self.predictor.check(&mut errors);
        let part = |x: f64| (0.0..=1.0).contains(&x);
        let exploration = &self.exploration;
        let share_max = Some(exploration.share_max);
        range(
            &mut errors,
            "exploration.share_max",
            share_max,
            "in [0, 1]",
            part,
        );
        range(
            &mut errors,
            "exploration.epsilon",
            Some(exploration.epsilon),
            "in [0, 1]",
            part,
        );
        let gamma = |x: f64| x > 0.0 && x <= 1e12;
        range(
            &mut errors,
            "exploration.gamma",
            Some(exploration.gamma),
            "in (0, 1e12]",
            gamma,
        );
        let coverage = Some(self.arms.coverage_min);
        range(
            &mut errors,
            "arms.coverage_min",
            coverage,
            "in [0, 1]",
            part,
        );
        if let Some(include) = &self.arms.include {
            if include.is_empty() {
                let (got, allowed) = ("an empty list".to_owned(), "at least one arm");
                errors.push(ConfigError::Range {
                    key: "arms.include",
                    got,
                    allowed,
                });
            }
            let both = self.arms.exclude.iter().filter(|arm| include.contains(arm));
            errors.extend(both.map(|arm| ConfigError::Contradiction { got: arm.clone() }));
        }
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }
}

fn range<T: Copy + std::fmt::Display>(
    errors: &mut Vec<ConfigError>,
    key: &'static str,
    value: Option<T>,
    allowed: &'static str,
    ok: impl Fn(T) -> bool,
) {
    if let Some(got) = value.filter(|value| !ok(*value)) {
        errors.push(ConfigError::Range {
            key,
            got: got.to_string(),
            allowed,
        });
    }
}

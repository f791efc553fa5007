//! Predictors of quality: what each arm is expected to score on a context, and how surely.

mod arrival;
mod beta;
mod clusters;
mod config;
mod custom;
mod error;
mod knn;
mod linear;
mod logistic;
mod ridge;
mod rows;
mod scratch;
mod tally;
mod tasks;

pub use config::{
    CLUSTERS, FORGETTING, FORGETTING_MIN, NEAREST, NEIGHBOURS, PRIOR_MEAN, PRIOR_STRENGTH,
    PredictorConfig, PredictorKind, RIDGE, ROWS_MAX, SHRINK, VARIANCE_INFLATION_MAX,
};
pub use custom::{CustomLoader, QualityPredictor};
pub use error::PredictorError;
pub(crate) use ridge::{Posterior, Precision};
pub use rows::TrainingRows;
pub(crate) use scratch::PredictScratch;

use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::policy::{ArmPrior, PolicyError};
use crate::units::Quality;

use arrival::Belief;

/// Most features of a context: a few bytes of a snapshot cannot ask for more memory than this.
pub const DIMENSIONS_MAX: usize = 1 << 20;
/// Largest weight of one outcome.
pub const WEIGHT_MAX: f64 = 1e12;

/// The quality an arm is expected to score.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Prediction {
    /// Expected quality in [0, 1].
    pub mean: f64,
    /// Variance of that expectation: how little is known, not how much single answers vary.
    pub variance: f64,
}

/// A fitted predictor of quality per arm; learns one outcome at a time.
///
/// ```
/// use plimsoll::{Context, Predictor, PredictorConfig, PredictorKind, Quality, TrainingRows};
/// let contexts = vec![Context::new(vec![0.0])?, Context::new(vec![1.0])?];
/// let quality = [Some(0.0), Some(1.0), Some(1.0), None]; // shape (2 contexts, 2 arms)
/// let rows = TrainingRows { contexts: &contexts, arms: 2, quality: &quality, weights: None };
/// let config = PredictorConfig::new(PredictorKind::Linear);
/// let mut predictor = Predictor::fit(&config, &rows)?;
/// predictor.update(&contexts[1], 1, Quality::new(1.0)?, 1.0)?;
/// let mut out = Vec::new();
/// predictor.predict(&contexts[1], &mut out)?;
/// assert!(out[0].mean > out[0].variance);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictor {
    config: PredictorConfig,
    /// d; the predictors' own intercept not counted.
    dimensions: usize,
    /// Outcomes learned per arm.
    outcomes: Vec<u64>,
    inner: Inner,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Inner {
    Beta(beta::Beta),
    Tasks(tasks::Tasks),
    Linear(linear::Linear),
    Logistic(logistic::Logistic),
    Knn(knn::Knn),
    Clusters(clusters::Clusters),
    /// The mean of the members' means; their errors are taken as independent.
    Average(Vec<Predictor>),
    Custom(custom::Custom),
}

/// How much of a prediction is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Means only: the same bits as with variances, sooner.
    Means,
    /// Means and variances.
    Full,
}

impl Prediction {
    fn is_sound(&self) -> bool {
        (0.0..=1.0).contains(&self.mean) && (0.0..=f64::MAX).contains(&self.variance)
    }
}

impl Predictor {
    /// Fits to training rows; no rows at all give the prior.
    ///
    /// For beta, linear and knn this equals [`update`](Self::update) over the rows in order, arms
    /// in order within a row, up to rounding. Logistic iterates to the optimum; clusters choose
    /// their centres from these rows.
    ///
    /// # Errors
    /// [`PredictorError`] when a setting, shape, context, quality or weight is invalid.
    pub fn fit(config: &PredictorConfig, rows: &TrainingRows<'_>) -> Result<Self, PredictorError> {
        config.validate()?;
        let dimensions = rows.check()?;
        check_dimensions(dimensions)?;
        let inner = match config.kind {
            PredictorKind::Beta => Inner::Beta(beta::Beta::fit(config, rows)),
            PredictorKind::Tasks => Inner::Tasks(tasks::Tasks::fit(config, rows)),
            PredictorKind::Linear => Inner::Linear(linear::Linear::fit(config, rows, dimensions)?),
            PredictorKind::Logistic => {
                Inner::Logistic(logistic::Logistic::fit(config, rows, dimensions)?)
            }
            PredictorKind::Knn => Inner::Knn(knn::Knn::fit(config, rows)),
            PredictorKind::Clusters => Inner::Clusters(clusters::Clusters::fit(config, rows)),
            PredictorKind::Average => return Err(PredictorError::NoMembers),
            PredictorKind::Custom => return Err(not_fitted()),
        };
        let outcomes = (0..rows.arms)
            .map(|arm| rows.labelled(arm).count() as u64)
            .collect();
        Ok(Self {
            config: *config,
            dimensions,
            outcomes,
            inner,
        })
    }

    /// The mean of several fitted predictors; each learns every outcome.
    ///
    /// The mean's variance is Σv/m², as if the members erred independently.
    ///
    /// # Errors
    /// [`PredictorError`] without members, for nested averages, or when members count different
    /// arms or features.
    pub fn average(members: Vec<Self>) -> Result<Self, PredictorError> {
        let first = members.first().ok_or(PredictorError::NoMembers)?;
        if members.iter().any(|m| matches!(m.inner, Inner::Average(_))) {
            return Err(PredictorError::NoMembers);
        }
        let (arms, dimensions) = (first.arms(), first.dimensions);
        let fits = |m: &Self| m.arms() == arms && m.dimensions == dimensions;
        if let Some(member) = members.iter().position(|m| !fits(m)) {
            return Err(PredictorError::Members { member });
        }
        Ok(Self {
            config: PredictorConfig::new(PredictorKind::Average),
            dimensions,
            outcomes: first.outcomes.clone(),
            inner: Inner::Average(members),
        })
    }

    /// A predictor of your own; outcomes are counted from here on.
    ///
    /// # Errors
    /// [`PredictorError::NoArms`] when it predicts for none.
    pub fn custom(predictor: Box<dyn QualityPredictor>) -> Result<Self, PredictorError> {
        if predictor.arms() == 0 {
            return Err(PredictorError::NoArms);
        }
        check_dimensions(predictor.dimensions())?;
        Ok(Self {
            config: PredictorConfig::new(PredictorKind::Custom),
            dimensions: predictor.dimensions(),
            outcomes: vec![0; predictor.arms()],
            inner: Inner::Custom(custom::Custom::Ready(predictor)),
        })
    }

    /// Name of the custom predictor in it; `None`: it is all built in.
    #[must_use]
    pub fn custom_name(&self) -> Option<&str> {
        match &self.inner {
            Inner::Custom(custom) => Some(custom.name()),
            Inner::Average(members) => members.iter().find_map(Self::custom_name),
            _ => None,
        }
    }

    /// Loads the custom predictors of a stored state.
    pub(crate) fn load(&mut self, make: &CustomLoader<'_>) -> Result<(), PolicyError> {
        match &mut self.inner {
            Inner::Custom(custom) => custom.load(make),
            Inner::Average(members) => {
                let mut members = members.iter_mut();
                members.try_for_each(|member| member.load(make))
            }
            _ => Ok(()),
        }
    }

    /// A predictor that has seen nothing, for contexts of `dimensions` features.
    ///
    /// Clusters need training rows for their centres; without them they predict arm means.
    ///
    /// # Errors
    /// [`PredictorError`] when a setting is out of range or there are no arms.
    pub fn prior(
        config: &PredictorConfig,
        arms: usize,
        dimensions: usize,
    ) -> Result<Self, PredictorError> {
        config.validate()?;
        if arms == 0 {
            return Err(PredictorError::NoArms);
        }
        check_dimensions(dimensions)?;
        let inner = match config.kind {
            PredictorKind::Beta => Inner::Beta(beta::Beta::prior(arms)),
            PredictorKind::Tasks => Inner::Tasks(tasks::Tasks::prior(arms)),
            PredictorKind::Linear => Inner::Linear(linear::Linear::prior(config, arms, dimensions)),
            PredictorKind::Logistic => {
                Inner::Logistic(logistic::Logistic::prior(config, arms, dimensions))
            }
            PredictorKind::Knn => Inner::Knn(knn::Knn::prior(arms, dimensions)),
            PredictorKind::Clusters => Inner::Clusters(clusters::Clusters::prior(arms)),
            PredictorKind::Average => return Err(PredictorError::NoMembers),
            PredictorKind::Custom => return Err(not_fitted()),
        };
        Ok(Self {
            config: *config,
            dimensions,
            outcomes: vec![0; arms],
            inner,
        })
    }

    /// Replaces `out` by one prediction per arm.
    ///
    /// # Errors
    /// [`PredictorError`] when the context has another number of features or an unusable one.
    pub fn predict(
        &self,
        context: &Context,
        out: &mut Vec<Prediction>,
    ) -> Result<(), PredictorError> {
        self.predict_as(Detail::Full, context, &mut PredictScratch::default(), out)
    }

    /// Appends one prediction per context and arm to `out`, shape (n, K), row after row: the bits
    /// of [`predict`](Self::predict), made faster together than one by one.
    ///
    /// Without `variances` they may be left at zero where they cost much.
    ///
    /// # Errors
    /// As [`predict`](Self::predict); `out` then holds the rows before the failing one.
    pub fn predict_batch(
        &self,
        contexts: &[&Context],
        variances: bool,
        out: &mut Vec<Prediction>,
    ) -> Result<(), PredictorError> {
        let detail = if variances {
            Detail::Full
        } else {
            Detail::Means
        };
        let (mut one, mut scratch) = (Vec::new(), PredictScratch::default());
        let mut rest = contexts;
        if let Inner::Knn(knn) = &self.inner {
            while let [a, b, c, d, after @ ..] = rest {
                let queries = [
                    self.features(a)?,
                    self.features(b)?,
                    self.features(c)?,
                    self.features(d)?,
                ];
                knn.predict_several(&self.config, queries, out);
                rest = after;
            }
        }
        for context in rest {
            self.predict_as(detail, context, &mut scratch, &mut one)?;
            out.append(&mut one);
        }
        Ok(())
    }

    /// As [`predict`](Self::predict); variances may be left at zero where they cost much and
    /// `detail` does without.
    pub(crate) fn predict_as(
        &self,
        detail: Detail,
        context: &Context,
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) -> Result<(), PredictorError> {
        let x = self.features(context)?;
        out.clear();
        match &self.inner {
            Inner::Beta(beta) => beta.predict(&self.config, out),
            Inner::Tasks(tasks) => tasks.predict(&self.config, context, out),
            Inner::Linear(linear) => linear.predict(&self.config, detail, x, scratch, out),
            Inner::Logistic(logistic) => logistic.predict(&self.config, x, scratch, out),
            Inner::Knn(knn) => knn.predict(&self.config, x, scratch, out),
            Inner::Clusters(clusters) => clusters.predict(&self.config, x, scratch, out),
            Inner::Average(members) => average_of(members, detail, context, scratch, out)?,
            Inner::Custom(custom) => custom.predict(self.arms(), context, out)?,
        }
        // Only features or weights of absurd scale get here; a NaN would win or lose every
        // comparison by accident.
        match out.iter().position(|p| !p.is_sound()) {
            Some(arm) => Err(PredictorError::Singular { arm }),
            None => Ok(()),
        }
    }

    /// The predictor with each arm's evidence discounted to at most `outcomes` outcomes: what it
    /// predicts where it knows much stays, how surely shrinks.
    ///
    /// For linear, with G the arm's Gram matrix, `s = outcomes/G[bias, bias]`: `A = sG + Λ₀` and
    /// `b = Aθ`, so that θ stays. Evidence is never made more than it was: s ≤ 1.
    ///
    /// # Errors
    /// [`PredictorError::Setting`] when `outcomes` is negative or not finite, and
    /// [`PredictorError::Singular`] when features of absurd scale leave an arm unsolvable.
    pub fn discounted_to(mut self, outcomes: f64) -> Result<Self, PredictorError> {
        if !(0.0..=WEIGHT_MAX).contains(&outcomes) {
            return Err(PredictorError::Setting {
                name: "outcomes",
                got: outcomes,
                allowed: "[0, 1e12]",
            });
        }
        match &mut self.inner {
            Inner::Beta(beta) => beta.discount_to(outcomes),
            Inner::Tasks(tasks) => tasks.discount_to(outcomes),
            Inner::Linear(linear) => linear.discount_to(&self.config, self.dimensions, outcomes)?,
            Inner::Logistic(logistic) => {
                logistic.discount_to(&self.config, self.dimensions, &self.outcomes, outcomes)?;
            }
            Inner::Knn(knn) => knn.discount_to(outcomes),
            Inner::Clusters(clusters) => clusters.discount_to(outcomes),
            Inner::Average(members) => {
                *members = std::mem::take(members)
                    .into_iter()
                    .map(|member| member.discounted_to(outcomes))
                    .collect::<Result<_, _>>()?;
            }
            Inner::Custom(custom) => {
                return Err(PredictorError::Custom {
                    predictor: custom.name().to_owned(),
                    what: "discount what it knows",
                });
            }
        }
        Ok(self)
    }

    /// Replaces `out` by mean and variance of each arm's logit; answers false, and leaves `out`
    /// alone, for kinds that believe nothing of logits.
    pub(crate) fn logits(
        &self,
        context: &Context,
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) -> Result<bool, PredictorError> {
        let x = self.features(context)?;
        let Inner::Logistic(logistic) = &self.inner else {
            return Ok(false);
        };
        out.clear();
        logistic.logits(&self.config, x, scratch, out);
        let usable = |p: &Prediction| p.mean.is_finite() && (0.0..=f64::MAX).contains(&p.variance);
        match out.iter().position(|p| !usable(p)) {
            Some(arm) => Err(PredictorError::Singular { arm }),
            None => Ok(true),
        }
    }

    /// Learns one outcome of one arm.
    ///
    /// # Errors
    /// [`PredictorError`] when the context, arm or weight is invalid; nothing is learned then.
    pub fn update(
        &mut self,
        context: &Context,
        arm: usize,
        quality: Quality,
        weight: f64,
    ) -> Result<(), PredictorError> {
        self.check_outcome(context, arm, weight)?;
        let (x, r) = (context.features.as_slice(), quality.get());
        match &mut self.inner {
            Inner::Beta(beta) => beta.update(&self.config, arm, r, weight),
            Inner::Tasks(tasks) => tasks.update(&self.config, context, arm, r, weight),
            Inner::Linear(linear) => linear.update(&self.config, x, arm, r, weight),
            Inner::Logistic(logistic) => logistic.update(&self.config, x, arm, r, weight),
            Inner::Knn(knn) => knn.update(&self.config, x, arm, r, weight),
            Inner::Clusters(clusters) => clusters.update(&self.config, x, arm, r, weight),
            Inner::Average(members) => {
                for member in members {
                    member.update(context, arm, quality, weight)?;
                }
            }
            Inner::Custom(custom) => custom.update(context, arm, quality, weight),
        }
        self.outcomes[arm] = self.outcomes[arm].saturating_add(1);
        Ok(())
    }

    /// Adds arm K with a prior: what another arm knows, discounted to `strength` outcomes, or as
    /// many outcomes of the stated quality, whatever the context.
    ///
    /// Discounting as in warm starts: A' = sA + λ₀I, b' = sb with s = strength/n; an arm that knows
    /// less than `strength` outcomes is taken over as it is.
    ///
    /// # Errors
    /// [`PredictorError::Arm`] when the arm to take over from does not exist.
    pub(crate) fn add_arm(&mut self, prior: &ArmPrior) -> Result<(), PredictorError> {
        let arms = self.outcomes.len();
        if let Some(got) = prior.like.filter(|like| *like >= arms) {
            return Err(PredictorError::Arm { got, arms });
        }
        let belief = Belief::of(prior);
        let (config, dimensions) = (&self.config, self.dimensions);
        match &mut self.inner {
            Inner::Beta(beta) => beta.add_arm(&belief),
            Inner::Tasks(tasks) => tasks.add_arm(&belief),
            Inner::Linear(linear) => linear.add_arm(config, dimensions, &belief),
            Inner::Logistic(logistic) => {
                let seen = prior.like.map_or(0, |like| self.outcomes[like]);
                let kept = 1.0 / (1.0 - config.forgetting).max(1e-12);
                let known = crate::math::count(seen).min(kept);
                logistic.add_arm(config, dimensions, &belief, known);
            }
            Inner::Knn(knn) => knn.add_arm(&belief),
            Inner::Clusters(clusters) => clusters.add_arm(&belief),
            Inner::Average(members) => {
                for member in members {
                    member.add_arm(prior)?;
                }
            }
            Inner::Custom(custom) => custom.add_arm(prior)?,
        }
        self.outcomes.push(0);
        Ok(())
    }

    /// Checks an outcome without learning it.
    pub(crate) fn check_outcome(
        &self,
        context: &Context,
        arm: usize,
        weight: f64,
    ) -> Result<(), PredictorError> {
        let arms = self.outcomes.len();
        if arm >= arms {
            return Err(PredictorError::Arm { got: arm, arms });
        }
        if !(0.0..=WEIGHT_MAX).contains(&weight) {
            return Err(PredictorError::Weight {
                row: 0,
                got: weight,
            });
        }
        self.features(context).map(|_| ())
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &PredictorConfig {
        &self.config
    }

    /// Arms predicted for.
    #[must_use]
    pub fn arms(&self) -> usize {
        self.outcomes.len()
    }

    /// Features a context must have.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Outcomes learned per arm.
    #[must_use]
    pub fn outcomes(&self) -> &[u64] {
        &self.outcomes
    }

    /// A lower bound of the worst condition number among the arms' matrices; `None` for kinds
    /// that solve no linear system.
    #[must_use]
    pub fn condition(&self) -> Option<f64> {
        match &self.inner {
            Inner::Linear(linear) => Some(linear.condition()),
            Inner::Logistic(logistic) => Some(logistic.condition()),
            _ => None,
        }
    }

    fn features<'a>(&self, context: &'a Context) -> Result<&'a [f64], PredictorError> {
        let (got, expected) = (context.features.len(), self.dimensions);
        if got != expected {
            return Err(PredictorError::Dimensions {
                row: 0,
                expected,
                got,
            });
        }
        context
            .validate()
            .map_err(|source| PredictorError::Context { row: 0, source })?;
        Ok(&context.features)
    }

    /// Whether a restored predictor can be used without running out of bounds.
    pub(crate) fn is_sound(&self) -> bool {
        let (arms, dim) = (self.outcomes.len(), self.dimensions);
        arms > 0
            && dim <= DIMENSIONS_MAX
            && self.config.validate().is_ok()
            && match &self.inner {
                Inner::Beta(beta) => beta.is_sound(arms),
                Inner::Tasks(tasks) => tasks.is_sound(arms),
                Inner::Linear(linear) => linear.is_sound(arms, dim),
                Inner::Logistic(logistic) => logistic.is_sound(arms, dim),
                Inner::Knn(knn) => knn.is_sound(arms, dim),
                Inner::Clusters(clusters) => clusters.is_sound(arms, dim),
                Inner::Custom(custom) => custom.is_sound(arms, dim),
                Inner::Average(members) => {
                    // Averages do not nest, so that a snapshot cannot recurse without end.
                    !members.is_empty()
                        && members.iter().all(|member| {
                            !matches!(member.inner, Inner::Average(_))
                                && member.arms() == arms
                                && member.dimensions == dim
                                && member.is_sound()
                        })
                }
            }
    }
}

/// Whether contexts may have that many features.
fn check_dimensions(got: usize) -> Result<(), PredictorError> {
    if got <= DIMENSIONS_MAX {
        return Ok(());
    }
    Err(PredictorError::Setting {
        name: "dimensions",
        got: crate::math::len(got),
        allowed: "[0, 2^20]",
    })
}

fn not_fitted() -> PredictorError {
    PredictorError::Custom {
        predictor: PredictorKind::Custom.name().to_owned(),
        what: "be fitted here: hand it over with `Predictor::custom`",
    }
}

/// The share of `weight` that makes it at most `outcomes`.
fn share(outcomes: f64, weight: f64) -> f64 {
    if weight > outcomes {
        outcomes / weight
    } else {
        1.0
    }
}

/// Replaces `out` by the members' mean.
fn average_of(
    members: &[Predictor],
    detail: Detail,
    context: &Context,
    scratch: &mut PredictScratch,
    out: &mut Vec<Prediction>,
) -> Result<(), PredictorError> {
    let share = 1.0 / crate::math::len(members.len());
    let mut sum = std::mem::take(&mut scratch.sum);
    sum.clear();
    for member in members {
        member.predict_as(detail, context, scratch, out)?;
        sum.resize(out.len(), Prediction::default());
        for (sum, part) in sum.iter_mut().zip(out.iter()) {
            sum.mean += part.mean * share;
            sum.variance += part.variance * share * share;
        }
    }
    // Rounding may leave a sliver beyond 1.
    for prediction in &mut sum {
        prediction.mean = prediction.mean.clamp(0.0, 1.0);
    }
    out.clear();
    out.extend_from_slice(&sum);
    scratch.sum = sum;
    Ok(())
}

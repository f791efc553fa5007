//! Candidates: predictors, calibrated and tuned on the training rows, compared under one promise.

use ndarray::{Array2, Axis};
use plimsoll::{
    Calibration, CalibrationKind, CalibrationRow, Context, Predictor, PredictorConfig,
    PredictorKind, PredictorSection,
};
use rayon::prelude::*;

use crate::error::EvidenceError;
use crate::forecast::{FOLDS, Forecast, cross_fit, predict_all};
use crate::study::Study;
use crate::tune::{Expected, Rows, Sweep, Tuned};

/// Ridge of the second linear candidate of `auto`: text says little on small logs.
const STRONG_RIDGE: f64 = 30.0;
/// Neighbours of the second knn candidate of `auto`; the best k on EmbedLLM's validation rows.
const WIDE_NEIGHBOURS: usize = 131;

/// How a candidate predicts: one predictor, or the mean of several.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    /// Kind and settings in one phrase.
    pub name: String,
    /// The predictors whose mean it is.
    pub members: Vec<PredictorConfig>,
}

/// How the rule is tuned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RuleChoice {
    /// R2.
    AverageFloor,
    /// R1 with this δ.
    PerRequestFloor {
        /// Accepted probability of falling below τ.
        delta: f64,
    },
}

/// A predictor, ready to decide.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Kind and settings in one phrase.
    pub name: String,
    /// Fitted on all training rows.
    pub predictor: Predictor,
    /// Per arm, fitted on cross-fitted forecasts.
    pub calibration: Vec<Calibration>,
    /// Cross-fitted, calibrated expectations on the training rows, shape (n, K).
    pub train: Array2<f64>,
    /// Their variances.
    pub train_variance: Array2<f64>,
    /// Calibrated expectations on the evaluated rows, shape (m, K).
    pub test: Array2<f64>,
    /// Their variances.
    pub test_variance: Array2<f64>,
}

impl Recipe {
    fn one(name: impl Into<String>, config: PredictorConfig) -> Self {
        Self {
            name: name.into(),
            members: vec![config],
        }
    }

    fn mean(parts: &[&Self]) -> Self {
        let names: Vec<&str> = parts.iter().map(|p| p.name.as_str()).collect();
        Self {
            name: format!("mean of {}", names.join(" and ")),
            members: parts.iter().flat_map(|p| p.members.clone()).collect(),
        }
    }

    /// The best mean per task and arm.
    #[must_use]
    pub fn tasks(section: &PredictorSection) -> Self {
        Self::one("tasks", section.config(PredictorKind::Tasks))
    }

    /// Nearest neighbours with the section's settings.
    #[must_use]
    pub fn knn(section: &PredictorSection) -> Self {
        let config = section.config(PredictorKind::Knn);
        Self::one(format!("knn (k = {})", config.neighbours), config)
    }

    /// One kind with the section's settings.
    #[must_use]
    pub fn of(kind: PredictorKind, section: &PredictorSection) -> Self {
        let config = section.config(kind);
        match kind {
            PredictorKind::Knn => Self::knn(section),
            PredictorKind::Linear | PredictorKind::Logistic => {
                Self::one(format!("{kind} (ridge = {})", config.ridge), config)
            }
            PredictorKind::Clusters => Self::one(
                format!("clusters ({} of {})", config.nearest, config.clusters),
                config,
            ),
            _ => Self::one(kind.name(), config),
        }
    }

    /// What `auto` chooses from; nearest neighbours only where `with_knn` allows.
    #[must_use]
    pub fn auto(section: &PredictorSection, with_knn: bool) -> Vec<Self> {
        let beta = Self::of(PredictorKind::Beta, section);
        let tasks = Self::tasks(section);
        let linear = Self::of(PredictorKind::Linear, section);
        let strong = {
            let section = PredictorSection {
                ridge: Some(section.ridge.unwrap_or(1.0) * STRONG_RIDGE),
                ..section.clone()
            };
            Self::of(PredictorKind::Linear, &section)
        };
        let knn = Self::knn(section);
        let wide = {
            let neighbours = Some(section.neighbours.unwrap_or(WIDE_NEIGHBOURS));
            Self::knn(&PredictorSection {
                neighbours,
                ..section.clone()
            })
        };
        let clusters = Self::of(PredictorKind::Clusters, section);
        let means = [
            Self::mean(&[&strong, &wide]),
            Self::mean(&[&strong, &wide, &tasks]),
            Self::mean(&[&linear, &knn, &clusters]),
        ];
        let mut all = vec![beta, tasks, linear, strong, knn, wide, clusters];
        all.extend(means);
        let is_knn = |config: &PredictorConfig| config.kind == PredictorKind::Knn;
        all.retain(|recipe| with_knn || !recipe.members.iter().any(is_knn));
        all
    }
}

impl Recipe {
    /// What the outcome predictor of doubly robust scores is chosen from.
    #[must_use]
    pub fn outcome(section: &PredictorSection) -> Vec<Self> {
        let strong = PredictorSection {
            ridge: Some(STRONG_RIDGE),
            ..section.clone()
        };
        let (tasks, linear) = (
            Self::tasks(section),
            Self::of(PredictorKind::Linear, section),
        );
        let strong = Self::of(PredictorKind::Linear, &strong);
        let both = Self::mean(&[&strong, &tasks]);
        vec![
            Self::of(PredictorKind::Beta, section),
            tasks,
            linear,
            strong,
            both,
        ]
    }
}

/// Forecasts of single predictors on one study, made once and shared by all recipes, and by
/// policies that differ only in rule or floor.
#[derive(Clone, Debug, Default)]
pub struct Forecasts {
    /// Digest of what the forecasts were made from.
    study: Option<blake3::Hash>,
    made: Vec<Made>,
}

#[derive(Clone, Debug)]
struct Made {
    config: PredictorConfig,
    forecast: Forecast,
    test: Array2<f64>,
    test_variance: Array2<f64>,
}

/// Makes candidates of one study.
pub struct Pantry<'s, 'a> {
    study: &'s Study<'a>,
    calibration: Option<CalibrationKind>,
    variances: bool,
    made: &'s mut Vec<Made>,
}

impl<'s, 'a> Pantry<'s, 'a> {
    /// Starts from the forecasts made so far, if they were made from the same rows.
    #[must_use]
    pub fn new(
        study: &'s Study<'a>,
        calibration: Option<CalibrationKind>,
        rule: RuleChoice,
        forecasts: &'s mut Forecasts,
    ) -> Self {
        let variances = matches!(rule, RuleChoice::PerRequestFloor { .. });
        let digest = study.digest(variances);
        if forecasts.study != Some(digest) {
            forecasts.study = Some(digest);
            forecasts.made.clear();
        }
        Self {
            study,
            calibration,
            variances,
            made: &mut forecasts.made,
        }
    }

    /// Forecasts and calibrates recipes, and makes `then` of each candidate; in their order.
    ///
    /// # Errors
    /// [`EvidenceError::Engine`] when the engine refuses settings or rows.
    pub fn candidates<T: Send>(
        &mut self,
        recipes: &[Recipe],
        then: impl Fn(Candidate) -> T + Sync,
    ) -> Result<Vec<T>, EvidenceError> {
        let mut missing: Vec<PredictorConfig> = Vec::new();
        for config in recipes.iter().flat_map(|recipe| &recipe.members) {
            let is_made = self.made.iter().any(|made| made.config == *config);
            if !is_made && !missing.contains(config) {
                missing.push(*config);
            }
        }
        let made = missing.par_iter().map(|config| self.make(config));
        let made = made.collect::<Result<Vec<Made>, _>>()?;
        self.made.extend(made);
        recipes
            .par_iter()
            .map(|recipe| self.assemble(recipe).map(&then))
            .collect()
    }

    /// Forecasts and calibrates a recipe.
    ///
    /// # Errors
    /// As [`candidates`](Self::candidates).
    pub fn candidate(&mut self, recipe: &Recipe) -> Result<Candidate, EvidenceError> {
        let mut made = self.candidates(std::slice::from_ref(recipe), |candidate| candidate)?;
        Ok(made.swap_remove(0))
    }

    /// Puts a recipe together from forecasts that are there.
    fn assemble(&self, recipe: &Recipe) -> Result<Candidate, EvidenceError> {
        let parts: Vec<_> = recipe
            .members
            .iter()
            .map(|config| {
                self.made
                    .iter()
                    .find(|m| m.config == *config)
                    .expect("forecasts are made before they are put together")
            })
            .collect();
        let over = |pick: &dyn Fn(usize) -> Array2<f64>, power: i32| {
            #[expect(clippy::cast_precision_loss, reason = "few members")]
            let count = parts.len() as f64;
            let mut sum = pick(0);
            for i in 1..parts.len() {
                sum += &pick(i);
            }
            sum / count.powi(power)
        };
        let raw = over(&|i| parts[i].forecast.train.clone(), 1);
        let raw_test = over(&|i| parts[i].test.clone(), 1);
        let predictor = match &parts[..] {
            [only] => only.forecast.predictor.clone(),
            several => Predictor::average(
                several
                    .iter()
                    .map(|p| p.forecast.predictor.clone())
                    .collect(),
            )
            .map_err(|e| EvidenceError::engine(e.code(), &e, e.help()))?,
        };
        let train_variance = over(&|i| parts[i].forecast.train_variance.clone(), 2);
        let test_variance = over(&|i| parts[i].test_variance.clone(), 2);
        let kind = self
            .calibration
            .unwrap_or_else(|| best_calibration(self.study, &raw));
        let calibration = calibrate(kind, &raw, self.study, |_| true);
        Ok(Candidate {
            name: recipe.name.clone(),
            predictor,
            train: cross_calibrated(kind, &raw, self.study),
            train_variance,
            test: apply(&calibration, &raw_test),
            test_variance,
            calibration,
        })
    }

    fn make(&self, config: &PredictorConfig) -> Result<Made, EvidenceError> {
        let training = self.study.training(self.variances);
        let forecast = cross_fit(config, config.kind.to_string(), &training)?;
        let contexts: Vec<&Context> = self.study.test.contexts.iter().collect();
        let (test, test_variance) = predict_all(&forecast.predictor, &contexts, self.variances)?;
        Ok(Made {
            config: *config,
            forecast,
            test,
            test_variance,
        })
    }
}

impl Candidate {
    /// What the candidate expects on the training rows.
    #[must_use]
    pub fn on_train<'c>(&'c self, study: &'c Study<'_>) -> Expected<'c> {
        Expected {
            quality: self.train.view(),
            variance: self.train_variance.view(),
            cost: study.train.expected_cost.view(),
        }
    }

    /// What the candidate expects on the evaluated rows.
    #[must_use]
    pub fn on_test<'c>(&'c self, study: &'c Study<'_>) -> Expected<'c> {
        Expected {
            quality: self.test.view(),
            variance: self.test_variance.view(),
            cost: study.test.expected_cost.view(),
        }
    }

    /// Tunes the rule on the training rows; `None` when no setting keeps the promise.
    #[must_use]
    pub fn tune(&self, study: &Study<'_>, rows: &Rows<'_>, rule: RuleChoice) -> Option<Tuned> {
        self.sweep(study, rows, rule).tune(rows)
    }

    /// Every setting of the rule on the training rows, to be tuned under several lines.
    #[must_use]
    pub fn sweep(&self, study: &Study<'_>, rows: &Rows<'_>, rule: RuleChoice) -> Sweep {
        let expected = self.on_train(study);
        match rule {
            RuleChoice::AverageFloor => Sweep::average_floor(rows, &expected),
            RuleChoice::PerRequestFloor { delta } => {
                Sweep::per_request_floor(rows, &expected, delta)
            }
        }
    }
}

/// The calibration with the least cross-fitted squared error; ties go to the simpler one.
fn best_calibration(study: &Study<'_>, raw: &Array2<f64>) -> CalibrationKind {
    let error = |kind| {
        let gap = &cross_calibrated(kind, raw, study) - &study.train.labels;
        gap.iter()
            .filter(|g| !g.is_nan())
            .map(|g| g * g)
            .sum::<f64>()
    };
    let plain = error(CalibrationKind::None);
    // Two parameters per arm must earn their keep.
    if error(CalibrationKind::Platt) < plain * 0.999 {
        CalibrationKind::Platt
    } else {
        CalibrationKind::None
    }
}

/// Calibrated forecasts of the training rows, each fold by calibrations of the others.
fn cross_calibrated(kind: CalibrationKind, raw: &Array2<f64>, study: &Study<'_>) -> Array2<f64> {
    if kind == CalibrationKind::None {
        return raw.clone();
    }
    let mut out = raw.clone();
    for fold in 0..FOLDS {
        let calibration = calibrate(kind, raw, study, |i| usize::from(study.fold[i]) != fold);
        for (i, mut row) in out.axis_iter_mut(Axis(0)).enumerate() {
            if usize::from(study.fold[i]) == fold {
                row.iter_mut()
                    .zip(&calibration)
                    .for_each(|(q, c)| *q = c.apply(*q));
            }
        }
    }
    out
}

fn calibrate(
    kind: CalibrationKind,
    raw: &Array2<f64>,
    study: &Study<'_>,
    use_row: impl Fn(usize) -> bool,
) -> Vec<Calibration> {
    (0..raw.ncols())
        .map(|arm| {
            let rows: Vec<CalibrationRow> = (0..raw.nrows())
                .filter(|&i| use_row(i) && !study.train.labels[[i, arm]].is_nan())
                .map(|i| CalibrationRow {
                    predicted: raw[[i, arm]],
                    observed: study.train.labels[[i, arm]],
                    weight: 1.0,
                })
                .collect();
            Calibration::fit(kind, &rows).expect("qualities of a table are in [0, 1]")
        })
        .collect()
}

fn apply(calibration: &[Calibration], raw: &Array2<f64>) -> Array2<f64> {
    let mut out = raw.clone();
    for mut row in out.outer_iter_mut() {
        row.iter_mut()
            .zip(calibration)
            .for_each(|(q, c)| *q = c.apply(*q));
    }
    out
}

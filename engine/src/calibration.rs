//! Calibration: from predicted to observed quality, on rows the predictor did not see.

use serde::{Deserialize, Serialize};

use crate::math;
use crate::predictor::Prediction;

/// Share of the raw prediction in an isotonic calibration: it stays strictly increasing, so that
/// two thresholds never coincide on a flat stretch.
pub const ISOTONIC_SLOPE: f64 = 0.02;
/// Newton steps of a Platt fit.
const PLATT_STEPS: usize = 50;
/// Strength of the pull of a Platt fit towards the identity.
const PLATT_RIDGE: f64 = 1.0;

/// Which calibration to fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CalibrationKind {
    /// Leave predictions alone.
    #[default]
    None,
    /// σ(slope·logit(q) + intercept).
    Platt,
    /// The best non-decreasing step function, interpolated.
    Isotonic,
}

/// A fitted calibration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Calibration {
    /// Predictions as they are.
    #[default]
    None,
    /// σ(slope·logit(q) + intercept) (Platt 1999).
    Platt {
        /// Slope, ≥ 0.
        slope: f64,
        /// Intercept.
        intercept: f64,
    },
    /// Straight lines between points, mixed with [`ISOTONIC_SLOPE`] of the prediction itself.
    Isotonic {
        /// Predicted qualities, strictly increasing, shape (m).
        predicted: Vec<f64>,
        /// Observed means, non-decreasing, shape (m).
        observed: Vec<f64>,
    },
}

/// One prediction and what was observed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CalibrationRow {
    /// Predicted quality in [0, 1].
    pub predicted: f64,
    /// Observed quality in [0, 1].
    pub observed: f64,
    /// Weight ≥ 0.
    pub weight: f64,
}

/// Why a calibration cannot be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// A row holds a value out of range.
    #[error("calibration row {row}: qualities must be in [0, 1] and weights in [0, 1e12]")]
    Row {
        /// Position of the row.
        row: usize,
    },
}

impl CalibrationError {
    /// Stable code of the error.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "P0160"
    }

    /// How to fix it.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        "pass predictions and outcomes of labelled rows only"
    }
}

impl Calibration {
    /// Fits to rows that the predictor did not see; no rows give the identity.
    ///
    /// # Errors
    /// [`CalibrationError::Row`] when a quality or weight is out of range.
    pub fn fit(kind: CalibrationKind, rows: &[CalibrationRow]) -> Result<Self, CalibrationError> {
        let part = 0.0..=1.0;
        let bad = rows.iter().position(|r| {
            !part.contains(&r.predicted)
                || !part.contains(&r.observed)
                || !(0.0..=1e12).contains(&r.weight)
        });
        if let Some(row) = bad {
            return Err(CalibrationError::Row { row });
        }
        if !rows.iter().any(|r| r.weight > 0.0) {
            return Ok(Self::None);
        }
        Ok(match kind {
            CalibrationKind::None => Self::None,
            CalibrationKind::Platt => platt(rows),
            CalibrationKind::Isotonic => isotonic(rows),
        })
    }

    /// The calibrated quality, in [0, 1].
    #[must_use]
    pub fn apply(&self, quality: f64) -> f64 {
        match self {
            Self::None => quality,
            Self::Platt { slope, intercept } => {
                math::sigmoid(slope * math::logit(quality) + intercept)
            }
            Self::Isotonic {
                predicted,
                observed,
            } => {
                let line = interpolate(predicted, observed, quality);
                (1.0 - ISOTONIC_SLOPE) * line + ISOTONIC_SLOPE * quality
            }
        }
    }

    /// The calibrated prediction; the variance is kept, as that of the predictor.
    #[must_use]
    pub fn apply_to(&self, prediction: Prediction) -> Prediction {
        Prediction {
            mean: self.apply(prediction.mean),
            variance: prediction.variance,
        }
    }

    pub(crate) fn is_sound(&self) -> bool {
        match self {
            Self::None => true,
            Self::Platt { slope, intercept } => slope.is_finite() && intercept.is_finite(),
            Self::Isotonic {
                predicted,
                observed,
            } => {
                !predicted.is_empty()
                    && predicted.len() == observed.len()
                    && predicted
                        .iter()
                        .chain(observed)
                        .all(|x| (0.0..=1.0).contains(x))
                    && predicted.windows(2).all(|w| w[0] < w[1])
                    && observed.is_sorted()
            }
        }
    }
}

/// Ridge-regularised maximum likelihood of slope and intercept by Newton's method.
fn platt(rows: &[CalibrationRow]) -> Calibration {
    let (mut slope, mut intercept) = (1.0_f64, 0.0_f64);
    for _ in 0..PLATT_STEPS {
        let mut gradient = (-PLATT_RIDGE * (slope - 1.0), -PLATT_RIDGE * intercept);
        let (mut curve_slope, mut curve_both, mut curve_shift) = (PLATT_RIDGE, 0.0, PLATT_RIDGE);
        for row in rows {
            let x = math::logit(row.predicted);
            let p = math::sigmoid(slope * x + intercept);
            let residual = row.weight * (row.observed - p);
            let curvature = row.weight * p * (1.0 - p);
            gradient.0 += residual * x;
            gradient.1 += residual;
            curve_slope += curvature * x * x;
            curve_both += curvature * x;
            curve_shift += curvature;
        }
        let determinant = curve_slope * curve_shift - curve_both * curve_both;
        let step = (
            (curve_shift * gradient.0 - curve_both * gradient.1) / determinant,
            (curve_slope * gradient.1 - curve_both * gradient.0) / determinant,
        );
        // Steps are bounded: far from the optimum a full Newton step may overshoot.
        slope += step.0.clamp(-1.0, 1.0);
        intercept += step.1.clamp(-1.0, 1.0);
        if step.0.abs().max(step.1.abs()) < 1e-10 {
            break;
        }
    }
    // A falling calibration would turn the predictor's ranking around.
    Calibration::Platt {
        slope: slope.max(0.0),
        intercept,
    }
}

/// Pool adjacent violators (Ayer et al. 1955), one point per block.
fn isotonic(rows: &[CalibrationRow]) -> Calibration {
    struct Block {
        predicted: f64,
        observed: f64,
        weight: f64,
    }
    let mut sorted: Vec<&CalibrationRow> = rows.iter().filter(|r| r.weight > 0.0).collect();
    sorted.sort_by(|a, b| {
        a.predicted
            .total_cmp(&b.predicted)
            .then(a.observed.total_cmp(&b.observed))
    });
    let mut blocks: Vec<Block> = Vec::new();
    for row in sorted {
        let mut block = Block {
            predicted: row.predicted,
            observed: row.observed,
            weight: row.weight,
        };
        // Equal predictions belong together whatever their outcomes.
        while let Some(last) = blocks
            .pop_if(|last| last.observed >= block.observed || last.predicted >= block.predicted)
        {
            let total = last.weight + block.weight;
            let share = block.weight / total;
            block = Block {
                predicted: last.predicted + share * (block.predicted - last.predicted),
                observed: last.observed + share * (block.observed - last.observed),
                weight: total,
            };
        }
        blocks.push(block);
    }
    Calibration::Isotonic {
        predicted: blocks.iter().map(|b| b.predicted.clamp(0.0, 1.0)).collect(),
        observed: blocks.iter().map(|b| b.observed.clamp(0.0, 1.0)).collect(),
    }
}

/// The line through the points at `x`, flat outside them.
fn interpolate(xs: &[f64], ys: &[f64], x: f64) -> f64 {
    let after = xs.partition_point(|p| *p <= x);
    match (after.checked_sub(1), xs.get(after)) {
        (None, _) => ys[0],
        (Some(before), None) => ys[before],
        (Some(before), Some(right)) => {
            let share = (x - xs[before]) / (right - xs[before]);
            ys[before] + share * (ys[after] - ys[before])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(pairs: &[(f64, f64)]) -> Vec<CalibrationRow> {
        pairs
            .iter()
            .map(|&(predicted, observed)| CalibrationRow {
                predicted,
                observed,
                weight: 1.0,
            })
            .collect()
    }

    #[test]
    fn isotonic_pools_violators() {
        let fitted = Calibration::fit(
            CalibrationKind::Isotonic,
            &rows(&[(0.1, 0.0), (0.2, 1.0), (0.3, 0.0), (0.9, 1.0)]),
        )
        .expect("fits");
        let Calibration::Isotonic {
            predicted,
            observed,
        } = &fitted
        else {
            panic!("{fitted:?}")
        };
        assert_eq!(observed, &[0.0, 0.5, 1.0]);
        assert!((predicted[1] - 0.25).abs() < 1e-12);
        assert!(fitted.is_sound());
    }

    #[test]
    fn calibrations_never_turn_ranks_around() {
        let data: Vec<(f64, f64)> = (0..60)
            .map(|i| (f64::from(i) / 60.0, f64::from(u8::from(i % 7 < i / 10))))
            .collect();
        for kind in [CalibrationKind::Platt, CalibrationKind::Isotonic] {
            let fitted = Calibration::fit(kind, &rows(&data)).expect("fits");
            let mut last = -1.0;
            for i in 0..=200 {
                let got = fitted.apply(f64::from(i) / 200.0);
                assert!(
                    (0.0..=1.0).contains(&got) && got > last,
                    "{kind:?} {i} {got}"
                );
                last = got;
            }
        }
    }

    #[test]
    fn platt_recovers_a_known_distortion() {
        // Observed is σ(0.5·logit(p) + 0.3): the fit is exact up to the ridge's pull.
        let data: Vec<(f64, f64)> = (1..4000)
            .map(|i| {
                let p = f64::from(i) / 4000.0;
                (p, math::sigmoid(0.5 * math::logit(p) + 0.3))
            })
            .collect();
        let fitted = Calibration::fit(CalibrationKind::Platt, &rows(&data)).expect("fits");
        let Calibration::Platt { slope, intercept } = fitted else {
            panic!("{fitted:?}")
        };
        assert!((slope - 0.5).abs() < 0.01 && (intercept - 0.3).abs() < 0.01);
    }

    #[test]
    fn bad_rows_are_named() {
        let got = Calibration::fit(
            CalibrationKind::Platt,
            &rows(&[(0.5, 0.5), (f64::NAN, 0.5)]),
        );
        assert_eq!(got, Err(CalibrationError::Row { row: 1 }));
    }
}

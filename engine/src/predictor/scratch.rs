//! Scratch space of predictions: reused, so that a decision allocates nothing.

use super::Prediction;

/// Whatever the predictors need besides their answer; the contents mean nothing between two calls.
#[derive(Clone, Debug, Default)]
pub(crate) struct PredictScratch {
    /// The features with an intercept.
    pub(super) x: Vec<f64>,
    pub(super) solve: Vec<f64>,
    pub(super) spreads: Vec<Option<f64>>,
    pub(super) unit: Vec<f32>,
    pub(super) similarity: Vec<f32>,
    pub(super) order: Vec<(f32, usize)>,
    /// Rows or clusters chosen.
    pub(super) near: Vec<usize>,
    /// Rows chosen for the arms that were seen on all of them.
    pub(super) everywhere: Vec<usize>,
    pub(super) sum: Vec<Prediction>,
}

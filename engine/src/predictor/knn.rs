//! Nearest neighbours by cosine, brute force.
//!
//! Per arm, the k most similar rows on which it was observed; posterior mean
//! `(k₀m_a + Σwr)/(k₀ + Σw)`, with `m_a` the arm's own posterior mean over all its rows. Similarities
//! are f32 sums in a fixed order, so that ties and ranks are the same on every machine.

use serde::{Deserialize, Serialize};

use super::arrival::Belief;
use super::tally::Tally;
use super::{PredictScratch, Prediction, PredictorConfig, TrainingRows, share};
use crate::linalg::{dot_f32, dots_f32};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Knn {
    dimensions: usize,
    /// Unit vectors, shape (n, d), row-major.
    units: Vec<f32>,
    /// n; kept apart because d may be 0.
    rows: usize,
    arms: Vec<Labels>,
}

/// An arm's outcomes, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Labels {
    rows: Vec<u32>,
    quality: Vec<f64>,
    weight: Vec<f64>,
    all: Tally,
}

/// Unit vector of the features in single precision; zero stays zero.
pub(super) fn unit(x: &[f64]) -> impl Iterator<Item = f32> + '_ {
    let norm = crate::linalg::dot(x, x).sqrt();
    let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
    #[expect(
        clippy::cast_possible_truncation,
        reason = "neighbours need no more digits"
    )]
    x.iter().map(move |x| (x * scale) as f32)
}

impl Knn {
    pub(super) fn prior(arms: usize, dimensions: usize) -> Self {
        Self {
            dimensions,
            units: vec![],
            rows: 0,
            arms: vec![Labels::default(); arms],
        }
    }

    pub(super) fn fit(config: &PredictorConfig, rows: &TrainingRows<'_>) -> Self {
        let dimensions = rows.contexts.first().map_or(0, |c| c.features.len());
        let mut knn = Self::prior(rows.arms, dimensions);
        for (row, context) in rows.contexts.iter().enumerate() {
            let labels = &rows.quality[row * rows.arms..(row + 1) * rows.arms];
            if labels.iter().all(Option::is_none) {
                continue;
            }
            let at = knn.add_row(config, &context.features);
            for (arm, quality) in labels.iter().enumerate() {
                if let Some(quality) = quality {
                    knn.arms[arm].push(config, at, *quality, rows.weight(row));
                }
            }
        }
        knn
    }

    pub(super) fn predict(
        &self,
        config: &PredictorConfig,
        x: &[f64],
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) {
        let mut similarity = std::mem::take(&mut scratch.similarity);
        similarity.clear();
        if self.dimensions == 0 {
            similarity.resize(self.rows, 0.0);
        } else {
            scratch.unit.clear();
            scratch.unit.extend(unit(x));
            let rows = self.units.chunks_exact(self.dimensions);
            similarity.extend(rows.map(|row| dot_f32(row, &scratch.unit)));
        }
        self.judge(config, &similarity, scratch, out);
        scratch.similarity = similarity;
    }

    /// Predicts for several queries while each stored row is read once.
    pub(super) fn predict_several<const N: usize>(
        &self,
        config: &PredictorConfig,
        queries: [&[f64]; N],
        out: &mut Vec<Prediction>,
    ) {
        let units: [Vec<f32>; N] = queries.map(|x| unit(x).collect());
        let mut similarity: [Vec<f32>; N] = std::array::from_fn(|_| Vec::with_capacity(self.rows));
        if self.dimensions == 0 {
            for one in &mut similarity {
                one.resize(self.rows, 0.0);
            }
        } else {
            let views: [&[f32]; N] = std::array::from_fn(|n| units[n].as_slice());
            for row in self.units.chunks_exact(self.dimensions) {
                let dots = dots_f32(row, views);
                similarity
                    .iter_mut()
                    .zip(dots)
                    .for_each(|(s, dot)| s.push(dot));
            }
        }
        let mut scratch = PredictScratch::default();
        for similarity in &similarity {
            self.judge(config, similarity, &mut scratch, out);
        }
    }

    fn judge(
        &self,
        config: &PredictorConfig,
        similarity: &[f32],
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) {
        let PredictScratch {
            order,
            near,
            everywhere,
            ..
        } = scratch;
        let mut known = false;
        for labels in &self.arms {
            let chosen = if labels.rows.len() == self.rows {
                // Arms seen on every row have the same neighbours.
                if !known {
                    nearest(config.neighbours, labels, similarity, order, everywhere);
                    known = true;
                }
                &*everywhere
            } else {
                nearest(config.neighbours, labels, similarity, order, near);
                &*near
            };
            out.push(labels.predict(config, chosen));
        }
    }

    pub(super) fn update(
        &mut self,
        config: &PredictorConfig,
        x: &[f64],
        arm: usize,
        r: f64,
        weight: f64,
    ) {
        let row = self.add_row(config, x);
        self.arms[arm].push(config, row, r, weight);
    }

    /// Stores a row and gives its number; drops the oldest quarter when there are too many.
    fn add_row(&mut self, config: &PredictorConfig, x: &[f64]) -> u32 {
        if self.rows >= config.rows_max {
            self.forget_rows((self.rows / 4).max(1));
        }
        self.units.extend(unit(x));
        self.rows += 1;
        u32::try_from(self.rows - 1).expect("rows_max is at most 10^8")
    }

    fn forget_rows(&mut self, oldest: usize) {
        self.units.drain(..oldest * self.dimensions);
        self.rows -= oldest;
        let gone = u32::try_from(oldest).expect("rows_max is at most 10^8");
        for labels in &mut self.arms {
            let first = labels.rows.partition_point(|row| *row < gone);
            labels.rows.drain(..first);
            labels.quality.drain(..first);
            labels.weight.drain(..first);
            labels.rows.iter_mut().for_each(|row| *row -= gone);
        }
    }

    pub(super) fn discount_to(&mut self, outcomes: f64) {
        for labels in &mut self.arms {
            let share = share(outcomes, labels.all.weight());
            labels.all.decay(share);
            labels.weight.iter_mut().for_each(|weight| *weight *= share);
        }
    }

    pub(super) fn add_arm(&mut self, belief: &Belief) {
        let (all, share) = belief.tally(|like| self.arms[like].all);
        let mut labels = belief
            .like
            .map(|like| self.arms[like].clone())
            .unwrap_or_default();
        labels.weight.iter_mut().for_each(|w| *w *= share);
        labels.all = all;
        self.arms.push(labels);
    }

    pub(super) fn is_sound(&self, arms: usize, dimensions: usize) -> bool {
        (self.rows == 0 || self.dimensions == dimensions)
            && self.rows.checked_mul(self.dimensions) == Some(self.units.len())
            && self.units.iter().all(|x| x.is_finite())
            && self.arms.len() == arms
            && self.arms.iter().all(|labels| labels.is_sound(self.rows))
    }
}

impl Labels {
    fn push(&mut self, config: &PredictorConfig, row: u32, quality: f64, weight: f64) {
        self.rows.push(row);
        self.quality.push(quality);
        self.weight.push(weight);
        self.all.push(config.forgetting, quality, weight);
    }

    fn predict(&self, config: &PredictorConfig, chosen: &[usize]) -> Prediction {
        let mut near = Tally::default();
        for &at in chosen {
            near.push(
                1.0,
                self.quality[at],
                self.weight[at] * self.age(config, at),
            );
        }
        let own = self.all.posterior(config.prior_mean, config.prior_strength);
        if config.shrink <= 0.0 && chosen.is_empty() {
            return own;
        }
        near.posterior(own.mean, config.shrink)
    }

    /// γ to the number of this arm's later outcomes.
    fn age(&self, config: &PredictorConfig, at: usize) -> f64 {
        if config.forgetting >= 1.0 {
            return 1.0;
        }
        let later = i32::try_from(self.rows.len() - 1 - at).unwrap_or(i32::MAX);
        libm::pow(config.forgetting, f64::from(later))
    }

    fn is_sound(&self, rows: usize) -> bool {
        self.rows.len() == self.quality.len()
            && self.rows.len() == self.weight.len()
            && self.rows.is_sorted()
            && self.rows.last().is_none_or(|row| (*row as usize) < rows)
            && self.quality.iter().all(|q| (0.0..=1.0).contains(q))
            && self
                .weight
                .iter()
                .all(|w| (0.0..=super::WEIGHT_MAX).contains(w))
            && self.all.is_sound()
    }
}

/// Positions in `labels` of its k most similar rows, the earlier row first among equals; `chosen`
/// is replaced.
fn nearest(
    k: usize,
    labels: &Labels,
    similarity: &[f32],
    order: &mut Vec<(f32, usize)>,
    chosen: &mut Vec<usize>,
) {
    order.clear();
    let rows = labels.rows.iter().enumerate();
    order.extend(rows.map(|(at, row)| (similarity[*row as usize], at)));
    let ahead = |a: &(f32, usize), b: &(f32, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
    if k < order.len() {
        order.select_nth_unstable_by(k, ahead);
        order.truncate(k);
    }
    chosen.clear();
    chosen.extend(order.iter().map(|(_, at)| *at));
    // Summing in the order of the rows gives the same bits however the selection shuffled them.
    chosen.sort_unstable();
}

//! Clusters of contexts, and one mean per arm and cluster.
//!
//! Spherical k-means (Dhillon & Modha 2001, doi:10.1023/A:1007612920971) with k-means++ seeding
//! (Arthur & Vassilvitskii 2007) on the training rows; afterwards the centres stay. A context
//! consults its nearest clusters together, shrunk to the arm's own mean.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::arrival::Belief;
use super::knn::unit;
use super::tally::Tally;
use super::{PredictScratch, Prediction, PredictorConfig, TrainingRows, share};
use crate::linalg::dot_f32;
use crate::random::unit_interval;

/// Most passes of Lloyd's algorithm.
const PASSES_MAX: usize = 25;
/// Rows used to find the centres; of more, every m-th is used.
const CENTRE_ROWS_MAX: usize = 20_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Clusters {
    /// Unit vectors, shape (C, d), row-major.
    centres: Vec<f32>,
    /// C; kept apart because d may be 0.
    count: usize,
    /// Shape (C, K), row-major.
    cells: Vec<Tally>,
    arms: Vec<Tally>,
}

impl Clusters {
    pub(super) fn prior(arms: usize) -> Self {
        Self {
            centres: vec![],
            count: 0,
            cells: vec![],
            arms: vec![Tally::default(); arms],
        }
    }

    pub(super) fn fit(config: &PredictorConfig, rows: &TrainingRows<'_>) -> Self {
        let mut clusters = Self::prior(rows.arms);
        let dim = rows.contexts.first().map_or(0, |c| c.features.len());
        if dim > 0 {
            let units: Vec<f32> = rows
                .contexts
                .iter()
                .flat_map(|c| unit(&c.features))
                .collect();
            clusters.centres = centres(config, &units, dim);
            clusters.count = clusters.centres.len() / dim;
            clusters.cells = vec![Tally::default(); clusters.count * rows.arms];
        }
        for (row, context) in rows.contexts.iter().enumerate() {
            let labels = &rows.quality[row * rows.arms..(row + 1) * rows.arms];
            let home = clusters.ranked(&context.features, 1);
            for (arm, quality) in labels.iter().enumerate() {
                if let Some(quality) = quality {
                    clusters.learn(config, &home, arm, *quality, rows.weight(row));
                }
            }
        }
        clusters
    }

    pub(super) fn predict(
        &self,
        config: &PredictorConfig,
        x: &[f64],
        scratch: &mut PredictScratch,
        out: &mut Vec<Prediction>,
    ) {
        self.rank(x, config.nearest, scratch);
        let near = &scratch.near;
        for (arm, all) in self.arms.iter().enumerate() {
            let own = all.posterior(config.prior_mean, config.prior_strength);
            let mut pooled = Tally::default();
            for cluster in near {
                pooled.merge(self.cells[cluster * self.arms.len() + arm]);
            }
            let alone = near.is_empty() || config.shrink <= 0.0 && pooled == Tally::default();
            out.push(if alone {
                own
            } else {
                pooled.posterior(own.mean, config.shrink)
            });
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
        let home = self.ranked(x, 1);
        self.learn(config, &home, arm, r, weight);
    }

    fn learn(&mut self, config: &PredictorConfig, home: &[usize], arm: usize, r: f64, weight: f64) {
        let arms = self.arms.len();
        if config.forgetting < 1.0 {
            // Every cell of the arm ages with the arm, not only the one that learns.
            self.cells
                .iter_mut()
                .skip(arm)
                .step_by(arms)
                .for_each(|c| c.decay(config.forgetting));
        }
        for cluster in home {
            self.cells[cluster * arms + arm].push(1.0, r, weight);
        }
        self.arms[arm].push(config.forgetting, r, weight);
    }

    pub(super) fn discount_to(&mut self, outcomes: f64) {
        let arms = self.arms.len();
        for (arm, all) in self.arms.iter_mut().enumerate() {
            let share = share(outcomes, all.weight());
            all.decay(share);
            let cells = self.cells.iter_mut().skip(arm).step_by(arms);
            cells.for_each(|cell| cell.decay(share));
        }
    }

    /// The clusters nearest to `x`, nearest first; the earlier cluster first among equals.
    fn ranked(&self, x: &[f64], most: usize) -> Vec<usize> {
        let mut scratch = PredictScratch::default();
        self.rank(x, most, &mut scratch);
        scratch.near
    }

    /// As [`ranked`](Self::ranked), into `near` of the scratch space.
    fn rank(&self, x: &[f64], most: usize, scratch: &mut PredictScratch) {
        let PredictScratch {
            unit: own,
            order,
            near,
            ..
        } = scratch;
        near.clear();
        if self.count == 0 {
            return;
        }
        own.clear();
        own.extend(unit(x));
        order.clear();
        let centres = self.centres.chunks_exact(own.len()).enumerate();
        order.extend(centres.map(|(cluster, centre)| (dot_f32(centre, own), cluster)));
        // No two entries are equal, so that the sort need not be stable, which would allocate.
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.extend(order.iter().take(most).map(|(_, cluster)| *cluster));
    }

    pub(super) fn add_arm(&mut self, belief: &Belief) {
        let (tally, share) = belief.tally(|like| self.arms[like]);
        let old = self.arms.len();
        self.arms.push(tally);
        let mut cells = Vec::with_capacity(self.count * (old + 1));
        for row in self.cells.chunks_exact(old) {
            cells.extend_from_slice(row);
            let cell = belief.like.map(|like| row[like].times(share));
            cells.push(cell.unwrap_or_default());
        }
        self.cells = cells;
    }

    pub(super) fn is_sound(&self, arms: usize, dimensions: usize) -> bool {
        self.count.checked_mul(dimensions) == Some(self.centres.len())
            && (self.count == 0 || dimensions > 0)
            && self.centres.iter().all(|x| x.is_finite())
            && self.count.checked_mul(arms) == Some(self.cells.len())
            && self.arms.len() == arms
            && self.arms.iter().chain(&self.cells).all(Tally::is_sound)
    }
}

/// Centres of at most `config.clusters` clusters of the unit vectors.
fn centres(config: &PredictorConfig, units: &[f32], dim: usize) -> Vec<f32> {
    let all = units.len() / dim;
    let stride = all.div_ceil(CENTRE_ROWS_MAX).max(1);
    let rows: Vec<&[f32]> = units.chunks_exact(dim).step_by(stride).collect();
    let mut centres = seed_centres(config, &rows);
    let mut homes = vec![usize::MAX; rows.len()];
    for _ in 0..PASSES_MAX {
        let mut moved = false;
        for (row, home) in rows.iter().zip(&mut homes) {
            let best = best_centre(row, &centres, dim);
            moved |= *home != best;
            *home = best;
        }
        if !moved {
            break;
        }
        recentre(&rows, &homes, &mut centres, dim);
    }
    centres
}

/// k-means++: each next centre is a row chosen with probability ∝ 1 − best similarity.
fn seed_centres(config: &PredictorConfig, rows: &[&[f32]]) -> Vec<f32> {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(config.seed);
    let mut centres: Vec<f32> = Vec::new();
    let mut gaps = vec![1.0_f64; rows.len()];
    for _ in 0..config.clusters.min(rows.len()) {
        let total: f64 = gaps.iter().sum();
        if total <= 1e-9 {
            // Every row coincides with a centre already.
            break;
        }
        let mut left = unit_interval(random.next_u64()) * total;
        let chosen = gaps.iter().position(|gap| {
            left -= gap;
            left < 0.0
        });
        let centre = rows[chosen.unwrap_or(rows.len() - 1)];
        centres.extend_from_slice(centre);
        for (gap, row) in gaps.iter_mut().zip(rows) {
            let distance = f64::from((1.0 - dot_f32(row, centre)).max(0.0));
            // A similarity this close to one is the same direction up to rounding.
            *gap = gap.min(if distance < 1e-6 { 0.0 } else { distance });
        }
    }
    centres
}

fn best_centre(row: &[f32], centres: &[f32], dim: usize) -> usize {
    let mut best = (f32::NEG_INFINITY, 0);
    for (cluster, centre) in centres.chunks_exact(dim).enumerate() {
        let similarity = dot_f32(row, centre);
        if similarity > best.0 {
            best = (similarity, cluster);
        }
    }
    best.1
}

/// Every centre becomes the direction of its rows' sum; an empty cluster keeps its centre.
fn recentre(rows: &[&[f32]], homes: &[usize], centres: &mut [f32], dim: usize) {
    let mut sums = vec![0.0_f64; centres.len()];
    for (row, home) in rows.iter().zip(homes) {
        for (sum, x) in sums[home * dim..(home + 1) * dim].iter_mut().zip(*row) {
            *sum += f64::from(*x);
        }
    }
    for (sum, centre) in sums.chunks_exact(dim).zip(centres.chunks_exact_mut(dim)) {
        if sum.iter().any(|x| *x != 0.0) {
            centre.iter_mut().zip(unit(sum)).for_each(|(c, x)| *c = x);
        }
    }
}

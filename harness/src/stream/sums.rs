//! Sums over buckets of independent sessions: all that the second pass keeps.

use super::scorer::Scores;
use crate::logged::CERTAIN;
use crate::promise::Line;

/// Bits of a bucket's number.
pub(super) const BUCKET_BITS: u32 = 14;
/// Buckets that sessions are hashed into. Unions of independent sessions are independent; at this
/// many, a standard error over buckets is itself known to 0.6 %.
pub const BUCKETS: usize = 1 << BUCKET_BITS;
/// Buckets of one segment.
pub(super) const SEGMENT_BITS: u32 = 10;
pub(super) const SEGMENT_BUCKETS: usize = 1 << SEGMENT_BITS;
/// The heaviest weights that are kept.
const LARGEST: usize = 10;

/// Columns of a bucket.
pub(super) const N: usize = 0;
pub(super) const QUALITY: usize = 1;
pub(super) const BASE_QUALITY: usize = 2;
pub(super) const COST: usize = 3;
pub(super) const BASE_COST: usize = 4;
pub(super) const HIGH: usize = 5;
/// The columns so far are those of a segment, too.
pub(super) const SEGMENT_WIDTH: usize = 6;
pub(super) const LOW: usize = 6;
pub(super) const LINE: usize = 7;
pub(super) const SERVED_QUALITY: usize = 8;
pub(super) const SERVED_COST: usize = 9;
pub(super) const WEIGHT: usize = 10;
pub(super) const BASE_WEIGHT: usize = 11;
pub(super) const IPS_QUALITY: usize = 12;
pub(super) const IPS_COST: usize = 13;
pub(super) const IPS_BASE_COST: usize = 14;
pub(super) const DM_QUALITY: usize = 15;
pub(super) const DM_COST: usize = 16;
pub(super) const DM_BASE_COST: usize = 17;
pub(super) const WIDTH: usize = 18;

/// What the policy is judged against.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    pub(super) line: Line,
    /// Column of the baseline's arm.
    pub(super) baseline: usize,
    /// Weights above this count as clipped.
    pub(super) clip: f64,
}

/// One evaluated request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) bucket: usize,
    pub(super) segment_bucket: usize,
    /// Segments of its task and tenant, when these are segments.
    pub(super) segments: [Option<usize>; 2],
    /// Column of the served arm; `None`: not compared.
    pub(super) chosen: Option<usize>,
    pub(super) propensity: f64,
    pub(super) quality: f64,
    pub(super) cost: f64,
}

/// Sums of one arm.
#[derive(Clone, Copy, Debug)]
pub(super) struct ArmSums {
    pub(super) logged: u64,
    /// Σ π(a|x).
    pub(super) target: f64,
    /// Σ Γ of quality and cost.
    pub(super) quality: f64,
    pub(super) cost: f64,
    /// Σ w and Σ w² of rows that the arm served.
    pub(super) weight: f64,
    pub(super) weight_squares: f64,
    pub(super) propensity_min: f64,
}

/// What the second pass keeps; of the same size whatever the number of rows.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    pub(super) buckets: Vec<[f64; WIDTH]>,
    /// Shape (segments × SEGMENT_BUCKETS).
    pub(super) segments: Vec<[f64; SEGMENT_WIDTH]>,
    /// Σ 1\[a logged\]/p, shape (BUCKETS × K).
    pub(super) inverse: Vec<f64>,
    pub(super) arms: Vec<ArmSums>,
    pub(super) weight_squares: f64,
    pub(super) clipped: f64,
    /// Σ of probability where the log had no choice and chose otherwise.
    pub(super) unsupported: f64,
    /// Largest weights, largest first.
    pub(super) largest: Vec<f64>,
}

impl Sums {
    pub(super) fn new(arms: usize, segments: usize) -> Self {
        let none = ArmSums {
            logged: 0,
            target: 0.0,
            quality: 0.0,
            cost: 0.0,
            weight: 0.0,
            weight_squares: 0.0,
            propensity_min: f64::INFINITY,
        };
        Self {
            buckets: vec![[0.0; WIDTH]; BUCKETS],
            segments: vec![[0.0; SEGMENT_WIDTH]; segments * SEGMENT_BUCKETS],
            inverse: vec![0.0; BUCKETS * arms],
            arms: vec![none; arms],
            weight_squares: 0.0,
            clipped: 0.0,
            unsupported: 0.0,
            largest: Vec::with_capacity(LARGEST + 1),
        }
    }

    /// Adds a request: doubly robust scores Γ_a = q̂_a + 1\[a = a_i\](r − q̂_a)/p, and the terms of
    /// the other estimators (module [`logged`](crate::logged)).
    pub(super) fn push(&mut self, row: &Row, scores: &Scores<'_>, target: &Target) {
        let (probability, expected, price) =
            (scores.probability(), scores.quality(), scores.cost());
        let inverse = 1.0 / row.propensity;
        // The correction of the served arm's score; none when that arm is not compared.
        let served = |arm: usize| f64::from(u8::from(row.chosen == Some(arm))) * inverse;
        let (mut dm_quality, mut dm_cost) = (0.0, 0.0);
        for ((sums, p), (q, c)) in self
            .arms
            .iter_mut()
            .zip(probability)
            .zip(expected.iter().zip(price))
        {
            dm_quality += p * q;
            dm_cost += p * c;
            sums.target += p;
            sums.quality += q;
            sums.cost += c;
        }
        let (mut weight, mut miss_quality, mut miss_cost) = (0.0, 0.0, 0.0);
        if let Some(arm) = row.chosen {
            weight = probability[arm] * inverse;
            miss_quality = row.quality - expected[arm];
            miss_cost = row.cost - price[arm];
            let sums = &mut self.arms[arm];
            sums.logged += 1;
            sums.quality += inverse * miss_quality;
            sums.cost += inverse * miss_cost;
            sums.weight += weight;
            sums.weight_squares += weight * weight;
            sums.propensity_min = sums.propensity_min.min(row.propensity);
            self.inverse[row.bucket * probability.len() + arm] += inverse;
        }
        if row.propensity >= CERTAIN {
            self.unsupported += 1.0 - row.chosen.map_or(0.0, |arm| probability[arm]);
        }
        self.weight_squares += weight * weight;
        self.clipped += (weight - target.clip).max(0.0);
        self.keep_largest(weight);

        let base = target.baseline;
        let base_weight = served(base);
        let (low, high, line) =
            margin_terms(row, target.line, weight, served, scores, miss_quality);
        let quality = dm_quality + weight * miss_quality;
        let base_quality = expected[base] + base_weight * miss_quality;
        let cost = dm_cost + weight * miss_cost;
        let base_cost = price[base] + base_weight * miss_cost;
        let values = [
            1.0,
            quality,
            base_quality,
            cost,
            base_cost,
            high,
            low,
            line,
            row.quality,
            row.cost,
            weight,
            base_weight,
            weight * row.quality,
            weight * row.cost,
            base_weight * row.cost,
            dm_quality,
            dm_cost,
            price[base],
        ];
        for (sum, value) in self.buckets[row.bucket].iter_mut().zip(values) {
            *sum += value;
        }
        for segment in row.segments.into_iter().flatten() {
            let sums = &mut self.segments[segment * SEGMENT_BUCKETS + row.segment_bucket];
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += value;
            }
        }
    }

    fn keep_largest(&mut self, weight: f64) {
        if self.largest.len() < LARGEST || weight > self.largest[LARGEST - 1] {
            let at = self.largest.partition_point(|other| *other >= weight);
            self.largest.insert(at, weight);
            self.largest.truncate(LARGEST);
        }
    }

    /// Adds other sums; a fixed order of merging gives fixed bits.
    pub(super) fn merge(&mut self, other: &Self) {
        for (sum, more) in self.buckets.iter_mut().zip(&other.buckets) {
            sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
        for (sum, more) in self.segments.iter_mut().zip(&other.segments) {
            sum.iter_mut().zip(more).for_each(|(a, b)| *a += b);
        }
        for (sum, more) in self.inverse.iter_mut().zip(&other.inverse) {
            *sum += more;
        }
        for (sum, more) in self.arms.iter_mut().zip(&other.arms) {
            sum.logged += more.logged;
            sum.target += more.target;
            sum.quality += more.quality;
            sum.cost += more.cost;
            sum.weight += more.weight;
            sum.weight_squares += more.weight_squares;
            sum.propensity_min = sum.propensity_min.min(more.propensity_min);
        }
        self.weight_squares += other.weight_squares;
        self.clipped += other.clipped;
        self.unsupported += other.unsupported;
        for weight in &other.largest {
            self.keep_largest(*weight);
        }
    }
}

/// φ of the lower and upper bounds of the margin, and the line's own score.
///
/// φ = u₊ r + u₋ (1 − r) − N, as in [`WeightedRewards`](crate::intervals::WeightedRewards).
fn margin_terms(
    row: &Row,
    line: Line,
    weight: f64,
    served: impl Fn(usize) -> f64,
    scores: &Scores<'_>,
    miss_quality: f64,
) -> (f64, f64, f64) {
    let phi = |u: f64, negative: f64| {
        let paid = if u >= 0.0 {
            u * row.quality
        } else {
            -u * (1.0 - row.quality)
        };
        paid - negative
    };
    match line {
        Line::Absolute(line) => (phi(weight, 0.0), phi(-weight, 1.0), line),
        Line::Relative { arm, retain } => {
            let arm_weight = served(arm);
            let agreement = scores.probability()[arm].clamp(0.0, 1.0);
            let u = weight - retain * arm_weight;
            (
                phi(u, (retain - agreement).max(0.0)),
                phi(-u, 1.0 - agreement + (agreement - retain).max(0.0)),
                retain * (scores.quality()[arm] + arm_weight * miss_quality),
            )
        }
    }
}

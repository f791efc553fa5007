//! Sums over buckets of independent sessions: all that the second pass keeps.

use super::scorer::Scores;
use crate::floor::Robustness;
use crate::logged::CERTAIN;
use crate::promise::Line;
use crate::weighed::Known;

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
/// φ of the margin's upper bound, and φ_k at both sizes of k.
pub(super) const HIGH: [usize; 3] = [5, 6, 7];
/// The columns so far are those of a segment, too.
pub(super) const SEGMENT_WIDTH: usize = 8;
/// φ and φ_k of the margin's lower bound.
pub(super) const LOW: [usize; 3] = [8, 9, 10];
pub(super) const LINE: usize = 11;
/// φ of both bounds of the quality change.
pub(super) const CHANGE_LOW: usize = 12;
pub(super) const CHANGE_HIGH: usize = 13;
pub(super) const SERVED_QUALITY: usize = 14;
pub(super) const SERVED_COST: usize = 15;
pub(super) const WEIGHT: usize = 16;
pub(super) const BASE_WEIGHT: usize = 17;
pub(super) const IPS_QUALITY: usize = 18;
pub(super) const IPS_COST: usize = 19;
pub(super) const IPS_BASE_COST: usize = 20;
pub(super) const DM_QUALITY: usize = 21;
pub(super) const DM_COST: usize = 22;
pub(super) const DM_BASE_COST: usize = 23;
pub(super) const WIDTH: usize = 24;

/// What the policy is judged against.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) line: Line,
    /// Column of the baseline's arm.
    pub(super) baseline: usize,
    /// Weights above this count as clipped.
    pub(super) clip: f64,
    /// What predictions may add to the floor's bounds.
    pub(super) robustness: Option<Robustness>,
}

impl Target {
    /// |s| h(a) at both sizes of the lower bound and of the upper one, which is the lower one of
    /// −s: φ_k = φ − |u| h(a_i) + Σ_a |s_a| h(a), |s| h = min(|s| q̂, k p̃), or of 1 − q̂ where s < 0
    /// ([`Predictions`](crate::intervals::Predictions)).
    fn paid_of_arm(
        &self,
        robustness: &Robustness,
        arm: usize,
        probability: f64,
        quality: f64,
        known: f64,
    ) -> [f64; 4] {
        let s = match self.line {
            Line::Relative { arm: other, retain } if other == arm => {
                probability.clamp(0.0, 1.0) - retain
            }
            _ => probability.clamp(0.0, 1.0),
        };
        let q = quality.clamp(0.0, 1.0);
        let (gained, lost) = if s >= 0.0 { (q, 1.0 - q) } else { (1.0 - q, q) };
        let ([low_half, low_full], [high_half, high_full]) = (robustness.low, robustness.high);
        [
            (s.abs() * gained).min(low_half * known),
            (s.abs() * gained).min(low_full * known),
            (s.abs() * lost).min(high_half * known),
            (s.abs() * lost).min(high_full * known),
        ]
    }

    /// The same, summed over arms with p̃ as `known`.
    fn paid(
        &self,
        robustness: &Robustness,
        probability: &[f64],
        quality: &[f64],
        known: &dyn Fn(usize) -> f64,
    ) -> [f64; 4] {
        let mut sums = [0.0; 4];
        for (arm, (p, q)) in probability.iter().zip(quality).enumerate() {
            let own = self.paid_of_arm(robustness, arm, *p, *q, known(arm));
            sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
        }
        sums
    }

    /// The sums where p̃ does not depend on the row; else 0.
    pub(super) fn paid_of_context(&self, probability: &[f64], quality: &[f64]) -> [f64; 4] {
        match &self.robustness {
            Some(robustness) if matches!(robustness.known, Known::Floors(_)) => {
                let known = |arm| robustness.known.propensity(arm, None, 1.0);
                self.paid(robustness, probability, quality, &known)
            }
            _ => [0.0; 4],
        }
    }
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
    /// Rows on which the log had no choice but this arm.
    pub(super) certain: u64,
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
    /// Σ of the least E\[w²|x\] that the propensities allow.
    pub(super) least_squares: f64,
    pub(super) clipped: f64,
    /// Rows on which the log had no choice.
    pub(super) certain: u64,
    /// Whether a propensity was below what was known of it.
    pub(super) contradicted: bool,
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
            certain: 0,
            propensity_min: f64::INFINITY,
        };
        Self {
            buckets: vec![[0.0; WIDTH]; BUCKETS],
            segments: vec![[0.0; SEGMENT_WIDTH]; segments * SEGMENT_BUCKETS],
            inverse: vec![0.0; BUCKETS * arms],
            arms: vec![none; arms],
            weight_squares: 0.0,
            least_squares: 0.0,
            clipped: 0.0,
            certain: 0,
            contradicted: false,
            unsupported: 0.0,
            largest: Vec::with_capacity(LARGEST + 1),
        }
    }

    /// The terms of a request: doubly robust scores Γ_a = q̂_a + 1\[a = a_i\](r − q̂_a)/p_i, and
    /// those of the other estimators (module [`logged`](crate::logged)). Adds what is not summed by
    /// bucket.
    pub(super) fn terms(&mut self, row: &Row, scores: &Scores<'_>, target: &Target) -> Terms {
        let (probability, expected, price) =
            (scores.probability(), scores.quality(), scores.cost());
        let inverse = 1.0 / row.propensity;
        let [dm_quality, dm_cost] = scores.expected();
        for ((sums, p), (q, c)) in self
            .arms
            .iter_mut()
            .zip(probability)
            .zip(expected.iter().zip(price))
        {
            sums.target += p;
            sums.quality += q;
            sums.cost += c;
        }
        let (mut weight, mut miss_quality, mut miss_cost) = (0.0, 0.0, 0.0);
        let mut here = 0.0;
        let is_certain = row.propensity >= CERTAIN;
        if let Some(arm) = row.chosen {
            here = probability[arm];
            weight = here * inverse;
            miss_quality = row.quality - expected[arm];
            miss_cost = row.cost - price[arm];
            let sums = &mut self.arms[arm];
            sums.logged += 1;
            sums.quality += inverse * miss_quality;
            sums.cost += inverse * miss_cost;
            sums.weight += weight;
            sums.weight_squares += weight * weight;
            sums.certain += u64::from(is_certain);
            sums.propensity_min = sums.propensity_min.min(row.propensity);
        }
        self.weight_squares += weight * weight;
        self.least_squares += weight * here;
        if is_certain {
            self.certain += 1;
            self.unsupported += 1.0 - here;
        } else {
            // Cauchy–Schwarz: the arms that were not chosen share 1 − p.
            self.least_squares += (1.0 - here).powi(2) / (1.0 - row.propensity);
        }
        self.clipped += (weight - target.clip).max(0.0);
        self.keep_largest(weight);

        let base = target.baseline;
        let served = |arm: usize| f64::from(u8::from(row.chosen == Some(arm))) * inverse;
        let base_weight = served(base);
        let agreement = probability[base].clamp(0.0, 1.0);
        let Margin { low, high, line } =
            self.margin(row, scores, target, weight, inverse, miss_quality);
        [
            1.0,
            dm_quality + weight * miss_quality,
            expected[base] + base_weight * miss_quality,
            dm_cost + weight * miss_cost,
            price[base] + base_weight * miss_cost,
            high[0],
            high[1],
            high[2],
            low[0],
            low[1],
            low[2],
            line,
            phi(weight - base_weight, row.quality, 1.0 - agreement),
            phi(base_weight - weight, row.quality, 1.0 - agreement),
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
        ]
    }

    /// φ of both bounds of the margin over the line, with predictions and without, and the line's
    /// own score.
    fn margin(
        &mut self,
        row: &Row,
        scores: &Scores<'_>,
        target: &Target,
        weight: f64,
        inverse: f64,
        miss_quality: f64,
    ) -> Margin {
        let (probability, expected) = (scores.probability(), scores.quality());
        let (u, negative, line) = match target.line {
            Line::Absolute(line) => (weight, [0.0, 1.0], line),
            Line::Relative { arm, retain } => {
                let arm_weight = f64::from(u8::from(row.chosen == Some(arm))) * inverse;
                let agreement = probability[arm].clamp(0.0, 1.0);
                (
                    weight - retain * arm_weight,
                    [
                        (retain - agreement).max(0.0),
                        1.0 - agreement + (agreement - retain).max(0.0),
                    ],
                    retain * (expected[arm] + arm_weight * miss_quality),
                )
            }
        };
        let mut margin = Margin {
            low: [phi(u, row.quality, negative[0]); 3],
            high: [phi(-u, row.quality, negative[1]); 3],
            line,
        };
        let Some(robustness) = &target.robustness else {
            return margin;
        };
        let known = &robustness.known;
        let at = |arm: usize| known.propensity(arm, row.chosen, row.propensity);
        let mut paid = match known {
            Known::Floors(_) => scores.paid(),
            Known::Both => target.paid(robustness, probability, expected, &at),
        };
        if let Some(arm) = row.chosen {
            // The served arm's |u| h = |s| h/p is taken off again.
            let known = at(arm);
            self.contradicted |= known > row.propensity * (1.0 + 1e-9);
            let own = target.paid_of_arm(robustness, arm, probability[arm], expected[arm], known);
            paid.iter_mut()
                .zip(own)
                .for_each(|(sum, own)| *sum -= own * inverse);
        }
        for size in 0..2 {
            margin.low[size + 1] += paid[size];
            margin.high[size + 1] += paid[size + 2];
        }
        margin
    }

    /// Adds terms to the sums of their buckets: apart from making them, so that a processor need
    /// not wait for one row's memory before it asks for the next one's.
    pub(super) fn add(&mut self, rows: &[(Row, Terms)]) {
        let arms = self.arms.len();
        for (row, terms) in rows {
            for (sum, term) in self.buckets[row.bucket].iter_mut().zip(terms) {
                *sum += term;
            }
            if let Some(arm) = row.chosen {
                self.inverse[row.bucket * arms + arm] += 1.0 / row.propensity;
            }
            for segment in row.segments.into_iter().flatten() {
                let sums = &mut self.segments[segment * SEGMENT_BUCKETS + row.segment_bucket];
                for (sum, term) in sums.iter_mut().zip(terms) {
                    *sum += term;
                }
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
            sum.certain += more.certain;
            sum.propensity_min = sum.propensity_min.min(more.propensity_min);
        }
        self.weight_squares += other.weight_squares;
        self.least_squares += other.least_squares;
        self.certain += other.certain;
        self.contradicted |= other.contradicted;
        self.clipped += other.clipped;
        self.unsupported += other.unsupported;
        for weight in &other.largest {
            self.keep_largest(*weight);
        }
    }
}

/// What a row adds to its bucket.
pub(super) type Terms = [f64; WIDTH];

/// Terms of the margin.
struct Margin {
    low: [f64; 3],
    high: [f64; 3],
    line: f64,
}

/// φ = u₊ r + u₋ (1 − r) − N, as in [`WeightedRewards`](crate::intervals::WeightedRewards).
fn phi(u: f64, quality: f64, negative: f64) -> f64 {
    let paid = if u >= 0.0 {
        u * quality
    } else {
        -u * (1.0 - quality)
    };
    paid - negative
}

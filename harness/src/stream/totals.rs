//! Estimates and intervals from sums over independent buckets.

use super::sums::{
    CHANGE_HIGH, CHANGE_LOW, HIGH, IPS_QUALITY, LINE, LOW, N, QUALITY, Sums, WEIGHT, WIDTH,
};
use crate::bounds::Looks;
use crate::evaluation::Interval;
use crate::floor::Robustness;
use crate::intervals::{Choice, Facts, Purpose, Robust, Stream, Support, choose, mixture_lower};
use crate::judge::FloorBound;
use crate::promise::{Line, normal_quantile};

/// A φ's value in a bucket's sums.
type Summed<'f, const W: usize> = &'f dyn Fn(&[f64; W]) -> f64;

/// Ratios of sums over independent buckets, with their standard errors.
pub(super) struct Totals<'b, const W: usize> {
    buckets: &'b [[f64; W]],
    sums: [f64; W],
    /// Buckets with rows.
    pub(super) filled: usize,
}

impl<'b, const W: usize> Totals<'b, W> {
    pub(super) fn new(buckets: &'b [[f64; W]]) -> Self {
        let mut sums = [0.0; W];
        for bucket in buckets {
            sums.iter_mut().zip(bucket).for_each(|(a, b)| *a += b);
        }
        Self {
            buckets,
            sums,
            filled: buckets.iter().filter(|b| b[N] > 0.0).count(),
        }
    }

    pub(super) fn sum(&self, column: usize) -> f64 {
        self.sums[column]
    }

    pub(super) fn mean(&self, column: usize) -> f64 {
        self.sums[column] / self.sums[N].max(1.0)
    }

    /// R = ΣA/ΣB with se² = G/(G − 1) Σ_g (A_g − R B_g)²/(ΣB)²: the linearised ratio over G
    /// independent buckets (Liang & Zeger 1986, doi:10.1093/biomet/73.1.13).
    pub(super) fn ratio(
        &self,
        above: impl Fn(&[f64; W]) -> f64,
        below: impl Fn(&[f64; W]) -> f64,
        confidence: f64,
    ) -> Interval {
        let (a, b) = (above(&self.sums), below(&self.sums));
        if b == 0.0 || self.filled < 2 {
            return Interval::default();
        }
        let ratio = a / b;
        let squares: f64 = self
            .buckets
            .iter()
            .map(|bucket| (above(bucket) - ratio * below(bucket)).powi(2))
            .sum();
        #[expect(clippy::cast_precision_loss, reason = "there are few buckets")]
        let groups = self.filled as f64;
        let error = (groups / (groups - 1.0) * squares).sqrt() / b.abs();
        let width = normal_quantile(0.5 + confidence / 2.0) * error;
        Interval {
            point: ratio,
            low: ratio - width,
            high: ratio + width,
        }
    }

    pub(super) fn mean_interval(&self, column: usize, confidence: f64) -> Interval {
        self.ratio(|s| s[column], |s| s[N], confidence)
    }

    pub(super) fn savings(&self, cost: usize, base: usize, confidence: f64) -> Interval {
        let kept = self.ratio(|s| s[cost], |s| s[base], confidence);
        if self.sums[base] <= 0.0 {
            return Interval::default();
        }
        Interval {
            point: 1.0 - kept.point,
            low: 1.0 - kept.high,
            high: 1.0 - kept.low,
        }
    }

    /// Lower bound for the mean that several φ share, each given as its value in a bucket's sums
    /// and its least value. Buckets are hashed, so their order is random.
    fn bet(&self, columns: &[(Summed<'_, W>, f64)], alpha: f64) -> Option<f64> {
        let filled = || self.buckets.iter().filter(|b| b[N] > 0.0);
        let largest = filled().map(|b| b[N]).fold(1.0, f64::max);
        let weights: Vec<f64> = filled().map(|b| b[N] / largest).collect();
        let means: Vec<(Vec<f64>, f64)> = columns
            .iter()
            .map(|(sum, floor)| {
                let mean = |b: &[f64; W]| (sum(b) / b[N]).max(*floor);
                (filled().map(mean).collect(), *floor)
            })
            .collect();
        let streams: Vec<Stream<'_>> = means
            .iter()
            .map(|(values, floor)| Stream {
                values,
                floor: *floor,
            })
            .collect();
        mixture_lower(&streams, Some(&weights), alpha, Looks::Once)
    }

    /// [`Self::bet`] on φ ≥ `floor` and on φ_k ≥ `floor` − k, where k are known.
    fn bet_on_margin(
        &self,
        [plain, half, full]: [usize; 3],
        floor: f64,
        caps: Option<[f64; 2]>,
        alpha: f64,
    ) -> Option<f64> {
        let [plain, half, full] = [plain, half, full].map(|column| move |s: &[f64; W]| s[column]);
        match caps {
            None => self.bet(&[(&plain, floor)], alpha),
            Some([least, most]) => {
                let robust = [
                    (&plain as &dyn Fn(&[f64; W]) -> f64, floor),
                    (&half, floor - least),
                    (&full, floor - most),
                ];
                self.bet(&robust, alpha)
            }
        }
    }

    /// Upper bound of the margin over the line.
    pub(super) fn margin_high(
        &self,
        line: Line,
        robustness: Option<&Robustness>,
        alpha: f64,
    ) -> f64 {
        let (least, most) = line.margin_range();
        let low = self.bet_on_margin(HIGH, -1.0, robustness.map(|r| r.high), alpha);
        let bound = low.map(|low| match line {
            Line::Absolute(line) => (-low).clamp(0.0, 1.0) - line,
            Line::Relative { .. } => (-low).clamp(least, 1.0),
        });
        bound.unwrap_or(most)
    }
}

impl Totals<'_, WIDTH> {
    pub(super) fn floor(
        &self,
        line: Line,
        robustness: Option<&Robustness>,
        confidence: f64,
    ) -> FloorBound {
        let alpha = 1.0 - confidence;
        let (least, _) = line.margin_range();
        let caps = robustness.map(|r| r.low);
        let low = match line {
            Line::Absolute(line) => {
                let low = self.bet_on_margin(LOW, 0.0, caps, alpha);
                low.map(|low| low.clamp(0.0, 1.0) - line)
            }
            Line::Relative { retain, .. } => {
                let low = self.bet_on_margin(LOW, -retain, caps, alpha);
                low.map(|low| low.clamp(-retain, 1.0))
            }
        };
        FloorBound {
            margin: self.mean(QUALITY) - self.mean(LINE),
            low: low.unwrap_or(least),
            high: self.margin_high(line, robustness, alpha),
            method: "betting on weighted rewards",
            reason: if robustness.is_some() {
                "rewards are weighted by 1/propensity, which has no upper end: a finite-sample \
                 betting bound that needs none, over means of hashed buckets of sessions, with \
                 predictions"
            } else {
                "rewards are weighted by 1/propensity, which has no upper end: a finite-sample \
                 betting bound that needs none, over means of hashed buckets of sessions; without \
                 predictions, because the log's least propensities are not known beforehand"
            },
        }
    }

    /// The interval of quality that the weights of all rows allow: asymptotic where they are
    /// ample, finite-sample elsewhere, [0, 1] where even that is refused.
    pub(super) fn quality(&self, sums: &Sums, confidence: f64) -> (Interval, Choice) {
        let choice = choose(&self.facts(sums));
        let normal = self.mean_interval(QUALITY, confidence);
        if is_asymptotic(choice) {
            return (normal, choice);
        }
        let tail = (1.0 - confidence) / 2.0;
        let (low, high) = if choice.method.is_finite_sample() {
            let lost = |s: &[f64; WIDTH]| s[WEIGHT] - s[IPS_QUALITY] - s[N];
            (
                self.bet(&[(&|s| s[IPS_QUALITY], 0.0)], tail),
                self.bet(&[(&lost, -1.0)], tail),
            )
        } else {
            (None, None)
        };
        let interval = Interval {
            point: normal.point,
            low: low.map_or(0.0, |low| low.clamp(0.0, 1.0)).min(normal.point),
            high: high
                .map_or(1.0, |low| (-low).clamp(0.0, 1.0))
                .max(normal.point),
        };
        (interval, choice)
    }

    /// The interval of the quality change that goes with a choice for quality.
    pub(super) fn quality_change(&self, choice: Choice, confidence: f64) -> Interval {
        let normal = self.ratio(
            |s| s[QUALITY] - s[super::sums::BASE_QUALITY],
            |s| s[N],
            confidence,
        );
        if is_asymptotic(choice) {
            return normal;
        }
        let tail = (1.0 - confidence) / 2.0;
        let bet = |column: usize| self.bet(&[(&|s| s[column], -1.0)], tail);
        let (low, high) = (bet(CHANGE_LOW), bet(CHANGE_HIGH));
        Interval {
            point: normal.point,
            low: low
                .map_or(-1.0, |low| low.clamp(-1.0, 1.0))
                .min(normal.point),
            high: high
                .map_or(1.0, |low| (-low).clamp(-1.0, 1.0))
                .max(normal.point),
        }
    }

    /// What the choice of an interval depends on, over all rows; buckets stand for clusters.
    fn facts(&self, sums: &Sums) -> Facts {
        let pairs = |column: usize| -> Vec<(f64, f64)> {
            let filled = self.buckets.iter().filter(|b| b[N] > 0.0);
            filled.map(|b| (b[column], b[N])).collect()
        };
        let quality = Robust::ratio(&pairs(QUALITY));
        let weight = Robust::ratio(&pairs(WEIGHT));
        let mut contributions = quality.map_or(0.0, |robust| robust.contributions);
        if let Some(robust) = weight.filter(|robust| robust.standard_error > 0.0) {
            contributions = contributions.min(robust.contributions);
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of rows"
        )]
        let rows = self.sum(N) as u64;
        Facts {
            bounded: true,
            binary: false,
            clustered: true,
            weighted: true,
            ratio: false,
            looked_before: false,
            rows,
            clusters: self.filled as u64,
            ess: super::trust::effective(self.sum(WEIGHT), sums.weight_squares),
            contributions,
            support: Support::of_mean(weight),
            purpose: Purpose::Description,
        }
    }
}

fn is_asymptotic(choice: Choice) -> bool {
    use crate::intervals::Method;
    matches!(
        choice.method,
        Method::ClusterNormal | Method::ClusterBootstrap
    )
}

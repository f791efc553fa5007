//! The distribution of Σ (w − s) f when propensities are right.

use statrs::distribution::{ContinuousCDF, Gamma, Normal};

use crate::judge::Clusters;

/// Skewness below which a sum counts as normal.
const SKEWNESS_MIN: f64 = 1e-3;

/// Weights of one policy on logged rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows<'a> {
    /// w_i = π(a_i|x_i)/p_i, shape (n).
    pub weight: &'a [f64],
    /// s_i, the probability that π puts on arms that the log could have chosen, shape (n).
    pub support: &'a [f64],
    /// What π does on the arms that were not chosen, shape (n).
    pub rest: &'a [Rest],
    /// p_i, shape (n).
    pub propensity: &'a [f64],
    /// Dependent rows.
    pub clusters: &'a Clusters,
}

/// A policy on the supported arms that were not chosen on a row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Rest {
    /// Their number.
    pub arms: f64,
    /// Σπ over them.
    pub sum: f64,
    /// Σπ² over them.
    pub squares: f64,
    /// Σπ³ over them.
    pub cubes: f64,
}

/// S = Σ (w_i − s_i) f_i with its spread and skewness under right propensities.
///
/// Given x, Var(w) = Σ_a π_a²/p_a − s². Propensities of arms that were not chosen are unknown, so
/// Σ f² E\[w²|x\] is taken as the larger of
/// - the self-normalised estimate Σ w²f² · Σ s f² / Σ w f², apart for f > 0 and f < 0: exact when
///   propensities are equal there;
/// - the value when the m arms that were not chosen share what the propensity leaves equally,
///   Σ f² (π_i²/p_i + Σ_{b≠a_i} π_b² m/(1 − p_i)): exact with two arms and under uniform logging.
///
/// Third moments go the same way. Sums of rare heavy weights are skewed, so tails are those of a
/// gamma distribution with the sum's first three moments (Pearson's type III). Clusters multiply
/// the variance by their design effect (Kish 1965), when it is above 1.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Null {
    /// S.
    pub statistic: f64,
    /// Standard deviation of S.
    pub spread: f64,
    /// Skewness of S.
    pub skewness: f64,
    /// Least expected Σ w² f² that the propensities allow.
    pub least_square: f64,
}

/// Second and third moments, by which the distribution is matched.
#[derive(Clone, Copy, Default)]
struct Moments {
    second: f64,
    third: f64,
}

/// Sums over the rows where f has one sign.
#[derive(Clone, Copy, Default)]
struct Side {
    weight_f2: f64,
    square_f2: f64,
    support_f2: f64,
    support_sq_f2: f64,
    weight_f3: f64,
    square_f3: f64,
    cube_f3: f64,
    support_f3: f64,
    support_sq_f3: f64,
    support_cu_f3: f64,
}

impl Null {
    /// For a covariate of shape (n); `None`: f = 1.
    pub(crate) fn new(rows: Rows<'_>, f: Option<&[f64]>) -> Self {
        let mut sides = [Side::default(); 2];
        let mut shared = Moments::default();
        let (mut statistic, mut least_square) = (0.0, 0.0);
        for (i, (&w, &s)) in rows.weight.iter().zip(rows.support).enumerate() {
            let f = f.map_or(1.0, |f| f[i]);
            let (p, rest) = (rows.propensity[i], rows.rest[i]);
            statistic += (w - s) * f;
            sides[usize::from(f < 0.0)].push(w, s, f);
            let here = w * w * p;
            let (least, square, cube) = rest.moments(p);
            least_square += (here + least) * f * f;
            shared.second += (here + square - s * s) * f * f;
            let cube = w * here + cube;
            shared.third += (cube - 3.0 * s * (here + square) + 2.0 * s * s * s) * f * f * f;
        }
        let estimate = self_normalised(&sides);
        let moments = if estimate.second >= shared.second {
            estimate
        } else {
            shared
        };
        let design = design_effect(rows, f);
        let variance = moments.second.max(0.0) * design;
        let skewness = if variance > 0.0 {
            moments.third * design * design / variance.powf(1.5)
        } else {
            0.0
        };
        Self {
            statistic,
            spread: variance.sqrt(),
            skewness,
            least_square,
        }
    }

    /// Two-sided p-value of S.
    pub(crate) fn p_value(&self) -> f64 {
        if self.is_certain() {
            return 1.0;
        }
        if self.spread <= 0.0 {
            return 0.0;
        }
        let below = self.cdf(self.statistic / self.spread);
        (2.0 * below.min(1.0 - below)).clamp(0.0, 1.0)
    }

    /// Distances (down, up) from S, in units of S, of the values that a two-sided test at `alpha`
    /// does not reject.
    pub(crate) fn reach(&self, alpha: f64) -> (f64, f64) {
        let tail = alpha / 2.0;
        (
            self.quantile(1.0 - tail) * self.spread,
            -self.quantile(tail) * self.spread,
        )
    }

    /// Whether S is 0 but for rounding.
    fn is_certain(&self) -> bool {
        self.statistic.abs() <= 1e-9 * (1.0 + self.least_square)
    }

    /// P(standardised S ≤ t).
    fn cdf(&self, t: f64) -> f64 {
        match self.gamma() {
            None => Normal::standard().cdf(t),
            Some((gamma, shape)) => {
                let at = |t: f64| gamma.cdf((shape + shape.sqrt() * t).max(0.0));
                if self.skewness > 0.0 {
                    at(t)
                } else {
                    1.0 - at(-t)
                }
            }
        }
    }

    fn quantile(&self, level: f64) -> f64 {
        match self.gamma() {
            None => Normal::standard().inverse_cdf(level),
            Some((gamma, shape)) => {
                let at = |q: f64| (gamma.inverse_cdf(q) - shape) / shape.sqrt();
                if self.skewness > 0.0 {
                    at(level)
                } else {
                    -at(1.0 - level)
                }
            }
        }
    }

    /// Gamma of unit rate and shape 4/skewness².
    fn gamma(&self) -> Option<(Gamma, f64)> {
        let shape = 4.0 / (self.skewness * self.skewness);
        if self.skewness.abs() < SKEWNESS_MIN {
            return None;
        }
        Gamma::new(shape, 1.0).ok().map(|gamma| (gamma, shape))
    }
}

impl Side {
    fn push(&mut self, w: f64, s: f64, f: f64) {
        let (f2, f3) = (f * f, f * f * f);
        self.weight_f2 += w * f2;
        self.square_f2 += w * w * f2;
        self.support_f2 += s * f2;
        self.support_sq_f2 += s * s * f2;
        self.weight_f3 += w * f3;
        self.square_f3 += w * w * f3;
        self.cube_f3 += w * w * w * f3;
        self.support_f3 += s * f3;
        self.support_sq_f3 += s * s * f3;
        self.support_cu_f3 += s * s * s * f3;
    }
}

/// Both sides together; a side on which no weight was seen borrows the other's ratios.
fn self_normalised(sides: &[Side; 2]) -> Moments {
    let [up, down] = sides;
    let ratio = |of: fn(&Side) -> f64, by: fn(&Side) -> f64, side: &Side| {
        let own = by(side).abs();
        if own > 0.0 {
            return of(side).abs() / own;
        }
        let both = by(up).abs() + by(down).abs();
        if both > 0.0 {
            (of(up).abs() + of(down).abs()) / both
        } else {
            0.0
        }
    };
    let mut moments = Moments::default();
    for side in sides {
        let square = ratio(|s| s.square_f2, |s| s.weight_f2, side) * side.support_f2;
        moments.second += square - side.support_sq_f2;
        let cube = ratio(|s| s.cube_f3, |s| s.weight_f3, side) * side.support_f3;
        let square = ratio(|s| s.square_f3, |s| s.weight_f3, side) * side.support_sq_f3;
        moments.third += cube - 3.0 * square + 2.0 * side.support_cu_f3;
    }
    moments
}

impl Rest {
    /// Contributions to E\[w²|x\] (at least: Cauchy–Schwarz; and with equal shares) and to E\[w³|x\]
    /// (with equal shares) when the arms share 1 − p.
    fn moments(&self, p: f64) -> (f64, f64, f64) {
        let left = 1.0 - p;
        if self.sum <= 0.0 || left <= 0.0 {
            return (0.0, 0.0, 0.0);
        }
        let inverse = self.arms / left;
        (
            self.sum * self.sum / left,
            self.squares * inverse,
            self.cubes * inverse * inverse,
        )
    }
}

/// Variance of cluster sums over the variance of independent rows; at least 1.
fn design_effect(rows: Rows<'_>, f: Option<&[f64]>) -> f64 {
    let (n, clusters) = (rows.weight.len(), rows.clusters.count);
    if clusters >= n || clusters < 2 {
        return 1.0;
    }
    let value = |i: usize| (rows.weight[i] - rows.support[i]) * f.map_or(1.0, |f| f[i]);
    let mean = (0..n).map(value).sum::<f64>() / count(n);
    let mut sums = vec![0.0; clusters];
    let mut alone = 0.0;
    for (i, &cluster) in rows.clusters.of.iter().enumerate() {
        let residual = value(i) - mean;
        sums[cluster] += residual;
        alone += residual * residual;
    }
    let together = sums.iter().map(|s| s * s).sum::<f64>();
    if alone <= 0.0 {
        return 1.0;
    }
    (together / alone * count(clusters) / (count(clusters) - 1.0)).max(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) fn count(n: usize) -> f64 {
    n as f64
}

//! The promise: mean quality stays above a line, with stated confidence; and the cheapest option
//! that keeps it on the training rows.

use ndarray::{Array1, Array2, ArrayView1};
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};

/// The line that mean quality must clear.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line {
    /// A fixed mean quality in [0, 1].
    Absolute(f64),
    /// A share of what one arm reaches on the same requests.
    Relative {
        /// The arm, as a column of the outcome table.
        arm: usize,
        /// Share of its quality to keep, in (0, 1].
        retain: f64,
    },
}

/// A line and the confidence with which it is to be kept.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Promise {
    /// The line.
    pub line: Line,
    /// One-sided confidence in (0, 1).
    pub confidence: f64,
}

/// What one way to answer requests did on the training rows, per request, shape (n).
#[derive(Clone, Debug)]
pub struct Play {
    /// Quality per request.
    pub quality: Array1<f64>,
    /// Cost per request in US dollars.
    pub cost: Array1<f64>,
}

impl Play {
    /// The play on some of its rows.
    #[must_use]
    pub fn rows(&self, rows: &[usize]) -> Self {
        let axis = ndarray::Axis(0);
        Self {
            quality: self.quality.select(axis, rows),
            cost: self.cost.select(axis, rows),
        }
    }
}

/// The cheapest choice that keeps the promise on the training rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// Index of the option used most cheaply.
    pub option: usize,
    /// Share of requests that use `option`; the rest use `partner`.
    pub share: f64,
    /// The second option of a mix.
    pub partner: usize,
    /// Mean cost on the training rows.
    pub cost: f64,
    /// Mean quality minus the line on the training rows.
    pub margin: f64,
}

impl Line {
    /// The line for each request: shape (n) from qualities of shape (n, arms).
    #[must_use]
    pub fn per_request(&self, quality: &Array2<f64>) -> Array1<f64> {
        match *self {
            Self::Absolute(line) => Array1::from_elem(quality.nrows(), line),
            Self::Relative { arm, retain } => quality.column(arm).mapv(|q| q * retain),
        }
    }

    /// The range of quality minus line: between these two numbers whatever is observed.
    #[must_use]
    pub fn margin_range(&self) -> (f64, f64) {
        match *self {
            Self::Absolute(line) => (-line, 1.0 - line),
            Self::Relative { retain, .. } => (-retain, 1.0),
        }
    }
}

/// Margins of one option, summed by cluster.
struct Margins {
    mean: f64,
    /// Sum over the cluster of (margin − mean), shape (clusters).
    residual: Vec<f64>,
    /// Sum of their squares.
    squares: f64,
}

/// Finds the cheapest option, or mix of two, whose lower bound on mean margin is at least 0.
///
/// `plays` are the options on the same n training rows; `line` is per request; `cluster[i]` in
/// 0..clusters groups dependent rows. `partners` are the options that an option may be mixed with
/// (random mixes make the promise reachable between two settings). The bound is
/// mean − z·se with a cluster-robust standard error (Liang & Zeger 1986,
/// doi:10.1093/biomet/73.1.13). `None` when no option keeps the promise.
#[must_use]
pub fn cheapest(
    plays: &[Play],
    partners: &[usize],
    line: &Array1<f64>,
    cluster: &[usize],
    clusters: usize,
    z: f64,
) -> Option<Selection> {
    let margins: Vec<Margins> = plays
        .par_iter()
        .map(|play| Margins::new(&play.quality, line, cluster, clusters))
        .collect();
    let costs: Vec<f64> = plays.iter().map(|play| mean(play.cost.view())).collect();
    let pair = |i: usize, j: usize| Pair::new(&margins[i], &margins[j], line.len());

    let kept: Vec<bool> = (0..margins.len())
        .map(|i| pair(i, i).bound(1.0, z) >= 0.0)
        .collect();
    // A mix costs more than its cheaper option.
    let pure = (0..costs.len()).filter(|&i| kept[i]).map(|i| costs[i]);
    let pure = pure.fold(f64::INFINITY, f64::min);
    let offers = |i: usize| -> Vec<Selection> {
        if costs[i] > pure {
            return Vec::new();
        }
        if kept[i] {
            return vec![Selection {
                option: i,
                share: 1.0,
                partner: i,
                cost: costs[i],
                margin: margins[i].mean,
            }];
        }
        let dearer = partners.iter().filter(|&&j| kept[j] && costs[j] > costs[i]);
        dearer
            .filter_map(|&j| {
                let share = pair(i, j).largest_share(z)?;
                Some(Selection {
                    option: i,
                    share,
                    partner: j,
                    cost: share * costs[i] + (1.0 - share) * costs[j],
                    margin: share * margins[i].mean + (1.0 - share) * margins[j].mean,
                })
            })
            .collect()
    };
    let all: Vec<Vec<Selection>> = (0..margins.len()).into_par_iter().map(offers).collect();
    // Strictly cheaper: among equals the first, so that the result does not depend on float noise
    // in a comparison.
    all.into_iter()
        .flatten()
        .reduce(|best, next| if next.cost < best.cost { next } else { best })
}

/// Lower confidence bound of one option's mean margin, as [`cheapest`] uses it.
#[must_use]
pub fn margin_bound(
    play: &Play,
    line: &Array1<f64>,
    cluster: &[usize],
    clusters: usize,
    z: f64,
) -> f64 {
    let margins = Margins::new(&play.quality, line, cluster, clusters);
    Pair::new(&margins, &margins, line.len()).bound(1.0, z)
}

impl Margins {
    fn new(quality: &Array1<f64>, line: &Array1<f64>, cluster: &[usize], clusters: usize) -> Self {
        let mean = mean(quality.view()) - mean(line.view());
        let mut residual = vec![0.0; clusters];
        for ((q, l), &c) in quality.iter().zip(line).zip(cluster) {
            residual[c] += q - l - mean;
        }
        Self {
            mean,
            squares: products(&residual, &residual),
            residual,
        }
    }
}

/// Σ xy, in lanes that do not wait for each other; a fixed order gives fixed bits.
fn products(x: &[f64], y: &[f64]) -> f64 {
    const LANES: usize = 8;
    let (x, x_rest) = x.as_chunks::<LANES>();
    let (y, y_rest) = y.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for (x, y) in x.iter().zip(y) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    let rest: f64 = x_rest.iter().zip(y_rest).map(|(x, y)| x * y).sum();
    sums.iter().sum::<f64>() + rest
}

/// Lower bounds of all mixes of two options, from three sums of products over clusters.
struct Pair {
    means: (f64, f64),
    squares: (f64, f64, f64),
    /// Factor from a sum of squared cluster residuals to a variance of the mean.
    scale: f64,
}

impl Pair {
    #[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
    fn new(a: &Margins, b: &Margins, rows: usize) -> Self {
        let clusters = a.residual.len() as f64;
        let correction = if clusters > 1.0 {
            clusters / (clusters - 1.0)
        } else {
            f64::INFINITY
        };
        let crossed = if std::ptr::eq(a, b) {
            a.squares
        } else {
            products(&a.residual, &b.residual)
        };
        let scale = correction / (rows as f64).powi(2);
        Self {
            means: (a.mean, b.mean),
            squares: (a.squares, crossed, b.squares),
            scale,
        }
    }

    /// The largest share of the first option whose bound is at least 0; `None` when there is none.
    ///
    /// The bound is concave in the share and at least 0 at share 0: bisect for the last zero.
    fn largest_share(&self, z: f64) -> Option<f64> {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for _ in 0..30 {
            let middle = low.midpoint(high);
            if self.bound(middle, z) >= 0.0 {
                low = middle;
            } else {
                high = middle;
            }
        }
        (low > 0.0).then_some(low)
    }

    /// Mean − z·se of the mix that uses the first option with probability `share`.
    fn bound(&self, share: f64, z: f64) -> f64 {
        let rest = 1.0 - share;
        let (aa, ab, bb) = self.squares;
        let squares = (share * share * aa + 2.0 * share * rest * ab + rest * rest * bb).max(0.0);
        let mean = share * self.means.0 + rest * self.means.1;
        // One cluster says nothing about its own spread, unless there is no spread at all.
        let spread = if squares == 0.0 {
            0.0
        } else {
            (squares * self.scale).sqrt()
        };
        mean - z * spread
    }
}

/// z with P(Z ≤ z) = `confidence`; a confidence of one half is the plain mean.
#[must_use]
pub fn normal_quantile(confidence: f64) -> f64 {
    Normal::standard().inverse_cdf(confidence)
}

#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
pub(crate) fn mean(values: ArrayView1<'_, f64>) -> f64 {
    if values.is_empty() {
        0.0
    } else {
        values.sum() / values.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn play(quality: &[f64], cost: f64) -> Play {
        Play {
            quality: Array1::from_vec(quality.to_vec()),
            cost: Array1::from_elem(quality.len(), cost),
        }
    }

    #[test]
    fn a_mix_reaches_the_line_between_two_arms() {
        let good: Vec<f64> = vec![1.0; 100];
        let bad: Vec<f64> = vec![0.0; 100];
        let plays = [play(&bad, 1.0), play(&good, 11.0)];
        let line = Array1::from_elem(100, 0.9);
        let cluster: Vec<usize> = (0..100).collect();
        let chosen = cheapest(&plays, &[0, 1], &line, &cluster, 100, 0.0).expect("feasible");
        assert_eq!((chosen.option, chosen.partner), (0, 1));
        assert!((chosen.share - 0.1).abs() < 1e-6);
        assert!((chosen.cost - 10.0).abs() < 1e-5);
    }

    #[test]
    fn products_are_summed_once() {
        for n in [0_u32, 1, 7, 8, 9, 40, 43] {
            let x: Vec<f64> = (0..n).map(f64::from).collect();
            let y: Vec<f64> = x.iter().map(|x| x + 2.0).collect();
            let expect: f64 = x.iter().zip(&y).map(|(x, y)| x * y).sum();
            assert!((products(&x, &y) - expect).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn clusters_widen_the_bound() {
        let quality: Vec<f64> = (0..100).map(|i| f64::from(u8::from(i % 20 < 18))).collect();
        let p = play(&quality, 1.0);
        let line = Array1::from_elem(100, 0.8);
        let alone: Vec<usize> = (0..100).collect();
        let grouped: Vec<usize> = (0..100).map(|i| usize::from(i % 20 < 18)).collect();
        let free = margin_bound(&p, &line, &alone, 100, 1.645);
        let tied = margin_bound(&p, &line, &grouped, 2, 1.645);
        assert!(tied < free, "{tied} {free}");
    }

    #[test]
    fn an_unreachable_line_gives_none() {
        let p = play(&[0.5; 10], 1.0);
        let line = Array1::from_elem(10, 0.9);
        let cluster: Vec<usize> = (0..10).collect();
        assert_eq!(cheapest(&[p], &[0], &line, &cluster, 10, 1.645), None);
    }
}

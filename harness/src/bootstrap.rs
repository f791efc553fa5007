//! The paired cluster bootstrap: whole clusters are drawn, all columns move together.

use ndarray::{Array2, ArrayView2, Axis};
use rand::{RngExt, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use crate::evaluation::Interval;

/// Draws `resamples` times as many clusters as there are, with replacement (Efron 1979; for
/// clusters Field & Welsh 2007, doi:10.1111/j.1467-9868.2007.00593.x).
///
/// Every resample has its own generator, keyed by seed and index, so that the result does not
/// depend on the number of threads.
#[derive(Clone, Copy, Debug)]
pub struct Bootstrap {
    /// Number of resamples, B.
    pub resamples: usize,
    /// The seed.
    pub seed: u64,
}

impl Bootstrap {
    /// Sums of every column over each resample: shape (B, m) from `columns` of shape (clusters, m).
    ///
    /// A statistic such as a ratio of means is then a function of one row.
    #[must_use]
    pub fn sums(&self, columns: ArrayView2<'_, f64>) -> Array2<f64> {
        let (clusters, width) = columns.dim();
        let mut sums = Array2::zeros((self.resamples, width));
        if clusters == 0 || width == 0 {
            return sums;
        }
        // Rows are added one by one in the order drawn: the same bits on every machine, which a
        // fused matrix product would not give.
        let rows = columns.as_standard_layout();
        sums.axis_iter_mut(Axis(0))
            .into_par_iter()
            .enumerate()
            .for_each(|(index, mut sum)| {
                let mut rng = self.generator(index);
                let sum = sum
                    .as_slice_mut()
                    .expect("rows of a new array are contiguous");
                for _ in 0..clusters {
                    let row = rows.row(rng.random_range(0..clusters));
                    let row = row
                        .to_slice()
                        .expect("rows in standard layout are contiguous");
                    for (total, value) in sum.iter_mut().zip(row) {
                        *total += value;
                    }
                }
            });
        sums
    }

    fn generator(&self, resample: usize) -> Xoshiro256PlusPlus {
        // SplitMix64 inside `seed_from_u64` scatters neighbouring keys.
        let key = self.seed ^ (resample as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Xoshiro256PlusPlus::seed_from_u64(key)
    }
}

/// The percentile interval at `confidence` around `point`.
///
/// Ends are interpolated order statistics of `draws`; the interval always contains the point.
#[must_use]
pub fn percentile_interval(point: f64, mut draws: Vec<f64>, confidence: f64) -> Interval {
    draws.retain(|x| x.is_finite());
    draws.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    let low = quantile(&draws, tail).unwrap_or(point).min(point);
    let high = quantile(&draws, 1.0 - tail).unwrap_or(point).max(point);
    Interval { point, low, high }
}

/// Linear interpolation between order statistics (Hyndman & Fan's type 7).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions lie in [0, n − 1]"
)]
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let part = position - below as f64;
    Some(sorted[below] + part * (sorted[above] - sorted[below]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal_like(n: usize) -> Array2<f64> {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        Array2::from_shape_fn((n, 2), |(_, j)| {
            if j == 0 {
                1.0
            } else {
                (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0
            }
        })
    }

    #[test]
    fn the_spread_is_the_standard_error() {
        let data = normal_like(400);
        let sums = Bootstrap {
            resamples: 2000,
            seed: 1,
        }
        .sums(data.view());
        let means: Vec<f64> = sums.outer_iter().map(|row| row[1] / row[0]).collect();
        let center = means.iter().sum::<f64>() / 2000.0;
        let sd = (means.iter().map(|m| (m - center).powi(2)).sum::<f64>() / 1999.0).sqrt();
        assert!((sd - 0.05).abs() < 0.006, "{sd}");
    }

    #[test]
    fn threads_do_not_change_a_bit() {
        let data = normal_like(100);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .expect("pool");
            pool.install(|| {
                Bootstrap {
                    resamples: 300,
                    seed: 5,
                }
                .sums(data.view())
            })
        };
        let one = run(1);
        assert_eq!(one, run(2));
        assert_eq!(one, run(8));
    }

    #[test]
    fn degenerate_input_gives_the_point() {
        let interval = percentile_interval(0.5, vec![], 0.95);
        assert_eq!(
            interval,
            Interval {
                point: 0.5,
                low: 0.5,
                high: 0.5
            }
        );
        let interval = percentile_interval(1.0, vec![f64::NAN, 2.0], 0.95);
        assert_eq!(
            interval,
            Interval {
                point: 1.0,
                low: 1.0,
                high: 2.0
            }
        );
        assert_eq!(
            Bootstrap {
                resamples: 3,
                seed: 0
            }
            .sums(Array2::zeros((0, 2)).view())
            .nrows(),
            3
        );
    }
}

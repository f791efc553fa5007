//! The Poisson bootstrap: one pass, and the same weights for any split of the clusters.

use multiversion::multiversion;
use rayon::prelude::*;

/// Resamples whose weights are drawn together: a unit of parallel work.
const LANES: usize = 32;
/// Random words of 64 bits per cluster and unit; each gives four weights.
const WORDS: usize = LANES / 4;
/// Clusters whose weights are held at a time; these fit the first cache.
const TILE: usize = 64;
/// Resamples summed in registers at a time.
const STRIP: usize = 8;
/// Columns summed at a time.
const GROUP: usize = 4;

/// Weight > k where 16 random bits, taken as a signed number, are at least `THRESHOLDS[k]`.
///
/// 2¹⁶ · P(Poisson(1) ≤ k) − 2¹⁵, rounded so that mean and variance are exactly 1 and the third
/// moment is 5 + 3e−5; the largest weight is 8, which a true Poisson exceeds once in 900,000 draws.
const THRESHOLDS: [i16; 8] = thresholds();

/// Draws weights Poisson(1) for every cluster and resample, in place of counts of a multinomial.
///
/// Chamandy, Muralidharan, Najmi & Naidu (2012), "Estimating uncertainty for massive data
/// streams", Google research 43157; Hanley & MacGibbon (2006). The total number of clusters of a
/// resample varies, so only ratios of sums (means included, by a column of ones) have the spread
/// of the exact bootstrap.
///
/// A weight depends on (seed, cluster, resample) alone, and nothing depends on threads. Sums over
/// parts of a log are added to give the sums over all of it, to the 1e−8 that columns in single
/// precision keep: a thousandth of a thousandth of a bootstrap's own spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoissonBootstrap {
    /// Number of resamples, B.
    pub resamples: usize,
    /// The seed.
    pub seed: u64,
}

impl PoissonBootstrap {
    /// Σ weight · column of every resample: shape (B, m) row by row, for m columns with one entry
    /// per cluster and the clusters' keys, each its own.
    ///
    /// # Panics
    /// When a column has not one entry per cluster.
    #[must_use]
    pub fn sums(&self, clusters: &[u64], columns: &[&[f64]]) -> Vec<f64> {
        let width = columns.len();
        for column in columns {
            assert!(
                column.len() == clusters.len(),
                "a column has one entry per cluster"
            );
        }
        let keys: Vec<Key> = clusters
            .par_iter()
            .map(|&cluster| self.key(cluster))
            .collect();
        let scaled: Vec<Scaled> = columns
            .par_iter()
            .map(|column| Scaled::new(column))
            .collect();
        let parts: Vec<Vec<[f64; LANES]>> = (0..self.resamples.div_ceil(LANES))
            .into_par_iter()
            .map(|unit| unit_sums(unit, &keys, &scaled))
            .collect();
        let mut sums = vec![0.0; self.resamples * width];
        for (resample, sums) in sums.chunks_exact_mut(width.max(1)).enumerate() {
            for (sum, lanes) in sums.iter_mut().zip(&parts[resample / LANES]) {
                *sum = lanes[resample % LANES];
            }
        }
        sums
    }

    /// The weight of one cluster in one resample.
    #[must_use]
    pub fn weight(&self, cluster: u64, resample: usize) -> u8 {
        let mut weights = [0_i16; LANES];
        draw(
            self.key(cluster),
            &constants(resample / LANES),
            &mut weights,
        );
        u8::try_from(weights[resample % LANES]).expect("weights are 0 to 8")
    }

    /// Two keys of a cluster: SplitMix64's finaliser of seed and cluster.
    fn key(&self, cluster: u64) -> Key {
        let first = mix64(mix64(self.seed).wrapping_add(cluster));
        [first, mix64(first)]
    }
}

type Key = [u64; 2];

/// A column in single precision and the power of two that it was divided by.
struct Scaled {
    values: Vec<f32>,
    scale: f64,
}

impl Scaled {
    /// A power of two changes no bit of a number, and keeps large or small columns in range.
    fn new(column: &[f64]) -> Self {
        let largest = column.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
        let scale = if largest.is_normal() {
            largest.log2().floor().exp2()
        } else {
            1.0
        };
        #[expect(
            clippy::cast_possible_truncation,
            reason = "rounded to single precision"
        )]
        let values = column.iter().map(|x| (x / scale) as f32).collect();
        Self { values, scale }
    }
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn unit_sums(unit: usize, keys: &[Key], columns: &[Scaled]) -> Vec<[f64; LANES]> {
    let constants = constants(unit);
    let mut sums = vec![[0.0; LANES]; columns.len()];
    let mut weights = [[0.0_f32; LANES]; TILE];
    for (tile, keys) in keys.chunks(TILE).enumerate() {
        for (key, weights) in keys.iter().zip(&mut weights) {
            let mut drawn = [0_i16; LANES];
            draw(*key, &constants, &mut drawn);
            for lane in 0..LANES {
                weights[lane] = f32::from(drawn[lane]);
            }
        }
        let rows = tile * TILE..tile * TILE + keys.len();
        for (sums, columns) in sums.chunks_mut(GROUP).zip(columns.chunks(GROUP)) {
            // Absent columns of the last group are summed as copies of its first one.
            let values: [&[f32]; GROUP] = std::array::from_fn(|m| {
                let column = columns.get(m).unwrap_or(&columns[0]);
                &column.values[rows.clone()]
            });
            add_weighted(sums, &weights[..keys.len()], values);
        }
    }
    for (sums, column) in sums.iter_mut().zip(columns) {
        for sum in sums {
            *sum *= column.scale;
        }
    }
    sums
}

/// sums\[m\]\[lane\] += Σ_row weights\[row\]\[lane\] · values\[m\]\[row\].
#[expect(
    clippy::inline_always,
    reason = "a call per cluster would cost a third of the work again"
)]
#[inline(always)]
fn add_weighted(sums: &mut [[f64; LANES]], weights: &[[f32; LANES]], values: [&[f32]; GROUP]) {
    let rows = weights.len();
    let values = values.map(|column| &column[..rows]);
    for strip in (0..LANES).step_by(STRIP) {
        let mut totals = [[0.0_f32; STRIP]; GROUP];
        for row in 0..rows {
            let weights: &[f32; STRIP] = weights[row][strip..strip + STRIP]
                .try_into()
                .expect("a strip of lanes");
            for m in 0..GROUP {
                let value = values[m][row];
                for lane in 0..STRIP {
                    totals[m][lane] += weights[lane] * value;
                }
            }
        }
        for (sums, totals) in sums.iter_mut().zip(&totals) {
            for lane in 0..STRIP {
                sums[strip + lane] += f64::from(totals[lane]);
            }
        }
    }
}

/// The weights of one cluster in the resamples of one unit.
#[expect(
    clippy::inline_always,
    reason = "a call per cluster would cost a third of the work again"
)]
#[inline(always)]
fn draw(key: Key, constants: &[Key; WORDS], weights: &mut [i16; LANES]) {
    let mut bits = [0_i16; LANES];
    for (bits, constant) in bits.chunks_exact_mut(4).zip(constants) {
        let x = scatter(key, *constant);
        for (k, bits) in bits.iter_mut().enumerate() {
            #[expect(clippy::cast_possible_truncation, reason = "16 bits are asked for")]
            let part = (x >> (16 * k)) as u16;
            *bits = part.cast_signed();
        }
    }
    for threshold in THRESHOLDS {
        for lane in 0..LANES {
            weights[lane] += i16::from(bits[lane] >= threshold);
        }
    }
}

/// Both halves of a product of 128 bits, folded: the step of wyrand (Wang Yi 2019).
#[expect(clippy::inline_always, reason = "as `draw`, whose inner step it is")]
#[inline(always)]
fn scatter(key: Key, constant: Key) -> u64 {
    let product = u128::from(key[0] ^ constant[0]) * u128::from(key[1] ^ constant[1]);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the two halves are asked for"
    )]
    let halves = [product as u64, (product >> 64) as u64];
    halves[0] ^ halves[1]
}

/// Constants for every word of a unit.
fn constants(unit: usize) -> [Key; WORDS] {
    std::array::from_fn(|word| {
        let first = mix64((unit * WORDS + word) as u64 ^ 0x706F_6973_736F_6E31);
        [first, mix64(first)]
    })
}

/// SplitMix64: Steele, Lea & Flood (2014), doi:10.1145/2714064.2660195.
const fn mix64(x: u64) -> u64 {
    let x = x.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    x ^ (x >> 31)
}

const fn thresholds() -> [i16; 8] {
    // 65,536 · P(X ≤ k) is 24109.35, 48218.69, 60273.37, 64291.59, 65296.15, 65497.06, 65530.54,
    // 65535.33, 65535.93; of all roundings with both moments right, the nearest.
    let ends = [
        24_109, 48_219, 60_274, 64_291, 65_296, 65_497, 65_531, 65_535,
    ];
    let mut thresholds = [0; 8];
    let mut k = 0;
    while k < 8 {
        #[expect(clippy::cast_possible_truncation, reason = "between −2¹⁵ and 2¹⁵")]
        let threshold = (ends[k] - 32_768_i32) as i16;
        thresholds[k] = threshold;
        k += 1;
    }
    thresholds
}

#[cfg(test)]
#[expect(clippy::cast_precision_loss, reason = "counts are small")]
mod tests {
    use super::*;
    use crate::bootstrap::Bootstrap;

    const BOOTSTRAP: PoissonBootstrap = PoissonBootstrap {
        resamples: 1000,
        seed: 7,
    };

    fn spread(values: &[f64]) -> f64 {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
    }

    /// Skewed clusters with a ratio to estimate: Σ numerator / Σ denominator.
    fn clusters(n: u32) -> (Vec<u64>, Vec<f64>, Vec<f64>) {
        let keys = (0..u64::from(n)).map(mix64).collect();
        let size = |i: u32| 1.0 + f64::from(i % 7) * f64::from(i % 11) / 5.0;
        let denominator: Vec<f64> = (0..n).map(size).collect();
        let numerator = (0..n)
            .map(|i| size(i) * f64::from(u8::from(i % 3 == 0)) + f64::from(i % 5) / 10.0)
            .collect();
        (keys, numerator, denominator)
    }

    #[test]
    fn weights_are_poisson() {
        let draws = 400_000_u32;
        let mut counts = [0_u32; 9];
        for i in 0..draws {
            counts[usize::from(BOOTSTRAP.weight(u64::from(i % 400), i as usize / 400))] += 1;
        }
        let mut probability = (-1.0_f64).exp();
        for (k, &count) in counts.iter().enumerate().take(7) {
            let expect = probability * f64::from(draws);
            let error = (f64::from(count) - expect) / expect.sqrt();
            assert!(error.abs() < 4.0, "{k}: {count} for {expect}");
            probability /= k as f64 + 1.0;
        }
    }

    #[test]
    fn weights_of_clusters_and_resamples_are_uncorrelated() {
        let correlation = |shift: u64, step: usize| {
            let n = 100_000_u32;
            let sum: f64 = (0..n)
                .map(|i| {
                    let (cluster, resample) = (u64::from(i % 500), i as usize / 500);
                    let left = f64::from(BOOTSTRAP.weight(cluster, resample)) - 1.0;
                    let right = f64::from(BOOTSTRAP.weight(cluster + shift, resample + step)) - 1.0;
                    left * right
                })
                .sum();
            sum / f64::from(n).sqrt()
        };
        for (shift, step) in [
            (0, 1),
            (0, 4),
            (0, 8),
            (0, 32),
            (1, 0),
            (64, 0),
            (1, 1),
            (512, 16),
        ] {
            let z = correlation(shift, step);
            assert!(z.abs() < 4.0, "{shift} {step}: {z}");
        }
    }

    #[test]
    fn the_spread_is_that_of_the_exact_bootstrap() {
        let (keys, numerator, denominator) = clusters(2000);
        let poisson: Vec<f64> = BOOTSTRAP
            .sums(&keys, &[&numerator, &denominator])
            .chunks_exact(2)
            .map(|sums| sums[0] / sums[1])
            .collect();
        let columns = ndarray::Array2::from_shape_fn((2000, 2), |(i, j)| {
            if j == 0 { numerator[i] } else { denominator[i] }
        });
        let exact = Bootstrap {
            resamples: 1000,
            seed: 3,
        };
        let exact: Vec<f64> = exact
            .sums(columns.view())
            .outer_iter()
            .map(|sums| sums[0] / sums[1])
            .collect();
        // A standard deviation of 1,000 draws is known to 2.2 %, so a ratio of two to 3.2 %.
        let ratio = spread(&poisson) / spread(&exact);
        assert!((ratio - 1.0).abs() < 0.1, "{ratio}");
        let point = numerator.iter().sum::<f64>() / denominator.iter().sum::<f64>();
        let mean = poisson.iter().sum::<f64>() / 1000.0;
        assert!((mean - point).abs() < 4.0 * spread(&poisson) / 1000_f64.sqrt());
    }

    #[test]
    fn sums_are_of_the_published_weights_and_parts_add_up() {
        let (keys, numerator, denominator) = clusters(500);
        let small = PoissonBootstrap {
            resamples: 70,
            seed: 1,
        };
        let huge: Vec<f64> = numerator.iter().map(|x| x * 1e60).collect();
        let columns: [&[f64]; 5] = [&numerator, &denominator, &huge, &numerator, &denominator];
        let all = small.sums(&keys, &columns);
        let left = small.sums(&keys[..123], &columns.map(|c| &c[..123]));
        let right = small.sums(&keys[123..], &columns.map(|c| &c[123..]));
        for resample in 0..70 {
            for (m, column) in columns.iter().enumerate() {
                let expect: f64 = keys
                    .iter()
                    .zip(*column)
                    .map(|(&key, x)| f64::from(small.weight(key, resample)) * x)
                    .sum();
                let at = resample * 5 + m;
                assert!((all[at] / expect - 1.0).abs() < 1e-6);
                assert!(((left[at] + right[at]) / all[at] - 1.0).abs() < 1e-6);
            }
        }
        assert_eq!(small.sums(&[], &[&[]]), vec![0.0; 70]);
        assert!(small.sums(&keys, &[]).is_empty());
    }
}

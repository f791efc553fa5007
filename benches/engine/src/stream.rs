//! A stream of contexts with the reward of every arm, as a file that every peer reads.

use std::fs;
use std::io;
use std::path::Path;

use crate::Numbers;

/// Coordinates that a context really has: embeddings of text lie near a subspace.
const LATENT: usize = 24;
/// Size of the noise around that subspace, relative to a context's length 1.
const NOISE: f64 = 0.2;

/// T contexts of d features with K rewards each.
pub struct Stream {
    /// K.
    pub arms: usize,
    /// d; the last feature is always 1.
    pub dimensions: usize,
    /// Shape (T, d), row-major.
    pub x: Vec<f32>,
    /// Expected reward of each arm, shape (T, K), row-major.
    pub expected: Vec<f32>,
    /// Reward that each arm would give, 0 or 1, shape (T, K), row-major.
    pub rewards: Vec<u8>,
}

impl Stream {
    /// Draws a stream: x = Fz/|Fz| + noise and then 1; E\[r_a\] = ½ + ⅖ tanh(2·w_aᵀz/√Σσ²),
    /// clipped by nothing, with z latent and its scales falling as 1/√j.
    #[must_use]
    pub fn draw(arms: usize, dimensions: usize, rows: usize, seed: u64) -> Self {
        let mut numbers = Numbers::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let wide = dimensions - 1;
        let frame: Vec<f64> = (0..wide * LATENT).map(|_| normal(&mut numbers)).collect();
        let weights: Vec<f64> = (0..arms * LATENT).map(|_| normal(&mut numbers)).collect();
        let mut stream = Self {
            arms,
            dimensions,
            x: Vec::with_capacity(rows * dimensions),
            expected: Vec::with_capacity(rows * arms),
            rewards: Vec::with_capacity(rows * arms),
        };
        let scales: Vec<f64> = (1_u32..)
            .take(LATENT)
            .map(|j| f64::from(j).sqrt().recip())
            .collect();
        let spread = scales.iter().map(|s| s * s).sum::<f64>().sqrt();
        for _ in 0..rows {
            let z: Vec<f64> = scales.iter().map(|s| s * normal(&mut numbers)).collect();
            let dot = |w: &[f64]| w.iter().zip(&z).map(|(w, z)| w * z).sum::<f64>();
            let features: Vec<f64> = frame.chunks_exact(LATENT).map(dot).collect();
            let length = features.iter().map(|x| x * x).sum::<f64>().sqrt();
            let jitter = NOISE / f64::from(u32::try_from(wide).unwrap_or(1)).sqrt();
            for feature in features {
                stream
                    .x
                    .push(single(feature / length + jitter * normal(&mut numbers)));
            }
            stream.x.push(1.0);
            for w in weights.chunks_exact(LATENT) {
                let expected = 0.5 + 0.4 * (2.0 * dot(w) / spread).tanh();
                stream.expected.push(single(expected));
                stream.rewards.push(u8::from(numbers.draw() < expected));
            }
        }
        stream
    }

    /// Draws a stream without a subspace: x uniform on the sphere and then 1, and
    /// E\[r_a\] = ½ + ⅖ tanh(2·√d·w_aᵀx), |w_a| = 1: the worst case for a projection.
    #[must_use]
    pub fn isotropic(arms: usize, dimensions: usize, rows: usize, seed: u64) -> Self {
        let mut numbers = Numbers::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let wide = dimensions - 1;
        let mut direction = |_| {
            let drawn: Vec<f64> = (0..wide).map(|_| normal(&mut numbers)).collect();
            let length = drawn.iter().map(|x| x * x).sum::<f64>().sqrt();
            drawn.iter().map(|x| x / length).collect::<Vec<f64>>()
        };
        let weights: Vec<Vec<f64>> = (0..arms).map(&mut direction).collect();
        let contexts: Vec<Vec<f64>> = (0..rows).map(&mut direction).collect();
        let mut stream = Self {
            arms,
            dimensions,
            x: Vec::with_capacity(rows * dimensions),
            expected: Vec::with_capacity(rows * arms),
            rewards: Vec::with_capacity(rows * arms),
        };
        let scale = 2.0 * f64::from(u32::try_from(wide).unwrap_or(1)).sqrt();
        for x in &contexts {
            stream.x.extend(x.iter().map(|x| single(*x)));
            stream.x.push(1.0);
            for w in &weights {
                let along: f64 = w.iter().zip(x).map(|(w, x)| w * x).sum();
                let expected = 0.5 + 0.4 * (scale * along).tanh();
                stream.expected.push(single(expected));
                stream.rewards.push(u8::from(numbers.draw() < expected));
            }
        }
        stream
    }

    /// Rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.x.len() / self.dimensions
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// Expected reward that is lost by choosing `arm` on `row`.
    #[must_use]
    pub fn regret(&self, row: usize, arm: usize) -> f64 {
        let expected = &self.expected[row * self.arms..(row + 1) * self.arms];
        let best = expected.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f64::from(best - expected[arm])
    }

    /// Writes `x.f32` and `rewards.u8`, little-endian, into `folder`.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let x: Vec<u8> = self.x.iter().flat_map(|x| x.to_le_bytes()).collect();
        fs::write(folder.join("x.f32"), x)?;
        fs::write(folder.join("rewards.u8"), &self.rewards)
    }

    /// Reads what [`write`](Self::write) wrote; expected rewards are not in the files.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn read(folder: &Path, arms: usize, dimensions: usize) -> io::Result<Self> {
        let bytes = fs::read(folder.join("x.f32"))?;
        let x = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Ok(Self {
            arms,
            dimensions,
            x,
            expected: Vec::new(),
            rewards: fs::read(folder.join("rewards.u8"))?,
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "peers read single precision"
)]
fn single(x: f64) -> f32 {
    x as f32
}

/// Sum of twelve uniform numbers: normal enough for a benchmark.
fn normal(numbers: &mut Numbers) -> f64 {
    (0..12).map(|_| numbers.draw()).sum::<f64>() - 6.0
}

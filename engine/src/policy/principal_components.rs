//! Principal components of unlabelled contexts: the few directions in which they vary most.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::PolicyError;
use super::linear_arms::within;
use super::projection::Tiles;
use crate::context::{Context, FEATURE_ABS_MAX};
use crate::inverse_factor::padded;
use crate::linalg::{Symmetric, axpy, dot};
use crate::math;
use crate::predictor::PredictorError;
use crate::random::unit_interval;

/// Most components.
const RANK_MAX: usize = 1_024;
/// Most features of a context: fitting takes 4d² bytes.
const DIMENSIONS_MAX: usize = 8_192;
/// Contexts that are added to the covariance at a time.
const BLOCK: usize = 64;
/// Most steps of the iteration.
const STEPS_MAX: usize = 200;
/// The iteration ends when a step adds less than this share to the variance along the components.
const GAIN_MIN: f64 = 1e-8;
/// Variance along a component, relative to all of it, below which there is only rounding.
const VARIANCE_MIN: f64 = 1e-12;
/// What rounding to single precision may do to products of rows, with room to spare.
const ORTHONORMAL_TOLERANCE: f64 = 1e-4;

/// z = Vᵀ(x − μ): the coordinates of a context along the leading principal components of other
/// contexts (Pearson 1901, doi:10.1080/14786440109462720).
///
/// Embeddings of text lie near a subspace: a policy over its components learns as well as one over all
/// d features, and an event takes O(rank·d + K·rank²) instead of O(K·d²). Fit them on contexts of a
/// log, which need no outcomes, and give them to [`LinUcb::with_components`](super::LinUcb::with_components) or
/// [`LinTs::with_components`](super::LinTs::with_components). What contexts hardly vary in is lost,
/// whatever it says about quality: look at [`variance_share`](Self::variance_share) first. Far below 1,
/// as on contexts that vary alike in all directions, take more components or all features.
///
/// - μ is the mean, shape (d), and V has orthonormal columns, shape (d, rank), that span the leading
///   eigenvectors of the contexts' covariance. It is centred because the policy adds an intercept behind
///   the projection, which says all that a constant can: uncentred, one component would go to the
///   mean, and the intercept would be learned a second time with it.
/// - Components are not rescaled, so that λ and α mean what they mean for all features.
/// - V comes from orthogonal iteration on the covariance, from a fixed start (Halko, Martinsson &
///   Tropp 2011, algorithm 4.4, doi:10.1137/090771806), until a step adds less than 10⁻⁸ of the
///   variance along it, 200 steps at most. Directions of nearly the same variance take the longest to
///   tell apart, and matter least. Time is O(nd² + steps·rank·d²).
/// - Equal contexts give equal bits on every machine.
///
/// ```
/// use plimsoll::{Context, LIN_UCB_ALPHA, LinUcb, LinearConfig, PrincipalComponents};
/// let log: Vec<Context> = (0..100_u32)
///     .map(|i| f64::from(i) / 100.0)
///     .map(|t| Context::new(vec![t, 2.0 * t, 0.01 * t * t]))
///     .collect::<Result<_, _>>()?;
/// let components = PrincipalComponents::fit(&log, 1)?;
/// assert!(components.variance_share() > 0.999);
/// let policy = LinUcb::with_components(2, components, LIN_UCB_ALPHA, LinearConfig::default())?;
/// # let _ = policy;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct PrincipalComponents {
    /// μ.
    mean: Vec<f64>,
    /// Vᵀ.
    matrix: Tiles,
    variance_share: f64,
}

/// Components as numbers, not yet checked.
#[derive(Serialize, Deserialize)]
struct Stored {
    mean: Vec<f64>,
    /// Vᵀ, row-major.
    rows: Vec<f32>,
    variance_share: f64,
}

impl PrincipalComponents {
    /// Fits `rank` components on contexts in the order given.
    ///
    /// # Errors
    /// [`PolicyError::Parameter`] when `rank` is not in [1, 1024], above the number d of features, or
    /// d above 8,192; [`PolicyError::Components`] when there are at most `rank` contexts, or they vary
    /// in fewer than `rank` directions; [`PolicyError::Predictor`] when a context has another number
    /// of features than the first, or one that is not finite.
    pub fn fit(contexts: &[Context], rank: usize) -> Result<Self, PolicyError> {
        let dimensions = contexts.first().map_or(0, |c| c.features.len());
        check_contexts(contexts, dimensions)?;
        // n contexts differ from their mean in n − 1 directions.
        if contexts.len() <= rank {
            return Err(PolicyError::Components {
                part: "contexts",
                got: contexts.len(),
                needed: rank.saturating_add(1),
            });
        }
        within(
            dimensions <= DIMENSIONS_MAX,
            "number of features",
            math::len(dimensions),
            "[1, 8192]",
        )?;
        let empty = (rank <= dimensions.min(RANK_MAX)).then(|| Tiles::zeros(rank, dimensions));
        let mut matrix = empty.flatten().ok_or(PolicyError::Parameter {
            name: "rank",
            got: math::len(rank),
            allowed: "[1, 1024], at most the number of features, and at most 2^24 entries",
        })?;
        let mean = mean(contexts);
        let (covariance, total) = covariance(contexts, &mean);
        let found = leading(&covariance, total, dimensions, rank);
        if found.directions < rank {
            return Err(PolicyError::Components {
                part: "directions in which the contexts vary",
                got: found.directions,
                needed: rank,
            });
        }
        for (row, v) in found.basis.chunks_exact(dimensions).enumerate() {
            for (column, v) in v.iter().enumerate() {
                matrix.set(row, column, narrow(*v));
            }
        }
        Ok(Self {
            mean,
            matrix,
            variance_share: (found.variance / total).clamp(0.0, 1.0),
        })
    }

    /// Number of components.
    #[must_use]
    pub fn rank(&self) -> usize {
        self.matrix.rows()
    }

    /// d, the number of features of a context.
    #[must_use]
    pub fn dimensions(&self) -> usize {
        self.matrix.columns()
    }

    /// Share of the contexts' variance that is along the components, in [0, 1]: tr(VᵀCV) / tr(C)
    /// with C the covariance.
    #[must_use]
    pub fn variance_share(&self) -> f64 {
        self.variance_share
    }

    pub(super) fn matrix(&self) -> &Tiles {
        &self.matrix
    }

    /// x − μ in single precision, padded with zeros; `out` is replaced.
    pub(super) fn centre(&self, features: &[f64], out: &mut Vec<f32>) {
        out.clear();
        // In double precision first: of a large mean with a small spread nothing would be left.
        out.extend(features.iter().zip(&self.mean).map(|(x, m)| narrow(x - m)));
        out.resize(padded(features.len()), 0.0);
    }

    /// Whether rows are of length 1 and at right angles.
    fn is_orthonormal(&self) -> bool {
        let rows: Vec<Vec<f64>> = (0..self.rank())
            .map(|row| self.matrix.row(row).map(f64::from).collect())
            .collect();
        // Written so that NaN is not orthonormal.
        let near = |got: f64, expect: f64| (got - expect).abs() <= ORTHONORMAL_TOLERANCE;
        rows.iter().enumerate().all(|(i, row)| {
            near(dot(row, row), 1.0) && rows[..i].iter().all(|other| near(dot(row, other), 0.0))
        })
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "contexts are projected in single precision"
)]
fn narrow(x: f64) -> f32 {
    x as f32
}

fn check_contexts(contexts: &[Context], expected: usize) -> Result<(), PredictorError> {
    for (row, context) in contexts.iter().enumerate() {
        let got = context.features.len();
        if got != expected {
            return Err(PredictorError::Dimensions { row, expected, got });
        }
        let checked = context.validate();
        checked.map_err(|source| PredictorError::Context { row, source })?;
    }
    Ok(())
}

/// As the first context and what the others add to it, so that equal contexts have no variance at all.
fn mean(contexts: &[Context]) -> Vec<f64> {
    let first = contexts.first().map_or(&[][..], |c| &c.features);
    let mut mean = first.to_vec();
    let weight = 1.0 / math::len(contexts.len());
    for context in contexts {
        let others = context.features.iter().zip(first);
        for (mean, (x, first)) in mean.iter_mut().zip(others) {
            *mean += weight * (x - first);
        }
    }
    mean
}

/// Σ(x − μ)(x − μ)ᵀ, and its trace.
fn covariance(contexts: &[Context], mean: &[f64]) -> (Symmetric, f64) {
    let mut covariance = Symmetric::zeros(mean.len());
    let (mut rows, mut total) = (Vec::with_capacity(BLOCK * mean.len()), 0.0);
    for block in contexts.chunks(BLOCK) {
        rows.clear();
        for context in block {
            rows.extend(context.features.iter().zip(mean).map(|(x, m)| x - m));
        }
        covariance.add_gram(&rows, None);
        total += dot(&rows, &rows);
    }
    (covariance, total)
}

/// Orthonormal directions, row-major, shape (rank, d).
struct Leading {
    basis: Vec<f64>,
    /// tr(VᵀCV).
    variance: f64,
    /// How many of them have more variance than rounding would give them.
    directions: usize,
}

/// V ← orthonormal basis of CV, over and over: the leading eigenvectors grow fastest.
fn leading(covariance: &Symmetric, total: f64, dimensions: usize, rank: usize) -> Leading {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(0);
    let mut basis: Vec<f64> = (0..rank * dimensions)
        .map(|_| unit_interval(random.next_u64()) - 0.5)
        .collect();
    orthonormalise(&mut basis, dimensions);
    let mut image = vec![0.0; basis.len()];
    let (mut step, mut before) = (0, 0.0);
    loop {
        let (mut variance, mut directions) = (0.0, 0);
        image.fill(0.0);
        let pairs = basis.chunks_exact(dimensions);
        for (v, image) in pairs.zip(image.chunks_exact_mut(dimensions)) {
            covariance.add_product(v, image);
            let along = dot(v, image);
            variance += along;
            directions += usize::from(along > VARIANCE_MIN * total);
        }
        let settled = variance - before <= GAIN_MIN * variance;
        if step == STEPS_MAX || (step > 0 && settled) {
            return Leading {
                basis,
                variance,
                directions,
            };
        }
        (step, before) = (step + 1, variance);
        std::mem::swap(&mut basis, &mut image);
        orthonormalise(&mut basis, dimensions);
    }
}

/// Gram–Schmidt by rows; twice, because once leaves rounding of the size of what was taken away.
///
/// A row that nothing is left of becomes zero: its direction is one of those before.
fn orthonormalise(rows: &mut [f64], dimensions: usize) {
    for i in 0..rows.len() / dimensions {
        let (before, row) = rows.split_at_mut(i * dimensions);
        let row = &mut row[..dimensions];
        let length = dot(row, row).sqrt();
        for _ in 0..2 {
            for other in before.chunks_exact(dimensions) {
                axpy(-dot(other, row), other, row);
            }
        }
        let left = dot(row, row).sqrt();
        let scale = if left > 1e-14 * length {
            1.0 / left
        } else {
            0.0
        };
        for x in row {
            *x *= scale;
        }
    }
}

impl TryFrom<Stored> for PrincipalComponents {
    type Error = &'static str;

    fn try_from(stored: Stored) -> Result<Self, Self::Error> {
        let dimensions = stored.mean.len();
        let rank = stored.rows.len().checked_div(dimensions).unwrap_or(0);
        if dimensions > DIMENSIONS_MAX || rank > dimensions.min(RANK_MAX) {
            return Err("too many components or features");
        }
        let mut matrix = Tiles::zeros(rank, dimensions).ok_or("no or too many components")?;
        if rank * dimensions != stored.rows.len() {
            return Err("components of unequal length");
        }
        for (row, entries) in stored.rows.chunks_exact(dimensions).enumerate() {
            for (column, entry) in entries.iter().enumerate() {
                matrix.set(row, column, *entry);
            }
        }
        let components = Self {
            mean: stored.mean,
            matrix,
            variance_share: stored.variance_share,
        };
        // Rounding can put a mean a little beyond the largest feature.
        let mut means = components.mean.iter();
        let usable = means.all(|m| m.abs() <= 2.0 * FEATURE_ABS_MAX);
        if !(usable && (0.0..=1.0).contains(&components.variance_share)) {
            return Err("a mean or share of variance out of range");
        }
        if !components.is_orthonormal() {
            return Err("components that are not orthonormal");
        }
        Ok(components)
    }
}

impl From<PrincipalComponents> for Stored {
    fn from(components: PrincipalComponents) -> Self {
        let rows = (0..components.rank()).flat_map(|row| components.matrix.row(row));
        Self {
            rows: rows.collect(),
            mean: components.mean,
            variance_share: components.variance_share,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{decode_state, encode_state};
    use proptest::prelude::*;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut draw = || unit_interval(random.next_u64()) - 0.5;
        (0..n).map(|_| draw()).collect()
    }

    fn contexts(features: &[f64], dimensions: usize) -> Vec<Context> {
        let rows = features.chunks_exact(dimensions);
        rows.map(|x| Context::new(x.to_vec()).expect("usable"))
            .collect()
    }

    fn rows(components: &PrincipalComponents) -> Vec<Vec<f64>> {
        let row = |row| components.matrix.row(row).map(f64::from).collect();
        (0..components.rank()).map(row).collect()
    }

    /// Two contexts at ±sⱼ from μ along each column of a rotation: eigenvectors and variances are known.
    fn known(scales: &[f64], mean: f64, seed: u64) -> (Vec<Vec<f64>>, Vec<Context>) {
        let dimensions = scales.len();
        let mut axes = numbers(dimensions * dimensions, seed);
        orthonormalise(&mut axes, dimensions);
        let axes: Vec<Vec<f64>> = axes.chunks_exact(dimensions).map(<[f64]>::to_vec).collect();
        let pairs = axes.iter().zip(scales).flat_map(|(axis, scale)| {
            [*scale, -scale].map(|s| axis.iter().map(|a| mean + s * a).collect::<Vec<f64>>())
        });
        let features: Vec<f64> = pairs.flatten().collect();
        (axes, contexts(&features, dimensions))
    }

    #[test]
    fn the_leading_eigenvectors_are_spanned() {
        let scales = [0.1, 2.0, 0.3, 3.0, 0.01, 1.0, 0.2];
        let total: f64 = scales.iter().map(|s| s * s).sum();
        for mean in [0.0, 1e6] {
            let (axes, contexts) = known(&scales, mean, 5);
            let components = PrincipalComponents::fit(&contexts, 3).expect("fits");
            let share = 14.0 / total;
            assert!((components.variance_share() - share).abs() < 1e-6, "{mean}");
            let rows = rows(&components);
            for axis in [3, 1, 5] {
                let inside: f64 = rows.iter().map(|v| dot(v, &axes[axis]).powi(2)).sum();
                assert!((inside - 1.0).abs() < 1e-6, "{mean} {axis} {inside}");
            }
        }
    }

    /// Contexts near a subspace lose only what is outside it.
    #[test]
    fn the_subspace_is_captured() {
        let (dimensions, latent, n) = (40, 5, 200);
        let frame = numbers(latent * dimensions, 1);
        let features: Vec<f64> = numbers(n * latent, 2)
            .chunks_exact(latent)
            .zip(numbers(n * dimensions, 3).chunks_exact(dimensions))
            .flat_map(|(z, noise)| {
                let mut x: Vec<f64> = noise.iter().map(|e| 5.0 + 1e-3 * e).collect();
                for (z, f) in z.iter().zip(frame.chunks_exact(dimensions)) {
                    axpy(*z, f, &mut x);
                }
                x
            })
            .collect();
        for rank in [5, 8, 40] {
            let components = PrincipalComponents::fit(&contexts(&features, dimensions), rank);
            let components = components.expect("fits");
            assert!(components.variance_share() > 0.999_99, "{rank}");
            for f in frame.chunks_exact(dimensions) {
                let inside: f64 = rows(&components).iter().map(|v| dot(v, f).powi(2)).sum();
                assert!(inside / dot(f, f) > 0.999_99, "{rank} {inside}");
            }
        }
    }

    proptest! {
        #[test]
        fn rows_are_orthonormal_and_nothing_captures_more(
            dimensions in 1_usize..20,
            more in 1_usize..30,
            rank in 1_usize..20,
            scale in prop::sample::select(vec![1e-6, 1.0, 1e9]),
            seed in 0_u64..1_000,
        ) {
            let rank = rank.min(dimensions);
            let n = dimensions + more;
            let features: Vec<f64> =
                numbers(n * dimensions, seed).iter().map(|x| scale * x).collect();
            let contexts = contexts(&features, dimensions);
            let components = PrincipalComponents::fit(&contexts, rank).expect("fits");
            let rows = rows(&components);
            for (i, a) in rows.iter().enumerate() {
                for (j, b) in rows.iter().enumerate() {
                    let expect = f64::from(u8::from(i == j));
                    prop_assert!((dot(a, b) - expect).abs() < 1e-5);
                }
            }
            let (covariance, total) = covariance(&contexts, &components.mean);
            let mut other = numbers(rank * dimensions, seed + 1);
            orthonormalise(&mut other, dimensions);
            let mut captured = 0.0;
            for v in other.chunks_exact(dimensions) {
                let mut image = vec![0.0; dimensions];
                covariance.add_product(v, &mut image);
                captured += dot(v, &image);
            }
            let share = components.variance_share();
            prop_assert!(share >= captured / total - 1e-9, "{share} {}", captured / total);
            prop_assert!(rank < dimensions || share > 1.0 - 1e-9);
            let bytes = encode_state(&components);
            let again: PrincipalComponents = decode_state("", &bytes).expect("restores");
            prop_assert_eq!(&again, &components);
            prop_assert_eq!(encode_state(&again), bytes);
        }
    }

    /// Known bits: another machine, compiler or instruction set must not move a component.
    #[test]
    fn equal_contexts_give_equal_bits_everywhere() {
        let features = numbers(100 * 37, 9);
        let components = PrincipalComponents::fit(&contexts(&features, 37), 9).expect("fits");
        let hash = blake3::hash(&encode_state(&components));
        assert_eq!(
            hash.to_hex().as_str(),
            "a0bf751e5be756cb76307f6cfd32102820d9d917c9a0658a0cdb4a404cf034fa"
        );
    }

    #[test]
    fn what_cannot_be_fitted_is_refused() {
        let features = numbers(50 * 8, 4);
        let good = contexts(&features, 8);
        for rank in [0, 9] {
            let error = PrincipalComponents::fit(&good, rank).expect_err("rank");
            assert!(matches!(error, PolicyError::Parameter { name: "rank", .. }));
        }
        let few = |got, needed| PolicyError::Components {
            part: "contexts",
            got,
            needed,
        };
        for (contexts, rank, expect) in [
            (&good[..0], 3, few(0, 4)),
            (&good[..3], 3, few(3, 4)),
            (&good[..], usize::MAX, few(50, usize::MAX)),
        ] {
            assert_eq!(PrincipalComponents::fit(contexts, rank), Err(expect));
        }
        assert!(PrincipalComponents::fit(&good[..4], 3).is_ok());

        let alike = |got, needed| PolicyError::Components {
            part: "directions in which the contexts vary",
            got,
            needed,
        };
        let same = vec![good[0].clone(); 20];
        let line: Vec<Context> = (0..20_u32)
            .map(|i| Context::new(vec![f64::from(i), 0.1 * f64::from(i), 7.0]).expect("usable"))
            .collect();
        assert_eq!(PrincipalComponents::fit(&same, 2), Err(alike(0, 2)));
        assert_eq!(PrincipalComponents::fit(&line, 2), Err(alike(1, 2)));
        assert!(PrincipalComponents::fit(&line, 1).is_ok());

        let mut broken = good.clone();
        broken[7].features[3] = f64::NAN;
        let error = PrincipalComponents::fit(&broken, 3).expect_err("NaN");
        assert_eq!(
            error.to_string(),
            "row 7: feature 3 must be finite and within ±1e12, got NaN"
        );
        broken[7].features.pop();
        assert!(matches!(
            PrincipalComponents::fit(&broken, 3),
            Err(PolicyError::Predictor(PredictorError::Dimensions {
                row: 7,
                ..
            }))
        ));
    }
}

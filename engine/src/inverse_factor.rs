//! The inverse Cholesky factor of a regression's matrix, in single precision, under rank-1 updates.
//!
//! W is lower triangular with A⁻¹ = WᵀW, so that xᵀA⁻¹x = |Wx|² is never negative, and rounding
//! in W costs half the digits that rounding in A⁻¹ would. A + xxᵀ has the factor GW with
//! `G⁻¹G⁻ᵀ = I + yyᵀ`, y = Wx; row i of GW is `(q_{i−1}/q_i)·W_i − y_i/(q_{i−1}q_i)·Σ_{j<i} y_jW_j`
//! with `q_i² = 1 + Σ_{j≤i} y_j²` (Gill, Golub, Murray & Saunders 1974, doi:10.2307/2005923,
//! method C1 carried over to the inverse), and `Σ_j y_jW_j = A⁻¹x` comes out beside it.
//!
//! W is kept in square tiles of [`LANES`] rows, padded with zeros. Every sum has a fixed order: the
//! bits are the same on every machine and under every instruction set that is chosen at run time.
//! Sums across lanes go through memory, because compilers otherwise spread them over the loops
//! before and lose half the speed.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use crate::linalg::Cholesky;

/// Numbers that are added side by side.
pub(crate) const LANES: usize = 8;

/// Entries of a tile.
const TILE: usize = LANES * LANES;

/// `dim` rounded up to whole groups.
pub(crate) const fn padded(dim: usize) -> usize {
    dim.div_ceil(LANES) * LANES
}

/// Entries of a factor of dimension `dim`.
const fn entries(dim: usize) -> usize {
    let groups = dim.div_ceil(LANES);
    TILE * groups * (groups + 1) / 2
}

/// Where entry (i, j) is kept, j at most in i's tile.
const fn place(i: usize, j: usize) -> usize {
    let (band, across) = (i / LANES, j / LANES);
    let tile = band * (band + 1) / 2 + across;
    tile * TILE + (i % LANES) * LANES + j % LANES
}

/// W with A⁻¹ = WᵀW, lower triangular, in tiles: tile row after tile row, each by rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct InverseFactor {
    dim: usize,
    entries: Vec<f32>,
}

/// Scratch space of one update.
#[derive(Debug, Default)]
pub(crate) struct UpdateScratch {
    y: Vec<f32>,
    keep: Vec<f32>,
    mix: Vec<f32>,
    sum: Vec<f32>,
    root: Vec<f64>,
    inverse: Vec<f64>,
}

/// `x` in single precision, padded with zeros; `out` is replaced.
#[expect(
    clippy::cast_possible_truncation,
    reason = "widths need no more digits"
)]
#[inline]
pub(crate) fn single(scale: f64, x: &[f64], out: &mut Vec<f32>) {
    out.clear();
    out.extend(x.iter().map(|x| (scale * x) as f32));
    out.resize(padded(x.len()), 0.0);
}

impl InverseFactor {
    /// The factor of diag(values)⁻¹.
    pub(crate) fn diagonal(values: &[f64]) -> Self {
        let dim = values.len();
        let mut entries = vec![0.0; entries(dim)];
        for (i, value) in values.iter().enumerate() {
            entries[place(i, i)] = narrow(1.0 / value.sqrt());
        }
        Self { dim, entries }
    }

    /// The inverse of a Cholesky factor.
    pub(crate) fn inverse_of(factor: &Cholesky) -> Self {
        let dim = factor.dim();
        let mut entries = vec![0.0; entries(dim)];
        for (i, w) in factor.inverse_rows().iter().enumerate() {
            for (j, w) in w[..=i].iter().enumerate() {
                entries[place(i, j)] = narrow(*w);
            }
        }
        Self { dim, entries }
    }

    /// |Wx|² = xᵀA⁻¹x; `x` is as [`single`] makes it, `y` and `sums` are from
    /// [`scratch`](Self::scratch). Inlined into the callers' functions for each instruction set.
    #[expect(
        clippy::inline_always,
        reason = "inlined into each instruction set's own function"
    )]
    #[inline(always)]
    pub(crate) fn squared_product(&self, x: &[f32], y: &mut [f32], sums: &mut [f32]) -> f64 {
        triangle_product(&self.entries, x, y, sums);
        squared_length(y)
    }

    #[cfg(test)]
    pub(crate) fn quadratic(&self, x: &[f32], scratch: &mut Vec<f32>) -> f64 {
        let (y, sums) = self.scratch(x, scratch);
        self.squared_product(x, y, sums)
    }

    /// Wx, in the first part of `scratch`.
    pub(crate) fn multiply<'a>(&self, x: &[f32], scratch: &'a mut Vec<f32>) -> &'a mut [f32] {
        let (y, sums) = self.scratch(x, scratch);
        multiply(&self.entries, x, y, sums);
        y
    }

    /// Room for Wx, and for the sums on the way.
    pub(crate) fn scratch<'a>(
        &self,
        x: &[f32],
        scratch: &'a mut Vec<f32>,
    ) -> (&'a mut [f32], &'a mut [f32]) {
        debug_assert_eq!(x.len(), padded(self.dim));
        let len = x.len();
        // The contents do not matter: everything that is read was written before.
        scratch.resize(len + product_scratch(len), 0.0);
        scratch.split_at_mut(len)
    }

    /// The factor of (keep·A + xxᵀ)⁻¹. Gives 1 + xᵀ(keep·A)⁻¹x and A⁻¹x, of the A before, padded.
    pub(crate) fn update<'a>(
        &mut self,
        keep: f64,
        x: &[f32],
        scratch: &'a mut UpdateScratch,
    ) -> (f64, &'a [f32]) {
        let UpdateScratch {
            y,
            keep: own,
            mix,
            sum,
            root,
            inverse,
        } = scratch;
        let len = x.len();
        for vector in [&mut *own, mix] {
            // The contents do not matter: everything that is read was written before.
            vector.resize(len, 0.0);
        }
        for vector in [&mut *root, inverse] {
            vector.resize(len + 1, 1.0);
        }
        root[0] = 1.0;
        sum.clear();
        sum.resize(len, 0.0);
        let scale = 1.0 / keep.sqrt();
        let y = self.multiply(x, y);
        let total = coefficients(scale, y, root, inverse, own, mix);
        rotate(&mut self.entries, own, mix, y, sum);
        (total, sum)
    }

    /// A⁻¹x by way of W, padded, in single precision; `x` is as [`single`] makes it.
    pub(crate) fn solve<'a>(&self, x: &[f32], scratch: &'a mut UpdateScratch) -> &'a [f32] {
        let y = self.multiply(x, &mut scratch.y);
        let sum = &mut scratch.sum;
        sum.clear();
        sum.resize(x.len(), 0.0);
        transposed(&self.entries, y, sum);
        sum
    }

    pub(crate) fn is_sound(&self, dim: usize) -> bool {
        self.dim == dim
            && self.entries.len() == entries(dim)
            && self.entries.iter().all(|x| x.is_finite())
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the factor is kept in single precision"
)]
fn narrow(x: f64) -> f32 {
    x as f32
}

/// Products of a tile row with x, over eight lanes for each of its rows.
///
/// Rows are written out: as a loop, their sums stay in memory instead of in registers.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn band_products(tiles: &[[f32; TILE]], x: &[[f32; LANES]], sums: &mut [f32; TILE]) {
    let mut acc = [[0.0_f32; LANES]; LANES];
    for (tile, x) in tiles.iter().zip(x) {
        add_products(&mut acc[0], &tile[..8], x);
        add_products(&mut acc[1], &tile[8..16], x);
        add_products(&mut acc[2], &tile[16..24], x);
        add_products(&mut acc[3], &tile[24..32], x);
        add_products(&mut acc[4], &tile[32..40], x);
        add_products(&mut acc[5], &tile[40..48], x);
        add_products(&mut acc[6], &tile[48..56], x);
        add_products(&mut acc[7], &tile[56..], x);
    }
    for row in 0..LANES {
        for lane in 0..LANES {
            sums[row * LANES + lane] = acc[row][lane];
        }
    }
}

#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn add_products(sums: &mut [f32; LANES], w: &[f32], x: &[f32; LANES]) {
    for lane in 0..LANES {
        sums[lane] += w[lane] * x[lane];
    }
}

/// y = ((s₀ + s₄) + (s₁ + s₅)) + ((s₂ + s₆) + (s₃ + s₇)) for each row's lanes s.
///
/// One level of the tree after the other over all rows, from one buffer into the next: so each
/// level is a loop that compilers know how to vectorise.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn fold_lanes(sums: &[f32], halves: &mut [f32], y: &mut [f32]) {
    let rows = y.len();
    let (fours, twos) = halves.split_at_mut(4 * rows);
    for (four, s) in fours
        .as_chunks_mut::<4>()
        .0
        .iter_mut()
        .zip(sums.as_chunks::<LANES>().0)
    {
        for lane in 0..4 {
            four[lane] = s[lane] + s[lane + 4];
        }
    }
    add_pairs(fours, twos);
    add_pairs(twos, y);
}

/// Neighbours' sums; lengths are whole groups of four.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn add_pairs(from: &[f32], into: &mut [f32]) {
    let into = into.as_chunks_mut::<4>().0;
    for (sums, of) in into.iter_mut().zip(from.as_chunks::<8>().0) {
        let (even, odd) = ([of[0], of[2], of[4], of[6]], [of[1], of[3], of[5], of[7]]);
        *sums = std::array::from_fn(|i| even[i] + odd[i]);
    }
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn multiply(entries: &[f32], x: &[f32], y: &mut [f32], sums: &mut [f32]) {
    triangle_product(entries, x, y, sums);
}

#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn triangle_product(entries: &[f32], x: &[f32], y: &mut [f32], sums: &mut [f32]) {
    let (sums, halves) = sums.split_at_mut(y.len() * LANES);
    let x = x.as_chunks::<LANES>().0;
    let mut rest = entries.as_chunks::<TILE>().0;
    for (band, sums) in sums
        .as_chunks_mut::<TILE>()
        .0
        .iter_mut()
        .take(x.len())
        .enumerate()
    {
        let (tiles, after) = rest.split_at(band + 1);
        rest = after;
        band_products(tiles, &x[..=band], sums);
    }
    fold_lanes(sums, halves, y);
}

/// Numbers of scratch space that [`product`] needs for `rows` rows.
pub(crate) const fn product_scratch(rows: usize) -> usize {
    padded(rows) * (LANES + LANES / 2 + LANES / 4)
}

/// y = Rx for a matrix in tiles, as many rows as y is long.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
pub(crate) fn product(entries: &[f32], x: &[f32], y: &mut [f32], sums: &mut [f32]) {
    let x = x.as_chunks::<LANES>().0;
    let bands = entries.as_chunks::<TILE>().0.chunks_exact(x.len());
    let (sums, halves) = sums.split_at_mut(y.len() * LANES);
    for (tiles, sums) in bands.zip(sums.as_chunks_mut::<TILE>().0) {
        band_products(tiles, x, sums);
    }
    fold_lanes(sums, halves, y);
}

#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn squared_length(y: &[f32]) -> f64 {
    let mut squares = [0.0_f64; LANES];
    for y in y.as_chunks::<LANES>().0 {
        for lane in 0..LANES {
            squares[lane] += f64::from(y[lane]) * f64::from(y[lane]);
        }
    }
    let s = squares;
    ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]))
}

/// Each row's own factor and its share of the rows above, both times `scale`; gives `q_d²`.
///
/// Running sums are in double precision: squares of single-precision numbers cannot overflow it.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
#[expect(
    clippy::cast_possible_truncation,
    reason = "the factor is kept in single precision"
)]
fn coefficients(
    scale: f64,
    y: &[f32],
    root: &mut [f64],
    inverse: &mut [f64],
    keep: &mut [f32],
    mix: &mut [f32],
) -> f64 {
    let mut total = 1.0;
    let scaled = scale * scale;
    for (root, y) in root[1..].iter_mut().zip(y) {
        total += scaled * (f64::from(*y) * f64::from(*y));
        *root = total;
    }
    for (root, inverse) in root.iter_mut().zip(&mut *inverse) {
        *root = root.sqrt();
        *inverse = 1.0 / *root;
    }
    let len = y.len();
    let (before, unbefore, unafter) = (&root[..len], &inverse[..len], &inverse[1..=len]);
    let (keep, mix) = (&mut keep[..len], &mut mix[..len]);
    for i in 0..len {
        let inverse = scale * unafter[i];
        keep[i] = (before[i] * inverse) as f32;
        mix[i] = (scaled * f64::from(y[i]) * inverse * unbefore[i]) as f32;
    }
    total
}

/// Row i ← keepᵢ·row i − mixᵢ·s, then s += yᵢ·(old row i), from the first row to the last.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn rotate(entries: &mut [f32], keep: &[f32], mix: &[f32], y: &[f32], sum: &mut [f32]) {
    let lanes = |v: &[f32], band: usize| v.as_chunks::<LANES>().0[band];
    let sum = sum.as_chunks_mut::<LANES>().0;
    let mut rest = entries.as_chunks_mut::<TILE>().0;
    for band in 0..sum.len() {
        let (tiles, after) = rest.split_at_mut(band + 1);
        rest = after;
        let (keep, mix, y) = (lanes(keep, band), lanes(mix, band), lanes(y, band));
        for (tile, sum) in tiles.iter_mut().zip(&mut *sum) {
            let mut s = *sum;
            for row in 0..LANES {
                for lane in 0..LANES {
                    let w = tile[row * LANES + lane];
                    tile[row * LANES + lane] = keep[row] * w - mix[row] * s[lane];
                    s[lane] += y[row] * w;
                }
            }
            *sum = s;
        }
    }
}

/// sum += Wᵀy.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn transposed(entries: &[f32], y: &[f32], sum: &mut [f32]) {
    let sum = sum.as_chunks_mut::<LANES>().0;
    let mut rest = entries.as_chunks::<TILE>().0;
    for (band, y) in y.as_chunks::<LANES>().0.iter().enumerate() {
        let (tiles, after) = rest.split_at(band + 1);
        rest = after;
        for (tile, sum) in tiles.iter().zip(&mut *sum) {
            let mut s = *sum;
            for row in 0..LANES {
                for lane in 0..LANES {
                    s[lane] += y[row] * tile[row * LANES + lane];
                }
            }
            *sum = s;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Symmetric;

    fn numbers(n: usize) -> Vec<f64> {
        let mut state = 11_u64;
        (0..n)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                crate::math::count(state >> 40) / crate::math::count(1 << 24) - 0.5
            })
            .collect()
    }

    fn wide(x: &[f32]) -> Vec<f64> {
        x.iter().map(|x| f64::from(*x)).collect()
    }

    /// Updated with decay, the factor gives what a Cholesky factor of the same matrix gives.
    #[test]
    fn updates_agree_with_a_fresh_factorisation() {
        for (dim, keep) in [(1, 1.0), (5, 0.9), (8, 1.0), (33, 0.99), (40, 1.0)] {
            let ridge = vec![0.7; dim];
            let mut factor = InverseFactor::diagonal(&ridge);
            let mut gram = Symmetric::zeros(dim);
            let (mut scratch, mut x32) = (UpdateScratch::default(), Vec::new());
            let mut y = Vec::new();
            let mut decay = 1.0;
            let rows = numbers(60 * dim);
            for x in rows.chunks_exact(dim) {
                single(1.0, x, &mut x32);
                let before = factor.quadratic(&x32, &mut y) / keep;
                let (total, along) = factor.update(keep, &x32, &mut scratch);
                assert!((total - 1.0 - before).abs() < 1e-5 * total);
                let along = crate::linalg::dot(&wide(along), x) / keep;
                assert!((along - before).abs() < 1e-5 * total, "{along} {before}");
                gram.update(keep, 1.0, x);
                decay *= keep;
            }
            let decayed: Vec<f64> = ridge.iter().map(|r| decay * r).collect();
            let exact = gram.factor(1.0, &decayed).expect("positive definite");
            let mut work = Vec::new();
            for x in numbers(5 * dim).chunks_exact(dim) {
                single(1.0, x, &mut x32);
                let (got, expect) = (
                    factor.quadratic(&x32, &mut y),
                    exact.quadratic(x, &mut work),
                );
                assert!(
                    (got - expect).abs() < 2e-5 * expect,
                    "d={dim} {got} {expect}"
                );
                let fresh = InverseFactor::inverse_of(&exact);
                let again = fresh.quadratic(&x32, &mut y);
                assert!((again - expect).abs() < 2e-5 * expect);
                let solved = wide(fresh.solve(&x32, &mut scratch));
                assert!((crate::linalg::dot(&solved, x) - expect).abs() < 2e-5 * expect);
                let y = fresh.multiply(&x32, &mut y);
                let square: f64 = y.iter().map(|y| f64::from(*y) * f64::from(*y)).sum();
                assert!((square - again).abs() < 1e-9 * again.max(1e-9));
            }
        }
    }
}

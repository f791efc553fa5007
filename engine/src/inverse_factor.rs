//! The inverse Cholesky factor of a regression's matrix, in single precision, under rank-1 updates.
//!
//! W is lower triangular with A⁻¹ = WᵀW, so that xᵀA⁻¹x = |Wx|² is never negative, and rounding
//! in W costs half the digits that rounding in A⁻¹ would. A + xxᵀ has the factor GW with
//! `G⁻¹G⁻ᵀ = I + yyᵀ`, y = Wx; row i of GW is `(q_{i−1}/q_i)·W_i − y_i/(q_{i−1}q_i)·Σ_{j<i} y_jW_j`
//! with `q_i² = 1 + Σ_{j≤i} y_j²` (Gill, Golub, Murray & Saunders 1974, doi:10.2307/2005923,
//! method C1 carried over to the inverse), and `Σ_j y_jW_j = A⁻¹x` comes out beside it.
//!
//! Rows are padded with zeros to whole groups of [`LANES`] columns, and groups of [`LANES`] rows
//! are equally long. Every sum has a fixed order: the bits are the same on every machine and under
//! every instruction set that is chosen at run time.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

use crate::linalg::Cholesky;

/// Numbers that are added side by side.
pub(crate) const LANES: usize = 8;

/// `dim` rounded up to whole groups.
pub(crate) const fn padded(dim: usize) -> usize {
    dim.div_ceil(LANES) * LANES
}

/// Entries of a factor of dimension `dim`.
const fn entries(dim: usize) -> usize {
    let groups = dim.div_ceil(LANES);
    LANES * LANES * groups * (groups + 1) / 2
}

/// Start of row `i`, and its length.
const fn row(i: usize) -> (usize, usize) {
    let group = i / LANES;
    let len = (group + 1) * LANES;
    (
        LANES * LANES * group * (group + 1) / 2 + (i % LANES) * len,
        len,
    )
}

/// W with A⁻¹ = WᵀW, lower triangular, by rows.
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
}

/// `x` in single precision, padded with zeros; `out` is replaced.
#[expect(
    clippy::cast_possible_truncation,
    reason = "widths need no more digits"
)]
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
            entries[row(i).0 + i] = narrow(1.0 / value.sqrt());
        }
        Self { dim, entries }
    }

    /// The inverse of a Cholesky factor.
    pub(crate) fn inverse_of(factor: &Cholesky) -> Self {
        let dim = factor.dim();
        let mut entries = vec![0.0; entries(dim)];
        for (i, w) in factor.inverse_rows().iter().enumerate() {
            let (at, _) = row(i);
            for (entry, w) in entries[at..].iter_mut().zip(&w[..=i]) {
                *entry = narrow(*w);
            }
        }
        Self { dim, entries }
    }

    /// |Wx|² = xᵀA⁻¹x; `x` is as [`single`] makes it.
    pub(crate) fn quadratic(&self, x: &[f32]) -> f64 {
        debug_assert_eq!(x.len(), padded(self.dim));
        squared_length(&self.entries, x)
    }

    /// Writes Wx to `y`, shape of `x`.
    pub(crate) fn multiply(&self, x: &[f32], y: &mut [f32]) {
        multiply(&self.entries, x, y);
    }

    /// The factor of (keep·A + xxᵀ)⁻¹. Gives 1 + xᵀ(keep·A)⁻¹x, and writes (keep·A)⁻¹x to `gain`.
    pub(crate) fn update(
        &mut self,
        keep: f64,
        x: &[f32],
        scratch: &mut UpdateScratch,
        gain: &mut Vec<f64>,
    ) -> f64 {
        let UpdateScratch {
            y,
            keep: own,
            mix,
            sum,
            root,
        } = scratch;
        let len = x.len();
        for vector in [&mut *y, own, mix, sum] {
            vector.clear();
            vector.resize(len, 0.0);
        }
        root.clear();
        root.resize(len + 1, 1.0);
        let scale = 1.0 / keep.sqrt();
        multiply(&self.entries, x, y);
        let total = coefficients(scale, y, root, own, mix);
        rotate(&mut self.entries, own, mix, y, sum);
        gain.clear();
        gain.extend(
            sum[..self.dim]
                .iter()
                .map(|z| scale * scale * f64::from(*z)),
        );
        total
    }

    /// x ← A⁻¹x by way of W, in single precision.
    pub(crate) fn solve(&self, x: &[f32], y: &mut Vec<f32>, out: &mut Vec<f64>) {
        y.clear();
        y.resize(x.len(), 0.0);
        multiply(&self.entries, x, y);
        out.clear();
        out.resize(x.len(), 0.0);
        for (i, y) in y.iter().enumerate() {
            let (at, len) = row(i);
            for (out, w) in out.iter_mut().zip(&self.entries[at..at + len]) {
                *out += f64::from(*y) * f64::from(*w);
            }
        }
        out.truncate(self.dim);
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

/// Sums of eight rows' products with x, each over eight lanes.
#[inline(always)]
fn group_products(rows: &[f32], x: &[f32]) -> [f32; LANES] {
    let len = x.len();
    let rows: [&[f32]; LANES] = std::array::from_fn(|r| &rows[r * len..(r + 1) * len]);
    let mut sums = [[0.0_f32; LANES]; LANES];
    for at in (0..len).step_by(LANES) {
        let x = &x[at..at + LANES];
        for (sum, row) in sums.iter_mut().zip(rows) {
            let w = &row[at..at + LANES];
            for lane in 0..LANES {
                sum[lane] += w[lane] * x[lane];
            }
        }
    }
    sums.map(|s| ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])))
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn multiply(entries: &[f32], x: &[f32], y: &mut [f32]) {
    let mut rest = entries;
    for (group, y) in y.chunks_exact_mut(LANES).enumerate() {
        let len = (group + 1) * LANES;
        let (rows, after) = rest.split_at(LANES * len);
        rest = after;
        y.copy_from_slice(&group_products(rows, &x[..len]));
    }
}

/// y = Rx for a matrix of equally long rows, as many as y is long.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
pub(crate) fn product(entries: &[f32], x: &[f32], y: &mut [f32]) {
    for (rows, y) in entries
        .chunks_exact(LANES * x.len())
        .zip(y.chunks_exact_mut(LANES))
    {
        y.copy_from_slice(&group_products(rows, x));
    }
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn squared_length(entries: &[f32], x: &[f32]) -> f64 {
    let mut rest = entries;
    let mut squares = [0.0_f64; LANES];
    for group in 0..x.len() / LANES {
        let len = (group + 1) * LANES;
        let (rows, after) = rest.split_at(LANES * len);
        rest = after;
        let y = group_products(rows, &x[..len]);
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
fn coefficients(scale: f64, y: &[f32], root: &mut [f64], keep: &mut [f32], mix: &mut [f32]) -> f64 {
    let mut total = 1.0;
    let scaled = scale * scale;
    for (root, y) in root[1..].iter_mut().zip(y) {
        total += scaled * (f64::from(*y) * f64::from(*y));
        *root = total;
    }
    for root in root.iter_mut() {
        *root = root.sqrt();
    }
    let len = y.len();
    let (before, after) = (&root[..len], &root[1..=len]);
    let (keep, mix) = (&mut keep[..len], &mut mix[..len]);
    for i in 0..len {
        let inverse = scale / after[i];
        keep[i] = (before[i] * inverse) as f32;
        mix[i] = (scaled * f64::from(y[i]) * inverse / before[i]) as f32;
    }
    total
}

/// Row i ← keepᵢ·row i − mixᵢ·s, then s += yᵢ·(old row i), from the first row to the last.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn rotate(entries: &mut [f32], keep: &[f32], mix: &[f32], y: &[f32], sum: &mut [f32]) {
    const ROWS: usize = 4;
    let mut rest = entries;
    for first in (0..y.len()).step_by(ROWS) {
        let len = row(first).1;
        let (rows, after) = rest.split_at_mut(ROWS * len);
        rest = after;
        let (r0, rows) = rows.split_at_mut(len);
        let (r1, rows) = rows.split_at_mut(len);
        let (r2, r3) = rows.split_at_mut(len);
        let [k0, k1, k2, k3] = [0, 1, 2, 3].map(|r| keep[first + r]);
        let [m0, m1, m2, m3] = [0, 1, 2, 3].map(|r| mix[first + r]);
        let [y0, y1, y2, y3] = [0, 1, 2, 3].map(|r| y[first + r]);
        let sum = &mut sum[..len];
        let r3 = &mut r3[..len];
        for j in 0..len {
            let mut s = sum[j];
            let w = [r0[j], r1[j], r2[j], r3[j]];
            r0[j] = k0 * w[0] - m0 * s;
            s += y0 * w[0];
            r1[j] = k1 * w[1] - m1 * s;
            s += y1 * w[1];
            r2[j] = k2 * w[2] - m2 * s;
            s += y2 * w[2];
            r3[j] = k3 * w[3] - m3 * s;
            s += y3 * w[3];
            sum[j] = s;
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

    /// Updated with decay, the factor gives what a Cholesky factor of the same matrix gives.
    #[test]
    fn updates_agree_with_a_fresh_factorisation() {
        for (dim, keep) in [(1, 1.0), (5, 0.9), (8, 1.0), (33, 0.99), (40, 1.0)] {
            let ridge = vec![0.7; dim];
            let mut factor = InverseFactor::diagonal(&ridge);
            let mut gram = Symmetric::zeros(dim);
            let (mut scratch, mut gain, mut x32) =
                (UpdateScratch::default(), Vec::new(), Vec::new());
            let mut decay = 1.0;
            let rows = numbers(60 * dim);
            for x in rows.chunks_exact(dim) {
                single(1.0, x, &mut x32);
                let before = factor.quadratic(&x32) / keep;
                let total = factor.update(keep, &x32, &mut scratch, &mut gain);
                assert!((total - 1.0 - before).abs() < 1e-5 * total);
                let along = crate::linalg::dot(&gain, x);
                assert!((along - before).abs() < 1e-5 * total, "{along} {before}");
                gram.update(keep, 1.0, x);
                decay *= keep;
            }
            let decayed: Vec<f64> = ridge.iter().map(|r| decay * r).collect();
            let exact = gram.factor(1.0, &decayed).expect("positive definite");
            let mut work = Vec::new();
            for x in numbers(5 * dim).chunks_exact(dim) {
                single(1.0, x, &mut x32);
                let (got, expect) = (factor.quadratic(&x32), exact.quadratic(x, &mut work));
                assert!(
                    (got - expect).abs() < 2e-5 * expect,
                    "d={dim} {got} {expect}"
                );
                let fresh = InverseFactor::inverse_of(&exact);
                let again = fresh.quadratic(&x32);
                assert!((again - expect).abs() < 2e-5 * expect);
                let (mut y, mut solved) = (Vec::new(), Vec::new());
                fresh.solve(&x32, &mut y, &mut solved);
                assert!((crate::linalg::dot(&solved, x) - expect).abs() < 2e-5 * expect);
                fresh.multiply(&x32, &mut y);
                let square: f64 = y.iter().map(|y| f64::from(*y) * f64::from(*y)).sum();
                assert!((square - again).abs() < 1e-9 * again.max(1e-9));
            }
        }
    }
}

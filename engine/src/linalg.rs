//! Packed symmetric matrices and their Cholesky factors, laid out for rank-1 updates.
//!
//! A symmetric d×d matrix is kept as its upper rows: row k holds the entries (k, k..d). A factor
//! L is kept by columns, which is the same layout. Every inner loop runs over one such slice.

use multiversion::multiversion;
use serde::{Deserialize, Serialize};

/// Samples that share one pass over the Gram matrix.
const GRAM_BLOCK: usize = 4;
/// Entries of a row that are worked on side by side.
const GROUP: usize = 4;

/// Start of row `k` in packed storage of dimension `dim`.
const fn start(dim: usize, k: usize) -> usize {
    k * (2 * dim + 1 - k) / 2
}

/// Entries of a packed matrix.
pub(crate) const fn packed_len(dim: usize) -> usize {
    dim * (dim + 1) / 2
}

/// A symmetric matrix, packed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Symmetric {
    dim: usize,
    entries: Vec<f64>,
}

/// A lower-triangular factor L with `A = LLᵀ`, packed by columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cholesky {
    dim: usize,
    entries: Vec<f64>,
}

/// Largest entry of a restored state: learning does not get there, and products still fit.
const ENTRY_ABS_MAX: f64 = 1e100;

/// Whether restored numbers can be computed with.
pub(crate) fn are_usable(entries: &[f64]) -> bool {
    entries.iter().all(|x| x.abs() <= ENTRY_ABS_MAX)
}

/// Σ aᵢbᵢ with eight accumulators, so that the compiler can use vector registers.
#[inline]
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let len = a.len().min(b.len());
    if len < 8 {
        // What is left of `inner_product`: choosing an instruction set costs more than this.
        return 0.0 + a[..len].iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    }
    long_dot(a, b)
}

#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn long_dot(a: &[f64], b: &[f64]) -> f64 {
    inner_product(a, b)
}

#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
pub(crate) fn inner_product(a: &[f64], b: &[f64]) -> f64 {
    let len = a.len().min(b.len());
    let (a, b) = (&a[..len], &b[..len]);
    let mut sums = [0.0_f64; 8];
    let blocks_a = a.chunks_exact(8);
    let blocks_b = b.chunks_exact(8);
    let tail: f64 = blocks_a
        .remainder()
        .iter()
        .zip(blocks_b.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in blocks_a.zip(blocks_b) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)) + tail
}

/// Lanes of a single-precision inner product.
const LANES: usize = 8;

/// Σ aᵢbᵢ in single precision with eight accumulators.
pub(crate) fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    dots_f32(a, [b])[0]
}

/// Inner products of one row with several vectors of its length, each with the bits of
/// [`dot_f32`]: the row is read once for all of them.
pub(crate) fn dots_f32<const N: usize>(row: &[f32], vectors: [&[f32]; N]) -> [f32; N] {
    let len = vectors.iter().map(|v| v.len()).fold(row.len(), usize::min);
    let whole = len - len % LANES;
    let mut sums = [[0.0_f32; LANES]; N];
    for start in (0..whole).step_by(LANES) {
        let x = &row[start..start + LANES];
        for (sum, vector) in sums.iter_mut().zip(vectors) {
            let y = &vector[start..start + LANES];
            for lane in 0..LANES {
                sum[lane] += x[lane] * y[lane];
            }
        }
    }
    std::array::from_fn(|n| {
        let s = sums[n];
        let tail: f32 = row[whole..len]
            .iter()
            .zip(&vectors[n][whole..len])
            .map(|(x, y)| x * y)
            .sum();
        ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7])) + tail
    })
}

/// y += a·x.
#[inline]
pub(crate) fn axpy(a: f64, x: &[f64], y: &mut [f64]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y += a * x;
    }
}

/// Adds rows to a packed Gram matrix, four at a time.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn add_blocks(entries: &mut [f64], dim: usize, rows: &[f64], weights: Option<&[f64]>) {
    let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
    for (block, rows) in rows.chunks_exact(dim * GRAM_BLOCK).enumerate() {
        let at = block * GRAM_BLOCK;
        let (x0, rows) = rows.split_at(dim);
        let (x1, rows) = rows.split_at(dim);
        let (x2, x3) = rows.split_at(dim);
        let w = [weight(at), weight(at + 1), weight(at + 2), weight(at + 3)];
        let mut rest = &mut *entries;
        for k in 0..dim {
            let (out, later) = rest.split_at_mut(dim - k);
            rest = later;
            let (a0, a1, a2, a3) = (w[0] * x0[k], w[1] * x1[k], w[2] * x2[k], w[3] * x3[k]);
            add_four(
                [a0, a1, a2, a3],
                [&x0[k..], &x1[k..], &x2[k..], &x3[k..]],
                out,
            );
        }
    }
}

/// out += (a₀x₀ + a₁x₁) + (a₂x₂ + a₃x₃).
///
/// In whole groups first: rows of a triangle are short and of any length, and what a compiler
/// leaves over of them is most of the work.
#[expect(
    clippy::inline_always,
    reason = "inlined into each instruction set's own function"
)]
#[inline(always)]
fn add_four(a: [f64; GRAM_BLOCK], x: [&[f64]; GRAM_BLOCK], out: &mut [f64]) {
    let [(x0, r0), (x1, r1), (x2, r2), (x3, r3)] = x.map(|x| x.as_chunks::<GROUP>());
    let (whole, rest) = out.as_chunks_mut::<GROUP>();
    let groups = whole.iter_mut().zip(x0).zip(x1).zip(x2).zip(x3);
    for ((((out, x0), x1), x2), x3) in groups {
        for i in 0..GROUP {
            out[i] += (a[0] * x0[i] + a[1] * x1[i]) + (a[2] * x2[i] + a[3] * x3[i]);
        }
    }
    let rests = rest.iter_mut().zip(r0).zip(r1).zip(r2).zip(r3);
    for ((((out, x0), x1), x2), x3) in rests {
        *out += (a[0] * x0 + a[1] * x1) + (a[2] * x2 + a[3] * x3);
    }
}

/// out ← out + Ax for a packed A.
#[multiversion(targets(
    "x86_64+avx+avx2+avx512f+avx512vl+avx512bw+avx512dq",
    "x86_64+avx+avx2"
))]
fn add_product(entries: &[f64], x: &[f64], out: &mut [f64]) {
    let mut rest = entries;
    for k in 0..x.len() {
        let (row, later) = rest.split_at(x.len() - k);
        rest = later;
        // A row is a column too: below its diagonal entry it adds to what comes later.
        let (own, at) = (out[k], x[k]);
        let (rows, row_rest) = row.as_chunks::<GROUP>();
        let (xs, x_rest) = x[k..].as_chunks::<GROUP>();
        let (outs, out_rest) = out[k..].as_chunks_mut::<GROUP>();
        let mut sums = [0.0; GROUP];
        for ((row, x), out) in rows.iter().zip(xs).zip(outs) {
            for i in 0..GROUP {
                sums[i] += row[i] * x[i];
                out[i] += at * row[i];
            }
        }
        let mut sum = (sums[0] + sums[2]) + (sums[1] + sums[3]);
        for ((row, x), out) in row_rest.iter().zip(x_rest).zip(out_rest) {
            sum += row * x;
            *out += at * row;
        }
        out[k] = own + sum;
    }
}

impl Symmetric {
    /// The zero matrix.
    pub(crate) fn zeros(dim: usize) -> Self {
        Self {
            dim,
            entries: vec![0.0; packed_len(dim)],
        }
    }

    /// Whether the storage fits the dimension and every entry is finite.
    pub(crate) fn is_sound(&self, dim: usize) -> bool {
        self.dim == dim && self.entries.len() == packed_len(dim) && are_usable(&self.entries)
    }

    fn row_mut(&mut self, k: usize) -> &mut [f64] {
        let at = start(self.dim, k);
        &mut self.entries[at..at + self.dim - k]
    }

    #[cfg(test)]
    fn row(&self, k: usize) -> &[f64] {
        let at = start(self.dim, k);
        &self.entries[at..at + self.dim - k]
    }

    /// A ← scale·A + weight·xxᵀ.
    pub(crate) fn update(&mut self, scale: f64, weight: f64, x: &[f64]) {
        #[expect(clippy::float_cmp, reason = "exactly one means that nothing decays")]
        if scale != 1.0 {
            for entry in &mut self.entries {
                *entry *= scale;
            }
        }
        for k in 0..self.dim {
            axpy(weight * x[k], &x[k..], self.row_mut(k));
        }
    }

    /// A ← scale·A.
    pub(crate) fn scale(&mut self, scale: f64) {
        self.entries.iter_mut().for_each(|entry| *entry *= scale);
    }

    /// A ← A + Σ wᵢ xᵢxᵢᵀ over row-major `rows`, shape (n, d); `None` weighs every row 1.
    pub(crate) fn add_gram(&mut self, rows: &[f64], weights: Option<&[f64]>) {
        let dim = self.dim;
        if dim == 0 {
            return;
        }
        let whole = rows.len() / (dim * GRAM_BLOCK) * GRAM_BLOCK;
        let (blocks, rest) = rows.split_at(whole * dim);
        add_blocks(&mut self.entries, dim, blocks, weights);
        let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
        for (i, x) in rest.chunks_exact(dim).enumerate() {
            self.update(1.0, weight(whole + i), x);
        }
    }

    /// out ← out + Ax.
    pub(crate) fn add_product(&self, x: &[f64], out: &mut [f64]) {
        add_product(&self.entries, x, out);
    }

    /// The factor of scale·A + diag(ridge); `None` when rounding leaves it indefinite.
    pub(crate) fn factor(&self, scale: f64, ridge: &[f64]) -> Option<Cholesky> {
        let dim = self.dim;
        let mut entries: Vec<f64> = self.entries.iter().map(|a| scale * a).collect();
        for (k, ridge) in ridge.iter().enumerate() {
            entries[start(dim, k)] += ridge;
        }
        // Right-looking: column k is finished, then subtracted from the columns to its right.
        for k in 0..dim {
            let at = start(dim, k);
            let (head, rest) = entries.split_at_mut(at + dim - k);
            let column = &mut head[at..];
            let pivot = column[0];
            if !(pivot.is_finite() && pivot > 0.0) {
                return None;
            }
            let root = pivot.sqrt();
            let inverse = 1.0 / root;
            column[0] = root;
            for entry in &mut column[1..] {
                *entry *= inverse;
            }
            let mut right = rest;
            for j in 1..column.len() {
                let (target, later) = right.split_at_mut(column.len() - j);
                axpy(-column[j], &column[j..], target);
                right = later;
            }
        }
        Some(Cholesky { dim, entries })
    }

    /// The diagonal entry `k`.
    #[cfg(test)]
    fn diagonal(&self, k: usize) -> f64 {
        self.row(k)[0]
    }
}

impl Cholesky {
    /// The factor of diag(values).
    pub(crate) fn diagonal(values: &[f64]) -> Self {
        let dim = values.len();
        let mut entries = vec![0.0; packed_len(dim)];
        for (k, value) in values.iter().enumerate() {
            entries[start(dim, k)] = value.sqrt();
        }
        Self { dim, entries }
    }

    pub(crate) fn dim(&self) -> usize {
        self.dim
    }

    /// L⁻¹ by rows, each of full length.
    pub(crate) fn inverse_rows(&self) -> Vec<Vec<f64>> {
        let mut rows: Vec<Vec<f64>> = Vec::with_capacity(self.dim);
        for i in 0..self.dim {
            let mut row = vec![0.0; self.dim];
            row[i] = 1.0;
            for (j, above) in rows.iter().enumerate() {
                axpy(-self.column(j)[i - j], &above[..=j], &mut row[..=j]);
            }
            let pivot = self.column(i)[0];
            row[..=i].iter_mut().for_each(|w| *w /= pivot);
            rows.push(row);
        }
        rows
    }

    /// Whether the storage fits the dimension, and the diagonal is positive and finite.
    pub(crate) fn is_sound(&self, dim: usize) -> bool {
        self.dim == dim
            && self.entries.len() == packed_len(dim)
            && are_usable(&self.entries)
            && (0..dim).all(|k| self.entries[start(dim, k)] > 0.0)
    }

    fn column(&self, k: usize) -> &[f64] {
        let at = start(self.dim, k);
        &self.entries[at..at + self.dim - k]
    }

    /// The factor of A + xxᵀ; `x` is used up.
    pub(crate) fn update(&mut self, x: &mut [f64]) {
        let dim = self.dim;
        for k in 0..dim {
            let at = start(dim, k);
            let column = &mut self.entries[at..at + dim - k];
            let (xk, rest) = (x[k], &mut x[k + 1..]);
            if xk == 0.0 {
                continue;
            }
            let old = column[0];
            let new = (old * old + xk * xk).sqrt();
            let (cos, sin) = (old / new, xk / new);
            column[0] = new;
            // A rotation keeps the columns' norms, so no step can make the factor indefinite.
            for (l, x) in column[1..].iter_mut().zip(rest) {
                let before = *l;
                *l = cos * before + sin * *x;
                *x = cos * *x - sin * before;
            }
        }
    }

    /// L ← √scale·L.
    pub(crate) fn scale(&mut self, scale: f64) {
        let root = scale.sqrt();
        for entry in &mut self.entries {
            *entry *= root;
        }
    }

    /// Solves Ly = x in place.
    pub(crate) fn solve_lower(&self, x: &mut [f64]) {
        for k in 0..self.dim {
            let column = self.column(k);
            let y = x[k] / column[0];
            x[k] = y;
            axpy(-y, &column[1..], &mut x[k + 1..]);
        }
    }

    /// Solves Lᵀz = y in place.
    pub(crate) fn solve_upper(&self, y: &mut [f64]) {
        for k in (0..self.dim).rev() {
            let column = self.column(k);
            let sum = dot(&column[1..], &y[k + 1..]);
            y[k] = (y[k] - sum) / column[0];
        }
    }

    /// Solves Ax = b in place.
    pub(crate) fn solve(&self, b: &mut [f64]) {
        self.solve_lower(b);
        self.solve_upper(b);
    }

    /// xᵀA⁻¹x; `scratch` is overwritten.
    pub(crate) fn quadratic(&self, x: &[f64], scratch: &mut Vec<f64>) -> f64 {
        scratch.clear();
        scratch.extend_from_slice(x);
        self.solve_lower(scratch);
        dot(scratch, scratch)
    }

    /// (largest ÷ smallest diagonal entry of L)², a cheap lower bound of A's condition number.
    pub(crate) fn condition(&self) -> f64 {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for k in 0..self.dim {
            let entry = self.column(k)[0];
            low = low.min(entry);
            high = high.max(entry);
        }
        if self.dim == 0 {
            1.0
        } else {
            (high / low) * (high / low)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(n: usize, dim: usize) -> Vec<f64> {
        let mut state = 7_u64;
        (0..n * dim)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                crate::math::count(state >> 40) / crate::math::count(1 << 24) - 0.5
            })
            .collect()
    }

    #[test]
    fn blocked_gram_equals_one_row_at_a_time() {
        for (n, dim) in [(0, 3), (1, 1), (7, 5), (33, 17)] {
            let rows = rows(n, dim);
            let weights: Vec<f64> = (0..n).map(|i| 1.0 + crate::math::len(i % 3)).collect();
            let mut batch = Symmetric::zeros(dim);
            batch.add_gram(&rows, Some(&weights));
            let mut single = Symmetric::zeros(dim);
            for (x, w) in rows.chunks_exact(dim).zip(&weights) {
                single.update(1.0, *w, x);
            }
            for (a, b) in batch.entries.iter().zip(&single.entries) {
                assert!((a - b).abs() < 1e-12, "n={n} d={dim}");
            }
        }
    }

    #[test]
    fn updated_factor_solves_the_updated_system() {
        let dim = 9;
        let rows = rows(40, dim);
        let ridge = vec![0.3; dim];
        let mut gram = Symmetric::zeros(dim);
        let mut factor = Cholesky::diagonal(&ridge);
        for x in rows.chunks_exact(dim) {
            gram.update(1.0, 1.0, x);
            factor.update(&mut x.to_vec());
        }
        let batch = gram.factor(1.0, &ridge).expect("positive definite");
        for (a, b) in batch.entries.iter().zip(&factor.entries) {
            assert!((a - b).abs() < 1e-12);
        }
        let b: Vec<f64> = rows[..dim].to_vec();
        let mut x = b.clone();
        factor.solve(&mut x);
        for k in 0..dim {
            let mut product = ridge[k] * x[k];
            for (j, xj) in x.iter().enumerate() {
                let (low, high) = (k.min(j), k.max(j));
                product += gram.row(low)[high - low] * xj;
            }
            assert!((product - b[k]).abs() < 1e-12);
        }
        assert!(gram.diagonal(0) > 0.0 && factor.condition() >= 1.0);
        let mut scaled = factor.clone();
        scaled.scale(4.0);
        let (mut s, x) = (Vec::new(), &rows[..dim]);
        let ratio = factor.quadratic(x, &mut s) / scaled.quadratic(x, &mut s);
        assert!((ratio - 4.0).abs() < 1e-12);
    }
}

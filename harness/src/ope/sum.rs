//! Exact sums of floating-point numbers: the same bits for any order and any split.

/// Bits of the fixed-point number that one limb holds.
const LIMB_BITS: usize = 32;
/// The least positive `f64` is 2^−1074: bit 0 of the first limb.
const LEAST_EXPONENT: i32 = -1074;
/// 2046 positions of a leading bit, 53 bits of fraction, and 2⁶⁴ numbers to carry: 68 limbs.
const LIMBS: usize = 68;
/// A limb takes fewer than 2³² per number added, so carries fit for 2³⁰ numbers.
const PENDING_MAX: u32 = 1 << 30;

/// The exact sum of `f64` values, as one fixed-point number wide enough for all of them.
///
/// Addition of integers is associative, so [`merge`](Self::merge) of any split, in any order, has
/// the bits of one pass; rounding happens once, in [`value`](Self::value), to the nearest `f64`.
/// i128 fixed point would need a scale chosen beforehand: squares of micro-dollars and of weights
/// of 20,000 do not share one. The small superaccumulator of Neal (2015), arXiv:1505.05571.
#[derive(Clone, Debug)]
pub struct ExactSum {
    limbs: [i64; LIMBS],
    /// Numbers added since carries were last moved up.
    pending: u32,
    /// Sum of what has no place in a fixed-point number: infinities and NaN.
    non_finite: f64,
}

impl Default for ExactSum {
    fn default() -> Self {
        Self {
            limbs: [0; LIMBS],
            pending: 0,
            non_finite: 0.0,
        }
    }
}

impl ExactSum {
    /// Adds one number.
    #[inline]
    pub fn add(&mut self, x: f64) {
        if x == 0.0 {
            return;
        }
        let bits = x.to_bits();
        let biased = ((bits >> 52) & 0x7FF) as usize;
        if biased == 0x7FF {
            self.non_finite += x;
            return;
        }
        let fraction = bits & ((1 << 52) - 1);
        let (mantissa, position) = if biased == 0 {
            (fraction, 0)
        } else {
            (fraction | (1 << 52), biased - 1)
        };
        let (limb, shift) = (position / LIMB_BITS, position % LIMB_BITS);
        let wide = u128::from(mantissa) << shift;
        let (low, middle, high) = (part(wide, 0), part(wide, 1), part(wide, 2));
        if x > 0.0 {
            self.limbs[limb] += low;
            self.limbs[limb + 1] += middle;
            self.limbs[limb + 2] += high;
        } else {
            self.limbs[limb] -= low;
            self.limbs[limb + 1] -= middle;
            self.limbs[limb + 2] -= high;
        }
        self.pending += 1;
        if self.pending == PENDING_MAX {
            self.carry();
        }
    }

    /// Adds a·b exactly: the rounded product and its rounding error (Dekker 1971,
    /// doi:10.1007/BF01397083).
    ///
    /// Exact for factors between 1e−120 and 1e120 in size.
    #[inline]
    pub fn add_product(&mut self, a: f64, b: f64) {
        let product = a * b;
        if product == 0.0 {
            return;
        }
        self.add(product);
        let (a_high, a_low) = halves(a);
        let (b_high, b_low) = halves(b);
        self.add(((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low);
    }

    /// Adds all that `other` has summed.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        for (limb, add) in self.limbs.iter_mut().zip(other.limbs) {
            *limb += add;
        }
        self.non_finite += other.non_finite;
        self.pending = 2;
    }

    /// The sum, rounded once to the nearest `f64`.
    #[must_use]
    pub fn value(&self) -> f64 {
        if self.non_finite != 0.0 {
            return self.non_finite;
        }
        let mut sum = self.clone();
        sum.carry();
        // After carrying, only the last limb has a sign, which is the sign of the whole.
        let negative = sum.limbs[LIMBS - 1] < 0;
        if negative {
            for limb in &mut sum.limbs {
                *limb = -*limb;
            }
            sum.carry();
        }
        let magnitude = sum.magnitude();
        if negative { -magnitude } else { magnitude }
    }

    /// The sum as an unevaluated pair: its nearest `f64`, and the nearest `f64` of what is left.
    #[must_use]
    pub fn parts(&self) -> (f64, f64) {
        let high = self.value();
        let mut rest = self.clone();
        rest.add(-high);
        (high, rest.value())
    }

    /// The value of non-negative limbs below 2³².
    fn magnitude(&self) -> f64 {
        let Some(top) = self.limbs.iter().rposition(|&limb| limb != 0) else {
            return 0.0;
        };
        // Four limbs hold at least 97 significant bits; a lower bit only breaks ties.
        let bottom = top.saturating_sub(3);
        let mut wide = 0_u128;
        for limb in self.limbs[bottom..=top].iter().rev() {
            wide = (wide << LIMB_BITS) | u128::from(limb.unsigned_abs());
        }
        if self.limbs[..bottom].iter().any(|&limb| limb != 0) {
            wide |= 1;
        }
        #[expect(clippy::cast_precision_loss, reason = "this is the one rounding")]
        let rounded = wide as f64;
        let bits = i32::try_from(bottom * LIMB_BITS).expect("limbs hold about 2,200 bits");
        scale(rounded, bits + LEAST_EXPONENT)
    }

    /// Moves what exceeds a limb to the next one; only the last keeps a sign.
    fn carry(&mut self) {
        let mut carry = 0_i64;
        for limb in &mut self.limbs[..LIMBS - 1] {
            let total = *limb + carry;
            carry = total >> LIMB_BITS;
            *limb = total - (carry << LIMB_BITS);
        }
        self.limbs[LIMBS - 1] += carry;
        self.pending = 0;
    }
}

/// 32 bits of `wide`, as a non-negative limb.
#[inline]
fn part(wide: u128, index: usize) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "32 bits are asked for")]
    let bits = (wide >> (LIMB_BITS * index)) as u32;
    i64::from(bits)
}

/// Veltkamp's split of a number in two halves of 26 bits.
#[inline]
fn halves(x: f64) -> (f64, f64) {
    const SPLITTER: f64 = 134_217_729.0; // 2²⁷ + 1
    let scaled = SPLITTER * x;
    let high = scaled - (scaled - x);
    (high, x - high)
}

/// x · 2^exponent. Two factors, as neither 2^−1074 nor 2^1000 may pass through an overflow.
fn scale(x: f64, exponent: i32) -> f64 {
    let half = exponent / 2;
    x * 2_f64.powi(half) * 2_f64.powi(exponent - half)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "results are exact")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = ExactSum::default();
        for &x in values {
            sum.add(x);
        }
        sum.value()
    }

    #[test]
    fn what_plain_sums_lose_is_kept() {
        for (values, expect) in [
            (vec![], 0.0),
            (vec![0.1], 0.1),
            (vec![1e300, 1.0, -1e300], 1.0),
            (vec![f64::MAX, f64::MAX, -f64::MAX], f64::MAX),
            (vec![f64::MAX, f64::MAX], f64::INFINITY),
            (vec![5e-324, 5e-324], 1e-323),
            (vec![-5e-324, 1.0, -1.0], -5e-324),
            (vec![f64::MIN_POSITIVE, -5e-324], 2.225_073_858_507_201e-308),
            (vec![1.0, 1e-16, -1.0], 1e-16),
            (vec![0.1; 10], 1.0),
            // A tie to even, then the same broken by a bit far below.
            (vec![9_007_199_254_740_992.0, 1.0], 9_007_199_254_740_992.0),
            (
                vec![9_007_199_254_740_992.0, 1.0, 1e-200],
                9_007_199_254_740_994.0,
            ),
            (
                vec![-9_007_199_254_740_992.0, -1.0, -1e-200],
                -9_007_199_254_740_994.0,
            ),
        ] {
            assert_eq!(sum(&values).to_bits(), f64::to_bits(expect), "{values:?}");
        }
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
    }

    #[test]
    fn products_are_exact() {
        // (1 + 2⁻³⁰)² − 1 − 2⁻²⁹ = 2⁻⁶⁰, which the rounded square does not hold.
        let x = 1.0 + 2_f64.powi(-30);
        let mut sum = ExactSum::default();
        sum.add_product(x, x);
        assert_eq!(sum.parts(), (1.0 + 2_f64.powi(-29), 2_f64.powi(-60)));
    }

    proptest! {
        #[test]
        fn integers_are_summed_exactly(values in prop::collection::vec(any::<i64>(), 0..200), shift in -900_i32..800) {
            let unit = 2_f64.powi(shift);
            // 53 bits each, so that the factors are exact.
            let values: Vec<i64> = values.into_iter().map(|x| x >> 11).collect();
            #[expect(clippy::cast_precision_loss, reason = "53 bits; the total is rounded to nearest")]
            let (floats, expect) = (
                values.iter().map(|&x| x as f64 * unit).collect::<Vec<_>>(),
                values.iter().map(|&x| i128::from(x)).sum::<i128>() as f64 * unit,
            );
            prop_assert_eq!(sum(&floats).to_bits(), (expect + 0.0).to_bits());
        }

        #[test]
        fn any_split_has_the_same_bits(values in prop::collection::vec(-1e30_f64..1e30, 0..100), parts in 1_usize..65) {
            let mut sums = vec![ExactSum::default(); parts];
            for (i, &x) in values.iter().enumerate() {
                sums[i * 7919 % parts].add(x * 10_f64.powi(i32::try_from(i % 60).unwrap() - 30));
            }
            let mut merged = ExactSum::default();
            for part in sums.iter().rev() {
                merged.merge(part);
            }
            let mut once = ExactSum::default();
            for (i, &x) in values.iter().enumerate() {
                once.add(x * 10_f64.powi(i32::try_from(i % 60).unwrap() - 30));
            }
            prop_assert_eq!(merged.value().to_bits(), once.value().to_bits());
        }
    }
}

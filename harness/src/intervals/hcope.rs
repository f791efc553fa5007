//! Thomas' high-confidence bound for importance-weighted rewards.

use crate::bounds::maurer_pontil_lower;

/// Share of the rows that choose the threshold.
const CHOOSING_SHARE: f64 = 0.05;
/// Least number of rows that choose it, where there are three times as many.
const CHOOSING_MIN: usize = 30;

/// Thomas' lower bound at level `alpha` for the mean of outcomes x ≥ 0 with no known upper end:
/// the empirical Bernstein bound of y = min(x, c),
/// ȳ − √(2 V ln(2/α)/n) − 7 c ln(2/α)/(3(n − 1)), V the sample variance of y (n − 1).
///
/// min(x, c) ≤ x makes the bound valid at any c; c is chosen on the first 5 % of the rows (at least
/// 30) to maximise what the bound is expected to be on the others, which alone enter it. Thomas,
/// Theocharous & Ghavamzadeh (AAAI 2015), theorem 1 and equation 7.
///
/// Assumes independent outcomes of one distribution in random order; a log sorted by time or task
/// should be shuffled first, and clusters enter as one outcome each. Kept for comparison: the
/// betting bound is tighter on every log we tried.
///
/// `None` with fewer than 8 rows, or for values below 0 or not finite.
#[must_use]
pub fn hcope_lower(values: &[f64], alpha: f64) -> Option<f64> {
    let sound = values.len() >= 8
        && alpha > 0.0
        && alpha < 1.0
        && values.iter().all(|x| x.is_finite() && *x >= 0.0);
    sound.then_some(())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    let share = (count(values.len()) * CHOOSING_SHARE) as usize;
    let (choosing, judging) = values.split_at(share.max(CHOOSING_MIN).min(values.len() / 3));
    let n = judging.len() as u64;
    let c = thresholds(choosing)
        .map(|c| {
            let (mean, variance) = clipped(choosing, c);
            (c, bernstein(mean, variance, c, n, alpha))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .map(|(c, _)| c)?;
    let (mean, variance) = clipped(judging, c);
    Some(bernstein(mean, variance, c, n, alpha).max(0.0))
}

/// Candidates for c: a geometric grid over the range of the choosing rows.
fn thresholds(choosing: &[f64]) -> impl Iterator<Item = f64> {
    let top = choosing.iter().copied().fold(0.0, f64::max);
    let top = if top > 0.0 { top } else { 1.0 };
    (0..48).map(move |step| top * 2.0_f64.powf(-f64::from(step) / 4.0))
}

fn bernstein(mean: f64, variance: f64, c: f64, n: u64, alpha: f64) -> f64 {
    maurer_pontil_lower(mean / c, variance / (c * c), n, alpha).map_or(f64::MIN, |low| c * low)
}

/// Mean and sample variance of min(x, c).
fn clipped(values: &[f64], c: f64) -> (f64, f64) {
    let n = count(values.len());
    let mean = values.iter().map(|x| x.min(c)).sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x.min(c) - mean).powi(2)).sum();
    (mean, squares / (n - 1.0).max(1.0))
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_formula_of_the_paper() {
        // Pairwise form of theorem 1 with one c, on the judging rows.
        let values: Vec<f64> = (0..90).map(|i| f64::from((i * 37) % 11) * 0.3).collect();
        let (choosing, y) = values.split_at(30);
        let delta = 0.05_f64;
        let log = (2.0 / delta).ln();
        let n = count(y.len());
        let formula = |c: f64| {
            let y: Vec<f64> = y.iter().map(|x| x.min(c) / c).collect();
            let pairs: f64 = y
                .iter()
                .flat_map(|a| y.iter().map(move |b| (a - b).powi(2)))
                .sum();
            let inner = y.iter().sum::<f64>()
                - 7.0 * n * log / (3.0 * (n - 1.0))
                - (log / (n - 1.0) * pairs).sqrt();
            inner * c / n
        };
        let best = thresholds(choosing).map(formula).fold(f64::MIN, f64::max);
        let got = hcope_lower(&values, delta).expect("bound");
        assert!(thresholds(choosing).any(|c| (formula(c).max(0.0) - got).abs() < 1e-12));
        assert!(got <= best.max(0.0) + 1e-12);
    }

    #[test]
    fn unusable_outcomes_give_no_bound() {
        assert_eq!(hcope_lower(&[1.0; 7], 0.05), None);
        assert_eq!(hcope_lower(&[-1.0; 70], 0.05), None);
        assert_eq!(hcope_lower(&[f64::NAN; 70], 0.05), None);
        assert_eq!(hcope_lower(&[0.0; 70], 0.05), Some(0.0));
        assert!(hcope_lower(&vec![1.0; 7000], 0.05).expect("bound") > 0.99);
    }
}

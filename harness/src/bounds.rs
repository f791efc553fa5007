//! Confidence bounds for means of bounded outcomes, exact or finite-sample.
//!
//! All bounds are one-sided at level `alpha` unless named two-sided; a two-sided interval is two
//! one-sided bounds at `alpha / 2`. Outcomes are in [0, 1]; [`rescale`] maps another range there.

use statrs::distribution::{Beta, Binomial, ContinuousCDF, DiscreteCDF, Normal};

/// Clopper–Pearson lower bound for a binomial proportion.
///
/// The `alpha` quantile of Beta(k, n − k + 1); 0 when no success was seen. Assumes independent
/// 0/1 outcomes. Clopper & Pearson (1934), doi:10.1093/biomet/26.4.404.
///
/// `None` when `trials` is 0 or `successes` exceeds it.
#[must_use]
pub fn clopper_pearson_lower(successes: u64, trials: u64, alpha: f64) -> Option<f64> {
    if trials == 0 || successes > trials || !is_level(alpha) {
        return None;
    }
    if successes == 0 {
        return Some(0.0);
    }
    let beta = Beta::new(count(successes), count(trials - successes) + 1.0).ok()?;
    Some(bisect(|p| beta.cdf(p) < alpha))
}

/// Clopper–Pearson upper bound; see [`clopper_pearson_lower`].
#[must_use]
pub fn clopper_pearson_upper(successes: u64, trials: u64, alpha: f64) -> Option<f64> {
    let failures = trials.checked_sub(successes)?;
    clopper_pearson_lower(failures, trials, alpha).map(|low| 1.0 - low)
}

/// Whether a betting bound holds for one fixed sample size or at every time at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Looks {
    /// The sample size was fixed before looking.
    Once,
    /// The bound may be read after every outcome (a confidence sequence).
    Anytime,
}

/// Betting lower bound for the mean of outcomes in [0, 1].
///
/// Capital K_t(m) = Π(1 + λ_i w_i (x_i − m)); every m with max_t K_t ≥ 1/α is rejected.
/// μ̂_t = (½ + Σ w x)/(1 + Σ w), σ̂²_t = (¼ + Σ w²(x − μ̂)²)/(t + 1), and
/// λ_t = min(√(2 ln(1/α)/(n σ̂²_{t−1})), ½/m), with n replaced by t·ln(1 + t) for
/// [`Looks::Anytime`]. Waudby-Smith & Ramdas (JRSSB 2024), doi:10.1093/jrsssb/qkad009.
///
/// `weights` in (0, 1] are the clusters' sizes over the largest one when `values` are cluster
/// means: then the bound is for the mean per request, and only clusters need be independent.
/// `None` weights are all 1, the published form.
///
/// `None` without outcomes, or for values outside [0, 1].
#[must_use]
pub fn betting_lower(
    values: &[f64],
    weights: Option<&[f64]>,
    alpha: f64,
    looks: Looks,
) -> Option<f64> {
    if values.is_empty() || !is_level(alpha) || values.iter().any(|x| !(0.0..=1.0).contains(x)) {
        return None;
    }
    let bets = bets(values, weights, alpha, looks);
    let threshold = (1.0 / alpha).ln();
    Some(bisect(|m| {
        max_log_capital(values, weights, &bets, m) >= threshold
    }))
}

/// Betting upper bound; the lower bound of 1 − x, mirrored. See [`betting_lower`].
#[must_use]
pub fn betting_upper(
    values: &[f64],
    weights: Option<&[f64]>,
    alpha: f64,
    looks: Looks,
) -> Option<f64> {
    let mirrored: Vec<f64> = values.iter().map(|x| 1.0 - x).collect();
    betting_lower(&mirrored, weights, alpha, looks).map(|low| 1.0 - low)
}

/// P-value of "the mean is at least `m`" against "it is smaller": 1/max_t K_t of the mirrored bets.
///
/// Valid at any n by Ville's inequality; the bets are tuned for level `alpha`.
#[must_use]
pub fn betting_p_below(values: &[f64], weights: Option<&[f64]>, m: f64, alpha: f64) -> Option<f64> {
    if values.is_empty() || !is_level(alpha) || values.iter().any(|x| !(0.0..=1.0).contains(x)) {
        return None;
    }
    let mirrored: Vec<f64> = values.iter().map(|x| 1.0 - x).collect();
    let bets = bets(&mirrored, weights, alpha, Looks::Once);
    Some(
        (-max_log_capital(&mirrored, weights, &bets, 1.0 - m))
            .exp()
            .min(1.0),
    )
}

/// Hoeffding's lower bound: x̄ − √(ln(1/α)/(2n)). Hoeffding (1963), doi:10.2307/2282952.
#[must_use]
pub fn hoeffding_lower(mean: f64, n: u64, alpha: f64) -> Option<f64> {
    (n > 0 && is_level(alpha)).then(|| mean - ((1.0 / alpha).ln() / (2.0 * count(n))).sqrt())
}

/// Maurer–Pontil empirical Bernstein lower bound:
/// x̄ − √(2V ln(2/α)/n) − 7 ln(2/α)/(3(n − 1)), with V the sample variance (n − 1).
/// Maurer & Pontil (COLT 2009), theorem 4, arXiv:0907.3740.
#[must_use]
pub fn maurer_pontil_lower(mean: f64, variance: f64, n: u64, alpha: f64) -> Option<f64> {
    if n < 2 || !is_level(alpha) {
        return None;
    }
    let log = (2.0 / alpha).ln();
    Some(mean - (2.0 * variance * log / count(n)).sqrt() - 7.0 * log / (3.0 * (count(n) - 1.0)))
}

/// Maurer–Pontil upper bound; see [`maurer_pontil_lower`]. Not clipped to the range.
#[must_use]
pub fn maurer_pontil_upper(mean: f64, variance: f64, n: u64, alpha: f64) -> Option<f64> {
    maurer_pontil_lower(mean, variance, n, alpha).map(|low| 2.0 * mean - low)
}

/// Wilson's score interval, two-sided, for a binomial proportion.
///
/// Approximate: its coverage swings around the level, so that it describes and never certifies.
/// Assumes independent 0/1 outcomes. Wilson (1927), doi:10.1080/01621459.1927.10502953.
#[must_use]
pub fn wilson(successes: u64, trials: u64, confidence: f64) -> Option<(f64, f64)> {
    if trials == 0 || successes > trials || !is_level(confidence) {
        return None;
    }
    let z = Normal::standard().inverse_cdf(f64::midpoint(1.0, confidence));
    let n = count(trials);
    let p = count(successes) / n;
    let shrink = 1.0 + z * z / n;
    let center = (p + z * z / (2.0 * n)) / shrink;
    let half = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt() / shrink;
    Some((center - half, center + half))
}

/// The two-sided normal mixture boundary √((v + ρ) ln((v + ρ)/(ρ α²))): a sum whose increments are
/// 1-sub-Gaussian, with intrinsic time v, stays within ± it at all times with chance 1 − α.
///
/// ρ > 0 is the time at which it is tightest, up to a factor. Howard, Ramdas, McAuliffe & Sekhon
/// (Annals of Statistics 2021), equation 14, doi:10.1214/20-AOS1991.
#[must_use]
pub fn normal_mixture_boundary(v: f64, rho: f64, alpha: f64) -> Option<f64> {
    let sound = v >= 0.0 && v.is_finite() && rho > 0.0 && rho.is_finite() && is_level(alpha);
    sound.then(|| ((v + rho) * ((v + rho) / (rho * alpha * alpha)).ln()).sqrt())
}

/// Hoeffding–Bentkus p-value of "the risk exceeds `risk_max`" given the mean loss `risk`:
/// min(exp(−n·kl(min(R̂, α), α)), e·P(Bin(n, α) ≤ ⌈nR̂⌉)).
/// Bates et al. (JACM 2021), doi:10.1145/3478535.
#[must_use]
pub fn hoeffding_bentkus_p(risk: f64, n: u64, risk_max: f64) -> Option<f64> {
    if n == 0 || !is_level(risk_max) || !(0.0..=1.0).contains(&risk) {
        return None;
    }
    let least = risk.min(risk_max);
    let hoeffding = (-count(n) * kl_bernoulli(least, risk_max)).exp();
    let binomial = Binomial::new(risk_max, n).ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0 ≤ ⌈nR̂⌉ ≤ n"
    )]
    let losses = (count(n) * risk).ceil() as u64;
    let bentkus = std::f64::consts::E * binomial.cdf(losses);
    Some(hoeffding.min(bentkus).min(1.0))
}

/// Lower confidence bound for the mean of `n` outcomes in [0, 1] with mean `mean`: the largest line
/// whose p-value by [`hoeffding_bentkus_p`] is at most `alpha`; 0 when there is none.
///
/// Assumes independent outcomes. Beats betting while few losses are allowed, n·(1 − line) ≤ 8, and
/// loses beyond, because it does not learn the outcomes' spread.
#[must_use]
pub fn hoeffding_bentkus_lower(mean: f64, n: u64, alpha: f64) -> Option<f64> {
    if n == 0 || !is_level(alpha) || !(0.0..=1.0).contains(&mean) {
        return None;
    }
    // The p-value rises with the line: bisect, and keep the safe end.
    let (mut low, mut high) = (0.0, mean);
    for _ in 0..50 {
        let line = f64::midpoint(low, high);
        if hoeffding_bentkus_p(1.0 - mean, n, 1.0 - line).is_some_and(|p| p <= alpha) {
            low = line;
        } else {
            high = line;
        }
    }
    Some(low)
}

/// Least n at which no failure at all proves a success rate of `quality`: ⌈ln α / ln q⌉.
#[must_use]
pub fn least_n(quality: f64, alpha: f64) -> Option<u64> {
    if !is_level(quality) || !is_level(alpha) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, small"
    )]
    Some((alpha.ln() / quality.ln()).ceil() as u64)
}

/// `value` in [low, high], moved to [0, 1]; rounding never leaves the range.
#[must_use]
pub fn rescale(value: f64, low: f64, high: f64) -> f64 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

/// λ_t without its cap: it depends on the outcomes before t only.
fn bets(values: &[f64], weights: Option<&[f64]>, alpha: f64, looks: Looks) -> Vec<f64> {
    let numerator = 2.0 * (1.0 / alpha).ln();
    let mut variance = 0.25;
    let (mut sum, mut weight_sum, mut squares) = (0.5, 1.0, 0.25);
    let mut bets = Vec::with_capacity(values.len());
    for (index, &x) in values.iter().enumerate() {
        let t = count(index as u64 + 1);
        let horizon = match looks {
            Looks::Once => count(values.len() as u64),
            Looks::Anytime => t * t.ln_1p(),
        };
        bets.push((numerator / (horizon * variance)).sqrt());
        let w = weights.map_or(1.0, |w| w[index]);
        sum += w * x;
        weight_sum += w;
        let mean = sum / weight_sum;
        squares += w * w * (x - mean) * (x - mean);
        variance = squares / (t + 1.0);
    }
    bets
}

/// max over t of ln K_t(m).
fn max_log_capital(values: &[f64], weights: Option<&[f64]>, bets: &[f64], m: f64) -> f64 {
    let cap = 0.5 / m;
    let (mut log, mut max) = (0.0_f64, 0.0_f64);
    for (index, (&x, &bet)) in values.iter().zip(bets).enumerate() {
        let w = weights.map_or(1.0, |w| w[index]);
        log += (bet.min(cap) * w * (x - m)).ln_1p();
        max = max.max(log);
    }
    max
}

/// Largest p in [0, 1] for which `rejected` holds, given that it holds up to a point and not after.
fn bisect(rejected: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    // 53 halvings reach the spacing of floats in [0, 1]; the lower end is the safe one.
    for _ in 0..53 {
        let middle = low.midpoint(high);
        if rejected(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

fn kl_bernoulli(p: f64, q: f64) -> f64 {
    let term = |a: f64, b: f64| if a == 0.0 { 0.0 } else { a * (a / b).ln() };
    term(p, q) + term(1.0 - p, 1.0 - q)
}

fn is_level(alpha: f64) -> bool {
    alpha > 0.0 && alpha < 1.0
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: Option<f64>, expect: f64) {
        let got = got.unwrap_or(f64::NAN);
        assert!((got - expect).abs() < 1e-6, "got {got}, expected {expect}");
    }

    /// The fixed series of the outside reference values.
    fn series(name: &str) -> Vec<f64> {
        let phi = 0.618_033_988_749_894_9_f64;
        let fraction = |i: u32| (f64::from(i) * phi).fract();
        match name {
            "A" => (0..100)
                .map(|i| f64::from(u8::from((37 * i) % 100 < 90)))
                .collect(),
            "B" => (1..=200).map(fraction).collect(),
            "C" => (0..1000)
                .map(|i| f64::from(u8::from((377 * i) % 1000 < 985)))
                .collect(),
            "D" => (1..=500).map(|i| 0.05 + 0.1 * fraction(i)).collect(),
            _ => vec![1.0; 60],
        }
    }

    #[test]
    fn the_hoeffding_bentkus_bound_inverts_its_p_value() {
        for (mean, n) in [(1.0, 59), (0.99, 100), (0.9, 60), (0.5, 2000)] {
            let low = hoeffding_bentkus_lower(mean, n, 0.05).expect("valid");
            let p = |line: f64| hoeffding_bentkus_p(1.0 - mean, n, 1.0 - line).expect("valid");
            assert!(p(low) <= 0.05 && p(low + 1e-6) > 0.05, "{mean} {n} {low}");
        }
        // Without a loss it is the exact binomial bound: 0.95^59 is the first power below 0.05.
        let low = |n| hoeffding_bentkus_lower(1.0, n, 0.05).expect("valid");
        assert!(low(58) < 0.95 && low(59) > 0.95);
        assert_eq!(hoeffding_bentkus_lower(0.0, 10, 0.05), Some(0.0));
        assert_eq!(hoeffding_bentkus_lower(1.1, 10, 0.05), None);
        assert_eq!(hoeffding_bentkus_lower(0.5, 0, 0.05), None);
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table of reference values")]
    fn bounds_equal_the_outside_reference() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/vectors/bounds.json"
        );
        let Ok(text) = std::fs::read_to_string(path) else {
            eprintln!("skipped: the outside reference values are not here");
            return;
        };
        let reference: serde_json::Value = serde_json::from_str(&text).expect("valid JSON");
        let mut checked = 0;
        for name in ["A", "B", "C", "D", "E"] {
            let expect = &reference["series"][name];
            let x = series(name);
            let n = x.len() as u64;
            let mean = x.iter().sum::<f64>() / count(n);
            let variance = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count(n) - 1.0);
            close(Some(mean), expect["mean"].as_f64().expect("mean"));
            let mut check = |key: &str, got: Option<f64>| {
                if let Some(value) = expect[key].as_f64() {
                    close(got, value);
                    checked += 1;
                }
            };
            check("hoeffding_lower", hoeffding_lower(mean, n, 0.05));
            check(
                "maurer_pontil_lower",
                maurer_pontil_lower(mean, variance, n, 0.05),
            );
            check(
                "betting_interval_lower",
                betting_lower(&x, None, 0.05, Looks::Once),
            );
            check(
                "betting_interval_upper",
                betting_upper(&x, None, 0.05, Looks::Once),
            );
            check(
                "betting_sequence_lower_after_n",
                betting_lower(&x, None, 0.05, Looks::Anytime),
            );
            if x.iter()
                .all(|v| *v == 0.0 || (*v - 1.0).abs() < f64::EPSILON)
            {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0/1"
                )]
                let k = x.iter().sum::<f64>() as u64;
                check("clopper_pearson_lower", clopper_pearson_lower(k, n, 0.05));
                let two = &expect["clopper_pearson_two_sided"];
                close(
                    clopper_pearson_lower(k, n, 0.025),
                    two[0].as_f64().expect("low"),
                );
                close(
                    clopper_pearson_upper(k, n, 0.025),
                    two[1].as_f64().expect("high"),
                );
                let (low, high) = wilson(k, n, 0.95).expect("interval");
                let two = &expect["wilson_two_sided"];
                close(Some(low), two[0].as_f64().expect("low"));
                close(Some(high), two[1].as_f64().expect("high"));
                checked += 4;
            }
            let two = &expect["maurer_pontil_two_sided"];
            close(
                maurer_pontil_lower(mean, variance, n, 0.025),
                two[0].as_f64().expect("low"),
            );
            close(
                maurer_pontil_upper(mean, variance, n, 0.025),
                two[1].as_f64().expect("high"),
            );
            checked += 3;
        }
        for (key, expect) in [
            ("v=100,a=.05,rho=10", (100.0, 10.0)),
            ("v=1000,a=.05,rho=50", (1000.0, 50.0)),
        ] {
            close(
                normal_mixture_boundary(expect.0, expect.1, 0.05),
                reference["normal_mixture_boundary"][key]
                    .as_f64()
                    .expect("boundary"),
            );
            checked += 1;
        }
        for (key, value) in reference["hoeffding_bentkus_p"]
            .as_object()
            .expect("object")
        {
            let number = |name: &str| -> f64 {
                let part = key
                    .split(',')
                    .find_map(|p| p.strip_prefix(name))
                    .expect("part");
                part.parse().expect("number")
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "small n"
            )]
            let n = number("n=") as u64;
            close(
                hoeffding_bentkus_p(number("rhat="), n, number("alpha=")),
                value.as_f64().expect("p"),
            );
            checked += 1;
        }
        // Five series of mean, Hoeffding, Maurer–Pontil (3) and betting (3), three binary ones of
        // Clopper–Pearson (3) and Wilson (2), two boundaries, four p-values. The `confseq.*` values
        // are other methods (two-sided, hedged, on a grid of 1e-4) and are not ours.
        assert_eq!(checked, 5 * 8 + 3 * 5 + 2 + 4);
    }

    /// ROBUSTNESS.md O09.
    #[test]
    fn o09_least_n_without_failures() {
        for (quality, n) in [(0.90, 29), (0.95, 59), (0.98, 149), (0.99, 299)] {
            assert_eq!(least_n(quality, 0.05), Some(n));
            assert!(clopper_pearson_lower(n, n, 0.05).expect("bound") >= quality);
            assert!(clopper_pearson_lower(n - 1, n - 1, 0.05).expect("bound") < quality);
        }
    }

    #[test]
    fn no_data_gives_no_bound() {
        assert_eq!(clopper_pearson_lower(0, 0, 0.05), None);
        assert_eq!(clopper_pearson_lower(2, 1, 0.05), None);
        assert_eq!(betting_lower(&[], None, 0.05, Looks::Once), None);
        assert_eq!(betting_lower(&[1.5], None, 0.05, Looks::Once), None);
        assert_eq!(betting_lower(&[f64::NAN], None, 0.05, Looks::Once), None);
        assert_eq!(maurer_pontil_lower(0.5, 0.1, 1, 0.05), None);
    }

    #[test]
    fn equal_weights_change_nothing_and_p_agrees_with_the_bound() {
        let x = series("B");
        let ones = vec![1.0; x.len()];
        let plain = betting_lower(&x, None, 0.05, Looks::Once).expect("bound");
        let weighted = betting_lower(&x, Some(&ones), 0.05, Looks::Once).expect("bound");
        assert!((plain - weighted).abs() < 1e-12);
        let upper = betting_upper(&x, None, 0.05, Looks::Once).expect("bound");
        let p = betting_p_below(&x, None, upper, 0.05).expect("p");
        assert!((p - 0.05).abs() < 1e-6, "{p}");
    }
}

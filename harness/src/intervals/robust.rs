//! Cluster-robust normal intervals of ratios of sums, and how far to trust them.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::evaluation::Interval;

/// A ratio with its cluster-robust standard error.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Robust {
    /// R = Σ a / Σ b.
    pub point: f64,
    /// √(G/(G−1) Σ_g (a_g − R b_g)²) / |Σ b|.
    pub standard_error: f64,
    /// G, the number of clusters.
    pub clusters: usize,
    /// (Σ ψ²)²/Σ ψ⁴ of ψ_g = a_g − R b_g: how many clusters the standard error rests on. It is G
    /// over the kurtosis of ψ: near G/3 for normal ones, npq/(1 − 3pq) for 0/1 outcomes, and 1 when
    /// one cluster carries all. Below [`CONTRIBUTIONS_MIN`](super::CONTRIBUTIONS_MIN) neither a t
    /// interval nor the bootstrap covers.
    pub contributions: f64,
}

impl Robust {
    /// R = Σ a / Σ b from per-cluster sums (a_g, b_g), linearised.
    ///
    /// A mean has b = rows per cluster; self-normalised importance weighting a = Σ w r, b = Σ w;
    /// the cost ratio of two policies a = Σ C_π, b = Σ C_b, and savings are 1 − R.
    ///
    /// Assumes independent clusters and enough of them that R is nearly linear in the sums. Liang
    /// & Zeger (1986), doi:10.1093/biomet/73.1.13; small-sample factor G/(G − 1) as in Cameron &
    /// Miller (2015), doi:10.3368/jhr.50.2.317, §VI.
    ///
    /// `None` with fewer than two clusters, a denominator of 0 or numbers that are not finite.
    #[must_use]
    pub fn ratio(clusters: &[(f64, f64)]) -> Option<Self> {
        let groups = clusters.len();
        let (a, b) = clusters
            .iter()
            .fold((0.0, 0.0), |(a, b), (x, y)| (a + x, b + y));
        let point = a / b;
        if groups < 2 || !point.is_finite() {
            return None;
        }
        let (mut squares, mut fourths) = (0.0, 0.0);
        for (x, y) in clusters {
            let square = (x - point * y).powi(2);
            squares += square;
            fourths += square * square;
        }
        let g = count(groups);
        Some(Self {
            point,
            standard_error: (g / (g - 1.0) * squares).sqrt() / b.abs(),
            clusters: groups,
            contributions: if fourths > 0.0 {
                squares * squares / fourths
            } else {
                0.0
            },
        })
    }

    /// The mean of `values`, rows of one cluster summed.
    #[must_use]
    pub fn mean(values: &[f64], clusters: Option<&crate::judge::Clusters>) -> Option<Self> {
        match clusters {
            None => Self::ratio(&values.iter().map(|x| (*x, 1.0)).collect::<Vec<_>>()),
            Some(clusters) => Self::ratio(&sums(clusters, |i| (values[i], 1.0))),
        }
    }

    /// R ± t_{G−1} · standard error, two-sided.
    #[must_use]
    pub fn interval(&self, confidence: f64) -> Option<Interval> {
        let half = self.quantile(f64::midpoint(1.0, confidence))? * self.standard_error;
        Some(Interval {
            point: self.point,
            low: self.point - half,
            high: self.point + half,
        })
    }

    /// One-sided lower bound at level `alpha`: R − t_{G−1,1−α} · standard error.
    #[must_use]
    pub fn lower(&self, alpha: f64) -> Option<f64> {
        Some(self.point - self.quantile(1.0 - alpha)? * self.standard_error)
    }

    fn quantile(&self, share: f64) -> Option<f64> {
        if !(0.0..1.0).contains(&share) {
            return None;
        }
        let t = StudentsT::new(0.0, 1.0, count(self.clusters) - 1.0).ok()?;
        Some(t.inverse_cdf(share))
    }
}

/// Sums of two columns per cluster.
pub(super) fn sums(
    clusters: &crate::judge::Clusters,
    row: impl Fn(usize) -> (f64, f64),
) -> Vec<(f64, f64)> {
    let mut sums = vec![(0.0, 0.0); clusters.count];
    for (i, &cluster) in clusters.of.iter().enumerate() {
        let (a, b) = row(i);
        sums[cluster].0 += a;
        sums[cluster].1 += b;
    }
    sums
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Clusters;

    #[test]
    fn a_mean_is_students_interval() {
        // x = 1..10: mean 5.5, standard deviation 3.0276504, t_{9,.975} = 2.2621572.
        let x: Vec<f64> = (1..=10).map(f64::from).collect();
        let robust = Robust::mean(&x, None).expect("ten rows");
        assert!((robust.standard_error - 3.027_650_354_097_491_7 / 10.0_f64.sqrt()).abs() < 1e-12);
        let interval = robust.interval(0.95).expect("interval");
        assert!((interval.low - 3.334_148_5).abs() < 1e-6, "{interval:?}");
        assert!((interval.high - 7.665_851_5).abs() < 1e-6, "{interval:?}");
        let low = robust.lower(0.025).expect("bound");
        assert!((low - interval.low).abs() < 1e-9);
    }

    #[test]
    fn repeated_rows_change_nothing_once_clustered() {
        let x: Vec<f64> = (0..40).map(|i| f64::from((i * 7) % 13)).collect();
        let plain = Robust::mean(&x, None).expect("rows");
        let ten: Vec<f64> = (0..400).map(|i| x[i / 10]).collect();
        let clusters = Clusters {
            of: (0..400).map(|i| i / 10).collect(),
            count: 40,
        };
        let repeated = Robust::mean(&ten, Some(&clusters)).expect("rows");
        assert!((plain.standard_error - repeated.standard_error).abs() < 1e-12);
        assert!((plain.contributions - repeated.contributions).abs() < 1e-9);
        let naive = Robust::mean(&ten, None).expect("rows");
        assert!(naive.standard_error < 0.4 * plain.standard_error);
    }

    #[test]
    fn contributions_count_what_matters() {
        // npq/(1 − 3pq) of 0/1 outcomes.
        let x: Vec<f64> = (0..200).map(|i| f64::from(u8::from(i >= 10))).collect();
        let pq = 0.95 * 0.05;
        let got = Robust::mean(&x, None).expect("rows").contributions;
        assert!((got - 200.0 * pq / (1.0 - 3.0 * pq)).abs() < 1e-9, "{got}");
        let mut one = vec![0.0; 1000];
        one[3] = 1.0;
        assert!(Robust::mean(&one, None).expect("rows").contributions < 1.01);
        assert!(
            Robust::mean(&[1.0; 50], None)
                .expect("rows")
                .contributions
                .abs()
                < 1e-9
        );
    }

    #[test]
    fn degenerate_sums_give_none() {
        assert_eq!(Robust::ratio(&[]), None);
        assert_eq!(Robust::ratio(&[(1.0, 1.0)]), None);
        assert_eq!(Robust::ratio(&[(1.0, 0.0), (2.0, 0.0)]), None);
        let fine = Robust::ratio(&[(1.0, 1.0), (2.0, 1.0)]).expect("two");
        assert_eq!(fine.interval(1.0), None);
    }
}

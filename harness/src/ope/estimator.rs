//! The estimators, each as one row's terms.

use std::fmt;
use std::ops::AddAssign;

use super::{LoggedRow, OpeError};

/// A setting λ, τ or clip in [0, ∞]; ∞ switches the correction off.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Setting(f64);

impl Setting {
    /// No correction at all.
    pub const INFINITE: Self = Self(f64::INFINITY);

    /// The value.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

/// An estimator of the target policy's value V(π) = E_x Σ_a π(a|x) E\[r|x, a\] from logged rows.
///
/// All are one idea: V̂ = mean(direct) + Σ numerator / Σ denominator over rows, with the
/// [`Terms`] of [`terms`](Self::terms). Symbols as in [`LoggedRow`]: w, r, q̂ = q̂(x, a), and
/// d = Σ_b π(b|x) q̂(x, b).
///
/// Unbiased when propensities are right and every arm that the target takes could have been
/// logged; the exceptions are named. Estimators with a [`Setting`] buy variance with bias.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Estimator {
    /// Rejection replay: mean of r over rows whose logged arm is the target's. Unbiased for a
    /// uniform logging policy only. Li, Chu, Langford & Wang (2011), doi:10.1145/1935826.1935878.
    Replay,
    /// Inverse propensity scoring, mean(w r). Horvitz & Thompson (1952),
    /// doi:10.1080/01621459.1952.10483446; Precup, Sutton & Singh (2000).
    Ips,
    /// mean(min(w, max) r): biased towards 0. Strehl, Langford, Li & Kakade (2010),
    /// arXiv:1003.0120.
    ClippedIps {
        /// Largest weight.
        max: Setting,
    },
    /// Self-normalised: Σ w r / Σ w. Consistent, invariant to shifts of r. Swaminathan & Joachims
    /// (2015), NeurIPS 28, "The self-normalized estimator for counterfactual learning".
    Snips,
    /// The direct method, mean(d): as good as the predictor. Beygelzimer & Langford (2009),
    /// arXiv:0812.4044.
    Dm,
    /// Doubly robust, mean(d + w (r − q̂)): unbiased when either propensities or predictor are
    /// right. Dudík, Erhan, Langford & Li (2014), doi:10.1214/14-STS500.
    Dr,
    /// Doubly robust with min(w, max): Su, Dimakopoulou, Krishnamurthy & Dudík (2020),
    /// arXiv:1907.09623, "pessimistic" shrinkage.
    ClippedDr {
        /// Largest weight.
        max: Setting,
    },
    /// Self-normalised doubly robust, mean(d) + Σ w (r − q̂) / Σ w. Thomas & Brunskill (2016),
    /// arXiv:1604.00923.
    Sndr,
    /// Doubly robust where w ≤ τ, the direct method elsewhere. Wang, Agarwal & Dudík (2017),
    /// arXiv:1612.01205.
    SwitchDr {
        /// Largest weight that is used.
        tau: Setting,
    },
    /// Doubly robust with optimistic shrinkage, ŵ = λ w / (w² + λ). Su, Dimakopoulou,
    /// Krishnamurthy & Dudík (2020), arXiv:1907.09623.
    Dros {
        /// ∞ is doubly robust, 0 the direct method.
        lambda: Setting,
    },
    /// mean(ŵ r) with sub-Gaussian weights ŵ = w / (1 − λ + λ w), λ in [0, 1]; ŵ = 0 where w = 0.
    /// Metelli, Russo & Restelli (2021), NeurIPS 34.
    SubGaussianIps {
        /// 0 is IPS.
        lambda: Setting,
    },
    /// Doubly robust with sub-Gaussian weights.
    SubGaussianDr {
        /// 0 is doubly robust.
        lambda: Setting,
    },
}

/// What one row adds to an estimate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Terms {
    /// Term of the mean.
    pub direct: f64,
    /// Term of the ratio's numerator; 0 where there is no ratio.
    pub numerator: f64,
    /// Term of the ratio's denominator; 0 where there is no ratio.
    pub denominator: f64,
}

/// Sums of [`Terms`]: of a cluster, of a resample, of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// Number of rows, or their total weight in a resample.
    pub rows: f64,
    /// Σ direct.
    pub direct: f64,
    /// Σ numerator.
    pub numerator: f64,
    /// Σ denominator.
    pub denominator: f64,
}

impl AddAssign<Terms> for Sums {
    fn add_assign(&mut self, terms: Terms) {
        self.rows += 1.0;
        self.direct += terms.direct;
        self.numerator += terms.numerator;
        self.denominator += terms.denominator;
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.direct += other.direct;
        self.numerator += other.numerator;
        self.denominator += other.denominator;
    }
}

impl Estimator {
    /// One row's terms.
    #[inline]
    #[must_use]
    pub fn terms(self, row: &LoggedRow) -> Terms {
        let weight = row.weight();
        match self {
            Self::Replay => {
                let matched = f64::from(u8::from(row.matched()));
                Terms::ratio(0.0, matched * row.outcome(), matched)
            }
            Self::Snips => Terms::ratio(0.0, weight * row.outcome(), weight),
            Self::Sndr => Terms::ratio(row.predicted_target(), weight * row.residual(), weight),
            Self::Ips | Self::ClippedIps { .. } | Self::SubGaussianIps { .. } => {
                Terms::mean(self.weight(weight) * row.outcome())
            }
            Self::Dm => Terms::mean(row.predicted_target()),
            Self::Dr
            | Self::ClippedDr { .. }
            | Self::SwitchDr { .. }
            | Self::Dros { .. }
            | Self::SubGaussianDr { .. } => {
                Terms::mean(row.predicted_target() + self.weight(weight) * row.residual())
            }
        }
    }

    /// The weight ŵ that the estimator puts in place of w.
    #[inline]
    #[must_use]
    pub fn weight(self, w: f64) -> f64 {
        match self {
            Self::Dm => 0.0,
            Self::Replay | Self::Ips | Self::Snips | Self::Dr | Self::Sndr => w,
            Self::ClippedIps { max } | Self::ClippedDr { max } => w.min(max.get()),
            Self::SwitchDr { tau } => {
                if w <= tau.get() {
                    w
                } else {
                    0.0
                }
            }
            Self::Dros { lambda } => shrunk(w, lambda.get()),
            Self::SubGaussianIps { lambda } | Self::SubGaussianDr { lambda } => {
                sub_gaussian(w, lambda.get())
            }
        }
    }

    /// The estimate from sums: `None` without rows, or where a ratio has nothing below its line.
    #[must_use]
    pub fn value(self, sums: &Sums) -> Option<f64> {
        if sums.rows <= 0.0 {
            return None;
        }
        let mean = sums.direct / sums.rows;
        let value = if self.is_ratio() {
            if sums.denominator <= 0.0 {
                return None;
            }
            mean + sums.numerator / sums.denominator
        } else {
            mean
        };
        value.is_finite().then_some(value)
    }

    /// Whether the estimate has a ratio of sums in it.
    #[must_use]
    pub const fn is_ratio(self) -> bool {
        matches!(self, Self::Replay | Self::Snips | Self::Sndr)
    }

    /// Whether predictions take part.
    #[must_use]
    pub const fn uses_predictions(self) -> bool {
        !matches!(
            self,
            Self::Replay
                | Self::Ips
                | Self::ClippedIps { .. }
                | Self::Snips
                | Self::SubGaussianIps { .. }
        )
    }

    /// The field's name, without the setting.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Replay => "Replay",
            Self::Ips => "IPS",
            Self::ClippedIps { .. } => "clipped IPS",
            Self::Snips => "SNIPS",
            Self::Dm => "DM",
            Self::Dr => "DR",
            Self::ClippedDr { .. } => "clipped DR",
            Self::Sndr => "SNDR",
            Self::SwitchDr { .. } => "Switch-DR",
            Self::Dros { .. } => "DRos",
            Self::SubGaussianIps { .. } => "sub-Gaussian IPS",
            Self::SubGaussianDr { .. } => "sub-Gaussian DR",
        }
    }

    /// The symbol of the setting and its value, if there is one.
    #[must_use]
    pub const fn setting(self) -> Option<(&'static str, f64)> {
        match self {
            Self::ClippedIps { max } | Self::ClippedDr { max } => Some(("max", max.get())),
            Self::SwitchDr { tau } => Some(("τ", tau.get())),
            Self::Dros { lambda }
            | Self::SubGaussianIps { lambda }
            | Self::SubGaussianDr { lambda } => Some(("λ", lambda.get())),
            _ => None,
        }
    }
}

/// `DRos (λ = 5)`.
impl fmt::Display for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.setting() {
            None => f.write_str(self.name()),
            Some((symbol, value)) if value.is_infinite() => {
                write!(f, "{} ({symbol} = ∞)", self.name())
            }
            Some((symbol, value)) => write!(f, "{} ({symbol} = {value})", self.name()),
        }
    }
}

/// A family of estimators that differ in one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// [`Estimator::ClippedIps`].
    ClippedIps,
    /// [`Estimator::ClippedDr`].
    ClippedDr,
    /// [`Estimator::SwitchDr`].
    SwitchDr,
    /// [`Estimator::Dros`].
    Dros,
    /// [`Estimator::SubGaussianIps`].
    SubGaussianIps,
    /// [`Estimator::SubGaussianDr`].
    SubGaussianDr,
}

impl Family {
    /// All families.
    pub const ALL: [Self; 6] = [
        Self::ClippedIps,
        Self::ClippedDr,
        Self::SwitchDr,
        Self::Dros,
        Self::SubGaussianIps,
        Self::SubGaussianDr,
    ];

    /// The member with this setting.
    ///
    /// # Errors
    /// For NaN, below 0, and above 1 for the sub-Gaussian ones.
    pub fn at(self, setting: f64) -> Result<Estimator, OpeError> {
        let allowed = if self.is_sub_gaussian() {
            (0.0..=1.0).contains(&setting)
        } else {
            setting >= 0.0
        };
        if !allowed {
            return Err(OpeError::Setting {
                family: self.member(Setting::INFINITE).name(),
                got: setting,
                allowed: if self.is_sub_gaussian() {
                    "[0, 1]"
                } else {
                    "[0, ∞]"
                },
            });
        }
        Ok(self.member(Setting(setting)))
    }

    /// The member without correction: IPS or DR.
    #[must_use]
    pub const fn uncorrected(self) -> Estimator {
        self.member(if self.is_sub_gaussian() {
            Setting(0.0)
        } else {
            Setting::INFINITE
        })
    }

    /// Settings to choose from where the caller has no opinion: the grid of Open Bandit Pipeline's
    /// examples for λ and τ, widened, and multiples of 0.1 for the sub-Gaussian ones.
    #[must_use]
    pub const fn grid(self) -> &'static [f64] {
        if self.is_sub_gaussian() {
            &[0.0, 0.01, 0.05, 0.1, 0.2, 0.5, 1.0]
        } else {
            &[
                1.0,
                2.0,
                5.0,
                10.0,
                20.0,
                50.0,
                100.0,
                500.0,
                1000.0,
                5000.0,
                f64::INFINITY,
            ]
        }
    }

    pub(super) const fn is_sub_gaussian(self) -> bool {
        matches!(self, Self::SubGaussianIps | Self::SubGaussianDr)
    }

    const fn member(self, setting: Setting) -> Estimator {
        match self {
            Self::ClippedIps => Estimator::ClippedIps { max: setting },
            Self::ClippedDr => Estimator::ClippedDr { max: setting },
            Self::SwitchDr => Estimator::SwitchDr { tau: setting },
            Self::Dros => Estimator::Dros { lambda: setting },
            Self::SubGaussianIps => Estimator::SubGaussianIps { lambda: setting },
            Self::SubGaussianDr => Estimator::SubGaussianDr { lambda: setting },
        }
    }
}

impl Terms {
    const fn mean(direct: f64) -> Self {
        Self {
            direct,
            numerator: 0.0,
            denominator: 0.0,
        }
    }

    const fn ratio(direct: f64, numerator: f64, denominator: f64) -> Self {
        Self {
            direct,
            numerator,
            denominator,
        }
    }
}

fn shrunk(w: f64, lambda: f64) -> f64 {
    if lambda == f64::INFINITY {
        w
    } else if lambda == 0.0 {
        0.0
    } else {
        lambda * w / (w * w + lambda)
    }
}

fn sub_gaussian(w: f64, lambda: f64) -> f64 {
    if w == 0.0 {
        // At λ = 1 the formula is 0/0 here, which gave others a NaN for the whole log.
        0.0
    } else {
        w / (1.0 - lambda + lambda * w)
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "results are exact")]
mod tests {
    use super::*;

    #[test]
    fn limits_of_the_families_are_their_parents() {
        let row = LoggedRow::new(3.0, 0.5)
            .unwrap()
            .predicted(0.25, 0.4)
            .unwrap();
        for family in Family::ALL {
            let none = family.uncorrected();
            let parent = if none.uses_predictions() {
                Estimator::Dr
            } else {
                Estimator::Ips
            };
            assert_eq!(none.terms(&row), parent.terms(&row), "{none}");
        }
        for family in [Family::ClippedDr, Family::SwitchDr, Family::Dros] {
            let all = family.at(0.0).unwrap();
            assert_eq!(all.terms(&row), Estimator::Dm.terms(&row), "{all}");
        }
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for family in Family::ALL {
            assert_eq!(family.at(f64::NAN).unwrap_err().code(), "P0341");
            assert_eq!(family.at(-1.0).unwrap_err().code(), "P0341");
            for &setting in family.grid() {
                assert!(family.at(setting).is_ok());
            }
        }
        assert!(Family::SubGaussianIps.at(1.5).is_err());
    }

    #[test]
    fn a_weight_of_zero_is_no_nan() {
        let row = LoggedRow::new(0.0, 1.0).unwrap();
        for family in Family::ALL {
            for &setting in family.grid() {
                let terms = family.at(setting).unwrap().terms(&row);
                assert_eq!(terms.direct, 0.0, "{family:?} {setting}");
            }
        }
    }

    #[test]
    fn nothing_is_none() {
        assert_eq!(Estimator::Ips.value(&Sums::default()), None);
        let mut sums = Sums::default();
        sums += Estimator::Snips.terms(&LoggedRow::new(0.0, 1.0).unwrap());
        assert_eq!(Estimator::Snips.value(&sums), None);
        assert_eq!(Estimator::Ips.value(&sums), Some(0.0));
    }

    #[test]
    fn names_carry_their_setting() {
        assert_eq!(Family::Dros.at(5.0).unwrap().to_string(), "DRos (λ = 5)");
        assert_eq!(
            Family::SwitchDr.uncorrected().to_string(),
            "Switch-DR (τ = ∞)"
        );
        assert_eq!(Estimator::Snips.to_string(), "SNIPS");
    }
}

//! Money: exact integers of pico-dollars, rounded only when a person reads them.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Pico-dollars in one US dollar.
pub const PICO_PER_USD: i128 = 1_000_000_000_000;

/// An amount of money: an exact number of pico-dollars (10⁻¹² USD).
///
/// Sums of any length are exact, so that the parts of a bill always equal its total.
///
/// ```
/// use plimsoll::Usd;
/// let call: Usd = "0.00000015".parse()?;
/// let total: Usd = std::iter::repeat_n(call, 10_000_000).sum();
/// assert_eq!(total, "1.5".parse()?);
/// # Ok::<(), plimsoll::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i128);

/// The price of one token: an exact number of pico-dollars per token.
///
/// Written and read as US dollars per million tokens with at most six decimal places.
///
/// ```
/// use plimsoll::{Price, Usd};
/// let price: Price = "0.15".parse()?;
/// assert_eq!(price.pico_per_token(), 150_000);
/// assert_eq!(price.of(1_000_000), "0.15".parse::<Usd>()?);
/// # Ok::<(), plimsoll::MoneyError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Price(u64);

/// Why a text or a float is not an amount of money.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MoneyError {
    /// The text is not a decimal number.
    #[error("`{got}` is not a decimal number of US dollars")]
    NotDecimal {
        /// The text as given.
        got: String,
    },
    /// Digits below the smallest unit would be lost.
    #[error("`{got}` has more than {places_max} decimal places, so it cannot be kept exactly")]
    TooPrecise {
        /// The text as given.
        got: String,
        /// The most decimal places that can be kept.
        places_max: u32,
    },
    /// The amount does not fit.
    #[error("`{got}` is too large for an amount of money")]
    TooLarge {
        /// The text as given.
        got: String,
    },
    /// A price below zero.
    #[error("a price cannot be negative, got `{got}`")]
    NegativePrice {
        /// The text as given.
        got: String,
    },
}

impl Usd {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// The amount of `pico` pico-dollars.
    #[must_use]
    pub const fn from_pico(pico: i128) -> Self {
        Self(pico)
    }

    /// The exact number of pico-dollars.
    #[must_use]
    pub const fn pico(self) -> i128 {
        self.0
    }

    /// The nearest amount to `dollars`, read through its shortest decimal form.
    ///
    /// Digits below a pico-dollar are rounded half to even; `None` for NaN, infinities and
    /// amounts beyond ±10²⁰ USD.
    #[must_use]
    pub fn from_f64(dollars: f64) -> Option<Self> {
        if !dollars.is_finite() || dollars.abs() > 1e20 {
            return None;
        }
        let text = format!("{dollars:e}");
        parse_decimal(&text, 12, true).ok().map(Self)
    }

    /// The amount in dollars as a float: for statistics and display, never for a ledger.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "the caller asks for the nearest float"
    )]
    pub fn as_f64(self) -> f64 {
        // Splitting keeps the whole dollars exact before the fraction is added.
        let whole = self.0 / PICO_PER_USD;
        let part = self.0 % PICO_PER_USD;
        whole as f64 + part as f64 / PICO_PER_USD as f64
    }

    /// The sum, or `None` when it does not fit.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }
}

impl Price {
    /// The price of `pico` pico-dollars per token.
    #[must_use]
    pub const fn from_pico_per_token(pico: u64) -> Self {
        Self(pico)
    }

    /// The exact number of pico-dollars per token.
    #[must_use]
    pub const fn pico_per_token(self) -> u64 {
        self.0
    }

    /// What `tokens` tokens cost, exactly; beyond the largest amount there is, that amount.
    #[must_use]
    pub fn of(self, tokens: u64) -> Usd {
        Usd(i128::from(self.0).saturating_mul(i128::from(tokens)))
    }
}

impl FromStr for Usd {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        parse_decimal(text, 12, false).map(Self)
    }
}

impl FromStr for Price {
    type Err = MoneyError;

    /// Reads US dollars per million tokens.
    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let pico = parse_decimal(text, 6, false)?;
        if pico < 0 {
            return Err(MoneyError::NegativePrice {
                got: text.to_owned(),
            });
        }
        u64::try_from(pico)
            .map(Self)
            .map_err(|_| MoneyError::TooLarge {
                got: text.to_owned(),
            })
    }
}

/// Reads `[-+]digits[.digits][e[-+]digits]` as an integer of `10^-places` units.
fn parse_decimal(text: &str, places: u32, round: bool) -> Result<i128, MoneyError> {
    let not_decimal = || MoneyError::NotDecimal {
        got: text.to_owned(),
    };
    let too_large = || MoneyError::TooLarge {
        got: text.to_owned(),
    };
    let trimmed = text.trim();
    let (mantissa, exponent) = match trimmed.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            exponent.parse::<i32>().map_err(|_| not_decimal())?,
        ),
        None => (trimmed, 0),
    };
    let (negative, digits) = match mantissa.as_bytes().first() {
        Some(b'-') => (true, &mantissa[1..]),
        Some(b'+') => (false, &mantissa[1..]),
        _ => (false, mantissa),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err(not_decimal());
    }
    let mut value: i128 = 0;
    for byte in whole.bytes().chain(fraction.bytes()) {
        if !byte.is_ascii_digit() {
            return Err(not_decimal());
        }
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_add(i128::from(byte - b'0')))
            .ok_or_else(too_large)?;
    }
    let fraction_len = i64::try_from(fraction.len()).map_err(|_| too_large())?;
    let shift = i64::from(places) + i64::from(exponent) - fraction_len;
    let scaled = if value == 0 {
        0
    } else if shift >= 0 {
        let factor = u32::try_from(shift)
            .ok()
            .and_then(|s| 10_i128.checked_pow(s));
        factor
            .and_then(|f| value.checked_mul(f))
            .ok_or_else(too_large)?
    } else {
        let divisor = u32::try_from(-shift)
            .ok()
            .and_then(|s| 10_i128.checked_pow(s));
        match divisor {
            Some(d) if value % d == 0 => value / d,
            _ if !round => {
                return Err(MoneyError::TooPrecise {
                    got: text.to_owned(),
                    places_max: places,
                });
            }
            Some(d) => divide_half_even(value, d),
            // The divisor exceeds every i128, so the quotient rounds to nothing.
            None => 0,
        }
    };
    Ok(if negative { -scaled } else { scaled })
}

/// `value / divisor` for `value ≥ 0`, ties to the even neighbour.
fn divide_half_even(value: i128, divisor: i128) -> i128 {
    let (quotient, below) = (value / divisor, value % divisor);
    let above = divisor - below;
    let up = below > above || (below == above && quotient % 2 == 1);
    quotient + i128::from(up)
}

/// Writes an integer of `10^-places` units as a decimal without trailing zeros.
fn write_decimal(f: &mut fmt::Formatter<'_>, value: i128, places: usize) -> fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        write!(f, "{sign}{whole}")
    } else {
        write!(f, "{sign}{whole}.{fraction}")
    }
}

impl fmt::Display for Usd {
    /// The exact amount in dollars, without a currency sign.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, self.0, 12)
    }
}

impl fmt::Display for Price {
    /// The exact price in dollars per million tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_decimal(f, i128::from(self.0), 6)
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl Neg for Usd {
    type Output = Self;
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::ZERO, Add::add)
    }
}

macro_rules! serde_as_text {
    ($type:ty) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    };
}

serde_as_text!(Usd);
serde_as_text!(Price);

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, pico: i128) {
        assert_eq!(text.parse::<Usd>(), Ok(Usd(pico)), "{text}");
    }

    #[test]
    fn decimals_are_exact() {
        check("0", 0);
        check("1", PICO_PER_USD);
        check("-0.000000000001", -1);
        check("1.5e-7", 150_000);
        check("12.50", 12_500_000_000_000);
        assert_eq!(
            "0.15".parse::<Price>().map(Price::pico_per_token),
            Ok(150_000)
        );
        assert_eq!(Usd(150_000).to_string(), "0.00000015");
        assert_eq!(Usd(-12_500_000_000_000).to_string(), "-12.5");
        assert_eq!(Price(150_000).to_string(), "0.15");
    }

    #[test]
    fn bad_amounts_say_why() {
        for text in ["", "abc", "1.2.3", "--1", "1e", "NaN", "0x10"] {
            assert!(
                matches!(text.parse::<Usd>(), Err(MoneyError::NotDecimal { .. })),
                "{text}"
            );
        }
        assert!(matches!(
            "1e-13".parse::<Usd>(),
            Err(MoneyError::TooPrecise { .. })
        ));
        assert!(matches!(
            "1e40".parse::<Usd>(),
            Err(MoneyError::TooLarge { .. })
        ));
        assert!(matches!(
            "-1".parse::<Price>(),
            Err(MoneyError::NegativePrice { .. })
        ));
        assert!(matches!(
            "0.0000001".parse::<Price>(),
            Err(MoneyError::TooPrecise { .. })
        ));
    }

    #[test]
    fn floats_come_through_their_shortest_decimal() {
        assert_eq!(Usd::from_f64(1.5e-7), Some(Usd(150_000)));
        assert_eq!(Usd::from_f64(0.1), Some(Usd(100_000_000_000)));
        assert_eq!(Usd::from_f64(2.5e-12), Some(Usd(2)));
        assert_eq!(Usd::from_f64(3.5e-12), Some(Usd(4)));
        assert_eq!(Usd::from_f64(1e-300), Some(Usd(0)));
        assert_eq!(Usd::from_f64(f64::NAN), None);
        assert_eq!(Usd::from_f64(1e300), None);
    }

    /// ROBUSTNESS.md E14: ten million calls of 1.5e-7 USD are 1.5 USD, which floats miss.
    #[test]
    #[expect(
        clippy::float_cmp,
        reason = "the inexactness of floats is what is shown"
    )]
    fn a_float_ledger_is_wrong_and_ours_is_not() {
        let call = Usd(150_000);
        let exact: Usd = std::iter::repeat_n(call, 10_000_000).sum();
        assert_eq!(exact, Usd(1_500_000_000_000));
        let single: f32 = std::iter::repeat_n(1.5e-7_f32, 10_000_000).sum();
        let double: f64 = std::iter::repeat_n(1.5e-7_f64, 10_000_000).sum();
        assert!((single - 1.5).abs() > 0.01);
        assert!(double != 1.5);
    }
}

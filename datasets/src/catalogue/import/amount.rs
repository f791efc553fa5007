//! US dollars per token as other catalogues write them, kept to the last digit.

use plimsoll::{MoneyError, Price, Usd};

/// A price as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Amount {
    pub(super) usd: Usd,
    /// Whether digits below a pico-dollar were noise of a binary float and left out.
    pub(super) is_rounded: bool,
}

/// Most by which noise changes a value: 2⁻⁵² from rounding, a few times over.
const NOISE_MAX: f64 = 1e-14;

impl Amount {
    /// Reads a decimal number of US dollars.
    ///
    /// A number such as 1.5000020000000002e-05 is what arithmetic in binary floats leaves of
    /// 0.00001500002; it is read as that. Any other number below a pico-dollar is refused.
    pub(super) fn read(digits: &str) -> Result<Self, String> {
        let is_negative = digits.trim_start().starts_with('-');
        if is_negative && digits.parse::<f64>().is_ok_and(|value| value < 0.0) {
            return Err(format!("{digits} is below 0"));
        }
        let exact = |usd| Self {
            usd,
            is_rounded: false,
        };
        let amount = match digits.parse::<Usd>() {
            Ok(usd) => exact(usd),
            Err(MoneyError::TooPrecise { .. }) => {
                let value: f64 = digits.parse().map_err(|_| not_a_number(digits))?;
                let usd = Usd::from_f64(value).ok_or_else(|| not_a_number(digits))?;
                let is_noise = (value - usd.as_f64()).abs() <= value.abs() * NOISE_MAX;
                // What is too small for a float is not 0 either.
                if !is_noise || usd == Usd::ZERO {
                    return Err(format!("{digits} is finer than a pico-dollar"));
                }
                Self {
                    usd,
                    is_rounded: true,
                }
            }
            Err(MoneyError::TooLarge { .. }) => return Err(format!("{digits} is too large")),
            Err(_) => return Err(not_a_number(digits)),
        };
        Ok(amount)
    }

    /// As a price per token.
    pub(super) fn price(self) -> Result<Price, String> {
        u64::try_from(self.usd.pico())
            .map(Price::from_pico_per_token)
            .map_err(|_| format!("{} US dollars per token is too large", self.usd))
    }
}

fn not_a_number(text: &str) -> String {
    format!(
        "`{}` is not a number",
        text.chars().take(40).collect::<String>()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(digits: &str, pico: i128, is_rounded: bool) {
        let usd = Usd::from_pico(pico);
        assert_eq!(
            Amount::read(digits),
            Ok(Amount { usd, is_rounded }),
            "{digits}"
        );
    }

    #[test]
    fn l20_amounts_keep_every_digit() {
        check("2.5e-07", 250_000, false);
        check("0.00000015", 150_000, false);
        check("1e-12", 1, false);
        check("0.123456789012", 123_456_789_012, false);
        check("0", 0, false);
        check("-0.0", 0, false);
    }

    #[test]
    fn l20_noise_of_floats_is_told_and_real_digits_are_refused() {
        check("1.5000020000000002e-05", 15_000_020, true);
        check("2.9999900000000002e-06", 2_999_990, true);
        for (digits, why) in [
            ("1e-13", "finer"),
            ("1e-400", "finer"),
            ("-1e-400", "finer"),
            ("2.5000005e-12", "finer"),
            ("0.0000000000005", "finer"),
            ("-1", "below 0"),
            ("-1e-13", "below 0"),
            ("1e400", "too large"),
            ("NaN", "not a number"),
            ("", "not a number"),
            ("0.1.2", "not a number"),
        ] {
            let error = Amount::read(digits).expect_err(digits);
            assert!(error.contains(why), "{digits}: {error}");
        }
    }
}

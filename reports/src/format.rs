//! Numbers as people read them: one place for digits, signs, separators and units.
//!
//! Rounding never turns "less" into "equal": digits grow until a value reads differently from
//! every landmark (0, 1, the quality line) it differs from. Separators do not depend on a locale:
//! U+202F groups thousands and stands before `%`, the decimal sign is a point.

use plimsoll_harness::Interval;

/// Narrow no-break space.
pub(crate) const THIN: char = '\u{202f}';
const MINUS: char = '\u{2212}';
const ABSENT: &str = "\u{2013}";

/// What a number measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// A share; shown in per cent.
    Percent,
    /// A quality in [0, 1]; shown as it is, like the line in the policy file.
    Quality,
    /// A difference of qualities; shown with its sign.
    Change,
    /// A ratio to be held against 1.
    Ratio,
    /// US dollars.
    Usd,
    /// A difference of US dollars; shown with its sign.
    UsdChange,
    /// A difference of shares; shown in per cent with its sign.
    PercentChange,
}

/// An interval in words: three texts with equally many digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) point: String,
    pub(crate) low: String,
    pub(crate) high: String,
}

impl Shown {
    /// `low to high`.
    pub(crate) fn range(&self) -> String {
        format!("{} to {}", self.low, self.high)
    }

    /// `point (low to high)`.
    pub(crate) fn full(&self) -> String {
        format!("{} ({} to {})", self.point, self.low, self.high)
    }
}

impl Unit {
    const fn scale(self) -> f64 {
        match self {
            Self::Percent | Self::PercentChange => 100.0,
            _ => 1.0,
        }
    }

    const fn signed(self) -> bool {
        matches!(self, Self::Change | Self::UsdChange | Self::PercentChange)
    }

    /// The values a number must not be rounded onto.
    const fn landmarks(self) -> &'static [f64] {
        match self {
            Self::Percent | Self::Quality | Self::Ratio => &[0.0, 1.0],
            _ => &[0.0],
        }
    }

    /// The fewest decimals that suit a value of this size, and the most that are ever shown.
    fn decimals(self, size: f64) -> (usize, usize) {
        match self {
            Self::Percent | Self::PercentChange => (1, 8),
            Self::Quality | Self::Change | Self::Ratio => (3, 8),
            Self::Usd | Self::UsdChange => (money_decimals(size), 12),
        }
    }

    fn decorate(self, digits: &str) -> String {
        let (sign, digits) = match digits.strip_prefix(MINUS) {
            Some(rest) => (String::from(MINUS), rest),
            None if self.signed() && digits.bytes().any(|b| (b'1'..=b'9').contains(&b)) => {
                (String::from("+"), digits)
            }
            None => (String::new(), digits),
        };
        match self {
            Self::Percent | Self::PercentChange => format!("{sign}{digits}{THIN}%"),
            Self::Usd | Self::UsdChange => format!("{sign}${digits}"),
            Self::Quality | Self::Change | Self::Ratio => format!("{sign}{digits}"),
        }
    }
}

/// Relative difference below which the ends of an interval are one number.
const NOISE: f64 = 1e-9;

/// A point with its interval; `lines` are further landmarks, for instance the quality line.
pub(crate) fn interval(interval: Interval, unit: Unit, lines: &[f64]) -> Shown {
    let Interval { point, low, high } = interval;
    let values = without_noise([point, low, high]);
    let largest = values
        .iter()
        .copied()
        .filter(|v| v.is_finite())
        .fold(0.0, |m, v| v.abs().max(m));
    let size = if point.is_finite() && point != 0.0 {
        point.abs()
    } else {
        largest
    };
    let (least, most) = unit.decimals(size);
    // Two digits of the interval's width: fewer hide it, more pretend to know.
    let width = (values[2] - values[1]).abs() * unit.scale();
    let wanted = least
        .max(decimals_for_width(width))
        .min(most.min(least + 4));
    let landmarks = landmarks(unit, lines);
    let decimals = separating_decimals(&values, &landmarks, unit, wanted, most);
    let [point, low, high] = values.map(|v| one(v, &landmarks, unit, decimals));
    Shown { point, low, high }
}

/// Three numbers, or one of them thrice where only the noise of long sums tells them apart: an
/// interval without width has no digits to separate.
fn without_noise([point, low, high]: [f64; 3]) -> [f64; 3] {
    let largest = point.abs().max(low.abs()).max(high.abs());
    let noise = |end: f64| (end - point).abs() <= NOISE * largest;
    if noise(low) && noise(high) {
        [point; 3]
    } else {
        [point, low, high]
    }
}

/// A number without an interval.
pub(crate) fn number(value: f64, unit: Unit, lines: &[f64]) -> String {
    let (least, most) = unit.decimals(value.abs());
    let landmarks = landmarks(unit, lines);
    let decimals = separating_decimals(&[value], &landmarks, unit, least, most);
    one(value, &landmarks, unit, decimals)
}

/// A share in per cent.
pub(crate) fn percent(value: f64) -> String {
    number(value, Unit::Percent, &[])
}

/// A chosen share, such as a confidence or a retained share: as few digits as it needs.
pub(crate) fn setting_percent(value: f64) -> String {
    let scaled = value * 100.0;
    let decimals = (0..8)
        .find(|d| (round_to(scaled, *d) - scaled).abs() < 1e-9)
        .unwrap_or(8);
    format!("{}{THIN}%", fixed(scaled, decimals))
}

/// A chosen number, such as Γ: as few digits as it needs.
pub(crate) fn setting(value: f64) -> String {
    let decimals = (0..6)
        .find(|d| (round_to(value, *d) - value).abs() < 1e-9)
        .unwrap_or(6);
    fixed(value, decimals)
}

/// A number that is reached, rounded up to two decimals: what is said to be enough is enough.
pub(crate) fn at_most(value: f64) -> String {
    setting((value * 100.0 - 1e-9).ceil() / 100.0)
}

/// A quality in [0, 1].
pub(crate) fn quality(value: f64) -> String {
    number(value, Unit::Quality, &[])
}

/// US dollars.
pub(crate) fn usd(value: f64) -> String {
    number(value, Unit::Usd, &[])
}

/// A bound at or above zero, rounded down: what is said to be reached is reached.
pub(crate) fn at_least(bound: f64) -> String {
    if !bound.is_finite() {
        return absent();
    }
    let floor = |decimals: i32| (bound * 10_f64.powi(decimals)).floor() / 10_f64.powi(decimals);
    let decimals = (4..=8)
        .find(|d| bound <= 0.0 || floor(*d) > 0.0)
        .unwrap_or(8);
    fixed(
        floor(decimals),
        usize::try_from(decimals).unwrap_or_default(),
    )
}

/// A plain number with at least four significant digits, for λ, τ and metrics.
pub(crate) fn plain(value: f64) -> String {
    if !value.is_finite() {
        return ABSENT.to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let exponent = value.abs().log10().floor();
    if exponent < -6.0 {
        return format!("{value:.3e}").replace('-', &MINUS.to_string());
    }
    fixed(value, significant(exponent, 4))
}

/// [`plain`] without zeros at the end.
pub(crate) fn short(value: f64) -> String {
    let text = plain(value);
    match text.split_once('e') {
        Some((digits, power)) => format!("{}e{power}", trimmed(digits)),
        None => trimmed(&text).to_owned(),
    }
}

fn trimmed(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// What stands for a number that could not be computed.
pub(crate) fn absent() -> String {
    ABSENT.to_owned()
}

/// A number that may be absent.
pub(crate) fn optional(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(absent, show)
}

/// A count with thin separators.
pub(crate) fn count(value: u64) -> String {
    group(&value.to_string())
}

/// A count with its noun, in the plural unless there is one.
pub(crate) fn counted(value: u64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        count(value),
        if value == 1 { "" } else { "s" }
    )
}

/// A count estimated as a float.
pub(crate) fn about(value: f64) -> String {
    if value.is_finite() {
        fixed(value, usize::from(value.abs() < 10.0))
    } else {
        absent()
    }
}

fn landmarks(unit: Unit, lines: &[f64]) -> Vec<f64> {
    unit.landmarks().iter().chain(lines).copied().collect()
}

/// The fewest decimals, from `least`, at which values read differently from landmarks and from
/// each other wherever they differ.
fn separating_decimals(
    values: &[f64],
    landmarks: &[f64],
    unit: Unit,
    least: usize,
    most: usize,
) -> usize {
    let separated = |decimals: usize, others: &[f64]| {
        values.iter().all(|v| {
            others.iter().all(|o| {
                !differ(*v, *o) || round_text(*v, unit, decimals) != round_text(*o, unit, decimals)
            })
        })
    };
    // Ends of one interval need not be told apart at any price: beyond a few digits they are equal.
    let from = (least..=most.min(least + 4))
        .find(|d| separated(*d, values))
        .unwrap_or(least);
    (from..=most)
        .find(|d| separated(*d, landmarks))
        .unwrap_or(from)
}

fn one(value: f64, landmarks: &[f64], unit: Unit, decimals: usize) -> String {
    if !value.is_finite() {
        return absent();
    }
    let text = round_text(value, unit, decimals);
    let hidden = landmarks
        .iter()
        .find(|mark| differ(value, **mark) && round_text(**mark, unit, decimals) == text);
    match hidden {
        Some(mark) if value < *mark => format!("<{}", unit.decorate(&text)),
        Some(_) => format!(">{}", unit.decorate(&text)),
        None => unit.decorate(&text),
    }
}

/// Whether two numbers differ by more than the noise of floating-point sums.
fn differ(a: f64, b: f64) -> bool {
    (a - b).abs() > 1e-15 * a.abs().max(b.abs())
}

fn round_text(value: f64, unit: Unit, decimals: usize) -> String {
    fixed(value * unit.scale(), decimals)
}

fn round_to(value: f64, decimals: usize) -> f64 {
    format!("{value:.decimals$}").parse().unwrap_or(value)
}

/// `value` with exactly `decimals` decimals, grouped; a zero carries no sign.
fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return absent();
    }
    let digits = format!("{:.decimals$}", value.abs());
    let zero = !digits.bytes().any(|b| (b'1'..=b'9').contains(&b));
    let (whole, fraction) = digits.split_once('.').unwrap_or((&digits, ""));
    let mut text = String::new();
    if value < 0.0 && !zero {
        text.push(MINUS);
    }
    text.push_str(&group(whole));
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// Groups digits by three; numbers of four digits too, so that columns align.
fn group(digits: &str) -> String {
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 * THIN.len_utf8());
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(THIN);
        }
        text.push(digit);
    }
    text
}

fn money_decimals(size: f64) -> usize {
    if size >= 100.0 {
        0
    } else if size >= 1.0 || size <= 0.0 {
        2
    } else {
        significant(size.log10().floor(), 3)
    }
}

fn decimals_for_width(width: f64) -> usize {
    if width > 0.0 && width.is_finite() {
        significant(width.log10().floor(), 2)
    } else {
        0
    }
}

/// Decimals that show `digits` significant digits of a number of that decimal exponent.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is clamped to 0..=12"
)]
fn significant(exponent: f64, digits: i32) -> usize {
    (f64::from(digits) - 1.0 - exponent).clamp(0.0, 12.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, unit: Unit, expect: &str) {
        assert_eq!(
            number(value, unit, &[]).replace(THIN, " "),
            expect,
            "{value} {unit:?}"
        );
    }

    fn check_interval(point: f64, low: f64, high: f64, unit: Unit, line: f64, expect: &str) {
        let shown = interval(Interval { point, low, high }, unit, &[line]);
        assert_eq!(shown.full().replace(THIN, " "), expect);
    }

    #[test]
    fn r07_rounding_never_turns_less_into_equal() {
        check(0.9996, Unit::Percent, "99.96 %");
        check(0.999_996, Unit::Percent, "99.9996 %");
        check(1.0, Unit::Percent, "100.0 %");
        check(1.000_04, Unit::Percent, "100.004 %");
        check(0.000_04, Unit::Percent, "0.004 %");
        check(0.0, Unit::Percent, "0.0 %");
        check(0.999_999_999_999, Unit::Percent, "<100.0 %");
        check(1e-13, Unit::Percent, ">0.0 %");
        check(-1e-13, Unit::Percent, "<0.0 %");
        check(0.999_97, Unit::Quality, "0.99997");
        check(-0.000_02, Unit::Change, "−0.00002");
        check(0.0, Unit::Change, "0.000");
        assert_eq!(number(0.899_96, Unit::Quality, &[0.9]), "0.89996");
        assert_eq!(number(0.9, Unit::Quality, &[0.9]), "0.900");
    }

    #[test]
    fn r07_an_interval_without_width_shows_no_noise() {
        let noise = 1e-14;
        check_interval(
            0.615,
            0.615 - noise,
            0.615 + noise,
            Unit::Percent,
            0.0,
            "61.5 % (61.5 % to 61.5 %)",
        );
        check_interval(
            0.9,
            0.9,
            0.9 + noise,
            Unit::Quality,
            0.5,
            "0.900 (0.900 to 0.900)",
        );
        // A width that means something keeps its digits.
        check_interval(
            0.615,
            0.614_999,
            0.615_001,
            Unit::Percent,
            0.0,
            "61.50000 % (61.49990 % to 61.50010 %)",
        );
    }

    #[test]
    fn r07_an_interval_just_below_zero_does_not_read_zero() {
        check_interval(
            0.10,
            -0.000_2,
            0.2,
            Unit::Percent,
            0.0,
            "10.00 % (−0.02 % to 20.00 %)",
        );
        check_interval(
            0.95,
            0.899_98,
            0.98,
            Unit::Quality,
            0.9,
            "0.95000 (0.89998 to 0.98000)",
        );
        check_interval(0.0, 0.0, 0.0, Unit::Percent, 0.0, "0.0 % (0.0 % to 0.0 %)");
    }

    #[test]
    fn money_has_the_digits_it_needs() {
        check(0.000_213_4, Unit::Usd, "$0.000213");
        check(1_234.56, Unit::Usd, "$1 235");
        check(12.345, Unit::Usd, "$12.35");
        check(0.0, Unit::Usd, "$0.00");
        check(-0.001_5, Unit::UsdChange, "−$0.00150");
        check(0.001_5, Unit::UsdChange, "+$0.00150");
        check_interval(
            1_234.0,
            1_100.0,
            1_350.0,
            Unit::Usd,
            0.0,
            "$1 234 ($1 100 to $1 350)",
        );
        check_interval(
            0.000_213_4,
            0.000_213_1,
            0.000_213_7,
            Unit::Usd,
            0.0,
            "$0.00021340 ($0.00021310 to $0.00021370)",
        );
    }

    #[test]
    fn counts_and_settings_are_short() {
        assert_eq!(count(1_234_567).replace(THIN, " "), "1 234 567");
        assert_eq!(count(999), "999");
        assert_eq!(counted(1, "arm"), "1 arm");
        assert_eq!(counted(0, "arm"), "0 arms");
        assert_eq!(setting_percent(0.95).replace(THIN, " "), "95 %");
        assert_eq!(setting_percent(0.985).replace(THIN, " "), "98.5 %");
        assert_eq!(plain(0.002_134_9).as_str(), "0.002135");
        assert_eq!(plain(1234.5).replace(THIN, " "), "1 234");
        assert_eq!(at_least(0.007_99), "0.0079");
        assert_eq!(at_least(0.000_012), "0.00001");
        assert_eq!(at_least(0.0), "0.0000");
        assert_eq!(at_most(1.3801), "1.39");
        assert_eq!(short(0.02), "0.02");
        assert_eq!(short(1.3e-9), "1.3e−9");
        assert_eq!(short(20.0), "20");
        assert_eq!(short(100.0), "100");
        assert_eq!(at_most(1.4), "1.4");
        assert_eq!(setting(2.0), "2");
        assert_eq!(number(0.999_97, Unit::Ratio, &[]), "0.99997");
        assert_eq!(number(f64::NAN, Unit::Usd, &[]), ABSENT);
    }
}

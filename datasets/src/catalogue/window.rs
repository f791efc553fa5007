//! Times of the week, in UTC, for prices that depend on them.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

/// A time of day on some days of the week, in UTC.
///
/// Written `mon,tue 16:30-24:00`; without days, on every day. The end is not included, and may be
/// `24:00`. A time that goes on after midnight is two windows.
///
/// ```
/// use plimsoll_datasets::Window;
/// let window: Window = "sat,sun 16:30-24:00".parse()?;
/// // 2026-03-01 was a Sunday.
/// assert!(window.holds_at(1_772_382_600_000_000)); // 16:30:00
/// assert!(!window.holds_at(1_772_382_599_999_999));
/// # Ok::<(), plimsoll_datasets::WindowError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// Bit 0 is Monday.
    days: u8,
    from_minute: u16,
    until_minute: u16,
}

/// A text that is no [`Window`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{got}` is no time window: wanted `HH:MM-HH:MM` in UTC, or `mon,tue HH:MM-HH:MM`")]
pub struct WindowError {
    /// The text.
    pub got: String,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
pub(crate) const EVERY_DAY: u8 = 0b111_1111;
pub(crate) const DAY_MINUTES: u16 = 24 * 60;
const MINUTE_US: i64 = 60_000_000;

impl Window {
    /// The window of these days (bit 0: Monday) and minutes since midnight; `None` when empty.
    pub(crate) fn new(days: u8, from_minute: u16, until_minute: u16) -> Option<Self> {
        let is_some =
            days & EVERY_DAY != 0 && from_minute < until_minute && until_minute <= DAY_MINUTES;
        is_some.then_some(Self {
            days: days & EVERY_DAY,
            from_minute,
            until_minute,
        })
    }

    /// Whether a time, in microseconds since the Unix epoch, falls into it.
    #[must_use]
    pub fn holds_at(&self, timestamp_us: i64) -> bool {
        let minutes = timestamp_us.div_euclid(MINUTE_US);
        let day_minutes = i64::from(DAY_MINUTES);
        let minute = minutes.rem_euclid(day_minutes);
        // 1970-01-01 was a Thursday, the fourth day of its week.
        let day = (minutes.div_euclid(day_minutes) + 3).rem_euclid(7);
        self.days >> day & 1 == 1
            && i64::from(self.from_minute) <= minute
            && minute < i64::from(self.until_minute)
    }
}

/// Minutes since midnight of `HH:MM`, up to `24:00`.
pub(crate) fn minute_of(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |part: &str| -> Option<u16> {
        let is_two = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        is_two.then(|| part.parse().ok())?
    };
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    let minutes = hour * 60 + minute;
    (minute < 60 && minutes <= DAY_MINUTES).then_some(minutes)
}

/// The bit of a day's name, of which the first three letters count.
pub(crate) fn day_bit(name: &str) -> Option<u8> {
    let name = name.trim().to_ascii_lowercase();
    let at = DAYS.iter().position(|day| name.starts_with(day))?;
    let full = ["day", "sday", "nesday", "rsday", "urday"];
    let rest = &name[3..];
    (rest.is_empty() || full.contains(&rest)).then_some(1 << at)
}

impl FromStr for Window {
    type Err = WindowError;

    fn from_str(text: &str) -> Result<Self, WindowError> {
        let read = || {
            let (days, hours) = match text.trim().rsplit_once(' ') {
                None => (EVERY_DAY, text.trim()),
                Some((days, hours)) => {
                    let bits = days.split(',').map(day_bit);
                    let days = bits.collect::<Option<Vec<u8>>>()?;
                    (days.into_iter().fold(0, |all, day| all | day), hours)
                }
            };
            let (from, until) = hours.split_once('-')?;
            Self::new(days, minute_of(from)?, minute_of(until)?)
        };
        read().ok_or_else(|| WindowError {
            got: text.to_owned(),
        })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.days != EVERY_DAY {
            let named = DAYS.iter().enumerate();
            let held: Vec<&str> = named
                .filter(|(bit, _)| self.days >> bit & 1 == 1)
                .map(|(_, name)| *name)
                .collect();
            write!(f, "{} ", held.join(","))?;
        }
        let (from, until) = (self.from_minute, self.until_minute);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            until / 60,
            until % 60
        )
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_and_written_alike() {
        for text in [
            "00:00-24:00",
            "16:30-24:00",
            "mon 00:00-00:30",
            "sat,sun 00:00-24:00",
        ] {
            let window: Window = text.parse().expect(text);
            assert_eq!(window.to_string(), text);
        }
        let long: Window = "Monday,tuesday 01:00-02:00".parse().expect("days");
        assert_eq!(long.to_string(), "mon,tue 01:00-02:00");
        for bad in [
            "",
            "24:00-24:00",
            "22:00-06:00",
            "1:00-2:00",
            "00:60-02:00",
            "mo 01:00-02:00",
            "00:00-24:01",
            "monkey 01:00-02:00",
            "01:00",
            ", 01:00-02:00",
        ] {
            assert!(bad.parse::<Window>().is_err(), "{bad}");
        }
    }

    #[test]
    fn times_before_the_epoch_have_a_weekday_too() {
        let window: Window = "wed 23:59-24:00".parse().expect("a window");
        assert!(window.holds_at(-1));
        assert!(!window.holds_at(0));
        assert!(!window.holds_at(-60_000_001));
    }
}

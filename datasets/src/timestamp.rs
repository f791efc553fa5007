//! Event times as microseconds since the Unix epoch, UTC.

use jiff::SignedDuration;
use jiff::civil::{self, DateTime};
use jiff::fmt::temporal::Pieces;
use serde::{Deserialize, Serialize};

use crate::reject::RejectReason;

/// The unit of integer times, which a reader never guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TimestampUnit {
    /// Seconds since the Unix epoch.
    Seconds,
    /// Milliseconds since the Unix epoch.
    Milliseconds,
    /// Microseconds since the Unix epoch.
    Microseconds,
    /// Nanoseconds since the Unix epoch.
    Nanoseconds,
}

impl std::str::FromStr for TimestampUnit {
    type Err = String;

    /// Reads `s`, `ms`, `us` or `ns`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "s" | "seconds" => Ok(Self::Seconds),
            "ms" | "milliseconds" => Ok(Self::Milliseconds),
            "us" | "microseconds" => Ok(Self::Microseconds),
            "ns" | "nanoseconds" => Ok(Self::Nanoseconds),
            _ => Err(format!(
                "`{text}` is no unit of time: wanted s, ms, us or ns"
            )),
        }
    }
}

/// First and last microsecond that a log can hold: the years 1 to 9999.
const RANGE_US: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// An RFC 3339 text as microseconds; a leap second counts as the second before it.
pub(crate) fn parse(text: &str) -> Result<i64, RejectReason> {
    let bad = |what| RejectReason::BadTime { what };
    let pieces = Pieces::parse(text).map_err(|_| bad("wanted RFC 3339"))?;
    let time = pieces
        .time()
        .ok_or_else(|| bad("a date without a time of day"))?;
    let offset = pieces
        .to_numeric_offset()
        .ok_or_else(|| bad("no UTC offset (`Z` or `+02:00`)"))?;
    let since = pieces.date().to_datetime(time).duration_since(epoch());
    let micros = since.as_micros() - i128::from(offset.seconds()) * 1_000_000;
    in_range(micros)
}

/// As [`parse`], for sources that write UTC without saying so: an offset, where there is one, counts.
pub(crate) fn parse_utc(text: &str) -> Result<i64, RejectReason> {
    let bad = |what| RejectReason::BadTime { what };
    let text = text.strip_suffix(" UTC").unwrap_or(text);
    let pieces = Pieces::parse(text).map_err(|_| bad("wanted RFC 3339 or a datetime"))?;
    if pieces.to_numeric_offset().is_some() {
        return parse(text);
    }
    let time = pieces
        .time()
        .ok_or_else(|| bad("a date without a time of day"))?;
    let since = pieces.date().to_datetime(time).duration_since(epoch());
    in_range(since.as_micros())
}

/// Seconds since the Unix epoch with a fraction, to the nearest microsecond.
///
/// What is no second of this century or the last is refused: it would be another unit.
pub(crate) fn from_seconds(seconds: f64) -> Result<i64, RejectReason> {
    if !(0.0..=4_102_444_800.0).contains(&seconds) {
        return Err(RejectReason::BadTime {
            what: "wanted seconds since 1970, before the year 2100",
        });
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "below 5·10¹⁵ microseconds, as checked above"
    )]
    let micros = (seconds * 1e6).round() as i64;
    Ok(micros)
}

/// A day (its first moment, UTC) or an RFC 3339 time.
pub(crate) fn parse_day_or_time(text: &str) -> Option<i64> {
    let day = || {
        let day: civil::Date = text.parse().ok()?;
        parse(&format!("{day}T00:00:00Z")).ok()
    };
    parse(text).ok().or_else(day)
}

/// An integer of `unit` as microseconds; finer digits are cut towards the past.
pub(crate) fn from_integer(value: i64, unit: TimestampUnit) -> Result<i64, RejectReason> {
    let value = i128::from(value);
    in_range(match unit {
        TimestampUnit::Seconds => value * 1_000_000,
        TimestampUnit::Milliseconds => value * 1_000,
        TimestampUnit::Microseconds => value,
        TimestampUnit::Nanoseconds => value.div_euclid(1_000),
    })
}

/// The RFC 3339 text of a time, with as many fractional digits as it needs.
pub(crate) fn to_text(micros: i64) -> String {
    epoch()
        .checked_add(SignedDuration::from_micros(micros))
        .map_or_else(|_| micros.to_string(), |time| format!("{time}Z"))
}

/// The day of a time that is its first moment (UTC), else as [`to_text`].
pub(crate) fn to_day_or_text(micros: i64) -> String {
    let mut text = to_text(micros);
    if let Some(day) = text.strip_suffix("T00:00:00Z") {
        text.truncate(day.len());
    }
    text
}

fn in_range(micros: i128) -> Result<i64, RejectReason> {
    i64::try_from(micros)
        .ok()
        .filter(|micros| RANGE_US.contains(micros))
        .ok_or(RejectReason::BadTime {
            what: "the year must be 1 to 9999; is the unit right?",
        })
}

const fn epoch() -> DateTime {
    civil::date(1970, 1, 1).at(0, 0, 0, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: i64) {
        assert_eq!(parse(text), Ok(expect), "{text}");
    }

    #[test]
    fn l12_times_of_every_kind_are_read() {
        check("1970-01-01T00:00:00Z", 0);
        check("1970-01-01T02:00:00+02:00", 0);
        check("1969-12-31T19:00:00-05:00", 0);
        check("1970-01-01T00:00:00.000001Z", 1);
        check("9999-12-31T23:59:59.999999Z", *RANGE_US.end());
        check("0001-01-01T00:00:00Z", *RANGE_US.start());
        check("2016-12-31T23:59:60Z", 1_483_228_799_000_000);
        check("2026-03-01 12:00:00Z", 1_772_366_400_000_000);
        for bad in [
            "2026-03-01T12:00:00",
            "2026-03-01",
            "yesterday",
            "",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert!(
                matches!(parse(bad), Err(RejectReason::BadTime { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn l12_integers_follow_their_unit() {
        let us = 1_772_366_400_000_000;
        assert_eq!(from_integer(us / 1_000_000, TimestampUnit::Seconds), Ok(us));
        assert_eq!(
            from_integer(us / 1_000, TimestampUnit::Milliseconds),
            Ok(us)
        );
        assert_eq!(from_integer(us, TimestampUnit::Microseconds), Ok(us));
        assert_eq!(from_integer(us * 1_000, TimestampUnit::Nanoseconds), Ok(us));
        assert!(from_integer(us / 1_000, TimestampUnit::Seconds).is_err());
        assert!(from_integer(i64::MAX, TimestampUnit::Seconds).is_err());
    }

    #[test]
    fn times_survive_being_written() {
        for us in [
            0,
            1,
            -1,
            1_772_366_400_123_456,
            *RANGE_US.start(),
            *RANGE_US.end(),
        ] {
            assert_eq!(parse(&to_text(us)), Ok(us));
        }
    }
}

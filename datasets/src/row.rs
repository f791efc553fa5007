//! One row of the log, built cell by cell; here every format obeys the same rules.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use plimsoll::{MoneyError, Propensity, Quality, Usd};

use crate::column::{Column, Kind};
use crate::reject::RejectReason;
use crate::timestamp::{self, TimestampUnit};

/// A cell as a format hands it over.
#[derive(Clone, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    /// A text of a typed format.
    Text(Cow<'a, str>),
    /// The text of a JSON number.
    Number(&'a str),
    /// A CSV field, read as whatever its column wants.
    Untyped(&'a str),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Flag(bool),
    /// A datetime, in microseconds.
    Micros(i64),
    /// A JSON array or object, as text.
    Json(&'a str),
    Numbers(Vec<f32>),
    Texts(Vec<String>),
}

/// One row of the log as it is read and written; what is absent is `None`.
///
/// The columns are those of [`log_columns`](crate::log_columns); see there for their units.
#[derive(Clone, Default, PartialEq)]
pub struct LogRow {
    /// `request_id`, never empty.
    pub request_id: String,
    /// `model`: the arm's name, never empty.
    pub model: String,
    /// `quality`.
    pub quality: Option<Quality>,
    /// `cost_usd`.
    pub cost: Option<Usd>,
    /// `input_tokens`, cached ones included.
    pub input_tokens: Option<u64>,
    /// `output_tokens`, without reasoning tokens.
    pub output_tokens: Option<u64>,
    /// `cached_input_tokens`.
    pub cached_input_tokens: Option<u64>,
    /// `reasoning_tokens`.
    pub reasoning_tokens: Option<u64>,
    /// `timestamp`, in microseconds since the Unix epoch.
    pub timestamp_us: Option<i64>,
    /// `propensity`.
    pub propensity: Option<Propensity>,
    /// `served`.
    pub served: Option<bool>,
    /// `prompt`.
    pub prompt: Option<String>,
    /// `embedding`.
    pub embedding: Option<Vec<f32>>,
    /// `task`.
    pub task: Option<String>,
    /// `tenant`.
    pub tenant: Option<String>,
    /// `session_id`.
    pub session_id: Option<String>,
    /// `candidates`: names of the arms eligible at decision time.
    pub candidates: Option<Vec<String>>,
    /// `latency_ms`.
    pub latency_ms: Option<f64>,
    /// `status`.
    pub status: Option<String>,
    /// Unknown columns: name and value.
    pub extra: Vec<(String, String)>,
}

impl std::fmt::Debug for LogRow {
    /// Leaves out the prompt and the extra columns: they may hold what must not reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogRow")
            .field("request_id", &self.request_id)
            .field("model", &self.model)
            .field("quality", &self.quality)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// Pairs of unknown columns that must not run backwards.
const CLOCK_PAIRS: [(&str, &str); 3] = [
    ("start", "end"),
    ("start_time", "end_time"),
    ("request_time", "feedback_time"),
];

impl LogRow {
    /// Puts a cell into its column.
    pub(crate) fn set(
        &mut self,
        column: Column,
        cell: Cell<'_>,
        unit: Option<TimestampUnit>,
    ) -> Result<(), RejectReason> {
        let cell = match cell {
            Cell::Null | Cell::Untyped("") => return Ok(()),
            cell => cell,
        };
        let wanted = column.wanted();
        match column.kind() {
            Kind::Text => {
                let text = text(cell, wanted)?;
                match column {
                    Column::RequestId => self.request_id = text,
                    Column::Model => self.model = text,
                    Column::Prompt => self.prompt = Some(text),
                    Column::Task => self.task = Some(text),
                    Column::Tenant => self.tenant = Some(text),
                    Column::SessionId => self.session_id = Some(text),
                    _ => self.status = Some(text),
                }
            }
            Kind::Number if column == Column::CostUsd => self.cost = Some(money(&cell, wanted)?),
            Kind::Number => {
                let value = number(&cell, wanted)?;
                let outside = |_| RejectReason::OutOfRange { wanted };
                match column {
                    Column::Quality if value == 0.0 && value.is_sign_negative() => {
                        return Err(RejectReason::Negative);
                    }
                    Column::Quality => self.quality = Some(Quality::new(value).map_err(outside)?),
                    Column::Propensity => {
                        self.propensity = Some(Propensity::new(value).map_err(outside)?);
                    }
                    _ if value.is_sign_negative() => return Err(RejectReason::Negative),
                    _ => self.latency_ms = Some(value),
                }
            }
            Kind::Count => {
                let count = Some(count(&cell, wanted)?);
                match column {
                    Column::InputTokens => self.input_tokens = count,
                    Column::OutputTokens => self.output_tokens = count,
                    Column::CachedInputTokens => self.cached_input_tokens = count,
                    _ => self.reasoning_tokens = count,
                }
            }
            Kind::Time => self.timestamp_us = Some(time(&cell, wanted, unit)?),
            Kind::Flag => self.served = Some(flag(&cell, wanted)?),
            Kind::Numbers => self.embedding = Some(numbers(cell, wanted)?),
            Kind::Texts => self.candidates = Some(texts(cell, wanted)?),
        }
        Ok(())
    }

    /// Keeps a cell of an unknown column as text.
    pub(crate) fn set_extra(&mut self, name: &str, cell: Cell<'_>) -> Result<(), RejectReason> {
        let value = match cell {
            Cell::Null | Cell::Untyped("") => return Ok(()),
            Cell::Text(text) => without_nul(text)?,
            Cell::Untyped(text) => without_nul(Cow::Borrowed(text))?,
            Cell::Number(text) | Cell::Json(text) => text.to_owned(),
            Cell::Unsigned(value) => value.to_string(),
            Cell::Signed(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Flag(value) => value.to_string(),
            Cell::Micros(value) => timestamp::to_text(value),
            Cell::Numbers(values) => serde_json::json!(values).to_string(),
            Cell::Texts(values) => serde_json::json!(values).to_string(),
        };
        self.extra.push((without_nul(Cow::Borrowed(name))?, value));
        Ok(())
    }

    /// The checks that need the whole row; `Err` names the column at fault.
    pub(crate) fn check(&self) -> Result<(), (&'static str, RejectReason)> {
        for (column, text) in [
            (Column::RequestId, &self.request_id),
            (Column::Model, &self.model),
        ] {
            if text.is_empty() {
                return Err((column.name(), RejectReason::Missing));
            }
        }
        for (earlier, later) in CLOCK_PAIRS {
            if let (Some(start), Some(end)) = (self.extra_time(earlier), self.extra_time(later))
                && end < start
            {
                return Err((later, RejectReason::ClockSkew { earlier, later }));
            }
        }
        Ok(())
    }

    /// A time in an unknown column: RFC 3339, or a plain number to compare with its like.
    fn extra_time(&self, name: &str) -> Option<i64> {
        let (_, text) = self.extra.iter().find(|(key, _)| key == name)?;
        timestamp::parse(text).ok().or_else(|| text.parse().ok())
    }

    /// A fingerprint of what belongs to the request: equal for identical rows.
    pub(crate) fn request_fingerprint(&self) -> u64 {
        // `DefaultHasher::new` is keyed by constants, so that equal rows are equal in every run.
        let mut hasher = DefaultHasher::new();
        (&self.prompt, &self.task, &self.tenant, &self.session_id).hash(&mut hasher);
        (self.timestamp_us, &self.candidates, &self.extra).hash(&mut hasher);
        let bits = |v: &Vec<f32>| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        self.embedding.as_ref().map(bits).hash(&mut hasher);
        hasher.finish()
    }
}

fn wrong_type(cell: &Cell<'_>, wanted: &'static str) -> RejectReason {
    let got = match cell {
        Cell::Null => "null",
        Cell::Text(_) | Cell::Untyped(_) => "a text",
        Cell::Number(_) | Cell::Unsigned(_) | Cell::Signed(_) | Cell::Float(_) => "a number",
        Cell::Flag(_) => "a boolean",
        Cell::Micros(_) => "a datetime",
        Cell::Json(json) if json.starts_with('{') => "an object",
        Cell::Json(_) | Cell::Numbers(_) | Cell::Texts(_) => "a list",
    };
    RejectReason::WrongType { got, wanted }
}

fn without_nul(text: Cow<'_, str>) -> Result<String, RejectReason> {
    if text.contains('\0') {
        Err(RejectReason::NulCharacter)
    } else {
        Ok(text.into_owned())
    }
}

/// A text; whole numbers are taken as their digits, for ids are often integers.
pub(crate) fn text(cell: Cell<'_>, wanted: &'static str) -> Result<String, RejectReason> {
    match cell {
        Cell::Text(text) => without_nul(text),
        Cell::Untyped(text) => without_nul(Cow::Borrowed(text)),
        Cell::Number(text) if text.bytes().all(|b| b.is_ascii_digit()) => Ok(text.to_owned()),
        Cell::Unsigned(value) => Ok(value.to_string()),
        Cell::Signed(value) => Ok(value.to_string()),
        other => Err(wrong_type(&other, wanted)),
    }
}

pub(crate) fn number(cell: &Cell<'_>, wanted: &'static str) -> Result<f64, RejectReason> {
    let value = match *cell {
        Cell::Number(text) | Cell::Untyped(text) => {
            text.trim().parse().map_err(|_| wrong_type(cell, wanted))?
        }
        Cell::Float(value) => value,
        #[expect(
            clippy::cast_precision_loss,
            reason = "ranges are checked next; none is near 2^53"
        )]
        Cell::Unsigned(value) => value as f64,
        #[expect(
            clippy::cast_precision_loss,
            reason = "ranges are checked next; none is near 2^53"
        )]
        Cell::Signed(value) => value as f64,
        _ => return Err(wrong_type(cell, wanted)),
    };
    if value.is_finite() {
        Ok(value)
    } else {
        Err(RejectReason::NotFinite)
    }
}

pub(crate) fn money(cell: &Cell<'_>, wanted: &'static str) -> Result<Usd, RejectReason> {
    let value = number(cell, wanted)?;
    if value.is_sign_negative() {
        return Err(RejectReason::Negative);
    }
    let rounded = || Usd::from_f64(value).ok_or(RejectReason::OutOfRange { wanted });
    match *cell {
        Cell::Number(text) | Cell::Untyped(text) => match text.trim().parse::<Usd>() {
            Ok(cost) => Ok(cost),
            Err(MoneyError::TooPrecise { .. } | MoneyError::TooLarge { .. }) => rounded(),
            Err(_) => Err(wrong_type(cell, wanted)),
        },
        _ => rounded(),
    }
}

/// Whole numbers up to 2^53 are exact as floats.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

pub(crate) fn count(cell: &Cell<'_>, wanted: &'static str) -> Result<u64, RejectReason> {
    match *cell {
        Cell::Number(text) | Cell::Untyped(text) => {
            let text = text.trim();
            if !number(cell, wanted)?.is_sign_positive() {
                return Err(RejectReason::Negative);
            }
            // Tools that keep integers with gaps as floats write `12.0`.
            let digits = match text.split_once('.') {
                Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
                _ => text,
            };
            digits.parse().map_err(|_| RejectReason::NotExact)
        }
        Cell::Unsigned(value) => Ok(value),
        Cell::Signed(value) => u64::try_from(value).map_err(|_| RejectReason::Negative),
        Cell::Float(value) if !value.is_finite() => Err(RejectReason::NotFinite),
        Cell::Float(value) if value.is_sign_negative() => Err(RejectReason::Negative),
        Cell::Float(value) if value.fract() != 0.0 || value > EXACT_MAX => {
            Err(RejectReason::NotExact)
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number in [0, 2^53], as checked above"
        )]
        Cell::Float(value) => Ok(value as u64),
        _ => Err(wrong_type(cell, wanted)),
    }
}

fn time(
    cell: &Cell<'_>,
    wanted: &'static str,
    unit: Option<TimestampUnit>,
) -> Result<i64, RejectReason> {
    let integer = |value: i64| {
        unit.map_or(Err(RejectReason::TimeUnitUnknown), |u| {
            timestamp::from_integer(value, u)
        })
    };
    match cell {
        Cell::Text(text) => timestamp::parse(text),
        Cell::Untyped(text) => match text.trim().parse::<i64>() {
            Ok(value) => integer(value),
            Err(_) => timestamp::parse(text.trim()),
        },
        Cell::Number(text) => match text.parse::<i64>() {
            Ok(value) => integer(value),
            Err(_) => Err(RejectReason::BadTime {
                what: "a number that is not an integer",
            }),
        },
        Cell::Signed(value) => integer(*value),
        Cell::Unsigned(value) => integer(i64::try_from(*value).unwrap_or(i64::MAX)),
        Cell::Micros(value) => timestamp::from_integer(*value, TimestampUnit::Microseconds),
        _ => Err(wrong_type(cell, wanted)),
    }
}

fn flag(cell: &Cell<'_>, wanted: &'static str) -> Result<bool, RejectReason> {
    match *cell {
        Cell::Flag(value) => Ok(value),
        Cell::Untyped(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            _ => Err(wrong_type(cell, wanted)),
        },
        _ => Err(wrong_type(cell, wanted)),
    }
}

fn numbers(cell: Cell<'_>, wanted: &'static str) -> Result<Vec<f32>, RejectReason> {
    let values = match cell {
        Cell::Numbers(values) => values,
        Cell::Json(json) | Cell::Untyped(json) => {
            serde_json::from_str(json).map_err(|_| wrong_type(&cell, wanted))?
        }
        other => return Err(wrong_type(&other, wanted)),
    };
    if values.iter().all(|value| value.is_finite()) {
        Ok(values)
    } else {
        Err(RejectReason::NotFinite)
    }
}

/// A list of names: JSON, or in CSV also names joined by `|`.
fn texts(cell: Cell<'_>, wanted: &'static str) -> Result<Vec<String>, RejectReason> {
    let values: Vec<String> = match cell {
        Cell::Texts(values) => values,
        Cell::Untyped(joined) if !joined.trim_start().starts_with('[') => joined
            .split('|')
            .map(|name| name.trim().to_owned())
            .collect(),
        Cell::Json(json) | Cell::Untyped(json) => {
            serde_json::from_str(json).map_err(|_| wrong_type(&cell, wanted))?
        }
        other => return Err(wrong_type(&other, wanted)),
    };
    if values.iter().any(String::is_empty) {
        return Err(RejectReason::Missing);
    }
    values
        .into_iter()
        .map(|name| without_nul(Cow::Owned(name)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(column: Column, cell: Cell<'_>) -> Result<LogRow, RejectReason> {
        let mut row = LogRow::default();
        row.set(column, cell, None).map(|()| row)
    }

    fn reason(column: Column, cell: Cell<'_>) -> &'static str {
        set(column, cell)
            .err()
            .map_or("accepted", |reason| reason.name())
    }

    #[test]
    fn l07_numbers_must_be_numbers() {
        let text = || Cell::Text("0.5".into());
        for column in [
            Column::Quality,
            Column::CostUsd,
            Column::InputTokens,
            Column::LatencyMs,
        ] {
            assert_eq!(reason(column, text()), "wrong-type", "{column:?}");
            assert_eq!(
                reason(column, Cell::Number("1e400")),
                "not-finite",
                "{column:?}"
            );
            for word in ["NaN", "inf", "-Infinity"] {
                assert_eq!(
                    reason(column, Cell::Untyped(word)),
                    "not-finite",
                    "{column:?} {word}"
                );
            }
            assert_eq!(
                reason(column, Cell::Float(f64::NAN)),
                "not-finite",
                "{column:?}"
            );
            assert_eq!(reason(column, Cell::Number("-0")), "negative", "{column:?}");
        }
    }

    #[test]
    fn l08_counts_are_exact_or_rejected() {
        let read = |cell| set(Column::OutputTokens, cell).map(|row| row.output_tokens);
        assert_eq!(
            read(Cell::Number("9007199254740993")),
            Ok(Some(9_007_199_254_740_993))
        );
        assert_eq!(
            read(Cell::Number("18446744073709551615")),
            Ok(Some(u64::MAX))
        );
        assert_eq!(read(Cell::Untyped("12.0")), Ok(Some(12)));
        assert_eq!(read(Cell::Float(12.0)), Ok(Some(12)));
        for cell in [
            Cell::Number("18446744073709551616"),
            Cell::Number("1.5"),
            Cell::Float(1e17),
            Cell::Float(0.5),
        ] {
            assert_eq!(read(cell), Err(RejectReason::NotExact));
        }
    }

    #[test]
    fn l09_nothing_is_negative() {
        for column in [Column::InputTokens, Column::CostUsd, Column::LatencyMs] {
            for cell in [
                Cell::Number("-1"),
                Cell::Untyped("-1"),
                Cell::Signed(-1),
                Cell::Float(-1.),
            ] {
                assert_eq!(reason(column, cell), "negative", "{column:?}");
            }
        }
        assert_eq!(
            reason(Column::Quality, Cell::Number("-0.1")),
            "out-of-range"
        );
    }

    #[test]
    fn e02_a_propensity_is_in_its_range() {
        for bad in ["0", "-0.1", "1.0001"] {
            assert_eq!(
                reason(Column::Propensity, Cell::Number(bad)),
                "out-of-range",
                "{bad}"
            );
        }
        assert_eq!(
            reason(Column::Propensity, Cell::Number("1e-300")),
            "accepted"
        );
    }

    #[test]
    fn l20_money_is_read_from_its_text() {
        let read = |cell| set(Column::CostUsd, cell).map(|row| row.cost.map(Usd::pico));
        assert_eq!(read(Cell::Number("0.00000015")), Ok(Some(150_000)));
        assert_eq!(read(Cell::Untyped("0.1")), Ok(Some(100_000_000_000)));
        assert_eq!(read(Cell::Number("1e-13")), Ok(Some(0)));
        assert_eq!(read(Cell::Float(1.5e-7)), Ok(Some(150_000)));
        assert_eq!(
            reason(Column::CostUsd, Cell::Number("1e40")),
            "out-of-range"
        );
        assert_eq!(reason(Column::CostUsd, Cell::Untyped("$1")), "wrong-type");
    }

    #[test]
    fn l13_clocks_run_forwards() {
        for (earlier, later) in CLOCK_PAIRS {
            let mut row = LogRow {
                request_id: "a".into(),
                model: "m".into(),
                ..LogRow::default()
            };
            row.extra = vec![(earlier.into(), "10".into()), (later.into(), "9".into())];
            let (column, reason) = row.check().unwrap_err();
            assert_eq!((column, reason.name()), (later, "clock-skew"));
            row.extra[1].1 = "10".into();
            assert!(row.check().is_ok());
        }
    }

    #[test]
    fn lists_are_json_or_joined() {
        let models = |cell| set(Column::Candidates, cell).unwrap().candidates.unwrap();
        assert_eq!(models(Cell::Untyped("a|b")), ["a", "b"]);
        assert_eq!(models(Cell::Json(r#"["a","b"]"#)), ["a", "b"]);
        assert_eq!(
            reason(Column::Embedding, Cell::Json("[1,1e300]")),
            "not-finite"
        );
        assert_eq!(
            reason(Column::Embedding, Cell::Json("[1,null]")),
            "wrong-type"
        );
    }
}

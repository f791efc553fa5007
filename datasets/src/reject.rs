//! Rows that are not read: where they are and why, never what they hold.

use std::io::{BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::write_error::WriteError;

/// A row that was left out, with its place.
///
/// The row's content is not kept: it may hold a prompt.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reject {
    /// The file, as it was named or found; `<stdin>` for standard input.
    pub file: String,
    /// Line, from 1; `None` for Parquet.
    pub line: Option<u64>,
    /// Offset in the decompressed file at which the fault was seen; `None` for Parquet.
    pub byte: Option<u64>,
    /// Row within the file, from 1, header not counted.
    pub row: u64,
    /// The column at fault, when one is.
    pub column: Option<String>,
    /// Why.
    #[serde(serialize_with = "reason_as_text")]
    pub reason: RejectReason,
    /// `request_id` of the row, when it could be read.
    pub request_id: Option<String>,
}

/// Why a row was left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[non_exhaustive]
pub enum RejectReason {
    /// The line is not JSON.
    #[error("not JSON: {what}")]
    BadJson {
        /// The parser's words, without the line's content.
        what: String,
    },
    /// JSON, but not an object.
    #[error("a row must be a JSON object")]
    NotAnObject,
    /// One key twice in one object.
    #[error("the key is given twice in one row")]
    DuplicateKey,
    /// Arrays or objects nested too deeply.
    #[error("JSON is nested more than 128 levels deep")]
    TooDeep,
    /// Bytes that are not UTF-8.
    #[error("not valid UTF-8")]
    InvalidUtf8,
    /// A text with a NUL character.
    #[error("a text holds a NUL character")]
    NulCharacter,
    /// A CSV row that has too many or too few fields.
    #[error("the row has {got} fields, the header has {wanted}")]
    FieldCount {
        /// Fields in the row.
        got: usize,
        /// Fields in the header.
        wanted: usize,
    },
    /// A required column is absent, null or empty.
    #[error("a required value is missing")]
    Missing,
    /// A value of another type than the column's.
    #[error("got {got}, wanted {wanted}")]
    WrongType {
        /// The type found.
        got: &'static str,
        /// What the column wants.
        wanted: &'static str,
    },
    /// NaN, an infinity or a number too large for a float.
    #[error("the number is not finite")]
    NotFinite,
    /// A number below zero (`-0` included) where none can be.
    #[error("the number is negative")]
    Negative,
    /// A number outside the column's range.
    #[error("the number is outside its range: wanted {wanted}")]
    OutOfRange {
        /// What the column wants.
        wanted: &'static str,
    },
    /// A whole number that cannot be kept exactly, or one with a fraction.
    #[error("not a whole number that can be kept exactly")]
    NotExact,
    /// A time that cannot be read.
    #[error("not a time: {what}")]
    BadTime {
        /// What is wrong with it.
        what: &'static str,
    },
    /// An integer time while no unit was named; the whole read fails on it.
    #[error("an integer time needs its unit named")]
    TimeUnitUnknown,
    /// The end of the row lies before its beginning, or its feedback before its request.
    #[error("`{later}` is before `{earlier}`")]
    ClockSkew {
        /// The column that should hold the earlier time.
        earlier: &'static str,
        /// The column that should hold the later time.
        later: &'static str,
    },
    /// An expression that its fields' values give no sense to.
    #[error("the expression cannot be worked out from this row's values")]
    BadExpression,
    /// A call of a request that was already written, too far from its other calls.
    #[error("a call of a request that was already written: its rows stand too far apart")]
    LateCall,
    /// Another row has the same `request_id` and `model` and says something else.
    #[error("rows with one request_id and model contradict each other")]
    Conflict,
}

impl RejectReason {
    /// A short fixed name to count by.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BadJson { .. } => "bad-json",
            Self::NotAnObject => "not-an-object",
            Self::DuplicateKey => "duplicate-key",
            Self::TooDeep => "too-deep",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::NulCharacter => "nul-character",
            Self::FieldCount { .. } => "field-count",
            Self::Missing => "missing-value",
            Self::WrongType { .. } => "wrong-type",
            Self::NotFinite => "not-finite",
            Self::Negative => "negative",
            Self::OutOfRange { .. } => "out-of-range",
            Self::NotExact => "not-exact",
            Self::BadTime { .. } => "bad-time",
            Self::TimeUnitUnknown => "time-unit-unknown",
            Self::ClockSkew { .. } => "clock-skew",
            Self::BadExpression => "bad-expression",
            Self::LateCall => "late-call",
            Self::Conflict => "conflict",
        }
    }
}

impl std::fmt::Display for Reject {
    /// `file:line: column: reason`, or `file: row N: column: reason` for Parquet.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.byte) {
            (Some(line), Some(byte)) => write!(f, "{}:{line} (byte {byte})", self.file)?,
            (Some(line), None) => write!(f, "{}:{line}", self.file)?,
            (None, _) => write!(f, "{}: row {}", self.file, self.row)?,
        }
        if let Some(column) = &self.column {
            write!(f, ": `{column}`")?;
        }
        write!(f, ": {}", self.reason)
    }
}

/// Writes one JSON object per reject; the file appears whole or not at all.
///
/// # Errors
/// [`WriteError`] when the folder cannot be written.
pub fn write_rejects(path: &Path, rejects: &[Reject]) -> Result<(), WriteError> {
    let at = |source| WriteError::Io {
        path: path.to_owned(),
        source,
    };
    let file = crate::write_error::temporary_beside(path)?;
    let mut out = BufWriter::new(&file);
    for reject in rejects {
        serde_json::to_writer(&mut out, reject).map_err(|error| at(error.into()))?;
        out.write_all(b"\n").map_err(at)?;
    }
    out.flush().map_err(at)?;
    drop(out);
    crate::write_error::persist(file, path)
}

fn reason_as_text<S: serde::Serializer>(reason: &RejectReason, s: S) -> Result<S::Ok, S::Error> {
    use serde::ser::SerializeStruct;
    let mut out = s.serialize_struct("reason", 2)?;
    out.serialize_field("name", reason.name())?;
    out.serialize_field("message", &reason.to_string())?;
    out.end()
}

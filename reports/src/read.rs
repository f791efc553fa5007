//! Saved evaluations and comparisons, read back.

use plimsoll_harness::certificate::{CERTIFICATE_SCHEMA, Certificate};
use plimsoll_harness::learning::{LEARNING_SCHEMA_VERSION, LearningReport};
use plimsoll_harness::{Comparison, Evaluation, SCHEMA_VERSION};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::{ReportError, exact};

/// Reads an evaluation that [`Format::Json`](crate::Format::Json) wrote.
///
/// ```
/// let error = plimsoll_reports::parse_evaluation(br#"{"schema": 9}"#).unwrap_err();
/// assert_eq!(error.code(), "P0603");
/// assert_eq!(
///     error.to_string(),
///     "the evaluation has schema version 9, this version reads 1",
/// );
/// ```
///
/// # Errors
/// [`ReportError::NotJson`], [`ReportError::WrongShape`] or [`ReportError::SchemaVersion`].
pub fn parse_evaluation(json: &[u8]) -> Result<Evaluation, ReportError> {
    parse("evaluation", SCHEMA_VERSION, json)
}

/// Reads a comparison that [`Format::Json`](crate::Format::Json) wrote.
///
/// # Errors
/// As [`parse_evaluation`]; the evaluations within are held to the same version.
pub fn parse_comparison(json: &[u8]) -> Result<Comparison, ReportError> {
    let comparison: Comparison = parse("comparison", SCHEMA_VERSION, json)?;
    match comparison
        .evaluations
        .iter()
        .find(|e| e.schema != SCHEMA_VERSION)
    {
        Some(other) => Err(version_error(
            "evaluation",
            u64::from(other.schema),
            SCHEMA_VERSION,
        )),
        None => Ok(comparison),
    }
}

/// Reads a learning replay that [`Format::Json`](crate::Format::Json) wrote.
///
/// # Errors
/// As [`parse_evaluation`].
pub fn parse_learning(json: &[u8]) -> Result<LearningReport, ReportError> {
    parse("learning replay", LEARNING_SCHEMA_VERSION, json)
}

/// Reads a certificate that `plimsoll tune` wrote.
///
/// # Errors
/// As [`parse_evaluation`].
pub fn parse_certificate(json: &[u8]) -> Result<Certificate, ReportError> {
    parse("certificate", CERTIFICATE_SCHEMA, json)
}

/// The version comes first: another layout is best named as that, not as a missing field.
#[derive(Deserialize)]
struct Probe {
    schema: Option<u64>,
}

fn parse<T: DeserializeOwned>(
    kind: &'static str,
    version: u32,
    json: &[u8],
) -> Result<T, ReportError> {
    let probe: Probe = serde_json::from_slice(json).map_err(|e| read_error(kind, &e))?;
    match probe.schema {
        None => Err(ReportError::WrongShape {
            kind,
            line: 1,
            column: 1,
            what: "there is no `schema`".to_owned(),
        }),
        Some(found) if found != u64::from(version) => Err(version_error(kind, found, version)),
        Some(_) => {
            // The first reading finds and places errors, the second reads every float exactly.
            let read = serde_json::from_slice(json).map_err(|e| read_error(kind, &e))?;
            Ok(exact::from_slice(json).unwrap_or(read))
        }
    }
}

fn version_error(kind: &'static str, found: u64, supported: u32) -> ReportError {
    ReportError::SchemaVersion {
        kind,
        found,
        supported,
    }
}

fn read_error(kind: &'static str, error: &serde_json::Error) -> ReportError {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Data => ReportError::WrongShape {
            kind,
            line,
            column,
            what: without_content(&error.to_string()),
        },
        Category::Io | Category::Syntax | Category::Eof => {
            ReportError::NotJson { kind, line, column }
        }
    }
}

/// What serde expected, without what it found: that may be a prompt.
fn without_content(message: &str) -> String {
    let message = message
        .rsplit_once(" at line ")
        .map_or(message, |(head, _)| head);
    if message.starts_with("missing field ") || message.starts_with("duplicate field ") {
        message.to_owned()
    } else if message.starts_with("unknown field ") {
        "a field that this version does not know".to_owned()
    } else if let Some((_, expected)) = message.rsplit_once(", expected ") {
        format!("expected {expected}")
    } else {
        "a value of another type".to_owned()
    }
}

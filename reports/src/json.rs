//! The data itself, and the schema it keeps to.

use plimsoll_harness::certificate::{Certificate, Check, Shortfall};
use plimsoll_harness::learning::LearningReport;
use plimsoll_harness::{Comparison, Evaluation, Explanation};
use serde::Serialize;

use crate::{Format, ReportError, escape};

/// The most bytes of data that a page carries along.
const ISLAND_BYTES_MAX: usize = 1_000_000;

/// What a JSON schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaOf {
    /// [`Evaluation`].
    Evaluation,
    /// [`Comparison`].
    Comparison,
    /// [`Explanation`].
    Explanation,
    /// [`LearningReport`].
    Learning,
    /// [`Certificate`].
    Certificate,
    /// [`Shortfall`].
    Shortfall,
    /// [`Check`].
    Check,
}

/// The JSON schema of what [`Format::Json`] writes, derived from the types.
///
/// The same text is published under `reports/schema/`.
///
/// ```
/// use plimsoll_reports::{SchemaOf, schema_json};
/// assert!(schema_json(SchemaOf::Evaluation).contains("\"Evaluation\""));
/// ```
///
/// # Panics
/// Never: a schema is plain JSON.
#[must_use]
pub fn schema_json(of: SchemaOf) -> String {
    let schema = match of {
        SchemaOf::Evaluation => schemars::schema_for!(Evaluation),
        SchemaOf::Comparison => schemars::schema_for!(Comparison),
        SchemaOf::Explanation => schemars::schema_for!(Explanation),
        SchemaOf::Learning => schemars::schema_for!(LearningReport),
        SchemaOf::Certificate => schemars::schema_for!(Certificate),
        SchemaOf::Shortfall => schemars::schema_for!(Shortfall),
        SchemaOf::Check => schemars::schema_for!(Check),
    };
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain JSON");
    text.push('\n');
    text
}

/// A certificate as its file holds it.
///
/// # Errors
/// [`ReportError::Renderer`] when it cannot be written, which is a defect.
pub fn certificate_json(certificate: &Certificate) -> Result<String, ReportError> {
    render(certificate)
}

pub(crate) fn render<T: Serialize>(data: &T) -> Result<String, ReportError> {
    let mut text = serde_json::to_string_pretty(data).map_err(|e| failed(&e))?;
    text.push('\n');
    Ok(text)
}

/// The data for a page's `<script type="application/json">`; empty when it is too long.
pub(crate) fn island<T: Serialize>(data: &T) -> Result<String, ReportError> {
    let text = serde_json::to_string(data).map_err(|e| failed(&e))?;
    let safe = escape::json_island(&text);
    Ok(if safe.len() <= ISLAND_BYTES_MAX {
        safe
    } else {
        String::new()
    })
}

fn failed(error: &serde_json::Error) -> ReportError {
    ReportError::Renderer {
        format: Format::Json,
        what: error.to_string(),
    }
}

//! What to render, and how.

use std::fmt;

use plimsoll_harness::certificate::{Certificate, Check, Shortfall};
use plimsoll_harness::learning::LearningReport;
use plimsoll_harness::{Comparison, Evaluation, Explanation};

use crate::build::{
    certificate_document, check_document, comparison_document, evaluation_document,
    explanation_document, learning_document, shortfall_document,
};
use crate::document::Document;
use crate::{ReportError, csv, html, json, markdown, terminal};

/// The form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Text for a terminal, the verdict first.
    Terminal,
    /// The data itself.
    Json,
    /// A comment on a pull request.
    Markdown,
    /// One tidy table.
    Csv,
    /// One self-contained page.
    Html,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminal => "terminal",
            Self::Json => "json",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Html => "html",
        })
    }
}

/// How a terminal is to be written to; the other formats ignore it.
///
/// | field | default | effect |
/// |---|---|---|
/// | `color` | `false` | ANSI colours for the verdict and headings |
/// | `width` | 100 | columns before text wraps; at least 40 are used |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Whether to write ANSI colours.
    pub color: bool,
    /// Columns of the terminal.
    pub width: u16,
}

impl Default for Style {
    fn default() -> Self {
        Self {
            color: false,
            width: 100,
        }
    }
}

/// The report of one evaluation.
///
/// Equal evaluations give equal bytes.
///
/// # Errors
/// [`ReportError::Renderer`] when a renderer fails, which is a defect.
pub fn render_evaluation(
    evaluation: &Evaluation,
    format: Format,
    style: &Style,
) -> Result<String, ReportError> {
    let document = || evaluation_document(evaluation);
    match format {
        Format::Terminal => Ok(terminal::render(&document(), *style)),
        Format::Json => json::render(evaluation),
        Format::Markdown => Ok(markdown::render(&document())),
        Format::Csv => csv::evaluation(evaluation),
        Format::Html => html::render(&document(), &json::island(evaluation)?),
    }
}

/// The report of several policies on the same rows.
///
/// # Errors
/// As [`render_evaluation`].
pub fn render_comparison(
    comparison: &Comparison,
    format: Format,
    style: &Style,
) -> Result<String, ReportError> {
    let document = || comparison_document(comparison);
    match format {
        Format::Terminal => Ok(terminal::render(&document(), *style)),
        Format::Json => json::render(comparison),
        Format::Markdown => Ok(markdown::render(&document())),
        Format::Csv => csv::comparison(comparison),
        Format::Html => html::render(&document(), &json::island(comparison)?),
    }
}

/// Why one request went where it went.
///
/// # Errors
/// [`ReportError::UnsupportedFormat`] for [`Format::Html`]; else as [`render_evaluation`].
pub fn render_explanation(
    explanation: &Explanation,
    format: Format,
    style: &Style,
) -> Result<String, ReportError> {
    let document = || explanation_document(explanation);
    match format {
        Format::Terminal => Ok(terminal::render(&document(), *style)),
        Format::Json => json::render(explanation),
        Format::Markdown => Ok(markdown::render(&document())),
        Format::Csv => csv::explanation(explanation),
        Format::Html => Err(ReportError::UnsupportedFormat {
            kind: "an explanation",
            format,
        }),
    }
}

/// The report of a learning replay.
///
/// # Errors
/// As [`render_evaluation`].
pub fn render_learning(
    report: &LearningReport,
    format: Format,
    style: &Style,
) -> Result<String, ReportError> {
    let document = || learning_document(report);
    match format {
        Format::Terminal => Ok(terminal::render(&document(), *style)),
        Format::Json => json::render(report),
        Format::Markdown => Ok(markdown::render(&document())),
        Format::Csv => csv::learning(report),
        Format::Html => html::render(&document(), &json::island(report)?),
    }
}

/// What a certificate certifies, and on what evidence.
///
/// # Errors
/// As [`render_evaluation`].
pub fn render_certificate(
    certificate: &Certificate,
    format: Format,
    style: &Style,
) -> Result<String, ReportError> {
    let document = || certificate_document(certificate);
    if format == Format::Csv {
        return csv::certificate(certificate);
    }
    render_record(certificate, "a certificate", document, format, *style)
}

/// Why nothing was certified, and what to collect.
///
/// # Errors
/// [`ReportError::UnsupportedFormat`] for [`Format::Csv`]; else as [`render_evaluation`].
pub fn render_shortfall(
    shortfall: &Shortfall,
    format: Format,
    style: &Style,
) -> Result<String, ReportError> {
    let document = || shortfall_document(shortfall);
    render_record(shortfall, "a refusal", document, format, *style)
}

/// Whether a certificate stands.
///
/// # Errors
/// As [`render_shortfall`].
pub fn render_check(check: &Check, format: Format, style: &Style) -> Result<String, ReportError> {
    let document = || check_document(check);
    render_record(check, "a check", document, format, *style)
}

fn render_record<T: serde::Serialize>(
    data: &T,
    kind: &'static str,
    document: impl Fn() -> Document,
    format: Format,
    style: Style,
) -> Result<String, ReportError> {
    match format {
        Format::Terminal => Ok(terminal::render(&document(), style)),
        Format::Json => json::render(data),
        Format::Markdown => Ok(markdown::render(&document())),
        Format::Csv => Err(ReportError::UnsupportedFormat { kind, format }),
        Format::Html => html::render(&document(), &json::island(data)?),
    }
}

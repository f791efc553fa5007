//! Reports: an evaluation, a comparison or an explanation, drawn for people and machines.
//!
//! A report is data first: `plimsoll-harness` has computed every number; here it is put into one
//! document of sections, tables and charts, and each renderer draws that document. The numbers in
//! a terminal, a page, a comment and the JSON are therefore the same.
//!
//! | format | for | shape |
//! |---|---|---|
//! | [`Format::Terminal`] | a person at a shell | the verdict first, tables below |
//! | [`Format::Json`] | programs | the evaluation itself; schemas in `reports/schema/` |
//! | [`Format::Markdown`] | a pull request | at most 65,000 bytes, no mention or link from a log |
//! | [`Format::Csv`] | spreadsheets | one tidy table |
//! | [`Format::Html`] | everyone | one file, no network, works without JavaScript |
//!
//! Text from a log is untrusted everywhere: control and bidirectional characters are shown as
//! escapes, markup is neutralised, formulas are quoted.
//!
//! ```
//! use plimsoll_harness::Explanation;
//! use plimsoll_reports::{Format, Style, render_explanation};
//!
//! let explanation = Explanation {
//!     schema: 1,
//!     request_id: "r-17".to_owned(),
//!     task: None,
//!     seen_in_training: false,
//!     chosen: "small".to_owned(),
//!     propensity: 0.98,
//!     reason: "the cheapest arm that keeps the line".to_owned(),
//!     arms: Vec::new(),
//! };
//! let text = render_explanation(&explanation, Format::Terminal, &Style::default())?;
//! assert!(text.starts_with("→ Sent to small"));
//! # Ok::<(), plimsoll_reports::ReportError>(())
//! ```

mod build;
mod chart;
mod csv;
mod document;
mod error;
mod escape;
mod exact;
mod format;
mod html;
mod json;
mod markdown;
mod read;
mod render;
mod terminal;

pub use error::ReportError;
pub use json::{SchemaOf, certificate_json, schema_json};
pub use read::{parse_certificate, parse_comparison, parse_evaluation, parse_learning};
pub use render::{
    Format, Style, render_certificate, render_check, render_comparison, render_evaluation,
    render_explanation, render_learning, render_shortfall,
};

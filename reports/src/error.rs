//! What can go wrong between a saved evaluation and a report.

use crate::Format;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The input is not JSON.
    #[error("the {kind} is not JSON: line {line}, column {column}")]
    NotJson {
        /// What was to be read, for instance `evaluation`.
        kind: &'static str,
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 before the first character.
        column: usize,
    },
    /// The input is JSON, but not of the right shape.
    #[error("this is not a saved {kind}: line {line}, column {column}: {what}")]
    WrongShape {
        /// What was to be read.
        kind: &'static str,
        /// Line, from 1; 0 when the whole input is meant.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is missing or what was expected; never text from the file.
        what: String,
    },
    /// The input was written by a version with another layout.
    #[error("the {kind} has schema version {found}, this version reads {supported}")]
    SchemaVersion {
        /// What was to be read.
        kind: &'static str,
        /// The version in the file.
        found: u64,
        /// The version this crate reads.
        supported: u32,
    },
    /// There is no such rendering.
    #[error("{kind} cannot be shown as {format}")]
    UnsupportedFormat {
        /// What was to be rendered.
        kind: &'static str,
        /// The format asked for.
        format: Format,
    },
    /// A renderer failed; a defect of this crate.
    #[error("the {format} renderer failed: {what}")]
    Renderer {
        /// The format asked for.
        format: Format,
        /// The renderer's own words.
        what: String,
    },
}

impl ReportError {
    /// The stable code, for `plimsoll explain`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotJson { .. } => "P0601",
            Self::WrongShape { .. } => "P0602",
            Self::SchemaVersion { .. } => "P0603",
            Self::UnsupportedFormat { .. } => "P0604",
            Self::Renderer { .. } => "P0605",
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::NotJson { kind, .. } | Self::WrongShape { kind, .. } => {
                format!(
                    "give a file that `plimsoll replay --json` or `compare --json` wrote as an {kind}, whole and unedited"
                )
            }
            Self::SchemaVersion {
                found, supported, ..
            } if *found > u64::from(*supported) => {
                "update plimsoll, or run `plimsoll replay --json` again with this version"
                    .to_owned()
            }
            Self::SchemaVersion { .. } => {
                "run `plimsoll replay --json` again: the command is in the file's manifest"
                    .to_owned()
            }
            Self::UnsupportedFormat { .. } => {
                "choose another format: terminal, json and markdown always work".to_owned()
            }
            Self::Renderer { .. } => "please report this with the command that led here".to_owned(),
        }
    }
}

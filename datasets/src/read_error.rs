//! Why a whole log could not be read; single rows are [`Reject`]s.

use std::io;

use crate::reject::Reject;
use crate::report::ValidationReport;

/// Why an outcome log was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file could not be opened or read.
    #[error("cannot read {file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A device, pipe, socket or looping link.
    #[error("{file} is {kind}, not a regular file")]
    NotRegular {
        /// The file.
        file: String,
        /// What it is.
        kind: &'static str,
    },
    /// A folder or pattern without a single log file.
    #[error("nothing to read: `{input}` names no log file")]
    NothingMatched {
        /// The folder or pattern.
        input: String,
    },
    /// A pattern that is not one.
    #[error("`{pattern}` is not a pattern: {message}")]
    BadPattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        message: String,
    },
    /// A file of no bytes.
    #[error("{file} is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// Files without a single row.
    #[error("{file} holds no rows")]
    NoRows {
        /// The first file.
        file: String,
    },
    /// Neither Parquet, CSV nor JSONL.
    #[error("{file} is not an outcome log: {found}")]
    UnknownFormat {
        /// The file.
        file: String,
        /// What it looks like.
        found: &'static str,
    },
    /// JSON that is broken where no line can be left out.
    #[error("{file}: broken JSON at line {line}: {what}")]
    BrokenJson {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// The parser's words, without the file's content.
        what: String,
    },
    /// A required column is absent.
    #[error("{file} has no column `{column}`")]
    MissingColumn {
        /// The file.
        file: String,
        /// The column.
        column: &'static str,
        /// A column that may be meant.
        meant: Option<String>,
        /// The columns it has.
        found: Vec<String>,
    },
    /// One name twice in a header.
    #[error("{file} has two columns named `{column}`")]
    DuplicateColumn {
        /// The file.
        file: String,
        /// The name.
        column: String,
    },
    /// A Parquet column of the wrong type.
    #[error("{file}: column `{column}` is {got}, wanted {wanted}")]
    WrongType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The type found.
        got: String,
        /// What the column wants.
        wanted: &'static str,
    },
    /// A Parquet type this build cannot read.
    #[error("{file}: column `{column}` has the type {got}, which cannot be read")]
    UnsupportedType {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The type found.
        got: String,
    },
    /// One column, two types in two files.
    #[error("column `{column}` is {first_type} in {first_file} but {second_type} in {second_file}")]
    SchemaDrift {
        /// The column.
        column: String,
        /// A file.
        first_file: String,
        /// The column's type there.
        first_type: String,
        /// Another file.
        second_file: String,
        /// The column's type there.
        second_type: String,
    },
    /// Damaged Parquet.
    #[error("{file} cannot be decoded as Parquet: {message}")]
    Parquet {
        /// The file.
        file: String,
        /// What the decoder said.
        message: String,
    },
    /// Damaged gzip or Zstandard.
    #[error("{file} cannot be decompressed: {message}")]
    Compression {
        /// The file.
        file: String,
        /// What the decoder said.
        message: String,
    },
    /// More decompressed bytes than allowed.
    #[error("{file} holds more than the {cap} bytes allowed in all, decompressed")]
    ByteCap {
        /// The file that went over.
        file: String,
        /// The most bytes allowed.
        cap: u64,
    },
    /// A line or CSV row longer than allowed.
    #[error("{file}:{line} is longer than the {cap} bytes allowed for a line")]
    LineCap {
        /// The file.
        file: String,
        /// The line, from 1.
        line: u64,
        /// The most bytes allowed.
        cap: usize,
    },
    /// A row of Parquet that holds more than a line may.
    #[error("{file}: row {row} is longer than the {cap} bytes allowed for a line")]
    RowCap {
        /// The file.
        file: String,
        /// The row, from 1.
        row: u64,
        /// The most bytes allowed.
        cap: usize,
    },
    /// A Zstandard frame that asks for more memory than allowed.
    #[error("{file} asks for a Zstandard window above 2^{window_log_max} bytes")]
    ZstdWindow {
        /// The file.
        file: String,
        /// Binary logarithm of the largest window allowed.
        window_log_max: u32,
    },
    /// Integer times, and no unit named.
    #[error("{file}{}: `timestamp` is an integer, and its unit is not known", at_line(*line))]
    TimestampUnit {
        /// The file.
        file: String,
        /// The line, when the format has lines.
        line: Option<u64>,
    },
    /// A streamed log in which a request has several rows.
    #[error(
        "{count} rows repeat a request_id: {file}: row {row} has that of {first_file}: row \
         {first_row}, and a log of this size is read one row per request"
    )]
    RepeatedRequests {
        /// Rows beyond the first of their request.
        count: u64,
        /// The file of a request's first row.
        first_file: String,
        /// The row, from 1.
        first_row: u64,
        /// The file of its second row.
        file: String,
        /// The row, from 1.
        row: u64,
    },
    /// More rows rejected than allowed.
    #[error(
        "{} of {} rows cannot be used, and at most {} % may be rejected",
        report.rows_rejected,
        report.rows_read,
        max_reject * 100.0
    )]
    TooManyRejects {
        /// The share allowed.
        max_reject: f64,
        /// What was read nevertheless.
        report: Box<ValidationReport>,
        /// The rejects with their places, as far as they were kept.
        rejects: Vec<Reject>,
    },
}

/// Where in the input an error lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The column's name.
    pub column: Option<String>,
}

impl ReadError {
    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "P0201",
            Self::NotRegular { .. } => "P0202",
            Self::NothingMatched { .. } => "P0203",
            Self::BadPattern { .. } => "P0204",
            Self::Empty { .. } => "P0205",
            Self::NoRows { .. } => "P0206",
            Self::UnknownFormat { .. } => "P0207",
            Self::MissingColumn { .. } => "P0208",
            Self::DuplicateColumn { .. } => "P0209",
            Self::WrongType { .. } => "P0210",
            Self::UnsupportedType { .. } => "P0211",
            Self::SchemaDrift { .. } => "P0212",
            Self::Parquet { .. } => "P0213",
            Self::Compression { .. } => "P0214",
            Self::ByteCap { .. } => "P0215",
            Self::LineCap { .. } | Self::RowCap { .. } => "P0216",
            Self::ZstdWindow { .. } => "P0217",
            Self::TimestampUnit { .. } => "P0218",
            Self::TooManyRejects { .. } => "P0219",
            Self::RepeatedRequests { .. } => "P0220",
            Self::BrokenJson { .. } => "P0221",
        }
    }

    /// Where it is, as far as it is in one place.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        let at = |file: &String, line: Option<u64>, column: Option<&str>| {
            Some(Location {
                file: file.clone(),
                line,
                column: column.map(str::to_owned),
            })
        };
        match self {
            Self::Io { file, .. }
            | Self::NotRegular { file, .. }
            | Self::Empty { file }
            | Self::NoRows { file }
            | Self::Parquet { file, .. }
            | Self::Compression { file, .. }
            | Self::ByteCap { file, .. }
            | Self::RowCap { file, .. }
            | Self::ZstdWindow { file, .. } => at(file, None, None),
            // The format is told from how a file begins.
            Self::UnknownFormat { file, .. } => at(file, Some(1), None),
            Self::MissingColumn { file, column, .. } => at(file, None, Some(column)),
            Self::DuplicateColumn { file, column }
            | Self::WrongType { file, column, .. }
            | Self::UnsupportedType { file, column, .. } => at(file, None, Some(column)),
            Self::SchemaDrift {
                second_file,
                column,
                ..
            } => at(second_file, None, Some(column)),
            Self::LineCap { file, line, .. } | Self::BrokenJson { file, line, .. } => {
                at(file, Some(*line), None)
            }
            Self::RepeatedRequests { file, .. } => at(file, None, Some("request_id")),
            Self::TimestampUnit { file, line } => at(file, *line, Some("timestamp")),
            Self::TooManyRejects { rejects, .. } => rejects
                .first()
                .and_then(|reject| at(&reject.file, reject.line, reject.column.as_deref())),
            Self::NothingMatched { .. } | Self::BadPattern { .. } => None,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Io { .. } => "check the path and its permissions".to_owned(),
            Self::NotRegular { .. } => {
                "pass a regular file, or `-` and pipe the data into standard input".to_owned()
            }
            Self::NothingMatched { .. } => {
                "log files end in .parquet, .csv, .tsv, .jsonl or .ndjson, with .gz or .zst or \
                 without; quote a pattern so that the shell leaves it alone"
                    .to_owned()
            }
            Self::BadPattern { .. } => "use `*`, `**`, `?` and `[a-z]`".to_owned(),
            Self::Empty { .. } | Self::NoRows { .. } => {
                "check that the export finished; a log needs at least one row".to_owned()
            }
            Self::UnknownFormat { .. } => {
                "an outcome log is Parquet, CSV in UTF-8 with a header line, or JSONL: one object \
                 per line (`jq -c '.[]'` turns a JSON array into JSONL)"
                    .to_owned()
            }
            Self::BrokenJson { .. } => {
                "check that the export finished; JSONL, one object per line, loses only the lines \
                 that are broken"
                    .to_owned()
            }
            Self::MissingColumn {
                column,
                meant,
                found,
                ..
            } => match meant {
                Some(meant) => format!("rename `{meant}` to `{column}`"),
                None if matches!(found.as_slice(), [one] if one.contains(';')) => {
                    "separate the fields by commas: this header has semicolons".to_owned()
                }
                None => format!(
                    "every row needs `request_id` and `model`; the file has: {}",
                    found
                        .iter()
                        .take(20)
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(", ")
                ),
            },
            Self::DuplicateColumn { column, .. } => format!("rename or drop one `{column}`"),
            Self::WrongType { column, wanted, .. } => {
                format!("cast `{column}` so that it holds {wanted}, and write the file again")
            }
            Self::UnsupportedType { column, .. } => format!(
                "cast `{column}` to a text, a number, a boolean, a datetime or a list of these \
                 (a decimal to a double), or drop it"
            ),
            Self::SchemaDrift { column, .. } => {
                format!("cast `{column}` to one type in all files, or read the files apart")
            }
            Self::Parquet { .. } | Self::Compression { .. } => {
                "the file is damaged or was cut off: copy or export it again".to_owned()
            }
            Self::ByteCap { .. } => {
                "if the file is what you expect, raise the cap with --max-bytes".to_owned()
            }
            Self::LineCap { .. } => {
                "look for a missing line end or closing quote; if the line is right, raise the cap \
                 with --max-row-bytes"
                    .to_owned()
            }
            Self::RowCap { .. } => {
                "shorten the texts or lists of that row; if they are right, raise the cap with \
                 --max-row-bytes"
                    .to_owned()
            }
            Self::ZstdWindow { .. } => {
                "compress the file again without `--long` (or with `--long=27`)".to_owned()
            }
            Self::TimestampUnit { .. } => {
                "name the unit with --timestamp-unit s, ms, us or ns; it is never guessed"
                    .to_owned()
            }
            Self::RepeatedRequests { .. } => {
                "drop the repeated rows (identical ones add nothing; of contradicting ones at most \
                 one is right), or evaluate fewer than a million rows at a time: those are read \
                 whole, and several arms may answer one request"
                    .to_owned()
            }
            Self::TooManyRejects { .. } => {
                "mend these rows (--rejects FILE lists them all), or raise --max-reject if losing \
                 them is right"
                    .to_owned()
            }
        }
    }
}

fn at_line(line: Option<u64>) -> String {
    line.map_or_else(String::new, |line| format!(":{line}"))
}

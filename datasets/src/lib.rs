//! Outcome logs for Plimsoll: what each arm answered to each request, at what quality and cost.
//!
//! - [`read`] takes Parquet, CSV and JSONL, compressed or not, from a file, a folder, a pattern,
//!   standard input or memory. Rows that cannot be used are [`Reject`]s with their place and
//!   reason; too many of them are an error. The [`ValidationReport`] says what is in the log and
//!   which [`Evidence`] it is.
//! - [`Catalogue`] gives unpriced outcomes their exact cost; what has no price is never free.
//! - [`split`] divides requests without tearing sessions apart.
//! - [`simulate`] makes logs whose truth is known, of any size; [`sample_log`] is one of them.
//! - [`LoggedFiles`] streams large Parquet logs as columns; memory does not grow with their rows.
//! - [`LogWriter`], [`write_rows`] and [`write_log`] write the same formats, whole files or none.
//!
//! Prompt text never reaches an error, a report or a `Debug` text.
//!
//! ```
//! use plimsoll::Seed;
//! use plimsoll_datasets::{
//!     EvidenceKind, Input, ReadOptions, SAMPLE_NAME, Split, read, sample_log, split,
//! };
//!
//! let input = Input::bytes(SAMPLE_NAME, sample_log());
//! let read = read(&input, &ReadOptions::default())?;
//! assert_eq!(read.report.evidence.kind, EvidenceKind::FullInformation);
//!
//! let (train, test) = split(&read.log, &Split::parse("time:0.7")?, Seed(1))?;
//! assert_eq!(train.len() + test.len(), read.log.requests.len());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod assemble;
mod catalogue;
mod column;
mod csv_log;
mod evidence;
mod header;
mod import;
mod jsonl;
mod log;
mod misspelt;
mod parquet;
mod parquet_claims;
mod parquet_deltas;
mod read;
mod read_error;
mod reject;
mod report;
mod row;
mod row_bytes;
mod sample;
mod simulate;
mod simulate_log;
mod simulate_text;
mod source;
mod split;
mod split_error;
mod stream;
mod stream_batch;
mod stream_cells;
mod stream_unique;
mod timestamp;
mod write;
mod write_error;
mod write_parquet;

pub use catalogue::{
    ArmPrices, Catalogue, CatalogueDiff, CatalogueError, CatalogueFormat, ConditionalPrices,
    Conditions, FieldCount, MergeReport, ModelChange, NamePattern, PriceChange, PriceImport,
    PriceImportOptions, PriceImportReport, PricePeriod, PricingSummary, Resolution, RoundedPrice,
    Skipped, TextPlace, TokenPrices, UnknownArm, Unpriced, UnusableRate, Usage, Window,
    WindowError, diff_catalogues, import_prices, merge_prices,
};
pub use column::log_columns;
pub use evidence::{COVERAGE_MIN, Evidence};
pub use import::{
    ArmLabels, Detected, ImportError, ImportKind, ImportOptions, ImportReport, Join, LabelReport,
    QualityFrom, Scale, detect, import,
};
pub use log::{Billing, EvidenceKind, Outcome, OutcomeLog, Request};
pub use parquet::is_decoding;
pub use read::{ReadLog, ReadOptions, read, read_with_progress};
pub use read_error::{Location, ReadError};
pub use reject::{Reject, RejectReason, write_rejects};
pub use report::{
    ArmCoverage, Clusters, FileSummary, SegmentColumn, TenantInfluence, TimeSpan, ValidationReport,
    Warning,
};
pub use row::LogRow;
pub use sample::{SAMPLE_NAME, sample_config, sample_log};
pub use simulate::{
    ArmTruth, Logging, STRONG_AT_LOGITS, SimulateConfig, SimulateError, SimulatedArm,
    SimulatedRequest, Simulation, SimulationSummary,
};
pub use simulate_log::simulate;
pub use source::Input;
pub use split::{Split, column_value, split};
pub use split_error::SplitError;
pub use stream::{LoggedFiles, StreamOptions, StreamTally};
pub use stream_batch::{LoggedBatch, NO_NAME, NO_TIME, NO_TOKENS, Names};
pub use timestamp::TimestampUnit;
pub use write::{LogWriter, write_log, write_rows};
pub use write_error::WriteError;
